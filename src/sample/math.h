// SPDX-License-Identifier: MIT
// exp in plain double arithmetic: the same bits on every machine, which no libm promises. Within 1.2 ulp of the exact
// value (measured by tests/unit/test_sampler.c); rounding to nearest is expected, as everywhere.
#ifndef QL_SAMPLE_MATH_H
#define QL_SAMPLE_MATH_H

#include <stdint.h>
#include <string.h>

// Where e^x is still a normal number.
#define QL_SAMPLE_EXP_MIN (-708.0)

enum { QL_SAMPLE_LANES = 8 };

// x[i] becomes e^x[i], for QL_SAMPLE_EXP_MIN <= x[i] <= 0. Cody-Waite reduction by ln 2 in two parts, then the Taylor
// series to r^13 on |r| <= ln(2)/2, whose first missing term is below 2^-57. Rounding to a whole number is by adding
// 1.5 * 2^52, which leaves that number in the low bits. Eight at a time in loops that a compiler makes vectors of: each
// element goes through the same operations alone or in company.
static inline void ql_sample_exp_lanes(double x[QL_SAMPLE_LANES])
{
    static const double c[] = {1.0 / 6227020800, 1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880,
                               1.0 / 40320, 1.0 / 5040, 1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 0.5, 1.0, 1.0};
    uint64_t bits[QL_SAMPLE_LANES];
    double r[QL_SAMPLE_LANES], p[QL_SAMPLE_LANES], scale[QL_SAMPLE_LANES];
    for (int i = 0; i < QL_SAMPLE_LANES; i++) {
        double shifted = x[i] * 0x1.71547652b82fep0 + 0x1.8p52, k = shifted - 0x1.8p52;
        r[i] = (x[i] - k * 0x1.62e42fee00000p-1) - k * 0x1.a39ef35793c76p-33;
        p[i] = c[0];
        scale[i] = shifted;
    }
    for (int term = 1; term < 14; term++)
        for (int i = 0; i < QL_SAMPLE_LANES; i++)
            p[i] = p[i] * r[i] + c[term];
    memcpy(bits, scale, sizeof bits);
    for (int i = 0; i < QL_SAMPLE_LANES; i++)
        bits[i] = (bits[i] + 1023) << 52;
    memcpy(scale, bits, sizeof bits);
    for (int i = 0; i < QL_SAMPLE_LANES; i++)
        x[i] = p[i] * scale[i];
}

static inline double ql_sample_exp(double x)
{
    double lanes[QL_SAMPLE_LANES] = {x};
    ql_sample_exp_lanes(lanes);
    return lanes[0];
}

#endif
