// SPDX-License-Identifier: MIT
// Owns the scanning of JSON text. Must not know what it means. Its decision: the text is checked to be UTF-8 once, in
// front, so that a string is looked at only for its end, 8 bytes at a time.
#include "text/json_scan.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistr.h>

#include "base/number.h"
#include "base/utf8.h"

enum { MAX_DEPTH = 128 };

ql_code ql_scan_fail(const ql_scan *scan, const char *what)
{
    size_t line = 1, column = 1;
    for (const char *p = scan->text; p < scan->at; p++) {
        column = *p == '\n' ? 1 : column + (((uint8_t)*p & 0xc0) != 0x80);
        line += *p == '\n';
    }
    return ql_fail(scan->err, QL_E_FORMAT, "line %zu, column %zu: %s", line, column, what);
}

ql_code ql_scan_begin(ql_scan *scan, const char *text, size_t len, ql_error *err)
{
    *scan = (ql_scan){.text = text, .at = text, .end = text + len, .err = err};
    const uint8_t *bad = len ? u8_check((const uint8_t *)text, len) : NULL;
    if (!bad)
        return QL_OK;
    scan->at = (const char *)bad;
    return ql_scan_fail(scan, "not UTF-8");
}

void ql_scan_free(ql_scan *scan)
{
    free(scan->decoded);
    scan->decoded = NULL;
}

char ql_scan_peek(ql_scan *scan)
{
    while (scan->at < scan->end && (*scan->at == ' ' || *scan->at == '\n' || *scan->at == '\t' || *scan->at == '\r'))
        scan->at++;
    return scan->at < scan->end ? *scan->at : 0;
}

ql_code ql_scan_finish(ql_scan *scan)
{
    ql_scan_peek(scan);
    return scan->at == scan->end ? QL_OK : ql_scan_fail(scan, "the end of the file expected");
}

// ---- objects and arrays ----

ql_code ql_scan_open(ql_scan *scan, char bracket)
{
    if (ql_scan_peek(scan) != bracket)
        return ql_scan_fail(scan, bracket == '{' ? "an object expected" : "an array expected");
    if (++scan->depth > MAX_DEPTH)
        return ql_scan_fail(scan, "nested deeper than 128");
    scan->at++;
    return QL_OK;
}

ql_code ql_scan_next(ql_scan *scan, char bracket, bool first, bool *more)
{
    char close = bracket == '{' ? '}' : ']', c = ql_scan_peek(scan);
    *more = c != close;
    if (!*more) {
        scan->at++;
        scan->depth--;
        return QL_OK;
    }
    if (first)
        return QL_OK;
    if (c != ',')
        return ql_scan_fail(scan, bracket == '{' ? "',' or '}' expected" : "',' or ']' expected");
    scan->at++;
    if (ql_scan_peek(scan) == close)
        return ql_scan_fail(scan, bracket == '{' ? "a key expected" : "a value expected");
    return QL_OK;
}

ql_code ql_scan_key(ql_scan *scan, ql_str *key)
{
    if (ql_scan_peek(scan) != '"')
        return ql_scan_fail(scan, "a key expected");
    QL_TRY(ql_scan_string(scan, key));
    if (ql_scan_peek(scan) != ':')
        return ql_scan_fail(scan, "':' expected");
    scan->at++;
    return QL_OK;
}

// ---- strings ----

#define ONES 0x0101010101010101u
#define HIGH 0x8080808080808080u

static uint64_t has_zero(uint64_t x) { return (x - ONES) & ~x & HIGH; }

// The first quote, backslash or control character.
static const char *plain_end(const char *p, const char *end)
{
    for (; end - p >= 8; p += 8) {
        uint64_t x;
        memcpy(&x, p, 8);
        if (has_zero(x ^ (ONES * '"')) | has_zero(x ^ (ONES * '\\')) | ((x - ONES * 0x20) & ~x & HIGH))
            break;
    }
    while (p < end && *p != '"' && *p != '\\' && (uint8_t)*p >= 0x20)
        p++;
    return p;
}

