// SPDX-License-Identifier: MIT
// Private to bind.c and bind_layer.c: one pass over a source's tensors.
#ifndef QL_MODEL_BINDER_H
#define QL_MODEL_BINDER_H

#include "model/config.h"

typedef struct ql_binder {
    const ql_source *source;
    const ql_config *config;
    const ql_names *names;
    const char *prefix;       // of the names in layers
    bool packed, plus_one;
    ql_arena *arena;
    ql_weights *weights;      // NULL when measuring
    ql_binding *binding;      // matrices and vectors NULL when measuring
    const ql_tensor *attn_norm;  // of the layer
    signed char biases[QL_TARGETS]; // 0: not seen yet, 1: layers have one, -1: they do not
    bool *used;                  // [tensors of the source], or NULL: nobody wants to know
} ql_binder;

// The source's tensor of this name, which is then used; NULL: absent.
const ql_tensor *ql_binder_tensor(const ql_binder *b, const char *name);

// Appends pattern to out [size], %u as number.
void ql_binder_append(char *out, size_t size, const char *pattern, uint32_t number);

// "x.weight" to "x.bias"; false when the name ends otherwise.
bool ql_binder_bias_name(char *name);

ql_code ql_binder_missing(const ql_binder *b, const char *name, ql_error *err);
ql_code ql_binder_check_shape(const ql_binder *b, const ql_tensor *t, uint64_t cols, uint64_t rows, uint64_t depth,
                              ql_error *err);

// Whether single values can be taken from it.
ql_code ql_binder_check_plain(const ql_binder *b, const ql_tensor *t, ql_error *err);

// [n] and zeros up to whole panels, so that a bias can be added to padded rows. NULL when measuring.
float *ql_binder_vector(ql_binder *b, size_t n, const char *name);
void ql_binder_matrix(ql_binder *b, const ql_bound *bound);
void ql_binder_add_one(float *values, uint64_t n);

ql_code ql_bind_layer(ql_binder *b, uint32_t layer, ql_layer *l, ql_error *err);

#endif
