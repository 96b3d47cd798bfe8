// SPDX-License-Identifier: MIT
// Owns the hyper-parameters: which keys there are, their ranges and relations. Nothing is divided before it is checked.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/arch.h"

// A key of this architecture: "llama.block_count".
typedef struct key {
    char text[128];
} key;

static key arch_key(const ql_config *config, const char *name)
{
    key k;
    snprintf(k.text, sizeof k.text, "%s.%s", config->arch->name, name);
    return k;
}

static ql_code get_u32(const ql_source *source, const ql_config *config, const char *name, bool required, uint32_t min,
                       uint32_t max, uint32_t *out, ql_error *err)
{
    uint64_t value = *out;
    QL_TRY(ql_source_get_u64(source, arch_key(config, name).text, required, min, max, &value, err));
    *out = (uint32_t)value;
    return QL_OK;
}

// A finite float in (min, max]; *out keeps its value when the key is absent.
static ql_code get_double(const ql_source *source, const ql_config *config, const char *name, double min, double max,
                          double *out, ql_error *err)
{
    key k = arch_key(config, name);
    if (!ql_source_has(source, k.text))
        return QL_OK;
    float value = 0;
    QL_TRY(ql_source_get_f32(source, k.text, true, &value, err));
    if (!(value > min && value <= max))
        return ql_fail(err, QL_E_FORMAT, "%s: %s %g: > %g and <= %g", ql_source_path(source), k.text, (double)value, min,
                       max);
    *out = (double)value;
    return QL_OK;
}

static ql_code find_arch(const ql_source *source, ql_config *config, ql_error *err)
{
    ql_str name = {0};
    QL_TRY(ql_source_get_str(source, "general.architecture", true, &name, err));
    config->arch = ql_arch_find(name.data, name.len);
    if (!config->arch)
        return ql_fail(err, QL_E_UNSUPPORTED, "%s: architecture \"%.*s\" is not supported (supported: %s)",
                       ql_source_path(source), (int)(name.len < 64 ? name.len : 64), name.data, ql_arch_names);
    return QL_OK;
}

static ql_code read_heads(const ql_source *source, ql_config *c, ql_error *err)
{
    const char *path = ql_source_path(source);
    QL_TRY(get_u32(source, c, "attention.head_count", true, 1, 1024, &c->n_heads, err));
    if (ql_source_has(source, arch_key(c, "attention.key_length").text)) {
        uint32_t value_length = 0;
        QL_TRY(get_u32(source, c, "attention.key_length", true, 2, QL_HEAD_DIM_MAX, &c->head_dim, err));
        value_length = c->head_dim;
        QL_TRY(get_u32(source, c, "attention.value_length", false, c->head_dim, c->head_dim, &value_length, err));
    } else {
        if (c->n_embd % c->n_heads)
            return ql_fail(err, QL_E_FORMAT, "%s: %s %u is not a multiple of head_count %u", path,
                           arch_key(c, "embedding_length").text, c->n_embd, c->n_heads);
        c->head_dim = c->n_embd / c->n_heads;
    }
    c->n_kv_heads = c->n_heads;
    QL_TRY(get_u32(source, c, "attention.head_count_kv", false, 1, c->n_heads, &c->n_kv_heads, err));
    if (c->n_heads % c->n_kv_heads)
        return ql_fail(err, QL_E_FORMAT, "%s: %s %u is not a multiple of head_count_kv %u", path,
                       arch_key(c, "attention.head_count").text, c->n_heads, c->n_kv_heads);
    if (c->head_dim > QL_HEAD_DIM_MAX || c->head_dim % 4)
        return ql_fail(err, QL_E_UNSUPPORTED, "%s: heads of %u dimensions: a multiple of 4 up to %d", path, c->head_dim,
                       QL_HEAD_DIM_MAX);
    c->n_rot = c->head_dim;
    QL_TRY(get_u32(source, c, "rope.dimension_count", false, 2, c->head_dim, &c->n_rot, err));
    if (c->n_rot % 2)
        return ql_fail(err, QL_E_FORMAT, "%s: %s %u is odd", path, arch_key(c, "rope.dimension_count").text, c->n_rot);
    return QL_OK;
}

static ql_code read_scaling_type(const ql_source *source, ql_config *c, ql_error *err)
{
    static const char *const names[] = {
        [QL_ROPE_NONE] = "none", [QL_ROPE_LINEAR] = "linear", [QL_ROPE_YARN] = "yarn", [QL_ROPE_LONGROPE] = "longrope"};
    key k = arch_key(c, "rope.scaling.type");
    ql_str type = {"none", 4};
    // Files from before rope.scaling.type say linear by the factor alone.
    if (ql_source_has(source, arch_key(c, "rope.scale_linear").text))
        type = (ql_str){"linear", 6};
    QL_TRY(ql_source_get_str(source, k.text, false, &type, err));
    for (int i = QL_ROPE_NONE; i <= QL_ROPE_LONGROPE; i++)
        if (strlen(names[i]) == type.len && memcmp(names[i], type.data, type.len) == 0) {
            c->rope.scaling = (ql_rope_scaling)i;
            return QL_OK;
        }
    return ql_fail(err, QL_E_UNSUPPORTED, "%s: %s \"%.*s\" is not supported (supported: none, linear, yarn, longrope)",
                   ql_source_path(source), k.text, (int)(type.len < 64 ? type.len : 64), type.data);
}

