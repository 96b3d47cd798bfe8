// SPDX-License-Identifier: MIT
// Owns the feed-forward network of a layer: f(gate(x)) * up(x) (Shazeer 2020) or f(up(x)), then down; dense, or a mixture
// of experts of which a router chooses a few for each row (Shazeer et al. 2017; Jiang et al. 2024). Must not know
// attention.
//
// The one decision: a mixture is computed expert by expert over all rows that chose it, so that its weights are read
// once a batch; a row adds its experts' outputs in the order of their numbers, whoever else chose them.
#include <string.h>

#include "model/forward.h"

// Columns of 16 begin..end of n rows: gate in y, up in f->up; f(y) * up to y.
static void activate(const ql_forward *f, float *y, const float *up, size_t ld, size_t n, size_t begin, size_t end)
{
    size_t at = begin * QL_PANEL_ROWS, width = (end - begin) * QL_PANEL_ROWS;
    for (size_t row = 0; row < n; row++) {
        float *out = y + row * ld + at;
        f->kernels->activate[f->config->activation](out, up ? up + row * ld + at : NULL, width, out);
    }
}

// What normalizes the input: a parallel layer may share attention's.
static const ql_norm *norm_of(const ql_layer *l) { return l->ffn_norm.weight ? &l->ffn_norm : &l->attn_norm; }

// ---- dense ----

static void dense_in(worker *w, const ql_layer *l)
{
    ql_forward *f = w->f;
    bool gated = f->config->gated;
    const ql_matrix *first = gated ? &l->gate : &l->up;
    input in = ql_stage_input(w, f->x, f->ld_embd, f->config->n_embd, norm_of(l), ql_kind_of(f, first) | ql_kind_of(f, &l->up),
                              f->n_rows);
    size_t total = ql_n_panels(first), begin, end;
    while (ql_stage_claim(w, total, ql_stage_chunk(f, total), &begin, &end)) {
        ql_stage_matmul(w, first, &in, f->n_rows, f->ff, f->ld_ff, begin, end);
        if (gated)
            ql_stage_matmul(w, &l->up, &in, f->n_rows, f->up, f->ld_ff, begin, end);
        activate(f, f->ff, gated ? f->up : NULL, f->ld_ff, f->n_rows, begin, end);
    }
    ql_stage_next(w);
}

// ---- a mixture: who chooses what ----

static void route(worker *w, const ql_layer *l)
{
    ql_forward *f = w->f;
    input in = ql_stage_input(w, f->x, f->ld_embd, f->config->n_embd, norm_of(l), ql_kind_of(f, &l->router), f->n_rows);
    size_t total = ql_n_panels(&l->router), begin, end;
    while (ql_stage_claim(w, total, 1, &begin, &end))
        ql_stage_matmul(w, &l->router, &in, f->n_rows, f->routes.logits, f->routes.ld, begin, end);
    ql_stage_next(w);
}

// The best experts of a row, of equal ones the first, ascending; their weights are a softmax over all experts, or over
// the chosen ones.
static void choose(const ql_forward *f, float *logits, uint32_t *experts, float *weights)
{
    uint32_t n = f->config->n_experts, k = f->config->n_experts_used;
    float most = logits[0], all = 0, chosen = 0;
    for (uint32_t e = 1; e < n; e++)
        most = logits[e] > most ? logits[e] : most;
    for (uint32_t e = 0; e < n; e++)
        logits[e] -= most;
    f->kernels->exp(logits, n, logits);
    for (uint32_t e = 0; e < n; e++)
        all += logits[e];
    for (uint32_t i = 0; i < k; i++) {
        uint32_t best = 0;
        for (uint32_t e = 1; e < n; e++)
            if (logits[e] > logits[best])
                best = e;
        uint32_t at = i; // sorted in
        for (; at > 0 && experts[at - 1] > best; at--) {
            experts[at] = experts[at - 1];
            weights[at] = weights[at - 1];
        }
        experts[at] = best;
        weights[at] = logits[best];
        chosen += logits[best];
        logits[best] = -1;
    }
    for (uint32_t i = 0; i < k; i++)
        weights[i] /= f->config->norm_expert_weights ? chosen : all;
}

// Pairs expert by expert, each beginning a quad. By one thread.
static void list_runs(ql_forward *f)
{
    routes *r = &f->routes;
    size_t k = f->config->n_experts_used, n = f->n_rows * k;
    r->n_runs = r->n_pairs = 0;
    memset(r->first, 0, f->config->n_experts * sizeof *r->first);
    for (size_t i = 0; i < n; i++)
        r->first[r->experts[i]]++; // counts at first
    for (uint32_t e = 0; e < f->config->n_experts; e++) {
        uint32_t n_rows = r->first[e], first = (uint32_t)r->n_pairs;
        r->first[e] = first;
        if (!n_rows)
            continue;
        r->runs[r->n_runs++] = (run){e, first, n_rows};
        for (r->n_pairs += n_rows; r->n_pairs % QL_QUAD_ROWS; r->n_pairs++)
            r->row_of[r->n_pairs] = UINT32_MAX;
    }
    for (size_t i = 0; i < n; i++) {
        r->pair_of[i] = r->first[r->experts[i]]++;
        r->row_of[r->pair_of[i]] = (uint32_t)(i / k);
    }
}

