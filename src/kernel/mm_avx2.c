// SPDX-License-Identifier: MIT
// Matrix products for AVX2: 16 rows in two vectors, 4 activation rows at once. Compiled with its own flags.
//
// vpmaddubsw sums two products into 16 bits, where 255 * 127 * 2 does not fit. Weights of up to 6 bits add several pairs
// before they are widened, as many as can not overflow; 8-bit weights go in as magnitudes, their signs on the
// activations: 2 * 128 * 127 fits.
#include <immintrin.h>

#include "kernel/layout.h"
#include "kernel/levels.h"
#include "kernel/vec.h"

#include "kernel/unpack_body.inc"
#include "kernel/act_body.inc"
#include "kernel/float_body.inc"

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")

INLINE __m256i load(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }

INLINE __m256i group_of(const int8_t *q)
{
    int32_t four;
    __builtin_memcpy(&four, q, 4);
    return _mm256_set1_epi32(four);
}

// Keeps the compiler from moving the additions of a whole block to its end, which would spill (GCC 12).
#define PIN(v) __asm__("" : "+x"(v))

// acc[t] += dot of n_groups k-groups: w [n_groups][64 bytes], of which `half` is the row half; q[g][t].
// pairs: products that are added in 16 bits before widening. wide: weights of 8 bits, less 128.
INLINE void dot_groups(const uint8_t *w, int n_groups, int pairs, bool wide, const int8_t (*q)[QL_QUAD_ROWS][4], int nt,
                       __m256i acc[QL_QUAD_ROWS])
{
    const __m256i ones = _mm256_set1_epi16(1), sign = _mm256_set1_epi8((char)0x80);
    for (int g0 = 0; g0 < n_groups; g0 += pairs) {
        __m256i narrow[QL_QUAD_ROWS];
        UNROLL for (int t = 0; t < nt; t++)
            narrow[t] = _mm256_setzero_si256();
        UNROLL for (int g = g0; g < g0 + pairs; g++) {
            __m256i v = load(w + 64 * g);
            __m256i s = _mm256_xor_si256(v, sign), magnitude = _mm256_abs_epi8(s);
            UNROLL for (int t = 0; t < nt; t++) {
                __m256i x = group_of(q[g][t]);
                __m256i product = wide ? _mm256_maddubs_epi16(magnitude, _mm256_sign_epi8(x, s)) : _mm256_maddubs_epi16(v, x);
                narrow[t] = _mm256_add_epi16(narrow[t], product);
                PIN(narrow[t]);
            }
        }
        UNROLL for (int t = 0; t < nt; t++)
            acc[t] = _mm256_add_epi32(acc[t], _mm256_madd_epi16(narrow[t], ones));
    }
}

// How many groups may be added in 16 bits: 2 * (2^bits - 1) * 127 each.
INLINE int pairs_of(ql_dtype dtype)
{
    switch (dtype) {
    case QL_Q8_0: case QL_IQ4_NL: case QL_IQ4_XS: return 1;
    case QL_Q6_K: return 2;
    case QL_Q4_0: case QL_Q4_1: return 8;
    default: return 4;
    }
}
INLINE bool is_wide(ql_dtype dtype) { return pairs_of(dtype) == 1; }

INLINE __m256 scale_of(const float *d, float a) { return _mm256_mul_ps(_mm256_loadu_ps(d), _mm256_set1_ps(a)); }

// One block of 32 for one half of the rows and nt activation rows, added to sum.
INLINE void block_32(ql_dtype dtype, const uint8_t *w, const float *d, const float *m, const ql_quad32 *quad, int nt,
                     __m256 sum[QL_QUAD_ROWS])
{
    __m256i acc[QL_QUAD_ROWS];
    int shift = is_wide(dtype) ? 0 : zero_shift_32(dtype); // wide weights are signed already
    UNROLL for (int t = 0; t < nt; t++)
        acc[t] = shift ? _mm256_slli_epi32(_mm256_set1_epi32(quad->nsum[t]), shift) : _mm256_setzero_si256();
    dot_groups(w, QL_GROUPS_32, pairs_of(dtype), is_wide(dtype), quad->q, nt, acc);
    UNROLL for (int t = 0; t < nt; t++) {
        sum[t] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(acc[t]), scale_of(d, quad->d[t]), sum[t]);
        if (has_min_32(dtype))
            sum[t] = _mm256_fmadd_ps(_mm256_loadu_ps(m), _mm256_set1_ps(quad->ds[t]), sum[t]);
    }
}

enum { SLICE = 16 }; // blocks that are unpacked at a time: 8 KB, a quarter of the first-level cache

typedef struct slice {
    _Alignas(64) uint8_t q[SLICE][512];
    float d[SLICE][16], m[SLICE][16];
} slice;

INLINE void unpack_slice(ql_dtype dtype, const uint8_t *block, size_t n, slice *s)
{
    for (size_t b = 0; b < n; b++, block += block_bytes_32(dtype)) {
        unpack_32(dtype, block, s->q[b]);
        unpack_halves(block, s->d[b]);
        if (has_min_32(dtype))
            unpack_halves(block + 32, s->m[b]);
    }
}

