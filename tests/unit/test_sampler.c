// SPDX-License-Identifier: MIT
// The sampler against transformers' processors (tests/golden/sampler.json), and what it promises by itself.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "sample/math.h"
#include "sample/sampler.h"

enum { MAX_VOCAB = 4096 };

static ql_params plain(void)
{
    ql_params p = ql_params_default();
    p.repetition_penalty = 1;
    p.temperature = 1;
    p.top_k = 0;
    p.top_p = 1;
    return p;
}

static ql_sampler *make(const ql_params *params, uint32_t n_vocab, uint64_t seed)
{
    ql_error err = {0};
    ql_sampler *s = NULL;
    if (ql_params_check(params, &err) != QL_OK || ql_sampler_new(params, n_vocab, seed, &s, &err) != QL_OK)
        fail_msg("%s", err.message);
    return s;
}

static int32_t next(ql_sampler *s, const float *logits, size_t n)
{
    float copy[MAX_VOCAB];
    int32_t id = -1;
    memcpy(copy, logits, n * sizeof *copy);
    assert_int_equal(ql_sampler_next(s, copy, &id, NULL), QL_OK);
    return id;
}

static double number(const json_t *object, const char *key) { return json_number_value(json_object_get(object, key)); }

static void check_case(size_t index, const json_t *c)
{
    const json_t *p = json_object_get(c, "params"), *logits = json_object_get(c, "logits");
    const json_t *prompt = json_object_get(c, "prompt"), *expected = json_object_get(c, "expected");
    ql_params params = plain();
    params.repetition_penalty = number(p, "repetition_penalty");
    params.temperature = number(p, "temperature");
    params.top_k = (int32_t)number(p, "top_k");
    params.top_p = number(p, "top_p");
    params.min_p = number(p, "min_p");
    params.typical_p = number(p, "typical_p");
    size_t n = json_array_size(logits);
    float x[MAX_VOCAB];
    for (size_t i = 0; i < n; i++)
        x[i] = (float)json_number_value(json_array_get(logits, i));
    float after[MAX_VOCAB];
    memcpy(after, x, n * sizeof *x);
    ql_sampler *s = make(&params, (uint32_t)n, index);
    for (size_t i = 0; i < json_array_size(prompt); i++) {
        int32_t id = (int32_t)json_integer_value(json_array_get(prompt, i));
        ql_sampler_prompt(s, &id, 1);
    }
    int32_t id = -1, ids[MAX_VOCAB];
    assert_int_equal(ql_sampler_next(s, after, &id, NULL), QL_OK);
    for (size_t i = 0; i < json_array_size(prompt); i++) {
        float want = (float)json_number_value(json_array_get(json_object_get(c, "penalized"), i));
        float got = after[json_integer_value(json_array_get(prompt, i))];
        if (memcmp(&got, &want, sizeof got) != 0)
            fail_msg("case %zu: penalty makes %.9g, transformers makes %.9g", index, (double)got, (double)want);
    }
    if (!expected) {
        assert_int_equal(id, (int32_t)json_integer_value(json_object_get(c, "greedy")));
        ql_sampler_free(s);
        return;
    }
    double q[MAX_VOCAB];
    size_t kept = ql_sampler_candidates(s, ids, q);
    if (kept != json_object_size(expected))
        fail_msg("case %zu: %zu kept, transformers keeps %zu", index, kept, json_object_size(expected));
    for (size_t i = 0; i < kept; i++) {
        char key[16];
        snprintf(key, sizeof key, "%d", ids[i]);
        const json_t *want = json_object_get(expected, key);
        if (!want || fabs(json_number_value(want) - q[i]) > 2e-6)
            fail_msg("case %zu: id %d has %g, transformers has %g", index, ids[i], q[i], json_number_value(want));
    }
    ql_sampler_free(s);
}

static void keeps_what_transformers_keeps(void **state)
{
    (void)state;
    char path[512];
    const char *root = getenv("QL_SOURCE_ROOT");
    snprintf(path, sizeof path, "%s/tests/golden/sampler.json", root ? root : ".");
    json_t *cases = json_load_file(path, 0, NULL);
    assert_non_null(cases);
    assert_true(json_array_size(cases) >= 320);
    for (size_t i = 0; i < json_array_size(cases); i++)
        check_case(i, json_array_get(cases, i));
    json_decref(cases);
}

