// SPDX-License-Identifier: MIT
// Owns the filters that look at a whole sequence at once.
#include "text/jinja_filter.h"
#include "text/jinja_num.h"
#include "text/jinja_object.h"
#include "text/jinja_text.h"

static ql_jval f_length(ql_jinja *j, ql_jval *a)
{
    int64_t len;
    if (a[0].type == QL_J_LOOP)
        return ql_j_getattr(j, a[0], ql_j_cstr(j, "length"));
    if (!ql_j_len(a[0], &len))
        ql_j_raise(j, "object of type '%s' has no len()", ql_j_type_name(a[0]));
    return ql_j_int(len);
}

static ql_jval f_first(ql_jinja *j, ql_jval *a)
{
    ql_jval v;
    return ql_j_next(j, ql_j_iter(j, a[0]), &v) ? v : ql_j_undef_hint(j, "No first item, sequence was empty.");
}

static ql_jval f_last(ql_jinja *j, ql_jval *a)
{
    ql_jval v;
    ql_jiter *it = ql_j_reversed(j, a[0]);
    if (!it)
        ql_j_raise(j, "'%s' object is not reversible", ql_j_type_name(a[0]));
    return ql_j_next(j, it, &v) ? v : ql_j_undef_hint(j, "No last item, sequence was empty.");
}

static ql_jval f_list(ql_jinja *j, ql_jval *a) { return ql_j_listv(ql_j_to_list(j, a[0])); }

static ql_jval f_join(ql_jinja *j, ql_jval *a)
{
    ql_jpath path = ql_j_path(j, a[2]);
    const ql_jstr *separator = a[1].type == QL_J_MISSING ? ql_j_cstr(j, "") : ql_j_to_str(j, a[1]);
    ql_jbuild b;
    ql_jval item;
    bool first = true;
    ql_j_build(j, &b);
    for (ql_jiter *it = ql_j_iter(j, a[0]); ql_j_next(j, it, &item); first = false) {
        if (!first)
            ql_j_put_str(&b, separator);
        ql_j_put_value(&b, ql_j_follow(j, &path, item));
    }
    return ql_j_strv(ql_j_take(&b));
}

static ql_jval f_sum(ql_jinja *j, ql_jval *a)
{
    ql_jpath path = ql_j_path(j, a[1]);
    ql_jval sum = a[2].type == QL_J_MISSING ? ql_j_int(0) : a[2], item;
    if (sum.type == QL_J_STR)
        ql_j_raise(j, "sum() can't sum strings");
    for (ql_jiter *it = ql_j_iter(j, a[0]); ql_j_next(j, it, &item);)
        sum = ql_j_operate(j, QL_J_ADD, sum, ql_j_follow(j, &path, item));
    return sum;
}

static ql_jval extreme(ql_jinja *j, ql_jval *a, ql_jorder better)
{
    ql_jpath path = ql_j_path(j, a[2]);
    bool fold = !ql_j_truth(a[1]), any = false;
    ql_jval best = ql_j_none(), best_key = best, item;
    for (ql_jiter *it = ql_j_iter(j, a[0]); ql_j_next(j, it, &item);) {
        ql_jval key = ql_j_follow(j, &path, item);
        if (fold)
            key = ql_j_fold_case(j, key);
        if (any && !ql_j_compare(j, better, key, best_key))
            continue;
        any = true;
        best = item;
        best_key = key;
    }
    return any ? best : ql_j_undef_hint(j, "No aggregated item, sequence was empty.");
}

static ql_jval f_min(ql_jinja *j, ql_jval *a) { return extreme(j, a, QL_J_LT); }
static ql_jval f_max(ql_jinja *j, ql_jval *a) { return extreme(j, a, QL_J_GT); }

// The paths of "a,b.c".
static ql_jpath *split_paths(ql_jinja *j, ql_jval attribute, size_t *n)
{
    *n = 1;
    const ql_jstr *s = attribute.type == QL_J_STR ? attribute.u.s : NULL;
    for (size_t i = 0; s && i < s->len; i++)
        *n += s->s[i] == ',';
    ql_jpath *paths = ql_j_array(j, *n, sizeof *paths);
    if (!s) {
        paths[0] = ql_j_path(j, attribute);
        return paths;
    }
    for (size_t i = 0, from = 0, at = 0; at <= s->len; at++) {
        if (at < s->len && s->s[at] != ',')
            continue;
        paths[i++] = ql_j_path(j, ql_j_strv(ql_j_sub(j, s, from, at)));
        from = at + 1;
    }
    return paths;
}

