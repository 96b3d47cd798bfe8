// SPDX-License-Identifier: MIT
// Where tensors are and what they become: fused and transposed matrices element by element, biases, norms, experts,
// packed sources; and every way in which a file can lack something, with its message.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>

#include "model/bind.h"
#include "unit/gguf_writer.h"
#include "unit/hf_folder.h"

// Two layers, n_embd 16, two heads of 8, one key/value head, n_ff 12, 40 tokens, 32 positions.
#define SIZES "\"hidden_size\": 16, \"num_hidden_layers\": 2, \"num_attention_heads\": 2, " \
              "\"num_key_value_heads\": 1, \"intermediate_size\": 12, \"max_position_embeddings\": 32, \"head_dim\": 8"
enum { EMBD = 16, Q = 16, KV = 8, FF = 12, HEAD = 8, VOCAB = 40 };

typedef struct bound_model {
    hf_folder folder;
    ql_source *source;
    ql_config config;
    ql_weights weights;
    ql_binding binding;
    ql_error err;
} bound_model;

static bound_model model; // a configuration is large

static ql_code open_and_bind(const char *path)
{
    QL_TRY(ql_source_open(path, &model.source, &model.err));
    ql_code code = ql_config_read(model.source, &model.config, &model.err);
    if (code == QL_OK)
        code = ql_bind(model.source, &model.config, 32, &model.weights, &model.binding, &model.err);
    return code;
}

static void close_model(void)
{
    ql_binding_free(&model.binding);
    ql_arena_free(&model.weights.arena);
    ql_source_close(model.source);
    if (model.folder.path[0])
        hf_remove(&model.folder);
    model = (bound_model){0};
}

// Tensors of a layer: "name rows cols", names after the layer's prefix; a name may be left out.
typedef struct spec {
    const char *name;
    uint32_t rows, cols;
} spec;

static void add_layers(const char *prefix, const spec *specs, size_t n, const char *without)
{
    for (int layer = 0; layer < 2; layer++)
        for (size_t i = 0; i < n; i++) {
            char name[128];
            snprintf(name, sizeof name, "%s%d.%s", prefix, layer, specs[i].name);
            if (!without || strcmp(name, without) != 0)
                hf_tensor(&model.folder, name, specs[i].rows, specs[i].cols);
        }
}

#define ATTENTION {"input_layernorm.weight", EMBD, 0}, {"self_attn.q_proj.weight", Q, EMBD}, \
                  {"self_attn.k_proj.weight", KV, EMBD}, {"self_attn.v_proj.weight", KV, EMBD}, \
                  {"self_attn.o_proj.weight", EMBD, Q}
#define GATED {"mlp.gate_proj.weight", FF, EMBD}, {"mlp.up_proj.weight", FF, EMBD}, {"mlp.down_proj.weight", EMBD, FF}
#define POST {"post_attention_layernorm.weight", EMBD, 0}
static const spec llama[] = {ATTENTION, POST, GATED};
#define COUNT(a) (sizeof(a) / sizeof *(a))

static void add_ends(const char *without)
{
    static const spec ends[] = {{"model.embed_tokens.weight", VOCAB, EMBD}, {"model.norm.weight", EMBD, 0},
                                {"lm_head.weight", VOCAB, EMBD}};
    for (size_t i = 0; i < COUNT(ends); i++)
        if (!without || strcmp(ends[i].name, without) != 0)
            hf_tensor(&model.folder, ends[i].name, ends[i].rows, ends[i].cols);
}

static ql_code bind_folder(const char *json)
{
    char text[1024];
    snprintf(text, sizeof text, "{%s, " SIZES "}", json);
    hf_save(&model.folder, text);
    return open_and_bind(model.folder.path);
}

static void must_bind(const char *json)
{
    if (bind_folder(json) != QL_OK)
        fail_msg("%s", model.err.message);
}

static const ql_bound *bound(const char *name)
{
    for (size_t i = 0; i < model.binding.n_matrices; i++)
        if (strcmp(model.binding.matrices[i].name, name) == 0)
            return &model.binding.matrices[i];
    fail_msg("no matrix %s", name);
    return NULL;
}

static const ql_bound_vector *vector(const char *name)
{
    for (size_t i = 0; i < model.binding.n_vectors; i++)
        if (strcmp(model.binding.vectors[i].name, name) == 0)
            return &model.binding.vectors[i];
    return NULL;
}

