// SPDX-License-Identifier: MIT
// Owns where a model's tensors are as a whole: embedding, output, rotations; layers are bind_layer.c's. Must not know
// what is computed with them; no matrix is read here.
//
// The same code runs twice: measuring, then with an arena of that size.
#include <stdlib.h>
#include <string.h>

#include "model/binder.h"

static ql_code bind_embd(ql_binder *b, ql_weights *w, ql_error *err)
{
    const ql_config *c = b->config;
    const ql_tensor *t = ql_find_embd(b->source, b->names, &b->prefix);
    if (!t)
        return ql_binder_missing(b, b->names->embd, err);
    ql_binder_tensor(b, t->name);
    QL_TRY(ql_binder_check_shape(b, t, c->n_embd, c->n_vocab, 1, err));
    w->embd = (ql_matrix){.n_rows = c->n_vocab, .n_cols = c->n_embd};
    const ql_bound bound = {.matrix = &w->embd, .rows = {t, 0, c->n_vocab, c->n_vocab, false}, .role = QL_ROLE_EMBD,
                            .name = "token_embd.weight"};
    ql_binder_matrix(b, &bound);
    return QL_OK;
}

static ql_code bind_positions(ql_binder *b, ql_weights *w, ql_error *err)
{
    char name[96] = "";
    const ql_config *c = b->config;
    size_t n = (size_t)c->context_length * c->n_embd; // bounded: 2^30, 2^20
    ql_binder_append(name, sizeof name, b->prefix, 0);
    ql_binder_append(name, sizeof name, b->names->pos_embd, 0);
    const ql_tensor *t = ql_binder_tensor(b, name);
    if (!t)
        return ql_binder_missing(b, name, err);
    QL_TRY(ql_binder_check_shape(b, t, b->packed ? n : c->n_embd, b->packed ? 1 : c->context_length, 1, err));
    QL_TRY(ql_binder_check_plain(b, t, err));
    w->pos_embd = ql_binder_vector(b, n, "pos_embd.weight");
    if (w->pos_embd)
        ql_dtype_get(t->dtype)->decode(t->data, w->pos_embd, n);
    return QL_OK;
}

static ql_code bind_output_vector(ql_binder *b, const char *name, const char *canonical, uint64_t n, float **out,
                                  ql_error *err)
{
    const ql_tensor *t = ql_binder_tensor(b, name);
    if (!t)
        return QL_OK;
    QL_TRY(ql_binder_check_shape(b, t, n, 1, 1, err));
    QL_TRY(ql_binder_check_plain(b, t, err));
    *out = ql_binder_vector(b, n, canonical);
    if (*out)
        ql_dtype_get(t->dtype)->decode(t->data, *out, n);
    return QL_OK;
}

static ql_code bind_output_norm(ql_binder *b, ql_weights *w, ql_error *err)
{
    char name[160] = "";
    const ql_config *c = b->config;
    ql_binder_append(name, sizeof name, b->prefix, 0);
    ql_binder_append(name, sizeof name, b->names->output_norm, 0);
    if (!ql_binder_tensor(b, name))
        return ql_binder_missing(b, name, err);
    QL_TRY(bind_output_vector(b, name, "output_norm.weight", c->n_embd, &w->output_norm.weight, err));
    if (b->plus_one && w->output_norm.weight)
        ql_binder_add_one(w->output_norm.weight, c->n_embd);
    ql_binder_bias_name(name);
    if ((c->arch->flags & QL_ARCH_BIAS_NORM) && !ql_binder_tensor(b, name))
        return ql_binder_missing(b, name, err);
    return bind_output_vector(b, name, "output_norm.bias", c->n_embd, &w->output_norm.bias, err);
}

