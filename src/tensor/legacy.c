// SPDX-License-Identifier: MIT
// Plain floats and the types with blocks of 32. Results are those of ggml's reference, to the bit.
#include <math.h>
#include <string.h>

#include "tensor/codecs.h"
#include "tensor/dtype.h"

enum { BLOCK = 32 };

static void put_half(uint8_t *p, float f)
{
    uint16_t h = ql_f32_to_f16(f);
    memcpy(p, &h, sizeof h);
}

// ---- floats ----

QL_DECODER(f32) { memcpy(out, blocks, n * sizeof *out); }
QL_ENCODER(f32) { memcpy(blocks, in, n * sizeof *in); }

// As ql_f16_to_f32, without branches: whole models are read through it, and so compilers make vectors of it.
QL_DECODER(f16)
{
    for (size_t i = 0; i < n; i++) {
        uint16_t h;
        memcpy(&h, (const uint8_t *)blocks + 2 * i, sizeof h);
        uint32_t magnitude = (uint32_t)(h & 0x7fff) << 13, sign = (uint32_t)(h & 0x8000) << 16;
        uint32_t exponent = magnitude & 0x0f800000, normal = magnitude + 0x38000000, denormal;
        float tiny = (float)(int32_t)(magnitude >> 13) * 0x1p-24f; // exact
        memcpy(&denormal, &tiny, sizeof denormal);
        uint32_t not_finite = magnitude + 0x70000000;
        not_finite |= magnitude & 0x007fffff ? 0x00400000 : 0; // NaN made quiet
        uint32_t bits = exponent == 0 ? denormal : exponent == 0x0f800000 ? not_finite : normal;
        bits |= sign;
        memcpy(out + i, &bits, sizeof bits);
    }
}

QL_ENCODER(f16)
{
    for (size_t i = 0; i < n; i++)
        put_half((uint8_t *)blocks + 2 * i, in[i]);
}

QL_DECODER(bf16)
{
    for (size_t i = 0; i < n; i++) { // in place of ql_bf16_to_f32: as it stands, compilers make vectors of it
        uint16_t h;
        memcpy(&h, (const uint8_t *)blocks + 2 * i, sizeof h);
        uint32_t bits = (uint32_t)h << 16;
        memcpy(out + i, &bits, sizeof bits);
    }
}

QL_ENCODER(bf16)
{
    for (size_t i = 0; i < n; i++) {
        uint16_t h = ql_f32_to_bf16(in[i]);
        memcpy((uint8_t *)blocks + 2 * i, &h, sizeof h);
    }
}

// ---- decoders ----

// Byte j of 16 holds weight j in its low and weight j + 16 in its high nibble.
static int nibble(const uint8_t *qs, int j) { return j < 16 ? qs[j] & 15 : qs[j - 16] >> 4; }

// The same with a fifth bit, bit j of the 32 in qh.
static int five_bits(const uint8_t *qh, const uint8_t *qs, int j)
{
    return nibble(qs, j) | (qh[j / 8] >> (j % 8) & 1) << 4;
}

QL_DECODER(q4_0) // f16 d; u8 qs[16]
{
    for (const uint8_t *b = blocks; n; n -= BLOCK, b += 18, out += BLOCK) {
        float d = ql_half_at(b);
        for (int j = 0; j < BLOCK; j++)
            out[j] = d * (float)(nibble(b + 2, j) - 8);
    }
}

QL_DECODER(q4_1) // f16 d, m; u8 qs[16]
{
    for (const uint8_t *b = blocks; n; n -= BLOCK, b += 20, out += BLOCK) {
        float d = ql_half_at(b), m = ql_half_at(b + 2);
        for (int j = 0; j < BLOCK; j++)
            out[j] = d * (float)nibble(b + 4, j) + m;
    }
}

QL_DECODER(q5_0) // f16 d; u8 qh[4], qs[16]
{
    for (const uint8_t *b = blocks; n; n -= BLOCK, b += 22, out += BLOCK) {
        float d = ql_half_at(b);
        for (int j = 0; j < BLOCK; j++)
            out[j] = d * (float)(five_bits(b + 2, b + 6, j) - 16);
    }
}

QL_DECODER(q5_1) // f16 d, m; u8 qh[4], qs[16]
{
    for (const uint8_t *b = blocks; n; n -= BLOCK, b += 24, out += BLOCK) {
        float d = ql_half_at(b), m = ql_half_at(b + 2);
        for (int j = 0; j < BLOCK; j++)
            out[j] = d * (float)five_bits(b + 4, b + 8, j) + m;
    }
}

QL_DECODER(q8_0) // f16 d; i8 qs[32]
{
    for (const uint8_t *b = blocks; n; n -= BLOCK, b += 34, out += BLOCK) {
        float d = ql_half_at(b);
        for (int j = 0; j < BLOCK; j++)
            out[j] = d * (float)(int8_t)b[2 + j];
    }
}

