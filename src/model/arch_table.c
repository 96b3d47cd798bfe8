// SPDX-License-Identifier: MIT
// Owns the rows of the architecture table. Names of tensors: as llama.cpp's converter and transformers' save_pretrained
// write them; defaults: transformers' configuration classes (5.x).
//
// GGUF files of the llama family hold q and k rows permuted for interleaved RoPE pairs, their checkpoints do not: hence
// two kinds of rotation in a row.
#include "model/arch.h"

#define ONE(name, to) {name, QL_PARTS, 1, {to}}
#define COUNT(a) (sizeof(a) / sizeof *(a))

// ---- tensors of GGUF ----

#define GGUF_ATTENTION                                                              \
    ONE("attn_q.weight", QL_TO_Q), ONE("attn_k.weight", QL_TO_K),                   \
    ONE("attn_v.weight", QL_TO_V), ONE("attn_q_norm.weight", QL_TO_Q_NORM),         \
    ONE("attn_k_norm.weight", QL_TO_K_NORM), ONE("attn_output.weight", QL_TO_O),    \
    ONE("post_attention_norm.weight", QL_TO_ATTN_POST_NORM),                        \
    ONE("post_ffw_norm.weight", QL_TO_FFN_POST_NORM),                               \
    ONE("ffn_down.weight", QL_TO_DOWN),                                             \
    {"attn_qkv.weight", QL_PARTS, 3, {QL_TO_Q, QL_TO_K, QL_TO_V}}
#define GGUF_NORMS ONE("attn_norm.weight", QL_TO_ATTN_NORM), ONE("ffn_norm.weight", QL_TO_FFN_NORM)

static const ql_slot gguf_slots[] = {
    GGUF_NORMS, GGUF_ATTENTION,
    ONE("ffn_gate.weight", QL_TO_GATE), ONE("ffn_up.weight", QL_TO_UP),
    ONE("ffn_gate_inp.weight", QL_TO_ROUTER),
    ONE("ffn_gate_exps.weight", QL_TO_EXPERT_GATE), ONE("ffn_up_exps.weight", QL_TO_EXPERT_UP),
    ONE("ffn_down_exps.weight", QL_TO_EXPERT_DOWN),
    {"ffn_gate_up_exps.weight", QL_PARTS, 2, {QL_TO_EXPERT_GATE, QL_TO_EXPERT_UP}},
    // Files from before the experts of a layer were one tensor.
    ONE("ffn_gate.%u.weight", QL_TO_EXPERT_GATE), ONE("ffn_up.%u.weight", QL_TO_EXPERT_UP),
    ONE("ffn_down.%u.weight", QL_TO_EXPERT_DOWN),
};

static const ql_slot gguf_fused_slots[] = {
    GGUF_NORMS, GGUF_ATTENTION, {"ffn_up.weight", QL_PARTS, 2, {QL_TO_GATE, QL_TO_UP}}};

static const ql_slot gguf_falcon_slots[] = {
    ONE("attn_norm_2.weight", QL_TO_ATTN_NORM), ONE("attn_norm.weight", QL_TO_ATTN_NORM),
    ONE("attn_norm.weight", QL_TO_FFN_NORM), GGUF_ATTENTION, ONE("ffn_up.weight", QL_TO_UP)};

#define GGUF_NAMES(of)                                                              \
    {.prefixes = {""}, .embd = "token_embd.weight", .layer = "blk.%u.",             \
     .output_norm = "output_norm.weight", .pos_embd = "position_embd.weight",       \
     .outputs = {"output.weight"}, .slots = of, .n_slots = COUNT(of)}
static const ql_names gguf = GGUF_NAMES(gguf_slots), gguf_fused = GGUF_NAMES(gguf_fused_slots),
                      gguf_falcon = GGUF_NAMES(gguf_falcon_slots);

