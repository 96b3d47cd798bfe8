// SPDX-License-Identifier: MIT
// ql_model_roof: the limits that a model's speed is compared with, measured here and now. Must not know what was reached.
//
// The one decision: both limits are of this model, not of the machine. Reads are of its own weights, in the mapping and
// pages that decoding reads them from; multiply-adds are of the kernels of its own types, on operands in the caches.
#include <stdlib.h>
#include <string.h>

#include "base/machine.h"
#include "base/pool.h"
#include "engine/engine.h"

// ---- the matrices of a token ----

typedef void visit(void *arg, const ql_matrix *m);

static void visit_layer(const ql_layer *l, uint32_t n_experts_used, visit *fn, void *arg)
{
    const ql_matrix *matrices[] = {&l->q, &l->k, &l->v, &l->o, &l->gate, &l->up, &l->down, &l->router};
    for (size_t i = 0; i < sizeof matrices / sizeof *matrices; i++)
        if (matrices[i]->panels)
            fn(arg, matrices[i]);
    for (uint32_t e = 0; l->experts && e < n_experts_used; e++) {
        fn(arg, &l->experts[e].gate);
        fn(arg, &l->experts[e].up);
        fn(arg, &l->experts[e].down);
    }
}

static void visit_layers(const ql_model *m, visit *fn, void *arg)
{
    for (uint32_t i = 0; i < m->config.n_layers; i++)
        visit_layer(&m->weights.layers[i], m->config.n_experts_used, fn, arg);
}

static double macs_of(const ql_matrix *m) { return (double)m->n_rows * m->n_cols; }

static void count_macs(void *arg, const ql_matrix *m) { ((double *)arg)[m->dtype] += macs_of(m); }

// ---- reads ----

typedef struct area_list {
    ql_area *areas; // NULL: only counted
    size_t n;
} area_list;

static void add_area(void *arg, const ql_matrix *m)
{
    area_list *list = arg;
    if (list->areas)
        list->areas[list->n] = (ql_area){m->panels, ql_n_panels(m) * m->panel_bytes};
    list->n++;
}

static void add_areas(const ql_model *m, area_list *list)
{
    list->n = 0;
    visit_layers(m, add_area, list);
    add_area(list, &m->weights.output);
}

static ql_code measure_reads(const ql_model *m, ql_roof *roof, ql_error *err)
{
    area_list list = {0};
    add_areas(m, &list);
    list.areas = calloc(list.n, sizeof *list.areas);
    if (!list.areas)
        return ql_fail_memory(err, list.n * sizeof *list.areas);
    add_areas(m, &list);
    roof->weight_reads = ql_measure_reads(list.areas, list.n, ql_pool_size(m->pool));
    ql_pages pages;
    if (ql_pages_look(list.areas[0].data, &pages) && pages.resident)
        roof->huge_part = (double)pages.huge / (double)pages.resident;
    roof->from_file = pages.file;
    free(list.areas);
    roof->huge_reads = ql_measure_bandwidth(ql_pool_size(m->pool));
    return QL_OK;
}

// ---- multiply-adds ----

// 32 weight rows against 24 rows of activations: all of it stays in a second-level cache of 256 KB, and 24 is a multiple of
// every level's tile.
enum { ROWS = 32, COLS = 1024, TOKENS = 24, PASSES = 5 };

typedef struct product {
    const ql_kernels *kernels;
    ql_dtype dtype;
    ql_act act; // of dtype, and of the burst
    const uint8_t *panels;
    const void *acts;
    float (*y)[TOKENS * ROWS]; // of each worker
    int n_runs;
} product;

static void multiply(void *arg, int worker)
{
    const product *p = arg;
    for (int i = 0; i < p->n_runs; i++)
        p->kernels->matmul[p->dtype](p->panels, COLS, p->acts, TOKENS, p->y[worker], ROWS, 0, ROWS / QL_PANEL_ROWS);
}

static void burst(void *arg, int worker)
{
    (void)worker;
    const product *p = arg;
    for (int i = 0; i < p->n_runs; i++)
        ql_dot_burst(p->kernels, p->act);
}

