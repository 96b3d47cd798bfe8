// SPDX-License-Identifier: MIT
// Matrix products for AVX-512 with VNNI: 16 rows in the lanes of a vector, up to 12 activation rows at once, so that a
// weight vector is loaded once for 12 products. vpdpbusd sums bytes in 32 bits, so every type goes by bytes. Compiled with
// its own flags.
#include "kernel/dot_avx512.inc"
#include "kernel/encode.h"
#include "kernel/layout.h"
#include "kernel/levels.h"
#include "kernel/vec.h"
#include "kernel/x86.inc"

#define V_BYTES 64

enum { TILE_ROWS = 12 };

typedef __m512i lanes;
typedef __m512 reals;

typedef const int8_t *operand;
INLINE operand operand_of(const int8_t *p) { return p; }
INLINE lanes first(const int32_t *nsum, int zero)
{
    return _mm512_slli_epi32(_mm512_set1_epi32(*nsum), (unsigned)__builtin_ctz((unsigned)zero));
}
INLINE lanes whole(lanes acc) { return acc; }
INLINE lanes whole_scaled(lanes acc, lanes scale) { return _mm512_mullo_epi32(acc, scale); }

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

INLINE lanes scale_of_bytes(const int8_t *p) { return lanes_of_bytes(p); }

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
