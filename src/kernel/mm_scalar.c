// SPDX-License-Identifier: MIT
// Matrix products in plain C: the definition that every other level must match to the bit. Sums stay in y from block to
// block, so that a block is unpacked once for all tokens.
#include "kernel/layout.h"
#include "kernel/levels.h"
#include "kernel/vec.h"

#define INLINE static inline __attribute__((always_inline))
#define UNROLL
#define V_BYTES 16

INLINE void halves_to_f32(const uint8_t *src, float out[16])
{
    for (int r = 0; r < 16; r++) {
        uint16_t h;
        __builtin_memcpy(&h, src + 2 * r, 2);
        out[r] = ql_f16_to_f32(h);
    }
}

typedef uint8_t iq4_vector __attribute__((vector_size(V_BYTES)));
INLINE iq4_vector iq4_table(void) { return (iq4_vector){0}; }
INLINE iq4_vector iq4_bytes(iq4_vector table, iq4_vector index)
{
    (void)table;
    for (int i = 0; i < V_BYTES; i++)
        index[i] = (uint8_t)(ql_iq4_values[index[i]] + 128);
    return index;
}

#include "kernel/act_body.inc"
#include "kernel/unpack_256.inc"

// Sum of 4 products of a k-group for 16 rows.
static inline void dot_group(const uint8_t w[64], const int8_t q[4], int32_t acc[16])
{
    for (int r = 0; r < 16; r++)
        for (int i = 0; i < 4; i++)
            acc[r] += w[4 * r + i] * q[i];
}

// ---- blocks of 32 ----

// The weights of 16 rows as unsigned bytes. q: [8 groups][64]
static inline void unpack_32(ql_dtype dtype, const uint8_t *block, uint8_t *q)
{
    const uint8_t *src = block + quants_at_32(dtype);
    if (dtype == QL_Q8_0) {
        __builtin_memcpy(q, src, 512);
        return;
    }
    for (int i = 0; i < 256; i++) {
        q[i] = src[i] & 15;
        q[i + 256] = src[i] >> 4;
    }
    if (dtype == QL_IQ4_NL)
        for (int i = 0; i < 512; i++)
            q[i] = (uint8_t)(ql_iq4_values[q[i]] + 128);
    if (has_bits_32(dtype))
        for (int i = 0; i < 512; i++)
            q[i] |= (uint8_t)((src[i / 8 - 64] >> i % 8 & 1) << 4);
}

static inline void add_block(ql_dtype dtype, const uint8_t *q, const float *d, const float *m, const ql_quad32 *quad,
                             size_t lane, float *y)
{
    int32_t acc[16] = {0};
    for (int g = 0; g < QL_GROUPS_32; g++)
        dot_group(q + 64 * g, quad->q[g][lane], acc);
    for (int r = 0; r < 16; r++) {
        int32_t zero = zero_shift_32(dtype) ? quad->nsum[lane] * (1 << zero_shift_32(dtype)) : 0;
        y[r] = __builtin_fmaf((float)(acc[r] + zero), d[r] * quad->d[lane], y[r]);
        if (has_min_32(dtype))
            y[r] = __builtin_fmaf(m[r], quad->ds[lane], y[r]);
    }
}

INLINE void matmul_32(ql_dtype dtype, QL_MATMUL_ARGUMENTS)
{
    size_t n_blocks = n_cols / 32;
    for (size_t p = p_begin; p < p_end; p++)
        for (size_t b = 0; b < n_blocks; b++) {
            const uint8_t *block = panels + (p * n_blocks + b) * block_bytes_32(dtype);
            uint8_t q[512];
            float d[16], m[16];
            unpack_32(dtype, block, q);
            halves_to_f32(block, d);
            halves_to_f32(block + (has_min_32(dtype) ? 32 : 0), m);
            for (size_t t = 0; t < n_tokens; t++) {
                const ql_quad32 *quad = (const ql_quad32 *)acts + t / QL_QUAD_ROWS * n_blocks + b;
                float *out = y + t * ldy + p * QL_PANEL_ROWS;
                if (b == 0)
                    __builtin_memset(out, 0, QL_PANEL_ROWS * sizeof *out);
                add_block(dtype, q, d, m, quad, t % QL_QUAD_ROWS, out);
            }
        }
}

// ---- super-blocks of 256 ----

