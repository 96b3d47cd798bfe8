// SPDX-License-Identifier: MIT
// Owns strings and where their bytes come from; knows no other values.
#include "text/jinja_str.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/utf8.h"

size_t ql_j_count_chars(const char *s, size_t n)
{
    size_t chars = 0;
    for (size_t i = 0; i < n; i++)
        chars += ((uint8_t)s[i] & 0xc0) != 0x80;
    return chars;
}

ql_jstr *ql_j_view(ql_jinja *j, const char *s, size_t len, bool ascii, bool input)
{
    if (len > QL_J_MAX_TEXT)
        ql_j_text_limit(j);
    ql_jstr *str = QL_J_NEW(j, ql_jstr);
    str->s = s;
    str->len = (uint32_t)len;
    str->n_chars = ascii ? (uint32_t)len : (uint32_t)ql_j_count_chars(s, len);
    str->input = input;
    ql_j_charge(j, len);
    return str;
}

static ql_jstr *new_str(ql_jinja *j, const char *s, size_t len, bool input)
{
    return ql_j_view(j, s, len, false, input);
}

ql_jstr *ql_j_str(ql_jinja *j, const char *bytes, size_t len, bool input)
{
    if (len > QL_J_MAX_TEXT)
        ql_j_text_limit(j);
    char *copy = ql_j_alloc(j, len);
    if (len)
        memcpy(copy, bytes, len);
    return new_str(j, copy, len, input);
}

ql_jstr *ql_j_cstr(ql_jinja *j, const char *string) { return new_str(j, string, strlen(string), false); }

ql_jstr *ql_j_as_markup(ql_jinja *j, const ql_jstr *s, bool markup)
{
    if (s->markup == markup)
        return (ql_jstr *)s;
    ql_jstr *copy = ql_j_alloc(j, sizeof *copy);
    *copy = *s;
    copy->markup = markup;
    return copy;
}

ql_jstr *ql_j_plain(ql_jinja *j, const ql_jstr *s) { return ql_j_as_markup(j, s, false); }

ql_jstr *ql_j_sub(ql_jinja *j, const ql_jstr *s, size_t from, size_t to)
{
    if (from == 0 && to == s->len)
        return (ql_jstr *)s;
    ql_jstr *sub = new_str(j, s->s + from, to - from, s->input);
    sub->origin = s->origin ? s->origin + from : NULL;
    sub->markup = s->markup;
    return sub;
}

bool ql_j_any_input(const ql_jstr *s)
{
    return s->origin ? memchr(s->origin, 1, s->len) != NULL : s->input && s->len > 0;
}

// The bytes of s go behind the newest string of tail.
static void tail_append(ql_jinja *j, ql_jtail *tail, bool tail_input, const ql_jstr *s)
{
    bool uniform = !s->origin && s->input == tail_input;
    if (!tail->origin && !uniform && s->len) {
        tail->origin = ql_j_alloc(j, tail->cap);
        memset(tail->origin, tail_input, tail->used);
    }
    memcpy(tail->s + tail->used, s->s, s->len);
    if (tail->origin && s->origin)
        memcpy(tail->origin + tail->used, s->origin, s->len);
    else if (tail->origin)
        memset(tail->origin + tail->used, s->input, s->len);
    tail->used += s->len;
}

ql_jstr *ql_j_concat(ql_jinja *j, const ql_jstr *a, const ql_jstr *b)
{
    if (a->len == 0 || b->len == 0)
        return ql_j_plain(j, a->len ? a : b);
    size_t len = (size_t)a->len + b->len;
    if (len > QL_J_MAX_TEXT)
        ql_j_text_limit(j);
    ql_jtail *tail = a->tail;
    if (!tail || tail->s != a->s || tail->used != a->len || tail->cap - tail->used < b->len) {
        tail = QL_J_NEW(j, ql_jtail);
        tail->cap = len < 64 ? len : len * 2;
        tail->s = ql_j_alloc(j, tail->cap);
        if (a->origin)
            tail->origin = ql_j_alloc(j, tail->cap);
        ql_j_charge(j, a->len);
        tail_append(j, tail, a->input, a);
    }
    tail_append(j, tail, a->input, b);
    ql_j_charge(j, b->len);
    ql_jstr *str = QL_J_NEW(j, ql_jstr);
    *str = (ql_jstr){.s = tail->s, .origin = tail->origin, .tail = tail, .len = (uint32_t)len,
                     .n_chars = a->n_chars + b->n_chars, .input = a->input};
    return str;
}

uint32_t ql_j_str_hash(ql_jstr *s)
{
    if (!s->hash) {
        uint32_t h = 2166136261u;
        for (uint32_t i = 0; i < s->len; i++)
            h = (h ^ (uint8_t)s->s[i]) * 16777619u;
        s->hash = h | 1u << 31;
    }
    return s->hash;
}

bool ql_j_str_equal(const ql_jstr *a, const ql_jstr *b)
{
    return a->len == b->len && (a->s == b->s || memcmp(a->s, b->s, a->len) == 0);
}

// The order of UTF-8 bytes is the order of code points.
int ql_j_str_compare(const ql_jstr *a, const ql_jstr *b)
{
    uint32_t n = a->len < b->len ? a->len : b->len;
    int order = n ? memcmp(a->s, b->s, n) : 0;
    if (order == 0)
        return a->len < b->len ? -1 : a->len > b->len;
    return order < 0 ? -1 : 1;
}

bool ql_j_str_is(const ql_jstr *s, const char *string)
{
    return s->len == strlen(string) && memcmp(s->s, string, s->len) == 0;
}

