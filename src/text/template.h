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

// As ql_template_render_buf, for messages as people send them to a model. As transformers' apply_chat_template: what is
// null in a message is left out of it, and reasoning given as "reasoning_content", "thinking" or "reasoning" is also there
// under the first two names, since templates differ in which one they read.
ql_code ql_template_render_chat(const ql_template *tmpl, const ql_render *render, ql_buf *text, ql_buf *origin,
                                ql_error *err);

// Renders one short message, as the simplest chat does. QL_OK unless that passes a limit: a template that fails for
// another reason may want other messages.
ql_code ql_template_probe(const ql_template *tmpl, ql_error *err);

#endif
