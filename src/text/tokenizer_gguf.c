// SPDX-License-Identifier: MIT
// Owns reading a tokenizer from a GGUF file's keys: they name what tokenizer.json spells out, and become the same steps
// and tables. Must not know how text is encoded. Its decision: every value is checked here, once.
//
// Kinds (tokenizer.ggml.model): gpt2 (BPE of bytes, cut by the rule that tokenizer.ggml.pre names; gemma4 is that with
// characters), llama (SentencePiece's BPE), t5 (Unigram), bert (WordPiece).
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "text/tokenizer_impl.h"

typedef enum file_kind { GPT2, LLAMA, T5, BERT } file_kind;

typedef struct reader {
    const ql_source *source;
    ql_tokenizer *t;
    file_kind kind;
    const ql_pre_rule *rule; // GPT2
    ql_str_array tokens;
    uint8_t *types;          // [tokens.n]
    ql_error *err;
} reader;

// ---- vocabulary ----

static ql_code read_types(reader *r)
{
    ql_num_array types = {0};
    size_t n = r->tokens.n;
    QL_TRY(ql_source_get_i32_array(r->source, "tokenizer.ggml.token_type", false, &types, r->err));
    if (types.n && types.n != n)
        return ql_fail(r->err, QL_E_FORMAT, "tokenizer.ggml.token_type has %zu elements, the vocabulary %zu", types.n, n);
    if (!(r->types = malloc(n + 1)))
        return ql_fail_memory(r->err, n);
    for (size_t i = 0; i < n; i++) {
        int32_t type = QL_TOKEN_NORMAL;
        if (types.n)
            memcpy(&type, types.data + 4 * i, 4);
        if (type < 0 || type > QL_TOKEN_BYTE) // 0 is "undefined", used by some converters for padding
            return ql_fail(r->err, QL_E_FORMAT, "tokenizer.ggml.token_type[%zu] %d: must be 0 to 6", i, type);
        bool outside = type == QL_TOKEN_CONTROL || type == QL_TOKEN_UNKNOWN; // merging never makes these
        r->types[i] = (uint8_t)(type | (outside ? QL_TOKEN_OUTSIDE : 0));
        const ql_str *token = &r->tokens.items[i];
        if (type == QL_TOKEN_BYTE && r->kind != GPT2 && ql_byte_of_piece(token->data, token->len) < 0)
            return ql_fail(r->err, QL_E_FORMAT, "tokenizer.ggml.tokens[%zu] \"%.*s\": a byte token must be <0x00> to "
                           "<0xFF>", i, (int)(token->len < 100 ? token->len : 100), token->data);
    }
    return QL_OK;
}

// WordPiece in GGUF writes a word's beginning as U+2581 and its continuations bare; published vocabularies write ##.
static ql_code bert_tokens(reader *r, ql_str *texts, ql_buf *blob)
{
    for (int pass = 0; pass < 2; pass++) {
        size_t at = 0;
        for (size_t i = 0; i < r->tokens.n; i++) {
            ql_str s = r->tokens.items[i];
            bool word = s.len >= 3 && memcmp(s.data, QL_META, 3) == 0, kept = r->types[i] != QL_TOKEN_NORMAL;
            if (pass == 0 && !kept && !word)
                ql_buf_append_str(blob, "##");
            if (pass == 0)
                ql_buf_append(blob, s.data + (!kept && word ? 3 : 0), s.len - (!kept && word ? 3 : 0));
            size_t len = kept ? s.len : word ? s.len - 3 : s.len + 2;
            if (pass == 1) // the blob does not move any more
                texts[i] = (ql_str){blob->data + at, len};
            at += len;
        }
        if (blob->failed)
            return ql_fail_memory(r->err, blob->cap);
    }
    return QL_OK;
}

