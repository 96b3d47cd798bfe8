// SPDX-License-Identifier: MIT
// What a text suggests to go on with: places where its end stood before, and the one that it follows.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "engine/lookup.h"

enum { MOST = 512 };

typedef struct text {
    ql_lookup lookup;
    int32_t tokens[MOST];
    size_t n;
    ql_found found[QL_LOOKUP_PLACES];
} text;

static int start(void **state)
{
    static text t;
    t = (text){0};
    *state = &t;
    return ql_lookup_init(&t.lookup, MOST, NULL) == QL_OK ? 0 : 1;
}

static int end(void **state)
{
    ql_lookup_free(&((text *)*state)->lookup);
    return 0;
}

static size_t find(text *t) { return ql_lookup_find(&t->lookup, t->tokens, t->n, t->found); }

// Adds tokens first, first + 1, ...
static void add(text *t, int32_t first, size_t n)
{
    for (size_t i = 0; i < n; i++)
        t->tokens[t->n++] = first + (int32_t)i;
}

// n tokens, then the first 20 of them again, which are followed.
static void begin_copy(text *t, size_t n)
{
    add(t, 100, n);
    add(t, 100, 20);
    assert_int_equal(find(t), 1);
    ql_lookup_follow(&t->lookup, (size_t)(t->found[0].tokens - t->tokens));
}

static void a_place_is_found_from_three_tokens_on(void **state)
{
    text *t = *state;
    assert_int_equal(find(t), 0);
    add(t, 100, 40);
    assert_int_equal(find(t), 0);
    add(t, 110, 2);
    assert_int_equal(find(t), 0);
    add(t, 112, 1);
    assert_int_equal(find(t), 1);
    assert_ptr_equal(t->found[0].tokens, t->tokens + 13);
    assert_int_equal(t->found[0].n, t->n - 13);
    assert_int_equal(t->found[0].match, 3);
    assert_int_equal(t->found[0].alike, 3);
}

static void the_last_place_counts(void **state)
{
    text *t = *state;
    for (int i = 0; i < 3; i++) {
        add(t, 100, 8);
        add(t, 200 + 10 * i, 1);
    }
    add(t, 100, 8);
    assert_int_equal(find(t), 1);
    assert_int_equal(*t->found[0].tokens, 220);
    assert_int_equal(t->found[0].match, 8);
}

static void no_more_than_24_are_counted(void **state)
{
    text *t = *state;
    add(t, 100, 60);
    add(t, 100, 50);
    assert_int_equal(find(t), 1);
    assert_int_equal(t->found[0].match, QL_LOOKUP_LONG);
    assert_int_equal(t->found[0].alike, QL_LOOKUP_LONG);
}

// A table whose rows differ in a token: behind it the rest of the row is suggested, which no three last tokens tell.
static void a_text_is_followed_past_what_is_other(void **state)
{
    text *t = *state;
    begin_copy(t, 40);
    add(t, 300, 1);
    assert_int_equal(find(t), 1);
    assert_ptr_equal(t->found[0].tokens, t->tokens + 21);
    assert_int_equal(t->found[0].match, 0);
    assert_int_equal(t->found[0].alike, 20);
    // Three tokens more and the place is found both ways, which is one.
    add(t, 121, 3);
    assert_int_equal(find(t), 1);
    assert_int_equal(t->found[0].match, 3);
    assert_int_equal(t->found[0].alike, 23);
}

static void two_places_are_suggested_where_they_differ(void **state)
{
    text *t = *state;
    add(t, 500, 3); // what follows here is another thing
    begin_copy(t, 40);
    add(t, 500, 3);
    assert_int_equal(find(t), 2);
    assert_ptr_equal(t->found[0].tokens, t->tokens + 3);
    assert_ptr_equal(t->found[1].tokens, t->tokens + 3 + 23);
    assert_int_equal(t->found[1].match, 0);
    assert_int_equal(t->found[1].alike, 20);
}

static void a_text_that_is_no_longer_alike_suggests_nothing(void **state)
{
    text *t = *state;
    begin_copy(t, 40);
    add(t, 300, 12);
    assert_int_equal(find(t), 1);
    add(t, 312, 1);
    assert_int_equal(find(t), 0);
}

// A place left over from the text before would lie beyond the end of this one.
static void a_new_text_follows_nothing(void **state)
{
    text *t = *state;
    begin_copy(t, 20);
    ql_lookup_clear(&t->lookup);
    assert_int_equal(t->lookup.followed, 0);
    t->n = 0;
    add(t, 100, 60);
    assert_int_equal(find(t), 0);
}

int main(void)
{
#define WITH_TEXT(test) cmocka_unit_test_setup_teardown(test, start, end)
    const struct CMUnitTest tests[] = {
        WITH_TEXT(a_place_is_found_from_three_tokens_on),
        WITH_TEXT(the_last_place_counts),
        WITH_TEXT(no_more_than_24_are_counted),
        WITH_TEXT(a_text_is_followed_past_what_is_other),
        WITH_TEXT(two_places_are_suggested_where_they_differ),
        WITH_TEXT(a_text_that_is_no_longer_alike_suggests_nothing),
        WITH_TEXT(a_new_text_follows_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
