// SPDX-License-Identifier: MIT
// Owns the ways in which models write tool calls between two marks. Must not know which marks those were: the first
// characters of a body tell how it is written, so a model that mixes up the dialects of its family is understood, too.
//   {"name": ..., "arguments": {...}}      Hermes and most others; also in a list, several in a row, as Python's dict
//   name SEPARATOR {...}                   Mistral, DeepSeek, Kimi, Functionary
//   name <arg_key>k</arg_key><arg_value>v</arg_value>    GLM
//   <function=name><parameter=k>v</parameter></function>, <invoke name="..."><parameter name="k">v   Qwen3-Coder, MiniMax
//   [f(k=v), g()], print(f(k=v))           Llama 4, LFM2, Gemma
//   call:name{k:v}                         Gemma 4, FunctionGemma
#include <string.h>

#include "text/answer.h"

#define SEPARATOR "<\uff5ctool\u2581sep\uff5c>"

typedef struct calls {
    const json_t *tools;
    json_t *list;
    bool bare; // a name must have been offered
} calls;

bool ql_string_begins(ql_string s, const char *prefix)
{
    size_t n = strlen(prefix);
    return s.len >= n && memcmp(s.text, prefix, n) == 0;
}

ql_string ql_string_trim(ql_string s)
{
    while (s.len && ql_is_space(s.text[s.len - 1]))
        s.len--;
    while (s.len && ql_is_space(s.text[0])) {
        s.text++;
        s.len--;
    }
    return s;
}

static ql_string advance(ql_string s, size_t n) { return (ql_string){s.text + n, s.len - n}; }

static bool skip(ql_string *s, const char *prefix)
{
    ql_string rest = ql_string_trim(*s);
    if (!ql_string_begins(rest, prefix))
        return false;
    *s = advance(rest, strlen(prefix));
    return true;
}

// The text up to the next `end`, which is passed; false: there is none.
static bool until(ql_string *s, const char *end, ql_string *before)
{
    const char *at = memmem(s->text, s->len, end, strlen(end));
    if (!at)
        return false;
    *before = (ql_string){s->text, (size_t)(at - s->text)};
    *s = advance(*s, before->len + strlen(end));
    return true;
}

// ---- what was offered ----

const json_t *ql_offered(const json_t *tools, ql_string name)
{
    size_t i;
    const json_t *tool;
    json_array_foreach(tools, i, tool)
    {
        const json_t *function = json_object_get(tool, "function"), *own = function ? function : tool;
        const char *known = json_string_value(json_object_get(own, "name"));
        if (known && strlen(known) == name.len && memcmp(known, name.text, name.len) == 0)
            return json_object_get(own, "parameters") ? json_object_get(own, "parameters") : own;
    }
    return NULL;
}

static bool may_be_called(const calls *c, ql_string name)
{
    if (!name.len)
        return false;
    return !c->bare || json_array_size(c->tools) == 0 || ql_offered(c->tools, name);
}

// Some models put a module before the name: default_api.f() of Gemma.
static ql_string known_name(const calls *c, ql_string name)
{
    const char *dot = name.len ? memrchr(name.text, '.', name.len) : NULL;
    if (!dot || ql_offered(c->tools, name))
        return name;
    ql_string last = advance(name, (size_t)(dot - name.text) + 1);
    return ql_offered(c->tools, last) ? last : name;
}

// Takes the reference of arguments.
static bool add(calls *c, ql_string name, json_t *arguments, const json_t *id)
{
    json_t *call = NULL;
    name = known_name(c, name);
    if (may_be_called(c, name) && json_is_object(arguments))
        call = json_pack("{s:s, s:{s:s%, s:O}}", "type", "function", "function", "name", name.text, name.len,
                         "arguments", arguments);
    json_decref(arguments);
    if (!call)
        return false;
    if (json_is_string(id))
        json_object_set(call, "id", (json_t *)id);
    return json_array_append_new(c->list, call) == 0;
}

// ---- JSON ----

static json_t *load(ql_string *s)
{
    json_error_t where;
    const size_t flags = JSON_DISABLE_EOF_CHECK | JSON_DECODE_ANY | JSON_ALLOW_NUL;
    *s = ql_string_trim(*s);
    json_t *value = json_loadb(s->text, s->len, flags, &where);
    if (value) {
        *s = advance(*s, (size_t)where.position);
        return value;
    }
    const char *at = s->text; // as Python prints a dict
    value = s->len && strchr("{[", s->text[0]) ? ql_read_literal(&at, s->text + s->len) : NULL;
    if (value)
        *s = advance(*s, (size_t)(at - s->text));
    return value;
}

