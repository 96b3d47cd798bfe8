// SPDX-License-Identifier: MIT
// Owns undefined values, truth, equality and order; containers are in jinja_container.c.
#include "text/jinja_value.h"

#include <math.h>
#include <stdio.h>

ql_jval ql_j_undef_hint(ql_jinja *j, const char *hint)
{
    ql_jundef *undef = QL_J_NEW(j, ql_jundef);
    undef->hint = hint;
    return (ql_jval){.type = QL_J_UNDEFINED, .u.undef = undef};
}

ql_jval ql_j_undef_name(ql_jinja *j, const ql_jstr *name)
{
    ql_jundef *undef = QL_J_NEW(j, ql_jundef);
    undef->name = name;
    return (ql_jval){.type = QL_J_UNDEFINED, .u.undef = undef};
}

ql_jval ql_j_undef_attr(ql_jinja *j, ql_jval owner, ql_jval name, bool unsafe)
{
    ql_jundef *undef = QL_J_NEW(j, ql_jundef);
    undef->owner = ql_j_type_name(owner);
    undef->unsafe = unsafe;
    if (name.type == QL_J_STR) {
        undef->name = name.u.s;
    } else {
        char text[64];
        int n = name.type == QL_J_INT ? snprintf(text, sizeof text, "%lld", (long long)name.u.i)
                                      : snprintf(text, sizeof text, "(%s)", ql_j_type_name(name));
        undef->name = ql_j_str(j, text, (size_t)n, false);
    }
    return (ql_jval){.type = QL_J_UNDEFINED, .u.undef = undef};
}

void ql_j_raise_undef(ql_jinja *j, ql_jval v)
{
    const ql_jundef *undef = v.u.undef;
    if (!undef || (!undef->hint && !undef->name))
        ql_j_raise(j, "a value is undefined");
    if (undef->hint)
        ql_j_raise(j, "%s", undef->hint);
    int n = undef->name->len < 100 ? (int)undef->name->len : 100;
    if (undef->unsafe)
        ql_j_raise(j, "access to attribute '%.*s' of '%s' object is unsafe", n, undef->name->s, undef->owner);
    if (undef->owner)
        ql_j_raise(j, "'%s object' has no attribute '%.*s'", undef->owner, n, undef->name->s);
    ql_j_raise(j, "'%.*s' is undefined", n, undef->name->s);
}

void ql_j_raise_wide(ql_jinja *j) { ql_j_raise(j, "an integer beyond 64 bits: it can only be printed here"); }

const char *ql_j_type_name(ql_jval v)
{
    static const char *const names[] = {
        [QL_J_MISSING] = "missing",    [QL_J_UNDEFINED] = "Undefined", [QL_J_NONE] = "NoneType",
        [QL_J_BOOL] = "bool",          [QL_J_INT] = "int",             [QL_J_FLOAT] = "float",
        [QL_J_WIDE] = "int",
        [QL_J_STR] = "str",            [QL_J_LIST] = "list",           [QL_J_TUPLE] = "tuple",
        [QL_J_DICT] = "dict",          [QL_J_RANGE] = "range",         [QL_J_NAMESPACE] = "Namespace",
        [QL_J_METHOD] = "method",      [QL_J_FUNC] = "function",       [QL_J_MACRO] = "Macro",
        [QL_J_LOOP] = "LoopContext",   [QL_J_CYCLER] = "Cycler",       [QL_J_JOINER] = "Joiner",
        [QL_J_SELF] = "TemplateReference", [QL_J_BLOCK] = "BlockReference",
    };
    static const char *const views[] = {"dict_keys", "dict_values", "dict_items"};
    if (v.type == QL_J_VIEW)
        return views[v.u.view->kind];
    if (v.type == QL_J_ITER)
        return v.u.iter->type;
    if (v.type == QL_J_STR && v.u.s->markup)
        return "Markup";
    return names[v.type];
}

