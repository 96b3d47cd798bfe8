// SPDX-License-Identifier: MIT
// Owns the hyper-parameters: their ranges and relations, whatever kind of source they come from. Nothing is divided
// before it is checked.
#include "model/config.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

ql_key ql_key_of(const ql_reader *r, const char *name)
{
    ql_key k;
    snprintf(k.text, sizeof k.text, "%s%s", r->prefix, name);
    return k;
}

bool ql_read_has(const ql_reader *r, const char *name) { return ql_source_has(r->source, ql_key_of(r, name).text); }

ql_code ql_read_u32(const ql_reader *r, const char *name, bool required, uint32_t min, uint32_t max, uint32_t *out,
                    ql_error *err)
{
    uint64_t value = *out;
    QL_TRY(ql_source_get_u64(r->source, ql_key_of(r, name).text, required, min, max, &value, err));
    *out = (uint32_t)value;
    return QL_OK;
}

ql_code ql_read_bool(const ql_reader *r, const char *name, bool *out, ql_error *err)
{
    return ql_source_get_bool(r->source, ql_key_of(r, name).text, false, out, err);
}

ql_code ql_read_f64(const ql_reader *r, const char *name, double min, double max, double *out, ql_error *err)
{
    ql_key k = ql_key_of(r, name);
    double value = 0;
    if (!ql_source_has(r->source, k.text))
        return QL_OK;
    QL_TRY(ql_source_get_f64(r->source, k.text, true, &value, err));
    if (!(value > min && value <= max))
        return ql_fail(err, QL_E_FORMAT, "%s: %s %g: > %g and <= %g", ql_source_path(r->source), k.text, value, min,
                       max);
    *out = value;
    return QL_OK;
}

ql_code ql_read_f32(const ql_reader *r, const char *name, double min, double max, float *out, ql_error *err)
{
    double value = (double)*out;
    QL_TRY(ql_read_f64(r, name, min, max, &value, err));
    *out = (float)value;
    return QL_OK;
}

ql_code ql_check_heads(const ql_reader *r, ql_config *c, const char *n_embd, const char *n_heads,
                       const char *n_kv_heads, ql_error *err)
{
    const char *path = ql_source_path(r->source);
    if (!c->head_dim && c->n_embd % c->n_heads)
        return ql_fail(err, QL_E_FORMAT, "%s: %s %u is not a multiple of %s %u", path, ql_key_of(r, n_embd).text,
                       c->n_embd, n_heads, c->n_heads);
    if (!c->head_dim)
        c->head_dim = c->n_embd / c->n_heads;
    if (c->n_kv_heads > c->n_heads || c->n_heads % c->n_kv_heads)
        return ql_fail(err, QL_E_FORMAT, "%s: %s %u is not a multiple of %s %u", path, ql_key_of(r, n_heads).text,
                       c->n_heads, n_kv_heads, c->n_kv_heads);
    if (c->head_dim > QL_HEAD_DIM_MAX || c->head_dim % 4)
        return ql_fail(err, QL_E_UNSUPPORTED, "%s: heads of %u dimensions: a multiple of 4 up to %d", path, c->head_dim,
                       QL_HEAD_DIM_MAX);
    return QL_OK;
}

ql_code ql_check_experts(const ql_reader *r, const ql_config *c, const char *n_used, ql_error *err)
{
    if (c->n_experts_used < 1 || c->n_experts_used > c->n_experts)
        return ql_fail(err, QL_E_FORMAT, "%s: %s %u: 1 to the number of experts, %u", ql_source_path(r->source),
                       ql_key_of(r, n_used).text, c->n_experts_used, c->n_experts);
    return QL_OK;
}

static bool has_window(const ql_config *c, uint32_t layer, uint32_t max_window_layers)
{
    switch (c->arch->window) {
    case QL_WINDOW_ALL: return true;
    case QL_WINDOW_PERIOD: return (layer + 1) % c->arch->window_period != 0;
    case QL_WINDOW_UPPER: return layer >= max_window_layers;
    case QL_WINDOW_NOPE: return c->plan[layer].rope == QL_NO_ROPE;
    case QL_WINDOW_NONE: break;
    }
    return false;
}

void ql_plan_layers(ql_config *c, uint32_t max_window_layers)
{
    for (uint32_t i = 0; i < c->n_layers; i++) {
        ql_layer_plan *plan = &c->plan[i];
        plan->rope = QL_ROPE_GLOBAL;
        if (!c->n_rot || (c->arch->nope_period && (i + 1) % c->arch->nope_period == 0))
            plan->rope = QL_NO_ROPE;
        plan->windowed = c->window && has_window(c, i, max_window_layers);
        plan->experts = c->n_experts > 0;
    }
}

// What the architecture alone decides.
static void begin(ql_config *c, ql_source_kind kind)
{
    const ql_arch *a = c->arch;
    c->norm = a->norm;
    c->activation = a->activation;
    c->gated = a->flags & QL_ARCH_GATED;
    c->learned_positions = a->flags & QL_ARCH_LEARNED_POSITIONS;
    c->norm_expert_weights = a->flags & QL_ARCH_NORM_TOPK;
    c->rope_kind = a->rope_kinds[kind];
    c->embd_scale = c->residual_scale = c->logit_scale = 1;
    for (int i = 0; i < QL_ROPES; i++)
        c->rope[i] = (ql_rope_config){.theta = 10000, .factor = 1, .attn_factor = 1, .beta_fast = 32, .beta_slow = 1,
                                      .ext_factor = 1, .low_freq_factor = 1, .high_freq_factor = 4};
}

