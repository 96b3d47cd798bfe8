// SPDX-License-Identifier: MIT
// Private to the model room: the scratch memory of forward() and its layout.
#ifndef QL_MODEL_FORWARD_H
#define QL_MODEL_FORWARD_H

#include <stdatomic.h>

#include "model/model.h"

enum {
    QL_PARTIAL_HEAD = 16, // floats in front of the output in an attention partial
    QL_SPLIT_ROWS = 4,    // rows whose attention may be split by chunks
    QL_PLANES = 2,        // int8 rows that stand for one activation row
    QL_PLANE_ROWS = 24,   // rows whose planes are multiplied and summed at a time; their planes are whole quads
};

typedef struct tile {
    size_t first_row, n_rows;
} tile;

// What a thread has for itself.
typedef struct worker {
    ql_forward *f;
    int index;
    size_t stage;               // counts the barriers of this pass: which counter to claim from
    float *normed, *left;       // [max(n_embd, n_q, n_ff)]
    float *products;            // [QL_PLANE_ROWS * QL_PLANES, 16]
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
    ql_kv_type kv_type;

    // the batch
    const ql_row *rows;         // [n_rows]
    size_t n_rows, n_logits;
    tile *tiles;                // [n_tiles], at most a tile a row
    size_t n_tiles;
    size_t split_chunks;        // 0: attention by tiles; else the most chunks a row has

    // activations; ld_* is the distance of rows in floats, a multiple of 16
    size_t ld_embd, ld_q, ld_kv, ld_ff, ld_logits;
    float *x, *y;               // [QL_ROWS_MAX, ld_embd]: the residual stream; an output before it is added
    float *q, *attn;            // [QL_ROWS_MAX, ld_q]
    float *k, *v;               // [QL_ROWS_MAX, ld_kv]
    float *ff, *up;             // [QL_ROWS_MAX, ld_ff]
    float *logits;              // [QL_LOGIT_ROWS_MAX, ld_logits]
    float *cos_sin;             // [QL_ROWS_MAX, n_rot]
    float *split;               // [QL_SPLIT_ROWS, n_kv_heads, chunks, group, head_dim + 16]
    void *acts[QL_ACT_COUNT];   // quads of the planes of QL_ROWS_MAX rows of the widest input
    atomic_size_t *counters;    // [n_counters], one a stage
    size_t n_counters;
    worker *workers;            // [pool size]
};

#endif
