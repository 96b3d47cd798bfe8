// SPDX-License-Identifier: MIT
// Owns arithmetic and the text of numbers. Printing and reading of floats is libc's, in the "C" locale that the
// renderer sets for its thread.
#include "text/jinja_num.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "text/jinja_char.h"

__attribute__((noreturn)) static void too_large(ql_jinja *j)
{
    ql_j_raise(j, "an integer needs more than 64 bits, which templates can not use here");
}

static int64_t int_floordiv(ql_jinja *j, int64_t a, int64_t b)
{
    if (b == 0)
        ql_j_raise(j, "integer division or modulo by zero");
    if (b == -1) {
        int64_t negated;
        if (__builtin_sub_overflow((int64_t)0, a, &negated))
            too_large(j);
        return negated;
    }
    int64_t q = a / b;
    return a % b && (a < 0) != (b < 0) ? q - 1 : q;
}

static int64_t int_mod(ql_jinja *j, int64_t a, int64_t b)
{
    if (b == 0)
        ql_j_raise(j, "integer division or modulo by zero");
    if (b == -1)
        return 0;
    int64_t r = a % b;
    return r && (r < 0) != (b < 0) ? r + b : r;
}

static int64_t int_pow(ql_jinja *j, int64_t base, int64_t exponent)
{
    int64_t result = 1;
    bool overflow = false;
    while (exponent) {
        ql_j_step(j);
        if (exponent & 1)
            overflow = overflow || __builtin_mul_overflow(result, base, &result);
        exponent >>= 1;
        if (exponent)
            overflow = __builtin_mul_overflow(base, base, &base) || overflow;
    }
    if (overflow)
        too_large(j);
    return result;
}

static double float_mod(double a, double b, double *floordiv)
{
    double mod = fmod(a, b), div = (a - mod) / b;
    if (mod != 0.0) {
        if ((b < 0) != (mod < 0)) {
            mod += b;
            div -= 1.0;
        }
    } else {
        mod = copysign(0.0, b);
    }
    if (div != 0.0) {
        *floordiv = floor(div);
        if (div - *floordiv > 0.5)
            *floordiv += 1.0;
    } else {
        *floordiv = copysign(0.0, a / b);
    }
    return mod;
}

static ql_jval float_arith(ql_jinja *j, ql_jop op, double a, double b)
{
    double div, mod;
    switch (op) {
    case QL_J_ADD:
        return ql_j_float(a + b);
    case QL_J_SUB:
        return ql_j_float(a - b);
    case QL_J_MUL:
        return ql_j_float(a * b);
    case QL_J_POW:
        if (a == 0.0 && b < 0.0)
            ql_j_raise(j, "0.0 cannot be raised to a negative power");
        if (a < 0.0 && isfinite(b) && b != floor(b) && isfinite(a))
            ql_j_raise(j, "a negative number to a broken power is complex, which templates can not use here");
        mod = pow(a, b);
        if (isinf(mod) && isfinite(a) && isfinite(b))
            ql_j_raise(j, "the power is too large");
        return ql_j_float(mod);
    default:
        break;
    }
    if (b == 0.0)
        ql_j_raise(j, "float division by zero");
    if (op == QL_J_DIV)
        return ql_j_float(a / b);
    mod = float_mod(a, b, &div);
    return ql_j_float(op == QL_J_MOD ? mod : div);
}

static ql_jval int_arith(ql_jinja *j, ql_jop op, int64_t a, int64_t b)
{
    int64_t r = 0;
    bool overflow = false;
    switch (op) {
    case QL_J_ADD:
        overflow = __builtin_add_overflow(a, b, &r);
        break;
    case QL_J_SUB:
        overflow = __builtin_sub_overflow(a, b, &r);
        break;
    case QL_J_MUL:
        overflow = __builtin_mul_overflow(a, b, &r);
        break;
    case QL_J_DIV:
        if (b == 0)
            ql_j_raise(j, "division by zero");
        return ql_j_float((double)((long double)a / (long double)b));
    case QL_J_FLOORDIV:
        r = int_floordiv(j, a, b);
        break;
    case QL_J_MOD:
        r = int_mod(j, a, b);
        break;
    case QL_J_POW:
        if (b < 0)
            return float_arith(j, op, (double)a, (double)b);
        r = int_pow(j, a, b);
        break;
    }
    if (overflow)
        too_large(j);
    return ql_j_int(r);
}

