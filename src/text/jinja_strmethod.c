// SPDX-License-Identifier: MIT
// Owns the methods of str. What they return keeps the origin of every byte, and is markup where markupsafe says so.
#include "text/jinja_char.h"
#include "text/jinja_object.h"
#include "text/jinja_text.h"

static ql_jval finish(ql_jbuild *b, ql_jval self)
{
    return ql_j_strv(ql_j_as_markup(b->j, ql_j_take(b), self.u.s->markup));
}

// ---- case and classes

static ql_jval recase(ql_jinja *j, ql_jval self, ql_jcase how) { return ql_j_strv(ql_j_recase(j, self.u.s, how)); }

#define CASE_METHOD(name, how)                                          \
    static ql_jval name(ql_jinja *j, ql_jval self, ql_jval *a)          \
    {                                                                   \
        (void)a;                                                        \
        return recase(j, self, how);                                    \
    }
CASE_METHOD(m_upper, QL_J_UPPER)
CASE_METHOD(m_lower, QL_J_LOWER)
CASE_METHOD(m_title, QL_J_TITLE)
CASE_METHOD(m_capitalize, QL_J_CAPITAL)
CASE_METHOD(m_swapcase, QL_J_SWAP)
CASE_METHOD(m_casefold, QL_J_FOLD)

static bool is_ascii(uint32_t c) { return c < 0x80; }

static bool is_identifier(const ql_jstr *s)
{
    size_t n;
    for (size_t i = 0; i < s->len; i += n) {
        uint32_t c = ql_j_char(s->s + i, &n);
        if (!(i ? ql_j_is_id_continue(c) : ql_j_is_id_start(c)))
            return false;
    }
    return s->len > 0;
}

#define CLASS_METHOD(name, condition)                                   \
    static ql_jval name(ql_jinja *j, ql_jval self, ql_jval *a)          \
    {                                                                   \
        (void)a;                                                        \
        const ql_jstr *s = self.u.s;                                    \
        ql_j_charge(j, s->len * 8);                                     \
        return ql_j_bool(condition);                                    \
    }
CLASS_METHOD(m_isalpha, ql_j_all(s, ql_j_is_alpha))
CLASS_METHOD(m_isalnum, ql_j_all(s, ql_j_is_alnum))
CLASS_METHOD(m_isascii, s->len == 0 || ql_j_all(s, is_ascii))
CLASS_METHOD(m_isdecimal, ql_j_all(s, ql_j_is_decimal))
CLASS_METHOD(m_isdigit, ql_j_all(s, ql_j_is_digit))
CLASS_METHOD(m_isnumeric, ql_j_all(s, ql_j_is_numeric))
CLASS_METHOD(m_isspace, ql_j_all(s, ql_j_is_space))
CLASS_METHOD(m_isprintable, s->len == 0 || ql_j_all(s, ql_j_is_printable))
CLASS_METHOD(m_islower, ql_j_all_lower(s))
CLASS_METHOD(m_isupper, ql_j_all_upper(s))
CLASS_METHOD(m_istitle, ql_j_all_title(s))
CLASS_METHOD(m_isidentifier, is_identifier(s))

// ---- strip

static bool in_set(const ql_jstr *chars, uint32_t c)
{
    if (!chars)
        return ql_j_is_space(c);
    size_t n;
    for (size_t i = 0; i < chars->len; i += n)
        if (ql_j_char(chars->s + i, &n) == c)
            return true;
    return false;
}

ql_jstr *ql_j_strip(ql_jinja *j, const ql_jstr *s, const ql_jstr *chars, bool left, bool right)
{
    size_t from = 0, to = s->len, n, cost = chars ? chars->len * 4 : 8;
    for (; left && from < to && in_set(chars, ql_j_char(s->s + from, &n)); from += n)
        ql_j_charge(j, cost + 32);
    for (; right && to > from; to -= n) {
        ql_j_charge(j, cost + 32);
        n = ql_j_char_before(s->s, to);
        if (!in_set(chars, ql_j_char(s->s + to - n, &n)))
            break;
    }
    return ql_j_sub(j, s, from, to);
}

