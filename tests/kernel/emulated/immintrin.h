// SPDX-License-Identifier: MIT
// <immintrin.h> for compiling the AVX-512 level without AVX-512, on a CPU with AVX2, FMA and F16C: SIMDe's C under Intel's
// names, and here what SIMDe 0.7.4 lacks, or rounds otherwise than the instruction (fmadd in some builds, scalef).
//
// An intrinsic that is in neither does not compile ("target specific option mismatch"): add it below, from two halves
// where AVX2 has it, else as a loop over lanes.
#ifndef TESTS_KERNEL_EMULATED_IMMINTRIN_H
#define TESTS_KERNEL_EMULATED_IMMINTRIN_H

#include_next <immintrin.h> // types, and what AVX2 has

#define SIMDE_ENABLE_NATIVE_ALIASES
#include <math.h>
#include <simde/x86/avx512.h>
#include <string.h>

#define EMULATED static inline __attribute__((always_inline))

// ---- halves ----

EMULATED __m256i emulated_half(__m512i v, int half)
{
    __m256i r;
    memcpy(&r, (const char *)&v + 32 * half, sizeof r);
    return r;
}
EMULATED __m256 emulated_half_ps(__m512 v, int half) { return (__m256)emulated_half((__m512i)v, half); }

EMULATED __m512i emulated_join(__m256i low, __m256i high)
{
    __m512i r;
    memcpy(&r, &low, sizeof low);
    memcpy((char *)&r + 32, &high, sizeof high);
    return r;
}
EMULATED __m512 emulated_join_ps(__m256 low, __m256 high) { return (__m512)emulated_join((__m256i)low, (__m256i)high); }

// f of both halves of a 256-bit a, which it widens.
#define WIDENED(f, a) emulated_join(f(_mm256_castsi256_si128(a)), f(_mm256_extracti128_si256(a, 1)))

// ---- conversions ----

EMULATED __m512 emulated_cvtepi32_ps(__m512i a)
{
    return emulated_join_ps(_mm256_cvtepi32_ps(emulated_half(a, 0)), _mm256_cvtepi32_ps(emulated_half(a, 1)));
}
EMULATED __m512i emulated_cvtps_epi32(__m512 a)
{
    return emulated_join(_mm256_cvtps_epi32(emulated_half_ps(a, 0)), _mm256_cvtps_epi32(emulated_half_ps(a, 1)));
}
EMULATED __m512 emulated_cvtph_ps(__m256i a)
{
    return emulated_join_ps(_mm256_cvtph_ps(_mm256_castsi256_si128(a)), _mm256_cvtph_ps(_mm256_extracti128_si256(a, 1)));
}
EMULATED __m512i emulated_cvtepu16_epi32(__m256i a) { return WIDENED(_mm256_cvtepu16_epi32, a); }
EMULATED __m512i emulated_cvtepu8_epi16(__m256i a) { return WIDENED(_mm256_cvtepu8_epi16, a); }
EMULATED __m512i emulated_cvtepi8_epi32(__m128i a)
{
    return emulated_join(_mm256_cvtepi8_epi32(a), _mm256_cvtepi8_epi32(_mm_unpackhi_epi64(a, a)));
}
EMULATED __m256i emulated_cvtepi32_epi16(__m512i a) // the lower halves, without saturation
{
    int32_t lanes[16];
    int16_t r[16];
    memcpy(lanes, &a, sizeof lanes);
    for (int i = 0; i < 16; i++)
        r[i] = (int16_t)lanes[i];
    return _mm256_loadu_si256((const __m256i *)(const void *)r);
}

#undef _mm512_cvtepi32_ps
#undef _mm512_cvtps_epi32
#undef _mm512_cvtph_ps
#undef _mm512_cvtepu16_epi32
#undef _mm512_cvtepu8_epi16
#undef _mm512_cvtepi8_epi32
#undef _mm512_cvtepi32_epi16
#define _mm512_cvtepi32_ps emulated_cvtepi32_ps
#define _mm512_cvtps_epi32 emulated_cvtps_epi32
#define _mm512_cvtph_ps emulated_cvtph_ps
#define _mm512_cvtepu16_epi32 emulated_cvtepu16_epi32
#define _mm512_cvtepu8_epi16 emulated_cvtepu8_epi16
#define _mm512_cvtepi8_epi32 emulated_cvtepi8_epi32
#define _mm512_cvtepi32_epi16 emulated_cvtepi32_epi16

// ---- arithmetic ----

EMULATED __m512 emulated_fmadd_ps(__m512 a, __m512 b, __m512 c)
{
    return emulated_join_ps(
        _mm256_fmadd_ps(emulated_half_ps(a, 0), emulated_half_ps(b, 0), emulated_half_ps(c, 0)),
        _mm256_fmadd_ps(emulated_half_ps(a, 1), emulated_half_ps(b, 1), emulated_half_ps(c, 1)));
}

// a * 2^floor(b), rounded once.
EMULATED float emulated_scalef(float a, float b)
{
    if (isnan(b) || isinf(b))
        return isnan(b) ? b : a * (b > 0 ? INFINITY : 0.0f);
    return scalbnf(a, (int)fmaxf(-1000, fminf(1000, floorf(b))));
}
EMULATED __m512 emulated_scalef_ps(__m512 a, __m512 b)
{
    float x[16], y[16];
    memcpy(x, &a, sizeof x);
    memcpy(y, &b, sizeof y);
    for (int i = 0; i < 16; i++)
        x[i] = emulated_scalef(x[i], y[i]);
    memcpy(&a, x, sizeof a);
    return a;
}

#define emulated_srai_epi32(a, n) \
    emulated_join(_mm256_srai_epi32(emulated_half(a, 0), n), _mm256_srai_epi32(emulated_half(a, 1), n))

#undef _mm512_fmadd_ps
#undef _mm512_scalef_ps
#undef _mm512_srai_epi32
#define _mm512_fmadd_ps emulated_fmadd_ps
#define _mm512_scalef_ps emulated_scalef_ps
#define _mm512_srai_epi32 emulated_srai_epi32

// ---- loads and stores with a mask: what is masked may not be there ----

EMULATED __m512 emulated_maskz_loadu_ps(__mmask16 lanes, const void *p)
{
    float r[16] = {0};
    __m512 v;
    for (int i = 0; i < 16; i++)
        if (lanes >> i & 1)
            memcpy(&r[i], (const float *)p + i, sizeof r[i]);
    memcpy(&v, r, sizeof v);
    return v;
}
EMULATED void emulated_mask_storeu_ps(void *p, __mmask16 lanes, __m512 a)
{
    for (int i = 0; i < 16; i++)
        if (lanes >> i & 1)
            memcpy((float *)p + i, (const float *)&a + i, sizeof(float));
}

#undef _mm512_maskz_loadu_ps
#undef _mm512_mask_storeu_ps
#define _mm512_maskz_loadu_ps emulated_maskz_loadu_ps
#define _mm512_mask_storeu_ps emulated_mask_storeu_ps

#endif
