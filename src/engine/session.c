// SPDX-License-Identifier: MIT
// ql_session: generation as a pull loop. Prompts become sequences, at most WAVE at a time; step.c computes a batch of
// rows for all of them, again and again. Knows nothing of how logits come about nor of what a token spells.
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "engine/session.h"

// ---- life ----

ql_session *ql_session_new(ql_model *model, ql_error *err)
{
    if (!model->forward) {
        ql_fail(err, QL_E_ARGUMENT, "inspect: the model was only opened to be looked at, it has no weights to run");
        return NULL;
    }
    ql_session *s = calloc(1, sizeof *s);
    if (!s) {
        ql_fail_memory(err, sizeof *s);
        return NULL;
    }
    ql_model_retain(model);
    s->model = model;
    ql_odds_init(&s->odds);
    return s;
}

static void end_sequence(sequence *q)
{
    ql_sampler_free(q->sampler);
    ql_detokenizer_free(q->detokenizer);
    ql_stream_free(q->stream);
    ql_buf_free(&q->text);
    ql_buf_free(&q->out);
    *q = (sequence){0};
}

static void end_generation(ql_session *s)
{
    for (size_t i = 0; i < WAVE; i++)
        end_sequence(&s->sequences[i]);
    for (size_t i = 0; s->prompts && i < s->n_prompts; i++)
        ql_ids_free(&s->prompts[i]);
    free(s->prompts);
    free(s->seeds);
    free(s->logit_bias);
    free(s->stops);
    free(s->stop_text);
    s->prompts = NULL;
    s->seeds = NULL;
    s->logit_bias = NULL;
    s->stops = NULL;
    s->stop_text = NULL;
    s->given = NULL;
    s->n_prompts = s->n_started = 0;
}

void ql_session_free(ql_session *session)
{
    if (!session)
        return;
    end_generation(session);
    for (size_t i = 0; i < WAVE; i++) {
        ql_cache_free(&session->slots[i].cache);
        ql_lookup_free(&session->slots[i].lookup);
        ql_draft_free(&session->slots[i].draft);
        free(session->slots[i].tokens);
    }
    ql_model_close(session->model);
    free(session);
}

void ql_session_reset(ql_session *session)
{
    end_generation(session);
    for (size_t i = 0; i < WAVE; i++)
        session->slots[i].n_cached = 0;
}

void ql_cancel(ql_session *session) { atomic_store(&session->cancelled, true); }

void ql_session_get_usage(const ql_session *session, ql_usage *usage) { *usage = session->usage; }

static ql_code open_slot(ql_session *s, cache_slot *slot, ql_error *err)
{
    if (slot->tokens)
        return QL_OK;
    size_t bytes = s->model->max_length * sizeof *slot->tokens;
    int32_t *tokens = malloc(bytes);
    if (!tokens)
        return ql_fail_memory(err, bytes);
    ql_code code = ql_lookup_init(&slot->lookup, s->model->max_length, err);
    if (code == QL_OK)
        code = ql_cache_init(&slot->cache, &s->model->config, s->model->kv_type, s->model->max_length, err);
    if (code == QL_OK && s->model->draft)
        code = ql_draft_init(&slot->draft, s->model->draft, err);
    if (code != QL_OK) {
        ql_cache_free(&slot->cache);
        ql_lookup_free(&slot->lookup);
        free(tokens);
        return code;
    }
    slot->tokens = tokens;
    slot->n_cached = 0;
    return QL_OK;
}

// ---- starting ----

static ql_code copy_params(ql_session *s, const ql_params *params, ql_error *err)
{
    size_t text = 0, n = params->n_stop_strings;
    for (size_t i = 0; i < n; i++)
        text += params->stop_strings[i].len;
    s->logit_bias = malloc((params->n_logit_bias + 1) * sizeof *s->logit_bias);
    s->stops = malloc((n + 1) * sizeof *s->stops);
    s->stop_text = malloc(text + 1);
    if (!s->logit_bias || !s->stops || !s->stop_text)
        return ql_fail_memory(err, text + n * sizeof *s->stops + params->n_logit_bias * sizeof *s->logit_bias);
    if (params->n_logit_bias)
        memcpy(s->logit_bias, params->logit_bias, params->n_logit_bias * sizeof *s->logit_bias);
    for (size_t i = 0, at = 0; i < n; at += params->stop_strings[i].len, i++) {
        memcpy(s->stop_text + at, params->stop_strings[i].text, params->stop_strings[i].len);
        s->stops[i] = (ql_string){s->stop_text + at, params->stop_strings[i].len};
    }
    s->params = *params;
    s->params.logit_bias = s->logit_bias;
    s->params.stop_strings = s->stops;
    return QL_OK;
}

static ql_code check_ids(const ql_model *m, const int32_t *ids, size_t n, ql_error *err)
{
    for (size_t i = 0; i < n; i++)
        if (ids[i] < 0 || (uint32_t)ids[i] >= m->config.n_vocab)
            return ql_fail(err, QL_E_ARGUMENT, "token %zu is %d, the vocabulary has 0 to %u", i, ids[i],
                           m->config.n_vocab - 1);
    return QL_OK;
}

