// SPDX-License-Identifier: MIT
// Owns the filters that take a text and give a text.
#include "text/jinja_char.h"
#include "text/jinja_filter.h"
#include "text/jinja_object.h"
#include "text/jinja_text.h"
#include "text/jinja_wrap.h"

static ql_jval recase(ql_jinja *j, ql_jval v, ql_jcase how)
{
    return ql_j_strv(ql_j_recase(j, ql_j_soft_str(j, v), how));
}

static ql_jval f_upper(ql_jinja *j, ql_jval *a) { return recase(j, a[0], QL_J_UPPER); }
static ql_jval f_lower(ql_jinja *j, ql_jval *a) { return recase(j, a[0], QL_J_LOWER); }
static ql_jval f_capitalize(ql_jinja *j, ql_jval *a) { return recase(j, a[0], QL_J_CAPITAL); }

// Words begin after white space and opening brackets, unlike in str.title().
static ql_jval f_title(ql_jinja *j, ql_jval *a)
{
    const ql_jstr *s = ql_j_soft_str(j, a[0]);
    ql_jbuild b;
    size_t n;
    ql_j_build(j, &b);
    ql_j_charge(j, s->len * 4);
    for (size_t at = 0; at < s->len;) {
        size_t from = at;
        uint32_t c = ql_j_char(s->s + at, &n);
        if (ql_j_is_space(c) || (c < 0x80 && strchr("-({[<", (int)c) && c)) {
            ql_j_put_sub(&b, s, at, at + n);
            at += n;
            continue;
        }
        size_t first = n;
        for (at += n; at < s->len; at += n) {
            c = ql_j_char(s->s + at, &n);
            if (ql_j_is_space(c) || (c < 0x80 && strchr("-({[<", (int)c) && c))
                break;
        }
        ql_j_put_case(&b, s, from, from + first, QL_J_UPPER);
        const ql_jstr *rest = ql_j_sub(j, s, from + first, at); // alone: what is before it is no context for it
        ql_j_put_case(&b, rest, 0, rest->len, QL_J_LOWER);
    }
    return ql_j_strv(ql_j_take(&b));
}

static ql_jval f_string(ql_jinja *j, ql_jval *a) { return ql_j_strv(ql_j_soft_str(j, a[0])); }
static ql_jval f_escape(ql_jinja *j, ql_jval *a) { return ql_j_strv(ql_j_escape_html(j, a[0])); }

static ql_jval f_forceescape(ql_jinja *j, ql_jval *a)
{
    return ql_j_strv(ql_j_escape_html(j, ql_j_strv(ql_j_to_str(j, a[0]))));
}

static ql_jval f_safe(ql_jinja *j, ql_jval *a)
{
    return ql_j_strv(ql_j_as_markup(j, ql_j_soft_str(j, a[0]), true));
}

static ql_jval f_trim(ql_jinja *j, ql_jval *a)
{
    bool space = a[1].type == QL_J_MISSING || a[1].type == QL_J_NONE;
    return ql_j_strv(ql_j_strip(j, ql_j_soft_str(j, a[0]), space ? NULL : ql_j_str_arg(j, a[1], "chars"), true, true));
}

static ql_jval f_replace(ql_jinja *j, ql_jval *a)
{
    bool all = a[3].type == QL_J_MISSING || a[3].type == QL_J_NONE;
    return ql_j_strv(ql_j_replace(j, ql_j_to_str(j, a[0]), ql_j_to_str(j, a[1]), ql_j_to_str(j, a[2]),
                                  all ? -1 : ql_j_int_arg(j, a[3], 0, "count")));
}

static ql_jval f_center(ql_jinja *j, ql_jval *a)
{
    int64_t width = ql_j_int_arg(j, a[1], 80, "width");
    return ql_j_strv(ql_j_center(j, ql_j_soft_str(j, a[0]), width, ql_j_cstr(j, " ")));
}

static ql_jval f_indent(ql_jinja *j, ql_jval *a)
{
    const ql_jstr *s = ql_j_str_arg(j, a[0], "the value"), *indent;
    if (a[1].type == QL_J_STR) {
        indent = a[1].u.s;
    } else {
        ql_jbuild spaces;
        ql_j_build(j, &spaces);
        ql_j_put_spaces(&spaces, ql_j_int_arg(j, a[1], 4, "width"));
        indent = ql_j_take(&spaces);
    }
    bool first = ql_j_truth(a[2]), blank = ql_j_truth(a[3]);
    // One more newline, so that a text which ends with one has an empty last line.
    const ql_jlist *lines = ql_j_split_lines(j, ql_j_concat(j, s, ql_j_cstr(j, "\n")), false);
    ql_jbuild b;
    ql_j_build(j, &b);
    for (size_t i = 0; i < lines->n; i++) {
        const ql_jstr *line = lines->items[i].u.s;
        if (i)
            ql_j_put(&b, "\n", 1, false);
        if (i ? blank || line->len : first)
            ql_j_put_str(&b, indent);
        ql_j_put_str(&b, line);
    }
    return ql_j_strv(ql_j_as_markup(j, ql_j_take(&b), s->markup));
}

