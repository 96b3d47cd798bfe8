// SPDX-License-Identifier: MIT
// Owns the keys of GGUF files: "ARCHITECTURE.name" as llama.cpp's converter writes them.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/config.h"

static ql_code read_sizes(const ql_reader *r, ql_config *c, ql_error *err)
{
    QL_TRY(ql_read_u32(r, "context_length", true, 1, 1u << 30, &c->context_length, err));
    QL_TRY(ql_read_u32(r, "embedding_length", true, 4, 1u << 20, &c->n_embd, err));
    QL_TRY(ql_read_u32(r, "block_count", true, 1, QL_LAYERS_MAX, &c->n_layers, err));
    QL_TRY(ql_read_u32(r, "feed_forward_length", true, 1, 1u << 22, &c->n_ff, err));
    return QL_OK;
}

static ql_code read_heads(const ql_reader *r, ql_config *c, ql_error *err)
{
    QL_TRY(ql_read_u32(r, "attention.head_count", true, 1, 1024, &c->n_heads, err));
    if (ql_read_has(r, "attention.key_length")) {
        QL_TRY(ql_read_u32(r, "attention.key_length", true, 2, QL_HEAD_DIM_MAX, &c->head_dim, err));
        uint32_t value_length = c->head_dim;
        QL_TRY(ql_read_u32(r, "attention.value_length", false, c->head_dim, c->head_dim, &value_length, err));
    }
    c->n_kv_heads = c->n_heads;
    QL_TRY(ql_read_u32(r, "attention.head_count_kv", false, 1, c->n_heads, &c->n_kv_heads, err));
    QL_TRY(ql_check_heads(r, c, "embedding_length", "head_count", "head_count_kv", err));
    if (c->learned_positions)
        return QL_OK;
    c->n_rot = c->head_dim;
    QL_TRY(ql_read_u32(r, "rope.dimension_count", false, 2, c->head_dim, &c->n_rot, err));
    if (c->n_rot % 2)
        return ql_fail(err, QL_E_FORMAT, "%s: %s %u is odd", ql_source_path(r->source),
                       ql_key_of(r, "rope.dimension_count").text, c->n_rot);
    return QL_OK;
}

static ql_code read_norm(const ql_reader *r, ql_config *c, ql_error *err)
{
    const char *name = c->norm == QL_NORM_RMS ? "attention.layer_norm_rms_epsilon" : "attention.layer_norm_epsilon";
    float ignored;
    if (!ql_read_has(r, name)) // the getter's message for what is missing
        return ql_source_get_f32(r->source, ql_key_of(r, name).text, true, &ignored, err);
    QL_TRY(ql_read_f32(r, name, 0, 1, &c->norm_eps, err));
    if (c->arch->qk_norm && ((c->arch->flags & QL_ARCH_QK_NORM_ALWAYS) ||
                             ql_source_tensor(r->source, "blk.0.attn_q_norm.weight")))
        c->qk_norm = c->arch->qk_norm;
    return QL_OK;
}

static ql_code read_experts(const ql_reader *r, ql_config *c, ql_error *err)
{
    char name[48];
    QL_TRY(ql_read_u32(r, "expert_count", false, 0, 1024, &c->n_experts, err));
    if (!c->n_experts)
        return QL_OK;
    QL_TRY(ql_read_u32(r, "expert_used_count", true, 0, 1024, &c->n_experts_used, err));
    QL_TRY(ql_check_experts(r, c, "expert_used_count", err));
    c->n_ff_expert = c->n_ff;
    QL_TRY(ql_read_u32(r, "expert_feed_forward_length", false, 1, 1u << 22, &c->n_ff_expert, err));
    c->norm_expert_weights = true;
    QL_TRY(ql_read_bool(r, "expert_weights_norm", &c->norm_expert_weights, err));
    for (uint32_t i = 0; i < c->n_layers; i++) {
        snprintf(name, sizeof name, "blk.%u.ffn_gate_inp.weight", i);
        c->plan[i].experts = ql_source_tensor(r->source, name) || !(c->arch->flags & QL_ARCH_SPARSE_STEPS);
    }
    return QL_OK;
}

static ql_code read_scaling_type(const ql_reader *r, ql_config *c, ql_error *err)
{
    static const char *const names[] = {
        [QL_ROPE_NONE] = "none", [QL_ROPE_LINEAR] = "linear", [QL_ROPE_YARN] = "yarn", [QL_ROPE_LONGROPE] = "longrope"};
    ql_key k = ql_key_of(r, "rope.scaling.type");
    ql_str type = {"none", 4};
    // Files from before rope.scaling.type say linear by the factor alone; Phi's say LongRoPE by their tensors alone.
    if (ql_read_has(r, "rope.scale_linear"))
        type = (ql_str){"linear", 6};
    if (ql_source_tensor(r->source, "rope_factors_long.weight"))
        type = (ql_str){"longrope", 8};
    QL_TRY(ql_source_get_str(r->source, k.text, false, &type, err));
    for (int i = QL_ROPE_NONE; i <= QL_ROPE_LONGROPE; i++)
        if (names[i] && strlen(names[i]) == type.len && memcmp(names[i], type.data, type.len) == 0) {
            c->rope[QL_ROPE_GLOBAL].scaling = (ql_rope_scaling)i;
            return QL_OK;
        }
    return ql_fail(err, QL_E_UNSUPPORTED, "%s: %s \"%.*s\" is not supported (supported: none, linear, yarn, longrope)",
                   ql_source_path(r->source), k.text, (int)(type.len < 64 ? type.len : 64), type.data);
}