static const json_t *first_of(const json_t *object, const char *const *keys)
{
    for (; *keys; keys++)
        if (json_object_get(object, *keys))
            return json_object_get(object, *keys);
    return NULL;
}

// The arguments, which some models write as a string of JSON.
static json_t *arguments_of(const json_t *value)
{
    if (!value || json_is_null(value))
        return json_object();
    if (!json_is_string(value))
        return json_incref((json_t *)value);
    ql_string text = {json_string_value(value), json_string_length(value)};
    json_t *inner = load(&text);
    if (inner && ql_string_trim(text).len == 0)
        return inner;
    json_decref(inner);
    return NULL;
}

static bool add_object(calls *c, const json_t *object)
{
    static const char *const names[] = {"name", "tool_name", "function", "recipient_name", NULL},
                      *const arguments[] = {"arguments", "parameters", "args", NULL},
                      *const ids[] = {"id", "tool_call_id", "call_id", NULL};
    const json_t *function = json_object_get(object, "function"), *own = json_is_object(function) ? function : object;
    const json_t *name = first_of(own, names), *values = first_of(own, arguments);
    if (json_is_string(name) && (values || !c->bare))
        return add(c, (ql_string){json_string_value(name), json_string_length(name)}, arguments_of(values),
                   first_of(object, ids));
    void *only = json_object_iter((json_t *)object); // Apertus: {"name": {...}}
    if (c->bare || name || json_object_size(object) != 1 || !json_is_object(json_object_iter_value(only)))
        return false;
    const char *key = json_object_iter_key(only);
    return add(c, (ql_string){key, strlen(key)}, json_incref(json_object_iter_value(only)), NULL);
}

static bool read_json(calls *c, ql_string body)
{
    size_t before = json_array_size(c->list), i;
    while ((body = ql_string_trim(body)).len) {
        json_t *value = load(&body), *item;
        bool ok = json_is_array(value) || (json_is_object(value) && add_object(c, value));
        if (json_is_array(value))
            json_array_foreach(value, i, item)
                ok = ok && json_is_object(item) && add_object(c, item);
        json_decref(value);
        if (!ok)
            return false;
        while (skip(&body, ";") || skip(&body, ","))
            continue;
    }
    return json_array_size(c->list) > before;
}

// ---- values in tags ----

static bool schema_says(const json_t *schema, const char *type)
{
    const json_t *said = json_object_get(schema, "type");
    if (json_is_string(said))
        return strcmp(json_string_value(said), type) == 0;
    return json_array_size(said) == 1 && schema_says(schema, type);
}

// A value written without quotes: text when the schema says so, else JSON if it is any, else text.
static json_t *value_of(ql_string text, const json_t *schema)
{
    ql_string trimmed = ql_string_trim(text), rest = trimmed;
    json_t *value = schema_says(schema, "string") ? NULL : load(&rest);
    bool boolean = schema_says(schema, "boolean") || !schema;
    if (value && ql_string_trim(rest).len == 0)
        return value;
    json_decref(value);
    if (boolean && trimmed.len == 4 && memcmp(trimmed.text, "True", 4) == 0)
        return json_true();
    if (boolean && trimmed.len == 5 && memcmp(trimmed.text, "False", 5) == 0)
        return json_false();
    return json_stringn(text.text, text.len);
}

static const json_t *schema_of(const calls *c, ql_string function, ql_string key)
{
    const json_t *properties = json_object_get(ql_offered(c->tools, function), "properties");
    return json_object_getn(properties, key.text, key.len);
}

// The newlines that Qwen3-Coder puts around a value are no part of it.
static ql_string without_newlines(ql_string s)
{
    if (s.len && s.text[0] == '\n')
        s = advance(s, 1);
    if (s.len && s.text[s.len - 1] == '\n')
        s.len--;
    return s;
}

// GLM: what follows the name.
static json_t *read_keyed(const calls *c, ql_string function, ql_string body)
{
    json_t *arguments = json_object();
    while (skip(&body, "<arg_key>")) {
        ql_string key = {0}, value = {0};
        bool ok = until(&body, "</arg_key>", &key) && skip(&body, "<arg_value>") &&
                  until(&body, "</arg_value>", &value);
        key = ql_string_trim(key);
        if (!ok || json_object_setn_new(arguments, key.text, key.len, value_of(without_newlines(value),
                                                                               schema_of(c, function, key))) != 0) {
            json_decref(arguments);
            return NULL;
        }
    }
    if (ql_string_trim(body).len == 0)
        return arguments;
    json_decref(arguments);
    return NULL;
}

