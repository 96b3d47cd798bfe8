// SPDX-License-Identifier: MIT
// Owns the translation of a pattern from Oniguruma's language (Ruby's syntax) to PCRE2's. Must not know matching.
//
// Its decision: one pass that copies what means the same and rewrites the rest, remembering only where the last item
// begins, since a quantifier may have to wrap it. A class that nests or intersects becomes an alternation of plain ones
// with lookaheads, as PCRE2's classes are flat.
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "text/regex.h"

#define WORD "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}" // Oniguruma's \w in a class; PCRE2's leaves out marks, takes in \p{No}
#define WORD_AT_EDGE WORD "\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}" // \b goes by a table of its own below U+0100
#define SPACE "\\p{White_Space}"                   // PCRE2's own \s takes U+180E, too
#define HEX "0-9A-Fa-f"
#define THREES "(?:\\p{Nd}{3})++(?!\\p{Nd})"
#define EDGE(is, not) "(?:(?<=[" WORD_AT_EDGE "])(?" is "[" WORD_AT_EDGE "])|(?<![" WORD_AT_EDGE "])(?" not "[" WORD_AT_EDGE "]))"

enum { MAX_DEPTH = 64 };

typedef struct translator {
    const char *at, *end;
    ql_buf *out;
    ql_error *err;
    int depth;
} translator;

static ql_code sequence(translator *t);

static bool left(const translator *t, size_t n) { return (size_t)(t->end - t->at) >= n; }

static bool next_is(const translator *t, const char *s)
{
    size_t n = strlen(s);
    return left(t, n) && memcmp(t->at, s, n) == 0;
}

static ql_code unsupported(translator *t, const char *what)
{
    return ql_fail(t->err, QL_E_UNSUPPORTED, "%s is not supported", what);
}

static void copy(translator *t, ql_buf *out, size_t n)
{
    ql_buf_append(out, t->at, n);
    t->at += n;
}

// ---- properties ----

typedef struct property {
    const char *name; // lower case, without spaces, - and _
    const char *items; // of a class
} property;

static const property properties[] = {
    {"alpha", "\\p{Alphabetic}"}, {"digit", "\\p{Nd}"}, {"space", SPACE}, {"whitespace", SPACE}, {"word", WORD},
    {"alnum", "\\p{Alphabetic}\\p{Nd}"}, {"upper", "\\p{Uppercase}"}, {"lower", "\\p{Lowercase}"},
    {"punct", "\\p{P}\\p{S}"}, {"cntrl", "\\p{Cc}"}, {"xdigit", HEX}, {"blank", "\\p{Zs}\\t"},
    {"ascii", "\\x{0}-\\x{7f}"}, {"any", "\\p{Any}"},
    {"letter", "\\p{L}"}, {"uppercaseletter", "\\p{Lu}"}, {"lowercaseletter", "\\p{Ll}"},
    {"titlecaseletter", "\\p{Lt}"}, {"casedletter", "\\p{L&}"}, {"lc", "\\p{L&}"}, {"modifierletter", "\\p{Lm}"},
    {"otherletter", "\\p{Lo}"}, {"mark", "\\p{M}"}, {"combiningmark", "\\p{M}"}, {"nonspacingmark", "\\p{Mn}"},
    {"spacingmark", "\\p{Mc}"}, {"enclosingmark", "\\p{Me}"}, {"number", "\\p{N}"}, {"decimalnumber", "\\p{Nd}"},
    {"letternumber", "\\p{Nl}"}, {"othernumber", "\\p{No}"}, {"punctuation", "\\p{P}"},
    {"connectorpunctuation", "\\p{Pc}"}, {"dashpunctuation", "\\p{Pd}"}, {"openpunctuation", "\\p{Ps}"},
    {"closepunctuation", "\\p{Pe}"}, {"initialpunctuation", "\\p{Pi}"}, {"finalpunctuation", "\\p{Pf}"},
    {"otherpunctuation", "\\p{Po}"}, {"symbol", "\\p{S}"}, {"mathsymbol", "\\p{Sm}"}, {"currencysymbol", "\\p{Sc}"},
    {"modifiersymbol", "\\p{Sk}"}, {"othersymbol", "\\p{So}"}, {"separator", "\\p{Z}"}, {"spaceseparator", "\\p{Zs}"},
    {"lineseparator", "\\p{Zl}"}, {"paragraphseparator", "\\p{Zp}"}, {"other", "\\p{C}"}, {"control", "\\p{Cc}"},
    {"format", "\\p{Cf}"}, {"privateuse", "\\p{Co}"}, {"surrogate", "\\p{Cs}"}, {"unassigned", "\\p{Cn}"},
};

