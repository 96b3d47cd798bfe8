// SPDX-License-Identifier: MIT
// Owns the keys of config.json, old and new: what is absent has the default of transformers' configuration class.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/config.h"

static bool equals(ql_str s, const char *text) { return s.len == strlen(text) && memcmp(s.data, text, s.len) == 0; }

// Whether the key is there with the value null, which can mean another thing than no key at all: transformers' default
// for an absent sliding_window is 4096 in some classes, and null is no window. The source's view does not tell.
static bool is_null(const ql_reader *r, const char *name)
{
    static const char space[] = " \t\r\n";
    ql_str text = ql_source_document(r->source, "config.json");
    size_t n = strlen(name);
    if (!text.data || ql_read_has(r, name))
        return false;
    for (size_t i = 1; i + n + 1 < text.len; i++) {
        if (text.data[i - 1] != '"' || memcmp(text.data + i, name, n) != 0 || text.data[i + n] != '"')
            continue;
        i += n + 1;
        while (i < text.len && (text.data[i] == ':' || memchr(space, text.data[i], sizeof space - 1)))
            i++;
        if (text.len - i >= 4 && memcmp(text.data + i, "null", 4) == 0)
            return true;
    }
    return false;
}

// ---- what is not supported ----

static ql_code refuse_switches(const ql_reader *r, ql_error *err)
{
    static const char *const switches[] = {"alibi", "scale_attn_by_inverse_layer_idx", "use_bidirectional_attention",
                                           "add_cross_attention", "is_encoder_decoder"};
    for (size_t i = 0; i < sizeof switches / sizeof *switches; i++) {
        bool on = false;
        QL_TRY(ql_read_bool(r, switches[i], &on, err));
        if (on)
            return ql_fail(err, QL_E_UNSUPPORTED, "%s: %s true is not supported", ql_source_path(r->source),
                           ql_key_of(r, switches[i]).text);
    }
    return QL_OK;
}

static ql_code read_activation(const ql_reader *r, ql_config *c, ql_error *err)
{
    static const struct {
        const char *name;
        ql_activation activation;
    } known[] = {{"silu", QL_SILU},          {"swish", QL_SILU},
                 {"gelu", QL_GELU_ERF},      {"gelu_python", QL_GELU_ERF},
                 {"gelu_new", QL_GELU_TANH}, {"gelu_pytorch_tanh", QL_GELU_TANH},
                 {"gelu_fast", QL_GELU_TANH}};
    ql_key k = ql_key_of(r, c->arch->keys->activation);
    ql_str name = {0};
    QL_TRY(ql_source_get_str(r->source, k.text, false, &name, err));
    if (!name.data)
        return QL_OK;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (equals(name, known[i].name)) {
            c->activation = known[i].activation;
            return QL_OK;
        }
    return ql_fail(err, QL_E_UNSUPPORTED,
                   "%s: %s \"%.*s\" is not supported (supported: silu, gelu, gelu_new, gelu_pytorch_tanh, gelu_fast)",
                   ql_source_path(r->source), k.text, (int)(name.len < 64 ? name.len : 64), name.data);
}

// ---- sizes ----

static ql_code read_sizes(const ql_reader *r, ql_config *c, ql_error *err)
{
    const ql_hf_keys *k = c->arch->keys;
    const ql_hf_defaults *d = &c->arch->defaults;
    c->n_embd = d->n_embd;
    c->n_layers = d->n_layers;
    c->context_length = d->context;
    QL_TRY(ql_read_u32(r, k->context, false, 1, 1u << 30, &c->context_length, err));
    QL_TRY(ql_read_u32(r, k->n_embd, false, 4, 1u << 20, &c->n_embd, err));
    QL_TRY(ql_read_u32(r, k->n_layers, false, 1, QL_LAYERS_MAX, &c->n_layers, err));
    c->n_ff = d->n_ff ? d->n_ff : 4 * c->n_embd; // bounded: n_embd <= 2^20
    QL_TRY(ql_read_u32(r, k->n_ff, false, 1, 1u << 22, &c->n_ff, err));
    c->norm_eps = (float)d->eps;
    return ql_read_f32(r, c->arch->eps_key, 0, 1, &c->norm_eps, err);
}