const ql_names ql_packed_names = {.prefixes = {""}, .embd = "token_embd.weight", .layer = "blk.%u.",
                                  .output_norm = "output_norm.weight", .pos_embd = "pos_embd.weight",
                                  .outputs = {"output.weight"}};

// ---- tensors of checkpoints ----

#define HF_NAMES(of) {.prefixes = {"model.", ""}, .embd = "embed_tokens.weight", .layer = "layers.%u.", \
                      .output_norm = "norm.weight", .outputs = {"lm_head.weight"}, .slots = of, .n_slots = COUNT(of)}
#define HF_QKV                                                                      \
    ONE("self_attn.q_proj.weight", QL_TO_Q), ONE("self_attn.k_proj.weight", QL_TO_K), \
    ONE("self_attn.v_proj.weight", QL_TO_V)
#define HF_ATTENTION                                                                \
    ONE("input_layernorm.weight", QL_TO_ATTN_NORM), HF_QKV, ONE("self_attn.o_proj.weight", QL_TO_O), \
    ONE("self_attn.q_norm.weight", QL_TO_Q_NORM), ONE("self_attn.k_norm.weight", QL_TO_K_NORM)
#define HF_GATED                                                                    \
    ONE("mlp.gate_proj.weight", QL_TO_GATE), ONE("mlp.up_proj.weight", QL_TO_UP),   \
    ONE("mlp.down_proj.weight", QL_TO_DOWN)
#define HF_GATE_UP \
    {"mlp.gate_up_proj.weight", QL_PARTS, 2, {QL_TO_GATE, QL_TO_UP}}, ONE("mlp.down_proj.weight", QL_TO_DOWN)
// transformers' own form of experts in memory, which a checkpoint may have as well.
#define HF_STACKED                                                                              \
    {"mlp.experts.gate_up_proj", QL_PARTS, 2, {QL_TO_EXPERT_GATE, QL_TO_EXPERT_UP}},            \
    ONE("mlp.experts.down_proj", QL_TO_EXPERT_DOWN), ONE("mlp.gate.weight", QL_TO_ROUTER)

static const ql_slot llama_slots[] = {HF_ATTENTION, ONE("post_attention_layernorm.weight", QL_TO_FFN_NORM), HF_GATED};
static const ql_names llama_names = HF_NAMES(llama_slots);

static const ql_slot mixtral_slots[] = {
    HF_ATTENTION, ONE("post_attention_layernorm.weight", QL_TO_FFN_NORM),
    ONE("block_sparse_moe.gate.weight", QL_TO_ROUTER), ONE("block_sparse_moe.experts.%u.w1.weight", QL_TO_EXPERT_GATE),
    ONE("block_sparse_moe.experts.%u.w3.weight", QL_TO_EXPERT_UP),
    ONE("block_sparse_moe.experts.%u.w2.weight", QL_TO_EXPERT_DOWN), HF_STACKED};
static const ql_names mixtral_names = HF_NAMES(mixtral_slots);

static const ql_slot qwen3_moe_slots[] = {
    HF_ATTENTION, ONE("post_attention_layernorm.weight", QL_TO_FFN_NORM), HF_GATED,
    ONE("mlp.experts.%u.gate_proj.weight", QL_TO_EXPERT_GATE), ONE("mlp.experts.%u.up_proj.weight", QL_TO_EXPERT_UP),
    ONE("mlp.experts.%u.down_proj.weight", QL_TO_EXPERT_DOWN), HF_STACKED};
static const ql_names qwen3_moe_names = HF_NAMES(qwen3_moe_slots);

static const ql_slot phi_slots[] = {
    ONE("input_layernorm.weight", QL_TO_ATTN_NORM), HF_QKV, ONE("self_attn.dense.weight", QL_TO_O),
    ONE("self_attn.q_layernorm.weight", QL_TO_Q_NORM), ONE("self_attn.k_layernorm.weight", QL_TO_K_NORM),
    ONE("mlp.fc1.weight", QL_TO_UP), ONE("mlp.fc2.weight", QL_TO_DOWN)};
