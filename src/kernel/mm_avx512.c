// SPDX-License-Identifier: MIT
// Matrix products for AVX-512 with VNNI: 16 rows in the lanes of a vector, up to 12 activation rows at once, so that a
// weight vector is loaded once for 12 products. Compiled with its own flags.
//
// The one trick: a k-group of an activation is a 4-byte operand that vpdpbusd broadcasts from memory by itself
// (dot_avx512.inc). A type's zero point costs nothing: accumulators start
// with minus the sum of the activations, shifted.
#include "kernel/dot_avx512.inc"
#include "kernel/encode.h"
#include "kernel/layout.h"
#include "kernel/levels.h"
#include "kernel/vec.h"
#include "kernel/x86.inc"

#define V_BYTES 64

enum { TOKENS_MAX = 12 };

INLINE __m512 halves(const uint8_t *p) { return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p)); }
INLINE void halves_to_f32(const uint8_t *src, float out[16]) { _mm512_storeu_ps(out, halves(src)); }

typedef __m512i iq4_vector;
INLINE iq4_vector iq4_table(void)
{
    __m128i values = _mm_loadu_si128((const __m128i *)ql_iq4_values);
    return _mm512_broadcast_i32x4(_mm_xor_si128(values, _mm_set1_epi8((char)0x80)));
}
INLINE iq4_vector iq4_bytes(iq4_vector table, iq4_vector index) { return _mm512_shuffle_epi8(table, index); }

#include "kernel/act_body.inc"
#include "kernel/act_x86.inc"
#include "kernel/unpack_256.inc"

// The weights of k-group g of a block, as unsigned bytes.
INLINE __m512i group_32(ql_dtype dtype, const uint8_t *block, int g)
{
    const uint8_t *src = block + quants_at_32(dtype);
    if (dtype == QL_Q8_0)
        return _mm512_loadu_si512(src + 64 * g);
    __m512i v = _mm512_loadu_si512(src + 64 * (g % 4)), low = _mm512_set1_epi8(15);
    v = _mm512_and_si512(g < 4 ? v : _mm512_srli_epi16(v, 4), low);
    if (dtype == QL_IQ4_NL)
        return iq4_bytes(iq4_table(), v);
    if (has_bits_32(dtype)) {
        __mmask64 bits;
        __builtin_memcpy(&bits, src - 64 + 8 * g, 8);
        return _mm512_mask_add_epi8(v, bits, v, _mm512_set1_epi8(16));
    }
    return v;
}

// 16 rows x nt tokens over a whole row. quads: those of the tile's first token, stride quads apart.
INLINE void tile_32(ql_dtype dtype, int nt, const uint8_t *block, size_t n_blocks, const ql_quad32 *quads, float *y,
                    size_t ldy, size_t n_store)
{
    __m512 sum[TOKENS_MAX];
    UNROLL for (int t = 0; t < nt; t++)
        sum[t] = _mm512_setzero_ps();
    for (size_t b = 0; b < n_blocks; b++, block += block_bytes_32(dtype), quads++) {
        __m512i acc[TOKENS_MAX];
        if (nt <= QL_QUAD_ROWS)
            prefetch(block, block_bytes_32(dtype));
        UNROLL for (int t = 0; t < nt; t++) {
            const ql_quad32 *quad = quads + (size_t)(t / 4) * n_blocks;
            acc[t] = zero_shift_32(dtype)
                         ? _mm512_slli_epi32(_mm512_set1_epi32(quad->nsum[t % 4]), zero_shift_32(dtype))
                         : _mm512_setzero_si512();
        }
        UNROLL for (int g = 0; g < QL_GROUPS_32; g++) {
            int group = g / 2 + 4 * (g % 2); // both nibbles of a vector in turn
            __m512i w = group_32(dtype, block, group);
            UNROLL for (int t = 0; t < nt; t++)
                acc[t] = dot4(acc[t], w, quads[(size_t)(t / 4) * n_blocks].q[group][t % 4]);
        }
        __m512 d = halves(block);
        UNROLL for (int t = 0; t < nt; t++) {
            const ql_quad32 *quad = quads + (size_t)(t / 4) * n_blocks;
            __m512 scale = _mm512_mul_ps(d, _mm512_set1_ps(quad->d[t % 4]));
            sum[t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(acc[t]), scale, sum[t]);
        }
        if (has_min_32(dtype)) {
            __m512 m = halves(block + 32);
            UNROLL for (int t = 0; t < nt; t++)
                sum[t] = _mm512_fmadd_ps(m, _mm512_set1_ps(quads[(size_t)(t / 4) * n_blocks].ds[t % 4]), sum[t]);
        }
    }
    UNROLL for (int t = 0; t < nt; t++)
        if ((size_t)t < n_store)
            _mm512_storeu_ps(y + (size_t)t * ldy, sum[t]);
}

