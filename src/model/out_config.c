// SPDX-License-Identifier: MIT
// Owns the way of a configuration into GGUF's keys, the reverse of config_gguf.c; and whether what was written means the same.
// Its decision: whatever differs after reading it again is refused by name, so that a file is never wrong for a rule that
// was forgotten here.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/config.h"
#include "model/out.h"

typedef struct putter {
    ql_gguf_writer *w;
    const char *arch;
    char key[160];
} putter;

static const char *key(putter *p, const char *name)
{
    snprintf(p->key, sizeof p->key, "%s.%s", p->arch, name);
    return p->key;
}

static void put_u32(putter *p, const char *name, uint32_t value) { ql_gguf_put_u32(p->w, key(p, name), value); }
static void put_f32(putter *p, const char *name, double value) { ql_gguf_put_f32(p->w, key(p, name), (float)value); }

static void put_str(putter *p, const char *name, const char *value)
{
    ql_gguf_put_str(p->w, key(p, name), (ql_str){value, strlen(value)});
}

static void put_sizes(putter *p, const ql_config *c)
{
    put_u32(p, "context_length", c->context_length);
    put_u32(p, "embedding_length", c->n_embd);
    put_u32(p, "block_count", c->n_layers);
    put_u32(p, "feed_forward_length", c->n_ff);
    put_u32(p, "attention.head_count", c->n_heads);
    put_u32(p, "attention.head_count_kv", c->n_kv_heads);
    if ((uint64_t)c->head_dim * c->n_heads != c->n_embd) {
        put_u32(p, "attention.key_length", c->head_dim);
        put_u32(p, "attention.value_length", c->head_dim);
    }
    put_f32(p, c->norm == QL_NORM_RMS ? "attention.layer_norm_rms_epsilon" : "attention.layer_norm_epsilon",
            (double)c->norm_eps);
    put_u32(p, "vocab_size", c->n_vocab);
}

static void put_rope(putter *p, const ql_config *c)
{
    const ql_rope_config *rope = &c->rope[QL_ROPE_GLOBAL];
    put_u32(p, "rope.dimension_count", c->n_rot);
    put_f32(p, "rope.freq_base", rope->theta);
    if (rope->scaling != QL_ROPE_LINEAR && rope->scaling != QL_ROPE_YARN) // Llama 3's has a tensor
        return;
    put_str(p, "rope.scaling.type", rope->scaling == QL_ROPE_LINEAR ? "linear" : "yarn");
    put_f32(p, "rope.scaling.factor", rope->factor);
    if (rope->scaling == QL_ROPE_YARN)
        put_u32(p, "rope.scaling.original_context_length", rope->original_context_length);
}

static void put_experts(putter *p, const ql_config *c)
{
    if (!c->n_experts)
        return;
    put_u32(p, "expert_count", c->n_experts);
    put_u32(p, "expert_used_count", c->n_experts_used);
    if (c->arch->ff_expert_key)
        put_u32(p, "expert_feed_forward_length", c->n_ff_expert);
}

static void put_scales(putter *p, const ql_config *c)
{
    if (c->arch->flags & QL_ARCH_MULTIPLIERS) {
        put_f32(p, "embedding_scale", (double)c->embd_scale);
        put_f32(p, "residual_scale", (double)c->residual_scale);
        put_f32(p, "attention.scale", (double)c->attn_scale);
        put_f32(p, "logit_scale", 1 / (double)c->logit_scale);
    }
    if (c->arch->flags & QL_ARCH_LOGIT_SCALE)
        put_f32(p, "logit_scale", (double)c->logit_scale);
    if (c->attn_softcap > 0)
        put_f32(p, "attn_logit_softcapping", (double)c->attn_softcap);
    if (c->logit_softcap > 0)
        put_f32(p, "final_logit_softcapping", (double)c->logit_softcap);
    if (c->window && c->arch->window == QL_WINDOW_PERIOD) // llama.cpp reads no other
        put_u32(p, "attention.sliding_window", c->window);
}

// GGUF's name of an architecture whose rows are alike: mistral and mixtral are "llama" there.
static const char *gguf_name(const ql_arch *arch)
{
    const char *own = arch->names[QL_SOURCE_GGUF], *hf = arch->names[QL_SOURCE_HF];
    return own ? own : strcmp(hf, "gemma3") == 0 ? "gemma3" : "llama";
}

