// SPDX-License-Identifier: MIT
// The sampler chain. Candidates stand in one order, falling logit, then rising id; they are sorted only as far as the
// filters look, since of a whole vocabulary a few dozen matter.
// Formulas: CTRL's penalty (Keskar et al. 2019), nucleus (Holtzman et al. 2020), typical (Meister et al. 2023), min-p
// (Nguyen et al. 2024); what is kept is what transformers' processors keep.
#include "sample/sampler.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/random.h"
#include "sample/math.h"

enum { BLOCK = 64 };

typedef struct candidate {
    double logit; // less the largest one; a probability once normalized
    int32_t id;
    float distance; // typical: |-ln p - entropy|
} candidate;

struct ql_sampler {
    ql_arena arena;
    ql_params params;      // without its arrays
    ql_logit_bias *bias;
    size_t n_bias;
    uint32_t n_vocab;
    uint64_t seed, n_drawn;
    bool greedy;

    uint32_t *counts;      // [n_vocab] times among new tokens
    uint8_t *seen;         // [n_vocab] in the prompt or new
    int32_t *seen_ids;     // [n_seen] ids with seen set
    size_t n_seen;

    candidate *candidates; // [n], of which the first n_sorted are in order
    size_t n, n_sorted;
    float *heap;           // [top_k] while looking for the k-th largest
    float *tops;           // [ceil(n_vocab / BLOCK)] the largest logit of each block: most blocks need no second look
};

// ---- life ----

static void layout(ql_arena *arena, ql_sampler *s)
{
    s->counts = QL_ARENA_NEW(arena, uint32_t, s->n_vocab);
    s->seen = QL_ARENA_NEW(arena, uint8_t, s->n_vocab);
    s->seen_ids = QL_ARENA_NEW(arena, int32_t, s->n_vocab);
    s->bias = QL_ARENA_NEW(arena, ql_logit_bias, s->n_bias);
    s->tops = QL_ARENA_NEW(arena, float, (s->n_vocab + BLOCK - 1) / BLOCK);
    if (s->greedy)
        return;
    s->candidates = QL_ARENA_NEW(arena, candidate, s->n_vocab);
    s->heap = QL_ARENA_NEW(arena, float, (size_t)s->params.top_k);
}

ql_code ql_sampler_new(const ql_params *params, uint32_t n_vocab, uint64_t seed, ql_sampler **sampler, ql_error *err)
{
    *sampler = NULL;
    for (size_t i = 0; i < params->n_logit_bias; i++)
        if ((uint32_t)params->logit_bias[i].id >= n_vocab)
            return ql_fail(err, QL_E_ARGUMENT, "logit_bias: id %d, vocabulary has %u", params->logit_bias[i].id, n_vocab);
    ql_sampler *s = calloc(1, sizeof *s);
    if (!s)
        return ql_fail_memory(err, sizeof *s);
    *s = (ql_sampler){.params = *params, .n_bias = params->n_logit_bias, .n_vocab = n_vocab, .seed = seed,
                      .greedy = !params->do_sample || params->temperature == 0};
    if ((uint32_t)s->params.top_k >= n_vocab)
        s->params.top_k = 0; // all are kept
    ql_arena measure = {0};
    layout(&measure, s);
    ql_code code = ql_arena_init(&s->arena, measure.used, false, err);
    if (code != QL_OK) {
        free(s);
        return code;
    }
    layout(&s->arena, s);
    if (s->n_bias)
        memcpy(s->bias, params->logit_bias, s->n_bias * sizeof *s->bias);
    *sampler = s;
    return QL_OK;
}

void ql_sampler_free(ql_sampler *sampler)
{
    if (!sampler)
        return;
    ql_arena_free(&sampler->arena);
    free(sampler);
}

static void see(ql_sampler *s, int32_t id)
{
    if (!s->seen[id]) {
        s->seen[id] = 1;
        s->seen_ids[s->n_seen++] = id;
    }
}

void ql_sampler_prompt(ql_sampler *sampler, const int32_t *ids, size_t n)
{
    for (size_t i = 0; i < n; i++)
        see(sampler, ids[i]);
}

// ---- penalties, on the logits themselves ----

static void penalize(const ql_sampler *s, float *logits)
{
    for (size_t i = 0; i < s->n_bias; i++)
        logits[s->bias[i].id] += s->bias[i].bias;
    float penalty = (float)s->params.repetition_penalty;
    float frequency = (float)s->params.frequency_penalty, presence = (float)s->params.presence_penalty;
    if (penalty == 1 && frequency == 0 && presence == 0)
        return;
    for (size_t i = 0; i < s->n_seen; i++) {
        int32_t id = s->seen_ids[i];
        float *logit = &logits[id];
        *logit = *logit < 0 ? *logit * penalty : *logit / penalty;
        if (s->counts[id])
            *logit -= frequency * (float)s->counts[id] + presence;
    }
}

