// SPDX-License-Identifier: MIT
// Owns where a layer's tensors are: finds what each target needs, checks shapes, decodes biases and norms. Must not
// know what is computed with them.
#include <stdio.h>
#include <string.h>

#include "model/binder.h"

// A target's tensor.
typedef struct found {
    const ql_tensor *tensor; // NULL: absent
    ql_slot slot;
    char name[160];          // of the tensor, or of the first that could have been
} found;

typedef struct place {
    uint32_t layer, number;  // number: of an expert or a head
    ql_target target;
} place;

// ---- names and sizes ----

const ql_tensor *ql_binder_tensor(const ql_binder *b, const char *name)
{
    const ql_tensor *t = ql_source_tensor(b->source, name);
    if (t && b->used)
        b->used[t - ql_source_tensor_at(b->source, 0)] = true;
    return t;
}

void ql_binder_append(char *out, size_t size, const char *pattern, uint32_t number)
{
    size_t used = strlen(out);
    const char *at = strstr(pattern, "%u");
    if (at)
        snprintf(out + used, size - used, "%.*s%u%s", (int)(at - pattern), pattern, number, at + 2);
    else
        snprintf(out + used, size - used, "%s", pattern);
}

static void canonical_name(char out[64], const place *p)
{
    out[0] = 0;
    ql_binder_append(out, 64, "blk.%u.", p->layer);
    ql_binder_append(out, 64, ql_target_infos[p->target].name, p->number);
}

bool ql_binder_bias_name(char *name)
{
    size_t n = strlen(name);
    if (n < 7 || strcmp(name + n - 7, ".weight") != 0)
        return false;
    strcpy(name + n - 6, "bias");
    return true;
}

static uint32_t dim_size(const ql_config *c, ql_dim dim)
{
    switch (dim) {
    case QL_DIM_EMBD: return c->n_embd;
    case QL_DIM_Q: return c->n_heads * c->head_dim;
    case QL_DIM_KV: return c->n_kv_heads * c->head_dim;
    case QL_DIM_FF: return c->n_ff;
    case QL_DIM_FF_EXPERT: return c->n_ff_expert;
    case QL_DIM_EXPERTS: return c->n_experts;
    case QL_DIM_ONE: break;
    }
    return 1;
}

static uint32_t target_rows(const ql_config *c, ql_target target) { return dim_size(c, ql_target_infos[target].rows); }

static uint32_t slot_rows(const ql_config *c, const ql_slot *slot)
{
    uint32_t rows = 0;
    for (int i = 0; i < slot->n_targets; i++)
        rows += target_rows(c, slot->targets[i]);
    return rows;
}

static bool slot_has(const ql_slot *slot, ql_target target)
{
    for (int i = 0; i < slot->n_targets; i++)
        if (slot->targets[i] == target)
            return true;
    return false;
}

static bool try_slot(const ql_binder *b, const place *p, const ql_slot *slot, found *f)
{
    char name[sizeof f->name] = "";
    ql_binder_append(name, sizeof name, b->prefix, 0);
    ql_binder_append(name, sizeof name, b->names->layer, p->layer);
    ql_binder_append(name, sizeof name, slot->name, p->number);
    const ql_tensor *t = ql_binder_tensor(b, name);
    if (t || !f->name[0]) {
        memcpy(f->name, name, sizeof name);
        f->slot = *slot;
        f->tensor = t;
    }
    return t;
}

static void find(const ql_binder *b, const place *p, found *f)
{
    *f = (found){0};
    if (b->packed) {
        ql_slot whole = {ql_target_infos[p->target].name, QL_PARTS, 1, {(uint8_t)p->target}};
        try_slot(b, p, &whole, f);
        return;
    }
    for (size_t i = 0; i < b->names->n_slots; i++)
        if (slot_has(&b->names->slots[i], p->target) && try_slot(b, p, &b->names->slots[i], f))
            return;
}

// ---- checks ----

ql_code ql_binder_missing(const ql_binder *b, const char *name, ql_error *err)
{
    return ql_fail(err, QL_E_FORMAT, "%s: tensor %s is missing", ql_source_path(b->source), name);
}

