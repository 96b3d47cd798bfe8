// SPDX-License-Identifier: MIT
// The table of tensor types, and the 16-bit floats.
#include "tensor/dtype.h"

#include <string.h>

#include "tensor/codecs.h"

static uint32_t bits_of(float f)
{
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

static float float_of(uint32_t u)
{
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

float ql_f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 0x3ff;
    if (exponent == 31)
        return float_of(sign | 0x7f800000 | fraction << 13 | (fraction ? 0x400000 : 0));
    if (exponent)
        return float_of(sign | (exponent + 112) << 23 | fraction << 13);
    float tiny = (float)fraction * 0x1p-24f; // exact: a denormal half is a whole number of 2^-24
    return float_of(sign | bits_of(tiny));
}

uint16_t ql_f32_to_f16(float f)
{
    uint32_t u = bits_of(f), sign = u >> 16 & 0x8000, magnitude = u & 0x7fffffff;
    if (magnitude > 0x7f800000)
        return (uint16_t)(sign | 0x7e00 | (magnitude >> 13 & 0x3ff));
    if (magnitude >= 0x477ff000) // rounds to 65536 or more
        return (uint16_t)(sign | 0x7c00);
    if (magnitude < 0x38800000) { // below the smallest normal half, 2^-14: round to a multiple of 2^-24
        float scaled = float_of(magnitude) + 0.5f; // the unit of 0.5's binade is 2^-24
        return (uint16_t)(sign | (bits_of(scaled) - 0x3f000000));
    }
    uint32_t odd = magnitude >> 13 & 1;
    return (uint16_t)(sign | (magnitude - 0x38000000 + 0xfff + odd) >> 13);
}

float ql_bf16_to_f32(uint16_t h) { return float_of((uint32_t)h << 16); }

uint16_t ql_f32_to_bf16(float f)
{
    uint32_t u = bits_of(f);
    if ((u & 0x7fffffff) > 0x7f800000)
        return (uint16_t)(u >> 16 | 0x40); // stays NaN, made quiet
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

static const ql_dtype_info table[QL_DTYPE_END] = {
    [QL_F32] = {"F32", 1, 4, ql_decode_f32, ql_encode_f32},
    [QL_F16] = {"F16", 1, 2, ql_decode_f16, ql_encode_f16},
    [QL_BF16] = {"BF16", 1, 2, ql_decode_bf16, ql_encode_bf16},
    [QL_F8_E4M3] = {"F8_E4M3", 1, 1, ql_decode_f8_e4m3, NULL},
    [QL_F8_E5M2] = {"F8_E5M2", 1, 1, ql_decode_f8_e5m2, NULL},
    [QL_Q4_0] = {"Q4_0", 32, 18, ql_decode_q4_0, ql_encode_q4_0},
    [QL_Q4_1] = {"Q4_1", 32, 20, ql_decode_q4_1, ql_encode_q4_1},
    [QL_Q5_0] = {"Q5_0", 32, 22, ql_decode_q5_0, ql_encode_q5_0},
    [QL_Q5_1] = {"Q5_1", 32, 24, ql_decode_q5_1, ql_encode_q5_1},
    [QL_Q8_0] = {"Q8_0", 32, 34, ql_decode_q8_0, ql_encode_q8_0},
    [QL_IQ4_NL] = {"IQ4_NL", 32, 18, ql_decode_iq4_nl, ql_encode_iq4_nl},
    [QL_Q2_K] = {"Q2_K", 256, 84, ql_decode_q2_k, ql_encode_q2_k},
    [QL_Q3_K] = {"Q3_K", 256, 110, ql_decode_q3_k, ql_encode_q3_k},
    [QL_Q4_K] = {"Q4_K", 256, 144, ql_decode_q4_k, ql_encode_q4_k},
    [QL_Q5_K] = {"Q5_K", 256, 176, ql_decode_q5_k, ql_encode_q5_k},
    [QL_Q6_K] = {"Q6_K", 256, 210, ql_decode_q6_k, ql_encode_q6_k},
    [QL_IQ4_XS] = {"IQ4_XS", 256, 136, ql_decode_iq4_xs, ql_encode_iq4_xs},
};

const ql_dtype_info *ql_dtype_get(uint32_t dtype)
{
    return dtype < QL_DTYPE_END && table[dtype].name ? &table[dtype] : NULL;
}
