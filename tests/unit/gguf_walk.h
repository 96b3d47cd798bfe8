// SPDX-License-Identifier: MIT
// Reads all that a parsed GGUF hands out, as a sanitizer's bait: a slice outside the file is a crash here.
#ifndef TESTS_UNIT_GGUF_WALK_H
#define TESTS_UNIT_GGUF_WALK_H

#include <string.h>

#include "format/gguf.h"

static inline uint32_t gguf_sum(const void *data, size_t n)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += ((const uint8_t *)data)[i];
    return sum;
}

static inline uint32_t gguf_walk_kv(const ql_source *s, const ql_gguf_kv *kv)
{
    uint32_t sum = 0;
    uint64_t u = 0;
    float f = 0;
    bool flag = false;
    ql_str text = {0};
    ql_str_array strings;
    ql_num_array numbers;
    char key[256];
    if (kv->key_len >= sizeof key)
        return 0;
    memcpy(key, kv->key, kv->key_len);
    key[kv->key_len] = 0;
    ql_source_get_u64(s, key, true, 0, UINT64_MAX, &u, NULL);
    ql_source_get_f32(s, key, true, &f, NULL);
    ql_source_get_bool(s, key, true, &flag, NULL);
    ql_source_get_str(s, key, true, &text, NULL);
    ql_source_get_str_array(s, key, true, &strings, NULL);
    for (size_t i = 0; i < strings.n; i++)
        sum += gguf_sum(strings.items[i].data, strings.items[i].len);
    ql_source_get_f32_array(s, key, true, &numbers, NULL);
    sum += gguf_sum(numbers.data, 4 * numbers.n);
    ql_source_get_i32_array(s, key, true, &numbers, NULL);
    sum += gguf_sum(numbers.data, 4 * numbers.n);
    return sum + (uint32_t)u + (f > 0) + flag + gguf_sum(text.data, text.len) + ql_source_has(s, key);
}

static inline uint32_t gguf_walk(const ql_source *s)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < s->n_kvs; i++)
        sum += gguf_walk_kv(s, &s->kvs[i]);
    for (size_t i = 0; i < ql_source_n_tensors(s); i++) {
        const ql_tensor *t = ql_source_tensor_at(s, i);
        sum += gguf_sum(t->data, t->size) + (ql_source_tensor(s, t->name) == t);
    }
    return sum;
}

#endif
