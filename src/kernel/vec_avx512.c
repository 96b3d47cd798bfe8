// SPDX-License-Identifier: MIT
// The AVX-512 level of the row kernels: 16 lanes are one register. Compiled with -mavx512f/bw/vl/dq/vnni; nothing of it
// may be reached on a CPU without them.
#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/attend_tile.h"
#include "kernel/dot_avx512.inc"
#include "kernel/fold_x86.inc"

typedef __m512 vf;

static inline __mmask16 first_lanes(size_t n) { return (__mmask16)((1u << n) - 1); }

static inline vf vload(const float *p) { return _mm512_loadu_ps(p); }
static inline void vstore(float *p, vf a) { _mm512_storeu_ps(p, a); }
static inline vf vload_n(const float *p, size_t n) { return _mm512_maskz_loadu_ps(first_lanes(n), p); }
static inline void vstore_n(float *p, size_t n, vf a) { _mm512_mask_storeu_ps(p, first_lanes(n), a); }
static inline vf vset(float x) { return _mm512_set1_ps(x); }
static inline vf vadd(vf a, vf b) { return _mm512_add_ps(a, b); }
static inline vf vsub(vf a, vf b) { return _mm512_sub_ps(a, b); }
static inline vf vmul(vf a, vf b) { return _mm512_mul_ps(a, b); }
static inline vf vdiv(vf a, vf b) { return _mm512_div_ps(a, b); }
static inline vf vmax(vf a, vf b) { return _mm512_max_ps(a, b); }
static inline vf vmin(vf a, vf b) { return _mm512_min_ps(a, b); }
static inline vf vfma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }

static inline vf vkeep(vf a, size_t n, float fill) { return _mm512_mask_mov_ps(vset(fill), first_lanes(n), a); }

static inline vf vzero_below(vf a, vf x, float low)
{
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, vset(low), _CMP_NLT_UQ), a);
}

static inline vf vmax_abs(vf m, vf x)
{
    __m512i a = _mm512_and_si512(_mm512_castps_si512(x), _mm512_set1_epi32(0x7fffffff));
    return _mm512_castsi512_ps(_mm512_max_epi32(_mm512_castps_si512(m), a));
}

static inline __m256 half_of(vf v, int upper)
{
    return _mm256_castpd_ps(upper ? _mm512_extractf64x4_pd(_mm512_castps_pd(v), 1) : _mm512_castpd512_pd256(_mm512_castps_pd(v)));
}

static inline float fold_sum(vf v) { return sum_of_8(_mm256_add_ps(half_of(v, 0), half_of(v, 1))); }
static inline float fold_max(vf v) { return max_of_8(_mm256_max_ps(half_of(v, 0), half_of(v, 1))); }
static inline float fold_max_abs(vf v)
{
    return top_of_8(_mm256_max_epi32(_mm256_castps_si256(half_of(v, 0)), _mm256_castps_si256(half_of(v, 1))));
}

static inline vf vscale(vf p, vf n, vf t)
{
    (void)t;
    return _mm512_scalef_ps(p, n);
}

static inline vf vload_f16(const uint16_t *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
}

// A NaN converts to 0x80000000, whose low half is 0.
static inline void vstore_i16(int16_t *q, vf a)
{
    _mm256_storeu_si256((__m256i *)(void *)q, _mm512_cvtepi32_epi16(_mm512_cvtps_epi32(a)));
}

// ---- pairs of integers ----

typedef __m512i vi;

static inline vi vi_zero(void) { return _mm512_setzero_si512(); }
static inline vi vi_words(const uint8_t *p) { return _mm512_loadu_si512(p); }

static inline vi vi_bytes(const uint8_t *p)
{
    return _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)(const void *)p));
}

static inline vi vi_nibbles(const uint8_t *p)
{
    const __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
    const __m256i both = _mm256_inserti128_si256(_mm256_castsi128_si256(x), _mm_srli_epi16(x, 4), 1);
    const __m256i nibbles = _mm256_and_si256(both, _mm256_set1_epi8(15));
    return _mm512_sub_epi16(_mm512_cvtepu8_epi16(nibbles), _mm512_set1_epi16(8));
}

static inline vi vi_dot(vi sum, vi x, const ql_pair *pair) { return dot2(sum, x, pair); }
static inline vf vi_float(vi x) { return _mm512_cvtepi32_ps(x); }

#define QL_VEC(name) QL_VEC_NAME(avx512, name)
#define TILE_QUERIES 12
#define TILE_WIDTH(n) ((n) <= 3 ? 4 : (n) <= 6 ? 2 : 1)
#include "kernel/vec_body.inc"
#include "kernel/activation_body.inc"
#include "kernel/kv_body.inc"
#include "kernel/attend_body.inc"
