// SPDX-License-Identifier: MIT
// Owns character classes and case; each character is mapped alone, so that its origin goes with it. The one mapping
// that looks around is the final sigma.
#include "text/jinja_char.h"

#include <unicase.h>
#include <unictype.h>

bool ql_j_is_space(uint32_t c)
{
    if (c < 0x80)
        return (c >= 9 && c <= 13) || (c >= 28 && c <= 32);
    return c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 ||
           c == 0x202f || c == 0x205f || c == 0x3000;
}

bool ql_j_is_line_break(uint32_t c)
{
    return (c >= 10 && c <= 13) || (c >= 28 && c <= 30) || c == 0x85 || c == 0x2028 || c == 0x2029;
}

bool ql_j_is_alpha(uint32_t c)
{
    if (c < 0x80)
        return (c | 32) >= 'a' && (c | 32) <= 'z';
    return uc_is_general_category_withtable(c, UC_CATEGORY_MASK_L);
}

bool ql_j_is_decimal(uint32_t c) { return c < 0x80 ? c >= '0' && c <= '9' : uc_decimal_value(c) >= 0; }
bool ql_j_is_digit(uint32_t c) { return c < 0x80 ? c >= '0' && c <= '9' : uc_digit_value(c) >= 0; }

bool ql_j_is_numeric(uint32_t c)
{
    return c < 0x80 ? c >= '0' && c <= '9' : uc_numeric_value(c).denominator != 0;
}

bool ql_j_is_alnum(uint32_t c) { return ql_j_is_alpha(c) || ql_j_is_numeric(c); }
bool ql_j_is_word(uint32_t c) { return c == '_' || ql_j_is_alnum(c); }
bool ql_j_is_upper(uint32_t c) { return c < 0x80 ? c >= 'A' && c <= 'Z' : uc_is_property_uppercase(c); }
bool ql_j_is_lower(uint32_t c) { return c < 0x80 ? c >= 'a' && c <= 'z' : uc_is_property_lowercase(c); }
bool ql_j_is_title(uint32_t c) { return c >= 0x80 && uc_is_general_category_withtable(c, UC_CATEGORY_MASK_Lt); }

bool ql_j_is_printable(uint32_t c)
{
    if (c < 0x80)
        return c >= 32 && c < 127;
    return !uc_is_general_category_withtable(c, UC_CATEGORY_MASK_C | UC_CATEGORY_MASK_Z);
}

bool ql_j_is_id_start(uint32_t c)
{
    return c < 0x80 ? c == '_' || ql_j_is_alpha(c) : uc_is_property_xid_start(c);
}

bool ql_j_is_id_continue(uint32_t c) { return c < 0x80 ? ql_j_is_word(c) : uc_is_property_xid_continue(c); }

int ql_j_decimal_value(uint32_t c)
{
    if (c < 0x80)
        return c >= '0' && c <= '9' ? (int)(c - '0') : -1;
    return uc_decimal_value(c);
}

bool ql_j_all(const ql_jstr *s, bool (*is)(uint32_t c))
{
    size_t n;
    for (size_t i = 0; i < s->len; i += n)
        if (!is(ql_j_char(s->s + i, &n)))
            return false;
    return s->len > 0;
}

static bool all_cased(const ql_jstr *s, bool (*wanted)(uint32_t c), bool (*other)(uint32_t c))
{
    bool found = false;
    size_t n;
    for (size_t i = 0; i < s->len; i += n) {
        uint32_t c = ql_j_char(s->s + i, &n);
        if (other(c) || ql_j_is_title(c))
            return false;
        found = found || wanted(c);
    }
    return found;
}

bool ql_j_all_lower(const ql_jstr *s) { return all_cased(s, ql_j_is_lower, ql_j_is_upper); }
bool ql_j_all_upper(const ql_jstr *s) { return all_cased(s, ql_j_is_upper, ql_j_is_lower); }

bool ql_j_all_title(const ql_jstr *s)
{
    bool found = false, after_cased = false;
    size_t n;
    for (size_t i = 0; i < s->len; i += n) {
        uint32_t c = ql_j_char(s->s + i, &n);
        bool upper = ql_j_is_upper(c) || ql_j_is_title(c), lower = ql_j_is_lower(c);
        if ((upper && after_cased) || (lower && !after_cased))
            return false;
        after_cased = upper || lower;
        found = found || after_cased;
    }
    return found;
}

static bool case_ignorable(uint32_t c) { return uc_is_property_case_ignorable(c); }
static bool cased(uint32_t c) { return uc_is_property_cased(c); }

// A capital sigma at byte i of s ends a word: cased before it, not after it.
static bool final_sigma(ql_jinja *j, const ql_jstr *s, size_t i)
{
    size_t at = i, n;
    uint32_t c = 0;
    while (at > 0) {
        ql_j_step(j);
        at -= ql_j_char_before(s->s, at);
        c = ql_j_char(s->s + at, &n);
        if (!case_ignorable(c))
            break;
        c = 0;
    }
    if (!c || !cased(c))
        return false;
    for (at = i + 2; at < s->len; at += n) {
        ql_j_step(j);
        c = ql_j_char(s->s + at, &n);
        if (!case_ignorable(c))
            return !cased(c);
    }
    return true;
}

