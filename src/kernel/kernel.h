// SPDX-License-Identifier: MIT
// The table of kernels: mathematics on rows, no models, no threads. `scalar` is the definition; every other level gives
// the same bits (tests/kernel compares by memcmp).
//
// Weights are in panels: 16 output rows side by side, K in order, so that one vector holds the same K for 16 rows. A
// panel takes exactly 16 times the bytes of a row of its type. Activations are in groups of 4 rows ("quads"), interleaved
// so that a kernel reads any of the 4 with one base pointer. Layouts: kernel/layout.h.
//
// Numbers: K in a fixed order, one fused multiply-add for each scale and one for each minimum of a block, and after the
// blocks of each slice of K (slice_of() in layout.h) one for each far group of activations in it; no split of K. So an
// output depends on its weight row and its activation row alone: not on how many rows are computed together, nor on
// which thread or instruction set does it.
#ifndef QL_KERNEL_KERNEL_H
#define QL_KERNEL_KERNEL_H

#include "tensor/dtype.h"

enum {
    QL_PANEL_ROWS = 16, // output rows of a panel
    QL_QUAD_ROWS = 4,   // activation rows that are stored together
    QL_KV_CHUNK = 256,  // positions of an attention chunk; chunk c covers [256 c, 256 c + 256)
    QL_QUERY_MAX = 12,  // queries of one attend_chunk call
    QL_HEAD_DIM_MAX = 256,
};

// How the activations that meet a weight type are stored.
typedef enum ql_act {
    QL_ACT_F32,   // f32, for F32, F16 and BF16 weights
    QL_ACT_PAIRS, // 8 bits as int16, a scale for each 32, and lists of second numbers where 8 bits are not enough, for
                  // quantized weights: two of them to a product of 16 bits
    QL_ACT_BYTES, // the same as int8: for products of 8 bits
    QL_ACT_COUNT
} ql_act;

size_t ql_act_quad_bytes(ql_act act, size_t n_cols); // of one quad of 4 rows

// Packs n_rows <= 16 rows of a matrix (row-major blocks, as in a file, row_bytes apart) into one panel; missing rows are
// zeros. dst: 16 rows' bytes, 64-byte aligned.
void ql_panel_pack(ql_dtype dtype, const uint8_t *rows, size_t row_bytes, int n_rows, size_t n_cols, uint8_t *dst);
// One row of packed weights back to f32 (embedding lookup): exactly what the dtype's decode gives.
void ql_panel_row(ql_dtype dtype, const uint8_t *panels, size_t n_cols, size_t row, float *out);

// The keys and values of one layer, kv head and sequence. Positions are absolute from 0. Q8 has keys of 16 bits, since
// their errors reach a score undiluted, and values of 8, whose errors are averaged away; Q4 has 8 and 4. head_dim is even.
typedef enum ql_kv_type { QL_KV_F32, QL_KV_F16, QL_KV_Q8, QL_KV_Q4, QL_KV_COUNT } ql_kv_type;
typedef struct ql_kv {
    uint8_t *k; // F32, F16: [n_ctx/16][head_dim][16 positions]; Q8: i16, Q4: i8 [n_ctx/16][head_dim/2][16 positions][2]
    uint8_t *v; // F32, F16: [n_ctx][head_dim]; Q8: i8 [n_ctx/2][head_dim][2 positions]; Q4: [n_ctx/2][head_dim/16][8]
                // [2 positions], a byte with v + 8 of dimension j and, above it, of j + 8; what head_dim leaves over
                // 16 is a shorter block of the same kind
    float *k_scale, *v_scale; // Q8, Q4: [n_ctx]
} ql_kv;
extern const char *const ql_kv_names[QL_KV_COUNT]; // "f32", "f16", "q8", "q4"
size_t ql_kv_key_bytes(ql_kv_type type, size_t head_dim); // of k, of one position (without its scale)
size_t ql_kv_value_bytes(ql_kv_type type, size_t head_dim); // of v
size_t ql_kv_scale_bytes(ql_kv_type type); // of k_scale and of v_scale

// The positions begin <= p < end that a query sees.
typedef struct ql_span {
    int32_t begin, end;
} ql_span;

#define QL_ATTEND_ARGUMENTS                                                                                            \
    const ql_kv *kv, const void *tile, size_t n_queries, const ql_span *visible, size_t chunk, size_t head_dim,        \
        float softcap, float *partial

// RoPE pairs: NORM rotates (x[2i], x[2i+1]), NEOX rotates (x[i], x[i + n_rot/2]).
typedef enum ql_rope_kind { QL_ROPE_NORM, QL_ROPE_NEOX } ql_rope_kind;

// The function between the two halves of a feed-forward network. GELU (Hendrycks and Gimpel 2016) by its tanh form or by erf.
typedef enum ql_activation { QL_SILU, QL_GELU_TANH, QL_GELU_ERF, QL_ACTIVATION_COUNT } ql_activation;

