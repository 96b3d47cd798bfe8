// SPDX-License-Identifier: MIT
// Seconds of a clock that never jumps.
#ifndef QL_BASE_CLOCK_H
#define QL_BASE_CLOCK_H

#include <time.h>

static inline double ql_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

#endif
