// SPDX-License-Identifier: MIT
// Reads tokenizer.json of the families whose rules are known here: byte-level BPE with a published pre-tokenizer, and
// SentencePiece-style BPE with byte fallback. Anything else is refused by name.
//
// Its decision: what the file says is written as GGUF's tokenizer keys and loaded like those of a GGUF file: one loader,
// one set of checks, and the same ids from both kinds of files.
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "format/gguf_write.h"
#include "text/tokenizer_impl.h"

typedef struct reader {
    const ql_source *source;
    json_t *root, *config, *generation; // tokenizer.json, tokenizer_config.json, generation_config.json; the last two or NULL
    const json_t *model;
    ql_gguf_writer *out;
    ql_str *tokens;     // [n]
    int32_t *types;     // [n]
    char *names;        // of ids without a token
    size_t n;
    bool spm;
    ql_error *err;
} reader;

#define REFUSE(r, ...) \
    (ql_fail((r)->err, QL_E_UNSUPPORTED, __VA_ARGS__), \
     ql_fail_prefix((r)->err, QL_E_UNSUPPORTED, "%s: tokenizer.json", ql_source_path((r)->source)))
#define WRONG(r, ...) \
    (ql_fail((r)->err, QL_E_FORMAT, __VA_ARGS__), \
     ql_fail_prefix((r)->err, QL_E_FORMAT, "%s: tokenizer.json", ql_source_path((r)->source)))

static ql_str str_of(const json_t *value)
{
    return (ql_str){json_string_value(value), json_string_length(value)};
}

static const char *type_of(const json_t *component)
{
    const char *type = json_string_value(json_object_get(component, "type"));
    return type ? type : "";
}

static bool is_type(const json_t *component, const char *type) { return strcmp(type_of(component), type) == 0; }

static bool is_true(const json_t *object, const char *key) { return json_is_true(json_object_get(object, key)); }

static bool is_text(const json_t *object, const char *key, const char *text)
{
    const char *value = json_string_value(json_object_get(object, key));
    return value && strcmp(value, text) == 0;
}

// ---- vocabulary ----

static ql_code put_token(reader *r, const json_t *id, ql_str text, int32_t type)
{
    if (!json_is_integer(id) || json_integer_value(id) < 0 || (size_t)json_integer_value(id) >= r->n)
        return WRONG(r, "token \"%.*s\": its id is no integer from 0 to %zu", (int)(text.len < 64 ? text.len : 64), text.data,
                     r->n - 1);
    r->tokens[json_integer_value(id)] = text;
    r->types[json_integer_value(id)] = type;
    return QL_OK;
}

static ql_code put_added(reader *r, const json_t *added)
{
    size_t i;
    json_t *token;
    json_array_foreach(added, i, token) {
        const json_t *content = json_object_get(token, "content");
        if (!json_is_string(content))
            return WRONG(r, "added_tokens[%zu]: content is no string", i);
        if (is_true(token, "lstrip") || is_true(token, "rstrip") || is_true(token, "single_word"))
            return REFUSE(r, "added token \"%s\": lstrip, rstrip and single_word are not supported yet",
                          json_string_value(content));
        QL_TRY(put_token(r, json_object_get(token, "id"), str_of(content),
                         is_true(token, "special") ? QL_TOKEN_CONTROL : QL_TOKEN_USER_DEFINED));
    }
    return QL_OK;
}

// Ids that no token has: names nobody can type, since a vocabulary has no holes.
static ql_code fill_holes(reader *r)
{
    size_t n_holes = 0, at = 0, size;
    for (size_t i = 0; i < r->n; i++)
        n_holes += !r->tokens[i].data;
    size = n_holes * 32 + 1;
    if (!(r->names = malloc(size)))
        return ql_fail_memory(r->err, size);
    for (size_t i = 0; i < r->n; i++)
        if (!r->tokens[i].data) {
            int len = snprintf(r->names + at, size - at, "[no token %zu]", i);
            r->tokens[i] = (ql_str){r->names + at, (size_t)len};
            r->types[i] = QL_TOKEN_UNUSED;
            at += (size_t)len;
        }
    return QL_OK;
}

