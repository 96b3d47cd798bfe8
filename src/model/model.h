// SPDX-License-Identifier: MIT
// A transformer: configuration, packed weights, key/value cache, and forward(rows) -> logits.
//
// A row is (sequence, position, token, want-logits). Decoding is one row, a prompt is many rows of one sequence, a batch
// is rows of many sequences: one forward(), one code path. What a row gives does not depend on the rows beside it.
#ifndef QL_MODEL_MODEL_H
#define QL_MODEL_MODEL_H

#include "base/arena.h"
#include "base/log.h"
#include "base/pool.h"
#include "format/source.h"
#include "kernel/kernel.h"

enum {
    QL_ROWS_MAX = 256,       // rows of one forward()
    QL_LOGIT_ROWS_MAX = 24,  // of which so many may want logits
};

// ---- configuration ----

typedef struct ql_arch ql_arch; // one row of the architecture table, model/arch.h

typedef enum ql_rope_scaling {
    QL_ROPE_NONE,
    QL_ROPE_LINEAR,
    QL_ROPE_DYNAMIC,  // NTK by length
    QL_ROPE_YARN,     // Peng et al. 2023
    QL_ROPE_LONGROPE, // Ding et al. 2024
    QL_ROPE_LLAMA3,
} ql_rope_scaling;

typedef struct ql_rope_config {
    ql_rope_scaling scaling;
    double theta;             // base of the frequencies
    double factor;            // context extension, 1 without scaling
    double attn_factor;       // multiplies cos and sin (YaRN's mscale is on top of it); 0: the scaling's own formula
    double beta_fast, beta_slow, ext_factor; // YaRN
    double low_freq_factor, high_freq_factor; // Llama 3
    uint32_t original_context_length;
    bool exact_range;         // YaRN's ramp lies between unrounded dimensions
} ql_rope_config;

enum {
    QL_LAYERS_MAX = 1024,
    QL_ROPE_GLOBAL = 0, // which of a model's rotations a layer uses
    QL_ROPE_LOCAL = 1,  // Gemma 3's layers with a window
    QL_ROPES = 2,
    QL_NO_ROPE = 255,   // a layer without positions (SmolLM3)
};

typedef enum ql_norm_kind { QL_NORM_RMS, QL_NORM_LAYER } ql_norm_kind;

// Normalization of queries and keys before they are rotated.
typedef enum ql_qk_norm { QL_QK_NORM_NONE, QL_QK_NORM_HEAD, QL_QK_NORM_FULL } ql_qk_norm; // each head; all heads at once

// What differs from layer to layer.
typedef struct ql_layer_plan {
    uint8_t rope;  // QL_ROPE_GLOBAL, QL_ROPE_LOCAL, QL_NO_ROPE
    bool windowed; // sees the last `window` positions alone
    bool experts;  // the feed-forward is a mixture of experts
} ql_layer_plan;

typedef struct ql_config {
    const ql_arch *arch;
    uint32_t n_layers, n_embd, n_ff;        // n_ff: of the dense feed-forward
    uint32_t n_heads, n_kv_heads, head_dim; // n_heads a multiple of n_kv_heads
    uint32_t n_rot;                         // dimensions of a head that RoPE rotates, even; 0: no rotation at all
    uint32_t n_vocab;
    uint32_t context_length;
    uint32_t window;                        // of windowed layers; 0: there are none
    uint32_t n_experts, n_experts_used, n_ff_expert; // 0 without
    bool norm_expert_weights;               // the used experts' weights are made to sum to 1
    ql_norm_kind norm;
    float norm_eps;
    ql_qk_norm qk_norm;
    ql_activation activation;
    bool gated;             // f(gate(x)) * up(x); else f(up(x))
    bool parallel_residual; // x + attention(norm(x)) + ffn(norm(x)); a layer without ffn_norm shares attention's
    bool tied_output;       // the embedding is the output matrix, whatever else the source has
    bool own_output;        // the source says that it is not; neither: it is where the source has no other
    bool learned_positions; // weights->pos_embd is added to the embedding
    float embd_scale, residual_scale, logit_scale; // multiply; 1 without
    float attn_scale;       // of scores: usually 1 / sqrt(head_dim)
    float attn_softcap, logit_softcap; // 0 without
    ql_rope_kind rope_kind;
    ql_rope_config rope[QL_ROPES];
    ql_layer_plan plan[QL_LAYERS_MAX];
} ql_config;

// Reads and checks every hyper-parameter; a message names the key, its value and the rule.
ql_code ql_config_read(const ql_source *source, ql_config *config, ql_error *err);

// Whether frequencies depend on the context a session is opened for (LongRoPE, dynamic): then the default of max_length
// is rope[QL_ROPE_GLOBAL].original_context_length.
bool ql_config_rope_by_length(const ql_config *config);

