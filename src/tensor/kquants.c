// SPDX-License-Identifier: MIT
// The types with super-blocks of 256: K-quants and IQ4_XS. Results are those of ggml's reference, to the bit.
#include <string.h>

#include "tensor/codecs.h"
#include "tensor/dtype.h"

enum { SUPER = 256 };

QL_DECODER(q2_k) // u8 scales[16] (scale | min << 4), qs[64]; f16 d, dmin
{
    for (const uint8_t *b = blocks; n; n -= SUPER, b += 84, out += SUPER) {
        float d = ql_half_at(b + 80), dmin = ql_half_at(b + 82);
        for (int j = 0; j < SUPER; j++) {
            float dl = d * (float)(b[j / 16] & 15), ml = dmin * (float)(b[j / 16] >> 4);
            int q = b[16 + j / 128 * 32 + j % 32] >> j % 128 / 32 * 2 & 3;
            out[j] = dl * (float)q - ml;
        }
    }
}

QL_DECODER(q3_k) // u8 hmask[32], qs[64], scales[12]; f16 d
{
    for (const uint8_t *b = blocks; n; n -= SUPER, b += 110, out += SUPER) {
        float d = ql_half_at(b + 108);
        for (int j = 0; j < SUPER; j++) {
            float dl = d * (float)ql_k3_scale(b + 96, j / 16);
            int low = b[32 + j / 128 * 32 + j % 32] >> j % 128 / 32 * 2 & 3;
            int high = b[j % 32] >> j / 32 & 1;
            out[j] = dl * (float)(low - (high ? 0 : 4));
        }
    }
}

QL_DECODER(q4_k) // f16 d, dmin; u8 scales[12], qs[128]
{
    for (const uint8_t *b = blocks; n; n -= SUPER, b += 144, out += SUPER) {
        float d = ql_half_at(b), dmin = ql_half_at(b + 2);
        for (int j = 0; j < SUPER; j++) {
            uint8_t scale, min;
            ql_k4_scale_min(b + 4, j / 32, &scale, &min);
            int q = b[16 + j / 64 * 32 + j % 32] >> j % 64 / 32 * 4 & 15;
            out[j] = d * (float)scale * (float)q - dmin * (float)min;
        }
    }
}

QL_DECODER(q5_k) // f16 d, dmin; u8 scales[12], qh[32], qs[128]
{
    for (const uint8_t *b = blocks; n; n -= SUPER, b += 176, out += SUPER) {
        float d = ql_half_at(b), dmin = ql_half_at(b + 2);
        for (int j = 0; j < SUPER; j++) {
            uint8_t scale, min;
            ql_k4_scale_min(b + 4, j / 32, &scale, &min);
            int q = b[48 + j / 64 * 32 + j % 32] >> j % 64 / 32 * 4 & 15;
            q |= (b[16 + j % 32] >> j / 32 & 1) << 4;
            out[j] = d * (float)scale * (float)q - dmin * (float)min;
        }
    }
}

QL_DECODER(q6_k) // u8 ql[128], qh[64]; i8 scales[16]; f16 d
{
    for (const uint8_t *b = blocks; n; n -= SUPER, b += 210, out += SUPER) {
        float d = ql_half_at(b + 208);
        for (int j = 0; j < SUPER; j++) {
            int low = b[j / 128 * 64 + j % 64] >> j % 128 / 64 * 4 & 15;
            int high = b[128 + j / 128 * 32 + j % 32] >> j % 128 / 32 * 2 & 3;
            float scale = d * (float)(int8_t)b[192 + j / 16];
            out[j] = scale * (float)((low | high << 4) - 32);
        }
    }
}

QL_DECODER(iq4_xs) // f16 d; u16 scales_h; u8 scales_l[4], qs[128]
{
    for (const uint8_t *b = blocks; n; n -= SUPER, b += 136, out += SUPER) {
        float d = ql_half_at(b);
        uint16_t high;
        memcpy(&high, b + 2, sizeof high);
        for (int j = 0; j < SUPER; j++) {
            int block = j / 32;
            int scale = (b[4 + block / 2] >> block % 2 * 4 & 15) | (high >> 2 * block & 3) << 4;
            int index = b[8 + block * 16 + j % 16] >> j % 32 / 16 * 4 & 15;
            out[j] = d * (float)(scale - 32) * (float)ql_iq4_values[index];
        }
    }
}
