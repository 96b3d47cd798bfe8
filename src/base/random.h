// SPDX-License-Identifier: MIT
// Counter-based random numbers: the i-th number of a seed is a function of (seed, i) alone, so that a text does not
// depend on what else ran. The mixing function is SplitMix64 (Steele, Lea, Flood 2014), applied twice.
#ifndef QL_BASE_RANDOM_H
#define QL_BASE_RANDOM_H

#include <stdint.h>

static inline uint64_t ql_mix64(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

// [0, 1), a multiple of 2^-53.
static inline double ql_random(uint64_t seed, uint64_t i)
{
    return (double)(ql_mix64(ql_mix64(seed) ^ i) >> 11) * 0x1p-53;
}

// From the system, for calls without a seed.
uint64_t ql_random_entropy(void);

#endif
