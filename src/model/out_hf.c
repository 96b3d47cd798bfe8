// SPDX-License-Identifier: MIT
// Owns the tensors that a Hugging Face source becomes in a GGUF file. Its decision: names and parts are those that binding
// found, since canonical names are GGUF's; nothing about a checkpoint's own names is known here.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/arch.h"
#include "model/out.h"

typedef struct planner {
    ql_out *out;
    const ql_source *source;
    const ql_config *config;
    const ql_weights *weights;
    const ql_mix *mix;
    ql_fallbacks fallbacks;
    size_t n_rows; // of out->rows, given away
    size_t n_vectors;
    float *own;    // of out->own, the next free one
    bool pairs;    // rows of q and k are reordered
    ql_error *err;
} planner;

static ql_code no_form(const ql_source *source, const char *what, ql_error *err)
{
    return ql_fail(err, QL_E_UNSUPPORTED, "%s: a GGUF file of this architecture has no form for %s",
                   ql_source_path(source), what);
}

static ql_out_tensor *next(planner *p, const char *name)
{
    ql_out_tensor *o = &p->out->tensors[p->out->n++];
    snprintf(o->name, sizeof o->name, "%s", name);
    for (int i = 0; i < 4; i++)
        o->shape[i] = 1;
    return o;
}

// ---- matrices ----

// "blk.3.ffn_gate_exps.7.weight" to "blk.3.ffn_gate_exps.weight"; false for what is no expert's.
static bool of_experts(const char *name, char out[65])
{
    const char *at = strstr(name, "_exps."), *end = at ? strchr(at + 6, '.') : NULL;
    snprintf(out, 65, end ? "%.*s%s" : "%.*s", end ? (int)(at + 5 - name) : 64, name, end ? end : "");
    return end;
}

static ql_code put_matrix(planner *p, const ql_bound *b)
{
    ql_dtype wanted, dtype = ql_mix_dtype(p->mix, p->config, b, p->weights->output.n_rows == 0, &wanted);
    char name[65];
    bool experts = of_experts(b->name, name);
    ql_out_tensor *o = next(p, name);
    ql_fallbacks_note(&p->fallbacks, wanted, dtype, b->matrix->n_cols);
    o->n_dims = experts ? 3 : 2;
    o->shape[0] = b->matrix->n_cols;
    o->shape[1] = o->part_rows = b->matrix->n_rows;
    o->shape[2] = experts ? p->config->n_experts : 1;
    o->n_rows = o->shape[1] * o->shape[2]; // bounded: rows that are in the source
    o->parts = &p->out->rows[p->n_rows];
    p->out->rows[p->n_rows++] = b->rows;
    if (p->pairs && (b->role == QL_ROLE_Q || b->role == QL_ROLE_K))
        o->pairs_of = p->config->head_dim;
    p->out->n_encoded++;
    return ql_out_size(o, dtype, p->err);
}

// The other experts of a tensor that was put for the first one: they stand in the order of their numbers, among others.
static void put_parts(planner *p, const ql_bound *first, const ql_bound *end)
{
    char name[65], other[65];
    of_experts(first->name, name);
    for (const ql_bound *b = first + 1; b < end && b->layer == first->layer; b++)
        if (of_experts(b->name, other) && strcmp(name, other) == 0)
            p->out->rows[p->n_rows++] = b->rows;
}

static bool is_first(const ql_bound *b)
{
    char name[65];
    const char *at = of_experts(b->name, name) ? strstr(b->name, "_exps.") : NULL;
    return !at || strcmp(at, "_exps.0.weight") == 0;
}

static ql_code put_matrices(planner *p, const char *prefix)
{
    const ql_binding *binding = p->weights->binding;
    const ql_bound *end = binding->matrices + binding->n_matrices;
    for (const ql_bound *b = binding->matrices; b < end; b++)
        if (strncmp(b->name, prefix, strlen(prefix)) == 0 && is_first(b)) {
            QL_TRY(put_matrix(p, b));
            put_parts(p, b, end);
        }
    return QL_OK;
}

// ---- vectors ----

static bool ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);
    return n >= m && strcmp(name + n - m, end) == 0;
}

// Heads that share a norm have it once in a file.
static uint64_t own_length(const planner *p, const ql_bound_vector *v)
{
    bool of_heads = ends_with(v->name, "attn_q_norm.weight") || ends_with(v->name, "attn_k_norm.weight");
    return of_heads && p->config->qk_norm == QL_QK_NORM_HEAD ? p->config->head_dim : v->n;
}

// Rows of q and k lie in another order, so their biases do.
static bool is_reordered(const planner *p, const char *name)
{
    return p->pairs && (ends_with(name, ".attn_q.bias") || ends_with(name, ".attn_k.bias"));
}

static float *reordered(planner *p, const ql_bound_vector *v)
{
    uint32_t d = p->config->head_dim;
    float *values = p->own;
    for (uint64_t i = 0; i < v->n; i++)
        values[i] = v->values[i - i % d + i % d % 2 * (d / 2) + i % d / 2];
    p->own += v->n;
    return values;
}