// Its own matrix, or none: the embedding's.
static ql_code bind_output(ql_binder *b, ql_weights *w, ql_error *err)
{
    const ql_config *c = b->config;
    const ql_tensor *t = NULL;
    for (int i = 0; i < 3 && b->names->outputs[i]; i++) {
        char name[96] = "";
        ql_binder_append(name, sizeof name, b->names->outputs[i], 0);
        if (!t && (b->packed || !c->tied_output))
            t = ql_binder_tensor(b, name);
        ql_binder_bias_name(name);
        if (!w->output.bias)
            QL_TRY(bind_output_vector(b, name, "output.bias", c->n_vocab, &w->output.bias, err));
    }
    if (!t && c->own_output && !b->packed)
        return ql_fail(err, QL_E_FORMAT, "%s: tensor %s is missing, and tie_word_embeddings is false",
                       ql_source_path(b->source), b->names->outputs[0]);
    if (!t)
        return QL_OK;
    QL_TRY(ql_binder_check_shape(b, t, c->n_embd, c->n_vocab, 1, err));
    w->output.n_rows = c->n_vocab;
    w->output.n_cols = c->n_embd;
    const ql_bound bound = {.matrix = &w->output, .rows = {t, 0, c->n_vocab, c->n_vocab, false}, .role = QL_ROLE_OUTPUT,
                            .name = "output.weight"};
    ql_binder_matrix(b, &bound);
    return QL_OK;
}

static bool uses_rope(const ql_config *c, int which)
{
    for (uint32_t i = 0; i < c->n_layers; i++)
        if (c->plan[i].rope == which)
            return true;
    return which == QL_ROPE_GLOBAL;
}

// LongRoPE's divisors of config.json go into a packed file under GGUF's names, where ql_rope_factors finds them.
static ql_code keep_factors(ql_binder *b, ql_error *err)
{
    const ql_config *c = b->config;
    uint32_t n = c->n_rot / 2;
    if (b->packed || c->rope[QL_ROPE_GLOBAL].scaling != QL_ROPE_LONGROPE ||
        ql_source_kind_of(b->source) != QL_SOURCE_HF)
        return QL_OK;
    for (int is_long = 0; is_long < 2; is_long++) {
        double factors[QL_HEAD_DIM_MAX / 2];
        float *kept = ql_binder_vector(b, n, is_long ? "rope_factors_long.weight" : "rope_factors_short.weight");
        QL_TRY(ql_rope_factors(b->source, c, is_long, factors, err));
        for (uint32_t i = 0; kept && i < n; i++)
            kept[i] = (float)factors[i];
    }
    return QL_OK;
}

static ql_code bind_rope(ql_binder *b, ql_weights *w, uint32_t max_length, ql_error *err)
{
    const ql_config *c = b->config;
    for (int which = 0; which < QL_ROPES; which++) {
        if (!c->n_rot || !uses_rope(c, which))
            continue;
        w->inv_freq[which] = QL_ARENA_NEW(b->arena, double, c->n_rot / 2);
        if (w->inv_freq[which])
            QL_TRY(ql_rope_frequencies(b->source, c, which, max_length, w->inv_freq[which], &w->rope_attn_factor[which],
                                       err));
    }
    return c->n_rot ? keep_factors(b, err) : QL_OK;
}

// Tensors that belong to no slot are left alone, except those without which the result would be wrong.
static ql_code refuse_features(const ql_binder *b, ql_error *err)
{
    static const struct {
        const char *part, *what;
    } table[] = {{"attn_sinks", "attention sinks"},      {"self_attn.sinks", "attention sinks"},
                 {"_shexp", "shared experts"},           {".shared_expert", "shared experts"},
                 {"exp_probs_b", "expert biases"},       {"e_score_correction_bias", "expert biases"},
                 {".qweight", "GPTQ or AWQ weights"},    {".weight_scale", "scaled F8 weights"},
                 {".weight.absmax", "bitsandbytes weights"}, {".lora_", "unmerged LoRA weights"}};
    for (size_t i = 0; i < ql_source_n_tensors(b->source); i++) {
        const char *name = ql_source_tensor_at(b->source, i)->name;
        for (size_t k = 0; k < sizeof table / sizeof *table; k++)
            if (strstr(name, table[k].part))
                return ql_fail(err, QL_E_UNSUPPORTED, "%s: tensor %s: %s are not supported",
                               ql_source_path(b->source), name, table[k].what);
    }
    return QL_OK;
}