static ql_jval strip(ql_jinja *j, ql_jval self, ql_jval chars, bool left, bool right)
{
    bool space = chars.type == QL_J_MISSING || chars.type == QL_J_NONE;
    return ql_j_strv(ql_j_strip(j, self.u.s, space ? NULL : ql_j_str_arg(j, chars, "strip arg"), left, right));
}

static ql_jval m_strip(ql_jinja *j, ql_jval self, ql_jval *a) { return strip(j, self, a[0], true, true); }
static ql_jval m_lstrip(ql_jinja *j, ql_jval self, ql_jval *a) { return strip(j, self, a[0], true, false); }
static ql_jval m_rstrip(ql_jinja *j, ql_jval self, ql_jval *a) { return strip(j, self, a[0], false, true); }

// ---- search

// Byte offset of a[0] within the characters a[1]..a[2], SIZE_MAX when it is not there.
static size_t search(ql_jinja *j, ql_jval self, ql_jval *a, bool last)
{
    size_t from, to;
    const ql_jstr *needle = ql_j_str_arg(j, a[0], "the text to find");
    ql_j_char_range(j, self.u.s, a[1], a[2], &from, &to);
    int64_t start;
    if (needle->len == 0 && ql_j_as_index(a[1], &start) && start > (int64_t)self.u.s->n_chars)
        return SIZE_MAX;
    return last ? ql_j_rfind(j, self.u.s, from, to, needle) : ql_j_find(j, self.u.s, from, to, needle);
}

static ql_jval position(ql_jinja *j, ql_jval self, ql_jval *a, bool last, bool raise)
{
    size_t at = search(j, self, a, last);
    if (at == SIZE_MAX && raise)
        ql_j_raise(j, "substring not found");
    return ql_j_int(at == SIZE_MAX ? -1 : (int64_t)ql_j_count_chars(self.u.s->s, at));
}

static ql_jval m_find(ql_jinja *j, ql_jval self, ql_jval *a) { return position(j, self, a, false, false); }
static ql_jval m_rfind(ql_jinja *j, ql_jval self, ql_jval *a) { return position(j, self, a, true, false); }
static ql_jval m_index(ql_jinja *j, ql_jval self, ql_jval *a) { return position(j, self, a, false, true); }
static ql_jval m_rindex(ql_jinja *j, ql_jval self, ql_jval *a) { return position(j, self, a, true, true); }

static ql_jval m_count(ql_jinja *j, ql_jval self, ql_jval *a)
{
    const ql_jstr *s = self.u.s, *needle = ql_j_str_arg(j, a[0], "the text to count");
    size_t from, to;
    int64_t n = 0, start;
    ql_j_char_range(j, s, a[1], a[2], &from, &to);
    if (needle->len == 0) {
        bool beyond = ql_j_as_index(a[1], &start) && start > (int64_t)s->n_chars;
        return ql_j_int(beyond ? 0 : (int64_t)ql_j_count_chars(s->s + from, to - from) + 1);
    }
    for (size_t at; (at = ql_j_find(j, s, from, to, needle)) != SIZE_MAX; from = at + needle->len, n++)
        ql_j_step(j);
    return ql_j_int(n);
}

static bool affix(ql_jinja *j, ql_jval self, ql_jval v, size_t from, size_t to, bool end)
{
    const ql_jstr *s = self.u.s, *part = ql_j_str_arg(j, v, "a prefix or suffix");
    ql_j_charge(j, part->len);
    return part->len <= to - from && memcmp(s->s + (end ? to - part->len : from), part->s, part->len) == 0;
}

static ql_jval affixes(ql_jinja *j, ql_jval self, ql_jval *a, bool end)
{
    size_t from, to;
    int64_t start;
    ql_j_char_range(j, self.u.s, a[1], a[2], &from, &to);
    if (ql_j_as_index(a[1], &start) && start > (int64_t)self.u.s->n_chars)
        return ql_j_bool(false);
    if (a[0].type != QL_J_TUPLE)
        return ql_j_bool(affix(j, self, a[0], from, to, end));
    for (size_t i = 0; i < a[0].u.list->n; i++)
        if (affix(j, self, a[0].u.list->items[i], from, to, end))
            return ql_j_bool(true);
    return ql_j_bool(false);
}

