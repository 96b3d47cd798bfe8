// SPDX-License-Identifier: MIT
// ql_model: opens a file and brings up everything that sessions share. Must not know how text is generated.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/draft.h"
#include "engine/engine.h"
#include "model/arch.h"
#include "model/mix.h"

enum { DEFAULT_MAX_LENGTH = 8192 };

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
    if (ql_config_rope_by_length(&m->config)) {
        uint32_t original = m->config.rope[QL_ROPE_GLOBAL].original_context_length;
        m->max_length = original && original < context ? original : context;
    }
    if (o->max_length > context)
        return ql_fail(err, QL_E_ARGUMENT, "max_length must be at most the model's context of %u, got %u", context,
                       o->max_length);
    if (o->max_length)
        m->max_length = o->max_length;
    return QL_OK;
}

// ---- memory ----

// The longest context, in whole powers of two, with which the weights as they are and a cache fit; 0: none does.
static uint32_t length_that_fits(const ql_model *m, uint64_t weights, uint64_t available)
{
    uint32_t length = 1u << 31;
    while (length >= m->max_length)
        length /= 2;
    for (; length >= 256; length /= 2)
        if (weights <= available && ql_cache_bytes(&m->config, m->kv_type, length) <= available - weights)
            return length;
    return 0;
}

// The name of the largest quantization below `choice` with which weights and cache fit; NULL: none does.
static const char *what_fits(const ql_model *m, uint64_t cache, uint64_t available)
{
    const ql_mix *mix = m->choice.mix ? m->choice.mix : ql_mix_find(m->choice.name);
    while (mix && (mix = ql_mix_smaller(mix))) {
        uint64_t bytes = ql_weights_bytes(&m->weights, &m->config, mix);
        if (bytes <= available && cache <= available - bytes)
            return ql_mix_name(mix);
    }
    return NULL;
}

// What to do about a model that does not fit.
static void advise(const ql_model *m, uint64_t cache, uint64_t available, char *text, size_t size)
{
    const char *smaller = what_fits(m, cache, available), *short_too = what_fits(m, 0, available);
    uint32_t length = length_that_fits(m, ql_weights_bytes(&m->weights, &m->config, m->choice.mix), available);
    if (smaller && length)
        snprintf(text, size, "try max_length %u or quantization %s", length, smaller);
    else if (smaller)
        snprintf(text, size, "try quantization %s", smaller);
    else if (length)
        snprintf(text, size, "try max_length %u", length);
    else if (short_too)
        snprintf(text, size, "try quantization %s with a smaller max_length", short_too);
    else
        snprintf(text, size, "no quantization would fit, take a smaller model");
}

// A model that can not fit is refused with figures before anything big is allocated.
static ql_code check_memory(const ql_model *m, ql_error *err)
{
    uint64_t weights = ql_weights_bytes(&m->weights, &m->config, m->choice.mix);
    uint64_t cache = ql_cache_bytes(&m->config, m->kv_type, m->max_length), available = ql_memory_available();
    double gib = 1.0 / (1 << 30);
    if (!available || (weights <= available && cache <= available - weights))
        return QL_OK;
    char advice[96];
    advise(m, cache, available, advice, sizeof advice);
    return ql_fail(err, QL_E_MEMORY,
                   "%s: needs %.2f GiB (%s weights %.2f + cache %.2f at max_length %u), %.2f GiB free: %s",
                   ql_source_path(m->source), (double)(weights + cache) * gib, m->choice.name, (double)weights * gib,
                   (double)cache * gib, m->max_length, (double)available * gib, advice);
}

// ---- weights ----

static void close_packed(ql_model *m)
{
    ql_packed_pages_end(m->pages);
    m->pages = NULL;
    ql_source_close(m->packed);
    m->packed = NULL;
}

// Binds what stands in the packed cache; false when there is nothing. Nothing wrong with a packed file is worth a failure.
static bool load_packed(ql_model *m, const ql_logger *log)
{
    ql_error wrong = {0};
    if (!m->packed)
        return false;
    ql_code code = ql_weights_bind(m->packed, &m->config, m->max_length, &m->weights, &wrong);
    if (code == QL_OK)
        code = ql_weights_map(&m->weights, &m->config, &wrong);
    if (code == QL_OK)
        return true;
    ql_log_line(log, "the packed file is not used: %s", wrong.message);
    ql_weights_free(&m->weights);
    close_packed(m);
    return false;
}

// From this size on a second copy on the disk is worth it: SmolLM2's 94 MB begin three times as soon. Below, packing takes
// some 20 ms.
static const uint64_t worth_keeping = 32 << 20;

// Told on every start, from the cache too: what the model lacks without them can not be seen in its answers.
ql_code ql_tell_unused(const ql_source *source, const ql_config *config, uint32_t max_length, const ql_logger *log,
                       ql_error *err)
{
    const char *first;
    size_t n;
    QL_TRY(ql_weights_unused(source, config, max_length, &n, &first, err));
    if (n)
        ql_log_line(log, "%s: %zu tensor%s no place in this architecture and %s not used: %s%s", ql_source_path(source),
                    n, n == 1 ? " has" : "s have", n == 1 ? "is" : "are", first, n == 1 ? "" : ", ...");
    return QL_OK;
}