// Falcon: the number of key/value heads counts with the new architecture, else there is one or as many as queries.
static ql_code read_multi_query(const ql_reader *r, ql_config *c, ql_error *err)
{
    bool fresh = false, multi_query = true;
    QL_TRY(ql_read_bool(r, "new_decoder_architecture", &fresh, err));
    QL_TRY(ql_read_bool(r, "multi_query", &multi_query, err));
    if (!fresh)
        c->n_kv_heads = multi_query ? 1 : c->n_heads;
    if (fresh)
        c->parallel_residual = true;
    return QL_OK;
}

static ql_code read_heads(const ql_reader *r, ql_config *c, ql_error *err)
{
    const ql_hf_keys *k = c->arch->keys;
    const ql_hf_defaults *d = &c->arch->defaults;
    c->n_heads = d->n_heads;
    c->head_dim = is_null(r, "head_dim") ? 0 : d->head_dim;
    QL_TRY(ql_read_u32(r, k->n_heads, false, 1, 1024, &c->n_heads, err));
    c->n_kv_heads = d->n_kv_heads && !is_null(r, k->n_kv_heads) ? d->n_kv_heads : c->n_heads;
    QL_TRY(ql_read_u32(r, k->n_kv_heads, false, 1, 1024, &c->n_kv_heads, err));
    QL_TRY(ql_read_u32(r, "head_dim", false, 2, QL_HEAD_DIM_MAX, &c->head_dim, err));
    if (c->arch->flags & QL_ARCH_MULTI_QUERY)
        QL_TRY(read_multi_query(r, c, err));
    return ql_check_heads(r, c, k->n_embd, k->n_heads, k->n_kv_heads, err);
}

// ---- rotation ----

bool ql_hf_rope_key(const ql_source *source, const ql_config *c, int which, const char *name, ql_key *key)
{
    static const char *const global[] = {"rope_scaling.", "rope_parameters.", "rope_parameters.full_attention."};
    static const char *const local[] = {"rope_parameters.sliding_attention."};
    const char *const *objects = which == QL_ROPE_LOCAL ? local : global;
    size_t n = which == QL_ROPE_LOCAL ? 1 : sizeof global / sizeof *global;
    for (size_t i = 0; i < n; i++) {
        snprintf(key->text, sizeof key->text, "%s%s%s", c->arch->hf_prefix, objects[i], name);
        if (ql_source_has(source, key->text))
            return true;
    }
    snprintf(key->text, sizeof key->text, "%s%s%s", c->arch->hf_prefix, objects[0], name);
    return false;
}

// Where a rotation's numbers are read.
typedef struct rope_reader {
    const ql_reader *reader;
    const ql_config *config;
    int which;
} rope_reader;

// A number in (min, max]; absent: as it was, unless required.
static ql_code rope_f64(const rope_reader *rr, const char *name, bool required, double min, double max, double *out,
                        ql_error *err)
{
    ql_key k;
    const ql_source *source = rr->reader->source;
    ql_reader whole = {.source = source};
    if (!ql_hf_rope_key(source, rr->config, rr->which, name, &k))
        return required ? ql_fail(err, QL_E_FORMAT, "%s: %s is missing", ql_source_path(source), k.text) : QL_OK;
    return ql_read_f64(&whole, k.text, min, max, out, err);
}

static ql_code rope_type(const rope_reader *rr, ql_rope_scaling *scaling, ql_error *err)
{
    static const struct {
        const char *name;
        ql_rope_scaling scaling;
    } known[] = {{"default", QL_ROPE_NONE}, {"linear", QL_ROPE_LINEAR},     {"dynamic", QL_ROPE_DYNAMIC},
                 {"yarn", QL_ROPE_YARN},    {"longrope", QL_ROPE_LONGROPE}, {"su", QL_ROPE_LONGROPE},
                 {"llama3", QL_ROPE_LLAMA3}};
    const ql_source *source = rr->reader->source;
    ql_str type = {"default", 7};
    ql_key k;
    if (ql_hf_rope_key(source, rr->config, rr->which, "rope_type", &k) ||
        ql_hf_rope_key(source, rr->config, rr->which, "type", &k))
        QL_TRY(ql_source_get_str(source, k.text, true, &type, err));
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (equals(type, known[i].name)) {
            *scaling = known[i].scaling;
            if (*scaling == QL_ROPE_YARN && (rr->config->arch->flags & QL_ARCH_ALWAYS_LONGROPE))
                *scaling = QL_ROPE_LONGROPE;
            return QL_OK;
        }
    return ql_fail(err, QL_E_UNSUPPORTED,
                   "%s: %s \"%.*s\" is not supported (supported: default, linear, dynamic, yarn, longrope, llama3)",
                   ql_source_path(source), k.text, (int)(type.len < 64 ? type.len : 64), type.data);
}

