// SPDX-License-Identifier: MIT
// Owns the tokens that are found in a text before anything else: control, unknown and user-defined ones. Must not know
// what becomes of the text between them. Its decision: a sorted array, narrowed byte by byte, finds the longest match
// without a trie's memory; only positions whose first byte begins some special token are looked at.
#include "text/tokenizer_impl.h"

#include <stdlib.h>
#include <string.h>

static bool is_special(uint8_t type)
{
    return type == QL_TOKEN_CONTROL || type == QL_TOKEN_UNKNOWN || type == QL_TOKEN_USER_DEFINED;
}

static int by_bytes(const void *a, const void *b, void *user)
{
    const ql_vocab *vocab = user;
    size_t n, m;
    const char *s = ql_vocab_piece(vocab, *(const int32_t *)a, &n);
    const char *t = ql_vocab_piece(vocab, *(const int32_t *)b, &m);
    int order = memcmp(s, t, n < m ? n : m);
    return order ? order : (n > m) - (n < m);
}

ql_code ql_special_init(ql_tokenizer *t, ql_error *err)
{
    const ql_vocab *vocab = &t->vocab;
    size_t n = 0;
    for (uint32_t id = 0; id < vocab->n; id++)
        n += is_special(vocab->type[id]);
    t->special = malloc((n + 1) * sizeof *t->special);
    if (!t->special)
        return ql_fail_memory(err, (n + 1) * sizeof *t->special);
    for (uint32_t id = 0; id < vocab->n; id++)
        if (is_special(vocab->type[id]) && vocab->piece_at[id + 1] - vocab->piece_at[id] > 1)
            t->special[t->n_special++] = (int32_t)id;
    qsort_r(t->special, t->n_special, sizeof *t->special, by_bytes, &t->vocab);
    uint32_t i = 0;
    for (int c = 0; c < 256; c++) {
        t->special_at[c] = i;
        while (i < t->n_special && (uint8_t)vocab->pieces[vocab->piece_at[t->special[i]]] == c)
            i++;
    }
    t->special_at[256] = i;
    return QL_OK;
}

// The first of special[lo..hi), which share their first depth bytes, whose next byte is not below c.
static uint32_t lower_bound(const ql_tokenizer *t, uint32_t lo, uint32_t hi, size_t depth, unsigned c)
{
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if ((uint8_t)t->vocab.pieces[t->vocab.piece_at[t->special[mid]] + depth] < c)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

int32_t ql_special_match(const ql_tokenizer *t, const char *text, size_t len, const uint8_t *origin, unsigned flags,
                         size_t *matched)
{
    unsigned first = (uint8_t)text[0];
    uint32_t lo = t->special_at[first], hi = t->special_at[first + 1];
    bool may_control = flags & QL_PARSE_SPECIAL;
    int32_t best = QL_NO_ID;
    for (size_t depth = 1; lo < hi; depth++) {
        may_control = may_control && !(origin && origin[depth - 1]);
        int32_t id = t->special[lo];
        if (t->vocab.piece_at[id + 1] - t->vocab.piece_at[id] - 1 == depth) { // the shortest sorts first
            if (may_control || t->vocab.type[id] == QL_TOKEN_USER_DEFINED) {
                best = id;
                *matched = depth;
            }
            lo++;
        }
        if (depth == len)
            break;
        unsigned next = (uint8_t)text[depth];
        lo = lower_bound(t, lo, hi, depth, next);
        hi = lower_bound(t, lo, hi, depth, next + 1);
    }
    return best;
}
