// SPDX-License-Identifier: MIT
// Owns a chat's messages and their file. It must not know terminals or commands.
// Messages stay JSON values, as the template wants them: a loaded message keeps fields that only its template knows.
#include "conversation.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *checked(void *value)
{
    if (!value)
        exit(cli_error(CLI_FAILURE, "out of memory in a conversation"));
    return value;
}

static json_t *message(const char *role, const char *content, size_t len)
{
    json_t *object = checked(json_object());
    json_object_set_new(object, "role", checked(json_string(role)));
    json_object_set_new(object, "content", checked(json_stringn(content, len)));
    return object;
}

void cli_conversation_init(cli_conversation *talk) { talk->messages = checked(json_array()); }

void cli_conversation_release(cli_conversation *talk)
{
    json_decref(talk->messages);
    talk->messages = NULL;
}

void cli_conversation_add(cli_conversation *talk, const char *role, const char *content, size_t len)
{
    json_array_append_new(talk->messages, message(role, content, len));
}

void cli_conversation_add_answer(cli_conversation *talk, const ql_answer_parts *parts)
{
    json_t *object = message("assistant", parts->content, parts->content_len);
    if (parts->reasoning_len)
        json_object_set_new(object, "reasoning_content", checked(json_stringn(parts->reasoning, parts->reasoning_len)));
    json_array_append_new(talk->messages, object);
}

void cli_conversation_drop_last(cli_conversation *talk)
{
    size_t n = json_array_size(talk->messages);
    if (n)
        json_array_remove(talk->messages, n - 1);
}

static bool has_system(const cli_conversation *talk)
{
    const char *role = json_string_value(json_object_get(json_array_get(talk->messages, 0), "role"));
    return role && strcmp(role, "system") == 0;
}

void cli_conversation_clear(cli_conversation *talk)
{
    size_t keep = has_system(talk);
    while (json_array_size(talk->messages) > keep)
        cli_conversation_drop_last(talk);
}

void cli_conversation_set_system(cli_conversation *talk, const char *content)
{
    if (has_system(talk))
        json_array_remove(talk->messages, 0);
    if (content)
        json_array_insert_new(talk->messages, 0, message("system", content, strlen(content)));
}

const char *cli_conversation_system(const cli_conversation *talk)
{
    return has_system(talk) ? json_string_value(json_object_get(json_array_get(talk->messages, 0), "content")) : NULL;
}

size_t cli_conversation_count(const cli_conversation *talk) { return json_array_size(talk->messages); }

ql_code cli_conversation_ids(const cli_conversation *talk, const ql_model *model, int32_t **ids, size_t *n_ids,
                             ql_error *err)
{
    char *messages = checked(json_dumps(talk->messages, JSON_COMPACT));
    ql_render render = {.messages = messages, .add_generation_prompt = true};
    ql_code code = ql_model_render_ids(model, &render, ids, n_ids, err);
    free(messages);
    return code;
}

ql_answer *cli_conversation_parts(const cli_conversation *talk, const ql_model *model, const char *tmpl, ql_error *err)
{
    char *messages = checked(json_dumps(talk->messages, JSON_COMPACT)), *prompt;
    ql_render render = {.messages = messages, .add_generation_prompt = true};
    ql_answer_options options = {.chat_template = tmpl};
    ql_answer *answer = NULL;
    if (ql_model_render(model, &render, &prompt, &options.prompt_len, err) == QL_OK) {
        options.prompt = prompt;
        answer = ql_answer_open(&options, err);
        ql_free(prompt);
    }
    free(messages);
    return answer;
}

static bool write_file(int fd, const char *text)
{
    FILE *file = fdopen(fd, "w");
    if (!file) {
        close(fd);
        return false;
    }
    bool ok = fputs(text, file) >= 0 && fputc('\n', file) != EOF && fflush(file) == 0 && fsync(fd) == 0;
    int error = errno;
    if (fclose(file) != 0 && ok)
        return false;
    errno = error;
    return ok;
}

bool cli_conversation_save(const cli_conversation *talk, const char *path)
{
    cli_text temporary = {0};
    char suffix[32];
    snprintf(suffix, sizeof suffix, ".%ld.tmp", (long)getpid());
    cli_append_string(&temporary, path);
    cli_append_string(&temporary, suffix);
    char *text = checked(json_dumps(talk->messages, JSON_INDENT(2)));
    int fd = open(temporary.data, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    bool ok = fd >= 0 && write_file(fd, text) && rename(temporary.data, path) == 0;
    if (!ok) {
        cli_error(CLI_FAILURE, "cannot save to %s: %s", path, strerror(errno));
        if (fd >= 0)
            unlink(temporary.data);
    }
    free(text);
    cli_release(&temporary);
    return ok;
}

// NULL, or what is wrong with the array.
static const char *complaint(const json_t *messages, size_t *at)
{
    *at = 0;
    if (!json_is_array(messages))
        return "is not a JSON array of messages";
    for (; *at < json_array_size(messages); ++*at) {
        const json_t *object = json_array_get(messages, *at);
        if (!json_is_object(object))
            return "is not an object";
        if (!json_is_string(json_object_get(object, "role")))
            return "has no \"role\" that is a string";
        if (!json_is_string(json_object_get(object, "content")))
            return "has no \"content\" that is a string";
    }
    return NULL;
}

bool cli_conversation_load(cli_conversation *talk, const char *path)
{
    cli_text text = {0};
    int error = cli_read_file(path, &text);
    if (error) {
        cli_error(CLI_FAILURE, "cannot load %s: %s", path, strerror(error));
        cli_release(&text);
        return false;
    }
    json_error_t where;
    json_t *messages = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &where);
    cli_release(&text);
    if (!messages) {
        cli_error(CLI_DATA, "%s: not JSON: %s (line %d)", path, where.text, where.line);
        return false;
    }
    size_t at;
    const char *wrong = complaint(messages, &at);
    if (wrong && json_is_array(messages))
        cli_error(CLI_DATA, "%s: message %zu %s", path, at, wrong);
    else if (wrong)
        cli_error(CLI_DATA, "%s: %s", path, wrong);
    if (wrong) {
        json_decref(messages);
        return false;
    }
    json_decref(talk->messages);
    talk->messages = messages;
    return true;
}
