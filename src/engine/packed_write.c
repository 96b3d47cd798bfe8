// SPDX-License-Identifier: MIT
// Owns the content of a packed file and its writing, on a thread of its own: generation begins while the file is written.
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/new_file.h"
#include "base/thread.h"
#include "engine/packed.h"
#include "format/gguf_write.h"
#include "model/bind.h"

// Bytes that go to one place in the file.
typedef struct piece {
    const void *data;
    uint64_t size, offset;
} piece;

struct ql_packed_writer {
    pthread_t thread;
    ql_new_file file;
    char *dir;
    const ql_source *source;
    ql_buf header, tokenizer;
    piece *pieces;          // [n_pieces] tensors, in their order in the file
    size_t n_pieces;
    uint64_t size;          // of the file
    uint64_t written;       // of it, in whole huge pages but for the end
    char *rest;             // [HUGE_PAGE] what comes next, n_rest bytes
    size_t n_rest;
    int reason;             // errno of what went wrong, 0
};

enum {
    ALIGNMENT = 64,      // of a tensor in the file
    HUGE_PAGE = 2 << 20, // of x86-64
};

// ---- content ----

// Tensors that rotations are read from stay as they are.
static bool is_rope_tensor(const ql_tensor *t) { return strncmp(t->name, "rope_", 5) == 0; }

static void declare_matrix(ql_gguf_writer *g, piece *p, const ql_bound *b)
{
    const ql_matrix *m = b->matrix;
    const uint64_t shape[2] = {m->n_cols, m->n_rows};
    *p = (piece){.data = m->panels, .size = (uint64_t)ql_n_panels(m) * m->panel_bytes};
    ql_gguf_put_tensor(g, b->name, QL_PACKED_TYPE + (uint32_t)m->dtype, 2, shape, p->size);
}

const char ql_packed_tokenizer[] = "quantllm.tokenizer";

// Only tokenizers of Hugging Face folders are worth it; others are read from their GGUF file as fast.
static void declare_tokenizer(ql_gguf_writer *g, ql_packed_writer *w, const ql_tokenizer *tokenizer)
{
    if (!tokenizer || ql_tokenizer_store(tokenizer, &w->tokenizer, NULL) != QL_OK)
        return;
    while (w->tokenizer.len % sizeof(float) && !w->tokenizer.failed)
        ql_buf_append_byte(&w->tokenizer, 0);
    if (w->tokenizer.failed)
        return;
    const uint64_t n = w->tokenizer.len / sizeof(float);
    w->pieces[w->n_pieces++] = (piece){.data = w->tokenizer.data, .size = w->tokenizer.len};
    ql_gguf_put_tensor(g, ql_packed_tokenizer, QL_F32, 1, &n, w->tokenizer.len);
}

static void declare_tensors(ql_gguf_writer *g, ql_packed_writer *w, const ql_packed_content *c)
{
    const ql_binding *binding = c->weights->binding;
    for (size_t i = 0; i < binding->n_matrices; i++)
        declare_matrix(g, &w->pieces[w->n_pieces++], &binding->matrices[i]);
    for (size_t i = 0; i < binding->n_vectors; i++) {
        const ql_bound_vector *v = &binding->vectors[i];
        w->pieces[w->n_pieces++] = (piece){.data = v->values, .size = v->n * sizeof(float)};
        ql_gguf_put_tensor(g, v->name, QL_F32, 1, &v->n, v->n * sizeof(float));
    }
    for (size_t i = 0; i < ql_source_n_tensors(c->source); i++) {
        const ql_tensor *t = ql_source_tensor_at(c->source, i);
        if (!is_rope_tensor(t))
            continue;
        w->pieces[w->n_pieces++] = (piece){.data = t->data, .size = t->size};
        ql_gguf_put_tensor(g, t->name, (uint32_t)t->dtype, t->n_dims, t->shape, t->size);
    }
    declare_tokenizer(g, w, c->tokenizer);
}

static void put_text(ql_gguf_writer *g, const char *key, const char *text)
{
    ql_gguf_put_str(g, key, (ql_str){text, strlen(text)});
}

static void put_labels(ql_gguf_writer *g, const ql_packed_place *place, const ql_packed_content *c)
{
    // The tokenizer is loaded from the source itself: its tables are most of a header.
    static const char *const except[] = {"tokenizer.ggml.tokens", "tokenizer.ggml.scores", "tokenizer.ggml.token_type",
                                         "tokenizer.ggml.merges", "tokenizer.chat_template", NULL};
    ql_gguf_put_keys_of(g, c->source, except);
    ql_gguf_put_seal(g);
    put_text(g, "quantllm.identity", place->identity);
    put_text(g, "quantllm.source_path", ql_source_path(c->source));
    put_text(g, "quantllm.name", c->name);
    put_text(g, "quantllm.quantization", c->quantization);
}

static ql_code compose(ql_packed_writer *w, const ql_packed_place *place, const ql_packed_content *c, ql_error *err)
{
    const ql_binding *binding = c->weights->binding;
    size_t n = binding->n_matrices + binding->n_vectors + ql_source_n_tensors(c->source) + 1; // the tokenizer
    if (!(w->pieces = calloc(n, sizeof *w->pieces)))
        return ql_fail_memory(err, n * sizeof *w->pieces);
    ql_gguf_writer *g = ql_gguf_writer_new(ALIGNMENT);
    put_labels(g, place, c);
    declare_tensors(g, w, c);
    ql_code code = ql_gguf_writer_finish(g, &w->header, err);
    for (size_t i = 0; code == QL_OK && i < w->n_pieces; i++)
        w->pieces[i].offset = ql_gguf_writer_offset(g, i);
    w->size = code == QL_OK ? ql_gguf_writer_file_bytes(g) : 0;
    ql_gguf_writer_free(g);
    return code;
}

