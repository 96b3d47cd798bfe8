// SPDX-License-Identifier: MIT
// Owns whether two tokenizers give the same ids and the same text: all that encoding and decoding use is compared. Must not
// know where they are from. What GGUF's reader does differently on purpose (tokenizer.h) is no difference here.
#include <stdlib.h>
#include <string.h>

#include "text/tokenizer_impl.h"

static bool same_text(const char *a, size_t a_len, const char *b, size_t b_len)
{
    return a_len == b_len && (!a_len || memcmp(a, b, a_len) == 0);
}

static bool same_normalizer(const ql_normalizer *a, const ql_normalizer *b)
{
    bool same = a->n == b->n;
    for (size_t i = 0; same && i < a->n; i++) {
        const ql_norm_step *s = &a->steps[i], *t = &b->steps[i];
        same = s->kind == t->kind && s->left == t->left && s->right == t->right && !s->map && !t->map &&
               same_text(s->a, s->a_len, t->a, t->a_len) && same_text(s->b, s->b_len, t->b, t->b_len) &&
               ql_regex_same(s->regex, t->regex);
    }
    return same;
}

static bool same_pretokenizer(const ql_pretokenizer *a, const ql_pretokenizer *b)
{
    bool same = a->n == b->n;
    for (size_t i = 0; same && i < a->n; i++) {
        const ql_pre_step *s = &a->steps[i], *t = &b->steps[i];
        same = s->kind == t->kind && s->behavior == t->behavior && s->invert == t->invert && s->scheme == t->scheme &&
               s->n == t->n && same_text(s->text, s->text_len, t->text, t->text_len) && ql_regex_same(s->regex, t->regex);
    }
    return same;
}

// Gemma's: a cut at spaces, of which its normalizer has left none.
static bool cuts_nothing(const ql_tokenizer *t)
{
    const ql_pre_step *cut = &t->pre.steps[0];
    const ql_norm_step *last = t->normalizer.n ? &t->normalizer.steps[t->normalizer.n - 1] : NULL;
    return t->pre.n == 1 && cut->kind == QL_PRE_SPLIT && !cut->regex && !cut->invert && same_text(cut->text, cut->text_len, " ", 1) &&
           last && last->kind == QL_NORM_REPLACE && !last->regex && same_text(last->a, last->a_len, " ", 1) &&
           !memchr(last->b ? last->b : "", ' ', last->b_len);
}

static bool same_decoder(const ql_decoder *a, const ql_decoder *b)
{
    bool same = a->n == b->n;
    for (size_t i = 0; same && i < a->n; i++) {
        const ql_dec_step *s = &a->steps[i], *t = &b->steps[i];
        same = s->kind == t->kind && s->drop == t->drop && s->cleanup == t->cleanup && s->start == t->start &&
               s->stop == t->stop && same_text(s->text, s->text_len, t->text, t->text_len) &&
               same_text(s->more, s->more_len, t->more, t->more_len) && ql_regex_same(s->regex, t->regex);
    }
    return same;
}

// Tokens of a; b may have more, which no text gives.
static bool same_vocab(const ql_vocab *a, const ql_vocab *b)
{
    bool same = a->n <= b->n;
    for (uint32_t i = 0; same && i < a->n; i++) {
        size_t n, m;
        const char *s = ql_vocab_piece(a, (int32_t)i, &n), *t = ql_vocab_piece(b, (int32_t)i, &m);
        same = n == 0 || same_text(s, n, t, m);
    }
    return same;
}

// A pair and what it becomes.
typedef struct pair {
    int32_t id, left, right;
} pair;

static int by_parts(const void *a, const void *b)
{
    const pair *x = a, *y = b;
    return x->left != y->left ? (x->left > y->left) - (x->left < y->left) : (x->right > y->right) - (x->right < y->right);
}

// All pairs by rank, [*n]; NULL: out of memory. Those that become one token and follow each other are in a fixed order: GGUF's
// scores do not tell them apart, and SentencePiece, which such merges are from, does not either (the leftmost is merged).
static pair *pairs_of(const ql_merges *m, uint32_t *n)
{
    ql_merge *list = malloc((m->n + 1) * sizeof *list);
    pair *pairs = malloc((m->n + 1) * sizeof *pairs);
    *n = 0;
    if (list && pairs)
        ql_merges_list(m, list);
    for (uint32_t i = 0; list && pairs && i < m->n; i++)
        if (list[i].left >= 0)
            pairs[(*n)++] = (pair){m->ids[i], list[i].left, list[i].right};
    for (uint32_t i = 0, end; list && pairs && i < *n; i = end) {
        for (end = i + 1; end < *n && pairs[end].id == pairs[i].id;)
            end++;
        if (end - i > 1)
            qsort(pairs + i, end - i, sizeof *pairs, by_parts);
    }
    if (!list)
        free(pairs);
    free(list);
    return list ? pairs : NULL;
}

