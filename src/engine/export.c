// SPDX-License-Identifier: MIT
// ql_export_gguf: a model as one GGUF file, tensor by tensor. Must not know what tensors are for (model/out.h), nor how a
// file comes to be whole (base/new_file.h).
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/machine.h"
#include "base/new_file.h"
#include "base/utf8.h"
#include "engine/engine.h"
#include "format/gguf_write.h"
#include "model/out.h"
#include "text/tokenizer.h"

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
    ql_tokenizer *tokenizer;   // these two: of a folder
    char *name;
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

// /dev/stdout and its like: what they lead to may be a file, but a name beside it would take the link's place.
static bool is_descriptor(const char *path)
{
    static const char proc[] = {'/', 'p', 'r', 'o', 'c', '/'};
    char target[sizeof proc];
    return readlink(path, target, sizeof target) == sizeof proc && memcmp(target, proc, sizeof proc) == 0;
}

static ql_code name_file(exporting *e, ql_error *err)
{
    struct stat st;
    if (!*e->path)
        return ql_fail(err, QL_E_ARGUMENT, "out is empty: give the path of the file to write");
    if (ql_new_file_name(&e->file, e->path, ".quantllm-part") != 0)
        return ql_fail_memory(err, strlen(e->path) + 1);
    if (ql_source_has_file(e->source, e->path) || ql_source_has_file(e->source, e->file.part))
        return ql_fail(err, QL_E_ARGUMENT, "%s: is a file of the model itself, which is read while it is written: give "
                       "another path", ql_source_has_file(e->source, e->path) ? e->path : e->file.part);
    if ((stat(e->path, &st) == 0 && !S_ISREG(st.st_mode)) || is_descriptor(e->path)) // a device would be replaced
        return ql_fail(err, QL_E_ARGUMENT, "%s: is %s, expected the path of a file to write", e->path,
                       S_ISDIR(st.st_mode) ? "a directory" : "not a regular file");
    return QL_OK;
}

static double gib(uint64_t bytes) { return (double)bytes / (1 << 30); }

static ql_code say_reason(const exporting *e, int reason, uint64_t size, ql_error *err)
{
    if (reason == ENOMEM)
        return ql_fail_memory(err, size);
    if (!size && (reason == ENOENT || reason == ENOTDIR))
        return ql_fail(err, QL_E_NOT_FOUND, "%s: its folder is not there", e->path);
    if (reason == EWOULDBLOCK)
        return ql_fail(err, QL_E_IO, "%s: it is being written already", e->path);
    if (!size)
        return ql_fail(err, QL_E_IO, "%s: can not be written: %s", e->path, strerror(reason));
    return ql_fail(err, QL_E_IO, "%s: %s: wrote %.2f of %.2f GiB, the temporary file was removed", e->path, strerror(reason),
                   gib(e->done), gib(size));
}

static ql_code open_file(exporting *e, ql_error *err)
{
    uint64_t size = ql_gguf_writer_file_bytes(e->writer);
    int reason = ql_new_file_open(&e->file, 0666);
    if (reason)
        return say_reason(e, reason, 0, err);
    reason = ql_new_file_reserve(&e->file, size);
    return reason ? say_reason(e, reason, size, err) : QL_OK;
}

// ---- what is in it ----

static ql_code bind(exporting *e, ql_error *err)
{
    bool folder = ql_source_kind_of(e->source) == QL_SOURCE_HF;
    if (!(e->config = calloc(1, sizeof *e->config)))
        return ql_fail_memory(err, sizeof *e->config);
    QL_TRY(ql_config_read(e->source, e->config, err));
    QL_TRY(ql_weights_bind(e->source, e->config, e->config->context_length, &e->weights, err));
    if (!folder)
        return QL_OK;
    QL_TRY(ql_tokenizer_load(e->source, &e->tokenizer, err));
    QL_TRY(ql_check_vocabulary(e->source, e->tokenizer, e->config, err));
    QL_TRY(ql_tell_unused(e->source, e->config, e->config->context_length, &e->log, err));
    return ql_name_of_path(ql_source_path(e->source), &e->name, err);
}

