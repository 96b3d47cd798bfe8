// SPDX-License-Identifier: MIT
// Matrix products for AVX2: 16 rows in two vectors, 4 activation rows at once. Compiled with its own flags.
//
// vpmaddubsw sums two products into 16 bits, where 255 * 127 * 2 does not fit. Weights of up to 6 bits add several
// pairs before they are widened, as many as can not overflow; wider ones ("wide") are signed here and go in as
// magnitudes, their signs on the activations: 2 * 128 * 127 fits.
#include "kernel/encode.h"
#include "kernel/layout.h"
#include "kernel/levels.h"
#include "kernel/vec.h"
#include "kernel/x86.inc"

#define V_BYTES 32

INLINE __m256i load(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }
INLINE void store(void *p, __m256i v) { _mm256_storeu_si256((__m256i *)p, v); }
INLINE __m256 halves(const uint8_t *p) { return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p)); }

INLINE void halves_to_f32(const uint8_t *src, float out[16])
{
    _mm256_storeu_ps(out, halves(src));
    _mm256_storeu_ps(out + 8, halves(src + 16));
}

// Signed, as all wide weights here.
typedef __m256i iq4_vector;
INLINE iq4_vector iq4_table(void)
{
    return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)ql_iq4_values));
}
INLINE iq4_vector iq4_bytes(iq4_vector table, iq4_vector index) { return _mm256_shuffle_epi8(table, index); }

#include "kernel/act_body.inc"
#include "kernel/act_x86.inc"
#include "kernel/unpack_256.inc"

// How many groups may be added in 16 bits: 2 * (2^bits - 1) * 127 each.
INLINE int pairs_of(ql_dtype dtype)
{
    switch (dtype) {
    case QL_Q8_0: case QL_IQ4_NL: case QL_IQ4_XS: return 1;
    case QL_Q6_K: return 2;
    case QL_Q4_0: case QL_Q4_1: case QL_Q4_K: return 8;
    default: return 4;
    }
}
INLINE bool is_wide(ql_dtype dtype) { return pairs_of(dtype) == 1; }

// 4 bytes or a pair of 16-bit numbers to all lanes.
INLINE __m256i spread(const void *p)
{
    int32_t four;
    __builtin_memcpy(&four, p, 4);
    return _mm256_set1_epi32(four);
}

// Keeps the compiler from moving the additions of a whole block to its end, which would spill (GCC 12).
#define PIN(v) __asm__("" : "+x"(v))

// ---- weights ----

// Bit i of 32 to byte i, as 16.
INLINE __m256i fifth_bits(const uint8_t *src)
{
    const __m256i byte = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    const __m256i bit = _mm256_set1_epi64x((int64_t)0x8040201008040201);
    __m256i v = _mm256_and_si256(_mm256_shuffle_epi8(spread(src), byte), bit);
    return _mm256_and_si256(_mm256_cmpeq_epi8(v, bit), _mm256_set1_epi8(16));
}

// The weights of k-group g of a panel's block, 8 rows: unsigned bytes, or signed when wide.
INLINE __m256i group_32(ql_dtype dtype, const uint8_t *block, int g, int half)
{
    const uint8_t *src = block + quants_at_32(dtype);
    if (dtype == QL_Q8_0)
        return _mm256_xor_si256(load(src + 64 * g + 32 * half), _mm256_set1_epi8((char)0x80));
    __m256i v = load(src + 64 * (g % 4) + 32 * half), low = _mm256_set1_epi8(15);
    v = _mm256_and_si256(g < 4 ? v : _mm256_srli_epi16(v, 4), low);
    if (dtype == QL_IQ4_NL)
        return iq4_bytes(iq4_table(), v);
    return has_bits_32(dtype) ? _mm256_or_si256(v, fifth_bits(src - 64 + 8 * g + 4 * half)) : v;
}

// Where k-groups come from: a panel's block, or bytes that are unpacked, [group][64].
typedef enum source { PANEL, UNPACKED } source;