static ql_jval m_startswith(ql_jinja *j, ql_jval self, ql_jval *a) { return affixes(j, self, a, false); }
static ql_jval m_endswith(ql_jinja *j, ql_jval self, ql_jval *a) { return affixes(j, self, a, true); }

static ql_jval m_removeprefix(ql_jinja *j, ql_jval self, ql_jval *a)
{
    const ql_jstr *s = self.u.s;
    bool there = affix(j, self, a[0], 0, s->len, false);
    return ql_j_strv(ql_j_sub(j, s, there ? a[0].u.s->len : 0, s->len));
}

static ql_jval m_removesuffix(ql_jinja *j, ql_jval self, ql_jval *a)
{
    const ql_jstr *s = self.u.s;
    bool there = affix(j, self, a[0], 0, s->len, true);
    return ql_j_strv(ql_j_sub(j, s, 0, s->len - (there ? a[0].u.s->len : 0)));
}

// ---- split and join

static void push_sub(ql_jinja *j, ql_jlist *list, const ql_jstr *s, size_t from, size_t to)
{
    ql_j_push(j, list, ql_j_strv(ql_j_sub(j, s, from, to)));
}

static ql_jlist *split_space(ql_jinja *j, const ql_jstr *s, int64_t max)
{
    ql_jlist *list = ql_j_list(j, 0);
    size_t at = 0, n, from;
    ql_j_charge(j, s->len * 4);
    for (;;) {
        while (at < s->len && ql_j_is_space(ql_j_char(s->s + at, &n)))
            at += n;
        if (at >= s->len)
            return list;
        from = at;
        if (max-- == 0) {
            push_sub(j, list, s, from, s->len);
            return list;
        }
        while (at < s->len && !ql_j_is_space(ql_j_char(s->s + at, &n)))
            at += n;
        push_sub(j, list, s, from, at);
    }
}

static size_t back_over(const ql_jstr *s, size_t at, bool space)
{
    size_t n;
    while (at > 0) {
        n = ql_j_char_before(s->s, at);
        if (ql_j_is_space(ql_j_char(s->s + at - n, &n)) != space)
            break;
        at -= n;
    }
    return at;
}

static void reverse(ql_jlist *list)
{
    for (size_t i = 0; i < list->n / 2; i++) {
        ql_jval swap = list->items[i];
        list->items[i] = list->items[list->n - 1 - i];
        list->items[list->n - 1 - i] = swap;
    }
}

static ql_jlist *rsplit_space(ql_jinja *j, const ql_jstr *s, int64_t max)
{
    ql_jlist *list = ql_j_list(j, 0);
    ql_j_charge(j, s->len * 4);
    for (size_t at = s->len; (at = back_over(s, at, true)) > 0;) {
        size_t from = max-- == 0 ? 0 : back_over(s, at, false);
        push_sub(j, list, s, from, at);
        at = from;
    }
    reverse(list);
    return list;
}

static ql_jlist *split_by(ql_jinja *j, const ql_jstr *s, const ql_jstr *sep, int64_t max, bool last)
{
    ql_jlist *list = ql_j_list(j, 0);
    size_t from = 0, to = s->len, at;
    if (sep->len == 0)
        ql_j_raise(j, "empty separator");
    while (max-- != 0 && (at = last ? ql_j_rfind(j, s, 0, to, sep) : ql_j_find(j, s, from, to, sep)) != SIZE_MAX) {
        if (last) {
            push_sub(j, list, s, at + sep->len, to);
            to = at;
        } else {
            push_sub(j, list, s, from, at);
            from = at + sep->len;
        }
    }
    push_sub(j, list, s, from, to);
    if (last)
        reverse(list);
    return list;
}

