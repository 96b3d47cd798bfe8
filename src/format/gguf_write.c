// SPDX-License-Identifier: MIT
// Writes the header of a GGUF. Keys are collected as the file's bytes; what the reader refuses is refused here, so that
// no file is written which can not be read again.
#include "format/gguf_write.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "format/seal.h"
#include "format/source_impl.h"

enum {
    MAX_NAME = 64,
    MAX_COUNT = 65536,
    MAX_KEY = 65535,
    DEFAULT_ALIGNMENT = 32,
    HEADER_BYTES = 24, // before the first key
};

struct ql_gguf_writer {
    ql_buf kvs, infos;
    uint64_t *offsets;     // [n_tensors], from the data section's begin; from the file's begin after finish
    size_t n_kvs, n_tensors, cap;
    uint64_t data_bytes, file_bytes;
    uint32_t alignment;
    size_t seal_at;        // in kvs, of its value; 0: there is none
    char **keys;           // [n_kvs], for duplicates
    size_t keys_cap;
    char **names;          // [n_tensors]
    ql_error error;        // the first; code QL_OK: none
};

ql_gguf_writer *ql_gguf_writer_new(uint32_t alignment)
{
    ql_gguf_writer *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    w->alignment = alignment ? alignment : DEFAULT_ALIGNMENT;
    if (!alignment)
        return w;
    if (alignment < 8 || alignment > 65536 || alignment & (alignment - 1))
        ql_fail(&w->error, QL_E_ARGUMENT, "alignment %u: power of two from 8 to 65536", alignment);
    ql_gguf_put_u32(w, "general.alignment", alignment);
    return w;
}

void ql_gguf_writer_free(ql_gguf_writer *w)
{
    if (!w)
        return;
    for (size_t i = 0; i < w->n_kvs; i++)
        free(w->keys[i]);
    for (size_t i = 0; i < w->n_tensors; i++)
        free(w->names[i]);
    free(w->keys);
    free(w->names);
    free(w->offsets);
    ql_buf_free(&w->kvs);
    ql_buf_free(&w->infos);
    free(w);
}

// ---- keys ----

static bool usable(const ql_gguf_writer *w) { return w && w->error.code == QL_OK; }

static void put_u32(ql_buf *b, uint32_t v) { ql_buf_append(b, &v, sizeof v); }
static void put_u64(ql_buf *b, uint64_t v) { ql_buf_append(b, &v, sizeof v); }

static bool is_key(const char *key, size_t len)
{
    if (len == 0 || len > MAX_KEY)
        return false;
    for (size_t i = 0; i < len; i++)
        if (key[i] <= ' ' || key[i] > '~')
            return false;
    return true;
}

static bool keep_key(ql_gguf_writer *w, const char *key, size_t len)
{
    if (w->n_kvs == w->keys_cap) {
        size_t cap = w->keys_cap ? 2 * w->keys_cap : 64;
        char **keys = realloc(w->keys, cap * sizeof *keys);
        if (!keys)
            return false;
        w->keys = keys;
        w->keys_cap = cap;
    }
    return (w->keys[w->n_kvs] = strndup(key, len)) != NULL;
}

// The key and its type; the value is to follow. False: nothing must.
static bool begin(ql_gguf_writer *w, const char *key, size_t len, ql_gguf_type type)
{
    if (!usable(w))
        return false;
    if (!is_key(key, len))
        return ql_fail(&w->error, QL_E_ARGUMENT, "key \"%.64s\": 1 to %d bytes of printable ASCII", key, MAX_KEY),
               false;
    if (w->n_kvs == MAX_COUNT)
        return ql_fail(&w->error, QL_E_ARGUMENT, "more than %d keys", MAX_COUNT), false;
    if (!keep_key(w, key, len))
        return ql_fail_memory(&w->error, len), false;
    w->n_kvs++;
    put_u64(&w->kvs, len);
    ql_buf_append(&w->kvs, key, len);
    put_u32(&w->kvs, type);
    return true;
}

static void put_value(ql_gguf_writer *w, const char *key, ql_gguf_type type, const void *value)
{
    if (begin(w, key, strlen(key), type))
        ql_buf_append(&w->kvs, value, ql_gguf_type_bytes(type));
}

static void put_text(ql_gguf_writer *w, ql_str text)
{
    put_u64(&w->kvs, text.len);
    ql_buf_append(&w->kvs, text.data, text.len);
}

static void put_array(ql_gguf_writer *w, const char *key, ql_gguf_type element, const void *values, size_t n)
{
    if (!begin(w, key, strlen(key), QL_GGUF_ARR))
        return;
    put_u32(&w->kvs, element);
    put_u64(&w->kvs, n);
    ql_buf_append(&w->kvs, values, n * ql_gguf_type_bytes(element)); // n values are in memory: no overflow
}

