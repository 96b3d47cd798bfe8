// SPDX-License-Identifier: MIT
// Matrix products for AVX2: 16 rows in two vectors, 4 activation rows at once. Compiled with its own flags. vpmaddubsw adds
// two products of bytes in 16 bits, where those of a block fit for weights to 5 bits, of half a block for 6 bits; types with weights
// of 8 bits go by pairs.
#include "kernel/encode.h"
#include "kernel/layout.h"
#include "kernel/levels.h"
#include "kernel/vec.h"
#include "kernel/x86.inc"

#define V_BYTES 32

enum {
    TILE_ROWS = 4,
    ROWS_STRAIGHT = 2, // rows that are multiplied straight from the panel with their sums in registers; a quad has them in memory
    BLOCK_ROWS = 128, // activation rows whose blocks of a slice stay in the second-level cache, 512 KB: 200 KB of pairs
    SLICE_PANELS = 1,
    SUMS_STAY = 0,
    SLICE_ZERO = 0, // that of the type
};

INLINE bool loads_itself(int t)
{
    (void)t;
    return false;
}

INLINE size_t rest_rows(size_t rest)
{
    (void)rest;
    return TILE_ROWS;
}

typedef __m256i lanes;
typedef __m256 reals;

INLINE __m256i pair_of(const int16_t *p)
{
    int32_t both;
    __builtin_memcpy(&both, p, 4);
    return _mm256_set1_epi32(both);
}

INLINE lanes dot(lanes acc, lanes w, __m256i x)
{
    acc = _mm256_add_epi32(acc, _mm256_madd_epi16(w, x));
    __asm__("" : "+x"(acc)); // GCC 12 would put all additions of a block off, and spill what they wait for
    return acc;
}

typedef __m256i operand;
INLINE __m256i operand_of(const int8_t *p) { return pair_of((const int16_t *)(const void *)p); }

INLINE lanes dot4(lanes acc, lanes w, operand x)
{
    acc = _mm256_add_epi16(acc, _mm256_maddubs_epi16(w, x));
    __asm__("" : "+x"(acc));
    return acc;
}

INLINE lanes dot4_at(lanes acc, lanes w, const int8_t *p) { return dot4(acc, w, operand_of(p)); }

// acc is two sums of 16 bits, of two products a group each (2 * 63 * 127 at most). Beginning with its zero point, a sum is never
// beyond what the larger side of the weights makes of it: 16 * 8 * 127 for 4 bits, 16 * 16 * 127 for 5, and for 6 bits, which
// have a scale for each half of a block, 8 * 32 * 127. Without one, 4 bits make 16 * 15 * 127 and 5 too much, so they get one.
INLINE int acc_zero(ql_dtype dtype, int zero) { return dtype == QL_Q5_1 || dtype == QL_Q5_K ? 16 : zero; }
INLINE lanes begin_half(const int16_t half[2], int zero) { return _mm256_slli_epi16(pair_of(half), __builtin_ctz((unsigned)zero)); }
INLINE lanes begin_block(const int16_t first[2], const int16_t second[2], const int32_t *nsum, int zero)
{
    (void)nsum;
    return _mm256_slli_epi16(_mm256_add_epi16(pair_of(first), pair_of(second)), __builtin_ctz((unsigned)zero));
}

// Of one group all can go to the second sum: 2 * 63 * 127 + 32 * 4 * 127 at most.
INLINE lanes begin_group(const int32_t *nsum, int zero)
{
    return _mm256_slli_epi32(_mm256_set1_epi32(*nsum), 16 - 7 + __builtin_ctz((unsigned)zero));
}
INLINE lanes times_zero(const int32_t *nsum, int zero)
{
    return _mm256_srai_epi32(_mm256_set1_epi32(*nsum), 7 - __builtin_ctz((unsigned)zero));
}
INLINE lanes whole(lanes acc) { return _mm256_madd_epi16(acc, _mm256_set1_epi16(1)); }

INLINE reals to_reals(lanes x) { return _mm256_cvtepi32_ps(x); }
INLINE reals multiply_add(reals a, reals b, reals c) { return _mm256_fmadd_ps(a, b, c); }
INLINE reals all_of(float x) { return _mm256_set1_ps(x); }
INLINE reals reals_load(const float *p) { return _mm256_loadu_ps(p); }
INLINE void reals_store(float *p, reals x) { _mm256_storeu_ps(p, x); }
INLINE reals reals_of_halves(const uint8_t *p) { return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p)); }
INLINE lanes lanes_of_bytes(const int8_t *p) { return _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)p)); }

INLINE __m256i iq4_bytes(__m256i index)
{
    __m128i values = _mm_loadu_si128((const __m128i *)ql_iq4_values);
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(_mm_xor_si128(values, _mm_set1_epi8((char)0x80))), index);
}

INLINE __m256i fifth_bits(const uint8_t *src)
{
    const __m256i byte = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    const __m256i bit = _mm256_set1_epi64x((int64_t)0x8040201008040201);
    int32_t bits;
    __builtin_memcpy(&bits, src, 4);
    __m256i v = _mm256_and_si256(_mm256_shuffle_epi8(_mm256_set1_epi32(bits), byte), bit);
    return _mm256_and_si256(_mm256_cmpeq_epi8(v, bit), _mm256_set1_epi8(16));
}

#include "kernel/act_body.inc"
#include "kernel/act_x86.inc"
#include "kernel/unpack.inc"
#include "kernel/mm_x86.inc"
#include "kernel/mm_bytes.inc"
#include "kernel/mm_pairs.inc"

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
        return reals_of_halves(p);
    __m256i v = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(v, 16));
}
INLINE vf vf_weights(ql_dtype dtype, const uint8_t *p)
{
    return (vf){weights_8(dtype, p), weights_8(dtype, p + (dtype == QL_F32 ? 32 : 16))};
}

#include "kernel/float_x86.inc"

#define LEVEL avx2
#define MATMUL_FEW matmul_bytes
#define ACT_FEW QL_ACT_BYTES
#define MATMUL_MANY matmul_pairs
#define ACT_MANY QL_ACT_PAIRS
#define ENCODERS QL_ENCODE_TABLE(avx2),
#include "kernel/matmul_table.inc"
