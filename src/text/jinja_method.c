// SPDX-License-Identifier: MIT
// Owns the methods of containers and numbers, and str.format().
#include <math.h>

#include "text/jinja_filter.h"
#include "text/jinja_num.h"
#include "text/jinja_object.h"
#include "text/jinja_text.h"

static ql_jval view(ql_jinja *j, ql_jval self, ql_jview_kind kind)
{
    ql_jview *v = QL_J_NEW(j, ql_jview);
    *v = (ql_jview){self.u.dict, kind};
    return (ql_jval){.type = QL_J_VIEW, .u.view = v};
}

static ql_jval m_keys(ql_jinja *j, ql_jval self, ql_jval *a) { return (void)a, view(j, self, QL_J_KEYS); }
static ql_jval m_values(ql_jinja *j, ql_jval self, ql_jval *a) { return (void)a, view(j, self, QL_J_VALUES); }
static ql_jval m_items(ql_jinja *j, ql_jval self, ql_jval *a) { return (void)a, view(j, self, QL_J_ITEMS); }

static ql_jval m_get(ql_jinja *j, ql_jval self, ql_jval *a)
{
    uint32_t hash;
    if (!ql_j_hash(j, a[0], &hash))
        ql_j_raise(j, "unhashable type: '%s'", ql_j_type_name(a[0]));
    const ql_jval *v = ql_j_get(j, self.u.dict, a[0]);
    return v ? *v : a[1].type == QL_J_MISSING ? ql_j_none() : a[1];
}

static ql_jval m_dict_copy(ql_jinja *j, ql_jval self, ql_jval *a)
{
    (void)a;
    ql_jdict *copy = ql_j_dict(j);
    for (size_t i = 0; i < self.u.dict->n; i++)
        ql_j_set(j, copy, self.u.dict->entries[i].key, self.u.dict->entries[i].value);
    return ql_j_dictv(copy);
}

static ql_jval m_fromkeys(ql_jinja *j, ql_jval self, ql_jval *a)
{
    (void)self;
    ql_jdict *dict = ql_j_dict(j);
    ql_jval key;
    for (ql_jiter *it = ql_j_iter(j, a[0]); ql_j_next(j, it, &key);)
        ql_j_set(j, dict, key, a[1].type == QL_J_MISSING ? ql_j_none() : a[1]);
    return ql_j_dictv(dict);
}

static ql_jval m_list_copy(ql_jinja *j, ql_jval self, ql_jval *a)
{
    (void)a;
    return ql_j_listv(ql_j_to_list(j, self));
}

static ql_jval m_list_count(ql_jinja *j, ql_jval self, ql_jval *a)
{
    int64_t n = 0, len = 0;
    ql_j_len(self, &len);
    for (int64_t i = 0; i < len; i++) {
        ql_jval v = ql_j_item_at(j, self, (size_t)i);
        n += ql_j_same(v, a[0]) || ql_j_equal(j, v, a[0]);
    }
    return ql_j_int(n);
}

static ql_jval m_list_index(ql_jinja *j, ql_jval self, ql_jval *a)
{
    int64_t len = 0, bounds[2] = {0, INT64_MAX};
    ql_j_len(self, &len);
    for (int i = 0; i < 2; i++) {
        if (a[i + 1].type != QL_J_MISSING && !ql_j_as_index(a[i + 1], &bounds[i]))
            ql_j_raise(j, "slice indices must be integers");
        if (bounds[i] < 0)
            bounds[i] = bounds[i] + len < 0 ? 0 : bounds[i] + len;
    }
    for (int64_t i = bounds[0]; i < len && i < bounds[1]; i++) {
        ql_jval v = ql_j_item_at(j, self, (size_t)i);
        if (ql_j_same(v, a[0]) || ql_j_equal(j, v, a[0]))
            return ql_j_int(i);
    }
    ql_j_raise(j, "the value is not in the %s", ql_j_type_name(self));
}

static ql_jval m_is_integer(ql_jinja *j, ql_jval self, ql_jval *a)
{
    (void)j, (void)a;
    return ql_j_bool(isfinite(self.u.f) && self.u.f == floor(self.u.f));
}

static ql_jval m_bit_length(ql_jinja *j, ql_jval self, ql_jval *a)
{
    (void)j, (void)a;
    int64_t v = 0, n = 0;
    ql_j_as_index(self, &v);
    for (uint64_t left = v < 0 ? 0 - (uint64_t)v : (uint64_t)v; left; left >>= 1)
        n++;
    return ql_j_int(n);
}

