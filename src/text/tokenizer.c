// SPDX-License-Identifier: MIT
// Owns encoding and decoding as a whole: added tokens, the text between them, what is put around it. Must not know files.
//
// Its decision on bytes that are not UTF-8: each run of them is a piece of its own, so that every step sees valid text
// only and every byte still becomes its token, if it has one; else a U+FFFD stands for each invalid part, as text.
#include "text/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "text/tokenizer_impl.h"

bool ql_ids_push(ql_ids *ids, int32_t id)
{
    if (ids->n == ids->cap) {
        size_t cap = ids->cap ? ids->cap * 2 : 64;
        int32_t *data = realloc(ids->data, cap * sizeof *data);
        if (!data)
            return false;
        ids->data = data;
        ids->cap = cap;
    }
    ids->data[ids->n++] = id;
    return true;
}

void ql_ids_free(ql_ids *ids)
{
    free(ids->data);
    *ids = (ql_ids){0};
}

// ---- ids of a piece ----

ql_code ql_coder_push(ql_coder *coder, int32_t id, ql_error *err)
{
    return ql_ids_push(coder->ids, id) ? QL_OK : ql_fail_memory(err, coder->ids->cap * 2 * sizeof(int32_t));
}

static bool has_all_bytes(const ql_tokenizer *t, const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (t->byte_id[(uint8_t)s[i]] < 0)
            return false;
    return true;
}

ql_code ql_coder_push_unknown(ql_coder *coder, const char *piece, size_t len, ql_error *err)
{
    const ql_tokenizer *t = coder->t;
    if (t->byte_fallback && has_all_bytes(t, piece, len)) {
        for (size_t i = 0; i < len; i++)
            QL_TRY(ql_coder_push(coder, t->byte_id[(uint8_t)piece[i]], err));
        return QL_OK;
    }
    if (t->model_unk >= 0)
        return ql_coder_push(coder, t->model_unk, err);
    return ql_fail(err, QL_E_ARGUMENT, "the vocabulary has no token for \"%.*s\", and no unknown token",
                   (int)(len < 40 ? len : 40), piece);
}

void ql_coder_free(ql_coder *coder)
{
    ql_word_free(&coder->word);
    ql_buf_free(&coder->text);
    free(coder->path);
}

// ---- encoding ----

enum { MAX_TEXT = 1 << 30 }; // bytes; symbols are counted in 32 bits, and normalizing may triple a text

// Words come again and again: their ids are kept, by their bytes, for as long as a text is encoded. 256 kB, which only
// a longer text is worth.
enum { CACHE_SLOTS = 1 << 13, CACHE_BYTES = 15, CACHE_IDS = 3, CACHE_FROM = 1 << 11 };
typedef struct cached {
    uint64_t key[2]; // up to CACHE_BYTES bytes, zeros, the length
    int32_t n, ids[CACHE_IDS];
} cached;

typedef struct encoder {
    const ql_tokenizer *t;
    ql_coder coder;
    ql_norm_memory norm;
    ql_pre_memory pre;
    unsigned flags;
    size_t first, last_end; // of ids: where the text's begin; behind the last that an added token gave
    bool spelled_first;     // an added token gave the first
    cached *cache; // [CACHE_SLOTS] or NULL
} encoder;

static ql_code encode_model(encoder *e, const char *piece, size_t len, ql_error *err)
{
    switch (e->t->model) {
    case QL_MODEL_BPE:
        return ql_bpe_encode(&e->coder, piece, len, err);
    case QL_MODEL_UNIGRAM:
        return ql_unigram_encode(&e->coder, piece, len, err);
    case QL_MODEL_WORDPIECE:
        return ql_wordpiece_encode(&e->coder, piece, len, err);
    default:
        return ql_wordlevel_encode(&e->coder, piece, len, err);
    }
}

