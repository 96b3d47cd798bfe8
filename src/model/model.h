// SPDX-License-Identifier: MIT
// A transformer: configuration, packed weights, key/value cache, and forward(rows) -> logits.
//
// A row is (sequence, position, token, want-logits). Decoding is one row, a prompt is many rows of one sequence, a batch
// is rows of many sequences: one forward(), one code path. What a row gives does not depend on the rows beside it.
#ifndef QL_MODEL_MODEL_H
#define QL_MODEL_MODEL_H

#include "base/arena.h"
#include "base/pool.h"
#include "format/source.h"
#include "kernel/kernel.h"

enum {
    QL_ROWS_MAX = 256,       // rows of one forward()
    QL_LOGIT_ROWS_MAX = 24,  // of which so many may want logits
};

// ---- configuration ----

typedef struct ql_arch ql_arch; // one row of the architecture table, model/arch.h

typedef enum ql_rope_scaling { QL_ROPE_NONE, QL_ROPE_LINEAR, QL_ROPE_YARN, QL_ROPE_LONGROPE } ql_rope_scaling;

typedef struct ql_rope_config {
    ql_rope_kind kind;
    ql_rope_scaling scaling;
    double theta;             // base of the frequencies
    double factor;            // context extension, 1 without scaling
    double attn_factor;       // multiplies cos and sin (YaRN's mscale is on top of it)
    double beta_fast, beta_slow, ext_factor; // YaRN
    uint32_t original_context_length;
} ql_rope_config;

typedef struct ql_config {
    const ql_arch *arch;
    uint32_t n_layers, n_embd, n_ff;
    uint32_t n_heads, n_kv_heads, head_dim; // n_heads a multiple of n_kv_heads
    uint32_t n_rot;                         // dimensions of a head that RoPE rotates, even
    uint32_t n_vocab;
    uint32_t context_length;
    float rms_norm_eps;
    ql_rope_config rope;
} ql_config;

// Reads and checks every hyper-parameter; a message names the key, its value and the rule.
ql_code ql_config_read(const ql_source *source, ql_config *config, ql_error *err);

// Inverse frequencies [n_rot / 2] in double; *attn_factor is what cos and sin are multiplied with. max_length decides
// between the short and the long factors of LongRoPE.
ql_code ql_rope_frequencies(const ql_source *source, const ql_config *config, uint32_t max_length, double *inv_freq,
                            double *attn_factor, ql_error *err);

// ---- weights ----

typedef struct ql_matrix {
    uint8_t *panels;    // kernel/layout.h; ceil(n_rows / 16) panels of panel_bytes
    size_t panel_bytes;
    uint32_t n_rows, n_cols;
    ql_dtype dtype;
    float *bias;        // [n_rows], NULL without
} ql_matrix;

static inline size_t ql_n_panels(const ql_matrix *m)
{
    return ((size_t)m->n_rows + QL_PANEL_ROWS - 1) / QL_PANEL_ROWS;
}

typedef struct ql_layer {
    float *attn_norm, *ffn_norm; // [n_embd]
    ql_matrix q, k, v;           // [n_heads * head_dim, n_embd], [n_kv_heads * head_dim, n_embd] twice
    ql_matrix o;                 // [n_embd, n_heads * head_dim]
    ql_matrix gate, up;          // [n_ff, n_embd]
    ql_matrix down;              // [n_embd, n_ff]
} ql_layer;

typedef struct ql_weights {
    ql_arena arena;
    ql_layer *layers;   // [n_layers]
    ql_matrix embd;     // [n_vocab, n_embd]
    ql_matrix output;   // the same panels as embd when tied
    float *output_norm; // [n_embd]
    double *inv_freq;   // [n_rot / 2]
    double rope_attn_factor;
    uint64_t n_params;
    uint64_t bytes_per_token; // read to decode one token
} ql_weights;

// Bytes that ql_weights_load will hold, for a check before it; also checks that every tensor is there and fits.
ql_code ql_weights_measure(const ql_source *source, const ql_config *config, bool f32, uint64_t *bytes, ql_error *err);

// Packs all matrices on the pool. f32: everything as F32 (the reference).
ql_code ql_weights_load(const ql_source *source, const ql_config *config, bool f32, uint32_t max_length, ql_pool *pool,
                        ql_progress *progress, void *user, ql_weights *weights, ql_error *err);
void ql_weights_free(ql_weights *weights);

// ---- key/value cache of one sequence ----

typedef struct ql_cache {
    ql_arena arena;
    ql_kv *heads; // [n_layers][n_kv_heads]
} ql_cache;

uint64_t ql_cache_bytes(const ql_config *config, ql_kv_type type, uint32_t max_length);
ql_code ql_cache_init(ql_cache *cache, const ql_config *config, ql_kv_type type, uint32_t max_length, ql_error *err);
void ql_cache_free(ql_cache *cache);

// ---- forward ----

typedef struct ql_row {
    ql_cache *cache;
    int32_t token;    // < n_vocab
    uint32_t pos;     // < max_length; rows of one sequence stand together, positions rising by one
    bool want_logits;
} ql_row;

typedef struct ql_forward ql_forward; // scratch memory and what the computation needs to know

ql_code ql_forward_new(const ql_config *config, const ql_weights *weights, const ql_kernels *kernels, ql_pool *pool,
                       ql_kv_type kv_type, uint32_t max_length, ql_forward **forward, ql_error *err);
void ql_forward_free(ql_forward *forward);

// Computes n <= QL_ROWS_MAX rows and writes their keys and values. Returns the logits of the rows that want them, in
// their order, [n_wanted] rows of ql_forward_logits_stride() floats; they may be changed, and live until the next call.
float *ql_forward_run(ql_forward *forward, const ql_row *rows, size_t n);
size_t ql_forward_logits_stride(const ql_forward *forward);

#endif
