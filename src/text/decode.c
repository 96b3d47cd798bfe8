// SPDX-License-Identifier: MIT
// Owns the decoders. Must not know ids. Its decision: a step passes on what no later token can change and keeps the
// rest; what follows a Fuse (or the bytes, which become one text as well) sees one token that arrives in parts, and
// keeps all of it where parts do not do.
#include "text/decode.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

ql_dec_step *ql_decoder_add(ql_decoder *decoder, ql_dec_kind kind)
{
    if (decoder->n == QL_DEC_MAX)
        return NULL;
    ql_dec_step *step = &decoder->steps[decoder->n++];
    *step = (ql_dec_step){.kind = kind};
    return step;
}

void ql_decoder_free(ql_decoder *decoder)
{
    for (size_t i = 0; i < decoder->n; i++) {
        free(decoder->steps[i].text);
        free(decoder->steps[i].more);
        ql_regex_free(decoder->steps[i].regex);
    }
    decoder->n = 0;
}

typedef struct step_state {
    bool fused;    // its input is one token in parts
    bool any;      // a token came
    size_t cut;    // STRIP: taken away at the beginning
    bool begun;    // STRIP: something else came
    bool waits;    // BPE: a token is in held
    size_t primed; // bytes: so many in held have been shown as U+FFFD, but more may make a character of them
    ql_buf held, work;
} step_state;

struct ql_decoding {
    const ql_decoder *decoder;
    step_state state[QL_DEC_MAX];
    ql_matcher matcher;
    ql_buf *out, shown;
    ql_error *err;
    bool verbatim;
    ql_buf before; // what has been shown, when all comes at the end
};

ql_code ql_decoding_new(const ql_decoder *decoder, ql_decoding **out, ql_error *err)
{
    ql_decoding *d = calloc(1, sizeof *d);
    if (!d)
        return ql_fail_memory(err, sizeof *d);
    d->decoder = decoder;
    bool fused = false;
    for (size_t i = 0; i < decoder->n; i++) {
        d->state[i].fused = fused;
        fused = fused || decoder->steps[i].kind == QL_DEC_FUSE || decoder->steps[i].kind == QL_DEC_BYTES;
    }
    *out = d;
    return QL_OK;
}

void ql_decoding_free(ql_decoding *d)
{
    if (!d)
        return;
    for (size_t i = 0; i < QL_DEC_MAX; i++) {
        ql_buf_free(&d->state[i].held);
        ql_buf_free(&d->state[i].work);
    }
    ql_buf_free(&d->shown);
    ql_buf_free(&d->before);
    ql_matcher_free(&d->matcher);
    free(d);
}

static ql_code push(ql_decoding *d, size_t i, const char *s, size_t n);

static bool equal(const char *a, size_t n, const char *b, size_t m) { return n == m && memcmp(a, b, n) == 0; }

// out becomes s with from replaced by to.
static void replace(ql_buf *out, const char *s, size_t n, const char *from, size_t from_len, const char *to, size_t to_len)
{
    ql_buf_clear(out);
    for (const char *hit; from_len && (hit = memmem(s, n, from, from_len));) {
        ql_buf_append(out, s, (size_t)(hit - s));
        ql_buf_append(out, to, to_len);
        n -= (size_t)(hit - s) + from_len;
        s = hit + from_len;
    }
    ql_buf_append(out, s, n);
}

static ql_code pass(ql_decoding *d, size_t i, const ql_buf *work)
{
    if (work->failed)
        return ql_fail_memory(d->err, work->cap);
    return push(d, i + 1, work->data ? work->data : "", work->len);
}

// ---- bytes ----

// Text that has been shown already goes to the steps behind, not out.
static ql_code push_shown(ql_decoding *d, size_t i, const char *s, size_t n)
{
    ql_buf *out = d->out;
    ql_buf_clear(&d->shown);
    d->out = &d->shown;
    ql_code code = push(d, i + 1, s, n);
    d->out = out;
    return code;
}