// Which element of its tensor an element of a matrix is.
static uint64_t place_of(const ql_bound *b, uint64_t r, uint64_t c)
{
    const ql_rows *rows = &b->rows;
    uint64_t at = rows->first + r / rows->inner * rows->stride + r % rows->inner, width = rows->tensor->shape[0];
    return rows->transposed ? c * width + at : at * width + c;
}

// Row r of a matrix is row `row` of its tensor.
static void row_is(const char *name, uint64_t r, uint64_t row)
{
    const ql_bound *b = bound(name);
    assert_int_equal(place_of(b, r, 0), b->rows.transposed ? row : row * b->rows.tensor->shape[0]);
}

static void values_are(const char *name, const char *tensor, uint64_t first, uint64_t n, float plus)
{
    const ql_bound_vector *v = vector(name);
    if (!v)
        fail_msg("no vector %s", name);
    for (uint64_t i = 0; i < n; i++)
        assert_true(v->values[i] == hf_value(tensor, first + i) + plus);
}

static void plain_layers(void **state)
{
    (void)state;
    static const char *const names[] = {"token_embd", "blk.0.attn_q", "blk.0.attn_k", "blk.0.attn_v",
                                        "blk.0.attn_output", "blk.0.ffn_gate", "blk.0.ffn_up", "blk.0.ffn_down",
                                        "blk.1.attn_q"};
    add_layers("model.layers.", llama, COUNT(llama), NULL);
    add_ends(NULL);
    must_bind("\"model_type\": \"llama\"");
    assert_int_equal(model.binding.n_matrices, 1 + 2 * 7 + 1);
    for (size_t i = 0; i < COUNT(names); i++) {
        const ql_bound *b = &model.binding.matrices[i];
        assert_true(strncmp(b->name, names[i], strlen(names[i])) == 0);
        assert_null(b->matrix->panels);
    }
    assert_string_equal(model.binding.matrices[15].name, "output.weight");
    const ql_bound *k = bound("blk.1.attn_k.weight");
    assert_true(k->matrix == &model.weights.layers[1].k && k->layer == 1 && k->role == QL_ROLE_K && !k->matrix->bias);
    assert_true(k->matrix->n_rows == KV && k->matrix->n_cols == EMBD);
    assert_string_equal(k->rows.tensor->name, "model.layers.1.self_attn.k_proj.weight");
    values_are("blk.1.ffn_norm.weight", "model.layers.1.post_attention_layernorm.weight", 0, EMBD, 0);
    assert_ptr_equal(vector("blk.1.ffn_norm.weight")->values, model.weights.layers[1].ffn_norm.weight);
    assert_true(model.weights.inv_freq[QL_ROPE_GLOBAL][0] == 1 && !model.weights.inv_freq[QL_ROPE_LOCAL]);
    assert_int_equal(model.weights.output.n_rows, VOCAB);
    close_model();
}

static void tied_output_is_no_entry(void **state)
{
    (void)state;
    for (int way = 0; way < 2; way++) { // told so, or there is none
        add_layers("model.layers.", llama, COUNT(llama), NULL);
        add_ends(way ? "lm_head.weight" : NULL);
        must_bind(way ? "\"model_type\": \"llama\"" : "\"model_type\": \"llama\", \"tie_word_embeddings\": true");
        assert_int_equal(model.binding.n_matrices, 1 + 2 * 7);
        assert_int_equal(model.weights.output.n_rows, 0);
        close_model();
    }
}

static void biases_and_their_padding(void **state)
{
    (void)state;
    static const spec biases[] = {{"self_attn.q_proj.bias", Q, 0}, {"self_attn.k_proj.bias", KV, 0},
                                  {"self_attn.v_proj.bias", KV, 0}};
    add_layers("model.layers.", llama, COUNT(llama), NULL);
    add_layers("model.layers.", biases, COUNT(biases), NULL);
    add_ends(NULL);
    must_bind("\"model_type\": \"qwen2\"");
    values_are("blk.1.attn_k.bias", "model.layers.1.self_attn.k_proj.bias", 0, KV, 0);
    for (int i = KV; i < QL_PANEL_ROWS; i++)
        assert_true(model.weights.layers[1].k.bias[i] == 0);
    assert_null(model.weights.layers[1].o.bias);
    close_model();
}