// Inverse frequencies [n_rot / 2] of rotation `which` in double; *attn_factor is what cos and sin are multiplied with.
// max_length decides between the short and the long factors of LongRoPE, and dynamic NTK's base.
ql_code ql_rope_frequencies(const ql_source *source, const ql_config *config, int which, uint32_t max_length,
                            double *inv_freq, double *attn_factor, ql_error *err);

// ---- weights ----

typedef struct ql_matrix {
    const uint8_t *panels; // kernel/layout.h; ceil(n_rows / 16) panels of panel_bytes; NULL: the layer has none
    size_t panel_bytes;
    uint32_t n_rows, n_cols;
    ql_dtype dtype;
    float *bias;           // [n_rows] and zeros up to a multiple of 16, NULL without
} ql_matrix;

static inline size_t ql_n_panels(const ql_matrix *m)
{
    return ((size_t)m->n_rows + QL_PANEL_ROWS - 1) / QL_PANEL_ROWS;
}

typedef struct ql_norm {
    float *weight; // [n], NULL: no normalization here
    float *bias;   // [n], NULL without
} ql_norm;

typedef struct ql_expert {
    ql_matrix gate, up; // [n_ff_expert, n_embd]
    ql_matrix down;     // [n_embd, n_ff_expert]
} ql_expert;

typedef struct ql_layer {
    ql_norm attn_norm, ffn_norm;           // [n_embd], in front of attention and feed-forward
    ql_norm attn_post_norm, ffn_post_norm; // [n_embd], of what is added to the residual stream
    ql_norm q_norm, k_norm;                // [n_heads * head_dim], [n_kv_heads * head_dim]: repeated where heads share one
    ql_matrix q, k, v;           // [n_heads * head_dim, n_embd], [n_kv_heads * head_dim, n_embd] twice
    ql_matrix o;                 // [n_embd, n_heads * head_dim]
    ql_matrix gate, up;          // [n_ff, n_embd]; gate absent when not gated
    ql_matrix down;              // [n_embd, n_ff]
    ql_matrix router;            // [n_experts, n_embd]
    ql_expert *experts;          // [n_experts]
} ql_layer;

typedef struct ql_weights {
    ql_arena arena;     // everything small: layers, vectors, frequencies
    ql_layer *layers;   // [n_layers]
    ql_matrix embd;     // [n_vocab, n_embd]
    ql_matrix output;   // the same panels as embd when tied
    ql_norm output_norm; // [n_embd]
    float *pos_embd;    // [context_length, n_embd] with learned_positions
    double *inv_freq[QL_ROPES]; // [n_rot / 2]; [QL_ROPE_LOCAL] NULL when no layer uses it
    double rope_attn_factor[QL_ROPES];
    uint64_t bytes_per_token; // read to decode one token
    struct ql_binding *binding; // what is where: model/bind.h
    ql_arena panels;    // the packed matrices; empty when they are mapped from a packed source
} ql_weights;

typedef struct ql_mix ql_mix; // a named quantization, model/mix.h

// Finds and checks every tensor; small ones are decoded. Nothing big is read or allocated. The source must outlive the
// weights. On failure nothing is left.
ql_code ql_weights_bind(const ql_source *source, const ql_config *config, uint32_t max_length, ql_weights *weights,
                        ql_error *err);

// How many tensors of the source have no place in this architecture, and the first one's name.
ql_code ql_weights_unused(const ql_source *source, const ql_config *config, uint32_t max_length, size_t *n,
                          const char **first, ql_error *err);

uint64_t ql_weights_packed_bytes(const ql_weights *weights); // what they take now

// Bytes that the matrices take once packed. mix NULL: in the source's own types.
uint64_t ql_weights_bytes(const ql_weights *weights, const ql_config *config, const ql_mix *mix);

typedef struct ql_pack_options {
    const ql_mix *mix;          // NULL: the source's own types
    const ql_kernels *kernels;
    ql_pool *pool;
    ql_progress *progress;      // may be NULL
    void *progress_user;
    ql_logger log;              // told which matrices got another type than the mix says
} ql_pack_options;

// Reads, quantizes and packs every matrix on the pool; a piece of the source at a time is in memory.
ql_code ql_weights_pack(ql_weights *weights, const ql_config *config, const ql_pack_options *options, ql_error *err);

// For weights bound to a packed source: their panels are the source's bytes.
ql_code ql_weights_map(ql_weights *weights, const ql_config *config, ql_error *err);

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

// Everything that a pass needs is allocated here.
ql_code ql_forward_new(const ql_config *config, const ql_weights *weights, const ql_kernels *kernels, ql_pool *pool,
                       ql_kv_type kv_type, uint32_t max_length, ql_forward **forward, ql_error *err);
void ql_forward_free(ql_forward *forward);

// Computes n <= QL_ROWS_MAX rows and writes their keys and values. Returns the logits of the rows that want them, in
// their order, [n_wanted] rows of ql_forward_logits_stride() floats; they may be changed, and live until the next call.
float *ql_forward_run(ql_forward *forward, const ql_row *rows, size_t n);
size_t ql_forward_logits_stride(const ql_forward *forward);

#endif