static ql_code read_vocab(reader *r)
{
    static const char key[] = "tokenizer.ggml.tokens";
    QL_TRY(ql_source_get_str_array(r->source, key, true, &r->tokens, r->err));
    if (r->tokens.n == 0 || r->tokens.n > INT32_MAX / 4)
        return ql_fail(r->err, QL_E_FORMAT, "%s has %zu elements, must have 1 to %d", key, r->tokens.n, INT32_MAX / 4);
    QL_TRY(read_types(r));
    if (r->kind != BERT)
        return ql_vocab_init(&r->t->vocab, r->tokens.items, r->types, r->tokens.n, QL_VOCAB_UNIQUE, key, r->err);
    ql_buf blob = {0};
    ql_str *texts = malloc(r->tokens.n * sizeof *texts);
    ql_code code = texts ? bert_tokens(r, texts, &blob) : ql_fail_memory(r->err, r->tokens.n * sizeof *texts);
    if (code == QL_OK)
        code = ql_vocab_init(&r->t->vocab, texts, r->types, r->tokens.n, QL_VOCAB_UNIQUE, key, r->err);
    free(texts);
    ql_buf_free(&blob);
    return code;
}

// ---- ids that mean something ----

static ql_code get_id(reader *r, const char *key, int32_t *id)
{
    uint64_t value = UINT64_MAX;
    QL_TRY(ql_source_get_u64(r->source, key, false, 0, UINT64_MAX, &value, r->err));
    if (!ql_source_has(r->source, key))
        return QL_OK;
    if (value >= r->t->vocab.n)
        return ql_fail(r->err, QL_E_FORMAT, "%s %llu: vocabulary has %u", key, (unsigned long long)value, r->t->vocab.n);
    *id = (int32_t)value;
    return QL_OK;
}

// A kind's own numbers, for files that do not say; only where a token of that kind stands.
static int32_t default_id(const reader *r, int32_t id)
{
    const ql_vocab *vocab = &r->t->vocab;
    return id >= 0 && (uint32_t)id < vocab->n && !ql_vocab_in_model(vocab, id) ? id : QL_NO_ID;
}

static ql_code read_ids(reader *r)
{
    static const struct { int32_t unk, bos, eos, pad; } numbers[] = {
        [GPT2] = {-1, -1, -1, -1}, [LLAMA] = {0, 1, 2, -1}, [T5] = {2, -1, 1, 0}, [BERT] = {100, 101, 102, 0}};
    ql_tokenizer *t = r->t;
    int32_t ends[3] = {QL_NO_ID, QL_NO_ID, QL_NO_ID};
    t->unk = default_id(r, numbers[r->kind].unk);
    t->bos = default_id(r, numbers[r->kind].bos);
    t->eos = default_id(r, numbers[r->kind].eos);
    t->pad = default_id(r, numbers[r->kind].pad);
    QL_TRY(get_id(r, "tokenizer.ggml.unknown_token_id", &t->unk));
    QL_TRY(get_id(r, r->kind == BERT ? "tokenizer.ggml.cls_token_id" : "tokenizer.ggml.bos_token_id", &t->bos));
    QL_TRY(get_id(r, r->kind == BERT ? "tokenizer.ggml.seperator_token_id" : "tokenizer.ggml.eos_token_id", &t->eos));
    QL_TRY(get_id(r, "tokenizer.ggml.padding_token_id", &t->pad));
    QL_TRY(get_id(r, "tokenizer.ggml.eot_token_id", &ends[1]));
    QL_TRY(get_id(r, "tokenizer.ggml.eom_token_id", &ends[2]));
    ends[0] = t->eos;
    return ql_tokenizer_find_eog(t, ends, 3, r->err);
}

// Whether an id is put around texts; *list is it then.
static ql_code read_around(reader *r, const char *key, const char *id_key, bool usual, int32_t id, int32_t **list,
                           uint32_t *n)
{
    bool add = usual && id >= 0;
    QL_TRY(ql_source_get_bool(r->source, key, false, &add, r->err));
    if (!add)
        return QL_OK;
    if (id < 0)
        return ql_fail(r->err, QL_E_FORMAT, "%s is true, but there is no %s", key, id_key);
    if (!(*list = malloc(sizeof **list)))
        return ql_fail_memory(r->err, sizeof **list);
    **list = id;
    *n = 1;
    return QL_OK;
}

