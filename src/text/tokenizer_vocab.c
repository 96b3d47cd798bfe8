// SPDX-License-Identifier: MIT
// Owns the tokens' strings: what is stored, what they stand for, and finding one by its string. Must not know how text
// is cut or merged. Its decision: the table holds 32 bits of the hash beside the id, so that a wrong slot costs no
// look at the strings.
#include "text/tokenizer_impl.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/utf8.h"

static uint32_t hash_bytes(const char *s, size_t len)
{
    uint64_t h = 0x9e3779b97f4a7c15u ^ len;
    while (len > 0) {
        uint64_t word = 0;
        size_t n = len < 8 ? len : 8;
        memcpy(&word, s, n);
        h = (h ^ word) * 0xd6e8feb86659fd93u;
        h ^= h >> 32;
        s += n;
        len -= n;
    }
    return (uint32_t)(h * 0x9e3779b97f4a7c15u >> 32);
}

const char *ql_vocab_piece(const ql_vocab *vocab, int32_t id, size_t *len)
{
    *len = vocab->piece_at[id + 1] - vocab->piece_at[id] - 1;
    return vocab->pieces + vocab->piece_at[id];
}

// The slot of a piece, or the free slot where it would go.
static ql_vocab_slot *find_slot(const ql_vocab *vocab, uint32_t hash, const char *piece, size_t len)
{
    for (uint32_t i = hash & vocab->mask;; i = (i + 1) & vocab->mask) {
        ql_vocab_slot *slot = &vocab->slots[i];
        if (slot->id == UINT32_MAX)
            return slot;
        if (slot->hash != hash)
            continue;
        size_t n;
        const char *other = ql_vocab_piece(vocab, (int32_t)slot->id, &n);
        if (n == len && memcmp(other, piece, len) == 0)
            return slot;
    }
}

uint32_t ql_vocab_prepare(const ql_vocab *vocab, const char *piece, size_t len)
{
    uint32_t hash = hash_bytes(piece, len);
    __builtin_prefetch(&vocab->slots[hash & vocab->mask]);
    return hash;
}

int32_t ql_vocab_find_prepared(const ql_vocab *vocab, const char *piece, size_t len, uint32_t prepared)
{
    return len ? (int32_t)find_slot(vocab, prepared, piece, len)->id : QL_NO_ID;
}

int32_t ql_vocab_find(const ql_vocab *vocab, const char *piece, size_t len)
{
    return ql_vocab_find_prepared(vocab, piece, len, hash_bytes(piece, len));
}

bool ql_vocab_is_text(const ql_vocab *vocab, int32_t id)
{
    return vocab->type[id] != QL_TOKEN_CONTROL && vocab->type[id] != QL_TOKEN_UNKNOWN;
}

static ql_code insert_all(ql_vocab *vocab, const char *path, ql_error *err)
{
    for (uint32_t id = 0; id < vocab->n; id++) {
        size_t len;
        const char *piece = ql_vocab_piece(vocab, (int32_t)id, &len);
        if (len == 0)
            continue;
        uint32_t hash = hash_bytes(piece, len);
        ql_vocab_slot *slot = find_slot(vocab, hash, piece, len);
        if (slot->id != UINT32_MAX)
            return ql_fail(err, QL_E_FORMAT, "%s: tokenizer.ggml.tokens: ids %u and %u are both \"%s\"", path, slot->id,
                           id, piece);
        *slot = (ql_vocab_slot){hash, id};
    }
    return QL_OK;
}

static ql_code copy_types(ql_vocab *vocab, const ql_num_array *types, const char *path, ql_error *err)
{
    memset(vocab->type, QL_TOKEN_NORMAL, vocab->n);
    if (types->n == 0)
        return QL_OK;
    if (types->n != vocab->n)
        return ql_fail(err, QL_E_FORMAT, "%s: tokenizer.ggml.token_type has %zu elements, the vocabulary %u", path,
                       types->n, vocab->n);
    for (uint32_t i = 0; i < vocab->n; i++) {
        int32_t type;
        memcpy(&type, types->data + 4 * (size_t)i, 4);
        if (type < 0 || type > QL_TOKEN_BYTE) // 0 is "undefined", used by some converters for padding
            return ql_fail(err, QL_E_FORMAT, "%s: tokenizer.ggml.token_type[%u] %d: must be 0 to 6", path, i, type);
        vocab->type[i] = (uint8_t)type;
    }
    return QL_OK;
}

ql_code ql_vocab_init(ql_vocab *vocab, const ql_str_array *tokens, const ql_num_array *types, const char *path,
                      ql_error *err)
{
    if (tokens->n == 0 || tokens->n > INT32_MAX / 4)
        return ql_fail(err, QL_E_FORMAT, "%s: tokenizer.ggml.tokens has %zu elements, must have 1 to %d", path,
                       tokens->n, INT32_MAX / 4);
    uint64_t total = tokens->n;
    for (size_t i = 0; i < tokens->n; i++)
        if (!ql_add_u64(total, tokens->items[i].len, &total) || total > UINT32_MAX)
            return ql_fail(err, QL_E_FORMAT, "%s: tokenizer.ggml.tokens: more than 4 GB of text", path);
    vocab->n = (uint32_t)tokens->n;
    uint64_t n_slots = 64;
    while (n_slots < tokens->n * 2)
        n_slots *= 2;
    vocab->mask = (uint32_t)(n_slots - 1);
    vocab->type = malloc(tokens->n);
    vocab->piece_at = malloc((tokens->n + 1) * sizeof *vocab->piece_at);
    vocab->pieces = malloc(total);
    vocab->slots = malloc(n_slots * sizeof *vocab->slots);
    if (!vocab->type || !vocab->piece_at || !vocab->pieces || !vocab->slots)
        return ql_fail_memory(err, total + n_slots * sizeof *vocab->slots);
    memset(vocab->slots, 0xff, n_slots * sizeof *vocab->slots);
    uint32_t at = 0;
    for (uint32_t i = 0; i < vocab->n; i++) {
        vocab->piece_at[i] = at;
        memcpy(vocab->pieces + at, tokens->items[i].data, tokens->items[i].len);
        at += (uint32_t)tokens->items[i].len;
        vocab->pieces[at++] = 0;
        if (tokens->items[i].len > vocab->longest)
            vocab->longest = (uint32_t)tokens->items[i].len;
    }
    vocab->piece_at[vocab->n] = at;
    QL_TRY(copy_types(vocab, types, path, err));
    return insert_all(vocab, path, err);
}