// The top level's number wins over the object's.
static ql_code original_length(const rope_reader *rr, ql_rope_config *rope, ql_error *err)
{
    static const char name[] = "original_max_position_embeddings";
    uint64_t length = rope->original_context_length;
    ql_key k = ql_key_of(rr->reader, name);
    if (!ql_source_has(rr->reader->source, k.text))
        ql_hf_rope_key(rr->reader->source, rr->config, rr->which, name, &k);
    QL_TRY(ql_source_get_u64(rr->reader->source, k.text, false, 2, 1u << 30, &length, err));
    rope->original_context_length = (uint32_t)length;
    return QL_OK;
}

static double mscale(double factor, double of) { return factor <= 1 ? 1 : 0.1 * of * log(factor) + 1; }

static ql_code read_yarn(const rope_reader *rr, ql_rope_config *rope, ql_error *err)
{
    double own = mscale(rope->factor, 1), wanted = 0, scale = 0, scale_all = 0;
    ql_key k;
    bool rounded = true;
    QL_TRY(rope_f64(rr, "beta_fast", false, 0, 1e6, &rope->beta_fast, err));
    QL_TRY(rope_f64(rr, "beta_slow", false, 0, 1e6, &rope->beta_slow, err));
    QL_TRY(rope_f64(rr, "mscale", false, -1, 1e3, &scale, err));
    QL_TRY(rope_f64(rr, "mscale_all_dim", false, -1, 1e3, &scale_all, err));
    QL_TRY(rope_f64(rr, "attention_factor", false, 0, 1e3, &wanted, err));
    if (ql_hf_rope_key(rr->reader->source, rr->config, rr->which, "truncate", &k))
        QL_TRY(ql_source_get_bool(rr->reader->source, k.text, true, &rounded, err));
    rope->exact_range = !rounded;
    if (wanted > 0)
        rope->attn_factor = wanted / own;
    else if (scale != 0 && scale_all != 0)
        rope->attn_factor = mscale(rope->factor, scale) / mscale(rope->factor, scale_all) / own;
    return QL_OK;
}

static ql_code read_llama3(const rope_reader *rr, ql_rope_config *rope, ql_error *err)
{
    QL_TRY(rope_f64(rr, "low_freq_factor", true, 0, 1e6, &rope->low_freq_factor, err));
    QL_TRY(rope_f64(rr, "high_freq_factor", true, 0, 1e6, &rope->high_freq_factor, err));
    if (rope->high_freq_factor <= rope->low_freq_factor)
        return ql_fail(err, QL_E_FORMAT, "%s: rope high_freq_factor %g: more than low_freq_factor %g",
                       ql_source_path(rr->reader->source), rope->high_freq_factor, rope->low_freq_factor);
    return QL_OK;
}