typedef struct ql_kernels {
    const char *name; // "scalar", "avx2", "avx512"

    // y[t * ldy + 16 p + r] = dot(weight row 16 p + r, activation row t), for t < n_tokens and p_begin <= p < p_end.
    // panels: the matrix's first panel; acts: quads of the form act[dtype]. n_cols a multiple of the dtype's block.
    ql_act act[QL_DTYPE_END];
    void (*matmul[QL_DTYPE_END])(const uint8_t *panels, size_t n_cols, const void *acts, size_t n_tokens, float *y,
                                 size_t ldy, size_t p_begin, size_t p_end);

    // Quantizes n weights, a multiple of the block, as the tensor room's encode does. NULL: that one is to be used.
    void (*encode[QL_DTYPE_END])(const float *in, void *blocks, size_t n);

    // Stores x [n_cols] as row `row` (0..) of the quads at acts. PAIRS, BYTES: per
    // block of 32, d = near / 127, q = round to nearest even(x * (127 / near)), 0 when near is 0. A group of 4 is far where one of
    // it is beyond QL_ACT_FAR root mean squares of the row; near is the largest magnitude of the other groups, at least
    // 127 / 16255 of the block's. So far values do not make the others coarse, and q is within 127, of far groups 16255. Beyond
    // 1 group for 25 columns of a row no more are far (squares that underflow).
    void (*act_write[QL_ACT_COUNT])(const float *x, size_t n_cols, size_t row, void *acts);

    // y = x / sqrt(mean(x^2) + eps) * w. x, y, w: [n]; y may be x.
    void (*rms_norm)(const float *x, const float *w, float eps, size_t n, float *y);
    // y = (x - mean(x)) / sqrt(mean((x - mean(x))^2) + eps) * w + b. x, y, w, b: [n]; b may be NULL, y may be x.
    void (*layer_norm)(const float *x, const float *w, const float *b, float eps, size_t n, float *y);
    void (*add)(float *x, const float *y, size_t n);   // x += y
    void (*exp)(const float *x, size_t n, float *y);   // y may be x
    void (*softcap)(float *x, float cap, size_t n);    // x = cap * tanh(x / cap)
    // out = f(x) * up, f(x) when up is NULL; out may be x or up.
    void (*activate[QL_ACTIVATION_COUNT])(const float *x, const float *up, size_t n, float *out);

    // Rotates the first n_rot of each head. x: [n_heads, head_dim]; cos_sin: [n_rot / 2][2], of this position.
    void (*rope)(float *x, const float *cos_sin, size_t n_heads, size_t head_dim, size_t n_rot, ql_rope_kind kind);

    // Writes position pos of one kv head. k, v: [head_dim]. Integers: x * levels / amax over the head, to nearest even;
    // levels are 127 (bytes), 7 (nibbles), and for 16 bits what keeps a score in 32: floor(sqrt((2^31 - 1) / head_dim)).
    void (*kv_write[QL_KV_COUNT])(const ql_kv *kv, size_t pos, const float *k, const float *v, size_t head_dim);

    // Puts q [head_dim] times `scale` (1/sqrt(head_dim)) as query `lane` (< QL_QUERY_MAX) into a query tile of
    // ql_query_tile_bytes(); for Q8 and Q4 in 16 bits as above.
    void (*query_write[QL_KV_COUNT])(const float *q, float scale, size_t lane, size_t head_dim, void *tile);

    // One chunk of keys and values against n_queries queries of a tile that share this kv head. Query i sees positions
    // visible[i], which may lie before the chunk or after it (then it adds nothing). softcap: of the scores, 0 without.
    // partial: [n_queries][head_dim + 16] floats: max m, sum l of exp(score - m), 14 unused, then o = sum of
    // exp(score - m) v; nothing visible: m = -INFINITY, l = 0, o = 0. Q8 and Q4: the weights exp(score - m) * v_scale
    // are rounded to 15 bits of the largest one of the chunk, and the sums are exact.
    void (*attend_chunk[QL_KV_COUNT])(QL_ATTEND_ARGUMENTS);
    // Folds one query's partial of the next chunk into the one of all chunks before (in place; start from a copy of the
    // first chunk's). [head_dim + 16] floats each.
    void (*attend_merge)(float *total, const float *partial, size_t head_dim);
    // out = o / l. [head_dim]
    void (*attend_finish)(const float *total, size_t head_dim, float *out);
} ql_kernels;

size_t ql_query_tile_bytes(ql_kv_type type, size_t head_dim); // for QL_QUERY_MAX queries

// The best level this CPU has, or the lower one that `isa` names ("scalar", "avx2", "avx512"; NULL: no cap). An unknown
// name gives NULL; a level the CPU lacks gives the best one below it.
const ql_kernels *ql_kernels_get(const char *isa);

// The first CPU feature that a level needs and this machine lacks; NULL: it has them all.
const char *ql_kernels_lacks(const char *isa);

// Does nothing but the level's products of this form (PAIRS: vpmaddwd and vpaddd, or vpdpwssd; BYTES: vpmaddubsw and vpaddw,
// or vpdpbusd) for some microseconds; returns the multiply-adds of that, 0 for F32 and for scalar.
size_t ql_dot_burst(const ql_kernels *kernels, ql_act act);

#endif
