// SPDX-License-Identifier: MIT
// What a level's product instructions reach when nothing else is done, no loads and no scales: the ceiling that matrix
// products are compared with.
#include <string.h>

#include "kernel/kernel.h"

#if defined(__x86_64__)
enum { ROUNDS = 2000 };
#define SUMS "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11"

// 8 chains of an AVX2 product and the addition to its sums.
#define ONE(multiply, add, product, sum)                                                                               \
    " " multiply " %%ymm14, %%ymm15, %%ymm" product "\n " add " %%ymm" product ", %%ymm" sum ", %%ymm" sum "\n"
#define AVX2(multiply, add)                                                                                            \
    for (int i = 0; i < ROUNDS; i++)                                                                                   \
    __asm__ volatile(ONE(multiply, add, "8", "0") ONE(multiply, add, "9", "1") ONE(multiply, add, "10", "2")           \
                     ONE(multiply, add, "11", "3") ONE(multiply, add, "8", "4") ONE(multiply, add, "9", "5")           \
                     ONE(multiply, add, "10", "6") ONE(multiply, add, "11", "7") : : : SUMS)

// 12 chains, more than the instruction's latency on every CPU that has it.
#define DOT(dot, sum) " " dot " %%zmm15, %%zmm14, %%zmm" sum "\n"
#define AVX512(dot)                                                                                                    \
    for (int i = 0; i < ROUNDS; i++)                                                                                   \
    __asm__ volatile(DOT(dot, "0") DOT(dot, "1") DOT(dot, "2") DOT(dot, "3") DOT(dot, "4") DOT(dot, "5") DOT(dot, "6") \
                     DOT(dot, "7") DOT(dot, "8") DOT(dot, "9") DOT(dot, "10") DOT(dot, "11") : : : SUMS)

size_t ql_dot_burst(const ql_kernels *kernels, ql_act act)
{
    if (act == QL_ACT_F32)
        return 0;
    if (strcmp(kernels->name, "avx512") == 0) {
        if (act == QL_ACT_BYTES)
            AVX512("vpdpbusd");
        else
            AVX512("vpdpwssd");
        return (size_t)ROUNDS * 12 * (act == QL_ACT_BYTES ? 64 : 32);
    }
    if (strcmp(kernels->name, "avx2") != 0)
        return 0;
    if (act == QL_ACT_BYTES)
        AVX2("vpmaddubsw", "vpaddw");
    else
        AVX2("vpmaddwd", "vpaddd");
    return (size_t)ROUNDS * 8 * (act == QL_ACT_BYTES ? 32 : 16);
}
#else
size_t ql_dot_burst(const ql_kernels *kernels, ql_act act)
{
    (void)kernels;
    (void)act;
    return 0;
}
#endif
