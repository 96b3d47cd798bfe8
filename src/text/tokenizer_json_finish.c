// SPDX-License-Identifier: MIT
// Owns what is made once the vocabulary is there: the added tokens' matching, the post-processor's ids, and what the
// documents beside tokenizer.json say (tokenizer_config.json, special_tokens_map.json, generation_config.json).
//
// Those are read for what transformers does with them when there is a tokenizer.json: names of the special tokens, which
// are matched in texts even where tokenizer.json does not list them. add_bos_token is not acted on, there or here.
#include <stdlib.h>
#include <string.h>

#include "text/tokenizer_json.h"

ql_code ql_json_unk(const json_t *model, ql_tokenizer *t, ql_error *err)
{
    ql_str name = {0};
    size_t id = SIZE_MAX;
    t->model_unk = QL_NO_ID;
    if (t->model == QL_MODEL_UNIGRAM) {
        QL_TRY(ql_json_size(model, "unk_id", false, &id, err));
        if (id != SIZE_MAX && (id >= t->vocab.n || !ql_vocab_in_model(&t->vocab, (int32_t)id)))
            return ql_fail(err, QL_E_FORMAT, "unk_id %zu is no token of the vocabulary", id);
        t->model_unk = id == SIZE_MAX ? QL_NO_ID : (int32_t)id;
        return QL_OK;
    }
    QL_TRY(ql_json_str(model, "unk_token", t->model != QL_MODEL_BPE, &name, err));
    if (name.data)
        t->model_unk = ql_vocab_find_model(&t->vocab, name.data, name.len);
    return QL_OK;
}

// ---- added tokens ----

typedef struct added_builder {
    ql_tokenizer *t;
    const json_t *list;       // added_tokens
    ql_added_token *tokens[2]; // [n[k]] with offsets into text[k] until they are done
    size_t n[2], cap;
    ql_added_token *normal;    // tokens[1] in the order of text[1]
    uint32_t n_normal;
    ql_buf text[2];
    ql_norm_memory memory;
    ql_error *err;
} added_builder;

static ql_code push_added(added_builder *b, const json_t *token, ql_str text, int32_t id)
{
    static const struct { const char *key; uint8_t flag; } flags[] = {
        {"lstrip", QL_ADDED_LSTRIP}, {"rstrip", QL_ADDED_RSTRIP}, {"single_word", QL_ADDED_SINGLE_WORD}};
    int k = json_is_true(json_object_get(token, "normalized"));
    ql_span span = {.text = text.data, .len = text.len, .at_start = true};
    if (k == 1)
        QL_TRY(ql_normalize(&b->t->normalizer, &b->memory, &span, b->err));
    if (span.len == 0)
        return QL_OK;
    ql_added_token *out = &b->tokens[k][b->n[k]++];
    *out = (ql_added_token){.len = (uint32_t)span.len, .id = id};
    if (ql_vocab_kind(&b->t->vocab, id) == QL_TOKEN_CONTROL)
        out->flags |= QL_ADDED_SPECIAL;
    for (size_t i = 0; i < 3; i++)
        if (json_is_true(json_object_get(token, flags[i].key)))
            out->flags |= flags[i].flag;
    if (k == 1)
        b->normal[b->n_normal++] = *out;
    ql_buf_append(&b->text[k], span.text, span.len);
    return b->text[k].failed ? ql_fail_memory(b->err, span.len) : QL_OK;
}

// The special ones first, as in the library: of tokens with one normalized text the first counts.
static ql_code push_list(added_builder *b, bool special)
{
    size_t i;
    json_t *token;
    json_array_foreach(b->list, i, token) {
        const json_t *content = json_object_get(token, "content");
        ql_str text = {json_string_value(content), json_string_length(content)};
        int32_t id = text.len ? ql_vocab_find(&b->t->vocab, text.data, text.len) : QL_NO_ID;
        if (id >= 0 && (ql_vocab_kind(&b->t->vocab, id) == QL_TOKEN_CONTROL) == special)
            QL_TRY(push_added(b, token, text, id));
    }
    return QL_OK;
}

