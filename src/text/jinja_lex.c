// SPDX-License-Identifier: MIT
// Owns the tokens. A name, operator or piece of data is interned or shares the normalized source, which lives as long
// as the template.
#include "text/jinja_lex.h"

#include <stdlib.h>
#include <uniname.h>

#include "base/utf8.h"
#include "text/jinja_char.h"
#include "text/jinja_num.h"

typedef struct lexer {
    ql_jinja *j;
    const char *s; // "\n" newlines
    size_t len, at;
    uint32_t line, col; // of `at`, from 1
    size_t counted;     // position that line and col stand for
    ql_jtoken *tokens;
    size_t n, cap;
    char *closing; // brackets that are open in this tag
    size_t n_open, cap_open;
} lexer;

// Moves line and col to position at, which is never before the last one.
static void locate(lexer *x, size_t at)
{
    for (; x->counted < at; x->counted++) {
        if (x->s[x->counted] == '\n') {
            x->line++;
            x->col = 1;
        } else if (((uint8_t)x->s[x->counted] & 0xc0) != 0x80) {
            x->col++;
        }
    }
    x->j->line = x->line;
    x->j->col = x->col;
}

static void push(lexer *x, ql_jtoken_type type, size_t at, ql_jval value)
{
    locate(x, at);
    x->tokens = ql_j_grow(x->j, x->tokens, x->n, &x->cap, x->n + 1, sizeof *x->tokens);
    x->tokens[x->n++] = (ql_jtoken){.type = type, .line = x->line, .col = x->col, .value = value};
}

// A string of the template; its hash is computed now, because threads will share it.
static ql_jval text_value(lexer *x, const char *s, size_t n)
{
    ql_jstr *str = QL_J_NEW(x->j, ql_jstr);
    str->s = s;
    str->len = (uint32_t)n;
    str->n_chars = (uint32_t)ql_j_count_chars(s, n);
    ql_j_str_hash(str);
    return ql_j_strv(str);
}

static bool looking_at(const lexer *x, size_t at, const char *text)
{
    size_t n = strlen(text);
    return at + n <= x->len && memcmp(x->s + at, text, n) == 0;
}

static size_t skip_space(const lexer *x, size_t at)
{
    size_t n;
    while (at < x->len && ql_j_is_space(ql_j_char(x->s + at, &n)))
        at += n;
    return at;
}

// "\r\n" and "\r" become "\n"; one newline at the very end goes.
static void normalize(lexer *x, const char *source, size_t len)
{
    char *s = ql_j_alloc(x->j, len + 1);
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        if (source[i] == '\r' && i + 1 < len && source[i + 1] == '\n')
            continue;
        s[n++] = source[i] == '\r' ? '\n' : source[i];
    }
    if (n && s[n - 1] == '\n')
        n--;
    x->s = s;
    x->len = n;
}

// ---- outside of tags

// Data before a tag that begins at `tag` with this sign after its bracket; print tags keep what is before them.
static void push_data(lexer *x, size_t from, size_t tag, char sign, bool print, bool line_start)
{
    size_t to = tag;
    if (sign == '-') {
        while (to > from) {
            size_t n = ql_j_char_before(x->s, to), len;
            if (!ql_j_is_space(ql_j_char(x->s + to - n, &len)))
                break;
            to -= n;
        }
    } else if (sign != '+' && !print) {
        size_t line = to;
        while (line > from && x->s[line - 1] != '\n')
            line--;
        if ((line > from || line_start) && line < to && skip_space(x, line) >= to)
            to = line;
    }
    if (to > from)
        push(x, QL_J_T_DATA, from, text_value(x, x->s + from, to - from));
}

static char sign_at(const lexer *x, size_t at)
{
    return at < x->len && (x->s[at] == '-' || x->s[at] == '+') ? x->s[at] : 0;
}

// After a tag's end at `at` ("%}" or "#}" is there, sign before it was read).
static size_t after_end(const lexer *x, size_t at, char sign)
{
    at += 2;
    if (sign == '-')
        return skip_space(x, at);
    return sign != '+' && at < x->len && x->s[at] == '\n' ? at + 1 : at;
}

static size_t skip_comment(lexer *x, size_t from)
{
    for (size_t at = from; at + 1 < x->len; at++) {
        char sign = sign_at(x, at);
        if (sign && looking_at(x, at + 1, "#}"))
            return after_end(x, at + 1, sign);
        if (looking_at(x, at, "#}"))
            return after_end(x, at, 0);
    }
    if (from >= x->len) // jinja2 lets "{#" at the very end pass
        return from;
    ql_j_raise(x->j, "missing end of comment tag");
}