// Properties that PCRE2 has under the same name; what is in neither list is taken for a script.
static const char same_names[] =
    " alphabetic uppercase lowercase ideographic emoji emojipresentation emojimodifier emojimodifierbase "
    "emojicomponent extendedpictographic hexdigit asciihexdigit cased caseignorable idstart idcontinue xidstart "
    "xidcontinue dash diacritic extender math joincontrol quotationmark variationselector unifiedideograph "
    "terminalpunctuation sentenceterminal patternsyntax patternwhitespace regionalindicator graphemebase "
    "graphemeextend defaultignorablecodepoint noncharactercodepoint bidicontrol ";

static bool is_general_category(const char *name, size_t n)
{
    return n <= 2 && strchr("lmnpszc", name[0]) && (n == 1 || strchr("ultmonecdsipfkpa", name[1]));
}

// The items of a class for a property's name; with inside false the name is all that stands in it. False: no class
// items exist (negated and more than one).
static void property_items(const char *name, size_t n, ql_buf *items)
{
    char plain[64], spaced[66];
    size_t k = 0;
    for (size_t i = 0; i < n && k < sizeof plain - 1; i++)
        if (name[i] != ' ' && name[i] != '-' && name[i] != '_')
            plain[k++] = name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] - 'A' + 'a') : name[i];
    plain[k] = 0;
    for (size_t i = 0; i < sizeof properties / sizeof *properties; i++)
        if (strcmp(properties[i].name, plain) == 0) {
            ql_buf_append_str(items, properties[i].items);
            return;
        }
    spaced[0] = ' ';
    memcpy(spaced + 1, plain, k);
    memcpy(spaced + 1 + k, " ", 2);
    if (is_general_category(plain, k))
        ql_buf_printf(items, "\\p{%c%.*s}", plain[0] - 'a' + 'A', (int)k - 1, plain + 1);
    else if (k && strstr(same_names, spaced))
        ql_buf_printf(items, "\\p{%s}", plain);
    else
        ql_buf_printf(items, "\\p{sc:%s}", plain); // PCRE2's bare name is Script_Extensions
}

// \p{Name}, \p{^Name}, \P{Name}: appends the items and whether they are negated.
static ql_code read_property(translator *t, ql_buf *items, bool *negated)
{
    *negated = t->at[1] == 'P';
    t->at += 2;
    if (!left(t, 1) || *t->at != '{')
        return ql_fail(t->err, QL_E_UNSUPPORTED, "\\p must be followed by {a name}");
    const char *close = memchr(t->at, '}', (size_t)(t->end - t->at)), *name = t->at + 1;
    if (!close || close - name > 60 || close == name)
        return ql_fail(t->err, QL_E_UNSUPPORTED, "\\p{ has no name");
    if (*name == '^') {
        *negated = !*negated;
        name++;
    }
    property_items(name, (size_t)(close - name), items);
    t->at = close + 1;
    return QL_OK;
}

// ---- escapes that stand for a set ----

