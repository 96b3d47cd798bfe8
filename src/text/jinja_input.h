// SPDX-License-Identifier: MIT
// Messages, tools and variables of a render as values.
#ifndef QL_TEXT_JINJA_INPUT_H
#define QL_TEXT_JINJA_INPUT_H

#include "text/jinja_value.h"

// Puts messages, tools, documents, add_generation_prompt and the variables into dict, all marked as input. Leaves with
// QL_E_ARGUMENT when they are not the JSON they must be. Values may point into the strings of render.
void ql_j_add_input(ql_jinja *j, ql_jdict *dict, const ql_render *render);

#endif