ql_jval ql_j_arith(ql_jinja *j, ql_jop op, ql_jval a, ql_jval b)
{
    int64_t x, y;
    ql_jval result;
    if (ql_j_as_index(a, &x) && ql_j_as_index(b, &y))
        result = int_arith(j, op, x, y);
    else
        result = float_arith(j, op, ql_j_as_double(a), ql_j_as_double(b));
    return ql_j_tainted(result, a.input || b.input);
}

ql_jval ql_j_float_to_int(ql_jinja *j, double f)
{
    if (!isfinite(f))
        ql_j_raise(j, "cannot convert float %s to integer", isnan(f) ? "NaN" : "infinity");
    f = trunc(f);
    if (f >= 9223372036854775808.0 || f < -9223372036854775808.0)
        too_large(j);
    return ql_j_int((int64_t)f);
}

static ql_jval round_int(ql_jinja *j, int64_t v, int64_t digits)
{
    if (digits >= 0)
        return ql_j_int(v);
    if (digits < -18)
        return ql_j_int(0);
    int64_t unit = int_pow(j, 10, -digits);
    int64_t rest = int_mod(j, v, unit), base = int_floordiv(j, v, unit);
    if (rest > unit - rest || (rest == unit - rest && (base & 1)))
        base++;
    return int_arith(j, QL_J_MUL, base, unit);
}

ql_jval ql_j_round(ql_jinja *j, ql_jval v, int64_t digits)
{
    int64_t i;
    if (ql_j_as_index(v, &i))
        return ql_j_tainted(round_int(j, i, digits), v.input);
    double f = v.u.f;
    if (!isfinite(f) || f == 0.0 || digits > 323)
        return v;
    if (digits < -308)
        return ql_j_tainted(ql_j_float(copysign(0.0, f)), v.input);
    // libc rounds the exact value, halves to even, at any decimal: what Python's round() does.
    char text[700];
    if (digits >= 0) {
        snprintf(text, sizeof text, "%.*f", (int)digits, f);
    } else {
        snprintf(text, sizeof text, "%.0e", f);
        int places = atoi(strchr(text, 'e') + 1) + 1 + (int)digits; // digits that stay
        double half = 0.5 * pow(10, (double)-digits);
        if (places > 0)
            snprintf(text, sizeof text, "%.*e", places - 1, f);
        else
            snprintf(text, sizeof text, "%.1f", fabs(f) > half ? copysign(2 * half, f) : copysign(0.0, f));
    }
    double rounded = strtod(text, NULL);
    if (isinf(rounded))
        ql_j_raise(j, "rounded value too large to represent");
    return ql_j_tainted(ql_j_float(rounded), v.input);
}

// The text without surrounding white space, other decimal digits as ASCII; false: not ASCII after that, or too long.
static bool number_text(const ql_jstr *s, char *out, size_t size)
{
    size_t from = 0, to = s->len, n, len = 0;
    while (from < to && ql_j_is_space(ql_j_char(s->s + from, &n)))
        from += n;
    while (to > from) {
        n = ql_j_char_before(s->s, to);
        if (!ql_j_is_space(ql_j_char(s->s + to - n, &n)))
            break;
        to -= n;
    }
    for (size_t i = from; i < to; i += n) {
        uint32_t c = ql_j_char(s->s + i, &n);
        if (c >= 0x80) {
            int digit = ql_j_decimal_value(c);
            if (digit < 0)
                return false;
            c = (uint32_t)('0' + digit);
        }
        if (c == 0 || len + 1 >= size)
            return false;
        out[len++] = (char)c;
    }
    out[len] = 0;
    return len > 0;
}

static int digit_of(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'z' ? (c | 32) - 'a' + 10 : 99;
}