static int32_t normal_type(const reader *r, ql_str text)
{
    bool byte = r->spm && text.len == 6 && memcmp(text.data, "<0x", 3) == 0 && text.data[5] == '>';
    const json_t *unk = json_object_get(r->model, "unk_token");
    if (r->spm && json_is_string(unk) && json_string_length(unk) == text.len &&
        memcmp(json_string_value(unk), text.data, text.len) == 0)
        return QL_TOKEN_UNKNOWN;
    return byte ? QL_TOKEN_BYTE : QL_TOKEN_NORMAL;
}

static size_t count_ids(const json_t *vocab, const json_t *added)
{
    json_int_t last = -1;
    const char *text;
    json_t *id, *token;
    size_t i;
    json_object_foreach((json_t *)vocab, text, id)
        last = json_integer_value(id) > last ? json_integer_value(id) : last;
    json_array_foreach(added, i, token) {
        json_int_t value = json_integer_value(json_object_get(token, "id"));
        last = value > last ? value : last;
    }
    return last < 0 || last >= 1 << 24 ? 0 : (size_t)last + 1;
}

static ql_code read_vocab(reader *r)
{
    const json_t *vocab = json_object_get(r->model, "vocab"), *added = json_object_get(r->root, "added_tokens");
    const char *text;
    json_t *id;
    if (!json_is_object(vocab))
        return WRONG(r, "model.vocab is missing or no object");
    if (!(r->n = count_ids(vocab, added)))
        return WRONG(r, "model.vocab: ids from 0 to %d are allowed", (1 << 24) - 1);
    r->tokens = calloc(r->n, sizeof *r->tokens);
    r->types = calloc(r->n, sizeof *r->types);
    if (!r->tokens || !r->types)
        return ql_fail_memory(r->err, r->n * sizeof *r->tokens);
    json_object_foreach((json_t *)vocab, text, id) {
        ql_str s = {text, strlen(text)};
        QL_TRY(put_token(r, id, s, normal_type(r, s)));
    }
    QL_TRY(put_added(r, added));
    QL_TRY(fill_holes(r));
    // The unknown token is an added one, too.
    for (size_t i = 0; i < r->n && r->spm; i++)
        if (normal_type(r, r->tokens[i]) == QL_TOKEN_UNKNOWN)
            r->types[i] = QL_TOKEN_UNKNOWN;
    ql_gguf_put_strs(r->out, "tokenizer.ggml.tokens", r->tokens, r->n);
    ql_gguf_put_i32s(r->out, "tokenizer.ggml.token_type", r->types, r->n);
    return QL_OK;
}

// ---- merges ----

// "left right"; newer files have pairs. NUL-terminated into buf.
static ql_code merge_text(reader *r, const json_t *merge, size_t i, ql_buf *buf)
{
    ql_buf_clear(buf);
    const char *left = json_string_value(json_array_get(merge, 0)), *right = json_string_value(json_array_get(merge, 1));
    if (json_is_string(merge))
        ql_buf_append(buf, json_string_value(merge), json_string_length(merge));
    else if (left && right && json_array_size(merge) == 2)
        ql_buf_printf(buf, "%s %s", left, right);
    else
        return WRONG(r, "model.merges[%zu] is no pair of tokens", i);
    return buf->failed ? ql_fail_memory(r->err, buf->cap) : QL_OK;
}

static ql_code put_merges(reader *r, const json_t *merges, size_t n)
{
    ql_str *items = calloc(n + 1, sizeof *items);
    char **owned = calloc(n + 1, sizeof *owned);
    ql_code code = items && owned ? QL_OK : ql_fail_memory(r->err, n * sizeof *items);
    for (size_t i = 0; i < n && code == QL_OK; i++) {
        ql_buf buf = {0};
        code = merge_text(r, json_array_get(merges, i), i, &buf);
        if (code == QL_OK)
            code = ql_buf_take(&buf, &owned[i], &items[i].len, r->err);
        ql_buf_free(&buf);
        items[i].data = owned[i];
    }
    if (code == QL_OK)
        ql_gguf_put_strs(r->out, "tokenizer.ggml.merges", items, n);
    for (size_t i = 0; owned && i < n; i++)
        free(owned[i]);
    free(owned);
    free(items);
    return code;
}