// Position after "{% raw %}" that begins at tag, or 0.
static size_t raw_begin(const lexer *x, size_t tag)
{
    size_t at = tag + 2;
    if (sign_at(x, at))
        at++;
    at = skip_space(x, at);
    if (!looking_at(x, at, "raw"))
        return 0;
    at = skip_space(x, at + 3);
    if (looking_at(x, at, "-%}"))
        return skip_space(x, at + 3);
    return looking_at(x, at, "%}") ? at + 2 : 0;
}

static size_t lex_raw(lexer *x, size_t from, bool line_start)
{
    for (size_t tag = from; tag + 1 < x->len; tag++) {
        if (!looking_at(x, tag, "{%"))
            continue;
        char sign = sign_at(x, tag + 2);
        size_t at = skip_space(x, tag + 2 + (sign != 0));
        if (!looking_at(x, at, "endraw"))
            continue;
        at = skip_space(x, at + 6);
        char end = sign_at(x, at);
        if (!looking_at(x, at + (end != 0), "%}"))
            continue;
        push_data(x, from, tag, sign, false, line_start);
        return after_end(x, at + (end != 0), end);
    }
    if (from >= x->len)
        return from;
    ql_j_raise(x->j, "missing end of raw directive");
}

// ---- inside of tags

static size_t digits_end(const lexer *x, size_t at)
{
    while (at < x->len && x->s[at] >= '0' && x->s[at] <= '9') {
        at++;
        if (at + 1 < x->len && x->s[at] == '_' && x->s[at + 1] >= '0' && x->s[at + 1] <= '9')
            at++;
    }
    return at;
}

static bool is_digit_at(const lexer *x, size_t at) { return at < x->len && x->s[at] >= '0' && x->s[at] <= '9'; }

// End of the float at `at`, or 0.
static size_t float_end(const lexer *x, size_t at)
{
    if (at > 0 && x->s[at - 1] == '.')
        return 0;
    size_t end = digits_end(x, at), whole = end;
    if (end == at)
        return 0;
    if (end < x->len && x->s[end] == '.' && is_digit_at(x, end + 1))
        end = digits_end(x, end + 1);
    size_t exponent = end;
    if (exponent < x->len && (x->s[exponent] | 32) == 'e') {
        exponent++;
        if (exponent < x->len && (x->s[exponent] == '+' || x->s[exponent] == '-'))
            exponent++;
        if (is_digit_at(x, exponent))
            end = digits_end(x, exponent);
    }
    return end > whole ? end : 0;
}

static bool in_base(char c, int base)
{
    int v = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : 99;
    return v < base;
}

static size_t integer_end(const lexer *x, size_t at)
{
    if (x->s[at] == '0' && at + 1 < x->len) {
        char kind = x->s[at + 1] | 32;
        int base = kind == 'x' ? 16 : kind == 'o' ? 8 : kind == 'b' ? 2 : 0;
        size_t end = at + 2;
        for (bool more = base != 0; more;) {
            size_t digit = end + (end < x->len && x->s[end] == '_');
            more = digit < x->len && in_base(x->s[digit], base);
            if (more)
                end = digit + 1;
        }
        if (base && end > at + 2)
            return end;
        end = at + 1;
        while (end < x->len && (x->s[end] == '0' || (x->s[end] == '_' && end + 1 < x->len && x->s[end + 1] == '0')))
            end++;
        return end;
    }
    return digits_end(x, at);
}

static size_t lex_number(lexer *x, size_t at)
{
    size_t end = float_end(x, at);
    bool real = end != 0;
    if (!real)
        end = integer_end(x, at);
    ql_jstr *text = ql_j_str(x->j, x->s + at, end - at, false);
    bool decimal = text->s[0] != '0';
    for (size_t i = 0; i < text->len; i++)
        decimal = decimal && text->s[i] >= '0' && text->s[i] <= '9';
    double f = 0;
    int64_t i = 0;
    locate(x, at);
    if (real ? !ql_j_parse_float(x->j, text, &f) : !decimal && !ql_j_parse_int(x->j, text, 0, &i))
        ql_j_raise(x->j, "number too long");
    push(x, real ? QL_J_T_NUMBER : QL_J_T_INTEGER, at,
         real ? ql_j_float(f) : decimal ? ql_j_int_of_digits(x->j, text->s, text->len, false) : ql_j_int(i));
    return end;
}

