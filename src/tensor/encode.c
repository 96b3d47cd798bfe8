// SPDX-License-Identifier: MIT
// The definition of the quantizers in encode_body.inc: its lanes as plain loops.
#include <math.h>
#include <string.h>

#include "tensor/codecs.h"
#include "tensor/encode_lanes.h"

typedef struct v {
    float x[16];
} v;

// Sanitized builds check each of 16 elements: inlined everywhere that is minutes of compiling.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OPERATION static __attribute__((noinline))
#else
#define OPERATION static inline
#endif

#define EACH(expression)                 \
    v r_;                                \
    for (int i_ = 0; i_ < 16; i_++)      \
        r_.x[i_] = (expression);         \
    return r_

OPERATION v v_load(const float *p) { EACH(p[i_]); }
OPERATION void v_store(float *p, v a) { memcpy(p, a.x, sizeof a.x); }
OPERATION v v_set(float a) { EACH(a); }
OPERATION v v_add(v a, v b) { EACH(a.x[i_] + b.x[i_]); }
OPERATION v v_sub(v a, v b) { EACH(a.x[i_] - b.x[i_]); }
OPERATION v v_mul(v a, v b) { EACH(a.x[i_] * b.x[i_]); }
OPERATION v v_div(v a, v b) { EACH(a.x[i_] / b.x[i_]); }
OPERATION v v_min(v a, v b) { EACH(a.x[i_] < b.x[i_] ? a.x[i_] : b.x[i_]); } // b where either is NaN, as on x86
OPERATION v v_max(v a, v b) { EACH(a.x[i_] > b.x[i_] ? a.x[i_] : b.x[i_]); }
OPERATION v v_abs(v a) { EACH(fabsf(a.x[i_])); }
OPERATION v v_fma(v a, v b, v c) { EACH(fmaf(a.x[i_], b.x[i_], c.x[i_])); }
OPERATION v v_gt(v a, v b, v x, v y) { EACH(a.x[i_] > b.x[i_] ? x.x[i_] : y.x[i_]); }

// Rows of n weights at in[lane], which may repeat, into columns.
static inline void gather(lanes *t, const float *const in[LANES], int n)
{
    for (int lane = 0; lane < LANES; lane++)
        for (int i = 0; i < n; i++)
            t->x[i][lane] = in[lane][i];
}

// And back: whole numbers of 0..255 in columns to rows of n bytes.
static inline void put_bytes(const float q[32][LANES], int n, uint8_t *out)
{
    for (int lane = 0; lane < LANES; lane++)
        for (int i = 0; i < n; i++)
            out[lane * n + i] = (uint8_t)(int)q[i][lane];
}

#define QL_ENCODE_SHARED
#define QL_ENCODE(type) ql_encode_##type
#include "tensor/encode_body.inc"