static ql_code read_prompt(const ql_model *m, const ql_prompt *prompt, ql_ids *ids, ql_error *err)
{
    if (prompt->text) {
        unsigned flags = QL_ADD_SPECIAL | (prompt->no_parse_special ? 0 : QL_PARSE_SPECIAL);
        QL_TRY(ql_tokenizer_encode(m->tokenizer, prompt->text, prompt->len, NULL, flags, ids, err));
    } else {
        QL_TRY(check_ids(m, prompt->ids, prompt->n_ids, err));
        for (size_t i = 0; i < prompt->n_ids; i++)
            if (!ql_ids_push(ids, prompt->ids[i]))
                return ql_fail_memory(err, prompt->n_ids * sizeof *prompt->ids);
    }
    if (ids->n == 0)
        return ql_fail(err, QL_E_ARGUMENT, "the prompt is empty, and this model adds no token to it: give it text");
    if (ids->n >= m->max_length)
        return ql_fail(err, QL_E_CONTEXT,
                       "the prompt has %zu tokens and the context is %u: shorten the prompt, or open the model with a "
                       "larger max_length (this model was trained for %u)",
                       ids->n, m->max_length, m->config.context_length);
    return QL_OK;
}

static ql_code read_prompts(ql_session *s, const ql_prompt *prompts, size_t n, ql_error *err)
{
    s->prompts = calloc(n ? n : 1, sizeof *s->prompts);
    s->seeds = calloc(n ? n : 1, sizeof *s->seeds);
    if (!s->prompts || !s->seeds)
        return ql_fail_memory(err, n * (sizeof *s->prompts + sizeof *s->seeds));
    s->n_prompts = n;
    for (size_t i = 0; i < n; i++) {
        ql_code code = read_prompt(s->model, &prompts[i], &s->prompts[i], err);
        if (code != QL_OK)
            return n > 1 ? ql_fail_prefix(err, code, "prompt %zu", i) : code;
        s->usage.n_prompt += s->prompts[i].n;
        s->seeds[i] = s->params.has_seed ? s->params.seed : ql_random_entropy();
    }
    for (size_t i = 0; i < n && i < WAVE; i++)
        QL_TRY(open_slot(s, &s->slots[i], err));
    return QL_OK;
}

ql_code ql_generate(ql_session *s, const ql_prompt *prompts, size_t n, const ql_params *params, ql_error *err)
{
    end_generation(s);
    atomic_store(&s->cancelled, false);
    s->usage = (ql_usage){0};
    ql_code code = ql_params_check(params, err);
    if (code == QL_OK)
        code = copy_params(s, params, err);
    if (code == QL_OK)
        code = read_prompts(s, prompts, n, err);
    if (code == QL_OK) { // what only shows against this vocabulary (logit_bias) is told now, not at the first token
        ql_sampler *probe = NULL;
        code = ql_sampler_new(&s->params, s->model->config.n_vocab, 0, &probe, err);
        ql_sampler_free(probe);
    }
    if (code != QL_OK)
        end_generation(s);
    return code;
}

static size_t common_prefix(const cache_slot *slot, const ql_ids *ids)
{
    size_t n = 0;
    while (n < slot->n_cached && n < ids->n && slot->tokens[n] == ids->data[n])
        n++;
    return n;
}

static bool slot_taken(const ql_session *s, const cache_slot *slot)
{
    for (size_t i = 0; i < WAVE; i++)
        if (s->sequences[i].slot == slot)
            return true;
    return false;
}

// The free cache that holds most of the prompt already.
static cache_slot *best_slot(ql_session *s, const ql_ids *ids)
{
    cache_slot *best = NULL;
    for (size_t i = 0; i < WAVE; i++) {
        cache_slot *slot = &s->slots[i];
        if (slot->tokens && !slot_taken(s, slot) && (!best || common_prefix(slot, ids) > common_prefix(best, ids)))
            best = slot;
    }
    return best;
}

static ql_code start_sequence(ql_session *s, sequence *q, size_t index, ql_error *err)
{
    const ql_ids *ids = &s->prompts[index];
    QL_TRY(ql_sampler_new(&s->params, s->model->config.n_vocab, s->seeds[index], &q->sampler, err));
    QL_TRY(ql_stream_new(s->params.stop_strings, s->params.n_stop_strings, &q->stream, err));
    QL_TRY(ql_detokenizer_new(s->model->tokenizer, !s->params.keep_special, &q->detokenizer, err));
    QL_TRY(ql_detokenizer_prime(q->detokenizer, ids->data, ids->n, err));
    ql_sampler_prompt(q->sampler, ids->data, ids->n);
    cache_slot *slot = best_slot(s, ids);
    size_t cached = common_prefix(slot, ids);
    slot->n_cached = cached < ids->n ? cached : ids->n - 1; // the last one must be computed: its logits are wanted
    memcpy(slot->tokens, ids->data, ids->n * sizeof *ids->data);
    ql_lookup_clear(&slot->lookup);
    ql_draft_restart(&slot->draft);
    s->usage.n_prompt_cached += slot->n_cached;
    q->slot = slot;
    q->index = index;
    q->n_tokens = ids->n;
    return QL_OK;
}

