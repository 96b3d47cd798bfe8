// SPDX-License-Identifier: MIT
// The query tile: queries side by side, so that a kernel reads any of them as one base pointer plus a constant.
//   Q8, Q4:   ql_query_scales, then i16 [head_dim / 2][QL_QUERY_MAX][2]   (head_dim even)
//   F32, F16: f32 [head_dim][QL_QUERY_MAX]
// Lanes that were not written are never read.
#ifndef QL_KERNEL_ATTEND_TILE_H
#define QL_KERNEL_ATTEND_TILE_H

#include "kernel/kernel.h"

typedef struct ql_query_scales {
    float d[16]; // [QL_QUERY_MAX] query = d * q, the factor of the scores already in d
} ql_query_scales;

// A pair of 16-bit integers, as a kernel broadcasts it.
typedef int32_t __attribute__((may_alias)) ql_pair;

static inline bool ql_kv_is_int(ql_kv_type type) { return type == QL_KV_Q8 || type == QL_KV_Q4; }

#endif
