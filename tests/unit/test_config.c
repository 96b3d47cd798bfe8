// SPDX-License-Identifier: MIT
// Hyper-parameters of both kinds of sources: transformers' defaults and rotations (tests/golden/make_configs.py),
// layers, and every bad value with its message.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>

#include "model/arch.h"
#include "unit/gguf_writer.h"
#include "unit/hf_folder.h"

// The embedding under every name it has: only its rows count here.
static void add_embeddings(hf_folder *f)
{
    static const char *const names[] = {"model.embed_tokens.weight", "transformer.wte.weight",
                                        "gpt_neox.embed_in.weight", "transformer.word_embeddings.weight"};
    for (int i = 0; i < 4; i++)
        hf_tensor(f, names[i], 40, 4);
}

static ql_code read_hf(const char *json, ql_config *config, ql_error *err)
{
    hf_folder f = hf_new();
    ql_source *source;
    add_embeddings(&f);
    hf_save(&f, json);
    ql_code code = ql_source_open(f.path, &source, err);
    if (code == QL_OK) {
        code = ql_config_read(source, config, err);
        ql_source_close(source);
    }
    hf_remove(&f);
    return code;
}

static ql_config config_of(const char *json)
{
    ql_config config;
    ql_error err = {0};
    if (read_hf(json, &config, &err) != QL_OK)
        fail_msg("%s: %s", json, err.message);
    return config;
}