const ql_jmethod_def ql_j_container_methods[] = {
    {.type = QL_J_DICT, .name = "copy", .call = m_dict_copy, .params = "/"},
    {.type = QL_J_DICT, .name = "fromkeys", .call = m_fromkeys, .params = "iterable value /", .required = 1},
    {.type = QL_J_FUNC, .name = "fromkeys", .call = m_fromkeys, .params = "iterable value /", .required = 1},
    {.type = QL_J_DICT, .name = "get", .call = m_get, .params = "key default /", .required = 1},
    {.type = QL_J_DICT, .name = "items", .call = m_items, .params = "/"},
    {.type = QL_J_DICT, .name = "keys", .call = m_keys, .params = "/"},
    {.type = QL_J_DICT, .name = "values", .call = m_values, .params = "/"},
    {.type = QL_J_LIST, .name = "copy", .call = m_list_copy, .params = "/"},
    {.type = QL_J_LIST, .name = "count", .call = m_list_count, .params = "value /", .required = 1},
    {.type = QL_J_LIST, .name = "index", .call = m_list_index, .params = "value start stop /", .required = 1},
    {.type = QL_J_TUPLE, .name = "count", .call = m_list_count, .params = "value /", .required = 1},
    {.type = QL_J_TUPLE, .name = "index", .call = m_list_index, .params = "value start stop /", .required = 1},
    {.type = QL_J_RANGE, .name = "count", .call = m_list_count, .params = "value /", .required = 1},
    {.type = QL_J_RANGE, .name = "index", .call = m_list_index, .params = "value start stop /", .required = 1},
    {.type = QL_J_FLOAT, .name = "is_integer", .call = m_is_integer, .params = "/"},
    {.type = QL_J_INT, .name = "bit_length", .call = m_bit_length, .params = "/"},
    {.type = QL_J_BOOL, .name = "bit_length", .call = m_bit_length, .params = "/"},
    {0},
};

// ---- str.format

typedef struct field_reader {
    ql_jinja *j;
    const ql_jargs *args;
    ql_jval mapping; // of format_map, or MISSING
    int64_t next;    // automatic number; -1: explicit ones were used
    bool markup;
} field_reader;

static bool all_digits(const ql_jstr *s)
{
    for (size_t i = 0; i < s->len; i++)
        if (s->s[i] < '0' || s->s[i] > '9')
            return false;
    return s->len > 0;
}

static int64_t to_number(ql_jinja *j, const ql_jstr *s)
{
    int64_t n = 0;
    for (size_t i = 0; i < s->len; i++)
        if ((n = n * 10 + (s->s[i] - '0')) > INT32_MAX)
            ql_j_raise(j, "too many decimal digits in a format string");
    return n;
}

static ql_jval argument(field_reader *r, const ql_jstr *name, bool automatic)
{
    ql_jinja *j = r->j;
    if (automatic || all_digits(name)) {
        if (automatic ? r->next < 0 : r->next > 0)
            ql_j_raise(j, "cannot switch between automatic field numbering and manual field specification");
        int64_t i = automatic ? r->next++ : to_number(j, name);
        if (!automatic)
            r->next = -1;
        if (i >= (int64_t)r->args->n)
            ql_j_raise(j, "replacement index %lld out of range for positional arguments", (long long)i);
        return r->args->pos[i];
    }
    for (size_t i = 0; i < r->args->n_named; i++)
        if (ql_j_str_equal(r->args->names[i], name))
            return r->args->named[i];
    const ql_jval *v = r->mapping.type == QL_J_DICT ? ql_j_get_str(j, r->mapping.u.dict, name) : NULL;
    if (!v)
        ql_j_raise(j, "no argument '%.*s' for a format string", name->len < 60 ? (int)name->len : 60, name->s);
    return *v;
}

// "name.attr[key]...": looked up as the template would.
static ql_jval field_value(field_reader *r, const ql_jstr *field)
{
    ql_jinja *j = r->j;
    size_t at = 0;
    while (at < field->len && field->s[at] != '.' && field->s[at] != '[')
        at++;
    ql_jval v = argument(r, ql_j_sub(j, field, 0, at), field->len == 0);
    while (at < field->len) {
        bool attr = field->s[at++] == '.';
        size_t from = at;
        while (at < field->len && (attr ? field->s[at] != '.' && field->s[at] != '[' : field->s[at] != ']'))
            at++;
        const ql_jstr *name = ql_j_sub(j, field, from, at);
        if (name->len == 0)
            ql_j_raise(j, "empty attribute in format string");
        if (!attr && at++ >= field->len)
            ql_j_raise(j, "missing ']' in format string");
        if (!attr && at < field->len && field->s[at] != '.' && field->s[at] != '[')
            ql_j_raise(j, "only '.' or '[' may follow ']' in format field specifier");
        if (attr)
            v = ql_j_getattr(j, v, name);
        else
            v = ql_j_getitem(j, v, all_digits(name) ? ql_j_int(to_number(j, name)) : ql_j_strv(name));
    }
    return v;
}

