// SPDX-License-Identifier: MIT
// Owns line wrapping and the stripping of tags. A chunk is what textwrap never breaks unless it must: white space, or
// a word up to a hyphen that may end a line.
#include "text/jinja_wrap.h"

#include <stdlib.h>

#include "text/jinja_char.h"
#include "text/jinja_object.h"
#include "text/jinja_text.h"

static bool at_space(const ql_jstr *s, size_t at) { return at < s->len && s->s[at] && strchr("\t\n\v\f\r ", s->s[at]); }

static uint32_t char_at(const ql_jstr *s, size_t at)
{
    size_t n;
    return at < s->len ? ql_j_char(s->s + at, &n) : 0;
}

static uint32_t char_before(const ql_jstr *s, size_t at, size_t from)
{
    size_t n;
    return at > from ? ql_j_char(s->s + at - ql_j_char_before(s->s, at), &n) : 0;
}

static bool word_mark(uint32_t c) { return c && (ql_j_is_word(c) || (c < 0x80 && strchr("!\"'&.,?", (int)c))); }
static bool letter(uint32_t c) { return c && ql_j_is_word(c) && !ql_j_is_decimal(c); }

static size_t next_at(const ql_jstr *s, size_t at)
{
    size_t n;
    ql_j_char(s->s + at, &n);
    return at + n;
}

// Two or more hyphens and then a word: a dash between words. Returns where the hyphens end, or 0.
static size_t dash_end(const ql_jstr *s, size_t at)
{
    size_t end = at;
    while (end < s->len && s->s[end] == '-')
        end++;
    return end >= at + 2 && ql_j_is_word(char_at(s, end)) && end < s->len ? end : 0;
}

// After the hyphen before `at`: letters on both sides, so a line may end here.
static bool hyphen_ends(const ql_jstr *s, size_t at, size_t from)
{
    if (char_before(s, at, from) != '-')
        return false;
    size_t one = at - 1;
    uint32_t a = char_before(s, one, 0);
    size_t two = a ? one - ql_j_char_before(s->s, one) : 0;
    uint32_t b = char_before(s, two, 0);
    size_t three = b ? two - ql_j_char_before(s->s, two) : 0;
    bool before = (letter(a) && letter(b)) || (letter(char_before(s, three, 0)) && b == '-' && word_mark(a));
    if (!before || !letter(char_at(s, at)))
        return false;
    size_t next = next_at(s, at);
    if (letter(char_at(s, next)))
        return true;
    return char_at(s, next) == '-' && letter(char_at(s, next + 1));
}

static size_t chunk_end(const ql_jstr *s, size_t from, bool hyphens)
{
    size_t at = from;
    if (at_space(s, at)) {
        while (at_space(s, at))
            at++;
        return at;
    }
    if (!hyphens) {
        while (at < s->len && !at_space(s, at))
            at = next_at(s, at);
        return at;
    }
    size_t dash = s->s[at] == '-' && word_mark(char_before(s, at, 0)) ? dash_end(s, at) : 0;
    if (dash)
        return dash;
    for (;;) {
        at = next_at(s, at);
        if (at >= s->len || at_space(s, at) || hyphen_ends(s, at, from))
            return at;
        if (s->s[at] == '-' && word_mark(char_before(s, at, from)) && dash_end(s, at))
            return at;
    }
}

typedef struct chunks {
    ql_jstr **items;
    size_t n, at, cap;
} chunks;

// A chunk longer than a line: what fits (after a hyphen, if one is there) goes, the rest stays.
static ql_jstr *break_chunk(ql_jinja *j, chunks *c, int64_t room, const ql_jwrap *wrap)
{
    const ql_jstr *s = c->items[c->at];
    size_t space = (size_t)room; // may be 0: an empty piece ends the line
    size_t cut = ql_j_offset(j, s, space);
    if (wrap->break_hyphens && s->n_chars > space) {
        size_t hyphen = ql_j_rfind(j, s, 0, cut, ql_j_cstr(j, "-"));
        bool other = false;
        for (size_t i = 0; hyphen != SIZE_MAX && i < hyphen; i++)
            other = other || s->s[i] != '-';
        if (hyphen != SIZE_MAX && hyphen > 0 && other)
            cut = hyphen + 1;
    }
    c->items[c->at] = ql_j_sub(j, s, cut, s->len);
    return ql_j_sub(j, s, 0, cut);
}

static bool is_blank(ql_jinja *j, const ql_jstr *s) { return ql_j_strip(j, s, NULL, true, false)->len == 0; }

static ql_jstr *wrap_line(ql_jinja *j, chunks *c, const ql_jwrap *wrap, bool first_line)
{
    ql_jstr *line[2] = {NULL, NULL}; // text so far, and its last chunk
    int64_t length = 0;
    ql_jbuild b;
    size_t before_last = 0;
    ql_j_build(j, &b);
    if (!first_line && is_blank(j, c->items[c->at]))
        c->at++;
    for (; c->at < c->n; c->at++) {
        ql_jstr *chunk = c->items[c->at];
        ql_j_step(j);
        if (length + chunk->n_chars > wrap->width)
            break;
        before_last = b.len;
        line[1] = chunk;
        ql_j_put_str(&b, chunk);
        length += chunk->n_chars;
    }
    if (c->at < c->n && c->items[c->at]->n_chars > wrap->width && (wrap->break_words || length == 0)) {
        before_last = b.len;
        line[1] = wrap->break_words ? break_chunk(j, c, wrap->width - length, wrap) : c->items[c->at++];
        ql_j_put_str(&b, line[1]);
    }
    if (line[1] && is_blank(j, line[1])) {
        line[0] = ql_j_take(&b);
        return before_last ? ql_j_sub(j, line[0], 0, before_last) : NULL;
    }
    return line[1] ? ql_j_take(&b) : NULL;
}

