// SPDX-License-Identifier: MIT
// Owns the division of an answer while it arrives. Must not know what marks there are (answer_mark.c) nor how calls are
// written (answer_call.c).
// Its decision: a byte is given to a part only when no later byte can change that, so an answer fed in pieces divides as
// the whole does. White space beside a mark belongs to nobody; what fails to be a call is text, its mark included.
#include "text/answer.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_HEADER = 256 };

struct ql_answer {
    const ql_mark *marks[QL_MAX_MARKS];
    size_t n_marks;
    bool may_begin[256]; // a mark, or the end of reasoning
    json_t *tools;       // NULL: none was offered, calls are text
    ql_buf raw, content, reasoning, calls; // calls: a JSON array
    size_t n_calls;

    size_t at;   // raw[0..at) has been given to a part or left out
    size_t scan; // raw[at..scan) is white space, whose part is not known yet
    const char *reasoning_close; // NULL: the text is content
    bool skip_space; // a mark came before
    bool skip_comma; // and it was a bare call: ; and , may stand between calls
    bool separate;   // what comes next is another section of its part

    const ql_mark *block; // NULL: in text
    size_t block_at, body, seek;
    int depth;   // of {} and [] before seek
    char quote;  // of the string that seek is in, 0: none
    ql_buf recipient;
    bool ended;
};

// What a header addresses to a tool.
static const ql_mark addressed = {QL_MARK_CALL, "", NULL, NULL, 0};

// ---- text ----

static void emit(ql_answer *a, size_t from, size_t to)
{
    ql_buf *part = a->reasoning_close ? &a->reasoning : &a->content;
    if (from == to)
        return;
    if (a->separate && part->len)
        ql_buf_append_str(part, "\n\n");
    a->separate = a->skip_space = false;
    ql_buf_append(part, a->raw.data + from, to - from);
}

static void pass_mark(ql_answer *a, size_t next)
{
    a->at = a->scan = next;
    a->skip_space = true;
    a->skip_comma = false;
}

static void open_block(ql_answer *a, const ql_mark *mark, size_t at, size_t body)
{
    a->block = mark;
    a->block_at = at;
    a->body = a->seek = body;
    a->depth = 0;
    a->quote = 0;
}

typedef struct match {
    const ql_mark *mark; // NULL: none, or the end of reasoning
    size_t len;          // 0: nothing begins here
    bool partial;        // more bytes may make a mark, or a longer one
} match;

static void try_match(const ql_answer *a, const ql_mark *mark, const char *text, match *found)
{
    size_t n = strlen(text), rest = a->raw.len - a->scan;
    if (memcmp(a->raw.data + a->scan, text, n < rest ? n : rest) != 0)
        return;
    if (n > rest) {
        found->partial = true;
    } else if (n > found->len) {
        found->mark = mark;
        found->len = n;
    }
}

static match match_here(const ql_answer *a)
{
    match found = {0};
    if (a->reasoning_close)
        try_match(a, NULL, a->reasoning_close, &found);
    for (size_t i = 0; i < a->n_marks; i++) {
        const ql_mark *mark = a->marks[i];
        if (a->reasoning_close ? mark->kind != QL_MARK_REASONING || a->reasoning.len > 0
                               : (mark->flags & QL_MARK_AT_START) && a->content.len > 0)
            continue;
        try_match(a, mark, mark->open, &found);
    }
    return found;
}

static void enter_mark(ql_answer *a, match found)
{
    size_t next = a->scan + found.len;
    if (!found.mark) {
        a->reasoning_close = NULL;
        pass_mark(a, next);
    } else if (found.mark->kind == QL_MARK_DROP) {
        pass_mark(a, next);
    } else if (found.mark->kind == QL_MARK_REASONING) {
        a->separate = true;
        a->reasoning_close = found.mark->close;
        pass_mark(a, next);
    } else {
        open_block(a, found.mark, a->scan, found.mark->flags & QL_MARK_KEEP ? a->scan : next);
    }
}

