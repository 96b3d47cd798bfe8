// SPDX-License-Identifier: MIT
// Owns stored tokenizers: the tables of one that was read from tokenizer.json, as they stand in memory, and the rest of
// the file as text. Loading copies the bytes, so they may lie anywhere, and builds nothing: it takes a few milliseconds
// where the file takes ten times that. Must not know where they are kept.
//
// What is stored is for the machine and version that wrote it; a sum over all of it and the sizes are checked, and who
// finds it wrong reads tokenizer.json again.
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "text/tokenizer_json.h"

enum { VERSION = 2, N_PARTS = 12, ALIGN = 64 };

typedef struct stored_head {
    char magic[8];
    uint32_t version, model;
    uint64_t sum; // of all that follows this member
    uint64_t bytes;
    uint32_t n_vocab, vocab_slots, longest, n_trie, has_joins, slot_bytes;
    uint32_t n_merges, merge_slots, token_bits, rank_bits;
    uint64_t rules_bytes;
    double unk_score;
    uint64_t at[N_PARTS]; // of each part; 0: absent
} stored_head;

static const char magic[8] = "QLTOKEN";

// One table: where its pointer is and how many bytes it has.
typedef struct part {
    void **pointer;
    uint64_t bytes;
} part;

// The parts of a tokenizer with the numbers that head holds. The order is the file's.
static void list_parts(ql_tokenizer *t, const stored_head *head, part parts[N_PARTS])
{
    uint64_t n = head->n_vocab, trie = head->n_trie;
    bool bpe = t->model == QL_MODEL_BPE;
    const part all[N_PARTS] = {
        {(void **)&t->rules, head->rules_bytes + 1},
        {(void **)&t->vocab.type, n},
        {(void **)&t->vocab.piece_at, (n + 1) * sizeof(uint32_t)},
        {(void **)&t->vocab.pieces, 0}, // known once piece_at is there
        {(void **)&t->vocab.slots, head->vocab_slots * sizeof(ql_vocab_slot)},
        {(void **)&t->merges.slots, bpe ? head->merge_slots * sizeof(uint64_t) : 0},
        {(void **)&t->merges.ids, bpe ? head->n_merges * sizeof(int32_t) : 0},
        {(void **)&t->joins, head->has_joins ? QL_JOINS : 0},
        {(void **)&t->trie.first, trie ? (trie + 1) * sizeof(uint32_t) : 0},
        {(void **)&t->trie.label, trie},
        {(void **)&t->trie.id, trie * sizeof(int32_t)},
        {(void **)&t->scores, t->model == QL_MODEL_UNIGRAM ? n * sizeof(double) : 0},
    };
    memcpy(parts, all, sizeof all);
}

// Four sums side by side, 8 bytes a step: as fast as memory.
static uint64_t sum_of(const uint8_t *data, size_t size)
{
    uint64_t h[4] = {1, 2, 3, 4}, word;
    size_t i = 0;
    for (; i + 32 <= size; i += 32)
        for (int k = 0; k < 4; k++) {
            memcpy(&word, data + i + 8 * k, 8);
            h[k] = (h[k] ^ word) * 0x9e3779b97f4a7c15u;
            h[k] ^= h[k] >> 29;
        }
    for (; i < size; i++)
        h[0] = (h[0] ^ data[i]) * 0x9e3779b97f4a7c15u;
    for (int k = 1; k < 4; k++)
        h[0] = ((h[0] ^ h[0] >> 32) + h[k]) * 0xd6e8feb86659fd93u;
    return h[0] ^ h[0] >> 32;
}

enum { SUMMED = offsetof(stored_head, bytes) };

