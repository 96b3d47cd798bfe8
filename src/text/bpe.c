// SPDX-License-Identifier: MIT
// Owns merging (byte-pair encoding): the table of merges and its use on one word. Must not know strings of a text.
//
// A pair and its rank fit one number of 64 bits for every vocabulary there is (17 or 18 bits a token, 20 a rank). The
// table is half as large for it, and has to stay in a core's share of the cache.
//
// Words are short as a rule, and for those the next pair is found by looking at all. A word may also be 4 MB of one
// letter: there pairs wait in a list for each rank, and a heap holds the ranks that have any. A heap of pairs would do
// too, but sorts 4 million of them with a cache miss a step; lists are met in the order of the text.
#include "text/tokenizer_impl.h"

#include <stdlib.h>
#include <string.h>

enum { SHORT_WORD = 48 }; // symbols; both ways take about as long there

// ---- the table

static uint32_t bits_of(uint64_t n)
{
    return n > 1 ? 64 - (uint32_t)__builtin_clzll(n - 1) : 1;
}

ql_code ql_merges_init(ql_merges *merges, uint32_t n_vocab, size_t n, ql_error *err)
{
    *merges = (ql_merges){.token_bits = bits_of(n_vocab), .rank_bits = bits_of(n)};
    if (n > INT32_MAX || 2 * merges->token_bits + merges->rank_bits > 63)
        return ql_fail(err, QL_E_UNSUPPORTED, "%zu merges in a vocabulary of %u are too many", n, n_vocab);
    merges->n = (uint32_t)n;
    merges->n_slots = (uint32_t)(n + n / 2 + 1);
    merges->slots = ql_table_new(merges->n_slots * sizeof *merges->slots);
    merges->ids = calloc(n + 1, sizeof *merges->ids); // ranks without a pair too: they are stored
    return merges->slots && merges->ids ? QL_OK : ql_fail_memory(err, merges->n_slots * sizeof *merges->slots);
}

void ql_merges_free(ql_merges *merges)
{
    free(merges->slots);
    free(merges->ids);
    *merges = (ql_merges){0};
}

static uint64_t pair_key(const ql_merges *merges, int32_t left, int32_t right)
{
    return (uint64_t)(uint32_t)left << merges->token_bits | (uint32_t)right;
}

static uint64_t *first_slot(const ql_merges *merges, uint64_t key)
{
    uint64_t h = key * 0x9e3779b97f4a7c15u;
    h = (h ^ h >> 32) * 0xd6e8feb86659fd93u >> 32;
    return &merges->slots[h * merges->n_slots >> 32];
}

// The slot of a pair, or the free slot where it would go.
static uint64_t *merge_slot(const ql_merges *merges, int32_t left, int32_t right)
{
    uint64_t key = pair_key(merges, left, right);
    for (uint64_t *slot = first_slot(merges, key), *end = merges->slots + merges->n_slots;;) {
        if (*slot == UINT64_MAX || *slot >> merges->rank_bits == key)
            return slot;
        slot = slot + 1 < end ? slot + 1 : merges->slots;
    }
}

void ql_merges_put(ql_merges *merges, int32_t left, int32_t right, uint32_t rank, int32_t id)
{
    *merge_slot(merges, left, right) = pair_key(merges, left, right) << merges->rank_bits | rank;
    merges->ids[rank] = id;
}

void ql_merges_prefetch(const ql_merges *merges, int32_t left, int32_t right)
{
    __builtin_prefetch(first_slot(merges, pair_key(merges, left, right)), 1);
}

uint32_t ql_merges_find(const ql_merges *merges, int32_t left, int32_t right)
{
    uint64_t slot = *merge_slot(merges, left, right);
    return slot == UINT64_MAX ? QL_NO_RANK : (uint32_t)(slot & (((uint64_t)1 << merges->rank_bits) - 1));
}