ql_code ql_binder_check_shape(const ql_binder *b, const ql_tensor *t, uint64_t cols, uint64_t rows, uint64_t depth,
                              ql_error *err)
{
    if (t->shape[0] == cols && t->shape[1] == rows && t->shape[2] == depth && t->shape[3] == 1)
        return QL_OK;
    char third[2][24] = {"", ""};
    if (t->shape[2] != 1 || depth != 1) {
        snprintf(third[0], sizeof third[0], ",%llu", (unsigned long long)t->shape[2]);
        snprintf(third[1], sizeof third[1], ",%llu", (unsigned long long)depth);
    }
    return ql_fail(err, QL_E_FORMAT, "%s: tensor %s: shape [%llu,%llu%s], expected [%llu,%llu%s]",
                   ql_source_path(b->source), t->name, (unsigned long long)t->shape[0],
                   (unsigned long long)t->shape[1], third[0], (unsigned long long)cols, (unsigned long long)rows,
                   third[1]);
}

ql_code ql_binder_check_plain(const ql_binder *b, const ql_tensor *t, ql_error *err)
{
    if (ql_dtype_get(t->dtype)->block == 1 && !t->packed)
        return QL_OK;
    return ql_fail(err, QL_E_UNSUPPORTED, "%s: tensor %s: type %s, expected F32, F16, BF16 or F8",
                   ql_source_path(b->source), t->name, ql_dtype_get(t->dtype)->name);
}

// ---- what is put into the arena ----

float *ql_binder_vector(ql_binder *b, size_t n, const char *name)
{
    float *values = QL_ARENA_NEW(b->arena, float, (n + QL_PANEL_ROWS - 1) / QL_PANEL_ROWS * QL_PANEL_ROWS);
    size_t i = b->binding->n_vectors++;
    if (b->binding->vectors) {
        b->binding->vectors[i] = (ql_bound_vector){.values = values, .n = n};
        snprintf(b->binding->vectors[i].name, sizeof b->binding->vectors[i].name, "%s", name);
    }
    return values;
}

void ql_binder_matrix(ql_binder *b, const ql_bound *bound)
{
    size_t i = b->binding->n_matrices++;
    if (b->binding->matrices)
        b->binding->matrices[i] = *bound;
}

static uint64_t row_of(const ql_rows *rows, uint64_t r)
{
    return rows->first + r / rows->inner * rows->stride + r % rows->inner; // bounded: the shape was checked
}

// Where a target's rows are in its slot's tensor.
static ql_rows rows_in_slot(const ql_config *c, const found *f, ql_target target)
{
    uint32_t n = target_rows(c, target), group = c->n_heads / c->n_kv_heads, d = c->head_dim;
    ql_rows rows = {.tensor = f->tensor, .inner = n, .stride = n, .transposed = f->slot.layout == QL_COLUMNS};
    if (f->slot.layout == QL_GROUPS) {
        rows.stride = (group + 2) * d;
        rows.inner = target == QL_TO_Q ? group * d : d;
        rows.first = target == QL_TO_Q ? 0 : target == QL_TO_K ? group * d : (group + 1) * d;
        return rows;
    }
    for (int i = 0; f->slot.targets[i] != target; i++)
        rows.first += target_rows(c, f->slot.targets[i]);
    return rows;
}

// ---- biases ----

static bool needs_bias(const ql_arch *a, ql_target target)
{
    switch (target) {
    case QL_TO_Q:
    case QL_TO_K:
    case QL_TO_V: return a->flags & (QL_ARCH_BIAS_QKV | QL_ARCH_BIAS_LINEAR);
    case QL_TO_O:
    case QL_TO_UP:
    case QL_TO_DOWN: return a->flags & QL_ARCH_BIAS_LINEAR;
    case QL_TO_ATTN_NORM:
    case QL_TO_FFN_NORM: return a->flags & QL_ARCH_BIAS_NORM;
    default: return false;
    }
}

// The tensor of a target's bias, NULL: none. Layers are alike in this; a bias that some have and some lack is lost.
static ql_code find_bias(ql_binder *b, const found *f, ql_target target, const ql_tensor **bias, ql_error *err)
{
    char name[sizeof f->name];
    memcpy(name, f->name, sizeof name);
    *bias = NULL;
    if (!ql_binder_bias_name(name))
        return QL_OK;
    *bias = ql_binder_tensor(b, name);
    signed char has = *bias ? 1 : -1, *seen = &b->biases[target];
    if (!*bias && (needs_bias(b->config->arch, target) || *seen > 0))
        return ql_binder_missing(b, name, err);
    if (*seen < 0 && *bias)
        return ql_fail(err, QL_E_FORMAT, "%s: tensor %s: the layers before have none", ql_source_path(b->source), name);
    *seen = has;
    return QL_OK;
}

