// SPDX-License-Identifier: MIT
// Owns the attention of a layer: projections, positions, the cache, and softmax(q k^T) v over what a row sees (Vaswani et
// al. 2017), several query heads to a key/value head (Ainslie et al. 2023), in a window where the layer has one (Beltagy
// et al. 2020). Must not know the feed-forward.
//
// The one decision: keys and values are read in chunks of QL_KV_CHUNK absolute positions, each with a maximum and a sum
// of its own, folded in order. So the bits are the same whether one thread does all chunks or many share them.
#include "model/forward.h"

static const ql_kv *kv_of(const ql_forward *f, const ql_row *row, size_t layer, size_t head)
{
    return &row->cache->heads[layer * f->config->n_kv_heads + head];
}

// ---- before attention ----

static void project_qkv(worker *w, const ql_layer *layer)
{
    ql_forward *f = w->f;
    input in = ql_stage_input(w, f->x, f->ld_embd, f->config->n_embd, &layer->attn_norm,
                              ql_kind_of(f, &layer->q) | ql_kind_of(f, &layer->k) | ql_kind_of(f, &layer->v), f->n_rows);
    const ql_matrix *m[3] = {&layer->q, &layer->k, &layer->v};
    float *y[3] = {f->q, f->k, f->v};
    size_t ld[3] = {f->ld_q, f->ld_kv, f->ld_kv};
    size_t total = ql_n_panels(m[0]) + ql_n_panels(m[1]) + ql_n_panels(m[2]), begin, end;
    while (ql_stage_claim(w, total, ql_stage_chunk(f, total), &begin, &end))
        for (size_t i = 0, base = 0; i < 3; base += ql_n_panels(m[i]), i++) {
            size_t lo = begin > base ? begin - base : 0;
            size_t hi = end > base ? end - base : 0;
            hi = hi < ql_n_panels(m[i]) ? hi : ql_n_panels(m[i]);
            if (lo < hi)
                ql_stage_matmul(w, m[i], &in, f->n_rows, y[i], ld[i], lo, hi);
        }
    ql_stage_next(w);
}

// All heads of a row normalized at once (OLMo 2).
static void norm_rows(worker *w, const ql_layer *l)
{
    ql_forward *f = w->f;
    size_t d = f->config->head_dim, begin, end;
    while (ql_stage_claim(w, f->n_rows, 1, &begin, &end)) {
        float *q = f->q + begin * f->ld_q, *k = f->k + begin * f->ld_kv;
        ql_stage_norm(f, &l->q_norm, 0, q, f->config->n_heads * d, q);
        ql_stage_norm(f, &l->k_norm, 0, k, f->config->n_kv_heads * d, k);
    }
    ql_stage_next(w);
}

// Each head normalized alone, with its slice of the weights.
static void norm_heads(const ql_forward *f, const ql_norm *norm, size_t first, size_t n_heads, float *x)
{
    size_t d = f->config->head_dim;
    for (size_t h = 0; h < n_heads; h++)
        ql_stage_norm(f, norm, (first + h) * d, x + h * d, d, x + h * d);
}

// Queries and keys are normalized where the model does so, positions go into them; k and v go into the cache. An item is
// one kv head of one row.
static void rotate_and_store(worker *w, size_t layer)
{
    ql_forward *f = w->f;
    const ql_config *c = f->config;
    const ql_layer *l = &f->weights->layers[layer];
    size_t group = c->n_heads / c->n_kv_heads, d = c->head_dim, begin, end;
    uint8_t rope = c->plan[layer].rope;
    while (ql_stage_claim(w, f->n_rows * c->n_kv_heads, 4, &begin, &end))
        for (size_t i = begin; i < end; i++) {
            size_t row = i / c->n_kv_heads, head = i % c->n_kv_heads;
            float *q = f->q + row * f->ld_q + head * group * d;
            float *k = f->k + row * f->ld_kv + head * d, *v = f->v + row * f->ld_kv + head * d;
            if (c->qk_norm == QL_QK_NORM_HEAD) {
                norm_heads(f, &l->q_norm, head * group, group, q);
                norm_heads(f, &l->k_norm, head, 1, k);
            }
            if (rope != QL_NO_ROPE) {
                const float *cos_sin = f->cos_sin[rope] + row * c->n_rot;
                f->kernels->rope(q, cos_sin, group, d, c->n_rot, c->rope_kind);
                f->kernels->rope(k, cos_sin, 1, d, c->n_rot, c->rope_kind);
            }
            f->kernels->kv_write[f->kv_type](kv_of(f, &f->rows[row], layer, head), f->rows[row].pos, k, v, d);
        }
    ql_stage_next(w);
}

// ---- attention ----

// What a row sees in a layer.
static ql_span visible_to(const ql_forward *f, size_t layer, size_t row)
{
    uint32_t end = f->rows[row].pos + 1, window = f->config->window;
    bool cut = f->config->plan[layer].windowed && end > window;
    return (ql_span){cut ? (int32_t)(end - window) : 0, (int32_t)end};
}

