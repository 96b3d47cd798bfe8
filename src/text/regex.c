// SPDX-License-Identifier: MIT
// Owns compiling and matching by PCRE2's JIT. Must not know tokens. Its decision: a limit on the steps of each match
// that grows with the text, since patterns come from strangers; what passes it is told, never cut short.
#include "text/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PATTERN = 1 << 16, SHOWN = 80 };

struct ql_regex {
    pcre2_code *code;
    char source[SHOWN + 1]; // of the pattern as given, for messages
    char *pattern;          // [len] as given
    size_t len;
};

bool ql_regex_same(const ql_regex *a, const ql_regex *b)
{
    return !a || !b ? a == b : a->len == b->len && memcmp(a->pattern, b->pattern, a->len) == 0;
}

bool ql_regex_is(const ql_regex *regex, const char *pattern)
{
    return regex && regex->len == strlen(pattern) && memcmp(regex->pattern, pattern, regex->len) == 0;
}

// As much of a pattern as a message shows.
static void keep_source(ql_regex *regex, const char *pattern, size_t len)
{
    size_t n = len < SHOWN ? len : SHOWN;
    while (n < len && n > 0 && ((uint8_t)pattern[n] & 0xc0) == 0x80)
        n--;
    memcpy(regex->source, pattern, n);
}

static ql_code compile(ql_regex *regex, const ql_buf *translated, ql_error *err)
{
    int number;
    PCRE2_SIZE offset;
    if (translated->failed) // or its beginning would be compiled
        return ql_fail_memory(err, translated->cap);
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    if (!context)
        return ql_fail_memory(err, 256);
    pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    regex->code = pcre2_compile((PCRE2_SPTR)(translated->data ? translated->data : ""), translated->len,
                                PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &number, &offset,
                                context);
    pcre2_compile_context_free(context);
    if (!regex->code) {
        PCRE2_UCHAR text[128];
        pcre2_get_error_message(number, text, sizeof text);
        return ql_fail(err, number == PCRE2_ERROR_HEAP_FAILED ? QL_E_MEMORY : QL_E_UNSUPPORTED, "%s", (const char *)text);
    }
    pcre2_jit_compile(regex->code, PCRE2_JIT_COMPLETE); // without JIT the interpreter matches, only slower
    return QL_OK;
}

ql_code ql_regex_new(const char *pattern, size_t len, ql_regex **out, ql_error *err)
{
    ql_regex *regex = calloc(1, sizeof *regex);
    ql_buf translated = {0};
    if (!regex)
        return ql_fail_memory(err, sizeof *regex);
    keep_source(regex, pattern, len);
    if (!(regex->pattern = malloc(len + 1))) {
        ql_regex_free(regex);
        return ql_fail_memory(err, len);
    }
    regex->len = len;
    if (len)
        memcpy(regex->pattern, pattern, len);
    ql_code code = len <= MAX_PATTERN ? ql_regex_translate(pattern, len, &translated, err)
                                      : ql_fail(err, QL_E_UNSUPPORTED, "it is longer than %d bytes", MAX_PATTERN);
    if (code == QL_OK)
        code = compile(regex, &translated, err);
    ql_buf_free(&translated);
    if (code != QL_OK) {
        ql_fail_prefix(err, code, "the pattern \"%s\" can not be compiled by PCRE2", regex->source);
        ql_regex_free(regex);
        return code;
    }
    *out = regex;
    return QL_OK;
}

void ql_regex_free(ql_regex *regex)
{
    if (!regex)
        return;
    pcre2_code_free(regex->code);
    free(regex->pattern);
    free(regex);
}

// ---- matching ----

void ql_matcher_free(ql_matcher *m)
{
    pcre2_match_data_free(m->match);
    pcre2_match_context_free(m->context);
    pcre2_jit_stack_free(m->stack);
    *m = (ql_matcher){0};
}

static ql_code prepare(ql_matcher *m, size_t len, ql_error *err)
{
    if (!m->match)
        m->match = pcre2_match_data_create(1, NULL);
    if (!m->context)
        m->context = pcre2_match_context_create(NULL);
    if (!m->match || !m->context)
        return ql_fail_memory(err, 4096);
    // A tokenizer's pattern looks at each character a few times at most.
    size_t limit = 10000000 + 8 * len;
    if (limit > m->limit) {
        m->limit = limit;
        pcre2_set_match_limit(m->context, limit < UINT32_MAX ? (uint32_t)limit : UINT32_MAX);
    }
    return QL_OK;
}

static int match_once(const ql_regex *regex, ql_matcher *m, const char *text, size_t len, size_t from)
{
    int rc = pcre2_match(regex->code, (PCRE2_SPTR)text, len, from, PCRE2_NO_UTF_CHECK, m->match, m->context);
    if (rc != PCRE2_ERROR_JIT_STACKLIMIT || m->stack)
        return rc;
    // 32 kB of the machine's stack did not do.
    m->stack = pcre2_jit_stack_create(64 << 10, 64 << 20, NULL);
    if (!m->stack)
        return rc;
    pcre2_jit_stack_assign(m->context, NULL, m->stack);
    return pcre2_match(regex->code, (PCRE2_SPTR)text, len, from, PCRE2_NO_UTF_CHECK, m->match, m->context);
}

static ql_code fail_match(const ql_regex *regex, int rc, size_t at, ql_error *err)
{
    PCRE2_UCHAR text[128];
    if (rc == PCRE2_ERROR_MATCHLIMIT || rc == PCRE2_ERROR_JIT_STACKLIMIT || rc == PCRE2_ERROR_DEPTHLIMIT ||
        rc == PCRE2_ERROR_HEAPLIMIT)
        return ql_fail(err, QL_E_UNSUPPORTED, "the pattern \"%s\" passes its match limit at byte %zu of the text",
                       regex->source, at);
    pcre2_get_error_message(rc, text, sizeof text);
    return ql_fail(err, rc == PCRE2_ERROR_NOMEMORY ? QL_E_MEMORY : QL_E_UNSUPPORTED, "the pattern \"%s\": %s",
                   regex->source, (const char *)text);
}

void ql_regex_begin(ql_matcher *m)
{
    m->at = m->last_end = 0;
    m->had_match = false;
}

ql_code ql_regex_next(const ql_regex *regex, ql_matcher *m, const char *text, size_t len, size_t *begin, size_t *end,
                      bool *found, ql_error *err)
{
    QL_TRY(prepare(m, len, err));
    while (m->at <= len) {
        int rc = match_once(regex, m, text, len, m->at);
        *found = rc >= 0;
        if (rc == PCRE2_ERROR_NOMATCH)
            return QL_OK;
        if (rc < 0)
            return fail_match(regex, rc, m->at, err);
        const PCRE2_SIZE *span = pcre2_get_ovector_pointer(m->match);
        *begin = span[0];
        *end = span[1];
        if (*begin == *end && m->had_match && m->last_end == *end) { // one character on
            do
                m->at++;
            while (m->at < len && ((uint8_t)text[m->at] & 0xc0) == 0x80);
            continue;
        }
        m->at = m->last_end = *end;
        m->had_match = true;
        return QL_OK;
    }
    *found = false;
    return QL_OK;
}
