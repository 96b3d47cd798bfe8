// SPDX-License-Identifier: MIT
// Owns the way of a tokenizer.json into GGUF's keys, the reverse of tokenizer_gguf.c. Must not know files.
//
// Its decision: it only puts what it can and says what it can not; whether the keys mean the same is found by reading them
// again and comparing all that encoding and decoding use (ql_tokenizer_check_same), so that no rule is forgotten here.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/tokenizer_impl.h"

static ql_code no_form(ql_error *err, const char *what)
{
    return ql_fail(err, QL_E_UNSUPPORTED, "tokenizer.json: a GGUF file has no form for %s", what);
}

// ---- vocabulary ----

static int32_t type_of(const ql_tokenizer *t, int32_t id)
{
    size_t len;
    const char *piece = ql_vocab_piece(&t->vocab, id, &len);
    if (!t->bytes && id == t->unk)
        return QL_TOKEN_UNKNOWN;
    if (t->byte_fallback && ql_byte_of_piece(piece, len) >= 0)
        return QL_TOKEN_BYTE;
    return (int32_t)ql_vocab_kind(&t->vocab, id);
}

// Rows of the embedding without a token get a name that no text spells, as llama.cpp's converter does.
static ql_code put_vocab(const ql_tokenizer *t, uint32_t n, ql_gguf_writer *w, ql_error *err)
{
    enum { NAME = 24 };
    ql_str *tokens = calloc(n, sizeof *tokens);
    int32_t *types = calloc(n, sizeof *types);
    char *names = calloc(n, NAME);
    ql_code code = tokens && types && names ? QL_OK : ql_fail_memory(err, n * (sizeof *tokens + sizeof *types + NAME));
    for (uint32_t i = 0; code == QL_OK && i < n; i++) {
        bool there = i < t->vocab.n;
        types[i] = there ? type_of(t, (int32_t)i) : QL_TOKEN_UNUSED;
        if (there)
            tokens[i].data = ql_vocab_piece(&t->vocab, (int32_t)i, &tokens[i].len);
        if (tokens[i].len)
            continue;
        tokens[i] = (ql_str){names + (size_t)i * NAME, 0};
        tokens[i].len = (size_t)snprintf(names + (size_t)i * NAME, NAME, "[PAD%u]", i);
    }
    if (code == QL_OK) {
        ql_gguf_put_strs(w, "tokenizer.ggml.tokens", tokens, n);
        ql_gguf_put_i32s(w, "tokenizer.ggml.token_type", types, n);
    }
    free(tokens);
    free(types);
    free(names);
    return code;
}

// ---- merges ----

// "left right", in the order of their ranks.
static ql_code put_merges(const ql_tokenizer *t, ql_gguf_writer *w, ql_error *err)
{
    uint32_t n = t->merges.n, kept = 0;
    ql_merge *list = malloc((n + 1) * sizeof *list);
    ql_str *lines = malloc((n + 1) * sizeof *lines);
    ql_buf text = {0};
    ql_code code = list && lines ? QL_OK : ql_fail_memory(err, n * (sizeof *list + sizeof *lines));
    if (code == QL_OK)
        ql_merges_list(&t->merges, list);
    for (int pass = 0; code == QL_OK && pass < 2; pass++) { // the text does not move in the second
        size_t at = kept = 0, left_len, right_len;
        for (uint32_t i = 0; i < n; i++) {
            if (list[i].left < 0)
                continue;
            const char *left = ql_vocab_piece(&t->vocab, list[i].left, &left_len);
            const char *right = ql_vocab_piece(&t->vocab, list[i].right, &right_len);
            if (pass == 0) {
                ql_buf_append(&text, left, left_len);
                ql_buf_append_byte(&text, ' ');
                ql_buf_append(&text, right, right_len);
            }
            lines[kept++] = (ql_str){text.data + (pass ? at : 0), left_len + 1 + right_len};
            at += left_len + 1 + right_len;
        }
        if (text.failed)
            code = ql_fail_memory(err, text.cap);
    }
    if (code == QL_OK)
        ql_gguf_put_strs(w, "tokenizer.ggml.merges", lines, kept);
    free(list);
    free(lines);
    ql_buf_free(&text);
    return code;
}

// SentencePiece's scores, of which merges are made again: what merges first has the best, single characters come behind.
static ql_code put_scores(const ql_tokenizer *t, uint32_t n, ql_gguf_writer *w, ql_error *err)
{
    float *scores = calloc(n, sizeof *scores), next = 0;
    if (!scores)
        return ql_fail_memory(err, n * sizeof *scores);
    for (uint32_t rank = 0; rank < t->merges.n; rank++) {
        int32_t id = t->merges.ids[rank];
        if (scores[id] >= 0)
            scores[id] = --next;
    }
    for (uint32_t i = 0; i < n; i++)
        if (scores[i] >= 0 && i < t->vocab.n && type_of(t, (int32_t)i) == QL_TOKEN_NORMAL)
            scores[i] = --next;
    ql_gguf_put_f32s(w, "tokenizer.ggml.scores", scores, n);
    free(scores);
    return QL_OK;
}

