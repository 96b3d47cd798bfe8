// SPDX-License-Identifier: MIT
// Owns the reading of tokenizer.json as a whole: vocabulary, merges and added tokens by a scan, the components by
// jansson. Must not know how text is encoded.
//
// Its decision: what the scan does not take into tables is kept as text, a small tokenizer.json without them. A stored
// tokenizer (tokenizer_store.c) is that text and the tables, and is read by the same code.
#include <stdlib.h>
#include <string.h>

#include "text/json_scan.h"
#include "text/tokenizer_json.h"

typedef struct entry {
    ql_str text;
    uint32_t id;
} entry;

typedef struct pair {
    ql_str left, right;
} pair;

typedef struct reader {
    ql_scan scan;
    ql_tokenizer *t;
    ql_error *err;
    entry *vocab; // [n_vocab, cap_vocab] in the file's order
    double *scores; // [cap_vocab] of a Unigram model, NULL otherwise
    size_t n_vocab, cap_vocab;
    pair *merges;
    size_t n_merges, cap_merges;
    bool has_vocab, is_list, has_merges;
    ql_buf rules;   // {"key":value, ..., "model":{...}}
    json_t *root;   // the rules, read
} reader;

enum { MAX_ID = 1 << 24 };

// ---- the scan ----

static bool grow(void **data, size_t *cap, size_t size)
{
    size_t more = *cap ? 2 * *cap : 1 << 14;
    void *grown = realloc(*data, more * size);
    if (!grown)
        return false;
    *data = grown;
    *cap = more;
    return true;
}

static ql_code add_entry(reader *r, ql_str text, uint64_t id, double score)
{
    if (r->n_vocab == r->cap_vocab) {
        size_t cap = r->cap_vocab;
        if ((r->is_list && !grow((void **)&r->scores, &cap, sizeof *r->scores)) ||
            !grow((void **)&r->vocab, &r->cap_vocab, sizeof *r->vocab))
            return ql_fail_memory(r->err, r->cap_vocab * 2 * sizeof *r->vocab);
    }
    if (r->is_list)
        r->scores[r->n_vocab] = score;
    r->vocab[r->n_vocab++] = (entry){text, (uint32_t)id};
    return QL_OK;
}

// {"token": id, ...}
static ql_code scan_vocab(reader *r)
{
    bool more = true;
    QL_TRY(ql_scan_open(&r->scan, '{'));
    for (bool first = true;; first = false) {
        ql_str text;
        uint64_t id;
        QL_TRY(ql_scan_next(&r->scan, '{', first, &more));
        if (!more)
            return QL_OK;
        QL_TRY(ql_scan_key(&r->scan, &text));
        QL_TRY(ql_scan_integer(&r->scan, MAX_ID - 1, &id));
        QL_TRY(add_entry(r, text, id, 0));
    }
}

// The two members of an array; end: read nothing, expect its end.
static ql_code scan_tuple_end(reader *r)
{
    bool more;
    QL_TRY(ql_scan_next(&r->scan, '[', false, &more));
    return more ? ql_scan_fail(&r->scan, "an array of two expected") : QL_OK;
}

static ql_code scan_comma(reader *r)
{
    bool more;
    QL_TRY(ql_scan_next(&r->scan, '[', false, &more));
    return more ? QL_OK : ql_scan_fail(&r->scan, "an array of two expected");
}

// [["token", score], ...]
static ql_code scan_scored_vocab(reader *r)
{
    bool more = true;
    r->is_list = true;
    QL_TRY(ql_scan_open(&r->scan, '['));
    for (bool first = true;; first = false) {
        ql_str text;
        double score;
        QL_TRY(ql_scan_next(&r->scan, '[', first, &more));
        if (!more)
            return QL_OK;
        QL_TRY(ql_scan_open(&r->scan, '['));
        QL_TRY(ql_scan_string(&r->scan, &text));
        QL_TRY(scan_comma(r));
        QL_TRY(ql_scan_number(&r->scan, &score));
        QL_TRY(scan_tuple_end(r));
        if (r->n_vocab >= MAX_ID)
            return ql_scan_fail(&r->scan, "more than 16777216 tokens");
        QL_TRY(add_entry(r, text, r->n_vocab, score));
    }
}