void ql_out_put_config(const ql_config *config, ql_gguf_writer *w)
{
    putter p = {.w = w, .arch = gguf_name(config->arch)};
    ql_gguf_put_str(w, "general.architecture", (ql_str){p.arch, strlen(p.arch)});
    put_sizes(&p, config);
    put_rope(&p, config);
    put_experts(&p, config);
    put_scales(&p, config);
}

// ---- whether it means the same ----

// Keys are floats where config.json has decimal numbers.
static bool near(double a, double b) { return fabs(a - b) <= 1e-6 * fmax(fabs(a), fabs(b)); }

static bool same_plan(const ql_config *a, const ql_config *b)
{
    bool same = a->n_layers == b->n_layers;
    for (uint32_t i = 0; same && i < a->n_layers; i++)
        same = a->plan[i].rope == b->plan[i].rope && a->plan[i].windowed == b->plan[i].windowed &&
               a->plan[i].experts == b->plan[i].experts;
    return same;
}

static bool same_frequencies(const ql_config *c, const ql_weights *a, const ql_weights *b)
{
    for (int which = 0; which < QL_ROPES; which++) {
        bool used = false;
        for (uint32_t i = 0; i < c->n_layers; i++)
            used |= c->plan[i].rope == which;
        if (!used)
            continue;
        if (!a->inv_freq[which] || !b->inv_freq[which] || !near(a->rope_attn_factor[which], b->rope_attn_factor[which]))
            return false;
        for (uint32_t i = 0; i < c->n_rot / 2; i++)
            if (!near(a->inv_freq[which][i], b->inv_freq[which][i]))
                return false;
    }
    return true;
}

ql_code ql_out_check_config(const ql_source *source, const ql_config *a, const ql_weights *a_weights, const ql_config *b,
                            const ql_weights *b_weights, ql_error *err)
{
    ql_rope_kind kind = a->arch->rope_kinds[QL_SOURCE_GGUF];
    const struct {
        bool same;
        const char *what;
    } parts[] = {
        {a->n_embd == b->n_embd && a->n_ff == b->n_ff && a->n_heads == b->n_heads && a->n_kv_heads == b->n_kv_heads &&
             a->head_dim == b->head_dim && a->n_vocab == b->n_vocab && a->context_length == b->context_length, "its sizes"},
        {a->n_experts == b->n_experts && (!a->n_experts || (a->n_experts_used == b->n_experts_used &&
             a->n_ff_expert == b->n_ff_expert && a->norm_expert_weights == b->norm_expert_weights)), "its mixture of experts"},
        {a->window == b->window, "its sliding window"},
        {same_plan(a, b), "layers that differ as these do"},
        {a->norm == b->norm && near((double)a->norm_eps, (double)b->norm_eps) && a->qk_norm == b->qk_norm,
         "its normalization"},
        {a->activation == b->activation && a->gated == b->gated, "its activation"},
        {a->parallel_residual == b->parallel_residual && a->learned_positions == b->learned_positions, "the order of its parts"},
        {near((double)a->embd_scale, (double)b->embd_scale) && near((double)a->residual_scale, (double)b->residual_scale) &&
             near((double)a->logit_scale, (double)b->logit_scale), "its multipliers"},
        {near((double)a->attn_scale, (double)b->attn_scale), "its scale of scores"},
        {near((double)a->attn_softcap, (double)b->attn_softcap) && near((double)a->logit_softcap, (double)b->logit_softcap),
         "its soft caps"},
        {a->n_rot == b->n_rot && b->rope_kind == kind && a->rope[0].scaling != QL_ROPE_DYNAMIC &&
             a->rope[0].scaling != QL_ROPE_LONGROPE && same_frequencies(a, a_weights, b_weights), "its rotation (rope)"},
        {(a_weights->output.n_rows == 0) == (b_weights->output.n_rows == 0), "its output matrix"},
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (!parts[i].same)
            return ql_fail(err, QL_E_UNSUPPORTED, "%s: config.json: a GGUF file of architecture \"%s\" has no form for %s",
                           ql_source_path(source), b->arch->names[QL_SOURCE_GGUF], parts[i].what);
    return QL_OK;
}