// ---- the other documents ----

// Reals for integers: tokenizer_config.json of real models has a model_max_length beyond 64 bits.
static json_t *parse(const ql_source *source, const char *name, size_t flags)
{
    ql_str text = ql_source_document(source, name);
    return text.data ? json_loadb(text.data, text.len, flags, NULL) : NULL;
}

// A token's text: a string or an object with its content.
static ql_str content_of(const json_t *value)
{
    value = json_is_object(value) ? json_object_get(value, "content") : value;
    return (ql_str){json_string_value(value), json_string_length(value)};
}

typedef struct documents {
    json_t *config, *map, *generation;
} documents;

static const json_t *named(const documents *d, const char *key)
{
    const json_t *value = json_object_get(d->config, key);
    return value && !json_is_null(value) ? value : json_object_get(d->map, key);
}

static int32_t id_of(const ql_tokenizer *t, const json_t *value)
{
    ql_str text = content_of(value);
    return text.len ? ql_vocab_find(&t->vocab, text.data, text.len) : QL_NO_ID;
}

// A special token that the documents name and added_tokens does not have; one that is not in the vocabulary either
// would get an id for which the model has no row.
static ql_code promote(added_builder *b, const json_t *value)
{
    ql_tokenizer *t = b->t;
    ql_str text = content_of(value);
    int32_t id = id_of(t, value);
    if (id < 0 || ql_vocab_kind(&t->vocab, id) != QL_TOKEN_NORMAL)
        return QL_OK;
    t->vocab.type[id] = (uint8_t)(QL_TOKEN_CONTROL | (t->vocab.type[id] & QL_TOKEN_OUTSIDE));
    return push_added(b, json_is_object(value) ? value : NULL, text, id);
}

static const char *const special_names[] = {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token",
                                            "mask_token"};
enum { N_NAMES = sizeof special_names / sizeof *special_names };

static ql_code promote_all(added_builder *b, const documents *d)
{
    const json_t *more = named(d, "additional_special_tokens"), *token;
    size_t i;
    for (i = 0; i < N_NAMES; i++)
        QL_TRY(promote(b, named(d, special_names[i])));
    json_array_foreach(more, i, token)
        QL_TRY(promote(b, token));
    return QL_OK;
}

static int by_id(const void *a, const void *b)
{
    const ql_added_token *s = a, *t = b;
    return (s->id > t->id) - (s->id < t->id);
}

// As in the library: a token that normalizing changes is decoded as its normalized text, and counts as a special one
// only if that text is one's.
static void find_shown(added_builder *b, const char *blob)
{
    const ql_vocab *vocab = &b->t->vocab;
    for (uint32_t i = 0; i < b->n_normal; i++) {
        ql_added_token *token = &b->normal[i];
        size_t len;
        const char *text = ql_vocab_piece(vocab, token->id, &len);
        token->text = blob;
        blob += token->len;
        if (len == token->len && memcmp(text, token->text, len) == 0)
            continue;
        int32_t named = ql_vocab_find(vocab, token->text, token->len);
        token->flags = named >= 0 && ql_vocab_kind(vocab, named) == QL_TOKEN_CONTROL ? QL_ADDED_SPECIAL : 0;
        b->normal[b->t->n_shown++] = *token;
    }
    qsort(b->normal, b->t->n_shown, sizeof *b->normal, by_id);
    b->t->shown = b->normal;
    b->normal = NULL;
}