// "left right" with one space.
static ql_code split_merge(reader *r, ql_str text, pair *out)
{
    const char *space = memchr(text.data, ' ', text.len);
    size_t n = space ? (size_t)(space - text.data) : 0;
    if (!space || memchr(space + 1, ' ', text.len - n - 1))
        return ql_fail(r->err, QL_E_FORMAT, "model: merges[%zu] \"%.*s\": must be two pieces and one space", r->n_merges,
                       (int)(text.len < 100 ? text.len : 100), text.data);
    *out = (pair){{text.data, n}, {space + 1, text.len - n - 1}};
    return QL_OK;
}

// ["left right", ...] or [["left", "right"], ...]
static ql_code scan_merges(reader *r)
{
    bool more = true;
    QL_TRY(ql_scan_open(&r->scan, '['));
    for (bool first = true;; first = false) {
        ql_str text;
        QL_TRY(ql_scan_next(&r->scan, '[', first, &more));
        if (!more)
            return QL_OK;
        if (r->n_merges == r->cap_merges && !grow((void **)&r->merges, &r->cap_merges, sizeof *r->merges))
            return ql_fail_memory(r->err, r->cap_merges * 2 * sizeof *r->merges);
        pair *out = &r->merges[r->n_merges];
        if (ql_scan_peek(&r->scan) == '[') {
            QL_TRY(ql_scan_open(&r->scan, '['));
            QL_TRY(ql_scan_string(&r->scan, &out->left));
            QL_TRY(scan_comma(r));
            QL_TRY(ql_scan_string(&r->scan, &out->right));
            QL_TRY(scan_tuple_end(r));
        } else {
            QL_TRY(ql_scan_string(&r->scan, &text));
            QL_TRY(split_merge(r, text, out));
        }
        r->n_merges++;
    }
}

// Any other member goes into the rules as it stands.
static ql_code keep_member(reader *r, ql_str key, bool *any)
{
    ql_str span;
    QL_TRY(ql_scan_value(&r->scan, &span));
    ql_buf_printf(&r->rules, "%s\"%.*s\":", *any ? "," : "", (int)key.len, key.data);
    ql_buf_append(&r->rules, span.data, span.len);
    *any = true;
    return QL_OK;
}

static bool is_key(ql_str key, const char *name) { return key.len == strlen(name) && memcmp(key.data, name, key.len) == 0; }

static ql_code scan_model(reader *r)
{
    static const char *const known[] = {
        "type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk", "byte_fallback",
        "ignore_merges", "max_input_chars_per_word", "unk_id"};
    bool more = true, any = false;
    QL_TRY(ql_scan_open(&r->scan, '{'));
    ql_buf_append_str(&r->rules, "\"model\":{");
    for (bool first = true; more; first = false) {
        ql_str key, span;
        QL_TRY(ql_scan_next(&r->scan, '{', first, &more));
        if (!more)
            break;
        QL_TRY(ql_scan_key(&r->scan, &key));
        if (is_key(key, "vocab")) {
            if (r->has_vocab)
                return ql_scan_fail(&r->scan, "a second model.vocab");
            r->has_vocab = true;
            QL_TRY(ql_scan_peek(&r->scan) == '[' ? scan_scored_vocab(r) : scan_vocab(r));
            continue;
        }
        if (is_key(key, "merges")) {
            if (r->has_merges)
                return ql_scan_fail(&r->scan, "a second model.merges");
            r->has_merges = true;
            QL_TRY(scan_merges(r));
            continue;
        }
        bool keep = false;
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            keep = keep || is_key(key, known[i]);
        QL_TRY(keep ? keep_member(r, key, &any) : ql_scan_value(&r->scan, &span));
    }
    ql_buf_append_byte(&r->rules, '}');
    return QL_OK;
}