// SentencePiece's order: a token's score is the place of its first merge.
static ql_code put_scores(reader *r, const json_t *merges, size_t n)
{
    const json_t *vocab = json_object_get(r->model, "vocab");
    float *scores = calloc(r->n + 1, sizeof *scores);
    ql_buf buf = {0};
    ql_code code = scores ? QL_OK : ql_fail_memory(r->err, r->n * sizeof *scores);
    for (size_t i = n; i-- > 0 && code == QL_OK;) {
        code = merge_text(r, json_array_get(merges, i), i, &buf);
        char *space = code == QL_OK ? strchr(buf.data, ' ') : NULL;
        if (!space)
            continue;
        memmove(space, space + 1, strlen(space));
        const json_t *id = json_object_get(vocab, buf.data);
        if (json_is_integer(id))
            scores[json_integer_value(id)] = -(float)i - 1;
        else
            code = WRONG(r, "model.merges[%zu]: \"%s\" is no token", i, buf.data);
    }
    if (code == QL_OK)
        ql_gguf_put_f32s(r->out, "tokenizer.ggml.scores", scores, r->n);
    ql_buf_free(&buf);
    free(scores);
    return code;
}

static ql_code read_merges(reader *r)
{
    const json_t *merges = json_object_get(r->model, "merges");
    if (!json_is_array(merges))
        return WRONG(r, "model.merges is missing or no array");
    return r->spm ? put_scores(r, merges, json_array_size(merges)) : put_merges(r, merges, json_array_size(merges));
}

// ---- rules ----

#define WORDS "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|"
#define REST "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

static bool is_byte_level(const json_t *c, bool regex)
{
    return is_type(c, "ByteLevel") && !is_true(c, "add_prefix_space") &&
           (json_is_false(json_object_get(c, "use_regex")) ? !regex : regex);
}

static bool is_split(const json_t *c, const char *pattern)
{
    const json_t *p = json_object_get(c, "pattern");
    return is_type(c, "Split") && is_text(p, "Regex", pattern) && is_text(c, "behavior", "Isolated") && !is_true(c, "invert");
}

// The name of the rule that does what the pre-tokenizer (and NFC in front of it) does; NULL: there is none.
static const char *rule_of(const json_t *pre, bool nfc, bool ignore_merges)
{
    const json_t *list = json_object_get(pre, "pretokenizers");
    const json_t *a = json_array_get(list, 0), *b = json_array_get(list, 1);
    bool two = is_type(pre, "Sequence") && json_array_size(list) == 2;
    if (is_byte_level(pre, true) && !ignore_merges)
        return nfc ? "mpt" : "gpt-2";
    if (two && is_type(a, "Digits") && is_true(a, "individual_digits") && is_byte_level(b, true) && !nfc && !ignore_merges)
        return "smollm";
    if (two && is_split(a, WORDS "\\p{N}{1,3}" REST) && is_byte_level(b, false) && !nfc)
        return ignore_merges ? "llama-bpe" : "dbrx";
    if (two && is_split(a, WORDS "\\p{N}" REST) && is_byte_level(b, false) && !ignore_merges)
        return nfc ? "qwen2" : "deepseek-r1-qwen";
    return NULL;
}

static bool is_space_replace(const json_t *c)
{
    return is_type(c, "Replace") && is_text(json_object_get(c, "pattern"), "String", " ") &&
           is_text(c, "content", "\xe2\x96\x81");
}

// SentencePiece: spaces become U+2581, one in front of the text. false: something else.
static bool spm_prefix(const json_t *normalizer, const json_t *pre, bool *prefix)
{
    const json_t *list = json_object_get(normalizer, "normalizers");
    const json_t *a = json_array_get(list, 0), *b = json_array_get(list, 1);
    *prefix = true;
    if (is_type(normalizer, "Sequence") && json_array_size(list) == 2 && is_type(a, "Prepend") &&
        is_text(a, "prepend", "\xe2\x96\x81") && is_space_replace(b))
        return !json_is_object(pre);
    return false;
}

