// SPDX-License-Identifier: MIT
// Which type each matrix gets: against what llama.cpp's quantizer gave models of several shapes (tests/golden/mixes.txt,
// made by make_mixes.py).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/mix.h"

typedef struct kind {
    const char *name;
    ql_role role;
    bool is_ffn; // columns are those of the feed-forward, 512, when `down`
} kind;

static const kind kinds[] = {
    {"token_embd", QL_ROLE_EMBD, false}, {"output", QL_ROLE_OUTPUT, false},
    {"attn_q", QL_ROLE_Q, false},        {"attn_k", QL_ROLE_K, false},
    {"attn_v", QL_ROLE_V, false},        {"attn_output", QL_ROLE_O, false},
    {"ffn_gate", QL_ROLE_GATE, false},   {"ffn_gate_exps", QL_ROLE_GATE, false},
    {"ffn_up", QL_ROLE_UP, false},       {"ffn_up_exps", QL_ROLE_UP, false},
    {"ffn_down", QL_ROLE_DOWN, true},    {"ffn_down_exps", QL_ROLE_DOWN, true},
    {"ffn_gate_inp", QL_ROLE_ROUTER, false},
};

static const kind *find_kind(const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    fail_msg("mixes.txt: %s", name);
    return NULL;
}

typedef struct line {
    const ql_mix *mix;
    ql_config config;
    unsigned tied;
    size_t n_checked;
} line;

// "TYPE*count,TYPE*count": the types of a kind of matrix, layer after layer.
static void check_kind(line *l, const kind *k, char *runs)
{
    uint32_t layer = 0;
    for (char *rest, *run = strtok_r(runs, ",", &rest); run; run = strtok_r(NULL, ",", &rest)) {
        char *star = strchr(run, '*');
        *star = 0;
        for (int count = atoi(star + 1); count > 0; count--, layer++) {
            ql_matrix m = {.n_cols = k->is_ffn ? 512 : l->config.n_embd};
            ql_bound bound = {.matrix = &m, .role = k->role, .layer = layer};
            const char *got = ql_dtype_get(ql_mix_dtype(l->mix, &l->config, &bound, l->tied, NULL))->name;
            if (strcmp(got, run) != 0)
                fail_msg("%s, %u layers, %u/%u heads, %u experts, %u columns: layer %u %s is %s, llama.cpp's %s",
                         ql_mix_name(l->mix), l->config.n_layers, l->config.n_heads, l->config.n_kv_heads,
                         l->config.n_experts, l->config.n_embd, layer, k->name, got, run);
            l->n_checked++;
        }
    }
}

static void check_line(char *text, size_t *n_checked)
{
    line l = {0};
    char name[16];
    int used = 0;
    assert_int_equal(sscanf(text, "%15s %u %u %u %u %u %u%n", name, &l.config.n_layers, &l.config.n_heads,
                            &l.config.n_kv_heads, &l.config.n_experts, &l.config.n_embd, &l.tied, &used), 7);
    assert_non_null(l.mix = ql_mix_find(name));
    for (char *rest, *word = strtok_r(text + used, " \n", &rest); word; word = strtok_r(NULL, " \n", &rest)) {
        char *equals = strchr(word, '=');
        *equals = 0;
        check_kind(&l, find_kind(word), equals + 1);
    }
    *n_checked += l.n_checked;
}

static void types_are_those_people_know(void **state)
{
    (void)state;
    const char *root = getenv("QL_SOURCE_ROOT");
    char path[4096], *text = NULL;
    size_t cap = 0, n_checked = 0;
    snprintf(path, sizeof path, "%s/tests/golden/mixes.txt", root ? root : ".");
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (getline(&text, &cap, file) > 0)
        check_line(text, &n_checked);
    fclose(file);
    free(text);
    assert_true(n_checked > 10000);
}

static void names_and_bits(void **state)
{
    (void)state;
    static const struct {
        int bits;
        ql_dtype half;
        const char *name;
    } by_bits[] = {{2, QL_F16, "Q2_K"}, {3, QL_F16, "Q3_K_M"}, {4, QL_F16, "Q4_K_M"}, {5, QL_F16, "Q5_K_M"},
                   {6, QL_F16, "Q6_K"}, {8, QL_F16, "Q8_0"}, {16, QL_F16, "F16"}, {16, QL_BF16, "BF16"}};
    for (size_t i = 0; i < sizeof by_bits / sizeof *by_bits; i++)
        assert_string_equal(ql_mix_name(ql_mix_of_bits(by_bits[i].bits, by_bits[i].half)), by_bits[i].name);
    assert_null(ql_mix_of_bits(7, QL_F16));
    assert_null(ql_mix_of_bits(32, QL_F16));
    assert_string_equal(ql_mix_name(ql_mix_find("q4_k_m")), "Q4_K_M");
    assert_string_equal(ql_mix_name(ql_mix_find("Q5_K")), "Q5_K_M");
    assert_null(ql_mix_find("Q4"));
    assert_null(ql_mix_find(""));
    assert_string_equal(ql_mix_name(ql_mix_default(999999999)), "Q8_0");
    assert_string_equal(ql_mix_name(ql_mix_default(1000000000)), "Q4_K_M");
    assert_string_equal(ql_mix_name(ql_mix_of_file_type(15)), "Q4_K_M");
    assert_null(ql_mix_of_file_type(99));
    assert_null(ql_mix_smaller(ql_mix_find("Q2_K")));
}

// Rows that no block divides: the last resort is F16.
static void rows_of_any_length_fit(void **state)
{
    (void)state;
    ql_config config = {.n_layers = 4, .n_heads = 4, .n_kv_heads = 4};
    ql_matrix m = {.n_cols = 100};
    ql_bound bound = {.matrix = &m, .role = QL_ROLE_UP};
    ql_dtype wanted;
    assert_int_equal(ql_mix_dtype(ql_mix_find("Q4_K_M"), &config, &bound, true, &wanted), QL_F16);
    assert_int_equal(wanted, QL_Q4_K);
    assert_int_equal(ql_mix_dtype(ql_mix_find("F32"), &config, &bound, true, NULL), QL_F32);
    assert_int_equal(ql_mix_dtype(ql_mix_find("BF16"), &config, &bound, true, NULL), QL_BF16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_are_those_people_know),
        cmocka_unit_test(names_and_bits),
        cmocka_unit_test(rows_of_any_length_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