static ql_code scan_all(reader *r)
{
    static const char *const components[] = {"added_tokens", "normalizer", "pre_tokenizer", "post_processor", "decoder"};
    bool more = true, any = false, has_model = false;
    QL_TRY(ql_scan_open(&r->scan, '{'));
    ql_buf_append_byte(&r->rules, '{');
    for (bool first = true; more; first = false) {
        ql_str key, span;
        QL_TRY(ql_scan_next(&r->scan, '{', first, &more));
        if (!more)
            break;
        QL_TRY(ql_scan_key(&r->scan, &key));
        if (is_key(key, "model")) {
            if (has_model)
                return ql_scan_fail(&r->scan, "a second model");
            has_model = true;
            if (any)
                ql_buf_append_byte(&r->rules, ',');
            any = true;
            QL_TRY(scan_model(r));
            continue;
        }
        bool keep = false;
        for (size_t i = 0; i < sizeof components / sizeof *components; i++)
            keep = keep || is_key(key, components[i]);
        QL_TRY(keep ? keep_member(r, key, &any) : ql_scan_value(&r->scan, &span));
    }
    ql_buf_append_byte(&r->rules, '}');
    QL_TRY(ql_scan_finish(&r->scan));
    if (!has_model)
        return ql_fail(r->err, QL_E_FORMAT, "model is missing");
    return r->rules.failed ? ql_fail_memory(r->err, r->rules.cap) : QL_OK;
}

// ---- the model ----

static bool is_type(const char *type, const char *name) { return type && strcmp(type, name) == 0; }

// Older files do not name the model.
static ql_code find_kind(reader *r, const json_t *model)
{
    static const char *const names[] = {"BPE", "Unigram", "WordPiece", "WordLevel"};
    const char *type = json_string_value(json_object_get(model, "type"));
    ql_tokenizer *t = r->t;
    if (!type)
        type = r->has_merges ? "BPE" : r->is_list ? "Unigram" : json_object_get(model, "max_input_chars_per_word")
               ? "WordPiece" : "WordLevel";
    size_t i = 0;
    while (i < 4 && !is_type(type, names[i]))
        i++;
    if (i == 4)
        return ql_fail(r->err, QL_E_UNSUPPORTED, "model \"%s\" is not known (known: BPE, Unigram, WordPiece, WordLevel)", type);
    t->model = (ql_model_kind)i;
    if (!r->has_vocab)
        return ql_fail(r->err, QL_E_FORMAT, "model.vocab is missing");
    if (r->is_list != (t->model == QL_MODEL_UNIGRAM))
        return ql_fail(r->err, QL_E_FORMAT, "model.vocab of %s must be %s", type, r->is_list ? "an object" : "an array");
    if (r->has_merges != (t->model == QL_MODEL_BPE))
        return ql_fail(r->err, QL_E_FORMAT, "model.merges %s", r->has_merges ? "belongs to BPE" : "is missing");
    return QL_OK;
}

static ql_code set_affix(const json_t *model, const char *key, bool required, char **text, size_t *len, ql_error *err)
{
    ql_str value = {0};
    QL_TRY(ql_json_str(model, key, required, &value, err));
    return value.len || required ? ql_norm_set(text, len, value.data, value.len, err) : QL_OK;
}

