// SPDX-License-Identifier: MIT
// Private to the format room: what a parsed GGUF looks like. Source: ggml's GGUF specification, versions 2 and 3.
#ifndef QL_FORMAT_GGUF_H
#define QL_FORMAT_GGUF_H

#include "base/file.h"
#include "format/source.h"

typedef enum ql_gguf_type {
    QL_GGUF_U8, QL_GGUF_I8, QL_GGUF_U16, QL_GGUF_I16, QL_GGUF_U32, QL_GGUF_I32, QL_GGUF_F32, QL_GGUF_BOOL,
    QL_GGUF_STR, QL_GGUF_ARR, QL_GGUF_U64, QL_GGUF_I64, QL_GGUF_F64, QL_GGUF_TYPES
} ql_gguf_type;

typedef struct ql_gguf_kv {
    ql_str key;
    ql_gguf_type type;
    ql_gguf_type element;  // of an array
    const uint8_t *data;   // the value, or an array's first element; not aligned
    ql_str str;            // of a string
    uint64_t n;            // elements of an array
    ql_str *items;         // of an array of strings
} ql_gguf_kv;

struct ql_source {
    ql_file file;
    char *path;
    ql_gguf_kv *kvs;       // [n_kvs], sorted by key
    ql_tensor *tensors;    // [n_tensors], sorted by name
    char *names;           // the tensors' names, NUL-terminated
    size_t n_kvs, n_tensors;
};

extern const char *const ql_gguf_type_names[QL_GGUF_TYPES];

// Bytes of one value; 0 for strings and arrays.
size_t ql_gguf_type_bytes(ql_gguf_type type);

// Parses size bytes at data, which must outlive the source. Fills everything but file and path; path is for messages.
// On failure what was allocated is left for ql_gguf_clear.
ql_code ql_gguf_parse(const uint8_t *data, size_t size, const char *path, ql_source *source, ql_error *err);
void ql_gguf_clear(ql_source *source);

#endif