static ql_code load_source(ql_model *m, const ql_model_options *o, const ql_logger *log, ql_error *err)
{
    QL_TRY(ql_weights_bind(m->source, &m->config, m->max_length, &m->weights, err));
    QL_TRY(check_memory(m, err));
    ql_pack_options pack = {.mix = m->choice.mix, .kernels = m->kernels, .pool = m->pool, .progress = o->progress,
                            .progress_user = o->progress_user, .log = *log};
    QL_TRY(ql_weights_pack(&m->weights, &m->config, &pack, err));
    if (m->place.path && (m->choice.mix || m->weights.panels.size >= worth_keeping)) {
        ql_packed_content content = {.source = m->source, .weights = &m->weights, .tokenizer = m->tokenizer,
                                     .name = m->name, .quantization = m->choice.name};
        m->writer = ql_packed_write(&m->place, &content, log);
    }
    return QL_OK;
}

// What the model will be: its length, type and kernels; and where its packed file is, whose pages are on their way from
// here on.
static ql_code prepare(ql_model *m, const ql_model_options *o, const ql_logger *log, ql_error *err)
{
    QL_TRY(choose_length(m, o, err));
    QL_TRY(ql_choose(m->source, o, log, &m->choice, err));
    QL_TRY(ql_choose_kv(&m->choice, o->kv_cache, m->config.arch->kv_type, &m->kv_type, err));
    const char *isa = getenv("QUANTLLM_ISA");
    m->kernels = ql_kernels_get(isa);
    if (!m->kernels)
        return ql_fail(err, QL_E_ARGUMENT, "QUANTLLM_ISA must be scalar, avx2 or avx512, got \"%s\"", isa);
    if (!o->inspect && !o->no_cache && !m->choice.reference)
        QL_TRY(ql_packed_locate(m->source, m->name, m->choice.name, &m->place, err));
    m->packed = ql_packed_open(&m->place);
    m->pages = m->packed ? ql_packed_pages_start(m->packed) : NULL;
    return QL_OK;
}

static ql_code load_weights(ql_model *m, const ql_model_options *o, const ql_logger *log, ql_error *err)
{
    QL_TRY(ql_pool_new(&m->pool, o->inspect ? 1 : o->threads ? o->threads : ql_default_threads(), err));
    QL_TRY(o->inspect ? ql_weights_bind(m->source, &m->config, m->max_length, &m->weights, err)
           : load_packed(m, log) ? QL_OK : load_source(m, o, log, err));
    return ql_tell_unused(m->source, &m->config, m->max_length, log, err);
}

ql_code ql_check_vocabulary(const ql_source *source, const ql_tokenizer *tokenizer, const ql_config *config, ql_error *err)
{
    uint32_t n = ql_tokenizer_n_vocab(tokenizer);
    if (n > config->n_vocab)
        return ql_fail(err, QL_E_FORMAT, "%s: the tokenizer has %u tokens, the embedding %u rows", ql_source_path(source), n,
                       config->n_vocab);
    return QL_OK;
}

// As the packed file keeps it, when that is open already and has it.
static ql_code load_tokenizer(ql_model *m, ql_error *err)
{
    const ql_tensor *kept = m->packed ? ql_source_tensor(m->packed, ql_packed_tokenizer) : NULL;
    if (!kept || ql_tokenizer_load_stored(m->source, kept->data, kept->size, &m->tokenizer, NULL) != QL_OK)
        QL_TRY(ql_tokenizer_load(m->source, &m->tokenizer, err));
    return ql_check_vocabulary(m->source, m->tokenizer, &m->config, err);
}

static ql_code compile_template(ql_model *m, size_t len, ql_error *err)
{
    m->tmpl = ql_template_open(m->template_source, len, ql_tokenizer_bos_str(m->tokenizer),
                               ql_tokenizer_eos_str(m->tokenizer), err);
    if (m->tmpl && ql_template_probe(m->tmpl, err) != QL_OK) {
        ql_template_close(m->tmpl);
        m->tmpl = NULL;
    }
    return m->tmpl ? QL_OK : m->template_error.code;
}

// A file's template that does not compile, or passes a limit with the shortest chat, is told and leaves a model that can
// still continue text; the caller's must work.
static ql_code load_template(ql_model *m, const ql_model_options *o, const ql_logger *log, ql_error *err)
{
    ql_buf text = {0};
    size_t len;
    if (o->chat_template)
        ql_buf_append_str(&text, o->chat_template);
    else
        QL_TRY(ql_tokenizer_template(m->source, &text, err));
    if (!text.len && !text.failed && !o->chat_template) {
        ql_buf_free(&text);
        return QL_OK;
    }
    QL_TRY(ql_buf_take(&text, &m->template_source, &len, err));
    if (compile_template(m, len, &m->template_error) == QL_OK)
        return QL_OK;
    if (o->chat_template) {
        if (err)
            *err = m->template_error;
        return m->template_error.code;
    }
    ql_log_line(log, "%s: chat is off, text can be continued: %s", ql_source_path(m->source), m->template_error.message);
    return QL_OK;
}