static ql_code read_added(reader *r)
{
    ql_tokenizer *t = r->t;
    bool before = r->kind == GPT2 ? r->rule->add_bos : r->kind != T5, after = r->kind == T5 || r->kind == BERT;
    QL_TRY(read_around(r, "tokenizer.ggml.add_bos_token", "tokenizer.ggml.bos_token_id", before, t->bos, &t->before,
                       &t->n_before));
    return read_around(r, r->kind == BERT ? "tokenizer.ggml.add_sep_token" : "tokenizer.ggml.add_eos_token",
                       "tokenizer.ggml.eos_token_id", after, t->eos, &t->after, &t->n_after);
}

static ql_code find_added(reader *r)
{
    const ql_vocab *vocab = &r->t->vocab;
    size_t n = 0, at = 0, bytes = 0;
    for (int pass = 0; pass < 2; pass++) {
        ql_added_token *tokens = pass ? malloc((n + 1) * sizeof *tokens) : NULL;
        char *blob = pass ? malloc(bytes + 1) : NULL;
        if (pass && (!tokens || !blob)) {
            free(tokens);
            free(blob);
            return ql_fail_memory(r->err, bytes + n * sizeof *tokens);
        }
        n = 0;
        for (uint32_t id = 0; id < vocab->n; id++) {
            size_t len;
            unsigned type = ql_vocab_kind(vocab, (int32_t)id);
            if (type != QL_TOKEN_CONTROL && type != QL_TOKEN_UNKNOWN && type != QL_TOKEN_USER_DEFINED)
                continue;
            const char *text = ql_vocab_piece(vocab, (int32_t)id, &len);
            if (len == 0)
                continue;
            if (pass) {
                memcpy(blob + at, text, len);
                tokens[n] = (ql_added_token){blob + at, (uint32_t)len, (int32_t)id,
                                             type == QL_TOKEN_USER_DEFINED ? 0 : QL_ADDED_SPECIAL};
                at += len;
            }
            bytes += len;
            n++;
        }
        if (pass)
            return ql_added_init(&r->t->added[0], tokens, n, blob, r->err);
    }
    return QL_OK;
}

// ---- steps ----

static ql_code add_norm(reader *r, ql_norm_kind kind, const char *a, const char *b)
{
    ql_norm_step *step = ql_normalizer_add(&r->t->normalizer, kind); // far fewer than QL_NORM_MAX
    if (a)
        QL_TRY(ql_norm_set(&step->a, &step->a_len, a, strlen(a), r->err));
    return b ? ql_norm_set(&step->b, &step->b_len, b, strlen(b), r->err) : QL_OK;
}

static ql_code add_dec(reader *r, ql_dec_kind kind, const char *text, const char *more, size_t start)
{
    ql_dec_step *step = ql_decoder_add(&r->t->decoder, kind);
    step->start = start;
    if (text)
        QL_TRY(ql_norm_set(&step->text, &step->text_len, text, strlen(text), r->err));
    return more ? ql_norm_set(&step->more, &step->more_len, more, strlen(more), r->err) : QL_OK;
}

// What the publishers' SentencePiece tokenizers do to spaces, and how they are undone.
static ql_code add_spaces(reader *r, bool prefix)
{
    if (prefix)
        QL_TRY(add_norm(r, QL_NORM_PREPEND, QL_META, NULL));
    QL_TRY(add_norm(r, QL_NORM_REPLACE, " ", QL_META));
    QL_TRY(add_dec(r, QL_DEC_REPLACE, QL_META, " ", 0));
    QL_TRY(add_dec(r, QL_DEC_BYTE_FALLBACK, NULL, NULL, 0));
    QL_TRY(add_dec(r, QL_DEC_FUSE, NULL, NULL, 0));
    return prefix ? add_dec(r, QL_DEC_STRIP, " ", NULL, 1) : QL_OK;
}

