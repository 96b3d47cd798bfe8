// SPDX-License-Identifier: MIT
// Owns the packed weights: finds every tensor of the architecture's slots, checks its shape, and puts matrices into
// panels. Must not know what is computed with them.
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "model/arch.h"

static uint32_t dim_size(const ql_config *c, ql_dim dim)
{
    switch (dim) {
    case QL_DIM_EMBD: return c->n_embd;
    case QL_DIM_Q: return c->n_heads * c->head_dim;
    case QL_DIM_KV: return c->n_kv_heads * c->head_dim;
    case QL_DIM_FF: return c->n_ff;
    case QL_DIM_VOCAB: return c->n_vocab;
    case QL_DIM_ONE: break;
    }
    return 1;
}

// One pass over all tensors: a measuring one, or (with a real arena) one that binds them.
typedef struct binder {
    const ql_source *source;
    const ql_config *config;
    ql_arena *arena;
    ql_weights *weights;      // NULL when measuring
    bool f32;
    struct pending *pending;  // matrices to pack, NULL when measuring
    size_t n_pending;
} binder;

typedef struct pending {
    ql_matrix *matrix;
    const ql_tensor *tensor;
} pending;

static ql_code check_shape(const binder *b, const ql_slot *slot, const ql_tensor *t, ql_error *err)
{
    uint64_t cols = dim_size(b->config, slot->cols), rows = dim_size(b->config, slot->rows);
    if (t->shape[0] != cols || t->shape[1] != rows || t->shape[2] != 1 || t->shape[3] != 1)
        return ql_fail(err, QL_E_FORMAT, "%s: tensor %s: shape [%llu,%llu], expected [%llu,%llu]",
                       ql_source_path(b->source), t->name, (unsigned long long)t->shape[0],
                       (unsigned long long)t->shape[1], (unsigned long long)cols, (unsigned long long)rows);
    if (slot->kind != QL_SLOT_MATRIX && ql_act_of(t->dtype) != QL_ACT_F32)
        return ql_fail(err, QL_E_UNSUPPORTED, "%s: tensor %s: type %s, expected F32, F16 or BF16",
                       ql_source_path(b->source), t->name, ql_dtype_get(t->dtype)->name);
    return QL_OK;
}

static void bind_matrix(binder *b, const ql_tensor *t, ql_matrix *matrix)
{
    ql_dtype dtype = b->f32 ? QL_F32 : t->dtype;
    ql_matrix m = {.dtype = dtype, .n_rows = (uint32_t)t->shape[1], .n_cols = (uint32_t)t->shape[0]};
    m.panel_bytes = QL_PANEL_ROWS * ql_row_bytes(ql_dtype_get(dtype), m.n_cols);
    m.panels = ql_arena_alloc(b->arena, ql_n_panels(&m), m.panel_bytes);
    if (!b->weights)
        return;
    m.bias = matrix->bias;
    *matrix = m;
    b->pending[b->n_pending++] = (pending){matrix, t};
}

static void bind_vector(binder *b, const ql_tensor *t, float **vector)
{
    // A whole number of panels, so that a bias can be added to padded rows.
    size_t n = (t->shape[0] + QL_PANEL_ROWS - 1) / QL_PANEL_ROWS * QL_PANEL_ROWS;
    float *values = QL_ARENA_NEW(b->arena, float, n);
    if (!b->weights)
        return;
    ql_dtype_get(t->dtype)->decode(t->data, values, t->shape[0]);
    *vector = values;
}

static ql_code bind_slot(binder *b, const ql_slot *slot, const char *name, void *base, ql_error *err)
{
    const ql_tensor *t = ql_source_tensor(b->source, name);
    if (!t)
        return slot->optional ? QL_OK
                              : ql_fail(err, QL_E_FORMAT, "%s: tensor %s is missing", ql_source_path(b->source), name);
    QL_TRY(check_shape(b, slot, t, err));
    char *at = base ? (char *)base + slot->offset : NULL;
    if (slot->kind == QL_SLOT_MATRIX)
        bind_matrix(b, t, (ql_matrix *)at);
    else if (slot->kind == QL_SLOT_BIAS)
        bind_vector(b, t, at ? &((ql_matrix *)at)->bias : NULL);
    else
        bind_vector(b, t, (float **)at);
    return QL_OK;
}

static ql_code bind_all(binder *b, ql_error *err)
{
    const ql_config *c = b->config;
    ql_layer *layers = QL_ARENA_NEW(b->arena, ql_layer, c->n_layers);
    double *inv_freq = QL_ARENA_NEW(b->arena, double, c->n_rot / 2);
    if (b->weights) {
        b->weights->layers = layers;
        b->weights->inv_freq = inv_freq;
    }
    for (size_t i = 0; i < ql_n_model_slots; i++)
        QL_TRY(bind_slot(b, &ql_model_slots[i], ql_model_slots[i].name, b->weights, err));
    for (uint32_t layer = 0; layer < c->n_layers; layer++)
        for (size_t i = 0; i < c->arch->n_layer_slots; i++) {
            const ql_slot *slot = &c->arch->layer_slots[i];
            char name[96];
            snprintf(name, sizeof name, "blk.%u.%s", layer, slot->name);
            QL_TRY(bind_slot(b, slot, name, b->weights ? &layers[layer] : NULL, err));
        }
    return QL_OK;
}

ql_code ql_weights_measure(const ql_source *source, const ql_config *config, bool f32, uint64_t *bytes, ql_error *err)
{
    ql_arena measure = {0};
    binder b = {.source = source, .config = config, .arena = &measure, .f32 = f32};
    QL_TRY(bind_all(&b, err));
    *bytes = measure.used;
    return QL_OK;
}

