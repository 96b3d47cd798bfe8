// SPDX-License-Identifier: MIT
// Times attention over whole chunks of 256 positions at every level of this CPU: cycles a query and position. The
// clock is measured by a chain of additions, so the figure does not depend on what the machine says about itself.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernel/kernel.h"

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

// Best of a few runs of n dependent one-cycle operations.
static double ns_per_cycle(void)
{
    double best = 1e9;
    for (int run = 0; run < 20; run++) {
        size_t x = (size_t)run;
        double start = now_ns();
        for (int i = 0; i < 1000000; i++) {
            x = x + 1;
            __asm__ volatile("" : "+r"(x)); // or the loop is one addition
        }
        double t = (now_ns() - start) / 1e6;
        best = t < best ? t : best;
    }
    return best;
}

static const size_t counts[] = {1, 2, 3, 4, 8, 9, 12}; // queries

typedef struct bench {
    const ql_kernels *kernels;
    ql_kv_type type;
    size_t head_dim, n_queries;
    int n_chunks;
    ql_kv kv;
    void *tile;
    float *partial;
} bench;

static float noise(void) { return (float)rand() / (float)RAND_MAX - 0.5f; }

static void fill(bench *b)
{
    float k[QL_HEAD_DIM_MAX], v[QL_HEAD_DIM_MAX];
    for (size_t pos = 0; pos < (size_t)b->n_chunks * QL_KV_CHUNK; pos++) {
        for (size_t d = 0; d < b->head_dim; d++)
            k[d] = noise(), v[d] = noise();
        b->kernels->kv_write[b->type](&b->kv, pos, k, v, b->head_dim);
    }
    for (size_t lane = 0; lane < b->n_queries; lane++) {
        for (size_t d = 0; d < b->head_dim; d++)
            k[d] = 4 * noise();
        b->kernels->query_write[b->type](k, 0.125f, lane, b->head_dim, b->tile);
    }
}

// Nanoseconds a query and position.
static double time_chunks(const bench *b)
{
    ql_span visible[QL_QUERY_MAX];
    for (int i = 0; i < QL_QUERY_MAX; i++)
        visible[i] = (ql_span){0, b->n_chunks * QL_KV_CHUNK};
    double best = 1e9;
    for (int run = 0; run < 30; run++) {
        double start = now_ns();
        for (int chunk = 0; chunk < b->n_chunks; chunk++)
            b->kernels->attend_chunk[b->type](&b->kv, b->tile, b->n_queries, visible, (size_t)chunk, b->head_dim,
                                              0, b->partial);
        double t = (now_ns() - start) / ((double)b->n_chunks * QL_KV_CHUNK * (double)b->n_queries);
        best = t < best ? t : best;
    }
    return best;
}

static int run(const ql_kernels *kernels, ql_kv_type type, size_t head_dim, double cycle)
{
    bench b = {.kernels = kernels, .type = type, .head_dim = head_dim, .n_chunks = kernels->name[0] == 's' ? 1 : 8};
    size_t n_pos = (size_t)b.n_chunks * QL_KV_CHUNK;
    b.kv = (ql_kv){.k = calloc(n_pos, ql_kv_key_bytes(type, head_dim)), .v = calloc(n_pos, ql_kv_value_bytes(type, head_dim)),
                   .k_scale = calloc(n_pos, sizeof(float)), .v_scale = calloc(n_pos, sizeof(float))};
    b.tile = calloc(1, ql_query_tile_bytes(type, head_dim));
    b.partial = calloc(QL_QUERY_MAX * (head_dim + 16), sizeof(float));
    if (!b.kv.k || !b.kv.v || !b.kv.k_scale || !b.kv.v_scale || !b.tile || !b.partial)
        return 1;
    static const char *const names[QL_KV_COUNT] = {"f32", "f16", "q8", "q4"};
    printf("%-7s %-3s %4zu", kernels->name, names[type], head_dim);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        b.n_queries = counts[i];
        fill(&b);
        printf(" %7.2f", time_chunks(&b) / cycle);
    }
    printf("\n");
    free(b.kv.k), free(b.kv.v), free(b.kv.k_scale), free(b.kv.v_scale), free(b.tile), free(b.partial);
    return 0;
}

int main(void)
{
    static const char *const isas[] = {"scalar", "avx2", "avx512"};
    static const size_t dims[] = {64, 80, 128};
    double cycle = ns_per_cycle();
    printf("cycles a query and position (clock %.2f GHz), by queries\n%-16s", 1 / cycle, "");
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        printf(" %7zu", counts[i]);
    printf("\n");
    for (int i = 0; i < 3; i++) {
        const ql_kernels *kernels = ql_kernels_get(isas[i]);
        if (!kernels || strcmp(kernels->name, isas[i]) != 0)
            continue;
        for (int type = 0; type < QL_KV_COUNT; type++)
            for (size_t d = 0; d < sizeof dims / sizeof *dims; d++)
                if (run(kernels, (ql_kv_type)type, dims[d], cycle))
                    return 1;
    }
    return 0;
}