// Members that say how the model works; its tables come later.
static ql_code read_model_rules(ql_tokenizer *t, const json_t *model, ql_error *err)
{
    const json_t *dropout = json_object_get(model, "dropout");
    if (json_is_number(dropout) && json_number_value(dropout) != 0)
        return ql_fail(err, QL_E_UNSUPPORTED, "dropout %g is not supported: ids would be random", json_number_value(dropout));
    QL_TRY(ql_json_bool(model, "byte_fallback", false, &t->byte_fallback, err));
    if (t->model == QL_MODEL_BPE) {
        QL_TRY(ql_json_bool(model, "fuse_unk", false, &t->fuse_unk, err));
        QL_TRY(ql_json_bool(model, "ignore_merges", false, &t->ignore_merges, err));
        QL_TRY(set_affix(model, "continuing_subword_prefix", false, &t->prefix, &t->prefix_len, err));
        QL_TRY(set_affix(model, "end_of_word_suffix", false, &t->suffix, &t->suffix_len, err));
    } else if (t->model == QL_MODEL_WORDPIECE) {
        t->max_chars = 100;
        QL_TRY(ql_json_size(model, "max_input_chars_per_word", true, &t->max_chars, err));
        QL_TRY(set_affix(model, "continuing_subword_prefix", true, &t->prefix, &t->prefix_len, err));
    }
    return QL_OK;
}

// ---- the vocabulary ----

// Tokens by id, on their way into the vocabulary.
typedef struct by_id {
    ql_str *texts;
    uint8_t *types; // 0: no token
    size_t n;
} by_id;

static int shown(ql_str s) { return (int)(s.len < 100 ? s.len : 100); }

static ql_code check_added(const json_t *token, size_t i, ql_str *text, ql_error *err)
{
    static const char *const flags[] = {"single_word", "lstrip", "rstrip", "normalized", "special"};
    size_t id = 0;
    bool value = false;
    ql_code code = ql_json_str(token, "content", true, text, err);
    for (size_t k = 0; code == QL_OK && k < 5; k++)
        code = ql_json_bool(token, flags[k], true, &value, err);
    if (code == QL_OK)
        code = ql_json_size(token, "id", true, &id, err);
    if (code == QL_OK && id >= MAX_ID)
        code = ql_fail(err, QL_E_FORMAT, "id %zu: must be below %d", id, MAX_ID);
    return code == QL_OK ? QL_OK : ql_fail_prefix(err, code, "added_tokens[%zu]", i);
}

static ql_code put_model(reader *r, by_id *b)
{
    size_t most = 4 * r->n_vocab + 65536; // bounded: entries that are in the file
    for (size_t i = 0; i < r->n_vocab; i++) {
        const entry *e = &r->vocab[i];
        if (e->id >= most)
            return ql_fail(r->err, QL_E_FORMAT, "model.vocab: id %u of \"%.*s\": must be below %zu in a vocabulary of %zu",
                           e->id, shown(e->text), e->text.data, most, r->n_vocab);
        b->n = e->id >= b->n ? e->id + 1 : b->n;
    }
    size_t room = b->n + json_array_size(json_object_get(r->root, "added_tokens"));
    b->texts = calloc(room + 1, sizeof *b->texts);
    b->types = calloc(room + 1, 1);
    if (!b->texts || !b->types)
        return ql_fail_memory(r->err, room * sizeof *b->texts);
    for (size_t i = 0; i < r->n_vocab; i++) {
        const entry *e = &r->vocab[i];
        const ql_str *other = &b->texts[e->id];
        if (b->types[e->id])
            return ql_fail(r->err, QL_E_FORMAT, "model.vocab: id %u used by \"%.*s\" and \"%.*s\"", e->id, shown(*other),
                           other->data, shown(e->text), e->text.data);
        b->texts[e->id] = e->text;
        b->types[e->id] = QL_TOKEN_NORMAL;
    }
    return QL_OK;
}

// Where the texts of added tokens stand in the model's vocabulary: model_id[k], QL_NO_ID where they do not.
static void find_in_model(const reader *r, const ql_vocab *added, int32_t *model_id)
{
    for (uint32_t k = 0; k < added->n; k++)
        model_id[k] = QL_NO_ID;
    for (size_t i = 0; i < r->n_vocab; i++) {
        int32_t k = ql_vocab_find(added, r->vocab[i].text.data, r->vocab[i].text.len);
        if (k >= 0)
            model_id[k] = (int32_t)r->vocab[i].id;
    }
}