static const ql_names phi_names = {.prefixes = {"model.", ""}, .embd = "embed_tokens.weight", .layer = "layers.%u.",
                                   .output_norm = "final_layernorm.weight", .outputs = {"lm_head.weight"},
                                   .slots = phi_slots, .n_slots = COUNT(phi_slots)};

static const ql_slot phi3_slots[] = {
    ONE("input_layernorm.weight", QL_TO_ATTN_NORM),
    {"self_attn.qkv_proj.weight", QL_PARTS, 3, {QL_TO_Q, QL_TO_K, QL_TO_V}}, ONE("self_attn.o_proj.weight", QL_TO_O),
    ONE("post_attention_layernorm.weight", QL_TO_FFN_NORM), HF_GATE_UP};
static const ql_names phi3_names = HF_NAMES(phi3_slots);

static const ql_slot gemma_slots[] = {
    HF_ATTENTION, ONE("post_attention_layernorm.weight", QL_TO_ATTN_POST_NORM),
    ONE("pre_feedforward_layernorm.weight", QL_TO_FFN_NORM),
    ONE("post_feedforward_layernorm.weight", QL_TO_FFN_POST_NORM), HF_GATED};
static const ql_names gemma_names = {
    .prefixes = {"model.", "language_model.model.", "model.language_model.", ""}, .embd = "embed_tokens.weight",
    .layer = "layers.%u.", .output_norm = "norm.weight", .outputs = {"lm_head.weight", "language_model.lm_head.weight"},
    .slots = gemma_slots, .n_slots = COUNT(gemma_slots)};

static const ql_slot olmo2_slots[] = {
    HF_ATTENTION, ONE("post_attention_layernorm.weight", QL_TO_ATTN_POST_NORM),
    ONE("post_feedforward_layernorm.weight", QL_TO_FFN_POST_NORM), HF_GATED};
static const ql_names olmo2_names = HF_NAMES(olmo2_slots);

static const ql_slot stablelm_slots[] = {
    HF_ATTENTION, ONE("post_attention_layernorm.weight", QL_TO_FFN_NORM), HF_GATED,
    ONE("self_attn.q_layernorm.norms.%u.weight", QL_TO_Q_NORM),
    ONE("self_attn.k_layernorm.norms.%u.weight", QL_TO_K_NORM)};
static const ql_names stablelm_names = HF_NAMES(stablelm_slots);

static const ql_slot starcoder2_slots[] = {
    HF_ATTENTION, ONE("post_attention_layernorm.weight", QL_TO_FFN_NORM), ONE("mlp.c_fc.weight", QL_TO_UP),
    ONE("mlp.c_proj.weight", QL_TO_DOWN)};
static const ql_names starcoder2_names = HF_NAMES(starcoder2_slots);

static const ql_slot gpt2_slots[] = {
    ONE("ln_1.weight", QL_TO_ATTN_NORM), ONE("ln_2.weight", QL_TO_FFN_NORM),
    {"attn.c_attn.weight", QL_COLUMNS, 3, {QL_TO_Q, QL_TO_K, QL_TO_V}},
    {"attn.c_proj.weight", QL_COLUMNS, 1, {QL_TO_O}}, {"mlp.c_fc.weight", QL_COLUMNS, 1, {QL_TO_UP}},
    {"mlp.c_proj.weight", QL_COLUMNS, 1, {QL_TO_DOWN}}};
static const ql_names gpt2_names = {.prefixes = {"transformer.", ""}, .embd = "wte.weight", .layer = "h.%u.",
                                    .output_norm = "ln_f.weight", .pos_embd = "wpe.weight",
                                    .outputs = {"lm_head.weight"}, .slots = gpt2_slots,
                                    .n_slots = COUNT(gpt2_slots)};