static ql_code start_sequences(ql_session *s, ql_error *err)
{
    for (size_t i = 0; i < WAVE && s->n_started < s->n_prompts; i++)
        if (!s->sequences[i].slot && best_slot(s, &s->prompts[s->n_started]))
            QL_TRY(start_sequence(s, &s->sequences[i], s->n_started++, err));
    return QL_OK;
}

// ---- pulling ----

static ql_code cancel_all(ql_session *s, ql_error *err)
{
    if (!atomic_exchange(&s->cancelled, false))
        return QL_OK;
    s->params.max_new_tokens = 0; // prompts that have not started: each gets its last piece, without a token
    for (size_t i = 0; i < WAVE; i++) {
        sequence *q = &s->sequences[i];
        if (!ql_sequence_running(q))
            continue;
        QL_TRY(ql_sequence_finish(q, QL_FINISH_CANCELLED, err));
        q->n_ends = q->n_given; // what is there is one piece, the last
        q->ends[q->n_ends++] = q->out.len;
    }
    return QL_OK;
}

// A sequence with something to give: text, or its end.
static bool give(ql_session *s, ql_piece *piece)
{
    for (size_t i = 0; i < WAVE; i++) {
        sequence *q = &s->sequences[i];
        if (q->slot && q->n_given < q->n_ends) {
            size_t begin = q->n_given ? q->ends[q->n_given - 1] : 0, end = q->ends[q->n_given++];
            bool last = q->n_given == q->n_ends;
            *piece = (ql_piece){.text = q->out.data ? q->out.data + begin : "", .len = end - begin, .index = q->index,
                                .finish = last ? q->finish : QL_FINISH_NONE};
            s->given = last ? q : NULL;
            return true;
        }
    }
    if (s->params.max_new_tokens == 0 && s->n_started < s->n_prompts) {
        *piece = (ql_piece){.text = "", .index = s->n_started++, .finish = QL_FINISH_CANCELLED};
        return true;
    }
    return false;
}

static ql_code pull(ql_session *s, ql_piece *piece, ql_error *err)
{
    for (;;) {
        QL_TRY(cancel_all(s, err));
        if (give(s, piece))
            return QL_OK;
        QL_TRY(start_sequences(s, err));
        bool any = false;
        for (size_t i = 0; i < WAVE; i++)
            any |= ql_sequence_running(&s->sequences[i]);
        if (!any) {
            *piece = (ql_piece){0};
            return QL_OK;
        }
        QL_TRY(ql_session_step(s, err));
    }
}

ql_code ql_next(ql_session *s, ql_piece *piece, ql_error *err)
{
    *piece = (ql_piece){0};
    sequence *given = s->given;
    if (given && given->finish) {
        end_sequence(given);
    } else if (given) {
        ql_buf_clear(&given->out);
        given->n_ends = given->n_given = 0;
    }
    s->given = NULL;
    ql_code code = pull(s, piece, err);
    if (code != QL_OK) {
        for (size_t i = 0; i < WAVE; i++) // a batch that failed may have left a cache half written
            s->slots[i].n_cached = 0;
        end_generation(s);
    }
    return code;
}

// ---- logits ----

ql_code ql_logits(ql_session *s, const int32_t *ids, size_t n_ids, float *out, ql_error *err)
{
    const ql_model *m = s->model;
    end_generation(s);
    atomic_store(&s->cancelled, false);
    QL_TRY(check_ids(m, ids, n_ids, err));
    if (n_ids > m->max_length)
        return ql_fail(err, QL_E_CONTEXT, "%zu tokens were given and the context is %u", n_ids, m->max_length);
    cache_slot *slot = &s->slots[0];
    QL_TRY(open_slot(s, slot, err));
    slot->n_cached = 0;
    size_t stride = ql_forward_logits_stride(m->forward), n_vocab = m->config.n_vocab;
    for (size_t at = 0, n; at < n_ids; at += n) {
        if (atomic_exchange(&s->cancelled, false))
            return ql_fail(err, QL_E_CANCELLED, "cancelled after %zu of %zu tokens", at, n_ids);
        n = n_ids - at < QL_LOGIT_ROWS_MAX ? n_ids - at : QL_LOGIT_ROWS_MAX;
        for (size_t i = 0; i < n; i++)
            s->rows[i] = (ql_row){.cache = &slot->cache, .token = ids[at + i], .pos = (uint32_t)(at + i),
                                  .want_logits = true};
        pthread_mutex_lock(&s->model->turn);
        const float *logits = ql_forward_run(m->forward, s->rows, n);
        for (size_t i = 0; i < n; i++)
            memcpy(out + (at + i) * n_vocab, logits + i * stride, n_vocab * sizeof *out);
        pthread_mutex_unlock(&s->model->turn);
        memcpy(slot->tokens + at, ids + at, n * sizeof *ids);
        slot->n_cached = at + n;
    }
    return QL_OK;
}
