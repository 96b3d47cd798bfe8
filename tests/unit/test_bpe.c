// SPDX-License-Identifier: MIT
// Merging against its definition, done the slow way, with merges in any order: a merge may make a pair that comes
// before all others, which trained vocabularies never show.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "text/tokenizer_impl.h"

enum { MAX_TOKENS = 60, MAX_PIECE = 8, MAX_WORD = 600 };

typedef struct table {
    char piece[MAX_TOKENS][MAX_PIECE + 1];
    int32_t n, n_letters;
    uint32_t rank[MAX_TOKENS][MAX_TOKENS]; // QL_NO_RANK: does not merge
    int32_t id[MAX_TOKENS][MAX_TOKENS];
    ql_merges merges;
} table;

static uint64_t counter;
static size_t pick(size_t n) { return (size_t)(ql_mix64(++counter) % n); }

static int32_t find(const table *t, const char *piece)
{
    for (int32_t i = 0; i < t->n; i++)
        if (strcmp(t->piece[i], piece) == 0)
            return i;
    return QL_NO_ID;
}

static void put(table *t, int32_t left, int32_t right, uint32_t rank)
{
    char joined[2 * MAX_PIECE + 1];
    strcpy(joined, t->piece[left]);
    strcat(joined, t->piece[right]);
    int32_t id = find(t, joined);
    if (strlen(joined) > MAX_PIECE || t->rank[left][right] != QL_NO_RANK || (id < 0 && t->n == MAX_TOKENS))
        return;
    if (id < 0) {
        id = t->n++;
        strcpy(t->piece[id], joined);
    }
    t->rank[left][right] = rank;
    t->id[left][right] = id;
    ql_merges_put(&t->merges, left, right, rank, id);
}

// Another way to make a token.
static bool split(const table *t, int32_t id, int32_t *left, int32_t *right)
{
    char piece[MAX_PIECE + 1];
    size_t len = strlen(t->piece[id]), at = len < 2 ? 0 : 1 + pick(len - 1);
    if (at == 0)
        return false;
    memcpy(piece, t->piece[id], at);
    piece[at] = 0;
    *left = find(t, piece);
    *right = find(t, t->piece[id] + at);
    return *left >= 0 && *right >= 0;
}

static void make_table(table *t)
{
    enum { N = 50 };
    uint32_t ranks[N];
    memset(t, 0, sizeof *t);
    memset(t->rank, 0xff, sizeof t->rank);
    assert_int_equal(ql_merges_init(&t->merges, MAX_TOKENS, N, NULL), QL_OK);
    t->n = t->n_letters = 1 + (int32_t)pick(3);
    for (int32_t i = 0; i < t->n; i++)
        t->piece[i][0] = (char)('a' + i);
    for (uint32_t i = 0; i < N; i++) {
        size_t at = pick(i + 1);
        ranks[i] = ranks[at];
        ranks[at] = i;
    }
    for (int i = 0; i < N; i++) {
        int32_t left = (int32_t)pick((size_t)t->n), right = (int32_t)pick((size_t)t->n);
        if (i % 3 == 1)
            right = left; // such pairs overlap each other
        if (i % 3 == 2 && !split(t, left, &left, &right))
            continue;
        put(t, left, right, ranks[i]);
    }
}

static size_t merge_slowly(const table *t, int32_t *ids, size_t n)
{
    for (;;) {
        size_t best = n;
        for (size_t i = 0; i + 1 < n; i++) {
            uint32_t rank = t->rank[ids[i]][ids[i + 1]];
            if (rank != QL_NO_RANK && (best == n || rank < t->rank[ids[best]][ids[best + 1]]))
                best = i;
        }
        if (best == n)
            return n;
        ids[best] = t->id[ids[best]][ids[best + 1]];
        n--;
        memmove(ids + best + 1, ids + best + 2, (n - best - 1) * sizeof *ids);
    }
}

static void merging_takes_the_lowest_rank_then_the_leftmost(void **state)
{
    (void)state;
    static table t;
    for (int round = 0; round < 1500; round++) {
        make_table(&t);
        ql_word word = {0};
        for (int repeat = 0; repeat < 4; repeat++) { // the word's memory is used again
            int32_t expected[MAX_WORD];
            size_t n = pick(repeat % 2 ? MAX_WORD : 60), run = 1 + pick(4);
            word.n = 0;
            for (size_t i = 0; i < n; i++) {
                expected[i] = i % run && i ? expected[i - 1] : (int32_t)pick((size_t)t.n_letters);
                assert_true(ql_word_push(&word, expected[i]));
            }
            n = merge_slowly(&t, expected, n);
            assert_int_equal(ql_bpe_merge(&t.merges, &word, NULL), QL_OK);
            assert_int_equal(word.n, n);
            if (n)
                assert_memory_equal(word.ids, expected, n * sizeof *expected);
        }
        ql_word_free(&word);
        ql_merges_free(&t.merges);
    }
}

static void of_equal_pairs_the_last_counts(void **state)
{
    (void)state;
    ql_merges merges = {0};
    assert_int_equal(ql_merges_init(&merges, 9, 4, NULL), QL_OK);
    assert_int_equal(ql_merges_find(&merges, 1, 2), QL_NO_RANK);
    ql_merges_put(&merges, 1, 2, 0, 7);
    ql_merges_put(&merges, 2, 1, 1, 8);
    ql_merges_put(&merges, 1, 2, 2, 7);
    assert_int_equal(ql_merges_find(&merges, 1, 2), 2);
    assert_int_equal(ql_merges_find(&merges, 2, 1), 1);
    assert_int_equal(merges.ids[1], 8);
    ql_merges_free(&merges);

    // The largest ids and ranks that fit a slot, and the first that do not.
    ql_error err;
    const uint32_t most = 1u << 24;
    assert_int_equal(ql_merges_init(&merges, most, 3, NULL), QL_OK);
    ql_merges_put(&merges, most - 1, most - 1, 2, 5);
    assert_int_equal(ql_merges_find(&merges, most - 1, most - 1), 2);
    assert_int_equal(ql_merges_find(&merges, most - 1, most - 2), QL_NO_RANK);
    ql_merges_free(&merges);
    assert_int_equal(ql_merges_init(&merges, INT32_MAX, 1 << 20, &err), QL_E_UNSUPPORTED);
    assert_non_null(strstr(err.message, "1048576 merges in a vocabulary of 2147483647 are too many"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merging_takes_the_lowest_rank_then_the_leftmost),
        cmocka_unit_test(of_equal_pairs_the_last_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