// OpenAI's definition: logit - count * frequency - (count > 0) * presence, of new tokens only.
static void frequency_and_presence_count_new_tokens(void **state)
{
    (void)state;
    ql_params p = plain();
    p.do_sample = false;
    p.frequency_penalty = 1;
    p.presence_penalty = 0.5;
    ql_sampler *s = make(&p, 4, 0);
    ql_sampler_prompt(s, (int32_t[]){0, 0, 0}, 3);
    float logits[4] = {3, 2.8f, -9, -9};
    assert_int_equal(next(s, logits, 4), 0); // the prompt's three do not count
    assert_int_equal(next(s, logits, 4), 1); // 3 - 1.5 < 2.8
    assert_int_equal(next(s, logits, 4), 0); // 1.5 > 2.8 - 1.5
    assert_int_equal(next(s, logits, 4), 1); // 3 - 2.5 < 1.3
    ql_sampler_free(s);
}

static void greedy_is_penalized_and_takes_the_lowest_id_of_equals(void **state)
{
    (void)state;
    ql_params p = plain();
    p.temperature = 0;
    float logits[4] = {1, 2, 2, 2};
    ql_sampler *s = make(&p, 4, 0);
    assert_int_equal(next(s, logits, 4), 1);
    ql_sampler_free(s);
    p.repetition_penalty = 1.5;
    s = make(&p, 4, 0);
    assert_int_equal(next(s, logits, 4), 1);
    assert_int_equal(next(s, logits, 4), 2);
    assert_int_equal(next(s, logits, 4), 3);
    ql_sampler_free(s);
}

static void bias_comes_first(void **state)
{
    (void)state;
    ql_params p = plain();
    p.do_sample = false;
    ql_logit_bias bias[] = {{1, -INFINITY}, {3, 5}};
    p.logit_bias = bias;
    p.n_logit_bias = 2;
    ql_sampler *s = make(&p, 4, 0);
    assert_int_equal(next(s, (float[]){1, 9, 2, -2}, 4), 3);
    ql_sampler_free(s);
}

static void broken_logits(void **state)
{
    (void)state;
    ql_error err = {0};
    for (int sample = 0; sample < 2; sample++) {
        ql_params p = plain();
        p.do_sample = sample;
        p.top_k = 2;
        int32_t id;
        ql_sampler *s = make(&p, 4, 0);
        assert_int_equal(next(s, (float[]){NAN, -INFINITY, -3, NAN}, 4), 2);
        assert_int_equal(next(s, (float[]){1e30f, INFINITY, -3, NAN}, 4), 1);
        float none[4] = {NAN, -INFINITY, NAN, -INFINITY};
        assert_int_equal(ql_sampler_next(s, none, &id, &err), QL_E_NUMERIC);
        ql_sampler_free(s);
    }
}

// 20,000 draws: chi-square below the 99.99 % point of its degrees of freedom.
static void draws_follow_the_probabilities(void **state)
{
    (void)state;
    enum { N = 12, DRAWS = 20000 };
    float logits[N];
    for (int i = 0; i < N; i++)
        logits[i] = (float)(i * 7 % N) * 0.3f;
    ql_params p = plain();
    ql_sampler *s = make(&p, N, 42);
    int seen[N] = {0}, ids[N];
    double q[N], chi = 0;
    for (int i = 0; i < DRAWS; i++)
        seen[next(s, logits, N)]++;
    assert_int_equal(ql_sampler_candidates(s, ids, q), N);
    for (int i = 0; i < N; i++)
        chi += pow(seen[ids[i]] - DRAWS * q[i], 2) / (DRAWS * q[i]);
    assert_true(chi < 37.4);
    ql_sampler_free(s);
}

// The i-th token of a seed depends on (seed, i) alone, and may never change from one release to the next.
static void a_seed_fixes_the_draws(void **state)
{
    (void)state;
    float logits[64];
    for (int i = 0; i < 64; i++)
        logits[i] = (float)(i * 29 % 64) / 16;
    static const int32_t golden[12] = {28, 55, 2, 35, 15, 4, 38, 55, 55, 4, 46, 52};
    ql_params p = plain();
    ql_sampler *a = make(&p, 64, 7), *b = make(&p, 64, 7), *c = make(&p, 64, 8);
    int same = 0;
    for (int i = 0; i < 12; i++) {
        int32_t id = next(a, logits, 64);
        assert_int_equal(id, golden[i]);
        assert_int_equal(id, next(b, logits, 64));
        same += id == next(c, logits, 64);
    }
    assert_true(same < 6);
    ql_sampler_free(a);
    ql_sampler_free(b);
    ql_sampler_free(c);
}

