// SPDX-License-Identifier: MIT
// Lays out the scratch memory of forward(): one arena, measured before it is allocated.
#include <stdlib.h>

#include "model/arch.h"
#include "model/forward.h"

enum { STAGES_PER_LAYER = 12 }; // at most; one more barrier in a layer needs one more counter here

static size_t round16(size_t n) { return (n + 15) / 16 * 16; }
static size_t max3(size_t a, size_t b, size_t c)
{
    size_t ab = a > b ? a : b;
    return ab > c ? ab : c;
}

// Which activation forms the model's matrices need.
static unsigned act_kinds(const ql_config *c, const ql_weights *w)
{
    unsigned kinds = 1u << ql_act_of(w->output.dtype);
    for (uint32_t i = 0; i < c->n_layers; i++) {
        const ql_layer *l = &w->layers[i];
        const ql_matrix *m[] = {&l->q, &l->k, &l->v, &l->o, &l->gate, &l->up, &l->down};
        for (size_t j = 0; j < sizeof m / sizeof *m; j++)
            kinds |= 1u << ql_act_of(m[j]->dtype);
    }
    return kinds;
}

// Quads of n_rows rows of every input: those of Q256 only where a width is a multiple of 256, which its types make sure.
static void alloc_acts(ql_arena *arena, unsigned kinds, size_t widest, size_t n_rows, void *acts[QL_ACT_COUNT])
{
    size_t quads = (n_rows + QL_QUAD_ROWS - 1) / QL_QUAD_ROWS;
    for (int a = 0; a < QL_ACT_COUNT; a++)
        if (kinds & 1u << a)
            acts[a] = ql_arena_alloc(arena, quads, ql_act_quad_bytes((ql_act)a, (widest + 255) / 256 * 256));
}

static void layout_worker(ql_arena *arena, ql_forward *f, worker *w, unsigned kinds, size_t widest)
{
    size_t d = f->config->head_dim;
    w->normed = QL_ARENA_NEW(arena, float, widest);
    w->left = QL_ARENA_NEW(arena, float, widest);
    w->products = QL_ARENA_NEW(arena, float, QL_PLANE_ROWS * QL_PLANES * QL_PANEL_ROWS);
    alloc_acts(arena, kinds, widest, QL_QUAD_ROWS, w->acts);
    w->query = ql_arena_alloc(arena, 1, ql_query_tile_bytes(f->kv_type, d));
    w->total = QL_ARENA_NEW(arena, float, QL_QUERY_MAX * (d + QL_PARTIAL_HEAD));
    w->partial = QL_ARENA_NEW(arena, float, QL_QUERY_MAX * (d + QL_PARTIAL_HEAD));
}

static void layout(ql_arena *arena, ql_forward *f, unsigned kinds, uint32_t max_length)
{
    const ql_config *c = f->config;
    f->ld_embd = round16(c->n_embd);
    f->ld_q = round16((size_t)c->n_heads * c->head_dim);
    f->ld_kv = round16((size_t)c->n_kv_heads * c->head_dim);
    f->ld_ff = round16(c->n_ff);
    f->ld_logits = round16(c->n_vocab);
    f->x = QL_ARENA_NEW(arena, float, QL_ROWS_MAX * f->ld_embd);
    f->y = QL_ARENA_NEW(arena, float, QL_ROWS_MAX * f->ld_embd);
    f->q = QL_ARENA_NEW(arena, float, QL_ROWS_MAX * f->ld_q);
    f->attn = QL_ARENA_NEW(arena, float, QL_ROWS_MAX * f->ld_q);
    f->k = QL_ARENA_NEW(arena, float, QL_ROWS_MAX * f->ld_kv);
    f->v = QL_ARENA_NEW(arena, float, QL_ROWS_MAX * f->ld_kv);
    f->ff = QL_ARENA_NEW(arena, float, QL_ROWS_MAX * f->ld_ff);
    f->up = QL_ARENA_NEW(arena, float, QL_ROWS_MAX * f->ld_ff);
    f->logits = QL_ARENA_NEW(arena, float, QL_LOGIT_ROWS_MAX * f->ld_logits);
    f->cos_sin = QL_ARENA_NEW(arena, float, (size_t)QL_ROWS_MAX * c->n_rot);
    size_t chunks = ((size_t)max_length + QL_KV_CHUNK - 1) / QL_KV_CHUNK;
    f->split = QL_ARENA_NEW(arena, float, QL_SPLIT_ROWS * c->n_heads * chunks * (c->head_dim + QL_PARTIAL_HEAD));
    f->tiles = QL_ARENA_NEW(arena, tile, QL_ROWS_MAX);
    f->n_counters = 8 + (size_t)c->n_layers * STAGES_PER_LAYER;
    f->counters = QL_ARENA_NEW(arena, atomic_size_t, f->n_counters);
    size_t widest = max3(f->ld_embd, f->ld_q, f->ld_ff);
    alloc_acts(arena, kinds, widest, QL_ROWS_MAX * QL_PLANES, f->acts);
    int n_workers = ql_pool_size(f->pool);
    f->workers = QL_ARENA_NEW(arena, worker, (size_t)n_workers);
    for (int i = 0; i < n_workers; i++) {
        worker measured = {0}, *w = f->workers ? &f->workers[i] : &measured;
        *w = (worker){.f = f, .index = i};
        layout_worker(arena, f, w, kinds, widest);
    }
}

