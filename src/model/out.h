// SPDX-License-Identifier: MIT
// A model as it will stand in a GGUF file: which tensors, in which types, and their bytes piece by piece. Must not know
// files, nor metadata.
#ifndef QL_MODEL_OUT_H
#define QL_MODEL_OUT_H

#include "model/bind.h"
#include "model/mix.h"

// One tensor of the file: bytes that are there already, or rows that are read, and encoded as another type.
typedef struct ql_out_tensor {
    const char *name;
    ql_dtype dtype;
    uint32_t n_dims;
    uint64_t shape[4];
    uint64_t n_rows, size; // rows of shape[0] values; bytes
    const void *bytes;     // [size]; NULL: encoded from rows
    ql_rows rows;          // [n_rows]
} ql_out_tensor;

typedef struct ql_out {
    ql_out_tensor *tensors; // [n], in their order in the file
    size_t n, n_encoded;
} ql_out;

// The tensors of a GGUF source. With a mix its matrices (weights: bound to this source) are encoded as that says, but for
// those that have the type already; all else stays as it is. A tensor that holds several matrices gets one type, as
// llama.cpp gives it. mix NULL: everything stays.
ql_code ql_out_plan(ql_out *out, const ql_source *source, const ql_config *config, const ql_weights *weights,
                    const ql_mix *mix, const ql_logger *log, ql_error *err);
void ql_out_free(ql_out *out);

// Rows are encoded by all threads of a pool.
typedef struct ql_out_encoder {
    ql_pool *pool;
    const ql_kernels *kernels;
    uint8_t *scratch;     // [n_workers][scratch_bytes], a row in f32 each
    size_t scratch_bytes;
    uint64_t broken;      // the first row of the tensor under way that is not finite; UINT64_MAX: none
} ql_out_encoder;

ql_code ql_out_encoder_init(ql_out_encoder *encoder, const ql_out *out, ql_pool *pool, const ql_kernels *kernels,
                            ql_error *err);
void ql_out_encoder_free(ql_out_encoder *encoder);

// Rows first to end of a tensor that has no bytes, into dst.
void ql_out_encode(ql_out_encoder *encoder, const ql_out_tensor *tensor, uint64_t first, uint64_t end, uint8_t *dst);

#endif
