// SPDX-License-Identifier: MIT
// Owns the grammar of expressions, in the order of binding from loose to tight, as jinja2 parses it.
#include "text/jinja_filter.h"
#include "text/jinja_num.h"
#include "text/jinja_parse.h"

static ql_jnode *parse_or(ql_jparser *p);
static ql_jnode *parse_unary(ql_jparser *p, bool with_filter);

static ql_jnode *binary(ql_jparser *p, ql_jkind kind, int op, ql_jnode *a, ql_jnode *b, const ql_jtoken *at)
{
    ql_jnode *node = ql_j_node(p, kind, at);
    node->op = (uint8_t)op;
    node->a = a;
    node->b = b;
    return ql_j_adopt(p, node);
}

static ql_jnode *constant(ql_jparser *p, ql_jval v, const ql_jtoken *at)
{
    ql_jnode *node = ql_j_node(p, QL_J_CONST, at);
    node->u.value = v;
    return node;
}

ql_jnode *ql_j_parse_expression(ql_jparser *p)
{
    ql_j_deeper(p);
    ql_jnode *value = parse_or(p);
    while (ql_j_at_name(p, "if")) {
        ql_jnode *node = ql_j_node(p, QL_J_COND, p->token++);
        node->a = parse_or(p);
        node->b = value;
        if (ql_j_skip_name(p, "else"))
            node->c = ql_j_parse_expression(p);
        value = ql_j_adopt(p, node);
    }
    p->nesting--;
    return value;
}

static ql_jnode *parse_math_add(ql_jparser *p);

static ql_jnode *parse_compare(ql_jparser *p)
{
    static const char *const signs[] = {"<", "<=", ">", ">=", "==", "!="};
    ql_jnode *first = parse_math_add(p), *head = NULL, *tail = NULL;
    for (;;) {
        const ql_jtoken *at = p->token;
        int op = -1;
        for (int i = 0; i < 6 && at->type == QL_J_T_OP; i++)
            if (ql_j_at_op(p, signs[i]))
                op = i;
        if (ql_j_at_name(p, "in"))
            op = QL_J_CMP_IN;
        if (ql_j_at_name(p, "not") && ql_j_token_is(at + 1, QL_J_T_NAME, "in"))
            op = QL_J_CMP_NOTIN;
        if (op < 0)
            break;
        p->token += op == QL_J_CMP_NOTIN ? 2 : 1;
        ql_jnode *operand = ql_j_node(p, QL_J_OPERAND, at);
        operand->op = (uint8_t)op;
        operand->a = parse_math_add(p);
        ql_j_append(&head, &tail, ql_j_adopt(p, operand));
    }
    if (!head)
        return first;
    ql_jnode *node = ql_j_node(p, QL_J_COMPARE, p->token);
    node->line = head->line;
    node->col = head->col;
    node->a = first;
    node->b = head;
    return ql_j_adopt(p, node);
}

static ql_jnode *parse_not(ql_jparser *p)
{
    if (!ql_j_at_name(p, "not"))
        return parse_compare(p);
    ql_j_deeper(p);
    ql_jnode *node = ql_j_node(p, QL_J_NOT, p->token++);
    node->a = parse_not(p);
    p->nesting--;
    return ql_j_adopt(p, node);
}

static ql_jnode *parse_and(ql_jparser *p)
{
    ql_jnode *left = parse_not(p);
    while (ql_j_at_name(p, "and")) {
        const ql_jtoken *at = p->token++;
        left = binary(p, QL_J_AND, 0, left, parse_not(p), at);
    }
    return left;
}

static ql_jnode *parse_or(ql_jparser *p)
{
    ql_jnode *left = parse_and(p);
    while (ql_j_at_name(p, "or")) {
        const ql_jtoken *at = p->token++;
        left = binary(p, QL_J_OR, 0, left, parse_and(p), at);
    }
    return left;
}

