// SPDX-License-Identifier: MIT
// Owns the tokens' strings and finding one by its string. Must not know how text is cut or merged. Its decision: the table holds 32 bits of the hash beside the id, so that a wrong slot costs no
// look at the strings.
#include "text/tokenizer_impl.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/check.h"

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

void *ql_table_new(size_t bytes)
{
    enum { HUGE_PAGE = 2 << 20 };
    bool huge = bytes >= HUGE_PAGE;
    void *table = huge ? aligned_alloc(HUGE_PAGE, (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE) : malloc(bytes);
    if (table && huge)
        madvise(table, bytes, MADV_HUGEPAGE); // a hint: where it is not taken, only time is lost
    if (table)
        memset(table, 0xff, bytes);
    return table;
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
        if (slot->len == len && memcmp(vocab->pieces + slot->at, piece, len) == 0)
            return slot;
    }
}

uint32_t ql_vocab_prepare(const ql_vocab *vocab, const char *piece, size_t len)
{
    uint32_t hash = hash_bytes(piece, len);
    __builtin_prefetch(&vocab->slots[hash & vocab->mask]);
    return hash;
}

void ql_vocab_approach(const ql_vocab *vocab, uint32_t prepared)
{
    const ql_vocab_slot *slot = &vocab->slots[prepared & vocab->mask];
    if (slot->hash == prepared && slot->id != UINT32_MAX)
        __builtin_prefetch(vocab->pieces + slot->at);
}

int32_t ql_vocab_find_prepared(const ql_vocab *vocab, const char *piece, size_t len, uint32_t prepared)
{
    return len ? (int32_t)find_slot(vocab, prepared, piece, len)->id : QL_NO_ID;
}

int32_t ql_vocab_find(const ql_vocab *vocab, const char *piece, size_t len)
{
    return ql_vocab_find_prepared(vocab, piece, len, hash_bytes(piece, len));
}

int32_t ql_vocab_find_model(const ql_vocab *vocab, const char *piece, size_t len)
{
    int32_t id = ql_vocab_find(vocab, piece, len);
    return id >= 0 && ql_vocab_in_model(vocab, id) ? id : QL_NO_ID;
}

static ql_code insert_all(ql_vocab *vocab, ql_vocab_doubles doubles, const char *what, ql_error *err)
{
    enum { AHEAD = 16 }; // the table does not fit the caches near a core: slots are asked for some tokens before
    uint32_t hash[AHEAD];
    for (uint32_t i = 0; i < vocab->n + AHEAD; i++) {
        size_t len;
        if (i >= AHEAD) {
            uint32_t id = i - AHEAD;
            const char *piece = ql_vocab_piece(vocab, (int32_t)id, &len);
            ql_vocab_slot *slot = len ? find_slot(vocab, hash[id % AHEAD], piece, len) : NULL;
            bool twice = slot && slot->id != UINT32_MAX;
            if (twice && doubles == QL_VOCAB_UNIQUE)
                return ql_fail(err, QL_E_FORMAT, "%s: ids %u and %u are both \"%.100s\"", what, slot->id, id, piece);
            if (slot && !(twice && doubles == QL_VOCAB_FIRST))
                *slot = (ql_vocab_slot){hash[id % AHEAD], id, vocab->piece_at[id], (uint32_t)len};
        }
        if (i < vocab->n) {
            const char *piece = ql_vocab_piece(vocab, (int32_t)i, &len);
            hash[i % AHEAD] = ql_vocab_prepare(vocab, piece, len);
        }
    }
    return QL_OK;
}

ql_code ql_vocab_init(ql_vocab *vocab, const ql_str *tokens, const uint8_t *types, size_t n,
                      ql_vocab_doubles doubles, const char *what, ql_error *err)
{
    if (n == 0 || n > INT32_MAX / 4)
        return ql_fail(err, QL_E_FORMAT, "%s has %zu elements, must have 1 to %d", what, n, INT32_MAX / 4);
    uint64_t total = n;
    for (size_t i = 0; i < n; i++)
        if (!ql_add_u64(total, tokens[i].len, &total) || total > UINT32_MAX)
            return ql_fail(err, QL_E_FORMAT, "%s: more than 4 GB of text", what);
    vocab->n = (uint32_t)n;
    uint64_t n_slots = 64;
    while (n_slots < n + n / 2)
        n_slots *= 2;
    vocab->mask = (uint32_t)(n_slots - 1);
    vocab->type = malloc(n);
    vocab->piece_at = malloc((n + 1) * sizeof *vocab->piece_at);
    vocab->pieces = malloc(total);
    vocab->slots = ql_table_new(n_slots * sizeof *vocab->slots);
    if (!vocab->type || !vocab->piece_at || !vocab->pieces || !vocab->slots)
        return ql_fail_memory(err, total + n_slots * sizeof *vocab->slots);
    memset(vocab->type, QL_TOKEN_NORMAL, n);
    if (types)
        memcpy(vocab->type, types, n);
    uint32_t at = 0;
    for (uint32_t i = 0; i < vocab->n; i++) {
        vocab->piece_at[i] = at;
        if (tokens[i].len)
            memcpy(vocab->pieces + at, tokens[i].data, tokens[i].len);
        at += (uint32_t)tokens[i].len;
        vocab->pieces[at++] = 0;
        if (tokens[i].len > vocab->longest)
            vocab->longest = (uint32_t)tokens[i].len;
    }
    vocab->piece_at[vocab->n] = at;
    return insert_all(vocab, doubles, what, err);
}

void ql_vocab_free(ql_vocab *vocab)
{
    free(vocab->type);
    free(vocab->piece_at);
    free(vocab->pieces);
    free(vocab->slots);
    *vocab = (ql_vocab){0};
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int ql_byte_of_piece(const char *piece, size_t len)
{
    if (len != 6 || memcmp(piece, "<0x", 3) != 0 || piece[5] != '>')
        return -1;
    int high = hex_digit(piece[3]), low = hex_digit(piece[4]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}