// Whether an escape is a set, as items of a class: \s \w \d \h \p{} and their negations.
static ql_code read_set(translator *t, ql_buf *items, bool *negated, bool *is_set)
{
    static const struct { char small; const char *items; } sets[] = {
        {'s', SPACE}, {'w', WORD}, {'d', "\\p{Nd}"}, {'h', HEX}};
    *is_set = true;
    char c = left(t, 2) ? t->at[1] : 0;
    if (c == 'p' || c == 'P')
        return read_property(t, items, negated);
    for (size_t i = 0; i < 4; i++)
        if ((c | 0x20) == sets[i].small && ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))) {
            *negated = c < 'a';
            ql_buf_append_str(items, sets[i].items);
            t->at += 2;
            return QL_OK;
        }
    *is_set = false;
    return QL_OK;
}

// One item in a class that can be negated by itself: \p{X} as \P{X}.
static bool append_negated_item(ql_buf *out, const char *items, size_t n)
{
    const char *close = n > 3 && memcmp(items, "\\p{", 3) == 0 ? memchr(items, '}', n) : NULL;
    if (!close || (size_t)(close - items) + 1 != n)
        return false;
    ql_buf_append_str(out, "\\P");
    ql_buf_append(out, items + 2, n - 2);
    return true;
}

// The escapes that stand for one character and are spelled differently: \uHHHH, \v. Others are copied.
static ql_code copy_escape(translator *t, ql_buf *out, bool in_class)
{
    if (!left(t, 2))
        return ql_fail(t->err, QL_E_UNSUPPORTED, "it ends with a backslash");
    char c = t->at[1];
    if (c == 'u') {
        if (!left(t, 6))
            return ql_fail(t->err, QL_E_UNSUPPORTED, "\\u must be followed by four digits");
        ql_buf_printf(out, "\\x{%.4s}", t->at + 2);
        t->at += 6;
    } else if (c == 'v') {
        ql_buf_append_str(out, "\\x{b}");
        t->at += 2;
    } else if (!in_class && (c == 'y' || c == 'Y' || c == 'O')) {
        return unsupported(t, c == 'O' ? "\\O" : "\\y");
    } else if (!in_class && (c == 'b' || c == 'B')) { // PCRE2's \b goes by its own \w
        ql_buf_append_str(out, c == 'b' ? EDGE("!", "=") : EDGE("=", "!"));
        t->at += 2;
    } else {
        size_t n = (uint8_t)c < 0x80 ? 1 : 0;
        if (n == 0) {
            uint32_t cp;
            int used = ql_utf8_decode(t->at + 1, (size_t)(t->end - t->at - 1), &cp);
            n = used > 0 ? (size_t)used : 1;
        }
        copy(t, out, 1 + n);
    }
    return QL_OK;
}

// ---- classes ----

// A union: what fits a plain class, and alternatives that do not.
typedef struct set_union {
    ql_buf items;   // of a plain class
    ql_buf others;  // "|a|b", each matching one character
} set_union;

static ql_code read_class(translator *t, ql_buf *out);

// What could not be kept in full must not be taken for the whole.
static ql_code kept(translator *t, const ql_buf *buf)
{
    return buf->failed ? ql_fail_memory(t->err, buf->cap) : QL_OK;
}

static void append_union(ql_buf *out, const set_union *u)
{
    const char *items = u->items.data ? u->items.data : "";
    if (!u->others.len)
        ql_buf_printf(out, "[%s]", items);
    else if (!u->items.len)
        ql_buf_printf(out, "(?:%s)", u->others.data + 1);
    else
        ql_buf_printf(out, "(?:[%s]%s)", items, u->others.data);
}

static ql_code read_posix(translator *t, set_union *u)
{
    const char *close = NULL;
    for (const char *p = t->at + 2; p + 1 < t->end && p - t->at < 32 && !close; p++)
        close = p[0] == ':' && p[1] == ']' ? p : NULL;
    if (!close)
        return ql_fail(t->err, QL_E_UNSUPPORTED, "a class has [: without :]");
    const char *name = t->at + 2;
    bool negated = *name == '^';
    name += negated;
    ql_buf items = {0};
    property_items(name, (size_t)(close - name), &items);
    ql_code code = kept(t, &items);
    if (code == QL_OK && negated)
        ql_buf_printf(&u->others, "|[^%s]", items.data ? items.data : "");
    else if (code == QL_OK)
        ql_buf_append(&u->items, items.data, items.len);
    ql_buf_free(&items);
    t->at = close + 2;
    return code;
}