// A vocabulary of one bulk of equals and few peaks: selection must not go quadratic or out of bounds.
static void many_equal_logits(void **state)
{
    (void)state;
    static float logits[MAX_VOCAB];
    logits[77] = 1;
    ql_params p = plain();
    p.top_p = 0.5;
    ql_sampler *s = make(&p, MAX_VOCAB, 1);
    next(s, logits, MAX_VOCAB);
    static int32_t ids[MAX_VOCAB];
    static double q[MAX_VOCAB];
    size_t kept = ql_sampler_candidates(s, ids, q);
    assert_true(kept > MAX_VOCAB / 2 - 4 && kept < MAX_VOCAB / 2 + 4);
    for (size_t i = 0; i < kept; i++) // of equals, the lower ids
        assert_true(ids[i] == 77 || ids[i] < (int32_t)kept + 2);
    ql_sampler_free(s);
}

// Half of the time 0, else up to 1.
static double maybe(uint64_t seed, uint64_t i)
{
    double r = ql_random(seed + 1000000, i);
    return r < 0.5 ? 0 : ql_random(seed, i);
}

static void anything_goes_without_harm(void **state)
{
    (void)state;
    static const float strange[] = {0, -0.0f, INFINITY, -INFINITY, NAN, 1e38f, -1e38f, 1e-45f};
    for (uint64_t round = 0; round < 3000; round++) {
        uint64_t k = 0;
        ql_params p = plain();
        p.temperature = ql_random(round, k++) * 3 + 0.001;
        p.top_k = (int32_t)(ql_random(round, k++) * 20) - 4;
        p.top_k = p.top_k < 0 ? 0 : p.top_k;
        p.top_p = 1 - maybe(round, k++);
        p.min_p = maybe(round, k++);
        p.typical_p = 1 - maybe(round, k++);
        p.repetition_penalty = 0.5 + ql_random(round, k++);
        uint32_t n = 1 + (uint32_t)(ql_random(round, k++) * 300);
        ql_sampler *s = make(&p, n, round);
        for (int step = 0; step < 3; step++) {
            float logits[300];
            for (uint32_t i = 0; i < n; i++) {
                double r = ql_random(round, k++);
                logits[i] = r < 0.1 ? strange[(int)(r * 80)] : (float)((r - 0.5) * 20);
            }
            int32_t id = -1, ids[300];
            double q[300], sum = 0;
            if (ql_sampler_next(s, logits, &id, NULL) != QL_OK)
                continue;
            size_t kept = ql_sampler_candidates(s, ids, q), found = 0;
            for (size_t i = 0; i < kept; i++) {
                sum += q[i];
                found += ids[i] == id;
            }
            assert_int_equal(found, 1);
            assert_true(fabs(sum - 1) < 1e-9);
        }
        ql_sampler_free(s);
    }
}

// Against long double, rounded once: the error in units of the last place of e^x.
static void exp_is_close(void **state)
{
    (void)state;
    double worst = 0;
    for (uint64_t i = 0; i < 200000; i++) {
        double x = (i % 2 ? QL_SAMPLE_EXP_MIN : -1) * ql_random(1, i);
        long double exact = expl(x);
        double near = (double)exact;
        worst = fmax(worst, (double)fabsl((ql_sample_exp(x) - exact) / (nextafter(near, INFINITY) - near)));
    }
    assert_true(worst < 1.2);
    assert_true(ql_sample_exp(0) == 1 && ql_sample_exp(QL_SAMPLE_EXP_MIN) > 0);
    for (uint64_t i = 0; i < 1000; i++) { // alone as in company
        double x[QL_SAMPLE_LANES], y[QL_SAMPLE_LANES];
        for (uint64_t j = 0; j < QL_SAMPLE_LANES; j++)
            x[j] = y[j] = -50 * ql_random(i, j);
        ql_sample_exp_lanes(y);
        for (int j = 0; j < QL_SAMPLE_LANES; j++)
            assert_true(ql_sample_exp(x[j]) == y[j]);
    }
}

// ---- a whole vocabulary, against the definitions done with a full sort ----

typedef struct item {
    double logit, weight, key;
    int32_t id;
} item;

