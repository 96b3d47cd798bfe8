// SPDX-License-Identifier: MIT
// Regular expressions as tokenizer.json writes them (Oniguruma with Ruby's syntax), matched by PCRE2's JIT.
//
// The two languages differ where tokenizers care: \s, \w, \b and \p{Script} mean other sets, {n,m}+ is no possessive
// quantifier, $ and ^ are those of lines, classes nest and intersect (&&). A pattern is rewritten before it is compiled.
#ifndef QL_TEXT_REGEX_H
#define QL_TEXT_REGEX_H

#include "base/buf.h"

// Immutable, so threads share it.
typedef struct ql_regex ql_regex;

// QL_E_UNSUPPORTED with the pattern and the reason when PCRE2 can not compile what it becomes.
ql_code ql_regex_new(const char *pattern, size_t len, ql_regex **regex, ql_error *err);
void ql_regex_free(ql_regex *regex);

// Whether two have the same pattern, as it was given; NULL is like NULL alone.
bool ql_regex_same(const ql_regex *a, const ql_regex *b);
bool ql_regex_is(const ql_regex *regex, const char *pattern);

// Appends the pattern in PCRE2's language (options PCRE2_UTF, PCRE2_UCP, PCRE2_MULTILINE; newline is \n).
ql_code ql_regex_translate(const char *pattern, size_t len, ql_buf *out, ql_error *err);

// Memory for matching, of one thread. A zeroed struct is ready.
typedef struct ql_matcher {
    void *match, *context, *stack;
    size_t limit; // of steps, as set in context
    // Where the last search stands, see ql_regex_next.
    size_t at, last_end;
    bool had_match;
} ql_matcher;
void ql_matcher_free(ql_matcher *matcher);

// One search through text, valid UTF-8: begins with ql_regex_begin; each ql_regex_next gives the next match in
// [*begin, *end) until *found is false. A match may be empty, but not right behind the one before. The state lies in
// *matcher; a caller that searches elsewhere in between keeps a copy of at, last_end and had_match.
void ql_regex_begin(ql_matcher *matcher);
ql_code ql_regex_next(const ql_regex *regex, ql_matcher *matcher, const char *text, size_t len, size_t *begin,
                      size_t *end, bool *found, ql_error *err);

#endif
