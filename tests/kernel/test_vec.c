// SPDX-License-Identifier: MIT
// The row kernels: scalar against double precision, every other level against scalar to the bit.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <float.h>
#include <stdlib.h>

#include "kernel_test.h"

enum { N_MAX = 2048 };
static const size_t lengths[] = {1, 2, 15, 16, 17, 31, 32, 48, 100, 576, 1536, 2047};
enum { N_LENGTHS = sizeof lengths / sizeof *lengths };

static double relative(double got, double want) { return fabs(got - want) / fmax(fabs(want), DBL_MIN); }

// ---- exp ----

static double ulp_error(float got, double want)
{
    int exponent;
    frexp(want, &exponent);
    return fabs((double)got - want) / ldexp(1.0, exponent - FLT_MANT_DIG);
}

// Every step-th float of both signs with a normal result, by the fastest level, as all are the same. Step 1 is every
// float.
static void exp_is_within_an_ulp(void **state)
{
    (void)state;
    const char *text = getenv("QL_EXP_STEP");
    uint32_t step = text ? (uint32_t)strtoul(text, NULL, 10) : 509;
    const ql_kernels *best = ql_kernels_get(NULL);
    double worst = 0;
    float x[N_MAX], y[N_MAX], worst_at = 0;
    for (uint32_t sign = 0; sign < 2; sign++)
        for (uint64_t bits = 0; bits < 0x42b18000u;) {
            size_t n = 0;
            for (; n < N_MAX && bits < 0x42b18000u; n++, bits += step) {
                uint32_t b = (uint32_t)bits | sign << 31;
                memcpy(x + n, &b, sizeof b);
            }
            best->exp(x, n, y);
            for (size_t i = 0; i < n; i++) {
                double want = exp((double)x[i]);
                if (x[i] < -86.75f || want > FLT_MAX)
                    continue;
                double error = ulp_error(y[i], want);
                if (error > worst)
                    worst = error, worst_at = x[i];
            }
        }
    print_message("exp: at most %.3f ulp, at %a\n", worst, (double)worst_at);
    assert_true(worst < 0.92);
}

static void exp_ends_well(void **state)
{
    (void)state;
    const float x[] = {-INFINITY, -FLT_MAX, -1e30f, -104.0f, -86.7500076f, 0.0f, -0.0f, 88.7228f, 89.0f, 1e30f, FLT_MAX,
                       INFINITY, NAN, 0x1p-149f};
    enum { N = sizeof x / sizeof *x };
    const float want[N] = {0, 0, 0, 0, 0, 1, 1, 0, INFINITY, INFINITY, INFINITY, INFINITY, NAN, 1};
    float y[N];
    level(0)->exp(x, N, y);
    assert_true(relative((double)y[7], exp((double)x[7])) < 1e-6);
    y[7] = 0;
    assert_true(same_floats(y, want, N));
}

static void exp_is_the_same_on_all_levels(void **state)
{
    (void)state;
    float x[N_MAX], a[N_MAX], b[N_MAX];
    uint64_t seed = 1;
    for (int round = 0; round < 600; round++) {
        for (size_t i = 0; i < N_MAX; i++) {
            uint32_t any = (uint32_t)next_bits(&seed);
            if (round % 2)
                memcpy(x + i, &any, sizeof any);
            else
                x[i] = 90 * ordinary(&seed);
        }
        size_t n = N_MAX - (size_t)round % 17;
        level(0)->exp(x, n, a);
        for (int l = 1; l < N_LEVELS; l++)
            if (level(l)) {
                level(l)->exp(x, n, b);
                assert_true(same_floats(a, b, n));
            }
    }
}

// ---- norms, add, activations, rope ----

static void scalar_rows_match_double(void **state)
{
    (void)state;
    const ql_kernels *k = level(0);
    float x[N_MAX], w[N_MAX], y[N_MAX];
    uint64_t seed = 2;
    for (int i = 0; i < N_LENGTHS; i++) {
        size_t n = lengths[i];
        fill_floats(x, n, ORDINARY, &seed);
        fill_floats(w, n, ORDINARY, &seed);
        double sum = 0;
        for (size_t j = 0; j < n; j++)
            sum += (double)x[j] * (double)x[j];
        k->rms_norm(x, w, 1e-5f, n, y);
        for (size_t j = 0; j < n; j++)
            assert_true(relative((double)y[j], (double)x[j] / sqrt(sum / (double)n + 1e-5) * (double)w[j]) < 1e-6);
        for (size_t j = 0; j < n; j++)
            x[j] *= 30;
        k->activate[QL_SILU](x, w, n, y);
        for (size_t j = 0; j < n; j++)
            assert_true(relative((double)y[j], (double)x[j] / (1 + exp(-(double)x[j])) * (double)w[j]) < 4e-7);
        memcpy(y, x, n * sizeof *x);
        k->add(y, w, n);
        for (size_t j = 0; j < n; j++)
            assert_true(y[j] == x[j] + w[j]);
    }
    const float far[2] = {-200.0f, 200.0f}, one[2] = {1.0f, 1.0f};
    for (int a = 0; a < QL_ACTIVATION_COUNT; a++) {
        k->activate[a](far, one, 2, y);
        assert_true(y[0] == 0.0f && y[1] == 200.0f);
    }
}

