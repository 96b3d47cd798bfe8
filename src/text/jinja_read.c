// SPDX-License-Identifier: MIT
// Owns the reading of JSON into values. Must not know what the values are for.
// Why not jansson, as everywhere else: its byte-by-byte reader and a second copy of all strings took two thirds of the
// time of rendering a chat; and ints may have more than 64 bits here, as in Python.
#include "text/jinja_read.h"

#include <math.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "text/jinja_num.h"

enum { MAX_DEPTH = 200 };

typedef struct reader {
    ql_jinja *j;
    const char *text, *at, *end;
    const char *name;
} reader;

static ql_jval read_value(reader *r, int depth);

__attribute__((noreturn)) static void fail(const reader *r, const char *at, const char *what)
{
    size_t line = 1, column = 1;
    for (const char *c = r->text; c < at; c++) {
        column++;
        if (*c == '\n') {
            line++;
            column = 1;
        }
    }
    ql_j_escape(r->j, ql_fail(r->j->err, QL_E_ARGUMENT, "%s: not JSON at line %zu, column %zu: %s", r->name, line, column,
                              what));
}

static void skip_space(reader *r)
{
    while (*r->at == ' ' || *r->at == '\n' || *r->at == '\t' || *r->at == '\r')
        r->at++;
}

static bool skip(reader *r, char c)
{
    skip_space(r);
    if (*r->at != c)
        return false;
    r->at++;
    return true;
}

// ---- strings ----

static bool is_plain(char c) { return (uint8_t)c >= 0x20 && (uint8_t)c < 0x80 && c != '"' && c != '\\'; }

// Eight bytes at a time: a byte below 0x20, a quote, a backslash or a byte from 0x80 on sets its high bit.
static bool all_plain(const char *s)
{
    const uint64_t ones = 0x0101010101010101u;
    uint64_t word;
    memcpy(&word, s, sizeof word);
    uint64_t quote = word ^ ones * '"', backslash = word ^ ones * '\\';
    uint64_t found = word | ((word - ones * 0x20) & ~word) | ((quote - ones) & ~quote) | ((backslash - ones) & ~backslash);
    return !(found & ones * 0x80);
}

// Skips characters that stand for themselves; false: all of them were ASCII.
static bool skip_plain(reader *r)
{
    bool wide = false;
    for (;;) {
        while (r->end - r->at >= 8 && all_plain(r->at))
            r->at += 8;
        while (is_plain(*r->at))
            r->at++;
        if ((uint8_t)*r->at < 0x80)
            return wide;
        uint32_t cp;
        int n = ql_utf8_decode(r->at, (size_t)(r->end - r->at), &cp);
        if (n < 0)
            fail(r, r->at, "not UTF-8");
        wide = true;
        r->at += n;
    }
}

static uint32_t read_hex(reader *r)
{
    uint32_t cp = 0;
    for (int i = 0; i < 4; i++) {
        char c = *r->at;
        int digit = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
        if (digit < 0)
            fail(r, r->at, "four hexadecimal digits must follow \\u");
        cp = cp << 4 | (uint32_t)digit;
        r->at++;
    }
    return cp;
}

// After the backslash.
static void read_escape(reader *r, ql_jbuild *out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *start = r->at - 1, *found = *r->at ? strchr(from, *r->at) : NULL;
    if (found) {
        r->at++;
        ql_j_put(out, &to[found - from], 1, true);
        return;
    }
    if (*r->at != 'u')
        fail(r, start, "unknown escape");
    r->at++;
    uint32_t cp = read_hex(r);
    if (cp >= 0xd800 && cp < 0xdc00 && r->at[0] == '\\' && r->at[1] == 'u') {
        r->at += 2;
        uint32_t low = read_hex(r);
        if (low < 0xdc00 || low > 0xdfff)
            fail(r, start, "a lone surrogate");
        cp = 0x10000 + ((cp - 0xd800) << 10) + (low - 0xdc00);
    }
    if (cp >= 0xd800 && cp < 0xe000)
        fail(r, start, "a lone surrogate");
    ql_j_put_char(out, cp, true);
}

static ql_jstr *read_escaped(reader *r, const char *start)
{
    ql_jbuild out;
    ql_j_build(r->j, &out);
    ql_j_put(&out, start, (size_t)(r->at - start), true);
    while (*r->at == '\\') {
        r->at++;
        read_escape(r, &out);
        const char *from = r->at;
        skip_plain(r);
        ql_j_put(&out, from, (size_t)(r->at - from), true);
    }
    return ql_j_take(&out);
}

