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
    ql_sampler *s = make(&params, (uint32_t)n, index);
    for (size_t i = 0; i < json_array_size(prompt); i++) {
        int32_t id = (int32_t)json_integer_value(json_array_get(prompt, i));
        ql_sampler_prompt(s, &id, 1);
    }
    int32_t id = next(s, x, n), ids[MAX_VOCAB];
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
    assert_true(json_array_size(cases) >= 400);
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

static void exp_and_log_are_close(void **state)
{
    (void)state;
    double worst_exp = 0, worst_log = 0;
    for (int i = 0; i < 200000; i++) {
        double x = -700 * ql_random(1, (uint64_t)i), y = pow(2, 100 * (ql_random(2, (uint64_t)i) - 0.5));
        worst_exp = fmax(worst_exp, fabs(ql_sample_exp(x) / exp(x) - 1));
        worst_log = fmax(worst_log, fabs(ql_sample_log(y) - log(y)) / fmax(1, fabs(log(y))));
    }
    assert_true(worst_exp < 4.5e-16);
    assert_true(worst_log < 4.5e-16);
    assert_true(ql_sample_exp(0) == 1 && ql_sample_exp(-INFINITY) == 0 && ql_sample_exp(-1e9) == 0);
}

static void wrong_parameters_are_told(void **state)
{
    (void)state;
    ql_error err;
    ql_string stops[65];
    for (int i = 0; i < 65; i++)
        stops[i] = (ql_string){"x", 1};
    ql_logit_bias low = {-1, 0}, odd = {0, NAN};
#define WRONG(field, value, expected)                                         \
    do {                                                                      \
        ql_params p = ql_params_default();                                    \
        p.field = value;                                                      \
        assert_int_equal(ql_params_check(&p, &err), QL_E_ARGUMENT);           \
        assert_string_equal(err.message, expected);                           \
    } while (0)
    WRONG(temperature, -1, "temperature must be >= 0, got -1");
    WRONG(temperature, NAN, "temperature must be >= 0, got nan");
    WRONG(temperature, INFINITY, "temperature must be >= 0, got inf");
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
    WRONG(logit_bias, &low; p.n_logit_bias = 1, "logit_bias: id -1, ids begin at 0");
    WRONG(logit_bias, &odd; p.n_logit_bias = 1, "logit_bias of id 0 must be finite or -inf, got nan");
    stops[2].len = 0;
    WRONG(stop_strings, stops; p.n_stop_strings = 3, "stop_strings[2] is empty");
    stops[2].len = 1025;
    WRONG(stop_strings, stops; p.n_stop_strings = 3, "stop_strings[2] has 1025 bytes, at most 1024");
#undef WRONG
    ql_params p = ql_params_default();
    assert_int_equal(ql_params_check(&p, &err), QL_OK);
    ql_logit_bias high = {70000, 1};
    ql_sampler *s;
    p.logit_bias = &high;
    p.n_logit_bias = 1;
    assert_int_equal(ql_sampler_new(&p, 49152, 0, &s, &err), QL_E_ARGUMENT);
    assert_string_equal(err.message, "logit_bias: id 70000, vocabulary has 49152");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_what_transformers_keeps),
        cmocka_unit_test(frequency_and_presence_count_new_tokens),
        cmocka_unit_test(greedy_is_penalized_and_takes_the_lowest_id_of_equals),
        cmocka_unit_test(bias_comes_first),
        cmocka_unit_test(broken_logits),
        cmocka_unit_test(draws_follow_the_probabilities),
        cmocka_unit_test(a_seed_fixes_the_draws),
        cmocka_unit_test(many_equal_logits),
        cmocka_unit_test(anything_goes_without_harm),
        cmocka_unit_test(exp_and_log_are_close),
        cmocka_unit_test(wrong_parameters_are_told),
    };
    return cmocka_run_group_tests_name("sampler", tests, NULL, NULL);
}
