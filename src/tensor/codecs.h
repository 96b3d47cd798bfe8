// SPDX-License-Identifier: MIT
// Private to the tensor room: a decoder for every type, encoders for some. n weights, a multiple of the type's block.
#ifndef QL_TENSOR_CODECS_H
#define QL_TENSOR_CODECS_H

#include <stddef.h>
#include <string.h>

#include "tensor/dtype.h"

// The half at p, which need not be aligned.
static inline float ql_half_at(const uint8_t *p)
{
    uint16_t h;
    memcpy(&h, p, sizeof h);
    return ql_f16_to_f32(h);
}

#define QL_DECODER(type) void ql_decode_##type(const void *blocks, float *out, size_t n)
#define QL_ENCODER(type) void ql_encode_##type(const float *in, void *blocks, size_t n)

QL_DECODER(f32);
QL_DECODER(f16);
QL_DECODER(bf16);
QL_DECODER(q4_0);
QL_DECODER(q4_1);
QL_DECODER(q5_0);
QL_DECODER(q5_1);
QL_DECODER(q8_0);
QL_DECODER(iq4_nl);
QL_DECODER(q2_k);
QL_DECODER(q3_k);
QL_DECODER(q4_k);
QL_DECODER(q5_k);
QL_DECODER(q6_k);
QL_DECODER(iq4_xs);
QL_DECODER(f8_e4m3);
QL_DECODER(f8_e5m2);

QL_ENCODER(f32);
QL_ENCODER(f16);
QL_ENCODER(bf16);
QL_ENCODER(q4_0);
QL_ENCODER(q4_1);
QL_ENCODER(q5_0);
QL_ENCODER(q5_1);
QL_ENCODER(q8_0);
QL_ENCODER(q2_k);
QL_ENCODER(q3_k);
QL_ENCODER(q4_k);
QL_ENCODER(q5_k);
QL_ENCODER(q6_k);
QL_ENCODER(iq4_xs);
QL_ENCODER(iq4_nl);

#endif
