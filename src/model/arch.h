// SPDX-License-Identifier: MIT
// The architecture table. A new architecture is a row here: names, flags, numbers; not an `if` in forward.c.
//
// A layer is a fixed set of targets (its matrices and norms). A row's slots say in which tensor of a source a target is
// found, and how its rows lie there; several slots for one target are alternatives, the first one present counts.
#ifndef QL_MODEL_ARCH_H
#define QL_MODEL_ARCH_H

#include "model/bind.h"

// What a dimension of a tensor must be.
typedef enum ql_dim {
    QL_DIM_EMBD, QL_DIM_Q, QL_DIM_KV, QL_DIM_FF, QL_DIM_FF_EXPERT, QL_DIM_EXPERTS, QL_DIM_ONE
} ql_dim;

// In the order in which forward() reads them.
typedef enum ql_target {
    QL_TO_ATTN_NORM, QL_TO_Q, QL_TO_K, QL_TO_V, QL_TO_Q_NORM, QL_TO_K_NORM, QL_TO_O, QL_TO_ATTN_POST_NORM,
    QL_TO_FFN_NORM, QL_TO_ROUTER, QL_TO_EXPERT_GATE, QL_TO_EXPERT_UP, QL_TO_EXPERT_DOWN, QL_TO_GATE, QL_TO_UP,
    QL_TO_DOWN, QL_TO_FFN_POST_NORM, QL_TARGETS
} ql_target;

typedef struct ql_target_info {
    const char *name;     // canonical, after "blk.N.": what a packed source calls it; %u is the expert
    bool matrix, expert;  // else a norm; expert: of each of the layer's experts
    ql_role role;         // of a matrix
    ql_dim rows, cols;    // of a norm: cols alone
    size_t offset;        // in ql_layer, or in ql_expert
} ql_target_info;

extern const ql_target_info ql_target_infos[QL_TARGETS];

// Where a target's rows are in its tensor.
typedef enum ql_layout {
    QL_PARTS,   // the slot's targets one after the other (one alone: the whole tensor)
    QL_GROUPS,  // for each key/value head its query heads, its key head, its value head
    QL_COLUMNS, // as QL_PARTS, but columns (GPT-2's Conv1D)
} ql_layout;

typedef struct ql_slot {
    const char *name;      // after the layer's prefix; %u: expert, or the head of a norm kept head by head
    ql_layout layout;
    uint8_t n_targets;
    uint8_t targets[3];
} ql_slot;

// Names of one kind of source.
typedef struct ql_names {
    const char *prefixes[4]; // of embedding, layers and output norm; the first that the embedding has counts
    const char *embd, *layer, *output_norm, *pos_embd;
    const char *outputs[3];  // without a prefix
    const ql_slot *slots;
    size_t n_slots;
} ql_names;

// Which layers have a sliding window, where the source does not say it layer by layer.
typedef enum ql_window_kind {
    QL_WINDOW_NONE,
    QL_WINDOW_ALL,
    QL_WINDOW_PERIOD, // all but each window_period-th
    QL_WINDOW_UPPER,  // from max_window_layers on
    QL_WINDOW_NOPE,   // those without positions
} ql_window_kind;

typedef enum ql_parallel_kind {
    QL_PARALLEL_NEVER,
    QL_PARALLEL_ALWAYS,
    QL_PARALLEL_SWITCH,  // a key says so, by default it is
    QL_PARALLEL_BY_NORM, // GGUF: where a layer has no ffn_norm; config.json: a key says so, by default it is not
} ql_parallel_kind;

