// SPDX-License-Identifier: MIT
// A step of a session: which rows are computed (a token of each sequence that decodes with tokens drafted to follow,
// prompt tokens of the others), and what the sampler makes of their logits. Must not know how sequences begin nor who
// takes their text.
//
// The one decision: a drafted token is a row like any other, and the sampler decides token by token as without drafts,
// with the same logits and the same random numbers. So drafting changes the time of a text and nothing else.
#include "base/fpmode.h"
#include "engine/session.h"

static size_t uncomputed(const sequence *q) { return q->n_tokens - q->slot->n_cached; }

// The next rows of a sequence: tokens that are not computed yet, then, where they are all there, n_draft drafts.
static size_t add_rows(ql_session *s, sequence *q, size_t n_rows, size_t budget, size_t n_draft)
{
    cache_slot *slot = q->slot;
    size_t at = slot->n_cached, n = uncomputed(q) < budget ? uncomputed(q) : budget;
    bool all = n && at + n == q->n_tokens;
    size_t total = n + (all ? n_draft : 0);
    for (size_t i = 0; i < total; i++)
        s->rows[n_rows + i] = (ql_row){.cache = &slot->cache, .token = i < n ? slot->tokens[at + i] : q->draft->tokens[i - n],
                                       .pos = (uint32_t)(at + i), .want_logits = at + i + 1 >= q->n_tokens};
    q->n_logits = all ? 1 + n_draft : 0;
    slot->n_cached = at + n;
    return n_rows + total;
}

// What the text itself suggests may follow the tokens of a sequence that decodes: the surest is its draft, NULL if there is
// none. n_draft: how many tokens a draft may have.
static void find_draft(const ql_session *s, sequence *q)
{
    size_t left = (size_t)s->params.max_new_tokens - q->n_new, room = s->model->max_length - q->n_tokens;
    cache_slot *slot = q->slot;
    ql_found found[QL_LOOKUP_PLACES];
    q->n_guesses = ql_lookup_find(&slot->lookup, slot->tokens, q->n_tokens, found);
    for (size_t i = 0; i < q->n_guesses; i++) {
        guess *g = &q->guesses[i];
        *g = (guess){found[i].tokens, found[i].n, ql_odds_kind(found[i].match, found[i].alike)};
        if (!q->draft || s->odds.accepted[g->kind] > s->odds.accepted[q->draft->kind])
            q->draft = g;
    }
    left = left < room ? left : room;
    left = left < QL_DRAFT_MAX + 1 ? left : QL_DRAFT_MAX + 1;
    q->n_draft = left - 1; // the token of the step itself comes first
    if (q->draft)
        ql_lookup_follow(&slot->lookup, (size_t)(q->draft->tokens - slot->tokens));
}

// The draft model's tokens for the one sequence that decodes, where it is surer than the text; how many.
static size_t draft_by_model(ql_session *s, sequence *q)
{
    ql_draft *draft = &q->slot->draft;
    const int kind = QL_ODDS_MODEL;
    const double *accepted = s->odds.accepted;
    if (!s->model->draft || (q->draft && accepted[q->draft->kind] >= accepted[kind]))
        return 0;
    size_t n = ql_odds_choose(&s->odds, 1, &kind, 1, q->n_draft, draft->seconds_a_token);
    n = n ? ql_draft_find(draft, q->slot->tokens, q->n_tokens, s->model->config.n_vocab, n, q->draft_tokens) : 0;
    if (n) {
        guess *g = &q->guesses[q->n_guesses++];
        *g = (guess){q->draft_tokens, n, kind};
        q->draft = g;
        q->n_draft = n;
    }
    return n;
}

// How many drafts each sequence gets, in a step in which n decode.
static size_t plan_drafts(ql_session *s, size_t n)
{
    int kinds[WAVE];
    size_t n_drafts = 0, most = QL_DRAFT_MAX;
    for (size_t i = 0; i < WAVE; i++) {
        sequence *q = &s->sequences[i];
        if (!ql_sequence_running(q) || uncomputed(q) != 1)
            continue;
        find_draft(s, q);
        size_t by_model = n == 1 ? draft_by_model(s, q) : 0; // for one sequence: its own steps are not batched
        if (by_model)
            return by_model;
        if (!q->draft)
            q->n_draft = 0;
        else if (q->draft->n < q->n_draft)
            q->n_draft = q->draft->n;
        if (!q->n_draft)
            continue;
        kinds[n_drafts++] = q->draft->kind;
        most = q->n_draft < most ? q->n_draft : most;
    }
    return n_drafts ? ql_odds_choose(&s->odds, n, kinds, n_drafts, most, 0) : 0;
}

