// SPDX-License-Identifier: MIT
// What a level's product instructions reach when nothing else is done, no loads and no scales: the ceiling that matrix
// products are compared with.
#include <string.h>

#include "kernel/kernel.h"

#if defined(__x86_64__)
enum { ROUNDS = 2000 };

// 8 chains of vpmaddwd and the addition of its sums, 16 products each.
#define MADD(product, sum) " vpmaddwd %%ymm14, %%ymm15, %%ymm" product "\n vpaddd %%ymm" product ", %%ymm" sum ", %%ymm" sum "\n"
static size_t burst_avx2(void)
{
    for (int i = 0; i < ROUNDS; i++)
        __asm__ volatile(MADD("8", "0") MADD("9", "1") MADD("10", "2") MADD("11", "3") MADD("8", "4") MADD("9", "5")
                         MADD("10", "6") MADD("11", "7")
                         :
                         :
                         : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
                           "xmm11");
    return (size_t)ROUNDS * 8 * 16;
}

// 12 chains, more than the instruction's latency on every CPU that has it, 32 products each.
#define DOT(sum) " vpdpwssd %%zmm15, %%zmm14, %%zmm" sum "\n"
static size_t burst_avx512(void)
{
    for (int i = 0; i < ROUNDS; i++)
        __asm__ volatile(DOT("0") DOT("1") DOT("2") DOT("3") DOT("4") DOT("5") DOT("6") DOT("7") DOT("8") DOT("9") DOT("10")
                         DOT("11")
                         :
                         :
                         : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
                           "xmm11");
    return (size_t)ROUNDS * 12 * 32;
}

size_t ql_dot_burst(const ql_kernels *kernels)
{
    if (strcmp(kernels->name, "avx512") == 0)
        return burst_avx512();
    return strcmp(kernels->name, "avx2") == 0 ? burst_avx2() : 0;
}
#else
size_t ql_dot_burst(const ql_kernels *kernels)
{
    (void)kernels;
    return 0;
}
#endif
