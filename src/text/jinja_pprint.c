// SPDX-License-Identifier: MIT
// Owns pprint: Python's pprint.pformat with its defaults (80 columns, sorted keys).
#include "text/jinja_char.h"
#include "text/jinja_object.h"
#include "text/jinja_text.h"

enum { WIDTH = 80 };

static void put_flat(ql_jbuild *b, ql_jval v);

// The entries of a dict by key, when the keys have an order; else as they are.
static ql_jlist *sorted_entries(ql_jinja *j, const ql_jdict *dict)
{
    ql_jlist *pairs = ql_j_list(j, dict->n);
    ql_jval *keys = ql_j_array(j, dict->n, sizeof *keys);
    bool ordered = true;
    for (size_t i = 0; i < dict->n; i++) {
        keys[i] = dict->entries[i].key;
        ql_j_push(j, pairs, ql_j_pair(j, keys[i], dict->entries[i].value));
        bool same = keys[i].type == keys[0].type || (ql_j_is_number(keys[i]) && ql_j_is_number(keys[0]));
        ordered = ordered && same && (keys[i].type == QL_J_STR || ql_j_is_number(keys[i]));
    }
    if (ordered)
        ql_j_sort(j, keys, pairs->items, pairs->n, false);
    return pairs;
}

static void put_flat_items(ql_jbuild *b, const ql_jlist *list, bool pairs)
{
    for (size_t i = 0; i < list->n; i++) {
        if (i)
            ql_j_put_cstr(b, ", ", true);
        if (pairs) {
            put_flat(b, list->items[i].u.list->items[0]);
            ql_j_put_cstr(b, ": ", true);
            put_flat(b, list->items[i].u.list->items[1]);
        } else {
            put_flat(b, list->items[i]);
        }
    }
}

// repr() with sorted dicts.
static void put_flat(ql_jbuild *b, ql_jval v)
{
    ql_j_enter(b->j);
    if (v.type == QL_J_DICT) {
        ql_j_put_cstr(b, "{", true);
        put_flat_items(b, sorted_entries(b->j, v.u.dict), true);
        ql_j_put_cstr(b, "}", true);
    } else if (v.type == QL_J_LIST || v.type == QL_J_TUPLE) {
        bool tuple = v.type == QL_J_TUPLE;
        ql_j_put_cstr(b, tuple ? "(" : "[", true);
        put_flat_items(b, v.u.list, false);
        ql_j_put_cstr(b, tuple ? v.u.list->n == 1 ? ",)" : ")" : "]", true);
    } else {
        ql_j_put_repr(b, v);
    }
    ql_j_leave(b->j);
}

static ql_jstr *flat(ql_jinja *j, ql_jval v)
{
    ql_jbuild b;
    ql_j_build(j, &b);
    put_flat(&b, v);
    return ql_j_take(&b);
}

static void put_pretty(ql_jbuild *b, ql_jval v, int64_t indent, int64_t allowance);

static void put_newline(ql_jbuild *b, int64_t indent)
{
    ql_j_put(b, "\n", 1, true);
    ql_j_put_spaces(b, indent);
}

static void put_items(ql_jbuild *b, const ql_jlist *list, int64_t indent, int64_t allowance)
{
    for (size_t i = 0; i < list->n; i++) {
        if (i) {
            ql_j_put(b, ",", 1, true);
            put_newline(b, indent);
        }
        put_pretty(b, list->items[i], indent, i + 1 < list->n ? 1 : allowance);
    }
}

static void put_pairs(ql_jbuild *b, const ql_jlist *pairs, int64_t indent, int64_t allowance)
{
    for (size_t i = 0; i < pairs->n; i++) {
        const ql_jval *pair = pairs->items[i].u.list->items;
        if (i) {
            ql_j_put(b, ",", 1, true);
            put_newline(b, indent);
        }
        const ql_jstr *key = flat(b->j, pair[0]);
        ql_j_put_str(b, key);
        ql_j_put_cstr(b, ": ", true);
        put_pretty(b, pair[1], indent + key->n_chars + 2, i + 1 < pairs->n ? 1 : allowance);
    }
}