static ql_code bind_bias(ql_binder *b, const found *f, const place *p, const ql_rows *rows, ql_matrix *m, ql_error *err)
{
    const ql_tensor *t;
    char name[64];
    QL_TRY(find_bias(b, f, p->target, &t, err));
    if (!t)
        return QL_OK;
    QL_TRY(ql_binder_check_shape(b, t, slot_rows(b->config, &f->slot), 1, 1, err));
    QL_TRY(ql_binder_check_plain(b, t, err));
    canonical_name(name, p);
    ql_binder_bias_name(name);
    m->bias = ql_binder_vector(b, m->n_rows, name);
    const ql_dtype_info *info = ql_dtype_get(t->dtype);
    for (uint32_t r = 0; m->bias && r < m->n_rows; r++)
        info->decode(t->data + row_of(rows, r) * info->block_bytes, &m->bias[r], 1);
    return QL_OK;
}

// ---- matrices ----

static ql_code bind_matrix(ql_binder *b, const place *p, ql_matrix *m, ql_error *err)
{
    const ql_target_info *info = &ql_target_infos[p->target];
    const ql_config *c = b->config;
    found f;
    find(b, p, &f);
    if (!f.tensor)
        return ql_binder_missing(b, f.name, err);
    ql_rows rows = rows_in_slot(c, &f, p->target);
    uint64_t cols = dim_size(c, info->cols), n = slot_rows(c, &f.slot);
    // All experts of a layer in one tensor.
    bool stacked = info->expert && !strstr(f.slot.name, "%u");
    QL_TRY(ql_binder_check_shape(b, f.tensor, rows.transposed ? n : cols, rows.transposed ? cols : n,
                                 stacked ? c->n_experts : 1, err));
    if (rows.transposed)
        QL_TRY(ql_binder_check_plain(b, f.tensor, err));
    if (stacked)
        rows.first += p->number * n;
    *m = (ql_matrix){.n_rows = target_rows(c, p->target), .n_cols = (uint32_t)cols};
    QL_TRY(bind_bias(b, &f, p, &rows, m, err));
    ql_bound bound = {.matrix = m, .rows = rows, .role = info->role, .layer = p->layer};
    canonical_name(bound.name, p);
    ql_binder_matrix(b, &bound);
    return QL_OK;
}

// ---- norms ----

// [n] values of a norm, repeated to fill out [n_out].
static void decode_repeated(const ql_tensor *t, uint64_t n, uint64_t n_out, float *out)
{
    ql_dtype_get(t->dtype)->decode(t->data, out, n);
    for (uint64_t i = n; i < n_out; i++)
        out[i] = out[i - n];
}

void ql_binder_add_one(float *values, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        values[i] += 1;
}

// Values of a norm over n_out, which heads may share.
static ql_code bind_values(ql_binder *b, const place *p, const ql_tensor *t, const char *name, float **out,
                           ql_error *err)
{
    const ql_config *c = b->config;
    uint64_t n_out = dim_size(c, ql_target_infos[p->target].cols);
    bool of_heads = p->target == QL_TO_Q_NORM || p->target == QL_TO_K_NORM;
    bool flat = t->shape[2] == 1 && t->shape[3] == 1;
    bool each = of_heads && flat && t->shape[0] * t->shape[1] == n_out; // bounded: the product was checked
    bool shared = of_heads && !each && c->qk_norm == QL_QK_NORM_HEAD;
    uint64_t n = shared ? c->head_dim : n_out;
    if (!each)
        QL_TRY(ql_binder_check_shape(b, t, n, 1, 1, err));
    QL_TRY(ql_binder_check_plain(b, t, err));
    *out = ql_binder_vector(b, n_out, name);
    if (*out)
        decode_repeated(t, n, n_out, *out);
    return QL_OK;
}

// A norm kept head by head, as tensors of [head_dim].
static ql_code bind_heads(ql_binder *b, place p, const char *name, float **out, ql_error *err)
{
    uint32_t d = b->config->head_dim, n = dim_size(b->config, ql_target_infos[p.target].cols) / d;
    *out = ql_binder_vector(b, (size_t)n * d, name);
    for (p.number = 0; p.number < n; p.number++) {
        found f;
        find(b, &p, &f);
        if (!f.tensor)
            return ql_binder_missing(b, f.name, err);
        QL_TRY(ql_binder_check_shape(b, f.tensor, d, 1, 1, err));
        QL_TRY(ql_binder_check_plain(b, f.tensor, err));
        if (*out)
            ql_dtype_get(f.tensor->dtype)->decode(f.tensor->data, *out + (size_t)p.number * d, d);
    }
    return QL_OK;
}

