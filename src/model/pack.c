// SPDX-License-Identifier: MIT
// Owns the way of a matrix from its source into panels: rows are read, quantized where their type changes, and packed, 16
// at a time, by all threads. Must not know what the matrix is for.
//
// A matrix is done in segments of at most SEGMENT_BYTES of source; after each the source's pages are given back, so that
// memory holds the packed weights and one segment.
//
// A row is looked at for NaN and infinities while it is in the cache anyway. It is told, not refused: a broken row of a token
// that nobody uses does no harm, and what computes with one ends in QL_E_NUMERIC.
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/fpmode.h"
#include "model/bind.h"
#include "model/mix.h"
#include "tensor/finite.h"

enum { SEGMENT_BYTES = 32 << 20 };

// One segment of one matrix.
typedef struct job {
    const ql_bound *bound;
    uint8_t *panels;
    size_t first_panel, end_panel;
    const ql_kernels *kernels;
    bool same_type;          // rows go into panels as they are
    atomic_size_t next;      // panel to take
    atomic_size_t broken;    // the first row that is not finite; SIZE_MAX: none
    uint8_t *scratch;        // [n_workers][scratch_bytes]
    size_t scratch_bytes;
} job;

static size_t align64(size_t n) { return (n + 63) & ~(size_t)63; }

// A worker's scratch: a row in f32, then 16 rows of the matrix's type.
static size_t row_scratch(const ql_matrix *m) { return align64(m->n_cols * sizeof(float)); }
static size_t matrix_scratch(const ql_matrix *m) { return row_scratch(m) + m->panel_bytes; }

static void note_broken(job *j, size_t row)
{
    size_t least = atomic_load(&j->broken);
    while (row < least && !atomic_compare_exchange_weak(&j->broken, &least, row))
        ;
}

// Packs n rows of the matrix's type; first: the first one's number in the matrix.
static void pack_rows(job *j, const uint8_t *rows, size_t row_bytes, size_t first, int n, uint8_t *dst)
{
    const ql_matrix *m = j->bound->matrix;
    for (int r = 0; r < n; r++)
        if (!ql_row_is_finite(m->dtype, rows + (size_t)r * row_bytes, m->n_cols))
            note_broken(j, first + (size_t)r);
    ql_panel_pack(m->dtype, rows, row_bytes, n, m->n_cols, dst);
}

static void pack_panel(job *j, size_t panel, uint8_t *scratch)
{
    const ql_matrix *m = j->bound->matrix;
    const ql_rows *rows = &j->bound->rows;
    size_t first = panel * QL_PANEL_ROWS, row_bytes = ql_row_bytes(ql_dtype_get(m->dtype), m->n_cols);
    int n = m->n_rows - first < QL_PANEL_ROWS ? (int)(m->n_rows - first) : QL_PANEL_ROWS;
    uint8_t *dst = j->panels + panel * m->panel_bytes;
    bool side_by_side = ql_rows_index(rows, first + (size_t)n - 1) == ql_rows_index(rows, first) + (size_t)n - 1;
    if (j->same_type && !rows->transposed && side_by_side) {
        pack_rows(j, ql_rows_at(rows, first), row_bytes, first, n, dst);
        return;
    }
    float *values = (float *)(void *)scratch;
    uint8_t *blocks = scratch + row_scratch(m);
    for (int r = 0; r < n; r++) {
        uint8_t *row = blocks + (size_t)r * row_bytes;
        if (j->same_type && !rows->transposed) {
            memcpy(row, ql_rows_at(rows, first + (size_t)r), row_bytes);
            continue;
        }
        ql_rows_read(rows, first + (size_t)r, m->n_cols, values);
        ql_row_encode(j->kernels, m->dtype, values, row, m->n_cols);
    }
    pack_rows(j, blocks, row_bytes, first, n, dst);
}

static void work(void *arg, int worker)
{
    job *j = arg;
    uint8_t *scratch = j->scratch + (size_t)worker * j->scratch_bytes;
    ql_fpmode saved = ql_fpmode_enter();
    for (;;) {
        size_t panel = atomic_fetch_add_explicit(&j->next, 1, memory_order_relaxed);
        if (panel >= j->end_panel)
            break;
        pack_panel(j, panel, scratch);
    }
    ql_fpmode_leave(saved);
}

// Gives back the source's pages of a segment. A transposed tensor is read whole by every panel: only at its end.
static void release(const ql_bound *b, size_t first_panel, size_t end_panel)
{
    const ql_rows *rows = &b->rows;
    size_t end = end_panel * QL_PANEL_ROWS < b->matrix->n_rows ? end_panel * QL_PANEL_ROWS : b->matrix->n_rows;
    if (rows->transposed) {
        if (end == b->matrix->n_rows)
            ql_file_release(rows->tensor->data, rows->tensor->size);
        return;
    }
    const uint8_t *from = ql_rows_at(rows, first_panel * QL_PANEL_ROWS), *to = ql_rows_at(rows, end - 1);
    ql_file_release(from, (size_t)(to - from) + ql_row_bytes(ql_dtype_get(rows->tensor->dtype), b->matrix->n_cols));
}

static size_t source_panel_bytes(const ql_bound *b)
{
    const ql_dtype_info *info = ql_dtype_get(b->rows.tensor->dtype);
    return QL_PANEL_ROWS * ((size_t)b->matrix->n_cols * info->block_bytes / info->block + 1);
}

typedef struct tally {
    const ql_pack_options *options;
    uint64_t total, done;     // bytes of packed weights
    size_t n_broken;          // tensors with values that are not finite
    char broken[96];          // name of the first, and where
} tally;

