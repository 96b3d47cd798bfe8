// SPDX-License-Identifier: MIT
// Matrix products for AVX-512 with VNNI: 16 rows in the lanes of a vector, two panels times 6 activation rows at once, so that
// 8 loads serve 12 products: where two are begun a cycle (Intel's servers), one load for each would be the limit. vpdpbusd sums
// bytes in 32 bits, so every type goes by bytes. Compiled with its own flags.
#include "kernel/dot_avx512.inc"
#include "kernel/encode.h"
#include "kernel/layout.h"
#include "kernel/levels.h"
#include "kernel/vec.h"
#include "kernel/x86.inc"

#define V_BYTES 64

enum {
    TILE_ROWS = 6,
    ROWS_STRAIGHT = 8, // rows that are multiplied straight from the panel, at most, their sums in registers
    BLOCK_ROWS = 264, // activation rows whose blocks of a slice stay in the second-level cache, 1 MB, whole quads and tiles: 300 KB
    SLICE_PANELS = 2,
    SUMS_STAY = 1,    // of a tile, in registers from block to block
    SLICE_ZERO = 128, // the zero point of unpacked weights that have one
};

// Some rows' operands are loaded by each product that has them: one operation less, one load more. There are loads to spare, but
// not for all.
INLINE bool loads_itself(int t) { return t % 3 == 0; }

// Rows of a tile for so many that are left.
INLINE size_t rest_rows(size_t rest) { return rest >= TILE_ROWS ? TILE_ROWS : (rest + 1) / 2 * 2; }

typedef __m512i lanes;
typedef __m512 reals;

typedef __m512i operand;
INLINE operand operand_of(const int8_t *p)
{
    int32_t all;
    __builtin_memcpy(&all, p, 4);
    return _mm512_set1_epi32(all);
}
INLINE lanes times_zero(const int32_t *nsum, int zero)
{
    return _mm512_srai_epi32(_mm512_set1_epi32(*nsum), 7 - (unsigned)__builtin_ctz((unsigned)zero));
}
INLINE lanes begin_group(const int32_t *nsum, int zero) { return times_zero(nsum, zero); }
INLINE int acc_zero(ql_dtype dtype, int zero) { return (void)dtype, zero; }
INLINE lanes begin_half(const int16_t half[2], int zero)
{
    return dot2(_mm512_setzero_si512(), _mm512_set1_epi16((int16_t)zero), half);
}
INLINE lanes begin_block(const int16_t first[2], const int16_t second[2], const int32_t *nsum, int zero)
{
    (void)first, (void)second;
    return times_zero(nsum, zero);
}
INLINE lanes whole(lanes acc) { return acc; }

INLINE reals to_reals(lanes x) { return _mm512_cvtepi32_ps(x); }
INLINE reals multiply_add(reals a, reals b, reals c) { return _mm512_fmadd_ps(a, b, c); }
INLINE reals all_of(float x) { return _mm512_set1_ps(x); }
INLINE reals reals_load(const float *p) { return _mm512_loadu_ps(p); }
INLINE void reals_store(float *p, reals x) { _mm512_storeu_ps(p, x); }
INLINE reals reals_of_halves(const uint8_t *p) { return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p)); }
INLINE lanes lanes_of_bytes(const int8_t *p) { return _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p)); }

INLINE __m512i iq4_bytes(__m512i index)
{
    __m128i values = _mm_loadu_si128((const __m128i *)ql_iq4_values);
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(_mm_xor_si128(values, _mm_set1_epi8((char)0x80))), index);
}

INLINE __m512i fifth_bits(const uint8_t *src)
{
    __mmask64 bits;
    __builtin_memcpy(&bits, src, 8);
    return _mm512_maskz_set1_epi8(bits, 16);
}

#include "kernel/act_body.inc"
#include "kernel/act_x86.inc"
#include "kernel/unpack.inc"
#include "kernel/mm_x86.inc"
#include "kernel/mm_bytes.inc"

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
        return reals_of_halves(p);
    __m512i v = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(v, 16));
}

#include "kernel/float_x86.inc"

#define LEVEL avx512
#define MATMUL_FEW matmul_bytes
#define ACT_FEW QL_ACT_BYTES
#define MATMUL_MANY matmul_bytes
#define ACT_MANY QL_ACT_BYTES
#define ENCODERS QL_ENCODE_TABLE(avx512),
#include "kernel/matmul_table.inc"