static ql_jnode *parse_pow(ql_jparser *p)
{
    ql_jnode *left = parse_unary(p, true);
    while (ql_j_at_op(p, "**")) {
        const ql_jtoken *at = p->token++;
        left = binary(p, QL_J_BINARY, QL_J_POW, left, parse_unary(p, true), at);
    }
    return left;
}

static ql_jnode *parse_math_mul(ql_jparser *p)
{
    ql_jnode *left = parse_pow(p);
    for (;;) {
        const ql_jtoken *at = p->token;
        int op = ql_j_skip_op(p, "*")    ? QL_J_MUL
                 : ql_j_skip_op(p, "/")  ? QL_J_DIV
                 : ql_j_skip_op(p, "//") ? QL_J_FLOORDIV
                 : ql_j_skip_op(p, "%")  ? QL_J_MOD
                                         : -1;
        if (op < 0)
            return left;
        left = binary(p, QL_J_BINARY, op, left, parse_pow(p), at);
    }
}

static ql_jnode *parse_concat(ql_jparser *p)
{
    ql_jnode *first = parse_math_mul(p), *tail = first;
    if (!ql_j_at_op(p, "~"))
        return first;
    ql_jnode *node = ql_j_node(p, QL_J_CONCAT, p->token);
    ql_jnode *head = first;
    while (ql_j_skip_op(p, "~"))
        ql_j_append(&head, &tail, parse_math_mul(p));
    node->a = head;
    return ql_j_adopt(p, node);
}

static ql_jnode *parse_math_add(ql_jparser *p)
{
    ql_jnode *left = parse_concat(p);
    while (ql_j_at_op(p, "+") || ql_j_at_op(p, "-")) {
        int op = ql_j_at_op(p, "+") ? QL_J_ADD : QL_J_SUB;
        const ql_jtoken *at = p->token++;
        left = binary(p, QL_J_BINARY, op, left, parse_concat(p), at);
    }
    return left;
}

static ql_jnode *parse_items(ql_jparser *p, ql_jkind kind, const char *end)
{
    ql_jnode *node = ql_j_node(p, kind, p->token++), *tail = NULL;
    while (!ql_j_at_op(p, end)) {
        if (node->a)
            ql_j_expect_op(p, ",");
        if (ql_j_at_op(p, end))
            break;
        ql_j_append(&node->a, &tail, ql_j_parse_expression(p));
        if (kind == QL_J_DICT_EXPR) {
            ql_j_expect_op(p, ":");
            ql_j_append(&node->a, &tail, ql_j_parse_expression(p));
        }
    }
    ql_j_expect_op(p, end);
    return ql_j_adopt(p, node);
}

static ql_jnode *parse_strings(ql_jparser *p)
{
    const ql_jtoken *at = p->token++;
    ql_jstr *s = at->value.u.s;
    while (p->token->type == QL_J_T_STRING)
        s = ql_j_concat(p->j, s, p->token++->value.u.s);
    if (s != at->value.u.s) { // shared by threads from now on: no growing, and the hash is known
        ql_jstr *own = QL_J_NEW(p->j, ql_jstr);
        *own = *s;
        own->tail = NULL;
        s = own;
        ql_j_str_hash(s);
    }
    return constant(p, ql_j_strv(s), at);
}

static ql_jnode *parse_name(ql_jparser *p, bool namespaces)
{
    const ql_jtoken *at = p->token++;
    const ql_jstr *s = at->value.u.s;
    if (ql_j_str_is(s, "true") || ql_j_str_is(s, "True"))
        return constant(p, ql_j_bool(true), at);
    if (ql_j_str_is(s, "false") || ql_j_str_is(s, "False"))
        return constant(p, ql_j_bool(false), at);
    if (ql_j_str_is(s, "none") || ql_j_str_is(s, "None"))
        return constant(p, ql_j_none(), at);
    bool reference = namespaces && ql_j_skip_op(p, ".");
    ql_jnode *node = ql_j_node(p, reference ? QL_J_NSREF : QL_J_NAME, at);
    node->name = s;
    if (reference)
        node->attr = ql_j_expect(p, QL_J_T_NAME, "a name")->value.u.s;
    return node;
}