// One line, however many there are.
static void say_broken(const tally *sum)
{
    if (sum->n_broken)
        ql_log_line(&sum->options->log, "%zu tensor%s NaN or infinite values: %s%s; quantllm verify shows all", sum->n_broken,
                    sum->n_broken == 1 ? " has" : "s have", sum->broken, sum->n_broken > 1 ? ", ..." : "");
}

static void look_at_vectors(const ql_binding *binding, tally *sum)
{
    for (size_t i = 0; i < binding->n_vectors; i++) {
        const ql_bound_vector *v = &binding->vectors[i];
        if (!ql_all_finite(v->values, v->n) && sum->n_broken++ == 0)
            snprintf(sum->broken, sizeof sum->broken, "%s", v->name);
    }
}

static void pack_matrix(const ql_bound *b, uint8_t *panels, uint8_t *scratch, size_t scratch_bytes, tally *sum)
{
    const ql_pack_options *o = sum->options;
    const ql_matrix *m = b->matrix;
    job j = {.bound = b, .panels = panels, .kernels = o->kernels, .scratch = scratch, .scratch_bytes = scratch_bytes,
             .same_type = b->rows.tensor->dtype == m->dtype, .broken = SIZE_MAX};
    size_t step = SEGMENT_BYTES / source_panel_bytes(b) + 1, n_panels = ql_n_panels(m);
    for (size_t panel = 0; panel < n_panels; panel += step) {
        j.first_panel = panel;
        j.end_panel = panel + step < n_panels ? panel + step : n_panels;
        atomic_store(&j.next, panel);
        ql_pool_run(o->pool, ql_pool_size(o->pool), work, &j);
        release(b, j.first_panel, j.end_panel);
        sum->done += (j.end_panel - j.first_panel) * m->panel_bytes;
        if (o->progress)
            o->progress(o->progress_user, (float)((double)sum->done / (double)sum->total));
    }
    if (j.broken != SIZE_MAX && sum->n_broken++ == 0)
        snprintf(sum->broken, sizeof sum->broken, "%s, row %zu", b->name, j.broken);
}

// ---- types ----

static ql_dtype type_of(const ql_bound *b, const ql_config *config, const ql_mix *mix, bool tied, ql_dtype *wanted)
{
    *wanted = b->rows.tensor->dtype;
    if (mix)
        return ql_mix_dtype(mix, config, b, tied, wanted);
    // Types without kernels, and columns of blocks, become what holds their values.
    if (*wanted == QL_F8_E4M3 || *wanted == QL_F8_E5M2)
        *wanted = QL_F16;
    return *wanted;
}

static bool is_tied(const ql_weights *w) { return w->output.n_rows == 0; }

uint64_t ql_weights_bytes(const ql_weights *w, const ql_config *config, const ql_mix *mix)
{
    ql_arena measure = {0};
    for (size_t i = 0; i < w->binding->n_matrices; i++) {
        const ql_bound *b = &w->binding->matrices[i];
        ql_dtype wanted, dtype = type_of(b, config, mix, is_tied(w), &wanted);
        ql_arena_alloc(&measure, ql_n_panels(b->matrix) * QL_PANEL_ROWS,
                       ql_row_bytes(ql_dtype_get(dtype), b->matrix->n_cols));
    }
    return measure.used;
}

// Gives every matrix its type and its place, and says where a type could not be had.
static void lay_out(ql_weights *w, const ql_config *config, const ql_pack_options *o, tally *sum, size_t *scratch)
{
    ql_fallbacks fallbacks = {0};
    bool tied = is_tied(w);
    for (size_t i = 0; i < w->binding->n_matrices; i++) {
        const ql_bound *b = &w->binding->matrices[i];
        ql_matrix *m = b->matrix;
        ql_dtype wanted;
        m->dtype = type_of(b, config, o->mix, tied, &wanted);
        m->panel_bytes = QL_PANEL_ROWS * ql_row_bytes(ql_dtype_get(m->dtype), m->n_cols);
        m->panels = ql_arena_alloc(&w->panels, ql_n_panels(m), m->panel_bytes);
        ql_fallbacks_note(&fallbacks, wanted, m->dtype, m->n_cols);
        sum->total += ql_n_panels(m) * m->panel_bytes;
        *scratch = matrix_scratch(m) > *scratch ? matrix_scratch(m) : *scratch;
    }
    ql_fallbacks_say(&fallbacks, &o->log);
}

ql_code ql_weights_pack(ql_weights *w, const ql_config *config, const ql_pack_options *o, ql_error *err)
{
    size_t scratch_bytes = 0, n_workers = (size_t)ql_pool_size(o->pool);
    tally sum = {.options = o, .total = 1};
    QL_TRY(ql_arena_init(&w->panels, ql_weights_bytes(w, config, o->mix), true, err));
    lay_out(w, config, o, &sum, &scratch_bytes);
    scratch_bytes = align64(scratch_bytes);
    uint8_t *scratch = aligned_alloc(64, n_workers * scratch_bytes + 64);
    if (!scratch)
        return ql_fail_memory(err, n_workers * scratch_bytes);
    for (size_t i = 0; i < w->binding->n_matrices; i++) {
        const ql_bound *b = &w->binding->matrices[i];
        pack_matrix(b, w->panels.base + (b->matrix->panels - w->panels.base), scratch, scratch_bytes, &sum);
    }
    free(scratch);
    look_at_vectors(w->binding, &sum);
    say_broken(&sum);
    ql_weights_count(w, config);
    return QL_OK;
}
