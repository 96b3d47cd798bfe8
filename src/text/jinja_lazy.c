// SPDX-License-Identifier: MIT
// Owns the filters that are generators in jinja2: nothing happens before the first value is asked for, errors included.
#include "text/jinja_filter.h"
#include "text/jinja_object.h"
#include "text/jinja_text.h"

typedef struct lazy {
    ql_jval value;
    ql_jargs args; // of the filter; from the first value on, of what it calls
    bool reject, by_attr;
    bool has_path;
    ql_jpath path;
    const ql_jfilter *filter;
    const ql_jtest *test;
    ql_jdict *seen;
    ql_jval a[3]; // bound arguments
} lazy;

static ql_jval make(ql_jinja *j, lazy *state, bool (*next)(ql_jinja *j, ql_jiter *it, ql_jval *out))
{
    ql_jiter *it = QL_J_NEW(j, ql_jiter);
    *it = (ql_jiter){.next = next, .type = "generator", .state = state};
    return ql_j_iterv(it);
}

static lazy *new_lazy(ql_jinja *j, ql_jval v, const ql_jargs *args)
{
    lazy *state = QL_J_NEW(j, lazy);
    state->value = v;
    if (args)
        state->args = *args;
    return state;
}

// `if value:` and `for item in value`; false: there is nothing to do.
static bool begin(ql_jinja *j, ql_jiter *it, ql_jval value)
{
    it->started = true;
    if (!ql_j_truth(value))
        return false;
    it->inner = ql_j_iter(j, value);
    return true;
}

static void drop_first(ql_jargs *args)
{
    args->pos++;
    args->n--;
}

// ---- map

static void prepare_map(ql_jinja *j, lazy *m)
{
    ql_jargs *args = &m->args;
    ql_jval attribute = ql_j_missing(), fallback = ql_j_missing();
    for (size_t i = 0; args->n == 0 && i < args->n_named; i++) {
        if (ql_j_str_is(args->names[i], "attribute"))
            attribute = args->named[i];
        else if (ql_j_str_is(args->names[i], "default"))
            fallback = args->named[i];
        else
            ql_j_raise(j, "map: unexpected keyword argument '%.*s'",
                       args->names[i]->len < 60 ? (int)args->names[i]->len : 60, args->names[i]->s);
    }
    if (attribute.type != QL_J_MISSING) {
        m->has_path = true;
        m->path = ql_j_path(j, attribute);
        m->path.fallback = fallback.type == QL_J_NONE ? ql_j_missing() : fallback;
        return;
    }
    if (!args->n)
        ql_j_raise(j, "map requires a filter argument");
    m->filter = ql_j_want_filter(j, args->pos[0]);
    drop_first(args);
}

static bool next_map(ql_jinja *j, ql_jiter *it, ql_jval *out)
{
    lazy *m = it->state;
    if (!it->started && begin(j, it, m->value))
        prepare_map(j, m);
    if (!it->inner || !ql_j_next(j, it->inner, out))
        return false;
    *out = m->has_path ? ql_j_follow(j, &m->path, *out) : ql_j_call_filter(j, m->filter, *out, &m->args);
    return true;
}

static ql_jval f_map(ql_jinja *j, ql_jval v, const ql_jargs *args) { return make(j, new_lazy(j, v, args), next_map); }

// ---- select, reject, selectattr, rejectattr

static void prepare_select(ql_jinja *j, lazy *s)
{
    if (s->by_attr) {
        if (!s->args.n)
            ql_j_raise(j, "missing parameter for attribute name");
        s->path = ql_j_path(j, s->args.pos[0]);
        drop_first(&s->args);
    }
    if (s->args.n) {
        s->test = ql_j_want_test(j, s->args.pos[0]);
        drop_first(&s->args);
    }
}

static bool next_select(ql_jinja *j, ql_jiter *it, ql_jval *out)
{
    lazy *s = it->state;
    if (!it->started && begin(j, it, s->value))
        prepare_select(j, s);
    while (it->inner && ql_j_next(j, it->inner, out)) {
        ql_jval v = s->by_attr ? ql_j_follow(j, &s->path, *out) : *out;
        if ((s->test ? ql_j_call_test(j, s->test, v, &s->args) : ql_j_truth(v)) != s->reject)
            return true;
    }
    return false;
}

static ql_jval select_by(ql_jinja *j, ql_jval v, const ql_jargs *args, bool reject, bool by_attr)
{
    lazy *state = new_lazy(j, v, args);
    state->reject = reject;
    state->by_attr = by_attr;
    return make(j, state, next_select);
}

static ql_jval f_select(ql_jinja *j, ql_jval v, const ql_jargs *args) { return select_by(j, v, args, false, false); }
static ql_jval f_reject(ql_jinja *j, ql_jval v, const ql_jargs *args) { return select_by(j, v, args, true, false); }
static ql_jval f_selectattr(ql_jinja *j, ql_jval v, const ql_jargs *args) { return select_by(j, v, args, false, true); }
static ql_jval f_rejectattr(ql_jinja *j, ql_jval v, const ql_jargs *args) { return select_by(j, v, args, true, true); }

// ---- unique

static bool next_unique(ql_jinja *j, ql_jiter *it, ql_jval *out)
{
    lazy *u = it->state;
    if (!it->started) {
        it->started = true;
        it->inner = ql_j_iter(j, u->value);
        u->path = ql_j_path(j, u->a[1]);
        u->seen = ql_j_dict(j);
    }
    while (ql_j_next(j, it->inner, out)) {
        ql_jval key = ql_j_follow(j, &u->path, *out);
        if (!ql_j_truth(u->a[0]))
            key = ql_j_fold_case(j, key);
        size_t before = u->seen->n;
        ql_j_set(j, u->seen, key, ql_j_none());
        if (u->seen->n > before)
            return true;
    }
    return false;
}