size_t ql_j_find(ql_jinja *j, const ql_jstr *s, size_t from, size_t to, const ql_jstr *needle)
{
    if (from > to)
        return SIZE_MAX;
    if (needle->len == 0)
        return from;
    const char *at = memmem(s->s + from, to - from, needle->s, needle->len);
    ql_j_charge(j, (at ? (size_t)(at - s->s) + needle->len : to) - from);
    return at ? (size_t)(at - s->s) : SIZE_MAX;
}

size_t ql_j_rfind(ql_jinja *j, const ql_jstr *s, size_t from, size_t to, const ql_jstr *needle)
{
    if (from > to || to - from < needle->len)
        return SIZE_MAX;
    if (needle->len == 0)
        return to;
    ql_j_charge(j, (to - from) * 4);
    for (size_t at = to - needle->len + 1; at-- > from;) {
        if (s->s[at] != needle->s[0])
            continue;
        ql_j_charge(j, needle->len + QL_J_BYTES_PER_STEP / 4);
        if (memcmp(s->s + at, needle->s, needle->len) == 0)
            return at;
    }
    return SIZE_MAX;
}

size_t ql_j_offset(ql_jinja *j, const ql_jstr *s, size_t n_chars)
{
    if (n_chars >= s->n_chars)
        return s->len;
    if (ql_j_ascii(s))
        return n_chars;
    size_t i = 0, len;
    for (size_t n = 0; n < n_chars; n++, i += len)
        ql_j_char(s->s + i, &len);
    ql_j_charge(j, i * 4);
    return i;
}

void ql_j_build(ql_jinja *j, ql_jbuild *b) { *b = (ql_jbuild){.j = j}; }

// Room for n more bytes of this origin; the mask appears when the second kind does.
static void reserve(ql_jbuild *b, size_t n, bool mixed, bool input)
{
    ql_jinja *j = b->j;
    ql_j_step(j);
    if (n > QL_J_MAX_TEXT || b->len + n > QL_J_MAX_TEXT)
        ql_j_text_limit(j);
    if (b->len == 0 && !b->origin)
        b->input = input;
    if (b->len + n > b->cap) {
        size_t cap = b->cap ? b->cap * 2 : 64;
        b->cap = cap < b->len + n ? b->len + n : cap;
        char *s = ql_j_alloc(j, b->cap);
        if (b->len)
            memcpy(s, b->s, b->len);
        b->s = s;
        if (b->origin) {
            uint8_t *origin = ql_j_alloc(j, b->cap);
            memcpy(origin, b->origin, b->len);
            b->origin = origin;
        }
        ql_j_charge(j, b->len);
    }
    if (!b->origin && (mixed || input != b->input)) {
        b->origin = ql_j_alloc(j, b->cap);
        memset(b->origin, b->input, b->len);
    }
    ql_j_charge(j, n);
}

void ql_j_put(ql_jbuild *b, const char *bytes, size_t n, bool input)
{
    if (!n)
        return;
    reserve(b, n, false, input);
    memcpy(b->s + b->len, bytes, n);
    if (b->origin)
        memset(b->origin + b->len, input, n);
    b->len += n;
}

void ql_j_put_cstr(ql_jbuild *b, const char *string, bool input) { ql_j_put(b, string, strlen(string), input); }

void ql_j_put_char(ql_jbuild *b, uint32_t cp, bool input)
{
    char bytes[4];
    ql_j_put(b, bytes, (size_t)ql_utf8_encode(cp, bytes), input);
}

void ql_j_put_sub(ql_jbuild *b, const ql_jstr *s, size_t from, size_t to)
{
    if (!s->origin) {
        ql_j_put(b, s->s + from, to - from, s->input);
        return;
    }
    size_t n = to - from;
    if (!n)
        return;
    reserve(b, n, true, false);
    memcpy(b->s + b->len, s->s + from, n);
    memcpy(b->origin + b->len, s->origin + from, n);
    b->len += n;
}

void ql_j_put_str(ql_jbuild *b, const ql_jstr *s) { ql_j_put_sub(b, s, 0, s->len); }

void ql_j_put_fill(ql_jbuild *b, const ql_jstr *fill, int64_t times)
{
    if (times <= 0 || fill->len == 0)
        return;
    if (times > QL_J_MAX_TEXT / (int64_t)fill->len)
        ql_j_text_limit(b->j);
    size_t start = b->len, total = (size_t)times * fill->len;
    reserve(b, total, fill->origin != NULL, fill->input);
    ql_j_put_str(b, fill);
    for (size_t done = fill->len, n; done < total; done += n) { // what is there, doubled
        n = done < total - done ? done : total - done;
        memcpy(b->s + start + done, b->s + start, n);
        if (b->origin)
            memcpy(b->origin + start + done, b->origin + start, n);
    }
    b->len = start + total;
}

void ql_j_put_spaces(ql_jbuild *b, int64_t n)
{
    static const ql_jstr space = {.s = " ", .len = 1, .n_chars = 1};
    ql_j_put_fill(b, &space, n);
}

void ql_j_put_fmt(ql_jbuild *b, bool input, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof text)
        ql_j_text_limit(b->j); // callers print numbers and short names
    ql_j_put(b, text, (size_t)n, input);
}

ql_jstr *ql_j_take(ql_jbuild *b)
{
    ql_jstr *str = new_str(b->j, b->s ? b->s : "", b->len, b->input);
    str->origin = b->origin;
    b->s = NULL;
    b->origin = NULL;
    b->len = b->cap = 0;
    return str;
}