static bool is_dots(const char *name, size_t n) { return n && n <= 2 && strspn(name, ".") >= n; }

ql_code ql_name_of_path(const char *path, char **name, ql_error *err)
{
    const char *in_hub = strstr(path, "models--"), *last = path, *end = path + strlen(path);
    ql_buf buf = {0};
    size_t len;
    if (in_hub && strstr(in_hub, "/snapshots/")) {
        for (const char *c = in_hub + 8; *c != '/'; c++) {
            bool dashes = c[0] == '-' && c[1] == '-';
            ql_buf_append_byte(&buf, dashes ? '/' : *c);
            c += dashes;
        }
        return ql_buf_take(&buf, name, &len, err);
    }
    while (end > path + 1 && end[-1] == '/')
        end--;
    for (const char *c = path; c < end; c++)
        if (*c == '/' && c + 1 < end)
            last = c + 1;
    char *real = is_dots(last, (size_t)(end - last)) ? realpath(path, NULL) : NULL; // ".", "..": no name
    if (real) {
        ql_code code = ql_name_of_path(real, name, err);
        free(real);
        return code;
    }
    ql_buf_append(&buf, last, (size_t)(end - last));
    return ql_buf_take(&buf, name, &len, err);
}

static ql_code load_name(ql_model *m, const char *path, ql_error *err)
{
    ql_str name = {0};
    if (ql_source_kind_of(m->source) == QL_SOURCE_HF)
        return ql_name_of_path(path, &m->name, err);
    QL_TRY(ql_source_get_str(m->source, "general.name", false, &name, err));
    return copy_str(name, &m->name, err);
}

static ql_code load(ql_model *m, const char *path, const ql_model_options *o, ql_error *err)
{
    double start = ql_clock();
    ql_logger log = {o->log, o->log_user};
    QL_TRY(check_options(o, err));
    QL_TRY(ql_source_open(path, &m->source, err));
    for (size_t i = 0; ql_source_remark(m->source, i); i++)
        ql_log_line(&log, "%s", ql_source_remark(m->source, i));
    QL_TRY(ql_source_check_weights(m->source, err));
    QL_TRY(ql_config_read(m->source, &m->config, err));
    QL_TRY(load_name(m, path, err));
    QL_TRY(prepare(m, o, &log, err));
    QL_TRY(load_tokenizer(m, err));
    if (m->draft)
        QL_TRY(ql_draft_check(m, m->draft, err));
    QL_TRY(load_weights(m, o, &log, err));
    QL_TRY(load_template(m, o, &log, err));
    ql_defaults_read(ql_source_document(m->source, "generation_config.json"), &m->defaults, &log);
    if (!o->inspect)
        QL_TRY(ql_forward_new(&m->config, &m->weights, m->kernels, m->pool, m->kv_type, m->max_length, &m->forward, err));
    m->load_seconds = ql_clock() - start;
    return QL_OK;
}

static void destroy(ql_model *m)
{
    static const ql_logger nobody;
    ql_packed_finish(m->writer, &nobody);
    ql_forward_free(m->forward);
    ql_weights_free(&m->weights);
    ql_pool_free(m->pool);
    ql_template_close(m->tmpl);
    ql_tokenizer_free(m->tokenizer);
    close_packed(m);
    ql_source_close(m->source);
    ql_packed_place_free(&m->place);
    ql_model_close(m->draft);
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
    if (options && options->draft) {
        m->draft = options->draft;
        ql_model_retain(m->draft);
    }
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
        .architecture = m->config.arch->names[ql_source_kind_of(m->source)],
        .name = m->name,
        .file_type = ql_dtype_get(ql_main_dtype(m->source))->name,
        .quantization = m->choice.name,
        .kv_cache = ql_kv_names[m->kv_type],
        .isa = m->kernels->name,
        .chat_template = m->template_source,
        .n_params = ql_n_params(m->source),
        .file_bytes = ql_source_file_bytes(m->source),
        .weight_bytes = m->forward ? ql_weights_packed_bytes(&m->weights)
                                   : ql_weights_bytes(&m->weights, &m->config, m->choice.mix),
        .kv_bytes = ql_cache_bytes(&m->config, m->kv_type, m->max_length),
        .bytes_per_token = m->weights.bytes_per_token,
        .load_seconds = m->load_seconds,
        .from_cache = m->packed != NULL,
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

ql_code ql_model_check_template(const ql_model *model, ql_error *err)
{
    if (model->tmpl)
        return QL_OK;
    if (!model->template_source)
        return ql_fail(err, QL_E_NO_TEMPLATE,
                       "this model has no chat template: give one with turbo(chat_template=...) or --chat-template "
                       "FILE, or continue text with generate");
    if (err)
        *err = model->template_error;
    return model->template_error.code;
}

static ql_code render(const ql_model *m, const ql_render *request, ql_buf *text, ql_buf *origin, ql_error *err)
{
    QL_TRY(ql_model_check_template(m, err));
    return ql_template_render_chat(m->tmpl, request, text, origin, err);
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