static ql_code bind_norm(ql_binder *b, const place *p, bool required, ql_norm *norm, ql_error *err)
{
    found f;
    const ql_tensor *bias;
    char name[64];
    canonical_name(name, p);
    find(b, p, &f);
    if (p->target == QL_TO_ATTN_NORM)
        b->attn_norm = f.tensor;
    if (!f.tensor)
        return required ? ql_binder_missing(b, f.name, err) : QL_OK;
    if (p->target == QL_TO_FFN_NORM && f.tensor == b->attn_norm)
        return QL_OK; // one norm for both
    if (strstr(f.slot.name, "%u"))
        return bind_heads(b, *p, name, &norm->weight, err);
    QL_TRY(bind_values(b, p, f.tensor, name, &norm->weight, err));
    if (b->plus_one && norm->weight)
        ql_binder_add_one(norm->weight, dim_size(b->config, ql_target_infos[p->target].cols));
    QL_TRY(find_bias(b, &f, p->target, &bias, err));
    ql_binder_bias_name(name);
    return bias ? bind_values(b, p, bias, name, &norm->bias, err) : QL_OK;
}

// ---- layers ----

typedef enum need { NEED_NOT, NEED_MAY, NEED_MUST } need;

static need needed(const ql_config *c, uint32_t layer, ql_target target)
{
    uint32_t flags = c->arch->flags;
    bool experts = c->plan[layer].experts;
    switch (target) {
    case QL_TO_ATTN_NORM: return flags & QL_ARCH_NO_PRE_NORMS ? NEED_NOT : NEED_MUST;
    case QL_TO_FFN_NORM:
        if (flags & QL_ARCH_NO_PRE_NORMS)
            return NEED_NOT;
        return c->parallel_residual && !(flags & QL_ARCH_TWO_NORMS) ? NEED_MAY : NEED_MUST;
    case QL_TO_Q_NORM:
    case QL_TO_K_NORM: return c->qk_norm != QL_QK_NORM_NONE ? NEED_MUST : NEED_NOT;
    case QL_TO_ATTN_POST_NORM:
    case QL_TO_FFN_POST_NORM: return flags & QL_ARCH_POST_NORMS ? NEED_MUST : NEED_NOT;
    case QL_TO_ROUTER:
    case QL_TO_EXPERT_UP:
    case QL_TO_EXPERT_DOWN: return experts ? NEED_MUST : NEED_NOT;
    case QL_TO_EXPERT_GATE: return experts && c->gated ? NEED_MUST : NEED_NOT;
    case QL_TO_GATE: return !experts && c->gated ? NEED_MUST : NEED_NOT;
    case QL_TO_UP:
    case QL_TO_DOWN: return !experts ? NEED_MUST : NEED_NOT;
    default: return NEED_MUST;
    }
}

static ql_code bind_experts(ql_binder *b, uint32_t layer, ql_expert *experts, ql_error *err)
{
    ql_expert unused = {0};
    for (uint32_t e = 0; e < b->config->n_experts; e++)
        for (int t = QL_TO_EXPERT_GATE; t <= QL_TO_EXPERT_DOWN; t++) {
            const place p = {layer, e, (ql_target)t};
            char *base = (char *)(experts ? &experts[e] : &unused);
            if (needed(b->config, layer, p.target))
                QL_TRY(bind_matrix(b, &p, (ql_matrix *)(void *)(base + ql_target_infos[t].offset), err));
        }
    return QL_OK;
}

// A norm that the architecture does not have would be left out of the computation.
static ql_code refuse_norm(const ql_binder *b, const place *p, ql_error *err)
{
    found f;
    find(b, p, &f);
    if (ql_target_infos[p->target].matrix || !f.tensor)
        return QL_OK;
    return ql_fail(err, QL_E_UNSUPPORTED, "%s: tensor %s has no place in this architecture", ql_source_path(b->source),
                   f.name);
}

ql_code ql_bind_layer(ql_binder *b, uint32_t layer, ql_layer *l, ql_error *err)
{
    if (b->config->plan[layer].experts)
        l->experts = QL_ARENA_NEW(b->arena, ql_expert, b->config->n_experts);
    for (int t = 0; t < QL_TARGETS; t++) {
        const place p = {layer, 0, (ql_target)t};
        const ql_target_info *info = &ql_target_infos[t];
        need how = needed(b->config, layer, p.target);
        void *at = (char *)l + info->offset;
        if (how == NEED_NOT)
            QL_TRY(refuse_norm(b, &p, err));
        else if (!info->matrix)
            QL_TRY(bind_norm(b, &p, how == NEED_MUST, at, err));
        else if (!info->expert)
            QL_TRY(bind_matrix(b, &p, at, err));
        if (t == QL_TO_ROUTER && how != NEED_NOT)
            QL_TRY(bind_experts(b, layer, l->experts, err));
    }
    return QL_OK;
}
