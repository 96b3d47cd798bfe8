// SPDX-License-Identifier: MIT
// Owns SentencePiece-style BPE: characters with byte fallback, merged by score. Must not know special tokens.
//
// Its decision: the scores are turned into a list of merges at load, as the publishers' tokenizer.json does it, so that
// encoding is the same as for byte-level vocabularies; and where no token of the vocabulary has a space after another
// character (Llama's has none), a word can not merge with the one before and each is merged alone.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "text/tokenizer_impl.h"

#define SPACE "\xe2\x96\x81" // U+2581, what a space is stored as

static bool mergeable(const ql_vocab *vocab, int32_t id)
{
    return id >= 0 && ql_vocab_is_text(vocab, id) && vocab->type[id] != QL_TOKEN_BYTE;
}

static int32_t find_text(const ql_vocab *vocab, const char *piece, size_t len)
{
    int32_t id = ql_vocab_find(vocab, piece, len);
    return mergeable(vocab, id) ? id : QL_NO_ID;
}

// ---- merges from scores

typedef struct split {
    int32_t left, right, id;
} split;

typedef struct split_list {
    split *data;
    size_t n, cap;
} split_list;

static bool push_split(split_list *list, split s)
{
    if (list->n == list->cap) {
        size_t cap = list->cap ? list->cap * 2 : 4096;
        split *data = realloc(list->data, cap * sizeof *data);
        if (!data)
            return false;
        list->data = data;
        list->cap = cap;
    }
    list->data[list->n++] = s;
    return true;
}

static int by_parts(const void *a, const void *b)
{
    const split *x = a, *y = b;
    if (x->left != y->left)
        return x->left < y->left ? -1 : 1;
    return (x->right > y->right) - (x->right < y->right);
}

// All ways to put a token together from two.
static bool push_splits(const ql_vocab *vocab, int32_t id, split_list *list)
{
    size_t len, first = list->n;
    const char *piece = ql_vocab_piece(vocab, id, &len);
    for (size_t i = 1; i < len; i++) {
        if (((uint8_t)piece[i] & 0xc0) == 0x80)
            continue; // inside a character
        int32_t left = find_text(vocab, piece, i);
        int32_t right = left < 0 ? QL_NO_ID : find_text(vocab, piece + i, len - i);
        if (right >= 0 && !push_split(list, (split){left, right, id}))
            return false;
    }
    if (list->n - first > 1)
        qsort(list->data + first, list->n - first, sizeof *list->data, by_parts);
    return true;
}

typedef struct scored {
    float score;
    int32_t id;
} scored;