static void fused_parts(void **state)
{
    (void)state;
    static const spec phi3[] = {{"input_layernorm.weight", EMBD, 0}, {"self_attn.qkv_proj.weight", Q + 2 * KV, EMBD},
                                {"self_attn.o_proj.weight", EMBD, Q}, POST, {"mlp.gate_up_proj.weight", 2 * FF, EMBD},
                                {"mlp.down_proj.weight", EMBD, FF}};
    add_layers("model.layers.", phi3, COUNT(phi3), NULL);
    add_ends(NULL);
    must_bind("\"model_type\": \"phi3\", \"original_max_position_embeddings\": 16, "
              "\"rope_scaling\": {\"type\": \"su\", \"short_factor\": [1, 2, 3, 4], \"long_factor\": [5, 6, 7, 8]}");
    row_is("blk.0.attn_q.weight", 15, 15);
    row_is("blk.0.attn_k.weight", 0, Q);
    row_is("blk.1.attn_v.weight", 7, Q + KV + 7);
    row_is("blk.1.ffn_gate.weight", 11, 11);
    row_is("blk.1.ffn_up.weight", 11, FF + 11);
    assert_true(fabs(model.weights.inv_freq[0][0] - 0.2) < 1e-12); // 32 positions: the long factors
    assert_true(vector("rope_factors_short.weight")->values[3] == 4 && vector("rope_factors_long.weight")->n == 4);
    close_model();
}

static void fused_groups_and_columns(void **state)
{
    (void)state;
    static const spec neox[] = {{"input_layernorm.weight", EMBD, 0}, {"input_layernorm.bias", EMBD, 0}, POST,
        {"post_attention_layernorm.bias", EMBD, 0}, {"attention.query_key_value.weight", 3 * Q, EMBD},
        {"attention.query_key_value.bias", 3 * Q, 0}, {"attention.dense.weight", EMBD, Q},
        {"mlp.dense_h_to_4h.weight", FF, EMBD}, {"mlp.dense_4h_to_h.weight", EMBD, FF}};
    static const spec gpt2[] = {{"ln_1.weight", EMBD, 0}, {"ln_1.bias", EMBD, 0}, {"ln_2.weight", EMBD, 0},
        {"ln_2.bias", EMBD, 0}, {"attn.c_attn.weight", EMBD, 3 * Q}, {"attn.c_attn.bias", 3 * Q, 0},
        {"attn.c_proj.weight", Q, EMBD}, {"attn.c_proj.bias", EMBD, 0}, {"mlp.c_fc.weight", EMBD, 64},
        {"mlp.c_fc.bias", 64, 0}, {"mlp.c_proj.weight", 64, EMBD}, {"mlp.c_proj.bias", EMBD, 0}};
    static const char fused_bias[] = "gpt_neox.layers.1.attention.query_key_value.bias";
    add_layers("gpt_neox.layers.", neox, COUNT(neox), NULL);
    hf_tensor(&model.folder, "gpt_neox.embed_in.weight", VOCAB, EMBD);
    hf_tensor(&model.folder, "gpt_neox.final_layer_norm.weight", EMBD, 0);
    hf_tensor(&model.folder, "gpt_neox.final_layer_norm.bias", EMBD, 0);
    must_bind("\"model_type\": \"gpt_neox\", \"rotary_pct\": 0.5");
    row_is("blk.0.attn_q.weight", 7, 7);
    row_is("blk.0.attn_q.weight", HEAD, 3 * HEAD);
    row_is("blk.0.attn_k.weight", HEAD + 1, 4 * HEAD + 1);
    row_is("blk.0.attn_v.weight", 2 * HEAD - 1, 6 * HEAD - 1);
    values_are("blk.1.attn_k.bias", fused_bias, HEAD, HEAD, 0);
    assert_true(vector("blk.1.attn_v.bias")->values[HEAD] == hf_value(fused_bias, 5 * HEAD));
    assert_int_equal(model.weights.layers[1].v.bias[0] == hf_value(fused_bias, 2 * HEAD), 1);
    close_model();

    add_layers("h.", gpt2, COUNT(gpt2), NULL); // the names of a bare GPT2Model
    hf_tensor(&model.folder, "wte.weight", VOCAB, EMBD);
    hf_tensor(&model.folder, "wpe.weight", 32, EMBD);
    hf_tensor(&model.folder, "ln_f.weight", EMBD, 0);
    hf_tensor(&model.folder, "ln_f.bias", EMBD, 0);
    must_bind("\"model_type\": \"gpt2\", \"n_embd\": 16, \"n_layer\": 2, \"n_head\": 2, \"n_positions\": 32");
    const ql_bound *k = bound("blk.0.attn_k.weight");
    assert_true(k->rows.transposed && place_of(k, 3, 5) == 5 * 3 * Q + Q + 3);
    values_are("blk.0.attn_v.bias", "h.0.attn.c_attn.bias", 2 * Q, Q, 0);
    values_are("pos_embd.weight", "wpe.weight", 0, 32 * EMBD, 0);
    assert_null(model.weights.inv_freq[QL_ROPE_GLOBAL]);
    close_model();
}