void ql_gguf_put_seal(ql_gguf_writer *w)
{
    ql_gguf_put_u64(w, ql_seal_key, 0);
    if (usable(w))
        w->seal_at = w->kvs.len - sizeof(uint64_t);
}

void ql_gguf_put_u32(ql_gguf_writer *w, const char *key, uint32_t v) { put_value(w, key, QL_GGUF_U32, &v); }
void ql_gguf_put_u64(ql_gguf_writer *w, const char *key, uint64_t v) { put_value(w, key, QL_GGUF_U64, &v); }
void ql_gguf_put_i64(ql_gguf_writer *w, const char *key, int64_t v) { put_value(w, key, QL_GGUF_I64, &v); }
void ql_gguf_put_f32(ql_gguf_writer *w, const char *key, float v) { put_value(w, key, QL_GGUF_F32, &v); }
void ql_gguf_put_f64(ql_gguf_writer *w, const char *key, double v) { put_value(w, key, QL_GGUF_F64, &v); }

void ql_gguf_put_bool(ql_gguf_writer *w, const char *key, bool v) { put_value(w, key, QL_GGUF_BOOL, &(uint8_t){v}); }

void ql_gguf_put_str(ql_gguf_writer *w, const char *key, ql_str value)
{
    if (begin(w, key, strlen(key), QL_GGUF_STR))
        put_text(w, value);
}

void ql_gguf_put_strs(ql_gguf_writer *w, const char *key, const ql_str *values, size_t n)
{
    if (!begin(w, key, strlen(key), QL_GGUF_ARR))
        return;
    put_u32(&w->kvs, QL_GGUF_STR);
    put_u64(&w->kvs, n);
    for (size_t i = 0; i < n; i++)
        put_text(w, values[i]);
}

void ql_gguf_put_i32s(ql_gguf_writer *w, const char *key, const int32_t *values, size_t n)
{
    put_array(w, key, QL_GGUF_I32, values, n);
}

void ql_gguf_put_f32s(ql_gguf_writer *w, const char *key, const float *values, size_t n)
{
    put_array(w, key, QL_GGUF_F32, values, n);
}

void ql_gguf_put_u8s(ql_gguf_writer *w, const char *key, const uint8_t *values, size_t n)
{
    put_array(w, key, QL_GGUF_U8, values, n);
}

// ---- of a source ----

static bool is_excepted(const ql_gguf_kv *kv, const char *const *except)
{
    static const char *const own[] = {"general.alignment", "split.no", "split.count", "split.tensors.count", NULL};
    for (const char *const *list = own; list; list = list == own ? except : NULL)
        for (size_t i = 0; list[i]; i++)
            if (strlen(list[i]) == kv->key_len && memcmp(list[i], kv->key, kv->key_len) == 0)
                return true;
    return false;
}

static void put_kv(ql_gguf_writer *w, const ql_gguf_kv *kv)
{
    if (!begin(w, kv->key, kv->key_len, (ql_gguf_type)kv->type))
        return;
    if (kv->type == QL_GGUF_STR) {
        put_text(w, (ql_str){(const char *)kv->data, kv->n});
    } else if (kv->type != QL_GGUF_ARR) {
        ql_buf_append(&w->kvs, kv->data, ql_gguf_type_bytes((ql_gguf_type)kv->type));
    } else {
        put_u32(&w->kvs, kv->element);
        put_u64(&w->kvs, kv->n);
        for (size_t i = 0; i < kv->n && kv->element == QL_GGUF_STR; i++)
            put_text(w, kv->items[i]);
        if (kv->element != QL_GGUF_STR)
            ql_buf_append(&w->kvs, kv->data, kv->n * ql_gguf_type_bytes((ql_gguf_type)kv->element)); // as it lies there
    }
}

void ql_gguf_put_keys_of(ql_gguf_writer *w, const ql_source *source, const char *const *except)
{
    bool hf = source->kind == QL_SOURCE_HF;
    for (size_t i = 0; i < source->n_kvs && usable(w); i++) {
        const ql_gguf_kv *kv = &source->kvs[i];
        if (!is_excepted(kv, except) && (!hf || is_key(kv->key, kv->key_len)))
            put_kv(w, kv);
    }
    if (hf && !ql_source_has(source, "quantllm.kind"))
        ql_gguf_put_str(w, "quantllm.kind", (ql_str){"hf", 2});
}

void ql_gguf_put_documents_of(ql_gguf_writer *w, const ql_source *source)
{
    char key[128];
    for (size_t i = 0; i < source->n_documents; i++) {
        const ql_document *d = &source->documents[i];
        size_t n = strlen(d->name);
        if (!d->file.data || n > 64)
            continue;
        memcpy(key, "quantllm.document.", 18);
        memcpy(key + 18, d->name, n + 1);
        ql_gguf_put_str(w, key, (ql_str){(const char *)d->file.data, d->file.size});
    }
}

