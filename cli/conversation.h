// SPDX-License-Identifier: MIT
// A list of chat messages: {"role": ..., "content": ...}, in memory and in a JSON file.
#ifndef CLI_CONVERSATION_H
#define CLI_CONVERSATION_H

#include "common.h"

#include <jansson.h>

typedef struct cli_conversation {
    json_t *messages; // array of objects
} cli_conversation;

void cli_conversation_init(cli_conversation *talk);
void cli_conversation_release(cli_conversation *talk);

// Content is UTF-8 (the caller has checked).
void cli_conversation_add(cli_conversation *talk, const char *role, const char *content, size_t len);
// An answer; reasoning "" is none.
void cli_conversation_add_answer(cli_conversation *talk, const ql_answer_parts *parts);
void cli_conversation_drop_last(cli_conversation *talk);
void cli_conversation_clear(cli_conversation *talk); // all but the system message

// Replaces or adds the first message; NULL removes it. Get: NULL when there is none.
void cli_conversation_set_system(cli_conversation *talk, const char *content);
const char *cli_conversation_system(const cli_conversation *talk);
size_t cli_conversation_count(const cli_conversation *talk);

// To take apart what the model answers next; tmpl is the template's source. NULL with an error.
ql_answer *cli_conversation_parts(const cli_conversation *talk, const ql_model *model, const char *tmpl, ql_error *err);

// What the model answers next, as token ids (ql_free).
ql_code cli_conversation_ids(const cli_conversation *talk, const ql_model *model, int32_t **ids, size_t *n_ids,
                             ql_error *err);

// False after an error message; a failed load leaves the conversation as it was, a failed save the file.
bool cli_conversation_save(const cli_conversation *talk, const char *path);
bool cli_conversation_load(cli_conversation *talk, const char *path);
#endif