static int by_score(const void *a, const void *b)
{
    const scored *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

// order is [n_vocab]. Best score first, then lower id.
static ql_code rank_tokens(const ql_tokenizer *t, const ql_num_array *scores, const char *path, scored *order,
                           size_t *n, ql_error *err)
{
    *n = 0;
    for (uint32_t i = 0; i < t->vocab.n; i++) {
        float score;
        memcpy(&score, scores->data + 4 * (size_t)i, 4);
        if (isnan(score))
            return ql_fail(err, QL_E_FORMAT, "%s: tokenizer.ggml.scores[%u] is not a number", path, i);
        if (mergeable(&t->vocab, (int32_t)i))
            order[(*n)++] = (scored){score, (int32_t)i};
    }
    qsort(order, *n, sizeof *order, by_score);
    return QL_OK;
}

static ql_code make_merges(ql_tokenizer *t, const ql_num_array *scores, const char *path, ql_error *err)
{
    split_list list = {0};
    size_t n = 0;
    size_t bytes = t->vocab.n * sizeof(scored);
    scored *order = malloc(bytes);
    ql_code code = order ? rank_tokens(t, scores, path, order, &n, err) : ql_fail_memory(err, bytes);
    for (size_t i = 0; code == QL_OK && i < n; i++)
        if (!push_splits(&t->vocab, order[i].id, &list))
            code = ql_fail_memory(err, list.cap * 2 * sizeof *list.data);
    if (code == QL_OK)
        code = ql_merges_init(&t->merges, list.n, err);
    for (size_t i = 0; code == QL_OK && i < list.n; i++)
        ql_merges_put(&t->merges, list.data[i].left, list.data[i].right, (uint32_t)i, list.data[i].id);
    free(order);
    free(list.data);
    return code;
}

// ---- characters

static bool has_inner_space(const char *piece, size_t len)
{
    bool text_before = false;
    for (size_t i = 0; i < len;) {
        bool space = len - i >= 3 && memcmp(piece + i, SPACE, 3) == 0;
        if (space && text_before)
            return true;
        text_before = text_before || !space;
        i += space ? 3 : 1;
    }
    return false;
}

static ql_code find_bytes(ql_tokenizer *t, const char *path, ql_error *err)
{
    for (uint32_t id = 0; id < t->vocab.n; id++)
        if (t->vocab.type[id] == QL_TOKEN_BYTE)
            t->byte_id[(uint8_t)t->vocab.bytes[t->vocab.bytes_at[id]]] = (int32_t)id;
    for (int c = 0; c < 128; c++) {
        char s = (char)c;
        t->ascii_id[c] = c == ' ' ? find_text(&t->vocab, SPACE, 3) : find_text(&t->vocab, &s, 1);
    }
    for (int byte = 0; byte < 256; byte++)
        if (t->byte_id[byte] < 0 && t->unk < 0)
            return ql_fail(err, QL_E_FORMAT, "%s: tokenizer.ggml.tokens: no token <0x%02X>, and no "
                           "tokenizer.ggml.unknown_token_id to stand in for it", path, (unsigned)byte);
    t->cut_at_spaces = t->ascii_id[' '] >= 0;
    for (uint32_t id = 0; t->cut_at_spaces && id < t->vocab.n; id++) {
        size_t len;
        const char *piece = ql_vocab_piece(&t->vocab, (int32_t)id, &len);
        if (mergeable(&t->vocab, (int32_t)id) && has_inner_space(piece, len))
            t->cut_at_spaces = false;
    }
    return QL_OK;
}

ql_code ql_spm_load(ql_tokenizer *t, const ql_source *source, ql_error *err)
{
    const char *path = ql_source_path(source);
    ql_num_array scores = {0};
    QL_TRY(ql_source_get_f32_array(source, "tokenizer.ggml.scores", true, &scores, err));
    if (scores.n != t->vocab.n)
        return ql_fail(err, QL_E_FORMAT, "%s: tokenizer.ggml.scores has %zu elements, the vocabulary %u", path,
                       scores.n, t->vocab.n);
    QL_TRY(make_merges(t, &scores, path, err));
    return find_bytes(t, path, err);
}

// ---- encoding

typedef struct run {
    const ql_tokenizer *t;
    ql_word *word;
    ql_ids *ids;
    bool after_unk; // unknown characters in a row are one token
} run;

static bool push_char(run *r, int32_t id, const char *s, size_t n)
{
    bool after_unk = r->after_unk;
    r->after_unk = false;
    if (id >= 0)
        return ql_word_push(r->word, id);
    bool have_bytes = true;
    for (size_t i = 0; i < n; i++)
        have_bytes = have_bytes && r->t->byte_id[(uint8_t)s[i]] >= 0;
    if (!have_bytes) {
        r->after_unk = true;
        return after_unk || ql_word_push(r->word, r->t->unk);
    }
    for (size_t i = 0; i < n; i++)
        if (!ql_word_push(r->word, r->t->byte_id[(uint8_t)s[i]]))
            return false;
    return true;
}

static ql_code flush(run *r, ql_error *err)
{
    QL_TRY(ql_bpe_merge(&r->t->merges, r->word, err));
    for (size_t i = 0; i < r->word->n; i++)
        if (!ql_ids_push(r->ids, r->word->ids[i]))
            return ql_fail_memory(err, r->ids->cap * 2 * sizeof(int32_t));
    r->word->n = 0;
    return QL_OK;
}

ql_code ql_spm_encode(const ql_tokenizer *t, ql_word *word, const char *text, size_t len, ql_ids *ids, ql_error *err)
{
    run r = {.t = t, .word = word, .ids = ids};
    bool ok = true, after_space = true;
    word->n = 0;
    if (t->add_space_prefix && len > 0)
        ok = push_char(&r, t->ascii_id[' '], SPACE, 3);
    for (size_t i = 0; ok && i < len;) {
        uint32_t c = (uint8_t)text[i];
        int used = c < 0x80 ? 1 : ql_utf8_decode(text + i, len - i, &c);
        size_t n = used > 0 ? (size_t)used : 1; // a byte that is not UTF-8 stands alone
        bool space = used > 0 && (c == ' ' || c == 0x2581);
        if (space && !after_space && t->cut_at_spaces)
            QL_TRY(flush(&r, err));
        after_space = space;
        if (space)
            ok = push_char(&r, t->ascii_id[' '], SPACE, 3);
        else
            ok = push_char(&r, used < 0 ? QL_NO_ID : c < 0x80 ? t->ascii_id[c] : find_text(&t->vocab, text + i, n),
                           text + i, n);
        i += n;
    }
    return ok ? flush(&r, err) : ql_fail_memory(err, word->cap * 2 * sizeof *word->ids);
}