static int hex4(const char *p, const char *end)
{
    int value = 0;
    if (end - p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        char c = p[i], lower = (char)(c | 0x20);
        int digit = c >= '0' && c <= '9' ? c - '0' : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

// \uXXXX at scan->at, as UTF-8; returns its length, 0: wrong.
static int unicode_escape(ql_scan *scan, char *out)
{
    int cp = hex4(scan->at + 2, scan->end);
    scan->at += 6;
    if (cp >= 0xd800 && cp < 0xdc00) {
        bool low = scan->end - scan->at >= 6 && scan->at[0] == '\\' && scan->at[1] == 'u';
        int second = low ? hex4(scan->at + 2, scan->end) : -1;
        if (second < 0xdc00 || second > 0xdfff)
            return 0;
        scan->at += 6;
        cp = 0x10000 + ((cp - 0xd800) << 10) + (second - 0xdc00);
    }
    return cp < 0 || (cp >= 0xdc00 && cp <= 0xdfff) ? 0 : ql_utf8_encode((uint32_t)cp, out);
}

static ql_code escaped_string(ql_scan *scan, const char *begin, ql_str *string)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (!scan->decoded && !(scan->decoded = malloc((size_t)(scan->end - scan->text))))
        return ql_fail_memory(scan->err, (size_t)(scan->end - scan->text));
    char *out = scan->decoded + scan->n_decoded, *first = out;
    for (const char *p = begin;;) {
        const char *stop = plain_end(p, scan->end);
        memcpy(out, p, (size_t)(stop - p));
        out += stop - p;
        scan->at = stop;
        if (stop < scan->end && *stop == '"')
            break;
        if (scan->end - stop < 2 || *stop != '\\')
            return ql_scan_fail(scan, stop < scan->end && (uint8_t)*stop < 0x20 ? "a control character in a string"
                                                                                : "a string has no end");
        const char *known = stop[1] ? strchr(from, stop[1]) : NULL;
        int n = known ? 1 : stop[1] == 'u' ? unicode_escape(scan, out) : 0;
        if (n == 0) {
            scan->at = stop;
            return ql_scan_fail(scan, "a wrong escape in a string");
        }
        if (known) {
            *out = to[known - from];
            scan->at += 2;
        }
        out += n;
        p = scan->at;
    }
    scan->at++;
    scan->n_decoded += (size_t)(out - first);
    *string = (ql_str){first, (size_t)(out - first)};
    return QL_OK;
}

ql_code ql_scan_string(ql_scan *scan, ql_str *string)
{
    if (ql_scan_peek(scan) != '"')
        return ql_scan_fail(scan, "a string expected");
    const char *begin = scan->at + 1, *stop = plain_end(begin, scan->end);
    if (stop < scan->end && *stop == '"') {
        *string = (ql_str){begin, (size_t)(stop - begin)};
        scan->at = stop + 1;
        return QL_OK;
    }
    return escaped_string(scan, begin, string);
}

// ---- numbers ----

static bool is_digit(const ql_scan *scan) { return scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9'; }

static bool digits(ql_scan *scan)
{
    bool any = is_digit(scan);
    while (is_digit(scan))
        scan->at++;
    return any;
}

static bool take(ql_scan *scan, char a, char b)
{
    bool is = scan->at < scan->end && (*scan->at == a || *scan->at == b);
    scan->at += is;
    return is;
}

// Passes a number by; *integer: without a sign, a point or an exponent.
static ql_code pass_number(ql_scan *scan, bool *integer)
{
    const char *begin = scan->at;
    bool negative = take(scan, '-', '-');
    bool zero = take(scan, '0', '0'), ok = zero ? !is_digit(scan) : digits(scan);
    *integer = !negative;
    if (ok && take(scan, '.', '.')) {
        *integer = false;
        ok = digits(scan);
    }
    if (ok && take(scan, 'e', 'E')) {
        *integer = false;
        take(scan, '+', '-');
        ok = digits(scan);
    }
    if (ok)
        return QL_OK;
    scan->at = begin;
    return ql_scan_fail(scan, "a value expected");
}

ql_code ql_scan_integer(ql_scan *scan, uint64_t max, uint64_t *value)
{
    bool integer;
    ql_scan_peek(scan);
    const char *begin = scan->at;
    QL_TRY(pass_number(scan, &integer));
    uint64_t n = 0;
    bool fits = integer;
    for (const char *p = begin; fits && p < scan->at; p++) {
        uint64_t digit = (uint64_t)(*p - '0');
        fits = n <= (max - digit) / 10 && digit <= max;
        n = n * 10 + digit;
    }
    *value = n;
    if (fits)
        return QL_OK;
    char what[160];
    snprintf(what, sizeof what, "%.*s: must be an integer from 0 to %llu",
             (int)(scan->at - begin < 40 ? scan->at - begin : 40), begin, (unsigned long long)max);
    scan->at = begin;
    return ql_scan_fail(scan, what);
}

// 10^n; up to 22 they are products without an error.
static double power_of_ten(int n)
{
    double power = 1;
    char text[16];
    if (n <= 22) {
        while (n-- > 0)
            power *= 10;
        return power;
    }
    snprintf(text, sizeof text, "1e%d", n);
    return ql_to_double(text, NULL);
}

// The digits as one integer, as many as fit 64 bits, and the exponent that goes with them.
static uint64_t digits_of(const char *p, const char *end, int *exponent)
{
    uint64_t digits = 0;
    bool point = false, full = false;
    for (; p < end && *p != 'e' && *p != 'E'; p++) {
        uint64_t digit = (uint64_t)(*p - '0');
        if (*p == '.') {
            point = true;
        } else if (full || digits > (UINT64_MAX - digit) / 10) {
            full = true;
            *exponent += !point;
        } else {
            digits = digits * 10 + digit;
            *exponent -= point;
        }
    }
    if (p == end)
        return digits;
    int more = 0;
    bool down = p + 1 < end && p[1] == '-';
    for (p += down || (p + 1 < end && p[1] == '+') ? 2 : 1; p < end; p++)
        more = more < 1 << 20 ? more * 10 + (*p - '0') : more;
    *exponent += down ? -more : more;
    return digits;
}

// As serde_json reads it, by which the `tokenizers` library has its scores: one multiplication or division, so the last bit
// is not always the nearest, but the one by which two ways to cut a text are told apart there.
static double number_of(const char *p, const char *end)
{
    bool negative = *p == '-';
    int exponent = 0;
    double value = (double)digits_of(p + negative, end, &exponent);
    for (; exponent < -308 && value != 0; exponent += 308)
        value /= 1e308;
    if (value != 0)
        value = exponent > 308 ? INFINITY : exponent >= 0 ? value * power_of_ten(exponent) : value / power_of_ten(-exponent);
    return negative ? -value : value;
}

ql_code ql_scan_number(ql_scan *scan, double *value)
{
    bool integer;
    ql_scan_peek(scan);
    const char *begin = scan->at;
    QL_TRY(pass_number(scan, &integer));
    *value = number_of(begin, scan->at);
    if (isfinite(*value))
        return QL_OK;
    scan->at = begin;
    return ql_scan_fail(scan, "a number out of range");
}

// ---- any value ----

static ql_code pass_word(ql_scan *scan, const char *word)
{
    size_t n = strlen(word);
    if ((size_t)(scan->end - scan->at) < n || memcmp(scan->at, word, n) != 0)
        return ql_scan_fail(scan, "a value expected");
    scan->at += n;
    return QL_OK;
}

static ql_code pass(ql_scan *scan)
{
    ql_str string;
    bool integer, more = true;
    char c = ql_scan_peek(scan);
    size_t decoded = scan->n_decoded;
    switch (c) {
    case '"':
        QL_TRY(ql_scan_string(scan, &string));
        scan->n_decoded = decoded;
        return QL_OK;
    case '{': case '[':
        QL_TRY(ql_scan_open(scan, c));
        for (bool first = true; more; first = false) {
            QL_TRY(ql_scan_next(scan, c, first, &more));
            if (more && c == '{')
                QL_TRY(ql_scan_key(scan, &string));
            if (more)
                QL_TRY(pass(scan));
        }
        scan->n_decoded = decoded;
        return QL_OK;
    case 't':
        return pass_word(scan, "true");
    case 'f':
        return pass_word(scan, "false");
    case 'n':
        return pass_word(scan, "null");
    default:
        return pass_number(scan, &integer);
    }
}

ql_code ql_scan_value(ql_scan *scan, ql_str *span)
{
    ql_scan_peek(scan);
    const char *begin = scan->at;
    QL_TRY(pass(scan));
    *span = (ql_str){begin, (size_t)(scan->at - begin)};
    return QL_OK;
}