// Seconds of the best pass of n_runs on all workers, with as many as take 10 ms.
static double best_of(ql_pool *pool, ql_job *job, product *p)
{
    for (p->n_runs = 1; p->n_runs < 1 << 20; p->n_runs *= 2) {
        double start = ql_clock();
        job(p, 0);
        if (ql_clock() - start > 0.005)
            break;
    }
    return ql_best_seconds(pool, job, p, PASSES);
}

// Multiply-adds per second of the kernel of one type.
static double kernel_rate(ql_pool *pool, product *p, uint8_t *panels, void *acts)
{
    float x[COLS];
    memset(panels, 0x11, ROWS * ql_row_bytes(ql_dtype_get(p->dtype), COLS)); // 0x1111 is 0.0006 as f16: an ordinary scale
    for (int k = 0; k < COLS; k++)
        x[k] = (float)(k % 37 - 18) / 18;
    for (size_t t = 0; t < TOKENS; t++)
        p->kernels->act_write[p->act](x, COLS, t, acts);
    double seconds = best_of(pool, multiply, p);
    return (double)ROWS * COLS * TOKENS * p->n_runs * ql_pool_size(pool) / seconds;
}

// Multiply-adds per second of the bare instructions of one form of activations; 0: not measured.
static double burst_rate(ql_pool *pool, product *p)
{
    size_t of_burst = ql_dot_burst(p->kernels, p->act);
    return of_burst ? (double)of_burst * ql_pool_size(pool) / (best_of(pool, burst, p) / p->n_runs) : 0;
}

// The rates at which the layers' matrices could be multiplied: each type's share at its own.
static ql_code measure_macs(const ql_model *m, ql_pool *pool, ql_roof *roof, ql_error *err)
{
    double macs[QL_DTYPE_END] = {0}, of_act[QL_ACT_COUNT] = {0}, seconds = 0, dot_seconds = 0;
    size_t act_bytes = 0, y_bytes = (size_t)ql_pool_size(pool) * sizeof(float[TOKENS * ROWS]);
    for (int a = 0; a < QL_ACT_COUNT; a++) {
        size_t bytes = TOKENS / QL_QUAD_ROWS * ql_act_quad_bytes((ql_act)a, COLS);
        act_bytes = bytes > act_bytes ? bytes : act_bytes;
    }
    size_t panel_bytes = ROWS * COLS * sizeof(float); // F32 is the widest
    ql_arena arena;
    ql_code code = ql_arena_init(&arena, panel_bytes + act_bytes + y_bytes, false, err);
    if (code != QL_OK)
        return code;
    uint8_t *panels = arena.base, *acts = panels + panel_bytes;
    product p = {.kernels = m->kernels, .panels = panels, .acts = acts, .y = (void *)(acts + act_bytes)};
    visit_layers(m, count_macs, macs);
    for (uint32_t d = 0; d < QL_DTYPE_END; d++) {
        if (macs[d] == 0)
            continue;
        p.dtype = (ql_dtype)d;
        p.act = p.kernels->act[d];
        of_act[p.act] += macs[d];
        roof->layer_macs += (uint64_t)macs[d];
        seconds += macs[d] / kernel_rate(pool, &p, panels, acts);
    }
    for (int a = 0; a < QL_ACT_COUNT; a++) {
        p.act = (ql_act)a;
        dot_seconds += of_act[a] > 0 ? of_act[a] / burst_rate(pool, &p) : 0; // infinite: not known
    }
    roof->output_macs = (uint64_t)macs_of(&m->weights.output);
    roof->kernel_macs = (double)roof->layer_macs / seconds;
    roof->dot_macs = (double)roof->layer_macs / dot_seconds;
    ql_arena_free(&arena);
    return QL_OK;
}

ql_code ql_model_roof(const ql_model *model, ql_roof *roof, ql_error *err)
{
    *roof = (ql_roof){0};
    if (!model->forward)
        return ql_fail(err, QL_E_ARGUMENT, "a model opened with inspect has no weights in memory: there is nothing to measure");
    ql_pool *pool = NULL; // of its own: sessions may be using the model's
    ql_code code = measure_reads(model, roof, err);
    if (code == QL_OK)
        code = ql_pool_new(&pool, ql_pool_size(model->pool), err);
    if (code == QL_OK)
        code = measure_macs(model, pool, roof, err);
    ql_pool_free(pool);
    return code;
}
