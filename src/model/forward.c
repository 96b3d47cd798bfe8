// SPDX-License-Identifier: MIT
// The forward pass of a decoder-only transformer over a batch of rows. Reads like the paper; knows no files, no text.
//
// One job runs the whole pass on all threads: stages with a barrier after each, and inside a stage work items that
// threads claim from a counter. Every item is computed by one thread in a fixed order, so who takes it does not matter.
// The one decision: with few rows (decoding) each thread normalizes and quantizes the input of a stage for itself, which
// costs less than the barrier it saves.
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/fpmode.h"
#include "model/forward.h"

// ---- work ----

// Claims up to chunk items of a stage; false when none are left.
static bool claim(worker *w, size_t total, size_t chunk, size_t *begin, size_t *end)
{
    size_t at = atomic_fetch_add_explicit(&w->f->counters[w->stage], chunk, memory_order_relaxed);
    if (at >= total)
        return false;
    *begin = at;
    *end = at + chunk < total ? at + chunk : total;
    return true;
}

static void next_stage(worker *w)
{
    ql_pool_barrier(w->f->pool);
    w->stage++;
}

// Panels of one claim: small enough to share out evenly and to absorb a thread that lost its core for a while.
static size_t panel_chunk(const ql_forward *f, size_t total)
{
    size_t chunk = total / ((size_t)ql_pool_size(f->pool) * 8);
    return chunk ? chunk : 1;
}

// ---- activations ----

// The input of a stage in every form its matrices need: by this thread for itself with few rows, else shared.
// Int8 alone is too coarse: it moves the gap between the two best logits of SmolLM2 by 0.14 nats (RMS) against f32. So
// every row is followed by a second one, of what rounding the first left over, and the product of a row is the sum of
// the two: below 0.01.
typedef struct input {
    const void *acts[QL_ACT_COUNT];
} input;

// Rows that stand for one: F32 loses nothing.
static size_t planes_of(int act) { return act == QL_ACT_F32 ? 1 : QL_PLANES; }

static void write_row(worker *w, const float *x, size_t n_cols, size_t row, unsigned kinds, void *const acts[QL_ACT_COUNT])
{
    const ql_kernels *kernels = w->f->kernels;
    for (int a = 0; a < QL_ACT_COUNT; a++) {
        if (!(kinds & 1u << a))
            continue;
        size_t first = row * planes_of(a);
        kernels->act_write[a](x, n_cols, first, acts[a]);
        if (planes_of(a) == 1)
            continue;
        ql_act_left((ql_act)a, x, n_cols, first, acts[a], w->left);
        kernels->act_write[a](w->left, n_cols, first + 1, acts[a]);
    }
}

// Rows begin..end, [ld] apart, normalized when norm is not NULL, into acts.
static void write_rows(worker *w, const float *rows, size_t ld, size_t n_cols, const float *norm, unsigned kinds,
                       size_t begin, size_t end, void *const acts[QL_ACT_COUNT])
{
    for (size_t row = begin; row < end; row++) {
        const float *x = rows + row * ld;
        if (norm) {
            w->f->kernels->rms_norm(x, norm, w->f->config->norm_eps, n_cols, w->normed);
            x = w->normed;
        }
        write_row(w, x, n_cols, row, kinds, acts);
    }
}

// The input of a stage from rows [n_rows, ld]; norm: NULL, or the weights of an RMSNorm in front.
static input prepare(worker *w, const float *rows, size_t ld, size_t n_cols, const float *norm, unsigned kinds,
                     size_t n_rows)
{
    bool few = n_rows * QL_PLANES <= QL_QUAD_ROWS;
    void *const *acts = few ? w->acts : w->f->acts;
    size_t begin, end;
    if (few) {
        write_rows(w, rows, ld, n_cols, norm, kinds, 0, n_rows, acts);
    } else {
        while (claim(w, n_rows, QL_QUAD_ROWS, &begin, &end))
            write_rows(w, rows, ld, n_cols, norm, kinds, begin, end, acts);
        next_stage(w);
    }
    input in;
    memcpy(in.acts, acts, sizeof in.acts);
    return in;
}

static unsigned kind_of(const ql_matrix *m) { return 1u << ql_act_of(m->dtype); }