// As the library does: a token of the model keeps its id; others get the next free one, whatever the file says.
static ql_code put_added(reader *r, by_id *b, const ql_vocab *index, const int32_t *model_id)
{
    const json_t *added = json_object_get(r->root, "added_tokens");
    size_t next = r->n_vocab;
    for (uint32_t k = 0; k < index->n; k++) {
        size_t len;
        const char *text = ql_vocab_piece(index, (int32_t)k, &len);
        if (len == 0 || ql_vocab_find(index, text, len) != (int32_t)k)
            continue; // empty, or not the first with this text
        uint8_t type = json_is_true(json_object_get(json_array_get(added, k), "special")) ? QL_TOKEN_CONTROL
                                                                                         : QL_TOKEN_USER_DEFINED;
        if (model_id[k] >= 0) {
            b->types[model_id[k]] = type;
            next = (size_t)model_id[k] >= next ? (size_t)model_id[k] + 1 : next;
            continue;
        }
        if (b->types[next])
            return ql_fail(r->err, QL_E_FORMAT, "added_tokens[%u] \"%.100s\" gets id %zu, which model.vocab gives to "
                           "\"%.*s\"", k, text, next, shown(b->texts[next]), b->texts[next].data);
        b->texts[next] = (ql_str){text, len};
        b->types[next] = type | QL_TOKEN_OUTSIDE;
        b->n = next >= b->n ? next + 1 : b->n;
        next++;
    }
    return QL_OK;
}

static ql_code index_added(reader *r, ql_vocab *index, int32_t **model_id)
{
    const json_t *added = json_object_get(r->root, "added_tokens"), *token;
    size_t n = json_array_size(added), i;
    if (added && !json_is_null(added) && !json_is_array(added))
        return ql_fail(r->err, QL_E_FORMAT, "added_tokens must be an array");
    ql_str *texts = calloc(n + 1, sizeof *texts);
    *model_id = calloc(n + 1, sizeof **model_id);
    ql_code code = texts && *model_id ? QL_OK : ql_fail_memory(r->err, n * sizeof *texts);
    json_array_foreach(added, i, token)
        if (code == QL_OK)
            code = check_added(token, i, &texts[i], r->err);
    if (code == QL_OK && n)
        code = ql_vocab_init(index, texts, NULL, n, QL_VOCAB_FIRST, "added_tokens", r->err);
    free(texts);
    return code;
}

static ql_code build_vocab(reader *r)
{
    by_id b = {0};
    ql_vocab index = {0};
    int32_t *model_id = NULL;
    ql_code code = index_added(r, &index, &model_id);
    if (code == QL_OK)
        code = put_model(r, &b);
    if (code == QL_OK && index.n) {
        find_in_model(r, &index, model_id);
        code = put_added(r, &b, &index, model_id);
    }
    for (size_t i = 0; code == QL_OK && i < b.n; i++)
        b.types[i] = b.types[i] ? b.types[i] : QL_TOKEN_UNUSED | QL_TOKEN_OUTSIDE;
    if (code == QL_OK)
        code = ql_vocab_init(&r->t->vocab, b.texts, b.types, b.n, r->is_list ? QL_VOCAB_LAST : QL_VOCAB_UNIQUE,
                             "model.vocab", r->err);
    free(b.texts);
    free(b.types);
    free(model_id);
    ql_vocab_free(&index);
    return code;
}

static ql_code take_scores(reader *r)
{
    ql_tokenizer *t = r->t;
    if (!(t->scores = calloc(t->vocab.n, sizeof *t->scores)))
        return ql_fail_memory(r->err, t->vocab.n * sizeof *t->scores);
    memcpy(t->scores, r->scores, r->n_vocab * sizeof *t->scores); // bounded: entries that are in the file
    return QL_OK;
}

// ---- components ----

static ql_code in(const char *where, ql_code code, ql_error *err)
{
    return code == QL_OK ? QL_OK : ql_fail_prefix(err, code, "%s", where);
}

