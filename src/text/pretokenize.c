// SPDX-License-Identifier: MIT
// Owns the cutting of a text into pieces. Must not know tokens. Its decision: pieces go from step to step one by one,
// depth first, so that no list of them is made. A piece is its own subject: lookahead must not see the next piece.
#include "text/pretokenize.h"

#include <stdlib.h>
#include <string.h>
#include <unictype.h>

#include "base/utf8.h"

ql_pre_step *ql_pretokenizer_add(ql_pretokenizer *pre, ql_pre_kind kind)
{
    if (pre->n == QL_PRE_MAX)
        return NULL;
    ql_pre_step *step = &pre->steps[pre->n++];
    *step = (ql_pre_step){.kind = kind};
    return step;
}

ql_code ql_pretokenizer_add_split(ql_pretokenizer *pre, const char *pattern, size_t len, ql_pre_behavior behavior,
                                  bool invert, ql_error *err)
{
    ql_pre_step *step = ql_pretokenizer_add(pre, QL_PRE_SPLIT);
    if (!step)
        return ql_fail(err, QL_E_UNSUPPORTED, "more than %d steps are not supported", QL_PRE_MAX);
    step->behavior = behavior;
    step->invert = invert;
    return ql_regex_new(pattern, len, &step->regex, err);
}

void ql_pretokenizer_free(ql_pretokenizer *pre)
{
    for (size_t i = 0; i < pre->n; i++) {
        ql_regex_free(pre->steps[i].regex);
        free(pre->steps[i].text);
    }
    pre->n = 0;
}

void ql_pre_memory_free(ql_pre_memory *memory)
{
    for (size_t i = 0; i < QL_PRE_MAX; i++)
        ql_buf_free(&memory->text[i]);
    ql_matcher_free(&memory->matcher);
}

typedef struct cutter {
    const ql_pretokenizer *pre;
    ql_pre_memory *memory;
    ql_piece_fn *take;
    void *user;
    ql_error *err;
    bool continues;
} cutter;

// A piece on its way to a step.
static ql_code cut(const cutter *c, size_t stage, const char *text, size_t len, bool at_start);

// ---- splits ----

// Matches and what lies between them arrive in turn; a part waits here until it is known with what it goes on.
typedef struct splitter {
    const cutter *c;
    const ql_pre_step *step;
    size_t stage;
    const char *text;
    bool at_start;
    bool waits, waits_match; // a part, and whether it is a match
    size_t begin, end;       // of the part
} splitter;

static ql_code give(const splitter *s, size_t begin, size_t end)
{
    return cut(s->c, s->stage + 1, s->text + begin, end - begin, s->at_start && begin == 0);
}

static ql_code flush(splitter *s)
{
    bool waits = s->waits;
    s->waits = false;
    return waits ? give(s, s->begin, s->end) : QL_OK;
}

static ql_code part(splitter *s, size_t begin, size_t end, bool match)
{
    match = match != s->step->invert;
    bool joins = false;
    switch (s->step->behavior) {
    case QL_PRE_REMOVED:
        return match ? QL_OK : give(s, begin, end);
    case QL_PRE_ISOLATED:
        return give(s, begin, end);
    case QL_PRE_CONTIGUOUS:
        joins = s->waits && match == s->waits_match;
        break;
    case QL_PRE_MERGED_WITH_PREVIOUS:
        joins = s->waits && match && !s->waits_match;
        break;
    case QL_PRE_MERGED_WITH_NEXT:
        joins = s->waits && !match && s->waits_match;
    }
    if (joins) {
        s->end = end;
    } else {
        QL_TRY(flush(s));
        s->begin = begin;
        s->end = end;
    }
    s->waits = true;
    s->waits_match = match;
    return QL_OK;
}

static ql_code next_literal(const ql_pre_step *step, const char *text, size_t len, size_t from, size_t *begin,
                            size_t *end, bool *found)
{
    const char *hit = step->text_len ? memmem(text + from, len - from, step->text, step->text_len) : NULL;
    *found = hit;
    if (hit) {
        *begin = (size_t)(hit - text);
        *end = *begin + step->text_len;
    }
    return QL_OK;
}

static ql_code split(const cutter *c, size_t stage, const ql_pre_step *step, const char *text, size_t len, bool at_start)
{
    splitter s = {.c = c, .step = step, .stage = stage, .text = text, .at_start = at_start};
    ql_matcher *m = &c->memory->matcher;
    size_t from = 0, begin = 0, end = 0;
    bool found;
    ql_regex_begin(m);
    for (;;) {
        QL_TRY(step->regex ? ql_regex_next(step->regex, m, text, len, &begin, &end, &found, c->err)
                           : next_literal(step, text, len, from, &begin, &end, &found));
        if (!found)
            break;
        ql_matcher here = *m; // the next steps search, too
        if (begin > from)
            QL_TRY(part(&s, from, begin, false));
        QL_TRY(part(&s, begin, end, true));
        m->at = here.at;
        m->last_end = here.last_end;
        m->had_match = here.had_match;
        from = end;
    }
    if (from < len)
        QL_TRY(part(&s, from, len, false));
    return flush(&s);
}

// ---- the others ----

static ql_code with_buffer(const cutter *c, size_t stage, bool at_start)
{
    const ql_buf *b = &c->memory->text[stage];
    if (b->failed)
        return ql_fail_memory(c->err, b->cap);
    return cut(c, stage + 1, b->data, b->len, at_start);
}

