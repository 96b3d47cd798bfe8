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

static const char *const names[] = {"scalar", "avx2", "avx512"}; // known on every machine

// The first feature of a level, or of one below it, that the CPU or the operating system lacks; NULL: none.
static const char *lacks(int level)
{
#if defined(__x86_64__)
#define LACKS(least, feature) \
    if (level >= (least) && !__builtin_cpu_supports(feature)) \
        return feature;
    __builtin_cpu_init();
    LACKS(1, "avx2") LACKS(1, "fma") LACKS(1, "f16c")
    LACKS(2, "avx512f") LACKS(2, "avx512bw") LACKS(2, "avx512dq") LACKS(2, "avx512vl") LACKS(2, "avx512vnni")
#undef LACKS
    return NULL;
#else
    return level ? "x86-64" : NULL;
#endif
}

static int supported(void)
{
    int level = 2;
    while (lacks(level))
        level--;
    return level;
}

const char *ql_kernels_lacks(const char *isa)
{
    int level = 0;
    while (level < 2 && strcmp(isa, names[level]) != 0)
        level++;
    return lacks(level);
}

const ql_kernels *ql_kernels_get(const char *isa)
{
    int cap = N_LEVELS - 1, best = supported();
    if (isa) {
        for (cap = 0; cap < 3 && strcmp(isa, names[cap]) != 0;)
            cap++;
        if (cap == 3)
            return NULL;
    }
    return levels[cap < best ? cap : best];
}