INLINE __m256i group_of(ql_dtype dtype, source from, const uint8_t *w, int g, int half)
{
    return from == PANEL ? group_32(dtype, w, g, half) : load(w + 64 * g + 32 * half);
}

// acc[t] += factor * dot of n_groups k-groups of 8 rows and q[g][t]; factor: pairs of 16-bit numbers.
INLINE void dot_groups(ql_dtype dtype, source from, const uint8_t *w, int half, int n_groups, __m256i factor,
                       const int8_t (*q)[QL_QUAD_ROWS][4], int nt, __m256i *acc)
{
    int pairs = pairs_of(dtype);
    UNROLL for (int g0 = 0; g0 < n_groups; g0 += pairs) {
        __m256i narrow[QL_QUAD_ROWS];
        UNROLL for (int t = 0; t < nt; t++)
            narrow[t] = _mm256_setzero_si256();
        UNROLL for (int g = g0; g < g0 + pairs; g++) {
            __m256i v = group_of(dtype, from, w, g, half), magnitude = is_wide(dtype) ? _mm256_abs_epi8(v) : v;
            UNROLL for (int t = 0; t < nt; t++) {
                __m256i x = spread(q[g][t]);
                __m256i product = _mm256_maddubs_epi16(magnitude, is_wide(dtype) ? _mm256_sign_epi8(x, v) : x);
                narrow[t] = _mm256_add_epi16(narrow[t], product);
                PIN(narrow[t]);
            }
        }
        UNROLL for (int t = 0; t < nt; t++)
            acc[t] = _mm256_add_epi32(acc[t], _mm256_madd_epi16(narrow[t], factor));
    }
}

// ---- blocks of 32 ----

// One block, 8 rows and nt activation rows, added to sum. d, m: scales and minimums of the rows.
INLINE void add_block(ql_dtype dtype, source from, const uint8_t *w, int half, __m256 d, __m256 m,
                      const ql_quad32 *quad, int nt, __m256 *sum)
{
    __m256i acc[QL_QUAD_ROWS];
    int shift = is_wide(dtype) ? 0 : zero_shift_32(dtype);
    UNROLL for (int t = 0; t < nt; t++)
        acc[t] = shift ? _mm256_slli_epi32(_mm256_set1_epi32(quad->nsum[t]), shift) : _mm256_setzero_si256();
    dot_groups(dtype, from, w, half, QL_GROUPS_32, _mm256_set1_epi16(1), quad->q, nt, acc);
    UNROLL for (int t = 0; t < nt; t++) {
        sum[t] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(acc[t]), _mm256_mul_ps(d, _mm256_set1_ps(quad->d[t])), sum[t]);
        if (has_min_32(dtype))
            sum[t] = _mm256_fmadd_ps(m, _mm256_set1_ps(quad->ds[t]), sum[t]);
    }
}

// One or two tokens: straight from the panel. 16 rows x nt tokens over a whole row.
INLINE void tile_panel(ql_dtype dtype, int nt, const uint8_t *block, size_t n_blocks, const ql_quad32 *quads, float *y,
                       size_t ldy)
{
    __m256 sum[2][QL_QUAD_ROWS];
    UNROLL for (int t = 0; t < nt; t++)
        sum[0][t] = sum[1][t] = _mm256_setzero_ps();
    for (size_t b = 0; b < n_blocks; b++, block += block_bytes_32(dtype)) {
        prefetch(block, block_bytes_32(dtype));
        UNROLL for (int half = 0; half < 2; half++) {
            __m256 d = halves(block + 16 * half), m = has_min_32(dtype) ? halves(block + 32 + 16 * half) : d;
            add_block(dtype, PANEL, block, half, d, m, &quads[b], nt, sum[half]);
            __asm__ volatile("" ::: "memory"); // or what both halves load is kept for the second, and spills
        }
    }
    UNROLL for (int t = 0; t < nt; t++) {
        _mm256_storeu_ps(y + (size_t)t * ldy, sum[0][t]);
        _mm256_storeu_ps(y + (size_t)t * ldy + 8, sum[1][t]);
    }
}

enum { SLICE = 16 }; // blocks that are unpacked at a time: 8 KB, a quarter of the first-level cache