static ql_code finish_added(added_builder *b, const documents *d)
{
    size_t most = json_array_size(b->list) + N_NAMES + json_array_size(named(d, "additional_special_tokens"));
    for (int k = 0; k < 2; k++)
        if (!(b->tokens[k] = malloc((most + 1) * sizeof *b->tokens[k])))
            return ql_fail_memory(b->err, most * sizeof *b->tokens[k]);
    if (!(b->normal = malloc((most + 1) * sizeof *b->normal)))
        return ql_fail_memory(b->err, most * sizeof *b->normal);
    QL_TRY(push_list(b, true));
    QL_TRY(promote_all(b, d));
    QL_TRY(push_list(b, false));
    for (int k = 0; k < 2; k++) {
        char *blob;
        size_t len, at = 0;
        QL_TRY(ql_buf_take(&b->text[k], &blob, &len, b->err));
        for (size_t i = 0; i < b->n[k]; i++) {
            b->tokens[k][i].text = blob + at;
            at += b->tokens[k][i].len;
        }
        if (k == 1)
            find_shown(b, blob);
        ql_added_token *tokens = b->tokens[k];
        b->tokens[k] = NULL; // the tokenizer's now
        QL_TRY(ql_added_init(&b->t->added[k], tokens, b->n[k], blob, b->err));
    }
    return QL_OK;
}

// ---- ids for others ----

static ql_code find_ids(ql_tokenizer *t, const documents *d, const json_t *model, ql_error *err)
{
    t->eos = id_of(t, named(d, "eos_token"));
    t->bos = id_of(t, named(d, "bos_token"));
    t->pad = id_of(t, named(d, "pad_token"));
    t->unk = t->model_unk;
    if (t->unk < 0)
        t->unk = id_of(t, named(d, "unk_token"));
    if (t->unk < 0)
        t->unk = id_of(t, json_object_get(model, "unk_token"));
    if (t->n_before == 1 && t->bos < 0)
        t->bos = t->before[0];
    if (t->n_after == 1 && t->eos < 0)
        t->eos = t->after[0];
    const json_t *ends = json_object_get(d->generation, "eos_token_id");
    size_t n = json_is_array(ends) ? json_array_size(ends) : 1, n_ids = 0;
    int32_t *ids = malloc((n + 1) * sizeof *ids);
    if (!ids)
        return ql_fail_memory(err, n * sizeof *ids);
    for (size_t i = 0; i < n; i++) {
        const json_t *id = json_is_array(ends) ? json_array_get(ends, i) : ends;
        if (json_is_integer(id) && json_integer_value(id) >= 0 && json_integer_value(id) < t->vocab.n)
            ids[n_ids++] = (int32_t)json_integer_value(id);
    }
    if (t->eos < 0 && n_ids)
        t->eos = ids[0];
    ids[n_ids++] = t->eos;
    ql_code code = ql_tokenizer_find_eog(t, ids, n_ids, err);
    free(ids);
    return code;
}

ql_code ql_json_finish(const json_t *root, const ql_source *source, ql_tokenizer *t, ql_error *err)
{
    documents d = {parse(source, "tokenizer_config.json", JSON_DECODE_INT_AS_REAL),
                   parse(source, "special_tokens_map.json", 0), parse(source, "generation_config.json", 0)};
    added_builder b = {.t = t, .list = json_object_get(root, "added_tokens"), .err = err};
    ql_code code = finish_added(&b, &d);
    if (code == QL_OK && (code = ql_json_post_processor(json_object_get(root, "post_processor"), t, err)) != QL_OK)
        ql_fail_prefix(err, code, "post_processor");
    if (code == QL_OK)
        code = find_ids(t, &d, json_object_get(root, "model"), err);
    if (t->model == QL_MODEL_BPE || t->byte_fallback)
        ql_bpe_find_symbols(t);
    ql_norm_memory_free(&b.memory);
    free(b.normal);
    for (int k = 0; k < 2; k++) {
        free(b.tokens[k]);
        ql_buf_free(&b.text[k]);
    }
    json_decref(d.config);
    json_decref(d.map);
    json_decref(d.generation);
    return code;
}