void ql_merges_list(const ql_merges *merges, ql_merge *list)
{
    uint64_t token_mask = ((uint64_t)1 << merges->token_bits) - 1, rank_mask = ((uint64_t)1 << merges->rank_bits) - 1;
    for (uint32_t i = 0; i < merges->n; i++)
        list[i] = (ql_merge){QL_NO_ID, QL_NO_ID};
    for (uint32_t i = 0; i < merges->n_slots; i++) {
        uint64_t slot = merges->slots[i], key = slot >> merges->rank_bits;
        if (slot != UINT64_MAX)
            list[slot & rank_mask] = (ql_merge){(int32_t)(key >> merges->token_bits), (int32_t)(key & token_mask)};
    }
}

// ---- a word

bool ql_word_push(ql_word *word, int32_t id)
{
    if (word->n == word->cap) {
        size_t cap = word->cap ? word->cap * 2 : 64;
        int32_t *ids = realloc(word->ids, cap * sizeof *ids);
        if (!ids)
            return false;
        word->ids = ids;
        word->cap = cap;
    }
    word->ids[word->n++] = id;
    return true;
}

void ql_word_free(ql_word *word)
{
    free(word->ids);
    free(word->long_memory);
    free(word->lists);
    *word = (ql_word){0};
}

static void merge_short(const ql_merges *merges, ql_word *word)
{
    uint32_t ranks[SHORT_WORD]; // of the pair (i, i + 1)
    int32_t *ids = word->ids;
    size_t n = word->n;
    for (size_t i = 0; i + 1 < n; i++)
        ranks[i] = ql_merges_find(merges, ids[i], ids[i + 1]);
    while (n > 1) {
        size_t at = 0;
        for (size_t i = 1; i + 1 < n; i++)
            if (ranks[i] < ranks[at])
                at = i;
        if (ranks[at] == QL_NO_RANK)
            break;
        ids[at] = merges->ids[ranks[at]];
        n--;
        memmove(ids + at + 1, ids + at + 2, (n - at - 1) * sizeof *ids);
        if (at + 1 < n) {
            memmove(ranks + at + 1, ranks + at + 2, (n - at - 2) * sizeof *ranks);
            ranks[at] = ql_merges_find(merges, ids[at], ids[at + 1]);
        }
        if (at > 0)
            ranks[at - 1] = ql_merges_find(merges, ids[at - 1], ids[at]);
    }
    word->n = n;
}

// ---- a long word

#define NONE UINT32_MAX

typedef struct symbol {
    int32_t id;
    uint32_t prev, next;             // neighbours in the word
    uint32_t rank;                   // of the pair with the next, QL_NO_RANK
    uint32_t waits_prev, waits_next; // others in the list of that rank
} symbol;

// Always in the order of the text: a pair of one rank stands for the same symbols wherever it is, these have come about
// by the same merges, and of equal merges the left one is always done before.
typedef struct rank_list {
    uint32_t head, tail;
    bool in_heap;
} rank_list;

typedef struct long_word {
    const ql_merges *merges;
    symbol *symbols;
    rank_list *lists; // [n_ranks]
    uint32_t *heap;   // [n_ranks] ranks whose lists may hold something, lowest first
    size_t n_heap;
} long_word;

static void heap_push(long_word *w, uint32_t rank)
{
    size_t i = w->n_heap++;
    for (; i > 0 && w->heap[(i - 1) / 2] > rank; i = (i - 1) / 2)
        w->heap[i] = w->heap[(i - 1) / 2];
    w->heap[i] = rank;
}

static void heap_pop(long_word *w)
{
    uint32_t last = w->heap[--w->n_heap];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < w->n_heap; i = child) {
        if (child + 1 < w->n_heap && w->heap[child + 1] < w->heap[child])
            child++;
        if (w->heap[child] >= last)
            break;
        w->heap[i] = w->heap[child];
    }
    w->heap[i] = last;
}