static ql_jval f_truncate(ql_jinja *j, ql_jval *a)
{
    int64_t length = ql_j_int_arg(j, a[1], 255, "length");
    int64_t leeway = a[4].type == QL_J_MISSING || a[4].type == QL_J_NONE ? 5 : ql_j_int_arg(j, a[4], 0, "leeway");
    const ql_jstr *end = a[3].type == QL_J_MISSING ? ql_j_cstr(j, "...") : ql_j_str_arg(j, a[3], "end");
    if (length < (int64_t)end->n_chars)
        ql_j_raise(j, "truncate: expected length >= %u, got %lld", end->n_chars, (long long)length);
    if (leeway < 0)
        ql_j_raise(j, "truncate: expected leeway >= 0, got %lld", (long long)leeway);
    int64_t len;
    if (!ql_j_len(a[0], &len))
        ql_j_raise(j, "object of type '%s' has no len()", ql_j_type_name(a[0]));
    if (length > QL_J_MAX_TEXT || leeway > QL_J_MAX_TEXT || len <= length + leeway)
        return a[0];
    const ql_jstr *s = ql_j_str_arg(j, a[0], "the value");
    s = ql_j_sub(j, s, 0, ql_j_offset(j, s, (size_t)(length - end->n_chars)));
    if (!ql_j_truth(a[2])) {
        size_t space = ql_j_rfind(j, s, 0, s->len, ql_j_cstr(j, " "));
        s = ql_j_sub(j, s, 0, space == SIZE_MAX ? s->len : space);
    }
    return ql_j_operate(j, 0 /* + */, ql_j_strv(s), ql_j_strv(end));
}

static ql_jval f_wordcount(ql_jinja *j, ql_jval *a)
{
    const ql_jstr *s = ql_j_soft_str(j, a[0]);
    int64_t words = 0;
    bool inside = false;
    size_t n;
    ql_j_charge(j, s->len * 4);
    for (size_t at = 0; at < s->len; at += n) {
        bool word = ql_j_is_word(ql_j_char(s->s + at, &n));
        words += word && !inside;
        inside = word;
    }
    return ql_j_int(words);
}

static ql_jval f_wordwrap(ql_jinja *j, ql_jval *a)
{
    ql_jwrap wrap = {.width = ql_j_int_arg(j, a[1], 79, "width"),
                     .break_words = a[2].type == QL_J_MISSING || ql_j_truth(a[2]),
                     .break_hyphens = a[4].type == QL_J_MISSING || ql_j_truth(a[4])};
    bool own = a[3].type != QL_J_MISSING && a[3].type != QL_J_NONE;
    const ql_jstr *newline = own ? ql_j_str_arg(j, a[3], "wrapstring") : ql_j_cstr(j, "\n");
    const ql_jlist *lines = ql_j_split_lines(j, ql_j_str_arg(j, a[0], "the value"), false);
    ql_jbuild b;
    ql_j_build(j, &b);
    for (size_t i = 0; i < lines->n; i++) {
        if (i)
            ql_j_put_str(&b, newline);
        const ql_jlist *wrapped = ql_j_wrap(j, lines->items[i].u.s, &wrap);
        for (size_t k = 0; k < wrapped->n; k++) {
            if (k)
                ql_j_put_str(&b, newline);
            ql_j_put_str(&b, wrapped->items[k].u.s);
        }
    }
    return ql_j_strv(ql_j_take(&b));
}

static ql_jval f_format(ql_jinja *j, ql_jval v, const ql_jargs *args)
{
    if (args->n && args->n_named)
        ql_j_raise(j, "can't handle positional and keyword arguments at the same time");
    const ql_jstr *fmt = ql_j_soft_str(j, v);
    if (!args->n_named) {
        ql_jlist list = {.items = args->pos, .n = args->n};
        return ql_j_percent(j, fmt, ql_j_tuplev(&list));
    }
    ql_jdict *dict = ql_j_dict(j);
    for (size_t i = 0; i < args->n_named; i++)
        ql_j_set(j, dict, ql_j_strv(args->names[i]), args->named[i]);
    return ql_j_percent(j, fmt, ql_j_dictv(dict));
}

// ---- for the web