void ql_vocab_free(ql_vocab *vocab)
{
    free(vocab->type);
    free(vocab->piece_at);
    free(vocab->bytes_at);
    free(vocab->pieces);
    free(vocab->bytes);
    free(vocab->slots);
    *vocab = (ql_vocab){0};
}

// ---- what a token stands for

// GPT-2's byte alphabet: a byte that prints as Latin-1 is that character, the others are U+0100 and up in order.
static uint32_t byte_to_char(uint8_t byte)
{
    if (byte < 0x21)
        return 0x100u + byte;
    if (byte < 0x7f)
        return byte;
    if (byte < 0xa1)
        return 0x121u + (byte - 0x7fu);
    return byte == 0xad ? 0x143u : byte;
}

static int char_to_byte(uint32_t cp)
{
    if (cp >= 0x100 && cp <= 0x120)
        return (int)cp - 0x100;
    if (cp >= 0x121 && cp <= 0x142)
        return (int)cp - 0x121 + 0x7f;
    if (cp == 0x143)
        return 0xad;
    return (cp >= 0x21 && cp < 0x7f) || (cp >= 0xa1 && cp <= 0xff && cp != 0xad) ? (int)cp : -1;
}

size_t ql_byte_char(uint8_t byte, char out[2])
{
    char utf8[4];
    int n = ql_utf8_encode(byte_to_char(byte), utf8);
    memcpy(out, utf8, (size_t)n);
    return (size_t)n;
}

// Returns the bytes written, at most len. A piece with any other character stands for itself, as in Hugging Face's
// decoder.
static size_t decode_byte_level(const char *piece, size_t len, char *out)
{
    size_t n = 0;
    for (size_t i = 0; i < len;) {
        uint32_t cp = (uint8_t)piece[i];
        int used = cp < 0x80 ? 1 : ql_utf8_decode(piece + i, len - i, &cp);
        int byte = used > 0 ? char_to_byte(cp) : -1;
        if (byte < 0) {
            memcpy(out, piece, len);
            return len;
        }
        out[n++] = (char)byte;
        i += (size_t)used;
    }
    return n;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

// Exactly <0xNN> in upper case, as SentencePiece writes it; -1: not that.
static int byte_of_piece(const char *piece, size_t len)
{
    if (len != 6 || memcmp(piece, "<0x", 3) != 0 || piece[5] != '>')
        return -1;
    int high = hex_digit(piece[3]), low = hex_digit(piece[4]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

static size_t decode_spaces(const char *piece, size_t len, char *out)
{
    size_t n = 0;
    for (size_t i = 0; i < len;) {
        if (len - i >= 3 && memcmp(piece + i, "\xe2\x96\x81", 3) == 0) {
            out[n++] = ' ';
            i += 3;
        } else {
            out[n++] = piece[i++];
        }
    }
    return n;
}

ql_code ql_vocab_decode(ql_vocab *vocab, bool is_spm, const char *path, ql_error *err)
{
    vocab->bytes_at = malloc(((size_t)vocab->n + 1) * sizeof *vocab->bytes_at);
    vocab->bytes = malloc((size_t)vocab->piece_at[vocab->n] + 1); // no token stands for more bytes than it is stored in
    if (!vocab->bytes_at || !vocab->bytes)
        return ql_fail_memory(err, vocab->piece_at[vocab->n]);
    uint32_t at = 0;
    for (uint32_t id = 0; id < vocab->n; id++) {
        size_t len;
        const char *piece = ql_vocab_piece(vocab, (int32_t)id, &len);
        char *out = vocab->bytes + at;
        vocab->bytes_at[id] = at;
        uint8_t type = vocab->type[id];
        if (type == QL_TOKEN_BYTE && is_spm) {
            int byte = byte_of_piece(piece, len);
            if (byte < 0)
                return ql_fail(err, QL_E_FORMAT, "%s: tokenizer.ggml.tokens[%u] \"%s\": a byte token must be "
                               "<0x00> to <0xFF>", path, id, piece);
            *out = (char)byte;
            at++;
        } else if (type == QL_TOKEN_NORMAL || type == QL_TOKEN_UNUSED) {
            at += (uint32_t)(is_spm ? decode_spaces(piece, len, out) : decode_byte_level(piece, len, out));
        } else { // control, unknown and user-defined tokens are spelled as they are
            memcpy(out, piece, len);
            at += (uint32_t)len;
        }
    }
    vocab->bytes_at[vocab->n] = at;
    return QL_OK;
}