// ---- tensors ----

static bool grow(ql_gguf_writer *w)
{
    if (w->n_tensors < w->cap)
        return true;
    size_t cap = w->cap ? 2 * w->cap : 64;
    uint64_t *offsets = realloc(w->offsets, cap * sizeof *offsets);
    w->offsets = offsets ? offsets : w->offsets;
    char **names = realloc(w->names, cap * sizeof *names);
    w->names = names ? names : w->names;
    if (!offsets || !names)
        return ql_fail_memory(&w->error, cap * (sizeof *offsets + sizeof *names)), false;
    w->cap = cap;
    return true;
}

size_t ql_gguf_put_tensor(ql_gguf_writer *w, const char *name, uint32_t type, uint32_t n_dims, const uint64_t *shape,
                          uint64_t bytes)
{
    size_t len = strlen(name);
    uint64_t end;
    if (!usable(w))
        return 0;
    if (len == 0 || len > MAX_NAME)
        return ql_fail(&w->error, QL_E_ARGUMENT, "tensor %s: name of %zu bytes, 1 to %d", name, len, MAX_NAME), 0;
    if (n_dims > 4 || w->n_tensors == MAX_COUNT)
        return ql_fail(&w->error, QL_E_ARGUMENT, "tensor %s: %u dimensions and number %zu, at most 4 and %d", name,
                       n_dims, w->n_tensors + 1, MAX_COUNT), 0;
    if (!ql_add_u64(w->data_bytes, bytes, &end) || !ql_round_up_u64(end, w->alignment, &end) || end > INT64_MAX)
        return ql_fail(&w->error, QL_E_ARGUMENT, "tensor %s: the file's size does not fit in 64 bits", name), 0;
    if (!grow(w))
        return 0;
    if (!(w->names[w->n_tensors] = strdup(name)))
        return ql_fail_memory(&w->error, len), 0;
    put_u64(&w->infos, len);
    ql_buf_append(&w->infos, name, len);
    put_u32(&w->infos, n_dims);
    for (uint32_t d = 0; d < n_dims; d++)
        put_u64(&w->infos, shape[d]);
    put_u32(&w->infos, type);
    put_u64(&w->infos, w->data_bytes);
    w->offsets[w->n_tensors] = w->data_bytes;
    w->data_bytes = end;
    return w->n_tensors++;
}

// ---- the header ----

static int compare(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

// Sorts the strings, which are only kept for this.
static ql_code check_once(char **strings, size_t n, const char *what, ql_error *err)
{
    if (n)
        qsort(strings, n, sizeof *strings, compare);
    for (size_t i = 1; i < n; i++)
        if (strcmp(strings[i - 1], strings[i]) == 0)
            return ql_fail(err, QL_E_ARGUMENT, "%s %s was put twice", what, strings[i]);
    return QL_OK;
}

ql_code ql_gguf_writer_finish(ql_gguf_writer *w, ql_buf *header, ql_error *err)
{
    if (!w)
        return ql_fail_memory(err, sizeof *w);
    if (w->error.code != QL_OK)
        return ql_fail(err, w->error.code, "%s", w->error.message);
    QL_TRY(check_once(w->keys, w->n_kvs, "key", err));
    QL_TRY(check_once(w->names, w->n_tensors, "tensor", err));
    size_t before = header->len;
    ql_buf_append(header, "GGUF", 4);
    put_u32(header, 3);
    put_u64(header, w->n_tensors);
    put_u64(header, w->n_kvs);
    ql_buf_append(header, w->kvs.data, w->kvs.len);
    ql_buf_append(header, w->infos.data, w->infos.len);
    while ((header->len - before) % w->alignment && !header->failed)
        ql_buf_append_byte(header, 0);
    if (header->failed || w->kvs.failed || w->infos.failed)
        return ql_fail_memory(err, w->kvs.len + w->infos.len);
    uint64_t begin_of_data = header->len - before;
    for (size_t i = 0; i < w->n_tensors; i++)
        w->offsets[i] += begin_of_data; // bounded: what was put
    w->file_bytes = begin_of_data + w->data_bytes;
    if (w->seal_at) {
        size_t at = HEADER_BYTES + w->seal_at;
        uint8_t *bytes = (uint8_t *)header->data + before;
        uint64_t seal = ql_seal_of(bytes, begin_of_data, at, w->file_bytes);
        memcpy(bytes + at, &seal, sizeof seal);
    }
    return QL_OK;
}

uint64_t ql_gguf_writer_offset(const ql_gguf_writer *w, size_t i) { return w->offsets[i]; }
uint64_t ql_gguf_writer_file_bytes(const ql_gguf_writer *w) { return w->file_bytes; }