// What follows from the numbers.
static void finish(ql_config *c)
{
    if (c->attn_scale == 0)
        c->attn_scale = (float)(1 / sqrt((double)c->head_dim));
    if (c->arch->flags & QL_ARCH_SQRT_EMBD)
        c->embd_scale = (float)sqrt((double)c->n_embd);
    for (uint32_t i = 0; i < c->n_layers; i++)
        if ((c->arch->flags & QL_ARCH_LOCAL_ROPE) && c->plan[i].windowed)
            c->plan[i].rope = QL_ROPE_LOCAL;
}

const ql_tensor *ql_find_embd(const ql_source *source, const ql_names *names, const char **prefix)
{
    for (size_t i = 0; i < sizeof names->prefixes / sizeof *names->prefixes && names->prefixes[i]; i++) {
        char name[96];
        snprintf(name, sizeof name, "%s%s", names->prefixes[i], names->embd);
        const ql_tensor *t = ql_source_tensor(source, name);
        *prefix = names->prefixes[i];
        if (t)
            return t;
    }
    *prefix = names->prefixes[0];
    return NULL;
}

// The vocabulary's size is the embedding's; keys and the tokenizer must agree with it (checked by the engine).
static ql_code read_vocab(const ql_source *source, ql_config *c, ql_error *err)
{
    const ql_names *names = c->arch->tensors[ql_source_kind_of(source)];
    const char *prefix;
    const ql_tensor *embd = ql_find_embd(source, names, &prefix);
    if (!embd)
        return ql_fail(err, QL_E_FORMAT, "%s: tensor %s%s is missing", ql_source_path(source), prefix, names->embd);
    if (embd->shape[1] < 1 || embd->shape[1] > 1u << 24)
        return ql_fail(err, QL_E_FORMAT, "%s: tensor %s: shape [%llu,%llu], expected [%u,1 to %u]", ql_source_path(source),
                       embd->name, (unsigned long long)embd->shape[0], (unsigned long long)embd->shape[1], c->n_embd,
                       1u << 24);
    c->n_vocab = (uint32_t)embd->shape[1];
    return QL_OK;
}

static ql_code refuse(const ql_source *source, ql_str name, ql_error *err)
{
    char list[512];
    ql_arch_list(ql_source_kind_of(source), list, sizeof list);
    return ql_fail(err, QL_E_UNSUPPORTED, "%s: architecture \"%.*s\" is not supported (supported: %s)",
                   ql_source_path(source), (int)(name.len < 64 ? name.len : 64), name.data, list);
}

static bool ends_with(ql_str s, const char *end)
{
    size_t n = strlen(end);
    return s.len >= n && memcmp(s.data + s.len - n, end, n) == 0;
}

// config.json: model_type decides; "architectures" must name something that continues text, and stands in for it.
static ql_code find_hf_arch(const ql_source *source, ql_config *config, ql_error *err)
{
    ql_str type = {0};
    ql_str_array classes = {0};
    QL_TRY(ql_source_get_str(source, "model_type", false, &type, err));
    QL_TRY(ql_source_get_str_array(source, "architectures", false, &classes, err));
    if (!type.data && !classes.n)
        return ql_fail(err, QL_E_FORMAT, "%s: neither model_type nor architectures say what this is",
                       ql_source_path(source));
    config->arch = type.data ? ql_arch_find(QL_SOURCE_HF, type.data, type.len)
                             : ql_arch_find_class(classes.items[0].data, classes.items[0].len);
    if (!config->arch)
        return refuse(source, type.data ? type : classes.items[0], err);
    if (classes.n && !ends_with(classes.items[0], "ForCausalLM") && !ends_with(classes.items[0], "LMHeadModel") &&
        !ends_with(classes.items[0], "ForConditionalGeneration"))
        return ql_fail(err, QL_E_UNSUPPORTED,
                       "%s: architectures \"%.*s\": no causal language model, it can not generate",
                       ql_source_path(source), (int)(classes.items[0].len < 64 ? classes.items[0].len : 64),
                       classes.items[0].data);
    return QL_OK;
}

static ql_code find_gguf_arch(const ql_source *source, ql_config *config, ql_error *err)
{
    ql_str name = {0};
    QL_TRY(ql_source_get_str(source, "general.architecture", true, &name, err));
    config->arch = ql_arch_find(QL_SOURCE_GGUF, name.data, name.len);
    return config->arch ? QL_OK : refuse(source, name, err);
}

ql_code ql_config_read(const ql_source *source, ql_config *config, ql_error *err)
{
    ql_source_kind kind = ql_source_kind_of(source);
    *config = (ql_config){0};
    QL_TRY(kind == QL_SOURCE_HF ? find_hf_arch(source, config, err) : find_gguf_arch(source, config, err));
    begin(config, kind);
    QL_TRY(kind == QL_SOURCE_HF ? ql_config_hf(source, config, err) : ql_config_gguf(source, config, err));
    finish(config);
    return read_vocab(source, config, err);
}

bool ql_config_rope_by_length(const ql_config *config)
{
    return config->n_rot && (config->rope[QL_ROPE_GLOBAL].scaling == QL_ROPE_LONGROPE ||
                             config->rope[QL_ROPE_GLOBAL].scaling == QL_ROPE_DYNAMIC);
}
