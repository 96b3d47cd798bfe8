// SPDX-License-Identifier: MIT
// Logits -> token. The chain, in this order: logit bias, repetition penalty (tokens of the prompt and new ones),
// frequency and presence penalties (new tokens only), temperature, top-k, top-p, min-p, typical; then a draw with the
// random number of (seed, i). Greedy takes the largest logit after the penalties; of equal ones the lowest id.
//
// Numbers: bias and penalties in float, as transformers has them; the rest in double with our own exp, candidates in a
// fixed order (falling logit, rising id): the same token on every machine. Infinite logits, from the model or from a
// bias that overflows, are the only candidates, all alike.
#ifndef QL_SAMPLE_SAMPLER_H
#define QL_SAMPLE_SAMPLER_H

#include "base/error.h"

typedef struct ql_sampler ql_sampler;

// Copies what it needs of params (already checked). seed is used as given here, params->seed is not looked at.
ql_code ql_sampler_new(const ql_params *params, uint32_t n_vocab, uint64_t seed, ql_sampler **sampler, ql_error *err);
void ql_sampler_free(ql_sampler *sampler);

// Tells the sampler of the prompt's tokens (ids below n_vocab).
void ql_sampler_prompt(ql_sampler *sampler, const int32_t *ids, size_t n);

// Chooses the next token from logits [n_vocab], which it may change, and counts it as new. NaN counts as -inf; when no
// logit is above -inf: QL_E_NUMERIC. Allocates nothing.
ql_code ql_sampler_next(ql_sampler *sampler, float *logits, int32_t *id, ql_error *err);

// The distribution that the last sampled token was drawn from: ids and probabilities [n_vocab], their number returned,
// in no order. For tests and reports.
size_t ql_sampler_candidates(const ql_sampler *sampler, int32_t *ids, double *p);

#endif
