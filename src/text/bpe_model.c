// SPDX-License-Identifier: MIT
// Owns byte-pair encoding of pieces: the table of merges from tokens' texts, a piece's first symbols (bytes or
// characters), what becomes of characters without a token. Must not know how a text was cut.
//
// Its decision: where no merge of the vocabulary goes over two neighbouring characters, a piece is merged in two parts.
// So a SentencePiece vocabulary, whose pieces are whole texts, merges words, and the result is the same.
#include <stdlib.h>
#include <string.h>

#include "base/thread.h"
#include "base/utf8.h"
#include "text/tokenizer_impl.h"

// ---- building ----

// A merge as ids.
typedef struct merge {
    int32_t id[3]; // LEFT, RIGHT, BOTH
} merge;
enum { LEFT, RIGHT, BOTH };

// A merge on its way to its ids. A vocabulary of 150,000 tokens does not fit the caches near a core, so the steps of a
// batch are taken side by side: each asks for the memory of the next.
enum { BATCH = 32 };
typedef struct pending {
    ql_str part[3]; // BOTH: unless it was guessed
    ql_vocab_probe probe[3];
    int32_t *id;    // [3]
} pending;

// Short parts found lately: half of all are found here, and wait for no memory.
enum { MEMO = 2048 };
typedef struct known_part {
    uint64_t key;
    int32_t id;
} known_part;

// Some merges of a source, first to end, become ids.
typedef struct finder {
    const ql_tokenizer *t;
    ql_pair_fn *read;
    const void *source;
    size_t first, end;
    bool strict;
    merge *merges;  // all of the source's
    int32_t last;   // the token that the merge before made
    size_t longest; // bytes of a pair
    char *joined;   // [BATCH, longest]
    pending batch[BATCH];
    known_part memo[MEMO];
    ql_error err;
} finder;

static known_part *memo_of(finder *f, uint64_t key)
{
    return &f->memo[key * 0x9e3779b97f4a7c15u >> 53]; // bounded: a hash, 11 bits of it (MEMO)
}

static int shown(const ql_str *s) { return (int)(s->len < 100 ? s->len : 100); }

static ql_code fail_merge(finder *f, const pending *p, size_t i, const ql_str *part, const char *what)
{
    const ql_str *left = &p->part[LEFT], *right = &p->part[RIGHT];
    return ql_fail(&f->err, QL_E_FORMAT, "merges[%zu] \"%.*s %.*s\": \"%.*s\" %s", i, shown(left), left->data, shown(right),
                   right->data, shown(part), part->data, what);
}

// Whether a token's text is the merge's left and right together; bare: right without continuing_subword_prefix.
static bool spells(const ql_vocab *vocab, int32_t id, const pending *p, ql_str bare)
{
    size_t len, n = p->part[LEFT].len;
    if ((uint32_t)id >= vocab->n)
        return false;
    const char *text = ql_vocab_piece(vocab, id, &len);
    if (len != n + bare.len)
        return false;
    return ql_same_bytes(text, p->part[LEFT].data, n) && ql_same_bytes(text + n, bare.data, bare.len);
}

// Vocabularies have their tokens in the order of their merges, or all merges of a token side by side: so what a merge
// makes is the token that the one before made or the next, more often than not.
static int32_t guess(const finder *f, const pending *p, ql_str bare)
{
    const ql_vocab *vocab = &f->t->vocab;
    if (spells(vocab, f->last + 1, p, bare))
        return f->last + 1;
    return f->last >= 0 && spells(vocab, f->last, p, bare) ? f->last : QL_NO_ID;
}

static ql_code prepare(finder *f, size_t i, pending *p, char *joined)
{
    const ql_vocab *vocab = &f->t->vocab;
    size_t skip = f->t->prefix ? f->t->prefix_len : 0, n = p->part[LEFT].len;
    if (p->part[RIGHT].len < skip)
        return fail_merge(f, p, i, &p->part[RIGHT], "is shorter than continuing_subword_prefix");
    ql_str bare = {p->part[RIGHT].data + skip, p->part[RIGHT].len - skip};
    for (int k = LEFT; k < BOTH; k++) {
        uint64_t key = ql_vocab_key(p->part[k].data, p->part[k].len);
        const known_part *known = memo_of(f, key);
        p->id[k] = known->key == key ? known->id : QL_NO_ID;
        if (p->id[k] < 0)
            p->probe[k] = ql_vocab_prepare(vocab, key);
    }
    p->id[BOTH] = guess(f, p, bare);
    if (p->id[BOTH] >= 0) {
        f->last = p->id[BOTH];
        return QL_OK;
    }
    memcpy(joined, p->part[LEFT].data, n);
    memcpy(joined + n, bare.data, bare.len);
    p->part[BOTH] = (ql_str){joined, n + bare.len};
    p->probe[BOTH] = ql_vocab_prepare(vocab, ql_vocab_key(joined, n + bare.len));
    return QL_OK;
}