// A token of each sequence that decodes, and drafts; the rest of the batch goes to prompts. *prompt: whether there are
// any. Rows stand in the order of the sequences, so that logits come in that order.
static size_t plan(ql_session *s, bool *prompt)
{
    size_t left = QL_ROWS_MAX, n_rows = 0, n_decoding = 0, n_draft = 0;
    *prompt = false;
    for (size_t i = 0; i < WAVE; i++) {
        sequence *q = &s->sequences[i];
        q->n_guesses = q->n_draft = 0;
        q->draft = NULL;
        n_decoding += ql_sequence_running(q) && uncomputed(q) == 1;
        *prompt |= ql_sequence_running(q) && q->n_new == 0;
    }
    left -= n_decoding;
    if (!*prompt && !s->params.no_speculation)
        n_draft = plan_drafts(s, n_decoding);
    for (size_t i = 0; i < WAVE; i++) {
        sequence *q = &s->sequences[i];
        q->n_logits = 0;
        if (!ql_sequence_running(q))
            continue;
        bool one = uncomputed(q) == 1;
        size_t before = n_rows;
        n_rows = add_rows(s, q, n_rows, one ? 1 : left, q->n_draft ? n_draft : 0);
        left -= one ? 0 : n_rows - before;
    }
    return n_rows;
}

ql_code ql_sequence_finish(sequence *q, ql_finish finish, ql_error *err)
{
    bool stopped = false;
    ql_buf_clear(&q->text);
    QL_TRY(ql_detokenizer_finish(q->detokenizer, &q->text, err));
    QL_TRY(ql_stream_push(q->stream, q->text.data, q->text.len, &q->out, &stopped, err));
    QL_TRY(ql_stream_finish(q->stream, &q->out, &stopped, err));
    q->finish = stopped ? QL_FINISH_STOP : finish;
    return QL_OK;
}

// A new token: its text, and whether it is the last.
static ql_code take_token(ql_session *s, sequence *q, int32_t id, ql_error *err)
{
    q->n_new++;
    s->usage.n_new++;
    if (ql_tokenizer_is_eog(s->model->tokenizer, id) && !s->params.ignore_eos)
        return ql_sequence_finish(q, QL_FINISH_STOP, err);
    bool stopped = false;
    ql_buf_clear(&q->text);
    QL_TRY(ql_detokenizer_push(q->detokenizer, id, &q->text, err));
    QL_TRY(ql_stream_push(q->stream, q->text.data, q->text.len, &q->out, &stopped, err));
    if (stopped) {
        q->finish = QL_FINISH_STOP;
        return QL_OK;
    }
    q->slot->tokens[q->n_tokens++] = id;
    if (q->n_new >= (size_t)s->params.max_new_tokens || q->n_tokens >= s->model->max_length)
        return ql_sequence_finish(q, QL_FINISH_LENGTH, err);
    return QL_OK;
}

// Tells which suggestions were right, as far as the text is known now, without a token that ended it; n_before: tokens of it
// when they were made.
static void judge(ql_odds *odds, const sequence *q, size_t n_before)
{
    const int32_t *text = q->slot->tokens + n_before;
    size_t n_known = q->n_tokens - n_before;
    for (size_t i = 0; i < q->n_guesses; i++) {
        const guess *g = &q->guesses[i];
        size_t n = g->n < n_known ? g->n : n_known, right = 0;
        while (right < n && g->tokens[right] == text[right])
            right++;
        ql_odds_told(odds, g->kind, n, right);
    }
}

// Takes the token that follows the last one, and goes on as long as it is the one that was drafted: then the next row is
// that of the text.
static ql_code take_tokens(ql_session *s, sequence *q, float *logits, ql_error *err)
{
    size_t accepted = 0, drafted = q->n_logits - 1, n_before = q->n_tokens;
    for (;; accepted++) {
        int32_t id;
        QL_TRY(ql_sampler_next(q->sampler, logits + accepted * ql_forward_logits_stride(s->model->forward), &id, err));
        QL_TRY(take_token(s, q, id, err));
        if (q->finish || q->out.len > (q->n_ends ? q->ends[q->n_ends - 1] : 0))
            q->ends[q->n_ends++] = q->out.len;
        if (accepted == drafted || id != q->draft->tokens[accepted] || q->finish)
            break;
        q->slot->n_cached++;
    }
    judge(&s->odds, q, n_before);
    s->usage.n_drafted += drafted;
    s->usage.n_accepted += accepted;
    return QL_OK;
}

ql_code ql_session_step(ql_session *s, ql_error *err)
{
    bool prompt;
    double start = ql_clock();
    size_t n_rows = plan(s, &prompt);
    pthread_mutex_lock(&s->model->turn);
    double computing = ql_clock();
    ql_fpmode mode = ql_fpmode_enter();
    float *logits = ql_forward_run(s->model->forward, s->rows, n_rows);
    if (!prompt)
        ql_odds_timed(&s->odds, n_rows, ql_clock() - computing);
    ql_code code = QL_OK;
    for (size_t i = 0; i < WAVE && code == QL_OK; i++) {
        sequence *q = &s->sequences[i];
        if (q->n_logits)
            code = take_tokens(s, q, logits, err);
        logits += q->n_logits * ql_forward_logits_stride(s->model->forward);
    }
    ql_fpmode_leave(mode);
    pthread_mutex_unlock(&s->model->turn);
    *(prompt ? &s->usage.prompt_seconds : &s->usage.decode_seconds) += ql_clock() - start;
    return code;
}
