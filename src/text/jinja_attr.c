// SPDX-License-Identifier: MIT
// Owns the lookup of attributes and items. There are no host objects: an attribute is a method from a table, a field of
// one of the few objects below, or it does not exist.
#include "text/jinja_object.h"

#include "text/jinja_ast.h"

static bool is_any(const ql_jstr *name, const char *const *names)
{
    for (; *names; names++)
        if (ql_j_str_is(name, *names))
            return true;
    return false;
}

// What jinja2's ImmutableSandboxedEnvironment does not give out.
static bool unsafe(ql_jval v, const ql_jstr *name)
{
    static const char *const of_list[] = {"append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove",
                                          NULL};
    static const char *const of_dict[] = {"clear", "pop", "popitem", "setdefault", "update", NULL};
    return (v.type == QL_J_LIST && is_any(name, of_list)) || (v.type == QL_J_DICT && is_any(name, of_dict));
}

static bool dunder(const ql_jstr *name)
{
    return name->len > 4 && memcmp(name->s, "__", 2) == 0 && memcmp(name->s + name->len - 2, "__", 2) == 0;
}

// Those that every Python object has, an undefined one too.
static bool common_dunder(const ql_jstr *name)
{
    static const char *const names[] = {
        "__class__", "__delattr__", "__dir__", "__doc__", "__eq__", "__format__", "__ge__", "__getattribute__",
        "__getstate__", "__gt__", "__hash__", "__init__", "__init_subclass__", "__le__", "__lt__", "__module__",
        "__ne__", "__new__", "__reduce__", "__reduce_ex__", "__repr__", "__setattr__", "__sizeof__", "__slots__",
        "__str__", "__subclasshook__", NULL};
    return is_any(name, names);
}

static bool method(ql_jinja *j, ql_jval v, const ql_jmethod_def *defs, const ql_jstr *name, ql_jval *out)
{
    for (; defs->name; defs++) {
        if ((defs->type && defs->type != v.type) || !ql_j_str_is(name, defs->name))
            continue;
        ql_jmethod *bound = QL_J_NEW(j, ql_jmethod);
        *bound = (ql_jmethod){v, defs};
        *out = (ql_jval){.type = QL_J_METHOD, .u.method = bound};
        return true;
    }
    return false;
}

// ---- loop

static bool peek(ql_jinja *j, ql_jloop *loop)
{
    if (loop->after.type == QL_J_MISSING && !ql_j_next(j, loop->it, &loop->after))
        loop->after = ql_j_missing();
    return loop->after.type != QL_J_MISSING;
}

bool ql_j_loop_next(ql_jinja *j, ql_jloop *loop, ql_jval *item)
{
    if (loop->after.type != QL_J_MISSING) {
        *item = loop->after;
        loop->after = ql_j_missing();
    } else if (!ql_j_next(j, loop->it, item)) {
        return false;
    }
    loop->index0++;
    loop->before = loop->current;
    loop->current = *item;
    return true;
}

static int64_t loop_length(ql_jinja *j, ql_jloop *loop)
{
    if (loop->length < 0 && !ql_j_len(loop->iterable, &loop->length)) {
        ql_jlist *rest = ql_j_to_list(j, ql_j_iterv(loop->it));
        loop->it = ql_j_iter(j, ql_j_listv(rest));
        loop->length = (int64_t)rest->n + loop->index0 + 1 + (loop->after.type != QL_J_MISSING);
    }
    return loop->length;
}

static ql_jval loop_cycle(ql_jinja *j, ql_jval self, const ql_jargs *args)
{
    if (args->n_named || !args->n)
        ql_j_raise(j, "no items for cycling given");
    return args->pos[(size_t)self.u.loop->index0 % args->n];
}

static ql_jval loop_changed(ql_jinja *j, ql_jval self, const ql_jargs *args)
{
    if (args->n_named)
        ql_j_raise(j, "changed() takes no keyword arguments");
    ql_jlist *list = ql_j_list(j, args->n);
    for (size_t i = 0; i < args->n; i++)
        ql_j_push(j, list, args->pos[i]);
    ql_jval now = ql_j_tuplev(list), *last = &self.u.loop->changed;
    bool changed = last->type == QL_J_MISSING || !ql_j_equal(j, *last, now);
    if (changed)
        *last = now;
    return ql_j_bool(changed);
}

