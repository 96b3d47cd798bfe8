// SPDX-License-Identifier: MIT
// Owns the choice of how many threads run, from nothing but times. Must not know what runs.
// The one decision: a change is a trial, kept only when the mean time of a job gets shorter by MARGIN.
#include "base/pace.h"

#include <stdbool.h>

static const double MARGIN = 0.97;         // a trial's mean must be below this share of the mean before
static const double STALLED = 0.3;         // share of a job from which on it counts as stalled
static const double BAD = 0.02;            // seconds of stalled jobs that start a trial
static const double TRIAL_LESS = 0.03;     // seconds of a trial with fewer threads: some time slices of a scheduler
static const double TRIAL_MORE = 0.015;
static const double PATIENCE = 0.25, PATIENCE_MOST = 4;
enum { TRIAL_JOBS = 3 };

void ql_pace_init(ql_pace *p, int n_threads)
{
    *p = (ql_pace){.size = n_threads, .n = n_threads, .patience = PATIENCE};
}

static void begin_trial(ql_pace *p, int n)
{
    p->from = p->n;
    p->before = p->mean;
    p->n = n;
    p->sum = 0;
    p->count = -1;
    p->bad = 0;
}

static void end_trial(ql_pace *p, bool kept)
{
    bool more = p->n > p->from;
    if (kept) {
        p->mean = p->sum / p->count;
        p->patience = PATIENCE;
        p->until_less = 0;
    } else {
        p->n = p->from;
        p->mean = p->before;
        p->patience = p->patience * 2 < PATIENCE_MOST ? p->patience * 2 : PATIENCE_MOST;
        p->until_less = more ? 0 : p->patience;
    }
    p->until_more = p->patience;
    p->from = 0;
    p->bad = 0;
}

// With several cores taken, one thread less changes nothing yet: the trial goes on with two less.
static void in_trial(ql_pace *p, double seconds, bool stalled)
{
    if (p->count++ < 0)
        return;
    p->sum += seconds;
    p->bad += stalled ? seconds : 0;
    if (p->count < TRIAL_JOBS || p->sum < (p->n > p->from ? TRIAL_MORE : TRIAL_LESS))
        return;
    bool kept = p->sum / p->count < p->before * MARGIN;
    if (kept || p->n > p->from || p->n == 1 || p->bad < p->sum / 2) {
        end_trial(p, kept);
    } else {
        p->n--;
        p->sum = p->bad = 0;
        p->count = -1;
    }
}

void ql_pace_ran(ql_pace *p, uint64_t kind, double seconds, double stalled)
{
    if (kind != p->kind) {
        if (p->from)
            p->n = p->from;
        p->from = 0;
        p->kind = kind;
        p->mean = seconds;
        p->bad = 0;
        return;
    }
    if (p->from) {
        in_trial(p, seconds, stalled > STALLED * seconds);
        return;
    }
    p->mean += (seconds - p->mean) * 0.1;
    p->until_less -= seconds;
    p->until_more -= seconds;
    p->bad += stalled > STALLED * seconds ? seconds : -seconds;
    p->bad = p->bad > 0 ? p->bad : 0;
    if (p->n > 1 && p->bad > BAD && p->until_less <= 0)
        begin_trial(p, p->n - 1);
    else if (p->n < p->size && p->until_more <= 0)
        begin_trial(p, p->n + 1);
}