// False: all that can be decided has been.
static bool step_text(ql_answer *a)
{
    while (a->scan < a->raw.len) {
        const char *s = a->raw.data;
        if (a->may_begin[(uint8_t)s[a->scan]]) {
            match found = match_here(a);
            if (found.partial && !a->ended)
                return false;
            if (found.len) {
                enter_mark(a, found);
                return true;
            }
        }
        if (ql_is_space(s[a->scan]) || (a->skip_comma && a->skip_space && (s[a->scan] == ';' || s[a->scan] == ','))) {
            a->scan++;
            if (a->skip_space)
                a->at = a->scan;
            continue;
        }
        size_t to = a->scan + 1;
        while (to < a->raw.len && !a->may_begin[(uint8_t)s[to]] && !ql_is_space(s[to]))
            to++;
        emit(a, a->at, to);
        a->at = a->scan = to;
    }
    if (a->ended) {
        emit(a, a->at, a->raw.len);
        a->at = a->raw.len;
    }
    return false;
}

// ---- between two marks ----

// Strings of Python are in single quotes, too; in JSON an apostrophe is a letter.
static bool in_python(const ql_answer *a)
{
    size_t i = a->body;
    while (i < a->raw.len && (ql_is_space(a->raw.data[i]) || a->raw.data[i] == '['))
        i++;
    return i < a->raw.len && a->raw.data[i] != '{' && a->raw.data[i] != '"';
}

// Moves seek over one byte of nested {} and [] with strings in them; true: the outermost bracket has closed.
static bool step_bracket(ql_answer *a, bool python)
{
    char c = a->raw.data[a->seek++];
    if (a->quote) {
        if (c == '\\' && a->seek < a->raw.len)
            a->seek++;
        else if (c == a->quote)
            a->quote = 0;
    } else if (a->depth && (c == '"' || (python && c == '\''))) {
        a->quote = c;
    } else if (c == '{' || c == '[') {
        a->depth++;
    } else if ((c == '}' || c == ']') && a->depth) {
        return --a->depth == 0;
    }
    return false;
}

// True: the first balanced bracket has closed before seek. A [WORD] in capitals is a mark of Mistral's, no bracket.
static bool find_balanced(ql_answer *a)
{
    bool python = in_python(a);
    while (a->seek < a->raw.len) {
        const char *s = a->raw.data + a->seek;
        size_t rest = a->raw.len - a->seek;
        if ((*s == '\\' || (*s == '[' && !a->depth)) && rest < 2 && !a->ended)
            return false; // the next byte says what this one is
        if (*s == '[' && !a->depth && rest > 1 && s[1] >= 'A' && s[1] <= 'Z' && a->seek > a->body) {
            const char *close = memchr(s, ']', rest);
            if (!close)
                return false;
            a->seek += (size_t)(close - s) + 1;
        } else if (step_bracket(a, python)) {
            return true;
        }
    }
    return false;
}

static bool inside_string(const char *json, size_t n)
{
    bool inside = false;
    for (size_t i = 0; i < n; i++) {
        if (inside && json[i] == '\\')
            i++;
        else if (json[i] == '"')
            inside = !inside;
    }
    return inside;
}

// True: the closing mark is at *end, and not in a string of JSON.
static bool find_close(ql_answer *a, size_t *end)
{
    const char *close = a->block->close;
    size_t n = strlen(close), begin = a->body;
    while (begin < a->raw.len && ql_is_space(a->raw.data[begin]))
        begin++;
    bool json = a->block->kind == QL_MARK_CALL && begin < a->raw.len && strchr("{[", a->raw.data[begin]);
    for (;;) {
        const char *found = a->raw.len - a->seek >= n
                                ? memmem(a->raw.data + a->seek, a->raw.len - a->seek, close, n) : NULL;
        if (!found) {
            size_t keep = a->raw.len < n - 1 ? 0 : a->raw.len - (n - 1);
            a->seek = a->seek > keep ? a->seek : keep;
            return false;
        }
        a->seek = (size_t)(found - a->raw.data);
        if (!json || !inside_string(a->raw.data + begin, a->seek - begin)) {
            *end = a->seek;
            return true;
        }
        a->seek++;
    }
}

static ql_string word_after(ql_string text, const char *before)
{
    const char *at = memmem(text.text, text.len, before, strlen(before)), *end = text.text + text.len;
    if (!at)
        return (ql_string){0};
    at += strlen(before);
    size_t n = 0;
    while (at + n < end && !ql_is_space(at[n]) && at[n] != '<')
        n++;
    return (ql_string){at, n};
}

