// SPDX-License-Identifier: MIT
// Owns the filters on numbers.
#include <math.h>

#include "text/jinja_filter.h"
#include "text/jinja_num.h"
#include "text/jinja_object.h"
#include "text/jinja_text.h"

static ql_jval f_int(ql_jinja *j, ql_jval *a)
{
    int64_t i;
    double f;
    ql_j_want(j, a[0]);
    if (a[0].type == QL_J_WIDE)
        return a[0];
    if (ql_j_as_index(a[0], &i))
        return ql_j_tainted(ql_j_int(i), a[0].input);
    if (a[0].type == QL_J_FLOAT && !isnan(a[0].u.f))
        return ql_j_tainted(ql_j_float_to_int(j, a[0].u.f), a[0].input);
    if (a[0].type == QL_J_STR) {
        bool input = ql_j_any_input(a[0].u.s);
        if (ql_j_parse_int(j, a[0].u.s, ql_j_int_arg(j, a[2], 10, "base"), &i))
            return ql_j_tainted(ql_j_int(i), input);
        if (ql_j_parse_float(j, a[0].u.s, &f) && isfinite(f)) // "42.23" is 42
            return ql_j_tainted(ql_j_float_to_int(j, f), input);
    }
    return a[1].type == QL_J_MISSING ? ql_j_int(0) : a[1];
}

static ql_jval f_float(ql_jinja *j, ql_jval *a)
{
    double f;
    ql_j_want(j, a[0]);
    if (ql_j_is_number(a[0]))
        return ql_j_tainted(ql_j_float(ql_j_as_double(a[0])), a[0].input);
    if ((a[0].type == QL_J_STR || a[0].type == QL_J_WIDE) && ql_j_parse_float(j, a[0].u.s, &f))
        return ql_j_tainted(ql_j_float(f), ql_j_any_input(a[0].u.s));
    return a[1].type == QL_J_MISSING ? ql_j_float(0.0) : a[1];
}

static ql_jval want_number(ql_jinja *j, ql_jval v, const char *filter)
{
    ql_j_want_narrow(j, v);
    if (!ql_j_is_number(v))
        ql_j_raise(j, "%s: a number is required, not %s", filter, ql_j_type_name(v));
    return v;
}

static ql_jval f_abs(ql_jinja *j, ql_jval *a)
{
    ql_jval v = want_number(j, a[0], "abs");
    if (v.type == QL_J_FLOAT)
        return ql_j_tainted(ql_j_float(fabs(v.u.f)), v.input);
    return ql_j_arith(j, ql_j_as_double(v) < 0 ? QL_J_SUB : QL_J_ADD, ql_j_int(0), v);
}

static ql_jval f_round(ql_jinja *j, ql_jval *a)
{
    ql_jval v = want_number(j, a[0], "round");
    int64_t digits = ql_j_int_arg(j, a[1], 0, "precision");
    bool ceiling = ql_j_is_str(a[2], "ceil"), floored = ql_j_is_str(a[2], "floor");
    if (a[2].type != QL_J_MISSING && !ceiling && !floored && !ql_j_is_str(a[2], "common"))
        ql_j_raise(j, "method must be common, ceil or floor");
    if (!ceiling && !floored)
        return ql_j_round(j, v, digits);
    ql_jval unit = ql_j_arith(j, QL_J_POW, ql_j_int(10), ql_j_int(digits));
    v = ql_j_arith(j, QL_J_MUL, v, unit);
    if (v.type == QL_J_FLOAT && !(fabs(v.u.f) >= 9e18 && isfinite(v.u.f))) // beyond that every float is whole
        v = ql_j_tainted(ql_j_float_to_int(j, ceiling ? ceil(v.u.f) : floor(v.u.f)), v.input);
    return ql_j_arith(j, QL_J_DIV, v, unit);
}

static ql_jval f_filesizeformat(ql_jinja *j, ql_jval *a)
{
    static const char *const names[2][8] = {{"kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"},
                                            {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"}};
    double bytes;
    bool binary = ql_j_truth(a[1]), input = a[0].input;
    if (a[0].type == QL_J_STR) {
        if (!ql_j_parse_float(j, a[0].u.s, &bytes))
            ql_j_raise(j, "could not convert string to float");
        input = ql_j_any_input(a[0].u.s);
    } else {
        bytes = ql_j_as_double(want_number(j, a[0], "filesizeformat"));
    }
    double base = binary ? 1024 : 1000, unit = base;
    ql_jbuild b;
    ql_j_build(j, &b);
    if (bytes == 1) {
        ql_j_put_cstr(&b, "1 Byte", input);
    } else if (bytes < base) {
        ql_j_put_value(&b, ql_j_tainted(ql_j_float_to_int(j, bytes), input));
        ql_j_put_cstr(&b, " Bytes", input);
    } else {
        int i = 0;
        for (unit = base * base; i < 7 && !(bytes < unit); i++)
            unit *= base;
        ql_j_put_fmt(&b, input, "%.1f %s", base * bytes / unit, names[binary][i]);
    }
    return ql_j_strv(ql_j_take(&b));
}

const ql_jfilter ql_j_number_filters[] = {
    {.name = "int", .apply = f_int, .params = "default base"},
    {.name = "float", .apply = f_float, .params = "default"},
    {.name = "abs", .apply = f_abs, .params = "/"},
    {.name = "round", .apply = f_round, .params = "precision method"},
    {.name = "filesizeformat", .apply = f_filesizeformat, .params = "binary"},
    {0},
};
