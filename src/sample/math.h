// SPDX-License-Identifier: MIT
// exp and log in plain double arithmetic: the same bits on every machine, which no libm promises. Both are within 2 ulp
// of the exact value over the ranges that sampling uses (tests/unit/test_sampler.c).
#ifndef QL_SAMPLE_MATH_H
#define QL_SAMPLE_MATH_H

#include <stdint.h>
#include <string.h>

// e^x for x <= 0; 0 below -708. Cody-Waite reduction by ln 2 in two parts, then the Taylor series to x^13 on
// |r| <= ln(2)/2, whose first missing term is below 2^-55.
static inline double ql_sample_exp(double x)
{
    if (!(x >= -708.0))
        return 0.0;
    double k = (double)(int64_t)(x * 1.4426950408889634 - 0.5);
    double r = (x - k * 0x1.62e42fee00000p-1) - k * 0x1.a39ef35793c76p-33, p = 0.0;
    for (int i = 13; i >= 1; i--)
        p = (p + 1.0) * r / i;
    uint64_t bits = (uint64_t)((int64_t)k + 1023) << 52;
    double scale;
    memcpy(&scale, &bits, sizeof scale);
    return (p + 1.0) * scale;
}

// ln x for finite normal x > 0: x = 2^k m with m in [sqrt(1/2), sqrt(2)), ln m = 2 atanh((m - 1) / (m + 1)).
static inline double ql_sample_log(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    int64_t k = (int64_t)(bits >> 52) - 1023;
    bits = (bits & 0xfffffffffffffu) | (uint64_t)1023 << 52;
    double m;
    memcpy(&m, &bits, sizeof m);
    if (m > 1.4142135623730951) {
        m *= 0.5;
        k++;
    }
    double s = (m - 1.0) / (m + 1.0), s2 = s * s, sum = 0.0;
    for (int i = 23; i >= 1; i -= 2) // s <= 0.172: s^25 is below 2^-63
        sum = sum * s2 + 1.0 / i;
    return (double)k * 0.6931471805599453 + 2.0 * s * sum;
}

#endif