static ql_code read_rules(reader *r)
{
    const json_t *normalizer = json_object_get(r->root, "normalizer"), *pre = json_object_get(r->root, "pre_tokenizer");
    bool prefix;
    if (r->spm) {
        if (!spm_prefix(normalizer, pre, &prefix))
            return REFUSE(r, "normalizer \"%s\" with pre_tokenizer \"%s\" and byte_fallback is not supported yet",
                          type_of(normalizer), type_of(pre));
        ql_gguf_put_str(r->out, "tokenizer.ggml.model", (ql_str){"llama", 5});
        ql_gguf_put_bool(r->out, "tokenizer.ggml.add_space_prefix", prefix);
        return QL_OK;
    }
    bool nfc = is_type(normalizer, "NFC");
    if (json_is_object(normalizer) && !nfc)
        return REFUSE(r, "normalizer \"%s\" is not supported yet", type_of(normalizer));
    const char *rule = rule_of(pre, nfc, is_true(r->model, "ignore_merges"));
    if (!rule)
        return REFUSE(r, "pre_tokenizer \"%s\" with these patterns is not supported yet", type_of(pre));
    ql_gguf_put_str(r->out, "tokenizer.ggml.model", (ql_str){"gpt2", 4});
    ql_gguf_put_str(r->out, "tokenizer.ggml.pre", (ql_str){rule, strlen(rule)});
    return QL_OK;
}

// ---- ids ----

// -1: none.
static int64_t id_of(const reader *r, const char *text)
{
    for (size_t i = 0; text && i < r->n; i++)
        if (r->tokens[i].len == strlen(text) && memcmp(r->tokens[i].data, text, r->tokens[i].len) == 0)
            return (int64_t)i;
    return -1;
}

// A token of tokenizer_config.json: a string or an object with its content.
static int64_t config_id(const reader *r, const char *key)
{
    const json_t *value = json_object_get(r->config, key);
    return id_of(r, json_string_value(json_is_object(value) ? json_object_get(value, "content") : value));
}

static void put_id(reader *r, const char *key, int64_t id)
{
    if (id >= 0 && (size_t)id < r->n)
        ql_gguf_put_u32(r->out, key, (uint32_t)id);
}

// The template of one text: what stands before and behind it. Post-processors that only move offsets do not matter.
static ql_code read_template(reader *r, const json_t *post, int64_t *first, int64_t *last)
{
    const json_t *list = json_object_get(post, "processors"), *single = json_object_get(post, "single");
    if (is_type(post, "Sequence")) {
        for (size_t i = 0; i < json_array_size(list); i++)
            QL_TRY(read_template(r, json_array_get(list, i), first, last));
        return QL_OK;
    }
    if (!json_is_object(post) || is_type(post, "ByteLevel"))
        return QL_OK;
    size_t n = json_array_size(single);
    if (!is_type(post, "TemplateProcessing") || n < 1 || n > 3)
        return REFUSE(r, "post_processor \"%s\" of this form is not supported yet", type_of(post));
    const json_t *a = json_object_get(json_array_get(single, 0), "SpecialToken");
    const json_t *z = json_object_get(json_array_get(single, n - 1), "SpecialToken");
    if ((n == 3 && (!a || !z)) || (n == 2 && !a == !z) || (n == 1 && a))
        return REFUSE(r, "post_processor: a template with more than one token on a side is not supported yet");
    if (a)
        *first = id_of(r, json_string_value(json_object_get(a, "id")));
    if (z)
        *last = id_of(r, json_string_value(json_object_get(z, "id")));
    return QL_OK;
}