// The largest logit of each block; NaN fails every comparison and so counts as -inf.
static void find_tops(ql_sampler *s, const float *logits)
{
    for (size_t begin = 0, block = 0; begin < s->n_vocab; begin += BLOCK, block++) {
        size_t n = s->n_vocab - begin < BLOCK ? s->n_vocab - begin : BLOCK;
        float lanes[8], top = -INFINITY;
        for (int j = 0; j < 8; j++)
            lanes[j] = -INFINITY;
        for (size_t i = 0; i + 8 <= n; i += 8)
            for (int j = 0; j < 8; j++)
                lanes[j] = logits[begin + i + j] > lanes[j] ? logits[begin + i + j] : lanes[j];
        for (size_t i = n / 8 * 8; i < n; i++)
            top = logits[begin + i] > top ? logits[begin + i] : top;
        for (int j = 0; j < 8; j++)
            top = lanes[j] > top ? lanes[j] : top;
        s->tops[block] = top;
    }
}

// The largest logit, the lowest id of equals; -1 when none is above -inf.
static int32_t argmax(const ql_sampler *s, const float *logits)
{
    size_t best = 0;
    for (size_t block = 1; block * BLOCK < s->n_vocab; block++)
        best = s->tops[block] > s->tops[best] ? block : best;
    if (s->tops[best] == -INFINITY)
        return -1;
    size_t i = best * BLOCK;
    while (!(logits[i] == s->tops[best]))
        i++;
    return (int32_t)i;
}

// ---- candidates ----

// Puts x, which is larger than the least of the heap, in its place.
static void replace_least(float *heap, size_t k, float x)
{
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < k; at = child) {
        if (child + 1 < k && heap[child + 1] < heap[child])
            child++;
        if (!(heap[child] < x))
            break;
        heap[at] = heap[child];
    }
    heap[at] = x;
}

static size_t block_end(const ql_sampler *s, size_t begin)
{
    return begin + BLOCK < s->n_vocab ? begin + BLOCK : s->n_vocab;
}

// The k-th largest logit, by a heap of the k largest so far with the least of them on top.
static float kth_largest(const ql_sampler *s, const float *logits, size_t k)
{
    float *heap = s->heap;
    for (size_t i = 0; i < k; i++)
        heap[i] = -INFINITY;
    for (size_t begin = 0; begin < s->n_vocab; begin += BLOCK)
        if (s->tops[begin / BLOCK] > heap[0])
            for (size_t i = begin; i < block_end(s, begin); i++)
                if (logits[i] > heap[0])
                    replace_least(heap, k, logits[i]);
    return heap[0];
}

// Fills candidates with what top-k keeps: all that are not below the k-th largest, ties with it included. With an
// infinite logit only the infinite ones are candidates, all alike.
static void collect(ql_sampler *s, const float *logits, float top)
{
    float least = s->params.top_k ? kth_largest(s, logits, (size_t)s->params.top_k) : -INFINITY;
    double inverse = 1.0 / s->params.temperature;
    least = top == INFINITY ? top : least;
    s->n = s->n_sorted = 0;
    for (size_t begin = 0; begin < s->n_vocab; begin += BLOCK) {
        if (s->tops[begin / BLOCK] < least)
            continue;
        for (size_t i = begin; i < block_end(s, begin); i++)
            if (logits[i] >= least && logits[i] > -INFINITY)
                s->candidates[s->n++] = (candidate){
                    .logit = top == INFINITY ? 0 : ((double)logits[i] - (double)top) * inverse, .id = (int32_t)i};
    }
}

