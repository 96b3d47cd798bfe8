// SPDX-License-Identifier: MIT
// Owns byte-pair encoding of pieces: the table of merges from tokens' texts, a piece's first symbols (bytes or
// characters), what becomes of characters without a token. Must not know how a text was cut.
//
// Its decision: where no merge of the vocabulary goes over two neighbouring characters, a piece is merged in two parts.
// So a SentencePiece vocabulary, whose pieces are whole texts, merges words, and the result is the same.
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "text/tokenizer_impl.h"

// ---- building ----

// A merge on its way into the table. A vocabulary of 128,000 tokens and its merges do not fit the caches near a core,
// so the steps of a batch are taken side by side: each asks for the memory of the next.
enum { BATCH = 32 };
enum { LEFT, RIGHT, BOTH };
typedef struct pending {
    ql_str part[3];
    uint32_t hash[3];
    int32_t id[3];
} pending;

static int shown(const ql_str *s) { return (int)(s->len < 100 ? s->len : 100); }

static ql_code fail_merge(const ql_pair *pair, size_t i, const ql_str *part, const char *what, ql_error *err)
{
    return ql_fail(err, QL_E_FORMAT, "merges[%zu] \"%.*s %.*s\": \"%.*s\" %s", i, shown(&pair->left), pair->left.data,
                   shown(&pair->right), pair->right.data, shown(part), part->data, what);
}

// joined has room for both parts. next: the token behind the one before; trained vocabularies have tokens in the order of
// their merges, so it is this merge's more often than not, and its text lies near.
static ql_code prepare(const ql_tokenizer *t, const ql_pair *pair, size_t i, char *joined, int32_t *next, pending *p,
                       ql_error *err)
{
    size_t skip = t->prefix ? t->prefix_len : 0;
    if (pair->right.len < skip)
        return fail_merge(pair, i, &pair->right, "is shorter than continuing_subword_prefix", err);
    memcpy(joined, pair->left.data, pair->left.len);
    memcpy(joined + pair->left.len, pair->right.data + skip, pair->right.len - skip);
    p->part[LEFT] = pair->left;
    p->part[RIGHT] = pair->right;
    p->part[BOTH] = (ql_str){joined, pair->left.len + pair->right.len - skip};
    size_t len = 0;
    const char *text = (uint32_t)*next < t->vocab.n ? ql_vocab_piece(&t->vocab, *next, &len) : NULL;
    bool guessed = text && len == p->part[BOTH].len && memcmp(text, joined, len) == 0;
    p->id[BOTH] = guessed ? *next : QL_NO_ID;
    *next += guessed;
    for (int k = 0; k < (guessed ? BOTH : 3); k++)
        p->hash[k] = ql_vocab_prepare(&t->vocab, p->part[k].data, p->part[k].len);
    return QL_OK;
}

// Merges first..first + n of the list.
static ql_code put_batch(ql_tokenizer *t, const ql_pair *pairs, size_t first, size_t n, char *joined, size_t longest,
                         int32_t *next, bool strict, ql_error *err)
{
    pending batch[BATCH];
    for (size_t i = 0; i < n; i++)
        QL_TRY(prepare(t, &pairs[i], first + i, joined + i * longest, next, &batch[i], err));
    for (size_t i = 0; i < n; i++)
        for (int k = 0; k < (batch[i].id[BOTH] >= 0 ? BOTH : 3); k++)
            ql_vocab_approach(&t->vocab, batch[i].hash[k]);
    for (size_t i = 0; i < n; i++) {
        pending *p = &batch[i];
        for (int k = 0; k < 3; k++) {
            if (k < BOTH || p->id[BOTH] < 0)
                p->id[k] = ql_vocab_find_prepared(&t->vocab, p->part[k].data, p->part[k].len, p->hash[k]);
            if (p->id[k] < 0 || (strict && !ql_vocab_in_model(&t->vocab, p->id[k])))
                return fail_merge(&pairs[i], first + i, &p->part[k], "is not in the vocabulary", err);
        }
        *next = p->id[BOTH] + 1;
        ql_merges_prefetch(&t->merges, p->id[LEFT], p->id[RIGHT]);
    }
    for (size_t i = 0; i < n; i++) { // text never merges into a control token; of equal pairs the last counts
        if (!ql_vocab_in_model(&t->vocab, batch[i].id[BOTH]))
            continue;
        ql_merges_put(&t->merges, batch[i].id[LEFT], batch[i].id[RIGHT], (uint32_t)(first + i), batch[i].id[BOTH]);
        ql_bpe_note_join(t, batch[i].id[LEFT], batch[i].id[RIGHT]);
    }
    return QL_OK;
}