static ql_code read_ids(reader *r)
{
    int64_t first = -1, last = -1, eos = config_id(r, "eos_token"), bos = config_id(r, "bos_token");
    QL_TRY(read_template(r, json_object_get(r->root, "post_processor"), &first, &last));
    const json_t *ends = json_object_get(r->generation, "eos_token_id");
    static const char *const extra[] = {"tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"};
    size_t n_extra = 0;
    for (size_t i = 0; i < (json_is_array(ends) ? json_array_size(ends) : 1); i++) {
        const json_t *id = json_is_array(ends) ? json_array_get(ends, i) : ends;
        if (!json_is_integer(id) || json_integer_value(id) == eos)
            continue;
        if (eos < 0)
            eos = json_integer_value(id);
        else if (n_extra < 2)
            put_id(r, extra[n_extra++], json_integer_value(id));
        else
            return REFUSE(r, "generation_config.json: more than three ids of eos_token_id are not supported yet");
    }
    put_id(r, "tokenizer.ggml.bos_token_id", first >= 0 ? first : bos);
    put_id(r, "tokenizer.ggml.eos_token_id", last >= 0 ? last : eos);
    put_id(r, "tokenizer.ggml.unknown_token_id", id_of(r, json_string_value(json_object_get(r->model, "unk_token"))));
    put_id(r, "tokenizer.ggml.padding_token_id", config_id(r, "pad_token"));
    ql_gguf_put_bool(r->out, "tokenizer.ggml.add_bos_token", first >= 0);
    ql_gguf_put_bool(r->out, "tokenizer.ggml.add_eos_token", last >= 0);
    return QL_OK;
}

// ---- all of it ----

static ql_code check_model(reader *r)
{
    static const char *const affixes[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    r->model = json_object_get(r->root, "model");
    const json_t *dropout = json_object_get(r->model, "dropout");
    if (!is_type(r->model, "BPE") && !json_object_get(r->model, "merges"))
        return REFUSE(r, "model \"%s\" is not supported yet (supported: BPE)", type_of(r->model));
    for (size_t i = 0; i < 2; i++)
        if (json_string_length(json_object_get(r->model, affixes[i])))
            return REFUSE(r, "model.%s is not supported yet", affixes[i]);
    if (json_is_number(dropout) && json_number_value(dropout) != 0)
        return REFUSE(r, "model.dropout is not supported");
    r->spm = is_true(r->model, "byte_fallback");
    return QL_OK;
}

static ql_code translate(reader *r)
{
    QL_TRY(check_model(r));
    QL_TRY(read_rules(r));
    QL_TRY(read_vocab(r));
    QL_TRY(read_merges(r));
    return read_ids(r);
}

// Reals for integers: tokenizer_config.json of real models has a model_max_length beyond 64 bits.
static json_t *parse(const ql_source *source, const char *name, size_t flags)
{
    ql_str text = ql_source_document(source, name);
    return text.data ? json_loadb(text.data, text.len, flags, NULL) : NULL;
}

static ql_code load(reader *r, ql_tokenizer **tokenizer)
{
    ql_buf header = {0};
    ql_source *keys;
    ql_code code = translate(r);
    if (code == QL_OK)
        code = ql_gguf_writer_finish(r->out, &header, r->err);
    if (code == QL_OK && (code = ql_source_open_memory(header.data, header.len, ql_source_path(r->source), &keys, r->err)) ==
                             QL_OK) {
        code = ql_tokenizer_load(keys, tokenizer, r->err);
        ql_source_close(keys);
    }
    ql_buf_free(&header);
    return code;
}

ql_code ql_tokenizer_load_hf(const ql_source *source, ql_tokenizer **tokenizer, ql_error *err)
{
    json_error_t where;
    ql_str text = ql_source_document(source, "tokenizer.json");
    if (!text.data)
        return ql_fail(err, QL_E_UNSUPPORTED, "%s: tokenizer.json is missing: other tokenizer files are not read",
                       ql_source_path(source));
    reader r = {.source = source, .err = err, .root = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, &where)};
    if (!json_is_object(r.root)) {
        ql_code code = ql_fail(err, QL_E_FORMAT, "%s: tokenizer.json: %s", ql_source_path(source),
                               r.root ? "is no object" : where.text);
        json_decref(r.root);
        return code;
    }
    r.config = parse(source, "tokenizer_config.json", JSON_DECODE_INT_AS_REAL);
    json_t *generation = parse(source, "generation_config.json", 0);
    r.generation = generation;
    r.out = ql_gguf_writer_new(32);
    ql_code code = load(&r, tokenizer);
    ql_gguf_writer_free(r.out);
    json_decref(r.root);
    json_decref(r.config);
    json_decref(generation);
    free(r.tokens);
    free(r.types);
    free(r.names);
    return code;
}
