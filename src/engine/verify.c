// SPDX-License-Identifier: MIT
// ql_verify: everything that can be wrong with a model's files, looked at in full. Must not know generation.
//
// Opening a model reads headers only; here every number is read too. The packed file of a model is compared with what
// packing gives now, so that no checksum of its own is needed beside the seal of its header.
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "engine/engine.h"
#include "model/bind.h"

typedef struct verify {
    const ql_verify_options *options;
    ql_verify_result *result;
    ql_pool *pool;
    ql_source *own;          // the source of a model that can not be opened
    const ql_source *source;
    uint64_t done, total;    // bytes, for the progress
} verify;

static void tell(const verify *v, ql_severity severity, const char *line)
{
    if (severity == QL_FAULT)
        v->result->n_faults++;
    else
        v->result->n_warnings++;
    if (v->options->finding)
        v->options->finding(v->options->user, severity, line);
}

__attribute__((format(printf, 2, 3))) static void fault(const verify *v, const char *fmt, ...)
{
    char line[1024];
    ql_error clean = {0};
    va_list args;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    ql_fail(&clean, QL_E_FORMAT, "%s", line); // names come from files
    tell(v, QL_FAULT, clean.message);
}

static void warn(void *user, const char *line) { tell(user, QL_WARNING, line); }

static void step(verify *v, uint64_t bytes)
{
    v->done += bytes; // bounded: the files' sizes
    if (v->options->progress && v->total)
        v->options->progress(v->options->user, (float)((double)v->done / (double)v->total));
}

// ---- numbers ----

enum { PIECE = 4096 }; // values decoded at a time; whole blocks of every type

typedef struct scan {
    const ql_tensor *tensor;
    uint64_t n;              // values
    atomic_uint_fast64_t next, nans, infinities, first; // first: index of the first that is not finite
} scan;

static void scan_piece(scan *s, uint64_t at, float *values)
{
    const ql_dtype_info *info = ql_dtype_get(s->tensor->dtype);
    uint64_t n = s->n - at < PIECE ? s->n - at : PIECE, nans = 0, infinities = 0, first = UINT64_MAX;
    info->decode(s->tensor->data + at / info->block * info->block_bytes, values, n); // bounded: at < n
    for (uint64_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        if ((bits & 0x7f800000) != 0x7f800000)
            continue;
        first = first == UINT64_MAX ? at + i : first; // bounded: at + i < n
        if (bits & 0x7fffff)
            nans++;
        else
            infinities++;
    }
    if (first == UINT64_MAX)
        return;
    atomic_fetch_add(&s->nans, nans);
    atomic_fetch_add(&s->infinities, infinities);
    uint_fast64_t least = atomic_load(&s->first);
    while (first < least && !atomic_compare_exchange_weak(&s->first, &least, first))
        ;
}

static void scan_job(void *arg, int worker)
{
    scan *s = arg;
    float values[PIECE];
    (void)worker;
    for (uint64_t at; (at = atomic_fetch_add(&s->next, PIECE)) < s->n;)
        scan_piece(s, at, values);
}

static void check_numbers(verify *v, const char *path, const ql_tensor *t)
{
    scan s = {.tensor = t, .n = ql_tensor_n_values(t), .first = UINT64_MAX};
    ql_pool_run(v->pool, ql_pool_size(v->pool), scan_job, &s);
    v->result->n_tensors++;
    v->result->n_values += s.n;
    step(v, t->size);
    if (s.nans + s.infinities)
        fault(v, "%s: tensor %s: %llu values are NaN and %llu infinite of %llu, the first at row %llu, column %llu", path,
              t->name, (unsigned long long)s.nans, (unsigned long long)s.infinities, (unsigned long long)s.n,
              (unsigned long long)(s.first / t->shape[0]), (unsigned long long)(s.first % t->shape[0]));
    ql_file_release(t->data, t->size);
}

static void check_source(verify *v)
{
    for (size_t i = 0; i < ql_source_n_tensors(v->source); i++)
        v->total += ql_source_tensor_at(v->source, i)->size;
    for (size_t i = 0; i < ql_source_n_tensors(v->source); i++)
        check_numbers(v, ql_source_path(v->source), ql_source_tensor_at(v->source, i));
}

// ---- the packed cache ----

// A tensor of the packed file against what it should hold.
typedef struct comparison {
    const ql_source *packed;
    size_t n_wrong;
    const char *first; // of those
} comparison;

static void compare(comparison *c, const char *name, const void *data, uint64_t size)
{
    const ql_tensor *t = ql_source_tensor(c->packed, name);
    if (t && t->size == size && memcmp(t->data, data, size) == 0)
        return;
    c->first = c->n_wrong++ ? c->first : name;
}

// Kept only where the model's own files are slow to read; padded to whole floats.
static ql_code compare_tokenizer(comparison *c, const ql_model *m, ql_error *err)
{
    ql_buf buf = {0};
    const ql_tensor *t = ql_source_tensor(c->packed, ql_packed_tokenizer);
    ql_code code = t ? ql_tokenizer_store(m->tokenizer, &buf, err) : QL_OK;
    while (t && buf.len < t->size && !buf.failed)
        ql_buf_append_byte(&buf, 0);
    if (t && code == QL_OK && buf.failed)
        code = ql_fail_memory(err, t->size);
    if (t && code == QL_OK)
        compare(c, ql_packed_tokenizer, buf.data, buf.len);
    ql_buf_free(&buf);
    return code;
}