static ql_code bind_all(ql_binder *b, uint32_t max_length, ql_error *err)
{
    ql_weights unused = {0}, *w = b->weights ? b->weights : &unused;
    memset(b->biases, 0, sizeof b->biases);
    b->binding->n_matrices = b->binding->n_vectors = 0;
    w->layers = QL_ARENA_NEW(b->arena, ql_layer, b->config->n_layers);
    QL_TRY(bind_embd(b, w, err));
    if (b->config->learned_positions)
        QL_TRY(bind_positions(b, w, err));
    for (uint32_t i = 0; i < b->config->n_layers; i++) {
        ql_layer scratch = {0};
        QL_TRY(ql_bind_layer(b, i, w->layers ? &w->layers[i] : &scratch, err));
    }
    QL_TRY(bind_output_norm(b, w, err));
    QL_TRY(bind_output(b, w, err));
    return bind_rope(b, w, max_length, err);
}

static ql_binder begin(const ql_source *source, const ql_config *config, ql_arena *measure, ql_binding *binding)
{
    ql_source_kind kind = ql_source_kind_of(source);
    const ql_tensor *embd = ql_source_tensor(source, ql_packed_names.embd);
    bool packed = embd && embd->packed;
    *binding = (ql_binding){0};
    return (ql_binder){.source = source, .config = config, .arena = measure, .binding = binding, .packed = packed,
                       .names = packed ? &ql_packed_names : config->arch->tensors[kind], .prefix = "",
                       .plus_one = !packed && kind == QL_SOURCE_HF && (config->arch->flags & QL_ARCH_NORM_PLUS_ONE)};
}

// Read elsewhere (rope.c), or what a program computes by itself and older files hold: angles and masks.
static bool is_no_weight(const ql_binder *b, const char *name)
{
    static const char *const ends[] = {"rotary_emb.inv_freq", ".attn.bias", ".attn.masked_bias", ".attention.bias",
                                       ".attention.masked_bias"};
    size_t n = strlen(name);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (n >= strlen(ends[i]) && strcmp(name + n - strlen(ends[i]), ends[i]) == 0)
            return true;
    for (int i = 0; i < 3 && b->names->outputs[i]; i++)
        if (b->config->tied_output && strcmp(name, b->names->outputs[i]) == 0)
            return true;
    return strcmp(name, "rope_freqs.weight") == 0 || strncmp(name, "rope_factors_", 13) == 0;
}

ql_code ql_weights_unused(const ql_source *source, const ql_config *config, uint32_t max_length, size_t *n,
                          const char **first, ql_error *err)
{
    ql_arena measure = {0};
    ql_binding binding;
    ql_binder b = begin(source, config, &measure, &binding);
    size_t n_tensors = ql_source_n_tensors(source);
    *n = 0;
    *first = NULL;
    if (!(b.used = calloc(n_tensors + 1, sizeof *b.used)))
        return ql_fail_memory(err, n_tensors + 1);
    ql_code code = bind_all(&b, max_length, err);
    for (size_t i = 0; code == QL_OK && i < n_tensors; i++) {
        const char *name = ql_source_tensor_at(source, i)->name;
        if (!b.used[i] && !is_no_weight(&b, name) && (*n)++ == 0)
            *first = name;
    }
    free(b.used);
    return code;
}

ql_code ql_bind(const ql_source *source, const ql_config *config, uint32_t max_length, ql_weights *weights,
                ql_binding *binding, ql_error *err)
{
    ql_arena measure = {0};
    ql_binder b = begin(source, config, &measure, binding);
    if (!b.packed)
        QL_TRY(refuse_features(&b, err));
    QL_TRY(bind_all(&b, max_length, err));
    ql_code code = ql_arena_init(&weights->arena, measure.used, true, err);
    if (code != QL_OK)
        return code;
    binding->matrices = calloc(binding->n_matrices, sizeof *binding->matrices);
    binding->vectors = calloc(binding->n_vectors, sizeof *binding->vectors);
    b.arena = &weights->arena;
    b.weights = weights;
    if (!binding->matrices || !binding->vectors)
        code = ql_fail_memory(err, binding->n_matrices * sizeof *binding->matrices);
    if (code == QL_OK)
        code = bind_all(&b, max_length, err);
    if (code != QL_OK) {
        ql_binding_free(binding);
        ql_arena_free(&weights->arena);
        *weights = (ql_weights){0};
    }
    return code;
}

void ql_binding_free(ql_binding *binding)
{
    free(binding->matrices);
    free(binding->vectors);
    *binding = (ql_binding){0};
}
