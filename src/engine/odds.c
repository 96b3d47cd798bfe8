// SPDX-License-Identifier: MIT
// Owns the estimate: tokens expected over seconds expected. Must not know how drafts are found.
#include "engine/odds.h"

#include "engine/lookup.h"
#include "kernel/kernel.h"

// What a row more costs, in steps of one row, before anything was measured: weights are read once for all rows, and
// multiplied for each (SmolLM2 on two cores with AVX2: 0.25).
static const double row_cost = 0.25;
// A draft must promise so much more, since estimates are noisy and a wrong one costs.
static const double margin = 1.05;

void ql_odds_init(ql_odds *odds) { *odds = (ql_odds){.accepted = {0.4, 0.6, 0.8, 0.4, 0.6, 0.6}}; }

int ql_odds_kind(size_t match, size_t alike)
{
    if (match >= QL_LOOKUP_MIN)
        return match < 5 ? 0 : match < 10 ? 1 : 2;
    return alike < 18 ? 3 : 4;
}

// Rows are multiplied in quads (AVX2) or pairs (AVX-512), so three take as long as four. One and two are less. What five and six
// take is not told from eight's.
static size_t whole_quads(size_t n_rows)
{
    return n_rows <= 2 ? n_rows : (n_rows + QL_QUAD_ROWS - 1) / QL_QUAD_ROWS * QL_QUAD_ROWS;
}

static double least(double a, double b) { return a < b ? a : b; }

// What so many rows more are expected to take, behind a step that took `seconds`.
static double with_more(double seconds, size_t n_more) { return seconds * (1 + row_cost * (double)n_more); }

// Measured, or on the line between the nearest measured numbers of rows; but not above what is expected without a
// measurement, or a number that looks bad from afar would never be tried.
static double seconds_of(const ql_odds *odds, size_t n_rows)
{
    n_rows = whole_quads(n_rows);
    size_t low = n_rows, high = n_rows;
    while (low && odds->seconds[low] == 0)
        low--;
    while (high <= QL_STEP_ROWS && odds->seconds[high] == 0)
        high++;
    if (!low && high > QL_STEP_ROWS)
        return with_more(1, n_rows);
    if (!low)
        return odds->seconds[high] / with_more(1, high - n_rows);
    double expected = with_more(odds->seconds[low], n_rows - low);
    if (low == high || high > QL_STEP_ROWS)
        return expected;
    double slope = (odds->seconds[high] - odds->seconds[low]) / (double)(high - low);
    return least(expected, odds->seconds[low] + slope * (double)(n_rows - low));
}

// Steps of more rows are measured only when they are chosen: what was slow once, as another program had the core, would never be
// again. So it is forgotten little by little.
static void forget(ql_odds *odds, size_t n_rows)
{
    double now = odds->seconds[whole_quads(n_rows)];
    for (size_t n = n_rows + 1; now > 0 && n <= QL_STEP_ROWS; n++) {
        double expected = with_more(now, n - n_rows);
        odds->seconds[n] -= odds->seconds[n] > expected ? 0.01 * (odds->seconds[n] - expected) : 0;
    }
}

size_t ql_odds_choose(ql_odds *odds, size_t n_rows, const int *kinds, size_t n_drafts, size_t most,
                      double seconds_a_token)
{
    double one = seconds_of(odds, n_rows), best = (double)n_rows / one, tokens = (double)n_rows;
    double chance[QL_STEP_ROWS];
    size_t choice = 0;
    for (size_t i = 0; i < n_drafts; i++)
        chance[i] = 1;
    for (size_t m = 1; m <= most && n_rows + m * n_drafts <= QL_STEP_ROWS; m++) {
        for (size_t i = 0; i < n_drafts; i++)
            tokens += chance[i] *= odds->accepted[kinds[i]];
        double seconds = seconds_of(odds, n_rows + m * n_drafts) + (double)(m * n_drafts) * seconds_a_token;
        if (tokens / seconds > best * (choice ? 1 : margin)) {
            best = tokens / seconds;
            choice = m;
        }
    }
    if (!choice && n_drafts)
        forget(odds, n_rows);
    // A draft model that does not pay now is tried again now and then: a try costs about a tenth of a step. Other drafts are
    // judged without.
    for (size_t i = 0; !choice && i < n_drafts; i++)
        if (kinds[i] == QL_ODDS_MODEL)
            odds->accepted[kinds[i]] = least(odds->accepted[kinds[i]] + 0.01, 0.9);
    return choice;
}

void ql_odds_timed(ql_odds *odds, size_t n_rows, double seconds)
{
    if (!n_rows || n_rows > QL_STEP_ROWS)
        return;
    n_rows = whole_quads(n_rows);
    // Another program may have had the core meanwhile: more rows never cost more than a step for each.
    double old = odds->seconds[n_rows], most = n_rows > 1 ? seconds_of(odds, 1) * (double)n_rows : 4 * old;
    if (most > 0)
        seconds = least(seconds, most);
    odds->seconds[n_rows] = old > 0 ? 0.8 * old + 0.2 * seconds : seconds;
}

void ql_odds_told(ql_odds *odds, int kind, size_t n, size_t n_accepted)
{
    size_t known = n_accepted < n ? n_accepted + 1 : n_accepted; // what follows a wrong one was not judged
    for (size_t i = 0; i < known; i++)
        odds->accepted[kind] += 0.08 * ((i < n_accepted ? 1.0 : 0.0) - odds->accepted[kind]);
}