static void norms(void **state)
{
    (void)state;
    static const spec gemma[] = {ATTENTION, GATED, POST, {"pre_feedforward_layernorm.weight", EMBD, 0},
        {"post_feedforward_layernorm.weight", EMBD, 0}, {"self_attn.q_norm.weight", HEAD, 0},
        {"self_attn.k_norm.weight", HEAD, 0}};
    static const char name[] = "language_model.model.layers.1.self_attn.q_norm.weight";
    add_layers("language_model.model.layers.", gemma, COUNT(gemma), NULL);
    hf_tensor(&model.folder, "language_model.model.embed_tokens.weight", VOCAB, EMBD);
    hf_tensor(&model.folder, "language_model.model.norm.weight", EMBD, 0);
    hf_tensor(&model.folder, "vision_tower.anything", 3, 3);
    must_bind("\"model_type\": \"gemma3\", \"text_config\": {" SIZES "}");
    values_are("blk.1.attn_q_norm.weight", name, 0, HEAD, 1); // less 1 in the file, shared by the heads
    assert_true(vector("blk.1.attn_q_norm.weight")->values[HEAD + 2] == hf_value(name, 2) + 1);
    assert_int_equal(vector("blk.1.attn_q_norm.weight")->n, Q);
    values_are("blk.0.post_attention_norm.weight", "language_model.model.layers.0.post_attention_layernorm.weight", 0,
               EMBD, 1);
    values_are("output_norm.weight", "language_model.model.norm.weight", 0, EMBD, 1);
    assert_non_null(model.weights.inv_freq[QL_ROPE_LOCAL]);
    close_model();

    static const spec stablelm[] = {ATTENTION, GATED, {"input_layernorm.bias", EMBD, 0},
        {"self_attn.q_layernorm.norms.0.weight", HEAD, 0}, {"self_attn.q_layernorm.norms.1.weight", HEAD, 0},
        {"self_attn.k_layernorm.norms.0.weight", HEAD, 0}};
    add_layers("model.layers.", stablelm, COUNT(stablelm), NULL);
    add_ends(NULL);
    hf_tensor(&model.folder, "model.norm.bias", EMBD, 0);
    must_bind("\"model_type\": \"stablelm\", \"use_parallel_residual\": true, \"qk_layernorm\": true");
    const float *q = vector("blk.1.attn_q_norm.weight")->values;
    assert_true(q[3] == hf_value("model.layers.1.self_attn.q_layernorm.norms.0.weight", 3));
    assert_true(q[HEAD + 3] == hf_value("model.layers.1.self_attn.q_layernorm.norms.1.weight", 3));
    assert_null(model.weights.layers[0].ffn_norm.weight);
    values_are("output_norm.bias", "model.norm.bias", 0, EMBD, 0);
    close_model();
}