const int8_t ql_iq4_values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

QL_DECODER(iq4_nl) // f16 d; u8 qs[16], indices into the table
{
    for (const uint8_t *b = blocks; n; n -= BLOCK, b += 18, out += BLOCK) {
        float d = ql_half_at(b);
        for (int j = 0; j < BLOCK; j++)
            out[j] = d * (float)ql_iq4_values[nibble(b + 2, j)];
    }
}

// ---- encoders ----

static float reciprocal(float d) { return d == 0 ? 0 : 1 / d; }

// To 0..max, truncating. 0 for what is no quantum: NaN, and the infinity of a block too small to be inverted.
static uint8_t quantum(float x, int max)
{
    if (!(x > 0 && x < 256))
        return 0;
    return x > (float)max ? (uint8_t)max : (uint8_t)x;
}

// The element of the largest magnitude, the first of equals. A NaN is larger than all: it must reach the scale, so that
// the block decodes to NaN and is noticed, instead of becoming a plausible number.
static float signed_max(const float *x)
{
    float best = x[0];
    for (int j = 1; j < BLOCK && !isnan(best); j++)
        if (!(fabsf(x[j]) <= fabsf(best)))
            best = x[j];
    return best;
}

// Both are NaN when an element is.
static void min_max(const float *x, float *min, float *max)
{
    *min = *max = x[0];
    for (int j = 1; j < BLOCK; j++) {
        if (isnan(x[j])) {
            *min = *max = x[j];
            return;
        }
        *min = x[j] < *min ? x[j] : *min;
        *max = x[j] > *max ? x[j] : *max;
    }
}

static void put_quanta(const uint8_t q[BLOCK], uint8_t *qh, uint8_t *qs)
{
    for (int j = 0; j < 16; j++)
        qs[j] = (uint8_t)((q[j] & 15) | (q[j + 16] & 15) << 4);
    for (int j = 0; qh && j < BLOCK; j++)
        qh[j / 8] = (uint8_t)((j % 8 ? qh[j / 8] : 0) | q[j] >> 4 << (j % 8));
}

// Q4_0, Q5_0: the element of the largest magnitude gets the lowest quantum, -levels/2.
static void encode_signed(const float *x, int levels, uint8_t *block, uint8_t *qh, uint8_t *qs)
{
    float d = signed_max(x) / (float)(-levels / 2), inverse = reciprocal(d);
    uint8_t q[BLOCK];
    for (int j = 0; j < BLOCK; j++)
        q[j] = quantum(x[j] * inverse + ((float)(levels / 2) + 0.5f), levels - 1);
    put_half(block, d);
    put_quanta(q, qh, qs);
}

// Q4_1, Q5_1: quanta from the minimum up.
static void encode_affine(const float *x, int levels, uint8_t *block, uint8_t *qh, uint8_t *qs)
{
    float min, max;
    min_max(x, &min, &max);
    float d = (max - min) / (float)(levels - 1), inverse = reciprocal(d);
    uint8_t q[BLOCK];
    for (int j = 0; j < BLOCK; j++)
        q[j] = quantum((x[j] - min) * inverse + 0.5f, levels - 1);
    put_half(block, d);
    put_half(block + 2, min);
    put_quanta(q, qh, qs);
}

QL_ENCODER(q4_0)
{
    for (uint8_t *b = blocks; n; n -= BLOCK, b += 18, in += BLOCK)
        encode_signed(in, 16, b, NULL, b + 2);
}

QL_ENCODER(q4_1)
{
    for (uint8_t *b = blocks; n; n -= BLOCK, b += 20, in += BLOCK)
        encode_affine(in, 16, b, NULL, b + 4);
}

QL_ENCODER(q5_0)
{
    for (uint8_t *b = blocks; n; n -= BLOCK, b += 22, in += BLOCK)
        encode_signed(in, 32, b, b + 2, b + 6);
}

QL_ENCODER(q5_1)
{
    for (uint8_t *b = blocks; n; n -= BLOCK, b += 24, in += BLOCK)
        encode_affine(in, 32, b, b + 4, b + 8);
}

QL_ENCODER(q8_0)
{
    for (uint8_t *b = blocks; n; n -= BLOCK, b += 34, in += BLOCK) {
        float d = fabsf(signed_max(in)) / 127, inverse = reciprocal(d);
        put_half(b, d);
        for (int j = 0; j < BLOCK; j++) {
            float q = roundf(in[j] * inverse); // half away from zero
            b[2 + j] = (uint8_t)(int8_t)(q >= -127 && q <= 127 ? q : 0);
        }
    }
}
