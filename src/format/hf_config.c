// SPDX-License-Identifier: MIT
// config.json as a source's entries: nested objects become dotted keys ("rope_scaling.factor"), null is absent. Must
// not know what keys mean. Arrays of one kind of scalar are kept, nested and mixed ones are left out.
//
// The same walk runs twice: on a measuring arena, which also counts the entries, and on the real one.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "format/json.h"
#include "format/source_impl.h"

enum {
    MAX_FILE = 4 << 20,
    MAX_ENTRIES = 65536,
    MAX_KEY = 512,
    MAX_DEPTH = 16,
};

typedef struct walk {
    ql_source *source;
    ql_arena arena;
    ql_gguf_kv *kvs;        // NULL: measuring
    size_t n;
    char key[MAX_KEY + 1];  // of where the walk is
    ql_error *err;
} walk;

// ---- values ----

static void *keep(walk *w, const void *data, size_t n, size_t size)
{
    void *copy = ql_arena_alloc(&w->arena, n, size);
    if (copy && n)
        memcpy(copy, data, n * size);
    return copy;
}

// The one type of an array's elements; QL_GGUF_ARR: there is none. Whole numbers among reals are reals.
static ql_gguf_type element_type(const json_t *array)
{
    bool ints = true, small = true, numbers = true, bools = true, strings = true;
    size_t i;
    json_t *item;
    json_array_foreach((json_t *)array, i, item) {
        ints &= json_is_integer(item);
        small &= json_is_integer(item) && json_integer_value(item) == (int32_t)json_integer_value(item);
        numbers &= json_is_number(item);
        bools &= json_is_boolean(item);
        strings &= json_is_string(item);
    }
    if (ints)
        return small ? QL_GGUF_I32 : QL_GGUF_I64;
    return numbers ? QL_GGUF_F64 : bools ? QL_GGUF_BOOL : strings ? QL_GGUF_STR : QL_GGUF_ARR;
}

static void put_element(walk *w, ql_gguf_kv *kv, uint8_t *data, size_t i, const json_t *item)
{
    int32_t small;
    int64_t large;
    double real;
    const char *text;
    switch (kv->element) {
    case QL_GGUF_I32:
        small = (int32_t)json_integer_value(item);
        memcpy(data + i * sizeof small, &small, sizeof small);
        break;
    case QL_GGUF_I64:
        large = json_integer_value(item);
        memcpy(data + i * sizeof large, &large, sizeof large);
        break;
    case QL_GGUF_F64:
        real = json_number_value(item);
        memcpy(data + i * sizeof real, &real, sizeof real);
        break;
    case QL_GGUF_BOOL:
        data[i] = json_is_true(item);
        break;
    default:
        text = keep(w, json_string_value(item), json_string_length(item) + 1, 1);
        if (text)
            kv->items[i] = (ql_str){text, json_string_length(item)};
    }
}

// False: an array that is left out.
static bool put_array(walk *w, ql_gguf_kv *kv, const json_t *array)
{
    ql_gguf_type element = element_type(array);
    if (element == QL_GGUF_ARR)
        return false;
    kv->type = QL_GGUF_ARR;
    kv->element = (uint8_t)element;
    kv->n = json_array_size(array);
    bool strings = element == QL_GGUF_STR;
    void *room = ql_arena_alloc(&w->arena, kv->n + 1, strings ? sizeof(ql_str) : ql_gguf_type_bytes(element));
    kv->items = strings ? room : NULL;
    kv->data = room;
    if (room || strings) // strings are measured one by one
        for (size_t i = 0; i < kv->n; i++)
            put_element(w, kv, room, i, json_array_get(array, i));
    return true;
}

static bool put_value(walk *w, ql_gguf_kv *kv, const json_t *value)
{
    int64_t integer;
    double real;
    uint8_t flag;
    switch (json_typeof(value)) {
    case JSON_INTEGER:
        integer = json_integer_value(value);
        kv->type = QL_GGUF_I64;
        kv->data = keep(w, &integer, 1, sizeof integer);
        return true;
    case JSON_REAL:
        real = json_real_value(value);
        kv->type = QL_GGUF_F64;
        kv->data = keep(w, &real, 1, sizeof real);
        return true;
    case JSON_TRUE: case JSON_FALSE:
        flag = json_is_true(value);
        kv->type = QL_GGUF_BOOL;
        kv->data = keep(w, &flag, 1, sizeof flag);
        return true;
    case JSON_STRING:
        kv->type = QL_GGUF_STR;
        kv->n = json_string_length(value);
        kv->data = keep(w, json_string_value(value), kv->n + 1, 1);
        return true;
    case JSON_ARRAY:
        return put_array(w, kv, value);
    default:
        return false;
    }
}

