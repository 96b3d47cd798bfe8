// SPDX-License-Identifier: MIT
// The sampler chain. It knows logits and ids, no model and no text. Candidates have one order, falling logit, then
// rising id, but are hardly ever sorted: the filters and the draw find their place in it by selection, so that a step
// costs O(n_vocab) whatever the parameters, and allocates nothing.
// Formulas: CTRL's penalty (Keskar et al. 2019), nucleus (Holtzman et al. 2020), typical (Meister et al. 2023), min-p
// (Nguyen et al. 2024); what is kept is what transformers' processors keep.
#include "sample/sampler.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#ifdef __SSE__
#include <xmmintrin.h>
#endif

#include "base/arena.h"
#include "base/random.h"
#include "sample/math.h"

enum {
    BLOCK = 64,     // logits with a common maximum
    SMALL = 24,     // candidates that are sorted rather than partitioned
    MAX_LEVEL = 64, // partitions before giving up on the pivots; 2^18 candidates need about 25
};

typedef struct candidate {
    double logit; // less the largest one, over the temperature: at most 0
    int32_t id;
} candidate;

typedef struct seen_token {
    int32_t id;
    uint32_t n_new; // times among new tokens
} seen_token;

struct ql_sampler {
    ql_arena arena;
    ql_params params;      // without its arrays
    ql_logit_bias *bias;
    size_t n_bias;
    uint32_t n_vocab;
    uint64_t seed, n_drawn;
    bool greedy;

    seen_token *seen;      // [n_seen] in the prompt or new
    size_t n_seen;
    uint32_t *place;       // [n_vocab] its place in seen, from 1 on; 0: not seen

    candidate *candidates; // [n], room for n_vocab
    size_t n;
    float *heap;           // [top_k] while looking for the k-th largest
    float *tops;           // [ceil(n_vocab / BLOCK)] the largest logit of each block: most blocks need no second look
};

// ---- life ----