bool ql_j_truth(ql_jval v)
{
    int64_t len;
    switch (v.type) {
    case QL_J_MISSING:
    case QL_J_UNDEFINED:
    case QL_J_NONE:
        return false;
    case QL_J_BOOL:
        return v.u.b;
    case QL_J_INT:
        return v.u.i != 0;
    case QL_J_FLOAT:
        return v.u.f != 0.0;
    case QL_J_LOOP: // has a length, which is never 0 in its body
        return true;
    default:
        return !ql_j_len(v, &len) || len > 0;
    }
}

bool ql_j_is_number(ql_jval v) { return v.type == QL_J_INT || v.type == QL_J_FLOAT || v.type == QL_J_BOOL; }

bool ql_j_as_index(ql_jval v, int64_t *i)
{
    if (v.type != QL_J_INT && v.type != QL_J_BOOL)
        return false;
    *i = v.type == QL_J_INT ? v.u.i : v.u.b;
    return true;
}

double ql_j_as_double(ql_jval v)
{
    return v.type == QL_J_FLOAT ? v.u.f : v.type == QL_J_INT ? (double)v.u.i : v.u.b;
}

bool ql_j_is_str(ql_jval v, const char *string) { return v.type == QL_J_STR && ql_j_str_is(v.u.s, string); }

// -1, 0, 1, or 2 with a NaN; exact for an int beside a float.
static int compare_numbers(ql_jval a, ql_jval b)
{
    if (a.type != QL_J_FLOAT && b.type != QL_J_FLOAT) {
        int64_t x = 0, y = 0;
        ql_j_as_index(a, &x);
        ql_j_as_index(b, &y);
        return x < y ? -1 : x > y;
    }
    if (a.type == QL_J_FLOAT && b.type == QL_J_FLOAT) {
        if (isnan(a.u.f) || isnan(b.u.f))
            return 2;
        return a.u.f < b.u.f ? -1 : a.u.f > b.u.f;
    }
    if (b.type != QL_J_FLOAT) {
        int order = compare_numbers(b, a);
        return order == 2 ? 2 : -order;
    }
    int64_t x = 0;
    ql_j_as_index(a, &x);
    double y = b.u.f;
    if (isnan(y))
        return 2;
    if (y >= 9223372036854775808.0)
        return -1;
    if (y < -9223372036854775808.0)
        return 1;
    int64_t whole = (int64_t)y;
    if (x != whole)
        return x < whole ? -1 : 1;
    double rest = y - (double)whole;
    return rest > 0 ? -1 : rest < 0;
}

bool ql_j_same(ql_jval a, ql_jval b)
{
    if (a.type != b.type)
        return false;
    switch (a.type) {
    case QL_J_NONE:
    case QL_J_SELF:
        return true;
    case QL_J_BOOL:
        return a.u.b == b.u.b;
    case QL_J_INT: // CPython shares small ones
        return a.u.i == b.u.i && a.u.i >= -5 && a.u.i <= 256;
    case QL_J_FLOAT:
        return false;
    case QL_J_STR:
        return a.u.s == b.u.s || (a.u.s->s == b.u.s->s && a.u.s->len == b.u.s->len) ||
               (a.u.s->n_chars <= 1 && !a.u.s->markup && !b.u.s->markup && ql_j_str_equal(a.u.s, b.u.s));
    default:
        return a.u.list == b.u.list;
    }
}

static bool equal(ql_jinja *j, ql_jval a, ql_jval b, int depth);

static bool equal_lists(ql_jinja *j, const ql_jlist *a, const ql_jlist *b, int depth)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (!equal(j, a->items[i], b->items[i], depth + 1))
            return false;
    return true;
}

static bool equal_dicts(ql_jinja *j, const ql_jdict *a, const ql_jdict *b, int depth)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++) {
        const ql_jval *other = ql_j_get(j, b, a->entries[i].key);
        if (!other || !equal(j, a->entries[i].value, *other, depth + 1))
            return false;
    }
    return true;
}