static void leave(long_word *w, uint32_t at)
{
    symbol *s = &w->symbols[at];
    if (s->rank == QL_NO_RANK)
        return;
    rank_list *list = &w->lists[s->rank];
    if (s->waits_prev == NONE)
        list->head = s->waits_next;
    else
        w->symbols[s->waits_prev].waits_next = s->waits_next;
    if (s->waits_next == NONE)
        list->tail = s->waits_prev;
    else
        w->symbols[s->waits_next].waits_prev = s->waits_prev;
    s->rank = QL_NO_RANK;
}

// Puts the pair that begins at a symbol into the list of its rank, out of the one where it was.
static void enter(long_word *w, uint32_t at)
{
    symbol *s = &w->symbols[at];
    leave(w, at);
    if (s->next == NONE)
        return;
    s->rank = ql_merges_find(w->merges, s->id, w->symbols[s->next].id);
    if (s->rank == QL_NO_RANK)
        return;
    rank_list *list = &w->lists[s->rank];
    s->waits_prev = list->tail;
    s->waits_next = NONE;
    if (list->tail == NONE)
        list->head = at;
    else
        w->symbols[list->tail].waits_next = at;
    list->tail = at;
    if (!list->in_heap) {
        list->in_heap = true;
        heap_push(w, s->rank);
    }
}

static void merge_at(long_word *w, uint32_t at)
{
    symbol *s = &w->symbols[at];
    uint32_t gone = s->next;
    s->id = w->merges->ids[s->rank];
    leave(w, gone);
    s->next = w->symbols[gone].next;
    if (s->next != NONE)
        w->symbols[s->next].prev = at;
    enter(w, at);
    if (s->prev != NONE)
        enter(w, s->prev);
}

static void merge_lists(long_word *w)
{
    while (w->n_heap > 0) {
        uint32_t rank = w->heap[0];
        rank_list *list = &w->lists[rank];
        if (list->head == NONE) {
            heap_pop(w);
            list->in_heap = false;
            continue;
        }
        while (list->head != NONE && w->heap[0] == rank) // a merge may make way for a lower rank
            merge_at(w, list->head);
    }
}

// Room for n symbols and for the lists, which are empty before and after each word.
static ql_code long_memory(const ql_merges *merges, ql_word *word, long_word *w, ql_error *err)
{
    size_t n = word->n, n_ranks = merges->n;
    if (word->long_cap < n) {
        free(word->long_memory);
        word->long_cap = 0;
        word->long_memory = malloc(n * sizeof(symbol));
        if (!word->long_memory)
            return ql_fail_memory(err, n * sizeof(symbol));
        word->long_cap = n;
    }
    if (!word->lists) {
        size_t bytes = n_ranks * (sizeof(rank_list) + sizeof(uint32_t));
        word->lists = malloc(bytes ? bytes : 1);
        if (!word->lists)
            return ql_fail_memory(err, bytes);
        for (size_t i = 0; i < n_ranks; i++)
            ((rank_list *)word->lists)[i] = (rank_list){NONE, NONE, false};
    }
    w->symbols = word->long_memory;
    w->lists = word->lists;
    w->heap = (uint32_t *)(w->lists + n_ranks);
    return QL_OK;
}

static ql_code merge_long(const ql_merges *merges, ql_word *word, ql_error *err)
{
    long_word w = {.merges = merges};
    QL_TRY(long_memory(merges, word, &w, err));
    uint32_t n = (uint32_t)word->n;
    for (uint32_t i = 0; i < n; i++)
        w.symbols[i] = (symbol){word->ids[i], i ? i - 1 : NONE, i + 1 < n ? i + 1 : NONE, QL_NO_RANK, NONE, NONE};
    for (uint32_t i = 0; i < n; i++)
        enter(&w, i);
    merge_lists(&w);
    word->n = 0;
    for (uint32_t i = 0; i != NONE; i = w.symbols[i].next)
        word->ids[word->n++] = w.symbols[i].id;
    return QL_OK;
}

ql_code ql_bpe_merge(const ql_merges *merges, ql_word *word, ql_error *err)
{
    if (word->n > SHORT_WORD)
        return merge_long(merges, word, err);
    merge_short(merges, word);
    return QL_OK;
}