static void choose_experts(worker *w)
{
    ql_forward *f = w->f;
    routes *r = &f->routes;
    size_t k = f->config->n_experts_used, begin, end;
    while (ql_stage_claim(w, f->n_rows, 4, &begin, &end))
        for (size_t row = begin; row < end; row++)
            choose(f, r->logits + row * r->ld, r->experts + row * k, r->weights + row * k);
    ql_stage_next(w);
    if (w->index == 0)
        list_runs(f);
    ql_stage_next(w);
}

// ---- a mixture: the experts ----

// The shared input of all pairs: rows of the residual stream (with its norm), or the pairs' inner values.
static void write_pairs(worker *w, const float *rows, size_t ld, bool of_pairs, size_t n_cols, const ql_norm *norm,
                        unsigned kinds)
{
    ql_forward *f = w->f;
    size_t begin, end;
    while (ql_stage_claim(w, f->routes.n_pairs, QL_QUAD_ROWS, &begin, &end))
        for (size_t pair = begin; pair < end; pair++)
            if (f->routes.row_of[pair] != UINT32_MAX)
                ql_stage_write(w, rows + (of_pairs ? pair : f->routes.row_of[pair]) * ld, n_cols, norm, kinds, pair,
                               f->acts);
    ql_stage_next(w);
}

// Of items begin..end of n_panels a run: one run's, which it steps over.
static const run *next_run(const routes *r, size_t n_panels, size_t *begin, size_t end, size_t *p0, size_t *p1)
{
    const run *at = &r->runs[*begin / n_panels];
    *p0 = *begin % n_panels;
    *p1 = n_panels - *p0 < end - *begin ? n_panels : *p0 + (end - *begin);
    *begin += *p1 - *p0;
    return at;
}

static void experts_in(worker *w, const ql_layer *l, unsigned kinds)
{
    ql_forward *f = w->f;
    routes *r = &f->routes;
    bool gated = f->config->gated;
    route(w, l);
    choose_experts(w);
    write_pairs(w, f->x, f->ld_embd, false, f->config->n_embd, norm_of(l), kinds);
    size_t n_panels = ql_n_panels(&l->experts[0].up), total = r->n_runs * n_panels, begin, end, p0, p1;
    while (ql_stage_claim(w, total, ql_stage_chunk(f, total), &begin, &end))
        while (begin < end) {
            const run *at = next_run(r, n_panels, &begin, end, &p0, &p1);
            const ql_expert *e = &l->experts[at->expert];
            input in = ql_stage_input_at(f, f->config->n_embd, at->first);
            float *y = f->ff + at->first * f->ld_ff_expert, *up = f->up + at->first * f->ld_ff_expert;
            ql_stage_matmul(w, gated ? &e->gate : &e->up, &in, at->n, y, f->ld_ff_expert, p0, p1);
            if (gated)
                ql_stage_matmul(w, &e->up, &in, at->n, up, f->ld_ff_expert, p0, p1);
            activate(f, y, gated ? up : NULL, f->ld_ff_expert, at->n, p0, p1);
        }
    ql_stage_next(w);
}

// Row += the weighted outputs of its experts.
static void combine(worker *w, const ql_layer *l)
{
    ql_forward *f = w->f;
    routes *r = &f->routes;
    size_t k = f->config->n_experts_used, begin, end;
    while (ql_stage_claim(w, f->n_rows, 1, &begin, &end)) {
        float *y = f->y + begin * f->ld_embd;
        for (size_t i = begin * k; i < (begin + 1) * k; i++) {
            const float *out = r->out + r->pair_of[i] * f->ld_embd;
            for (size_t j = 0; j < f->config->n_embd; j++)
                y[j] = i == begin * k ? r->weights[i] * out[j] : y[j] + r->weights[i] * out[j];
        }
        ql_stage_add_residual(f, &l->ffn_post_norm, begin, y);
    }
    ql_stage_next(w);
}

static void experts_out(worker *w, const ql_layer *l, unsigned kinds)
{
    ql_forward *f = w->f;
    routes *r = &f->routes;
    write_pairs(w, f->ff, f->ld_ff_expert, true, f->config->n_ff_expert, NULL, kinds);
    size_t n_panels = ql_n_panels(&l->experts[0].down), total = r->n_runs * n_panels, begin, end, p0, p1;
    while (ql_stage_claim(w, total, ql_stage_chunk(f, total), &begin, &end))
        while (begin < end) {
            const run *at = next_run(r, n_panels, &begin, end, &p0, &p1);
            input in = ql_stage_input_at(f, f->config->n_ff_expert, at->first);
            ql_stage_matmul(w, &l->experts[at->expert].down, &in, at->n, r->out + at->first * f->ld_embd, f->ld_embd, p0,
                            p1);
        }
    ql_stage_next(w);
    combine(w, l);
}

// ---- both ----

void ql_ffn_in(worker *w, uint32_t layer)
{
    const ql_layer *l = &w->f->weights->layers[layer];
    if (w->f->config->plan[layer].experts)
        experts_in(w, l, w->f->routes.kinds_in[layer]);
    else
        dense_in(w, l);
}

void ql_ffn_out(worker *w, uint32_t layer)
{
    const ql_layer *l = &w->f->weights->layers[layer];
    if (w->f->config->plan[layer].experts)
        experts_out(w, l, w->f->routes.kinds_out[layer]);
    else
        ql_stage_project_residual(w, &l->down, w->f->ff, w->f->ld_ff, &l->ffn_post_norm);
}