static ql_code read_rope(const ql_source *source, ql_config *c, ql_error *err)
{
    c->rope = (ql_rope_config){.kind = c->arch->rope_kind, .theta = 10000.0, .factor = 1.0, .attn_factor = 1.0,
                               .beta_fast = 32.0, .beta_slow = 1.0, .ext_factor = 1.0,
                               .original_context_length = c->context_length};
    QL_TRY(get_double(source, c, "rope.freq_base", 0, 1e12, &c->rope.theta, err));
    QL_TRY(read_scaling_type(source, c, err));
    if (c->rope.scaling == QL_ROPE_NONE)
        return QL_OK;
    QL_TRY(get_double(source, c, "rope.scale_linear", 0, 1e6, &c->rope.factor, err));
    QL_TRY(get_double(source, c, "rope.scaling.factor", 0, 1e6, &c->rope.factor, err));
    QL_TRY(get_double(source, c, "rope.scaling.attn_factor", 0, 1e3, &c->rope.attn_factor, err));
    QL_TRY(get_double(source, c, "rope.scaling.yarn_attn_factor", 0, 1e3, &c->rope.attn_factor, err));
    QL_TRY(get_double(source, c, "rope.scaling.yarn_beta_fast", 0, 1e6, &c->rope.beta_fast, err));
    QL_TRY(get_double(source, c, "rope.scaling.yarn_beta_slow", 0, 1e6, &c->rope.beta_slow, err));
    QL_TRY(get_double(source, c, "rope.scaling.yarn_ext_factor", -1, 1, &c->rope.ext_factor, err));
    return get_u32(source, c, "rope.scaling.original_context_length", false, 1, 1u << 30,
                   &c->rope.original_context_length, err);
}

// The vocabulary's size is the embedding's; keys and the tokenizer must agree with it (checked by the engine).
static ql_code read_vocab(const ql_source *source, ql_config *c, ql_error *err)
{
    const ql_tensor *embd = ql_source_tensor(source, "token_embd.weight");
    if (!embd)
        return ql_fail(err, QL_E_FORMAT, "%s: tensor token_embd.weight is missing", ql_source_path(source));
    if (embd->shape[1] < 1 || embd->shape[1] > 1u << 24)
        return ql_fail(err, QL_E_FORMAT, "%s: tensor token_embd.weight: %llu rows, a vocabulary has 1 to %u",
                       ql_source_path(source), (unsigned long long)embd->shape[1], 1u << 24);
    c->n_vocab = (uint32_t)embd->shape[1];
    return QL_OK;
}

static ql_code read_eps(const ql_source *source, ql_config *c, ql_error *err)
{
    key k = arch_key(c, "attention.layer_norm_rms_epsilon");
    QL_TRY(ql_source_get_f32(source, k.text, true, &c->rms_norm_eps, err));
    if (!(c->rms_norm_eps > 0 && c->rms_norm_eps < 1))
        return ql_fail(err, QL_E_FORMAT, "%s: %s %g: > 0 and < 1", ql_source_path(source), k.text,
                       (double)c->rms_norm_eps);
    return QL_OK;
}

// Mixtures of experts share the name "llama" in files; they are another architecture.
static ql_code refuse_experts(const ql_source *source, const ql_config *c, ql_error *err)
{
    uint32_t n_experts = 0;
    QL_TRY(get_u32(source, c, "expert_count", false, 0, UINT32_MAX, &n_experts, err));
    if (n_experts)
        return ql_fail(err, QL_E_UNSUPPORTED, "%s: %s %u: mixtures of experts are not supported",
                       ql_source_path(source), arch_key(c, "expert_count").text, n_experts);
    return QL_OK;
}

ql_code ql_config_read(const ql_source *source, ql_config *config, ql_error *err)
{
    *config = (ql_config){0};
    QL_TRY(find_arch(source, config, err));
    QL_TRY(refuse_experts(source, config, err));
    QL_TRY(get_u32(source, config, "context_length", true, 1, 1u << 30, &config->context_length, err));
    QL_TRY(get_u32(source, config, "embedding_length", true, 4, 1u << 20, &config->n_embd, err));
    QL_TRY(get_u32(source, config, "block_count", true, 1, 1024, &config->n_layers, err));
    QL_TRY(get_u32(source, config, "feed_forward_length", true, 1, 1u << 22, &config->n_ff, err));
    QL_TRY(read_heads(source, config, err));
    QL_TRY(read_eps(source, config, err));
    QL_TRY(read_rope(source, config, err));
    return read_vocab(source, config, err);
}