static ql_code encode_piece(void *user, const char *piece, size_t len, ql_error *err)
{
    encoder *e = user;
    ql_ids *ids = e->coder.ids;
    if (!e->cache || len > CACHE_BYTES)
        return encode_model(e, piece, len, err);
    uint64_t key[2] = {0, 0};
    memcpy(key, piece, len);
    key[1] |= (uint64_t)len << 56;
    uint64_t hash = (key[0] ^ (key[1] * 0x9e3779b97f4a7c15u)) * 0xd6e8feb86659fd93u;
    cached *slot = &e->cache[hash >> 51];
    if (slot->key[0] == key[0] && slot->key[1] == key[1]) {
        for (int32_t i = 0; i < slot->n; i++)
            QL_TRY(ql_coder_push(&e->coder, slot->ids[i], err));
        return QL_OK;
    }
    size_t before = ids->n;
    QL_TRY(encode_model(e, piece, len, err));
    if (ids->n - before <= CACHE_IDS) {
        *slot = (cached){.key = {key[0], key[1]}, .n = (int32_t)(ids->n - before)};
        for (int32_t i = 0; i < slot->n; i++)
            slot->ids[i] = ids->data[before + (size_t)i];
    }
    return QL_OK;
}

static ql_span part_of(const ql_span *span, size_t begin, size_t end)
{
    return (ql_span){.text = span->text + begin, .len = end - begin, .from = span->from ? span->from + begin : NULL,
                     .at_start = span->at_start && begin == 0, .continues = span->continues && begin == 0};
}

typedef ql_code span_fn(encoder *e, ql_span span, ql_error *err);

// The added tokens of a text become their ids, what lies between them is given on.
static ql_code split_added(encoder *e, const ql_added *added, const ql_span *span, span_fn *give, ql_error *err)
{
    size_t from = 0, at = 0;
    ql_found found;
    while (ql_added_next(added, span, e->flags, &at, from, &found)) {
        if (found.begin > from)
            QL_TRY(give(e, part_of(span, from, found.begin), err));
        e->spelled_first = e->spelled_first || e->coder.ids->n == e->first;
        QL_TRY(ql_coder_push(&e->coder, found.id, err));
        e->last_end = e->coder.ids->n;
        from = found.end;
    }
    return from < span->len ? give(e, part_of(span, from, span->len), err) : QL_OK;
}

static ql_code encode_normalized(encoder *e, ql_span span, ql_error *err)
{
    return ql_pretokenize(&e->t->pre, &e->pre, &span, encode_piece, e, err);
}

static ql_code encode_valid(encoder *e, ql_span span, ql_error *err)
{
    QL_TRY(ql_normalize(&e->t->normalizer, &e->norm, &span, err));
    return span.len ? split_added(e, &e->t->added[1], &span, encode_normalized, err) : QL_OK;
}

// The length of the run at text that is UTF-8 (valid) or is not.
static size_t utf8_run(const char *text, size_t len, bool valid)
{
    size_t i = 0;
    while (i < len) {
        uint32_t cp;
        int n = (uint8_t)text[i] < 0x80 ? 1 : ql_utf8_decode(text + i, len - i, &cp);
        if ((n > 0) != valid)
            break;
        i += (size_t)(n > 0 ? n : -n);
    }
    return i;
}

// Bytes that are not UTF-8.
static ql_code encode_bad(encoder *e, const char *text, size_t len, ql_error *err)
{
    const ql_tokenizer *t = e->t;
    if (t->bytes && has_all_bytes(t, text, len))
        return ql_bpe_encode(&e->coder, text, len, err);
    if (!t->bytes && has_all_bytes(t, text, len)) {
        for (size_t i = 0; i < len; i++)
            QL_TRY(ql_coder_push(&e->coder, t->byte_id[(uint8_t)text[i]], err));
        return QL_OK;
    }
    for (size_t i = 0; i < len;) {
        uint32_t cp;
        i += (size_t)-ql_utf8_decode(text + i, len - i, &cp);
        QL_TRY(encode_valid(e, (ql_span){.text = "\xef\xbf\xbd", .len = 3, .continues = true}, err));
    }
    return QL_OK;
}

static ql_code encode_text(encoder *e, ql_span span, ql_error *err)
{
    size_t at = utf8_run(span.text, span.len, true);
    if (at > 0)
        QL_TRY(encode_valid(e, part_of(&span, 0, at), err));
    while (at < span.len) {
        size_t bad = utf8_run(span.text + at, span.len - at, false);
        QL_TRY(encode_bad(e, span.text + at, bad, err));
        at += bad;
        size_t good = utf8_run(span.text + at, span.len - at, true);
        ql_span part = part_of(&span, at, at + good);
        part.continues = true;
        if (good)
            QL_TRY(encode_valid(e, part, err));
        at += good;
    }
    return QL_OK;
}

static bool begins_with(const ql_ids *ids, size_t at, const int32_t *list, uint32_t n)
{
    return ids->n - at >= n && (n == 0 || memcmp(ids->data + at, list, n * sizeof *list) == 0);
}

