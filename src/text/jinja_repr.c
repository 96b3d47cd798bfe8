// SPDX-License-Identifier: MIT
// Owns str(), repr() and HTML escaping. Brackets and quotes around values count as input: who sent the values chose
// how many there are.
#include "text/jinja_ast.h"
#include "text/jinja_char.h"
#include "text/jinja_num.h"
#include "text/jinja_object.h"
#include "text/jinja_text.h"

static void put_str_repr(ql_jbuild *b, const ql_jstr *s)
{
    bool single = memchr(s->s, '\'', s->len) != NULL;
    char quote = single && !memchr(s->s, '"', s->len) ? '"' : '\'';
    size_t n, run = 0;
    ql_j_put(b, &quote, 1, true);
    ql_j_charge(b->j, s->len * 4);
    for (size_t i = 0; i < s->len; i += n) {
        uint32_t c = ql_j_char(s->s + i, &n);
        if (c != (uint32_t)quote && c != '\\' && ql_j_is_printable(c))
            continue;
        ql_j_put_sub(b, s, run, i);
        run = i + n;
        bool input = ql_j_origin(s, i);
        if (c == (uint32_t)quote || c == '\\')
            ql_j_put_fmt(b, input, "\\%c", (char)c);
        else if (c == '\n' || c == '\r' || c == '\t')
            ql_j_put_cstr(b, c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t", input);
        else
            ql_j_put_fmt(b, input, c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x", c);
    }
    ql_j_put_sub(b, s, run, s->len);
    ql_j_put(b, &quote, 1, true);
}

static void put_items(ql_jbuild *b, ql_jval v)
{
    int64_t len = 0;
    ql_j_len(v, &len);
    for (int64_t i = 0; i < len; i++) {
        if (i)
            ql_j_put_cstr(b, ", ", true);
        ql_j_put_repr(b, ql_j_item_at(b->j, v, (size_t)i));
    }
}

static void put_dict_repr(ql_jbuild *b, const ql_jdict *dict)
{
    ql_j_put_cstr(b, "{", true);
    for (size_t i = 0; i < dict->n; i++) {
        if (i)
            ql_j_put_cstr(b, ", ", true);
        ql_j_put_repr(b, dict->entries[i].key);
        ql_j_put_cstr(b, ": ", true);
        ql_j_put_repr(b, dict->entries[i].value);
    }
    ql_j_put_cstr(b, "}", true);
}

static void put_range_repr(ql_jbuild *b, const ql_jrange *r)
{
    ql_j_put_fmt(b, false, r->step == 1 ? "range(%lld, %lld)" : "range(%lld, %lld, %lld)", (long long)r->start,
                 (long long)r->stop, (long long)r->step);
}

static void put_macro_repr(ql_jbuild *b, const ql_jmacro *code)
{
    ql_j_put_cstr(b, code->name ? "<Macro '" : "<Macro None", false);
    if (code->name) {
        ql_j_put_str(b, code->name);
        ql_j_put_cstr(b, "'>", false);
    } else {
        ql_j_put_cstr(b, ">", false);
    }
}

static void put_loop_repr(ql_jbuild *b, ql_jval v)
{
    ql_jval length = ql_j_getattr(b->j, v, ql_j_cstr(b->j, "length"));
    ql_j_put_fmt(b, false, "<LoopContext %lld/%lld>", (long long)v.u.loop->index0 + 1, (long long)length.u.i);
}

static void put_scalar(ql_jbuild *b, ql_jval v)
{
    char text[QL_J_FLOAT_TEXT];
    switch (v.type) {
    case QL_J_NONE:
        ql_j_put_cstr(b, "None", v.input);
        break;
    case QL_J_BOOL:
        ql_j_put_cstr(b, v.u.b ? "True" : "False", v.input);
        break;
    case QL_J_INT:
        ql_j_put_fmt(b, v.input, "%lld", (long long)v.u.i);
        break;
    case QL_J_WIDE:
        ql_j_put_str(b, v.u.s);
        break;
    case QL_J_FLOAT:
        ql_j_float_repr(v.u.f, text);
        ql_j_put_cstr(b, text, v.input);
        break;
    default: // Python prints an address here
        ql_j_put_fmt(b, false, "<%s object>", ql_j_type_name(v));
    }
}

static void put_view_repr(ql_jbuild *b, ql_jval v)
{
    ql_j_put_cstr(b, ql_j_type_name(v), true);
    ql_j_put_cstr(b, "([", true);
    put_items(b, v);
    ql_j_put_cstr(b, "])", true);
}

void ql_j_put_repr(ql_jbuild *b, ql_jval v)
{
    ql_j_enter(b->j);
    switch (v.type) {
    case QL_J_UNDEFINED:
        ql_j_put_cstr(b, "Undefined", false);
        break;
    case QL_J_STR:
        ql_j_put_cstr(b, v.u.s->markup ? "Markup(" : "", true);
        put_str_repr(b, v.u.s);
        ql_j_put_cstr(b, v.u.s->markup ? ")" : "", true);
        break;
    case QL_J_LIST:
        ql_j_put_cstr(b, "[", true);
        put_items(b, v);
        ql_j_put_cstr(b, "]", true);
        break;
    case QL_J_TUPLE:
        ql_j_put_cstr(b, "(", true);
        put_items(b, v);
        ql_j_put_cstr(b, v.u.list->n == 1 ? ",)" : ")", true);
        break;
    case QL_J_DICT:
        put_dict_repr(b, v.u.dict);
        break;
    case QL_J_NAMESPACE:
        ql_j_put_cstr(b, "<Namespace ", true);
        put_dict_repr(b, v.u.dict);
        ql_j_put_cstr(b, ">", true);
        break;
    case QL_J_VIEW:
        put_view_repr(b, v);
        break;
    case QL_J_RANGE:
        put_range_repr(b, v.u.range);
        break;
    case QL_J_MACRO:
        put_macro_repr(b, v.u.macro->code);
        break;
    case QL_J_LOOP:
        put_loop_repr(b, v);
        break;
    default:
        put_scalar(b, v);
    }
    ql_j_leave(b->j);
}

void ql_j_put_value(ql_jbuild *b, ql_jval v)
{
    if (v.type == QL_J_STR)
        ql_j_put_str(b, v.u.s);
    else if (v.type != QL_J_UNDEFINED)
        ql_j_put_repr(b, v);
}

ql_jstr *ql_j_soft_str(ql_jinja *j, ql_jval v)
{
    if (v.type == QL_J_STR)
        return v.u.s;
    ql_jbuild b;
    ql_j_build(j, &b);
    ql_j_put_value(&b, v);
    return ql_j_take(&b);
}

ql_jstr *ql_j_to_str(ql_jinja *j, ql_jval v) { return ql_j_plain(j, ql_j_soft_str(j, v)); }

ql_jstr *ql_j_repr(ql_jinja *j, ql_jval v)
{
    ql_jbuild b;
    ql_j_build(j, &b);
    ql_j_put_repr(&b, v);
    return ql_j_take(&b);
}

ql_jstr *ql_j_escape_html(ql_jinja *j, ql_jval v)
{
    if (v.type == QL_J_STR && v.u.s->markup)
        return v.u.s;
    const ql_jstr *s = ql_j_soft_str(j, v);
    ql_jbuild b;
    ql_j_build(j, &b);
    size_t run = 0;
    for (size_t i = 0; i < s->len; i++) {
        const char *entity = NULL;
        switch (s->s[i]) {
        case '&':
            entity = "&amp;";
            break;
        case '<':
            entity = "&lt;";
            break;
        case '>':
            entity = "&gt;";
            break;
        case '"':
            entity = "&#34;";
            break;
        case '\'':
            entity = "&#39;";
            break;
        default:
            continue;
        }
        ql_j_put_sub(&b, s, run, i);
        ql_j_put_cstr(&b, entity, ql_j_origin(s, i));
        run = i + 1;
    }
    ql_j_put_sub(&b, s, run, s->len);
    return ql_j_as_markup(j, ql_j_take(&b), true);
}