static int compare(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    if (x->logit != y->logit)
        return x->logit > y->logit ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

// Moves the k first of c[0..n) to its front, in no order. Hoare's selection with a pivot from the middle of three.
static void select_first(candidate *c, size_t n, size_t k)
{
    while (n > k && n > 1) {
        candidate a = c[0], b = c[n / 2], d = c[n - 1];
        candidate pivot = compare(&a, &b) < 0 ? (compare(&b, &d) < 0 ? b : compare(&a, &d) < 0 ? d : a)
                                              : (compare(&a, &d) < 0 ? a : compare(&b, &d) < 0 ? d : b);
        size_t i = 0, j = n - 1;
        for (;;) {
            while (compare(&c[i], &pivot) < 0)
                i++;
            while (compare(&c[j], &pivot) > 0)
                j--;
            if (i >= j)
                break;
            candidate t = c[i];
            c[i++] = c[j];
            c[j--] = t;
        }
        size_t left = i; // c[0..left) are not after the pivot, c[left..n) not before it
        if (left == 0)
            left = 1;
        if (k <= left) {
            if (left == n)
                left--;
            n = left;
        } else {
            c += left;
            n -= left;
            k -= left;
        }
    }
}

// Makes candidate i stand at its place in the order.
static void sort_to(ql_sampler *s, size_t i)
{
    while (i >= s->n_sorted) {
        size_t left = s->n - s->n_sorted, want = s->n_sorted ? s->n_sorted * 3 : 64;
        want = want < left ? want : left;
        candidate *c = s->candidates + s->n_sorted;
        select_first(c, left, want);
        qsort(c, want, sizeof *c, compare);
        s->n_sorted += want;
    }
}

static double sum_of_exp(const ql_sampler *s)
{
    double sum = 0;
    for (size_t i = 0; i < s->n; i++)
        sum += ql_sample_exp(s->candidates[i].logit);
    return sum;
}

// Keeps the first whose probabilities reach top_p together: candidate i while those before it have less than top_p.
static void nucleus(ql_sampler *s)
{
    double total = sum_of_exp(s), before = 0;
    size_t i = 0;
    for (; i < s->n && (i == 0 || before < s->params.top_p * total); i++) {
        sort_to(s, i);
        before += ql_sample_exp(s->candidates[i].logit);
    }
    s->n = i;
}

// Keeps those with at least min_p of the best one's probability.
static void above_min_p(ql_sampler *s)
{
    size_t i = 0;
    for (; i < s->n; i++) {
        sort_to(s, i);
        if (i && ql_sample_exp(s->candidates[i].logit) < s->params.min_p)
            break;
    }
    s->n = i;
}

static int compare_typical(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    if (x->distance != y->distance)
        return x->distance < y->distance ? -1 : 1;
    return compare(a, b);
}

// Keeps the ones whose information is nearest to the entropy, until they have typical_p of the probability.
static void typical(ql_sampler *s)
{
    double total = sum_of_exp(s), log_total = ql_sample_log(total), entropy = 0, sum = 0;
    for (size_t i = 0; i < s->n; i++) {
        double log_p = s->candidates[i].logit - log_total;
        entropy -= ql_sample_exp(s->candidates[i].logit) / total * log_p;
    }
    for (size_t i = 0; i < s->n; i++)
        s->candidates[i].distance = (float)fabs(log_total - s->candidates[i].logit - entropy);
    qsort(s->candidates, s->n, sizeof *s->candidates, compare_typical);
    size_t i = 0;
    while (i + 1 < s->n && (sum += ql_sample_exp(s->candidates[i].logit)) < s->params.typical_p * total)
        i++;
    float last = s->candidates[i].distance;
    while (i < s->n && s->candidates[i].distance <= last) // ties with the last one stay
        i++;
    s->n = i;
    s->n_sorted = 0;
}

// ---- the draw ----

static int32_t draw(ql_sampler *s)
{
    double at = ql_random(s->seed, s->n_drawn) * sum_of_exp(s), sum = 0;
    for (size_t i = 0; i < s->n; i++) {
        sort_to(s, i);
        sum += ql_sample_exp(s->candidates[i].logit);
        if (at < sum)
            return s->candidates[i].id;
    }
    return s->candidates[s->n - 1].id; // rounding left a gap above the last
}

ql_code ql_sampler_next(ql_sampler *s, float *logits, int32_t *id, ql_error *err)
{
    penalize(s, logits);
    find_tops(s, logits);
    int32_t best = argmax(s, logits);
    if (best < 0)
        return ql_fail(err, QL_E_NUMERIC, "no token has a logit above -inf: the model's numbers are broken (NaN), or "
                                          "logit_bias forbids every token");
    *id = best;
    if (!s->greedy) {
        collect(s, logits, logits[best]);
        if (s->params.top_p < 1)
            nucleus(s);
        if (s->params.min_p > 0)
            above_min_p(s);
        if (s->params.typical_p < 1)
            typical(s);
        *id = draw(s);
    }
    s->n_drawn++;
    s->counts[*id]++;
    see(s, *id);
    return QL_OK;
}

size_t ql_sampler_candidates(const ql_sampler *s, int32_t *ids, double *p)
{
    double total = s->n ? sum_of_exp(s) : 1;
    for (size_t i = 0; i < s->n; i++) {
        ids[i] = s->candidates[i].id;
        p[i] = ql_sample_exp(s->candidates[i].logit) / total;
    }
    return s->n;
}