static ql_code find_rule(reader *r)
{
    ql_str name = {"default", 7}, model = {0};
    QL_TRY(ql_source_get_str(r->source, "tokenizer.ggml.model", true, &model, r->err));
    if (model.len == 6) // gemma4
        name = model;
    QL_TRY(ql_source_get_str(r->source, "tokenizer.ggml.pre", false, &name, r->err));
    r->rule = ql_pre_rule_find(name.data, name.len);
    if (r->rule)
        return QL_OK;
    ql_buf names = {0};
    ql_pre_rule_names(&names);
    ql_code code = ql_fail(r->err, QL_E_UNSUPPORTED, "tokenizer.ggml.pre \"%.*s\" is not supported (supported: %s)",
                           (int)(name.len < 100 ? name.len : 100), name.data, names.data ? names.data : "");
    ql_buf_free(&names);
    return code;
}

static ql_code gpt2_steps(reader *r)
{
    ql_tokenizer *t = r->t;
    const ql_pre_rule *rule = r->rule;
    t->ignore_merges = rule->ignore_merges;
    t->bytes = !rule->characters;
    t->byte_fallback = rule->characters;
    if (rule->nfc)
        QL_TRY(add_norm(r, QL_NORM_NFC, NULL, NULL));
    for (size_t i = 0; rule->patterns[i]; i++)
        QL_TRY(ql_pretokenizer_add_split(&t->pre, rule->patterns[i], strlen(rule->patterns[i]),
                                         rule->removes_rest ? QL_PRE_REMOVED : QL_PRE_ISOLATED, rule->removes_rest, r->err));
    if (rule->spaces)
        return add_spaces(r, false);
    return add_dec(r, rule->characters ? QL_DEC_SPACES : QL_DEC_BYTES, NULL, NULL, 0);
}

// What can not be spelled may become the unknown token, but must not end the text.
static ql_code fill_bytes(reader *r)
{
    ql_tokenizer *t = r->t;
    ql_bpe_find_symbols(t);
    bool has_unk = t->unk >= 0 && !ql_tokenizer_is_eog(t, t->unk);
    for (int byte = 0; t->bytes && byte < 256; byte++) {
        int32_t id = t->byte_id[byte];
        unsigned type = id >= 0 ? ql_vocab_kind(&t->vocab, id) : QL_TOKEN_NORMAL;
        if (type != QL_TOKEN_NORMAL && type != QL_TOKEN_UNUSED)
            id = QL_NO_ID; // DeepSeek's user-defined U+00FF is that letter, not the byte 0xff
        if (id < 0 && !has_unk && byte >= 0x20 && byte < 0x7f)
            return ql_fail(r->err, QL_E_FORMAT, "tokenizer.ggml.tokens: no token for the byte 0x%02X ('%c'), and no "
                           "unknown token to stand in for it", (unsigned)byte, byte);
        t->byte_id[byte] = id < 0 && has_unk ? t->unk : id;
    }
    return QL_OK;
}

// "left right", split at the first space after the first byte.
static ql_code split_merge(const void *source, size_t i, ql_str *left, ql_str *right, ql_error *err)
{
    const ql_str *m = &((const ql_str_array *)source)->items[i];
    const char *space = m->len > 1 ? memchr(m->data + 1, ' ', m->len - 1) : NULL;
    size_t n = space ? (size_t)(space - m->data) : 0;
    if (!space || n + 1 == m->len)
        return ql_fail(err, QL_E_FORMAT, "merges[%zu] \"%.*s\": must be two pieces and one space", i,
                       (int)(m->len < 100 ? m->len : 100), m->data);
    *left = (ql_str){m->data, n};
    *right = (ql_str){space + 1, m->len - n - 1};
    return QL_OK;
}

static ql_code read_merges(reader *r)
{
    ql_str_array merges = {0};
    QL_TRY(ql_source_get_str_array(r->source, "tokenizer.ggml.merges", true, &merges, r->err));
    size_t longest = 0;
    for (size_t i = 0; i < merges.n; i++)
        longest = merges.items[i].len > longest ? merges.items[i].len : longest;
    return ql_bpe_build(r->t, split_merge, &merges, merges.n, longest, false, r->err);
}

