// SPDX-License-Identifier: MIT
// The query tile: queries side by side, so that a kernel reads any of them as one base pointer plus a constant.
//   Q8:  two planes, each ql_query_scales, then i8 [head_dim / 4][QL_QUERY_MAX][4]   (head_dim a multiple of 4)
//   F32: f32 [head_dim][QL_QUERY_MAX]
// Lanes that were not written are never read.
// The second plane of Q8 is what the first one's rounding left over, quantized the same way: a query is rounded to about
// 15 bits, since its error would reach every score.
#ifndef QL_KERNEL_ATTEND_TILE_H
#define QL_KERNEL_ATTEND_TILE_H

#include "kernel/kernel.h"

typedef struct ql_query_scales {
    float d[16];     // [QL_QUERY_MAX] query = d * q, the factor of the scores already in d
    int32_t zero[16]; // [QL_QUERY_MAX] -128 * sum of q: takes back that keys are stored as q + 128
} ql_query_scales;

// From one plane to the next.
static inline size_t ql_query_plane_bytes(size_t head_dim)
{
    return (sizeof(ql_query_scales) + head_dim * QL_QUERY_MAX + 63) / 64 * 64;
}

#endif