static ql_jval f_sort(ql_jinja *j, ql_jval *a)
{
    size_t n_paths;
    ql_jpath *paths = split_paths(j, a[3], &n_paths);
    ql_jlist *list = ql_j_to_list(j, a[0]);
    ql_jval *keys = ql_j_array(j, list->n, sizeof *keys);
    for (size_t i = 0; i < list->n; i++) {
        ql_jlist *key = ql_j_list(j, n_paths);
        for (size_t k = 0; k < n_paths; k++) {
            ql_jval v = ql_j_follow(j, &paths[k], list->items[i]);
            ql_j_push(j, key, ql_j_truth(a[2]) ? v : ql_j_fold_case(j, v));
        }
        keys[i] = ql_j_listv(key);
    }
    ql_j_sort(j, keys, list->items, list->n, ql_j_truth(a[1]));
    return ql_j_listv(list);
}

static ql_jval f_dictsort(ql_jinja *j, ql_jval *a)
{
    bool by_value = ql_j_is_str(a[2], "value");
    ql_j_want(j, a[0]);
    if (a[2].type != QL_J_MISSING && !by_value && !ql_j_is_str(a[2], "key"))
        ql_j_raise(j, "you can only sort by either \"key\" or \"value\"");
    if (a[0].type != QL_J_DICT)
        ql_j_raise(j, "'%s' object has no attribute 'items'", ql_j_type_name(a[0]));
    const ql_jdict *dict = a[0].u.dict;
    ql_jval *keys = ql_j_array(j, dict->n, sizeof *keys);
    ql_jlist *list = ql_j_list(j, dict->n);
    for (size_t i = 0; i < dict->n; i++) {
        ql_j_push(j, list, ql_j_pair(j, dict->entries[i].key, dict->entries[i].value));
        ql_jval key = by_value ? dict->entries[i].value : dict->entries[i].key;
        keys[i] = ql_j_truth(a[1]) ? key : ql_j_fold_case(j, key);
    }
    ql_j_sort(j, keys, list->items, list->n, ql_j_truth(a[3]));
    return ql_j_listv(list);
}

static ql_jval f_groupby(ql_jinja *j, ql_jval *a)
{
    bool sensitive = ql_j_truth(a[3]);
    ql_jpath path = ql_j_path(j, a[1]);
    if (a[2].type != QL_J_NONE)
        path.fallback = a[2];
    ql_jlist *list = ql_j_to_list(j, a[0]), *out = ql_j_list(j, 0), *group = NULL;
    ql_jval *keys = ql_j_array(j, list->n, sizeof *keys);
    for (size_t i = 0; i < list->n; i++) {
        keys[i] = ql_j_follow(j, &path, list->items[i]);
        if (!sensitive)
            keys[i] = ql_j_fold_case(j, keys[i]);
    }
    ql_j_sort(j, keys, list->items, list->n, false);
    for (size_t i = 0; i < list->n; i++) {
        if (!group || !ql_j_equal(j, keys[i - 1], keys[i])) {
            group = ql_j_list(j, 0);
            ql_jval grouper = sensitive ? keys[i] : ql_j_follow(j, &path, list->items[i]);
            ql_jval pair = ql_j_pair(j, grouper, ql_j_listv(group));
            pair.u.list->group = true;
            ql_j_push(j, out, pair);
        }
        ql_j_push(j, group, list->items[i]);
    }
    return ql_j_listv(out);
}

const ql_jfilter ql_j_seq_filters[] = {
    {.name = "length", .apply = f_length, .params = "/"},
    {.name = "count", .apply = f_length, .params = "/"},
    {.name = "first", .apply = f_first, .params = ""},
    {.name = "last", .apply = f_last, .params = ""},
    {.name = "list", .apply = f_list, .params = ""},
    {.name = "join", .apply = f_join, .params = "d attribute"},
    {.name = "sum", .apply = f_sum, .params = "attribute start"},
    {.name = "min", .apply = f_min, .params = "case_sensitive attribute"},
    {.name = "max", .apply = f_max, .params = "case_sensitive attribute"},
    {.name = "sort", .apply = f_sort, .params = "reverse case_sensitive attribute"},
    {.name = "dictsort", .apply = f_dictsort, .params = "case_sensitive by reverse"},
    {.name = "groupby", .apply = f_groupby, .params = "attribute default case_sensitive", .required = 1},
    {0},
};