// The base that a prefix names, which base (0: any) must allow.
static int64_t read_prefix(const char **p, int64_t base)
{
    if ((*p)[0] != '0' || !(*p)[1])
        return base ? base : 10;
    char kind = (char)((*p)[1] | 32);
    int64_t named = kind == 'x' ? 16 : kind == 'o' ? 8 : kind == 'b' ? 2 : 0;
    if (named && (base == 0 || base == named)) {
        *p += 2;
        if (**p == '_')
            (*p)++;
        return named;
    }
    return base ? base : -1; // base 0: only zeros may begin with a zero
}

bool ql_j_parse_int(ql_jinja *j, const ql_jstr *s, int64_t base, int64_t *out)
{
    char text[512];
    if (base != 0 && (base < 2 || base > 36))
        return false;
    if (!number_text(s, text, sizeof text))
        return false;
    const char *p = text;
    bool negative = *p == '-';
    if (*p == '-' || *p == '+')
        p++;
    base = read_prefix(&p, base);
    int64_t value = 0;
    bool any = false, overflow = false, octal_like = base == -1;
    if (octal_like)
        base = 10;
    for (; *p; p++) {
        if (*p == '_' && any && p[1] && p[1] != '_')
            p++;
        int digit = digit_of(*p);
        if (digit >= base || (octal_like && digit))
            return false;
        any = true;
        overflow = overflow || __builtin_mul_overflow(value, base, &value) ||
                   __builtin_sub_overflow(value, (int64_t)digit, &value); // negative: its range is larger
    }
    if (!any)
        return false;
    if (!negative)
        overflow = __builtin_sub_overflow((int64_t)0, value, &value) || overflow;
    if (overflow)
        too_large(j);
    *out = value;
    return true;
}

ql_jval ql_j_int_of_digits(ql_jinja *j, const char *digits, size_t n, bool input)
{
    bool negative = *digits == '-', overflow = false;
    int64_t value = 0;
    for (size_t i = negative; i < n; i++)
        overflow = overflow || __builtin_mul_overflow(value, (int64_t)10, &value) ||
                   __builtin_sub_overflow(value, (int64_t)(digits[i] - '0'), &value);
    if (!negative)
        overflow = overflow || __builtin_sub_overflow((int64_t)0, value, &value);
    if (!overflow)
        return ql_j_tainted(ql_j_int(value), input);
    return (ql_jval){.type = QL_J_WIDE, .input = input, .u.s = ql_j_str(j, digits, n, input)};
}

bool ql_j_parse_float(ql_jinja *j, const ql_jstr *s, double *out)
{
    char text[1024], digits[1024];
    (void)j;
    if (!number_text(s, text, sizeof text))
        return false;
    const char *p = text;
    size_t len = 0;
    bool number = false;
    for (; *p; p++) {
        if (*p == '_') { // between digits only
            if (p == text || digit_of(p[-1]) > 9 || digit_of(p[1]) > 9)
                return false;
            continue;
        }
        number = number || digit_of(*p) <= 9;
        digits[len++] = *p;
    }
    digits[len] = 0;
    const char *word = digits + (digits[0] == '-' || digits[0] == '+');
    bool named = !strcasecmp(word, "inf") || !strcasecmp(word, "infinity") || !strcasecmp(word, "nan");
    if (!named && (!number || strspn(digits, "0123456789+-.eE") != len))
        return false;
    char *end;
    *out = strtod(digits, &end);
    return *end == 0;
}

void ql_j_float_repr(double f, char out[QL_J_FLOAT_TEXT])
{
    if (!isfinite(f)) {
        strcpy(out, isnan(f) ? "nan" : f < 0 ? "-inf" : "inf");
        return;
    }
    char text[QL_J_FLOAT_TEXT];
    int precision = 0;
    do
        snprintf(text, sizeof text, "%.*e", precision, f);
    while (strtod(text, NULL) != f && ++precision < 17);
    int exponent = atoi(strchr(text, 'e') + 1);
    if (exponent >= -4 && exponent < 16) {
        int decimals = precision - exponent;
        snprintf(out, QL_J_FLOAT_TEXT, "%.*f", decimals > 1 ? decimals : 1, f);
    } else {
        memcpy(out, text, sizeof text); // Python also writes at least two digits of exponent
    }
}