// Pieces stay bytes where the model's symbols are those of single bytes.
static void find_symbol_kind(ql_tokenizer *t)
{
    size_t n = t->pre.n;
    if (t->model != QL_MODEL_BPE || t->prefix || t->suffix || t->byte_fallback || n == 0 ||
        t->pre.steps[n - 1].kind != QL_PRE_BYTES)
        return;
    t->pre.n--;
    t->bytes = true;
}

ql_code ql_json_components(const json_t *root, ql_tokenizer *t, ql_error *err)
{
    QL_TRY(in("normalizer", ql_json_normalizer(json_object_get(root, "normalizer"), &t->normalizer, err), err));
    QL_TRY(in("pre_tokenizer", ql_json_pretokenizer(json_object_get(root, "pre_tokenizer"), &t->pre, err), err));
    QL_TRY(in("decoder", ql_json_decoder(json_object_get(root, "decoder"), &t->decoder, err), err));
    QL_TRY(in("model", read_model_rules(t, json_object_get(root, "model"), err), err));
    find_symbol_kind(t);
    return QL_OK;
}

static ql_code merge_at(const void *source, size_t i, ql_str *left, ql_str *right, ql_error *err)
{
    const pair *p = &((const reader *)source)->merges[i];
    (void)err;
    *left = p->left;
    *right = p->right;
    return QL_OK;
}

static ql_code build_merges(reader *r)
{
    size_t longest = 0;
    for (size_t i = 0; i < r->n_merges; i++) {
        size_t n = r->merges[i].left.len + r->merges[i].right.len;
        longest = n > longest ? n : longest;
    }
    return in("model", ql_bpe_build(r->t, merge_at, r, r->n_merges, longest, true, r->err), r->err);
}

static ql_code build_tables(reader *r)
{
    ql_tokenizer *t = r->t;
    QL_TRY(build_vocab(r));
    QL_TRY(in("model", ql_json_unk(json_object_get(r->root, "model"), t, r->err), r->err));
    if (t->model == QL_MODEL_UNIGRAM) {
        QL_TRY(take_scores(r));
        return ql_unigram_build(t, r->err);
    }
    if (t->model != QL_MODEL_BPE)
        return QL_OK;
    if (!t->bytes && !t->prefix && !t->suffix && !(t->joins = calloc(QL_JOINS, 1)))
        return ql_fail_memory(r->err, QL_JOINS);
    return build_merges(r);
}

// ---- all of it ----

static ql_code read_all(reader *r, const ql_source *source)
{
    QL_TRY(scan_all(r));
    json_error_t where;
    r->root = json_loadb(r->rules.data, r->rules.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &where);
    if (!r->root) // the scan has checked it: a member twice, a number too large, or no memory
        return ql_fail(r->err, QL_E_FORMAT, "%s", where.text[0] ? where.text : "out of memory");
    QL_TRY(find_kind(r, json_object_get(r->root, "model")));
    QL_TRY(ql_json_components(r->root, r->t, r->err));
    QL_TRY(build_tables(r));
    QL_TRY(ql_json_finish(r->root, source, r->t, r->err));
    return ql_buf_take(&r->rules, &r->t->rules, &r->t->rules_len, r->err);
}

ql_code ql_tokenizer_load_json(const ql_source *source, ql_tokenizer *t, ql_error *err)
{
    ql_str text = ql_source_document(source, "tokenizer.json");
    if (!text.data)
        return ql_fail(err, QL_E_UNSUPPORTED, "tokenizer.json is missing: other tokenizer files are not read");
    reader r = {.t = t, .err = err};
    ql_code code = ql_scan_begin(&r.scan, text.data, text.len, err);
    if (code == QL_OK)
        code = read_all(&r, source);
    ql_scan_free(&r.scan);
    ql_buf_free(&r.rules);
    json_decref(r.root);
    free(r.vocab);
    free(r.scores);
    free(r.merges);
    return in("tokenizer.json", code, err);
}
