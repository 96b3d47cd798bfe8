// SPDX-License-Identifier: MIT
// Quantizers on AVX2: 16 lanes are two registers.
#include <immintrin.h>
#include <math.h>
#include <string.h>

#include "kernel/encode.h"
#include "tensor/encode_lanes.h"

typedef struct v {
    __m256 a, b;
} v;

#define BOTH(f, x, y) ((v){f((x).a, (y).a), f((x).b, (y).b)})

static inline v v_load(const float *p) { return (v){_mm256_load_ps(p), _mm256_load_ps(p + 8)}; }
static inline void v_store(float *p, v x)
{
    _mm256_store_ps(p, x.a);
    _mm256_store_ps(p + 8, x.b);
}
static inline v v_set(float x) { return (v){_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
static inline v v_add(v x, v y) { return BOTH(_mm256_add_ps, x, y); }
static inline v v_sub(v x, v y) { return BOTH(_mm256_sub_ps, x, y); }
static inline v v_mul(v x, v y) { return BOTH(_mm256_mul_ps, x, y); }
static inline v v_div(v x, v y) { return BOTH(_mm256_div_ps, x, y); }
static inline v v_min(v x, v y) { return BOTH(_mm256_min_ps, x, y); }
static inline v v_max(v x, v y) { return BOTH(_mm256_max_ps, x, y); }
static inline v v_abs(v x)
{
    __m256 sign = _mm256_set1_ps(-0.0f);
    return (v){_mm256_andnot_ps(sign, x.a), _mm256_andnot_ps(sign, x.b)};
}
static inline v v_fma(v x, v y, v z) { return (v){_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)}; }
static inline v v_gt(v a, v b, v x, v y)
{
    return (v){_mm256_blendv_ps(y.a, x.a, _mm256_cmp_ps(a.a, b.a, _CMP_GT_OQ)),
               _mm256_blendv_ps(y.b, x.b, _mm256_cmp_ps(a.b, b.b, _CMP_GT_OQ))};
}

#include "kernel/encode_x86.inc"
#define QL_ENCODE(type) ql_encode_avx2_##type
#include "tensor/encode_body.inc"
