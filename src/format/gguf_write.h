// SPDX-License-Identifier: MIT
// Writes GGUF files: the header's bytes and every tensor's place; the caller writes both to the file.
//
//     ql_gguf_writer *w = ql_gguf_writer_new(64);
//     ql_gguf_put_str(w, "general.architecture", (ql_str){"llama", 5});
//     size_t i = ql_gguf_put_tensor(w, "output.weight", QL_Q8_0, 2, shape, bytes);
//     ql_gguf_writer_finish(w, &header, err);     // header at 0, tensor i at ql_gguf_writer_offset(w, i)
//     ql_gguf_writer_free(w);
//
// Errors are kept until ql_gguf_writer_finish, which tells the first. Every call takes a NULL writer (out of memory).
#ifndef QL_FORMAT_GGUF_WRITE_H
#define QL_FORMAT_GGUF_WRITE_H

#include "format/source.h"

typedef struct ql_gguf_writer ql_gguf_writer;

// alignment: of the tensors in the file, a power of two from 8 to 65536; it is written as general.alignment. 0: what files
// have that do not say, 32.
ql_gguf_writer *ql_gguf_writer_new(uint32_t alignment);
void ql_gguf_writer_free(ql_gguf_writer *writer);

// Keys are printable ASCII, at most 65535 bytes, each once.
void ql_gguf_put_u32(ql_gguf_writer *writer, const char *key, uint32_t value);
void ql_gguf_put_u64(ql_gguf_writer *writer, const char *key, uint64_t value);
void ql_gguf_put_i64(ql_gguf_writer *writer, const char *key, int64_t value);
void ql_gguf_put_f32(ql_gguf_writer *writer, const char *key, float value);
void ql_gguf_put_f64(ql_gguf_writer *writer, const char *key, double value);
void ql_gguf_put_bool(ql_gguf_writer *writer, const char *key, bool value);
void ql_gguf_put_str(ql_gguf_writer *writer, const char *key, ql_str value);

void ql_gguf_put_strs(ql_gguf_writer *writer, const char *key, const ql_str *values, size_t n);
void ql_gguf_put_i32s(ql_gguf_writer *writer, const char *key, const int32_t *values, size_t n);
void ql_gguf_put_f32s(ql_gguf_writer *writer, const char *key, const float *values, size_t n);
void ql_gguf_put_u8s(ql_gguf_writer *writer, const char *key, const uint8_t *values, size_t n);

// A key that ql_source_check_seal compares with the header and the file's size.
void ql_gguf_put_seal(ql_gguf_writer *writer);

// Copies the entries of a source but those named in except (NULL at the end; NULL: none), general.alignment and
// split.*. Of a folder: config.json's entries, but keys that GGUF can not have (not printable ASCII), and
// "quantllm.kind" = "hf", by which ql_source_open_packed knows it.
void ql_gguf_put_keys_of(ql_gguf_writer *writer, const ql_source *source, const char *const *except);

// Copies the documents that a source has, as quantllm.document.NAME, for ql_source_document of the written file.
void ql_gguf_put_documents_of(ql_gguf_writer *writer, const ql_source *source);

// Declares a tensor of n_dims dimensions (at most 4; shape[0] is the fastest) whose data take bytes. type is a
// ql_dtype, or QL_PACKED_TYPE + one. Returns its number: 0, 1, ...
size_t ql_gguf_put_tensor(ql_gguf_writer *writer, const char *name, uint32_t type, uint32_t n_dims,
                          const uint64_t *shape, uint64_t bytes);

// Appends the header, padded so that data follow at once, to *header. Nothing may be put after.
ql_code ql_gguf_writer_finish(ql_gguf_writer *writer, ql_buf *header, ql_error *err);

// After finish: where tensor i begins, and how long the file is; bytes between tensors are zero.
uint64_t ql_gguf_writer_offset(const ql_gguf_writer *writer, size_t i);
uint64_t ql_gguf_writer_file_bytes(const ql_gguf_writer *writer);

#endif
