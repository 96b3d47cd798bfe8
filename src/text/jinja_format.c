// SPDX-License-Identifier: MIT
// Owns format(value, spec): the mini-language inside the braces of str.format().
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "text/jinja_num.h"
#include "text/jinja_text.h"

enum { MAX_PRECISION = 500, MAX_DIGITS = MAX_PRECISION + 330 };

typedef struct spec {
    const ql_jstr *fill; // one character
    char align;          // '<' '>' '=' '^', or 0
    char sign;           // '+' '-' ' '
    bool alternate, zero;
    int64_t width, precision; // -1: none
    char group;               // ',' '_' or 0
    char type;                // or 0
} spec;

static bool is_align(char c) { return c == '<' || c == '>' || c == '=' || c == '^'; }

static int64_t read_number(ql_jinja *j, const ql_jstr *s, size_t *at)
{
    int64_t n = -1;
    for (; *at < s->len && s->s[*at] >= '0' && s->s[*at] <= '9'; (*at)++)
        if ((n = (n < 0 ? 0 : n) * 10 + (s->s[*at] - '0')) > QL_J_MAX_TEXT)
            ql_j_text_limit(j);
    return n;
}

static bool take(const ql_jstr *s, size_t *at, char c)
{
    if (*at >= s->len || s->s[*at] != c)
        return false;
    (*at)++;
    return true;
}

static spec read_spec(ql_jinja *j, const ql_jstr *s)
{
    spec p = {.fill = ql_j_cstr(j, " "), .sign = '-', .width = -1, .precision = -1};
    size_t at = 0, n = 0;
    bool filled = false;
    if (s->len)
        ql_j_char(s->s, &n);
    if (s->len > n && is_align(s->s[n])) {
        p.fill = ql_j_sub(j, s, 0, n);
        p.align = s->s[n];
        at = n + 1;
        filled = true;
    } else if (s->len && is_align(s->s[0])) {
        p.align = s->s[at++];
    }
    if (at < s->len && (s->s[at] == '+' || s->s[at] == '-' || s->s[at] == ' '))
        p.sign = s->s[at++];
    p.alternate = take(s, &at, '#');
    if (!filled && take(s, &at, '0')) {
        p.fill = ql_j_cstr(j, "0");
        p.zero = !p.align;
    }
    p.width = read_number(j, s, &at);
    if (take(s, &at, ','))
        p.group = ',';
    else if (take(s, &at, '_'))
        p.group = '_';
    if (take(s, &at, '.') && (p.precision = read_number(j, s, &at)) < 0)
        ql_j_raise(j, "Format specifier missing precision");
    if (at + 1 < s->len || (at < s->len && (uint8_t)s->s[at] >= 0x80))
        ql_j_raise(j, "Invalid format specifier");
    p.type = at < s->len ? s->s[at] : 0;
    return p;
}

static ql_jstr *align_text(ql_jinja *j, const spec *p, const ql_jstr *body, char align)
{
    int64_t room = p->width - (int64_t)body->n_chars;
    if (room <= 0)
        return (ql_jstr *)body;
    int64_t left = align == '<' ? 0 : align == '^' ? room / 2 : room;
    ql_jbuild b;
    ql_j_build(j, &b);
    ql_j_put_fill(&b, p->fill, left);
    ql_j_put_str(&b, body);
    ql_j_put_fill(&b, p->fill, room - left);
    return ql_j_take(&b);
}

static ql_jstr *format_text(ql_jinja *j, const spec *p, const ql_jstr *s)
{
    if ((p->type && p->type != 's') || p->group || p->sign != '-' || p->align == '=' || p->alternate)
        ql_j_raise(j, "Invalid format specifier for object of type 'str'");
    if (p->precision >= 0 && p->precision < (int64_t)s->n_chars)
        s = ql_j_sub(j, s, 0, ql_j_offset(j, s, (size_t)p->precision));
    return align_text(j, p, s, p->align ? p->align : '<');
}

// Digits with separators, and zeros in front until the text is min characters long.
static void put_grouped(ql_jbuild *b, const char *digits, size_t n, const spec *p, int64_t min, bool input)
{
    size_t size = p->type == 'b' || p->type == 'o' || (p->type | 32) == 'x' ? 4 : 3;
    size_t total = n;
    if (!p->group) {
        total = min > (int64_t)n ? (size_t)min : n;
    } else {
        while ((int64_t)(total + (total - 1) / size) < min)
            total++;
    }
    if (total > QL_J_MAX_TEXT)
        ql_j_text_limit(b->j);
    for (size_t left = total; left > 0; left--) {
        if ((left & 15) == 0)
            ql_j_step(b->j);
        ql_j_put(b, left > n ? "0" : &digits[n - left], 1, input);
        if (p->group && left > 1 && (left - 1) % size == 0)
            ql_j_put(b, &p->group, 1, input);
    }
}

