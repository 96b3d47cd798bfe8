// SPDX-License-Identifier: MIT
// ql_model: opens a file and brings up everything that sessions share. Must not know how text is generated.
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "engine/engine.h"
#include "model/arch.h"

enum { DEFAULT_MAX_LENGTH = 8192 };

double ql_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static ql_code copy_str(ql_str s, char **out, ql_error *err)
{
    *out = malloc(s.len + 1);
    if (!*out)
        return ql_fail_memory(err, s.len + 1);
    if (s.len)
        memcpy(*out, s.data, s.len);
    (*out)[s.len] = 0;
    return QL_OK;
}

static ql_code check_options(const ql_model_options *o, ql_error *err)
{
    if (o->threads < 0 || o->threads > 256)
        return ql_fail(err, QL_E_ARGUMENT, "threads must be 1 to 256, or 0 for all cores, got %d", o->threads);
    return QL_OK;
}

static ql_code choose_length(ql_model *m, const ql_model_options *o, ql_error *err)
{
    uint32_t context = m->config.context_length;
    m->max_length = context < DEFAULT_MAX_LENGTH ? context : DEFAULT_MAX_LENGTH;
    if (o->max_length > context)
        return ql_fail(err, QL_E_ARGUMENT, "max_length must be at most the model's context of %u, got %u", context,
                       o->max_length);
    if (o->max_length)
        m->max_length = o->max_length;
    return QL_OK;
}

// The type of most weights: what a file is called.
static ql_dtype main_dtype(const ql_source *source)
{
    uint64_t n_weights[QL_DTYPE_END] = {0};
    int best = QL_F32;
    for (size_t i = 0; i < ql_source_n_tensors(source); i++) {
        const ql_tensor *t = ql_source_tensor_at(source, i);
        n_weights[t->dtype] += t->size / ql_dtype_get(t->dtype)->block_bytes * ql_dtype_get(t->dtype)->block;
        best = n_weights[t->dtype] > n_weights[best] ? (int)t->dtype : best;
    }
    return (ql_dtype)best;
}

// Sets *f32 when the whole computation is to run in f32.
static ql_code choose_quantization(ql_model *m, const ql_model_options *o, bool *f32, ql_error *err)
{
    const char *stored = ql_dtype_get(main_dtype(m->source))->name;
    const char *asked = o->quantization ? o->quantization : "auto";
    *f32 = strcasecmp(asked, "F32") == 0;
    m->quantization = *f32 ? "F32" : stored;
    m->kv_type = *f32 ? QL_KV_F32 : QL_KV_Q8;
    if (*f32 || strcasecmp(asked, "auto") == 0 || strcasecmp(asked, stored) == 0)
        return QL_OK;
    return ql_fail(err, QL_E_UNSUPPORTED, "quantization \"%s\": this file holds %s; it can run as \"%s\" or as \"F32\"",
                   asked, stored, stored);
}

// A model that can not fit is refused with figures before anything is allocated.
static ql_code check_memory(const ql_model *m, bool f32, ql_error *err)
{
    uint64_t weights, cache = ql_cache_bytes(&m->config, m->kv_type, m->max_length);
    QL_TRY(ql_weights_measure(m->source, &m->config, f32, &weights, err));
    uint64_t available = ql_memory_available();
    double gib = 1.0 / (1 << 30);
    if (available && (weights > available || cache > available - weights))
        return ql_fail(err, QL_E_MEMORY,
                       "%s: needs %.2f GiB (weights %.2f + cache %.2f at max_length %u), %.2f GiB free: try a smaller "
                       "max_length or a smaller quantization",
                       ql_source_path(m->source), (double)(weights + cache) * gib, (double)weights * gib,
                       (double)cache * gib, m->max_length, (double)available * gib);
    return QL_OK;
}

static ql_code load_weights(ql_model *m, const ql_model_options *o, ql_error *err)
{
    bool f32;
    QL_TRY(choose_length(m, o, err));
    QL_TRY(choose_quantization(m, o, &f32, err));
    QL_TRY(check_memory(m, f32, err));
    const char *isa = getenv("QUANTLLM_ISA");
    m->kernels = ql_kernels_get(isa);
    if (!m->kernels)
        return ql_fail(err, QL_E_ARGUMENT, "QUANTLLM_ISA must be scalar, avx2 or avx512, got \"%s\"", isa);
    QL_TRY(ql_pool_new(&m->pool, o->threads ? o->threads : ql_default_threads(), err));
    QL_TRY(ql_weights_load(m->source, &m->config, f32, m->max_length, m->pool, o->progress, o->progress_user,
                           &m->weights, err));
    return ql_forward_new(&m->config, &m->weights, m->kernels, m->pool, m->kv_type, m->max_length, &m->forward, err);
}

static ql_code load_tokenizer(ql_model *m, ql_error *err)
{
    QL_TRY(ql_tokenizer_load(m->source, &m->tokenizer, err));
    uint32_t n = ql_tokenizer_n_vocab(m->tokenizer);
    if (n > m->config.n_vocab)
        return ql_fail(err, QL_E_FORMAT, "%s: tokenizer.ggml.tokens: %u tokens, token_embd.weight has %u rows",
                       ql_source_path(m->source), n, m->config.n_vocab);
    return QL_OK;
}

