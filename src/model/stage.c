// SPDX-License-Identifier: MIT
// Owns what the stages of a forward pass have in common: claiming work, the forms of their inputs, matrix products over
// panels, and the residual stream. Must not know what a layer is.
//
// The one decision: with few rows (decoding) each thread normalizes and quantizes the input of a stage for itself, which
// costs less than the barrier it saves.
#include <string.h>

#include "model/forward.h"

// ---- work ----

bool ql_stage_claim(worker *w, size_t total, size_t chunk, size_t *begin, size_t *end)
{
    size_t at = atomic_fetch_add_explicit(&w->f->counters[w->stage], chunk, memory_order_relaxed);
    if (at >= total)
        return false;
    *begin = at;
    *end = at + chunk < total ? at + chunk : total;
    return true;
}

void ql_stage_next(worker *w)
{
    ql_pool_barrier(w->f->pool, w->index);
    w->stage++;
}

size_t ql_stage_chunk(const ql_forward *f, size_t total)
{
    size_t chunk = total / ((size_t)f->n_workers * 8);
    size_t unit = f->n_rows > QL_MANY_ROWS ? 2 : 1; // kernels may take two panels at a time
    return chunk ? (chunk + unit - 1) / unit * unit : unit;
}

// ---- inputs ----

void ql_stage_norm(const ql_forward *f, const ql_norm *norm, size_t first, const float *x, size_t n, float *y)
{
    float eps = f->config->norm_eps;
    if (f->config->norm == QL_NORM_LAYER)
        f->kernels->layer_norm(x, norm->weight + first, norm->bias ? norm->bias + first : NULL, eps, n, y);
    else
        f->kernels->rms_norm(x, norm->weight + first, eps, n, y);
}

void ql_stage_write(worker *w, const float *x, size_t n_cols, const ql_norm *norm, unsigned kinds, size_t row,
                    void *const acts[QL_ACT_COUNT])
{
    if (norm && norm->weight) {
        ql_stage_norm(w->f, norm, 0, x, n_cols, w->normed);
        x = w->normed;
    }
    for (int a = 0; a < QL_ACT_COUNT; a++)
        if (kinds & 1u << a)
            w->f->kernels->act_write[a](x, n_cols, row, acts[a]);
}

input ql_stage_input(worker *w, const float *rows, size_t ld, size_t n_cols, const ql_norm *norm, unsigned kinds,
                     size_t n_rows)
{
    bool few = n_rows <= QL_FEW_ROWS;
    void *const *acts = few ? w->acts : w->f->acts;
    size_t begin, end;
    if (few) {
        for (size_t row = 0; row < n_rows; row++)
            ql_stage_write(w, rows + row * ld, n_cols, norm, kinds, row, acts);
    } else {
        while (ql_stage_claim(w, n_rows, QL_QUAD_ROWS, &begin, &end))
            for (size_t row = begin; row < end; row++)
                ql_stage_write(w, rows + row * ld, n_cols, norm, kinds, row, acts);
        ql_stage_next(w);
    }
    input in;
    memcpy(in.acts, acts, sizeof in.acts);
    return in;
}

input ql_stage_input_at(const ql_forward *f, size_t n_cols, size_t first)
{
    input in = {{0}};
    for (int a = 0; a < QL_ACT_COUNT; a++)
        if (f->acts[a])
            in.acts[a] = (const char *)f->acts[a] + first / QL_QUAD_ROWS * ql_act_quad_bytes((ql_act)a, n_cols);
    return in;
}

// ---- matrix products ----

void ql_stage_matmul(worker *w, const ql_matrix *m, const input *in, size_t n, float *y, size_t ld, size_t p0, size_t p1)
{
    const ql_kernels *kernels = w->f->kernels;
    kernels->matmul[m->dtype](m->panels, m->n_cols, in->acts[kernels->act[m->dtype]], n, y, ld, p0, p1);
    if (m->bias)
        for (size_t t = 0; t < n; t++)
            kernels->add(y + t * ld + p0 * QL_PANEL_ROWS, m->bias + p0 * QL_PANEL_ROWS, (p1 - p0) * QL_PANEL_ROWS);
}

void ql_scale(float *x, float factor, size_t n)
{
    if (factor != 1)
        for (size_t i = 0; i < n; i++)
            x[i] *= factor;
}

// ---- the residual stream ----

void ql_stage_add_residual(const ql_forward *f, const ql_norm *post, size_t row, float *y)
{
    size_t n = f->config->n_embd;
    if (post->weight)
        ql_stage_norm(f, post, 0, y, n, y);
    ql_scale(y, f->config->residual_scale, n);
    f->kernels->add(f->x + row * f->ld_embd, y, n);
}

void ql_stage_project_residual(worker *w, const ql_matrix *m, const float *rows, size_t ld, const ql_norm *post)
{
    ql_forward *f = w->f;
    input in = ql_stage_input(w, rows, ld, m->n_cols, NULL, ql_kind_of(f, m), f->n_rows);
    size_t total = ql_n_panels(m), begin, end;
    while (ql_stage_claim(w, total, ql_stage_chunk(f, total), &begin, &end)) {
        ql_stage_matmul(w, m, &in, f->n_rows, f->y, f->ld_embd, begin, end);
        size_t at = begin * QL_PANEL_ROWS, n = (end - begin) * QL_PANEL_ROWS;
        for (size_t row = 0; !post->weight && row < f->n_rows; row++) {
            ql_scale(f->y + row * f->ld_embd + at, f->config->residual_scale, n);
            f->kernels->add(f->x + row * f->ld_embd + at, f->y + row * f->ld_embd + at, n);
        }
    }
    ql_stage_next(w);
    if (!post->weight)
        return;
    while (ql_stage_claim(w, f->n_rows, 1, &begin, &end))
        ql_stage_add_residual(f, post, begin, f->y + begin * f->ld_embd);
    ql_stage_next(w);
}