static ql_code read_rope(const ql_reader *r, ql_config *c, int which, ql_error *err)
{
    const rope_reader rr = {r, c, which};
    ql_rope_config *rope = &c->rope[which];
    rope->theta = c->arch->defaults.theta;
    QL_TRY(ql_read_f64(r, c->arch->keys->rope_theta, 0, 1e12, &rope->theta, err));
    if (which == QL_ROPE_LOCAL) {
        rope->theta = c->arch->local_theta;
        QL_TRY(ql_read_f64(r, "rope_local_base_freq", 0, 1e12, &rope->theta, err));
    }
    QL_TRY(rope_f64(&rr, "rope_theta", false, 0, 1e12, &rope->theta, err));
    QL_TRY(rope_type(&rr, &rope->scaling, err));
    rope->original_context_length = c->context_length;
    if (rope->scaling == QL_ROPE_NONE)
        return QL_OK;
    if (rope->scaling == QL_ROPE_LONGROPE && (c->arch->flags & QL_ARCH_ALWAYS_LONGROPE))
        rope->original_context_length = 4096;
    if (rope->scaling != QL_ROPE_LINEAR && rope->scaling != QL_ROPE_DYNAMIC)
        QL_TRY(original_length(&rr, rope, err));
    bool derived = rope->scaling == QL_ROPE_LONGROPE || rope->scaling == QL_ROPE_YARN;
    if (derived)
        rope->factor = (double)c->context_length / rope->original_context_length;
    QL_TRY(rope_f64(&rr, "factor", !derived, 0, 1e6, &rope->factor, err));
    if (rope->scaling == QL_ROPE_YARN)
        return read_yarn(&rr, rope, err);
    if (rope->scaling == QL_ROPE_LLAMA3)
        return read_llama3(&rr, rope, err);
    if (rope->scaling == QL_ROPE_LONGROPE) {
        rope->attn_factor = 0;
        return rope_f64(&rr, "attention_factor", false, 0, 1e3, &rope->attn_factor, err);
    }
    return QL_OK;
}

static ql_code read_rotation(const ql_reader *r, ql_config *c, ql_error *err)
{
    if (c->learned_positions)
        return QL_OK;
    double part = c->arch->defaults.partial;
    const rope_reader rr = {r, c, QL_ROPE_GLOBAL};
    if (c->arch->flags & QL_ARCH_PARTIAL_ROPE) {
        QL_TRY(ql_read_f64(r, c->arch->keys->partial, 0, 1, &part, err));
        QL_TRY(rope_f64(&rr, "partial_rotary_factor", false, 0, 1, &part, err));
    }
    c->n_rot = (uint32_t)(c->head_dim * part);
    if (c->n_rot < 2 || c->n_rot % 2)
        return ql_fail(err, QL_E_FORMAT,
                       "%s: partial_rotary_factor %g: %u of %u dimensions would rotate, it must be an even number",
                       ql_source_path(r->source), part, c->n_rot, c->head_dim);
    QL_TRY(read_rope(r, c, QL_ROPE_GLOBAL, err));
    if (c->arch->flags & QL_ARCH_LOCAL_ROPE)
        QL_TRY(read_rope(r, c, QL_ROPE_LOCAL, err));
    // max_position_embeddings of such models is what they had before they were extended.
    const ql_rope_config *rope = &c->rope[QL_ROPE_GLOBAL];
    double extended = rope->factor * rope->original_context_length;
    if ((rope->scaling == QL_ROPE_YARN || rope->scaling == QL_ROPE_DYNAMIC) && extended > c->context_length &&
        extended < 1u << 30)
        c->context_length = (uint32_t)extended;
    return QL_OK;
}

// ---- layers ----

static ql_code plan_types(const ql_reader *r, ql_config *c, ql_error *err)
{
    ql_key k = ql_key_of(r, "layer_types");
    ql_str_array types = {0};
    QL_TRY(ql_source_get_str_array(r->source, k.text, false, &types, err));
    if (!types.n)
        return QL_OK;
    if (types.n != c->n_layers)
        return ql_fail(err, QL_E_FORMAT, "%s: %s has %zu elements, there are %u layers", ql_source_path(r->source),
                       k.text, types.n, c->n_layers);
    for (uint32_t i = 0; i < c->n_layers; i++) {
        bool sliding = equals(types.items[i], "sliding_attention");
        if (!sliding && !equals(types.items[i], "full_attention"))
            return ql_fail(err, QL_E_UNSUPPORTED, "%s: %s \"%.*s\" of layer %u is not supported",
                           ql_source_path(r->source), k.text,
                           (int)(types.items[i].len < 64 ? types.items[i].len : 64), types.items[i].data, i);
        c->plan[i].windowed = sliding && c->window;
    }
    return QL_OK;
}