typedef struct slice {
    _Alignas(64) uint8_t q[SLICE][QL_GROUPS_32][64];
    float d[SLICE][16], m[SLICE][16];
} slice;

INLINE void unpack_slice(ql_dtype dtype, const uint8_t *block, size_t n, slice *s)
{
    for (size_t b = 0; b < n; b++, block += block_bytes_32(dtype)) {
        UNROLL for (int g = 0; g < QL_GROUPS_32; g++) {
            store(s->q[b][g], group_32(dtype, block, g, 0));
            store(s->q[b][g] + 32, group_32(dtype, block, g, 1));
        }
        halves_to_f32(block, s->d[b]);
        if (has_min_32(dtype))
            halves_to_f32(block + 32, s->m[b]);
    }
}

// Many tokens: 8 rows x 4 tokens of a slice, added to y.
INLINE void tile_slice(ql_dtype dtype, const slice *s, int half, size_t n, const ql_quad32 *quads, float *y, size_t ldy,
                       size_t n_store, bool first)
{
    __m256 sum[QL_QUAD_ROWS];
    UNROLL for (int t = 0; t < QL_QUAD_ROWS; t++)
        sum[t] = first || (size_t)t >= n_store ? _mm256_setzero_ps() : _mm256_loadu_ps(y + (size_t)t * ldy);
    for (size_t b = 0; b < n; b++)
        add_block(dtype, UNPACKED, s->q[b][0], half, _mm256_loadu_ps(s->d[b] + 8 * half),
                  _mm256_loadu_ps(s->m[b] + 8 * half), &quads[b], QL_QUAD_ROWS, sum);
    UNROLL for (int t = 0; t < QL_QUAD_ROWS; t++)
        if ((size_t)t < n_store)
            _mm256_storeu_ps(y + (size_t)t * ldy, sum[t]);
}

INLINE void matmul_32(ql_dtype dtype, QL_MATMUL_ARGUMENTS)
{
    size_t n_blocks = n_cols / 32;
    slice s;
    for (size_t p = p_begin; p < p_end; p++) {
        const uint8_t *panel = panels + p * n_blocks * block_bytes_32(dtype);
        float *out = y + p * QL_PANEL_ROWS;
        if (n_tokens <= 2) {
            if (n_tokens == 2)
                tile_panel(dtype, 2, panel, n_blocks, acts, out, ldy);
            else if (n_tokens == 1)
                tile_panel(dtype, 1, panel, n_blocks, acts, out, ldy);
            continue;
        }
        for (size_t b = 0; b < n_blocks; b += SLICE) {
            size_t n = n_blocks - b < SLICE ? n_blocks - b : SLICE;
            unpack_slice(dtype, panel + b * block_bytes_32(dtype), n, &s);
            for (size_t t = 0; t < n_tokens; t += QL_QUAD_ROWS) {
                const ql_quad32 *quads = (const ql_quad32 *)acts + t / QL_QUAD_ROWS * n_blocks + b;
                for (int half = 0; half < 2; half++)
                    tile_slice(dtype, &s, half, n, quads, out + t * ldy + 8 * half, ldy, n_tokens - t, b == 0);
            }
        }
    }
}

// ---- super-blocks of 256 ----

// Sum of minimums (or of scales times zero points) times minus the activations' sums, of 8 rows.
INLINE __m256i minimums(const ql_tile256 *w, int half, const ql_quad256 *quad, int t)
{
    __m256i sum = _mm256_setzero_si256();
    UNROLL for (int j = 0; j < QL_SUBS_256 / 2; j++)
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(load(w->min[j] + 8 * half), spread(quad->nsum[j][t])));
    return sum;
}