// ---- the walk ----

// The value under w->key, key_len bytes.
static ql_code visit(walk *w, const json_t *value, size_t key_len, int depth)
{
    const char *name;
    json_t *child;
    const char *path = w->source->keys_path;
    if (!json_is_object(value)) {
        ql_gguf_kv kv = {.key_len = (uint32_t)key_len};
        if (!put_value(w, &kv, value))
            return QL_OK;
        if (w->n == MAX_ENTRIES)
            return ql_fail(w->err, QL_E_FORMAT, "%s: more than %d entries", path, MAX_ENTRIES);
        kv.key = keep(w, w->key, key_len + 1, 1); // bounded: key_len <= MAX_KEY
        if (w->kvs)
            w->kvs[w->n] = kv;
        w->n++;
        return QL_OK;
    }
    if (depth > MAX_DEPTH)
        return ql_fail(w->err, QL_E_FORMAT, "%s: %s: more than %d objects inside each other", path, w->key, MAX_DEPTH);
    json_object_foreach((json_t *)value, name, child) {
        size_t len = strlen(name), at = key_len + (key_len > 0); // bounded: key_len <= MAX_KEY
        if (len > MAX_KEY - at)
            return ql_fail(w->err, QL_E_FORMAT, "%s: a key of %zu bytes, at most %d (%.64s...)", path, at + len,
                           MAX_KEY, w->key);
        if (key_len)
            w->key[key_len] = '.';
        memcpy(w->key + at, name, len + 1);
        QL_TRY(visit(w, child, at + len, depth + 1));
        w->key[key_len] = 0;
    }
    return QL_OK;
}

static ql_code fill(walk *w, ql_source *s, const json_t *root)
{
    uint32_t a, b;
    QL_TRY(visit(w, root, 0, 0));
    size_t n = w->n;
    QL_TRY(ql_arena_init(&s->values, w->arena.used, false, w->err));
    s->kvs = calloc(n + 1, sizeof *s->kvs);
    s->kvs_by_key = calloc(n + 1, sizeof *s->kvs_by_key);
    if (!s->kvs || !s->kvs_by_key)
        return ql_fail_memory(w->err, (n + 1) * (sizeof *s->kvs + sizeof *s->kvs_by_key));
    w->arena = s->values;
    w->kvs = s->kvs;
    w->n = 0;
    QL_TRY(visit(w, root, 0, 0));
    s->n_kvs = n;
    if (ql_source_sort_kvs(s, &a, &b))
        return ql_fail(w->err, QL_E_FORMAT, "%s: %.*s appears twice", s->keys_path, (int)s->kvs[a].key_len,
                       s->kvs[a].key);
    return QL_OK;
}

ql_code ql_hf_read_config(ql_source *s, ql_error *err)
{
    ql_str text = ql_source_document(s, "config.json");
    json_error_t error;
    if (!text.data)
        return QL_OK;
    if (text.len > MAX_FILE)
        return ql_fail(err, QL_E_FORMAT, "%s: file is %zu bytes, at most %d", s->keys_path, text.len, MAX_FILE);
    json_t *root = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, &error);
    if (!root && ql_json_is_out_of_memory(&error))
        return ql_fail_memory(err, text.len);
    if (!root)
        return ql_fail(err, QL_E_FORMAT, "%s:%d:%d: %s", s->keys_path, error.line, error.column, error.text);
    walk *w = calloc(1, sizeof *w);
    ql_code code;
    if (!w) {
        code = ql_fail_memory(err, sizeof *w);
    } else if (!json_is_object(root)) {
        code = ql_fail(err, QL_E_FORMAT, "%s: is not a JSON object", s->keys_path);
    } else {
        w->source = s;
        w->err = err;
        code = fill(w, s, root);
    }
    free(w);
    json_decref(root);
    return code;
}