// After the opening quote.
static ql_jstr *read_string(reader *r)
{
    const char *start = r->at;
    bool wide = skip_plain(r);
    if (r->at - start > QL_J_MAX_TEXT)
        ql_j_escape(r->j, ql_fail(r->j->err, QL_E_ARGUMENT, "%s: a string of %td bytes, at most %d are allowed", r->name,
                                  r->at - start, QL_J_MAX_TEXT));
    ql_jstr *s = *r->at == '\\' ? read_escaped(r, start) : ql_j_view(r->j, start, (size_t)(r->at - start), !wide, true);
    if (*r->at != '"')
        fail(r, r->at, *r->at ? "a control character in a string" : "the text ends inside a string");
    r->at++;
    return s;
}

// ---- numbers ----

static bool skip_digits(reader *r)
{
    const char *start = r->at;
    while (*r->at >= '0' && *r->at <= '9')
        r->at++;
    return r->at > start;
}

static ql_jval read_number(reader *r)
{
    const char *start = r->at;
    r->at += *r->at == '-';
    bool real = false, valid = *r->at == '0' ? (r->at++, true) : skip_digits(r);
    if (valid && *r->at == '.') {
        real = true;
        r->at++;
        valid = skip_digits(r);
    }
    if (valid && (*r->at | 32) == 'e') {
        real = true;
        r->at++;
        r->at += *r->at == '+' || *r->at == '-';
        valid = skip_digits(r);
    }
    if (!valid)
        fail(r, start, "not a number");
    if (!real)
        return ql_j_int_of_digits(r->j, start, (size_t)(r->at - start), true);
    double f = strtod(start, NULL);
    if (!isfinite(f))
        fail(r, start, "the number is beyond the range of double");
    return ql_j_tainted(ql_j_float(f), true);
}

// ---- containers ----

static ql_jval read_array(reader *r, int depth)
{
    ql_jlist *list = ql_j_list(r->j, 0);
    if (skip(r, ']'))
        return ql_j_listv(list);
    do {
        ql_j_push(r->j, list, read_value(r, depth + 1));
    } while (skip(r, ','));
    if (!skip(r, ']'))
        fail(r, r->at, "',' or ']' expected");
    return ql_j_listv(list);
}

static ql_jval read_object(reader *r, int depth)
{
    ql_jdict *dict = ql_j_dict(r->j);
    if (skip(r, '}'))
        return ql_j_dictv(dict);
    do {
        if (!skip(r, '"'))
            fail(r, r->at, "a key in quotes expected");
        ql_jval key = ql_j_strv(read_string(r));
        if (!skip(r, ':'))
            fail(r, r->at, "':' expected");
        ql_j_set(r->j, dict, key, read_value(r, depth + 1));
    } while (skip(r, ','));
    if (!skip(r, '}'))
        fail(r, r->at, "',' or '}' expected");
    return ql_j_dictv(dict);
}

static bool skip_word(reader *r, const char *word)
{
    size_t n = strlen(word);
    if (strncmp(r->at, word, n) != 0)
        return false;
    r->at += n;
    return true;
}

static ql_jval read_value(reader *r, int depth)
{
    if (depth > MAX_DEPTH)
        ql_j_escape(r->j, ql_fail(r->j->err, QL_E_ARGUMENT, "%s: JSON nested more than %d deep", r->name, MAX_DEPTH));
    skip_space(r);
    switch (*r->at) {
    case '{':
        r->at++;
        return read_object(r, depth);
    case '[':
        r->at++;
        return read_array(r, depth);
    case '"':
        r->at++;
        return ql_j_strv(read_string(r));
    case 't':
    case 'f':
    case 'n':
        if (skip_word(r, "true"))
            return ql_j_tainted(ql_j_bool(true), true);
        if (skip_word(r, "false"))
            return ql_j_tainted(ql_j_bool(false), true);
        if (skip_word(r, "null"))
            return ql_j_tainted(ql_j_none(), true);
        fail(r, r->at, "an unknown word");
    default:
        if (*r->at == '-' || (*r->at >= '0' && *r->at <= '9'))
            return read_number(r);
        fail(r, r->at, *r->at ? "a value expected" : "the text ends where a value is expected");
    }
}

ql_jval ql_j_read_json(ql_jinja *j, const char *text, const char *name)
{
    reader r = {.j = j, .text = text, .at = text, .end = text + strlen(text), .name = name};
    ql_jval v = read_value(&r, 0);
    skip_space(&r);
    if (*r.at)
        fail(&r, r.at, "something follows the value");
    return v;
}