// <PREFIXword=name>, <PREFIXword name="name" string="true">: what matters of a tag.
typedef struct tag {
    ql_string word; // with its prefix, as the closing tag repeats it
    ql_string name;
    bool text, json; // string="true", string="false" of DeepSeek
} tag;

static ql_string unquoted(ql_string s)
{
    s = ql_string_trim(s);
    if (s.len >= 2 && (s.text[0] == '"' || s.text[0] == '\'') && s.text[s.len - 1] == s.text[0])
        return (ql_string){s.text + 1, s.len - 2};
    return s;
}

static bool read_tag(ql_string *s, tag *out)
{
    ql_string inside, rest = ql_string_trim(*s), word;
    if (!skip(&rest, "<") || ql_string_begins(rest, "/") || !until(&rest, ">", &inside))
        return false;
    *out = (tag){.word = {inside.text, 0}};
    while (out->word.len < inside.len && !ql_is_space(inside.text[out->word.len]) && inside.text[out->word.len] != '=')
        out->word.len++;
    inside = advance(inside, out->word.len);
    out->text = memmem(inside.text, inside.len, "string=\"true\"", 13) != NULL;
    out->json = memmem(inside.text, inside.len, "string=\"false\"", 14) != NULL;
    if (skip(&inside, "="))
        out->name = unquoted(inside);
    else if (until(&inside, "name=\"", &word) && !until(&inside, "\"", &out->name))
        return false;
    *s = rest;
    return out->word.len > 0;
}

static bool word_is(const tag *t, const char *const *words)
{
    for (; *words; words++) {
        size_t n = strlen(*words);
        if (t->word.len >= n && memcmp(t->word.text + t->word.len - n, *words, n) == 0 &&
            (t->word.len == n || strchr(":\x9c", t->word.text[t->word.len - n - 1]))) // "atem:", "｜DSML｜"
            return true;
    }
    return false;
}

// The text up to the closing tag of t.
static bool until_closed(ql_string *s, const tag *t, ql_string *before)
{
    char close[64];
    if (t->word.len + 4 > sizeof close)
        return false;
    memcpy(close, "</", 2);
    memcpy(close + 2, t->word.text, t->word.len);
    memcpy(close + 2 + t->word.len, ">", 2);
    return until(s, close, before);
}

static ql_string without_cdata(ql_string s)
{
    ql_string inner = ql_string_trim(s), value;
    return skip(&inner, "<![CDATA[") && until(&inner, "]]>", &value) && inner.len == 0 ? value : s;
}

static json_t *read_parameters(const calls *c, ql_string function, ql_string body)
{
    static const char *const words[] = {"parameter", "param", "argument", NULL};
    json_t *arguments = json_object();
    tag t;
    while (read_tag(&body, &t)) {
        ql_string text;
        if (!word_is(&t, words) || !t.name.len || !until_closed(&body, &t, &text))
            break;
        text = without_cdata(without_newlines(text));
        json_t *value = t.text ? json_stringn(text.text, text.len)
                               : value_of(text, t.json ? NULL : schema_of(c, function, t.name));
        if (json_object_setn_new(arguments, t.name.text, t.name.len, value) != 0)
            break;
    }
    if (ql_string_trim(body).len == 0)
        return arguments;
    json_decref(arguments);
    return NULL;
}

static bool read_tags(calls *c, ql_string body)
{
    static const char *const words[] = {"function", "invoke", NULL};
    tag t;
    do {
        ql_string inner;
        if (!read_tag(&body, &t) || !word_is(&t, words))
            return false;
        if (!until_closed(&body, &t, &inner)) { // forgotten by many a model at the end of its answer
            inner = body;
            body.len = 0;
        }
        inner = ql_string_trim(inner);
        ql_string rest = inner;
        json_t *arguments = ql_string_begins(inner, "{") ? load(&rest) : read_parameters(c, t.name, inner);
        if (ql_string_begins(inner, "{") && ql_string_trim(rest).len) {
            json_decref(arguments);
            arguments = NULL;
        }
        if (!add(c, t.name, arguments, NULL))
            return false;
    } while ((body = ql_string_trim(body)).len);
    return true;
}

// ---- name first ----

static ql_string read_name(ql_string *s)
{
    ql_string name = *s = ql_string_trim(*s);
    name.len = 0;
    while (name.len < s->len && s->text[name.len] &&
           (strchr("_.-:/", s->text[name.len]) || (s->text[name.len] >= '0' && s->text[name.len] <= '9') ||
            ((s->text[name.len] | 32) >= 'a' && (s->text[name.len] | 32) <= 'z')))
        name.len++;
    *s = advance(*s, name.len);
    return name;
}