static ql_code compare_all(verify *v, const ql_model *m, const ql_source *packed, const ql_weights *w, ql_error *err)
{
    comparison c = {.packed = packed};
    for (size_t i = 0; i < w->binding->n_matrices; i++) {
        const ql_matrix *matrix = w->binding->matrices[i].matrix;
        compare(&c, w->binding->matrices[i].name, matrix->panels, (uint64_t)ql_n_panels(matrix) * matrix->panel_bytes);
    }
    for (size_t i = 0; i < w->binding->n_vectors; i++) {
        const ql_bound_vector *vector = &w->binding->vectors[i];
        compare(&c, vector->name, vector->values, vector->n * sizeof(float));
    }
    for (size_t i = 0; i < ql_source_n_tensors(m->source); i++) {
        const ql_tensor *t = ql_source_tensor_at(m->source, i); // rotations: copied as they are
        if (strncmp(t->name, "rope_", 5) == 0)
            compare(&c, t->name, t->data, t->size);
    }
    QL_TRY(compare_tokenizer(&c, m, err));
    if (c.n_wrong)
        fault(v, "%s: %zu tensors are not what packing the model gives (%s%s): delete it, the next start makes it anew",
              ql_source_path(packed), c.n_wrong, c.first, c.n_wrong > 1 ? ", ..." : "");
    return QL_OK;
}

static ql_code pack_and_compare(verify *v, const ql_model *m, const ql_source *packed, const char *quantization, ql_error *err)
{
    const ql_model_options options = {.quantization = quantization};
    const ql_logger nobody = {0};
    ql_choice choice;
    ql_weights w = {0};
    QL_TRY(ql_choose(m->source, &options, &nobody, &choice, err));
    QL_TRY(ql_weights_bind(m->source, &m->config, m->max_length, &w, err));
    uint64_t bytes = ql_weights_bytes(&w, &m->config, choice.mix), available = ql_memory_available();
    ql_pack_options pack = {.mix = choice.mix, .kernels = m->kernels, .pool = v->pool};
    ql_code code = QL_OK;
    if (available && bytes > available)
        code = ql_fail(err, QL_E_MEMORY, "needs %.2f GiB, %.2f GiB free", (double)bytes / (1 << 30),
                       (double)available / (1 << 30));
    if (code == QL_OK)
        code = ql_weights_pack(&w, &m->config, &pack, err);
    if (code == QL_OK)
        code = compare_all(v, m, packed, &w, err);
    ql_weights_free(&w);
    return code;
}

static void check_packed_file(verify *v, const ql_model *m, const ql_packed_entry *entry)
{
    ql_error err = {0};
    ql_source *packed = NULL;
    v->result->n_packed++;
    ql_code code = ql_source_open_packed(entry->path, &packed, &err);
    if (code == QL_OK)
        code = ql_source_check_seal(packed, &err);
    if (code != QL_OK)
        fault(v, "%s (delete it, the next start makes it anew)", err.message);
    else if ((code = pack_and_compare(v, m, packed, entry->quantization, &err)) != QL_OK) {
        ql_fail_prefix(&err, code, "%s: was not compared with what packing the model gives", entry->path);
        tell(v, QL_WARNING, err.message);
    }
    ql_source_close(packed);
}

// Those that a start of this model would take. One whose header is damaged has lost its labels too: its name tells.
static ql_code check_packed(verify *v, const ql_model *m, ql_error *err)
{
    ql_packed_entry *entries;
    size_t n;
    QL_TRY(ql_packed_list(&entries, &n, err));
    for (size_t i = 0; i < n; i++) {
        char quantization[32] = "";
        const char *name = strrchr(entries[i].path, '/'), *end = name + strlen(name) - strlen(".0123456789abcdef.packed");
        const char *begin = end > name ? memrchr(name, '.', (size_t)(end - name)) : NULL;
        ql_packed_place place = {0};
        if (begin && (size_t)(end - begin) <= sizeof quantization)
            memcpy(quantization, begin + 1, (size_t)(end - begin - 1));
        entries[i].quantization = quantization;
        if (*quantization && ql_packed_locate(m->source, m->name, quantization, &place, NULL) == QL_OK && place.path &&
            strcmp(place.path, entries[i].path) == 0)
            check_packed_file(v, m, &entries[i]);
        ql_packed_place_free(&place);
    }
    ql_free(entries);
    return QL_OK;
}

// ---- all of it ----

// What a start would refuse or tell; what can not be looked at is an error of ours.
static ql_code check_rules(verify *v, const char *path, ql_model **model, ql_error *err)
{
    ql_model_options options = {.inspect = true, .log = warn, .log_user = v};
    ql_error why = {0};
    *model = ql_model_open(path, &options, &why);
    if (*model) {
        v->source = (*model)->source;
        return QL_OK;
    }
    if (why.code != QL_E_FORMAT && why.code != QL_E_UNSUPPORTED)
        return ql_fail(err, why.code, "%s", why.message);
    tell(v, QL_FAULT, why.message);
    if (ql_source_open(path, &v->own, NULL) == QL_OK)
        v->source = v->own;
    return QL_OK;
}

ql_code ql_verify(const char *path, const ql_verify_options *options, ql_verify_result *result, ql_error *err)
{
    static const ql_verify_options defaults;
    verify v = {.options = options ? options : &defaults, .result = result};
    ql_model *model = NULL;
    *result = (ql_verify_result){0};
    if (v.options->threads < 0 || v.options->threads > 256)
        return ql_fail(err, QL_E_ARGUMENT, "threads must be 1 to 256, or 0 for all cores, got %d", v.options->threads);
    QL_TRY(ql_pool_new(&v.pool, v.options->threads ? v.options->threads : ql_default_threads(), err));
    ql_code code = check_rules(&v, path, &model, err);
    if (code == QL_OK && v.source)
        check_source(&v);
    if (code == QL_OK && model && result->n_faults == 0)
        code = check_packed(&v, model, err);
    ql_model_close(model);
    ql_source_close(v.own);
    ql_pool_free(v.pool);
    return code;
}