// What the post-processor puts around a text, unless the text spells it.
static ql_code encode_all(encoder *e, const ql_span *span, ql_error *err)
{
    const ql_tokenizer *t = e->t;
    ql_ids *ids = e->coder.ids;
    size_t first = ids->n;
    bool around = e->flags & QL_ADD_SPECIAL;
    for (uint32_t i = 0; around && i < t->n_before; i++)
        QL_TRY(ql_coder_push(&e->coder, t->before[i], err));
    size_t begin = e->first = ids->n;
    QL_TRY(split_added(e, &t->added[0], span, encode_text, err));
    bool ends = t->n_after && e->last_end == ids->n && ids->n - begin >= t->n_after &&
                begins_with(ids, ids->n - t->n_after, t->after, t->n_after);
    if (begin > first && e->spelled_first && begins_with(ids, begin, t->before, t->n_before)) {
        memmove(ids->data + first, ids->data + begin, (ids->n - begin) * sizeof *ids->data);
        ids->n -= begin - first;
    }
    for (uint32_t i = 0; around && !ends && i < t->n_after; i++)
        QL_TRY(ql_coder_push(&e->coder, t->after[i], err));
    return QL_OK;
}

ql_code ql_tokenizer_encode(const ql_tokenizer *t, const char *text, size_t len, const uint8_t *origin, unsigned flags,
                            ql_ids *ids, ql_error *err)
{
    if (len > MAX_TEXT)
        return ql_fail(err, QL_E_ARGUMENT, "text has %zu bytes, at most %d can be tokenized at once", len, MAX_TEXT);
    encoder e = {.t = t, .coder = {.t = t, .ids = ids}, .flags = flags};
    if (len >= CACHE_FROM)
        e.cache = calloc(CACHE_SLOTS, sizeof *e.cache); // without it only time is lost
    size_t before = ids->n;
    ql_span span = {.text = text, .len = len, .from = origin, .at_start = true};
    ql_code code = encode_all(&e, &span, err);
    if (code != QL_OK)
        ids->n = before;
    ql_coder_free(&e.coder);
    ql_norm_memory_free(&e.norm);
    ql_pre_memory_free(&e.pre);
    free(e.cache);
    return code;
}

ql_code ql_tokenize(const ql_tokenizer *t, const char *text, size_t len, unsigned flags, int32_t **ids, size_t *n_ids,
                    ql_error *err)
{
    ql_ids list = {0};
    ql_code code = ql_tokenizer_encode(t, text, len, NULL, flags, &list, err);
    if (code == QL_OK && !list.data && !(list.data = malloc(sizeof *list.data))) // no ids: still memory to free
        code = ql_fail_memory(err, sizeof *list.data);
    if (code != QL_OK) {
        ql_ids_free(&list);
        return code;
    }
    *ids = list.data;
    *n_ids = list.n;
    return QL_OK;
}

// ---- decoding ----

static bool in_vocab(const ql_tokenizer *t, int32_t id) { return id >= 0 && (uint32_t)id < t->vocab.n; }

struct ql_detokenizer {
    const ql_tokenizer *t;
    bool skip_special;
    ql_decoding *decoding;
};

ql_code ql_detokenizer_new(const ql_tokenizer *t, bool skip_special, ql_detokenizer **out, ql_error *err)
{
    ql_detokenizer *d = calloc(1, sizeof *d);
    if (!d)
        return ql_fail_memory(err, sizeof *d);
    *d = (ql_detokenizer){.t = t, .skip_special = skip_special};
    ql_code code = ql_decoding_new(&t->decoder, &d->decoding, err);
    if (code != QL_OK) {
        free(d);
        return code;
    }
    *out = d;
    return QL_OK;
}

void ql_detokenizer_free(ql_detokenizer *d)
{
    if (!d)
        return;
    ql_decoding_free(d->decoding);
    free(d);
}

static const ql_added_token *find_shown(const ql_tokenizer *t, int32_t id)
{
    uint32_t lo = 0, hi = t->n_shown;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (t->shown[mid].id < id)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < t->n_shown && t->shown[lo].id == id ? &t->shown[lo] : NULL;
}