static ql_jnode *parse_primary(ql_jparser *p, bool namespaces)
{
    const ql_jtoken *at = p->token;
    switch (at->type) {
    case QL_J_T_NAME:
        return parse_name(p, namespaces);
    case QL_J_T_STRING:
        return parse_strings(p);
    case QL_J_T_INTEGER:
    case QL_J_T_NUMBER:
        p->token++;
        return constant(p, at->value, at);
    default:
        break;
    }
    if (ql_j_at_op(p, "["))
        return parse_items(p, QL_J_LIST_EXPR, "]");
    if (ql_j_at_op(p, "{"))
        return parse_items(p, QL_J_DICT_EXPR, "}");
    if (!ql_j_skip_op(p, "("))
        ql_j_fail_expected(p, "an expression");
    ql_jnode *node = ql_j_parse_tuple(p, QL_J_PARENS, NULL);
    ql_j_expect_op(p, ")");
    return node;
}

static bool tuple_ends(const ql_jparser *p, const char *end_name)
{
    return p->token->type == QL_J_T_PRINT_END || p->token->type == QL_J_T_BLOCK_END || ql_j_at_op(p, ")") ||
           (end_name && ql_j_at_name(p, end_name));
}

ql_jnode *ql_j_parse_tuple(ql_jparser *p, int flags, const char *end_name)
{
    const ql_jtoken *at = p->token;
    ql_jnode *head = NULL, *tail = NULL;
    bool tuple = false;
    ql_j_deeper(p);
    for (;;) {
        if (head)
            ql_j_expect_op(p, ",");
        if (tuple_ends(p, end_name))
            break;
        ql_jnode *item = flags & QL_J_SIMPLE    ? parse_primary(p, flags & QL_J_NAMESPACES)
                         : flags & QL_J_NO_COND ? parse_or(p)
                                                : ql_j_parse_expression(p);
        ql_j_append(&head, &tail, item);
        if (!ql_j_at_op(p, ","))
            break;
        tuple = true;
    }
    p->nesting--;
    if (!tuple && head)
        return head;
    if (!tuple && !(flags & QL_J_PARENS))
        ql_j_fail_expected(p, "an expression");
    ql_jnode *node = ql_j_node(p, QL_J_TUPLE_EXPR, at);
    node->a = head;
    return ql_j_adopt(p, node);
}

static bool can_assign(const ql_jnode *node)
{
    if (node->kind != QL_J_TUPLE_EXPR)
        return node->kind == QL_J_NAME || node->kind == QL_J_NSREF;
    for (const ql_jnode *item = node->a; item; item = item->next)
        if (!can_assign(item))
            return false;
    return true;
}

ql_jnode *ql_j_parse_target(ql_jparser *p, const char *end_name, bool namespaces)
{
    const ql_jtoken *at = p->token;
    ql_jnode *node = ql_j_parse_tuple(p, QL_J_SIMPLE | (namespaces ? QL_J_NAMESPACES : 0), end_name);
    if (!can_assign(node)) {
        p->token = at;
        ql_j_fail(p, "can't assign to this");
    }
    return node;
}

ql_jnode *ql_j_parse_target_name(ql_jparser *p)
{
    const ql_jtoken *at = p->token;
    if (at->type != QL_J_T_NAME)
        ql_j_fail_expected(p, "a name");
    ql_jnode *node = parse_name(p, false);
    if (node->kind != QL_J_NAME) {
        p->token = at;
        ql_j_fail(p, "can't assign to a constant");
    }
    return node;
}

static void add_named(ql_jparser *p, ql_jcall *call, size_t *cap, ql_jnode **tail)
{
    const ql_jtoken *at = p->token;
    for (size_t i = 0; i < call->n_named; i++)
        if (ql_j_str_equal(call->names[i], at->value.u.s))
            ql_j_fail(p, "a keyword argument is repeated");
    ql_j_charge(p->j, call->n_named * QL_J_BYTES_PER_STEP / 2);
    call->names = ql_j_grow(p->j, call->names, call->n_named, cap, call->n_named + 1, sizeof *call->names);
    call->names[call->n_named++] = at->value.u.s;
    p->token += 2;
    ql_j_append(&call->named, tail, ql_j_parse_expression(p));
}

