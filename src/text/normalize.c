// SPDX-License-Identifier: MIT
// Owns the normalizing steps. Must not know tokens. Its decision: each step reads one buffer and writes another, with
// the origin of each byte beside it when that is asked for; a step that would change nothing (most do not change ASCII)
// copies nothing.
#include "text/normalize.h"

#include <stdlib.h>
#include <string.h>
#include <unicase.h>
#include <unictype.h>
#include <unigbrk.h>
#include <uninorm.h>

#include "base/utf8.h"

ql_norm_step *ql_normalizer_add(ql_normalizer *normalizer, ql_norm_kind kind)
{
    if (normalizer->n == QL_NORM_MAX)
        return NULL;
    ql_norm_step *step = &normalizer->steps[normalizer->n++];
    *step = (ql_norm_step){.kind = kind};
    return step;
}

ql_code ql_norm_set(char **text, size_t *len, const char *from, size_t n, ql_error *err)
{
    if (!(*text = malloc(n + 1)))
        return ql_fail_memory(err, n + 1);
    if (n)
        memcpy(*text, from, n);
    (*text)[n] = 0;
    *len = n;
    return QL_OK;
}

void ql_normalizer_free(ql_normalizer *normalizer)
{
    for (size_t i = 0; i < normalizer->n; i++) {
        ql_norm_step *step = &normalizer->steps[i];
        free(step->a);
        free(step->b);
        ql_regex_free(step->regex);
        ql_charsmap_free(step->map);
    }
    normalizer->n = 0;
}

void ql_norm_memory_free(ql_norm_memory *memory)
{
    for (int i = 0; i < 2; i++) {
        ql_buf_free(&memory->text[i]);
        ql_buf_free(&memory->from[i]);
    }
    ql_matcher_free(&memory->matcher);
}

// ---- characters ----

// GPT-2's byte alphabet: a byte that prints as Latin-1 is that character, the others are U+0100 and up in order.
static uint32_t byte_to_char(uint8_t byte)
{
    if (byte < 0x21)
        return 0x100u + byte;
    if (byte < 0x7f)
        return byte;
    if (byte < 0xa1)
        return 0x121u + (byte - 0x7fu);
    return byte == 0xad ? 0x143u : byte;
}

int ql_char_byte(uint32_t cp)
{
    if (cp >= 0x100 && cp <= 0x120)
        return (int)cp - 0x100;
    if (cp >= 0x121 && cp <= 0x142)
        return (int)cp - 0x121 + 0x7f;
    if (cp == 0x143)
        return 0xad;
    return (cp >= 0x21 && cp < 0x7f) || (cp >= 0xa1 && cp <= 0xff && cp != 0xad) ? (int)cp : -1;
}

size_t ql_byte_char(uint8_t byte, char out[2])
{
    char utf8[4];
    int n = ql_utf8_encode(byte_to_char(byte), utf8);
    memcpy(out, utf8, (size_t)n);
    return (size_t)n;
}

bool ql_is_white_space(uint32_t cp)
{
    if (cp < 0x80)
        return cp == ' ' || (cp >= '\t' && cp <= '\r');
    return uc_is_property(cp, UC_PROPERTY_WHITE_SPACE);
}

bool ql_is_word(uint32_t cp)
{
    if (cp < 0x80)
        return (cp >= '0' && cp <= '9') || (cp >= 'a' && cp <= 'z') || (cp >= 'A' && cp <= 'Z') || cp == '_';
    return uc_is_property(cp, UC_PROPERTY_ALPHABETIC) || uc_is_property(cp, UC_PROPERTY_JOIN_CONTROL) ||
           uc_is_general_category_withtable(cp, UC_CATEGORY_MASK_M | UC_CATEGORY_MASK_Nd | UC_CATEGORY_MASK_Pc);
}

static bool is_ascii(const char *text, size_t len)
{
    uint8_t all = 0;
    for (size_t i = 0; i < len; i++)
        all |= (uint8_t)text[i];
    return all < 0x80;
}

static uint32_t char_at(const char *text, size_t len, size_t *n)
{
    uint32_t cp = (uint8_t)text[0];
    *n = 1;
    if (cp >= 0x80) {
        int used = ql_utf8_decode(text, len, &cp);
        *n = used > 0 ? (size_t)used : 1;
    }
    return cp;
}