static int by_key(const void *a, const void *b)
{
    const item *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    if (x->logit != y->logit)
        return x->logit > y->logit ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

static double weigh(const item *items, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += items[i].weight;
    return sum;
}

static size_t first_until(const item *items, size_t n, double goal)
{
    double sum = 0;
    size_t i = 0;
    while (i < n && (i == 0 || sum < goal))
        sum += items[i++].weight;
    return i;
}

// Leaves what is kept in items, in order.
static size_t filter_by_sorting(item *items, size_t n, const ql_params *p)
{
    qsort(items, n, sizeof *items, by_key);
    if (p->top_k && (size_t)p->top_k < n) {
        size_t k = (size_t)p->top_k;
        while (k < n && items[k].logit == items[p->top_k - 1].logit)
            k++;
        n = k;
    }
    if (p->top_p < 1)
        n = first_until(items, n, p->top_p * weigh(items, n));
    while (n > 1 && items[n - 1].weight < p->min_p)
        n--;
    if (p->typical_p < 1) {
        double total = weigh(items, n), entropy = 0;
        for (size_t i = 0; i < n; i++)
            entropy -= items[i].weight / total * log(items[i].weight / total);
        for (size_t i = 0; i < n; i++)
            items[i].key = fabs(-log(items[i].weight / total) - entropy);
        qsort(items, n, sizeof *items, by_key);
        n = first_until(items, n, p->typical_p * total);
        for (size_t i = 0; i < n; i++)
            items[i].key = -items[i].logit;
        qsort(items, n, sizeof *items, by_key);
    }
    return n;
}

static void selection_equals_sorting(void **state)
{
    (void)state;
    static float logits[MAX_VOCAB];
    static item items[MAX_VOCAB];
    static int32_t ids[MAX_VOCAB];
    static double q[MAX_VOCAB];
    static bool kept[MAX_VOCAB];
    for (uint64_t round = 0; round < 300; round++) {
        ql_params p = plain();
        p.temperature = 0.1 + 2 * ql_random(round, 0);
        p.top_k = round % 3 ? 0 : 1 + (int32_t)(ql_random(round, 1) * 2000);
        p.top_p = round % 5 ? 1 - ql_random(round, 2) : 1;
        p.min_p = round % 2 ? 0 : 0.01 * ql_random(round, 3);
        p.typical_p = round % 4 ? 1 : 1 - ql_random(round, 4);
        double top = -INFINITY, spread = round % 7 ? 12 : 0.01;
        for (uint64_t i = 0; i < MAX_VOCAB; i++) {
            logits[i] = (float)(spread * (ql_random(round, 3 * i + 5) + ql_random(round, 3 * i + 6)));
            top = fmax(top, (double)logits[i]);
        }
        for (int32_t i = 0; i < MAX_VOCAB; i++) {
            double x = ((double)logits[i] - top) / p.temperature;
            items[i] = (item){x, exp(x), -x, i};
        }
        size_t n = filter_by_sorting(items, MAX_VOCAB, &p);
        ql_sampler *s = make(&p, MAX_VOCAB, round);
        int32_t id = next(s, logits, MAX_VOCAB);
        if (ql_sampler_candidates(s, ids, q) != n)
            fail_msg("round %u: %zu kept, sorting keeps %zu", (unsigned)round, ql_sampler_candidates(s, ids, q), n);
        memset(kept, 0, sizeof kept);
        for (size_t i = 0; i < n; i++)
            kept[ids[i]] = true;
        for (size_t i = 0; i < n; i++)
            assert_true(kept[items[i].id]);
        size_t drawn = first_until(items, n, ql_random(round, 0) * weigh(items, n));
        assert_int_equal(id, items[drawn - 1].id);
        ql_sampler_free(s);
    }
}

// Temperatures at the ends of double, logits at the ends of float.
static void extreme_temperatures(void **state)
{
    (void)state;
    const double temperatures[] = {4.9e-324, 1e-310, 1e-300, 1e-9, 1e9, 1e308};
    for (size_t t = 0; t < sizeof temperatures / sizeof *temperatures; t++)
        for (int narrow = 0; narrow < 2; narrow++) {
            ql_params p = plain();
            p.temperature = temperatures[t];
            p.typical_p = narrow ? 1e-300 : 1;
            p.top_p = narrow ? 1e-310 : 1;
            ql_sampler *s = make(&p, 4, t);
            int32_t id = next(s, (float[]){1, 3e38f, -3e38f, 2}, 4), ids[4];
            double q[4], sum = 0;
            size_t n = ql_sampler_candidates(s, ids, q);
            for (size_t i = 0; i < n; i++)
                sum += q[i];
            assert_true(n >= 1 && fabs(sum - 1) < 1e-12);
            if (temperatures[t] < 1)
                assert_int_equal(id, 1);
            ql_sampler_free(s);
        }
}

// A penalty that is 0 or infinite as a float must not make NaN of a logit of 0 or forbid everything.
static void extreme_penalties(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        ql_params p = plain();
        p.do_sample = false;
        p.repetition_penalty = i ? 1e300 : 1e-300;
        ql_sampler *s = make(&p, 2, 0);
        ql_sampler_prompt(s, (int32_t[]){0, 1}, 2);
        assert_int_equal(next(s, (float[]){0, -1}, 2), 0);
        ql_sampler_free(s);
    }
}

