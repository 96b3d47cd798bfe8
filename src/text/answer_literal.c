// SPDX-License-Identifier: MIT
// Owns values and calls as Python writes them: f(city="Paris", days=2, more={'a': None}). JSON is nearly a part of this,
// and Gemma's object (bare keys, <|"|> or <escape> around strings) too. Must not know tools' names; knows a schema's
// order of parameters.
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "base/utf8.h"
#include "text/answer.h"

enum { MAX_DEPTH = 64 };

typedef struct reader {
    const char *at, *end;
} reader;

static json_t *read_value(reader *r, int depth);

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_name(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_'; }

static void skip_space(reader *r)
{
    while (r->at < r->end && ql_is_space(*r->at))
        r->at++;
}

static bool skip(reader *r, const char *text)
{
    size_t n = strlen(text);
    skip_space(r);
    if ((size_t)(r->end - r->at) < n || memcmp(r->at, text, n) != 0)
        return false;
    r->at += n;
    return true;
}

static ql_string read_name(reader *r, const char *more)
{
    skip_space(r);
    ql_string name = {r->at, 0};
    while (r->at < r->end && *r->at && (is_name(*r->at) || strchr(more, *r->at)))
        r->at++;
    name.len = (size_t)(r->at - name.text);
    return name;
}

// ---- strings ----

static bool read_code(reader *r, int digits, ql_buf *out)
{
    uint32_t cp = 0;
    char bytes[4];
    for (int i = 0; i < digits; i++, r->at++) {
        if (r->at == r->end || !strchr("0123456789abcdefABCDEF", *r->at) || !*r->at)
            return false;
        cp = cp << 4 | (uint32_t)(is_digit(*r->at) ? *r->at - '0' : (*r->at | 32) - 'a' + 10);
    }
    if (cp >= 0xd800 && cp < 0xdc00 && r->end - r->at >= 6 && r->at[0] == '\\' && r->at[1] == 'u') { // JSON's pairs
        uint32_t low = (uint32_t)strtoul((char[]){r->at[2], r->at[3], r->at[4], r->at[5], 0}, NULL, 16);
        if (low >= 0xdc00 && low < 0xe000) {
            cp = 0x10000 + ((cp - 0xd800) << 10) + (low - 0xdc00);
            r->at += 6;
        }
    }
    if (cp > 0x10ffff || (cp >= 0xd800 && cp < 0xe000))
        return false;
    ql_buf_append(out, bytes, (size_t)ql_utf8_encode(cp, bytes));
    return true;
}

// After the backslash.
static bool read_escape(reader *r, ql_buf *out)
{
    static const char from[] = "nrtbfv0\\'\"/a", to[] = "\n\r\t\b\f\v\0\\'\"/\a";
    if (r->at == r->end)
        return false;
    char c = *r->at++;
    const char *found = c ? strchr(from, c) : NULL;
    if (found)
        ql_buf_append_byte(out, to[found - from]);
    else if (c == 'x' || c == 'u' || c == 'U')
        return read_code(r, c == 'x' ? 2 : c == 'u' ? 4 : 8, out);
    else if (c != '\n') { // a line that goes on; anything else keeps its backslash
        ql_buf_append_byte(out, '\\');
        ql_buf_append_byte(out, c);
    }
    return true;
}

static json_t *read_string(reader *r, const char *quote, bool escapes)
{
    ql_buf out = {0};
    size_t n = strlen(quote);
    json_t *value = NULL;
    bool ok = true;
    ql_buf_append_str(&out, "");
    while (ok && r->at < r->end) {
        if ((size_t)(r->end - r->at) >= n && memcmp(r->at, quote, n) == 0) {
            r->at += n;
            value = out.failed ? NULL : json_stringn(out.data ? out.data : "", out.len);
            break;
        }
        if (escapes && *r->at == '\\') {
            r->at++;
            ok = read_escape(r, &out);
        } else {
            ql_buf_append_byte(&out, *r->at++);
        }
    }
    ql_buf_free(&out);
    return value;
}

static json_t *try_string(reader *r, bool *is_string)
{
    static const char *const python[] = {"\"\"\"", "'''", "\"", "'"}, *const gemma[] = {"<|\"|>", "<escape>"};
    *is_string = true;
    for (size_t i = 0; i < sizeof python / sizeof *python; i++)
        if (skip(r, python[i]))
            return read_string(r, python[i], true);
    for (size_t i = 0; i < sizeof gemma / sizeof *gemma; i++)
        if (skip(r, gemma[i]))
            return read_string(r, gemma[i], false);
    *is_string = false;
    return NULL;
}

// ---- other values ----

static json_t *read_number(reader *r)
{
    char text[64];
    size_t n = 0, begin = r->at < r->end && *r->at == '-';
    while (r->at + n < r->end && n + 1 < sizeof text && r->at[n] && strchr("0123456789+-.eE", r->at[n])) {
        text[n] = r->at[n];
        n++;
    }
    text[n] = 0;
    if (n == begin || !is_digit(text[begin]))
        return NULL;
    char *end;
    errno = 0;
    long long whole = strtoll(text, &end, 10);
    bool real = *end != 0, overflow = errno == ERANGE;
    double f = real ? ql_to_double(text, &end) : 0;
    if (*end || overflow || !isfinite(f))
        return NULL;
    r->at += n;
    return real ? json_real(f) : json_integer(whole);
}

static json_t *read_word(reader *r)
{
    static const struct {
        const char *word;
        json_type type;
    } words[] = {{"True", JSON_TRUE}, {"true", JSON_TRUE}, {"False", JSON_FALSE}, {"false", JSON_FALSE},
                 {"None", JSON_NULL}, {"null", JSON_NULL}};
    ql_string name = read_name(r, "");
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strlen(words[i].word) == name.len && memcmp(words[i].word, name.text, name.len) == 0)
            return words[i].type == JSON_TRUE ? json_true() : words[i].type == JSON_FALSE ? json_false() : json_null();
    return NULL;
}