// Gives whole characters; a U+FFFD for each part that can not become one.
static ql_code give_valid(ql_decoding *d, size_t i, bool last)
{
    step_state *state = &d->state[i];
    size_t at = 0;
    ql_buf_clear(&state->work);
    while (at < state->held.len) {
        uint32_t cp;
        const char *s = state->held.data + at;
        int n = (uint8_t)*s < 0x80 ? 1 : ql_utf8_decode_partial(s, state->held.len - at, &cp);
        if (n == 0 && !last)
            break;
        if (n == 0)
            n = -(int)(state->held.len - at);
        if (n > 0)
            ql_buf_append(&state->work, s, (size_t)n);
        else if (!state->primed)
            ql_buf_append(&state->work, "\xef\xbf\xbd", 3);
        else
            QL_TRY(push_shown(d, i, "\xef\xbf\xbd", 3)); // it is what held begins with
        state->primed = 0;
        at += (size_t)(n > 0 ? n : -n);
    }
    ql_buf_consume(&state->held, at);
    return state->work.len || state->work.failed ? pass(d, i, &state->work) : QL_OK;
}

// A token with any other character stands for itself.
static ql_code bytes(ql_decoding *d, size_t i, const char *s, size_t n)
{
    ql_buf *held = &d->state[i].held;
    size_t before = held->len;
    char *out = ql_buf_reserve(held, n);
    for (size_t at = 0; out && at < n;) {
        uint32_t cp = (uint8_t)s[at];
        int used = cp < 0x80 ? 1 : ql_utf8_decode(s + at, n - at, &cp);
        int byte = used > 0 && !d->verbatim ? ql_char_byte(cp) : -1;
        if (byte < 0) {
            held->len = before;
            ql_buf_append(held, s, n);
            break;
        }
        held->data[held->len++] = (char)byte;
        at += (size_t)used;
    }
    return held->failed ? ql_fail_memory(d->err, n) : give_valid(d, i, false);
}

