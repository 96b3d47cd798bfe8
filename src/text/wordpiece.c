// SPDX-License-Identifier: MIT
// Owns the models that look words up: WordPiece (the longest token, then the longest that goes on from there) and
// WordLevel (the word). Must not know how a text was cut.
#include <stdlib.h>
#include <string.h>

#include "text/tokenizer_impl.h"

static bool begins_char(const char *s, size_t at) { return ((uint8_t)s[at] & 0xc0) != 0x80; }

static size_t count_chars(const char *s, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++)
        n += begins_char(s, i);
    return n;
}

// The longest token at piece[at..len): its id, and where it ends. QL_NO_ID: none.
static int32_t longest(ql_coder *c, const char *piece, size_t at, size_t len, size_t *end)
{
    const ql_tokenizer *t = c->t;
    size_t prefix = at ? t->prefix_len : 0;
    size_t most = t->vocab.longest > prefix ? t->vocab.longest - prefix : 0;
    size_t stop = len - at < most ? len : at + most;
    ql_buf_clear(&c->text);
    ql_buf_append(&c->text, t->prefix, prefix);
    ql_buf_append(&c->text, piece + at, stop - at);
    for (; stop > at && !c->text.failed; stop--) {
        if (stop < len && !begins_char(piece, stop))
            continue;
        int32_t id = ql_vocab_find_model(&t->vocab, c->text.data, prefix + stop - at);
        if (id >= 0) {
            *end = stop;
            return id;
        }
    }
    return QL_NO_ID;
}

ql_code ql_wordpiece_encode(ql_coder *c, const char *piece, size_t len, ql_error *err)
{
    size_t first = c->ids->n;
    if (len > c->t->max_chars && count_chars(piece, len) > c->t->max_chars)
        return ql_coder_push_unknown(c, piece, len, err);
    for (size_t at = 0, end = 0; at < len; at = end) {
        int32_t id = longest(c, piece, at, len, &end);
        if (c->text.failed)
            return ql_fail_memory(err, len);
        if (id < 0) { // the whole word is unknown then
            c->ids->n = first;
            return ql_coder_push_unknown(c, piece, len, err);
        }
        QL_TRY(ql_coder_push(c, id, err));
    }
    return QL_OK;
}

ql_code ql_wordlevel_encode(ql_coder *c, const char *piece, size_t len, ql_error *err)
{
    int32_t id = ql_vocab_find_model(&c->t->vocab, piece, len);
    return id >= 0 ? ql_coder_push(c, id, err) : ql_coder_push_unknown(c, piece, len, err);
}