static ql_jval f_unique(ql_jinja *j, ql_jval *a)
{
    lazy *state = new_lazy(j, a[0], NULL);
    state->a[0] = a[1];
    state->a[1] = a[2];
    return make(j, state, next_unique);
}

// ---- items, batch, slice: everything is made when the first value is asked for

static ql_jlist *make_items(ql_jinja *j, lazy *s)
{
    if (s->value.type == QL_J_UNDEFINED)
        return ql_j_list(j, 0);
    if (s->value.type != QL_J_DICT)
        ql_j_raise(j, "can only get item pairs from a mapping");
    ql_jview view = {s->value.u.dict, QL_J_ITEMS};
    return ql_j_to_list(j, (ql_jval){.type = QL_J_VIEW, .u.view = &view});
}

static ql_jlist *make_batches(ql_jinja *j, lazy *s)
{
    ql_jlist *out = ql_j_list(j, 0), *batch = ql_j_list(j, 0);
    ql_jval item;
    int64_t size = -1;
    ql_j_as_index(s->a[0], &size);
    for (ql_jiter *it = ql_j_iter(j, s->value); ql_j_next(j, it, &item);) {
        if ((int64_t)batch->n == size) {
            ql_j_push(j, out, ql_j_listv(batch));
            batch = ql_j_list(j, 0);
        }
        ql_j_push(j, batch, item);
    }
    bool fill = s->a[1].type != QL_J_MISSING && s->a[1].type != QL_J_NONE;
    if (fill && batch->n && !ql_j_is_number(s->a[0]))
        ql_j_raise(j, "batch: the size must be a number");
    while (fill && batch->n && (int64_t)batch->n < size) {
        ql_j_step(j);
        ql_j_push(j, batch, s->a[1]);
    }
    if (batch->n)
        ql_j_push(j, out, ql_j_listv(batch));
    return out;
}

static ql_jlist *make_slices(ql_jinja *j, lazy *s)
{
    const ql_jlist *all = ql_j_to_list(j, s->value);
    ql_jlist *out = ql_j_list(j, 0);
    int64_t slices, offset = 0, len = (int64_t)all->n;
    if (!ql_j_as_index(s->a[0], &slices))
        ql_j_raise(j, "slice: the number of slices must be an integer");
    if (slices == 0)
        ql_j_raise(j, "integer division or modulo by zero");
    bool fill = s->a[1].type != QL_J_MISSING && s->a[1].type != QL_J_NONE;
    for (int64_t i = 0; i < slices; i++) {
        ql_j_step(j);
        bool longer = i < len % slices;
        int64_t start = offset + i * (len / slices);
        offset += longer;
        int64_t end = offset + (i + 1) * (len / slices);
        ql_jlist *slice = ql_j_list(j, 0);
        for (int64_t k = start; k < end && k < len; k++)
            ql_j_push(j, slice, all->items[k]);
        if (fill && !longer)
            ql_j_push(j, slice, s->a[1]);
        ql_j_push(j, out, ql_j_listv(slice));
    }
    return out;
}

#define NEXT_OF_LIST(name, make_list)                                   \
    static bool name(ql_jinja *j, ql_jiter *it, ql_jval *out)           \
    {                                                                   \
        if (!it->started)                                               \
            it->inner = ql_j_iter(j, ql_j_listv(make_list(j, it->state))); \
        it->started = true;                                             \
        return ql_j_next(j, it->inner, out);                            \
    }
NEXT_OF_LIST(next_items, make_items)
NEXT_OF_LIST(next_batch, make_batches)
NEXT_OF_LIST(next_slice, make_slices)

static ql_jval f_items(ql_jinja *j, ql_jval *a) { return make(j, new_lazy(j, a[0], NULL), next_items); }

static lazy *bound(ql_jinja *j, ql_jval *a)
{
    lazy *state = new_lazy(j, a[0], NULL);
    state->a[0] = a[1];
    state->a[1] = a[2];
    return state;
}

static ql_jval f_batch(ql_jinja *j, ql_jval *a) { return make(j, bound(j, a), next_batch); }
static ql_jval f_slice(ql_jinja *j, ql_jval *a) { return make(j, bound(j, a), next_slice); }

// ---- reverse

static ql_jval f_reverse(ql_jinja *j, ql_jval *a)
{
    if (a[0].type == QL_J_STR)
        return ql_j_slice(j, a[0], ql_j_none(), ql_j_none(), ql_j_int(-1));
    ql_jiter *it = ql_j_reversed(j, a[0]);
    if (it)
        return ql_j_iterv(it);
    if (!ql_j_iterable(a[0]))
        ql_j_raise(j, "argument must be iterable");
    ql_jlist *list = ql_j_to_list(j, a[0]);
    return ql_j_listv(ql_j_to_list(j, ql_j_iterv(ql_j_reversed(j, ql_j_listv(list)))));
}

const ql_jfilter ql_j_lazy_filters[] = {
    {.name = "map", .variadic = f_map},
    {.name = "select", .variadic = f_select},
    {.name = "reject", .variadic = f_reject},
    {.name = "selectattr", .variadic = f_selectattr},
    {.name = "rejectattr", .variadic = f_rejectattr},
    {.name = "unique", .apply = f_unique, .params = "case_sensitive attribute"},
    {.name = "items", .apply = f_items, .params = ""},
    {.name = "batch", .apply = f_batch, .params = "linecount fill_with", .required = 1},
    {.name = "slice", .apply = f_slice, .params = "slices fill_with", .required = 1},
    {.name = "reverse", .apply = f_reverse, .params = ""},
    {0},
};
