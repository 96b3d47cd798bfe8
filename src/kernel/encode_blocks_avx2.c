// SPDX-License-Identifier: MIT
// Quantizers of the types with blocks of 32 on AVX2, a block at a time, with the results of the tensor room's definition
// (legacy.c) to the bit. The level above uses them too: a block is four registers of 8, and what is left of the time is
// spent reading the source.
//
// Which of equal elements a scale is taken from matters for the sign of zero alone: it is looked up by position, the first
// one, as the definition does. Blocks that are not finite are given to the definition.
#include <immintrin.h>
#include <string.h>

#include "kernel/encode.h"

enum { BLOCK = 32 };

typedef struct block {
    __m256 x[4]; // 32 weights in order
} block;

static inline block load_block(const float *in)
{
    block b;
    for (int i = 0; i < 4; i++)
        b.x[i] = _mm256_loadu_ps(in + 8 * i);
    return b;
}

static inline __m256 magnitude(__m256 x) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x); }

static inline float largest(__m256 x)
{
    __m128 m = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    m = _mm_max_ps(m, _mm_movehl_ps(m, m));
    return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
}

// Magnitudes as integers keep their order, and put infinities and NaN above all.
static inline bool is_finite(const block *b)
{
    __m256i top = _mm256_setzero_si256();
    for (int i = 0; i < 4; i++)
        top = _mm256_max_epi32(top, _mm256_castps_si256(magnitude(b->x[i])));
    __m256i beyond = _mm256_cmpgt_epi32(top, _mm256_set1_epi32(0x7f7fffff));
    return _mm256_testz_si256(beyond, beyond);
}

// The first element of the block whose value (magnitude) is this; there is one.
static inline float first_equal(const float *in, const block *b, float value, bool of_magnitude)
{
    unsigned mask = 0;
    for (int i = 0; i < 4; i++) {
        __m256 x = of_magnitude ? magnitude(b->x[i]) : b->x[i];
        mask |= (unsigned)_mm256_movemask_ps(_mm256_cmp_ps(x, _mm256_set1_ps(value), _CMP_EQ_OQ)) << 8 * i;
    }
    return in[__builtin_ctz(mask)];
}

static inline float largest_magnitude(const block *b)
{
    __m256 top = magnitude(b->x[0]);
    for (int i = 1; i < 4; i++)
        top = _mm256_max_ps(top, magnitude(b->x[i]));
    return largest(top);
}

static inline float reciprocal(float d) { return d == 0 ? 0 : 1 / d; }

static inline void put_half_at(uint8_t *p, float f)
{
    uint16_t h = ql_f32_to_f16(f);
    memcpy(p, &h, sizeof h);
}

// 4 x 8 integers to 32 bytes in order. Values of 0..255 or -128..127.
static inline __m256i to_bytes(const __m256i q[4], bool with_sign)
{
    __m256i low = _mm256_packs_epi32(q[0], q[1]), high = _mm256_packs_epi32(q[2], q[3]);
    __m256i bytes = with_sign ? _mm256_packs_epi16(low, high) : _mm256_packus_epi16(low, high);
    return _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}

// Truncated to 0..max. What is beyond an integer, and NaN, is INT_MIN to the conversion: 0.
static inline __m256i quantum(__m256 x, int max)
{
    __m256i q = _mm256_max_epi32(_mm256_cvttps_epi32(x), _mm256_setzero_si256());
    return _mm256_min_epi32(q, _mm256_set1_epi32(max));
}

// Nibbles, and the fifth bits before them where qh is not NULL.
static inline void put_quanta(const __m256i q[4], uint8_t *qh, uint8_t *qs)
{
    __m256i bytes = to_bytes(q, false);
    __m128i low = _mm256_castsi256_si128(bytes), high = _mm256_extracti128_si256(bytes, 1);
    __m128i nibble = _mm_set1_epi8(15);
    if (qh) {
        uint32_t fifth = (uint32_t)_mm256_movemask_epi8(_mm256_slli_epi16(bytes, 3));
        memcpy(qh, &fifth, sizeof fifth);
    }
    low = _mm_and_si128(low, nibble);
    high = _mm_slli_epi16(_mm_and_si128(high, nibble), 4);
    _mm_storeu_si128((__m128i *)(void *)qs, _mm_or_si128(low, high));
}

