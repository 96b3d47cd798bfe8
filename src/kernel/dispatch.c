// SPDX-License-Identifier: MIT
// Which level this CPU has, and which one a name allows.
#include <string.h>

#include "kernel/levels.h"

// From low to high. Every level needs those below it.
static const ql_kernels *const levels[] = {
    &ql_kernels_scalar,
#if defined(__x86_64__)
    &ql_kernels_avx2,
    &ql_kernels_avx512,
#endif
};
enum { N_LEVELS = sizeof levels / sizeof *levels };

// The highest level that the CPU and the operating system support.
static int supported(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !__builtin_cpu_supports("f16c"))
        return 0;
    bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                __builtin_cpu_supports("avx512vnni");
    return wide ? 2 : 1;
#else
    return 0;
#endif
}

const ql_kernels *ql_kernels_get(const char *isa)
{
    static const char *const names[] = {"scalar", "avx2", "avx512"}; // known on every machine
    int cap = N_LEVELS - 1, best = supported();
    if (isa) {
        for (cap = 0; cap < 3 && strcmp(isa, names[cap]) != 0;)
            cap++;
        if (cap == 3)
            return NULL;
    }
    return levels[cap < best ? cap : best];
}
