// SPDX-License-Identifier: MIT
// Owns the tokens that are found in a text before anything else. Must not know what becomes of the text between them.
// Its decision: a sorted array, narrowed byte by byte, finds the longest match without a tree's memory; only places
// whose first byte begins some token are looked at.
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "text/tokenizer_impl.h"

static int by_text(const void *a, const void *b)
{
    const ql_added_token *s = a, *t = b;
    int order = memcmp(s->text, t->text, s->len < t->len ? s->len : t->len);
    if (order)
        return order;
    return (s->len > t->len) - (s->len < t->len);
}

// Equal texts next to each other, the one that was given first in front.
static void drop_doubles(ql_added *added)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < added->n; i++) {
        ql_added_token *token = &added->tokens[i];
        bool same = n > 0 && added->tokens[n - 1].len == token->len &&
                    memcmp(added->tokens[n - 1].text, token->text, token->len) == 0;
        if (!same)
            added->tokens[n++] = *token;
    }
    added->n = n;
}

// A stable sort, as qsort's is not.
static ql_code sort_tokens(ql_added *added, ql_error *err)
{
    ql_added_token *from = added->tokens, *to = malloc((added->n + 1) * sizeof *to);
    if (!to)
        return ql_fail_memory(err, added->n * sizeof *to);
    for (size_t width = 1; width < added->n; width *= 2) {
        for (size_t begin = 0; begin < added->n; begin += 2 * width) {
            size_t mid = begin + width < added->n ? begin + width : added->n, i = begin, j = mid;
            size_t end = begin + 2 * width < added->n ? begin + 2 * width : added->n;
            for (size_t k = begin; k < end; k++)
                to[k] = j >= end || (i < mid && by_text(&from[i], &from[j]) <= 0) ? from[i++] : from[j++];
        }
        ql_added_token *swap = from;
        from = to;
        to = swap;
    }
    added->tokens = from;
    free(to);
    return QL_OK;
}

ql_code ql_added_init(ql_added *added, ql_added_token *tokens, size_t n, char *blob, ql_error *err)
{
    *added = (ql_added){.tokens = tokens, .blob = blob, .n = (uint32_t)n};
    QL_TRY(sort_tokens(added, err));
    drop_doubles(added);
    uint32_t i = 0;
    for (int c = 0; c < 256; c++) {
        added->at[c] = i;
        while (i < added->n && (uint8_t)added->tokens[i].text[0] == c)
            i++;
    }
    added->at[256] = i;
    return QL_OK;
}

void ql_added_free(ql_added *added)
{
    free(added->tokens);
    free(added->blob);
    *added = (ql_added){0};
}

// ---- finding ----

// The first of tokens[lo..hi), which share their first depth bytes, whose next byte is not below c.
static uint32_t lower_bound(const ql_added *added, uint32_t lo, uint32_t hi, size_t depth, unsigned c)
{
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if ((uint8_t)added->tokens[mid].text[depth] < c)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

// The longest token at text[0..len) whose special ones lie outside messages; NULL: none.
static const ql_added_token *longest(const ql_added *added, const char *text, size_t len, const uint8_t *from)
{
    unsigned first = (uint8_t)text[0];
    uint32_t lo = added->at[first], hi = added->at[first + 1];
    bool clean = true;
    const ql_added_token *best = NULL;
    for (size_t depth = 1; lo < hi; depth++) {
        clean = clean && !(from && from[depth - 1]);
        const ql_added_token *token = &added->tokens[lo];
        if (token->len == depth) { // the shortest sorts first
            if (clean || !(token->flags & QL_ADDED_SPECIAL))
                best = token;
            lo++;
        }
        if (depth == len)
            break;
        unsigned next = (uint8_t)text[depth];
        lo = lower_bound(added, lo, hi, depth, next);
        hi = lower_bound(added, lo, hi, depth, next + 1);
    }
    return best;
}

static size_t char_before(const char *text, size_t at, uint32_t *cp)
{
    size_t begin = at - 1;
    while (begin > 0 && ((uint8_t)text[begin] & 0xc0) == 0x80)
        begin--;
    ql_utf8_decode(text + begin, at - begin, cp);
    return begin;
}

static bool is_single_word(const ql_span *span, size_t begin, size_t end)
{
    uint32_t cp;
    if (begin > 0) {
        char_before(span->text, begin, &cp);
        if (ql_is_word(cp))
            return false;
    }
    return end == span->len || ql_utf8_decode(span->text + end, span->len - end, &cp) < 0 || !ql_is_word(cp);
}

static void take_spaces(const ql_span *span, unsigned flags, size_t from, ql_found *found)
{
    uint32_t cp;
    while ((flags & QL_ADDED_LSTRIP) && found->begin > from) {
        size_t before = char_before(span->text, found->begin, &cp);
        if (!ql_is_white_space(cp))
            break;
        found->begin = before;
    }
    while ((flags & QL_ADDED_RSTRIP) && found->end < span->len) {
        int n = ql_utf8_decode(span->text + found->end, span->len - found->end, &cp);
        if (n < 0 || !ql_is_white_space(cp))
            break;
        found->end += (size_t)n;
    }
}

// As in the library, a match that does not count still takes its place: the search goes on behind it.
bool ql_added_next(const ql_added *added, const ql_span *span, unsigned flags, size_t *at, size_t from, ql_found *found)
{
    if (added->n == 0)
        return false;
    while (*at < span->len) {
        unsigned c = (uint8_t)span->text[*at];
        const ql_added_token *token = added->at[c] == added->at[c + 1] ? NULL :
            longest(added, span->text + *at, span->len - *at, span->from ? span->from + *at : NULL);
        if (!token) {
            ++*at;
            continue;
        }
        *found = (ql_found){*at, *at + token->len, token->id};
        *at = found->end;
        if ((token->flags & QL_ADDED_SPECIAL) && !(flags & QL_PARSE_SPECIAL))
            continue;
        if ((token->flags & QL_ADDED_SINGLE_WORD) && !is_single_word(span, found->begin, found->end))
            continue;
        take_spaces(span, token->flags, from, found);
        return true;
    }
    return false;
}