ql_code ql_bpe_build(ql_tokenizer *t, const ql_pair *pairs, size_t n, bool strict, ql_error *err)
{
    QL_TRY(ql_merges_init(&t->merges, n, err));
    size_t longest = 1;
    for (size_t i = 0; i < n; i++)
        longest = pairs[i].left.len + pairs[i].right.len > longest ? pairs[i].left.len + pairs[i].right.len : longest;
    int32_t next = 0;
    char *joined = longest < SIZE_MAX / BATCH ? malloc(longest * BATCH) : NULL;
    ql_code code = joined ? QL_OK : ql_fail_memory(err, longest);
    for (size_t i = 0; code == QL_OK && i < n; i += BATCH)
        code = put_batch(t, pairs + i, i, n - i < BATCH ? n - i : BATCH, joined, longest, &next, strict,
                         err);
    free(joined);
    return code;
}

void ql_bpe_find_symbols(ql_tokenizer *t)
{
    for (int byte = 0; byte < 256; byte++) {
        char piece[8] = "<0x00>";
        size_t n = 6;
        piece[3] = "0123456789ABCDEF"[byte >> 4];
        piece[4] = "0123456789ABCDEF"[byte & 15];
        if (t->bytes)
            n = ql_byte_char((uint8_t)byte, piece);
        t->byte_id[byte] = ql_vocab_find_model(&t->vocab, piece, n);
    }
    for (int c = 0; c < 128; c++) {
        char s = (char)c;
        t->ascii_id[c] = ql_vocab_find_model(&t->vocab, &s, 1);
    }
}

// ---- joins ----

static uint32_t join_bit(uint32_t left, uint32_t right)
{
    return (left * 0x9e3779b1u ^ right * 0x85ebca6bu) >> 16;
}

static bool may_join(const ql_tokenizer *t, uint32_t left, uint32_t right)
{
    uint32_t bit = join_bit(left, right);
    return !t->joins || t->joins[bit >> 3] >> (bit & 7) & 1;
}

void ql_bpe_note_join(ql_tokenizer *t, int32_t left, int32_t right)
{
    size_t n, m, at;
    uint32_t a, b;
    if (!t->joins)
        return;
    const char *s = ql_vocab_piece(&t->vocab, left, &n), *u = ql_vocab_piece(&t->vocab, right, &m);
    if (ql_byte_of_piece(s, n) >= 0 || ql_byte_of_piece(u, m) >= 0 || left == t->model_unk || right == t->model_unk) {
        free(t->joins); // symbols that are no characters merge, too
        t->joins = NULL;
        return;
    }
    for (at = n - 1; at > 0 && ((uint8_t)s[at] & 0xc0) == 0x80;)
        at--;
    ql_utf8_decode(s + at, n - at, &a);
    ql_utf8_decode(u, m, &b);
    uint32_t bit = join_bit(a, b);
    t->joins[bit >> 3] |= (uint8_t)(1 << (bit & 7));
}

// ---- encoding ----

static ql_code out_of_word(const ql_coder *c, ql_error *err)
{
    return ql_fail_memory(err, c->word.cap * 2 * sizeof *c->word.ids);
}

static ql_code flush(ql_coder *c, ql_error *err)
{
    QL_TRY(ql_bpe_merge(&c->t->merges, &c->word, err));
    for (size_t i = 0; i < c->word.n; i++)
        QL_TRY(ql_coder_push(c, c->word.ids[i], err));
    c->word.n = 0;
    return QL_OK;
}

// The token that a whole piece of bytes is.
static int32_t find_bytes(ql_coder *c, const char *piece, size_t len)
{
    ql_buf_clear(&c->text);
    char *out = ql_buf_reserve(&c->text, 2 * len);
    size_t n = 0;
    for (size_t i = 0; out && i < len; i++)
        n += ql_byte_char((uint8_t)piece[i], out + n);
    return out ? ql_vocab_find_model(&c->t->vocab, out, n) : QL_NO_ID;
}

