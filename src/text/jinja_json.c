// SPDX-License-Identifier: MIT
// Owns tojson: json.dumps with the arguments that transformers gives its filter. Punctuation counts as input.
#include <math.h>

#include "text/jinja_num.h"
#include "text/jinja_text.h"

typedef struct writer {
    ql_jbuild *b;
    const ql_jjson *options;
    const ql_jstr *item, *colon; // separators
    const ql_jstr *indent;       // NULL: one line
    int64_t indent_times;        // of `indent`, for a level
    int level;
} writer;

static void put_escaped(ql_jbuild *b, const ql_jstr *s, bool ensure_ascii)
{
    size_t n, run = 0;
    ql_j_charge(b->j, s->len);
    ql_j_put(b, "\"", 1, true);
    for (size_t i = 0; i < s->len; i += n) {
        uint32_t c = ql_j_char(s->s + i, &n);
        if (c >= 0x20 && c != '"' && c != '\\' && (c < 0x7f || !ensure_ascii))
            continue;
        ql_j_put_sub(b, s, run, i);
        run = i + n;
        bool input = ql_j_origin(s, i);
        const char *at = c < 0x80 && c ? strchr("\"\"\\\\\nn\rr\tt\ff\bb", (int)c) : NULL;
        if (at)
            ql_j_put_fmt(b, input, "\\%c", at[1]);
        else if (c < 0x10000)
            ql_j_put_fmt(b, input, "\\u%04x", c);
        else
            ql_j_put_fmt(b, input, "\\u%04x\\u%04x", 0xd800 + ((c - 0x10000) >> 10), 0xdc00 + (c & 0x3ff));
    }
    ql_j_put_sub(b, s, run, s->len);
    ql_j_put(b, "\"", 1, true);
}

static void put_break(writer *w)
{
    if (!w->indent)
        return;
    ql_j_put(w->b, "\n", 1, true);
    for (int i = 0; i < w->level; i++)
        ql_j_put_fill(w->b, w->indent, w->indent_times);
}

// Floats are JavaScript's names where JSON has none.
static void put_float(writer *w, ql_jval v)
{
    char text[QL_J_FLOAT_TEXT];
    ql_j_float_repr(v.u.f, text);
    ql_j_put_cstr(w->b, isfinite(v.u.f) ? text : isnan(v.u.f) ? "NaN" : v.u.f > 0 ? "Infinity" : "-Infinity", v.input);
}

static void put_simple(writer *w, ql_jval v)
{
    if (v.type == QL_J_STR)
        put_escaped(w->b, v.u.s, w->options->ensure_ascii);
    else if (v.type == QL_J_NONE)
        ql_j_put_cstr(w->b, "null", v.input);
    else if (v.type == QL_J_BOOL)
        ql_j_put_cstr(w->b, v.u.b ? "true" : "false", v.input);
    else if (v.type == QL_J_INT || v.type == QL_J_WIDE)
        ql_j_put_value(w->b, v);
    else if (v.type == QL_J_FLOAT)
        put_float(w, v);
    else
        ql_j_raise(w->b->j, "Object of type %s is not JSON serializable", ql_j_type_name(v));
}

static void put_key(writer *w, ql_jval key)
{
    if (key.type == QL_J_STR) {
        put_simple(w, key);
        return;
    }
    if (key.type != QL_J_NONE && !ql_j_is_number(key))
        ql_j_raise(w->b->j, "keys must be str, int, float, bool or None, not %s", ql_j_type_name(key));
    ql_j_put(w->b, "\"", 1, true);
    put_simple(w, key);
    ql_j_put(w->b, "\"", 1, true);
}

static void put_json(writer *w, ql_jval v);

static void put_list(writer *w, const ql_jlist *list)
{
    ql_j_put(w->b, "[", 1, true);
    w->level++;
    for (size_t i = 0; i < list->n; i++) {
        if (i)
            ql_j_put_str(w->b, w->item);
        put_break(w);
        put_json(w, list->items[i]);
    }
    w->level--;
    if (list->n)
        put_break(w);
    ql_j_put(w->b, "]", 1, true);
}

static void put_dict(writer *w, const ql_jdict *dict)
{
    ql_jinja *j = w->b->j;
    ql_jval *keys = ql_j_array(j, dict->n, sizeof *keys), *values = ql_j_array(j, dict->n, sizeof *values);
    for (size_t i = 0; i < dict->n; i++) {
        keys[i] = dict->entries[i].key;
        values[i] = dict->entries[i].value;
    }
    if (w->options->sort_keys)
        ql_j_sort(j, keys, values, dict->n, false);
    ql_j_put(w->b, "{", 1, true);
    w->level++;
    for (size_t i = 0; i < dict->n; i++) {
        if (i)
            ql_j_put_str(w->b, w->item);
        put_break(w);
        put_key(w, keys[i]);
        ql_j_put_str(w->b, w->colon);
        put_json(w, values[i]);
    }
    w->level--;
    if (dict->n)
        put_break(w);
    ql_j_put(w->b, "}", 1, true);
}

static void put_json(writer *w, ql_jval v)
{
    ql_j_enter(w->b->j);
    if (v.type == QL_J_LIST || v.type == QL_J_TUPLE)
        put_list(w, v.u.list);
    else if (v.type == QL_J_DICT)
        put_dict(w, v.u.dict);
    else
        put_simple(w, v);
    ql_j_leave(w->b->j);
}

static void read_separators(ql_jinja *j, writer *w, ql_jval pair)
{
    if (pair.type == QL_J_NONE || pair.type == QL_J_MISSING) {
        w->item = ql_j_str(j, ", ", w->indent ? 1 : 2, true);
        w->colon = ql_j_str(j, ": ", 2, true);
        return;
    }
    const ql_jlist *list = ql_j_iterable(pair) ? ql_j_to_list(j, pair) : NULL;
    if (!list || list->n != 2 || list->items[0].type != QL_J_STR || list->items[1].type != QL_J_STR)
        ql_j_raise(j, "tojson: separators must be two strings");
    w->item = ql_j_str(j, list->items[0].u.s->s, list->items[0].u.s->len, true);
    w->colon = ql_j_str(j, list->items[1].u.s->s, list->items[1].u.s->len, true);
}

ql_jstr *ql_j_to_json(ql_jinja *j, ql_jval v, const ql_jjson *options)
{
    ql_jbuild b;
    ql_j_build(j, &b);
    writer w = {.b = &b, .options = options};
    int64_t width;
    if (ql_j_as_index(options->indent, &width)) {
        w.indent = ql_j_str(j, " ", 1, true);
        w.indent_times = width;
    } else if (options->indent.type == QL_J_STR) {
        w.indent = ql_j_str(j, options->indent.u.s->s, options->indent.u.s->len, true);
        w.indent_times = 1;
    } else if (options->indent.type != QL_J_NONE && options->indent.type != QL_J_MISSING) {
        ql_j_raise(j, "tojson: indent must be an integer or a string, got %s", ql_j_type_name(options->indent));
    }
    read_separators(j, &w, options->separators);
    put_json(&w, v);
    return ql_j_take(&b);
}
