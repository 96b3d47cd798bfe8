// SPDX-License-Identifier: MIT
// Owns sorting: a merge sort, because it is stable and because comparing may raise.
#include "text/jinja_text.h"

typedef struct pair {
    ql_jval key, item;
} pair;

// Whether b must go before a, which stands in front of it.
static bool out_of_order(ql_jinja *j, const pair *a, const pair *b, bool reverse)
{
    return reverse ? ql_j_compare(j, QL_J_LT, a->key, b->key) : ql_j_compare(j, QL_J_LT, b->key, a->key);
}

static void merge(ql_jinja *j, const pair *from, pair *to, size_t lo, size_t mid, size_t hi, bool reverse)
{
    size_t a = lo, b = mid;
    for (size_t i = lo; i < hi; i++) {
        if (a < mid && (b >= hi || !out_of_order(j, &from[a], &from[b], reverse)))
            to[i] = from[a++];
        else
            to[i] = from[b++];
    }
    ql_j_charge(j, (hi - lo) * sizeof *to);
}

void ql_j_sort(ql_jinja *j, ql_jval *keys, ql_jval *items, size_t n, bool reverse)
{
    pair *from = ql_j_array(j, n, sizeof *from), *to = ql_j_array(j, n, sizeof *to);
    for (size_t i = 0; i < n; i++)
        from[i] = (pair){keys[i], items[i]};
    for (size_t width = 1; width < n; width *= 2) {
        for (size_t lo = 0; lo < n; lo += 2 * width) {
            size_t mid = lo + width < n ? lo + width : n, hi = mid + width < n ? mid + width : n;
            merge(j, from, to, lo, mid, hi, reverse);
        }
        pair *swap = from;
        from = to;
        to = swap;
    }
    for (size_t i = 0; i < n; i++) {
        keys[i] = from[i].key;
        items[i] = from[i].item;
    }
}
