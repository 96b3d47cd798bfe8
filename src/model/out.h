// SPDX-License-Identifier: MIT
// A model as it will stand in a GGUF file: its configuration, which tensors, in which types, and their bytes piece by piece.
// Must not know files.
#ifndef QL_MODEL_OUT_H
#define QL_MODEL_OUT_H

#include "format/gguf_write.h"
#include "model/bind.h"
#include "model/mix.h"

// One tensor of the file: bytes that are there already, or rows that are read, and encoded as another type.
typedef struct ql_out_tensor {
    char name[65];
    ql_dtype dtype;
    uint32_t n_dims;
    uint64_t shape[4];
    uint64_t n_rows, size; // rows of shape[0] values; bytes
    const void *bytes;     // [size]; NULL: encoded from parts
    const ql_rows *parts;  // its rows one behind the other, part_rows of each: the experts of a layer, or one alone
    uint64_t part_rows;
    uint32_t pairs_of;     // rows of each head of so many lie in pairs for interleaved RoPE; 0: as in the source
} ql_out_tensor;

typedef struct ql_out {
    ql_out_tensor *tensors; // [n], in their order in the file
    size_t n, n_encoded;
    ql_rows *rows;          // what parts point to
    float *own;             // what bytes point to that are in no source, or NULL
} ql_out;

// The tensors of a GGUF source. With a mix its matrices (weights: bound to this source) are encoded as that says, but for
// those that have the type already; all else stays as it is. A tensor that holds several matrices gets one type, as
// llama.cpp gives it. mix NULL: everything stays.
ql_code ql_out_plan(ql_out *out, const ql_source *source, const ql_config *config, const ql_weights *weights,
                    const ql_mix *mix, const ql_logger *log, ql_error *err);

// Those of a Hugging Face source under GGUF's names: matrices as the mix says, with rows in the order that files of this
// architecture have, and vectors in F32. QL_E_UNSUPPORTED where those have another form than is written here. (out_hf.c)
ql_code ql_out_plan_hf(ql_out *out, const ql_source *source, const ql_config *config, const ql_weights *weights,
                       const ql_mix *mix, const ql_logger *log, ql_error *err);
void ql_out_free(ql_out *out);

// Bytes of n_rows rows in a type into tensor->size.
ql_code ql_out_size(ql_out_tensor *tensor, ql_dtype dtype, ql_error *err);

// Puts the configuration of a Hugging Face source as GGUF's keys. (out_config.c)
void ql_out_put_config(const ql_config *config, ql_gguf_writer *writer);
// Whether a written file, read again, has the same configuration and rotations; QL_E_UNSUPPORTED with what differs.
ql_code ql_out_check_config(const ql_source *source, const ql_config *config, const ql_weights *weights,
                            const ql_config *written, const ql_weights *written_weights, ql_error *err);

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