static bool open_addressed(ql_answer *a, ql_string name, size_t next)
{
    ql_buf_clear(&a->recipient);
    ql_buf_append(&a->recipient, name.text, name.len);
    pass_mark(a, next);
    open_block(a, &addressed, next, next);
    return true;
}

// "<|channel|>commentary to=functions.f <|constrain|>json", "<|start|>assistant<|channel|>final", ...; the mark
// included.
static bool open_channel(ql_answer *a, ql_string header, size_t next)
{
    if (header.len > MAX_HEADER)
        return false;
    ql_string channel = word_after(header, "<|channel|>"), to = word_after(header, "to=");
    bool analysis = channel.len == 8 && memcmp(channel.text, "analysis", 8) == 0;
    a->separate = true;
    if (to.len && a->tools)
        return open_addressed(a, to, next);
    a->reasoning_close = analysis ? "<|end|>" : NULL;
    pass_mark(a, next);
    return true;
}

// "all" addresses the user, any other name a tool.
static bool open_recipient(ql_answer *a, ql_string line, size_t next)
{
    for (size_t i = 0; i < line.len; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.", line.text[i]) || !line.text[i])
            return false;
    if (!line.len || line.len > MAX_HEADER)
        return false;
    a->separate = true;
    if (a->tools && !(line.len == 3 && memcmp(line.text, "all", 3) == 0))
        return open_addressed(a, line, next);
    pass_mark(a, next);
    return true;
}

static bool add_calls(ql_answer *a, ql_string body, size_t next)
{
    json_t *calls = json_array();
    ql_string recipient = {a->block == &addressed ? a->recipient.data : NULL, a->recipient.len};
    bool ok = calls && ql_read_calls(a->block, body, recipient, a->tools, calls);
    for (size_t i = 0; ok && i < json_array_size(calls); i++) {
        char *text = json_dumps(json_array_get(calls, i), 0);
        a->calls.len -= a->calls.len > 0; // the closing bracket
        ql_buf_append_str(&a->calls, a->n_calls++ ? ", " : "[");
        ql_buf_append_str(&a->calls, text ? text : "null");
        ql_buf_append_byte(&a->calls, ']');
        a->calls.failed = a->calls.failed || !text;
        free(text);
    }
    json_decref(calls);
    if (ok) {
        pass_mark(a, next);
        a->skip_comma = a->block->flags & QL_MARK_BARE;
        a->separate = true;
        a->block = NULL;
    }
    return ok;
}

// Not what the mark promised: the mark is text, and what follows it is read again. A block that a prompt or a header
// opened has no mark in raw.
static void refuse_block(ql_answer *a)
{
    const ql_mark *mark = a->block;
    bool outside = a->block_at == a->body && !(mark->flags & QL_MARK_KEEP);
    size_t text = outside ? a->body : a->block_at + strlen(mark->open);
    a->block = NULL;
    emit(a, a->at, text);
    a->at = a->scan = text;
}

static bool close_block(ql_answer *a, size_t end, size_t next)
{
    const ql_mark *mark = a->block;
    ql_string body = {a->raw.data + a->body, end - a->body};
    if (mark->kind == QL_MARK_CALL)
        return add_calls(a, body, next);
    a->block = NULL;
    ql_string header = {a->raw.data + a->block_at, end - a->block_at};
    if (mark->kind == QL_MARK_CHANNEL ? open_channel(a, header, next) : open_recipient(a, body, next))
        return true;
    a->block = mark;
    return false;
}

// False: the end of the block has not arrived.
static bool step_block(ql_answer *a)
{
    const ql_mark *mark = a->block;
    size_t end = a->raw.len;
    bool closed;
    if (mark->close)
        closed = find_close(a, &end);
    else if ((closed = !(mark->flags & QL_MARK_TO_END) && find_balanced(a)))
        end = a->seek;
    if (!closed && !a->ended)
        return false;
    size_t next = end + (closed && mark->close ? strlen(mark->close) : 0);
    if ((!closed && mark->kind != QL_MARK_CALL) || !close_block(a, end, next))
        refuse_block(a);
    return true;
}

// ---- from outside ----

// A prompt that ends with an opening mark: the answer begins behind it.
static void begin_after(ql_answer *a, ql_string prompt)
{
    prompt = ql_string_trim(prompt);
    for (size_t i = 0; i < a->n_marks; i++) {
        const ql_mark *mark = a->marks[i];
        ql_string open = ql_string_trim((ql_string){mark->open, strlen(mark->open)});
        if (mark->kind == QL_MARK_DROP || mark->flags & QL_MARK_KEEP || prompt.len < open.len ||
            memcmp(prompt.text + prompt.len - open.len, open.text, open.len) != 0)
            continue;
        a->skip_space = true;
        if (mark->kind == QL_MARK_REASONING)
            a->reasoning_close = mark->close;
        else
            open_block(a, mark, 0, 0);
        return;
    }
}

static void choose_marks(ql_answer *a, const ql_answer_options *options)
{
    size_t n = ql_marks_of(options->chat_template ? options->chat_template : "", a->marks);
    for (size_t i = 0; i < n; i++) {
        const ql_mark *mark = a->marks[i];
        if (mark->kind == QL_MARK_CALL && !a->tools)
            continue;
        a->marks[a->n_marks++] = mark;
        a->may_begin[(uint8_t)mark->open[0]] = true;
        if (mark->kind == QL_MARK_REASONING)
            a->may_begin[(uint8_t)mark->close[0]] = true;
    }
    if (options->prompt)
        begin_after(a, (ql_string){options->prompt, options->prompt_len});
}

static ql_code read_tools(ql_answer *a, const char *tools, ql_error *err)
{
    json_error_t where;
    if (!tools)
        return QL_OK;
    a->tools = json_loads(tools, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL, &where);
    if (!a->tools)
        return ql_fail(err, QL_E_ARGUMENT, "tools: not JSON at line %d, column %d: %s", where.line, where.column,
                       where.text);
    if (json_is_null(a->tools)) {
        json_decref(a->tools);
        a->tools = NULL;
    } else if (!json_is_array(a->tools)) {
        return ql_fail(err, QL_E_ARGUMENT, "tools must be a JSON array or null");
    }
    return QL_OK;
}

ql_answer *ql_answer_open(const ql_answer_options *options, ql_error *err)
{
    ql_answer *a = calloc(1, sizeof *a);
    if (!a) {
        ql_fail_memory(err, sizeof *a);
        return NULL;
    }
    if (read_tools(a, options->tools, err) != QL_OK) {
        ql_answer_close(a);
        return NULL;
    }
    choose_marks(a, options);
    return a;
}

void ql_answer_close(ql_answer *a)
{
    if (!a)
        return;
    json_decref(a->tools);
    ql_buf_free(&a->raw);
    ql_buf_free(&a->content);
    ql_buf_free(&a->reasoning);
    ql_buf_free(&a->calls);
    ql_buf_free(&a->recipient);
    free(a);
}

static const char *text_of(const ql_buf *buf) { return buf->data ? buf->data : ""; }

void ql_answer_get(const ql_answer *a, ql_answer_parts *parts)
{
    *parts = (ql_answer_parts){
        .raw = text_of(&a->raw), .raw_len = a->raw.len,
        .content = text_of(&a->content), .content_len = a->content.len,
        .reasoning = text_of(&a->reasoning), .reasoning_len = a->reasoning.len,
        .tool_calls = a->n_calls ? a->calls.data : "[]", .tool_calls_len = a->n_calls ? a->calls.len : 2,
        .n_tool_calls = a->n_calls,
    };
}

ql_code ql_answer_feed(ql_answer *a, const char *text, size_t len, bool last, ql_error *err)
{
    if (a->ended)
        return ql_fail(err, QL_E_ARGUMENT, "the answer has ended: text can not be added to it");
    ql_buf_append(&a->raw, text, len);
    a->ended = last;
    while (!a->raw.failed && (a->block ? step_block(a) : step_text(a)))
        continue;
    if (a->raw.failed || a->content.failed || a->reasoning.failed || a->calls.failed || a->recipient.failed)
        return ql_fail_memory(err, a->raw.len);
    return QL_OK;
}
