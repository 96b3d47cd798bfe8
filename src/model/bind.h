// SPDX-License-Identifier: MIT
// Private to the model room: where every tensor of a model is in its source, and what it becomes. No matrix is read here.
#ifndef QL_MODEL_BIND_H
#define QL_MODEL_BIND_H

#include "model/model.h"

// What a matrix does, for the mixes of quantization types.
typedef enum ql_role {
    QL_ROLE_EMBD, QL_ROLE_OUTPUT, QL_ROLE_Q, QL_ROLE_K, QL_ROLE_V, QL_ROLE_O, QL_ROLE_GATE, QL_ROLE_UP, QL_ROLE_DOWN,
    QL_ROLE_ROUTER
} ql_role;

// Rows of a tensor, taken as two-dimensional (shape[0] columns): row r of the matrix is row
// first + r / inner * stride + r % inner of the tensor. transposed: column instead of row (GPT-2's Conv1D).
typedef struct ql_rows {
    const ql_tensor *tensor;
    uint64_t first, inner, stride;
    bool transposed;
} ql_rows;

uint64_t ql_rows_index(const ql_rows *rows, uint64_t r);      // which row of the tensor row r is (rows.c)
const uint8_t *ql_rows_at(const ql_rows *rows, uint64_t r);   // its first byte, not transposed
void ql_rows_read(const ql_rows *rows, uint64_t r, size_t n, float *out); // its n values

// A row of n values in another type, by the level's encoder where it has one.
void ql_row_encode(const ql_kernels *kernels, ql_dtype dtype, const float *values, void *row, size_t n);

typedef struct ql_bound {
    ql_matrix *matrix;  // n_rows, n_cols and bias are set; the rest is for whoever packs
    ql_rows rows;
    ql_role role;
    uint32_t layer;     // 0 for embedding and output
    char name[64];      // canonical: "token_embd.weight", "blk.3.attn_q.weight", "blk.3.ffn_gate_exps.7.weight"
} ql_bound;

// A vector as it was decoded, for the packed cache.
typedef struct ql_bound_vector {
    const float *values; // [n]
    uint64_t n;
    char name[64];       // canonical: "blk.3.attn_norm.weight", "blk.3.attn_q.bias", "pos_embd.weight"
} ql_bound_vector;

typedef struct ql_binding {
    ql_bound *matrices;
    ql_bound_vector *vectors;
    size_t n_matrices, n_vectors;
} ql_binding;

// Finds and checks every tensor; allocates weights->arena with layers, decoded vectors and frequencies. matrices, in the
// order in which forward() reads them, are left without panels. A tied output is no entry: whoever packs copies embd into
// output when output.n_rows is 0. In a packed source (tensor.packed) names are the canonical ones, every matrix is whole
// and vectors are F32. On failure nothing is left.
ql_code ql_bind(const ql_source *source, const ql_config *config, uint32_t max_length, ql_weights *weights,
                ql_binding *binding, ql_error *err);
void ql_binding_free(ql_binding *binding);

// Once every matrix has its panels: the tied output, and the bytes a token reads. (weights.c)
void ql_weights_count(ql_weights *weights, const ql_config *config);

#endif
