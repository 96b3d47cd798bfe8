// SPDX-License-Identifier: MIT
// One view over every kind of model: metadata by typed key, tensors by name, documents (tokenizer.json and the like) by
// file name. A GGUF file (or its shards), or a Hugging Face folder.
//
// Everything a source gives has been checked: strings lie inside the file, arrays hold count elements of their type,
// a tensor's bytes lie inside the file and fit its shape and type. Messages of the getters start with the file's name.
#ifndef QL_FORMAT_SOURCE_H
#define QL_FORMAT_SOURCE_H

#include "base/buf.h"
#include "tensor/dtype.h"

typedef struct ql_source ql_source;

typedef struct ql_str {
    const char *data; // not NUL-terminated
    size_t len;
} ql_str;

typedef enum ql_source_kind {
    QL_SOURCE_GGUF,   // keys and names of GGUF
    QL_SOURCE_HF,     // keys of config.json ("rope_scaling.factor"), names of the safetensors files
} ql_source_kind;

typedef struct ql_tensor {
    const char *name; // NUL-terminated
    ql_dtype dtype;
    uint32_t n_dims;
    uint64_t shape[4];   // shape[0] is the row's length (the fastest dimension), unused ones are 1
    const uint8_t *data; // inside the mapping, size bytes
    uint64_t size;
    bool packed;         // data are panels (kernel/layout.h) of whole sixteens of rows, from ql_source_open_packed
} ql_tensor;

// How many values it has: a product that was checked when the file was opened.
static inline uint64_t ql_tensor_n_values(const ql_tensor *t)
{
    return t->shape[0] * t->shape[1] * t->shape[2] * t->shape[3];
}

// What can be opened; the caller closes.
//   model.gguf                a GGUF file, known by its content; of a split one any shard opens all of them
//   folder                    a Hugging Face folder: config.json with model.safetensors or its sharded index. Tensors
//                             may be absent (a tokenizer alone): ql_source_check_weights.
//   folder, folder:Q4_K_M, folder:name.gguf   a folder that holds GGUF files alone, or one of its files; without a
//                             choice Q4_K_M, else the next best, and a remark says which
//   x.safetensors             with config.json and the other documents beside it
//   tokenizer.json            its folder's documents
ql_code ql_source_open(const char *path, ql_source **source, ql_error *err);
void ql_source_close(ql_source *source);

// A GGUF header in memory; data and path must outlive the source.
ql_code ql_source_open_memory(const void *data, size_t size, const char *path, ql_source **source, ql_error *err);

// A GGUF file of ours in which type numbers QL_PACKED_TYPE + dtype stand for panels; 64-byte aligned.
enum { QL_PACKED_TYPE = 4096 };
ql_code ql_source_open_packed(const char *path, ql_source **source, ql_error *err);
// QL_E_FORMAT unless its header and its size are what ql_gguf_put_seal sealed: a single wrong bit is found.
ql_code ql_source_check_seal(const ql_source *source, ql_error *err);

ql_source_kind ql_source_kind_of(const ql_source *source);

// QL_E_FORMAT or QL_E_UNSUPPORTED with what is there instead (pytorch_model.bin, nothing) when there are no tensors, by
// name when others quantized the weights (gptq, awq, fp8), and when tensors lack a config.json.
ql_code ql_source_check_weights(const ql_source *source, ql_error *err);

// Whole sentences about what was decided while opening ("folder: 3 GGUF files, took x.Q4_K_M.gguf"), NULL at the end.
const char *ql_source_remark(const ql_source *source, size_t i);

// Appends what changes when any file of the source changes: a line for each, with its real path, size, times and inode.
void ql_source_identity(const ql_source *source, ql_buf *out);

// QL_E_IO unless all its files are still what they were when it was opened, by the same measures.
ql_code ql_source_check_unchanged(const ql_source *source, ql_error *err);

// Whether path is one of its files, by whatever name.
bool ql_source_has_file(const ql_source *source, const char *path);

// A small text file of a Hugging Face folder ("tokenizer.json", "generation_config.json", "chat_template.jinja"), of a
// GGUF its key "quantllm.document.NAME". data NULL: absent. Owned by the source.
ql_str ql_source_document(const ql_source *source, const char *name);

const char *ql_source_path(const ql_source *source);
uint64_t ql_source_file_bytes(const ql_source *source);

size_t ql_source_n_tensors(const ql_source *source);
const ql_tensor *ql_source_tensor_at(const ql_source *source, size_t i);
const ql_tensor *ql_source_tensor(const ql_source *source, const char *name); // NULL: absent

bool ql_source_has(const ql_source *source, const char *key);

// Typed getters. Of config.json: nested objects as dotted keys, null is absent, values are integers, doubles, booleans,
// strings and arrays of one of them; an integer is a real number too. An absent key leaves *out as the caller set it
// and is QL_OK unless required; a wrong type or a value outside [min, max] is QL_E_FORMAT naming key, value and rule.
// Unsigned getters take every integer type that holds a value >= 0 (files in use store the same key as u32, i32, u64).
ql_code ql_source_get_u64(const ql_source *source, const char *key, bool required, uint64_t min, uint64_t max,
                          uint64_t *out, ql_error *err);
ql_code ql_source_get_f32(const ql_source *source, const char *key, bool required, float *out, ql_error *err);
ql_code ql_source_get_f64(const ql_source *source, const char *key, bool required, double *out, ql_error *err);
ql_code ql_source_get_bool(const ql_source *source, const char *key, bool required, bool *out, ql_error *err);

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

// Any array of numbers or booleans, converted: *out is allocated (free), NULL with *n = 0 when absent.
ql_code ql_source_get_f64_array(const ql_source *source, const char *key, bool required, double **out, size_t *n,
                                ql_error *err);

#endif