// One panel for rows of two planes, a block of rows at a time: their products, and the sum of each pair.
static void matmul_planes(worker *w, const ql_matrix *m, const uint8_t *acts, size_t n, float *y, size_t ld, size_t panel)
{
    size_t quad_bytes = ql_act_quad_bytes(ql_act_of(m->dtype), m->n_cols);
    const uint8_t *weights = m->panels + panel * m->panel_bytes;
    for (size_t t = 0; t < n; t += QL_PLANE_ROWS) {
        size_t rows = n - t < QL_PLANE_ROWS ? n - t : QL_PLANE_ROWS;
        w->f->kernels->matmul[m->dtype](weights, m->n_cols, acts + t * QL_PLANES / QL_QUAD_ROWS * quad_bytes,
                                        rows * QL_PLANES, w->products, QL_PANEL_ROWS, 0, 1);
        for (size_t i = 0; i < rows; i++) {
            const float *pair = w->products + i * QL_PLANES * QL_PANEL_ROWS;
            float *out = y + (t + i) * ld + panel * QL_PANEL_ROWS;
            for (size_t r = 0; r < QL_PANEL_ROWS; r++)
                out[r] = pair[r] + pair[QL_PANEL_ROWS + r];
        }
    }
}

// y[:, 16 p0 .. 16 p1) = in * m^T (+ bias), n rows
static void matmul(worker *w, const ql_matrix *m, const input *in, size_t n, float *y, size_t ld, size_t p0, size_t p1)
{
    const ql_kernels *kernels = w->f->kernels;
    const void *acts = in->acts[ql_act_of(m->dtype)];
    if (planes_of(ql_act_of(m->dtype)) == 1)
        kernels->matmul[m->dtype](m->panels, m->n_cols, acts, n, y, ld, p0, p1);
    else
        for (size_t p = p0; p < p1; p++)
            matmul_planes(w, m, acts, n, y, ld, p);
    if (m->bias)
        for (size_t t = 0; t < n; t++)
            kernels->add(y + t * ld + p0 * QL_PANEL_ROWS, m->bias + p0 * QL_PANEL_ROWS, (p1 - p0) * QL_PANEL_ROWS);
}

// x *= factor. 1 costs nothing.
static void scale(float *x, float factor, size_t n)
{
    if (factor != 1)
        for (size_t i = 0; i < n; i++)
            x[i] *= factor;
}

// ---- the layer ----

static void project_qkv(worker *w, const ql_layer *layer)
{
    ql_forward *f = w->f;
    input in = prepare(w, f->x, f->ld_embd, f->config->n_embd, layer->attn_norm.weight,
                       kind_of(&layer->q) | kind_of(&layer->k) | kind_of(&layer->v), f->n_rows);
    const ql_matrix *m[3] = {&layer->q, &layer->k, &layer->v};
    float *y[3] = {f->q, f->k, f->v};
    size_t ld[3] = {f->ld_q, f->ld_kv, f->ld_kv};
    size_t total = ql_n_panels(m[0]) + ql_n_panels(m[1]) + ql_n_panels(m[2]), begin, end;
    while (claim(w, total, panel_chunk(f, total), &begin, &end))
        for (size_t i = 0, base = 0; i < 3; base += ql_n_panels(m[i]), i++) {
            size_t lo = begin > base ? begin - base : 0;
            size_t hi = end > base ? end - base : 0;
            hi = hi < ql_n_panels(m[i]) ? hi : ql_n_panels(m[i]);
            if (lo < hi)
                matmul(w, m[i], &in, f->n_rows, y[i], ld[i], lo, hi);
        }
    next_stage(w);
}

static const ql_kv *kv_of(const ql_forward *f, const ql_row *row, size_t layer, size_t head)
{
    return &row->cache->heads[layer * f->config->n_kv_heads + head];
}

// Each head normalized alone, with its slice of the weights.
static void norm_heads(const ql_forward *f, const ql_norm *norm, size_t first, size_t n_heads, float *x)
{
    size_t d = f->config->head_dim;
    for (size_t h = 0; norm->weight && h < n_heads; h++)
        f->kernels->rms_norm(x + h * d, norm->weight + (first + h) * d, f->config->norm_eps, d, x + h * d);
}

