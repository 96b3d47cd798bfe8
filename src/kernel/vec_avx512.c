// SPDX-License-Identifier: MIT
// The AVX-512 level of the row kernels: 16 lanes are one register. Compiled with -mavx512f/bw/vl/dq/vnni; nothing of it
// may be reached on a CPU without them.
#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

static inline vf vscale(vf p, vf n, vf t)
{
    (void)t;
    return _mm512_scalef_ps(p, n);
}

// A NaN converts to 0x80000000, whose low byte is 0.
static inline void vstore_q8(int8_t *q, vf a)
{
    _mm_storeu_si128((__m128i *)(void *)q, _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(a)));
}

static inline vf vload_i8(const int8_t *p)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(const void *)p)));
}

#define QL_VEC(name) ql_vec_avx512_##name
#include "kernel/vec_body.inc"
#include "kernel/activation_body.inc"

#define QK_QUERIES 12
#define QK_PANELS(n) ((n) <= 3 ? 4 : (n) <= 6 ? 2 : 1)
#define PV_QUERIES 6
#define PV_WIDTH(n) 4
#define QK_Q8

typedef int32_t __attribute__((may_alias)) quad; // 4 int8 of a query

// acc += u8 . s8 over 4 bytes a lane, the query's 4 bytes for all lanes. As text, since GCC 12 makes an instruction of
// its own of the broadcast: twice as many for the inner loop of the scores.
static inline __m512i dot4(__m512i acc, __m512i keys, const quad *query)
{
    __asm__("vpdpbusd %2%{1to16%}, %1, %0" : "+v"(acc) : "v"(keys), "m"(*query));
    return acc;
}

INLINE void qk_q8_tile(int n, int panels, const uint8_t *k, const float *k_scale, const void *tile, size_t first,
                       size_t head_dim, float *s)
{
    const ql_query_scales *scales = tile;
    const quad *q = (const quad *)(const void *)(scales + 1) + first;
    __m512i acc[QK_QUERIES][4];
    UNROLL
    for (int i = 0; i < n; i++) {
        UNROLL
        for (int p = 0; p < panels; p++)
            acc[i][p] = _mm512_set1_epi32(scales->zero[first + (size_t)i]);
    }
    for (size_t d = 0; d < head_dim; d += 4, q += QL_QUERY_MAX) {
        UNROLL
        for (int p = 0; p < panels; p++) {
            __m512i keys = _mm512_loadu_si512(k + ((size_t)p * head_dim + d) * LANES);
            UNROLL
            for (int i = 0; i < n; i++)
                acc[i][p] = dot4(acc[i][p], keys, q + i);
        }
    }
    UNROLL
    for (int i = 0; i < n; i++) {
        UNROLL
        for (int p = 0; p < panels; p++) {
            vf scale = vmul(vset(scales->d[first + (size_t)i]), vload(k_scale + p * LANES));
            vstore(s + i * QL_KV_CHUNK + p * LANES, vmul(_mm512_cvtepi32_ps(acc[i][p]), scale));
        }
    }
}

#include "kernel/attend_body.inc"
