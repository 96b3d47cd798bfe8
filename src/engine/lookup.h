// SPDX-License-Identifier: MIT
// Drafts from the text itself: where the last tokens stood before, what followed them there (prompt lookup; Saxena 2023).
// Summaries, edits and structured text repeat their prompt for long stretches. Where a few tokens are others, as a number in
// a row of a table, the text goes on beside the place it followed so far: that is suggested too.
#ifndef QL_ENGINE_LOOKUP_H
#define QL_ENGINE_LOOKUP_H

#include "base/error.h"

enum {
    QL_LOOKUP_MIN = 3,    // tokens that must be the same
    QL_LOOKUP_LONG = 24,  // tokens that are compared
    QL_LOOKUP_ALIKE = 12, // of which so many must be the same at the place that the text followed
    QL_LOOKUP_PLACES = 2, // found at most
};

typedef struct ql_lookup {
    uint32_t *places; // by hash of QL_LOOKUP_MIN tokens: the index after the last place where they stand; 0: none
    size_t mask;
    size_t n;         // tokens seen
    size_t followed;  // the place that the text goes on as at, which moves along with its end; 0: none
} ql_lookup;

// A place before the end of the text.
typedef struct ql_found {
    const int32_t *tokens; // what follows there
    size_t n;              // tokens that may be read
    size_t match, alike;   // of the QL_LOOKUP_LONG before, how many are the last of the text: up to the first other, and of all
} ql_found;

ql_code ql_lookup_init(ql_lookup *lookup, uint32_t max_length, ql_error *err);
void ql_lookup_free(ql_lookup *lookup);
void ql_lookup_clear(ql_lookup *lookup);

// Takes in tokens [n] from where the last call ended, and finds the last place where their end stands a second time, and
// the one that the text follows, if it is another and alike. Returns how many were found.
size_t ql_lookup_find(ql_lookup *lookup, const int32_t *tokens, size_t n, ql_found found[QL_LOOKUP_PLACES]);

// The text, of tokens [n] in the last call, is taken to go on as at tokens + place. It goes on being compared there, and is
// found again when it is alike again.
void ql_lookup_follow(ql_lookup *lookup, size_t place);

#endif