// ---- writing ----

typedef struct writer {
    const ql_span *in;
    ql_buf *text, *from; // from NULL: not asked for
} writer;

// n bytes that come from in[at, at + source): theirs is the origin, a message's if any of them is.
static void put(writer *w, const char *bytes, size_t n, size_t at, size_t source)
{
    ql_buf_append(w->text, bytes, n);
    if (!w->from)
        return;
    uint8_t origin = 0;
    for (size_t i = at; i < at + source; i++)
        origin |= w->in->from[i];
    char *out = ql_buf_reserve(w->from, n);
    if (out) {
        memset(out, origin, n);
        w->from->len += n;
    }
}

// Bytes as they are.
static void keep(writer *w, size_t at, size_t n)
{
    ql_buf_append(w->text, w->in->text + at, n);
    if (w->from)
        ql_buf_append(w->from, w->in->from + at, n);
}

static void put_char(writer *w, uint32_t cp, size_t at, size_t source)
{
    char utf8[4];
    put(w, utf8, (size_t)ql_utf8_encode(cp, utf8), at, source);
}

// ---- normal forms ----

static uninorm_t form_of(ql_norm_kind kind)
{
    return kind == QL_NORM_NFC ? UNINORM_NFC : kind == QL_NORM_NFD ? UNINORM_NFD : kind == QL_NORM_NFKC ? UNINORM_NFKC :
           UNINORM_NFKD;
}

// Nothing before such a character combines with it.
static bool begins_anew(uint32_t cp)
{
    return uc_combining_class(cp) == 0 && !uc_is_general_category_withtable(cp, UC_CATEGORY_MASK_M) &&
           !(cp >= 0x1160 && cp <= 0x11ff);
}

// The end of the longest part from at on that has one origin and can be normalized by itself.
static size_t part_end(const ql_span *in, size_t at)
{
    size_t end = at, boundary = at, n;
    while (end < in->len) {
        uint32_t cp = char_at(in->text + end, in->len - end, &n);
        if (end > at && begins_anew(cp))
            boundary = end;
        if (boundary > at && in->from[end] != in->from[at])
            return boundary;
        end += n;
    }
    return in->len;
}

static ql_code normal_form(const ql_norm_step *step, writer *w, ql_error *err)
{
    const ql_span *in = w->in;
    uninorm_t form = form_of(step->kind);
    for (size_t at = 0; at < in->len;) {
        size_t end = w->from ? part_end(in, at) : in->len, n = 0;
        uint8_t *normal = u8_normalize(form, (const uint8_t *)in->text + at, end - at, NULL, &n);
        if (!normal)
            return ql_fail_memory(err, end - at);
        put(w, (const char *)normal, n, at, end - at);
        free(normal);
        at = end;
    }
    return QL_OK;
}

// ---- character by character ----

static void lower(writer *w, uint32_t cp, size_t at, size_t n)
{
    if (cp == 0x130) // the only one whose lower case has two characters
        put(w, "i\xcc\x87", 3, at, n);
    else
        put_char(w, cp < 0x80 ? (cp >= 'A' && cp <= 'Z' ? cp + 32 : cp) : uc_tolower(cp), at, n);
}

static void clean(writer *w, uint32_t cp, size_t at, size_t n)
{
    bool space = cp == '\t' || cp == '\n' || cp == '\r' || ql_is_white_space(cp);
    if (cp == 0 || cp == 0xfffd || (cp != '\t' && cp != '\n' && cp != '\r' &&
                                    uc_is_general_category_withtable(cp, UC_CATEGORY_MASK_Cc | UC_CATEGORY_MASK_Cf |
                                                                         UC_CATEGORY_MASK_Co)))
        return;
    put_char(w, space ? ' ' : cp, at, n);
}

static bool is_cjk(uint32_t cp)
{
    return (cp >= 0x4e00 && cp <= 0x9fff) || (cp >= 0x3400 && cp <= 0x4dbf) || (cp >= 0x20000 && cp <= 0x2a6df) ||
           (cp >= 0x2a700 && cp <= 0x2b73f) || (cp >= 0x2b740 && cp <= 0x2b81f) || (cp >= 0x2b920 && cp <= 0x2ceaf) ||
           (cp >= 0xf900 && cp <= 0xfaff) || (cp >= 0x2f800 && cp <= 0x2fa1f);
}