static bool loop_attr(ql_jinja *j, ql_jval v, const ql_jstr *name, ql_jval *out)
{
    static const ql_jmethod_def methods[] = {{.name = "cycle", .variadic = loop_cycle},
                                             {.name = "changed", .variadic = loop_changed}, {0}};
    ql_jloop *loop = v.u.loop;
    if (method(j, v, methods, name, out))
        return true;
    if (ql_j_str_is(name, "index"))
        *out = ql_j_int(loop->index0 + 1);
    else if (ql_j_str_is(name, "index0"))
        *out = ql_j_int(loop->index0);
    else if (ql_j_str_is(name, "first"))
        *out = ql_j_bool(loop->index0 == 0);
    else if (ql_j_str_is(name, "last"))
        *out = ql_j_bool(!peek(j, loop));
    else if (ql_j_str_is(name, "length"))
        *out = ql_j_int(loop_length(j, loop));
    else if (ql_j_str_is(name, "revindex"))
        *out = ql_j_int(loop_length(j, loop) - loop->index0);
    else if (ql_j_str_is(name, "revindex0"))
        *out = ql_j_int(loop_length(j, loop) - loop->index0 - 1);
    else if (ql_j_str_is(name, "previtem"))
        *out = loop->index0 == 0 ? ql_j_undef_hint(j, "there is no previous item") : loop->before;
    else if (ql_j_str_is(name, "nextitem"))
        *out = peek(j, loop) ? loop->after : ql_j_undef_hint(j, "there is no next item");
    else if (ql_j_str_is(name, "depth"))
        *out = ql_j_int(loop->depth0 + 1);
    else if (ql_j_str_is(name, "depth0"))
        *out = ql_j_int(loop->depth0);
    else
        return false;
    return true;
}

// ---- other objects

static ql_jval cycler_next(ql_jinja *j, ql_jval self, ql_jval *a)
{
    (void)j, (void)a;
    ql_jcycler *cycler = self.u.cycler;
    ql_jval v = cycler->items->items[cycler->at];
    cycler->at = (cycler->at + 1) % cycler->items->n;
    return v;
}

static ql_jval cycler_reset(ql_jinja *j, ql_jval self, ql_jval *a)
{
    (void)j, (void)a;
    self.u.cycler->at = 0;
    return ql_j_none();
}

static bool cycler_attr(ql_jinja *j, ql_jval v, const ql_jstr *name, ql_jval *out)
{
    static const ql_jmethod_def methods[] = {{.name = "next", .call = cycler_next, .params = ""},
                                             {.name = "reset", .call = cycler_reset, .params = ""}, {0}};
    const ql_jcycler *cycler = v.u.cycler;
    if (method(j, v, methods, name, out))
        return true;
    if (ql_j_str_is(name, "current"))
        *out = cycler->items->items[cycler->at];
    else if (ql_j_str_is(name, "pos"))
        *out = ql_j_int((int64_t)cycler->at);
    else if (ql_j_str_is(name, "items"))
        *out = ql_j_tuplev(cycler->items);
    else
        return false;
    return true;
}

static bool macro_attr(ql_jinja *j, ql_jval v, const ql_jstr *name, ql_jval *out)
{
    const ql_jmacro *code = v.u.macro->code;
    if (ql_j_str_is(name, "name")) {
        *out = code->name ? ql_j_strv(code->name) : ql_j_none();
    } else if (ql_j_str_is(name, "arguments")) {
        ql_jlist *list = ql_j_list(j, code->n_params);
        for (const ql_jnode *param = code->params; param; param = param->next)
            ql_j_push(j, list, ql_j_strv(param->name));
        *out = ql_j_tuplev(list);
    } else if (ql_j_str_is(name, "catch_kwargs")) {
        *out = ql_j_bool(code->uses_kwargs);
    } else if (ql_j_str_is(name, "catch_varargs")) {
        *out = ql_j_bool(code->uses_varargs);
    } else if (ql_j_str_is(name, "caller")) {
        *out = ql_j_bool(code->uses_caller);
    } else {
        return false;
    }
    return true;
}

static bool number_attr(ql_jval v, const ql_jstr *name, ql_jval *out)
{
    bool real = v.type == QL_J_FLOAT;
    if (ql_j_str_is(name, "real") || (!real && ql_j_str_is(name, "numerator")))
        *out = v.type == QL_J_BOOL ? ql_j_int(v.u.b) : v;
    else if (ql_j_str_is(name, "imag"))
        *out = real ? ql_j_float(0.0) : ql_j_int(0);
    else if (!real && ql_j_str_is(name, "denominator"))
        *out = ql_j_int(1);
    else
        return false;
    return true;
}

static bool range_attr(const ql_jrange *r, const ql_jstr *name, ql_jval *out)
{
    if (ql_j_str_is(name, "start"))
        *out = ql_j_int(r->start);
    else if (ql_j_str_is(name, "stop"))
        *out = ql_j_int(r->stop);
    else if (ql_j_str_is(name, "step"))
        *out = ql_j_int(r->step);
    else
        return false;
    return true;
}