static void experts(void **state)
{
    (void)state;
    static const spec each[] = {ATTENTION, POST, {"block_sparse_moe.gate.weight", 3, EMBD},
        {"block_sparse_moe.experts.0.w1.weight", FF, EMBD}, {"block_sparse_moe.experts.0.w2.weight", EMBD, FF},
        {"block_sparse_moe.experts.0.w3.weight", FF, EMBD}, {"block_sparse_moe.experts.1.w1.weight", FF, EMBD},
        {"block_sparse_moe.experts.1.w2.weight", EMBD, FF}, {"block_sparse_moe.experts.1.w3.weight", FF, EMBD},
        {"block_sparse_moe.experts.2.w1.weight", FF, EMBD}, {"block_sparse_moe.experts.2.w2.weight", EMBD, FF},
        {"block_sparse_moe.experts.2.w3.weight", FF, EMBD}};
    static const spec stacked[] = {ATTENTION, POST, {"mlp.gate.weight", 3, EMBD}};
    static const char json[] = "\"model_type\": \"mixtral\", \"num_local_experts\": 3";
    add_layers("model.layers.", each, COUNT(each), NULL);
    add_ends(NULL);
    must_bind(json);
    assert_string_equal(bound("blk.1.ffn_up_exps.2.weight")->rows.tensor->name,
                        "model.layers.1.block_sparse_moe.experts.2.w3.weight");
    assert_ptr_equal(bound("blk.1.ffn_up_exps.2.weight")->matrix, &model.weights.layers[1].experts[2].up);
    assert_int_equal(bound("blk.0.ffn_gate_inp.weight")->role, QL_ROLE_ROUTER);
    assert_int_equal(model.weights.layers[0].gate.n_rows, 0);
    close_model();

    add_layers("model.layers.", stacked, COUNT(stacked), NULL);
    for (int layer = 0; layer < 2; layer++) {
        char name[64];
        snprintf(name, sizeof name, "model.layers.%d.mlp.experts.gate_up_proj", layer);
        hf_tensor3(&model.folder, name, 3, 2 * FF, EMBD);
        snprintf(name, sizeof name, "model.layers.%d.mlp.experts.down_proj", layer);
        hf_tensor3(&model.folder, name, 3, EMBD, FF);
    }
    add_ends(NULL);
    must_bind(json);
    row_is("blk.0.ffn_gate_exps.1.weight", 2, 2 * FF + 2);
    row_is("blk.0.ffn_up_exps.1.weight", 2, 3 * FF + 2);
    row_is("blk.1.ffn_down_exps.2.weight", 5, 2 * EMBD + 5);
    close_model();
}

// ---- what is wrong with a file ----

static void lacks(const char *json, const char *without, const char *more, uint32_t rows, uint32_t cols,
                  const char *message)
{
    static const spec biases[] = {{"self_attn.q_proj.bias", Q, 0}, {"self_attn.k_proj.bias", KV, 0},
                                  {"self_attn.v_proj.bias", KV, 0}};
    add_layers("model.layers.", llama, COUNT(llama), without);
    if (strstr(json, "bias"))
        add_layers("model.layers.", biases, COUNT(biases), without);
    if (more)
        hf_tensor(&model.folder, more, rows, cols);
    add_ends(without);
    if (bind_folder(json) == QL_OK)
        fail_msg("taken: expected \"%s\"", message);
    if (!strstr(model.err.message, message))
        fail_msg("\"%s\", expected \"%s\"", model.err.message, message);
    assert_true(!model.weights.arena.base && !model.binding.matrices);
    close_model();
}

static void bad_files(void **state)
{
    (void)state;
    static const char json[] = "\"model_type\": \"llama\"";
    static const char biased[] = "\"model_type\": \"llama\", \"attention_bias\": true";
    static const char o_proj[] = "model.layers.1.self_attn.o_proj.weight";
    lacks(json, o_proj, NULL, 0, 0, "tensor model.layers.1.self_attn.o_proj.weight is missing");
    lacks(json, "model.norm.weight", NULL, 0, 0, "tensor model.norm.weight is missing");
    lacks(json, "model.embed_tokens.weight", NULL, 0, 0, "tensor model.embed_tokens.weight is missing");
    lacks(json, "model.layers.0.input_layernorm.weight", NULL, 0, 0, "model.layers.0.input_layernorm.weight is mi");
    lacks(json, o_proj, o_proj, 16, 8, "tensor model.layers.1.self_attn.o_proj.weight: shape [8,16], expected [16,16]");
    lacks(json, "model.norm.weight", "model.norm.weight", 15, 0, "model.norm.weight: shape [15,1], expected [16,1]");
    lacks(json, "lm_head.weight", "lm_head.weight", 39, 16, "tensor lm_head.weight: shape [16,39], expected [16,40]");
    lacks(biased, "model.layers.1.self_attn.k_proj.bias", NULL, 0, 0, "model.layers.1.self_attn.k_proj.bias is mi");
    lacks(biased, "model.layers.0.self_attn.k_proj.bias", NULL, 0, 0, "k_proj.bias: the layers before have none");
    lacks("\"model_type\": \"qwen2\"", NULL, NULL, 0, 0, "tensor model.layers.0.self_attn.q_proj.bias is missing");
    lacks("\"model_type\": \"qwen3\"", NULL, NULL, 0, 0, "tensor model.layers.0.self_attn.q_norm.weight is missing");
    lacks("\"model_type\": \"qwen3\"", NULL, "model.layers.0.self_attn.q_norm.weight", 5, 0,
          "q_norm.weight: shape [5,1], expected [8,1]");
    lacks("\"model_type\": \"olmo2\"", NULL, NULL, 0, 0, "input_layernorm.weight has no place in this architecture");
    lacks(json, NULL, "model.layers.1.self_attn.q_norm.weight", 8, 0, "q_norm.weight has no place in this arch");
    lacks(json, NULL, "model.layers.0.mlp.shared_expert.up_proj.weight", 4, 4, "shared experts are not supported");
    lacks(json, NULL, "model.layers.0.self_attn.q_proj.weight_scale_inv", 4, 4, "scaled F8 weights are not supported");
    lacks("\"model_type\": \"mixtral\"", NULL, NULL, 0, 0, "layers.0.block_sparse_moe.gate.weight is missing");
}