static ql_code same_merges(const ql_merges *a, const ql_merges *b, bool *same, ql_error *err)
{
    uint32_t n, m;
    pair *x = pairs_of(a, &n), *y = pairs_of(b, &m);
    ql_code code = x && y ? QL_OK : ql_fail_memory(err, ((size_t)a->n + b->n) * sizeof *x);
    if (code == QL_OK)
        *same = n == m && (!n || memcmp(x, y, n * sizeof *x) == 0);
    free(x);
    free(y);
    return code;
}

// A byte without a token is what GGUF's reader has an answer of its own for.
static bool same_bytes(const ql_tokenizer *a, const ql_tokenizer *b)
{
    for (int i = 0; i < 256; i++)
        if (a->byte_id[i] >= 0 && a->byte_id[i] != b->byte_id[i])
            return false;
    return true;
}

static bool same_token(const ql_added_token *a, const ql_added_token *b)
{
    return a->id == b->id && a->flags == b->flags && same_text(a->text, a->len, b->text, b->len);
}

// Texts and ids, in any order; of a, those found in normalized texts too: only where normalizing leaves them alone.
// Both are nearly in one order, so the search goes on after the last hit: there may be as many as tokens.
static bool same_added(const ql_tokenizer *a, const ql_tokenizer *b)
{
    uint32_t n = ql_n_added(a), k = 0;
    bool same = !a->n_shown && n == b->added[0].n && !b->added[1].n;
    for (uint32_t i = 0; same && i < n; i++) {
        const ql_added_token *x = ql_added_at(a, i);
        uint32_t tried = 0;
        while (tried < n && !same_token(&b->added[0].tokens[(k + tried) % n], x))
            tried++;
        same = tried < n;
        k = (k + tried + 1) % n;
    }
    return same;
}

static bool same_around(const ql_tokenizer *a, const ql_tokenizer *b)
{
    return a->n_before == b->n_before && a->n_after == b->n_after &&
           (!a->n_before || memcmp(a->before, b->before, a->n_before * sizeof *a->before) == 0) &&
           (!a->n_after || memcmp(a->after, b->after, a->n_after * sizeof *a->after) == 0);
}

static bool same_ends(const ql_tokenizer *a, const ql_tokenizer *b)
{
    bool same = a->n_eog == b->n_eog;
    for (uint32_t i = 0; same && i < a->n_eog; i++)
        same = ql_tokenizer_is_eog(b, a->eog[i]);
    return same;
}

static bool same_model(const ql_tokenizer *a, const ql_tokenizer *b)
{
    bool unk = a->bytes || (a->model_unk == b->model_unk && a->fuse_unk == b->fuse_unk);
    return a->model == b->model && a->bytes == b->bytes && a->byte_fallback == b->byte_fallback && unk &&
           a->ignore_merges == b->ignore_merges && same_text(a->prefix, a->prefix_len, b->prefix, b->prefix_len) &&
           same_text(a->suffix, a->suffix_len, b->suffix, b->suffix_len);
}

ql_code ql_tokenizer_check_same(const ql_tokenizer *a, const ql_tokenizer *b, ql_error *err)
{
    bool merges = true;
    QL_TRY(same_merges(&a->merges, &b->merges, &merges, err));
    const struct {
        bool same;
        const char *what;
    } parts[] = {{same_normalizer(&a->normalizer, &b->normalizer), "its normalizer"},
                 {same_pretokenizer(&a->pre, &b->pre) || (cuts_nothing(a) && !b->pre.n), "its pre_tokenizer"},
                 {same_decoder(&a->decoder, &b->decoder), "its decoder"},
                 {same_model(a, b), "how its model treats what is unknown"},
                 {same_vocab(&a->vocab, &b->vocab), "its vocabulary"},
                 {merges, "the order of its merges"},
                 {same_bytes(a, b), "its tokens of bytes"},
                 {same_added(a, b), "its added tokens"},
                 {same_around(a, b), "its post_processor"},
                 {a->bos == b->bos || (a->bos < 0 && b->n_before), "its bos_token"},
                 {same_ends(a, b), "its set of tokens that end a text"}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (!parts[i].same)
            return ql_fail(err, QL_E_UNSUPPORTED, "tokenizer.json: a GGUF file has no form for %s", parts[i].what);
    return QL_OK;
}
