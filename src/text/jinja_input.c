// SPDX-License-Identifier: MIT
// Owns what a caller sends: the variables of a render, from JSON. The role of a message is the one thing in it that is
// not marked as input, and only when it is one of the words of the chat protocol: templates spell control tokens like
// <|user|> with it, and a word of this list can say nothing else.
#include "text/jinja_input.h"

#include <stdarg.h>
#include <stdio.h>

#include "text/jinja_read.h"

__attribute__((noreturn, format(printf, 2, 3))) static void refuse(ql_jinja *j, const char *fmt, ...)
{
    char message[256];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    ql_j_escape(j, ql_fail(j->err, QL_E_ARGUMENT, "%s", message));
}

static void put(ql_jinja *j, ql_jdict *dict, const char *name, ql_jval v)
{
    ql_j_set(j, dict, ql_j_strv(ql_j_cstr(j, name)), v);
}

static void trust_role(ql_jinja *j, ql_jdict *message, ql_jval key)
{
    static const char *const roles[] = {"system", "developer", "user",        "assistant", "tool",
                                        "function", "ipython", "observation", "model",     "context"};
    ql_jval *role = ql_j_get(j, message, key);
    for (size_t i = 0; role && i < sizeof roles / sizeof *roles; i++)
        if (ql_j_is_str(*role, roles[i])) {
            *role = ql_j_strv(ql_j_cstr(j, roles[i]));
            return;
        }
}

// As transformers' apply_chat_template: without what is null; reasoning under the names that templates read.
static ql_jdict *normalized(ql_jinja *j, const ql_jdict *message)
{
    static const char *const names[] = {"reasoning_content", "thinking", "reasoning"};
    ql_jdict *out = ql_j_dict(j);
    ql_jval *reasoning = NULL;
    for (size_t i = 0; !reasoning && i < sizeof names / sizeof *names; i++) {
        reasoning = ql_j_get(j, message, ql_j_strv(ql_j_cstr(j, names[i])));
        reasoning = reasoning && reasoning->type == QL_J_NONE ? NULL : reasoning;
    }
    if (reasoning)
        put(j, out, "thinking", *reasoning);
    for (size_t i = 0; i < message->n; i++)
        if (message->entries[i].value.type != QL_J_NONE)
            ql_j_set(j, out, message->entries[i].key, message->entries[i].value);
    if (reasoning)
        put(j, out, "reasoning_content", *reasoning);
    return out;
}

static ql_jval read_messages(ql_jinja *j, const char *json)
{
    if (!json)
        refuse(j, "messages are required: a JSON array of objects");
    ql_jval messages = ql_j_read_json(j, json, "messages"), key = ql_j_strv(ql_j_cstr(j, "role"));
    if (messages.type != QL_J_LIST)
        refuse(j, "messages must be a JSON array of objects");
    for (size_t i = 0; i < messages.u.list->n; i++) {
        ql_jval *message = &messages.u.list->items[i];
        if (message->type != QL_J_DICT)
            refuse(j, "messages[%zu] must be an object with a \"role\"", i);
        if (j->chat)
            message->u.dict = normalized(j, message->u.dict);
        trust_role(j, message->u.dict, key);
    }
    return messages;
}

static ql_jval read_tools(ql_jinja *j, const char *json)
{
    ql_jval tools = json ? ql_j_read_json(j, json, "tools") : ql_j_none();
    if (tools.type != QL_J_LIST && tools.type != QL_J_NONE)
        refuse(j, "tools must be a JSON array or null");
    return tools;
}

static void add_variables(ql_jinja *j, ql_jdict *dict, const char *json)
{
    static const char *const own[] = {"messages", "tools", "add_generation_prompt"};
    ql_jval variables = json ? ql_j_read_json(j, json, "variables") : ql_j_none();
    if (variables.type == QL_J_NONE)
        return;
    if (variables.type != QL_J_DICT)
        refuse(j, "variables must be a JSON object");
    const ql_jdict *more = variables.u.dict;
    for (size_t i = 0; i < more->n; i++) {
        for (size_t k = 0; k < sizeof own / sizeof *own; k++)
            if (ql_j_is_str(more->entries[i].key, own[k]))
                refuse(j, "variables: \"%s\" is a parameter of its own and can not be replaced", own[k]);
        ql_j_set(j, dict, more->entries[i].key, more->entries[i].value);
    }
}

void ql_j_add_input(ql_jinja *j, ql_jdict *dict, const ql_render *render)
{
    put(j, dict, "messages", read_messages(j, render->messages));
    put(j, dict, "tools", read_tools(j, render->tools));
    put(j, dict, "documents", ql_j_none());
    put(j, dict, "add_generation_prompt", ql_j_bool(render->add_generation_prompt));
    add_variables(j, dict, render->variables);
}
