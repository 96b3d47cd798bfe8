// SPDX-License-Identifier: MIT
// The architecture table. A new architecture is a row here: names, flags, numbers; not an `if` in forward.c.
#ifndef QL_MODEL_ARCH_H
#define QL_MODEL_ARCH_H

#include "model/model.h"

// What a dimension of a tensor must be.
typedef enum ql_dim { QL_DIM_EMBD, QL_DIM_Q, QL_DIM_KV, QL_DIM_FF, QL_DIM_VOCAB, QL_DIM_ONE } ql_dim;

typedef enum ql_slot_kind { QL_SLOT_MATRIX, QL_SLOT_BIAS, QL_SLOT_NORM } ql_slot_kind;

// A tensor of a layer (or of the whole model), and where it goes.
typedef struct ql_slot {
    const char *name;   // of a layer's tensor: after "blk.N."
    ql_slot_kind kind;
    ql_dim rows, cols;  // of a norm or bias: cols alone
    size_t offset;      // of a ql_matrix (MATRIX, BIAS) or float * (NORM) in ql_layer or ql_weights
    bool optional;
} ql_slot;

struct ql_arch {
    const char *name; // general.architecture, and the prefix of its keys
    ql_rope_kind rope_kind;
    const ql_slot *layer_slots;
    size_t n_layer_slots;
};

// NULL when not supported; names of all are in ql_arch_names.
const ql_arch *ql_arch_find(const char *name, size_t len);
extern const char ql_arch_names[];

// Tensors outside the layers, the same in every architecture there is.
extern const ql_slot ql_model_slots[];
extern const size_t ql_n_model_slots;

#endif
