// SPDX-License-Identifier: MIT
// Private to the format room: what a parsed GGUF looks like. Source: ggml's GGUF specification, versions 2 and 3.
//
// Entries stay in the order of the file and are found through an array of their numbers in the order of their names:
// sorting then moves 4 bytes an entry, and a hostile file of 65536 tiny entries takes less than 4 times its size.
#ifndef QL_FORMAT_GGUF_H
#define QL_FORMAT_GGUF_H

#include "base/file.h"
#include "format/source.h"

typedef enum ql_gguf_type {
    QL_GGUF_U8, QL_GGUF_I8, QL_GGUF_U16, QL_GGUF_I16, QL_GGUF_U32, QL_GGUF_I32, QL_GGUF_F32, QL_GGUF_BOOL,
    QL_GGUF_STR, QL_GGUF_ARR, QL_GGUF_U64, QL_GGUF_I64, QL_GGUF_F64, QL_GGUF_TYPES
} ql_gguf_type;

typedef struct ql_gguf_kv {
    const char *key;      // [key_len], in the file, not NUL-terminated
    const uint8_t *data;  // the value, a string's first byte, an array's first element; in the file, not aligned
    uint64_t n;           // bytes of a string, elements of an array
    ql_str *items;        // [n] of an array of strings
    uint32_t key_len;
    uint8_t type;         // ql_gguf_type
    uint8_t element;      // of an array
} ql_gguf_kv;

struct ql_source {
    ql_file file;
    char *path_copy;
    const char *path;        // for messages
    ql_gguf_kv *kvs;         // [n_kvs]
    uint32_t *kvs_by_key;    // [n_kvs], numbers of kvs
    ql_tensor *tensors;      // [n_tensors]
    uint32_t *tensors_by_name;
    char *names;             // the tensors' names, NUL-terminated
    size_t n_kvs, n_tensors;
};

extern const char *const ql_gguf_type_names[QL_GGUF_TYPES];

// Bytes of one value; 0 for strings and arrays.
size_t ql_gguf_type_bytes(ql_gguf_type type);

// Whether n bytes are UTF-8; if not, *at is where they stop to be.
bool ql_gguf_is_utf8(const void *data, size_t n, size_t *at);

// Parses size bytes at data into a zeroed source. data and path (for messages) must outlive it; file and path_copy are
// left alone. On failure what was allocated is left for ql_gguf_clear.
ql_code ql_gguf_parse(const uint8_t *data, size_t size, const char *path, ql_source *source, ql_error *err);
void ql_gguf_clear(ql_source *source);

#endif
