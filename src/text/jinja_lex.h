// SPDX-License-Identifier: MIT
// Template source to tokens, with jinja2's white space rules (trim_blocks and lstrip_blocks on, the last newline of
// the source dropped).
#ifndef QL_TEXT_JINJA_LEX_H
#define QL_TEXT_JINJA_LEX_H

#include "text/jinja_value.h"

typedef enum ql_jtoken_type {
    QL_J_T_DATA,
    QL_J_T_BLOCK_BEGIN,
    QL_J_T_BLOCK_END,
    QL_J_T_PRINT_BEGIN,
    QL_J_T_PRINT_END,
    QL_J_T_NAME,
    QL_J_T_STRING,
    QL_J_T_NUMBER,  // float
    QL_J_T_INTEGER,
    QL_J_T_OP, // text is one of the operators
    QL_J_T_EOF,
} ql_jtoken_type;

typedef struct ql_jtoken {
    ql_jtoken_type type;
    uint32_t line, col;
    ql_jval value; // DATA, STRING, NUMBER, INTEGER: the value; NAME, OP: a string
} ql_jtoken;

// The last token is EOF.
ql_jtoken *ql_j_lex(ql_jinja *j, const char *source, size_t len);

#endif