// ---- GGUF ----

static void put_config(gguf_writer *w, const char *arch)
{
    static const struct {
        const char *name;
        uint32_t value;
    } keys[] = {{"context_length", 32}, {"embedding_length", EMBD}, {"block_count", 1}, {"feed_forward_length", FF},
                {"attention.head_count", 2}, {"attention.head_count_kv", 1}, {"expert_count", 3},
                {"expert_used_count", 2}};
    gguf_kv_str(w, "general.architecture", arch);
    for (size_t i = 0; i < COUNT(keys); i++) {
        char key[64];
        snprintf(key, sizeof key, "%s.%s", arch, keys[i].name);
        gguf_kv_u32(w, key, keys[i].value);
    }
    char key[64];
    snprintf(key, sizeof key, "%s.attention.layer_norm_rms_epsilon", arch);
    gguf_kv_f32(w, key, 1e-5f);
}

static void experts_of_gguf(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint64_t dims[3];
    } tensors[] = {{"token_embd.weight", {EMBD, VOCAB, 1}}, {"output_norm.weight", {EMBD, 1, 1}},
                   {"blk.0.attn_norm.weight", {EMBD, 1, 1}}, {"blk.0.ffn_norm.weight", {EMBD, 1, 1}},
                   {"blk.0.attn_q.weight", {EMBD, Q, 1}}, {"blk.0.attn_k.weight", {EMBD, KV, 1}},
                   {"blk.0.attn_v.weight", {EMBD, KV, 1}}, {"blk.0.attn_output.weight", {Q, EMBD, 1}},
                   {"blk.0.ffn_gate_inp.weight", {EMBD, 3, 1}}, {"blk.0.ffn_gate_exps.weight", {EMBD, FF, 3}},
                   {"blk.0.ffn_up_exps.weight", {EMBD, FF, 3}}, {"blk.0.ffn_down_exps.weight", {FF, EMBD, 3}}};
    for (int bad = 0; bad < 2; bad++) {
        gguf_writer w = gguf_new();
        char path[128];
        put_config(&w, "llama");
        for (size_t i = 0; i < COUNT(tensors); i++) {
            uint64_t dims[3] = {tensors[i].dims[0], tensors[i].dims[1], tensors[i].dims[2]};
            dims[2] -= bad && i == COUNT(tensors) - 1;
            gguf_tensor(&w, tensors[i].name, QL_F32, dims[2] > 1 ? 3 : dims[1] > 1 ? 2 : 1, dims, NULL);
        }
        gguf_save(&w, path, sizeof path);
        ql_code code = open_and_bind(path);
        if (bad) {
            assert_int_equal(code, QL_E_FORMAT);
            assert_non_null(strstr(model.err.message, "ffn_down_exps.weight: shape [12,16,2], expected [12,16,3]"));
        } else {
            if (code != QL_OK)
                fail_msg("%s", model.err.message);
            row_is("blk.0.ffn_up_exps.2.weight", 1, 2 * FF + 1);
            row_is("blk.0.ffn_down_exps.1.weight", 1, EMBD + 1);
            assert_int_equal(model.weights.output.n_rows, 0);
            assert_true(model.config.norm_expert_weights && model.config.plan[0].experts);
        }
        unlink(path);
        close_model();
    }
}