// 8 rows x nt tokens of one super-block, added to y.
INLINE void add_tile(ql_dtype dtype, const ql_tile256 *w, int half, const ql_quad256 *quad, int nt, float *y,
                     size_t ldy, size_t n_store, bool first)
{
    int n_subs = n_subs_256(dtype), n_groups = QL_GROUPS_256 / n_subs;
    __m256i isum[QL_QUAD_ROWS];
    UNROLL for (int t = 0; t < nt; t++)
        isum[t] = has_min_256(dtype) || is_wide(dtype) ? _mm256_setzero_si256() : minimums(w, half, quad, t);
    for (int s = 0; s < n_subs; s++) {
        dot_groups(dtype, UNPACKED, w->q[n_groups * s], half, n_groups, load(w->scale[s] + 8 * half),
                   quad->q + n_groups * s, nt, isum);
    }
    UNROLL for (int t = 0; t < nt; t++) {
        if ((size_t)t >= n_store)
            continue;
        float *out = y + (size_t)t * ldy;
        __m256 sum = first ? _mm256_setzero_ps() : _mm256_loadu_ps(out), da = _mm256_set1_ps(quad->d[t]);
        sum = _mm256_fmadd_ps(_mm256_cvtepi32_ps(isum[t]), _mm256_mul_ps(_mm256_loadu_ps(w->d + 8 * half), da), sum);
        if (has_min_256(dtype))
            sum = _mm256_fmadd_ps(_mm256_cvtepi32_ps(minimums(w, half, quad, t)),
                                  _mm256_mul_ps(_mm256_loadu_ps(w->dmin + 8 * half), da), sum);
        _mm256_storeu_ps(out, sum);
    }
}

INLINE void matmul_256(ql_dtype dtype, QL_MATMUL_ARGUMENTS)
{
    size_t n_blocks = n_cols / 256;
    ql_tile256 tile;
    for (size_t p = p_begin; p < p_end; p++)
        for (size_t b = 0; b < n_blocks; b++) {
            const uint8_t *block = panels + (p * n_blocks + b) * block_bytes_256(dtype);
            if (n_tokens <= QL_QUAD_ROWS)
                prefetch(block, block_bytes_256(dtype));
            unpack_256(dtype, block, &tile);
            for (size_t t = 0; t < n_tokens; t += QL_QUAD_ROWS)
                for (int half = 0; half < 2; half++) {
                    const ql_quad256 *quad = (const ql_quad256 *)acts + t / QL_QUAD_ROWS * n_blocks + b;
                    float *out = y + t * ldy + p * QL_PANEL_ROWS + 8 * half;
                    if (n_tokens - t == 1)
                        add_tile(dtype, &tile, half, quad, 1, out, ldy, 1, b == 0);
                    else if (n_tokens - t == 2)
                        add_tile(dtype, &tile, half, quad, 2, out, ldy, 2, b == 0);
                    else
                        add_tile(dtype, &tile, half, quad, 4, out, ldy, n_tokens - t, b == 0);
                }
        }
}

// ---- F32, F16, BF16 ----

typedef struct vf {
    __m256 a, b;
} vf;
enum { TOKENS_FLOAT = 4 };
INLINE vf vf_zero(void) { return (vf){_mm256_setzero_ps(), _mm256_setzero_ps()}; }
INLINE void vf_store(float *p, vf v)
{
    _mm256_storeu_ps(p, v.a);
    _mm256_storeu_ps(p + 8, v.b);
}
INLINE vf vf_fma(vf w, float x, vf c)
{
    return (vf){_mm256_fmadd_ps(w.a, _mm256_set1_ps(x), c.a), _mm256_fmadd_ps(w.b, _mm256_set1_ps(x), c.b)};
}
INLINE __m256 weights_8(ql_dtype dtype, const uint8_t *p)
{
    if (dtype == QL_F32)
        return _mm256_loadu_ps((const float *)(const void *)p);
    if (dtype == QL_F16)
        return halves(p);
    __m256i v = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(v, 16));
}
INLINE vf vf_weights(ql_dtype dtype, const uint8_t *p)
{
    return (vf){weights_8(dtype, p), weights_8(dtype, p + (dtype == QL_F32 ? 32 : 16))};
}

#include "kernel/float_x86.inc"

#define LEVEL avx2
#define ENCODERS QL_ENCODE_TABLE(avx2),
#include "kernel/matmul_table.inc"