static ql_code joins_new(reader *r)
{
    return (r->t->joins = calloc(QL_JOINS, 1)) ? QL_OK : ql_fail_memory(r->err, QL_JOINS);
}

static ql_code build_gpt2(reader *r)
{
    QL_TRY(gpt2_steps(r));
    QL_TRY(fill_bytes(r));
    r->t->model_unk = r->t->bytes ? QL_NO_ID : r->t->unk; // bytes without a token have been seen to
    if (!r->t->bytes)
        QL_TRY(joins_new(r));
    return read_merges(r);
}

static ql_code get_scores(reader *r, ql_num_array *scores)
{
    QL_TRY(ql_source_get_f32_array(r->source, "tokenizer.ggml.scores", true, scores, r->err));
    return scores->n == r->t->vocab.n ? QL_OK : ql_fail(r->err, QL_E_FORMAT, "tokenizer.ggml.scores has %zu elements, the "
                                                        "vocabulary %u", scores->n, r->t->vocab.n);
}

static ql_code build_llama(reader *r)
{
    ql_tokenizer *t = r->t;
    ql_num_array scores = {0};
    bool prefix = true;
    QL_TRY(ql_source_get_bool(r->source, "tokenizer.ggml.add_space_prefix", false, &prefix, r->err));
    QL_TRY(add_spaces(r, prefix));
    QL_TRY(get_scores(r, &scores));
    t->byte_fallback = t->fuse_unk = true;
    t->model_unk = t->unk;
    QL_TRY(joins_new(r));
    QL_TRY(ql_spm_build(t, &scores, r->err));
    ql_bpe_find_symbols(t);
    for (int byte = 0; byte < 256; byte++)
        if (t->byte_id[byte] < 0 && t->unk < 0)
            return ql_fail(r->err, QL_E_FORMAT, "tokenizer.ggml.tokens: no token <0x%02X>, and no "
                           "tokenizer.ggml.unknown_token_id to stand in for it", (unsigned)byte);
    return QL_OK;
}

static ql_code read_charsmap(reader *r)
{
    double *values = NULL;
    size_t n = 0;
    QL_TRY(ql_source_get_f64_array(r->source, "tokenizer.ggml.precompiled_charsmap", false, &values, &n, r->err));
    if (!n)
        return QL_OK;
    uint8_t *bytes = malloc(n);
    ql_code code = bytes ? QL_OK : ql_fail_memory(r->err, n);
    for (size_t i = 0; code == QL_OK && i < n; i++)
        bytes[i] = (uint8_t)(int)values[i]; // u8, or i8 in older files
    if (code == QL_OK)
        code = ql_charsmap_new(bytes, n, &ql_normalizer_add(&r->t->normalizer, QL_NORM_CHARSMAP)->map, r->err);
    free(bytes);
    free(values);
    return code;
}

static ql_code build_t5(reader *r)
{
    ql_tokenizer *t = r->t;
    ql_num_array scores = {0};
    bool prefix = true, fewer = false;
    t->model = QL_MODEL_UNIGRAM;
    QL_TRY(read_charsmap(r));
    QL_TRY(ql_source_get_bool(r->source, "tokenizer.ggml.remove_extra_whitespaces", false, &fewer, r->err));
    if (fewer) {
        ql_norm_step *step = ql_normalizer_add(&t->normalizer, QL_NORM_STRIP);
        step->left = step->right = true;
        QL_TRY(add_norm(r, QL_NORM_REPLACE, NULL, " "));
        QL_TRY(ql_regex_new(" {2,}", 5, &t->normalizer.steps[t->normalizer.n - 1].regex, r->err));
    }
    QL_TRY(ql_source_get_bool(r->source, "tokenizer.ggml.add_space_prefix", false, &prefix, r->err));
    for (int k = 0; k < 2; k++) {
        ql_pre_step *step = ql_pretokenizer_add(&t->pre, k ? QL_PRE_SPLIT : QL_PRE_METASPACE);
        step->scheme = prefix ? QL_PRE_ALWAYS : QL_PRE_NEVER;
        step->behavior = QL_PRE_MERGED_WITH_NEXT;
        QL_TRY(ql_norm_set(&step->text, &step->text_len, QL_META, 3, r->err));
    }
    QL_TRY(add_dec(r, QL_DEC_METASPACE, QL_META, NULL, 0));
    t->decoder.steps[t->decoder.n - 1].drop = prefix;
    QL_TRY(get_scores(r, &scores));
    if (!(t->scores = malloc(t->vocab.n * sizeof *t->scores)))
        return ql_fail_memory(r->err, t->vocab.n * sizeof *t->scores);
    for (uint32_t i = 0; i < t->vocab.n; i++) {
        float score;
        memcpy(&score, scores.data + 4 * (size_t)i, 4);
        if (isnan(score))
            return ql_fail(r->err, QL_E_FORMAT, "tokenizer.ggml.scores[%u] is not a number", i);
        t->scores[i] = (double)score;
    }
    t->model_unk = t->unk;
    return ql_unigram_build(t, r->err);
}

