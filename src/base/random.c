// SPDX-License-Identifier: MIT
#include "base/random.h"

#include <sys/random.h>
#include <time.h>

uint64_t ql_random_entropy(void)
{
    uint64_t value;
    if (getrandom(&value, sizeof value, 0) == (ssize_t)sizeof value)
        return value;
    struct timespec now; // no entropy source (a bare sandbox): the clock still differs from run to run
    clock_gettime(CLOCK_MONOTONIC, &now);
    return ql_mix64((uint64_t)now.tv_nsec ^ ((uint64_t)now.tv_sec << 32));
}
