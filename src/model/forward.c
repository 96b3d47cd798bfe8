// SPDX-License-Identifier: MIT
// The forward pass of a decoder-only transformer over a batch of rows. Reads like the paper; knows no files, no text.
//
// One job runs the whole pass on all threads: stages with a barrier after each, and inside a stage work items that
// threads claim from a counter. Every item is computed by one thread in a fixed order, so who takes it does not matter.
// What architectures do differently is a flag or number of ql_config, or a norm that a layer has or has not.
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/fpmode.h"
#include "model/forward.h"

// cos and sin of a row's position, in double, rounded once.
static void rotation(const ql_forward *f, size_t row, int which)
{
    const ql_config *c = f->config;
    float *out = f->cos_sin[which] + row * c->n_rot;
    for (size_t i = 0; i < c->n_rot / 2; i++) {
        double angle = f->rows[row].pos * f->weights->inv_freq[which][i], scale = f->weights->rope_attn_factor[which];
        out[2 * i] = (float)(cos(angle) * scale);
        out[2 * i + 1] = (float)(sin(angle) * scale);
    }
}

// Token embeddings, and what each row's position brings in.
static void embed(worker *w)
{
    ql_forward *f = w->f;
    const ql_config *c = f->config;
    const ql_matrix *m = &f->weights->embd;
    size_t begin, end;
    while (ql_stage_claim(w, f->n_rows, 4, &begin, &end))
        for (size_t row = begin; row < end; row++) {
            float *x = f->x + row * f->ld_embd;
            ql_panel_row(m->dtype, m->panels, m->n_cols, (size_t)f->rows[row].token, x);
            ql_scale(x, c->embd_scale, c->n_embd);
            if (c->learned_positions)
                f->kernels->add(x, f->weights->pos_embd + (size_t)f->rows[row].pos * c->n_embd, c->n_embd);
            for (int which = 0; which < QL_ROPES; which++)
                if (f->cos_sin[which])
                    rotation(f, row, which);
        }
    ql_stage_next(w);
}

// x + attention(norm(x)), then x + ffn(norm(x)); or x + attention(norm(x)) + ffn(norm(x)) of the same x.
static void layer(worker *w, uint32_t i)
{
    ql_forward *f = w->f;
    const ql_layer *l = &f->weights->layers[i];
    ql_attention(w, i);
    if (f->config->parallel_residual)
        ql_ffn_in(w, i);
    ql_stage_project_residual(w, &l->o, f->attn, f->ld_q, &l->attn_post_norm);
    if (!f->config->parallel_residual)
        ql_ffn_in(w, i);
    ql_ffn_out(w, i);
}

// Logits of the rows that want them. Their inputs are gathered first, so that they stand side by side.
static void head(worker *w)
{
    ql_forward *f = w->f;
    const ql_config *c = f->config;
    const ql_matrix *m = &f->weights->output;
    if (f->n_logits == 0)
        return;
    if (w->index == 0)
        for (size_t row = 0, n = 0; row < f->n_rows; row++)
            if (f->rows[row].want_logits)
                memcpy(f->y + n++ * f->ld_embd, f->x + row * f->ld_embd, c->n_embd * sizeof(float));
    ql_stage_next(w);
    input in = ql_stage_input(w, f->y, f->ld_embd, c->n_embd, &f->weights->output_norm, ql_kind_of(f, m), f->n_logits);
    size_t total = ql_n_panels(m), begin, end;
    while (ql_stage_claim(w, total, ql_stage_chunk(f, total), &begin, &end)) {
        ql_stage_matmul(w, m, &in, f->n_logits, f->logits, f->ld_logits, begin, end);
        for (size_t row = 0; row < f->n_logits; row++) {
            float *logits = f->logits + row * f->ld_logits + begin * QL_PANEL_ROWS;
            ql_scale(logits, c->logit_scale, (end - begin) * QL_PANEL_ROWS);
            if (c->logit_softcap != 0)
                f->kernels->softcap(logits, c->logit_softcap, (end - begin) * QL_PANEL_ROWS);
        }
    }
}

static void forward_job(void *arg, int index)
{
    ql_forward *f = arg;
    worker *w = &f->workers[index];
    w->stage = 0;
    ql_fpmode mode = ql_fpmode_enter();
    embed(w);
    for (uint32_t i = 0; i < f->config->n_layers; i++)
        layer(w, i);
    head(w);
    ql_fpmode_leave(mode);
}

float *ql_forward_run(ql_forward *f, const ql_row *rows, size_t n)
{
    f->rows = rows;
    f->n_rows = n;
    f->n_logits = 0;
    for (size_t i = 0; i < n; i++)
        f->n_logits += rows[i].want_logits;
    bool paced = n <= QL_PACED_ROWS && f->pace.size > 1;
    f->n_workers = paced ? f->pace.n : f->pace.size;
    ql_attention_plan(f);
    for (size_t i = 0; i < f->n_counters; i++)
        atomic_store_explicit(&f->counters[i], 0, memory_order_relaxed);
    double start = paced ? ql_clock() : 0;
    ql_pool_run(f->pool, f->n_workers, forward_job, f);
    if (paced)
        ql_pace_ran(&f->pace, n, ql_clock() - start, ql_pool_stalled(f->pool));
    return f->logits;
}

size_t ql_forward_logits_stride(const ql_forward *f) { return f->ld_logits; }
