// SPDX-License-Identifier: MIT
// One view over every kind of model file: metadata by typed key, tensors by name. GGUF is the kind there is now.
//
// Everything a source gives has been checked: strings lie inside the file, arrays hold count elements of their type,
// a tensor's bytes lie inside the file and fit its shape and type. Messages of the getters start with the file's name.
#ifndef QL_FORMAT_SOURCE_H
#define QL_FORMAT_SOURCE_H

#include "base/error.h"
#include "tensor/dtype.h"

typedef struct ql_source ql_source;

typedef struct ql_tensor {
    const char *name; // NUL-terminated
    ql_dtype dtype;
    uint32_t n_dims;
    uint64_t shape[4];   // shape[0] is the row's length (the fastest dimension), unused ones are 1
    const uint8_t *data; // inside the mapping, size bytes
    uint64_t size;
} ql_tensor;

// Opens by content, not by name. The caller closes.
ql_code ql_source_open(const char *path, ql_source **source, ql_error *err);
void ql_source_close(ql_source *source);

const char *ql_source_path(const ql_source *source);
uint64_t ql_source_file_bytes(const ql_source *source);

size_t ql_source_n_tensors(const ql_source *source);
const ql_tensor *ql_source_tensor_at(const ql_source *source, size_t i);
const ql_tensor *ql_source_tensor(const ql_source *source, const char *name); // NULL: absent

bool ql_source_has(const ql_source *source, const char *key);

// Typed getters. An absent key leaves *out as the caller set it and is QL_OK unless required; a wrong type or a value
// outside [min, max] is QL_E_FORMAT naming key, value and rule. Unsigned getters take every integer type that holds a
// value >= 0 (files in use store the same key as u32, i32 and u64).
ql_code ql_source_get_u64(const ql_source *source, const char *key, bool required, uint64_t min, uint64_t max,
                          uint64_t *out, ql_error *err);
ql_code ql_source_get_f32(const ql_source *source, const char *key, bool required, float *out, ql_error *err);
ql_code ql_source_get_bool(const ql_source *source, const char *key, bool required, bool *out, ql_error *err);

typedef struct ql_str {
    const char *data; // not NUL-terminated
    size_t len;
} ql_str;
ql_code ql_source_get_str(const ql_source *source, const char *key, bool required, ql_str *out, ql_error *err);

// Arrays. Absent: n = 0.
typedef struct ql_str_array {
    const ql_str *items; // owned by the source
    size_t n;
} ql_str_array;
ql_code ql_source_get_str_array(const ql_source *source, const char *key, bool required, ql_str_array *out,
                                ql_error *err);

// f32 or i32/u32 elements; data may be unaligned: read with memcpy.
typedef struct ql_num_array {
    const uint8_t *data;
    size_t n;
} ql_num_array;
ql_code ql_source_get_f32_array(const ql_source *source, const char *key, bool required, ql_num_array *out,
                                ql_error *err);
ql_code ql_source_get_i32_array(const ql_source *source, const char *key, bool required, ql_num_array *out,
                                ql_error *err);

#endif
