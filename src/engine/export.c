// SPDX-License-Identifier: MIT
// ql_export_gguf: a model as one GGUF file, tensor by tensor. Must not know what tensors are for (model/out.h), nor how a
// file comes to be whole (base/new_file.h).
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/machine.h"
#include "base/new_file.h"
#include "engine/engine.h"
#include "format/gguf_write.h"
#include "model/out.h"

// What is encoded before it is written, and what is copied between two looks at whether to go on.
enum { CHUNK_BYTES = 8 << 20 };

typedef struct exporting {
    const ql_export_options *options;
    const char *path;          // of the file to come
    ql_logger log;
    ql_source *source;
    ql_choice choice;
    ql_config *config;         // these two: read only when something is encoded
    ql_weights weights;
    ql_out out;
    ql_pool *pool;
    ql_out_encoder encoder;
    ql_gguf_writer *writer;
    ql_buf header;
    ql_new_file file;
    uint8_t *chunk;            // [chunk_bytes]
    uint64_t done;             // bytes written
    size_t n_broken;           // tensors with values that are not finite
    char broken[96];           // the first of them
} exporting;

// ---- the file's place ----

static ql_code check_target(const exporting *e, ql_error *err)
{
    struct stat st;
    if (!*e->path)
        return ql_fail(err, QL_E_ARGUMENT, "out is empty: give the path of the file to write");
    if (ql_source_has_file(e->source, e->path))
        return ql_fail(err, QL_E_ARGUMENT, "%s: is a file of the model itself, which is read while it is written: give "
                       "another path", e->path);
    if (stat(e->path, &st) == 0 && !S_ISREG(st.st_mode)) // a device would be replaced
        return ql_fail(err, QL_E_ARGUMENT, "%s: is %s, expected the path of a file to write", e->path,
                       S_ISDIR(st.st_mode) ? "a directory" : "not a regular file");
    return QL_OK;
}

static double gib(uint64_t bytes) { return (double)bytes / (1 << 30); }

static ql_code say_reason(const exporting *e, int reason, uint64_t size, ql_error *err)
{
    if (reason == ENOMEM)
        return ql_fail_memory(err, strlen(e->path) + 1);
    if (reason == ENOENT || reason == ENOTDIR)
        return ql_fail(err, QL_E_NOT_FOUND, "%s: its folder is not there", e->path);
    if (reason == EWOULDBLOCK)
        return ql_fail(err, QL_E_IO, "%s: another process is writing it", e->path);
    if (!size)
        return ql_fail(err, QL_E_IO, "%s: can not be written: %s", e->path, strerror(reason));
    return ql_fail(err, QL_E_IO, "%s: %s: wrote %.2f of %.2f GiB, the temporary file was removed", e->path, strerror(reason),
                   gib(e->done), gib(size));
}

static ql_code open_file(exporting *e, ql_error *err)
{
    uint64_t size = ql_gguf_writer_file_bytes(e->writer);
    int reason = ql_new_file_name(&e->file, e->path, ".quantllm-part");
    if (!reason)
        reason = ql_new_file_open(&e->file, 0666);
    if (reason)
        return say_reason(e, reason, 0, err);
    reason = ql_new_file_reserve(&e->file, size);
    return reason ? say_reason(e, reason, size, err) : QL_OK;
}

// ---- what is in it ----

static ql_code bind(exporting *e, ql_error *err)
{
    if (!(e->config = calloc(1, sizeof *e->config)))
        return ql_fail_memory(err, sizeof *e->config);
    QL_TRY(ql_config_read(e->source, e->config, err));
    return ql_weights_bind(e->source, e->config, e->config->context_length, &e->weights, err);
}

static void put_keys(exporting *e)
{
    static const char *const except[] = {"general.file_type", "general.quantization_version", NULL};
    const ql_mix *mix = e->choice.mix;
    ql_gguf_put_keys_of(e->writer, e->source, mix ? except : NULL);
    if (!mix)
        return;
    ql_gguf_put_u32(e->writer, "general.file_type", (uint32_t)ql_mix_file_type(mix));
    if (ql_dtype_get(ql_mix_base(mix))->block > 1 || ql_source_has(e->source, "general.quantization_version"))
        ql_gguf_put_u32(e->writer, "general.quantization_version", 2); // of ggml: how blocks are laid out
}