// no_rope_layers: 1 for each layer with positions.
static ql_code plan_positions(const ql_reader *r, ql_config *c, ql_error *err)
{
    ql_key k = ql_key_of(r, "no_rope_layers");
    double *with = NULL;
    size_t n = 0;
    uint32_t period = c->arch->nope_period;
    if (!period)
        return QL_OK;
    QL_TRY(ql_read_u32(r, "no_rope_layer_interval", false, 1, 1u << 20, &period, err));
    QL_TRY(ql_source_get_f64_array(r->source, k.text, false, &with, &n, err));
    ql_code code = QL_OK;
    if (n && n != c->n_layers)
        code = ql_fail(err, QL_E_FORMAT, "%s: %s has %zu elements, there are %u layers", ql_source_path(r->source),
                       k.text, n, c->n_layers);
    for (uint32_t i = 0; code == QL_OK && i < c->n_layers; i++) {
        c->plan[i].rope = (n ? with[i] != 0 : (i + 1) % period != 0) ? QL_ROPE_GLOBAL : QL_NO_ROPE;
        if (c->arch->window == QL_WINDOW_NOPE)
            c->plan[i].windowed = c->window && c->plan[i].rope == QL_NO_ROPE;
    }
    free(with);
    return code;
}

static ql_code read_plan(const ql_reader *r, ql_config *c, ql_error *err)
{
    const ql_arch *a = c->arch;
    uint32_t max_window_layers = 28, period = a->window_period;
    bool on = !(a->flags & QL_ARCH_WINDOW_SWITCH);
    QL_TRY(ql_read_bool(r, "use_sliding_window", &on, err));
    if (a->window != QL_WINDOW_NONE && on) {
        c->window = is_null(r, "sliding_window") ? 0 : a->window_default;
        QL_TRY(ql_read_u32(r, "sliding_window", false, 1, 1u << 30, &c->window, err));
    }
    QL_TRY(ql_read_u32(r, "max_window_layers", false, 0, 1u << 20, &max_window_layers, err));
    ql_plan_layers(c, max_window_layers);
    if (a->window == QL_WINDOW_PERIOD) {
        QL_TRY(ql_read_u32(r, "_sliding_window_pattern", false, 1, 1u << 20, &period, err));
        QL_TRY(ql_read_u32(r, "sliding_window_pattern", false, 1, 1u << 20, &period, err));
        for (uint32_t i = 0; i < c->n_layers; i++)
            c->plan[i].windowed = c->window && (i + 1) % period != 0;
    }
    QL_TRY(plan_positions(r, c, err));
    if (a->window == QL_WINDOW_UPPER || a->window == QL_WINDOW_PERIOD || a->window == QL_WINDOW_NOPE)
        QL_TRY(plan_types(r, c, err));
    return QL_OK;
}

// ---- mixtures of experts ----

static ql_code plan_experts(const ql_reader *r, ql_config *c, ql_error *err)
{
    uint32_t step = 1;
    double *dense = NULL;
    size_t n = 0;
    QL_TRY(ql_read_u32(r, "decoder_sparse_step", false, 1, 1u << 20, &step, err));
    QL_TRY(ql_source_get_f64_array(r->source, ql_key_of(r, "mlp_only_layers").text, false, &dense, &n, err));
    for (uint32_t i = 0; i < c->n_layers; i++)
        c->plan[i].experts = (i + 1) % step == 0;
    for (size_t i = 0; i < n; i++)
        if (dense[i] >= 0 && dense[i] < c->n_layers)
            c->plan[(uint32_t)dense[i]].experts = false;
    free(dense);
    return QL_OK;
}

static ql_code read_experts(const ql_reader *r, ql_config *c, ql_error *err)
{
    const ql_arch *a = c->arch;
    if (!a->expert_keys[0])
        return QL_OK;
    c->n_experts = a->n_experts;
    c->n_experts_used = a->n_experts_used;
    for (size_t i = 0; i < 2; i++)
        QL_TRY(ql_read_u32(r, a->expert_keys[i], false, 1, 1024, &c->n_experts, err));
    QL_TRY(ql_read_u32(r, "num_experts_per_tok", false, 0, 1024, &c->n_experts_used, err));
    QL_TRY(ql_check_experts(r, c, "num_experts_per_tok", err));
    c->n_ff_expert = a->n_ff_expert ? a->n_ff_expert : c->n_ff;
    if (a->ff_expert_key)
        QL_TRY(ql_read_u32(r, a->ff_expert_key, false, 1, 1u << 22, &c->n_ff_expert, err));
    if (!(a->flags & QL_ARCH_NORM_TOPK))
        QL_TRY(ql_read_bool(r, "norm_topk_prob", &c->norm_expert_weights, err));
    for (uint32_t i = 0; i < c->n_layers; i++)
        c->plan[i].experts = true;
    return a->flags & QL_ARCH_SPARSE_STEPS ? plan_experts(r, c, err) : QL_OK;
}

