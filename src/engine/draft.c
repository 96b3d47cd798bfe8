// SPDX-License-Identifier: MIT
// Owns the draft model's cache for a sequence, which follows the text: what was drafted and rejected is overwritten.
#include "engine/draft.h"

#include <stdlib.h>
#include <string.h>

#include "base/fpmode.h"

ql_code ql_draft_check(const ql_model *model, const ql_model *draft, ql_error *err)
{
    uint32_t n = ql_tokenizer_n_vocab(model->tokenizer), n_draft = ql_tokenizer_n_vocab(draft->tokenizer);
    if (!draft->forward)
        return ql_fail(err, QL_E_ARGUMENT, "draft: the model was only opened to be looked at, it has no weights to run");
    for (uint32_t i = 0; i < n && i < n_draft; i++) {
        const char *ours = ql_token_piece(model->tokenizer, (int32_t)i);
        const char *its = ql_token_piece(draft->tokenizer, (int32_t)i);
        if (strcmp(ours ? ours : "", its ? its : "") != 0)
            return ql_fail(err, QL_E_ARGUMENT,
                           "draft: token %u is \"%s\" there and \"%s\" here: take a model with the same vocabulary", i,
                           its ? its : "", ours ? ours : "");
    }
    if (n != n_draft)
        return ql_fail(err, QL_E_ARGUMENT, "draft: its vocabulary has %u tokens, this one %u: take a model with the same",
                       n_draft, n);
    return QL_OK;
}

ql_code ql_draft_init(ql_draft *draft, ql_model *model, ql_error *err)
{
    size_t bytes = model->max_length * sizeof *draft->tokens;
    *draft = (ql_draft){.model = model, .tokens = malloc(bytes)};
    if (!draft->tokens)
        return ql_fail_memory(err, bytes);
    ql_code code = ql_cache_init(&draft->cache, &model->config, model->kv_type, model->max_length, err);
    if (code != QL_OK)
        ql_draft_free(draft);
    return code;
}

void ql_draft_free(ql_draft *draft)
{
    ql_cache_free(&draft->cache);
    free(draft->tokens);
    *draft = (ql_draft){0};
}

void ql_draft_restart(ql_draft *draft) { draft->n_agreed = 0; }

// Forgets what is cached from the first token on that is not the sequence's; the last one is computed again for its logits.
static void agree(ql_draft *draft, const int32_t *tokens, size_t n)
{
    size_t same = draft->n_agreed < draft->n_cached ? draft->n_agreed : draft->n_cached;
    while (same < draft->n_cached && same < n - 1 && draft->tokens[same] == tokens[same])
        same++;
    draft->n_cached = same < n - 1 ? same : n - 1;
    draft->n_agreed = draft->n_cached;
}

// Computes tokens [n] behind what is cached; the logits behind the last one.
static const float *compute(ql_draft *draft, const int32_t *tokens, size_t n)
{
    ql_row rows[QL_ROWS_MAX];
    const float *logits = NULL;
    for (size_t done = 0, part; done < n; done += part) {
        part = n - done < QL_ROWS_MAX ? n - done : QL_ROWS_MAX;
        for (size_t i = 0; i < part; i++) {
            draft->tokens[draft->n_cached] = tokens[done + i];
            rows[i] = (ql_row){.cache = &draft->cache, .token = tokens[done + i], .pos = (uint32_t)draft->n_cached++,
                               .want_logits = done + i + 1 == n};
        }
        logits = ql_forward_run(draft->model->forward, rows, part);
    }
    return logits;
}

// The largest. A NaN in front stays, and what a NaN drafts is rejected like any wrong token.
static int32_t largest(const float *logits, uint32_t n)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < n; i++)
        if (logits[i] > logits[best])
            best = i;
    return (int32_t)best;
}

size_t ql_draft_find(ql_draft *draft, const int32_t *tokens, size_t n, uint32_t n_vocab, size_t n_draft, int32_t *out)
{
    uint32_t n_ours = draft->model->config.n_vocab < n_vocab ? draft->model->config.n_vocab : n_vocab;
    if (n + n_draft > draft->model->max_length)
        return 0;
    agree(draft, tokens, n);
    pthread_mutex_lock(&draft->model->turn);
    ql_fpmode mode = ql_fpmode_enter();
    const float *logits = compute(draft, tokens + draft->n_cached, n - draft->n_cached);
    draft->n_agreed = n;
    double start = ql_clock();
    for (size_t i = 0; i < n_draft; i++) {
        out[i] = largest(logits, n_ours);
        if (i + 1 < n_draft)
            logits = compute(draft, &out[i], 1);
    }
    double seconds = n_draft > 1 ? (ql_clock() - start) / (double)(n_draft - 1) : 0;
    ql_fpmode_leave(mode);
    pthread_mutex_unlock(&draft->model->turn);
    if (seconds > 0)
        draft->seconds_a_token = draft->seconds_a_token > 0 ? 0.8 * draft->seconds_a_token + 0.2 * seconds : seconds;
    return n_draft;
}
