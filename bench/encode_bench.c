// SPDX-License-Identifier: MIT
// Quantizers, at the level of this CPU (QUANTLLM_ISA caps it).
//
//   encode_bench           times every type on one thread: ns a weight to encode rows of 2048 and to pack them into panels
//   encode_bench TYPE      a filter: f32 weights in, blocks of TYPE out, for bench/quant_quality.py
//
// Every figure is the best of many short runs: what the code can do, on a machine that may be shared.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

#include "base/random.h"
#include "kernel/kernel.h"

enum { N_COLS = 2048, N = N_COLS * QL_PANEL_ROWS, RUNS = 100 };

typedef void encoder(const float *in, void *blocks, size_t n);

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static encoder *encoder_of(const ql_kernels *k, uint32_t dtype)
{
    const ql_dtype_info *info = ql_dtype_get(dtype);
    return k->encode[dtype] ? k->encode[dtype] : info ? info->encode : NULL;
}

static void time_type(const ql_kernels *k, uint32_t dtype, const float *x, uint8_t *blocks, uint8_t *panel)
{
    const ql_dtype_info *info = ql_dtype_get(dtype);
    size_t row_bytes = ql_row_bytes(info, N_COLS);
    double encode = INFINITY, pack = INFINITY;
    for (int run = 0; run < RUNS; run++) {
        double start = now();
        for (size_t row = 0; row < QL_PANEL_ROWS; row++)
            encoder_of(k, dtype)(x + row * N_COLS, blocks + row * row_bytes, N_COLS);
        double middle = now();
        ql_panel_pack(dtype, blocks, row_bytes, QL_PANEL_ROWS, N_COLS, panel);
        double end = now();
        encode = fmin(encode, middle - start);
        pack = fmin(pack, end - middle);
    }
    printf("| %-7s | %-6s | %6.2f | %5.2f |\n", info->name, k->encode[dtype] ? k->name : "scalar", encode * 1e9 / N,
           pack * 1e9 / N);
}

static int time_all(const ql_kernels *k)
{
    float *x = malloc(N * sizeof *x);
    uint8_t *blocks = malloc(N * sizeof *x), *panel = aligned_alloc(64, N * sizeof *x);
    if (!x || !blocks || !panel)
        return 1;
    for (uint64_t i = 0; i < N; i++) { // near enough to a normal distribution
        double sum = 0;
        for (uint64_t j = 0; j < 12; j++)
            sum += ql_random(1, 12 * i + j);
        x[i] = (float)(0.02 * (sum - 6));
    }
    printf("| type    | level  | encode | pack  |  ns a weight, one thread\n");
    for (uint32_t dtype = 0; dtype < QL_DTYPE_END; dtype++)
        if (encoder_of(k, dtype))
            time_type(k, dtype, x, blocks, panel);
    free(x);
    free(blocks);
    free(panel);
    return 0;
}

static int filter(encoder *encode, const ql_dtype_info *info)
{
    static float x[1 << 14];
    static uint8_t blocks[sizeof x];
    size_t n;
    while ((n = fread(x, sizeof *x, sizeof x / sizeof *x, stdin))) {
        if (n % info->block) {
            fprintf(stderr, "encode_bench: %zu weights at the end, no whole number of blocks of %u\n", n, info->block);
            return 1;
        }
        encode(x, blocks, n);
        if (fwrite(blocks, ql_row_bytes(info, n), 1, stdout) != 1)
            return 1;
    }
    return fflush(stdout) != 0;
}

int main(int argc, char **argv)
{
    const ql_kernels *k = ql_kernels_get(getenv("QUANTLLM_ISA"));
    if (!k || argc > 2) {
        fprintf(stderr, "usage: [QUANTLLM_ISA=scalar|avx2|avx512] encode_bench [TYPE]\n");
        return 64;
    }
    if (argc == 1)
        return time_all(k);
    for (uint32_t dtype = 0; dtype < QL_DTYPE_END; dtype++)
        if (encoder_of(k, dtype) && strcasecmp(ql_dtype_get(dtype)->name, argv[1]) == 0)
            return filter(encoder_of(k, dtype), ql_dtype_get(dtype));
    fprintf(stderr, "encode_bench: %s is no type that can be encoded\n", argv[1]);
    return 64;
}