// ---- scales and switches ----

static ql_code read_softcap(const ql_reader *r, const char *name, double fallback, float *cap, ql_error *err)
{
    *cap = is_null(r, name) ? 0 : (float)fallback;
    return ql_read_f32(r, name, 0, 1e6, cap, err);
}

static ql_code read_scales(const ql_reader *r, ql_config *c, ql_error *err)
{
    uint32_t flags = c->arch->flags;
    if (flags & QL_ARCH_MULTIPLIERS) {
        double divisor = 1;
        c->attn_scale = 1;
        QL_TRY(ql_read_f32(r, "embedding_multiplier", 0, 1e6, &c->embd_scale, err));
        QL_TRY(ql_read_f32(r, "residual_multiplier", 0, 1e6, &c->residual_scale, err));
        QL_TRY(ql_read_f32(r, "attention_multiplier", 0, 1e6, &c->attn_scale, err));
        QL_TRY(ql_read_f64(r, "logits_scaling", 0, 1e6, &divisor, err));
        c->logit_scale = (float)(1 / divisor);
    }
    if (flags & QL_ARCH_LOGIT_SCALE) {
        c->logit_scale = 0.0625f;
        QL_TRY(ql_read_f32(r, "logit_scale", 0, 1e6, &c->logit_scale, err));
    }
    if (flags & QL_ARCH_QUERY_SCALAR) {
        double scalar = 256;
        QL_TRY(ql_read_f64(r, "query_pre_attn_scalar", 0, 1e6, &scalar, err));
        c->attn_scale = (float)(1 / sqrt(scalar));
    }
    if (flags & QL_ARCH_SOFTCAPS) {
        QL_TRY(read_softcap(r, "attn_logit_softcapping", c->arch->softcaps[0], &c->attn_softcap, err));
        QL_TRY(read_softcap(r, "final_logit_softcapping", c->arch->softcaps[1], &c->logit_softcap, err));
    }
    bool scaled = true;
    QL_TRY(ql_read_bool(r, "scale_attn_weights", &scaled, err));
    if (!scaled)
        c->attn_scale = 1;
    return QL_OK;
}

static ql_code read_switches(const ql_reader *r, ql_config *c, ql_error *err)
{
    const ql_arch *a = c->arch;
    const ql_reader top = {.source = r->source};
    c->parallel_residual = a->parallel == QL_PARALLEL_ALWAYS || a->parallel == QL_PARALLEL_SWITCH;
    if (a->parallel_key)
        QL_TRY(ql_read_bool(r, a->parallel_key, &c->parallel_residual, err));
    bool normed = a->flags & QL_ARCH_QK_NORM_ALWAYS;
    if (a->qk_norm_key)
        QL_TRY(ql_read_bool(r, a->qk_norm_key, &normed, err));
    c->qk_norm = normed ? a->qk_norm : QL_QK_NORM_NONE;
    c->tied_output = a->defaults.tied;
    QL_TRY(ql_read_bool(r, "tie_word_embeddings", &c->tied_output, err));
    QL_TRY(ql_read_bool(&top, "tie_word_embeddings", &c->tied_output, err));
    c->own_output = !c->tied_output && (ql_read_has(r, "tie_word_embeddings") || ql_read_has(&top, "tie_word_embeddings"));
    return QL_OK;
}

ql_code ql_config_hf(const ql_source *source, ql_config *c, ql_error *err)
{
    ql_reader r = {.source = source};
    snprintf(r.prefix, sizeof r.prefix, "%s", c->arch->hf_prefix);
    QL_TRY(refuse_switches(&r, err));
    QL_TRY(read_sizes(&r, c, err));
    QL_TRY(read_switches(&r, c, err));
    QL_TRY(read_heads(&r, c, err));
    QL_TRY(read_activation(&r, c, err));
    QL_TRY(read_rotation(&r, c, err));
    QL_TRY(read_scales(&r, c, err));
    QL_TRY(read_plan(&r, c, err));
    return read_experts(&r, c, err);
}
