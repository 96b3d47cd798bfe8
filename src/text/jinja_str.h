// SPDX-License-Identifier: MIT
// Strings of the template interpreter: immutable UTF-8 that knows for each byte whether it came from the template or
// from the input, and whether it is markup (jinja2's "safe", which makes + and % escape their other operand).
//
// Slices share the bytes. Appending to the newest string of a buffer grows it in place: a template that collects its
// result with `x = x + part` stays linear although no memory is freed during a run.
#ifndef QL_TEXT_JINJA_STR_H
#define QL_TEXT_JINJA_STR_H

#include <string.h>

#include "text/jinja_mem.h"

// Shared by the strings that begin at s; the newest of them has len == used.
typedef struct ql_jtail {
    char *s;
    uint8_t *origin; // NULL until bytes of both kinds meet
    size_t used, cap;
} ql_jtail;

typedef struct ql_jstr {
    const char *s;         // [len], valid UTF-8
    const uint8_t *origin; // [len] of 0 (template) and 1 (input), or NULL: all bytes are `input`
    ql_jtail *tail;        // or NULL
    uint32_t len, n_chars;
    uint32_t hash; // 0: not computed
    bool input, markup;
} ql_jstr;

ql_jstr *ql_j_str(ql_jinja *j, const char *bytes, size_t len, bool input); // copies
ql_jstr *ql_j_view(ql_jinja *j, const char *bytes, size_t len, bool ascii, bool input); // not copied
ql_jstr *ql_j_cstr(ql_jinja *j, const char *string);                       // of the template, not copied
ql_jstr *ql_j_concat(ql_jinja *j, const ql_jstr *a, const ql_jstr *b);     // plain, whatever a and b are
ql_jstr *ql_j_plain(ql_jinja *j, const ql_jstr *s);                        // s itself, or without the markup flag
ql_jstr *ql_j_as_markup(ql_jinja *j, const ql_jstr *s, bool markup);
ql_jstr *ql_j_sub(ql_jinja *j, const ql_jstr *s, size_t from, size_t to);  // bytes; keeps the markup flag
uint32_t ql_j_str_hash(ql_jstr *s);
bool ql_j_str_equal(const ql_jstr *a, const ql_jstr *b);
int ql_j_str_compare(const ql_jstr *a, const ql_jstr *b);
bool ql_j_str_is(const ql_jstr *s, const char *string);

// Where needle begins in s at or after byte from; SIZE_MAX: nowhere. Charges for the search.
size_t ql_j_find(ql_jinja *j, const ql_jstr *s, size_t from, size_t to, const ql_jstr *needle);
size_t ql_j_rfind(ql_jinja *j, const ql_jstr *s, size_t from, size_t to, const ql_jstr *needle);

size_t ql_j_count_chars(const char *s, size_t n);
size_t ql_j_offset(ql_jinja *j, const ql_jstr *s, size_t n_chars); // bytes of the first n_chars characters
static inline bool ql_j_ascii(const ql_jstr *s) { return s->len == s->n_chars; }
static inline bool ql_j_origin(const ql_jstr *s, size_t i) { return s->origin ? s->origin[i] : s->input; }
// Whether any byte is of the input.
bool ql_j_any_input(const ql_jstr *s);

// The character at s, which is valid UTF-8; *len is its length.
static inline uint32_t ql_j_char(const char *s, size_t *len)
{
    const uint8_t *u = (const uint8_t *)s;
    if (u[0] < 0x80) {
        *len = 1;
        return u[0];
    }
    if (u[0] < 0xe0) {
        *len = 2;
        return (u[0] & 0x1fu) << 6 | (u[1] & 0x3fu);
    }
    if (u[0] < 0xf0) {
        *len = 3;
        return (u[0] & 0xfu) << 12 | (u[1] & 0x3fu) << 6 | (u[2] & 0x3fu);
    }
    *len = 4;
    return (u[0] & 7u) << 18 | (u[1] & 0x3fu) << 12 | (u[2] & 0x3fu) << 6 | (u[3] & 0x3fu);
}

// Length of the character that ends before byte i (i > 0).
static inline size_t ql_j_char_before(const char *s, size_t i)
{
    size_t n = 1;
    while (n < i && ((uint8_t)s[i - n] & 0xc0) == 0x80)
        n++;
    return n;
}

// A string under construction.
typedef struct ql_jbuild {
    ql_jinja *j;
    char *s;
    uint8_t *origin; // NULL while all bytes are `input`
    size_t len, cap;
    bool input;
} ql_jbuild;

void ql_j_build(ql_jinja *j, ql_jbuild *b);
void ql_j_put(ql_jbuild *b, const char *bytes, size_t n, bool input);
void ql_j_put_cstr(ql_jbuild *b, const char *string, bool input);
void ql_j_put_char(ql_jbuild *b, uint32_t cp, bool input);
void ql_j_put_str(ql_jbuild *b, const ql_jstr *s);
void ql_j_put_sub(ql_jbuild *b, const ql_jstr *s, size_t from, size_t to);
void ql_j_put_fill(ql_jbuild *b, const ql_jstr *fill, int64_t times); // fill again and again
void ql_j_put_spaces(ql_jbuild *b, int64_t n);
__attribute__((format(printf, 3, 4))) void ql_j_put_fmt(ql_jbuild *b, bool input, const char *fmt, ...); // ASCII, short
ql_jstr *ql_j_take(ql_jbuild *b);

#endif