static ql_code read_rope(const ql_reader *r, ql_config *c, ql_error *err)
{
    ql_rope_config *rope = &c->rope[QL_ROPE_GLOBAL], *local = &c->rope[QL_ROPE_LOCAL];
    rope->original_context_length = local->original_context_length = c->context_length;
    QL_TRY(ql_read_f64(r, "rope.freq_base", 0, 1e12, &rope->theta, err));
    local->theta = c->arch->local_theta > 0 ? c->arch->local_theta : rope->theta;
    QL_TRY(ql_read_f64(r, "rope.freq_base_swa", 0, 1e12, &local->theta, err));
    QL_TRY(read_scaling_type(r, c, err));
    if (rope->scaling == QL_ROPE_NONE)
        return QL_OK;
    QL_TRY(ql_read_f64(r, "rope.scale_linear", 0, 1e6, &rope->factor, err));
    QL_TRY(ql_read_f64(r, "rope.scaling.factor", 0, 1e6, &rope->factor, err));
    QL_TRY(ql_read_f64(r, "rope.scaling.attn_factor", 0, 1e3, &rope->attn_factor, err));
    QL_TRY(ql_read_f64(r, "rope.scaling.yarn_attn_factor", 0, 1e3, &rope->attn_factor, err));
    QL_TRY(ql_read_f64(r, "rope.scaling.yarn_beta_fast", 0, 1e6, &rope->beta_fast, err));
    QL_TRY(ql_read_f64(r, "rope.scaling.yarn_beta_slow", 0, 1e6, &rope->beta_slow, err));
    QL_TRY(ql_read_f64(r, "rope.scaling.yarn_ext_factor", -1, 1, &rope->ext_factor, err));
    QL_TRY(ql_read_u32(r, "rope.scaling.original_context_length", false, 2, 1u << 30, &rope->original_context_length,
                       err));
    return QL_OK;
}

static ql_code read_scales(const ql_reader *r, ql_config *c, ql_error *err)
{
    const ql_arch *a = c->arch;
    if (a->flags & QL_ARCH_MULTIPLIERS) {
        float divisor = 1;
        QL_TRY(ql_read_f32(r, "embedding_scale", 0, 1e6, &c->embd_scale, err));
        QL_TRY(ql_read_f32(r, "residual_scale", 0, 1e6, &c->residual_scale, err));
        QL_TRY(ql_read_f32(r, "logit_scale", 0, 1e6, &divisor, err));
        c->logit_scale = 1 / divisor;
    }
    QL_TRY(ql_read_f32(r, "attention.scale", 0, 1e6, &c->attn_scale, err));
    if (a->flags & QL_ARCH_LOGIT_SCALE)
        QL_TRY(ql_read_f32(r, "logit_scale", 0, 1e6, &c->logit_scale, err));
    if (a->wide_layers && c->n_layers == a->wide_layers)
        c->attn_scale = (float)(1 / sqrt((double)c->n_embd / c->n_heads));
    if (a->flags & QL_ARCH_SOFTCAPS) {
        c->attn_softcap = (float)a->softcaps[0];
        c->logit_softcap = (float)a->softcaps[1];
        QL_TRY(ql_read_f32(r, "attn_logit_softcapping", 0, 1e6, &c->attn_softcap, err));
        QL_TRY(ql_read_f32(r, "final_logit_softcapping", 0, 1e6, &c->logit_softcap, err));
    }
    return QL_OK;
}

static ql_code read_plan(const ql_reader *r, ql_config *c, ql_error *err)
{
    const ql_arch *a = c->arch;
    // llama.cpp has no windows for kinds that the file can not describe.
    if (a->window == QL_WINDOW_ALL || a->window == QL_WINDOW_PERIOD) {
        c->window = a->window == QL_WINDOW_PERIOD ? a->window_default : 0;
        QL_TRY(ql_read_u32(r, "attention.sliding_window", false, 0, 1u << 30, &c->window, err));
    }
    ql_plan_layers(c, 0);
    QL_TRY(read_experts(r, c, err));
    c->parallel_residual = a->parallel == QL_PARALLEL_ALWAYS || a->parallel == QL_PARALLEL_SWITCH;
    if (a->parallel == QL_PARALLEL_SWITCH)
        QL_TRY(ql_read_bool(r, "use_parallel_residual", &c->parallel_residual, err));
    if (a->parallel == QL_PARALLEL_BY_NORM)
        c->parallel_residual = !ql_source_tensor(r->source, "blk.0.ffn_norm.weight");
    return QL_OK;
}

ql_code ql_config_gguf(const ql_source *source, ql_config *c, ql_error *err)
{
    ql_reader r = {.source = source};
    snprintf(r.prefix, sizeof r.prefix, "%s.", c->arch->names[QL_SOURCE_GGUF]);
    QL_TRY(read_sizes(&r, c, err));
    QL_TRY(read_heads(&r, c, err));
    QL_TRY(read_norm(&r, c, err));
    QL_TRY(read_rope(&r, c, err));
    QL_TRY(read_scales(&r, c, err));
    return read_plan(&r, c, err);
}
