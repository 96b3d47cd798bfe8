// SPDX-License-Identifier: MIT
// Quantizers on AVX-512: 16 lanes are a register.
#include <immintrin.h>
#include <math.h>
#include <string.h>

#include "kernel/encode.h"
#include "tensor/encode_lanes.h"

typedef __m512 v;

static inline v v_load(const float *p) { return _mm512_load_ps(p); }
static inline void v_store(float *p, v x) { _mm512_store_ps(p, x); }
static inline v v_set(float x) { return _mm512_set1_ps(x); }
static inline v v_add(v x, v y) { return _mm512_add_ps(x, y); }
static inline v v_sub(v x, v y) { return _mm512_sub_ps(x, y); }
static inline v v_mul(v x, v y) { return _mm512_mul_ps(x, y); }
static inline v v_div(v x, v y) { return _mm512_div_ps(x, y); }
static inline v v_min(v x, v y) { return _mm512_min_ps(x, y); }
static inline v v_max(v x, v y) { return _mm512_max_ps(x, y); }
static inline v v_abs(v x) { return _mm512_abs_ps(x); }
static inline v v_fma(v x, v y, v z) { return _mm512_fmadd_ps(x, y, z); }
static inline v v_gt(v a, v b, v x, v y)
{
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_GT_OQ), y, x);
}

#include "kernel/encode_x86.inc"
#define QL_ENCODE(type) QL_ENCODE_NAME(avx512, type)
#include "tensor/encode_body.inc"