// The words of a line, each with the white space after it: re.findall(r'\S*\s*').
static void put_words(ql_jbuild *b, const ql_jstr *line, ql_jlist *chunks, int64_t max, int64_t last_max)
{
    ql_jinja *j = b->j;
    size_t n, from = 0;
    const ql_jstr *current = ql_j_cstr(j, "");
    while (from < line->len) {
        size_t at = from;
        while (at < line->len && !ql_j_is_space(ql_j_char(line->s + at, &n)))
            at += n;
        while (at < line->len && ql_j_is_space(ql_j_char(line->s + at, &n)))
            at += n;
        const ql_jstr *candidate = ql_j_concat(j, current, ql_j_sub(j, line, from, at));
        int64_t room = at >= line->len ? last_max : max;
        if (ql_j_repr(j, ql_j_strv(candidate))->n_chars > room) {
            if (current->len)
                ql_j_push(j, chunks, ql_j_strv(ql_j_repr(j, ql_j_strv(current))));
            candidate = ql_j_sub(j, line, from, at);
        }
        current = candidate;
        from = at;
    }
    if (current->len)
        ql_j_push(j, chunks, ql_j_strv(ql_j_repr(j, ql_j_strv(current))));
}



static void put_long_str(ql_jbuild *b, const ql_jstr *s, int64_t indent, int64_t allowance, bool outermost)
{
    ql_jinja *j = b->j;
    const ql_jlist *lines = ql_j_split_lines(j, s, true);
    ql_jlist *chunks = ql_j_list(j, 0);
    if (outermost) {
        indent++;
        allowance++;
    }
    int64_t max = WIDTH - indent;
    for (size_t i = 0; i < lines->n; i++) {
        bool last = i + 1 == lines->n;
        int64_t room = last ? max - allowance : max;
        const ql_jstr *repr = ql_j_repr(j, lines->items[i]);
        if (repr->n_chars <= room)
            ql_j_push(j, chunks, ql_j_strv(repr));
        else
            put_words(b, lines->items[i].u.s, chunks, max, room);
    }
    if (chunks->n == 1)
        outermost = false;
    ql_j_put_cstr(b, outermost ? "(" : "", true);
    for (size_t i = 0; i < chunks->n; i++) {
        if (i)
            put_newline(b, indent);
        ql_j_put_str(b, chunks->items[i].u.s);
    }
    ql_j_put_cstr(b, outermost ? ")" : "", true);
}

static void put_pretty(ql_jbuild *b, ql_jval v, int64_t indent, int64_t allowance)
{
    const ql_jstr *one_line = flat(b->j, v);
    bool container = v.type == QL_J_DICT || v.type == QL_J_LIST || v.type == QL_J_TUPLE;
    bool text = v.type == QL_J_STR && !v.u.s->markup && v.u.s->len;
    if (one_line->n_chars <= WIDTH - indent - allowance || (!container && !text)) {
        ql_j_put_str(b, one_line);
        return;
    }
    ql_j_enter(b->j);
    if (text) {
        put_long_str(b, v.u.s, indent, allowance, b->len == 0);
    } else if (v.type == QL_J_DICT) {
        ql_j_put(b, "{", 1, true);
        put_pairs(b, sorted_entries(b->j, v.u.dict), indent + 1, allowance + 1);
        ql_j_put(b, "}", 1, true);
    } else {
        bool tuple = v.type == QL_J_TUPLE;
        const char *end = tuple ? v.u.list->n == 1 ? ",)" : ")" : "]";
        ql_j_put(b, tuple ? "(" : "[", 1, true);
        put_items(b, v.u.list, indent + 1, allowance + (int64_t)strlen(end));
        ql_j_put_cstr(b, end, true);
    }
    ql_j_leave(b->j);
}

ql_jstr *ql_j_pprint(ql_jinja *j, ql_jval v)
{
    ql_jbuild b;
    ql_j_build(j, &b);
    put_pretty(&b, v, 0, 0);
    return ql_j_take(&b);
}