static ql_code add_space(const cutter *c, size_t stage, const char *text, size_t len, bool at_start)
{
    if (text[0] == ' ' || c->continues)
        return cut(c, stage + 1, text, len, at_start);
    ql_buf *b = &c->memory->text[stage];
    ql_buf_clear(b);
    ql_buf_append_byte(b, ' ');
    ql_buf_append(b, text, len);
    return with_buffer(c, stage, at_start);
}

static ql_code to_bytes(const cutter *c, size_t stage, const char *text, size_t len, bool at_start)
{
    ql_buf *b = &c->memory->text[stage];
    ql_buf_clear(b);
    char *out = ql_buf_reserve(b, 2 * len);
    for (size_t i = 0; out && i < len; i++)
        b->len += ql_byte_char((uint8_t)text[i], out + b->len);
    return with_buffer(c, stage, at_start);
}

// A Metaspace that splits is followed by a split of its own, see tokenizer_json_steps.c.
static ql_code metaspace(const cutter *c, size_t stage, const ql_pre_step *step, const char *text, size_t len,
                         bool at_start)
{
    ql_buf *b = &c->memory->text[stage];
    ql_buf_clear(b);
    bool has = text[0] == ' ' || (len >= step->text_len && memcmp(text, step->text, step->text_len) == 0);
    bool first = step->scheme == QL_PRE_ALWAYS || (step->scheme == QL_PRE_FIRST && at_start);
    if (!has && first && !c->continues)
        ql_buf_append(b, step->text, step->text_len);
    for (size_t from = 0; from < len;) {
        const char *space = memchr(text + from, ' ', len - from);
        size_t n = space ? (size_t)(space - text) - from : len - from;
        ql_buf_append(b, text + from, n);
        if (space)
            ql_buf_append(b, step->text, step->text_len);
        from += n + (space != NULL);
    }
    return with_buffer(c, stage, at_start);
}

// Writing systems as SentencePiece sees them: kana and the long vowel mark are Han, a space is none. NULL: none.
static const uc_script_t *script_of(uint32_t cp, const uc_script_t *const kana[2], const uc_script_t *han)
{
    if (cp == 0x30fc)
        return han;
    const uc_script_t *script = cp == ' ' ? NULL : uc_script(cp);
    return script && (script == kana[0] || script == kana[1]) ? han : script;
}

// As in the library, spaces before the first other character belong to no piece.
static ql_code scripts(const cutter *c, size_t stage, const char *text, size_t len, bool at_start)
{
    const uc_script_t *last = NULL, *han = uc_script_byname("Han");
    const uc_script_t *const kana[2] = {uc_script_byname("Hiragana"), uc_script_byname("Katakana")};
    bool any = false;
    size_t from = 0;
    for (size_t at = 0; at < len;) {
        uint32_t cp;
        int n = ql_utf8_decode(text + at, len - at, &cp);
        const uc_script_t *script = script_of(cp, kana, han);
        if (script && (!any || script != last)) {
            if (any)
                QL_TRY(cut(c, stage + 1, text + from, at - from, at_start && from == 0));
            from = at;
            any = true;
        }
        last = script ? script : last;
        at += n > 0 ? (size_t)n : 1;
    }
    return any ? cut(c, stage + 1, text + from, len - from, at_start && from == 0) : QL_OK;
}

static ql_code fixed(const cutter *c, size_t stage, size_t size, const char *text, size_t len, bool at_start)
{
    size_t from = 0, n = 0;
    for (size_t at = 0; at < len;) {
        do
            at++;
        while (at < len && ((uint8_t)text[at] & 0xc0) == 0x80);
        if (++n == size || at == len) {
            QL_TRY(cut(c, stage + 1, text + from, at - from, at_start && from == 0));
            from = at;
            n = 0;
        }
    }
    return QL_OK;
}

// One character is one piece, whatever matches it, unless matches are dropped: most pieces of a text of newlines or digits
// are, and six patterns would look at each.
static bool passes(const ql_pre_step *step, const char *text, size_t len)
{
    uint32_t cp;
    return step->kind == QL_PRE_SPLIT && step->behavior != QL_PRE_REMOVED && len <= 4 &&
           (len == 1 || ql_utf8_decode(text, len, &cp) == (int)len);
}

static ql_code cut(const cutter *c, size_t stage, const char *text, size_t len, bool at_start)
{
    if (len == 0)
        return QL_OK;
    while (stage < c->pre->n && passes(&c->pre->steps[stage], text, len))
        stage++;
    if (stage == c->pre->n)
        return c->take(c->user, text, len, c->err);
    const ql_pre_step *step = &c->pre->steps[stage];
    switch (step->kind) {
    case QL_PRE_SPLIT:
        return split(c, stage, step, text, len, at_start);
    case QL_PRE_SPACE:
        return add_space(c, stage, text, len, at_start);
    case QL_PRE_BYTES:
        return to_bytes(c, stage, text, len, at_start);
    case QL_PRE_METASPACE:
        return metaspace(c, stage, step, text, len, at_start);
    case QL_PRE_SCRIPTS:
        return scripts(c, stage, text, len, at_start);
    case QL_PRE_FIXED:
        return fixed(c, stage, step->n, text, len, at_start);
    }
    return QL_OK;
}

ql_code ql_pretokenize(const ql_pretokenizer *pre, ql_pre_memory *memory, const ql_span *span, ql_piece_fn *take,
                       void *user, ql_error *err)
{
    cutter c = {.pre = pre, .memory = memory, .take = take, .user = user, .err = err, .continues = span->continues};
    return cut(&c, 0, span->text, span->len, span->at_start);
}