enum {
    QL_ARCH_GATED = 1 << 0,
    QL_ARCH_POST_NORMS = 1 << 1,
    QL_ARCH_NO_PRE_NORMS = 1 << 2,
    QL_ARCH_NORM_PLUS_ONE = 1 << 3,  // config.json's checkpoints store norm weights less 1; GGUF has them whole
    QL_ARCH_TWO_NORMS = 1 << 4,      // parallel_residual, yet with an ffn_norm
    QL_ARCH_SQRT_EMBD = 1 << 5,      // embeddings times sqrt(n_embd)
    QL_ARCH_MULTIPLIERS = 1 << 6,    // Granite's four
    QL_ARCH_LOGIT_SCALE = 1 << 7,    // logits are multiplied with the key of this name
    QL_ARCH_QUERY_SCALAR = 1 << 8,   // scores are scaled with query_pre_attn_scalar ^ -1/2
    QL_ARCH_SOFTCAPS = 1 << 9,
    QL_ARCH_LOCAL_ROPE = 1 << 10,    // layers with a window rotate with QL_ROPE_LOCAL
    QL_ARCH_LEARNED_POSITIONS = 1 << 11,
    QL_ARCH_PARTIAL_ROPE = 1 << 12,  // partial_rotary_factor counts
    QL_ARCH_ALWAYS_LONGROPE = 1 << 13, // every scaling is LongRoPE, whatever its name
    QL_ARCH_WINDOW_SWITCH = 1 << 14, // use_sliding_window must be true
    QL_ARCH_QK_NORM_ALWAYS = 1 << 15,
    QL_ARCH_MULTI_QUERY = 1 << 16,   // Falcon's rules for the number of key/value heads
    QL_ARCH_NORM_TOPK = 1 << 17,     // the used experts' weights always sum to 1
    QL_ARCH_SPARSE_STEPS = 1 << 18,  // decoder_sparse_step and mlp_only_layers say which layers have experts
    QL_ARCH_TO_GGUF = 1 << 19,       // a folder can be written as GGUF: out_config.c and out_hf.c have all of its form
    // Biases without which a file is not whole.
    QL_ARCH_BIAS_QKV = 1 << 24,
    QL_ARCH_BIAS_LINEAR = 1 << 25,   // of every matrix in a layer
    QL_ARCH_BIAS_NORM = 1 << 26,
};

// Keys of config.json.
typedef struct ql_hf_keys {
    const char *n_embd, *n_layers, *n_heads, *n_kv_heads, *n_ff, *context, *activation, *rope_theta, *partial;
} ql_hf_keys;

// What config.json may leave out: the defaults of transformers' configuration classes.
typedef struct ql_hf_defaults {
    uint32_t n_embd, n_layers, n_heads, n_kv_heads, head_dim, n_ff, context; // n_kv_heads, head_dim, n_ff 0: derived
    double eps, theta, partial;
    bool tied;
} ql_hf_defaults;

struct ql_arch {
    const char *names[2];       // by ql_source_kind: general.architecture, and model_type; NULL: not in this world
    const char *hf_class;       // in "architectures"
    const char *hf_prefix;      // of keys in config.json: "" or "text_config."
    uint32_t flags;
    ql_norm_kind norm;
    ql_qk_norm qk_norm;         // when there is one
    const char *qk_norm_key;    // of config.json, when not QK_NORM_ALWAYS
    ql_activation activation;   // default
    ql_rope_kind rope_kinds[2]; // by ql_source_kind
    ql_parallel_kind parallel;
    const char *parallel_key;   // of config.json
    ql_window_kind window;
    uint32_t window_default, window_period;
    uint32_t nope_period;       // each such layer has no positions; 0: all have
    uint32_t wide_layers;       // GGUF: a model of so many layers scales scores by n_embd / n_heads
    double softcaps[2];         // defaults: of scores, of logits
    double local_theta;
    const char *eps_key;        // of config.json
    const char *expert_keys[2]; // of config.json, n_experts; [0] NULL: no experts there
    uint32_t n_experts, n_experts_used, n_ff_expert; // defaults; n_ff_expert 0: n_ff
    const char *ff_expert_key;  // of config.json; NULL: n_ff
    const ql_hf_keys *keys;
    ql_hf_defaults defaults;
    const ql_names *tensors[2]; // by ql_source_kind
    ql_kv_type kv_type;         // of the cache, unless something else is asked for
};

extern const ql_arch ql_arch_table[];
extern const size_t ql_n_archs;
extern const ql_names ql_packed_names; // of a packed source, whatever the architecture

// The row of this name in this kind of source; NULL when it is not supported.
const ql_arch *ql_arch_find(ql_source_kind kind, const char *name, size_t len);

// The row whose hf_class this is.
const ql_arch *ql_arch_find_class(const char *name, size_t len);

// The names of a kind of source, with commas, into out [size].
void ql_arch_list(ql_source_kind kind, char *out, size_t size);

#endif
