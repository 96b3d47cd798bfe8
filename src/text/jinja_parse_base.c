// SPDX-License-Identifier: MIT
// Owns what every rule of the grammar uses: looking at tokens, nodes, and the limits on nesting.
#include <stdarg.h>
#include <stdio.h>

#include "text/jinja_parse.h"

bool ql_j_token_is(const ql_jtoken *token, ql_jtoken_type type, const char *text)
{
    return token->type == type && ql_j_str_is(token->value.u.s, text);
}

void ql_j_fail(ql_jparser *p, const char *fmt, ...)
{
    char message[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    p->j->line = p->token->line;
    p->j->col = p->token->col;
    ql_j_raise(p->j, "%s", message);
}

void ql_j_fail_expected(ql_jparser *p, const char *what)
{
    const ql_jtoken *token = p->token;
    switch (token->type) {
    case QL_J_T_EOF:
        ql_j_fail(p, "expected %s, got the end of the template", what);
    case QL_J_T_NAME:
    case QL_J_T_OP:
        ql_j_fail(p, "expected %s, got '%.*s'", what, token->value.u.s->len < 60 ? (int)token->value.u.s->len : 60,
                  token->value.u.s->s);
    case QL_J_T_BLOCK_END:
    case QL_J_T_PRINT_END:
        ql_j_fail(p, "expected %s, got the end of the tag", what);
    default:
        ql_j_fail(p, "expected %s, got a %s", what,
                  token->type == QL_J_T_STRING ? "string"
                  : token->type == QL_J_T_NUMBER || token->type == QL_J_T_INTEGER ? "number" : "piece of text");
    }
}

bool ql_j_at_op(const ql_jparser *p, const char *op) { return ql_j_token_is(p->token, QL_J_T_OP, op); }
bool ql_j_at_name(const ql_jparser *p, const char *name) { return ql_j_token_is(p->token, QL_J_T_NAME, name); }

bool ql_j_skip_op(ql_jparser *p, const char *op)
{
    bool there = ql_j_at_op(p, op);
    p->token += there;
    return there;
}

bool ql_j_skip_name(ql_jparser *p, const char *name)
{
    bool there = ql_j_at_name(p, name);
    p->token += there;
    return there;
}

void ql_j_expect_op(ql_jparser *p, const char *op)
{
    char what[8];
    snprintf(what, sizeof what, "'%s'", op);
    if (!ql_j_skip_op(p, op))
        ql_j_fail_expected(p, what);
}

const ql_jtoken *ql_j_expect(ql_jparser *p, ql_jtoken_type type, const char *what)
{
    if (p->token->type != type)
        ql_j_fail_expected(p, what);
    return p->token++;
}

void ql_j_deeper(ql_jparser *p)
{
    if (++p->nesting > QL_J_MAX_NESTING)
        ql_j_fail(p, "nesting %d", QL_J_MAX_NESTING);
}

ql_jnode *ql_j_node(ql_jparser *p, ql_jkind kind, const ql_jtoken *at)
{
    ql_jnode *node = QL_J_NEW(p->j, ql_jnode);
    node->kind = (uint8_t)kind;
    node->line = at->line;
    node->col = at->col;
    node->depth = 1;
    return node;
}

static void deepen(ql_jnode *node, const ql_jnode *child)
{
    for (; child; child = child->next)
        if (child->depth >= node->depth)
            node->depth = (uint16_t)(child->depth + 1);
}

ql_jnode *ql_j_adopt(ql_jparser *p, ql_jnode *node)
{
    deepen(node, node->a);
    deepen(node, node->b);
    deepen(node, node->c);
    if (node->call) {
        deepen(node, node->call->args);
        deepen(node, node->call->named);
        deepen(node, node->call->star);
        deepen(node, node->call->star_star);
    }
    if (node->depth > QL_J_MAX_CHAIN)
        ql_j_fail(p, "an expression of more than %d operators in a chain", QL_J_MAX_CHAIN);
    return node;
}

void ql_j_append(ql_jnode **head, ql_jnode **tail, ql_jnode *node)
{
    if (*tail)
        (*tail)->next = node;
    else
        *head = node;
    *tail = node;
}
