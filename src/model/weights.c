// SPDX-License-Identifier: MIT
// Owns a model's weights as a whole: bound to a source, then packed (pack.c) or mapped from a packed source, and freed.
#include <stdlib.h>

#include "model/bind.h"

ql_code ql_weights_bind(const ql_source *source, const ql_config *config, uint32_t max_length, ql_weights *weights,
                        ql_error *err)
{
    *weights = (ql_weights){0};
    ql_binding *binding = calloc(1, sizeof *binding);
    if (!binding)
        return ql_fail_memory(err, sizeof *binding);
    ql_code code = ql_bind(source, config, max_length, weights, binding, err);
    if (code != QL_OK) {
        free(binding);
        *weights = (ql_weights){0};
        return code;
    }
    weights->binding = binding;
    return QL_OK;
}

static uint64_t matrix_bytes(const ql_matrix *m) { return (uint64_t)ql_n_panels(m) * m->panel_bytes; }

uint64_t ql_weights_packed_bytes(const ql_weights *w)
{
    uint64_t bytes = w->arena.size;
    for (size_t i = 0; i < w->binding->n_matrices; i++)
        bytes += matrix_bytes(w->binding->matrices[i].matrix);
    return bytes;
}

static uint64_t layer_bytes(const ql_layer *l, const ql_config *c)
{
    uint64_t bytes = matrix_bytes(&l->q) + matrix_bytes(&l->k) + matrix_bytes(&l->v) + matrix_bytes(&l->o) +
                     matrix_bytes(&l->gate) + matrix_bytes(&l->up) + matrix_bytes(&l->down) + matrix_bytes(&l->router);
    for (uint32_t e = 0; l->experts && e < c->n_experts_used; e++)
        bytes += matrix_bytes(&l->experts[e].gate) + matrix_bytes(&l->experts[e].up) + matrix_bytes(&l->experts[e].down);
    return bytes;
}

void ql_weights_count(ql_weights *w, const ql_config *config)
{
    if (w->output.n_rows == 0) { // tied
        float *bias = w->output.bias;
        w->output = w->embd;
        w->output.bias = bias;
    }
    w->bytes_per_token = matrix_bytes(&w->output);
    for (uint32_t i = 0; i < config->n_layers; i++)
        w->bytes_per_token += layer_bytes(&w->layers[i], config);
}

ql_code ql_weights_map(ql_weights *w, const ql_config *config, ql_error *err)
{
    for (size_t i = 0; i < w->binding->n_matrices; i++) {
        const ql_tensor *t = w->binding->matrices[i].rows.tensor;
        ql_matrix *m = w->binding->matrices[i].matrix;
        m->dtype = t->dtype;
        m->panel_bytes = QL_PANEL_ROWS * ql_row_bytes(ql_dtype_get(t->dtype), m->n_cols);
        m->panels = t->data;
        if (!t->packed || t->size != matrix_bytes(m))
            return ql_fail(err, QL_E_FORMAT, "tensor %s: %llu bytes, its panels take %llu", t->name,
                           (unsigned long long)t->size, (unsigned long long)matrix_bytes(m));
    }
    ql_weights_count(w, config);
    return QL_OK;
}

void ql_weights_free(ql_weights *weights)
{
    if (weights->binding)
        ql_binding_free(weights->binding);
    free(weights->binding);
    ql_arena_free(&weights->panels);
    ql_arena_free(&weights->arena);
    *weights = (ql_weights){0};
}
