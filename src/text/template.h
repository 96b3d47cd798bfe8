// SPDX-License-Identifier: MIT
// Chat templates: a Jinja interpreter without host objects, with limits on steps (10^6), output (4 MB), memory (32 MB),
// call depth (128) and nesting of the source (200). Integers
// have 64 bits; larger ones of the input can be printed.
//
// Every byte of a string knows where it came from, the template or a message (taint), through all operations: the
// tokenizer must not see a control token in what a message said.
#ifndef QL_TEXT_TEMPLATE_H
#define QL_TEXT_TEMPLATE_H

#include "base/buf.h"

// struct ql_template of quantllm.h is defined in text/; immutable after compiling, so threads share it.
// ql_template_open, ql_template_close and ql_template_render of quantllm.h are implemented in text/ as well.

// Renders into *text; origin, when not NULL, gets one byte for each byte of text: 0 from the template (its literals,
// bos_token, eos_token), 1 from anywhere else. QL_E_TEMPLATE: a mistake in the template ("chat_template:LINE:COL: ..."),
// raise_exception, or a limit; QL_E_ARGUMENT: messages, tools or variables are not the JSON they must be.
ql_code ql_template_render_buf(const ql_template *tmpl, const ql_render *render, ql_buf *text, ql_buf *origin,
                               ql_error *err);

#endif