static ql_jcall *parse_call_args(ql_jparser *p)
{
    const ql_jtoken *at = p->token;
    ql_jcall *call = QL_J_NEW(p->j, ql_jcall);
    ql_jnode *args_tail = NULL, *named_tail = NULL;
    size_t cap = 0;
    bool any = false, wrong = false;
    ql_j_expect_op(p, "(");
    for (; !ql_j_at_op(p, ")"); any = true) {
        if (any) {
            ql_j_expect_op(p, ",");
            if (ql_j_at_op(p, ")"))
                break;
        }
        if (ql_j_skip_op(p, "*")) {
            wrong = wrong || call->star || call->star_star;
            call->star = ql_j_parse_expression(p);
        } else if (ql_j_skip_op(p, "**")) {
            wrong = wrong || call->star_star;
            call->star_star = ql_j_parse_expression(p);
        } else if (p->token->type == QL_J_T_NAME && ql_j_token_is(p->token + 1, QL_J_T_OP, "=")) {
            wrong = wrong || call->star_star;
            add_named(p, call, &cap, &named_tail);
        } else {
            wrong = wrong || call->star || call->star_star || call->n_named;
            ql_j_append(&call->args, &args_tail, ql_j_parse_expression(p));
            call->n_args++;
        }
    }
    ql_j_expect_op(p, ")");
    if (wrong) {
        p->token = at;
        ql_j_fail(p, "invalid syntax for function call expression");
    }
    return call;
}

static ql_jnode *parse_call(ql_jparser *p, ql_jnode *callee)
{
    ql_jnode *node = ql_j_node(p, QL_J_CALL, p->token);
    node->a = callee;
    node->call = parse_call_args(p);
    return ql_j_adopt(p, node);
}

static ql_jnode *parse_subscribed(ql_jparser *p)
{
    ql_jnode *node = ql_j_node(p, QL_J_SLICE, p->token), *start = NULL;
    if (!ql_j_at_op(p, ":")) {
        start = ql_j_parse_expression(p);
        if (!ql_j_at_op(p, ":"))
            return start;
    }
    p->token++;
    node->a = start;
    if (!ql_j_at_op(p, ":") && !ql_j_at_op(p, "]") && !ql_j_at_op(p, ","))
        node->b = ql_j_parse_expression(p);
    if (ql_j_skip_op(p, ":") && !ql_j_at_op(p, "]") && !ql_j_at_op(p, ","))
        node->c = ql_j_parse_expression(p);
    return ql_j_adopt(p, node);
}

static ql_jnode *parse_subscript(ql_jparser *p, ql_jnode *value)
{
    const ql_jtoken *at = p->token++;
    ql_jnode *node = ql_j_node(p, QL_J_ITEM, at);
    node->a = value;
    if (ql_j_str_is(at->value.u.s, ".")) {
        const ql_jtoken *attr = p->token;
        if (attr->type == QL_J_T_NAME) {
            node->kind = QL_J_ATTR;
            node->attr = attr->value.u.s;
        } else if (attr->type == QL_J_T_INTEGER) {
            node->b = constant(p, attr->value, attr);
        } else {
            ql_j_fail_expected(p, "a name");
        }
        p->token++;
        return ql_j_adopt(p, node);
    }
    ql_jnode *head = NULL, *tail = NULL;
    while (!ql_j_at_op(p, "]")) {
        if (head)
            ql_j_expect_op(p, ",");
        ql_j_append(&head, &tail, parse_subscribed(p));
        if (head != tail && (head->kind == QL_J_SLICE || tail->kind == QL_J_SLICE))
            ql_j_fail(p, "a slice among several subscripts");
    }
    ql_j_expect_op(p, "]");
    node->b = head;
    if (!head || head != tail) {
        node->b = ql_j_node(p, QL_J_TUPLE_EXPR, at);
        node->b->a = head;
        ql_j_adopt(p, node->b);
    }
    return ql_j_adopt(p, node);
}