// A file's template that does not compile leaves a model that can still continue text; the caller's must compile.
static ql_code load_template(ql_model *m, const ql_model_options *o, ql_error *err)
{
    ql_str text = {0};
    if (o->chat_template)
        text = (ql_str){o->chat_template, strlen(o->chat_template)};
    else
        QL_TRY(ql_source_get_str(m->source, "tokenizer.chat_template", false, &text, err));
    if (!text.data)
        return QL_OK;
    QL_TRY(copy_str(text, &m->template_source, err));
    m->tmpl = ql_template_open(text.data, text.len, ql_tokenizer_bos_str(m->tokenizer),
                               ql_tokenizer_eos_str(m->tokenizer), &m->template_error);
    if (!m->tmpl && o->chat_template) {
        if (err)
            *err = m->template_error;
        return m->template_error.code;
    }
    return QL_OK;
}

static ql_code load(ql_model *m, const char *path, const ql_model_options *o, ql_error *err)
{
    double start = ql_clock();
    ql_str name = {0};
    QL_TRY(check_options(o, err));
    QL_TRY(ql_source_open(path, &m->source, err));
    QL_TRY(ql_config_read(m->source, &m->config, err));
    QL_TRY(load_tokenizer(m, err));
    QL_TRY(load_template(m, o, err));
    QL_TRY(ql_source_get_str(m->source, "general.name", false, &name, err));
    QL_TRY(copy_str(name, &m->name, err));
    QL_TRY(load_weights(m, o, err));
    m->load_seconds = ql_clock() - start;
    return QL_OK;
}

static void destroy(ql_model *m)
{
    ql_forward_free(m->forward);
    ql_weights_free(&m->weights);
    ql_pool_free(m->pool);
    ql_template_close(m->tmpl);
    ql_tokenizer_free(m->tokenizer);
    ql_source_close(m->source);
    pthread_mutex_destroy(&m->turn);
    free(m->template_source);
    free(m->name);
    free(m);
}

ql_model *ql_model_open(const char *path, const ql_model_options *options, ql_error *err)
{
    static const ql_model_options defaults;
    ql_model *m = calloc(1, sizeof *m);
    if (!m) {
        ql_fail_memory(err, sizeof *m);
        return NULL;
    }
    atomic_init(&m->references, 1);
    pthread_mutex_init(&m->turn, NULL);
    if (load(m, path, options ? options : &defaults, err) != QL_OK) {
        destroy(m);
        return NULL;
    }
    return m;
}

void ql_model_retain(ql_model *model) { atomic_fetch_add(&model->references, 1); }

void ql_model_close(ql_model *model)
{
    if (model && atomic_fetch_sub(&model->references, 1) == 1)
        destroy(model);
}

void ql_model_get_info(const ql_model *m, ql_model_info *info)
{
    *info = (ql_model_info){
        .architecture = m->config.arch->name,
        .name = m->name,
        .file_type = ql_dtype_get(main_dtype(m->source))->name,
        .quantization = m->quantization,
        .isa = m->kernels->name,
        .chat_template = m->template_source,
        .n_params = m->weights.n_params,
        .file_bytes = ql_source_file_bytes(m->source),
        .weight_bytes = m->weights.arena.size,
        .kv_bytes = ql_cache_bytes(&m->config, m->kv_type, m->max_length),
        .bytes_per_token = m->weights.bytes_per_token,
        .load_seconds = m->load_seconds,
        .n_vocab = m->config.n_vocab,
        .n_layers = m->config.n_layers,
        .n_embd = m->config.n_embd,
        .context_length = m->config.context_length,
        .max_length = m->max_length,
        .threads = ql_pool_size(m->pool),
    };
}

const ql_tokenizer *ql_model_tokenizer(const ql_model *model) { return model->tokenizer; }

// ---- chat ----

static ql_code render(const ql_model *m, const ql_render *request, ql_buf *text, ql_buf *origin, ql_error *err)
{
    if (m->tmpl)
        return ql_template_render_buf(m->tmpl, request, text, origin, err);
    if (!m->template_source)
        return ql_fail(err, QL_E_NO_TEMPLATE,
                       "this model has no chat template: give one with turbo(chat_template=...) or --chat-template "
                       "FILE, or continue text with generate");
    if (err)
        *err = m->template_error;
    return m->template_error.code;
}

ql_code ql_model_render(const ql_model *model, const ql_render *request, char **text, size_t *len, ql_error *err)
{
    ql_buf out = {0};
    ql_code code = render(model, request, &out, NULL, err);
    if (code == QL_OK)
        return ql_buf_take(&out, text, len, err);
    ql_buf_free(&out);
    return code;
}

ql_code ql_model_render_ids(const ql_model *model, const ql_render *request, int32_t **ids, size_t *n_ids,
                            ql_error *err)
{
    ql_buf text = {0}, origin = {0};
    ql_ids out = {0};
    ql_code code = render(model, request, &text, &origin, err);
    // The template writes the special tokens it wants itself: none are added (as transformers' apply_chat_template).
    if (code == QL_OK)
        code = ql_tokenizer_encode(model->tokenizer, text.data ? text.data : "", text.len,
                                   (const uint8_t *)origin.data, QL_PARSE_SPECIAL, &out, err);
    ql_buf_free(&text);
    ql_buf_free(&origin);
    if (code != QL_OK) {
        ql_ids_free(&out);
        return code;
    }
    *ids = out.data;
    *n_ids = out.n;
    return QL_OK;
}
