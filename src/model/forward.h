// SPDX-License-Identifier: MIT
// Private to the model room: the scratch memory of forward(), and what its files share. forward.c is the pass as a whole,
// stage.c shares out the work of a stage, attention.c and ffn.c are the two halves of a layer, scratch.c lays out memory.
#ifndef QL_MODEL_FORWARD_H
#define QL_MODEL_FORWARD_H

#include <stdatomic.h>

#include "base/pace.h"
#include "model/model.h"

enum {
    QL_PACED_ROWS = 8,    // rows up to which a run is short against a time slice
    QL_PARTIAL_HEAD = 16, // floats in front of the output in an attention partial
    QL_SPLIT_ROWS = 4,    // rows whose attention may be split by chunks
    QL_FEW_ROWS = 2,      // rows that each thread quantizes for itself, rather than share the work and wait
    QL_MANY_ROWS = 8,     // rows beyond which kernels may take two panels at a time
};

typedef struct tile {
    size_t first_row, n_rows;
} tile;

// The rows that one expert works on: pairs first .. first + n of ql_routes, first a multiple of QL_QUAD_ROWS.
typedef struct run {
    uint32_t expert, first, n;
} run;

// A mixture's choice. A pair is a row and one of its experts; pairs stand expert by expert.
typedef struct routes {
    unsigned *kinds_in, *kinds_out; // [n_layers]: activation forms of gate and up, of down
    float *logits;         // [QL_ROWS_MAX, ld]
    size_t ld;
    uint32_t *experts;     // [QL_ROWS_MAX, n_experts_used] of each row, ascending
    float *weights;        // [QL_ROWS_MAX, n_experts_used]
    uint32_t *pair_of;     // [QL_ROWS_MAX, n_experts_used]
    uint32_t *row_of;      // [n_pairs]; gaps between runs: UINT32_MAX
    uint32_t *first;       // [n_experts]: where the pairs of an expert go on
    run *runs;             // [n_runs], at most one an expert
    size_t n_runs, n_pairs;
    float *out;            // [n_pairs, ld_embd]
} routes;

// What a thread has for itself.
typedef struct worker {
    ql_forward *f;
    int index;
    size_t stage;               // counts the barriers of this pass: which counter to claim from
    float *normed;              // [max(n_embd, n_q, n_ff)]
    void *acts[QL_ACT_COUNT];   // one quad of the widest input
    void *query;                // a query tile
    float *total, *partial;     // [QL_QUERY_MAX, head_dim + 16]
} worker;

struct ql_forward {
    ql_arena arena;
    const ql_config *config;
    const ql_weights *weights;
    const ql_kernels *kernels;
    ql_pool *pool;
    ql_pace pace;               // of runs of few rows
    int n_workers;              // of this run
    ql_kv_type kv_type;

    // the batch
    const ql_row *rows;         // [n_rows]
    size_t n_rows, n_logits;
    tile *tiles;                // [n_tiles], at most a tile a row
    size_t n_tiles;
    size_t split_chunks;        // 0: attention by tiles; else the most chunks a row has

    // activations; ld_* is the distance of rows in floats, a multiple of 16
    size_t ld_embd, ld_q, ld_kv, ld_ff, ld_ff_expert, ld_logits;
    float *x, *y;               // [QL_ROWS_MAX, ld_embd]: the residual stream; an output before it is added
    float *q, *attn;            // [QL_ROWS_MAX, ld_q]
    float *k, *v;               // [QL_ROWS_MAX, ld_kv]
    float *ff, *up;             // [QL_ROWS_MAX, ld_ff] or [n_pairs, ld_ff_expert]
    float *logits;              // [QL_LOGIT_ROWS_MAX, ld_logits]
    float *cos_sin[QL_ROPES];   // [QL_ROWS_MAX, n_rot]; NULL: no layer uses it
    float *split;               // [QL_SPLIT_ROWS, n_kv_heads, chunks, group, head_dim + 16]
    void *acts[QL_ACT_COUNT];   // quads of a stage's rows or pairs
    routes routes;              // empty without experts
    atomic_size_t *counters;    // [n_counters], one a stage
    size_t n_counters;
    worker *workers;            // [pool size]
};

// ---- stage.c ----

// The input of a stage in every form its matrices need.
typedef struct input {
    const void *acts[QL_ACT_COUNT];
} input;

// Claims up to chunk items of a stage; false when none are left.
bool ql_stage_claim(worker *w, size_t total, size_t chunk, size_t *begin, size_t *end);
void ql_stage_next(worker *w); // a barrier
// Panels of one claim: small enough to share out evenly and to absorb a thread that lost its core for a while.
size_t ql_stage_chunk(const ql_forward *f, size_t total);

// The form of activations that a matrix is multiplied with, as a bit.
static inline unsigned ql_kind_of(const ql_forward *f, const ql_matrix *m) { return 1u << f->kernels->act[m->dtype]; }

// y = the model's kind of normalization of x [n], with the values of norm from `first` on; y may be x.
void ql_stage_norm(const ql_forward *f, const ql_norm *norm, size_t first, const float *x, size_t n, float *y);

// Row x [n_cols], normalized when norm has weights, as row `row` of acts, in all forms of kinds.
void ql_stage_write(worker *w, const float *x, size_t n_cols, const ql_norm *norm, unsigned kinds, size_t row,
                    void *const acts[QL_ACT_COUNT]);

// The input of a stage from rows [n_rows, ld], normalized when norm has weights: by this thread for itself with few
// rows, else shared, after a stage of its own.
input ql_stage_input(worker *w, const float *rows, size_t ld, size_t n_cols, const ql_norm *norm, unsigned kinds,
                     size_t n_rows);

// The shared input from its row `first` on, a multiple of QL_QUAD_ROWS.
input ql_stage_input_at(const ql_forward *f, size_t n_cols, size_t first);

// y[:, 16 p0 .. 16 p1) = in * m^T (+ bias), n rows
void ql_stage_matmul(worker *w, const ql_matrix *m, const input *in, size_t n, float *y, size_t ld, size_t p0, size_t p1);

// x *= factor. 1 costs nothing.
void ql_scale(float *x, float factor, size_t n);

// x += in * m^T, normalized before it is added where post has weights. in: rows [n_rows, ld].
void ql_stage_project_residual(worker *w, const ql_matrix *m, const float *rows, size_t ld, const ql_norm *post);

// The residual stream of row `row` += y [n_embd], which it changes.
void ql_stage_add_residual(const ql_forward *f, const ql_norm *post, size_t row, float *y);

// ---- attention.c ----

void ql_attention_plan(ql_forward *f); // after rows are set
void ql_attention(worker *w, uint32_t layer); // x to f->attn, before the output projection

// ---- ffn.c ----

// x to the feed-forward's inner values; and those to x.
void ql_ffn_in(worker *w, uint32_t layer);
void ql_ffn_out(worker *w, uint32_t layer);

#endif
