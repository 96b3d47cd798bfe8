// SPDX-License-Identifier: MIT
// Owns encoding and decoding as a whole: special tokens, the text between them, BOS and EOS. Must not know files.
//
// Its decision on bytes that are not UTF-8: each run of them is a piece of its own, so that regular expressions see
// valid text only and every byte still becomes its token, if it has one.
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

// ---- encoding

enum { MAX_TEXT = 1 << 30 }; // bytes; symbols are counted in 32 bits, and normalizing may triple a text

typedef struct encoder {
    const ql_tokenizer *t;
    ql_ids *ids;
    ql_word word;
    ql_buf stored; // a piece as the vocabulary stores it
} encoder;

static ql_code push_id(encoder *e, int32_t id, ql_error *err)
{
    return ql_ids_push(e->ids, id) ? QL_OK : ql_fail_memory(err, e->ids->cap * 2 * sizeof(int32_t));
}

// The token that a whole piece is.
static int32_t find_whole(encoder *e, const char *piece, size_t len)
{
    ql_buf_clear(&e->stored);
    char *out = ql_buf_reserve(&e->stored, 2 * len);
    if (!out)
        return QL_NO_ID;
    size_t n = 0;
    for (size_t i = 0; i < len; i++)
        n += ql_byte_char((uint8_t)piece[i], out + n);
    int32_t id = ql_vocab_find(&e->t->vocab, out, n);
    return id >= 0 && ql_vocab_is_text(&e->t->vocab, id) ? id : QL_NO_ID;
}