#define HF_FALCON_MLP ONE("mlp.dense_h_to_4h.weight", QL_TO_UP), ONE("mlp.dense_4h_to_h.weight", QL_TO_DOWN)
static const ql_slot gpt_neox_slots[] = {
    ONE("input_layernorm.weight", QL_TO_ATTN_NORM), ONE("post_attention_layernorm.weight", QL_TO_FFN_NORM),
    {"attention.query_key_value.weight", QL_GROUPS, 3, {QL_TO_Q, QL_TO_K, QL_TO_V}},
    ONE("attention.dense.weight", QL_TO_O), HF_FALCON_MLP};
static const ql_names gpt_neox_names = {
    .prefixes = {"gpt_neox.", ""}, .embd = "embed_in.weight", .layer = "layers.%u.",
    .output_norm = "final_layer_norm.weight", .outputs = {"lm_head.weight", "embed_out.weight"},
    .slots = gpt_neox_slots, .n_slots = COUNT(gpt_neox_slots)};

static const ql_slot falcon_slots[] = {
    ONE("ln_attn.weight", QL_TO_ATTN_NORM), ONE("input_layernorm.weight", QL_TO_ATTN_NORM),
    ONE("ln_mlp.weight", QL_TO_FFN_NORM), ONE("post_attention_layernorm.weight", QL_TO_FFN_NORM),
    {"self_attention.query_key_value.weight", QL_GROUPS, 3, {QL_TO_Q, QL_TO_K, QL_TO_V}},
    ONE("self_attention.dense.weight", QL_TO_O), HF_FALCON_MLP};
static const ql_names falcon_names = {
    .prefixes = {"transformer.", ""}, .embd = "word_embeddings.weight", .layer = "h.%u.", .output_norm = "ln_f.weight",
    .outputs = {"lm_head.weight"}, .slots = falcon_slots, .n_slots = COUNT(falcon_slots)};

static const ql_slot glm4_slots[] = {
    HF_ATTENTION, ONE("post_self_attn_layernorm.weight", QL_TO_ATTN_POST_NORM),
    ONE("post_attention_layernorm.weight", QL_TO_FFN_NORM), ONE("post_mlp_layernorm.weight", QL_TO_FFN_POST_NORM),
    HF_GATE_UP};
static const ql_names glm4_names = HF_NAMES(glm4_slots);

// ---- rows ----

#define KEYS(kv_heads, act, theta, part)                                                      \
    {"hidden_size", "num_hidden_layers", "num_attention_heads", kv_heads, "intermediate_size", \
     "max_position_embeddings", act, theta, part}
#define KV_HEADS "num_key_value_heads"
static const ql_hf_keys keys = KEYS(KV_HEADS, "hidden_act", "rope_theta", "partial_rotary_factor");
static const ql_hf_keys gemma_keys = KEYS(KV_HEADS, "hidden_activation", "rope_theta", "partial_rotary_factor");
static const ql_hf_keys neox_keys = KEYS("num_attention_heads", "hidden_act", "rotary_emb_base", "rotary_pct");
static const ql_hf_keys gpt2_keys = {"n_embd", "n_layer", "n_head", "n_head", "n_inner", "n_positions",
                                     "activation_function", "rope_theta", "partial_rotary_factor"};
static const ql_hf_keys falcon_keys = {"hidden_size", "num_hidden_layers", "num_attention_heads", "num_kv_heads",
                                       "ffn_hidden_size", "max_position_embeddings", "activation", "rope_theta",
                                       "partial_rotary_factor"};

#define NORM_NEOX {QL_ROPE_NORM, QL_ROPE_NEOX}
#define BOTH_NEOX {QL_ROPE_NEOX, QL_ROPE_NEOX}
#define BOTH_NORM {QL_ROPE_NORM, QL_ROPE_NORM}
#define RMS_EPS .norm = QL_NORM_RMS, .eps_key = "rms_norm_eps"
#define LAYER_EPS(key) .norm = QL_NORM_LAYER, .eps_key = key