ql_code ql_tokenizer_store(const ql_tokenizer *t, ql_buf *out, ql_error *err)
{
    if (!t->rules)
        return ql_fail(err, QL_E_UNSUPPORTED, "only a tokenizer that was read from tokenizer.json can be stored");
    stored_head head = {.version = VERSION, .model = (uint32_t)t->model, .n_vocab = t->vocab.n,
                        .vocab_slots = t->vocab.n_slots, .longest = t->vocab.longest, .n_merges = t->merges.n,
                        .merge_slots = t->merges.n_slots, .token_bits = t->merges.token_bits,
                        .rank_bits = t->merges.rank_bits, .n_trie = t->trie.n, .has_joins = t->joins != NULL,
                        .slot_bytes = sizeof(ql_vocab_slot), .rules_bytes = t->rules_len, .unk_score = t->unk_score};
    memcpy(head.magic, magic, sizeof magic);
    part parts[N_PARTS];
    ql_tokenizer copy = *t;
    list_parts(&copy, &head, parts);
    parts[3].bytes = t->vocab.piece_at[t->vocab.n];
    uint64_t at = sizeof head;
    for (int i = 0; i < N_PARTS; i++) {
        at = (at + ALIGN - 1) / ALIGN * ALIGN;
        head.at[i] = parts[i].bytes ? at : 0;
        at += parts[i].bytes;
    }
    head.bytes = at;
    char *data = ql_buf_reserve(out, at);
    if (!data)
        return ql_fail_memory(err, at);
    memset(data, 0, at);
    for (int i = 0; i < N_PARTS; i++)
        if (parts[i].bytes)
            memcpy(data + head.at[i], *parts[i].pointer, parts[i].bytes);
    memcpy(data, &head, sizeof head);
    head.sum = sum_of((const uint8_t *)data + SUMMED, at - SUMMED);
    memcpy(data, &head, sizeof head);
    out->len += at;
    return QL_OK;
}

// ---- loading ----

static ql_code wrong(const char *what, ql_error *err)
{
    return ql_fail(err, QL_E_FORMAT, "the stored tokenizer %s", what);
}

static bool fits(const stored_head *head, uint64_t at, uint64_t bytes)
{
    uint64_t end;
    return at % ALIGN == 0 && at >= sizeof *head && ql_add_u64(at, bytes, &end) && end <= head->bytes;
}

// Points the tables into t->store.
static ql_code place_tables(ql_tokenizer *t, const stored_head *head, ql_error *err)
{
    part parts[N_PARTS];
    char *base = t->store;
    t->model = (ql_model_kind)head->model;
    list_parts(t, head, parts);
    for (int i = 0; i < N_PARTS; i++) {
        if (i == 3) // piece_at stands already
            parts[3].bytes = t->vocab.piece_at[head->n_vocab];
        if (parts[i].bytes && !fits(head, head->at[i], parts[i].bytes))
            return wrong("has a table outside of it", err);
        if (parts[i].bytes && i > 0)
            *parts[i].pointer = base + head->at[i];
    }
    t->vocab.n = head->n_vocab;
    t->vocab.n_slots = head->vocab_slots;
    t->vocab.longest = head->longest;
    t->merges.n = head->n_merges;
    t->merges.n_slots = head->merge_slots;
    t->merges.token_bits = head->token_bits;
    t->merges.rank_bits = head->rank_bits;
    t->trie.n = head->n_trie;
    t->unk_score = head->unk_score;
    return QL_OK;
}

static ql_code load_rules(ql_tokenizer *t, const stored_head *head, const ql_source *source, ql_error *err)
{
    const char *rules = (const char *)t->store + head->at[0];
    json_t *root = json_loadb(rules, head->rules_bytes, JSON_ALLOW_NUL, NULL);
    ql_code code = root ? ql_json_components(root, t, err) : wrong("has no rules", err);
    if (code == QL_OK)
        code = ql_json_unk(json_object_get(root, "model"), t, err);
    if (code == QL_OK)
        code = ql_json_finish(root, source, t, err);
    json_decref(root);
    return code;
}

ql_code ql_tokenizer_load_stored(const ql_source *source, const void *data, size_t size, ql_tokenizer **tokenizer,
                                 ql_error *err)
{
    stored_head head;
    if (size < sizeof head)
        return wrong("is too short", err);
    memcpy(&head, data, sizeof head);
    if (memcmp(head.magic, magic, sizeof magic) != 0 || head.version != VERSION || head.bytes > size ||
        head.bytes < sizeof head || head.slot_bytes != sizeof(ql_vocab_slot) || head.model > QL_MODEL_WORDLEVEL)
        return wrong("is of another version", err);
    if (sum_of((const uint8_t *)data + SUMMED, head.bytes - SUMMED) != head.sum)
        return wrong("is damaged", err);
    ql_tokenizer *t = ql_tokenizer_new();
    uint64_t rounded;
    if (!t || !ql_round_up_u64(head.bytes, ALIGN, &rounded) || !(t->store = aligned_alloc(ALIGN, rounded))) {
        ql_tokenizer_free(t);
        return ql_fail_memory(err, head.bytes);
    }
    memcpy(t->store, data, head.bytes);
    ql_code code = place_tables(t, &head, err);
    if (code == QL_OK)
        code = load_rules(t, &head, source, err);
    if (code != QL_OK) {
        ql_tokenizer_free(t);
        return code;
    }
    *tokenizer = t;
    return QL_OK;
}