// sign, prefix, whole digits (grouped), rest ('.', exponent, '%').
static ql_jstr *number_text(ql_jinja *j, const spec *p, bool negative, const char *prefix, const char *text,
                            size_t n_whole, bool input)
{
    char lead[8];
    snprintf(lead, sizeof lead, "%s%s", negative ? "-" : p->sign == '+' ? "+" : p->sign == ' ' ? " " : "", prefix);
    char align = p->align ? p->align : p->zero ? '=' : '>';
    size_t n_rest = strlen(text + n_whole), fixed = strlen(lead) + n_rest;
    bool zeros = align == '=' && ql_j_str_is(p->fill, "0");
    ql_jbuild b;
    ql_j_build(j, &b);
    if (align != '=' || zeros) {
        ql_j_put_cstr(&b, lead, input);
        put_grouped(&b, text, n_whole, p, zeros ? p->width - (int64_t)fixed : 0, input);
        ql_j_put(&b, text + n_whole, n_rest, input);
        return align_text(j, p, ql_j_take(&b), align);
    }
    put_grouped(&b, text, n_whole, p, 0, input);
    ql_j_put(&b, text + n_whole, n_rest, input);
    const ql_jstr *body = ql_j_take(&b);
    ql_j_put_cstr(&b, lead, input);
    ql_j_put_fill(&b, p->fill, p->width - (int64_t)strlen(lead) - body->n_chars);
    ql_j_put_str(&b, body);
    return ql_j_take(&b);
}

static ql_jstr *format_int(ql_jinja *j, const spec *p, int64_t i, bool input)
{
    char text[72];
    size_t at = sizeof text - 1;
    if (p->precision >= 0)
        ql_j_raise(j, "Precision not allowed in integer format specifier");
    if (p->type == 'c') {
        if (i < 0 || i > 0x10ffff || (i >= 0xd800 && i < 0xe000))
            ql_j_raise(j, "%%c arg not in range(0x110000)");
        if (p->sign != '-' || p->group || p->alternate)
            ql_j_raise(j, "Sign, separators and '#' are not allowed with 'c'");
        return align_text(j, p, ql_j_str(j, text, (size_t)ql_utf8_encode((uint32_t)i, text), input),
                          p->align ? p->align : '>');
    }
    unsigned base = p->type == 'b' ? 2 : p->type == 'o' ? 8 : (p->type | 32) == 'x' ? 16 : 10;
    if (p->group == ',' && base != 10)
        ql_j_raise(j, "Cannot specify ',' with '%c'.", p->type);
    uint64_t magnitude = i < 0 ? 0 - (uint64_t)i : (uint64_t)i;
    const char *digits = p->type == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
    text[at] = 0;
    do
        text[--at] = digits[magnitude % base];
    while (magnitude /= base);
    char prefix[3] = {'0', p->type, 0};
    return number_text(j, p, i < 0, p->alternate && base != 10 ? prefix : "", text + at, sizeof text - 1 - at, input);
}

// Type 0 with a precision: like 'g', but never without a point, so in exponents one digit earlier.
static void general_with_point(double x, int precision, char *out, size_t size)
{
    if (precision == 0)
        precision = 1;
    snprintf(out, size, "%.*e", precision - 1, x);
    char *e = strchr(out, 'e');
    int exponent = atoi(e + 1);
    bool exponential = exponent < -4 || exponent >= precision - 1;
    if (!exponential)
        snprintf(out, size, "%.*f", precision - 1 - exponent > 1 ? precision - 1 - exponent : 1, x);
    char tail[16] = "";
    if (exponential)
        snprintf(tail, sizeof tail, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
    size_t n = exponential ? (size_t)(e - out) : strlen(out);
    if (memchr(out, '.', n))
        while (out[n - 1] == '0' && (exponential || out[n - 2] != '.'))
            n--;
    if (exponential && out[n - 1] == '.')
        n--;
    snprintf(out + n, size - n, "%s", tail);
}

static ql_jstr *format_float(ql_jinja *j, const spec *p, double x, bool input)
{
    char text[MAX_DIGITS + 16], fmt[8];
    if (p->precision > MAX_PRECISION)
        ql_j_text_limit(j);
    int precision = p->precision < 0 ? 6 : (int)p->precision;
    bool negative = signbit(x) && !isnan(x), percent = p->type == '%';
    double magnitude = fabs(percent ? x * 100 : x);
    char kind = percent ? 'f' : p->type == 'n' ? 'g' : p->type;
    if (!isfinite(magnitude)) {
        bool upper = kind == 'E' || kind == 'F' || kind == 'G';
        snprintf(text, sizeof text, "%s", isnan(x) ? (upper ? "NAN" : "nan") : upper ? "INF" : "inf");
    } else if (!kind && p->precision < 0) {
        ql_j_float_repr(magnitude, text);
    } else if (!kind) {
        general_with_point(magnitude, precision, text, sizeof text);
    } else {
        snprintf(fmt, sizeof fmt, p->alternate ? "%%#.*%c" : "%%.*%c", kind);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(text, sizeof text - 2, fmt, precision, magnitude);
#pragma GCC diagnostic pop
    }
    if (percent)
        strcat(text, "%");
    size_t whole = strspn(text, "0123456789");
    return number_text(j, p, negative, "", text, whole, input);
}

ql_jstr *ql_j_format_spec(ql_jinja *j, ql_jval v, const ql_jstr *text)
{
    if (text->len == 0)
        return ql_j_to_str(j, v);
    if (v.type == QL_J_STR) {
        spec p = read_spec(j, text);
        return format_text(j, &p, v.u.s);
    }
    if (!ql_j_is_number(v))
        ql_j_raise(j, "unsupported format string passed to %s.__format__", ql_j_type_name(v));
    spec p = read_spec(j, text);
    int64_t i;
    if (ql_j_as_index(v, &i) && (!p.type || strchr("bcdoxXn", p.type)))
        return format_int(j, &p, i, v.input);
    if (p.type && !strchr("eEfFgGn%", p.type))
        ql_j_raise(j, "Unknown format code '%c' for object of type '%s'", p.type, ql_j_type_name(v));
    return format_float(j, &p, ql_j_as_double(v), v.input);
}
