// SPDX-License-Identifier: MIT
// Owns the tokens' strings and finding one by its string. Must not know how text is cut or merged.
//
// Its decision: a slot holds the whole string when that has up to 7 bytes, as most parts of merges do, so that finding it
// waits for memory once; of a longer one it holds 63 bits of a hash. At 150,000 tokens and as many merges the waits are
// what loading takes, and they grow several times when the tables pass a core's share of the cache: slots of 12 bytes, and
// no more of them than 3 for 2 tokens.
#include "text/tokenizer_impl.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/check.h"

static uint64_t mix(uint64_t h)
{
    h *= 0xd6e8feb86659fd93u; // bounded: a hash, which wraps
    return h ^ h >> 32;
}

uint64_t ql_vocab_key(const char *s, size_t len)
{
    uint64_t h = len, word;
    if (len <= QL_SHORT)
        return ql_short_key(s, len) | (uint64_t)len << 56;
    for (size_t i = 0; i + 8 < len; i += 8) {
        memcpy(&word, s + i, 8);
        h = mix(h ^ word);
    }
    memcpy(&word, s + len - 8, 8);
    return mix(h ^ word) | (uint64_t)1 << 63;
}

void *ql_table_new(size_t bytes)
{
    enum { HUGE_PAGE = 2 << 20 };
    bool huge = bytes >= HUGE_PAGE / 4;
    size_t room = huge ? (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE : bytes;
    void *table = huge ? aligned_alloc(HUGE_PAGE, room) : malloc(bytes);
    if (table && huge)
        madvise(table, room, MADV_HUGEPAGE); // a hint: where it is not taken, only time is lost
    if (table)
        memset(table, 0xff, bytes);
    return table;
}

ql_vocab_probe ql_vocab_prepare(const ql_vocab *vocab, uint64_t key)
{
    uint64_t spread = mix(key) * 0x9e3779b97f4a7c15u >> 32;
    uint32_t slot = (uint32_t)(spread * vocab->n_slots >> 32);
    __builtin_prefetch(&vocab->slots[slot]);
    return (ql_vocab_probe){key, slot};
}

void ql_vocab_approach(const ql_vocab *vocab, ql_vocab_probe probe)
{
    const ql_vocab_slot *slot = &vocab->slots[probe.slot];
    if (probe.key >> 63 && slot->key[0] == (uint32_t)probe.key && slot->id != UINT32_MAX)
        __builtin_prefetch(vocab->pieces + vocab->piece_at[slot->id]);
}

// The slot of a piece, or the free slot where it would go.
static ql_vocab_slot *find_slot(const ql_vocab *vocab, const char *piece, size_t len, ql_vocab_probe probe)
{
    uint32_t low = (uint32_t)probe.key, high = (uint32_t)(probe.key >> 32);
    for (uint32_t i = probe.slot;; i = i + 1 < vocab->n_slots ? i + 1 : 0) {
        ql_vocab_slot *slot = &vocab->slots[i];
        if (slot->id == UINT32_MAX)
            return slot;
        if (slot->key[0] != low || slot->key[1] != high)
            continue;
        size_t n = len;
        if (len <= QL_SHORT || (ql_same_bytes(ql_vocab_piece(vocab, (int32_t)slot->id, &n), piece, len) && n == len))
            return slot;
    }
}

int32_t ql_vocab_find_prepared(const ql_vocab *vocab, const char *piece, size_t len, ql_vocab_probe probe)
{
    return len ? (int32_t)find_slot(vocab, piece, len, probe)->id : QL_NO_ID;
}

int32_t ql_vocab_find(const ql_vocab *vocab, const char *piece, size_t len)
{
    return ql_vocab_find_prepared(vocab, piece, len, ql_vocab_prepare(vocab, ql_vocab_key(piece, len)));
}

int32_t ql_vocab_find_model(const ql_vocab *vocab, const char *piece, size_t len)
{
    int32_t id = ql_vocab_find(vocab, piece, len);
    return id >= 0 && ql_vocab_in_model(vocab, id) ? id : QL_NO_ID;
}

static void copy_piece(ql_vocab *vocab, uint32_t at, ql_str token)
{
    char *to = vocab->pieces + at;
    if (token.len <= sizeof(uint64_t)) { // one store, which what follows overwrites
        uint64_t text = ql_short_key(token.data, token.len);
        memcpy(to, &text, sizeof text);
    } else {
        memcpy(to, token.data, token.len);
    }
    to[token.len] = 0;
}

static ql_code insert(ql_vocab *vocab, uint32_t id, ql_vocab_probe probe, ql_vocab_doubles doubles, const char *what,
                      ql_error *err)
{
    size_t len;
    const char *piece = ql_vocab_piece(vocab, (int32_t)id, &len);
    if (len == 0)
        return QL_OK;
    ql_vocab_slot *slot = find_slot(vocab, piece, len, probe);
    bool twice = slot->id != UINT32_MAX;
    if (twice && doubles == QL_VOCAB_UNIQUE)
        return ql_fail(err, QL_E_FORMAT, "%s: ids %u and %u are both \"%.100s\"", what, slot->id, id, piece);
    if (!twice || doubles == QL_VOCAB_LAST)
        *slot = (ql_vocab_slot){{(uint32_t)probe.key, (uint32_t)(probe.key >> 32)}, id};
    return QL_OK;
}

// Copies the tokens into the blob and the table.
static ql_code fill(ql_vocab *vocab, const ql_str *tokens, ql_vocab_doubles doubles, const char *what, ql_error *err)
{
    enum { AHEAD = 16 }; // the table does not fit the caches near a core: slots are asked for some tokens before
    ql_vocab_probe probes[AHEAD];
    uint32_t at = 0, n = vocab->n;
    for (uint32_t i = 0; i < n; i++) {
        if (i >= AHEAD)
            QL_TRY(insert(vocab, i - AHEAD, probes[i % AHEAD], doubles, what, err));
        size_t len = tokens[i].len;
        vocab->piece_at[i] = at;
        copy_piece(vocab, at, tokens[i]);
        probes[i % AHEAD] = ql_vocab_prepare(vocab, ql_vocab_key(vocab->pieces + at, len));
        at += (uint32_t)len + 1;
        vocab->piece_at[i + 1] = at;
        vocab->longest = len > vocab->longest ? (uint32_t)len : vocab->longest;
    }
    for (uint32_t i = n > AHEAD ? n - AHEAD : 0; i < n; i++)
        QL_TRY(insert(vocab, i, probes[i % AHEAD], doubles, what, err));
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
    uint64_t n_slots = n + n / 2 + 1;
    vocab->n_slots = (uint32_t)n_slots;
    vocab->type = malloc(n);
    vocab->piece_at = malloc((n + 1) * sizeof *vocab->piece_at);
    vocab->pieces = ql_table_new(total + sizeof(uint64_t));
    vocab->slots = ql_table_new(n_slots * sizeof *vocab->slots);
    if (!vocab->type || !vocab->piece_at || !vocab->pieces || !vocab->slots)
        return ql_fail_memory(err, total + n_slots * sizeof *vocab->slots);
    memset(vocab->type, QL_TOKEN_NORMAL, n);
    if (types)
        memcpy(vocab->type, types, n);
    return fill(vocab, tokens, doubles, what, err);
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