// Queries and keys are normalized where the model does so, positions go into them; k and v go into the cache. An item is
// one kv head of one row.
static void rotate_and_store(worker *w, size_t layer)
{
    ql_forward *f = w->f;
    const ql_config *c = f->config;
    const ql_layer *l = &f->weights->layers[layer];
    size_t group = c->n_heads / c->n_kv_heads, d = c->head_dim, begin, end;
    while (claim(w, f->n_rows * c->n_kv_heads, 4, &begin, &end))
        for (size_t i = begin; i < end; i++) {
            size_t row = i / c->n_kv_heads, head = i % c->n_kv_heads;
            const float *cos_sin = f->cos_sin + row * c->n_rot;
            float *q = f->q + row * f->ld_q + head * group * d;
            float *k = f->k + row * f->ld_kv + head * d, *v = f->v + row * f->ld_kv + head * d;
            norm_heads(f, &l->q_norm, head * group, group, q);
            norm_heads(f, &l->k_norm, head, 1, k);
            if (c->plan[layer].rope != QL_NO_ROPE) {
                f->kernels->rope(q, cos_sin, group, d, c->n_rot, c->rope_kind);
                f->kernels->rope(k, cos_sin, 1, d, c->n_rot, c->rope_kind);
            }
            f->kernels->kv_write[f->kv_type](kv_of(f, &f->rows[row], layer, head), f->rows[row].pos, k, v, d);
        }
    next_stage(w);
}

static size_t n_chunks(uint32_t last_pos) { return last_pos / QL_KV_CHUNK + 1; }

// Puts the queries of a tile (rows x heads that share kv head `head`) into *w's query tile.
static size_t load_tile(worker *w, const tile *t, size_t head, size_t first_head, size_t n_heads, int32_t *n_visible)
{
    ql_forward *f = w->f;
    const ql_config *c = f->config;
    size_t group = c->n_heads / c->n_kv_heads, d = c->head_dim, n = 0;
    for (size_t row = t->first_row; row < t->first_row + t->n_rows; row++)
        for (size_t h = first_head; h < first_head + n_heads; h++, n++) {
            f->kernels->query_write[f->kv_type](f->q + row * f->ld_q + (head * group + h) * d, c->attn_scale, n, d,
                                                w->query);
            n_visible[n] = (int32_t)f->rows[row].pos + 1;
        }
    return n;
}

// The whole attention of one tile: chunk after chunk, each folded into the sum of those before.
static void attend_tile(worker *w, const tile *t, size_t layer, size_t head, size_t first_head, size_t n_heads)
{
    ql_forward *f = w->f;
    const ql_config *c = f->config;
    const ql_kernels *kernels = f->kernels;
    size_t group = c->n_heads / c->n_kv_heads, d = c->head_dim, ld = d + QL_PARTIAL_HEAD;
    int32_t n_visible[QL_QUERY_MAX];
    size_t n = load_tile(w, t, head, first_head, n_heads, n_visible);
    const ql_kv *kv = kv_of(f, &f->rows[t->first_row], layer, head);
    size_t chunks = n_chunks(f->rows[t->first_row + t->n_rows - 1].pos);
    for (size_t chunk = 0; chunk < chunks; chunk++) {
        float *out = chunk ? w->partial : w->total;
        kernels->attend_chunk[f->kv_type](kv, w->query, n, n_visible, chunk, d, out);
        for (size_t i = 0; chunk && i < n; i++)
            kernels->attend_merge(w->total + i * ld, w->partial + i * ld, d);
    }
    for (size_t i = 0; i < n; i++) {
        size_t row = t->first_row + i / n_heads, h = head * group + first_head + i % n_heads;
        kernels->attend_finish(w->total + i * ld, d, f->attn + row * f->ld_q + h * d);
    }
}

// An item is a tile and a kv head; heads of a group that do not fit a tile take further turns.
static void attend(worker *w, size_t layer)
{
    ql_forward *f = w->f;
    const ql_config *c = f->config;
    size_t group = c->n_heads / c->n_kv_heads, begin, end;
    size_t heads = group < QL_QUERY_MAX ? group : QL_QUERY_MAX;
    while (claim(w, f->n_tiles * c->n_kv_heads, 1, &begin, &end)) {
        // Long tiles (late positions) first: they would hold the others up at the end.
        const tile *t = &f->tiles[f->n_tiles - 1 - begin / c->n_kv_heads];
        for (size_t first = 0; first < group; first += heads)
            attend_tile(w, t, layer, begin % c->n_kv_heads, first, group - first < heads ? group - first : heads);
    }
    next_stage(w);
}