static inline void add_tile(ql_dtype dtype, const ql_tile256 *w, const ql_quad256 *quad, size_t lane, float *y)
{
    int32_t isum[16] = {0}, msum[16] = {0};
    int n_subs = n_subs_256(dtype), n_groups = QL_GROUPS_256 / n_subs;
    for (int s = 0; s < n_subs; s++) {
        int32_t acc[16] = {0};
        for (int g = s * n_groups; g < (s + 1) * n_groups; g++)
            dot_group(w->q[g], quad->q[g][lane], acc);
        for (int r = 0; r < 16; r++)
            isum[r] += (int16_t)w->scale[s][r] * acc[r];
    }
    for (int j = 0; j < QL_SUBS_256 / 2; j++)
        for (int r = 0; r < 16; r++)
            msum[r] += (int16_t)w->min[j][r] * quad->nsum[j][lane][0] + (w->min[j][r] >> 16) * quad->nsum[j][lane][1];
    for (int r = 0; r < 16; r++) {
        bool min = has_min_256(dtype);
        y[r] = __builtin_fmaf((float)(min ? isum[r] : isum[r] + msum[r]), w->d[r] * quad->d[lane], y[r]);
        if (min)
            y[r] = __builtin_fmaf((float)msum[r], w->dmin[r] * quad->d[lane], y[r]);
    }
}

INLINE void matmul_256(ql_dtype dtype, QL_MATMUL_ARGUMENTS)
{
    size_t n_blocks = n_cols / 256;
    for (size_t p = p_begin; p < p_end; p++)
        for (size_t b = 0; b < n_blocks; b++) {
            ql_tile256 tile;
            unpack_256(dtype, panels + (p * n_blocks + b) * block_bytes_256(dtype), &tile);
            for (size_t t = 0; t < n_tokens; t++) {
                const ql_quad256 *quad = (const ql_quad256 *)acts + t / QL_QUAD_ROWS * n_blocks + b;
                float *out = y + t * ldy + p * QL_PANEL_ROWS;
                if (b == 0)
                    __builtin_memset(out, 0, QL_PANEL_ROWS * sizeof *out);
                add_tile(dtype, &tile, quad, t % QL_QUAD_ROWS, out);
            }
        }
}

// ---- F32, F16, BF16 ----

// 16 weights of column k.
static inline void column(ql_dtype dtype, const uint8_t *panel, size_t k, float w[16])
{
    if (dtype == QL_F32)
        __builtin_memcpy(w, panel + 64 * k, 64);
    else if (dtype == QL_F16)
        halves_to_f32(panel + 32 * k, w);
    else
        for (int r = 0; r < 16; r++) {
            uint16_t h;
            __builtin_memcpy(&h, panel + 32 * k + 2 * r, 2);
            w[r] = ql_bf16_to_f32(h);
        }
}

INLINE void matmul_float(ql_dtype dtype, QL_MATMUL_ARGUMENTS)
{
    size_t panel_bytes = n_cols * (dtype == QL_F32 ? 64 : 32);
    for (size_t p = p_begin; p < p_end; p++)
        for (size_t k = 0; k < n_cols; k++) {
            float w[16];
            column(dtype, panels + p * panel_bytes, k, w);
            for (size_t t = 0; t < n_tokens; t++) {
                float x = ((const float *)acts)[(t / QL_QUAD_ROWS * n_cols + k) * QL_QUAD_ROWS + t % QL_QUAD_ROWS];
                float *out = y + t * ldy + p * QL_PANEL_ROWS;
                for (int r = 0; r < 16; r++)
                    out[r] = __builtin_fmaf(w[r], x, k ? out[r] : 0);
            }
        }
}

// ---- activations ----

static void write_q32(const float *x, size_t n_cols, size_t row, void *acts)
{
    ql_quad32 *quads = (ql_quad32 *)acts + row / QL_QUAD_ROWS * (n_cols / 32);
    for (size_t b = 0; b < n_cols / 32; b++)
        write_block_32(x + 32 * b, row % QL_QUAD_ROWS, &quads[b]);
}

static void write_q256(const float *x, size_t n_cols, size_t row, void *acts)
{
    ql_quad256 *quads = (ql_quad256 *)acts + row / QL_QUAD_ROWS * (n_cols / 256);
    for (size_t b = 0; b < n_cols / 256; b++)
        write_block_256(x + 256 * b, row % QL_QUAD_ROWS, &quads[b]);
}

#define LEVEL scalar
#define ENCODERS // the tensor room's
#include "kernel/matmul_table.inc"