static ql_jnode *parse_postfix(ql_jparser *p, ql_jnode *node)
{
    for (;;) {
        if (ql_j_at_op(p, ".") || ql_j_at_op(p, "["))
            node = parse_subscript(p, node);
        else if (ql_j_at_op(p, "("))
            node = parse_call(p, node);
        else
            return node;
    }
}

// "name" or "a.b" of a filter or a test.
static const ql_jstr *parse_dotted(ql_jparser *p)
{
    const ql_jstr *name = ql_j_expect(p, QL_J_T_NAME, "a name")->value.u.s;
    while (ql_j_skip_op(p, ".")) {
        name = ql_j_concat(p->j, name, ql_j_cstr(p->j, "."));
        name = ql_j_concat(p->j, name, ql_j_expect(p, QL_J_T_NAME, "a name")->value.u.s);
    }
    return name;
}

ql_jnode *ql_j_parse_filters(ql_jparser *p, ql_jnode *value, bool inline_first)
{
    while (inline_first || ql_j_at_op(p, "|")) {
        if (!inline_first)
            p->token++;
        ql_jnode *node = ql_j_node(p, QL_J_FILTER, p->token);
        node->a = value;
        node->name = parse_dotted(p);
        node->u.func = ql_j_find_filter(node->name);
        node->call = ql_j_at_op(p, "(") ? parse_call_args(p) : QL_J_NEW(p->j, ql_jcall);
        value = ql_j_adopt(p, node);
        inline_first = false;
    }
    return value;
}

// The one argument that a test takes without parentheses begins here.
static bool at_bare_argument(const ql_jparser *p)
{
    switch (p->token->type) {
    case QL_J_T_NAME:
        return !ql_j_at_name(p, "else") && !ql_j_at_name(p, "or") && !ql_j_at_name(p, "and");
    case QL_J_T_STRING:
    case QL_J_T_INTEGER:
    case QL_J_T_NUMBER:
        return true;
    default:
        return ql_j_at_op(p, "[") || ql_j_at_op(p, "{");
    }
}

static ql_jnode *parse_test(ql_jparser *p, ql_jnode *value)
{
    ql_jnode *node = ql_j_node(p, QL_J_TEST, p->token++), *negation = NULL;
    if (ql_j_at_name(p, "not"))
        negation = ql_j_node(p, QL_J_NOT, p->token++);
    node->a = value;
    node->name = parse_dotted(p);
    node->u.func = ql_j_find_test(node->name);
    if (ql_j_at_op(p, "(")) {
        node->call = parse_call_args(p);
    } else {
        node->call = QL_J_NEW(p->j, ql_jcall);
        if (at_bare_argument(p)) {
            if (ql_j_at_name(p, "is"))
                ql_j_fail(p, "you cannot chain multiple tests with is");
            node->call->args = parse_postfix(p, parse_primary(p, false));
            node->call->n_args = 1;
        }
    }
    ql_j_adopt(p, node);
    if (!negation)
        return node;
    negation->a = node;
    return ql_j_adopt(p, negation);
}

static ql_jnode *parse_unary(ql_jparser *p, bool with_filter)
{
    ql_jnode *node;
    ql_j_deeper(p);
    if (ql_j_at_op(p, "-") || ql_j_at_op(p, "+")) {
        node = ql_j_node(p, ql_j_at_op(p, "-") ? QL_J_NEG : QL_J_POS, p->token);
        p->token++;
        node->a = parse_unary(p, false);
        ql_j_adopt(p, node);
    } else {
        node = parse_primary(p, false);
    }
    node = parse_postfix(p, node);
    while (with_filter) {
        if (ql_j_at_op(p, "|"))
            node = ql_j_parse_filters(p, node, false);
        else if (ql_j_at_name(p, "is"))
            node = parse_test(p, node);
        else if (ql_j_at_op(p, "("))
            node = parse_call(p, node);
        else
            break;
    }
    p->nesting--;
    return node;
}
