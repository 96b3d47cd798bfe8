// SPDX-License-Identifier: MIT
// Builds GGUF files in memory for tests: valid ones by default, broken ones by changing a member or by raw pieces.
//
//     gguf_writer w = gguf_new();
//     gguf_kv_str(&w, "general.architecture", "llama");
//     gguf_tensor(&w, "a.weight", QL_F32, 2, (uint64_t[]){4, 2}, weights);
//     ql_buf file = gguf_finish(&w);      // the caller frees; or gguf_save(&w, path, sizeof path), and unlinks
#ifndef TESTS_UNIT_GGUF_WRITER_H
#define TESTS_UNIT_GGUF_WRITER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "format/gguf.h"

typedef struct gguf_writer {
    uint32_t version, alignment; // alignment is what offsets and padding follow; the key is the test's to write
    uint64_t n_kvs, n_tensors;   // what the header says: counted, and may be changed before gguf_finish
    ql_buf kvs, infos, data;
} gguf_writer;

static inline gguf_writer gguf_new(void) { return (gguf_writer){.version = 3, .alignment = 32}; }

static inline void gguf_u32(ql_buf *b, uint32_t v) { ql_buf_append(b, &v, sizeof v); }
static inline void gguf_u64(ql_buf *b, uint64_t v) { ql_buf_append(b, &v, sizeof v); }

static inline void gguf_str(ql_buf *b, const char *s)
{
    gguf_u64(b, strlen(s));
    ql_buf_append_str(b, s);
}

// ---- metadata ----

// The key and the type; the value is to follow in w->kvs.
static inline void gguf_key(gguf_writer *w, const char *key, uint32_t type)
{
    gguf_str(&w->kvs, key);
    gguf_u32(&w->kvs, type);
    w->n_kvs++;
}

static inline void gguf_kv(gguf_writer *w, const char *key, uint32_t type, const void *value)
{
    gguf_key(w, key, type);
    ql_buf_append(&w->kvs, value, ql_gguf_type_bytes((ql_gguf_type)type));
}

static inline void gguf_kv_u32(gguf_writer *w, const char *key, uint32_t v) { gguf_kv(w, key, QL_GGUF_U32, &v); }
static inline void gguf_kv_f32(gguf_writer *w, const char *key, float v) { gguf_kv(w, key, QL_GGUF_F32, &v); }

static inline void gguf_kv_str(gguf_writer *w, const char *key, const char *v)
{
    gguf_key(w, key, QL_GGUF_STR);
    gguf_str(&w->kvs, v);
}

// The head of an array of n elements, which are to follow in w->kvs.
static inline void gguf_kv_array(gguf_writer *w, const char *key, uint32_t element, uint64_t n)
{
    gguf_key(w, key, QL_GGUF_ARR);
    gguf_u32(&w->kvs, element);
    gguf_u64(&w->kvs, n);
}

static inline void gguf_kv_strs(gguf_writer *w, const char *key, const char *const *v, size_t n)
{
    gguf_kv_array(w, key, QL_GGUF_STR, n);
    for (size_t i = 0; i < n; i++)
        gguf_str(&w->kvs, v[i]);
}

// ---- tensors ----

// An info as it is told; the data is to be put in w->data.
static inline void gguf_info(gguf_writer *w, const char *name, uint32_t n_dims, const uint64_t *dims, uint32_t type,
                             uint64_t offset)
{
    gguf_str(&w->infos, name);
    gguf_u32(&w->infos, n_dims);
    for (uint32_t d = 0; d < n_dims; d++)
        gguf_u64(&w->infos, dims[d]);
    gguf_u32(&w->infos, type);
    gguf_u64(&w->infos, offset);
    w->n_tensors++;
}

static inline void gguf_pad(ql_buf *b, size_t alignment)
{
    while (b->len % alignment)
        ql_buf_append_byte(b, 0);
}

// Data of NULL is zeros.
static inline void gguf_tensor(gguf_writer *w, const char *name, ql_dtype dtype, uint32_t n_dims, const uint64_t *dims,
                               const void *data)
{
    size_t n = 1;
    for (uint32_t d = 0; d < n_dims; d++)
        n *= dims[d];
    size_t bytes = ql_row_bytes(ql_dtype_get(dtype), n);
    gguf_info(w, name, n_dims, dims, dtype, w->data.len);
    char *at = ql_buf_reserve(&w->data, bytes + 1);
    assert_non_null(at);
    memset(at, 0, bytes);
    if (data && bytes)
        memcpy(at, data, bytes);
    w->data.len += bytes;
    gguf_pad(&w->data, w->alignment);
}

// ---- the file ----

// Empties the writer.
static inline ql_buf gguf_finish(gguf_writer *w)
{
    ql_buf file = {0};
    ql_buf_append_str(&file, "GGUF");
    gguf_u32(&file, w->version);
    gguf_u64(&file, w->n_tensors);
    gguf_u64(&file, w->n_kvs);
    ql_buf_append(&file, w->kvs.data, w->kvs.len);
    ql_buf_append(&file, w->infos.data, w->infos.len);
    if (w->n_tensors)
        gguf_pad(&file, w->alignment);
    ql_buf_append(&file, w->data.data, w->data.len);
    assert_false(file.failed || w->kvs.failed || w->infos.failed || w->data.failed);
    ql_buf_free(&w->kvs);
    ql_buf_free(&w->infos);
    ql_buf_free(&w->data);
    return file;
}

static inline void gguf_save(gguf_writer *w, char *path, size_t path_size)
{
    const char *base = getenv("TMPDIR");
    ql_buf file = gguf_finish(w);
    snprintf(path, path_size, "%s/quantllm-test-XXXXXX", base ? base : P_tmpdir);
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, file.data, file.len), file.len);
    close(fd);
    ql_buf_free(&file);
}

#endif
