// SPDX-License-Identifier: MIT
// Owns the % operator on strings (printf-style formatting).
#include <stdio.h>

#include "base/utf8.h"
#include "text/jinja_num.h"
#include "text/jinja_text.h"

enum { MAX_PRECISION = 500 };

typedef struct directive {
    bool left, plus, space, alternate, zero;
    int64_t width, precision; // precision -1: none
    char kind;
} directive;

typedef struct formatter {
    ql_jinja *j;
    ql_jbuild *b;
    const ql_jstr *fmt;
    size_t at; // in fmt
    ql_jval args;
    size_t next; // argument
    bool markup;
} formatter;

static char peek(formatter *f)
{
    if (f->at >= f->fmt->len)
        ql_j_raise(f->j, "incomplete format");
    return f->fmt->s[f->at];
}

static ql_jval next_arg(formatter *f)
{
    if (f->args.type == QL_J_TUPLE) {
        if (f->next >= f->args.u.list->n)
            ql_j_raise(f->j, "not enough arguments for format string");
        return f->args.u.list->items[f->next++];
    }
    if (f->next++ > 0)
        ql_j_raise(f->j, "not enough arguments for format string");
    return f->args;
}

// "(name)": the value that the mapping has for it.
static ql_jval mapped_arg(formatter *f)
{
    size_t from = ++f->at, depth = 1;
    for (; depth; f->at++) {
        char c = peek(f);
        depth += c == '(';
        depth -= c == ')';
    }
    if (f->args.type != QL_J_DICT)
        ql_j_raise(f->j, "format requires a mapping");
    const ql_jstr *key = ql_j_sub(f->j, f->fmt, from, f->at - 1);
    ql_jval *v = ql_j_get_str(f->j, f->args.u.dict, key);
    if (!v)
        ql_j_raise(f->j, "no value for '%.*s' in the arguments of a format", key->len < 100 ? (int)key->len : 100,
                   key->s);
    return *v;
}

static int64_t read_number(formatter *f)
{
    int64_t n = 0;
    if (peek(f) == '*') {
        f->at++;
        if (!ql_j_as_index(next_arg(f), &n))
            ql_j_raise(f->j, "* wants int");
        return n;
    }
    for (; peek(f) >= '0' && peek(f) <= '9'; f->at++)
        if ((n = n * 10 + (peek(f) - '0')) > QL_J_MAX_TEXT)
            ql_j_text_limit(f->j);
    return n;
}

static directive read_directive(formatter *f)
{
    directive d = {.precision = -1};
    for (;; f->at++) {
        char c = peek(f);
        if (c == '-')
            d.left = true;
        else if (c == '+')
            d.plus = true;
        else if (c == ' ')
            d.space = true;
        else if (c == '#')
            d.alternate = true;
        else if (c == '0')
            d.zero = true;
        else
            break;
    }
    d.width = read_number(f);
    if (d.width < 0) {
        d.left = true;
        d.width = d.width < -QL_J_MAX_TEXT ? QL_J_MAX_TEXT + 1 : -d.width;
    }
    if (peek(f) == '.') {
        f->at++;
        d.precision = read_number(f);
        if (d.precision < 0)
            d.precision = 0;
    }
    if (peek(f) == 'h' || peek(f) == 'l' || peek(f) == 'L')
        f->at++;
    d.kind = peek(f);
    f->at++;
    return d;
}

// sign and prefix stand before zeros that fill the width.
static void put_padded(formatter *f, const directive *d, const char *lead, const ql_jstr *body, bool number)
{
    int64_t fill = d->width - (int64_t)strlen(lead) - body->n_chars;
    bool zeros = number && d->zero && !d->left, input = ql_j_any_input(body);
    if (fill > 0 && !d->left && !zeros)
        ql_j_put_spaces(f->b, fill);
    ql_j_put_cstr(f->b, lead, input);
    if (fill > 0 && zeros)
        ql_j_put_fill(f->b, ql_j_cstr(f->j, "0"), fill);
    ql_j_put_str(f->b, body);
    if (fill > 0 && d->left)
        ql_j_put_spaces(f->b, fill);
}

static void put_integer(formatter *f, const directive *d, ql_jval v)
{
    int64_t i;
    if (v.type == QL_J_FLOAT && strchr("diu", d->kind))
        v = ql_j_tainted(ql_j_float_to_int(f->j, v.u.f), v.input);
    if (!ql_j_as_index(v, &i))
        ql_j_raise(f->j, "%%%c format: a number is required, not %s", d->kind, ql_j_type_name(v));
    if (d->precision > MAX_PRECISION)
        ql_j_text_limit(f->j);
    uint64_t magnitude = i < 0 ? 0 - (uint64_t)i : (uint64_t)i;
    char text[MAX_PRECISION + 32], lead[4];
    int precision = d->precision < 0 ? 0 : (int)d->precision;
    const char *fmt = d->kind == 'o' ? "%.*llo" : d->kind == 'x' ? "%.*llx" : d->kind == 'X' ? "%.*llX" : "%.*llu";
    int n = snprintf(text, sizeof text, fmt, precision, (unsigned long long)magnitude);
    if (magnitude == 0 && precision == 0)
        n = snprintf(text, sizeof text, "0");
    const char *prefix = d->kind == 'x' ? "0x" : d->kind == 'X' ? "0X" : d->kind == 'o' ? "0o" : "";
    if (!d->alternate)
        prefix = "";
    snprintf(lead, sizeof lead, "%s%s", i < 0 ? "-" : d->plus ? "+" : d->space ? " " : "", prefix);
    put_padded(f, d, lead, ql_j_str(f->j, text, (size_t)n, v.input), true);
}

