// SPDX-License-Identifier: MIT
// The view over a parsed source: lookup and typed getters. Must not know what keys mean, nor which files they are from.
#include "format/source.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/utf8.h"
#include "format/source_impl.h"

const char *const ql_gguf_type_names[QL_GGUF_TYPES] = {"u8",   "i8",  "u16", "i16", "u32", "i32", "f32",
                                                       "bool", "str", "arr", "u64", "i64", "f64"};

size_t ql_gguf_type_bytes(ql_gguf_type type)
{
    static const uint8_t bytes[QL_GGUF_TYPES] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    return bytes[type];
}

bool ql_gguf_is_utf8(const void *data, size_t n, size_t *at)
{
    const char *s = data;
    uint32_t cp;
    for (size_t i = 0; i < n;) {
        uint64_t eight;
        if (i + 8 <= n && (memcpy(&eight, s + i, 8), !(eight & 0x8080808080808080))) { // ASCII: most of every file
            i += 8;
            continue;
        }
        int len = ql_utf8_decode(s + i, n - i, &cp);
        if (len < 0) {
            *at = i;
            return false;
        }
        i += (size_t)len;
    }
    return true;
}

ql_source_kind ql_source_kind_of(const ql_source *source) { return source->kind; }
const char *ql_source_path(const ql_source *source) { return source->path; }
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

// The file that the entries are from, for messages.
static const char *file_of(const ql_source *s) { return s->keys_path ? s->keys_path : s->path; }

static ql_code missing(const ql_source *s, const char *key, bool required, ql_error *err)
{
    return required ? ql_fail(err, QL_E_FORMAT, "%s: %s is missing", file_of(s), key) : QL_OK;
}

static ql_code wrong_type(const ql_source *s, const ql_gguf_kv *kv, const char *key, const char *expected,
                          ql_error *err)
{
    if (kv->type == QL_GGUF_ARR)
        return ql_fail(err, QL_E_FORMAT, "%s: %s: array of %s, expected %s", file_of(s), key,
                       ql_gguf_type_names[kv->element], expected);
    return ql_fail(err, QL_E_FORMAT, "%s: %s: %s, expected %s", file_of(s), key, ql_gguf_type_names[kv->type],
                   expected);
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
    // bounded: bits that leave are the sign's. The shift back is arithmetic: gcc and clang define it.
    return (int64_t)(unsigned_at(p, bytes) << shift) >> shift;
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
            return ql_fail(err, QL_E_FORMAT, "%s: %s %" PRIu64 ": %" PRIu64 " to %" PRIu64, file_of(s), key, value, min,
                           max);
        *out = value;
        return QL_OK;
    }
    case QL_GGUF_I8: case QL_GGUF_I16: case QL_GGUF_I32: case QL_GGUF_I64: {
        int64_t value = signed_at(kv->data, bytes);
        if (value < 0 || (uint64_t)value < min || (uint64_t)value > max)
            return ql_fail(err, QL_E_FORMAT, "%s: %s %" PRId64 ": %" PRIu64 " to %" PRIu64, file_of(s), key, value, min,
                           max);
        *out = (uint64_t)value;
        return QL_OK;
    }
    default:
        return wrong_type(s, kv, key, "an integer", err);
    }
}

// The i-th of a value's numbers (0 or 1 of a boolean).
static double number_at(const uint8_t *data, ql_gguf_type type, size_t i)
{
    size_t bytes = ql_gguf_type_bytes(type);
    const uint8_t *p = data + i * bytes;
    float f;
    double d;
    switch (type) {
    case QL_GGUF_F32:
        memcpy(&f, p, sizeof f);
        return (double)f;
    case QL_GGUF_F64:
        memcpy(&d, p, sizeof d);
        return d;
    case QL_GGUF_I8: case QL_GGUF_I16: case QL_GGUF_I32: case QL_GGUF_I64:
        return (double)signed_at(p, bytes);
    default:
        return (double)unsigned_at(p, bytes);
    }
}

static bool is_number(ql_gguf_type type)
{
    return type != QL_GGUF_STR && type != QL_GGUF_ARR && type != QL_GGUF_BOOL;
}

// JSON writers drop the point of whole numbers, so of config.json an integer is a number too.
static ql_code get_real(const ql_source *s, const char *key, bool required, const char *expected, double *out,
                        bool *there, ql_error *err)
{
    const ql_gguf_kv *kv = find(s, key);
    *there = kv != NULL;
    if (!kv)
        return missing(s, key, required, err);
    bool any = s->kind == QL_SOURCE_HF;
    if (kv->type != QL_GGUF_F32 && kv->type != QL_GGUF_F64 && !(any && is_number((ql_gguf_type)kv->type)))
        return wrong_type(s, kv, key, any ? "a number" : expected, err);
    *out = number_at(kv->data, (ql_gguf_type)kv->type, 0);
    return QL_OK;
}

ql_code ql_source_get_f32(const ql_source *s, const char *key, bool required, float *out, ql_error *err)
{
    double value = 0;
    bool there;
    QL_TRY(get_real(s, key, required, "f32", &value, &there, err));
    if (there)
        *out = (float)value;
    return QL_OK;
}

ql_code ql_source_get_f64(const ql_source *s, const char *key, bool required, double *out, ql_error *err)
{
    double value = 0;
    bool there;
    QL_TRY(get_real(s, key, required, "f32 or f64", &value, &there, err));
    if (there)
        *out = value;
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
        return ql_fail(err, QL_E_FORMAT, "%s: %s: not UTF-8 at byte %zu of %" PRIu64, file_of(s), key, bad, kv->n);
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
        return ql_fail(err, QL_E_FORMAT, "%s: %s: %s, expected an array of %s", file_of(s), key,
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

ql_code ql_source_get_f64_array(const ql_source *s, const char *key, bool required, double **out, size_t *n,
                                ql_error *err)
{
    const ql_gguf_kv *kv = find(s, key);
    uint64_t bytes;
    *out = NULL;
    *n = 0;
    if (!kv)
        return missing(s, key, required, err);
    if (kv->type != QL_GGUF_ARR)
        return ql_fail(err, QL_E_FORMAT, "%s: %s: %s, expected an array of numbers", file_of(s), key,
                       ql_gguf_type_names[kv->type]);
    if (kv->n == 0)
        return QL_OK;
    ql_gguf_type element = (ql_gguf_type)kv->element;
    if (!is_number(element) && element != QL_GGUF_BOOL)
        return wrong_type(s, kv, key, "numbers", err);
    if (!ql_mul_u64(kv->n, sizeof **out, &bytes) || !(*out = malloc(bytes)))
        return ql_fail_memory(err, kv->n);
    for (size_t i = 0; i < kv->n; i++)
        (*out)[i] = number_at(kv->data, element, i);
    *n = kv->n;
    return QL_OK;
}