static void layout(ql_arena *arena, ql_sampler *s)
{
    s->seen = QL_ARENA_NEW(arena, seen_token, s->n_vocab);
    s->place = QL_ARENA_NEW(arena, uint32_t, s->n_vocab);
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
    if (n_vocab == 0)
        return ql_fail(err, QL_E_ARGUMENT, "sampler: the vocabulary has 0 tokens, it must have at least 1");
    for (size_t i = 0; i < params->n_logit_bias; i++)
        if ((uint32_t)params->logit_bias[i].id >= n_vocab)
            return ql_fail(err, QL_E_ARGUMENT, "logit_bias: id %d, vocabulary has %u", params->logit_bias[i].id,
                           n_vocab);
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

static seen_token *see(ql_sampler *s, int32_t id)
{
    if (!s->place[id]) {
        s->seen[s->n_seen++] = (seen_token){.id = id};
        s->place[id] = (uint32_t)s->n_seen;
    }
    return &s->seen[s->place[id] - 1];
}

void ql_sampler_prompt(ql_sampler *sampler, const int32_t *ids, size_t n)
{
    for (size_t i = 0; i < n; i++)
        see(sampler, ids[i]);
}

// ---- penalties, on the logits themselves ----

// In float: a logit comes out with the bits that transformers gives it.
static void penalize(const ql_sampler *s, float *logits)
{
    for (size_t i = 0; i < s->n_bias; i++)
        logits[s->bias[i].id] += s->bias[i].bias;
    float penalty = (float)fmax(fmin(s->params.repetition_penalty, FLT_MAX), FLT_MIN); // not 0 or infinite as a float
    float frequency = (float)s->params.frequency_penalty, presence = (float)s->params.presence_penalty;
    if (penalty == 1 && frequency == 0 && presence == 0)
        return;
    for (size_t i = 0; i < s->n_seen; i++) {
        const seen_token *t = &s->seen[i];
        float *logit = &logits[t->id], of_sign[2] = {*logit / penalty, *logit * penalty};
        *logit = of_sign[*logit < 0]; // which of the two no processor guesses
        if (t->n_new)
            *logit -= frequency * (float)t->n_new + presence;
    }
}

// Four logits, as every CPU has them; written in vectors since compilers leave comparisons that NaN may fail to scalars, and for
// x86 as what they are there, one instruction.
typedef float floats __attribute__((vector_size(16), aligned(4), may_alias));
typedef int32_t masks __attribute__((vector_size(16)));

// The larger of each pair; NaN in b fails the comparison and so counts as -inf.
static inline floats larger(floats a, floats b)
{
#ifdef __SSE__
    return _mm_max_ps(b, a);
#else
    masks takes_b = b > a;
    return (floats)(((masks)b & takes_b) | ((masks)a & ~takes_b));
#endif
}

static float largest_of_block(const float *x)
{
    const floats least = {-INFINITY, -INFINITY, -INFINITY, -INFINITY};
    floats lanes[4] = {least, least, least, least};
    for (int i = 0; i < BLOCK; i += 16)
        for (int j = 0; j < 4; j++)
            lanes[j] = larger(lanes[j], *(const floats *)(const void *)(x + i + 4 * j));
    floats top = larger(larger(lanes[0], lanes[1]), larger(lanes[2], lanes[3]));
    top = larger(top, (floats){top[2], top[3], top[2], top[3]});
    return top[1] > top[0] ? top[1] : top[0];
}

static void find_tops(ql_sampler *s, const float *logits)
{
    size_t n_whole = s->n_vocab / BLOCK, rest = s->n_vocab % BLOCK;
    for (size_t block = 0; block < n_whole; block++)
        s->tops[block] = largest_of_block(logits + block * BLOCK);
    if (rest) {
        float last[BLOCK];
        for (size_t i = 0; i < BLOCK; i++)
            last[i] = i < rest ? logits[n_whole * BLOCK + i] : -INFINITY;
        s->tops[n_whole] = largest_of_block(last);
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

// The k-th largest logit, by a heap of the k largest so far with the least of them on top. The blocks' largest go first: they
// are logits too, and the k-th of them leaves few blocks to be looked through, 50 of 2,000 for a top-k of 50.
static float kth_largest(const ql_sampler *s, const float *logits, size_t k)
{
    float *heap = s->heap;
    size_t n_blocks = (s->n_vocab + BLOCK - 1) / BLOCK;
    for (size_t i = 0; i < k; i++)
        heap[i] = -INFINITY;
    for (size_t block = 0; block < n_blocks; block++)
        if (s->tops[block] > heap[0])
            replace_least(heap, k, s->tops[block]);
    const float least = heap[0]; // the k-th of all is not smaller; a block with a larger top has it in the heap
    for (size_t block = 0; block < n_blocks; block++) {
        bool top_seen = false;
        if (!(s->tops[block] > least))
            continue;
        for (size_t i = block * BLOCK; i < block_end(s, block * BLOCK); i++)
            if (!top_seen && logits[i] == s->tops[block])
                top_seen = true;
            else if (logits[i] > heap[0])
                replace_least(heap, k, logits[i]);
    }
    return heap[0];
}

// Fills candidates with what top-k keeps: all that are not below the k-th largest, ties with it included. With an
// infinite logit only the infinite ones are candidates, all alike. Those whose probability is 0 in double are left
// out, so that whatever follows has finite numbers only.
static void collect(ql_sampler *s, const float *logits, float top)
{
    float least = s->params.top_k ? kth_largest(s, logits, (size_t)s->params.top_k) : -INFINITY;
    least = top == INFINITY ? top : least;
    s->n = 0;
    for (size_t begin = 0; begin < s->n_vocab; begin += BLOCK) {
        if (s->tops[begin / BLOCK] < least)
            continue;
        for (size_t i = begin; i < block_end(s, begin); i++) {
            if (!(logits[i] >= least))
                continue;
            // Divided, since the inverse of a very small temperature would be infinite.
            double x = logits[i] == top ? 0 : ((double)logits[i] - (double)top) / s->params.temperature;
            if (x >= QL_SAMPLE_EXP_MIN)
                s->candidates[s->n++] = (candidate){.logit = x, .id = (int32_t)i};
        }
    }
}

// ---- order and selection ----

// The order of candidates: by distance from center, then falling logit, then rising id. With center 0 it is falling
// logit, since none is above 0; typical has its own center.
static bool before(candidate a, candidate b, double center)
{
    double x = fabs(a.logit - center), y = fabs(b.logit - center);
    if (x != y)
        return x < y;
    return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
}

static void swap(candidate *a, candidate *b)
{
    candidate t = *a;
    *a = *b;
    *b = t;
}

static void sift_down(candidate *c, size_t n, size_t at, double center)
{
    for (size_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && before(c[child], c[child + 1], center))
            child++;
        if (!before(c[at], c[child], center))
            return;
        swap(&c[at], &c[child]);
    }
}

// Heapsort: in place, where libc's qsort may allocate.
static void sort(candidate *c, size_t n, double center)
{
    for (size_t i = n / 2; i-- > 0;)
        sift_down(c, n, i, center);
    for (size_t end = n; end-- > 1;) {
        swap(&c[0], &c[end]);
        sift_down(c, end, 0, center);
    }
}

// Hoare's partition of n >= 3 by the median of three: no candidate of the first part, whose size is returned, comes
// after one of the rest. No two are equal in the order, so neither part is empty.
static size_t partition(candidate *c, size_t n, double center)
{
    candidate a = c[0], b = c[n / 2], d = c[n - 1], pivot;
    if (before(b, a, center))
        swap(&a, &b);
    pivot = before(d, a, center) ? a : before(d, b, center) ? d : b;
    for (size_t i = 0, j = n - 1;; i++, j--) {
        while (before(c[i], pivot, center))
            i++;
        while (before(pivot, c[j], center))
            j--;
        if (i >= j)
            return i;
        swap(&c[i], &c[j]);
    }
}

// The weight of a candidate is e^logit. Lane i of the sum has every eighth of them; the lanes are added at the end.
static double sum_of_exp(const candidate *c, size_t n)
{
    double lanes[QL_SAMPLE_LANES] = {0}, sum = 0;
    for (size_t begin = 0; begin < n; begin += QL_SAMPLE_LANES) {
        double x[QL_SAMPLE_LANES] = {0};
        size_t left = n - begin < QL_SAMPLE_LANES ? n - begin : QL_SAMPLE_LANES;
        for (size_t i = 0; i < left; i++)
            x[i] = c[begin + i].logit;
        ql_sample_exp_lanes(x);
        for (size_t i = 0; i < left; i++)
            lanes[i] += x[i];
    }
    for (int i = 0; i < QL_SAMPLE_LANES; i++)
        sum += lanes[i];
    return sum;
}

// How many of the first candidates it takes for their weights (e^logit) to reach goal, at least one, at most all n.
// Moves them to the front, the last of them at its place. Like quickselect, but by weight: a vocabulary is never
// sorted; a run of bad pivots ends in a sort.
static size_t reach(candidate *c, size_t n, double center, double goal)
{
    size_t begin = 0, end = n;
    double sum = 0; // of c[0..begin)
    for (int level = 0; end - begin > SMALL && level < MAX_LEVEL; level++) {
        size_t first = partition(c + begin, end - begin, center);
        double with_first = sum + sum_of_exp(c + begin, first);
        if (with_first >= goal) {
            end = begin + first;
        } else {
            begin += first;
            sum = with_first;
        }
    }
    sort(c + begin, end - begin, center);
    while (begin < end && (begin == 0 || sum < goal))
        sum += ql_sample_exp(c[begin++].logit);
    return begin;
}

// ---- filters ----

// Keeps the first whose probabilities reach top_p together.
static void nucleus(ql_sampler *s)
{
    s->n = reach(s->candidates, s->n, 0, s->params.top_p * sum_of_exp(s->candidates, s->n));
}

// Keeps those with at least min_p of the best one's probability, whose weight is 1 (the best one itself at any min_p).
static void above_min_p(ql_sampler *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++)
        if (!(ql_sample_exp(s->candidates[i].logit) < s->params.min_p))
            s->candidates[n++] = s->candidates[i];
    s->n = n;
}

// Keeps the ones whose information -ln p is nearest to the entropy, until they have typical_p of the probability;
// ties with the last one stay. |-ln p - entropy| is the distance of the logit from the mean logit.
static void typical(ql_sampler *s)
{
    candidate *c = s->candidates;
    double total = 0, mean = 0;
    for (size_t i = 0; i < s->n; i++) {
        double weight = ql_sample_exp(c[i].logit);
        total += weight;
        mean += weight * c[i].logit;
    }
    mean /= total;
    size_t n = reach(c, s->n, mean, s->params.typical_p * total);
    double last = fabs(c[n - 1].logit - mean);
    for (size_t i = n; i < s->n; i++)
        if (fabs(c[i].logit - mean) <= last)
            c[n++] = c[i];
    s->n = n;
}

// ---- the draw ----

// The inverse of the cumulative distribution over the candidates in order.
static int32_t draw(ql_sampler *s)
{
    double goal = ql_random(s->seed, s->n_drawn) * sum_of_exp(s->candidates, s->n);
    return s->candidates[reach(s->candidates, s->n, 0, goal) - 1].id;
}

ql_code ql_sampler_next(ql_sampler *s, float *logits, int32_t *id, ql_error *err)
{
    penalize(s, logits);
    find_tops(s, logits);
    int32_t best = argmax(s, logits);
    if (best < 0)
        return ql_fail(err, QL_E_NUMERIC, "no token has a logit above -inf: the model's numbers are broken (NaN; quantllm verify "
                                          "looks for them), or logit_bias forbids every token");
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
    see(s, *id)->n_new++;
    return QL_OK;
}

size_t ql_sampler_candidates(const ql_sampler *s, int32_t *ids, double *p)
{
    double total = sum_of_exp(s->candidates, s->n);
    for (size_t i = 0; i < s->n; i++) {
        ids[i] = s->candidates[i].id;
        p[i] = ql_sample_exp(s->candidates[i].logit) / total;
    }
    return s->n;
}
