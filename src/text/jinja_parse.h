// SPDX-License-Identifier: MIT
// What the two halves of the parser share: statements (jinja_parse.c) and expressions (jinja_parse_expr.c).
#ifndef QL_TEXT_JINJA_PARSE_H
#define QL_TEXT_JINJA_PARSE_H

#include "text/jinja_ast.h"
#include "text/jinja_lex.h"

typedef struct ql_jparser {
    ql_jinja *j;
    const ql_jtoken *token; // the current one
    int nesting;
    struct ql_jblock_list {
        ql_jnode **items;
        size_t n, cap;
    } blocks; // every {% block %}
} ql_jparser;

__attribute__((noreturn, format(printf, 2, 3))) void ql_j_fail(ql_jparser *p, const char *fmt, ...);
__attribute__((noreturn)) void ql_j_fail_expected(ql_jparser *p, const char *what);

bool ql_j_token_is(const ql_jtoken *token, ql_jtoken_type type, const char *text);
bool ql_j_at_op(const ql_jparser *p, const char *op);
bool ql_j_at_name(const ql_jparser *p, const char *name);
bool ql_j_skip_op(ql_jparser *p, const char *op);
bool ql_j_skip_name(ql_jparser *p, const char *name);
void ql_j_expect_op(ql_jparser *p, const char *op);
const ql_jtoken *ql_j_expect(ql_jparser *p, ql_jtoken_type type, const char *what);
void ql_j_deeper(ql_jparser *p); // around what nests; undone by p->nesting--

ql_jnode *ql_j_node(ql_jparser *p, ql_jkind kind, const ql_jtoken *at);
// After the children of an expression are set: its depth.
ql_jnode *ql_j_adopt(ql_jparser *p, ql_jnode *node);

// Appends to a list whose head is *head and whose end is *tail.
void ql_j_append(ql_jnode **head, ql_jnode **tail, ql_jnode *node);

enum { QL_J_SIMPLE = 1, QL_J_NO_COND = 2, QL_J_PARENS = 4, QL_J_NAMESPACES = 8 };
ql_jnode *ql_j_parse_expression(ql_jparser *p);
ql_jnode *ql_j_parse_tuple(ql_jparser *p, int flags, const char *end_name);
ql_jnode *ql_j_parse_target(ql_jparser *p, const char *end_name, bool namespaces);
ql_jnode *ql_j_parse_target_name(ql_jparser *p);
// A chain of filters on value (NULL: the text of a block). inline_first: the first one without its '|'.
ql_jnode *ql_j_parse_filters(ql_jparser *p, ql_jnode *value, bool inline_first);

#endif
