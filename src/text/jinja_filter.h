// SPDX-License-Identifier: MIT
// Filters and tests: the tables, and how their arguments are bound.
#ifndef QL_TEXT_JINJA_FILTER_H
#define QL_TEXT_JINJA_FILTER_H

#include "text/jinja_value.h"

// Either args bound to the names in params (a[0] is the value; what was not given is MISSING), or, with variadic, all
// of them as they are.
typedef struct ql_jfilter {
    const char *name;
    ql_jval (*apply)(ql_jinja *j, ql_jval *a);
    const char *params; // names after the value, separated by spaces; "/" at the end: positional only
    int required;       // how many of them
    ql_jval (*variadic)(ql_jinja *j, ql_jval v, const ql_jargs *args);
} ql_jfilter;

typedef struct ql_jtest {
    const char *name;
    bool (*holds)(ql_jinja *j, ql_jval v, ql_jval arg);
    int n_args;        // 0 or 1
    const char *param; // its name, or NULL
} ql_jtest;

const ql_jfilter *ql_j_find_filter(const ql_jstr *name); // NULL: unknown
const ql_jtest *ql_j_find_test(const ql_jstr *name);
ql_jval ql_j_call_filter(ql_jinja *j, const ql_jfilter *filter, ql_jval v, const ql_jargs *args);
bool ql_j_call_test(ql_jinja *j, const ql_jtest *test, ql_jval v, const ql_jargs *args);
// By a name that the template computes; raises when it is unknown.
const ql_jfilter *ql_j_want_filter(ql_jinja *j, ql_jval name);
const ql_jtest *ql_j_want_test(ql_jinja *j, ql_jval name);

// Binds positional and named arguments to params as a Python call does; out has an entry for each name.
enum { QL_J_MAX_PARAMS = 6 };
void ql_j_bind_args(ql_jinja *j, const char *func, const char *params, int required, const ql_jargs *args,
                    ql_jval *out);

// The tables, one for each file of filters; end with a NULL name.
extern const ql_jfilter ql_j_text_filters[], ql_j_seq_filters[], ql_j_lazy_filters[], ql_j_misc_filters[],
    ql_j_number_filters[];

// make_attrgetter: the value under a path "a.b.0" in item. post: lower case for strings when not case_sensitive.
typedef struct ql_jpath {
    ql_jval *parts; // [n] str or int
    size_t n;
    ql_jval fallback; // for undefined steps, or MISSING
} ql_jpath;
ql_jpath ql_j_path(ql_jinja *j, ql_jval attribute);
ql_jval ql_j_follow(ql_jinja *j, const ql_jpath *path, ql_jval item);
ql_jval ql_j_fold_case(ql_jinja *j, ql_jval v); // lower case of a string; the rest as it is

#endif
