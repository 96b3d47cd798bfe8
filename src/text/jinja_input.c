// SPDX-License-Identifier: MIT
// Owns the reading of what a caller sends. The role of a message is the one thing in it that is not marked as input,
// and only when it is one of the words of the chat protocol: templates spell control tokens like <|user|> with it, and
// a word of this list can say nothing else.
#include "text/jinja_input.h"

enum { MAX_JSON_DEPTH = 200 };

static ql_code parse(const char *text, const char *name, json_t **out, ql_error *err)
{
    json_error_t error;
    *out = NULL;
    if (!text)
        return QL_OK;
    *out = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    if (*out)
        return QL_OK;
    return ql_fail(err, QL_E_ARGUMENT, "%s: not JSON at line %d, column %d: %s", name, error.line, error.column,
                   error.text);
}

static ql_code check_variables(const json_t *variables, ql_error *err)
{
    static const char *const own[] = {"messages", "tools", "add_generation_prompt"};
    if (!variables || json_is_null(variables))
        return QL_OK;
    if (!json_is_object(variables))
        return ql_fail(err, QL_E_ARGUMENT, "variables must be a JSON object");
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (json_object_get(variables, own[i]))
            return ql_fail(err, QL_E_ARGUMENT, "variables: \"%s\" is a parameter of its own and can not be replaced",
                           own[i]);
    return QL_OK;
}

ql_code ql_j_parse_input(const ql_render *render, ql_jinput *input, ql_error *err)
{
    if (!render->messages)
        return ql_fail(err, QL_E_ARGUMENT, "messages are required: a JSON array of objects");
    QL_TRY(parse(render->messages, "messages", &input->messages, err));
    QL_TRY(parse(render->tools, "tools", &input->tools, err));
    QL_TRY(parse(render->variables, "variables", &input->variables, err));
    if (!json_is_array(input->messages))
        return ql_fail(err, QL_E_ARGUMENT, "messages must be a JSON array of objects");
    for (size_t i = 0; i < json_array_size(input->messages); i++)
        if (!json_is_object(json_array_get(input->messages, i)))
            return ql_fail(err, QL_E_ARGUMENT, "messages[%zu] must be an object with a \"role\"", i);
    if (input->tools && !json_is_array(input->tools) && !json_is_null(input->tools))
        return ql_fail(err, QL_E_ARGUMENT, "tools must be a JSON array or null");
    return check_variables(input->variables, err);
}

void ql_j_free_input(ql_jinput *input)
{
    json_decref(input->messages);
    json_decref(input->tools);
    json_decref(input->variables);
    *input = (ql_jinput){0};
}

static ql_jval convert(ql_jinja *j, const json_t *json, int depth);

static ql_jval convert_string(ql_jinja *j, const json_t *json)
{
    size_t len = json_string_length(json);
    if (len > QL_J_MAX_TEXT)
        ql_j_escape(j, ql_fail(j->err, QL_E_ARGUMENT, "a string of %zu bytes: at most %d are allowed", len,
                               QL_J_MAX_TEXT));
    return ql_j_strv(ql_j_str(j, json_string_value(json), len, true));
}

static ql_jval convert_array(ql_jinja *j, const json_t *json, int depth)
{
    size_t n = json_array_size(json);
    ql_jlist *list = ql_j_list(j, n);
    for (size_t i = 0; i < n; i++)
        ql_j_push(j, list, convert(j, json_array_get(json, i), depth + 1));
    return ql_j_listv(list);
}

static ql_jval convert_object(ql_jinja *j, const json_t *json, int depth)
{
    ql_jdict *dict = ql_j_dict(j);
    for (void *at = json_object_iter((json_t *)json); at; at = json_object_iter_next((json_t *)json, at)) {
        const char *key = json_object_iter_key(at);
        ql_jval k = ql_j_strv(ql_j_str(j, key, strlen(key), true));
        ql_j_set(j, dict, k, convert(j, json_object_iter_value(at), depth + 1));
    }
    return ql_j_dictv(dict);
}

static ql_jval convert(ql_jinja *j, const json_t *json, int depth)
{
    if (depth > MAX_JSON_DEPTH)
        ql_j_escape(j, ql_fail(j->err, QL_E_ARGUMENT, "JSON nested more than %d deep", MAX_JSON_DEPTH));
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        return convert_object(j, json, depth);
    case JSON_ARRAY:
        return convert_array(j, json, depth);
    case JSON_STRING:
        return convert_string(j, json);
    case JSON_INTEGER:
        return ql_j_tainted(ql_j_int(json_integer_value(json)), true);
    case JSON_REAL:
        return ql_j_tainted(ql_j_float(json_real_value(json)), true);
    case JSON_TRUE:
    case JSON_FALSE:
        return ql_j_tainted(ql_j_bool(json_is_true(json)), true);
    default:
        return ql_j_tainted(ql_j_none(), true);
    }
}

static void trust_roles(ql_jinja *j, ql_jval messages)
{
    static const char *const roles[] = {"system", "developer", "user",        "assistant", "tool",
                                        "function", "ipython", "observation", "model",     "context"};
    ql_jval key = ql_j_strv(ql_j_cstr(j, "role"));
    for (size_t i = 0; i < messages.u.list->n; i++) {
        ql_jval *role = ql_j_get(j, messages.u.list->items[i].u.dict, key);
        for (size_t k = 0; role && k < sizeof roles / sizeof *roles; k++)
            if (ql_j_is_str(*role, roles[k]))
                *role = ql_j_strv(ql_j_cstr(j, roles[k]));
    }
}

static void put(ql_jinja *j, ql_jdict *dict, const char *name, ql_jval v)
{
    ql_j_set(j, dict, ql_j_strv(ql_j_cstr(j, name)), v);
}

void ql_j_add_input(ql_jinja *j, ql_jdict *dict, const ql_jinput *input, bool add_generation_prompt)
{
    ql_jval messages = convert(j, input->messages, 0);
    trust_roles(j, messages);
    put(j, dict, "messages", messages);
    put(j, dict, "tools", input->tools ? convert(j, input->tools, 0) : ql_j_none());
    put(j, dict, "documents", ql_j_none());
    put(j, dict, "add_generation_prompt", ql_j_bool(add_generation_prompt));
    if (!input->variables || !json_is_object(input->variables))
        return;
    const ql_jdict *more = convert(j, input->variables, 0).u.dict;
    for (size_t i = 0; i < more->n; i++)
        ql_j_set(j, dict, more->entries[i].key, more->entries[i].value);
}
