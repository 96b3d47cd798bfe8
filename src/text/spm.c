// SPDX-License-Identifier: MIT
// Owns the reading of SentencePiece's BPE vocabularies in GGUF files, which have scores and no merges. Must not know text.
//
// Its decision: the scores are turned into a list of merges at load, as the publishers' tokenizer.json was made, so that
// encoding is the same for both.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "text/tokenizer_impl.h"

static bool mergeable(const ql_vocab *vocab, int32_t id)
{
    return id >= 0 && ql_vocab_in_model(vocab, id) && ql_vocab_kind(vocab, id) != QL_TOKEN_BYTE;
}

static int32_t find_text(const ql_vocab *vocab, const char *piece, size_t len)
{
    int32_t id = ql_vocab_find(vocab, piece, len);
    return mergeable(vocab, id) ? id : QL_NO_ID;
}

// ---- merges from scores

typedef struct split {
    int32_t left, right, id;
} split;

typedef struct split_list {
    split *data;
    size_t n, cap;
} split_list;

static bool push_split(split_list *list, split s)
{
    if (list->n == list->cap) {
        size_t cap = list->cap ? list->cap * 2 : 4096;
        split *data = realloc(list->data, cap * sizeof *data);
        if (!data)
            return false;
        list->data = data;
        list->cap = cap;
    }
    list->data[list->n++] = s;
    return true;
}

static int by_parts(const void *a, const void *b)
{
    const split *x = a, *y = b;
    if (x->left != y->left)
        return x->left < y->left ? -1 : 1;
    return (x->right > y->right) - (x->right < y->right);
}

// All ways to put a token together from two.
static bool push_splits(const ql_vocab *vocab, int32_t id, split_list *list)
{
    size_t len, first = list->n;
    const char *piece = ql_vocab_piece(vocab, id, &len);
    for (size_t i = 1; i < len; i++) {
        if (((uint8_t)piece[i] & 0xc0) == 0x80)
            continue; // inside a character
        int32_t left = find_text(vocab, piece, i);
        int32_t right = left < 0 ? QL_NO_ID : find_text(vocab, piece + i, len - i);
        if (right >= 0 && !push_split(list, (split){left, right, id}))
            return false;
    }
    if (list->n - first > 1)
        qsort(list->data + first, list->n - first, sizeof *list->data, by_parts);
    return true;
}

typedef struct scored {
    float score;
    int32_t id;
} scored;

static int by_score(const void *a, const void *b)
{
    const scored *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

// order is [n_vocab]. Best score first, then lower id.
static ql_code rank_tokens(const ql_tokenizer *t, const ql_num_array *scores, scored *order, size_t *n, ql_error *err)
{
    *n = 0;
    for (uint32_t i = 0; i < t->vocab.n; i++) {
        float score;
        memcpy(&score, scores->data + 4 * (size_t)i, 4);
        if (isnan(score))
            return ql_fail(err, QL_E_FORMAT, "tokenizer.ggml.scores[%u] is not a number", i);
        if (mergeable(&t->vocab, (int32_t)i))
            order[(*n)++] = (scored){score, (int32_t)i};
    }
    qsort(order, *n, sizeof *order, by_score);
    return QL_OK;
}

ql_code ql_spm_build(ql_tokenizer *t, const ql_num_array *scores, ql_error *err)
{
    split_list list = {0};
    size_t n = 0;
    size_t bytes = t->vocab.n * sizeof(scored);
    scored *order = malloc(bytes);
    ql_code code = order ? rank_tokens(t, scores, order, &n, err) : ql_fail_memory(err, bytes);
    for (size_t i = 0; code == QL_OK && i < n; i++)
        if (!push_splits(&t->vocab, order[i].id, &list))
            code = ql_fail_memory(err, list.cap * 2 * sizeof *list.data);
    if (code == QL_OK)
        code = ql_merges_init(&t->merges, t->vocab.n, list.n, err);
    for (size_t i = 0; code == QL_OK && i < list.n; i++) {
        ql_merges_put(&t->merges, list.data[i].left, list.data[i].right, (uint32_t)i, list.data[i].id);
        ql_bpe_note_join(t, list.data[i].left, list.data[i].right);
    }
    free(order);
    free(list.data);
    return code;
}
