// SPDX-License-Identifier: MIT
// Owns the lookup and calling of filters, attribute paths, and the filters that fit nowhere else.
#include "text/jinja_filter.h"

#include "text/jinja_char.h"
#include "text/jinja_object.h"
#include "text/jinja_text.h"

const ql_jfilter *ql_j_find_filter(const ql_jstr *name)
{
    const ql_jfilter *const tables[] = {ql_j_text_filters, ql_j_seq_filters, ql_j_lazy_filters, ql_j_misc_filters,
                                        ql_j_number_filters};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        for (const ql_jfilter *filter = tables[i]; filter->name; filter++)
            if (ql_j_str_is(name, filter->name))
                return filter;
    return NULL;
}

const ql_jfilter *ql_j_want_filter(ql_jinja *j, ql_jval name)
{
    ql_j_want(j, name);
    const ql_jfilter *filter = name.type == QL_J_STR ? ql_j_find_filter(name.u.s) : NULL;
    const ql_jstr *shown = ql_j_to_str(j, name);
    if (!filter)
        ql_j_raise(j, "no filter named '%.*s'", shown->len < 60 ? (int)shown->len : 60, shown->s);
    return filter;
}

ql_jval ql_j_call_filter(ql_jinja *j, const ql_jfilter *filter, ql_jval v, const ql_jargs *args)
{
    if (filter->variadic)
        return filter->variadic(j, v, args);
    ql_jval a[QL_J_MAX_PARAMS + 1];
    a[0] = v;
    ql_j_bind_args(j, filter->name, filter->params, filter->required, args, a + 1);
    return filter->apply(j, a);
}

// ---- attribute paths

static ql_jval path_part(ql_jinja *j, const ql_jstr *s, size_t from, size_t to)
{
    int64_t n = 0;
    bool digits = to > from && to - from < 18;
    for (size_t i = from; i < to && digits; i++) {
        digits = s->s[i] >= '0' && s->s[i] <= '9';
        n = n * 10 + (s->s[i] - '0');
    }
    return digits ? ql_j_int(n) : ql_j_strv(ql_j_plain(j, ql_j_sub(j, s, from, to)));
}

ql_jpath ql_j_path(ql_jinja *j, ql_jval attribute)
{
    ql_jpath path = {.fallback = ql_j_missing()};
    ql_jlist *parts = ql_j_list(j, 0);
    if (attribute.type == QL_J_STR) {
        const ql_jstr *s = attribute.u.s;
        for (size_t from = 0, at = 0; at <= s->len; at++) {
            if (at < s->len && s->s[at] != '.')
                continue;
            ql_j_push(j, parts, path_part(j, s, from, at));
            from = at + 1;
        }
    } else if (attribute.type != QL_J_NONE && attribute.type != QL_J_MISSING) {
        ql_j_push(j, parts, attribute);
    }
    path.parts = parts->items;
    path.n = parts->n;
    return path;
}

ql_jval ql_j_follow(ql_jinja *j, const ql_jpath *path, ql_jval item)
{
    for (size_t i = 0; i < path->n; i++) {
        ql_j_step(j);
        item = ql_j_getitem(j, item, path->parts[i]);
        if (item.type == QL_J_UNDEFINED && path->fallback.type != QL_J_MISSING)
            item = path->fallback;
    }
    return item;
}

ql_jval ql_j_fold_case(ql_jinja *j, ql_jval v)
{
    return v.type == QL_J_STR ? ql_j_strv(ql_j_recase(j, v.u.s, QL_J_LOWER)) : v;
}

// ---- default, attr, tojson, random

static ql_jval f_default(ql_jinja *j, ql_jval *a)
{
    bool use = a[0].type == QL_J_UNDEFINED || (ql_j_truth(a[2]) && !ql_j_truth(a[0]));
    if (!use)
        return a[0];
    return a[1].type == QL_J_MISSING ? ql_j_strv(ql_j_cstr(j, "")) : a[1];
}

static ql_jval f_attr(ql_jinja *j, ql_jval *a)
{
    ql_j_want(j, a[1]);
    if (a[1].type != QL_J_STR)
        ql_j_raise(j, "attribute name must be string, not '%s'", ql_j_type_name(a[1]));
    return ql_j_attribute(j, a[0], a[1].u.s);
}

static ql_jval f_tojson(ql_jinja *j, ql_jval *a)
{
    ql_jjson options = {.ensure_ascii = ql_j_truth(a[1]), .indent = a[2], .separators = a[3],
                        .sort_keys = ql_j_truth(a[4])};
    return ql_j_strv(ql_j_to_json(j, a[0], &options));
}

static ql_jval f_pprint(ql_jinja *j, ql_jval *a) { return ql_j_strv(ql_j_pprint(j, a[0])); }

static ql_jval f_random(ql_jinja *j, ql_jval *a)
{
    (void)a;
    ql_j_raise(j, "the filter 'random' is not supported in a chat template");
}

static ql_jval f_urlize(ql_jinja *j, ql_jval v, const ql_jargs *args)
{
    (void)v, (void)args;
    ql_j_raise(j, "the filter 'urlize' is not supported in a chat template");
}

const ql_jfilter ql_j_misc_filters[] = {
    {.name = "default", .apply = f_default, .params = "default_value boolean"},
    {.name = "d", .apply = f_default, .params = "default_value boolean"},
    {.name = "attr", .apply = f_attr, .params = "name", .required = 1},
    {.name = "tojson", .apply = f_tojson, .params = "ensure_ascii indent separators sort_keys"},
    {.name = "pprint", .apply = f_pprint, .params = ""},
    {.name = "random", .apply = f_random, .params = ""},
    {.name = "urlize", .variadic = f_urlize},
    {0},
};