static bool equal_ranges(const ql_jrange *a, const ql_jrange *b)
{
    if (a->len != b->len)
        return false;
    return a->len == 0 || (a->start == b->start && (a->len == 1 || a->step == b->step));
}

// Views of keys and items compare as sets.
static bool equal_views(ql_jinja *j, ql_jval a, ql_jval b)
{
    if (a.u.view->kind == QL_J_VALUES || b.u.view->kind == QL_J_VALUES)
        return a.u.view == b.u.view;
    if (a.u.view->dict->n != b.u.view->dict->n)
        return false;
    for (size_t i = 0; i < a.u.view->dict->n; i++)
        if (!ql_j_contains(j, b, ql_j_item_at(j, a, i)))
            return false;
    return true;
}

static bool equal(ql_jinja *j, ql_jval a, ql_jval b, int depth)
{
    ql_j_step(j);
    if (depth > QL_J_MAX_VALUE_DEPTH)
        ql_j_raise(j, "a value is nested more than %d deep", QL_J_MAX_VALUE_DEPTH);
    if (ql_j_is_number(a) && ql_j_is_number(b))
        return compare_numbers(a, b) == 0;
    if (a.type != b.type)
        return false;
    switch (a.type) {
    case QL_J_UNDEFINED:
        return true;
    case QL_J_STR:
    case QL_J_WIDE:
        ql_j_charge(j, a.u.s->len == b.u.s->len ? a.u.s->len : 0);
        return ql_j_str_equal(a.u.s, b.u.s);
    case QL_J_LIST:
    case QL_J_TUPLE:
        return a.u.list == b.u.list || equal_lists(j, a.u.list, b.u.list, depth);
    case QL_J_DICT:
        return a.u.dict == b.u.dict || equal_dicts(j, a.u.dict, b.u.dict, depth);
    case QL_J_RANGE:
        return equal_ranges(a.u.range, b.u.range);
    case QL_J_VIEW:
        return equal_views(j, a, b);
    default:
        return ql_j_same(a, b);
    }
}

bool ql_j_equal(ql_jinja *j, ql_jval a, ql_jval b) { return equal(j, a, b, 0); }

static bool holds(ql_jorder op, int order)
{
    if (order == 2)
        return false;
    return op == QL_J_LT ? order < 0 : op == QL_J_LE ? order <= 0 : op == QL_J_GT ? order > 0 : order >= 0;
}

static bool compare(ql_jinja *j, ql_jorder op, ql_jval a, ql_jval b, int depth)
{
    static const char *const signs[] = {"<", "<=", ">", ">="};
    ql_j_step(j);
    if (depth > QL_J_MAX_VALUE_DEPTH)
        ql_j_raise(j, "a value is nested more than %d deep", QL_J_MAX_VALUE_DEPTH);
    ql_j_want_narrow(j, a);
    ql_j_want_narrow(j, b);
    if (ql_j_is_number(a) && ql_j_is_number(b))
        return holds(op, compare_numbers(a, b));
    if (a.type == QL_J_STR && b.type == QL_J_STR) {
        ql_j_charge(j, a.u.s->len < b.u.s->len ? a.u.s->len : b.u.s->len);
        return holds(op, ql_j_str_compare(a.u.s, b.u.s));
    }
    if (a.type != b.type || (a.type != QL_J_LIST && a.type != QL_J_TUPLE))
        ql_j_raise(j, "'%s' not supported between instances of '%s' and '%s'", signs[op], ql_j_type_name(a),
                   ql_j_type_name(b));
    const ql_jlist *x = a.u.list, *y = b.u.list;
    for (size_t i = 0; i < x->n && i < y->n; i++)
        if (!ql_j_same(x->items[i], y->items[i]) && !equal(j, x->items[i], y->items[i], depth + 1))
            return compare(j, op, x->items[i], y->items[i], depth + 1);
    return holds(op, x->n < y->n ? -1 : x->n > y->n);
}

bool ql_j_compare(ql_jinja *j, ql_jorder op, ql_jval a, ql_jval b) { return compare(j, op, a, b, 0); }