#define GEMMA3                                                                                                 \
    RMS_EPS, .qk_norm = QL_QK_NORM_HEAD, .activation = QL_GELU_TANH, .rope_kinds = BOTH_NEOX,                  \
    .flags = QL_ARCH_TO_GGUF | QL_ARCH_GATED | QL_ARCH_POST_NORMS | QL_ARCH_NORM_PLUS_ONE | QL_ARCH_SQRT_EMBD | QL_ARCH_QUERY_SCALAR | \
             QL_ARCH_SOFTCAPS | QL_ARCH_LOCAL_ROPE | QL_ARCH_QK_NORM_ALWAYS,                                   \
    .window = QL_WINDOW_PERIOD, .window_default = 4096, .window_period = 6, .wide_layers = 62,                 \
    .local_theta = 10000, .keys = &gemma_keys,                                                                 \
    .defaults = {2304, 26, 8, 4, 256, 9216, 131072, 1e-6, 1e6, 1, true},                                       \
    .tensors = {&gguf, &gemma_names}, .kv_type = QL_KV_Q8

const ql_arch ql_arch_table[] = {
    {.names = {NULL, "llama"}, .hf_class = "LlamaForCausalLM", .hf_prefix = "", .flags = QL_ARCH_TO_GGUF | QL_ARCH_GATED, RMS_EPS,
     .activation = QL_SILU, .rope_kinds = NORM_NEOX, .keys = &keys,
     .defaults = {4096, 32, 32, 0, 0, 11008, 2048, 1e-6, 1e4, 1, false},
     .tensors = {&gguf, &llama_names}, .kv_type = QL_KV_Q8},
    // GGUF's "llama" is also mistral and mixtral.
    {.names = {"llama", NULL}, .flags = QL_ARCH_GATED | QL_ARCH_NORM_TOPK, .norm = QL_NORM_RMS, .activation = QL_SILU,
     .rope_kinds = NORM_NEOX, .window = QL_WINDOW_ALL, .tensors = {&gguf, NULL}, .kv_type = QL_KV_Q8},
    {.names = {NULL, "mistral"}, .hf_class = "MistralForCausalLM", .hf_prefix = "", .flags = QL_ARCH_TO_GGUF | QL_ARCH_GATED, RMS_EPS,
     .activation = QL_SILU, .rope_kinds = NORM_NEOX, .window = QL_WINDOW_ALL, .window_default = 4096, .keys = &keys,
     .defaults = {4096, 32, 32, 8, 0, 14336, 131072, 1e-6, 1e4, 1, false},
     .tensors = {NULL, &llama_names}, .kv_type = QL_KV_Q8},
    {.names = {NULL, "mixtral"}, .hf_class = "MixtralForCausalLM", .hf_prefix = "",
     .flags = QL_ARCH_TO_GGUF | QL_ARCH_GATED | QL_ARCH_NORM_TOPK, RMS_EPS, .activation = QL_SILU, .rope_kinds = NORM_NEOX,
     .window = QL_WINDOW_ALL, .expert_keys = {"num_local_experts", "num_experts"}, .n_experts = 8, .n_experts_used = 2,
     .keys = &keys, .defaults = {4096, 32, 32, 8, 0, 14336, 131072, 1e-5, 1e6, 1, false},
     .tensors = {NULL, &mixtral_names}, .kv_type = QL_KV_Q8},
    {.names = {"qwen2", "qwen2"}, .hf_class = "Qwen2ForCausalLM", .hf_prefix = "",
     .flags = QL_ARCH_TO_GGUF | QL_ARCH_GATED | QL_ARCH_WINDOW_SWITCH | QL_ARCH_BIAS_QKV, RMS_EPS, .activation = QL_SILU,
     .rope_kinds = BOTH_NEOX, .window = QL_WINDOW_UPPER, .window_default = 4096, .keys = &keys,
     .defaults = {4096, 32, 32, 32, 0, 22016, 32768, 1e-6, 1e4, 1, false},
     .tensors = {&gguf, &llama_names}, .kv_type = QL_KV_Q8},
    {.names = {"qwen3", "qwen3"}, .hf_class = "Qwen3ForCausalLM", .hf_prefix = "",
     .flags = QL_ARCH_TO_GGUF | QL_ARCH_GATED | QL_ARCH_WINDOW_SWITCH | QL_ARCH_QK_NORM_ALWAYS, RMS_EPS, .qk_norm = QL_QK_NORM_HEAD,
     .activation = QL_SILU, .rope_kinds = BOTH_NEOX, .window = QL_WINDOW_UPPER, .window_default = 4096, .keys = &keys,
     .defaults = {4096, 32, 32, 32, 128, 22016, 32768, 1e-6, 1e4, 1, false},
     .tensors = {&gguf, &llama_names}, .kv_type = QL_KV_Q8},
    {.names = {"qwen3moe", "qwen3_moe"}, .hf_class = "Qwen3MoeForCausalLM", .hf_prefix = "",
     .flags = QL_ARCH_TO_GGUF | QL_ARCH_GATED | QL_ARCH_WINDOW_SWITCH | QL_ARCH_QK_NORM_ALWAYS | QL_ARCH_SPARSE_STEPS, RMS_EPS,
     .qk_norm = QL_QK_NORM_HEAD, .activation = QL_SILU, .rope_kinds = BOTH_NEOX, .window = QL_WINDOW_ALL,
     .window_default = 4096, .expert_keys = {"num_experts", "num_local_experts"}, .n_experts = 128, .n_experts_used = 8,
     .n_ff_expert = 768, .ff_expert_key = "moe_intermediate_size", .keys = &keys,
     .defaults = {2048, 24, 32, 4, 0, 6144, 32768, 1e-6, 1e4, 1, false},
     .tensors = {&gguf, &qwen3_moe_names}, .kv_type = QL_KV_Q8},
    {.names = {"phi2", "phi"}, .hf_class = "PhiForCausalLM", .hf_prefix = "",
     .flags = QL_ARCH_TO_GGUF | QL_ARCH_PARTIAL_ROPE | QL_ARCH_BIAS_QKV | QL_ARCH_BIAS_LINEAR | QL_ARCH_BIAS_NORM,
     LAYER_EPS("layer_norm_eps"), .qk_norm = QL_QK_NORM_HEAD, .qk_norm_key = "qk_layernorm", .activation = QL_GELU_TANH,
     .rope_kinds = BOTH_NEOX, .parallel = QL_PARALLEL_ALWAYS, .keys = &keys,
     .defaults = {2048, 24, 32, 0, 0, 8192, 2048, 1e-5, 1e4, 0.5, false},
     .tensors = {&gguf, &phi_names}, .kv_type = QL_KV_Q8},
    {.names = {"phi3", "phi3"}, .hf_class = "Phi3ForCausalLM", .hf_prefix = "",
     .flags = QL_ARCH_GATED | QL_ARCH_PARTIAL_ROPE | QL_ARCH_ALWAYS_LONGROPE, RMS_EPS, .activation = QL_SILU,
     .rope_kinds = BOTH_NEOX, .window = QL_WINDOW_ALL, .keys = &keys,
     .defaults = {3072, 32, 32, 0, 0, 8192, 4096, 1e-5, 1e4, 1, false},
     .tensors = {&gguf_fused, &phi3_names}, .kv_type = QL_KV_Q8},
    {.names = {"gemma2", "gemma2"}, .hf_class = "Gemma2ForCausalLM", .hf_prefix = "",
     .flags = QL_ARCH_TO_GGUF | QL_ARCH_GATED | QL_ARCH_POST_NORMS | QL_ARCH_NORM_PLUS_ONE | QL_ARCH_SQRT_EMBD | QL_ARCH_QUERY_SCALAR |
              QL_ARCH_SOFTCAPS, RMS_EPS,
     .activation = QL_GELU_TANH, .rope_kinds = BOTH_NEOX, .window = QL_WINDOW_PERIOD, .window_default = 4096,
     .window_period = 2, .wide_layers = 46, .softcaps = {50, 30}, .keys = &gemma_keys,
     .defaults = {2304, 26, 8, 4, 256, 9216, 8192, 1e-6, 1e4, 1, true},
     .tensors = {&gguf, &gemma_names}, .kv_type = QL_KV_Q8},
    {.names = {"gemma3", "gemma3_text"}, .hf_class = "Gemma3ForCausalLM", .hf_prefix = "", GEMMA3},
    {.names = {NULL, "gemma3"}, .hf_class = "Gemma3ForConditionalGeneration", .hf_prefix = "text_config.", GEMMA3},
    {.names = {"smollm3", "smollm3"}, .hf_class = "SmolLM3ForCausalLM", .hf_prefix = "",
     .flags = QL_ARCH_TO_GGUF | QL_ARCH_GATED | QL_ARCH_WINDOW_SWITCH, RMS_EPS, .activation = QL_SILU, .rope_kinds = NORM_NEOX,
     .window = QL_WINDOW_NOPE, .nope_period = 4, .keys = &keys,
     .defaults = {2048, 36, 16, 4, 0, 11008, 32768, 1e-6, 2e6, 1, true},
     .tensors = {&gguf, &llama_names}, .kv_type = QL_KV_Q8},
    {.names = {"granite", "granite"}, .hf_class = "GraniteForCausalLM", .hf_prefix = "",
     .flags = QL_ARCH_TO_GGUF | QL_ARCH_GATED | QL_ARCH_MULTIPLIERS, RMS_EPS, .activation = QL_SILU, .rope_kinds = NORM_NEOX,
     .keys = &keys, .defaults = {4096, 32, 32, 0, 0, 11008, 2048, 1e-6, 1e4, 1, false},
     .tensors = {&gguf, &llama_names}, .kv_type = QL_KV_Q8},
    {.names = {"olmo2", "olmo2"}, .hf_class = "Olmo2ForCausalLM", .hf_prefix = "",
     .flags = QL_ARCH_TO_GGUF | QL_ARCH_GATED | QL_ARCH_POST_NORMS | QL_ARCH_NO_PRE_NORMS | QL_ARCH_QK_NORM_ALWAYS, RMS_EPS,
     .qk_norm = QL_QK_NORM_FULL, .activation = QL_SILU, .rope_kinds = BOTH_NEOX, .keys = &keys,
     .defaults = {4096, 32, 32, 0, 0, 11008, 2048, 1e-5, 1e4, 1, false},
     .tensors = {&gguf, &olmo2_names}, .kv_type = QL_KV_Q8},
    {.names = {"stablelm", "stablelm"}, .hf_class = "StableLmForCausalLM", .hf_prefix = "",
     .flags = QL_ARCH_TO_GGUF | QL_ARCH_GATED | QL_ARCH_PARTIAL_ROPE | QL_ARCH_BIAS_NORM, LAYER_EPS("layer_norm_eps"),
     .qk_norm = QL_QK_NORM_HEAD, .qk_norm_key = "qk_layernorm", .activation = QL_SILU, .rope_kinds = BOTH_NEOX,
     .parallel = QL_PARALLEL_BY_NORM, .parallel_key = "use_parallel_residual", .keys = &keys,
     .defaults = {2560, 32, 32, 32, 0, 6912, 4096, 1e-5, 1e4, 0.25, false},
     .tensors = {&gguf, &stablelm_names}, .kv_type = QL_KV_Q8},
    {.names = {"starcoder2", "starcoder2"}, .hf_class = "Starcoder2ForCausalLM", .hf_prefix = "",
     .flags = QL_ARCH_TO_GGUF | QL_ARCH_BIAS_NORM, LAYER_EPS("norm_epsilon"), .activation = QL_GELU_TANH, .rope_kinds = BOTH_NEOX,
     .window = QL_WINDOW_ALL, .keys = &keys, .defaults = {3072, 30, 24, 2, 0, 12288, 4096, 1e-5, 1e4, 1, true},
     .tensors = {&gguf, &starcoder2_names}, .kv_type = QL_KV_Q8},
    {.names = {"gpt2", "gpt2"}, .hf_class = "GPT2LMHeadModel", .hf_prefix = "",
     .flags = QL_ARCH_LEARNED_POSITIONS | QL_ARCH_BIAS_QKV | QL_ARCH_BIAS_LINEAR | QL_ARCH_BIAS_NORM,
     LAYER_EPS("layer_norm_epsilon"), .activation = QL_GELU_TANH, .rope_kinds = BOTH_NEOX, .keys = &gpt2_keys,
     .defaults = {768, 12, 12, 0, 0, 0, 1024, 1e-5, 1e4, 1, true},
     .tensors = {&gguf, &gpt2_names}, .kv_type = QL_KV_Q8},
    {.names = {"gptneox", "gpt_neox"}, .hf_class = "GPTNeoXForCausalLM", .hf_prefix = "",
     .flags = QL_ARCH_PARTIAL_ROPE | QL_ARCH_TWO_NORMS | QL_ARCH_BIAS_NORM, LAYER_EPS("layer_norm_eps"),
     .activation = QL_GELU_ERF, .rope_kinds = BOTH_NEOX, .parallel = QL_PARALLEL_SWITCH,
     .parallel_key = "use_parallel_residual", .keys = &neox_keys,
     .defaults = {6144, 44, 64, 0, 0, 24576, 2048, 1e-5, 1e4, 0.25, false},
     .tensors = {&gguf, &gpt_neox_names}, .kv_type = QL_KV_Q8},
    {.names = {"falcon", "falcon"}, .hf_class = "FalconForCausalLM", .hf_prefix = "",
     .flags = QL_ARCH_MULTI_QUERY | QL_ARCH_BIAS_NORM, LAYER_EPS("layer_norm_epsilon"), .activation = QL_GELU_ERF,
     .rope_kinds = BOTH_NEOX, .parallel = QL_PARALLEL_SWITCH, .parallel_key = "parallel_attn", .keys = &falcon_keys,
     .defaults = {4544, 32, 71, 0, 0, 0, 2048, 1e-5, 1e4, 1, true},
     .tensors = {&gguf_falcon, &falcon_names}, .kv_type = QL_KV_Q8},
    {.names = {"command-r", "cohere"}, .hf_class = "CohereForCausalLM", .hf_prefix = "",
     .flags = QL_ARCH_TO_GGUF | QL_ARCH_GATED | QL_ARCH_LOGIT_SCALE, LAYER_EPS("layer_norm_eps"), .qk_norm = QL_QK_NORM_HEAD,
     .qk_norm_key = "use_qk_norm", .activation = QL_SILU, .rope_kinds = BOTH_NORM, .parallel = QL_PARALLEL_ALWAYS,
     .keys = &keys, .defaults = {8192, 40, 64, 0, 0, 22528, 8192, 1e-5, 5e5, 1, true},
     .tensors = {&gguf, &llama_names}, .kv_type = QL_KV_Q8},
    {.names = {"glm4", "glm4"}, .hf_class = "Glm4ForCausalLM", .hf_prefix = "",
     .flags = QL_ARCH_GATED | QL_ARCH_POST_NORMS | QL_ARCH_PARTIAL_ROPE, RMS_EPS, .activation = QL_SILU,
     .rope_kinds = BOTH_NORM, .keys = &keys,
     .defaults = {4096, 40, 32, 2, 128, 13696, 131072, 1.5625e-7, 1e4, 0.5, false},
     .tensors = {&gguf_fused, &glm4_names}, .kv_type = QL_KV_Q8},
};
const size_t ql_n_archs = COUNT(ql_arch_table);