static void put_quoted(ql_jbuild *b, const ql_jstr *s, bool query)
{
    for (size_t i = 0; i < s->len; i++) {
        uint8_t c = (uint8_t)s->s[i];
        bool alnum = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
        if (alnum || (c && strchr("_.-~", c)) || (c == '/' && !query))
            ql_j_put_sub(b, s, i, i + 1);
        else if (c == ' ' && query)
            ql_j_put(b, "+", 1, ql_j_origin(s, i));
        else
            ql_j_put_fmt(b, ql_j_origin(s, i), "%%%02X", c);
    }
    ql_j_charge(b->j, s->len * 8);
}

static ql_jval f_urlencode(ql_jinja *j, ql_jval *a)
{
    ql_jbuild b;
    ql_j_build(j, &b);
    if (a[0].type == QL_J_STR || !ql_j_iterable(a[0])) {
        put_quoted(&b, ql_j_to_str(j, a[0]), false);
        return ql_j_strv(ql_j_take(&b));
    }
    ql_jval item = a[0];
    ql_jview view = {a[0].u.dict, QL_J_ITEMS};
    if (a[0].type == QL_J_DICT)
        item = (ql_jval){.type = QL_J_VIEW, .u.view = &view};
    const ql_jlist *items = ql_j_to_list(j, item);
    for (size_t i = 0; i < items->n; i++) {
        const ql_jlist *pair = ql_j_iterable(items->items[i]) ? ql_j_to_list(j, items->items[i]) : NULL;
        if (!pair || pair->n != 2)
            ql_j_raise(j, "urlencode: expected pairs of a key and a value");
        if (i)
            ql_j_put(&b, "&", 1, false);
        put_quoted(&b, ql_j_to_str(j, pair->items[0]), true);
        ql_j_put(&b, "=", 1, false);
        put_quoted(&b, ql_j_to_str(j, pair->items[1]), true);
    }
    return ql_j_strv(ql_j_take(&b));
}

static ql_jval f_xmlattr(ql_jinja *j, ql_jval *a)
{
    ql_jbuild b;
    bool any = false;
    ql_j_want(j, a[0]);
    if (a[0].type != QL_J_DICT)
        ql_j_raise(j, "'%s' object has no attribute 'items'", ql_j_type_name(a[0]));
    ql_j_build(j, &b);
    for (size_t i = 0; i < a[0].u.dict->n; i++) {
        const ql_jentry *entry = &a[0].u.dict->entries[i];
        if (entry->value.type == QL_J_NONE || entry->value.type == QL_J_UNDEFINED)
            continue;
        const ql_jstr *key = ql_j_str_arg(j, entry->key, "a key");
        for (size_t k = 0; k < key->len; k++)
            if (memchr(" \t\n\r\f\v/>=", key->s[k], 9))
                ql_j_raise(j, "invalid character in attribute name");
        if (any || a[1].type == QL_J_MISSING || ql_j_truth(a[1]))
            ql_j_put(&b, " ", 1, false);
        ql_j_put_str(&b, ql_j_escape_html(j, entry->key));
        ql_j_put_cstr(&b, "=\"", false);
        ql_j_put_str(&b, ql_j_escape_html(j, entry->value));
        ql_j_put(&b, "\"", 1, false);
        any = true;
    }
    return ql_j_strv(ql_j_take(&b));
}

static ql_jval f_striptags(ql_jinja *j, ql_jval *a) { return ql_j_strv(ql_j_strip_tags(j, ql_j_to_str(j, a[0]))); }

const ql_jfilter ql_j_text_filters[] = {
    {.name = "upper", .apply = f_upper, .params = ""},
    {.name = "lower", .apply = f_lower, .params = ""},
    {.name = "capitalize", .apply = f_capitalize, .params = ""},
    {.name = "title", .apply = f_title, .params = ""},
    {.name = "string", .apply = f_string, .params = ""},
    {.name = "escape", .apply = f_escape, .params = "/"},
    {.name = "e", .apply = f_escape, .params = "/"},
    {.name = "forceescape", .apply = f_forceescape, .params = ""},
    {.name = "safe", .apply = f_safe, .params = ""},
    {.name = "trim", .apply = f_trim, .params = "chars"},
    {.name = "replace", .apply = f_replace, .params = "old new count", .required = 2},
    {.name = "center", .apply = f_center, .params = "width"},
    {.name = "indent", .apply = f_indent, .params = "width first blank"},
    {.name = "truncate", .apply = f_truncate, .params = "length killwords end leeway"},
    {.name = "wordcount", .apply = f_wordcount, .params = ""},
    {.name = "wordwrap", .apply = f_wordwrap, .params = "width break_long_words wrapstring break_on_hyphens"},
    {.name = "format", .variadic = f_format},
    {.name = "urlencode", .apply = f_urlencode, .params = ""},
    {.name = "xmlattr", .apply = f_xmlattr, .params = "autospace"},
    {.name = "striptags", .apply = f_striptags, .params = ""},
    {0},
};
