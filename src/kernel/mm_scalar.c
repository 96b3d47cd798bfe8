// SPDX-License-Identifier: MIT
// Matrix products in plain C: the definition that every other level must match to the bit.
#include "kernel/layout.h"
#include "kernel/levels.h"
#include "kernel/vec.h"

#include "kernel/unpack_body.inc"
#include "kernel/act_body.inc"
#include "kernel/float_body.inc"

// Sum of 4 products of k-group g for 16 rows and activation row j.
static inline void dot_group(const uint8_t *w, const int8_t *q, int32_t acc[16])
{
    for (int r = 0; r < 16; r++)
        for (int i = 0; i < 4; i++)
            acc[r] += w[4 * r + i] * q[i];
}

static inline __attribute__((always_inline)) void matmul_32(ql_dtype dtype, QL_MATMUL_ARGUMENTS)
{
    size_t n_blocks = n_cols / 32;
    for (size_t p = p_begin; p < p_end; p++)
        for (size_t t = 0; t < n_tokens; t++) {
            const uint8_t *block = panels + p * n_blocks * block_bytes_32(dtype);
            const ql_quad32 *quad = (const ql_quad32 *)acts + t / QL_QUAD_ROWS * n_blocks;
            size_t lane = t % QL_QUAD_ROWS;
            float sum[16] = {0};
            for (size_t b = 0; b < n_blocks; b++, block += block_bytes_32(dtype), quad++) {
                uint8_t q[512];
                float d[16], m[16];
                int32_t acc[16];
                unpack_32(dtype, block, q);
                unpack_halves(block, d);
                for (int r = 0; r < 16; r++)
                    acc[r] = zero_shift_32(dtype) ? quad->nsum[lane] * (1 << zero_shift_32(dtype)) : 0;
                for (int g = 0; g < QL_GROUPS_32; g++)
                    dot_group(q + 64 * g, quad->q[g][lane], acc);
                for (int r = 0; r < 16; r++)
                    sum[r] = __builtin_fmaf((float)acc[r], d[r] * quad->d[lane], sum[r]);
                if (!has_min_32(dtype))
                    continue;
                unpack_halves(block + 32, m);
                for (int r = 0; r < 16; r++)
                    sum[r] = __builtin_fmaf(m[r], quad->ds[lane], sum[r]);
            }
            __builtin_memcpy(y + t * ldy + p * QL_PANEL_ROWS, sum, sizeof sum);
        }
}

// One super-block for one activation row.
static inline void add_tile(const ql_tile256 *w, const ql_quad256 *quad, size_t lane, float sum[16])
{
    int32_t isum[16] = {0}, msum[16] = {0};
    for (int s = 0; s < QL_SUBS_256; s++) {
        int32_t acc[16], nsum = quad->nsum[s][lane];
        for (int r = 0; r < 16; r++)
            acc[r] = w->zero_shift ? nsum * (1 << w->zero_shift) : 0;
        for (int g = 4 * s; g < 4 * s + 4; g++)
            dot_group(w->q[g], quad->q[g][lane], acc);
        for (int r = 0; r < 16; r++) {
            isum[r] += w->scale[s][r] * acc[r];
            msum[r] += w->has_min ? w->min[s][r] * nsum : 0;
        }
    }
    for (int r = 0; r < 16; r++) {
        sum[r] = __builtin_fmaf((float)isum[r], w->d[r] * quad->d[lane], sum[r]);
        if (w->has_min)
            sum[r] = __builtin_fmaf((float)msum[r], w->dmin[r] * quad->d[lane], sum[r]);
    }
}

static inline __attribute__((always_inline)) void matmul_256(ql_dtype dtype, QL_MATMUL_ARGUMENTS)
{
    size_t n_blocks = n_cols / 256;
    for (size_t p = p_begin; p < p_end; p++)
        for (size_t t = 0; t < n_tokens; t++) {
            const ql_quad256 *quad = (const ql_quad256 *)acts + t / QL_QUAD_ROWS * n_blocks;
            float sum[16] = {0};
            for (size_t b = 0; b < n_blocks; b++) {
                ql_tile256 tile;
                unpack_256(dtype, panels + (p * n_blocks + b) * block_bytes_256(dtype), &tile);
                add_tile(&tile, &quad[b], t % QL_QUAD_ROWS, sum);
            }
            __builtin_memcpy(y + t * ldy + p * QL_PANEL_ROWS, sum, sizeof sum);
        }
}

#define LEVEL scalar
#include "kernel/matmul_table.inc"
