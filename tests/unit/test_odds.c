// SPDX-License-Identifier: MIT
// How many drafted tokens a step carries, from times that are told here.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "engine/odds.h"

enum { MOST = 15 };
static const int sure[] = {2}, unsure[] = {0}, model[] = {QL_ODDS_MODEL};

static void tell(ql_odds *odds, int kind, size_t n, size_t right)
{
    for (int i = 0; i < 100; i++)
        ql_odds_told(odds, kind, n, right);
}

// In milliseconds.
static void took(ql_odds *odds, size_t n_rows, double ms) { ql_odds_timed(odds, n_rows, ms / 1000); }

static size_t choose(ql_odds *odds, const int *kind) { return ql_odds_choose(odds, 1, kind, 1, MOST, 0); }

static void what_was_right_is_tried_and_what_was_wrong_is_not(void **state)
{
    (void)state;
    ql_odds odds;
    ql_odds_init(&odds);
    took(&odds, 1, 10);
    took(&odds, 4, 15);
    tell(&odds, 2, 3, 3);
    tell(&odds, 0, 3, 0);
    assert_true(choose(&odds, sure) >= 3);
    assert_int_equal(choose(&odds, unsure), 0);
}

// What it would have drafted is not known: so it is asked now and then.
static void a_draft_model_that_was_wrong_is_tried_all_the_same(void **state)
{
    (void)state;
    ql_odds odds;
    ql_odds_init(&odds);
    tell(&odds, QL_ODDS_MODEL, 3, 0);
    tell(&odds, 0, 3, 0);
    int tries = 0, others = 0;
    for (int i = 0; i < 100; i++) {
        tries += choose(&odds, model) > 0;
        others += choose(&odds, unsure) > 0;
    }
    assert_in_range(tries, 1, 95);
    assert_int_equal(others, 0);
}

// Another program had the core when more rows were measured: they are tried again after a while, and then stay.
static void what_was_slow_once_is_tried_again(void **state)
{
    (void)state;
    ql_odds odds;
    ql_odds_init(&odds);
    tell(&odds, 0, 5, 3); // three of four
    took(&odds, 1, 10);
    took(&odds, 2, 19.5);
    took(&odds, 4, 39);
    took(&odds, 8, 79);
    took(&odds, QL_STEP_ROWS, 200);
    assert_int_equal(choose(&odds, unsure), 0);
    int waited = 0;
    size_t n;
    while ((n = choose(&odds, unsure)) == 0 && waited < 200)
        waited++;
    assert_in_range(waited, 10, 150);
    for (int i = 0; i < 20; i++)
        took(&odds, n + 1, 10 + 2 * (double)n);
    assert_true(choose(&odds, unsure) > 0);
}

static void a_kind_is_surer_the_more_is_the_same(void **state)
{
    (void)state;
    ql_odds odds;
    ql_odds_init(&odds);
    for (size_t alike = 12; alike < 24; alike++)
        assert_true(odds.accepted[ql_odds_kind(2, alike)] <= odds.accepted[ql_odds_kind(2, alike + 1)]);
    for (size_t match = 3; match < 24; match++)
        assert_true(odds.accepted[ql_odds_kind(match, match)] <= odds.accepted[ql_odds_kind(match + 1, match + 1)]);
    assert_int_not_equal(ql_odds_kind(24, 24), QL_ODDS_MODEL);
}

// Five rows are slow here, and four were never tried: what lies between must not be taken to be as slow.
static void a_number_between_a_good_and_a_bad_one_is_tried(void **state)
{
    (void)state;
    ql_odds odds;
    ql_odds_init(&odds);
    tell(&odds, 2, 4, 4);
    took(&odds, 2, 7);
    took(&odds, 5, 30);
    assert_int_equal(choose(&odds, sure), 3);
    took(&odds, 4, 8.9);
    assert_int_equal(choose(&odds, sure), 3);
    // Where it was bad it is left.
    for (int i = 0; i < 20; i++)
        took(&odds, 4, 14.9);
    assert_int_equal(choose(&odds, sure), 1);
}

static void rows_of_a_quad_cost_the_same(void **state)
{
    (void)state;
    ql_odds odds;
    ql_odds_init(&odds);
    tell(&odds, 2, 7, 7);
    took(&odds, 1, 10);
    took(&odds, 6, 12); // so eight take 12 too
    took(&odds, 12, 100);
    assert_int_equal(choose(&odds, sure), 7);
}

static void a_step_is_no_larger_than_it_may_be(void **state)
{
    (void)state;
    ql_odds odds;
    ql_odds_init(&odds);
    int kinds[8] = {2, 2, 2, 2, 2, 2, 2, 2};
    tell(&odds, 2, 15, 15);
    took(&odds, 8, 1);
    took(&odds, QL_STEP_ROWS, 1);
    assert_int_equal(ql_odds_choose(&odds, 8, kinds, 8, MOST, 0), QL_STEP_ROWS / 8 - 1);
    assert_int_equal(ql_odds_choose(&odds, 8, kinds, 8, 1, 0), 1);
    took(&odds, QL_STEP_ROWS + 1, 1); // is not one
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_right_is_tried_and_what_was_wrong_is_not),
        cmocka_unit_test(a_draft_model_that_was_wrong_is_tried_all_the_same),
        cmocka_unit_test(what_was_slow_once_is_tried_again),
        cmocka_unit_test(a_kind_is_surer_the_more_is_the_same),
        cmocka_unit_test(a_number_between_a_good_and_a_bad_one_is_tried),
        cmocka_unit_test(rows_of_a_quad_cost_the_same),
        cmocka_unit_test(a_step_is_no_larger_than_it_may_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