static void put_types(exporting *e)
{
    const ql_mix *mix = e->choice.mix;
    ql_gguf_put_u32(e->writer, "general.file_type", (uint32_t)ql_mix_file_type(mix));
    if (ql_dtype_get(ql_mix_base(mix))->block > 1 || ql_source_has(e->source, "general.quantization_version"))
        ql_gguf_put_u32(e->writer, "general.quantization_version", 2); // of ggml: how blocks are laid out
}

static ql_code put_template(exporting *e, ql_error *err)
{
    ql_buf text = {0};
    ql_code code = ql_tokenizer_template(e->source, &text, err);
    if (code == QL_OK && text.len)
        ql_gguf_put_str(e->writer, "tokenizer.chat_template", (ql_str){text.data, text.len});
    ql_buf_free(&text);
    return code;
}

// A folder's name may be any bytes, a string of a GGUF file not.
static ql_code put_name(exporting *e, ql_error *err)
{
    ql_buf text = {0};
    size_t n = strlen(e->name);
    for (size_t at = 0; at < n;) {
        uint32_t cp;
        char out[4];
        int len = ql_utf8_decode(e->name + at, n - at, &cp);
        ql_buf_append(&text, out, (size_t)ql_utf8_encode(cp, out));
        at += (size_t)abs(len); // bounded: the name's length
    }
    ql_gguf_put_str(e->writer, "general.name", (ql_str){text.data, text.len});
    ql_code code = text.failed ? ql_fail_memory(err, n) : QL_OK;
    ql_buf_free(&text);
    return code;
}

static ql_code put_folder_keys(exporting *e, ql_error *err)
{
    ql_out_put_config(e->config, e->writer);
    QL_TRY(put_name(e, err));
    ql_code code = ql_tokenizer_put(e->tokenizer, e->config->n_vocab, e->writer, err);
    if (code != QL_OK)
        return ql_fail_prefix(err, code, "%s", ql_source_path(e->source));
    return put_template(e, err);
}

static ql_code put_keys(exporting *e, ql_error *err)
{
    static const char *const except[] = {"general.file_type", "general.quantization_version", NULL};
    if (e->tokenizer)
        QL_TRY(put_folder_keys(e, err));
    else
        ql_gguf_put_keys_of(e->writer, e->source, e->choice.mix ? except : NULL);
    if (e->choice.mix)
        put_types(e);
    return QL_OK;
}

static ql_code compose(exporting *e, ql_error *err)
{
    uint64_t alignment = 0;
    if (!e->tokenizer)
        QL_TRY(ql_source_get_u64(e->source, "general.alignment", false, 8, 65536, &alignment, err));
    e->writer = ql_gguf_writer_new((uint32_t)alignment);
    QL_TRY(put_keys(e, err));
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
        if (!e->tokenizer) // a folder's vectors are in no mapping, whose pages could be read again
            ql_file_release(bytes + at, n);
    }
    return QL_OK;
}

static uint64_t rows_of_chunk(const ql_out_tensor *t)
{
    uint64_t n = t->n_rows ? CHUNK_BYTES / (t->size / t->n_rows) : 0;
    return n ? n : 1;
}