static size_t lex_name(lexer *x, size_t at)
{
    size_t end = at, n;
    uint32_t c;
    while (end < x->len && (ql_j_is_word(c = ql_j_char(x->s + end, &n)) || ql_j_is_id_continue(c))) {
        if (!(end == at ? ql_j_is_id_start(c) : ql_j_is_id_continue(c))) {
            locate(x, end);
            ql_j_raise(x->j, "invalid character in identifier");
        }
        end += n;
    }
    if (end > at)
        push(x, QL_J_T_NAME, at, text_value(x, x->s + at, end - at));
    return end;
}

static uint32_t read_hex(lexer *x, const char *s, size_t n, size_t *i, size_t digits)
{
    uint32_t v = 0;
    if (*i + digits > n)
        ql_j_raise(x->j, "truncated escape in a string");
    for (size_t k = 0; k < digits; k++, (*i)++) {
        if (!in_base(s[*i], 16))
            ql_j_raise(x->j, "truncated escape in a string");
        v = v * 16 + (uint32_t)(s[*i] <= '9' ? s[*i] - '0' : (s[*i] | 32) - 'a' + 10);
    }
    if (v > 0x10ffff || (v >= 0xd800 && v < 0xe000))
        ql_j_raise(x->j, "an escape in a string is not a character (U+%X)", v);
    return v;
}

// "\N{name}": *i is at the brace.
static uint32_t read_name(lexer *x, const char *s, size_t n, size_t *i)
{
    char name[256];
    const char *end = *i < n && s[*i] == '{' ? memchr(s + *i, '}', n - *i) : NULL;
    size_t len = end ? (size_t)(end - s) - *i - 1 : 0;
    if (!len || len >= sizeof name)
        ql_j_raise(x->j, "malformed \\N character escape");
    memcpy(name, s + *i + 1, len);
    name[len] = 0;
    uint32_t c = unicode_name_character(name);
    if (c == UNINAME_INVALID)
        ql_j_raise(x->j, "unknown Unicode character name");
    *i += len + 2;
    return c;
}

// One escape; *i is at the character after the backslash.
static void put_escape(lexer *x, ql_jbuild *b, const char *s, size_t n, size_t *i)
{
    static const char plain[] = "\\\\''\"\"a\ab\bf\fn\nr\rt\tv\v";
    char c = s[*i];
    if (c >= '0' && c <= '7') {
        uint32_t v = 0;
        for (int k = 0; k < 3 && *i < n && s[*i] >= '0' && s[*i] <= '7'; k++, (*i)++)
            v = v * 8 + (uint32_t)(s[*i] - '0');
        ql_j_put_char(b, v, false);
        return;
    }
    if ((uint8_t)c >= 0x80) { // jinja2 escapes it to ASCII first, and the backslash eats that escape's own
        size_t len;
        uint32_t cp = ql_j_char(s + *i, &len);
        ql_j_put_fmt(b, false, cp < 0x100 ? "\\x%02x" : cp < 0x10000 ? "\\u%04x" : "\\U%08x", cp);
        *i += len;
        return;
    }
    ++*i;
    const char *at = c ? strchr(plain, c) : NULL;
    // Every second character of `plain` is a meaning, not a name; letters never mean themselves.
    if (c == '\n')
        return;
    if (at && (at - plain) % 2 == 0)
        ql_j_put(b, at + 1, 1, false);
    else if (c == 'x' || c == 'u' || c == 'U')
        ql_j_put_char(b, read_hex(x, s, n, i, c == 'x' ? 2 : c == 'u' ? 4 : 8), false);
    else if (c == 'N')
        ql_j_put_char(b, read_name(x, s, n, i), false);
    else
        ql_j_put(b, (char[]){'\\', c}, 2, false);
}

static size_t lex_string(lexer *x, size_t at)
{
    char quote = x->s[at];
    size_t end = at + 1;
    bool escapes = false;
    while (end < x->len && x->s[end] != quote) {
        escapes = escapes || x->s[end] == '\\';
        end += x->s[end] == '\\' ? 2 : 1;
    }
    locate(x, at);
    if (end >= x->len)
        ql_j_raise(x->j, "unexpected char %c", quote);
    const char *s = x->s + at + 1;
    size_t n = end - at - 1;
    if (!escapes) {
        push(x, QL_J_T_STRING, at, text_value(x, s, n));
        return end + 1;
    }
    ql_jbuild b;
    ql_j_build(x->j, &b);
    for (size_t i = 0; i < n;) {
        size_t run = i;
        while (i < n && s[i] != '\\')
            i++;
        ql_j_put(&b, s + run, i - run, false);
        if (i < n) {
            i++;
            put_escape(x, &b, s, n, &i);
        }
    }
    ql_jstr *str = ql_j_take(&b);
    push(x, QL_J_T_STRING, at, text_value(x, str->s, str->len));
    return end + 1;
}

