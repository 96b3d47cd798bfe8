// SPDX-License-Identifier: MIT
// Owns the binary operators on all types; arithmetic itself is in jinja_num.c.
#include "text/jinja_num.h"
#include "text/jinja_object.h"
#include "text/jinja_text.h"

static ql_jval repeat(ql_jinja *j, ql_jval seq, ql_jval times)
{
    int64_t n;
    if (!ql_j_as_index(times, &n))
        ql_j_raise(j, "can't multiply sequence by non-int of type '%s'", ql_j_type_name(times));
    if (seq.type == QL_J_STR) {
        ql_jbuild b;
        ql_j_build(j, &b);
        ql_j_put_fill(&b, seq.u.s, n);
        return ql_j_strv(ql_j_as_markup(j, ql_j_take(&b), seq.u.s->markup));
    }
    const ql_jlist *list = seq.u.list;
    if (n < 0 || list->n == 0)
        n = 0;
    if (n > QL_J_MAX_MEMORY / (int64_t)sizeof(ql_jval) / (int64_t)(list->n ? list->n : 1))
        ql_j_memory_limit(j);
    ql_jlist *out = ql_j_list(j, list->n * (size_t)n);
    ql_j_charge(j, list->n * (size_t)n * sizeof(ql_jval));
    for (int64_t i = 0; i < n; i++)
        for (size_t k = 0; k < list->n; k++)
            out->items[out->n++] = list->items[k];
    return (ql_jval){.type = seq.type, .u.list = out};
}

static ql_jval add_sequences(ql_jinja *j, ql_jval a, ql_jval b)
{
    if (a.type == QL_J_STR) {
        bool markup = a.u.s->markup || b.u.s->markup;
        const ql_jstr *x = markup ? ql_j_escape_html(j, a) : a.u.s, *y = markup ? ql_j_escape_html(j, b) : b.u.s;
        return ql_j_strv(ql_j_as_markup(j, ql_j_concat(j, x, y), markup));
    }
    ql_jlist *list = ql_j_list(j, a.u.list->n + b.u.list->n);
    ql_j_charge(j, (a.u.list->n + b.u.list->n) * sizeof(ql_jval));
    for (size_t i = 0; i < a.u.list->n; i++)
        list->items[list->n++] = a.u.list->items[i];
    for (size_t i = 0; i < b.u.list->n; i++)
        list->items[list->n++] = b.u.list->items[i];
    return (ql_jval){.type = a.type, .u.list = list};
}

static bool is_sequence(ql_jval v) { return v.type == QL_J_STR || v.type == QL_J_LIST || v.type == QL_J_TUPLE; }

ql_jval ql_j_operate(ql_jinja *j, int op, ql_jval a, ql_jval b)
{
    static const char *const signs[] = {"+", "-", "*", "/", "//", "%", "**"};
    if (op == QL_J_MOD && a.type == QL_J_STR)
        return ql_j_percent(j, a.u.s, b);
    ql_j_want_narrow(j, a);
    ql_j_want_narrow(j, b);
    if (ql_j_is_number(a) && ql_j_is_number(b))
        return ql_j_arith(j, (ql_jop)op, a, b);
    if (op == QL_J_ADD && a.type == b.type && is_sequence(a))
        return add_sequences(j, a, b);
    if (op == QL_J_MUL && is_sequence(a))
        return repeat(j, a, b);
    if (op == QL_J_MUL && is_sequence(b))
        return repeat(j, b, a);
    if (op == QL_J_ADD && a.type == QL_J_STR)
        ql_j_raise(j, "can only concatenate str (not \"%s\") to str", ql_j_type_name(b));
    ql_j_raise(j, "unsupported operand type(s) for %s: '%s' and '%s'", signs[op], ql_j_type_name(a), ql_j_type_name(b));
}
