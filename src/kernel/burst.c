// SPDX-License-Identifier: MIT
// What vpdpbusd reaches when nothing else is done: the ceiling that matrix products are compared with.
#include <string.h>

#include "kernel/kernel.h"

#if defined(__x86_64__)
enum { ROUNDS = 2000, CHAINS = 12, MACS = 64 }; // chains: more than the instruction's latency on every CPU that has it

size_t ql_dot_burst(const ql_kernels *kernels)
{
    if (strcmp(kernels->name, "avx512") != 0)
        return 0;
    for (int i = 0; i < ROUNDS; i++)
        __asm__ volatile("vpdpbusd %%zmm15, %%zmm14, %%zmm0\n vpdpbusd %%zmm15, %%zmm14, %%zmm1\n"
                         "vpdpbusd %%zmm15, %%zmm14, %%zmm2\n vpdpbusd %%zmm15, %%zmm14, %%zmm3\n"
                         "vpdpbusd %%zmm15, %%zmm14, %%zmm4\n vpdpbusd %%zmm15, %%zmm14, %%zmm5\n"
                         "vpdpbusd %%zmm15, %%zmm14, %%zmm6\n vpdpbusd %%zmm15, %%zmm14, %%zmm7\n"
                         "vpdpbusd %%zmm15, %%zmm14, %%zmm8\n vpdpbusd %%zmm15, %%zmm14, %%zmm9\n"
                         "vpdpbusd %%zmm15, %%zmm14, %%zmm10\n vpdpbusd %%zmm15, %%zmm14, %%zmm11\n"
                         :
                         :
                         : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
                           "xmm11");
    return (size_t)ROUNDS * CHAINS * MACS;
}
#else
size_t ql_dot_burst(const ql_kernels *kernels)
{
    (void)kernels;
    return 0;
}
#endif