INLINE void matmul_32(ql_dtype dtype, QL_MATMUL_ARGUMENTS)
{
    size_t n_blocks = n_cols / 32;
    for (size_t p = p_begin; p < p_end; p++) {
        const uint8_t *panel = panels + p * n_blocks * block_bytes_32(dtype);
        size_t t = 0;
        for (; t + 8 < n_tokens; t += 12)
            tile_32(dtype, 12, panel, n_blocks, (const ql_quad32 *)acts + t / 4 * n_blocks, y + t * ldy + p * 16, ldy,
                    n_tokens - t);
        const ql_quad32 *quads = (const ql_quad32 *)acts + t / 4 * n_blocks;
        float *out = y + t * ldy + p * 16;
        size_t left = t < n_tokens ? n_tokens - t : 0;
        if (left > 4)
            tile_32(dtype, 8, panel, n_blocks, quads, out, ldy, left);
        else if (left > 2)
            tile_32(dtype, 4, panel, n_blocks, quads, out, ldy, left);
        else if (left == 2)
            tile_32(dtype, 2, panel, n_blocks, quads, out, ldy, left);
        else if (left == 1)
            tile_32(dtype, 1, panel, n_blocks, quads, out, ldy, left);
    }
}

// ---- super-blocks of 256 ----

// 16 rows x nt tokens of one super-block, added to y: n_subs sub-blocks with a scale each.
INLINE void add_tile(int n_subs, bool has_min, int nt, const ql_tile256 *w, const ql_quad256 *quads, size_t n_blocks,
                     float *y, size_t ldy, size_t n_store, bool first)
{
    int n_groups = QL_GROUPS_256 / n_subs;
    __m512i isum[TOKENS_MAX];
    __m512 sum[TOKENS_MAX], d = _mm512_loadu_ps(w->d), dmin = _mm512_loadu_ps(w->dmin);
    UNROLL for (int t = 0; t < nt; t++)
        isum[t] = _mm512_setzero_si512();
    for (int j = 0; j < QL_SUBS_256 / 2 && !has_min; j++)
        UNROLL for (int t = 0; t < nt; t++)
            isum[t] = dot2(isum[t], _mm512_load_si512(w->min[j]), quads[(size_t)(t / 4) * n_blocks].nsum[j][t % 4]);
    for (int s = 0; s < n_subs; s++) {
        __m512i acc[TOKENS_MAX], scale = _mm512_srai_epi32(_mm512_load_si512(w->scale[s]), 16);
        UNROLL for (int t = 0; t < nt; t++)
            acc[t] = _mm512_setzero_si512();
        UNROLL for (int i = 0; i < n_groups; i++) {
            int g = n_groups * s + i;
            __m512i q = _mm512_load_si512(w->q[g]);
            UNROLL for (int t = 0; t < nt; t++)
                acc[t] = dot4(acc[t], q, quads[(size_t)(t / 4) * n_blocks].q[g][t % 4]);
        }
        UNROLL for (int t = 0; t < nt; t++)
            isum[t] = _mm512_add_epi32(isum[t], _mm512_mullo_epi32(acc[t], scale));
    }
    UNROLL for (int t = 0; t < nt; t++) {
        __m512 da = _mm512_set1_ps(quads[(size_t)(t / 4) * n_blocks].d[t % 4]);
        sum[t] = first || (size_t)t >= n_store ? _mm512_setzero_ps() : _mm512_loadu_ps(y + (size_t)t * ldy);
        sum[t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(isum[t]), _mm512_mul_ps(d, da), sum[t]);
        isum[t] = _mm512_setzero_si512();
    }
    for (int j = 0; j < QL_SUBS_256 / 2 && has_min; j++)
        UNROLL for (int t = 0; t < nt; t++)
            isum[t] = dot2(isum[t], _mm512_load_si512(w->min[j]), quads[(size_t)(t / 4) * n_blocks].nsum[j][t % 4]);
    UNROLL for (int t = 0; t < nt; t++) {
        __m512 da = _mm512_set1_ps(quads[(size_t)(t / 4) * n_blocks].d[t % 4]);
        if (has_min)
            sum[t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(isum[t]), _mm512_mul_ps(dmin, da), sum[t]);
        if ((size_t)t < n_store)
            _mm512_storeu_ps(y + (size_t)t * ldy, sum[t]);
    }
}

