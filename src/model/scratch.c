// SPDX-License-Identifier: MIT
// Lays out the scratch memory of forward(): one arena, measured before it is allocated.
#include <stdlib.h>

#include "model/bind.h"
#include "model/forward.h"

enum { STAGES_PER_LAYER = 18 }; // at most; one more barrier in a layer needs one more counter here

static size_t round16(size_t n) { return (n + 15) / 16 * 16; }
// Rows of n floats lie an odd number of cache lines apart: some at the same place of their 4 KB pages would share a set of the
// first-level cache, and a load from one would wait for a store to another.
static size_t row_length(size_t n) { return round16(n) | 16; }
static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

// Which activation forms the model's matrices need.
static unsigned act_kinds(const ql_forward *f, const ql_weights *w)
{
    unsigned kinds = ql_kind_of(f, &w->output);
    for (size_t i = 0; i < w->binding->n_matrices; i++)
        kinds |= ql_kind_of(f, w->binding->matrices[i].matrix);
    return kinds;
}

// The widest input of a stage with rows, and of one with pairs of a row and an expert.
typedef struct widths {
    size_t of_rows, of_pairs, n_pairs;
} widths;

static bool has_layers(const ql_config *c, bool experts)
{
    for (uint32_t i = 0; i < c->n_layers; i++)
        if (c->plan[i].experts == experts)
            return true;
    return false;
}

static widths measure_widths(const ql_forward *f)
{
    const ql_config *c = f->config;
    widths w = {.of_rows = larger(larger(f->ld_embd, f->ld_q), f->ld_ff)};
    if (!f->ld_ff_expert)
        return w;
    size_t pairs = (size_t)QL_ROWS_MAX * c->n_experts_used, runs = c->n_experts < pairs ? c->n_experts : pairs;
    w.n_pairs = pairs + runs * (QL_QUAD_ROWS - 1); // each run begins a quad
    w.of_pairs = larger(f->ld_embd, f->ld_ff_expert);
    return w;
}

static size_t act_bytes(ql_act act, size_t widest, size_t n_rows)
{
    size_t quads = (n_rows + QL_QUAD_ROWS - 1) / QL_QUAD_ROWS;
    return quads * ql_act_quad_bytes(act, widest);
}

static void alloc_acts(ql_arena *arena, unsigned kinds, const widths *w, void *acts[QL_ACT_COUNT])
{
    for (int a = 0; a < QL_ACT_COUNT; a++)
        if (kinds & 1u << a)
            acts[a] = ql_arena_alloc(arena, 1, larger(act_bytes((ql_act)a, w->of_rows, QL_ROWS_MAX),
                                                      act_bytes((ql_act)a, w->of_pairs, w->n_pairs)));
}

static void layout_worker(ql_arena *arena, ql_forward *f, worker *w, unsigned kinds, const widths *width)
{
    size_t widest = larger(width->of_rows, width->of_pairs);
    size_t d = f->config->head_dim;
    w->normed = QL_ARENA_NEW(arena, float, widest);
    for (int a = 0; a < QL_ACT_COUNT; a++)
        if (kinds & 1u << a)
            w->acts[a] = ql_arena_alloc(arena, 1, ql_act_quad_bytes((ql_act)a, widest));
    w->query = ql_arena_alloc(arena, 1, ql_query_tile_bytes(f->kv_type, d));
    w->total = QL_ARENA_NEW(arena, float, QL_QUERY_MAX * (d + QL_PARTIAL_HEAD));
    w->partial = QL_ARENA_NEW(arena, float, QL_QUERY_MAX * (d + QL_PARTIAL_HEAD));
}

static void layout_routes(ql_arena *arena, ql_forward *f, size_t n_pairs)
{
    size_t chosen = (size_t)QL_ROWS_MAX * f->config->n_experts_used;
    routes *r = &f->routes;
    r->ld = row_length(f->config->n_experts);
    r->logits = QL_ARENA_NEW(arena, float, QL_ROWS_MAX * r->ld);
    r->experts = QL_ARENA_NEW(arena, uint32_t, chosen);
    r->weights = QL_ARENA_NEW(arena, float, chosen);
    r->pair_of = QL_ARENA_NEW(arena, uint32_t, chosen);
    r->row_of = QL_ARENA_NEW(arena, uint32_t, n_pairs);
    r->first = QL_ARENA_NEW(arena, uint32_t, f->config->n_experts);
    r->runs = QL_ARENA_NEW(arena, run, f->config->n_experts);
    r->kinds_in = QL_ARENA_NEW(arena, unsigned, f->config->n_layers);
    r->kinds_out = QL_ARENA_NEW(arena, unsigned, f->config->n_layers);
    r->out = QL_ARENA_NEW(arena, float, n_pairs * f->ld_embd);
}