static size_t lex_operator(lexer *x, size_t at)
{
    static const char *const twos[] = {"//", "**", "==", "!=", ">=", "<="};
    size_t n = 0;
    for (size_t i = 0; i < sizeof twos / sizeof *twos; i++)
        if (looking_at(x, at, twos[i]))
            n = 2;
    char c = x->s[at];
    if (!n && c && strchr("+-/*%~[](){}><=.:|,;", c))
        n = 1;
    locate(x, at);
    if (!n)
        ql_j_raise(x->j, "unexpected char U+%04X", ql_j_char(x->s + at, &n));
    if (n == 1 && strchr("([{", c)) {
        x->closing = ql_j_grow(x->j, x->closing, x->n_open, &x->cap_open, x->n_open + 1, 1);
        x->closing[x->n_open++] = c == '(' ? ')' : c == '[' ? ']' : '}';
    } else if (n == 1 && strchr(")]}", c)) {
        if (!x->n_open)
            ql_j_raise(x->j, "unexpected '%c'", c);
        if (x->closing[--x->n_open] != c)
            ql_j_raise(x->j, "unexpected '%c', expected '%c'", c, x->closing[x->n_open]);
    }
    push(x, QL_J_T_OP, at, text_value(x, x->s + at, n));
    return at + n;
}

// From after the opening bracket to after the closing one.
static size_t lex_tag(lexer *x, size_t at, bool print)
{
    x->n_open = 0;
    for (;;) {
        at = skip_space(x, at);
        if (at >= x->len)
            return at; // the parser misses the end
        if (!x->n_open) {
            char sign = sign_at(x, at);
            size_t end = at + (sign != 0);
            if (looking_at(x, end, print ? "}}" : "%}") && !(print && sign == '+')) {
                push(x, print ? QL_J_T_PRINT_END : QL_J_T_BLOCK_END, at, ql_j_none());
                return print ? (sign == '-' ? skip_space(x, end + 2) : end + 2) : after_end(x, end, sign);
            }
        }
        char c = x->s[at];
        size_t next;
        if (c >= '0' && c <= '9')
            next = lex_number(x, at);
        else if (c == '"' || c == '\'')
            next = lex_string(x, at);
        else
            next = lex_name(x, at);
        at = next > at ? next : lex_operator(x, at);
    }
}

// The next "{%", "{{" or "{#" at or after at; the end if there is none.
static size_t next_tag(const lexer *x, size_t at)
{
    while (at + 1 < x->len) {
        const char *brace = memchr(x->s + at, '{', x->len - at - 1);
        if (!brace)
            break;
        at = (size_t)(brace - x->s);
        if (strchr("%{#", x->s[at + 1]) && x->s[at + 1])
            return at;
        at++;
    }
    return x->len;
}

ql_jtoken *ql_j_lex(ql_jinja *j, const char *source, size_t len)
{
    lexer x = {.j = j, .line = 1, .col = 1};
    normalize(&x, source, len);
    while (x.at < x.len) {
        size_t tag = next_tag(&x, x.at);
        bool line_start = x.at == 0 || x.s[x.at - 1] == '\n';
        if (tag >= x.len) {
            push(&x, QL_J_T_DATA, x.at, text_value(&x, x.s + x.at, x.len - x.at));
            break;
        }
        char kind = x.s[tag + 1], sign = sign_at(&x, tag + 2);
        push_data(&x, x.at, tag, sign, kind == '{', line_start);
        size_t raw = kind == '%' ? raw_begin(&x, tag) : 0, inside = tag + 2 + (sign != 0);
        locate(&x, tag);
        if (raw) {
            x.at = lex_raw(&x, raw, x.s[raw - 1] == '\n');
        } else if (kind == '#') {
            x.at = skip_comment(&x, inside);
        } else {
            push(&x, kind == '{' ? QL_J_T_PRINT_BEGIN : QL_J_T_BLOCK_BEGIN, tag, ql_j_none());
            x.at = lex_tag(&x, inside, kind == '{');
        }
    }
    push(&x, QL_J_T_EOF, x.len, ql_j_none());
    return x.tokens;
}