static ql_code build_bert(reader *r)
{
    ql_tokenizer *t = r->t;
    t->model = QL_MODEL_WORDPIECE;
    t->max_chars = 100;
    t->model_unk = t->unk;
    QL_TRY(ql_norm_set(&t->prefix, &t->prefix_len, "##", 2, r->err));
    static const ql_norm_kind kinds[] = {QL_NORM_CLEAN, QL_NORM_SPACE_CJK, QL_NORM_NFD, QL_NORM_STRIP_NONSPACING,
                                         QL_NORM_LOWER};
    for (size_t i = 0; i < 5; i++)
        QL_TRY(add_norm(r, kinds[i], NULL, NULL));
    QL_TRY(ql_pretokenizer_add_split(&t->pre, "\\s", 2, QL_PRE_REMOVED, false, r->err));
    static const char punctuation[] = "[\\p{P}$+<=>^`|~]";
    QL_TRY(ql_pretokenizer_add_split(&t->pre, punctuation, sizeof punctuation - 1, QL_PRE_ISOLATED, false, r->err));
    QL_TRY(add_dec(r, QL_DEC_WORDPIECE, "##", NULL, 0));
    t->decoder.steps[t->decoder.n - 1].cleanup = true;
    return QL_OK;
}

static ql_code find_kind(reader *r)
{
    static const struct { const char *name; file_kind kind; } kinds[] = {
        {"gpt2", GPT2}, {"gemma4", GPT2}, {"llama", LLAMA}, {"t5", T5}, {"bert", BERT}};
    ql_str model = {0};
    QL_TRY(ql_source_get_str(r->source, "tokenizer.ggml.model", true, &model, r->err));
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (model.len == strlen(kinds[i].name) && memcmp(model.data, kinds[i].name, model.len) == 0) {
            r->kind = kinds[i].kind;
            return QL_OK;
        }
    return ql_fail(r->err, QL_E_UNSUPPORTED, "tokenizer.ggml.model \"%.*s\" is not supported (supported: gpt2, gemma4, "
                   "llama, t5, bert)", (int)(model.len < 100 ? model.len : 100), model.data);
}

static ql_code read_all(reader *r)
{
    QL_TRY(find_kind(r));
    if (r->kind == GPT2)
        QL_TRY(find_rule(r));
    QL_TRY(read_vocab(r));
    QL_TRY(read_ids(r));
    QL_TRY(read_added(r));
    QL_TRY(find_added(r));
    r->t->verbatim_special = r->t->skips_unknown = true;
    switch (r->kind) {
    case GPT2:
        return build_gpt2(r);
    case LLAMA:
        return build_llama(r);
    case T5:
        return build_t5(r);
    default:
        return build_bert(r);
    }
}

ql_code ql_tokenizer_load_gguf(const ql_source *source, ql_tokenizer *t, ql_error *err)
{
    reader r = {.source = source, .t = t, .err = err};
    ql_code code = read_all(&r);
    free(r.types);
    return code;
}