// Decoding at length: an item is one chunk of one kv head of one row, so that all threads share a long context. The
// same partials in the same order as attend_tile, kept until the last is there.
static void attend_split(worker *w, size_t layer)
{
    ql_forward *f = w->f;
    const ql_config *c = f->config;
    size_t group = c->n_heads / c->n_kv_heads, d = c->head_dim, ld = d + QL_PARTIAL_HEAD, begin, end;
    size_t items = f->n_rows * c->n_kv_heads * f->split_chunks;
    int32_t n_visible[QL_QUERY_MAX];
    while (claim(w, items, 1, &begin, &end)) {
        size_t chunk = begin % f->split_chunks, head = begin / f->split_chunks % c->n_kv_heads;
        tile t = {.first_row = begin / f->split_chunks / c->n_kv_heads, .n_rows = 1};
        if (chunk >= n_chunks(f->rows[t.first_row].pos))
            continue;
        size_t n = load_tile(w, &t, head, 0, group, n_visible);
        f->kernels->attend_chunk[f->kv_type](kv_of(f, &f->rows[t.first_row], layer, head), w->query, n, n_visible,
                                             chunk, d, f->split + begin * group * ld);
    }
    next_stage(w);
    while (claim(w, f->n_rows * c->n_heads, 1, &begin, &end)) {
        size_t row = begin / c->n_heads, h = begin % c->n_heads;
        float *total = f->split + ((row * c->n_kv_heads + h / group) * f->split_chunks * group + h % group) * ld;
        for (size_t chunk = 1; chunk < n_chunks(f->rows[row].pos); chunk++)
            f->kernels->attend_merge(total, total + chunk * group * ld, d);
        f->kernels->attend_finish(total, d, f->attn + row * f->ld_q + h * d);
    }
    next_stage(w);
}

// x += in * m^T
static void project_residual(worker *w, const ql_matrix *m, const float *rows, size_t ld)
{
    ql_forward *f = w->f;
    input in = prepare(w, rows, ld, m->n_cols, NULL, kind_of(m), f->n_rows);
    size_t total = ql_n_panels(m), begin, end;
    while (claim(w, total, panel_chunk(f, total), &begin, &end)) {
        matmul(w, m, &in, f->n_rows, f->y, f->ld_embd, begin, end);
        size_t at = begin * QL_PANEL_ROWS, n = (end - begin) * QL_PANEL_ROWS;
        for (size_t row = 0; row < f->n_rows; row++) {
            scale(f->y + row * f->ld_embd + at, f->config->residual_scale, n);
            f->kernels->add(f->x + row * f->ld_embd + at, f->y + row * f->ld_embd + at, n);
        }
    }
    next_stage(w);
}

// SwiGLU (Shazeer 2020): silu(gate) * up, into f->ff
static void gate_and_up(worker *w, const ql_layer *layer)
{
    ql_forward *f = w->f;
    input in = prepare(w, f->x, f->ld_embd, f->config->n_embd, layer->ffn_norm.weight,
                       kind_of(&layer->gate) | kind_of(&layer->up), f->n_rows);
    size_t total = ql_n_panels(&layer->gate), begin, end;
    while (claim(w, total, panel_chunk(f, total), &begin, &end)) {
        matmul(w, &layer->gate, &in, f->n_rows, f->ff, f->ld_ff, begin, end);
        matmul(w, &layer->up, &in, f->n_rows, f->up, f->ld_ff, begin, end);
        size_t at = begin * QL_PANEL_ROWS, n = (end - begin) * QL_PANEL_ROWS;
        for (size_t row = 0; row < f->n_rows; row++) {
            float *gate = f->ff + row * f->ld_ff + at;
            f->kernels->silu_mul(gate, f->up + row * f->ld_ff + at, n, gate);
        }
    }
    next_stage(w);
}

// ---- the ends ----

// Token embeddings, and the rotation of each row's position.
static void embed(worker *w)
{
    ql_forward *f = w->f;
    const ql_config *c = f->config;
    const ql_matrix *m = &f->weights->embd;
    size_t begin, end;
    while (claim(w, f->n_rows, 4, &begin, &end))
        for (size_t row = begin; row < end; row++) {
            ql_panel_row(m->dtype, m->panels, m->n_cols, (size_t)f->rows[row].token, f->x + row * f->ld_embd);
            scale(f->x + row * f->ld_embd, c->embd_scale, c->n_embd);
            for (size_t i = 0; i < c->n_rot / 2; i++) {
                double angle = f->rows[row].pos * f->weights->inv_freq[0][i], scale = f->weights->rope_attn_factor[0];
                f->cos_sin[row * c->n_rot + 2 * i] = (float)(cos(angle) * scale);
                f->cos_sin[row * c->n_rot + 2 * i + 1] = (float)(sin(angle) * scale);
            }
        }
    next_stage(w);
}

