// SPDX-License-Identifier: MIT
// Quantizers: every level gives the bytes of the tensor room's definition, for any input; and the definition's error is
// what its type allows. (How it compares with llama.cpp's: bench/quant_quality.py.)
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <float.h>
#include <stdlib.h>

#include "base/random.h"
#include "kernel_test.h"

enum { N = 256 * 37 }; // no whole number of what a vector level takes at a time

static double normal(uint64_t seed, uint64_t i)
{
    double sum = 0;
    for (uint64_t k = 0; k < 12; k++)
        sum += ql_random(seed, 12 * i + k);
    return sum - 6;
}

// Ordinary weights, then what is likely to hurt.
static void fill(int kind, float *x)
{
    static const float odd[] = {0, -0.0f, 1e-45f, -1e-40f, 1e-30f, 65504, -70000, 3e38f, -3e38f, 1, -1, 0.5f};
    for (size_t i = 0; i < N; i++) {
        double v = 0.02 * normal(7, i);
        switch (kind) {
        case 0: x[i] = (float)v; break;
        case 1: x[i] = (float)(i % 300 ? v : 20 * v); break;
        case 2: x[i] = (float)(v * 1e-40); break;
        case 3: x[i] = odd[(size_t)(ql_random(8, i) * 12)]; break;
        case 4: x[i] = i / 256 % 2 ? 0 : (float)v; break;
        case 5: x[i] = (float)(round(v * 200) / 8); break;
        case 6: x[i] = i % 997 == 5 ? NAN : i % 1499 == 7 ? INFINITY : (float)v; break;
        case 7: x[i] = i / 32 % 3 ? 0.25f : -0.25f; break;
        default: x[i] = (float)(v * v); break;
        }
    }
}

static void levels_agree(void **state)
{
    (void)state;
    float *x = malloc(N * sizeof *x);
    size_t n_compared = 0;
    for (int kind = 0; kind < 9; kind++) {
        fill(kind, x);
        for (uint32_t dtype = 0; dtype < QL_DTYPE_END; dtype++)
            for (int l = 1; l < N_LEVELS; l++) {
                const ql_dtype_info *info = ql_dtype_get(dtype);
                const ql_kernels *k = level(l);
                if (!info || !info->encode || !k || !k->encode[dtype])
                    continue;
                size_t bytes = ql_row_bytes(info, N);
                uint8_t *want = malloc(bytes), *got = malloc(bytes);
                info->encode(x, want, N);
                k->encode[dtype](x, got, N);
                if (memcmp(want, got, bytes) != 0)
                    fail_msg("%s on %s differs from scalar (input %d)", info->name, level_names[l], kind);
                n_compared++;
                free(want);
                free(got);
            }
    }
    free(x);
    if (!n_compared)
        skip(); // no level above scalar here
}

static double relative_error(const ql_dtype_info *info, const float *x)
{
    uint8_t *blocks = malloc(ql_row_bytes(info, N));
    float *y = malloc(N * sizeof *y);
    double error = 0, power = 0;
    info->encode(x, blocks, N);
    info->decode(blocks, y, N);
    for (size_t i = 0; i < N; i++) {
        error += ((double)y[i] - (double)x[i]) * ((double)y[i] - (double)x[i]);
        power += (double)x[i] * (double)x[i];
    }
    free(blocks);
    free(y);
    return sqrt(error / power);
}

// Bounds: what ggml's quantizers reach on normal weights: ours must stay below theirs.
static void error_is_small(void **state)
{
    (void)state;
    static const struct { ql_dtype dtype; double most; } bounds[] = {
        {QL_Q2_K, 0.2931}, {QL_Q3_K, 0.1491}, {QL_Q4_K, 0.0704}, {QL_Q5_K, 0.03568}, {QL_Q6_K, 0.01751},
        {QL_IQ4_NL, 0.0753}, {QL_IQ4_XS, 0.0759}, {QL_Q4_0, 0.09}, {QL_Q8_0, 0.006}};
    float *x = malloc(N * sizeof *x);
    fill(0, x);
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++) {
        double error = relative_error(ql_dtype_get(bounds[i].dtype), x);
        if (!(error < bounds[i].most))
            fail_msg("%s: relative error %g, at most %g", ql_dtype_get(bounds[i].dtype)->name, error, bounds[i].most);
    }
    free(x);
}

// A weight that is not finite must be noticed, not become a plausible number; others of its row stay.
static void what_is_not_finite_shows(void **state)
{
    (void)state;
    float x[512], y[512];
    uint8_t blocks[512 * 4];
    for (uint32_t dtype = 0; dtype < QL_DTYPE_END; dtype++) {
        const ql_dtype_info *info = ql_dtype_get(dtype);
        if (!info || !info->encode)
            continue;
        for (size_t i = 0; i < 512; i++)
            x[i] = (float)(0.02 * normal(9, i));
        x[300] = NAN;
        info->encode(x, blocks, 512);
        info->decode(blocks, y, 512);
        assert_true(isnan(y[300]));
        for (size_t i = 0; i < 256; i++)
            assert_true(isfinite(y[i]));
    }
}

static void zeros_are_zeros(void **state)
{
    (void)state;
    float x[256] = {0}, y[256];
    uint8_t blocks[256 * 4];
    for (uint32_t dtype = 0; dtype < QL_DTYPE_END; dtype++) {
        const ql_dtype_info *info = ql_dtype_get(dtype);
        if (!info || !info->encode)
            continue;
        info->encode(x, blocks, 256);
        info->decode(blocks, y, 256);
        for (size_t i = 0; i < 256; i++)
            assert_true(y[i] == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels_agree),
        cmocka_unit_test(error_is_small),
        cmocka_unit_test(what_is_not_finite_shows),
        cmocka_unit_test(zeros_are_zeros),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