static void nmt(writer *w, uint32_t cp, size_t at, size_t n)
{
    if ((cp >= 1 && cp <= 8) || cp == 0xb || (cp >= 0xe && cp <= 0x1f) || cp == 0x7f || cp == 0x8f || cp == 0x9f)
        return;
    bool space = cp == 9 || cp == 0xa || cp == 0xc || cp == 0xd || cp == 0x1680 || (cp >= 0x200b && cp <= 0x200f) ||
                 cp == 0x2028 || cp == 0x2029 || cp == 0x2581 || cp == 0xfeff || cp == 0xfffd;
    put_char(w, space ? ' ' : cp, at, n);
}

static void one_char(const ql_norm_step *step, writer *w, uint32_t cp, size_t at, size_t n)
{
    switch (step->kind) {
    case QL_NORM_LOWER:
        lower(w, cp, at, n);
        break;
    case QL_NORM_CLEAN:
        clean(w, cp, at, n);
        break;
    case QL_NORM_NMT:
        nmt(w, cp, at, n);
        break;
    case QL_NORM_SPACE_CJK:
        if (is_cjk(cp))
            put(w, " ", 1, at, n);
        keep(w, at, n);
        if (is_cjk(cp))
            put(w, " ", 1, at, n);
        break;
    default: // marks go
        if (cp < 0x80 || !uc_is_general_category_withtable(
                             cp, step->kind == QL_NORM_STRIP_ACCENTS ? UC_CATEGORY_MASK_M : UC_CATEGORY_MASK_Mn))
            keep(w, at, n);
    }
}

static void each_char(const ql_norm_step *step, writer *w)
{
    size_t n;
    for (size_t at = 0; at < w->in->len; at += n) {
        uint32_t cp = char_at(w->in->text + at, w->in->len - at, &n);
        one_char(step, w, cp, at, n);
    }
}

static void each_byte(writer *w)
{
    char out[2];
    for (size_t at = 0; at < w->in->len; at++)
        put(w, out, ql_byte_char((uint8_t)w->in->text[at], out), at, 1);
}

// ---- SentencePiece's rules ----

static bool put_rule(writer *w, const ql_charsmap *map, size_t at, size_t n)
{
    size_t len;
    const char *text = ql_charsmap_find(map, w->in->text + at, n, &len);
    if (text)
        put(w, text, len, at, n);
    return text;
}

static size_t grapheme_end(const ql_span *in, size_t at)
{
    const uint8_t *text = (const uint8_t *)in->text;
    if (at + 1 < in->len && text[at] < 0x80 && text[at + 1] < 0x80 && text[at] != '\r')
        return at + 1;
    const uint8_t *end = u8_grapheme_next(text + at, text + in->len);
    return end ? (size_t)(end - text) : in->len;
}

static void charsmap(const ql_norm_step *step, writer *w)
{
    const ql_span *in = w->in;
    for (size_t at = 0; at < in->len;) {
        size_t end = grapheme_end(in, at), n;
        if (end - at < 6 && put_rule(w, step->map, at, end - at)) {
            at = end;
            continue;
        }
        for (; at < end; at += n) {
            char_at(in->text + at, in->len - at, &n);
            if (!put_rule(w, step->map, at, n))
                keep(w, at, n);
        }
    }
}

// ---- the rest ----

static void strip(const ql_norm_step *step, writer *w)
{
    const ql_span *in = w->in;
    size_t begin = 0, end = in->len, n;
    while (step->left && begin < end && ql_is_white_space(char_at(in->text + begin, end - begin, &n)))
        begin += n;
    while (step->right && end > begin) {
        size_t at = end - 1;
        while (at > begin && ((uint8_t)in->text[at] & 0xc0) == 0x80)
            at--;
        if (!ql_is_white_space(char_at(in->text + at, end - at, &n)))
            break;
        end = at;
    }
    keep(w, begin, end - begin);
}

static void replace_literal(const ql_norm_step *step, writer *w)
{
    const ql_span *in = w->in;
    size_t from = 0;
    for (const char *hit; step->a_len && (hit = memmem(in->text + from, in->len - from, step->a, step->a_len));) {
        size_t at = (size_t)(hit - in->text);
        keep(w, from, at - from);
        put(w, step->b, step->b_len, at, step->a_len);
        from = at + step->a_len;
    }
    keep(w, from, in->len - from);
}