static ql_code read_item(translator *t, set_union *u)
{
    ql_code code = QL_OK;
    if (next_is(t, "[:")) {
        code = read_posix(t, u);
    } else if (*t->at == '[') {
        ql_buf_append_byte(&u->others, '|');
        code = read_class(t, &u->others);
    } else if (*t->at == '\\') {
        ql_buf items = {0};
        bool negated, is_set;
        code = read_set(t, &items, &negated, &is_set);
        if (code == QL_OK)
            code = kept(t, &items);
        if (code == QL_OK && !is_set)
            code = copy_escape(t, &u->items, true);
        else if (code == QL_OK && !negated)
            ql_buf_append(&u->items, items.data, items.len);
        else if (code == QL_OK && !append_negated_item(&u->items, items.data, items.len))
            ql_buf_printf(&u->others, "|[^%s]", items.data);
        ql_buf_free(&items);
    } else {
        copy(t, &u->items, 1);
    }
    return code;
}

// Up to ] or &&.
static ql_code read_union(translator *t, set_union *u, bool first)
{
    for (; left(t, 1); first = false) {
        if ((*t->at == ']' && !first) || next_is(t, "&&"))
            return QL_OK;
        if (*t->at == ']')
            ql_buf_append_byte(&u->items, '\\');
        QL_TRY(read_item(t, u));
    }
    return ql_fail(t->err, QL_E_UNSUPPORTED, "a class has no end");
}

static ql_code read_intersection(translator *t, ql_buf *sets, size_t *n, bool *plain)
{
    *n = 0;
    *plain = true;
    for (bool first = true;; first = false) {
        set_union u = {0};
        ql_code code = read_union(t, &u, first);
        if (code == QL_OK && (code = kept(t, &u.items)) == QL_OK)
            code = kept(t, &u.others);
        if (code == QL_OK && !u.items.len && !u.others.len)
            code = ql_fail(t->err, QL_E_UNSUPPORTED, "a class has nothing beside &&");
        *plain = *plain && !u.others.len;
        bool more = code == QL_OK && next_is(t, "&&");
        if (more)
            ql_buf_append_str(sets, "(?=");
        if (code == QL_OK)
            append_union(sets, &u);
        if (more)
            ql_buf_append_byte(sets, ')');
        ql_buf_free(&u.items);
        ql_buf_free(&u.others);
        QL_TRY(code);
        ++*n;
        if (!more)
            return QL_OK;
        t->at += 2;
    }
}

// [...]: appends one item that matches one character.
static ql_code read_class(translator *t, ql_buf *out)
{
    if (++t->depth > MAX_DEPTH)
        return ql_fail(t->err, QL_E_UNSUPPORTED, "it nests deeper than %d", MAX_DEPTH);
    t->at++;
    bool negated = left(t, 1) && *t->at == '^', plain;
    t->at += negated;
    ql_buf sets = {0};
    size_t n;
    ql_code code = read_intersection(t, &sets, &n, &plain);
    if (code == QL_OK)
        code = kept(t, &sets);
    if (code == QL_OK) {
        t->at++; // ]
        if (negated && plain && n == 1)
            ql_buf_printf(out, "[^%.*s", (int)sets.len - 1, sets.data + 1);
        else if (negated)
            ql_buf_printf(out, "(?:(?!%s)(?s:.))", sets.data);
        else if (n > 1)
            ql_buf_printf(out, "(?:%s)", sets.data);
        else
            ql_buf_append(out, sets.data, sets.len);
    }
    ql_buf_free(&sets);
    t->depth--;
    return code;
}

// ---- groups ----

