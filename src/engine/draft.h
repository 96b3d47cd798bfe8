// SPDX-License-Identifier: MIT
// Drafts from a smaller model with the same vocabulary (Leviathan et al. 2023; Chen et al. 2023): its greedy continuation.
#ifndef QL_ENGINE_DRAFT_H
#define QL_ENGINE_DRAFT_H

#include "engine/engine.h"

// The draft model's view of one sequence.
typedef struct ql_draft {
    ql_model *model;   // NULL: none
    ql_cache cache;
    int32_t *tokens;   // [model->max_length] whose keys and values are in the cache
    size_t n_cached;
    size_t n_agreed;   // of tokens: known to be those of the sequence
    double seconds_a_token;
} ql_draft;

// Whether a model may draft for another one: the same tokens under the same numbers.
ql_code ql_draft_check(const ql_model *model, const ql_model *draft, ql_error *err);

ql_code ql_draft_init(ql_draft *draft, ql_model *model, ql_error *err);
void ql_draft_free(ql_draft *draft);

// Another text: what is cached may be of any.
void ql_draft_restart(ql_draft *draft);

// n_draft tokens that may follow tokens [n], into out, each below n_vocab. How many there are: none where the draft model's
// context ends.
size_t ql_draft_find(ql_draft *draft, const int32_t *tokens, size_t n, uint32_t n_vocab, size_t n_draft, int32_t *out);

#endif