static ql_jval split(ql_jinja *j, ql_jval self, ql_jval *a, bool last)
{
    int64_t max = ql_j_int_arg(j, a[1], -1, "maxsplit");
    if (a[0].type == QL_J_MISSING || a[0].type == QL_J_NONE)
        return ql_j_listv(last ? rsplit_space(j, self.u.s, max) : split_space(j, self.u.s, max));
    return ql_j_listv(split_by(j, self.u.s, ql_j_str_arg(j, a[0], "the separator"), max, last));
}

static ql_jval m_split(ql_jinja *j, ql_jval self, ql_jval *a) { return split(j, self, a, false); }
static ql_jval m_rsplit(ql_jinja *j, ql_jval self, ql_jval *a) { return split(j, self, a, true); }

ql_jlist *ql_j_split_lines(ql_jinja *j, const ql_jstr *s, bool keep_ends)
{
    ql_jlist *list = ql_j_list(j, 0);
    size_t from = 0, n;
    ql_j_charge(j, s->len * 2);
    for (size_t at = 0; at < s->len;) {
        uint32_t c = ql_j_char(s->s + at, &n);
        if (!ql_j_is_line_break(c)) {
            at += n;
            continue;
        }
        size_t end = at;
        at += n;
        if (c == '\r' && at < s->len && s->s[at] == '\n')
            at++;
        push_sub(j, list, s, from, keep_ends ? at : end);
        from = at;
    }
    if (from < s->len)
        push_sub(j, list, s, from, s->len);
    return list;
}

static ql_jval m_splitlines(ql_jinja *j, ql_jval self, ql_jval *a)
{
    return ql_j_listv(ql_j_split_lines(j, self.u.s, ql_j_truth(a[0])));
}

static ql_jval partition(ql_jinja *j, ql_jval self, ql_jval *a, bool last)
{
    const ql_jstr *s = self.u.s, *sep = ql_j_str_arg(j, a[0], "the separator");
    if (sep->len == 0)
        ql_j_raise(j, "empty separator");
    size_t at = last ? ql_j_rfind(j, s, 0, s->len, sep) : ql_j_find(j, s, 0, s->len, sep);
    size_t end = at == SIZE_MAX ? at : at + sep->len;
    if (at == SIZE_MAX)
        at = end = last ? 0 : s->len;
    ql_jlist *list = ql_j_list(j, 3);
    push_sub(j, list, s, 0, at);
    push_sub(j, list, s, at, end);
    push_sub(j, list, s, end, s->len);
    return ql_j_tuplev(list);
}

static ql_jval m_partition(ql_jinja *j, ql_jval self, ql_jval *a) { return partition(j, self, a, false); }
static ql_jval m_rpartition(ql_jinja *j, ql_jval self, ql_jval *a) { return partition(j, self, a, true); }

static ql_jval m_join(ql_jinja *j, ql_jval self, ql_jval *a)
{
    bool markup = self.u.s->markup;
    ql_jbuild b;
    ql_jval item;
    size_t n = 0;
    ql_j_build(j, &b);
    for (ql_jiter *it = ql_j_iter(j, a[0]); ql_j_next(j, it, &item); n++) {
        if (!markup && item.type != QL_J_STR)
            ql_j_raise(j, "sequence item %zu: expected str instance, %s found", n, ql_j_type_name(item));
        if (n)
            ql_j_put_str(&b, self.u.s);
        ql_j_put_str(&b, markup ? ql_j_escape_html(j, item) : item.u.s);
    }
    return finish(&b, self);
}

// ---- building

ql_jstr *ql_j_replace(ql_jinja *j, const ql_jstr *s, const ql_jstr *from, const ql_jstr *to, int64_t count)
{
    ql_jbuild b;
    size_t at = 0, next, n;
    ql_j_build(j, &b);
    if (from->len == 0) {
        for (; count != 0; count--) {
            ql_j_step(j);
            ql_j_put_str(&b, to);
            if (at >= s->len)
                break;
            ql_j_char(s->s + at, &n);
            ql_j_put_sub(&b, s, at, at + n);
            at += n;
        }
    } else {
        for (; count != 0 && (next = ql_j_find(j, s, at, s->len, from)) != SIZE_MAX; count--) {
            ql_j_step(j);
            ql_j_put_sub(&b, s, at, next);
            ql_j_put_str(&b, to);
            at = next + from->len;
        }
        if (at == 0)
            return (ql_jstr *)s;
    }
    ql_j_put_sub(&b, s, at < s->len ? at : s->len, s->len);
    return ql_j_as_markup(j, ql_j_take(&b), s->markup);
}

