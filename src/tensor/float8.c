// SPDX-License-Identifier: MIT
// The two 8-bit floats of safetensors files, decoding alone. E4M3 is the finite variant ("FN"): it has no infinities,
// its only NaN is all ones. E5M2 is the upper byte of an IEEE half.
#include "tensor/codecs.h"

static float e4m3_to_f32(uint8_t b)
{
    uint32_t exponent = b >> 3 & 15, fraction = b & 7, sign = (uint32_t)(b & 0x80) << 24, bits;
    float f;
    if ((b & 0x7f) == 0x7f) {
        bits = 0x7fc00000;
    } else if (exponent) {
        bits = (exponent + 120) << 23 | fraction << 20;
    } else {
        f = (float)fraction * 0x1p-9f; // exact
        memcpy(&bits, &f, sizeof bits);
    }
    bits |= sign;
    memcpy(&f, &bits, sizeof f);
    return f;
}

QL_DECODER(f8_e4m3)
{
    for (size_t i = 0; i < n; i++)
        out[i] = e4m3_to_f32(((const uint8_t *)blocks)[i]);
}

QL_DECODER(f8_e5m2)
{
    for (size_t i = 0; i < n; i++)
        out[i] = ql_f16_to_f32((uint16_t)(((const uint8_t *)blocks)[i] << 8));
}