// "functions.name:0" of Kimi and gpt-oss is the tool "name"; the whole is Kimi's id.
static ql_string plain_name(ql_string name)
{
    if (ql_string_begins(name, "functions."))
        name = advance(name, 10);
    const char *colon = memrchr(name.text, ':', name.len);
    if (colon && colon > name.text && strspn(colon + 1, "0123456789") + 1 >= (size_t)(name.text + name.len - colon))
        name.len = (size_t)(colon - name.text);
    return name;
}

// {...}, with or without a fence around it.
static json_t *read_arguments(ql_string body)
{
    bool fenced = skip(&body, "```json") || skip(&body, "```");
    if (!ql_string_begins(ql_string_trim(body), "{"))
        return NULL;
    json_t *arguments = load(&body);
    if (fenced)
        skip(&body, "```");
    if (ql_string_trim(body).len == 0)
        return arguments;
    json_decref(arguments);
    return NULL;
}

static bool read_python(calls *c, ql_string body);

static bool read_named(calls *c, ql_string body)
{
    if (skip(&body, "function" SEPARATOR) || skip(&body, "call:"))
        body = ql_string_trim(body);
    ql_string whole = body, full = read_name(&body), name = plain_name(full), id_text = {0};
    json_t *arguments, *id = NULL;
    if (skip(&body, "("))
        return read_python(c, whole);
    if (skip(&body, "[CALL_ID]"))
        id_text = read_name(&body);
    else if (skip(&body, "<|tool_call_argument_begin|>"))
        id_text = full;
    if (!skip(&body, "[ARGS]"))
        skip(&body, SEPARATOR);
    if (ql_string_trim(body).len == 0 && ql_offered(c->tools, name))
        arguments = json_object();
    else if (ql_string_begins(ql_string_trim(body), "<arg_key>"))
        arguments = read_keyed(c, name, body);
    else
        arguments = read_arguments(body);
    if (id_text.len)
        id = json_stringn(id_text.text, id_text.len);
    bool ok = add(c, name, arguments, id);
    json_decref(id);
    return ok;
}

// ---- Python ----

static bool read_python(calls *c, ql_string body)
{
    bool list = skip(&body, "["), printed = !list && skip(&body, "print(");
    do {
        ql_string name;
        json_t *arguments;
        const char *at = body.text;
        if (!ql_read_python_call(&at, body.text + body.len, c->tools, &name, &arguments) ||
            !add(c, name, arguments, NULL))
            return false;
        body = advance(body, (size_t)(at - body.text));
        if (printed && !skip(&body, ")"))
            return false;
        body = ql_string_trim(body);
    } while (list ? skip(&body, ",") : body.len > 0);
    return (!list || skip(&body, "]")) && ql_string_trim(body).len == 0;
}

// What Llama writes behind <|python_tag|> may be a program, for an interpreter if one was offered.
static bool read_program(calls *c, ql_string body)
{
    static const char *const interpreters[] = {"python", "ipython", "code_interpreter"};
    for (size_t i = 0; i < sizeof interpreters / sizeof *interpreters; i++) {
        ql_string name = {interpreters[i], strlen(interpreters[i])};
        if (ql_offered(c->tools, name))
            return add(c, name, json_pack("{s:s%}", "code", body.text, body.len), NULL);
    }
    return false;
}

// ---- all ----

static bool read_body(calls *c, ql_string body)
{
    ql_string rest = body;
    if (!body.len)
        return false;
    if (body.text[0] == '<')
        return read_tags(c, body);
    if (body.text[0] == '{' || (skip(&rest, "[") && ql_string_trim(rest).len && strchr("{]", ql_string_trim(rest).text[0])))
        return read_json(c, body);
    return body.text[0] == '[' || ql_string_begins(body, "print(") ? read_python(c, body) : read_named(c, body);
}

bool ql_read_calls(const ql_mark *mark, ql_string body, ql_string recipient, const json_t *tools, json_t *list)
{
    calls c = {tools, list, mark->flags & QL_MARK_BARE};
    size_t before = json_array_size(list);
    body = ql_string_trim(body);
    if (skip(&body, "<|plugin|>") || skip(&body, "<|interpreter|>")) // InternLM
        body = ql_string_trim(body);
    bool ok = recipient.text ? add(&c, plain_name(recipient), read_arguments(body), NULL) : read_body(&c, body);
    while (!ok && json_array_size(list) > before)
        json_array_remove(list, json_array_size(list) - 1);
    return ok || (mark->flags & QL_MARK_TO_END && body.len && read_program(&c, body));
}