// What the architecture table describes and forward() does not compute: refused by name, never left out.
static const char *missing_feature(const ql_config *c, const ql_weights *w)
{
    const ql_layer *l = &w->layers[0];
    if (c->norm != QL_NORM_RMS)
        return "LayerNorm";
    if (c->qk_norm == QL_QK_NORM_FULL)
        return "queries and keys normalized over all heads";
    if (c->parallel_residual)
        return "parallel attention and feed-forward";
    if (!l->attn_norm.weight || !l->ffn_norm.weight || l->attn_post_norm.weight || l->ffn_post_norm.weight)
        return "norms behind attention and feed-forward";
    if (c->n_experts)
        return "a mixture of experts";
    if (!c->gated || c->activation != QL_SILU)
        return "a feed-forward other than SwiGLU";
    if (c->learned_positions || !c->n_rot)
        return "positions other than RoPE";
    if (c->attn_softcap != 0 || c->logit_softcap != 0)
        return "capped scores or logits";
    return NULL;
}

static const char *missing_layer_feature(const ql_config *c, uint32_t max_length)
{
    for (uint32_t i = 0; i < c->n_layers; i++) {
        if (c->plan[i].rope == QL_ROPE_LOCAL)
            return "layers with a rotation of their own";
        if (c->plan[i].windowed && c->window < max_length)
            return "a sliding window shorter than max_length";
    }
    return NULL;
}

static ql_code check_features(const ql_config *c, const ql_weights *w, uint32_t max_length, ql_error *err)
{
    const char *what = missing_feature(c, w);
    if (!what)
        what = missing_layer_feature(c, max_length);
    if (!what)
        return QL_OK;
    return ql_fail(err, QL_E_UNSUPPORTED, "architecture \"%s\" with %s is not supported yet", c->arch->names[0]
                   ? c->arch->names[0] : c->arch->names[1], what);
}

ql_code ql_forward_new(const ql_config *config, const ql_weights *weights, const ql_kernels *kernels, ql_pool *pool,
                       ql_kv_type kv_type, uint32_t max_length, ql_forward **forward, ql_error *err)
{
    QL_TRY(check_features(config, weights, max_length, err));
    ql_forward *f = calloc(1, sizeof *f);
    if (!f)
        return ql_fail_memory(err, sizeof *f);
    *f = (ql_forward){.config = config, .weights = weights, .kernels = kernels, .pool = pool, .kv_type = kv_type};
    unsigned kinds = act_kinds(config, weights);
    ql_arena measure = {0};
    layout(&measure, f, kinds, max_length);
    ql_code code = ql_arena_init(&f->arena, measure.used, true, err);
    if (code != QL_OK) {
        free(f);
        return code;
    }
    layout(&f->arena, f, kinds, max_length);
    *forward = f;
    return QL_OK;
}

void ql_forward_free(ql_forward *forward)
{
    if (!forward)
        return;
    ql_arena_free(&forward->arena);
    free(forward);
}