static json_t *drop(json_t *value)
{
    json_decref(value);
    return NULL;
}

static json_t *read_items(reader *r, const char *close, int depth)
{
    json_t *list = json_array();
    while (list && !skip(r, close)) {
        json_t *item = read_value(r, depth + 1);
        if (!item || json_array_append_new(list, item) != 0)
            return drop(list);
        if (!skip(r, ",")) {
            if (skip(r, close))
                break;
            return drop(list);
        }
    }
    return list;
}

static json_t *read_object(reader *r, int depth)
{
    json_t *object = json_object();
    while (object && !skip(r, "}")) {
        bool quoted;
        json_t *key = try_string(r, &quoted);
        if (!quoted) {
            ql_string name = read_name(r, "-.");
            key = name.len ? json_stringn(name.text, name.len) : NULL;
        }
        json_t *value = key && skip(r, ":") ? read_value(r, depth + 1) : NULL;
        bool ok = value && json_object_setn_new(object, json_string_value(key), json_string_length(key), value) == 0;
        json_decref(key);
        if (!ok)
            return drop(object);
        if (!skip(r, ",")) {
            if (skip(r, "}"))
                break;
            return drop(object);
        }
    }
    return object;
}

static json_t *read_value(reader *r, int depth)
{
    bool is_string;
    if (depth > MAX_DEPTH)
        return NULL;
    json_t *string = try_string(r, &is_string);
    if (is_string)
        return string;
    if (skip(r, "{"))
        return read_object(r, depth);
    if (skip(r, "["))
        return read_items(r, "]", depth);
    if (skip(r, "("))
        return read_items(r, ")", depth);
    json_t *number = read_number(r);
    return number ? number : read_word(r);
}

json_t *ql_read_literal(const char **at, const char *end)
{
    reader r = {*at, end};
    json_t *value = read_value(&r, 0);
    if (value)
        *at = r.at;
    return value;
}

// ---- calls ----

// The name of parameter i in the order of the tool's schema.
static const char *parameter_name(const json_t *tools, ql_string name, size_t i)
{
    const json_t *properties = json_object_get(ql_offered(tools, name), "properties");
    for (void *at = json_object_iter((json_t *)properties); at; at = json_object_iter_next((json_t *)properties, at))
        if (i-- == 0)
            return json_object_iter_key(at);
    return NULL;
}

static bool read_argument(reader *r, const json_t *tools, ql_string function, size_t i, json_t *arguments)
{
    reader ahead = *r;
    ql_string key = read_name(&ahead, "");
    if (key.len && !is_digit(key.text[0]) && skip(&ahead, "=")) {
        *r = ahead;
    } else {
        const char *name = parameter_name(tools, function, i);
        if (!name)
            return false;
        key = (ql_string){name, strlen(name)};
    }
    json_t *value = read_value(r, 0);
    return value && json_object_setn_new(arguments, key.text, key.len, value) == 0;
}

bool ql_read_python_call(const char **at, const char *end, const json_t *tools, ql_string *name, json_t **arguments)
{
    reader r = {*at, end};
    *name = read_name(&r, ".");
    if (!name->len || is_digit(name->text[0]) || !skip(&r, "("))
        return false;
    *arguments = json_object();
    bool ok = true;
    for (size_t i = 0; ok && !skip(&r, ")"); i++) {
        ok = read_argument(&r, tools, *name, i, *arguments);
        if (ok && !skip(&r, ",")) {
            ok = skip(&r, ")");
            break;
        }
    }
    if (!ok) {
        json_decref(*arguments);
        return false;
    }
    *at = r.at;
    return true;
}