// ---- packing ----

typedef struct pack_job {
    const pending *item;
    atomic_size_t next; // panel to take
    bool f32;
    float *rows;        // [n_workers][16][n_cols] when decoding to F32
} pack_job;

// 16 rows of any type as F32 rows, then into a panel.
static void pack_f32(const pack_job *job, size_t first_row, int n_rows, float *rows, uint8_t *dst)
{
    const ql_tensor *t = job->item->tensor;
    const ql_dtype_info *info = ql_dtype_get(t->dtype);
    size_t n_cols = job->item->matrix->n_cols, row_bytes = ql_row_bytes(info, n_cols);
    for (int r = 0; r < n_rows; r++)
        info->decode(t->data + (first_row + (size_t)r) * row_bytes, rows + (size_t)r * n_cols, n_cols);
    ql_panel_pack(QL_F32, (const uint8_t *)rows, n_cols * sizeof(float), n_rows, n_cols, dst);
}

static void pack_worker(void *arg, int worker)
{
    pack_job *job = arg;
    const ql_matrix *m = job->item->matrix;
    const ql_tensor *t = job->item->tensor;
    size_t row_bytes = ql_row_bytes(ql_dtype_get(t->dtype), m->n_cols);
    for (;;) {
        size_t p = atomic_fetch_add(&job->next, 1);
        if (p >= ql_n_panels(m))
            return;
        size_t first = p * QL_PANEL_ROWS;
        int n_rows = m->n_rows - first < QL_PANEL_ROWS ? (int)(m->n_rows - first) : QL_PANEL_ROWS;
        uint8_t *dst = m->panels + p * m->panel_bytes;
        if (job->f32)
            pack_f32(job, first, n_rows, job->rows + (size_t)worker * QL_PANEL_ROWS * m->n_cols, dst);
        else
            ql_panel_pack(m->dtype, t->data + first * row_bytes, row_bytes, n_rows, m->n_cols, dst);
    }
}

static ql_code pack_all(const binder *b, ql_pool *pool, ql_progress *progress, void *user, ql_error *err)
{
    uint64_t total = 1, done = 0;
    size_t max_cols = 0;
    for (size_t i = 0; i < b->n_pending; i++) {
        total += b->pending[i].tensor->size;
        max_cols = b->pending[i].matrix->n_cols > max_cols ? b->pending[i].matrix->n_cols : max_cols;
    }
    float *rows = NULL;
    size_t row_floats = (size_t)ql_pool_size(pool) * QL_PANEL_ROWS * max_cols;
    if (b->f32 && !(rows = calloc(row_floats, sizeof *rows)))
        return ql_fail_memory(err, row_floats * sizeof *rows);
    for (size_t i = 0; i < b->n_pending; i++) {
        const ql_tensor *t = b->pending[i].tensor;
        pack_job job = {.item = &b->pending[i], .f32 = b->f32, .rows = rows};
        ql_pool_run(pool, pack_worker, &job);
        ql_file_release(t->data, t->size); // the packed copy is the one in memory
        done += t->size;
        if (progress)
            progress(user, (float)((double)done / (double)total));
    }
    free(rows);
    return QL_OK;
}

static uint64_t matrix_bytes(const ql_matrix *m) { return (uint64_t)ql_n_panels(m) * m->panel_bytes; }

static void count(const binder *b, ql_weights *w)
{
    for (size_t i = 0; i < ql_source_n_tensors(b->source); i++) {
        const ql_tensor *t = ql_source_tensor_at(b->source, i);
        w->n_params += t->shape[0] * t->shape[1] * t->shape[2] * t->shape[3];
    }
    w->bytes_per_token = matrix_bytes(&w->output);
    for (uint32_t i = 0; i < b->config->n_layers; i++) {
        const ql_layer *l = &w->layers[i];
        w->bytes_per_token += matrix_bytes(&l->q) + matrix_bytes(&l->k) + matrix_bytes(&l->v) + matrix_bytes(&l->o) +
                              matrix_bytes(&l->gate) + matrix_bytes(&l->up) + matrix_bytes(&l->down);
    }
}

ql_code ql_weights_load(const ql_source *source, const ql_config *config, bool f32, uint32_t max_length, ql_pool *pool,
                        ql_progress *progress, void *user, ql_weights *weights, ql_error *err)
{
    *weights = (ql_weights){0};
    uint64_t bytes;
    QL_TRY(ql_weights_measure(source, config, f32, &bytes, err));
    QL_TRY(ql_arena_init(&weights->arena, bytes, true, err));
    binder b = {.source = source, .config = config, .arena = &weights->arena, .weights = weights, .f32 = f32};
    size_t n_slots = ql_n_model_slots + config->n_layers * config->arch->n_layer_slots;
    b.pending = calloc(n_slots, sizeof *b.pending);
    ql_code code = b.pending ? bind_all(&b, err) : ql_fail_memory(err, n_slots * sizeof *b.pending);
    if (code == QL_OK)
        code = ql_rope_frequencies(source, config, max_length, weights->inv_freq, &weights->rope_attn_factor, err);
    if (code == QL_OK)
        code = pack_all(&b, pool, progress, user, err);
    free(b.pending);
    if (code != QL_OK) {
        ql_weights_free(weights);
        return code;
    }
    if (!weights->output.panels) { // tied
        weights->output = weights->embd;
    }
    count(&b, weights);
    return QL_OK;
}

void ql_weights_free(ql_weights *weights)
{
    ql_arena_free(&weights->arena);
    *weights = (ql_weights){0};
}