ql_code ql_detokenizer_push(ql_detokenizer *d, int32_t id, ql_buf *out, ql_error *err)
{
    const ql_vocab *vocab = &d->t->vocab;
    if (!in_vocab(d->t, id))
        return QL_OK;
    unsigned kind = ql_vocab_kind(vocab, id);
    bool special = kind == QL_TOKEN_CONTROL || (kind == QL_TOKEN_UNKNOWN && d->t->skips_unknown);
    size_t len;
    const char *piece = ql_vocab_piece(vocab, id, &len);
    const ql_added_token *shown = d->t->n_shown ? find_shown(d->t, id) : NULL;
    if (shown) {
        piece = shown->text;
        len = shown->len;
        special = shown->flags & QL_ADDED_SPECIAL;
    }
    if ((special && d->skip_special) || (len == 0 && kind == QL_TOKEN_UNUSED))
        return QL_OK;
    bool verbatim = d->t->verbatim_special && (special || kind == QL_TOKEN_USER_DEFINED);
    return ql_decoding_push(d->decoding, piece, len, verbatim, out, err);
}

ql_code ql_detokenizer_finish(ql_detokenizer *d, ql_buf *out, ql_error *err)
{
    return ql_decoding_finish(d->decoding, out, err);
}

ql_code ql_detokenizer_prime(ql_detokenizer *d, const int32_t *ids, size_t n, ql_error *err)
{
    ql_buf shown = {0};
    ql_detokenizer *alone = NULL;
    ql_code code = ql_detokenizer_new(d->t, d->skip_special, &alone, err);
    for (size_t i = 0; code == QL_OK && i < n; i++)
        code = ql_detokenizer_push(d, ids[i], &shown, err);
    ql_buf_clear(&shown);
    for (size_t i = 0; code == QL_OK && i < n; i++)
        code = ql_detokenizer_push(alone, ids[i], &shown, err);
    if (code == QL_OK)
        code = ql_detokenizer_finish(alone, &shown, err);
    if (code == QL_OK)
        code = ql_decoding_forget(d->decoding, shown.data ? shown.data : "", shown.len, err);
    ql_detokenizer_free(alone);
    ql_buf_free(&shown);
    return code;
}

ql_code ql_tokenizer_decode(const ql_tokenizer *t, const int32_t *ids, size_t n, unsigned flags, ql_buf *out,
                            ql_error *err)
{
    for (size_t i = 0; i < n; i++)
        if (!in_vocab(t, ids[i]))
            return ql_fail(err, QL_E_ARGUMENT, "ids[%zu] is %d: must be 0 to %u", i, ids[i], t->vocab.n - 1);
    ql_detokenizer *d = NULL;
    QL_TRY(ql_detokenizer_new(t, flags & QL_SKIP_SPECIAL, &d, err));
    ql_code code = QL_OK;
    for (size_t i = 0; code == QL_OK && i < n; i++)
        code = ql_detokenizer_push(d, ids[i], out, err);
    if (code == QL_OK)
        code = ql_detokenizer_finish(d, out, err);
    ql_detokenizer_free(d);
    return code;
}

ql_code ql_detokenize(const ql_tokenizer *t, const int32_t *ids, size_t n_ids, unsigned flags, char **text, size_t *len,
                      ql_error *err)
{
    ql_buf out = {0};
    ql_code code = ql_tokenizer_decode(t, ids, n_ids, flags, &out, err);
    if (code != QL_OK) {
        ql_buf_free(&out);
        return code;
    }
    return ql_buf_take(&out, text, len, err);
}

// ---- figures ----

bool ql_tokenizer_is_eog(const ql_tokenizer *t, int32_t id)
{
    for (uint32_t i = 0; i < t->n_eog; i++)
        if (t->eog[i] == id)
            return true;
    return false;
}

uint32_t ql_tokenizer_n_vocab(const ql_tokenizer *t) { return t->vocab.n; }

const char *ql_token_piece(const ql_tokenizer *t, int32_t id)
{
    return in_vocab(t, id) ? t->vocab.pieces + t->vocab.piece_at[id] : NULL;
}

const char *ql_tokenizer_bos_str(const ql_tokenizer *t) { return t->bos < 0 ? "" : ql_token_piece(t, t->bos); }

const char *ql_tokenizer_eos_str(const ql_tokenizer *t) { return t->eos < 0 ? "" : ql_token_piece(t, t->eos); }

void ql_tokenizer_get_info(const ql_tokenizer *t, ql_vocab_info *info)
{
    *info = (ql_vocab_info){t->vocab.n, t->bos, t->eos, t->unk, t->pad};
}
