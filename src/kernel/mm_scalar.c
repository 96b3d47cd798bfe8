// SPDX-License-Identifier: MIT
// Matrix products in plain C: the definition that every other level must match to the bit. Sums stay in y from block to
// block of a slice, whose weights are unpacked once for all tokens.
#include "kernel/layout.h"
#include "kernel/levels.h"
#include "kernel/vec.h"

#define INLINE static inline __attribute__((always_inline))
#define UNROLL
#define V_BYTES 16

typedef uint8_t lanes __attribute__((vector_size(V_BYTES)));

INLINE lanes iq4_bytes(lanes index)
{
    for (int i = 0; i < V_BYTES; i++)
        index[i] = (uint8_t)(ql_iq4_values[index[i]] + 128);
    return index;
}

INLINE lanes fifth_bits(const uint8_t *src)
{
    lanes out;
    for (int i = 0; i < V_BYTES; i++)
        out[i] = (uint8_t)((src[i / 8] >> i % 8 & 1) << 4);
    return out;
}

static inline void halves_to_f32(const uint8_t *src, float out[16])
{
    for (int r = 0; r < 16; r++) {
        uint16_t h;
        __builtin_memcpy(&h, src + 2 * r, 2);
        out[r] = ql_f16_to_f32(h);
    }
}

typedef struct squares {
    float of[32];
} squares;

#include "kernel/act_body.inc"
#include "kernel/unpack.inc"

// ---- quantized weights ----

// A block of 32 of 16 rows as every quantized type is multiplied: the weights are d * w + m, each of the whole block or of each
// half.
typedef struct block_32 {
    int16_t w[32][16];
    float d[2][16], m[2][16];
} block_32;

// Block 4 h + s of a super-block; h and s are 0 for a type whose blocks are of 32.
INLINE void unpack_weights(ql_dtype dtype, const uint8_t *block, int h, int s, block_32 *out)
{
    for (int g = 0; g < QL_GROUPS; g++)
        for (int at = 0; at < 64; at += V_BYTES) {
            union {
                vw vector;
                uint8_t bytes[V_BYTES];
            } v = {group_of(dtype, block, h, s, g, at)};
            for (int i = 0; i < V_BYTES; i++)
                out->w[4 * g + i % 4][(at + i) / 4] = (int16_t)(v.bytes[i] - zero_of(dtype));
        }
}

static inline void add_block(int n_scales, int mins, const block_32 *w, const ql_pairs *quad, size_t lane, float *y)
{
    for (int r = 0; r < 16; r++) {
        for (int i = 0; i < n_scales; i++) {
            int32_t acc = 0;
            for (int k = 32 / n_scales * i; k < 32 / n_scales * (i + 1); k++)
                acc += w->w[k][r] * quad->q[k / 4 * 2 + k % 2][lane][k / 2 % 2];
            y[r] = __builtin_fmaf((float)acc, w->d[i][r] * quad->of.d[lane], y[r]);
        }
        for (int i = 0; i < mins; i++)
            y[r] = __builtin_fmaf(w->m[i][r], quad->of.ds[mins == 1 ? 2 : i][lane], y[r]);
    }
}

// A far group of a row.
static inline void add_far(int n_scales, const block_32 *w, const ql_far *far, float *y)
{
    size_t first = far->at % QL_GROUPS * 4;
    for (int r = 0; r < 16; r++) {
        int32_t acc = 0;
        for (size_t k = 0; k < 4; k++)
            acc += w->w[first + k][r] * far->pairs[k % 2][k / 2];
        y[r] = __builtin_fmaf((float)acc, w->d[n_scales == 2 ? first / 16 : 0][r] * far->d, y[r]);
    }
}

// A slice, n blocks from `first` on, times a row, to y [16].
static inline void add_slice(int n_scales, int mins, const block_32 *w, size_t first, size_t n, size_t n_blocks,
                             const ql_pairs *quad, size_t lane, float *y)
{
    if (first == 0)
        __builtin_memset(y, 0, QL_PANEL_ROWS * sizeof *y);
    for (size_t b = 0; b < n; b++)
        add_block(n_scales, mins, &w[b], quad + first + b, lane, y);
    const ql_far *list = ql_far_list(quad, sizeof *quad, n_blocks, lane);
    uint32_t begin = quad[first].of.far[lane];
    uint32_t end = first + n < n_blocks ? quad[first + n].of.far[lane] : list[ql_far_most(n_blocks)].at;
    for (const ql_far *far = list + begin; far < list + end; far++)
        add_far(n_scales, &w[far->at / QL_GROUPS - first], far, y);
}