INLINE void tile_32(ql_dtype dtype, const slice *s, size_t n, const ql_quad32 *quads, int nt, float *y, size_t ldy,
                    size_t n_store, bool first)
{
    for (int half = 0; half < 2; half++) {
        __m256 sum[QL_QUAD_ROWS];
        UNROLL for (int t = 0; t < nt; t++)
            sum[t] = first || (size_t)t >= n_store ? _mm256_setzero_ps() : _mm256_loadu_ps(y + (size_t)t * ldy + 8 * half);
        for (size_t b = 0; b < n; b++)
            block_32(dtype, s->q[b] + 32 * half, s->d[b] + 8 * half, s->m[b] + 8 * half, &quads[b], nt, sum);
        UNROLL for (int t = 0; t < nt; t++)
            if ((size_t)t < n_store)
                _mm256_storeu_ps(y + (size_t)t * ldy + 8 * half, sum[t]);
    }
}

INLINE void matmul_32(ql_dtype dtype, QL_MATMUL_ARGUMENTS)
{
    size_t n_blocks = n_cols / 32;
    slice s;
    for (size_t p = p_begin; p < p_end; p++)
        for (size_t b = 0; b < n_blocks; b += SLICE) {
            size_t n = n_blocks - b < SLICE ? n_blocks - b : SLICE;
            unpack_slice(dtype, panels + (p * n_blocks + b) * block_bytes_32(dtype), n, &s);
            for (size_t t = 0; t < n_tokens; t += QL_QUAD_ROWS) {
                const ql_quad32 *quads = (const ql_quad32 *)acts + t / QL_QUAD_ROWS * n_blocks + b;
                float *out = y + t * ldy + p * QL_PANEL_ROWS;
                if (n_tokens - t == 1)
                    tile_32(dtype, &s, n, quads, 1, out, ldy, 1, b == 0);
                else
                    tile_32(dtype, &s, n, quads, 4, out, ldy, n_tokens - t, b == 0);
            }
        }
}

// ---- super-blocks of 256 ----

INLINE __m256i minimums(const ql_tile256 *w, int half, const ql_quad256 *quad, int t)
{
    __m256i msum = _mm256_setzero_si256();
    for (int s = 0; s < QL_SUBS_256; s++)
        msum = _mm256_add_epi32(msum, _mm256_mullo_epi32(load(w->min[s] + 8 * half), _mm256_set1_epi32(quad->nsum[s][t])));
    return msum;
}

INLINE void add_tile(ql_dtype dtype, const ql_tile256 *w, const ql_quad256 *quad, int nt, float *y, size_t ldy,
                     size_t n_store, bool first)
{
    int shift = is_wide(dtype) ? 0 : w->zero_shift;
    __m128i count = _mm_cvtsi32_si128(shift);
    for (int half = 0; half < 2; half++) {
        __m256i isum[QL_QUAD_ROWS];
        UNROLL for (int t = 0; t < nt; t++)
            isum[t] = _mm256_setzero_si256();
        for (int s = 0; s < QL_SUBS_256; s++) {
            __m256i acc[QL_QUAD_ROWS], scale = load(w->scale[s] + 8 * half);
            UNROLL for (int t = 0; t < nt; t++)
                acc[t] = shift ? _mm256_sll_epi32(_mm256_set1_epi32(quad->nsum[s][t]), count) : _mm256_setzero_si256();
            dot_groups(w->q[4 * s] + 32 * half, 4, pairs_of(dtype), is_wide(dtype), quad->q + 4 * s, nt, acc);
            UNROLL for (int t = 0; t < nt; t++)
                isum[t] = _mm256_add_epi32(isum[t], _mm256_mullo_epi32(acc[t], scale));
        }
        UNROLL for (int t = 0; t < nt; t++) {
            if ((size_t)t >= n_store)
                continue;
            float *out = y + (size_t)t * ldy + 8 * half;
            __m256 sum = first ? _mm256_setzero_ps() : _mm256_loadu_ps(out);
            sum = _mm256_fmadd_ps(_mm256_cvtepi32_ps(isum[t]), scale_of(w->d + 8 * half, quad->d[t]), sum);
            if (w->has_min)
                sum = _mm256_fmadd_ps(_mm256_cvtepi32_ps(minimums(w, half, quad, t)),
                                      scale_of(w->dmin + 8 * half, quad->d[t]), sum);
            _mm256_storeu_ps(out, sum);
        }
    }
}

INLINE void matmul_256(ql_dtype dtype, QL_MATMUL_ARGUMENTS)
{
    size_t n_blocks = n_cols / 256;
    for (size_t p = p_begin; p < p_end; p++)
        for (size_t b = 0; b < n_blocks; b++) {
            ql_tile256 tile;
            unpack_256(dtype, panels + (p * n_blocks + b) * block_bytes_256(dtype), &tile);
            for (size_t t = 0; t < n_tokens; t += QL_QUAD_ROWS) {
                const ql_quad256 *quad = (const ql_quad256 *)acts + t / QL_QUAD_ROWS * n_blocks + b;
                float *out = y + t * ldy + p * QL_PANEL_ROWS;
                if (n_tokens - t == 1)
                    add_tile(dtype, &tile, quad, 1, out, ldy, 1, b == 0);
                else
                    add_tile(dtype, &tile, quad, 4, out, ldy, n_tokens - t, b == 0);
            }
        }
}

#define LEVEL avx2
#include "kernel/matmul_table.inc"