static size_t first_chunk(ql_span visible) { return (size_t)visible.begin / QL_KV_CHUNK; }
static size_t end_chunk(ql_span visible) { return ((size_t)visible.end - 1) / QL_KV_CHUNK + 1; }

// Puts the queries of a tile (rows x heads that share kv head `head`) into *w's query tile.
static size_t load_tile(worker *w, const tile *t, size_t layer, size_t head, size_t first_head, size_t n_heads,
                        ql_span *visible)
{
    ql_forward *f = w->f;
    const ql_config *c = f->config;
    size_t group = c->n_heads / c->n_kv_heads, d = c->head_dim, n = 0;
    for (size_t row = t->first_row; row < t->first_row + t->n_rows; row++)
        for (size_t h = first_head; h < first_head + n_heads; h++, n++) {
            f->kernels->query_write[f->kv_type](f->q + row * f->ld_q + (head * group + h) * d, c->attn_scale, n, d,
                                                w->query);
            visible[n] = visible_to(f, layer, row);
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
    ql_span visible[QL_QUERY_MAX];
    size_t n = load_tile(w, t, layer, head, first_head, n_heads, visible);
    const ql_kv *kv = kv_of(f, &f->rows[t->first_row], layer, head);
    size_t first = first_chunk(visible[0]), end = end_chunk(visible[n - 1]);
    for (size_t chunk = first; chunk < end; chunk++) {
        float *out = chunk > first ? w->partial : w->total;
        kernels->attend_chunk[f->kv_type](kv, w->query, n, visible, chunk, d, c->attn_softcap, out);
        for (size_t i = 0; chunk > first && i < n; i++)
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
    while (ql_stage_claim(w, f->n_tiles * c->n_kv_heads, 1, &begin, &end)) {
        // Long tiles (late positions) first: they would hold the others up at the end.
        const tile *t = &f->tiles[f->n_tiles - 1 - begin / c->n_kv_heads];
        for (size_t first = 0; first < group; first += heads)
            attend_tile(w, t, layer, begin % c->n_kv_heads, first, group - first < heads ? group - first : heads);
    }
    ql_stage_next(w);
}

// Decoding at length: an item is one chunk of one kv head of one row, so that all threads share a long context. The
// same partials in the same order as attend_tile, kept until the last is there.
static void attend_split(worker *w, size_t layer)
{
    ql_forward *f = w->f;
    const ql_config *c = f->config;
    size_t group = c->n_heads / c->n_kv_heads, d = c->head_dim, ld = d + QL_PARTIAL_HEAD, begin, end;
    size_t items = f->n_rows * c->n_kv_heads * f->split_chunks;
    ql_span visible[QL_QUERY_MAX];
    while (ql_stage_claim(w, items, 1, &begin, &end)) {
        size_t chunk = begin % f->split_chunks, head = begin / f->split_chunks % c->n_kv_heads;
        tile t = {.first_row = begin / f->split_chunks / c->n_kv_heads, .n_rows = 1};
        ql_span sees = visible_to(f, layer, t.first_row);
        if (chunk < first_chunk(sees) || chunk >= end_chunk(sees))
            continue;
        size_t n = load_tile(w, &t, layer, head, 0, group, visible);
        f->kernels->attend_chunk[f->kv_type](kv_of(f, &f->rows[t.first_row], layer, head), w->query, n, visible, chunk,
                                             d, c->attn_softcap, f->split + begin * group * ld);
    }
    ql_stage_next(w);
    while (ql_stage_claim(w, f->n_rows * c->n_heads, 1, &begin, &end)) {
        size_t row = begin / c->n_heads, h = begin % c->n_heads;
        ql_span sees = visible_to(f, layer, row);
        float *chunks = f->split + ((row * c->n_kv_heads + h / group) * f->split_chunks * group + h % group) * ld;
        float *total = chunks + first_chunk(sees) * group * ld;
        for (size_t chunk = first_chunk(sees) + 1; chunk < end_chunk(sees); chunk++)
            f->kernels->attend_merge(total, chunks + chunk * group * ld, d);
        f->kernels->attend_finish(total, d, f->attn + row * f->ld_q + h * d);
    }
    ql_stage_next(w);
}

void ql_attention(worker *w, uint32_t layer)
{
    const ql_layer *l = &w->f->weights->layers[layer];
    project_qkv(w, l);
    if (w->f->config->qk_norm == QL_QK_NORM_FULL)
        norm_rows(w, l);
    rotate_and_store(w, layer);
    if (w->f->split_chunks)
        attend_split(w, layer);
    else
        attend(w, layer);
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
        size_t n = f->rows[row].pos / QL_KV_CHUNK + 1;
        chunks = n > chunks ? n : chunks;
    }
    bool few = f->n_rows * c->n_kv_heads < (size_t)f->n_workers * 8;
    f->split_chunks = 0;
    if (few && chunks > 1 && f->n_rows <= QL_SPLIT_ROWS && c->n_heads / c->n_kv_heads <= QL_QUERY_MAX)
        f->split_chunks = chunks;
}

void ql_attention_plan(ql_forward *f)
{
    plan_tiles(f);
    plan_split(f);
}