// Block i of a super-block.
INLINE void unpack_super(ql_dtype dtype, const uint8_t *block, int i, block_32 *w)
{
    int mins = n_mins(dtype), n = n_scales(dtype);
    float d[16], dmin[16];
    scales sc;
    scales_of(dtype, block, &sc);
    unpack_weights(dtype, block, i / 4, i % 4, w);
    halves_to_f32(block + scale_at(dtype), d);
    for (int j = 0; j < n; j++)
        for (int r = 0; r < 16; r++)
            w->d[j][r] = d[r] * (float)sc.scale[i * n + j][r];
    halves_to_f32(block + (mins ? min_at(dtype) : 0), dmin);
    for (int j = 0; j < mins; j++)
        for (int r = 0; r < 16; r++)
            w->m[j][r] = -dmin[r] * (float)sc.min[i * mins + j][r];
}

INLINE void unpack_block(ql_dtype dtype, const uint8_t *block, int i, block_32 *w)
{
    if (n_parts(dtype) != 1) {
        unpack_super(dtype, block, i, w);
        return;
    }
    unpack_weights(dtype, block, 0, 0, w);
    halves_to_f32(block + scale_at(dtype), w->d[0]);
    halves_to_f32(block + min_at(dtype), w->m[0]);
}

INLINE void matmul_quantized(ql_dtype dtype, QL_MATMUL_ARGUMENTS)
{
    size_t n_blocks = n_cols / 32, parts = (size_t)n_parts(dtype), slice = slice_of(dtype, n_blocks);
    size_t quad_bytes = ql_quad_bytes(sizeof(ql_pairs), n_blocks);
    for (size_t p = p_begin; p < p_end; p++)
        for (size_t first = 0; first < n_blocks; first += slice) {
            block_32 w[QL_SLICE];
            size_t n = n_blocks - first < slice ? n_blocks - first : slice;
            for (size_t b = 0; b < n; b++)
                unpack_block(dtype, panels + (p * n_blocks + first + b) / parts * block_bytes(dtype), (int)(b % parts), &w[b]);
            for (size_t t = 0; t < n_tokens; t++) {
                const void *quad = (const char *)acts + t / QL_QUAD_ROWS * quad_bytes;
                float *to = y + t * ldy + p * QL_PANEL_ROWS;
                add_slice(n_scales(dtype), n_mins(dtype), w, first, n, n_blocks, quad, t % QL_QUAD_ROWS, to);
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

static inline float largest(const float *x)
{
    float amax = 0;
    for (size_t i = 0; i < 32; i++) {
        float a = __builtin_fabsf(x[i]);
        amax = a <= 0x1.fffffep127f ? a > amax ? a : amax : __builtin_inff();
    }
    return amax;
}
static inline squares zero_squares(void) { return (squares){{0}}; }
static inline squares add_squares(squares s, const float *x)
{
    for (size_t i = 0; i < 32; i++)
        s.of[i] = __builtin_fmaf(x[i], x[i], s.of[i]);
    return s;
}
static inline float sum_squares(squares s)
{
    for (size_t half = 16; half > 0; half /= 2)
        for (size_t i = 0; i < half; i++)
            s.of[i] += s.of[i + half];
    return s.of[0];
}
static inline uint32_t far_groups(const float *x, float limit, float *near)
{
    uint32_t far = 0;
    *near = 0;
    for (size_t g = 0; g < QL_GROUPS; g++) {
        float top = 0;
        for (size_t i = 4 * g; i < 4 * g + 4; i++)
            top = top > __builtin_fabsf(x[i]) ? top : __builtin_fabsf(x[i]);
        if (top > limit)
            far |= 1u << 4 * g;
        else
            *near = *near > top ? *near : top;
    }
    return far;
}
static inline void put_pairs(const float *x, float amax, scaling how, size_t lane, size_t b, ql_pairs *quad, ql_far *list)
{
    define_pairs(x, amax, how, lane, b, quad, list);
}
static inline void put_bytes(const float *x, float amax, scaling how, size_t lane, size_t b, ql_bytes *quad, ql_far *list)
{
    define_bytes(x, amax, how, lane, b, quad, list);
}

#define LEVEL scalar
#define ENCODERS // the tensor room's
#define MATMUL_FEW matmul_quantized
#define ACT_FEW QL_ACT_PAIRS
#define MATMUL_MANY matmul_quantized
#define ACT_MANY QL_ACT_PAIRS
#include "kernel/matmul_table.inc"
