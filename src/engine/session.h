// SPDX-License-Identifier: MIT
// Private to the engine room: a session and its sequences. session.c begins, hands out and ends; step.c computes.
#ifndef QL_ENGINE_SESSION_H
#define QL_ENGINE_SESSION_H

#include "engine/draft.h"
#include "engine/lookup.h"
#include "engine/odds.h"

enum { WAVE = 8 };

// A cache and the tokens it holds; outlives the generation, so that the next prompt may reuse a prefix.
typedef struct cache_slot {
    ql_cache cache;
    int32_t *tokens;  // [max_length]; NULL: not allocated yet
    size_t n_cached;  // tokens whose keys and values are in the cache
    ql_lookup lookup; // of tokens
    ql_draft draft;
} cache_slot;

// Tokens that may follow.
typedef struct guess {
    const int32_t *tokens; // of the text, or draft_tokens
    size_t n;
    int kind;              // ql_odds_kind
} guess;

// A prompt on its way.
typedef struct sequence {
    size_t index;          // which prompt
    cache_slot *slot;      // NULL: this place is free
    size_t n_tokens;       // in slot->tokens: the prompt and what was generated
    size_t n_new;
    size_t n_logits;       // rows of the batch being computed that want them: the last token's and those of the drafts
    guess guesses[QL_LOOKUP_PLACES + 1]; // of the text and of the draft model
    size_t n_guesses;
    const guess *draft;    // the one whose tokens may be computed ahead; NULL: none
    size_t n_draft;        // at most so many of them
    int32_t draft_tokens[QL_DRAFT_MAX]; // of the draft model
    ql_sampler *sampler;
    ql_detokenizer *detokenizer; // that has seen the prompt
    ql_stream *stream;
    ql_buf text;           // of one token
    ql_buf out;            // text ready to be taken
    size_t ends[QL_DRAFT_MAX + 1]; // where the pieces in it end, one a token, whatever was drafted; the last may be empty
    size_t n_ends, n_given;
    ql_finish finish;
} sequence;

struct ql_session {
    ql_model *model;
    atomic_bool cancelled;
    cache_slot slots[WAVE];
    sequence sequences[WAVE];
    sequence *given;       // whose text the last piece points to, the last one of a step

    // the generation under way
    ql_params params;      // with copies of its arrays
    ql_logit_bias *logit_bias;
    ql_string *stops;
    char *stop_text;
    ql_ids *prompts;       // [n_prompts]
    uint64_t *seeds;       // [n_prompts]
    size_t n_prompts, n_started;
    ql_usage usage;
    ql_odds odds;
    ql_row rows[QL_ROWS_MAX];
};

static inline bool ql_sequence_running(const sequence *q) { return q->slot && !q->finish; }

// Ends the text of a sequence: what was held back comes out.
ql_code ql_sequence_finish(sequence *q, ql_finish finish, ql_error *err);

// Computes a batch for the sequences that run, at least one, and takes the tokens that come of it.
ql_code ql_session_step(ql_session *session, ql_error *err);

#endif
