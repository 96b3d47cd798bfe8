// SPDX-License-Identifier: MIT
// The AVX2 level of the row kernels: 16 lanes are two registers. Compiled with -mavx2 -mfma; nothing of it may be
// reached on a CPU without them.
#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernel/attend_tile.h"
#include "kernel/fold_x86.inc"

typedef struct vf {
    __m256 a, b;
} vf;

static inline vf pair(__m256 a, __m256 b) { return (vf){a, b}; }
static inline vf vload(const float *p) { return pair(_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)); }

static inline void vstore(float *p, vf x)
{
    _mm256_storeu_ps(p, x.a);
    _mm256_storeu_ps(p + 8, x.b);
}

static inline vf vload_n(const float *p, size_t n)
{
    float all[16] = {0};
    memcpy(all, p, n * sizeof *p);
    return vload(all);
}

static inline void vstore_n(float *p, size_t n, vf x)
{
    float all[16];
    vstore(all, x);
    memcpy(p, all, n * sizeof *p);
}

static inline vf vset(float x) { return pair(_mm256_set1_ps(x), _mm256_set1_ps(x)); }
static inline vf vadd(vf x, vf y) { return pair(_mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b)); }
static inline vf vsub(vf x, vf y) { return pair(_mm256_sub_ps(x.a, y.a), _mm256_sub_ps(x.b, y.b)); }
static inline vf vmul(vf x, vf y) { return pair(_mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b)); }
static inline vf vdiv(vf x, vf y) { return pair(_mm256_div_ps(x.a, y.a), _mm256_div_ps(x.b, y.b)); }
static inline vf vmax(vf x, vf y) { return pair(_mm256_max_ps(x.a, y.a), _mm256_max_ps(x.b, y.b)); }
static inline vf vmin(vf x, vf y) { return pair(_mm256_min_ps(x.a, y.a), _mm256_min_ps(x.b, y.b)); }
static inline vf vfma(vf x, vf y, vf z) { return pair(_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)); }

static inline vf vkeep(vf x, size_t n, float fill)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), count = _mm256_set1_epi32((int)n);
    __m256i a = _mm256_cmpgt_epi32(count, lane);
    __m256i b = _mm256_cmpgt_epi32(count, _mm256_add_epi32(lane, _mm256_set1_epi32(8)));
    __m256 other = _mm256_set1_ps(fill);
    return pair(_mm256_blendv_ps(other, x.a, _mm256_castsi256_ps(a)),
                _mm256_blendv_ps(other, x.b, _mm256_castsi256_ps(b)));
}

static inline vf vzero_below(vf v, vf x, float low)
{
    __m256 bound = _mm256_set1_ps(low);
    return pair(_mm256_and_ps(_mm256_cmp_ps(x.a, bound, _CMP_NLT_UQ), v.a),
                _mm256_and_ps(_mm256_cmp_ps(x.b, bound, _CMP_NLT_UQ), v.b));
}

static inline __m256 max_abs8(__m256 m, __m256 x)
{
    __m256i a = _mm256_and_si256(_mm256_castps_si256(x), _mm256_set1_epi32(0x7fffffff));
    return _mm256_castsi256_ps(_mm256_max_epi32(_mm256_castps_si256(m), a));
}

static inline vf vmax_abs(vf m, vf x) { return pair(max_abs8(m.a, x.a), max_abs8(m.b, x.b)); }

static inline float fold_sum(vf v) { return sum_of_8(_mm256_add_ps(v.a, v.b)); }
static inline float fold_max(vf v) { return max_of_8(_mm256_max_ps(v.a, v.b)); }
static inline float fold_max_abs(vf v)
{
    return top_of_8(_mm256_max_epi32(_mm256_castps_si256(v.a), _mm256_castps_si256(v.b)));
}

static inline __m256 scale8(__m256 p, __m256 t)
{
    return _mm256_mul_ps(p, _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(t), 23)));
}

static inline vf vscale(vf p, vf n, vf t)
{
    (void)n;
    return pair(scale8(p.a, t.a), scale8(p.b, t.b));
}

static inline vf vload_f16(const uint16_t *p)
{
    const __m128i *at = (const __m128i *)(const void *)p;
    return pair(_mm256_cvtph_ps(_mm_loadu_si128(at)), _mm256_cvtph_ps(_mm_loadu_si128(at + 1)));
}

// A NaN converts to 0x80000000, whose low half is 0.
static inline void vstore_i16(int16_t *q, vf x)
{
    const __m256i low = _mm256_set1_epi32(0xffff);
    __m256i a = _mm256_and_si256(_mm256_cvtps_epi32(x.a), low), b = _mm256_and_si256(_mm256_cvtps_epi32(x.b), low);
    _mm256_storeu_si256((__m256i *)(void *)q, _mm256_permute4x64_epi64(_mm256_packus_epi32(a, b), 0xd8));
}

// ---- pairs of integers ----

typedef struct vi {
    __m256i a, b;
} vi;

static inline vi vi_zero(void) { return (vi){_mm256_setzero_si256(), _mm256_setzero_si256()}; }

static inline vi vi_words(const uint8_t *p)
{
    const __m256i *at = (const __m256i *)(const void *)p;
    return (vi){_mm256_loadu_si256(at), _mm256_loadu_si256(at + 1)};
}

static inline vi vi_bytes(const uint8_t *p)
{
    const __m128i *at = (const __m128i *)(const void *)p;
    return (vi){_mm256_cvtepi8_epi16(_mm_loadu_si128(at)), _mm256_cvtepi8_epi16(_mm_loadu_si128(at + 1))};
}

static inline vi vi_nibbles(const uint8_t *p)
{
    const __m128i low = _mm_set1_epi8(15), x = _mm_loadu_si128((const __m128i *)(const void *)p);
    const __m256i zero = _mm256_set1_epi16(8);
    return (vi){_mm256_sub_epi16(_mm256_cvtepu8_epi16(_mm_and_si128(x, low)), zero),
                _mm256_sub_epi16(_mm256_cvtepu8_epi16(_mm_and_si128(_mm_srli_epi16(x, 4), low)), zero)};
}

static inline vi vi_dot(vi sum, vi x, const ql_pair *pair)
{
    const __m256i q = _mm256_set1_epi32(*pair);
    sum.a = _mm256_add_epi32(sum.a, _mm256_madd_epi16(x.a, q));
    sum.b = _mm256_add_epi32(sum.b, _mm256_madd_epi16(x.b, q));
    __asm__("" : "+x"(sum.a), "+x"(sum.b)); // GCC 12 would put all additions of a tile off, and spill what they wait for
    return sum;
}

static inline vf vi_float(vi x) { return pair(_mm256_cvtepi32_ps(x.a), _mm256_cvtepi32_ps(x.b)); }

#define QL_VEC(name) ql_vec_avx2_##name
#define TILE_QUERIES 4
#define TILE_WIDTH(n) ((n) == 1 ? 4 : (n) == 2 ? 2 : 1)
#include "kernel/vec_body.inc"
#include "kernel/activation_body.inc"
#include "kernel/kv_body.inc"
#include "kernel/attend_body.inc"