// Whether the full mapping of c may differ from the simple one (SpecialCasing.txt, CaseFolding.txt).
static bool special(uint32_t c)
{
    return c == 0xdf || c == 0x130 || c == 0x149 || c == 0x1f0 || c == 0x390 || c == 0x3b0 || c == 0x587 ||
           (c >= 0x1e96 && c <= 0x1e9e) || (c >= 0x1f50 && c <= 0x1ffc) || (c >= 0xfb00 && c <= 0xfb17);
}

static void put_mapped(ql_jbuild *b, uint32_t c, ql_jcase how, bool input)
{
    if (c < 0x80) {
        bool alpha = (c | 32) >= 'a' && (c | 32) <= 'z';
        bool lower = how == QL_J_LOWER || how == QL_J_FOLD;
        ql_j_put_char(b, !alpha ? c : lower ? c | 32 : c & ~32u, input);
        return;
    }
    if (special(c) || how == QL_J_FOLD) {
        uint32_t in = c, out[8];
        size_t n = 8;
        uint32_t *mapped = how == QL_J_UPPER   ? u32_toupper(&in, 1, NULL, NULL, out, &n)
                           : how == QL_J_LOWER ? u32_tolower(&in, 1, NULL, NULL, out, &n)
                           : how == QL_J_FOLD  ? u32_casefold(&in, 1, NULL, NULL, out, &n)
                                               : u32_totitle(&in, 1, NULL, NULL, out, &n);
        for (size_t i = 0; mapped == out && i < n; i++)
            ql_j_put_char(b, out[i], input);
        if (mapped == out)
            return; // always: no mapping is longer than three characters
    }
    ql_j_put_char(b, how == QL_J_UPPER ? uc_toupper(c) : how == QL_J_LOWER ? uc_tolower(c) : uc_totitle(c), input);
}

static void put_lower(ql_jbuild *b, const ql_jstr *s, size_t i, uint32_t c)
{
    if (c == 0x3a3)
        ql_j_put_char(b, final_sigma(b->j, s, i) ? 0x3c2 : 0x3c3, ql_j_origin(s, i));
    else
        put_mapped(b, c, QL_J_LOWER, ql_j_origin(s, i));
}

void ql_j_put_case(ql_jbuild *b, const ql_jstr *s, size_t from, size_t to, ql_jcase how)
{
    bool after_cased = false;
    size_t n;
    ql_j_charge(b->j, (to - from) * 64);
    for (size_t i = from; i < to; i += n) {
        uint32_t c = ql_j_char(s->s + i, &n);
        bool upper = how == QL_J_SWAP && ql_j_is_upper(c);
        if (how == QL_J_LOWER || upper || (how == QL_J_TITLE && after_cased) || (how == QL_J_CAPITAL && i > from))
            put_lower(b, s, i, c);
        else if (how == QL_J_SWAP && ql_j_is_lower(c))
            put_mapped(b, c, QL_J_UPPER, ql_j_origin(s, i));
        else if (how == QL_J_SWAP)
            ql_j_put_char(b, c, ql_j_origin(s, i));
        else
            put_mapped(b, c, how == QL_J_CAPITAL ? QL_J_TITLE : how, ql_j_origin(s, i));
        if (how == QL_J_TITLE)
            after_cased = ql_j_is_upper(c) || ql_j_is_lower(c) || ql_j_is_title(c);
    }
}

// Nothing but ASCII: as many bytes as before, of the same origin.
static ql_jstr *recase_ascii(ql_jinja *j, const ql_jstr *s, ql_jcase how)
{
    char *bytes = ql_j_alloc(j, s->len);
    bool after_letter = false;
    for (size_t i = 0; i < s->len; i++) {
        char c = s->s[i];
        bool letter = (c | 32) >= 'a' && (c | 32) <= 'z';
        bool lower = how == QL_J_LOWER || how == QL_J_FOLD || (how == QL_J_TITLE && after_letter) ||
                     (how == QL_J_CAPITAL && i > 0) || (how == QL_J_SWAP && !(c & 32));
        bytes[i] = (char)(!letter ? c : lower ? c | 32 : c & ~32);
        after_letter = letter;
    }
    ql_jstr *out = ql_j_alloc(j, sizeof *out);
    *out = *s;
    out->s = bytes;
    out->tail = NULL;
    out->hash = 0;
    ql_j_charge(j, s->len * 4);
    return out;
}

ql_jstr *ql_j_recase(ql_jinja *j, const ql_jstr *s, ql_jcase how)
{
    if (ql_j_ascii(s))
        return recase_ascii(j, s, how);
    ql_jbuild b;
    ql_j_build(j, &b);
    ql_j_put_case(&b, s, 0, s->len, how);
    return ql_j_as_markup(j, ql_j_take(&b), s->markup);
}