static ql_code encode_bytes(ql_coder *c, const char *piece, size_t len, ql_error *err)
{
    const ql_tokenizer *t = c->t;
    bool after_unk = false;
    for (size_t i = 0; i < len; i++) {
        int32_t id = t->byte_id[(uint8_t)piece[i]];
        bool unk = id < 0;
        if (unk && (t->model_unk < 0 || (t->fuse_unk && after_unk)))
            continue; // a byte that the publisher's vocabulary lacks is left out, as there
        after_unk = unk;
        if (!ql_word_push(&c->word, unk ? t->model_unk : id))
            return out_of_word(c, err);
    }
    return flush(c, err);
}

// The token of a character, with the mark of a continuation or of a word's end where a model has them.
static int32_t find_char(ql_coder *c, const char *s, size_t n, bool first, bool last)
{
    const ql_tokenizer *t = c->t;
    bool prefix = t->prefix && !first, suffix = t->suffix && last;
    if (!prefix && !suffix)
        return n == 1 ? t->ascii_id[(uint8_t)*s & 127] : ql_vocab_find_model(&t->vocab, s, n);
    ql_buf_clear(&c->text);
    if (prefix)
        ql_buf_append(&c->text, t->prefix, t->prefix_len);
    ql_buf_append(&c->text, s, n);
    if (suffix)
        ql_buf_append(&c->text, t->suffix, t->suffix_len);
    return c->text.failed ? QL_NO_ID : ql_vocab_find_model(&t->vocab, c->text.data, c->text.len);
}

// The bytes that spell a character without a token (and its marks, which lie in c->text then); false: some lack one.
static bool push_bytes(ql_coder *c, const char *s, size_t n, bool marked, bool *memory)
{
    if (marked) {
        s = c->text.data;
        n = c->text.len;
    }
    for (size_t i = 0; i < n; i++)
        if (c->t->byte_id[(uint8_t)s[i]] < 0)
            return false;
    for (size_t i = 0; i < n; i++)
        *memory = *memory && ql_word_push(&c->word, c->t->byte_id[(uint8_t)s[i]]);
    return true;
}

// Unknown characters wait for the next known one (in a row they may be one token); bytes in between go before them.
static ql_code encode_chars(ql_coder *c, const char *piece, size_t len, ql_error *err)
{
    const ql_tokenizer *t = c->t;
    bool unk = false, memory = true;
    uint32_t last_cp = 0, cp;
    bool known_before = false;
    for (size_t i = 0, n; memory && i < len; i += n) {
        cp = (uint8_t)piece[i];
        int used = cp < 0x80 ? 1 : ql_utf8_decode(piece + i, len - i, &cp);
        n = used > 0 ? (size_t)used : 1;
        int32_t id = find_char(c, piece + i, n, i == 0, i + n == len);
        if (id >= 0) {
            if (unk)
                memory = ql_word_push(&c->word, t->model_unk);
            else if (known_before && !may_join(t, last_cp, cp))
                QL_TRY(flush(c, err));
            unk = false;
            memory = memory && ql_word_push(&c->word, id);
        } else {
            bool marked = (t->prefix && i > 0) || (t->suffix && i + n == len);
            bool spelled = t->byte_fallback && push_bytes(c, piece + i, n, marked, &memory);
            if (!spelled && t->model_unk >= 0) {
                if (unk && !t->fuse_unk)
                    memory = ql_word_push(&c->word, t->model_unk);
                unk = true;
            }
        }
        known_before = id >= 0;
        last_cp = cp;
    }
    if (unk && memory)
        memory = ql_word_push(&c->word, t->model_unk);
    return memory && !c->text.failed ? flush(c, err) : out_of_word(c, err);
}

ql_code ql_bpe_encode(ql_coder *c, const char *piece, size_t len, ql_error *err)
{
    const ql_tokenizer *t = c->t;
    c->word.n = 0;
    if (t->ignore_merges && len <= t->vocab.longest) {
        int32_t id = t->bytes ? find_bytes(c, piece, len) : ql_vocab_find_model(&t->vocab, piece, len);
        if (c->text.failed)
            return ql_fail_memory(err, 2 * len);
        if (id >= 0)
            return ql_coder_push(c, id, err);
    }
    return t->bytes ? encode_bytes(c, piece, len, err) : encode_chars(c, piece, len, err);
}
