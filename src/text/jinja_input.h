// SPDX-License-Identifier: MIT
// JSON to values: messages, tools and variables of a render.
#ifndef QL_TEXT_JINJA_INPUT_H
#define QL_TEXT_JINJA_INPUT_H

#include <jansson.h>

#include "text/jinja_value.h"

// What is parsed, to be freed by the caller whether or not values could be made of it.
typedef struct ql_jinput {
    json_t *messages, *tools, *variables;
} ql_jinput;

ql_code ql_j_parse_input(const ql_render *render, ql_jinput *input, ql_error *err);
void ql_j_free_input(ql_jinput *input);
// Puts messages, tools, documents, add_generation_prompt and the variables into dict, all marked as input.
void ql_j_add_input(ql_jinja *j, ql_jdict *dict, const ql_jinput *input, bool add_generation_prompt);

#endif