// A bias of -inf forbids even an infinite logit, several biases of one id add up, two infinite logits share.
static void infinite_logits_are_the_only_candidates(void **state)
{
    (void)state;
    ql_params p = plain();
    ql_logit_bias bias[] = {{0, -INFINITY}, {1, 3}, {1, -3}};
    p.logit_bias = bias;
    p.n_logit_bias = 3;
    p.top_p = 0.99;
    ql_sampler *s = make(&p, 4, 0);
    int32_t ids[4];
    double q[4];
    next(s, (float[]){INFINITY, INFINITY, 1e38f, INFINITY}, 4);
    assert_int_equal(ql_sampler_candidates(s, ids, q), 2);
    assert_int_equal(ids[0] + ids[1], 4);
    assert_true(q[0] == 0.5 && q[1] == 0.5);
    ql_sampler_free(s);
}

static void wrong_parameters_are_told(void **state)
{
    (void)state;
    ql_error err;
    ql_string stops[65];
    for (int i = 0; i < 65; i++)
        stops[i] = (ql_string){"x", 1};
    ql_logit_bias low = {-1, 0}, odd = {0, NAN}, huge = {5, INFINITY};
#define WRONG(field, value, expected)                                         \
    do {                                                                      \
        ql_params p = ql_params_default();                                    \
        p.field = value;                                                      \
        assert_int_equal(ql_params_check(&p, &err), QL_E_ARGUMENT);           \
        assert_string_equal(err.message, expected);                           \
    } while (0)
    WRONG(temperature, -1, "temperature must be >= 0, got -1");
    WRONG(temperature, NAN, "temperature must be >= 0, got nan");
    WRONG(temperature, INFINITY, "temperature must be finite and >= 0, got inf");
    WRONG(top_p, 0, "top_p must be in (0, 1], got 0");
    WRONG(top_p, 1.5, "top_p must be in (0, 1], got 1.5");
    WRONG(top_k, -1, "top_k must be >= 0 (0 is off), got -1");
    WRONG(min_p, 1.1, "min_p must be in [0, 1], got 1.1");
    WRONG(typical_p, 0, "typical_p must be in (0, 1], got 0");
    WRONG(repetition_penalty, 0, "repetition_penalty must be > 0, got 0");
    WRONG(frequency_penalty, 2.5, "frequency_penalty must be between -2 and 2, got 2.5");
    WRONG(presence_penalty, -3, "presence_penalty must be between -2 and 2, got -3");
    WRONG(max_new_tokens, 0, "max_new_tokens must be >= 1, got 0");
    WRONG(stop_strings, stops; p.n_stop_strings = 65, "stop_strings: at most 64, got 65");
    WRONG(top_k, -2147483647, "top_k must be >= 0 (0 is off), got -2147483647");
    WRONG(n_stop_strings, 2, "stop_strings is NULL, n_stop_strings says 2");
    WRONG(n_logit_bias, 1, "logit_bias is NULL, n_logit_bias says 1");
    WRONG(do_sample, false; p.top_p = 2, "top_p must be in (0, 1], got 2"); // without effect, and still wrong
    WRONG(logit_bias, &low; p.n_logit_bias = 1, "logit_bias: id -1, ids begin at 0");
    WRONG(logit_bias, &odd; p.n_logit_bias = 1, "logit_bias of id 0 must be finite or -inf, got nan");
    WRONG(logit_bias, &huge; p.n_logit_bias = 1, "logit_bias of id 5 must be finite or -inf, got inf");
    stops[2].len = 0;
    WRONG(stop_strings, stops; p.n_stop_strings = 3, "stop_strings[2] is empty");
    stops[2].len = 1025;
    WRONG(stop_strings, stops; p.n_stop_strings = 3, "stop_strings[2] has 1025 bytes, at most 1024");
#undef WRONG
    ql_params p = ql_params_default();
    p.temperature = p.repetition_penalty = 1e7;
    assert_int_equal(ql_params_check(&p, &err), QL_OK);
    ql_logit_bias high = {70000, 1};
    ql_sampler *s;
    p.logit_bias = &high;
    p.n_logit_bias = 1;
    assert_int_equal(ql_sampler_new(&p, 49152, 0, &s, &err), QL_E_ARGUMENT);
    assert_string_equal(err.message, "logit_bias: id 70000, vocabulary has 49152");
    p.n_logit_bias = 0;
    assert_int_equal(ql_sampler_new(&p, 0, 0, &s, &err), QL_E_ARGUMENT);
}

