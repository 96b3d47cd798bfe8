// SPDX-License-Identifier: MIT
// JSON text to values of the template interpreter.
#ifndef QL_TEXT_JINJA_READ_H
#define QL_TEXT_JINJA_READ_H

#include "text/jinja_value.h"

// All of a NUL-terminated text, marked as input; strings without escapes point into it. Leaves with QL_E_ARGUMENT and
// "NAME: not JSON at line L, column C: ..." when it is not JSON (RFC 8259), has a lone surrogate or a number beyond
// double, is nested more than 200 deep or has a string of more than 4 MB. Of equal keys the last value counts.
ql_jval ql_j_read_json(ql_jinja *j, const char *text, const char *name);

#endif