static ql_code put_vector(planner *p, const ql_bound_vector *v)
{
    ql_out_tensor *o = next(p, v->name);
    uint64_t n = own_length(p, v);
    for (uint64_t i = n; i < v->n; i++)
        if (memcmp(&v->values[i], &v->values[i - n], sizeof(float)) != 0)
            return no_form(p->source, "a norm for each head", p->err);
    o->n_dims = 1;
    o->shape[0] = n;
    o->n_rows = 1;
    o->bytes = is_reordered(p, v->name) ? reordered(p, v) : v->values;
    p->n_vectors++;
    return ql_out_size(o, QL_F32, p->err);
}

static ql_code put_vectors(planner *p, const char *prefix)
{
    const ql_binding *binding = p->weights->binding;
    for (size_t i = 0; i < binding->n_vectors; i++)
        if (strncmp(binding->vectors[i].name, prefix, strlen(prefix)) == 0)
            QL_TRY(put_vector(p, &binding->vectors[i]));
    return QL_OK;
}

// What Llama 3's scaling divides frequencies by stands in a tensor.
static ql_code put_factors(planner *p)
{
    const ql_config *c = p->config;
    uint32_t n = c->n_rot / 2;
    if (c->rope[QL_ROPE_GLOBAL].scaling != QL_ROPE_LLAMA3)
        return QL_OK;
    for (uint32_t i = 0; i < n; i++)
        p->own[i] = (float)(pow(c->rope[QL_ROPE_GLOBAL].theta, -2.0 * i / c->n_rot) / p->weights->inv_freq[QL_ROPE_GLOBAL][i]);
    ql_out_tensor *o = next(p, "rope_freqs.weight");
    o->n_dims = 1;
    o->shape[0] = n;
    o->n_rows = 1;
    o->bytes = p->own;
    p->own += n;
    return ql_out_size(o, QL_F32, p->err);
}

// ---- all ----

static ql_code put_all(planner *p)
{
    QL_TRY(put_matrices(p, "token_embd."));
    QL_TRY(put_factors(p));
    for (uint32_t layer = 0; layer < p->config->n_layers; layer++) {
        char prefix[24];
        snprintf(prefix, sizeof prefix, "blk.%u.", layer);
        QL_TRY(put_vectors(p, prefix));
        QL_TRY(put_matrices(p, prefix));
    }
    QL_TRY(put_vectors(p, "output"));
    QL_TRY(put_matrices(p, "output"));
    if (p->n_vectors != p->weights->binding->n_vectors || p->n_rows != p->weights->binding->n_matrices)
        return no_form(p->source, "some of its tensors", p->err);
    return QL_OK;
}

// Floats that are in no arena: reordered biases, and the factors of Llama 3.
static size_t n_own(const planner *p)
{
    size_t n = p->config->n_rot;
    for (size_t i = 0; i < p->weights->binding->n_vectors; i++)
        if (is_reordered(p, p->weights->binding->vectors[i].name))
            n += p->weights->binding->vectors[i].n;
    return n + 1;
}

ql_code ql_out_plan_hf(ql_out *out, const ql_source *source, const ql_config *config, const ql_weights *weights,
                       const ql_mix *mix, const ql_logger *log, ql_error *err)
{
    const ql_arch *arch = config->arch;
    const ql_binding *binding = weights->binding;
    size_t n = binding->n_matrices + binding->n_vectors + 1;
    planner p = {.out = out, .source = source, .config = config, .weights = weights, .mix = mix, .err = err};
    p.pairs = arch->rope_kinds[QL_SOURCE_HF] == QL_ROPE_NEOX && arch->rope_kinds[QL_SOURCE_GGUF] == QL_ROPE_NORM;
    if (!(arch->flags & QL_ARCH_TO_GGUF))
        return ql_fail(err, QL_E_UNSUPPORTED, "%s: models of architecture \"%s\" are not written as GGUF by this version",
                       ql_source_path(source), arch->names[QL_SOURCE_HF]);
    if (arch->qk_norm_key && config->qk_norm != QL_QK_NORM_NONE)
        return no_form(source, "norms of queries and keys", err);
    if (p.pairs && (config->n_rot != config->head_dim || config->qk_norm != QL_QK_NORM_NONE))
        return no_form(source, "the rotation of a part of each head", err);
    *out = (ql_out){.tensors = calloc(n, sizeof *out->tensors), .rows = calloc(n, sizeof *out->rows),
                    .own = malloc(n_own(&p) * sizeof *out->own)};
    if (!out->tensors || !out->rows || !out->own)
        return ql_fail_memory(err, n * (sizeof *out->tensors + sizeof *out->rows));
    p.own = out->own;
    QL_TRY(put_all(&p));
    ql_fallbacks_say(&p.fallbacks, log);
    return QL_OK;
}