// Every element of a model's matrices and vectors has a name by which a packed source is bound again.
static void canonical_names_are_unique(void **state)
{
    (void)state;
    add_layers("model.layers.", llama, COUNT(llama), NULL);
    add_ends(NULL);
    must_bind("\"model_type\": \"llama\"");
    for (size_t i = 0; i < model.binding.n_matrices; i++)
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(model.binding.matrices[i].name, model.binding.matrices[j].name);
    for (size_t i = 0; i < model.binding.n_vectors; i++)
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(model.binding.vectors[i].name, model.binding.vectors[j].name);
    close_model();
}

// A packed file as the engine writes it: canonical names, whole matrices as panels, vectors as they were decoded.
static void pack_model(char *path, size_t path_size)
{
    gguf_writer w = gguf_new();
    w.alignment = 64;
    gguf_kv_u32(&w, "general.alignment", 64);
    gguf_kv_str(&w, "quantllm.source_kind", "huggingface");
    for (size_t i = 0; i < model.binding.n_matrices; i++) {
        const ql_bound *b = &model.binding.matrices[i];
        const ql_matrix *m = b->matrix;
        size_t bytes = ql_n_panels(m) * QL_PANEL_ROWS * m->n_cols * sizeof(float);
        gguf_info(&w, b->name, 2, (uint64_t[]){m->n_cols, m->n_rows}, QL_PACKED_TYPE + QL_F32, w.data.len);
        memset(ql_buf_reserve(&w.data, bytes), 0, bytes);
        w.data.len += bytes;
        gguf_pad(&w.data, 64);
    }
    for (size_t i = 0; i < model.binding.n_vectors; i++) {
        const ql_bound_vector *v = &model.binding.vectors[i];
        gguf_tensor(&w, v->name, QL_F32, 1, &v->n, v->values);
    }
    gguf_save(&w, path, path_size);
}

static void packed_sources_bind_alike(void **state)
{
    (void)state;
    static const spec gemma[] = {ATTENTION, GATED, POST, {"pre_feedforward_layernorm.weight", EMBD, 0},
        {"post_feedforward_layernorm.weight", EMBD, 0}, {"self_attn.q_norm.weight", HEAD, 0},
        {"self_attn.k_norm.weight", HEAD, 0}};
    add_layers("model.layers.", gemma, COUNT(gemma), NULL);
    add_ends(NULL);
    must_bind("\"model_type\": \"gemma3_text\"");
    char path[128];
    ql_source *packed;
    ql_error err = {0};
    ql_weights weights = {0};
    ql_binding again;
    pack_model(path, sizeof path);
    if (ql_source_open_packed(path, &packed, &err) != QL_OK ||
        ql_bind(packed, &model.config, 32, &weights, &again, &err) != QL_OK)
        fail_msg("%s", err.message);
    assert_int_equal(again.n_matrices, model.binding.n_matrices);
    assert_int_equal(again.n_vectors, model.binding.n_vectors);
    for (size_t i = 0; i < again.n_matrices; i++) {
        assert_string_equal(again.matrices[i].name, model.binding.matrices[i].name);
        assert_int_equal(again.matrices[i].matrix->n_rows, model.binding.matrices[i].matrix->n_rows);
        assert_true(again.matrices[i].rows.tensor->packed);
    }
    for (size_t i = 0; i < again.n_vectors; i++) {
        assert_string_equal(again.vectors[i].name, model.binding.vectors[i].name);
        assert_memory_equal(again.vectors[i].values, model.binding.vectors[i].values,
                            again.vectors[i].n * sizeof(float));
    }
    ql_binding_free(&again);
    ql_arena_free(&weights.arena);
    ql_source_close(packed);
    unlink(path);
    close_model();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_layers),
        cmocka_unit_test(tied_output_is_no_entry),
        cmocka_unit_test(biases_and_their_padding),
        cmocka_unit_test(fused_parts),
        cmocka_unit_test(fused_groups_and_columns),
        cmocka_unit_test(norms),
        cmocka_unit_test(experts),
        cmocka_unit_test(bad_files),
        cmocka_unit_test(experts_of_gguf),
        cmocka_unit_test(canonical_names_are_unique),
        cmocka_unit_test(packed_sources_bind_alike),
    };
    return cmocka_run_group_tests_name("bind", tests, NULL, NULL);
}