// ---- rules ----

// The rule whose patterns are these; NULL: none has them.
static const ql_pre_rule *find_rule(const ql_tokenizer *t)
{
    bool nfc = t->normalizer.n == 1 && t->normalizer.steps[0].kind == QL_NORM_NFC;
    const ql_pre_rule *rule;
    for (size_t i = 0; (rule = ql_pre_rule_at(i)); i++) {
        size_t k = 0;
        while (k < t->pre.n && rule->patterns[k] && ql_regex_is(t->pre.steps[k].regex, rule->patterns[k]))
            k++;
        if (k == t->pre.n && !rule->patterns[k] && !rule->characters && rule->nfc == nfc &&
            rule->ignore_merges == t->ignore_merges)
            return rule;
    }
    return NULL;
}

static ql_code put_bytes_kind(const ql_tokenizer *t, uint32_t n_vocab, ql_gguf_writer *w, ql_error *err)
{
    const ql_pre_rule *rule = find_rule(t);
    if (!rule)
        return no_form(err, "its way to cut a text (normalizer, pre_tokenizer, ignore_merges)");
    ql_gguf_put_str(w, "tokenizer.ggml.model", (ql_str){"gpt2", 4});
    ql_gguf_put_str(w, "tokenizer.ggml.pre", (ql_str){rule->names, strcspn(rule->names, " ")});
    QL_TRY(put_vocab(t, n_vocab, w, err));
    return put_merges(t, w, err);
}

static ql_code put_spm_kind(const ql_tokenizer *t, uint32_t n_vocab, ql_gguf_writer *w, ql_error *err)
{
    bool prefix = t->normalizer.n && t->normalizer.steps[0].kind == QL_NORM_PREPEND;
    ql_gguf_put_str(w, "tokenizer.ggml.model", (ql_str){"llama", 5});
    ql_gguf_put_str(w, "tokenizer.ggml.pre", (ql_str){"default", 7});
    QL_TRY(put_vocab(t, n_vocab, w, err));
    QL_TRY(put_scores(t, n_vocab, w, err));
    ql_gguf_put_bool(w, "tokenizer.ggml.add_space_prefix", prefix);
    return QL_OK;
}

// ---- ids ----

static void put_id(ql_gguf_writer *w, const char *key, int32_t id)
{
    if (id >= 0)
        ql_gguf_put_u32(w, key, (uint32_t)id);
}

// Tokens that end a text beside eos have two keys; those that are known by their names need none.
static void put_ends(const ql_tokenizer *t, ql_gguf_writer *w)
{
    static const char *const keys[] = {"tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"};
    size_t n = 0;
    for (uint32_t i = 0; i < t->n_eog && n < 2; i++)
        if (t->eog[i] != t->eos)
            put_id(w, keys[n++], t->eog[i]);
}

static ql_code put_ids(const ql_tokenizer *t, ql_gguf_writer *w, ql_error *err)
{
    if (t->n_before > 1 || t->n_after > 1)
        return no_form(err, "more than one token before or after a text");
    put_id(w, "tokenizer.ggml.bos_token_id", t->n_before ? t->before[0] : t->bos);
    put_id(w, "tokenizer.ggml.eos_token_id", t->n_after ? t->after[0] : t->eos);
    put_id(w, "tokenizer.ggml.unknown_token_id", t->unk);
    put_id(w, "tokenizer.ggml.padding_token_id", t->pad);
    put_ends(t, w);
    ql_gguf_put_bool(w, "tokenizer.ggml.add_bos_token", t->n_before > 0);
    ql_gguf_put_bool(w, "tokenizer.ggml.add_eos_token", t->n_after > 0);
    return QL_OK;
}

ql_code ql_tokenizer_put(const ql_tokenizer *t, uint32_t n_vocab, ql_gguf_writer *w, ql_error *err)
{
    if (t->model != QL_MODEL_BPE)
        return no_form(err, "a model other than BPE");
    if (!t->bytes && !t->byte_fallback)
        return no_form(err, "BPE neither of bytes nor with tokens for them");
    for (uint32_t i = 0; i < ql_n_added(t); i++)
        if (ql_added_at(t, i)->flags & (QL_ADDED_LSTRIP | QL_ADDED_RSTRIP | QL_ADDED_SINGLE_WORD))
            return no_form(err, "an added token with lstrip, rstrip or single_word");
    QL_TRY(t->bytes ? put_bytes_kind(t, n_vocab, w, err) : put_spm_kind(t, n_vocab, w, err));
    return put_ids(t, w, err);
}