static inline void encode_signed(const float *in, const block *b, int levels, uint8_t *out)
{
    float d = first_equal(in, b, largest_magnitude(b), true) / (float)(-levels / 2);
    __m256 inverse = _mm256_set1_ps(reciprocal(d)), shift = _mm256_set1_ps((float)(levels / 2) + 0.5f);
    __m256i q[4];
    for (int i = 0; i < 4; i++)
        q[i] = quantum(_mm256_add_ps(_mm256_mul_ps(b->x[i], inverse), shift), levels - 1);
    put_half_at(out, d);
    put_quanta(q, levels == 32 ? out + 2 : NULL, levels == 32 ? out + 6 : out + 2);
}

static inline void encode_affine(const float *in, const block *b, int levels, uint8_t *out)
{
    __m256 low = b->x[0], high = low, sign = _mm256_set1_ps(-0.0f);
    for (int i = 1; i < 4; i++) {
        low = _mm256_min_ps(low, b->x[i]);
        high = _mm256_max_ps(high, b->x[i]);
    }
    float min = first_equal(in, b, -largest(_mm256_xor_ps(low, sign)), false);
    float max = first_equal(in, b, largest(high), false), d = (max - min) / (float)(levels - 1);
    __m256 inverse = _mm256_set1_ps(reciprocal(d)), from = _mm256_set1_ps(min), half = _mm256_set1_ps(0.5f);
    __m256i q[4];
    for (int i = 0; i < 4; i++)
        q[i] = quantum(_mm256_add_ps(_mm256_mul_ps(_mm256_sub_ps(b->x[i], from), inverse), half), levels - 1);
    put_half_at(out, d);
    put_half_at(out + 2, min);
    put_quanta(q, levels == 32 ? out + 4 : NULL, levels == 32 ? out + 8 : out + 4);
}

// To the nearest, half away from zero; 0 for what is no quantum.
static inline void encode_q8(const block *b, uint8_t *out)
{
    float d = largest_magnitude(b) / 127;
    __m256 inverse = _mm256_set1_ps(reciprocal(d)), one = _mm256_set1_ps(1), sign = _mm256_set1_ps(-0.0f);
    __m256i q[4];
    for (int i = 0; i < 4; i++) {
        __m256 x = _mm256_mul_ps(b->x[i], inverse), size = magnitude(x), whole;
        size = _mm256_and_ps(size, _mm256_cmp_ps(size, _mm256_set1_ps(127.5f), _CMP_LT_OQ));
        whole = _mm256_round_ps(size, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC);
        __m256 up = _mm256_cmp_ps(_mm256_sub_ps(size, whole), _mm256_set1_ps(0.5f), _CMP_GE_OQ);
        whole = _mm256_add_ps(whole, _mm256_and_ps(up, one));
        q[i] = _mm256_cvttps_epi32(_mm256_or_ps(whole, _mm256_and_ps(x, sign)));
    }
    put_half_at(out, d);
    _mm256_storeu_si256((__m256i *)(void *)(out + 2), to_bytes(q, true));
}

typedef enum grid { SIGNED, AFFINE, EIGHT } grid;

static inline __attribute__((always_inline)) void encode_blocks(grid rule, int levels, ql_dtype dtype, const float *in,
                                                                uint8_t *out, size_t n)
{
    const ql_dtype_info *info = ql_dtype_get(dtype);
    for (; n; n -= BLOCK, in += BLOCK, out += info->block_bytes) {
        block b = load_block(in);
        if (!is_finite(&b))
            info->encode(in, out, BLOCK);
        else if (rule == SIGNED)
            encode_signed(in, &b, levels, out);
        else if (rule == AFFINE)
            encode_affine(in, &b, levels, out);
        else
            encode_q8(&b, out);
    }
}

#define BLOCKS(name, dtype, rule, levels)                              \
    void ql_encode_avx2_##name(const float *in, void *blocks, size_t n) \
    {                                                                  \
        encode_blocks(rule, levels, dtype, in, blocks, n);             \
    }
BLOCKS(q4_0, QL_Q4_0, SIGNED, 16)
BLOCKS(q4_1, QL_Q4_1, AFFINE, 16)
BLOCKS(q5_0, QL_Q5_0, SIGNED, 32)
BLOCKS(q5_1, QL_Q5_1, AFFINE, 32)
BLOCKS(q8_0, QL_Q8_0, EIGHT, 0)