// Logits of the rows that want them. Their inputs are gathered first, so that they stand side by side.
static void head(worker *w)
{
    ql_forward *f = w->f;
    const ql_matrix *m = &f->weights->output;
    if (f->n_logits == 0)
        return;
    if (w->index == 0)
        for (size_t row = 0, n = 0; row < f->n_rows; row++)
            if (f->rows[row].want_logits)
                memcpy(f->y + n++ * f->ld_embd, f->x + row * f->ld_embd, f->config->n_embd * sizeof(float));
    next_stage(w);
    input in = prepare(w, f->y, f->ld_embd, f->config->n_embd, f->weights->output_norm.weight, kind_of(m), f->n_logits);
    size_t total = ql_n_panels(m), begin, end;
    while (claim(w, total, panel_chunk(f, total), &begin, &end)) {
        matmul(w, m, &in, f->n_logits, f->logits, f->ld_logits, begin, end);
        for (size_t row = 0; row < f->n_logits; row++)
            scale(f->logits + row * f->ld_logits + begin * QL_PANEL_ROWS, f->config->logit_scale,
                  (end - begin) * QL_PANEL_ROWS);
    }
}

static void forward_job(void *arg, int index)
{
    ql_forward *f = arg;
    worker *w = &f->workers[index];
    w->stage = 0;
    ql_fpmode mode = ql_fpmode_enter();
    embed(w);
    for (uint32_t i = 0; i < f->config->n_layers; i++) {
        const ql_layer *layer = &f->weights->layers[i];
        project_qkv(w, layer);
        rotate_and_store(w, i);
        if (f->split_chunks)
            attend_split(w, i);
        else
            attend(w, i);
        project_residual(w, &layer->o, f->attn, f->ld_q);
        gate_and_up(w, layer);
        project_residual(w, &layer->down, f->ff, f->ld_ff);
    }
    head(w);
    ql_fpmode_leave(mode);
}

// ---- planning a batch ----

// Rows of one sequence that share a query tile.
static void plan_tiles(ql_forward *f)
{
    size_t group = f->config->n_heads / f->config->n_kv_heads;
    size_t rows_per_tile = group < QL_QUERY_MAX ? QL_QUERY_MAX / group : 1;
    f->n_tiles = 0;
    for (size_t row = 0; row < f->n_rows;) {
        size_t n = 1;
        while (n < rows_per_tile && row + n < f->n_rows && f->rows[row + n].cache == f->rows[row].cache)
            n++;
        f->tiles[f->n_tiles++] = (tile){.first_row = row, .n_rows = n};
        row += n;
    }
}

static void plan_split(ql_forward *f)
{
    const ql_config *c = f->config;
    size_t chunks = 0;
    for (size_t row = 0; row < f->n_rows; row++) {
        size_t n = n_chunks(f->rows[row].pos);
        chunks = n > chunks ? n : chunks;
    }
    bool few = f->n_rows * c->n_kv_heads < (size_t)ql_pool_size(f->pool) * 8;
    f->split_chunks = 0;
    if (few && chunks > 1 && f->n_rows <= QL_SPLIT_ROWS && c->n_heads / c->n_kv_heads <= QL_QUERY_MAX)
        f->split_chunks = chunks;
}

float *ql_forward_run(ql_forward *f, const ql_row *rows, size_t n)
{
    f->rows = rows;
    f->n_rows = n;
    f->n_logits = 0;
    for (size_t i = 0; i < n; i++)
        f->n_logits += rows[i].want_logits;
    plan_tiles(f);
    plan_split(f);
    for (size_t i = 0; i < f->n_counters; i++)
        atomic_store_explicit(&f->counters[i], 0, memory_order_relaxed);
    ql_pool_run(f->pool, forward_job, f);
    return f->logits;
}

size_t ql_forward_logits_stride(const ql_forward *f) { return f->ld_logits; }