static ql_code replace_regex(const ql_norm_step *step, writer *w, ql_matcher *matcher, ql_error *err)
{
    size_t from = 0, begin, end;
    bool found;
    ql_regex_begin(matcher);
    for (;;) {
        QL_TRY(ql_regex_next(step->regex, matcher, w->in->text, w->in->len, &begin, &end, &found, err));
        if (!found)
            break;
        keep(w, from, begin - from);
        put(w, step->b, step->b_len, begin, end - begin);
        from = end;
    }
    keep(w, from, w->in->len - from);
    return QL_OK;
}

static ql_code run_step(const ql_norm_step *step, writer *w, ql_matcher *matcher, ql_error *err)
{
    switch (step->kind) {
    case QL_NORM_NFC: case QL_NORM_NFD: case QL_NORM_NFKC: case QL_NORM_NFKD:
        return normal_form(step, w, err);
    case QL_NORM_STRIP:
        strip(step, w);
        break;
    case QL_NORM_REPLACE:
        if (step->regex)
            return replace_regex(step, w, matcher, err);
        replace_literal(step, w);
        break;
    case QL_NORM_PREPEND:
        put(w, step->a, step->a_len, 0, 0);
        keep(w, 0, w->in->len);
        break;
    case QL_NORM_CHARSMAP:
        charsmap(step, w);
        break;
    case QL_NORM_BYTES:
        each_byte(w);
        break;
    default:
        each_char(step, w);
    }
    return QL_OK;
}

static bool changes_nothing(const ql_norm_step *step, const ql_span *span)
{
    switch (step->kind) {
    case QL_NORM_NFC: case QL_NORM_NFD: case QL_NORM_NFKC: case QL_NORM_NFKD:
    case QL_NORM_STRIP_ACCENTS: case QL_NORM_STRIP_NONSPACING: case QL_NORM_SPACE_CJK:
        return is_ascii(span->text, span->len);
    case QL_NORM_PREPEND:
        return span->continues;
    case QL_NORM_REPLACE:
        return !step->regex && !memmem(span->text, span->len, step->a, step->a_len);
    default:
        return false;
    }
}

// Whether the first character still stands for the first of the text: not when that one was removed.
// Where that can not be told for want of memory, after fails.
static bool keeps_start(const ql_norm_step *step, const ql_span *before, ql_buf *after)
{
    size_t n;
    uint32_t first = char_at(before->text, before->len, &n);
    switch (step->kind) {
    case QL_NORM_STRIP:
        return !step->left || !ql_is_white_space(first);
    case QL_NORM_REPLACE:
        return after->len > 0 && (step->b_len > 0 || after->data[0] == before->text[0]);
    case QL_NORM_CLEAN: case QL_NORM_NMT: case QL_NORM_STRIP_ACCENTS: case QL_NORM_STRIP_NONSPACING: {
        writer w = {.in = before, .text = &(ql_buf){0}};
        one_char(step, &w, first, 0, n);
        bool kept = w.text->len > 0;
        after->failed = after->failed || w.text->failed;
        ql_buf_free(w.text);
        return kept;
    }
    default:
        return true;
    }
}

ql_code ql_normalize(const ql_normalizer *normalizer, ql_norm_memory *memory, ql_span *span, ql_error *err)
{
    for (size_t i = 0, side = 0; i < normalizer->n && span->len > 0; i++) {
        const ql_norm_step *step = &normalizer->steps[i];
        if (changes_nothing(step, span))
            continue;
        ql_buf *text = &memory->text[side], *from = &memory->from[side];
        ql_buf_clear(text);
        ql_buf_clear(from);
        writer w = {.in = span, .text = text, .from = span->from ? from : NULL};
        QL_TRY(run_step(step, &w, &memory->matcher, err));
        bool at_start = span->at_start && !text->failed && keeps_start(step, span, text);
        if (text->failed || from->failed)
            return ql_fail_memory(err, span->len);
        *span = (ql_span){.text = text->data ? text->data : "", .len = text->len,
                          .from = span->from ? (const uint8_t *)(from->data ? from->data : "") : NULL,
                          .at_start = at_start, .continues = span->continues};
        side = !side;
    }
    return QL_OK;
}