static ql_jval m_replace(ql_jinja *j, ql_jval self, ql_jval *a)
{
    const ql_jstr *to = ql_j_str_arg(j, a[1], "replace() argument 2");
    if (self.u.s->markup)
        to = ql_j_escape_html(j, a[1]);
    const ql_jstr *from = ql_j_str_arg(j, a[0], "replace() argument 1");
    return ql_j_strv(ql_j_replace(j, self.u.s, from, to, ql_j_int_arg(j, a[2], -1, "count")));
}

static const ql_jstr *want_fill(ql_jinja *j, ql_jval v)
{
    if (v.type == QL_J_MISSING)
        return ql_j_cstr(j, " ");
    const ql_jstr *fill = ql_j_str_arg(j, v, "the fill character");
    if (fill->n_chars != 1)
        ql_j_raise(j, "the fill character must be exactly one character long");
    return fill;
}

static ql_jstr *pad(ql_jinja *j, const ql_jstr *s, int64_t left, int64_t right, const ql_jstr *fill)
{
    ql_jbuild b;
    ql_j_build(j, &b);
    ql_j_put_fill(&b, fill, left);
    ql_j_put_str(&b, s);
    ql_j_put_fill(&b, fill, right);
    return ql_j_as_markup(j, ql_j_take(&b), s->markup);
}

ql_jstr *ql_j_center(ql_jinja *j, const ql_jstr *s, int64_t width, const ql_jstr *fill)
{
    if (width <= (int64_t)s->n_chars)
        return (ql_jstr *)s;
    int64_t room = width - (int64_t)s->n_chars, left = room / 2 + (room & width & 1);
    return pad(j, s, left, room - left, fill);
}

static ql_jval m_center(ql_jinja *j, ql_jval self, ql_jval *a)
{
    return ql_j_strv(ql_j_center(j, self.u.s, ql_j_int_arg(j, a[0], 0, "width"), want_fill(j, a[1])));
}

static ql_jval justify(ql_jinja *j, ql_jval self, ql_jval *a, bool right)
{
    int64_t width = ql_j_int_arg(j, a[0], 0, "width"), room = width > self.u.s->n_chars ? width - self.u.s->n_chars : 0;
    return ql_j_strv(pad(j, self.u.s, right ? room : 0, right ? 0 : room, want_fill(j, a[1])));
}

static ql_jval m_ljust(ql_jinja *j, ql_jval self, ql_jval *a) { return justify(j, self, a, false); }
static ql_jval m_rjust(ql_jinja *j, ql_jval self, ql_jval *a) { return justify(j, self, a, true); }

static ql_jval m_zfill(ql_jinja *j, ql_jval self, ql_jval *a)
{
    const ql_jstr *s = self.u.s;
    int64_t width = ql_j_int_arg(j, a[0], 0, "width");
    size_t sign = s->len && (s->s[0] == '+' || s->s[0] == '-');
    ql_jbuild b;
    ql_j_build(j, &b);
    ql_j_put_sub(&b, s, 0, sign);
    ql_j_put_fill(&b, ql_j_cstr(j, "0"), width > s->n_chars ? width - s->n_chars : 0);
    ql_j_put_sub(&b, s, sign, s->len);
    return finish(&b, self);
}

