// SPDX-License-Identifier: MIT
// How many drafted tokens a step should carry. A step computes the last token of each sequence and, beside it, tokens that
// were drafted to follow; as many of them as turn out right are tokens gained. Since a row's logits do not depend on the
// rows beside it, the text is the same whatever is decided here (Leviathan et al. 2023, with the exact rule "equal or
// not"): so decisions may rest on time measured on the way.
#ifndef QL_ENGINE_ODDS_H
#define QL_ENGINE_ODDS_H

#include <stddef.h>

enum {
    QL_DRAFT_MAX = 15, // tokens drafted for one sequence
    QL_STEP_ROWS = 24,   // rows of a step
    QL_ODDS_MODEL = 5,   // the kind of a draft model's drafts, the last one
    QL_ODDS_KINDS,
};

typedef struct ql_odds {
    double accepted[QL_ODDS_KINDS];   // share of suggested tokens that were right, lately
    double seconds[QL_STEP_ROWS + 1]; // of a step by its rows, lately, from three on in whole quads; 0: not measured
} ql_odds;

void ql_odds_init(ql_odds *odds);

// The kind of a draft behind so many tokens that are the same, and so many of those before that are (ql_found).
int ql_odds_kind(size_t match, size_t alike);

// How many tokens, up to `most`, to add for each of n_drafts sequences with drafts of these kinds, in a step of n_rows
// sequences; seconds_a_token: what a draft itself costs.
size_t ql_odds_choose(ql_odds *odds, size_t n_rows, const int *kinds, size_t n_drafts, size_t most,
                      double seconds_a_token);

// A step of so many rows took so long.
void ql_odds_timed(ql_odds *odds, size_t n_rows, double seconds);

// Of n tokens that were suggested, computed ahead or not, the first n_accepted were right.
void ql_odds_told(ql_odds *odds, int kind, size_t n, size_t n_accepted);

#endif