static bool tuple_attr(ql_jval v, const ql_jstr *name, ql_jval *out)
{
    if (!v.u.list->group || (!ql_j_str_is(name, "grouper") && !ql_j_str_is(name, "list")))
        return false;
    *out = v.u.list->items[ql_j_str_is(name, "list")];
    return true;
}

// getattr(v, name) of Python, for names without underscores in front.
static bool attribute(ql_jinja *j, ql_jval v, const ql_jstr *name, ql_jval *out)
{
    switch (v.type) {
    case QL_J_STR:
        return method(j, v, ql_j_str_methods, name, out);
    case QL_J_NAMESPACE: {
        const ql_jval *found = ql_j_get_str(j, v.u.dict, name);
        if (found)
            *out = *found;
        return found != NULL;
    }
    case QL_J_LOOP:
        return loop_attr(j, v, name, out);
    case QL_J_CYCLER:
        return cycler_attr(j, v, name, out);
    case QL_J_MACRO:
        return macro_attr(j, v, name, out);
    case QL_J_JOINER:
        if (ql_j_str_is(name, "sep"))
            *out = *v.u.joiner->separator;
        else if (ql_j_str_is(name, "used"))
            *out = ql_j_bool(v.u.joiner->used);
        else
            return false;
        return true;
    case QL_J_BOOL:
    case QL_J_INT:
    case QL_J_FLOAT:
        return number_attr(v, name, out) || method(j, v, ql_j_container_methods, name, out);
    case QL_J_RANGE:
        return range_attr(v.u.range, name, out) || method(j, v, ql_j_container_methods, name, out);
    case QL_J_TUPLE:
        return tuple_attr(v, name, out) || method(j, v, ql_j_container_methods, name, out);
    default:
        return method(j, v, ql_j_container_methods, name, out);
    }
}

// v[key] of Python; false: a TypeError or LookupError.
static bool item(ql_jinja *j, ql_jval v, ql_jval key, ql_jval *out)
{
    int64_t i, len;
    switch (v.type) {
    case QL_J_DICT: {
        const ql_jval *found = ql_j_get(j, v.u.dict, key);
        if (found)
            *out = *found;
        return found != NULL;
    }
    case QL_J_STR:
    case QL_J_LIST:
    case QL_J_TUPLE:
    case QL_J_RANGE:
        if (!ql_j_as_index(key, &i) || !ql_j_len(v, &len))
            return false;
        if (i < 0)
            i += len;
        if (i < 0 || i >= len)
            return false;
        *out = ql_j_item_at(j, v, (size_t)i);
        return true;
    case QL_J_SELF:
        for (size_t k = 0; key.type == QL_J_STR && k < j->tmpl->n_blocks; k++) {
            if (!ql_j_str_equal(j->tmpl->blocks[k]->name, key.u.s))
                continue;
            *out = (ql_jval){.type = QL_J_BLOCK, .u.block = j->tmpl->blocks[k]};
            return true;
        }
        return false;
    default:
        return false;
    }
}

// The attribute under the sandbox: true with an undefined value when it may not be seen.
static bool safe_attribute(ql_jinja *j, ql_jval v, const ql_jstr *name, ql_jval *out)
{
    bool exists = dunder(name) ? v.type != QL_J_NAMESPACE : unsafe(v, name);
    if (exists || (name->len && name->s[0] == '_' && attribute(j, v, name, out))) {
        *out = ql_j_undef_attr(j, v, ql_j_strv(name), true);
        return true;
    }
    return attribute(j, v, name, out);
}

ql_jval ql_j_getattr(ql_jinja *j, ql_jval v, const ql_jstr *name)
{
    ql_jval out;
    if (v.type == QL_J_UNDEFINED && !common_dunder(name))
        ql_j_raise_undef(j, v);
    if (safe_attribute(j, v, name, &out) || item(j, v, ql_j_strv(name), &out))
        return out;
    return ql_j_undef_attr(j, v, ql_j_strv(name), false);
}

ql_jval ql_j_attribute(ql_jinja *j, ql_jval v, const ql_jstr *name)
{
    ql_jval out;
    if (v.type == QL_J_UNDEFINED && !common_dunder(name))
        ql_j_raise_undef(j, v);
    return safe_attribute(j, v, name, &out) ? out : ql_j_undef_attr(j, v, ql_j_strv(name), false);
}

ql_jval ql_j_getitem(ql_jinja *j, ql_jval v, ql_jval key)
{
    ql_jval out;
    ql_j_want(j, v);
    if (item(j, v, key, &out))
        return out;
    if (key.type == QL_J_STR && safe_attribute(j, v, key.u.s, &out))
        return out;
    return ql_j_undef_attr(j, v, key, false);
}

// ---- slices