// ---- bytes as tokens ----

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int byte_of(const char *s, size_t n)
{
    if (n != 6 || memcmp(s, "<0x", 3) != 0 || s[5] != '>')
        return -1;
    int low = hex_digit(s[4]), high = s[3] == '+' ? 0 : hex_digit(s[3]); // "+f" is a number to Rust
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

static bool is_valid(const ql_buf *b)
{
    uint32_t cp;
    for (size_t at = 0; at < b->len;) {
        int n = ql_utf8_decode(b->data + at, b->len - at, &cp);
        if (n < 0)
            return false;
        at += (size_t)n;
    }
    return true;
}

// A run of bytes is text as a whole, or none of it is.
static ql_code flush_bytes(ql_decoding *d, size_t i)
{
    ql_buf *held = &d->state[i].held;
    if (!held->len)
        return QL_OK;
    ql_code code = QL_OK;
    if (is_valid(held)) {
        code = pass(d, i, held);
    } else {
        for (size_t k = 0; code == QL_OK && k < held->len; k++)
            code = k < d->state[i].primed ? push_shown(d, i, "\xef\xbf\xbd", 3) : push(d, i + 1, "\xef\xbf\xbd", 3);
    }
    ql_buf_clear(held);
    d->state[i].primed = 0;
    return code;
}

static ql_code byte_fallback(ql_decoding *d, size_t i, const char *s, size_t n)
{
    ql_buf *held = &d->state[i].held;
    int byte = byte_of(s, n);
    if (byte >= 0) {
        ql_buf_append_byte(held, (char)byte);
        return held->failed ? ql_fail_memory(d->err, held->cap) : QL_OK;
    }
    QL_TRY(flush_bytes(d, i));
    return push(d, i + 1, s, n);
}

// ---- words ----

// English as it is written, of tokens that were cut at its punctuation. other is memory.
static void clean_up(ql_buf *text, ql_buf *other)
{
    static const char *const pairs[][2] = {
        {" .", "."}, {" ?", "?"}, {" !", "!"}, {" ,", ","}, {" ' ", "'"}, {" n't", "n't"}, {" 'm", "'m"},
        {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
    for (size_t k = 0; k < sizeof pairs / sizeof *pairs; k++) {
        replace(other, text->data ? text->data : "", text->len, pairs[k][0], strlen(pairs[k][0]), pairs[k][1],
                strlen(pairs[k][1]));
        ql_buf swap = *text;
        *text = *other;
        *other = swap;
    }
    text->failed = text->failed || other->failed; // a step in between that did not have all of it
}

static ql_code wordpiece(ql_decoding *d, size_t i, const ql_dec_step *step, const char *s, size_t n)
{
    step_state *state = &d->state[i];
    ql_buf_clear(&state->work);
    if (state->any && n >= step->text_len && memcmp(s, step->text, step->text_len) == 0) {
        s += step->text_len;
        n -= step->text_len;
    } else if (state->any) {
        ql_buf_append_byte(&state->work, ' ');
    }
    ql_buf_append(&state->work, s, n);
    if (step->cleanup)
        clean_up(&state->work, &state->held);
    return pass(d, i, &state->work);
}

static ql_code ctc(ql_decoding *d, size_t i, const ql_dec_step *step, const char *s, size_t n)
{
    step_state *state = &d->state[i];
    if (state->any && equal(s, n, state->held.data ? state->held.data : "", state->held.len))
        return QL_OK;
    ql_buf_clear(&state->held);
    ql_buf_append(&state->held, s, n);
    if (state->held.failed)
        return ql_fail_memory(d->err, n);
    replace(&state->work, s, n, step->text, step->text_len, "", 0);
    if (step->cleanup) {
        ql_buf other = {0};
        clean_up(&state->work, &other);
        replace(&other, state->work.data ? state->work.data : "", state->work.len, step->more, step->more_len, " ", 1);
        other.failed = other.failed || state->work.failed;
        ql_buf_free(&state->work);
        state->work = other;
    }
    return state->work.len || state->work.failed ? pass(d, i, &state->work) : QL_OK;
}

static ql_code give_held_word(ql_decoding *d, size_t i, const ql_dec_step *step, bool last)
{
    step_state *state = &d->state[i];
    replace(&state->work, state->held.data ? state->held.data : "", state->held.len, step->text, step->text_len, " ",
            last ? 0 : 1);
    return pass(d, i, &state->work);
}

static ql_code bpe_word(ql_decoding *d, size_t i, const ql_dec_step *step, const char *s, size_t n)
{
    step_state *state = &d->state[i];
    if (state->waits)
        QL_TRY(give_held_word(d, i, step, false));
    ql_buf_clear(&state->held);
    ql_buf_append(&state->held, s, n);
    state->waits = true;
    return state->held.failed ? ql_fail_memory(d->err, n) : QL_OK;
}

// ---- stripping ----

static ql_code strip_token(ql_decoding *d, size_t i, const ql_dec_step *step, const char *s, size_t n)
{
    size_t begin = 0, end = n, c = step->text_len;
    for (size_t k = 0; k < step->start && end - begin >= c && memcmp(s + begin, step->text, c) == 0; k++)
        begin += c;
    for (size_t k = 0; k < step->stop && end - begin >= c && memcmp(s + end - c, step->text, c) == 0; k++)
        end -= c;
    return push(d, i + 1, s + begin, end - begin);
}

// What may be the end of the one token waits.
static ql_code strip_part(ql_decoding *d, size_t i, const ql_dec_step *step, const char *s, size_t n)
{
    step_state *state = &d->state[i];
    size_t c = step->text_len, tail = 0;
    while (!state->begun && state->cut < step->start && n >= c && memcmp(s, step->text, c) == 0) {
        s += c;
        n -= c;
        state->cut++;
    }
    if (n == 0)
        return QL_OK;
    state->begun = true;
    ql_buf_append(&state->held, s, n);
    if (state->held.failed)
        return ql_fail_memory(d->err, n);
    while (tail < step->stop && state->held.len >= (tail + 1) * c &&
           memcmp(state->held.data + state->held.len - (tail + 1) * c, step->text, c) == 0)
        tail++;
    size_t given = state->held.len - tail * c;
    QL_TRY(push(d, i + 1, state->held.data, given));
    ql_buf_consume(&state->held, given);
    return QL_OK;
}

// ---- replacing ----

static ql_code replace_regex(ql_decoding *d, size_t i, const ql_dec_step *step, const char *s, size_t n)
{
    ql_buf *work = &d->state[i].work;
    size_t from = 0, begin, end;
    bool found;
    ql_buf_clear(work);
    ql_regex_begin(&d->matcher);
    for (;;) {
        QL_TRY(ql_regex_next(step->regex, &d->matcher, s, n, &begin, &end, &found, d->err));
        if (!found)
            break;
        ql_buf_append(work, s + from, begin - from);
        ql_buf_append(work, step->more, step->more_len);
        from = end;
    }
    ql_buf_append(work, s + from, n - from);
    return pass(d, i, work);
}

static ql_code replace_all(ql_decoding *d, size_t i, const ql_dec_step *step, const char *s, size_t n)
{
    if (step->regex)
        return replace_regex(d, i, step, s, n);
    replace(&d->state[i].work, s, n, step->text, step->text_len, step->more, step->more_len);
    return pass(d, i, &d->state[i].work);
}

static ql_code metaspace(ql_decoding *d, size_t i, const ql_dec_step *step, const char *s, size_t n)
{
    bool first = d->state[i].fused || !d->state[i].any;
    replace(&d->state[i].work, s, n, step->text, step->text_len, " ", first && step->drop ? 0 : 1);
    return pass(d, i, &d->state[i].work);
}

// ---- the chain ----

// A step whose one token must be there in whole.
static bool keeps_all(const ql_decoding *d, size_t i)
{
    const ql_dec_step *step = &d->decoder->steps[i];
    if (!d->state[i].fused)
        return false;
    if (step->kind == QL_DEC_REPLACE) {
        uint32_t cp;
        return step->regex || ql_utf8_decode(step->text, step->text_len, &cp) != (int)step->text_len;
    }
    return step->kind == QL_DEC_WORDPIECE || step->kind == QL_DEC_BPE || step->kind == QL_DEC_CTC ||
           step->kind == QL_DEC_BYTE_FALLBACK;
}

static ql_code token(ql_decoding *d, size_t i, const char *s, size_t n)
{
    const ql_dec_step *step = &d->decoder->steps[i];
    switch (step->kind) {
    case QL_DEC_BYTES:
        return bytes(d, i, s, n);
    case QL_DEC_WORDPIECE:
        return wordpiece(d, i, step, s, n);
    case QL_DEC_METASPACE:
        return metaspace(d, i, step, s, n);
    case QL_DEC_BPE:
        return bpe_word(d, i, step, s, n);
    case QL_DEC_CTC:
        return ctc(d, i, step, s, n);
    case QL_DEC_FUSE:
        return push(d, i + 1, s, n);
    case QL_DEC_STRIP:
        return d->state[i].fused ? strip_part(d, i, step, s, n) : strip_token(d, i, step, s, n);
    case QL_DEC_REPLACE:
        return replace_all(d, i, step, s, n);
    case QL_DEC_BYTE_FALLBACK:
        return byte_fallback(d, i, s, n);
    case QL_DEC_SPACES:
        if (d->state[i].any)
            QL_TRY(push(d, i + 1, " ", 1));
        return push(d, i + 1, s, n);
    }
    return QL_OK;
}

static void append_valid(ql_buf *out, const char *s, size_t n)
{
    size_t from = 0;
    for (size_t i = 0; i < n;) {
        uint32_t cp;
        int used = (uint8_t)s[i] < 0x80 ? 1 : ql_utf8_decode(s + i, n - i, &cp);
        if (used > 0) {
            i += (size_t)used;
            continue;
        }
        ql_buf_append(out, s + from, i - from);
        ql_buf_append(out, "\xef\xbf\xbd", 3);
        i += (size_t)-used;
        from = i;
    }
    ql_buf_append(out, s + from, n - from);
}

static ql_code push(ql_decoding *d, size_t i, const char *s, size_t n)
{
    if (i == d->decoder->n) {
        append_valid(d->out, s, n);
        return d->out->failed ? ql_fail_memory(d->err, n) : QL_OK;
    }
    step_state *state = &d->state[i];
    if (keeps_all(d, i)) {
        ql_buf_append(&state->held, s, n);
        return state->held.failed ? ql_fail_memory(d->err, n) : QL_OK;
    }
    ql_code code = token(d, i, s, n);
    state->any = true;
    return code;
}

static ql_code finish(ql_decoding *d, size_t i)
{
    step_state *state = &d->state[i];
    const ql_dec_step *step = &d->decoder->steps[i];
    if (keeps_all(d, i)) {
        ql_buf whole = state->held;
        state->held = (ql_buf){0};
        ql_code code = token(d, i, whole.data ? whole.data : "", whole.len);
        ql_buf_free(&whole);
        QL_TRY(code);
    }
    switch (step->kind) {
    case QL_DEC_BYTES:
        return give_valid(d, i, true);
    case QL_DEC_BYTE_FALLBACK:
        return flush_bytes(d, i);
    case QL_DEC_BPE:
        return state->waits ? give_held_word(d, i, step, true) : QL_OK;
    default:
        return QL_OK; // what STRIP still holds is the end that goes
    }
}

ql_code ql_decoding_push(ql_decoding *d, const char *s, size_t n, bool verbatim, ql_buf *out, ql_error *err)
{
    d->out = out;
    d->err = err;
    d->verbatim = verbatim;
    return push(d, 0, s, n);
}

// How much of a text has been shown. What follows may change the end of what was shown (a pattern that matches over it, a
// byte that makes a character): then the text goes on behind what both have, in whole characters.
static size_t shown_before(const ql_decoding *d, const ql_buf *all)
{
    const ql_buf *before = &d->before;
    size_t n = 0;
    while (n < before->len && n < all->len && before->data[n] == all->data[n])
        n++;
    while (n > 0 && n < all->len && ((uint8_t)all->data[n] & 0xc0) == 0x80)
        n--;
    return n;
}

ql_code ql_decoding_finish(ql_decoding *d, ql_buf *out, ql_error *err)
{
    ql_buf all = {0};
    d->out = d->before.len ? &all : out;
    d->err = err;
    ql_code code = QL_OK;
    for (size_t i = 0; code == QL_OK && i < d->decoder->n; i++)
        code = finish(d, i);
    size_t shown = shown_before(d, &all);
    if (code == QL_OK && all.len > shown)
        ql_buf_append(out, all.data + shown, all.len - shown);
    if (code == QL_OK && (all.failed || out->failed))
        code = ql_fail_memory(err, all.cap);
    ql_buf_free(&all);
    return code;
}

ql_code ql_decoding_forget(ql_decoding *d, const char *shown, size_t n, ql_error *err)
{
    for (size_t i = 0; i < d->decoder->n; i++)
        if (keeps_all(d, i)) { // then all comes at the end, with what was shown in front
            ql_buf_append(&d->before, shown, n);
            return d->before.failed ? ql_fail_memory(err, n) : QL_OK;
        }
    for (size_t i = 0; i < d->decoder->n; i++) {
        step_state *state = &d->state[i];
        const ql_dec_step *step = &d->decoder->steps[i];
        if (step->kind == QL_DEC_BYTE_FALLBACK || step->kind == QL_DEC_BYTES) {
            if (step->kind == QL_DEC_BYTE_FALLBACK && state->held.len && is_valid(&state->held)) {
                push_shown(d, i, state->held.data, state->held.len);
                ql_buf_clear(&state->held);
            }
            state->primed = state->held.len;
        } else if (step->kind == QL_DEC_BPE && state->waits) { // its word is shown, not the space behind it
            size_t mark = step->text_len, len = state->held.len;
            bool ends = mark && len >= mark && memcmp(state->held.data + len - mark, step->text, mark) == 0;
            ql_buf_consume(&state->held, ends ? len - mark : len);
        }
    }
    return QL_OK;
}