// ---- writing ----

// The system keeps a file's pages as they were written: what came by whole huge pages can be mapped as such, in a tenth of the
// time that small ones take, and is read faster. So the file is written by multiples of them, whatever the tensors' sizes.

static void write_out(ql_packed_writer *w, const void *data, uint64_t size)
{
    if (!w->reason)
        w->reason = ql_new_file_put(&w->file, data, size, w->written);
    w->written += size; // bounded: by the file's size
}

static void write_rest(ql_packed_writer *w)
{
    write_out(w, w->rest, w->n_rest);
    w->n_rest = 0;
}

// Adds bytes at the end: those that make whole huge pages go out from where they are, others wait in w->rest.
static void put(ql_packed_writer *w, const char *data, uint64_t size)
{
    while (size && !w->reason) {
        uint64_t n = size - size % HUGE_PAGE;
        if (w->n_rest || !n) {
            n = size < HUGE_PAGE - w->n_rest ? size : HUGE_PAGE - w->n_rest;
            memcpy(w->rest + w->n_rest, data, n);
            w->n_rest += n;
            if (w->n_rest == HUGE_PAGE)
                write_rest(w);
        } else {
            write_out(w, data, n);
        }
        data += n;
        size -= n;
    }
}

static void put_zeros_up_to(ql_packed_writer *w, uint64_t offset)
{
    static const char zeros[ALIGNMENT];
    put(w, zeros, offset - w->written - w->n_rest);
}

static void *write_file(void *arg)
{
    ql_packed_writer *w = arg;
    put(w, w->header.data, w->header.len);
    for (size_t i = 0; i < w->n_pieces; i++) {
        put_zeros_up_to(w, w->pieces[i].offset);
        put(w, w->pieces[i].data, w->pieces[i].size);
    }
    put_zeros_up_to(w, w->size);
    write_rest(w);
    if (!w->reason && ql_source_check_unchanged(w->source, NULL) != QL_OK)
        w->reason = ESTALE;
    if (!w->reason)
        w->reason = ql_new_file_publish(&w->file);
    return NULL;
}

static void make_dirs(const char *dir)
{
    char *path = strdup(dir);
    for (char *c = path; c && *c; c++)
        if (*c == '/' && c > path) {
            *c = 0;
            mkdir(path, 0700);
            *c = '/';
        }
    if (path)
        mkdir(path, 0700);
    free(path);
}

static void destroy(ql_packed_writer *w)
{
    ql_new_file_drop(&w->file);
    ql_buf_free(&w->header);
    ql_buf_free(&w->tokenizer);
    free(w->rest);
    free(w->pieces);
    free(w->dir);
    free(w);
}

// Opens the file and reserves its room. An errno; EWOULDBLOCK: another process writes it or has written it.
static int open_part(ql_packed_writer *w)
{
    make_dirs(w->dir);
    int reason = ql_new_file_open(&w->file, 0600);
    if (!reason && access(w->file.path, F_OK) == 0)
        reason = EWOULDBLOCK;
    return reason ? reason : ql_new_file_reserve(&w->file, w->size);
}

static ql_packed_writer *new_writer(const ql_packed_place *place, const ql_source *source)
{
    ql_packed_writer *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    w->source = source;
    if (ql_new_file_name(&w->file, place->path, ql_packed_part_suffix) == 0 && (w->dir = strdup(place->dir)) &&
        (w->rest = malloc(HUGE_PAGE)))
        return w;
    destroy(w);
    return NULL;
}

ql_packed_writer *ql_packed_write(const ql_packed_place *place, const ql_packed_content *content, const ql_logger *log)
{
    ql_error wrong = {0};
    ql_packed_writer *w = new_writer(place, content->source);
    if (!w)
        return NULL;
    if (compose(w, place, content, &wrong) != QL_OK) {
        ql_log_line(log, "packed weights are not kept: %s", wrong.message);
    } else if (w->size > ql_packed_cap()) {
        ql_log_line(log, "packed weights are not kept: %.2f GiB, the cache holds %.2f (QUANTLLM_CACHE_SIZE)",
                    (double)w->size / (1 << 30), (double)ql_packed_cap() / (1 << 30));
    } else {
        ql_packed_trim(w->dir, ql_packed_cap() - w->size, w->file.path);
        int reason = open_part(w);
        if (!reason && !(reason = ql_thread_start(&w->thread, write_file, w)))
            return w;
        if (reason != EWOULDBLOCK)
            ql_log_line(log, "packed weights are not kept: %s: %s", w->file.part, strerror(reason));
    }
    destroy(w);
    return NULL;
}

void ql_packed_finish(ql_packed_writer *w, const ql_logger *log)
{
    if (!w)
        return;
    pthread_join(w->thread, NULL);
    if (w->reason)
        ql_log_line(log, "packed weights are not kept: %s: %s", w->file.part, strerror(w->reason));
    else
        ql_packed_trim(w->dir, ql_packed_cap(), w->file.path);
    destroy(w);
}