// The options of (?im-x) or (?im-x:...): Ruby's m is PCRE2's s.
static ql_code read_options(translator *t, bool *isolated)
{
    ql_buf_append_str(t->out, "(?");
    for (; left(t, 1) && strchr("imx-", *t->at); t->at++) {
        if (*t->at == 'x')
            return unsupported(t, "(?x)");
        ql_buf_append_byte(t->out, *t->at == 'm' ? 's' : *t->at);
    }
    if (!left(t, 1) || (*t->at != ':' && *t->at != ')'))
        return unsupported(t, "a group of this kind");
    *isolated = *t->at++ == ')';
    ql_buf_append_byte(t->out, ':');
    return QL_OK;
}

static ql_code close_group(translator *t)
{
    if (!left(t, 1))
        return ql_fail(t->err, QL_E_UNSUPPORTED, "a group has no end");
    copy(t, t->out, 1);
    return QL_OK;
}

static ql_code group(translator *t)
{
    static const char *const kinds[] = {"(?:", "(?=", "(?!", "(?>", "(?<=", "(?<!"};
    if (next_is(t, "(*"))
        return unsupported(t, "(*");
    if (next_is(t, "(?#")) {
        const char *close = memchr(t->at, ')', (size_t)(t->end - t->at));
        t->at = close ? close + 1 : t->end;
        return QL_OK;
    }
    if (!next_is(t, "(?")) {
        copy(t, t->out, 1);
        QL_TRY(sequence(t));
        return close_group(t);
    }
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (next_is(t, kinds[i])) {
            copy(t, t->out, strlen(kinds[i]));
            QL_TRY(sequence(t));
            return close_group(t);
        }
    if (next_is(t, "(?<")) { // a name
        const char *close = memchr(t->at, '>', (size_t)(t->end - t->at));
        if (!close)
            return unsupported(t, "a group of this kind");
        copy(t, t->out, (size_t)(close - t->at) + 1);
        QL_TRY(sequence(t));
        return close_group(t);
    }
    bool isolated = false;
    t->at += 2;
    QL_TRY(read_options(t, &isolated));
    QL_TRY(sequence(t));
    if (isolated) { // holds to the end of the group that it stands in, alternatives too
        ql_buf_append_byte(t->out, ')');
        return QL_OK;
    }
    return close_group(t);
}

// ---- quantifiers ----

// {n}, {n,}, {,m}, {n,m} at t->at: its length, 0 if it is none; *fixed: {n}.
static size_t interval(const translator *t, bool *fixed)
{
    const char *p = t->at + 1;
    size_t digits = 0;
    bool comma = false;
    for (; p < t->end && ((*p >= '0' && *p <= '9') || (*p == ',' && !comma)); p++) {
        digits += *p != ',';
        comma = comma || *p == ',';
    }
    *fixed = !comma;
    return digits && p < t->end && *p == '}' ? (size_t)(p - t->at) + 1 : 0;
}

static bool is_quantifier(const translator *t)
{
    bool fixed;
    return strchr("*+?", *t->at) ? true : *t->at == '{' && interval(t, &fixed);
}

static void wrap(translator *t, size_t item)
{
    ql_buf inner = {0};
    ql_buf_append(&inner, t->out->data + item, t->out->len - item);
    t->out->len = item;
    t->out->failed = t->out->failed || inner.failed;
    ql_buf_printf(t->out, "(?:%s)", inner.data ? inner.data : "");
    ql_buf_free(&inner);
}

static void quantifier(translator *t, size_t item, bool again)
{
    if (again)
        wrap(t, item);
    if (*t->at != '{') {
        copy(t, t->out, 1);
        if (left(t, 1) && (*t->at == '?' || *t->at == '+')) // lazy, possessive: the same in both
            copy(t, t->out, 1);
        return;
    }
    bool fixed;
    size_t n = interval(t, &fixed);
    if (t->at[1] == ',')
        ql_buf_printf(t->out, "{0%.*s", (int)n - 1, t->at + 1);
    else
        ql_buf_append(t->out, t->at, n);
    t->at += n;
    if (left(t, 1) && *t->at == '?' && !fixed)
        copy(t, t->out, 1); // {n}? is an optional {n}, so it is wrapped like +
}