static ql_jval m_expandtabs(ql_jinja *j, ql_jval self, ql_jval *a)
{
    const ql_jstr *s = self.u.s;
    int64_t size = ql_j_int_arg(j, a[0], 8, "tabsize"), column = 0;
    size_t n;
    ql_jbuild b;
    ql_j_build(j, &b);
    ql_j_charge(j, s->len * 8);
    for (size_t at = 0; at < s->len; at += n) {
        uint32_t c = ql_j_char(s->s + at, &n);
        if (c == '\t') {
            int64_t room = size > 0 ? size - column % size : 0;
            ql_j_put_spaces(&b, room);
            column += room;
        } else {
            ql_j_put_sub(&b, s, at, at + n);
            column = c == '\n' || c == '\r' ? 0 : column + 1;
        }
    }
    return finish(&b, self);
}

const ql_jmethod_def ql_j_str_methods[] = {
    {.name = "capitalize", .call = m_capitalize, .params = "/"},
    {.name = "casefold", .call = m_casefold, .params = "/"},
    {.name = "center", .call = m_center, .params = "width fillchar /", .required = 1},
    {.name = "count", .call = m_count, .params = "sub start end /", .required = 1},
    {.name = "encode"},
    {.name = "endswith", .call = m_endswith, .params = "suffix start end /", .required = 1},
    {.name = "expandtabs", .call = m_expandtabs, .params = "tabsize"},
    {.name = "find", .call = m_find, .params = "sub start end /", .required = 1},
    {.name = "format", .variadic = ql_j_str_format},
    {.name = "format_map", .variadic = ql_j_str_format_map},
    {.name = "index", .call = m_index, .params = "sub start end /", .required = 1},
    {.name = "isalnum", .call = m_isalnum, .params = "/"},
    {.name = "isalpha", .call = m_isalpha, .params = "/"},
    {.name = "isascii", .call = m_isascii, .params = "/"},
    {.name = "isdecimal", .call = m_isdecimal, .params = "/"},
    {.name = "isdigit", .call = m_isdigit, .params = "/"},
    {.name = "isidentifier", .call = m_isidentifier, .params = "/"},
    {.name = "islower", .call = m_islower, .params = "/"},
    {.name = "isnumeric", .call = m_isnumeric, .params = "/"},
    {.name = "isprintable", .call = m_isprintable, .params = "/"},
    {.name = "isspace", .call = m_isspace, .params = "/"},
    {.name = "istitle", .call = m_istitle, .params = "/"},
    {.name = "isupper", .call = m_isupper, .params = "/"},
    {.name = "join", .call = m_join, .params = "iterable /", .required = 1},
    {.name = "ljust", .call = m_ljust, .params = "width fillchar /", .required = 1},
    {.name = "lower", .call = m_lower, .params = "/"},
    {.name = "lstrip", .call = m_lstrip, .params = "chars /"},
    {.name = "maketrans"},
    {.name = "partition", .call = m_partition, .params = "sep /", .required = 1},
    {.name = "removeprefix", .call = m_removeprefix, .params = "prefix /", .required = 1},
    {.name = "removesuffix", .call = m_removesuffix, .params = "suffix /", .required = 1},
    {.name = "replace", .call = m_replace, .params = "old new count /", .required = 2},
    {.name = "rfind", .call = m_rfind, .params = "sub start end /", .required = 1},
    {.name = "rindex", .call = m_rindex, .params = "sub start end /", .required = 1},
    {.name = "rjust", .call = m_rjust, .params = "width fillchar /", .required = 1},
    {.name = "rpartition", .call = m_rpartition, .params = "sep /", .required = 1},
    {.name = "rsplit", .call = m_rsplit, .params = "sep maxsplit"},
    {.name = "rstrip", .call = m_rstrip, .params = "chars /"},
    {.name = "split", .call = m_split, .params = "sep maxsplit"},
    {.name = "splitlines", .call = m_splitlines, .params = "keepends"},
    {.name = "startswith", .call = m_startswith, .params = "prefix start end /", .required = 1},
    {.name = "strip", .call = m_strip, .params = "chars /"},
    {.name = "swapcase", .call = m_swapcase, .params = "/"},
    {.name = "title", .call = m_title, .params = "/"},
    {.name = "translate"},
    {.name = "upper", .call = m_upper, .params = "/"},
    {.name = "zfill", .call = m_zfill, .params = "width /", .required = 1},
    {0},
};
