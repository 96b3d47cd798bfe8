// SPDX-License-Identifier: MIT
// The view over a parsed file: opening, lookup, typed getters. Must not know what keys mean.
#include "format/source.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "format/gguf.h"

ql_code ql_source_open(const char *path, ql_source **source, ql_error *err)
{
    *source = NULL;
    ql_source *s = calloc(1, sizeof *s);
    if (!s || !(s->path_copy = strdup(path))) {
        free(s);
        return ql_fail_memory(err, sizeof *s);
    }
    ql_code code = ql_file_open(&s->file, path, err);
    if (code == QL_OK)
        code = ql_gguf_parse(s->file.data, s->file.size, s->path_copy, s, err);
    if (code != QL_OK) {
        ql_source_close(s);
        return code;
    }
    *source = s;
    return QL_OK;
}

void ql_source_close(ql_source *source)
{
    if (!source)
        return;
    ql_gguf_clear(source);
    ql_file_close(&source->file);
    free(source->path_copy);
    free(source);
}

const char *ql_source_path(const ql_source *source) { return source->path; }
uint64_t ql_source_file_bytes(const ql_source *source) { return source->file.size; }
size_t ql_source_n_tensors(const ql_source *source) { return source->n_tensors; }
const ql_tensor *ql_source_tensor_at(const ql_source *source, size_t i) { return &source->tensors[i]; }

