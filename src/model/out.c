// SPDX-License-Identifier: MIT
// Owns which tensors a written GGUF file has and how their rows are made. Its decision: what is no matrix of the model
// (norms, biases, rotations, tensors without a place) stays byte for byte, as in llama.cpp's quantizer.
#include "model/out.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/fpmode.h"
#include "tensor/finite.h"

enum { ROWS_AT_ONCE = 16 };

// ---- the plan ----

// rows: its own, which are set.
static void as_it_is(ql_out_tensor *o, const ql_tensor *t, ql_rows *rows)
{
    uint64_t n_rows = t->shape[0] ? ql_tensor_n_values(t) / t->shape[0] : 0;
    *rows = (ql_rows){.tensor = t, .inner = n_rows + 1, .stride = n_rows + 1}; // as they lie
    *o = (ql_out_tensor){.dtype = t->dtype, .n_dims = t->n_dims, .n_rows = n_rows, .size = t->size, .bytes = t->data,
                         .parts = rows, .part_rows = n_rows};
    memcpy(o->shape, t->shape, sizeof o->shape);
    snprintf(o->name, sizeof o->name, "%s", t->name); // at most 64 bytes in a GGUF file
}

ql_code ql_out_size(ql_out_tensor *o, ql_dtype dtype, ql_error *err)
{
    const ql_dtype_info *info = ql_dtype_get(dtype);
    if (!ql_mul_u64(o->n_rows, ql_row_bytes(info, o->shape[0]), &o->size))
        return ql_fail(err, QL_E_FORMAT, "tensor %s: its size as %s does not fit in 64 bits", o->name, info->name);
    o->dtype = dtype;
    return QL_OK;
}

// Of a tensor with several matrices the last one bound decides: v of q, k and v, as in llama.cpp.
static ql_code encode_matrices(ql_out *out, const ql_source *source, const ql_config *config, const ql_weights *w,
                               const ql_mix *mix, const ql_logger *log, ql_error *err)
{
    bool tied = w->output.n_rows == 0;
    ql_fallbacks fallbacks = {0};
    for (size_t i = 0; i < w->binding->n_matrices; i++) {
        const ql_bound *b = &w->binding->matrices[i];
        const ql_tensor *t = b->rows.tensor;
        size_t at = (size_t)(t - ql_source_tensor_at(source, 0));
        ql_out_tensor *o = &out->tensors[at];
        ql_dtype wanted, dtype = ql_mix_dtype(mix, config, b, tied, &wanted);
        ql_fallbacks_note(&fallbacks, wanted, dtype, b->matrix->n_cols);
        as_it_is(o, t, &out->rows[at]);
        if (dtype == t->dtype)
            continue;
        QL_TRY(ql_out_size(o, dtype, err));
        o->bytes = NULL;
    }
    ql_fallbacks_say(&fallbacks, log);
    return QL_OK;
}

ql_code ql_out_plan(ql_out *out, const ql_source *source, const ql_config *config, const ql_weights *weights,
                    const ql_mix *mix, const ql_logger *log, ql_error *err)
{
    size_t n = ql_source_n_tensors(source);
    *out = (ql_out){.n = n, .tensors = calloc(n + 1, sizeof *out->tensors), .rows = calloc(n + 1, sizeof *out->rows)};
    if (!out->tensors || !out->rows)
        return ql_fail_memory(err, (n + 1) * (sizeof *out->tensors + sizeof *out->rows));
    for (size_t i = 0; i < n; i++)
        as_it_is(&out->tensors[i], ql_source_tensor_at(source, i), &out->rows[i]);
    if (mix)
        QL_TRY(encode_matrices(out, source, config, weights, mix, log, err));
    for (size_t i = 0; i < n; i++)
        out->n_encoded += !out->tensors[i].bytes;
    return QL_OK;
}

void ql_out_free(ql_out *out)
{
    free(out->tensors);
    free(out->rows);
    free(out->own);
    *out = (ql_out){0};
}

// ---- encoding ----

typedef struct job {
    const ql_out_encoder *encoder;
    const ql_out_tensor *tensor;
    uint64_t first, end;
    uint8_t *dst;
    atomic_uint_fast64_t next, broken;
} job;

static void note_broken(job *j, uint64_t row)
{
    uint_fast64_t least = atomic_load(&j->broken);
    while (row < least && !atomic_compare_exchange_weak(&j->broken, &least, row))
        ;
}

// Which row of a part is row r of the tensor: in files with interleaved rotation the halves of a head alternate.
static uint64_t source_row(const ql_out_tensor *t, uint64_t r)
{
    uint64_t d = t->pairs_of, in_head = d ? r % d : 0;
    return d ? r - in_head + in_head % 2 * (d / 2) + in_head / 2 : r;
}

static void encode_row(job *j, uint64_t row, float *values)
{
    const ql_out_tensor *t = j->tensor;
    size_t n = t->shape[0], row_bytes = ql_row_bytes(ql_dtype_get(t->dtype), n);
    uint8_t *at = j->dst + (row - j->first) * row_bytes;
    ql_rows_read(&t->parts[row / t->part_rows], source_row(t, row % t->part_rows), n, values);
    ql_row_encode(j->encoder->kernels, t->dtype, values, at, n);
    if (!ql_row_is_finite(t->dtype, at, n))
        note_broken(j, row);
}

static void work(void *arg, int worker)
{
    job *j = arg;
    float *values = (float *)(void *)(j->encoder->scratch + (size_t)worker * j->encoder->scratch_bytes);
    ql_fpmode saved = ql_fpmode_enter();
    for (uint64_t row; (row = atomic_fetch_add(&j->next, ROWS_AT_ONCE)) < j->end;)
        for (uint64_t r = row; r < j->end && r < row + ROWS_AT_ONCE; r++)
            encode_row(j, r, values);
    ql_fpmode_leave(saved);
}

ql_code ql_out_encoder_init(ql_out_encoder *encoder, const ql_out *out, ql_pool *pool, const ql_kernels *kernels,
                            ql_error *err)
{
    uint64_t longest = 0;
    *encoder = (ql_out_encoder){.pool = pool, .kernels = kernels};
    for (size_t i = 0; i < out->n; i++)
        if (!out->tensors[i].bytes && out->tensors[i].shape[0] > longest)
            longest = out->tensors[i].shape[0];
    encoder->scratch_bytes = (longest * sizeof(float) + 63) & ~(size_t)63; // bounded: binding checked the row
    size_t bytes = (size_t)ql_pool_size(pool) * encoder->scratch_bytes + 64;
    encoder->scratch = aligned_alloc(64, bytes);
    return encoder->scratch ? QL_OK : ql_fail_memory(err, bytes);
}

void ql_out_encoder_free(ql_out_encoder *encoder)
{
    free(encoder->scratch);
    *encoder = (ql_out_encoder){0};
}

void ql_out_encode(ql_out_encoder *encoder, const ql_out_tensor *tensor, uint64_t first, uint64_t end, uint8_t *dst)
{
    job j = {.encoder = encoder, .tensor = tensor, .first = first, .end = end, .dst = dst, .broken = UINT64_MAX};
    atomic_store(&j.next, first);
    ql_pool_run(encoder->pool, ql_pool_size(encoder->pool), work, &j);
    if (j.broken < encoder->broken)
        encoder->broken = j.broken;
}