static void layer_norm_matches_double(void **state)
{
    (void)state;
    float x[N_MAX], w[N_MAX], b[N_MAX], y[N_MAX];
    uint64_t seed = 5;
    for (int i = 1; i < N_LENGTHS; i++) {
        size_t n = lengths[i];
        double mean = 0, squares = 0;
        fill_floats(x, n, ORDINARY, &seed);
        fill_floats(w, n, ORDINARY, &seed);
        fill_floats(b, n, ORDINARY, &seed);
        for (size_t j = 0; j < n; j++)
            mean += ((double)(x[j] += 3)) / (double)n; // far from 0, where a careless variance cancels
        for (size_t j = 0; j < n; j++)
            squares += ((double)x[j] - mean) * ((double)x[j] - mean) / (double)n;
        for (int biased = 0; biased < 2; biased++) {
            level(0)->layer_norm(x, w, biased ? b : NULL, 1e-5f, n, y);
            for (size_t j = 0; j < n; j++) {
                double want = ((double)x[j] - mean) / sqrt(squares + 1e-5) * (double)w[j] + biased * (double)b[j];
                assert_true(fabs((double)y[j] - want) < 3e-6);
            }
        }
    }
}

static double gelu_tanh(double x) { return x / 2 * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))); }
static double gelu_erf(double x) { return x / 2 * erfc(-x / sqrt(2)); }

// On a grid from -12 to 12; relative also where the function is tiny.
static void activations_match_double(void **state)
{
    (void)state;
    const ql_kernels *k = level(0);
    double worst[3] = {0};
    for (int step = 0; step < 24000; step++) {
        float x = -12 + (float)step * 0.001f, y, cap = 0.5f + (float)(step % 100), capped = 40 * x;
        k->activate[QL_GELU_TANH](&x, NULL, 1, &y);
        worst[0] = fmax(worst[0], fabs((double)y - gelu_tanh((double)x)) / fmax(fabs((double)x), 1e-3));
        k->activate[QL_GELU_ERF](&x, NULL, 1, &y);
        worst[1] = fmax(worst[1], fabs((double)y - gelu_erf((double)x)) / fmax(fabs((double)x), 1e-3));
        if (x > -9 && x < 0)
            assert_true(relative((double)y, gelu_erf((double)x)) < 5e-6);
        k->softcap(&capped, cap, 1);
        worst[2] = fmax(worst[2], fabs((double)capped / (double)cap - tanh((double)(40 * x) / (double)cap)));
    }
    print_message("gelu_tanh %.1e, gelu_erf %.1e, softcap %.1e of the cap\n", worst[0], worst[1], worst[2]);
    assert_true(worst[0] < 3e-7 && worst[1] < 2e-7 && worst[2] < 3e-7);
}

static void rope_turns_the_right_pairs(void **state)
{
    (void)state;
    enum { HEADS = 3, DIM = 80 };
    uint64_t seed = 3;
    for (size_t n_rot = 2; n_rot <= DIM; n_rot += 26)
        for (int kind = 0; kind < 2; kind++) {
            float x[HEADS * DIM], y[HEADS * DIM], cos_sin[DIM];
            fill_floats(x, HEADS * DIM, ORDINARY, &seed);
            for (size_t i = 0; i < n_rot / 2; i++) {
                double angle = 3 * (double)ordinary(&seed);
                cos_sin[2 * i] = (float)cos(angle);
                cos_sin[2 * i + 1] = (float)sin(angle);
            }
            memcpy(y, x, sizeof x);
            level(0)->rope(y, cos_sin, HEADS, DIM, n_rot, (ql_rope_kind)kind);
            for (size_t h = 0; h < HEADS; h++) {
                for (size_t i = 0; i < n_rot / 2; i++) {
                    size_t a = h * DIM + (kind == QL_ROPE_NEOX ? i : 2 * i);
                    size_t b = kind == QL_ROPE_NEOX ? a + n_rot / 2 : a + 1;
                    double c = (double)cos_sin[2 * i], s = (double)cos_sin[2 * i + 1];
                    assert_true(fabs((double)y[a] - ((double)x[a] * c - (double)x[b] * s)) < 2e-7);
                    assert_true(fabs((double)y[b] - ((double)x[a] * s + (double)x[b] * c)) < 2e-7);
                }
                assert_memory_equal(y + h * DIM + n_rot, x + h * DIM + n_rot, (DIM - n_rot) * sizeof *x);
            }
        }
}

