// SPDX-License-Identifier: MIT
// Owns the tests (`value is name`).
#include "text/jinja_char.h"
#include "text/jinja_filter.h"
#include "text/jinja_num.h"
#include "text/jinja_object.h"
#include "text/jinja_text.h"

static bool remainder_is(ql_jinja *j, ql_jval v, ql_jval divisor, int64_t r)
{
    return ql_j_equal(j, ql_j_operate(j, QL_J_MOD, v, divisor), ql_j_int(r));
}

static bool t_odd(ql_jinja *j, ql_jval v, ql_jval arg) { return (void)arg, remainder_is(j, v, ql_j_int(2), 1); }
static bool t_even(ql_jinja *j, ql_jval v, ql_jval arg) { return (void)arg, remainder_is(j, v, ql_j_int(2), 0); }
static bool t_divisibleby(ql_jinja *j, ql_jval v, ql_jval arg) { return remainder_is(j, v, arg, 0); }

#define TYPE_TEST(name, condition)                              \
    static bool name(ql_jinja *j, ql_jval v, ql_jval arg)       \
    {                                                           \
        (void)j, (void)arg;                                     \
        return condition;                                       \
    }
TYPE_TEST(t_defined, v.type != QL_J_UNDEFINED)
TYPE_TEST(t_undefined, v.type == QL_J_UNDEFINED)
TYPE_TEST(t_none, v.type == QL_J_NONE)
TYPE_TEST(t_boolean, v.type == QL_J_BOOL)
TYPE_TEST(t_true, v.type == QL_J_BOOL && v.u.b)
TYPE_TEST(t_false, v.type == QL_J_BOOL && !v.u.b)
TYPE_TEST(t_integer, v.type == QL_J_INT || v.type == QL_J_WIDE)
TYPE_TEST(t_float, v.type == QL_J_FLOAT)
TYPE_TEST(t_number, ql_j_is_number(v) || v.type == QL_J_WIDE)
TYPE_TEST(t_string, v.type == QL_J_STR)
TYPE_TEST(t_mapping, v.type == QL_J_DICT)
TYPE_TEST(t_iterable, ql_j_iterable(v))
TYPE_TEST(t_sequence, v.type == QL_J_STR || v.type == QL_J_LIST || v.type == QL_J_TUPLE || v.type == QL_J_DICT ||
                          v.type == QL_J_RANGE || v.type == QL_J_UNDEFINED)
TYPE_TEST(t_callable, v.type == QL_J_UNDEFINED || v.type == QL_J_METHOD || v.type == QL_J_FUNC ||
                          v.type == QL_J_MACRO || v.type == QL_J_LOOP || v.type == QL_J_JOINER ||
                          v.type == QL_J_BLOCK)
TYPE_TEST(t_escaped, v.type == QL_J_STR && v.u.s->markup)
TYPE_TEST(t_sameas, ql_j_same(v, arg))
TYPE_TEST(t_lower, ql_j_all_lower(ql_j_to_str(j, v)))
TYPE_TEST(t_upper, ql_j_all_upper(ql_j_to_str(j, v)))
TYPE_TEST(t_in, ql_j_contains(j, arg, v))
TYPE_TEST(t_eq, ql_j_equal(j, v, arg))
TYPE_TEST(t_ne, !ql_j_equal(j, v, arg))
TYPE_TEST(t_lt, ql_j_compare(j, QL_J_LT, v, arg))
TYPE_TEST(t_le, ql_j_compare(j, QL_J_LE, v, arg))
TYPE_TEST(t_gt, ql_j_compare(j, QL_J_GT, v, arg))
TYPE_TEST(t_ge, ql_j_compare(j, QL_J_GE, v, arg))

static void want_hashable(ql_jinja *j, ql_jval v)
{
    uint32_t hash;
    if (!ql_j_hash(j, v, &hash))
        ql_j_raise(j, "unhashable type: '%s'", ql_j_type_name(v));
}

static bool t_filter(ql_jinja *j, ql_jval v, ql_jval arg)
{
    (void)arg;
    want_hashable(j, v);
    return v.type == QL_J_STR && ql_j_find_filter(v.u.s);
}

static bool t_test(ql_jinja *j, ql_jval v, ql_jval arg)
{
    (void)arg;
    want_hashable(j, v);
    return v.type == QL_J_STR && ql_j_find_test(v.u.s);
}

static const ql_jtest tests[] = {
    {"odd", t_odd, 0, NULL},
    {"even", t_even, 0, NULL},
    {"divisibleby", t_divisibleby, 1, "num"},
    {"defined", t_defined, 0, NULL},
    {"undefined", t_undefined, 0, NULL},
    {"filter", t_filter, 0, NULL},
    {"test", t_test, 0, NULL},
    {"none", t_none, 0, NULL},
    {"boolean", t_boolean, 0, NULL},
    {"false", t_false, 0, NULL},
    {"true", t_true, 0, NULL},
    {"integer", t_integer, 0, NULL},
    {"float", t_float, 0, NULL},
    {"lower", t_lower, 0, NULL},
    {"upper", t_upper, 0, NULL},
    {"string", t_string, 0, NULL},
    {"mapping", t_mapping, 0, NULL},
    {"number", t_number, 0, NULL},
    {"sequence", t_sequence, 0, NULL},
    {"iterable", t_iterable, 0, NULL},
    {"callable", t_callable, 0, NULL},
    {"sameas", t_sameas, 1, "other"},
    {"escaped", t_escaped, 0, NULL},
    {"in", t_in, 1, "seq"},
    {"==", t_eq, 1, NULL},
    {"eq", t_eq, 1, NULL},
    {"equalto", t_eq, 1, NULL},
    {"!=", t_ne, 1, NULL},
    {"ne", t_ne, 1, NULL},
    {">", t_gt, 1, NULL},
    {"gt", t_gt, 1, NULL},
    {"greaterthan", t_gt, 1, NULL},
    {">=", t_ge, 1, NULL},
    {"ge", t_ge, 1, NULL},
    {"<", t_lt, 1, NULL},
    {"lt", t_lt, 1, NULL},
    {"lessthan", t_lt, 1, NULL},
    {"<=", t_le, 1, NULL},
    {"le", t_le, 1, NULL},
};

const ql_jtest *ql_j_find_test(const ql_jstr *name)
{
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
        if (ql_j_str_is(name, tests[i].name))
            return &tests[i];
    return NULL;
}

const ql_jtest *ql_j_want_test(ql_jinja *j, ql_jval name)
{
    ql_j_want(j, name);
    const ql_jtest *test = name.type == QL_J_STR ? ql_j_find_test(name.u.s) : NULL;
    const ql_jstr *shown = ql_j_to_str(j, name);
    if (!test)
        ql_j_raise(j, "no test named '%.*s'", shown->len < 60 ? (int)shown->len : 60, shown->s);
    return test;
}

bool ql_j_call_test(ql_jinja *j, const ql_jtest *test, ql_jval v, const ql_jargs *args)
{
    ql_jval a[1] = {ql_j_missing()};
    ql_j_bind_args(j, test->name, test->n_args ? test->param ? test->param : "value /" : "", test->n_args, args, a);
    return test->holds(j, v, a[0]);
}
