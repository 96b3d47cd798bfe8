// SPDX-License-Identifier: MIT
// What the kernel tests share: the levels of this CPU, inputs from ordinary to absurd, and equality to the bit.
#ifndef TESTS_KERNEL_KERNEL_TEST_H
#define TESTS_KERNEL_KERNEL_TEST_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "kernel/kernel.h"

// The levels to compare, from low to high; level 0 is the definition. The last one is the AVX-512 level compiled against C
// (tests/kernel/emulated): what it computes is compared on every machine with AVX2, what it is compiled to where AVX-512 is.
enum { N_LEVELS = 4 };
static const char *const level_names[N_LEVELS] = {"scalar", "avx2", "avx512", "avx512 (emulated)"};

#if defined(EMULATED_AVX512)
extern const ql_kernels ql_kernels_avx512_emulated;
#endif

// NULL when the CPU, or this build, lacks it.
static inline const ql_kernels *level(int i)
{
#if defined(EMULATED_AVX512)
    if (i == N_LEVELS - 1)
        return ql_kernels_lacks("avx2") ? NULL : &ql_kernels_avx512_emulated;
#endif
    const ql_kernels *kernels = ql_kernels_get(level_names[i]);
    return kernels && strcmp(kernels->name, level_names[i]) == 0 ? kernels : NULL;
}

// A small generator of the tests' own (SplitMix64, Steele et al. 2014): the same inputs everywhere.
static inline uint64_t next_bits(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static inline float ordinary(uint64_t *state) // in [-1, 1)
{
    return (float)(int32_t)(next_bits(state) >> 32) * 0x1p-31f;
}

typedef enum flavour { ORDINARY, WIDE, DENORMAL, ZERO, NOT_FINITE, N_FLAVOURS } flavour;

static inline float flavoured(flavour f, uint64_t *state)
{
    static const float odd[] = {0.0f, -0.0f, 1.0f, -1.0f, 0x1p-149f, -0x1p-126f, 0x1.fffffep127f, -0x1.fffffep127f};
    uint64_t r = next_bits(state);
    float x = ordinary(state);
    switch (f) {
    case WIDE:
        return r % 4 ? ldexpf(x, (int)(r >> 8) % 250 - 125) : odd[(r >> 8) % 8];
    case DENORMAL:
        return x * 0x1p-140f;
    case ZERO:
        return r % 2 ? 0.0f : -0.0f;
    case NOT_FINITE:
        return r % 5 ? x : r % 3 == 0 ? INFINITY : r % 3 == 1 ? -INFINITY : NAN;
    default:
        return x;
    }
}

static inline void fill_floats(float *x, size_t n, flavour f, uint64_t *state)
{
    for (size_t i = 0; i < n; i++)
        x[i] = flavoured(f, state);
}

// Equal to the bit; NaNs are equal to each other, as their payloads are not defined.
static inline int same_floats(const float *a, const float *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (memcmp(a + i, b + i, sizeof *a) != 0 && !(isnan(a[i]) && isnan(b[i]))) {
            fprintf(stderr, "element %zu of %zu: %a and %a\n", i, n, (double)a[i], (double)b[i]);
            return 0;
        }
    return 1;
}

#endif