typedef void row_fn(const ql_kernels *k, const float *x, const float *w, size_t n, float *y);

static void do_norm(const ql_kernels *k, const float *x, const float *w, size_t n, float *y)
{
    k->rms_norm(x, w, 1e-5f, n, y);
}

static void do_norm_in_place(const ql_kernels *k, const float *x, const float *w, size_t n, float *y)
{
    memcpy(y, x, n * sizeof *x);
    k->rms_norm(y, w, 1e-6f, n, y);
}

static void do_add(const ql_kernels *k, const float *x, const float *w, size_t n, float *y)
{
    memcpy(y, x, n * sizeof *x);
    k->add(y, w, n);
}

static void do_layer_norm(const ql_kernels *k, const float *x, const float *w, size_t n, float *y)
{
    k->layer_norm(x, w, NULL, 1e-5f, n, y);
}

static void do_layer_norm_with_bias(const ql_kernels *k, const float *x, const float *w, size_t n, float *y)
{
    memcpy(y, x, n * sizeof *x);
    k->layer_norm(y, w, x, 1e-6f, n, y);
}

#define DO_ACTIVATION(name, which)                                                                       \
    static void do_##name(const ql_kernels *k, const float *x, const float *w, size_t n, float *y)       \
    {                                                                                                    \
        k->activate[which](x, w, n, y);                                                                  \
    }                                                                                                    \
    static void do_##name##_in_place(const ql_kernels *k, const float *x, const float *w, size_t n, float *y) \
    {                                                                                                    \
        (void)w;                                                                                         \
        memcpy(y, x, n * sizeof *x);                                                                     \
        k->activate[which](y, NULL, n, y);                                                               \
    }
DO_ACTIVATION(silu, QL_SILU)
DO_ACTIVATION(gelu_tanh, QL_GELU_TANH)
DO_ACTIVATION(gelu_erf, QL_GELU_ERF)

static void do_softcap(const ql_kernels *k, const float *x, const float *w, size_t n, float *y)
{
    (void)w;
    memcpy(y, x, n * sizeof *x);
    k->softcap(y, 30, n);
}

static void do_rope_norm(const ql_kernels *k, const float *x, const float *w, size_t n, float *y)
{
    memcpy(y, x, n * sizeof *x);
    k->rope(y, w, 1, n, n / 2 * 2, QL_ROPE_NORM);
}

static void do_rope_neox(const ql_kernels *k, const float *x, const float *w, size_t n, float *y)
{
    memcpy(y, x, n * sizeof *x);
    k->rope(y, w, 1, n, n / 2 * 2, QL_ROPE_NEOX);
}

static void rows_are_the_same_on_all_levels(void **state)
{
    (void)state;
    static row_fn *const fns[] = {do_norm, do_norm_in_place, do_layer_norm, do_layer_norm_with_bias, do_add,
                                  do_silu, do_silu_in_place, do_gelu_tanh, do_gelu_tanh_in_place, do_gelu_erf,
                                  do_gelu_erf_in_place, do_softcap, do_rope_norm, do_rope_neox};
    float x[N_MAX], w[N_MAX], a[N_MAX], b[N_MAX];
    uint64_t seed = 4;
    for (int i = 0; i < N_LENGTHS; i++)
        for (int f = 0; f < N_FLAVOURS; f++)
            for (size_t fn = 0; fn < sizeof fns / sizeof *fns; fn++) {
                size_t n = lengths[i];
                fill_floats(x, n, (flavour)f, &seed);
                fill_floats(w, n, (flavour)f, &seed);
                a[n] = b[n] = 12345.0f; // the guard
                fns[fn](level(0), x, w, n, a);
                for (int l = 1; l < N_LEVELS; l++)
                    if (level(l)) {
                        fns[fn](level(l), x, w, n, b);
                        assert_true(same_floats(a, b, n + 1));
                    }
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exp_is_within_an_ulp),
        cmocka_unit_test(exp_ends_well),
        cmocka_unit_test(exp_is_the_same_on_all_levels),
        cmocka_unit_test(scalar_rows_match_double),
        cmocka_unit_test(layer_norm_matches_double),
        cmocka_unit_test(activations_match_double),
        cmocka_unit_test(rope_turns_the_right_pairs),
        cmocka_unit_test(rows_are_the_same_on_all_levels),
    };
    return cmocka_run_group_tests_name("vec", tests, NULL, NULL);
}