const ql_tensor *ql_source_tensor(const ql_source *source, const char *name)
{
    for (size_t low = 0, high = source->n_tensors; low < high;) {
        size_t middle = low + (high - low) / 2;
        const ql_tensor *t = &source->tensors[source->tensors_by_name[middle]];
        int order = strcmp(name, t->name);
        if (order == 0)
            return t;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

static int compare_key(const char *key, size_t len, const ql_gguf_kv *kv)
{
    int order = memcmp(key, kv->key, len < kv->key_len ? len : kv->key_len);
    return order ? order : (len > kv->key_len) - (len < kv->key_len);
}

// NULL: absent.
static const ql_gguf_kv *find(const ql_source *s, const char *key)
{
    size_t len = strlen(key);
    for (size_t low = 0, high = s->n_kvs; low < high;) {
        size_t middle = low + (high - low) / 2;
        const ql_gguf_kv *kv = &s->kvs[s->kvs_by_key[middle]];
        int order = compare_key(key, len, kv);
        if (order == 0)
            return kv;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

bool ql_source_has(const ql_source *source, const char *key) { return find(source, key) != NULL; }

static ql_code missing(const ql_source *s, const char *key, bool required, ql_error *err)
{
    return required ? ql_fail(err, QL_E_FORMAT, "%s: %s is missing", s->path, key) : QL_OK;
}

static ql_code wrong_type(const ql_source *s, const ql_gguf_kv *kv, const char *key, const char *expected,
                          ql_error *err)
{
    if (kv->type == QL_GGUF_ARR)
        return ql_fail(err, QL_E_FORMAT, "%s: %s: array of %s, expected %s", s->path, key,
                       ql_gguf_type_names[kv->element], expected);
    return ql_fail(err, QL_E_FORMAT, "%s: %s: %s, expected %s", s->path, key, ql_gguf_type_names[kv->type], expected);
}

// Reads count bytes of a little-endian integer.
static uint64_t unsigned_at(const uint8_t *p, size_t bytes)
{
    uint64_t value = 0;
    memcpy(&value, p, bytes);
    return value;
}

static int64_t signed_at(const uint8_t *p, size_t bytes)
{
    int shift = 64 - 8 * (int)bytes;
    return (int64_t)(unsigned_at(p, bytes) << shift) >> shift; // arithmetic shift: gcc and clang define it
}

ql_code ql_source_get_u64(const ql_source *s, const char *key, bool required, uint64_t min, uint64_t max, uint64_t *out,
                          ql_error *err)
{
    const ql_gguf_kv *kv = find(s, key);
    if (!kv)
        return missing(s, key, required, err);
    size_t bytes = ql_gguf_type_bytes((ql_gguf_type)kv->type);
    switch (kv->type) {
    case QL_GGUF_U8: case QL_GGUF_U16: case QL_GGUF_U32: case QL_GGUF_U64: {
        uint64_t value = unsigned_at(kv->data, bytes);
        if (value < min || value > max)
            return ql_fail(err, QL_E_FORMAT, "%s: %s %" PRIu64 ": %" PRIu64 " to %" PRIu64, s->path, key, value, min,
                           max);
        *out = value;
        return QL_OK;
    }
    case QL_GGUF_I8: case QL_GGUF_I16: case QL_GGUF_I32: case QL_GGUF_I64: {
        int64_t value = signed_at(kv->data, bytes);
        if (value < 0 || (uint64_t)value < min || (uint64_t)value > max)
            return ql_fail(err, QL_E_FORMAT, "%s: %s %" PRId64 ": %" PRIu64 " to %" PRIu64, s->path, key, value, min,
                           max);
        *out = (uint64_t)value;
        return QL_OK;
    }
    default:
        return wrong_type(s, kv, key, "an integer", err);
    }
}

ql_code ql_source_get_f32(const ql_source *s, const char *key, bool required, float *out, ql_error *err)
{
    const ql_gguf_kv *kv = find(s, key);
    if (!kv)
        return missing(s, key, required, err);
    if (kv->type == QL_GGUF_F32) {
        memcpy(out, kv->data, sizeof *out);
        return QL_OK;
    }
    if (kv->type != QL_GGUF_F64)
        return wrong_type(s, kv, key, "f32", err);
    double value;
    memcpy(&value, kv->data, sizeof value);
    *out = (float)value;
    return QL_OK;
}

ql_code ql_source_get_bool(const ql_source *s, const char *key, bool required, bool *out, ql_error *err)
{
    const ql_gguf_kv *kv = find(s, key);
    if (!kv)
        return missing(s, key, required, err);
    if (kv->type != QL_GGUF_BOOL)
        return wrong_type(s, kv, key, "bool", err);
    *out = kv->data[0] != 0;
    return QL_OK;
}

ql_code ql_source_get_str(const ql_source *s, const char *key, bool required, ql_str *out, ql_error *err)
{
    const ql_gguf_kv *kv = find(s, key);
    if (!kv)
        return missing(s, key, required, err);
    if (kv->type != QL_GGUF_STR)
        return wrong_type(s, kv, key, "str", err);
    size_t bad;
    if (!ql_gguf_is_utf8(kv->data, kv->n, &bad))
        return ql_fail(err, QL_E_FORMAT, "%s: %s: not UTF-8 at byte %zu of %" PRIu64, s->path, key, bad, kv->n);
    *out = (ql_str){(const char *)kv->data, kv->n};
    return QL_OK;
}

// An array of one of two element types; an empty one may be of any (files in use hold such).
static ql_code get_array(const ql_source *s, const char *key, bool required, ql_gguf_type a, ql_gguf_type b,
                         const char *expected, const ql_gguf_kv **out, ql_error *err)
{
    const ql_gguf_kv *kv = find(s, key);
    *out = NULL;
    if (!kv)
        return missing(s, key, required, err);
    if (kv->type != QL_GGUF_ARR)
        return ql_fail(err, QL_E_FORMAT, "%s: %s: %s, expected an array of %s", s->path, key,
                       ql_gguf_type_names[kv->type], expected);
    if (kv->n && kv->element != a && kv->element != b)
        return wrong_type(s, kv, key, expected, err);
    if (kv->n)
        *out = kv;
    return QL_OK;
}

ql_code ql_source_get_str_array(const ql_source *s, const char *key, bool required, ql_str_array *out, ql_error *err)
{
    const ql_gguf_kv *kv;
    *out = (ql_str_array){0};
    QL_TRY(get_array(s, key, required, QL_GGUF_STR, QL_GGUF_STR, "str", &kv, err));
    if (kv)
        *out = (ql_str_array){kv->items, kv->n};
    return QL_OK;
}

ql_code ql_source_get_f32_array(const ql_source *s, const char *key, bool required, ql_num_array *out, ql_error *err)
{
    const ql_gguf_kv *kv;
    *out = (ql_num_array){0};
    QL_TRY(get_array(s, key, required, QL_GGUF_F32, QL_GGUF_F32, "f32", &kv, err));
    if (kv)
        *out = (ql_num_array){kv->data, kv->n};
    return QL_OK;
}

ql_code ql_source_get_i32_array(const ql_source *s, const char *key, bool required, ql_num_array *out, ql_error *err)
{
    const ql_gguf_kv *kv;
    *out = (ql_num_array){0};
    QL_TRY(get_array(s, key, required, QL_GGUF_I32, QL_GGUF_U32, "i32", &kv, err));
    if (kv)
        *out = (ql_num_array){kv->data, kv->n};
    return QL_OK;
}