static ql_code sequence(translator *t)
{
    if (++t->depth > MAX_DEPTH)
        return ql_fail(t->err, QL_E_UNSUPPORTED, "it nests deeper than %d", MAX_DEPTH);
    size_t item = SIZE_MAX;
    bool quantified = false;
    while (left(t, 1) && *t->at != ')') {
        if (item != SIZE_MAX && is_quantifier(t)) {
            quantifier(t, item, quantified);
            quantified = true;
            continue;
        }
        item = *t->at == '|' ? SIZE_MAX : t->out->len;
        quantified = false;
        if (*t->at == '(') {
            QL_TRY(group(t));
        } else if (*t->at == '[') {
            QL_TRY(read_class(t, t->out));
        } else if (*t->at == '\\') {
            ql_buf items = {0};
            bool negated = false, is_set = false;
            ql_code code = read_set(t, &items, &negated, &is_set);
            if (code == QL_OK)
                code = kept(t, &items);
            if (code == QL_OK && !is_set)
                code = copy_escape(t, t->out, false);
            else if (code == QL_OK)
                ql_buf_printf(t->out, "[%s%s]", negated ? "^" : "", items.data ? items.data : "");
            ql_buf_free(&items);
            QL_TRY(code);
        } else {
            uint32_t cp;
            int n = ql_utf8_decode(t->at, (size_t)(t->end - t->at), &cp);
            copy(t, t->out, n > 0 ? (size_t)n : (size_t)-n);
        }
    }
    t->depth--;
    return QL_OK;
}

// Patterns that look at a whole run from each of its places, which takes the square of its length, as ones of the same
// meaning that look once: runs of spaces that end a line, and digits in threes counted from a number's end.
static const char *linear_form(const char *pattern, size_t len)
{
    static const struct { const char *pattern, *linear; } known[] = {
        {"\\s+$", SPACE "++\\z|" SPACE "+(?=\\n)|" SPACE "++(*SKIP)(*FAIL)"},
        {"\\d{1,3}(?=(?:\\d{3})*\\b)",
         "(?<!\\p{Nd})\\p{Nd}{1,3}(?=(?:\\p{Nd}{3})*+(?![" WORD_AT_EDGE "]))|(?<!\\p{Nd})\\p{Nd}++(*SKIP)(*FAIL)|"
         "(?<=\\p{Nd})\\p{Nd}{3}"},
        {"(?=(\\d{3})+(?!\\d))",
         "\\G(?<=\\p{Nd})\\p{Nd}{3}\\K(?=\\p{Nd}{3})|" // three on from the last match; else a number's first three places
         "\\G(?<!\\p{Nd})(?=" THREES ")\\p{Nd}{3}\\K(?=\\p{Nd}{3})|(?<!\\p{Nd})(?=" THREES ")|"
         "(?<=(?<!\\p{Nd})\\p{Nd})(?=" THREES ")|(?<=(?<!\\p{Nd})\\p{Nd}{2})(?=" THREES ")"},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strlen(known[i].pattern) == len && memcmp(known[i].pattern, pattern, len) == 0)
            return known[i].linear;
    return NULL;
}

ql_code ql_regex_translate(const char *pattern, size_t len, ql_buf *out, ql_error *err)
{
    translator t = {.at = pattern, .end = pattern + len, .out = out, .err = err};
    const char *linear = linear_form(pattern, len);
    if (linear)
        ql_buf_append_str(out, linear);
    else
        QL_TRY(sequence(&t));
    if (!linear && t.at < t.end)
        return ql_fail(err, QL_E_UNSUPPORTED, "a ) has no group");
    return out->failed ? ql_fail_memory(err, out->cap) : QL_OK;
}
