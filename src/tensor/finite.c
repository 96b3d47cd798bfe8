// SPDX-License-Identifier: MIT
// Owns the question whether a row holds a NaN or an infinity, asked of every row while weights are packed. Blocks can only
// hold one in their half-precision scales and minimums: one or two numbers of a block are read, not its weights.
#include "tensor/finite.h"

#include <string.h>

// Where the halves of a block are; a block without is one value.
typedef struct halves {
    uint8_t n, at[2];
} halves;

static const halves blocks[QL_DTYPE_END] = {
    [QL_Q4_0] = {1, {0}},      [QL_Q4_1] = {2, {0, 2}}, [QL_Q5_0] = {1, {0}},    [QL_Q5_1] = {2, {0, 2}},
    [QL_Q8_0] = {1, {0}},      [QL_IQ4_NL] = {1, {0}},  [QL_IQ4_XS] = {1, {0}},  [QL_Q2_K] = {2, {80, 82}},
    [QL_Q3_K] = {1, {108}},    [QL_Q4_K] = {2, {0, 2}}, [QL_Q5_K] = {2, {0, 2}}, [QL_Q6_K] = {1, {208}},
};

static bool all_finite16(const uint8_t *at, size_t n, size_t stride, unsigned exponent)
{
    unsigned broken = 0;
    for (size_t i = 0; i < n; i++) {
        uint16_t bits;
        memcpy(&bits, at + i * stride, sizeof bits);
        broken |= (bits & exponent) == exponent;
    }
    return !broken;
}

bool ql_all_finite(const float *values, size_t n)
{
    unsigned broken = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        broken |= (bits & 0x7f800000) == 0x7f800000;
    }
    return !broken;
}

bool ql_row_is_finite(ql_dtype dtype, const void *row, size_t n)
{
    const ql_dtype_info *info = ql_dtype_get(dtype);
    const halves *h = &blocks[dtype];
    bool finite = true;
    if (dtype == QL_F32)
        return ql_all_finite(row, n);
    if (dtype == QL_F16 || dtype == QL_BF16)
        return all_finite16(row, n, 2, dtype == QL_F16 ? 0x7c00 : 0x7f80);
    for (int i = 0; i < h->n; i++)
        finite &= all_finite16((const uint8_t *)row + h->at[i], n / info->block, info->block_bytes, 0x7c00);
    return finite;
}