static int falling(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return x < y ? 1 : x > y ? -1 : 0;
}

// What top-k keeps is all that is not below the k-th of the sorted logits: around the sizes of blocks, with ties between and
// within them, NaN and -inf.
static void top_k_is_that_of_a_sorted_list(void **state)
{
    (void)state;
    enum { N_MAX = 1000 };
    static const int sizes[] = {1, 2, 63, 64, 65, 127, 128, 129, 200, 640, 999, 1000};
    uint64_t drawn = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int round = 0; round < 60; round++) {
            int n = sizes[i], k = 1 + (int)(ql_random(5, drawn++) * (round % 2 ? n : n < 60 ? n : 60));
            double values = round % 3 == 0 ? 4 : round % 3 == 1 ? 40 : 1e6; // how many different ones
            float logits[N_MAX], sorted[N_MAX];
            int32_t ids[N_MAX], id;
            double p[N_MAX];
            for (int j = 0; j < n; j++) {
                logits[j] = (float)floor(ql_random(5, drawn++) * values) * 0.0001f;
                if (round % 5 == 4 && ql_random(5, drawn++) < 0.5)
                    logits[j] = ql_random(5, drawn++) < 0.5 ? NAN : -INFINITY;
                sorted[j] = isnan(logits[j]) ? -INFINITY : logits[j];
            }
            qsort(sorted, (size_t)n, sizeof *sorted, falling);
            ql_params params = plain();
            params.top_k = k;
            ql_sampler *s = make(&params, (uint32_t)n, 1);
            ql_error err;
            ql_code code = ql_sampler_next(s, logits, &id, &err);
            assert_int_equal(code, sorted[0] == -INFINITY ? QL_E_NUMERIC : QL_OK);
            size_t kept = code == QL_OK ? ql_sampler_candidates(s, ids, p) : 0, want = 0;
            for (int j = 0; j < n && code == QL_OK; j++)
                want += sorted[j] > -INFINITY && sorted[j] >= sorted[k - 1];
            assert_int_equal(kept, want);
            for (size_t j = 0; j < kept; j++)
                assert_true(logits[ids[j]] >= sorted[k - 1]);
            ql_sampler_free(s);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_what_transformers_keeps),
        cmocka_unit_test(top_k_is_that_of_a_sorted_list),
        cmocka_unit_test(frequency_and_presence_count_new_tokens),
        cmocka_unit_test(greedy_is_penalized_and_takes_the_lowest_id_of_equals),
        cmocka_unit_test(bias_comes_first),
        cmocka_unit_test(broken_logits),
        cmocka_unit_test(draws_follow_the_probabilities),
        cmocka_unit_test(a_seed_fixes_the_draws),
        cmocka_unit_test(many_equal_logits),
        cmocka_unit_test(anything_goes_without_harm),
        cmocka_unit_test(exp_is_close),
        cmocka_unit_test(selection_equals_sorting),
        cmocka_unit_test(extreme_temperatures),
        cmocka_unit_test(extreme_penalties),
        cmocka_unit_test(infinite_logits_are_the_only_candidates),
        cmocka_unit_test(wrong_parameters_are_told),
    };
    return cmocka_run_group_tests_name("sampler", tests, NULL, NULL);
}