// Python's slice.indices(); returns the number of items.
static int64_t slice_indices(ql_jinja *j, int64_t len, ql_jval bounds[3], int64_t *start, int64_t *stop, int64_t *step)
{
    int64_t values[3];
    bool given[3];
    for (int i = 0; i < 3; i++) {
        given[i] = bounds[i].type != QL_J_NONE && bounds[i].type != QL_J_MISSING;
        if (given[i] && !ql_j_as_index(bounds[i], &values[i]))
            ql_j_raise(j, "slice indices must be integers or None");
    }
    *step = given[2] ? values[2] : 1;
    if (*step == 0)
        ql_j_raise(j, "slice step cannot be zero");
    if (*step < -INT64_MAX)
        *step = -INT64_MAX;
    int64_t low = *step > 0 ? 0 : -1, high = *step > 0 ? len : len - 1, ends[2];
    for (int i = 0; i < 2; i++) {
        int64_t v = given[i] ? values[i] : 0;
        if (v < 0)
            v = v < -len ? low : v + len;
        ends[i] = !given[i] ? ((i == 0) == (*step > 0) ? low : high) : v < low ? low : v > high ? high : v;
    }
    *start = ends[0];
    *stop = ends[1];
    int64_t distance = *step > 0 ? ends[1] - ends[0] : ends[0] - ends[1];
    int64_t stride = *step > 0 ? *step : -*step;
    return distance <= 0 ? 0 : (distance - 1) / stride + 1;
}

void ql_j_char_range(ql_jinja *j, const ql_jstr *s, ql_jval start, ql_jval stop, size_t *from, size_t *to)
{
    int64_t first, end, step;
    ql_jval bounds[3] = {start, stop, ql_j_none()};
    int64_t n = slice_indices(j, s->n_chars, bounds, &first, &end, &step);
    *from = ql_j_offset(j, s, (size_t)first);
    *to = n ? ql_j_offset(j, s, (size_t)(first + n)) : *from;
}

static ql_jval slice_str(ql_jinja *j, const ql_jstr *s, int64_t first, int64_t step, int64_t n)
{
    if (step == 1) {
        size_t from = ql_j_offset(j, s, (size_t)first);
        return ql_j_strv(ql_j_sub(j, s, from, n ? ql_j_offset(j, s, (size_t)(first + n)) : from));
    }
    ql_jbuild b;
    ql_j_build(j, &b);
    size_t at = n ? ql_j_offset(j, s, (size_t)first) : 0, len;
    int64_t stride = step > 0 ? step : -step;
    ql_j_charge(j, (n > 1 ? s->len : 0) * 16);
    for (int64_t i = 0; i < n; i++) {
        ql_j_char(s->s + at, &len);
        ql_j_put_sub(&b, s, at, at + len);
        for (int64_t k = 0; i + 1 < n && k < stride; k++) {
            if (step > 0)
                at += (ql_j_char(s->s + at, &len), len);
            else
                at -= ql_j_char_before(s->s, at);
        }
    }
    return ql_j_strv(ql_j_as_markup(j, ql_j_take(&b), s->markup));
}

static ql_jval slice_range(ql_jinja *j, const ql_jrange *whole, int64_t first, int64_t end, int64_t step, int64_t n)
{
    __int128 values[3] = {whole->start + (__int128)first * whole->step, whole->start + (__int128)end * whole->step,
                          (__int128)whole->step * step};
    for (int i = 0; i < 3; i++)
        if (values[i] > INT64_MAX || values[i] < INT64_MIN)
            ql_j_raise(j, "a range of more than 64 bits");
    ql_jrange *r = QL_J_NEW(j, ql_jrange);
    *r = (ql_jrange){(int64_t)values[0], (int64_t)values[1], (int64_t)values[2], n};
    return (ql_jval){.type = QL_J_RANGE, .u.range = r};
}

ql_jval ql_j_slice(ql_jinja *j, ql_jval v, ql_jval start, ql_jval stop, ql_jval step_value)
{
    int64_t len, first, end, step;
    ql_j_want(j, v);
    if (v.type != QL_J_STR && v.type != QL_J_LIST && v.type != QL_J_TUPLE && v.type != QL_J_RANGE)
        ql_j_raise(j, "'%s' object can not be sliced", ql_j_type_name(v));
    ql_j_len(v, &len);
    ql_jval bounds[3] = {start, stop, step_value};
    int64_t n = slice_indices(j, len, bounds, &first, &end, &step);
    if (v.type == QL_J_STR)
        return slice_str(j, v.u.s, first, step, n);
    if (v.type == QL_J_RANGE)
        return slice_range(j, v.u.range, first, end, step, n);
    ql_jlist *list = ql_j_list(j, (size_t)n);
    ql_j_charge(j, (size_t)n * sizeof(ql_jval));
    for (int64_t i = 0; i < n; i++)
        list->items[list->n++] = v.u.list->items[first + i * step];
    return (ql_jval){.type = v.type, .u.list = list};
}