static ql_code compose(exporting *e, ql_error *err)
{
    uint64_t alignment = 0;
    QL_TRY(ql_source_get_u64(e->source, "general.alignment", false, 8, 65536, &alignment, err));
    e->writer = ql_gguf_writer_new((uint32_t)alignment);
    put_keys(e);
    for (size_t i = 0; i < e->out.n; i++) {
        const ql_out_tensor *t = &e->out.tensors[i];
        ql_gguf_put_tensor(e->writer, t->name, (uint32_t)t->dtype, t->n_dims, t->shape, t->size);
    }
    return ql_gguf_writer_finish(e->writer, &e->header, err);
}

// ---- writing ----

// Writes what is to be at offset, and looks whether to go on.
static ql_code put(exporting *e, const void *data, uint64_t size, uint64_t offset, ql_error *err)
{
    uint64_t total = ql_gguf_writer_file_bytes(e->writer);
    int reason = ql_new_file_put(&e->file, data, size, offset);
    if (reason)
        return say_reason(e, reason, total, err);
    e->done += size; // bounded: the file's size
    if (e->options->progress)
        e->options->progress(e->options->user, (float)((double)e->done / (double)total));
    if (e->options->cancelled && e->options->cancelled(e->options->user))
        return ql_fail(err, QL_E_CANCELLED, "%s: cancelled, nothing was written", e->path);
    return QL_OK;
}

static ql_code copy_tensor(exporting *e, const ql_out_tensor *t, uint64_t offset, ql_error *err)
{
    const uint8_t *bytes = t->bytes;
    for (uint64_t at = 0; at < t->size; at += CHUNK_BYTES) { // bounded: below the tensor's size
        uint64_t n = t->size - at < CHUNK_BYTES ? t->size - at : CHUNK_BYTES;
        QL_TRY(put(e, bytes + at, n, offset + at, err)); // bounded: the file's size
        ql_file_release(bytes + at, n);
    }
    return QL_OK;
}

static uint64_t rows_of_chunk(const ql_out_tensor *t)
{
    uint64_t n = t->n_rows ? CHUNK_BYTES / (t->size / t->n_rows) : 0;
    return n ? n : 1;
}

static void release(const ql_out_tensor *t, uint64_t first, uint64_t end)
{
    const ql_tensor *from = t->rows.tensor;
    const uint8_t *begin = ql_rows_at(&t->rows, first), *last = ql_rows_at(&t->rows, end - 1);
    ql_file_release(begin, (size_t)(last - begin) + ql_row_bytes(ql_dtype_get(from->dtype), from->shape[0]));
}

static ql_code encode_tensor(exporting *e, const ql_out_tensor *t, uint64_t offset, ql_error *err)
{
    uint64_t step = rows_of_chunk(t), row_bytes = t->n_rows ? t->size / t->n_rows : 0;
    e->encoder.broken = UINT64_MAX;
    for (uint64_t first = 0; first < t->n_rows; first += step) {
        uint64_t n = t->n_rows - first < step ? t->n_rows - first : step;
        ql_out_encode(&e->encoder, t, first, first + n, e->chunk);
        QL_TRY(put(e, e->chunk, n * row_bytes, offset + first * row_bytes, err)); // bounded: the tensor's size
        release(t, first, first + n);
    }
    if (e->encoder.broken != UINT64_MAX && e->n_broken++ == 0)
        snprintf(e->broken, sizeof e->broken, "%s, row %llu", t->name, (unsigned long long)e->encoder.broken);
    return QL_OK;
}

static ql_code prepare_encoder(exporting *e, ql_error *err)
{
    uint64_t bytes = 1;
    int threads = e->options->threads;
    const char *isa = getenv("QUANTLLM_ISA");
    const ql_kernels *kernels = ql_kernels_get(isa);
    if (!kernels)
        return ql_fail(err, QL_E_ARGUMENT, "QUANTLLM_ISA must be scalar, avx2 or avx512, got \"%s\"", isa);
    QL_TRY(ql_pool_new(&e->pool, !e->out.n_encoded ? 1 : threads ? threads : ql_default_threads(), err));
    QL_TRY(ql_out_encoder_init(&e->encoder, &e->out, e->pool, kernels, err));
    for (size_t i = 0; i < e->out.n; i++) {
        const ql_out_tensor *t = &e->out.tensors[i];
        if (t->bytes || !t->n_rows)
            continue;
        uint64_t rows = rows_of_chunk(t) < t->n_rows ? rows_of_chunk(t) : t->n_rows, own = rows * (t->size / t->n_rows);
        bytes = own > bytes ? own : bytes;
    }
    return (e->chunk = malloc(bytes)) ? QL_OK : ql_fail_memory(err, bytes);
}

