// SPDX-License-Identifier: MIT
// Tensor types: block layouts and plain-C row encode/decode. This is the definition of every quantization; kernels must
// agree with it. Source of the layouts: ggml's block structures (ggml-common.h), numbers as in GGUF files.
#ifndef QL_TENSOR_DTYPE_H
#define QL_TENSOR_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum ql_dtype {
    QL_F32 = 0,
    QL_F16 = 1,
    QL_Q4_0 = 2,
    QL_Q4_1 = 3,
    QL_Q5_0 = 6,
    QL_Q5_1 = 7,
    QL_Q8_0 = 8,
    QL_Q2_K = 10,
    QL_Q3_K = 11,
    QL_Q4_K = 12,
    QL_Q5_K = 13,
    QL_Q6_K = 14,
    QL_IQ4_NL = 20,
    QL_IQ4_XS = 23,
    QL_BF16 = 30,
    QL_F8_E4M3 = 32, // not GGUF: of safetensors, decode alone
    QL_F8_E5M2 = 33,
    QL_DTYPE_END = 34
} ql_dtype;

typedef struct ql_dtype_info {
    const char *name;      // "Q4_1"
    uint32_t block;        // weights in a block; rows are whole blocks
    uint32_t block_bytes;
    void (*decode)(const void *blocks, float *out, size_t n);  // n weights, a multiple of block
    void (*encode)(const float *in, void *blocks, size_t n);   // NULL: no encoder
} ql_dtype_info;

// NULL for a number that is no supported type.
const ql_dtype_info *ql_dtype_get(uint32_t dtype);

// Bytes of a row of n weights (n a multiple of the block).
static inline size_t ql_row_bytes(const ql_dtype_info *info, size_t n) { return n / info->block * info->block_bytes; }

// The 16 values of the non-linear 4-bit types (IQ4_NL, IQ4_XS).
extern const int8_t ql_iq4_values[16];

// Scale and minimum j (0-7) of the 12 bytes that hold eight of each, 6 bits apiece (Q4_K, Q5_K).
static inline void ql_k4_scale_min(const uint8_t s[12], int j, uint8_t *scale, uint8_t *min)
{
    if (j < 4) {
        *scale = s[j] & 63;
        *min = s[j + 4] & 63;
    } else {
        *scale = (uint8_t)((s[j + 4] & 15) | (s[j - 4] >> 6) << 4);
        *min = (uint8_t)(s[j + 4] >> 4 | (s[j] >> 6) << 4);
    }
}

// Scale j (0-15) of the 12 bytes that hold sixteen, 6 bits apiece, less 32 (Q3_K).
static inline int ql_k3_scale(const uint8_t s[12], int j)
{
    int low = j < 8 ? s[j] & 15 : s[j - 8] >> 4;
    return (low | (s[8 + j % 4] >> 2 * (j / 4) & 3) << 4) - 32;
}

// IEEE half and bfloat16. To half/bfloat16: nearest, ties to even; NaN stays NaN.
float ql_f16_to_f32(uint16_t h);
uint16_t ql_f32_to_f16(float f);
float ql_bf16_to_f32(uint16_t h);
uint16_t ql_f32_to_bf16(float f);

#endif