// One super-block for all tokens. Functions of their own, shared by the types of a shape. quads: of token 0.
#define ADD_TILES(name, n_subs, has_min)                                                                               \
    static __attribute__((noinline)) void name(const ql_tile256 *w, const ql_quad256 *quads, size_t n_blocks,          \
                                               size_t n_tokens, float *y, size_t ldy, bool first)                      \
    {                                                                                                                  \
        for (size_t t = 0; t < n_tokens; t += TOKENS_MAX, quads += 3 * n_blocks, y += TOKENS_MAX * ldy) {              \
            size_t left = n_tokens - t;                                                                                \
            if (left > 8)                                                                                              \
                add_tile(n_subs, has_min, 12, w, quads, n_blocks, y, ldy, left, first);                                \
            else if (left > 4)                                                                                         \
                add_tile(n_subs, has_min, 8, w, quads, n_blocks, y, ldy, left, first);                                 \
            else if (left > 2)                                                                                         \
                add_tile(n_subs, has_min, 4, w, quads, n_blocks, y, ldy, left, first);                                 \
            else if (left == 2)                                                                                        \
                add_tile(n_subs, has_min, 2, w, quads, n_blocks, y, ldy, left, first);                                 \
            else                                                                                                       \
                add_tile(n_subs, has_min, 1, w, quads, n_blocks, y, ldy, left, first);                                 \
        }                                                                                                              \
    }
ADD_TILES(add_tiles_8, 8, false)
ADD_TILES(add_tiles_8_min, 8, true)
ADD_TILES(add_tiles_16, 16, false)
ADD_TILES(add_tiles_16_min, 16, true)

typedef void add_tiles(const ql_tile256 *, const ql_quad256 *, size_t, size_t, float *, size_t, bool);
INLINE add_tiles *add_tiles_of(ql_dtype dtype)
{
    if (n_subs_256(dtype) == 8)
        return has_min_256(dtype) ? add_tiles_8_min : add_tiles_8;
    return has_min_256(dtype) ? add_tiles_16_min : add_tiles_16;
}

// The sums stay in y from one super-block to the next: a panel is unpacked once for all tokens.
INLINE void matmul_256(ql_dtype dtype, QL_MATMUL_ARGUMENTS)
{
    size_t n_blocks = n_cols / 256;
    ql_tile256 tile;
    for (size_t p = p_begin; p < p_end; p++)
        for (size_t b = 0; b < n_blocks; b++) {
            const ql_quad256 *quads = (const ql_quad256 *)acts + b;
            float *out = y + p * QL_PANEL_ROWS;
            const uint8_t *block = panels + (p * n_blocks + b) * block_bytes_256(dtype);
            if (n_tokens <= QL_QUAD_ROWS)
                prefetch(block, block_bytes_256(dtype));
            unpack_256(dtype, block, &tile);
            add_tiles_of(dtype)(&tile, quads, n_blocks, n_tokens, out, ldy, b == 0);
        }
}

// ---- F32, F16, BF16 ----

typedef __m512 vf;
enum { TOKENS_FLOAT = 12 };
INLINE vf vf_zero(void) { return _mm512_setzero_ps(); }
INLINE void vf_store(float *p, vf v) { _mm512_storeu_ps(p, v); }
INLINE vf vf_fma(vf w, float x, vf c) { return _mm512_fmadd_ps(w, _mm512_set1_ps(x), c); }
INLINE vf vf_weights(ql_dtype dtype, const uint8_t *p)
{
    if (dtype == QL_F32)
        return _mm512_loadu_ps(p);
    if (dtype == QL_F16)
        return halves(p);
    __m512i v = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(v, 16));
}

#include "kernel/float_x86.inc"

#define LEVEL avx512
#define ENCODERS QL_ENCODE_TABLE(avx512),
#include "kernel/matmul_table.inc"