static void put_real(formatter *f, const directive *d, ql_jval v)
{
    ql_j_want(f->j, v);
    if (!ql_j_is_number(v))
        ql_j_raise(f->j, "must be real number, not %s", ql_j_type_name(v));
    if (d->precision > MAX_PRECISION)
        ql_j_text_limit(f->j);
    char text[MAX_PRECISION + 330], spec[8];
    snprintf(spec, sizeof spec, d->alternate ? "%%#.*%c" : "%%.*%c", d->kind);
    double x = ql_j_as_double(v);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    int n = snprintf(text, sizeof text, spec, d->precision < 0 ? 6 : (int)d->precision, x);
#pragma GCC diagnostic pop
    bool negative = text[0] == '-';
    if (strstr(text, "nan") || strstr(text, "NAN"))
        negative = (n = snprintf(text, sizeof text, d->kind < 'a' ? "NAN" : "nan"), false);
    const char *sign = negative ? "-" : d->plus ? "+" : d->space ? " " : "";
    put_padded(f, d, sign, ql_j_str(f->j, text + negative, (size_t)(n - negative), v.input), true);
}

static void put_text(formatter *f, const directive *d, const ql_jstr *s)
{
    if (f->markup)
        s = ql_j_escape_html(f->j, ql_j_strv(s));
    if (d->precision >= 0 && d->precision < (int64_t)s->n_chars)
        s = ql_j_sub(f->j, s, 0, ql_j_offset(f->j, s, (size_t)d->precision));
    put_padded(f, d, "", s, false);
}

static void put_char(formatter *f, const directive *d, ql_jval v)
{
    int64_t code;
    char bytes[4];
    if (v.type == QL_J_STR && v.u.s->n_chars == 1) {
        put_padded(f, d, "", v.u.s, false);
        return;
    }
    if (!ql_j_as_index(v, &code))
        ql_j_raise(f->j, "%%c requires int or char");
    if (code < 0 || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
        ql_j_raise(f->j, "%%c arg not in range(0x110000)");
    put_padded(f, d, "", ql_j_str(f->j, bytes, (size_t)ql_utf8_encode((uint32_t)code, bytes), v.input), false);
}

static void put_directive(formatter *f)
{
    bool mapped = peek(f) == '(';
    ql_jval v = mapped ? mapped_arg(f) : ql_j_none();
    directive d = read_directive(f);
    if (d.kind == '%') {
        ql_j_put_sub(f->b, f->fmt, f->at - 1, f->at);
        return;
    }
    if (!mapped)
        v = next_arg(f);
    if (d.width > QL_J_MAX_TEXT)
        ql_j_text_limit(f->j);
    switch (d.kind) {
    case 's':
        put_text(f, &d, f->markup ? ql_j_soft_str(f->j, v) : ql_j_to_str(f->j, v));
        break;
    case 'r':
    case 'a':
        put_text(f, &d, ql_j_repr(f->j, v));
        break;
    case 'c':
        put_char(f, &d, v);
        break;
    case 'd':
    case 'i':
    case 'u':
    case 'x':
    case 'X':
    case 'o':
        put_integer(f, &d, v);
        break;
    case 'e':
    case 'E':
    case 'f':
    case 'F':
    case 'g':
    case 'G':
        put_real(f, &d, v);
        break;
    default:
        ql_j_raise(f->j, "unsupported format character '%c' (0x%x)", d.kind, (unsigned char)d.kind);
    }
}

ql_jval ql_j_percent(ql_jinja *j, const ql_jstr *fmt, ql_jval args)
{
    ql_jbuild b;
    ql_j_build(j, &b);
    formatter f = {.j = j, .b = &b, .fmt = fmt, .args = args, .markup = fmt->markup};
    while (f.at < fmt->len) {
        const char *percent = memchr(fmt->s + f.at, '%', fmt->len - f.at);
        size_t to = percent ? (size_t)(percent - fmt->s) : fmt->len;
        ql_j_put_sub(&b, fmt, f.at, to);
        f.at = to;
        if (percent) {
            ql_j_step(j);
            f.at++;
            put_directive(&f);
        }
    }
    // Mappings, lists among them, may have values that nobody asked for.
    bool mapping = args.type == QL_J_DICT || args.type == QL_J_LIST || args.type == QL_J_UNDEFINED ||
                   args.type == QL_J_RANGE;
    if (args.type == QL_J_TUPLE ? f.next < args.u.list->n : !mapping && f.next == 0)
        ql_j_raise(j, "not all arguments converted during string formatting");
    return ql_j_strv(ql_j_as_markup(j, ql_j_take(&b), fmt->markup));
}