static ql_code encode_piece(void *user, const char *piece, size_t len, ql_error *err)
{
    encoder *e = user;
    const ql_tokenizer *t = e->t;
    if (t->ignore_merges && len > 1 && len <= t->vocab.longest) {
        int32_t id = find_whole(e, piece, len);
        if (e->stored.failed)
            return ql_fail_memory(err, 2 * len);
        if (id >= 0)
            return push_id(e, id, err);
    }
    e->word.n = 0;
    for (size_t i = 0; i < len; i++) {
        int32_t id = t->byte_id[(uint8_t)piece[i]];
        if (id >= 0 && !ql_word_push(&e->word, id)) // a byte the publisher's vocabulary lacks is left out, as there
            return ql_fail_memory(err, e->word.cap * 2 * sizeof(int32_t));
    }
    QL_TRY(ql_bpe_merge(&t->merges, &e->word, err));
    for (size_t i = 0; i < e->word.n; i++)
        QL_TRY(push_id(e, e->word.ids[i], err));
    return QL_OK;
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

// Bytes that are not UTF-8: as they are, or, where the vocabulary lacks one, a U+FFFD for each invalid part.
static ql_code encode_bad(encoder *e, const char *text, size_t len, ql_error *err)
{
    bool all = true;
    for (size_t i = 0; i < len; i++)
        all = all && e->t->byte_id[(uint8_t)text[i]] >= 0;
    if (all)
        return encode_piece(e, text, len, err);
    for (size_t i = 0; i < len;) {
        uint32_t cp;
        i += (size_t)-ql_utf8_decode(text + i, len - i, &cp);
        QL_TRY(encode_piece(e, "\xef\xbf\xbd", 3, err));
    }
    return QL_OK;
}

static ql_code encode_text(encoder *e, const char *text, size_t len, ql_error *err)
{
    if (e->t->is_spm)
        return ql_spm_encode(e->t, &e->word, text, len, e->ids, err);
    while (len > 0) {
        size_t n = utf8_run(text, len, true);
        if (n > 0) {
            QL_TRY(ql_pretokenize(e->t->pre, text, n, encode_piece, e, err));
        } else {
            n = utf8_run(text, len, false);
            QL_TRY(encode_bad(e, text, n, err));
        }
        text += n;
        len -= n;
    }
    return QL_OK;
}

static ql_code encode_all(encoder *e, const char *text, size_t len, const uint8_t *origin, unsigned flags,
                          ql_error *err)
{
    const ql_tokenizer *t = e->t;
    size_t first = e->ids->n, from = 0, matched = 0;
    if (t->add_bos && (flags & QL_ADD_SPECIAL))
        QL_TRY(push_id(e, t->bos, err));
    size_t begin = e->ids->n;
    for (size_t i = 0; i < len;) {
        unsigned c = (uint8_t)text[i];
        int32_t id = t->special_at[c] == t->special_at[c + 1] ? QL_NO_ID :
                     ql_special_match(t, text + i, len - i, origin ? origin + i : NULL, flags, &matched);
        if (id < 0) {
            i++;
            continue;
        }
        QL_TRY(encode_text(e, text + from, i - from, err));
        QL_TRY(push_id(e, id, err));
        i += matched;
        from = i;
    }
    QL_TRY(encode_text(e, text + from, len - from, err));
    ql_ids *ids = e->ids;
    if (begin > first && ids->n > begin && ids->data[begin] == t->bos) { // the text spells it: not twice
        memmove(ids->data + first, ids->data + begin, (ids->n - begin) * sizeof *ids->data);
        ids->n -= begin - first;
    }
    if (t->add_eos && (flags & QL_ADD_SPECIAL) && !(ids->n > begin && ids->data[ids->n - 1] == t->eos))
        QL_TRY(push_id(e, t->eos, err));
    return QL_OK;
}

ql_code ql_tokenizer_encode(const ql_tokenizer *t, const char *text, size_t len, const uint8_t *origin, unsigned flags,
                            ql_ids *ids, ql_error *err)
{
    if (len > MAX_TEXT)
        return ql_fail(err, QL_E_ARGUMENT, "text has %zu bytes, at most %d can be tokenized at once", len, MAX_TEXT);
    encoder e = {.t = t, .ids = ids};
    size_t before = ids->n;
    ql_code code = encode_all(&e, text, len, origin, flags, err);
    if (code != QL_OK)
        ids->n = before;
    ql_word_free(&e.word);
    ql_buf_free(&e.stored);
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

// ---- decoding

static bool in_vocab(const ql_tokenizer *t, int32_t id) { return id >= 0 && (uint32_t)id < t->vocab.n; }

const char *ql_tokenizer_bytes(const ql_tokenizer *t, int32_t id, bool skip_special, size_t *len)
{
    *len = 0;
    if (!in_vocab(t, id) || (skip_special && !ql_vocab_is_text(&t->vocab, id)))
        return "";
    *len = t->vocab.bytes_at[id + 1] - t->vocab.bytes_at[id];
    return t->vocab.bytes + t->vocab.bytes_at[id];
}

static void append_valid(ql_buf *out, const char *bytes, size_t len)
{
    size_t from = 0;
    for (size_t i = 0; i < len;) {
        uint32_t cp;
        int n = (uint8_t)bytes[i] < 0x80 ? 1 : ql_utf8_decode(bytes + i, len - i, &cp);
        if (n > 0) {
            i += (size_t)n;
            continue;
        }
        ql_buf_append(out, bytes + from, i - from);
        ql_buf_append(out, "\xef\xbf\xbd", 3);
        i += (size_t)-n;
        from = i;
    }
    ql_buf_append(out, bytes + from, len - from);
}

ql_code ql_tokenizer_decode(const ql_tokenizer *t, const int32_t *ids, size_t n, unsigned flags, ql_buf *out,
                            ql_error *err)
{
    ql_buf bytes = {0};
    for (size_t i = 0; i < n; i++) {
        if (!in_vocab(t, ids[i])) {
            ql_buf_free(&bytes);
            return ql_fail(err, QL_E_ARGUMENT, "ids[%zu] is %d: must be 0 to %u", i, ids[i], t->vocab.n - 1);
        }
        size_t len;
        const char *token = ql_tokenizer_bytes(t, ids[i], flags & QL_SKIP_SPECIAL, &len);
        ql_buf_append(&bytes, token, len);
    }
    // As in Hugging Face's decoder, the space that encoding puts in front goes from the text, whatever token it is in.
    size_t from = t->is_spm && t->add_space_prefix && bytes.len > 0 && bytes.data[0] == ' ';
    size_t len = bytes.len;
    if (!bytes.failed && len > from)
        append_valid(out, bytes.data + from, len - from);
    bool failed = bytes.failed || out->failed;
    ql_buf_free(&bytes);
    return failed ? ql_fail_memory(err, len) : QL_OK;
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

// ---- figures

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