// Which activation forms each layer's experts need, that no pass has to ask them all.
static void fill_kinds(ql_forward *f)
{
    for (uint32_t i = 0; f->routes.kinds_in && i < f->config->n_layers; i++)
        for (uint32_t e = 0; f->config->plan[i].experts && e < f->config->n_experts; e++) {
            const ql_expert *expert = &f->weights->layers[i].experts[e];
            f->routes.kinds_in[i] |= ql_kind_of(f, &expert->up) | (f->config->gated ? ql_kind_of(f, &expert->gate) : 0);
            f->routes.kinds_out[i] |= ql_kind_of(f, &expert->down);
        }
}

static void layout_rows(ql_arena *arena, ql_forward *f, const widths *width, uint32_t max_length)
{
    const ql_config *c = f->config;
    size_t inner = larger(QL_ROWS_MAX * f->ld_ff, width->n_pairs * f->ld_ff_expert);
    f->x = QL_ARENA_NEW(arena, float, QL_ROWS_MAX * f->ld_embd);
    f->y = QL_ARENA_NEW(arena, float, QL_ROWS_MAX * f->ld_embd);
    f->q = QL_ARENA_NEW(arena, float, QL_ROWS_MAX * f->ld_q);
    f->attn = QL_ARENA_NEW(arena, float, QL_ROWS_MAX * f->ld_q);
    f->k = QL_ARENA_NEW(arena, float, QL_ROWS_MAX * f->ld_kv);
    f->v = QL_ARENA_NEW(arena, float, QL_ROWS_MAX * f->ld_kv);
    f->ff = QL_ARENA_NEW(arena, float, inner);
    f->up = QL_ARENA_NEW(arena, float, inner);
    f->logits = QL_ARENA_NEW(arena, float, QL_LOGIT_ROWS_MAX * f->ld_logits);
    for (int which = 0; which < QL_ROPES; which++)
        if (f->weights->inv_freq[which])
            f->cos_sin[which] = QL_ARENA_NEW(arena, float, (size_t)QL_ROWS_MAX * c->n_rot);
    size_t chunks = ((size_t)max_length + QL_KV_CHUNK - 1) / QL_KV_CHUNK;
    f->split = QL_ARENA_NEW(arena, float, QL_SPLIT_ROWS * c->n_heads * chunks * (c->head_dim + QL_PARTIAL_HEAD));
    f->tiles = QL_ARENA_NEW(arena, tile, QL_ROWS_MAX);
}

static void layout(ql_arena *arena, ql_forward *f, unsigned kinds, uint32_t max_length)
{
    const ql_config *c = f->config;
    f->ld_embd = row_length(c->n_embd);
    f->ld_q = row_length((size_t)c->n_heads * c->head_dim);
    f->ld_kv = row_length((size_t)c->n_kv_heads * c->head_dim);
    f->ld_ff = has_layers(c, false) ? row_length(c->n_ff) : 0;
    f->ld_ff_expert = has_layers(c, true) ? row_length(c->n_ff_expert) : 0;
    f->ld_logits = row_length(c->n_vocab);
    const widths width = measure_widths(f);
    layout_rows(arena, f, &width, max_length);
    if (width.n_pairs)
        layout_routes(arena, f, width.n_pairs);
    f->n_counters = 8 + (size_t)c->n_layers * STAGES_PER_LAYER;
    f->counters = QL_ARENA_NEW(arena, atomic_size_t, f->n_counters);
    alloc_acts(arena, kinds, &width, f->acts);
    int n_workers = ql_pool_size(f->pool);
    f->workers = QL_ARENA_NEW(arena, worker, (size_t)n_workers);
    for (int i = 0; i < n_workers; i++) {
        worker measured = {0}, *w = f->workers ? &f->workers[i] : &measured;
        *w = (worker){.f = f, .index = i};
        layout_worker(arena, f, w, kinds, &width);
    }
}

ql_code ql_forward_new(const ql_config *config, const ql_weights *weights, const ql_kernels *kernels, ql_pool *pool,
                       ql_kv_type kv_type, uint32_t max_length, ql_forward **forward, ql_error *err)
{
    ql_forward *f = calloc(1, sizeof *f);
    if (!f)
        return ql_fail_memory(err, sizeof *f);
    *f = (ql_forward){.config = config, .weights = weights, .kernels = kernels, .pool = pool, .kv_type = kv_type};
    ql_pace_init(&f->pace, ql_pool_size(pool));
    unsigned kinds = act_kinds(f, weights);
    ql_arena measure = {0};
    layout(&measure, f, kinds, max_length);
    ql_code code = ql_arena_init(&f->arena, measure.used, true, err);
    if (code != QL_OK) {
        free(f);
        return code;
    }
    layout(&f->arena, f, kinds, max_length);
    fill_kinds(f);
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
