// SPDX-License-Identifier: MIT
// Configuration and RoPE: every scaling kind against transformers (tests/golden/rope.txt), and models with the optional
// parts: biases, an output matrix of its own, Llama 3's frequency factors.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "model/model.h"
#include "unit/tiny.h"

enum { N_FREQUENCIES = 8, N_IDS = 20 };

static void frequencies_of(const char *arguments, uint32_t max_length, double *inv_freq, double *factor, float *divisors,
                           const char *tensor)
{
    ql_error err = {0};
    ql_source *source;
    ql_config config;
    if (ql_source_open(tiny_make(arguments), &source, &err) != QL_OK || ql_config_read(source, &config, &err) != QL_OK ||
        ql_rope_frequencies(source, &config, QL_ROPE_GLOBAL, max_length, inv_freq, factor, &err) != QL_OK)
        fail_msg("%s", err.message);
    assert_int_equal(config.n_rot, 2 * N_FREQUENCIES);
    for (int i = 0; i < N_FREQUENCIES; i++)
        divisors[i] = 1;
    if (tensor)
        memcpy(divisors, ql_source_tensor(source, tensor)->data, N_FREQUENCIES * sizeof *divisors);
    ql_source_close(source);
}

static void same(const double *got, const float *divisors, const double *want)
{
    for (int i = 0; i < N_FREQUENCIES; i++)
        if (fabs(got[i] * (double)divisors[i] / want[i] - 1) > 1e-6)
            fail_msg("frequency %d is %g, expected %g", i, got[i] * (double)divisors[i], want[i]);
}

static void scaling_is_that_of_transformers(void **state)
{
    (void)state;
    char path[512], kind[16], arguments[64];
    const char *root = getenv("QL_SOURCE_ROOT");
    snprintf(path, sizeof path, "%s/tests/golden/rope.txt", root ? root : ".");
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    double want[N_FREQUENCIES], want_factor, got[N_FREQUENCIES], factor;
    float divisors[N_FREQUENCIES];
    int kinds = 0;
    for (; fscanf(file, "%15s %lf", kind, &want_factor) == 2; kinds++) {
        for (int i = 0; i < N_FREQUENCIES; i++)
            assert_int_equal(fscanf(file, "%lf", &want[i]), 1);
        bool longrope = strcmp(kind, "longrope") == 0;
        snprintf(arguments, sizeof arguments, "--rope %s", kind);
        frequencies_of(arguments, 256, got, &factor, divisors, longrope ? "rope_factors_long.weight" : NULL);
        same(got, divisors, want);
        assert_true(fabs(factor - want_factor) < 1e-7);
        if (longrope) { // a context within the original one takes the short factors
            frequencies_of(arguments, 64, got, &factor, divisors, "rope_factors_short.weight");
            same(got, divisors, want);
        }
    }
    fclose(file);
    assert_int_equal(kinds, 3);
}

static void plain_and_llama_3(void **state)
{
    (void)state;
    double want[N_FREQUENCIES], got[N_FREQUENCIES], factor;
    float divisors[N_FREQUENCIES];
    for (int i = 0; i < N_FREQUENCIES; i++)
        want[i] = pow(10000, -i / 8.0);
    frequencies_of("", 256, got, &factor, divisors, NULL);
    same(got, divisors, want);
    assert_true(factor == 1);
    frequencies_of("--factors", 256, got, &factor, divisors, "rope_freqs.weight");
    same(got, divisors, want);
    assert_true(fabs((double)divisors[0] - 1) > 0.5);
}

// The logits of the last of N_IDS tokens; the caller frees them.
static float *logits_of(const char *arguments)
{
    ql_error err = {0};
    ql_model_options options = {.threads = 1, .quantization = "F32"};
    ql_model *model = ql_model_open(tiny_make(arguments), &options, &err);
    if (!model)
        fail_msg("%s", err.message);
    ql_session *session = ql_session_new(model, &err);
    ql_model_info info;
    ql_model_get_info(model, &info);
    float *out = calloc(N_IDS * (size_t)info.n_vocab, sizeof *out);
    int32_t ids[N_IDS];
    for (int i = 0; i < N_IDS; i++)
        ids[i] = 3 + i * 11;
    if (ql_logits(session, ids, N_IDS, out, &err) != QL_OK)
        fail_msg("%s", err.message);
    memmove(out, out + (N_IDS - 1) * (size_t)info.n_vocab, info.n_vocab * sizeof *out);
    ql_session_free(session);
    ql_model_close(model);
    return out;
}

// The optional tensors are used: each changes the logits (that the numbers are right, SmolLM2 and the golden show).
static void optional_parts_count(void **state)
{
    (void)state;
    static const char *const ways[] = {"", "--biases", "--untied", "--factors", "--rope linear", "--rope yarn"};
    float *logits[6];
    for (int i = 0; i < 6; i++)
        logits[i] = logits_of(ways[i]);
    for (int i = 0; i < 6; i++)
        for (int j = 0; j < i; j++)
            assert_true(fabsf(logits[i][7] - logits[j][7]) > 1e-3f);
    for (int i = 0; i < 6; i++)
        free(logits[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scaling_is_that_of_transformers),
        cmocka_unit_test(plain_and_llama_3),
        cmocka_unit_test(optional_parts_count),
    };
    return cmocka_run_group_tests_name("model", tests, NULL, tiny_teardown);
}