static ql_jstr *format(field_reader *r, const ql_jstr *s, int depth);

// The field between the braces from..to.
static ql_jstr *format_field(field_reader *r, const ql_jstr *s, size_t from, size_t to, int depth)
{
    ql_jinja *j = r->j;
    size_t colon = from, brackets = 0;
    while (colon < to && (brackets || (s->s[colon] != ':' && s->s[colon] != '!'))) {
        brackets += s->s[colon] == '[';
        brackets -= brackets && s->s[colon] == ']';
        colon++;
    }
    ql_jval v = field_value(r, ql_j_sub(j, s, from, colon));
    if (colon < to && s->s[colon] == '!') {
        char kind = colon + 1 < to ? s->s[colon + 1] : 0;
        if (colon + 2 < to && s->s[colon + 2] != ':')
            ql_j_raise(j, "expected ':' after conversion specifier");
        if (kind != 's' && kind != 'r' && kind != 'a')
            ql_j_raise(j, "unknown conversion specifier in a format string");
        v = ql_j_strv(kind == 's' ? ql_j_to_str(j, v) : ql_j_repr(j, v));
        colon += 2;
    }
    const ql_jstr *spec = ql_j_sub(j, s, colon < to ? colon + 1 : to, to);
    spec = format(r, ql_j_plain(j, spec), depth - 1);
    if (!r->markup)
        return ql_j_format_spec(j, v, spec);
    if (v.type == QL_J_STR && v.u.s->markup && spec->len)
        ql_j_raise(j, "unsupported format specification for Markup");
    return ql_j_escape_html(j, v.type == QL_J_STR && v.u.s->markup ? v : ql_j_strv(ql_j_format_spec(j, v, spec)));
}

// The brace that closes the field which begins at `at`.
static size_t field_end(ql_jinja *j, const ql_jstr *s, size_t at)
{
    for (size_t depth = 1, bracket = 0; at < s->len; at++) {
        char c = s->s[at];
        bracket = c == '[' ? 1 : c == ']' ? 0 : bracket;
        if (bracket)
            continue;
        depth += c == '{';
        depth -= c == '}';
        if (depth == 0)
            return at;
    }
    ql_j_raise(j, "expected '}' before end of string");
}

static ql_jstr *format(field_reader *r, const ql_jstr *s, int depth)
{
    ql_jinja *j = r->j;
    ql_jbuild b;
    size_t run = 0;
    if (depth < 0)
        ql_j_raise(j, "max string recursion exceeded");
    ql_j_build(j, &b);
    for (size_t at = 0; at < s->len;) {
        char c = s->s[at];
        if (c != '{' && c != '}') {
            at++;
            continue;
        }
        bool doubled = at + 1 < s->len && s->s[at + 1] == c;
        ql_j_put_sub(&b, s, run, at + doubled);
        if (doubled) {
            at = run = at + 2;
            continue;
        }
        if (c == '}' || at + 1 >= s->len)
            ql_j_raise(j, "single '%c' encountered in format string", c);
        size_t end = field_end(j, s, at + 1);
        ql_j_put_str(&b, format_field(r, s, at + 1, end, depth));
        at = run = end + 1;
        ql_j_step(j);
    }
    ql_j_put_sub(&b, s, run, s->len);
    return ql_j_take(&b);
}

static ql_jval run_format(ql_jinja *j, ql_jval self, const ql_jargs *args, ql_jval mapping)
{
    field_reader r = {.j = j, .args = args, .mapping = mapping, .markup = self.u.s->markup};
    return ql_j_strv(ql_j_as_markup(j, format(&r, ql_j_plain(j, self.u.s), 2), r.markup));
}

ql_jval ql_j_str_format(ql_jinja *j, ql_jval self, const ql_jargs *args)
{
    return run_format(j, self, args, ql_j_missing());
}

ql_jval ql_j_str_format_map(ql_jinja *j, ql_jval self, const ql_jargs *args)
{
    if (args->n != 1 || args->n_named)
        ql_j_raise(j, "format_map() takes exactly one argument");
    return run_format(j, self, &(ql_jargs){0}, args->pos[0]);
}
