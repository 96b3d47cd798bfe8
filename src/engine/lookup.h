// SPDX-License-Identifier: MIT
// Drafts from the text itself: where the last tokens stood before, what followed them there (prompt lookup; Saxena 2023).
// Summaries, edits and structured text repeat their prompt for long stretches.
#ifndef QL_ENGINE_LOOKUP_H
#define QL_ENGINE_LOOKUP_H

#include "base/error.h"

enum {
    QL_LOOKUP_MIN = 3, // tokens that must be the same
    QL_LOOKUP_LONG = 24, // more are not counted
};

typedef struct ql_lookup {
    uint32_t *places; // by hash of QL_LOOKUP_MIN tokens: the index after the last place where they stand; 0: none
    size_t mask;
    size_t n;         // tokens seen
} ql_lookup;

ql_code ql_lookup_init(ql_lookup *lookup, uint32_t max_length, ql_error *err);
void ql_lookup_free(ql_lookup *lookup);
void ql_lookup_clear(ql_lookup *lookup);

// Takes in tokens [n] from where the last call ended, and finds the last place where their end stands a second time.
// *draft: what follows there; the number of tokens that may be read, 0 when there is no such place. *match: how many
// tokens are the same, up to QL_LOOKUP_LONG.
size_t ql_lookup_find(ql_lookup *lookup, const int32_t *tokens, size_t n, const int32_t **draft, size_t *match);

#endif