static ql_code find_tokens(finder *f, size_t i, pending *p)
{
    const ql_vocab *vocab = &f->t->vocab;
    for (int k = 0; k < 3; k++) {
        if (p->id[k] < 0) {
            p->id[k] = ql_vocab_find_prepared(vocab, p->part[k].data, p->part[k].len, p->probe[k]);
            if (p->part[k].len <= QL_SHORT)
                *memo_of(f, p->probe[k].key) = (known_part){p->probe[k].key, p->id[k]};
        }
        if (p->id[k] < 0 || (f->strict && !ql_vocab_in_model(vocab, p->id[k])))
            return fail_merge(f, p, i, &p->part[k], "is not in the vocabulary");
    }
    f->last = p->id[BOTH];
    return QL_OK;
}

static ql_code find_merges(finder *f)
{
    for (size_t first = f->first; first < f->end; first += BATCH) {
        size_t n = f->end - first < BATCH ? f->end - first : BATCH;
        for (size_t i = 0; i < n; i++) {
            pending *p = &f->batch[i];
            p->id = f->merges[first + i].id;
            QL_TRY(f->read(f->source, first + i, &p->part[LEFT], &p->part[RIGHT], &f->err));
            QL_TRY(prepare(f, first + i, p, f->joined + i * f->longest));
        }
        for (size_t i = 0; i < n; i++)
            for (int k = 0; k < 3; k++)
                if (f->batch[i].id[k] < 0)
                    ql_vocab_approach(&f->t->vocab, f->batch[i].probe[k]);
        for (size_t i = 0; i < n; i++)
            QL_TRY(find_tokens(f, first + i, &f->batch[i]));
    }
    return QL_OK;
}

static void *find_on_thread(void *arg)
{
    finder *f = arg;
    f->err.code = find_merges(f);
    return NULL;
}

// The first half on a thread, where there is one to be had.
static ql_code find_halves(finder f[2], ql_error *err)
{
    pthread_t thread;
    bool apart = f[0].end > f[0].first && ql_thread_start(&thread, find_on_thread, &f[0]) == 0;
    if (!apart)
        find_on_thread(&f[0]);
    find_on_thread(&f[1]);
    if (apart)
        pthread_join(thread, NULL);
    for (int k = 0; k < 2; k++)
        if (f[k].err.code != QL_OK) {
            if (err)
                *err = f[k].err;
            return f[k].err.code;
        }
    return QL_OK;
}

static void put_merges(ql_tokenizer *t, const merge *merges, size_t n)
{
    enum { AHEAD = 16 };
    for (size_t i = 0; i < n + AHEAD; i++) {
        if (i < n)
            ql_merges_prefetch(&t->merges, merges[i].id[LEFT], merges[i].id[RIGHT]);
        const int32_t *id = i < AHEAD ? NULL : merges[i - AHEAD].id;
        if (!id || !ql_vocab_in_model(&t->vocab, id[BOTH]))
            continue; // text never merges into a control token
        ql_merges_put(&t->merges, id[LEFT], id[RIGHT], (uint32_t)(i - AHEAD), id[BOTH]); // of equal pairs the last counts
        ql_bpe_note_join(t, id[LEFT], id[RIGHT]);
    }
}

ql_code ql_bpe_build(ql_tokenizer *t, ql_pair_fn *read, const void *source, size_t n, size_t longest, bool strict,
                     ql_error *err)
{
    enum { WORTH_A_THREAD = 20000 }; // about a millisecond
    QL_TRY(ql_merges_init(&t->merges, t->vocab.n, n, err));
    size_t half = n < WORTH_A_THREAD ? 0 : n / 2;
    finder *f = calloc(2, sizeof *f);
    merge *merges = malloc((n + 1) * sizeof *merges);
    char *joined = longest < SIZE_MAX / BATCH / 4 ? malloc(2 * longest * BATCH + 1) : NULL;
    ql_code code = f && merges && joined ? QL_OK : ql_fail_memory(err, n * sizeof *merges);
    for (int k = 0; code == QL_OK && k < 2; k++) {
        f[k] = (finder){.t = t, .read = read, .source = source, .first = k ? half : 0, .end = k ? n : half, .strict = strict,
                        .merges = merges, .last = QL_NO_ID, .longest = longest, .joined = joined + (k ? longest * BATCH : 0)};
        memset(f[k].memo, 0xff, sizeof f[k].memo);
    }
    if (code == QL_OK)
        code = find_halves(f, err);
    if (code == QL_OK)
        put_merges(t, merges, n);
    free(joined);
    free(merges);
    free(f);
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