// Gives back the source's pages of rows that were read; of reordered ones nearly those, which are read again then.
static void release(const ql_out_tensor *t, uint64_t first, uint64_t end)
{
    for (uint64_t part = first / t->part_rows; part <= (end - 1) / t->part_rows; part++) {
        const ql_rows *rows = &t->parts[part];
        uint64_t from = part * t->part_rows, n = end - from < t->part_rows ? end - from : t->part_rows; // bounded: its rows
        const uint8_t *begin = ql_rows_at(rows, first > from ? first - from : 0), *last = ql_rows_at(rows, n - 1);
        size_t row = ql_row_bytes(ql_dtype_get(rows->tensor->dtype), rows->tensor->shape[0]);
        ql_file_release(begin, (size_t)(last - begin) + row);
    }
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

// What was written breaks a rule of the reader: that is the model's fault, not of a file that nobody will see.
static ql_code unreadable(const exporting *e, ql_code code, ql_error *err)
{
    char reason[sizeof err->message] = "";
    size_t n = strlen(e->file.part);
    bool named = err && strncmp(err->message, e->file.part, n) == 0 && strncmp(err->message + n, ": ", 2) == 0;
    if (code != QL_E_FORMAT && code != QL_E_UNSUPPORTED)
        return code;
    if (err)
        snprintf(reason, sizeof reason, "%s", err->message + (named ? n + 2 : 0));
    return ql_fail(err, QL_E_UNSUPPORTED, "%s: a GGUF file has no form for it: %s", ql_source_path(e->source), reason);
}

static ql_code compare_config(exporting *e, const ql_source *written, ql_error *err)
{
    ql_weights weights = {0};
    ql_config *config = calloc(1, sizeof *config);
    ql_code code = config ? ql_config_read(written, config, err) : ql_fail_memory(err, sizeof *config);
    if (code == QL_OK)
        code = ql_weights_bind(written, config, config->context_length, &weights, err);
    if (code != QL_OK)
        code = unreadable(e, code, err);
    else
        code = ql_out_check_config(e->source, e->config, &e->weights, config, &weights, err);
    ql_weights_free(&weights);
    free(config);
    return code;
}

static ql_code compare_tokenizer(exporting *e, const ql_source *written, ql_error *err)
{
    ql_tokenizer *tokenizer = NULL;
    ql_code code = ql_tokenizer_load(written, &tokenizer, err);
    if (code != QL_OK)
        return unreadable(e, code, err);
    code = ql_tokenizer_check_same(e->tokenizer, tokenizer, err);
    ql_tokenizer_free(tokenizer);
    return code == QL_OK ? QL_OK : ql_fail_prefix(err, code, "%s", ql_source_path(e->source));
}

// A folder's file is read again as soon as all but its matrices is there: it must be the same model with the same tokenizer.
static ql_code compare_written(exporting *e, ql_error *err)
{
    ql_source *written = NULL;
    ql_code code = ql_source_open(e->file.part, &written, err);
    if (code != QL_OK)
        return unreadable(e, code, err);
    code = compare_config(e, written, err);
    if (code == QL_OK)
        code = compare_tokenizer(e, written, err);
    ql_source_close(written);
    return code;
}

static ql_code write_tensors(exporting *e, bool encoded, ql_error *err)
{
    for (size_t i = 0; i < e->out.n; i++) {
        const ql_out_tensor *t = &e->out.tensors[i];
        uint64_t offset = ql_gguf_writer_offset(e->writer, i);
        if (encoded == !t->bytes)
            QL_TRY(encoded ? encode_tensor(e, t, offset, err) : copy_tensor(e, t, offset, err));
    }
    return QL_OK;
}

static ql_code write_all(exporting *e, ql_error *err)
{
    QL_TRY(put(e, e->header.data, e->header.len, 0, err));
    QL_TRY(write_tensors(e, false, err));
    if (e->tokenizer)
        QL_TRY(compare_written(e, err));
    QL_TRY(write_tensors(e, true, err));
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
    QL_TRY(name_file(e, err));
    return ql_choose(e->source, &as_model, &e->log, &e->choice, err);
}

static ql_code run(exporting *e, const char *path, ql_error *err)
{
    if (e->options->threads < 0 || e->options->threads > 256)
        return ql_fail(err, QL_E_ARGUMENT, "threads must be 1 to 256, or 0 for all cores, got %d", e->options->threads);
    QL_TRY(open_source(e, path, err));
    if (e->choice.mix)
        QL_TRY(bind(e, err));
    QL_TRY((e->tokenizer ? ql_out_plan_hf : ql_out_plan)(&e->out, e->source, e->config, &e->weights, e->choice.mix, &e->log,
                                                         err));
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
    ql_tokenizer_free(e->tokenizer);
    ql_source_close(e->source);
    free(e->config);
    free(e->name);
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