ql_jlist *ql_j_wrap(ql_jinja *j, const ql_jstr *s, const ql_jwrap *wrap)
{
    ql_jlist *lines = ql_j_list(j, 0);
    chunks c = {0};
    if (wrap->width <= 0)
        ql_j_raise(j, "invalid width %lld (must be > 0)", (long long)wrap->width);
    ql_j_charge(j, s->len * 64);
    for (size_t at = 0, end; at < s->len; at = end) {
        end = chunk_end(s, at, wrap->break_hyphens);
        c.items = ql_j_grow(j, c.items, c.n, &c.cap, c.n + 1, sizeof *c.items);
        c.items[c.n++] = ql_j_sub(j, s, at, end);
    }
    while (c.at < c.n) {
        ql_jstr *line = wrap_line(j, &c, wrap, lines->n == 0);
        if (line)
            ql_j_push(j, lines, ql_j_strv(line));
    }
    return lines;
}

// ---- striptags

static ql_jstr *drop_tags(ql_jinja *j, const ql_jstr *s)
{
    ql_jbuild b;
    size_t at = 0, start;
    ql_j_build(j, &b);
    const ql_jstr *open = ql_j_cstr(j, "<"), *close = ql_j_cstr(j, ">"), *comment_end = ql_j_cstr(j, "-->");
    while ((start = ql_j_find(j, s, at, s->len, open)) != SIZE_MAX) {
        bool comment = s->len - start >= 4 && memcmp(s->s + start, "<!--", 4) == 0;
        size_t end = ql_j_find(j, s, comment ? start + 4 : start, s->len, comment ? comment_end : close);
        if (end == SIZE_MAX)
            break;
        ql_j_put_sub(&b, s, at, start);
        at = end + (comment ? 3 : 1);
    }
    ql_j_put_sub(&b, s, at, s->len);
    return ql_j_take(&b);
}

// The character that the entity "&...;" at `at` stands for; *end is after it. 0: not one of those known here.
static uint32_t entity(const ql_jstr *s, size_t at, size_t *end)
{
    static const struct {
        const char *name;
        uint32_t c;
    } named[] = {
        {"amp", '&'},       {"lt", '<'},         {"gt", '>'},         {"quot", '"'},      {"apos", '\''},
        {"nbsp", 0xa0},     {"copy", 0xa9},      {"reg", 0xae},       {"trade", 0x2122},  {"hellip", 0x2026},
        {"mdash", 0x2014},  {"ndash", 0x2013},   {"lsquo", 0x2018},   {"rsquo", 0x2019},  {"ldquo", 0x201c},
        {"rdquo", 0x201d},  {"laquo", 0xab},     {"raquo", 0xbb},     {"euro", 0x20ac},   {"deg", 0xb0},
        {"middot", 0xb7},   {"bull", 0x2022},    {"times", 0xd7},     {"sect", 0xa7},     {"para", 0xb6},
    };
    const char *semicolon = memchr(s->s + at, ';', s->len - at < 12 ? s->len - at : 12);
    if (!semicolon)
        return 0;
    const char *name = s->s + at + 1;
    size_t n = (size_t)(semicolon - name);
    *end = at + n + 2;
    if (n > 1 && name[0] == '#') {
        bool hex = name[1] == 'x' || name[1] == 'X';
        char *stop;
        unsigned long c = strtoul(name + 1 + hex, &stop, hex ? 16 : 10);
        bool valid = stop == semicolon && c > 0 && c < 0x110000 && (c < 0xd800 || c > 0xdfff);
        return valid && (c < 0x80 || c > 0x9f) ? (uint32_t)c : 0;
    }
    for (size_t i = 0; i < sizeof named / sizeof *named; i++)
        if (strlen(named[i].name) == n && memcmp(named[i].name, name, n) == 0)
            return named[i].c;
    return 0;
}

ql_jstr *ql_j_strip_tags(ql_jinja *j, const ql_jstr *s)
{
    s = drop_tags(j, s);
    ql_jbuild b;
    size_t n;
    bool space = false;
    ql_j_build(j, &b);
    ql_j_charge(j, s->len * 8);
    for (size_t at = 0; at < s->len; at += n) { // runs of white space are one space, none at the ends
        if (ql_j_is_space(ql_j_char(s->s + at, &n))) {
            space = b.len > 0;
            continue;
        }
        if (space)
            ql_j_put(&b, " ", 1, ql_j_origin(s, at));
        space = false;
        ql_j_put_sub(&b, s, at, at + n);
    }
    s = ql_j_take(&b);
    size_t run = 0, end;
    for (size_t at = 0; at < s->len; at++) {
        uint32_t c = s->s[at] == '&' ? entity(s, at, &end) : 0;
        if (!c)
            continue;
        ql_j_put_sub(&b, s, run, at);
        ql_j_put_char(&b, c, ql_j_origin(s, at));
        run = end;
        at = end - 1;
    }
    ql_j_put_sub(&b, s, run, s->len);
    return ql_j_take(&b);
}
