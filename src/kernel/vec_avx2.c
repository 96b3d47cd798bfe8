// SPDX-License-Identifier: MIT
// The AVX2 level of the row kernels: 16 lanes are two registers. Compiled with -mavx2 -mfma; nothing of it may be
// reached on a CPU without them.
#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

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

// In two halves, as 2^128 is no float: the first product is exact.
static inline __m256 scale8(__m256 p, __m256 t)
{
    const __m256i bias = _mm256_set1_epi32(127);
    __m256i n = _mm256_sub_epi32(_mm256_castps_si256(t), _mm256_castps_si256(_mm256_set1_ps(0x1.8p23f)));
    __m256i half = _mm256_srai_epi32(n, 1);
    __m256i low = _mm256_slli_epi32(_mm256_add_epi32(half, bias), 23);
    __m256i high = _mm256_slli_epi32(_mm256_add_epi32(_mm256_sub_epi32(n, half), bias), 23);
    return _mm256_mul_ps(_mm256_mul_ps(p, _mm256_castsi256_ps(low)), _mm256_castsi256_ps(high));
}

static inline vf vscale(vf p, vf n, vf t)
{
    (void)n;
    return pair(scale8(p.a, t.a), scale8(p.b, t.b));
}

// A NaN converts to 0x80000000, whose low byte is 0.
static inline void vstore_q8(int8_t *q, vf x)
{
    const __m256i byte = _mm256_set1_epi32(0xff);
    __m256i a = _mm256_and_si256(_mm256_cvtps_epi32(x.a), byte), b = _mm256_and_si256(_mm256_cvtps_epi32(x.b), byte);
    __m256i words = _mm256_permute4x64_epi64(_mm256_packus_epi32(a, b), 0xd8);
    __m128i bytes = _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    _mm_storeu_si128((__m128i *)(void *)q, bytes);
}

static inline __m256 load8_i8(const int8_t *p)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)p)));
}

static inline vf vload_i8(const int8_t *p) { return pair(load8_i8(p), load8_i8(p + 8)); }

#define QL_VEC(name) ql_vec_avx2_##name
#include "kernel/vec_body.inc"
#include "kernel/activation_body.inc"

#define QK_QUERIES 4
#define QK_PANELS(n) ((n) == 1 ? 4 : (n) == 2 ? 2 : 1)
#define PV_QUERIES 6
#define PV_WIDTH(n) ((n) == 1 ? 4 : (n) == 2 ? 2 : 1)
#define QK_Q8

typedef int32_t __attribute__((may_alias)) quad; // 4 int8 of a query

// acc + s8 . s8 over 4 bytes a lane. size: |key|, key: signed. 2 * 128 * 127 fits int16, so nothing saturates.
static inline __m256i dot4(__m256i acc, __m256i size, __m256i key, __m256i query)
{
    __m256i pairs = _mm256_maddubs_epi16(size, _mm256_sign_epi8(query, key));
    acc = _mm256_add_epi32(acc, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
    __asm__("" : "+x"(acc)); // GCC 12 would put all additions of a tile off, and spill what they wait for
    return acc;
}

static inline void store_scores(float *s, __m256i dots, const float *k_scale, float d)
{
    __m256 scale = _mm256_mul_ps(_mm256_set1_ps(d), _mm256_loadu_ps(k_scale));
    _mm256_storeu_ps(s, _mm256_mul_ps(_mm256_cvtepi32_ps(dots), scale));
}

INLINE void qk_q8_tile(int n, int panels, const uint8_t *k, const float *k_scale, const void *tile, size_t first,
                       size_t head_dim, float *s)
{
    const ql_query_scales *scales = tile;
    const quad *q = (const quad *)(const void *)(scales + 1) + first;
    __m256i acc[QK_QUERIES][8]; // half panels
    UNROLL
    for (int i = 0; i < n; i++) {
        UNROLL
        for (int h = 0; h < 2 * panels; h++)
            acc[i][h] = _mm256_setzero_si256();
    }
    for (size_t d = 0; d < head_dim; d += 4, q += QL_QUERY_MAX) {
        UNROLL
        for (int h = 0; h < 2 * panels; h++) {
            const uint8_t *at = k + ((size_t)(h / 2) * head_dim + d) * LANES + h % 2 * 32;
            __m256i keys = _mm256_loadu_si256((const __m256i *)(const void *)at);
            keys = _mm256_xor_si256(keys, _mm256_set1_epi8(-128));
            __m256i size = _mm256_abs_epi8(keys);
            UNROLL
            for (int i = 0; i < n; i++)
                acc[i][h] = dot4(acc[i][h], size, keys, _mm256_set1_epi32(q[i]));
        }
    }
    UNROLL
    for (int i = 0; i < n; i++) {
        UNROLL
        for (int h = 0; h < 2 * panels; h++)
            store_scores(s + i * QL_KV_CHUNK + h * 8, acc[i][h], k_scale + h * 8, scales->d[first + (size_t)i]);
    }
}

#include "kernel/attend_body.inc"