static ql_code write_all(exporting *e, ql_error *err)
{
    QL_TRY(put(e, e->header.data, e->header.len, 0, err));
    for (size_t i = 0; i < e->out.n; i++) {
        const ql_out_tensor *t = &e->out.tensors[i];
        uint64_t offset = ql_gguf_writer_offset(e->writer, i);
        QL_TRY(t->bytes ? copy_tensor(e, t, offset, err) : encode_tensor(e, t, offset, err));
    }
    if (e->n_broken)
        ql_log_line(&e->log, "%zu tensor%s NaN or infinite values: %s%s; quantllm verify shows all", e->n_broken,
                    e->n_broken == 1 ? " has" : "s have", e->broken, e->n_broken > 1 ? ", ..." : "");
    QL_TRY(ql_source_check_unchanged(e->source, err));
    int reason = ql_new_file_publish(&e->file);
    return reason ? say_reason(e, reason, ql_gguf_writer_file_bytes(e->writer), err) : QL_OK;
}

// ---- all of it ----

static ql_code open_source(exporting *e, const char *path, ql_error *err)
{
    const ql_model_options as_model = {.quantization = e->options->quantization};
    QL_TRY(ql_source_open(path, &e->source, err));
    for (size_t i = 0; ql_source_remark(e->source, i); i++)
        ql_log_line(&e->log, "%s", ql_source_remark(e->source, i));
    QL_TRY(ql_source_check_weights(e->source, err));
    QL_TRY(check_target(e, err));
    if (ql_source_kind_of(e->source) != QL_SOURCE_GGUF)
        return ql_fail(err, QL_E_UNSUPPORTED, "%s: only a GGUF file can be exported, this is a Hugging Face model",
                       ql_source_path(e->source));
    return ql_choose(e->source, &as_model, &e->log, &e->choice, err);
}

static ql_code run(exporting *e, const char *path, ql_error *err)
{
    if (e->options->threads < 0 || e->options->threads > 256)
        return ql_fail(err, QL_E_ARGUMENT, "threads must be 1 to 256, or 0 for all cores, got %d", e->options->threads);
    QL_TRY(open_source(e, path, err));
    if (e->choice.mix)
        QL_TRY(bind(e, err));
    QL_TRY(ql_out_plan(&e->out, e->source, e->config, &e->weights, e->choice.mix, &e->log, err));
    QL_TRY(prepare_encoder(e, err));
    QL_TRY(compose(e, err));
    QL_TRY(open_file(e, err));
    return write_all(e, err);
}

static void finish(exporting *e)
{
    ql_new_file_drop(&e->file);
    ql_buf_free(&e->header);
    ql_gguf_writer_free(e->writer);
    ql_out_encoder_free(&e->encoder);
    ql_pool_free(e->pool);
    ql_out_free(&e->out);
    ql_weights_free(&e->weights);
    ql_source_close(e->source);
    free(e->config);
    free(e->chunk);
}

ql_code ql_export_gguf(const char *path, const ql_export_options *options, const char *out, ql_export_result *result,
                       ql_error *err)
{
    static const ql_export_options defaults;
    exporting e = {.options = options ? options : &defaults, .path = out, .file = {.fd = -1}};
    e.log = (ql_logger){e.options->log, e.options->user};
    ql_code code = run(&e, path, err);
    if (code == QL_OK && result) {
        *result = (ql_export_result){.bytes = ql_gguf_writer_file_bytes(e.writer), .n_tensors = e.out.n,
                                     .n_encoded = e.out.n_encoded};
        snprintf(result->quantization, sizeof result->quantization, "%s", e.choice.name);
    }
    finish(&e);
    return code;
}
