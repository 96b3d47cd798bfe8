// SPDX-License-Identifier: MIT
// Owns the binding of arguments to the parameters of built-in filters, methods and functions.
#include "text/jinja_filter.h"
#include "text/jinja_object.h"

// The length of the next name in params, 0 at the end.
static size_t next_param(const char **params)
{
    while (**params == ' ')
        (*params)++;
    return strcspn(*params, " ");
}

static int find_param(const char *params, const ql_jstr *name)
{
    size_t n;
    for (int i = 0; (n = next_param(&params)) != 0; i++, params += n)
        if (name->len == n && memcmp(params, name->s, n) == 0)
            return i;
    return -1;
}

void ql_j_bind_args(ql_jinja *j, const char *func, const char *params, int required, const ql_jargs *args,
                    ql_jval *out)
{
    int n = 0;
    size_t len;
    bool positional = false;
    for (const char *p = params; (len = next_param(&p)) != 0; p += len) {
        positional = *p == '/';
        n += !positional;
    }
    for (int i = 0; i < n; i++)
        out[i] = ql_j_missing();
    if (args->n > (size_t)n)
        ql_j_raise(j, "%s() takes at most %d argument%s (%zu given)", func, n, n == 1 ? "" : "s", args->n);
    for (size_t i = 0; i < args->n; i++)
        out[i] = args->pos[i];
    if (positional && args->n_named)
        ql_j_raise(j, "%s() takes no keyword arguments", func);
    for (size_t i = 0; i < args->n_named; i++) {
        int at = find_param(params, args->names[i]);
        int shown = args->names[i]->len < 60 ? (int)args->names[i]->len : 60;
        if (at < 0)
            ql_j_raise(j, "%s() got an unexpected keyword argument '%.*s'", func, shown, args->names[i]->s);
        if (out[at].type != QL_J_MISSING)
            ql_j_raise(j, "%s() got multiple values for argument '%.*s'", func, shown, args->names[i]->s);
        out[at] = args->named[i];
    }
    for (int i = 0; i < required; i++)
        if (out[i].type == QL_J_MISSING)
            ql_j_raise(j, "%s() misses argument %d", func, i + 1);
}

ql_jval ql_j_call_method(ql_jinja *j, const ql_jmethod *method, const ql_jargs *args)
{
    const ql_jmethod_def *def = method->def;
    if (def->variadic)
        return def->variadic(j, method->self, args);
    if (!def->call)
        ql_j_raise(j, "the method %s() is not supported in a chat template", def->name);
    ql_jval a[QL_J_MAX_PARAMS];
    ql_j_bind_args(j, def->name, def->params, def->required, args, a);
    return def->call(j, method->self, a);
}

int64_t ql_j_int_arg(ql_jinja *j, ql_jval v, int64_t missing, const char *what)
{
    int64_t i = missing;
    ql_j_want(j, v);
    if (v.type != QL_J_MISSING && !ql_j_as_index(v, &i))
        ql_j_raise(j, "%s must be an integer, not %s", what, ql_j_type_name(v));
    return i;
}

ql_jstr *ql_j_str_arg(ql_jinja *j, ql_jval v, const char *what)
{
    ql_j_want(j, v);
    if (v.type != QL_J_STR)
        ql_j_raise(j, "%s must be str, not %s", what, ql_j_type_name(v));
    return v.u.s;
}