static FILE *golden(const char *name)
{
    char path[512];
    const char *root = getenv("QL_SOURCE_ROOT");
    snprintf(path, sizeof path, "%s/tests/golden/%s", root ? root : ".", name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    return file;
}

static void absent_keys_are_transformers_defaults(void **state)
{
    (void)state;
    FILE *file = golden("configs.txt");
    char type[32], json[128];
    unsigned n[7], n_rot, tied, experts, used, window;
    double eps, theta;
    int types = 0;
    while (fscanf(file, "%31s %u %u %u %u %u %u %u %lf %u %lf %u %u %u %u", type, &n[0], &n[1], &n[2], &n[3], &n[4],
                  &n[5], &n[6], &eps, &n_rot, &theta, &tied, &experts, &used, &window) == 15) {
        snprintf(json, sizeof json, "{\"model_type\": \"%s\"}", type);
        ql_config c = config_of(json);
        const unsigned got[] = {c.n_embd, c.n_layers, c.n_heads, c.n_kv_heads, c.head_dim, c.n_ff, c.context_length};
        for (int i = 0; i < 7; i++)
            if (got[i] != n[i])
                fail_msg("%s: number %d is %u, expected %u", type, i, got[i], n[i]);
        assert_true(fabs((double)c.norm_eps / eps - 1) < 1e-6);
        assert_int_equal(c.n_rot, n_rot);
        assert_true(c.rope[QL_ROPE_GLOBAL].theta == theta);
        assert_int_equal(c.tied_output, tied);
        assert_int_equal(c.n_experts, experts);
        assert_int_equal(c.n_experts_used, used);
        assert_int_equal(c.window, window);
        assert_int_equal(c.n_vocab, 40);
        types++;
    }
    fclose(file);
    assert_int_equal(types, 20);
}

static void rotations_are_those_of_transformers(void **state)
{
    (void)state;
    FILE *file = golden("rotations.txt");
    static char json[4096];
    int rotations = 0;
    for (; fgets(json, sizeof json, file); rotations++) {
        hf_folder f = hf_new();
        ql_source *source;
        ql_error err = {0};
        static ql_config c;
        unsigned length;
        double want, want_factor, got[8], factor = 0;
        add_embeddings(&f);
        hf_save(&f, json);
        assert_int_equal(fscanf(file, "%u %lf", &length, &want_factor), 2);
        if (ql_source_open(f.path, &source, &err) != QL_OK || ql_config_read(source, &c, &err) != QL_OK ||
            ql_rope_frequencies(source, &c, QL_ROPE_GLOBAL, length, got, &factor, &err) != QL_OK)
            fail_msg("%s%s", json, err.message);
        assert_int_equal(c.n_rot, 16);
        assert_true(fabs(factor / want_factor - 1) < 1e-7);
        for (int i = 0; i < 8; i++) {
            assert_int_equal(fscanf(file, "%lf", &want), 1);
            if (fabs(got[i] / want - 1) > 1e-6)
                fail_msg("%sfrequency %d is %g, expected %g", json, i, got[i], want);
        }
        assert_int_equal(fgetc(file), '\n');
        ql_source_close(source);
        hf_remove(&f);
    }
    fclose(file);
    assert_int_equal(rotations, 20);
}

// Windows and positions, a letter a layer: w window, n no positions, b both, l window with its own rotation, . neither.
static void layers_are_planned(void **state)
{
    (void)state;
    static const struct {
        const char *json, *layers;
    } cases[] = {
        {"\"model_type\": \"mistral\", \"num_hidden_layers\": 3, \"sliding_window\": 8", "www"},
        {"\"model_type\": \"mistral\", \"num_hidden_layers\": 3, \"sliding_window\": null", "..."},
        {"\"model_type\": \"qwen2\", \"num_hidden_layers\": 3, \"sliding_window\": 8", "..."},
        {"\"model_type\": \"qwen2\", \"num_hidden_layers\": 3, \"sliding_window\": 8, \"use_sliding_window\": true,"
         "\"max_window_layers\": 1", ".ww"},
        {"\"model_type\": \"qwen3\", \"num_hidden_layers\": 2, \"sliding_window\": 8, \"use_sliding_window\": true,"
         "\"layer_types\": [\"sliding_attention\", \"full_attention\"]", "w."},
        {"\"model_type\": \"gemma2\", \"num_hidden_layers\": 4", "w.w."},
        {"\"model_type\": \"gemma3_text\", \"num_hidden_layers\": 7", "lllll.l"},
        {"\"model_type\": \"gemma3_text\", \"num_hidden_layers\": 4, \"sliding_window_pattern\": 2", "l.l."},
        {"\"model_type\": \"gemma3\", \"text_config\": {\"num_hidden_layers\": 3, \"_sliding_window_pattern\": 3}",
         "ll."},
        {"\"model_type\": \"smollm3\", \"num_hidden_layers\": 5", "...n."},
        {"\"model_type\": \"smollm3\", \"num_hidden_layers\": 3, \"no_rope_layers\": [1, 0, 1]", ".n."},
        {"\"model_type\": \"smollm3\", \"num_hidden_layers\": 4, \"no_rope_layer_interval\": 2, \"sliding_window\": 8,"
         "\"use_sliding_window\": true", ".b.b"},
        {"\"model_type\": \"gpt2\", \"n_layer\": 2", "nn"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char json[512], got[16] = "";
        snprintf(json, sizeof json, "{%s}", cases[i].json);
        ql_config c = config_of(json);
        for (uint32_t l = 0; l < c.n_layers && l < 15; l++) {
            const ql_layer_plan *p = &c.plan[l];
            got[l] = p->rope == QL_NO_ROPE ? (p->windowed ? 'b' : 'n')
                                           : p->windowed ? (p->rope == QL_ROPE_LOCAL ? 'l' : 'w') : '.';
        }
        if (strcmp(got, cases[i].layers) != 0)
            fail_msg("%s: layers %s, expected %s", json, got, cases[i].layers);
    }
}

static void numbers_of_their_own(void **state)
{
    (void)state;
    ql_config c = config_of("{\"model_type\": \"granite\", \"embedding_multiplier\": 12, \"residual_multiplier\": 0.5,"
                            "\"attention_multiplier\": 0.25, \"logits_scaling\": 8}");
    assert_true(c.embd_scale == 12 && c.residual_scale == 0.5f && c.attn_scale == 0.25f && c.logit_scale == 0.125f);
    c = config_of("{\"model_type\": \"gemma2\", \"hidden_size\": 64, \"query_pre_attn_scalar\": 144}");
    assert_true(c.embd_scale == 8 && c.attn_softcap == 50 && c.logit_softcap == 30);
    assert_true(fabsf(c.attn_scale * 12 - 1) < 1e-6f);
    c = config_of("{\"model_type\": \"gemma2\", \"attn_logit_softcapping\": null, \"final_logit_softcapping\": 2.5}");
    assert_true(c.attn_softcap == 0 && c.logit_softcap == 2.5f);
    c = config_of("{\"model_type\": \"cohere\", \"logit_scale\": 0.5}");
    assert_true(c.logit_scale == 0.5f && c.parallel_residual && c.norm == QL_NORM_LAYER && c.rope_kind == QL_ROPE_NORM);
    c = config_of("{\"model_type\": \"falcon\", \"new_decoder_architecture\": true, \"num_kv_heads\": 71}");
    assert_true(c.n_kv_heads == 71 && c.parallel_residual && c.activation == QL_GELU_ERF && !c.gated);
    c = config_of("{\"model_type\": \"falcon\", \"multi_query\": false, \"parallel_attn\": false}");
    assert_true(c.n_kv_heads == 71 && !c.parallel_residual);
    c = config_of("{\"model_type\": \"phi\", \"hidden_act\": \"gelu\", \"qk_layernorm\": true}");
    assert_true(c.activation == QL_GELU_ERF && c.qk_norm == QL_QK_NORM_HEAD);
    c = config_of("{\"model_type\": \"qwen3_moe\", \"num_hidden_layers\": 4, \"mlp_only_layers\": [1],"
                  "\"decoder_sparse_step\": 2, \"norm_topk_prob\": true, \"num_experts\": 6,"
                  "\"num_experts_per_tok\": 2}");
    assert_true(!c.plan[0].experts && !c.plan[1].experts && !c.plan[2].experts && c.plan[3].experts);
    assert_true(c.n_experts == 6 && c.norm_expert_weights && c.n_ff_expert == 768);
    c = config_of("{\"model_type\": \"gemma3_text\", \"rope_theta\": 5, \"rope_local_base_freq\": 7,"
                  "\"rope_scaling\": {\"rope_type\": \"linear\", \"factor\": 8}}");
    assert_true(c.rope[QL_ROPE_GLOBAL].theta == 5 && c.rope[QL_ROPE_GLOBAL].scaling == QL_ROPE_LINEAR);
    assert_true(c.rope[QL_ROPE_LOCAL].theta == 7 && c.rope[QL_ROPE_LOCAL].scaling == QL_ROPE_NONE);
    c = config_of("{\"architectures\": [\"Olmo2ForCausalLM\"]}");
    assert_true(c.qk_norm == QL_QK_NORM_FULL && strcmp(c.arch->names[QL_SOURCE_HF], "olmo2") == 0);
}

static void length_counts_for_longrope_and_dynamic(void **state)
{
    (void)state;
    ql_config c = config_of("{\"model_type\": \"llama\", \"max_position_embeddings\": 100,"
                            "\"rope_scaling\": {\"type\": \"dynamic\", \"factor\": 4}}");
    assert_true(ql_config_rope_by_length(&c) && c.context_length == 400);
    assert_int_equal(c.rope[QL_ROPE_GLOBAL].original_context_length, 100);
    c = config_of("{\"model_type\": \"phi3\", \"max_position_embeddings\": 131072,"
                  "\"original_max_position_embeddings\": 4096, \"rope_scaling\": {\"type\": \"longrope\"}}");
    assert_true(ql_config_rope_by_length(&c) && c.context_length == 131072);
    assert_int_equal(c.rope[QL_ROPE_GLOBAL].original_context_length, 4096);
    c = config_of("{\"model_type\": \"qwen2\", \"max_position_embeddings\": 100, \"rope_scaling\": {\"type\": \"yarn\","
                  "\"factor\": 4, \"original_max_position_embeddings\": 100}}");
    assert_true(!ql_config_rope_by_length(&c) && c.context_length == 400);
}

#define LLAMA "\"model_type\": \"llama\", "

static void bad_values_of_config_json(void **state)
{
    (void)state;
    static const struct {
        const char *json, *message;
    } cases[] = {
        {"\"x\": 1", "neither model_type nor architectures"},
        {"\"model_type\": \"xyz\"", "\"xyz\" is not supported (supported: llama, mistral, mixtral, qwen2, "},
        {"\"architectures\": [\"XyzForCausalLM\"]", "architecture \"XyzForCausalLM\" is not supported"},
        {LLAMA "\"architectures\": [\"LlamaForSequenceClassification\"]", "SequenceClassification\": no causal"},
        {LLAMA "\"hidden_size\": 0", "hidden_size 0: 4 to"},
        {LLAMA "\"hidden_size\": \"64\"", "hidden_size"},
        {LLAMA "\"num_hidden_layers\": 1025", "num_hidden_layers 1025: 1 to 1024"},
        {LLAMA "\"intermediate_size\": 0", "intermediate_size 0: 1 to"},
        {LLAMA "\"max_position_embeddings\": -1", "max_position_embeddings -1: 1 to"},
        {LLAMA "\"num_attention_heads\": 7", "hidden_size 4096 is not a multiple of num_attention_heads 7"},
        {LLAMA "\"num_key_value_heads\": 5", "num_attention_heads 32 is not a multiple of num_key_value_heads 5"},
        {LLAMA "\"num_key_value_heads\": 64", "num_attention_heads 32 is not a multiple of num_key_value_heads 64"},
        {LLAMA "\"head_dim\": 30", "heads of 30 dimensions: a multiple of 4 up to 256"},
        {LLAMA "\"head_dim\": 512", "head_dim 512: 2 to 256"},
        {LLAMA "\"rms_norm_eps\": 0", "rms_norm_eps 0: > 0 and <= 1"},
        {LLAMA "\"rms_norm_eps\": 2.5", "rms_norm_eps 2.5: > 0 and <= 1"},
        {LLAMA "\"hidden_act\": \"relu\"", "hidden_act \"relu\" is not supported (supported: silu, gelu, gelu_new, "},
        {LLAMA "\"rope_theta\": -1", "rope_theta -1: > 0"},
        {LLAMA "\"rope_scaling\": {\"type\": \"mrope\"}", "rope_scaling.type \"mrope\" is not supported (supported: d"},
        {LLAMA "\"rope_parameters\": {\"rope_type\": \"x\"}", "rope_parameters.rope_type \"x\" is not supported"},
        {LLAMA "\"rope_scaling\": {\"type\": \"linear\"}", "rope_scaling.factor is missing"},
        {LLAMA "\"rope_scaling\": {\"type\": \"linear\", \"factor\": 0}", "rope_scaling.factor 0: > 0"},
        {LLAMA "\"rope_scaling\": {\"type\": \"llama3\", \"factor\": 8}", "rope_scaling.low_freq_factor is missing"},
        {LLAMA "\"rope_scaling\": {\"type\": \"llama3\", \"factor\": 8, \"low_freq_factor\": 4,"
               "\"high_freq_factor\": 1}",
         "high_freq_factor 1: more than low_freq_factor 4"},
        {"\"model_type\": \"falcon\", \"alibi\": true", "alibi true is not supported"},
        {"\"model_type\": \"gpt2\", \"scale_attn_by_inverse_layer_idx\": true", "layer_idx true is not supported"},
        {"\"model_type\": \"phi\", \"partial_rotary_factor\": 0.01", "partial_rotary_factor 0.01: 0 of 64 dimensions"},
        {"\"model_type\": \"phi\", \"partial_rotary_factor\": 1.5", "partial_rotary_factor 1.5: > 0 and <= 1"},
        {"\"model_type\": \"gemma2\", \"layer_types\": [\"full_attention\"]", "layer_types has 1 elements, there are"},
        {"\"model_type\": \"qwen3\", \"num_hidden_layers\": 1, \"layer_types\": [\"linear_attention\"]",
         "layer_types \"linear_attention\" of layer 0 is not supported"},
        {"\"model_type\": \"smollm3\", \"no_rope_layers\": [1]", "no_rope_layers has 1 elements, there are 36 layers"},
        {"\"model_type\": \"mixtral\", \"num_experts_per_tok\": 9", "num_experts_per_tok 9: 1 to the number of"},
        {"\"model_type\": \"granite\", \"logits_scaling\": 0", "logits_scaling 0: > 0"},
        {"\"model_type\": \"gemma3\", \"text_config\": {\"hidden_size\": 1}", "text_config.hidden_size 1: 4 to"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char json[512];
        ql_error err = {0};
        static ql_config c;
        snprintf(json, sizeof json, "{%s}", cases[i].json);
        if (read_hf(json, &c, &err) == QL_OK)
            fail_msg("%s: taken", json);
        if (!strstr(err.message, cases[i].message))
            fail_msg("%s: \"%s\", expected \"%s\"", json, err.message, cases[i].message);
    }
}

// ---- GGUF ----

typedef struct gguf_case {
    const char *arch, *key; // key: after "ARCH."
    char type;              // u: u32, f: f32, s: string, -: the key is left out
    double number;
    const char *text, *message;
} gguf_case;

static void put_number(gguf_writer *w, const gguf_case *c, const char *name, char type, double value)
{
    char key[96];
    snprintf(key, sizeof key, "%s.%s", c->arch, name);
    if (c->key && strcmp(c->key, name) == 0) {
        type = c->type;
        value = c->number;
    }
    if (type == 'u')
        gguf_kv_u32(w, key, (uint32_t)value);
    if (type == 'f')
        gguf_kv_f32(w, key, (float)value);
    if (type == 's')
        gguf_kv_str(w, key, c->text);
}

static ql_code read_gguf(const gguf_case *c, ql_config *config, ql_error *err)
{
    static const struct {
        const char *name;
        char type;
        double value;
    } base[] = {{"context_length", 'u', 128}, {"embedding_length", 'u', 64}, {"block_count", 'u', 3},
                {"feed_forward_length", 'u', 96}, {"attention.head_count", 'u', 4}, {"attention.head_count_kv", 'u', 2},
                {"attention.layer_norm_rms_epsilon", 'f', 1e-5}, {"attention.layer_norm_epsilon", 'f', 1e-5}};
    gguf_writer w = gguf_new();
    bool in_base = false;
    char path[128];
    ql_source *source;
    gguf_kv_str(&w, "general.architecture", c->arch);
    for (size_t i = 0; i < sizeof base / sizeof *base; i++) {
        put_number(&w, c, base[i].name, base[i].type, base[i].value);
        in_base |= c->key && strcmp(c->key, base[i].name) == 0;
    }
    if (c->key && !in_base)
        put_number(&w, c, c->key, c->type, c->number);
    gguf_tensor(&w, "token_embd.weight", QL_F32, 2, (uint64_t[]){4, 40}, NULL);
    gguf_save(&w, path, sizeof path);
    ql_code code = ql_source_open(path, &source, err);
    if (code == QL_OK) {
        code = ql_config_read(source, config, err);
        ql_source_close(source);
    }
    unlink(path);
    return code;
}

static void bad_values_of_gguf(void **state)
{
    (void)state;
    static const gguf_case cases[] = {
        {"xyz", NULL, 'u', 0, NULL, "\"xyz\" is not supported (supported: llama, qwen2, qwen3, qwen3moe, phi2, "},
        {"llama", "context_length", '-', 0, NULL, "llama.context_length is missing"},
        {"llama", "embedding_length", 'u', 2, NULL, "llama.embedding_length 2: 4 to"},
        {"llama", "block_count", 'u', 0, NULL, "llama.block_count 0: 1 to 1024"},
        {"llama", "attention.head_count", 'u', 7, NULL, "embedding_length 64 is not a multiple of head_count 7"},
        {"llama", "attention.head_count_kv", 'u', 3, NULL, "head_count 4 is not a multiple of head_count_kv 3"},
        {"llama", "attention.key_length", 'u', 30, NULL, "heads of 30 dimensions"},
        {"llama", "attention.layer_norm_rms_epsilon", '-', 0, NULL, "layer_norm_rms_epsilon is missing"},
        {"llama", "attention.layer_norm_rms_epsilon", 'f', 0, NULL, "layer_norm_rms_epsilon 0: > 0 and <= 1"},
        {"gpt2", "attention.layer_norm_epsilon", '-', 0, NULL, "gpt2.attention.layer_norm_epsilon is missing"},
        {"llama", "rope.dimension_count", 'u', 3, NULL, "llama.rope.dimension_count 3 is odd"},
        {"llama", "rope.dimension_count", 'u', 18, NULL, "llama.rope.dimension_count 18: 2 to 16"},
        {"llama", "rope.freq_base", 'f', -1, NULL, "llama.rope.freq_base -1: > 0"},
        {"llama", "rope.scaling.type", 's', 0, "su", "rope.scaling.type \"su\" is not supported (supported: n"},
        {"llama", "rope.scaling.type", 'u', 1, NULL, "llama.rope.scaling.type"},
        {"llama", "expert_count", 'u', 4, NULL, "llama.expert_used_count is missing"},
        {"granite", "logit_scale", 'f', 0, NULL, "granite.logit_scale 0: > 0"},
        {"gemma2", "final_logit_softcapping", 'f', -3, NULL, "gemma2.final_logit_softcapping -3: > 0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ql_error err = {0};
        static ql_config c;
        if (read_gguf(&cases[i], &c, &err) == QL_OK)
            fail_msg("case %zu (%s): taken", i, cases[i].message);
        if (!strstr(err.message, cases[i].message))
            fail_msg("\"%s\", expected \"%s\"", err.message, cases[i].message);
    }
}

static void every_architecture_of_gguf(void **state)
{
    (void)state;
    int n = 0;
    for (size_t i = 0; i < ql_n_archs; i++) {
        const gguf_case any = {.arch = ql_arch_table[i].names[QL_SOURCE_GGUF]};
        ql_error err = {0};
        static ql_config c;
        if (!any.arch)
            continue;
        if (read_gguf(&any, &c, &err) != QL_OK)
            fail_msg("%s: %s", any.arch, err.message);
        assert_int_equal(c.n_rot, strcmp(any.arch, "gpt2") == 0 ? 0 : 16);
        assert_int_equal(c.head_dim, 16);
        n++;
    }
    assert_int_equal(n, 18);
    const gguf_case window = {.arch = "llama", .key = "attention.sliding_window", .type = 'u', .number = 8};
    static ql_config c;
    ql_error err = {0};
    assert_int_equal(read_gguf(&window, &c, &err), QL_OK);
    assert_true(c.window == 8 && c.plan[2].windowed && c.rope_kind == QL_ROPE_NORM);
    const gguf_case gemma = {.arch = "gemma2"};
    assert_int_equal(read_gguf(&gemma, &c, &err), QL_OK);
    assert_true(c.window == 4096 && c.plan[0].windowed && !c.plan[1].windowed && c.attn_softcap == 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(absent_keys_are_transformers_defaults),
        cmocka_unit_test(rotations_are_those_of_transformers),
        cmocka_unit_test(layers_are_planned),
        cmocka_unit_test(numbers_of_their_own),
        cmocka_unit_test(length_counts_for_longrope_and_dynamic),
        cmocka_unit_test(bad_values_of_config_json),
        cmocka_unit_test(bad_values_of_gguf),
        cmocka_unit_test(every_architecture_of_gguf),
    };
    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
