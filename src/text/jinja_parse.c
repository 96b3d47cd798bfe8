// SPDX-License-Identifier: MIT
// Owns the grammar of statements.
#include "text/jinja_parse.h"

static ql_jnode *parse_body(ql_jparser *p, const char *const *ends);

// The rest of an opening tag and the statements up to one of the end tags, whose name is then the current token.
static ql_jnode *parse_statements(ql_jparser *p, const char *const *ends)
{
    ql_j_skip_op(p, ":");
    ql_j_expect(p, QL_J_T_BLOCK_END, "the end of the tag");
    ql_j_deeper(p);
    ql_jnode *body = parse_body(p, ends);
    p->nesting--;
    if (p->token->type == QL_J_T_EOF)
        ql_j_fail(p, "unexpected end of template, expected '%s'", ends[0]);
    return body;
}

static ql_jnode *parse_until(ql_jparser *p, const char *end)
{
    const char *const ends[] = {end, NULL};
    ql_jnode *body = parse_statements(p, ends);
    p->token++;
    return body;
}

static ql_jnode *parse_for(ql_jparser *p)
{
    static const char *const ends[] = {"endfor", "else", NULL};
    ql_jnode *node = ql_j_node(p, QL_J_FOR, p->token++);
    ql_jfor *loop = node->loop = QL_J_NEW(p->j, ql_jfor);
    const ql_jtoken *target = p->token;
    loop->target = ql_j_parse_target(p, "in", false);
    const ql_jtoken *after = p->token;
    p->token = target; // once more: names in the scope of the test have slots of their own
    loop->test_target = ql_j_parse_target(p, "in", false);
    p->token = after;
    if (!ql_j_skip_name(p, "in"))
        ql_j_fail_expected(p, "'in'");
    loop->iter = ql_j_parse_tuple(p, QL_J_NO_COND, "recursive");
    if (ql_j_skip_name(p, "if"))
        loop->test = ql_j_parse_expression(p);
    loop->recursive = ql_j_skip_name(p, "recursive");
    loop->body = parse_statements(p, ends);
    bool otherwise = ql_j_at_name(p, "else");
    p->token++;
    if (otherwise)
        loop->otherwise = parse_until(p, "endfor");
    return node;
}

static ql_jnode *parse_if(ql_jparser *p)
{
    static const char *const ends[] = {"endif", "elif", "else", NULL};
    ql_jnode *first = ql_j_node(p, QL_J_IF, p->token), *node = first, *tail = NULL;
    for (;;) {
        p->token++;
        node->a = ql_j_parse_tuple(p, QL_J_NO_COND, NULL);
        node->b = parse_statements(p, ends);
        if (!ql_j_at_name(p, "elif"))
            break;
        node = ql_j_node(p, QL_J_IF, p->token);
        ql_j_append(&first->c, &tail, node);
    }
    bool otherwise = ql_j_at_name(p, "else");
    p->token++;
    if (otherwise)
        first->d = parse_until(p, "endif");
    return first;
}

static ql_jnode *parse_set(ql_jparser *p)
{
    const ql_jtoken *at = p->token++;
    ql_jnode *target = ql_j_parse_target(p, NULL, true);
    bool block = !ql_j_skip_op(p, "=");
    ql_jnode *node = ql_j_node(p, block ? QL_J_SET_BLOCK : QL_J_SET, at);
    node->a = target;
    if (block) {
        node->b = ql_j_parse_filters(p, NULL, false);
        node->c = parse_until(p, "endset");
    } else {
        node->b = ql_j_parse_tuple(p, 0, NULL);
    }
    return node;
}

static void parse_signature(ql_jparser *p, ql_jmacro *macro)
{
    ql_jnode *params_tail = NULL, *defaults_tail = NULL;
    ql_j_expect_op(p, "(");
    while (!ql_j_at_op(p, ")")) {
        if (macro->params)
            ql_j_expect_op(p, ",");
        ql_jnode *param = ql_j_parse_target_name(p);
        for (const ql_jnode *other = macro->params; other; other = other->next) {
            ql_j_step(p->j);
            if (ql_j_str_equal(other->name, param->name))
                ql_j_fail(p, "duplicate argument in the definition of a macro");
        }
        ql_j_append(&macro->params, &params_tail, param);
        macro->n_params++;
        if (ql_j_skip_op(p, "=")) {
            ql_j_append(&macro->defaults, &defaults_tail, ql_j_parse_expression(p));
            macro->n_defaults++;
        } else if (macro->n_defaults) {
            ql_j_fail(p, "non-default argument follows default argument");
        }
    }
    ql_j_expect_op(p, ")");
}

static ql_jnode *parse_macro(ql_jparser *p)
{
    ql_jnode *node = ql_j_node(p, QL_J_MACRO_DEF, p->token++);
    node->macro = QL_J_NEW(p->j, ql_jmacro);
    node->name = node->macro->name = ql_j_parse_target_name(p)->name;
    parse_signature(p, node->macro);
    node->macro->body = parse_until(p, "endmacro");
    return node;
}

static ql_jnode *parse_call_block(ql_jparser *p)
{
    ql_jnode *node = ql_j_node(p, QL_J_CALL_BLOCK, p->token++);
    node->macro = QL_J_NEW(p->j, ql_jmacro);
    if (ql_j_at_op(p, "("))
        parse_signature(p, node->macro);
    node->a = ql_j_parse_expression(p);
    if (node->a->kind != QL_J_CALL)
        ql_j_fail(p, "expected call");
    for (size_t i = 0; i < node->a->call->n_named; i++)
        if (ql_j_str_is(node->a->call->names[i], "caller"))
            ql_j_fail(p, "a call block passes `caller` itself");
    node->macro->body = parse_until(p, "endcall");
    return node;
}

static ql_jnode *parse_filter_block(ql_jparser *p)
{
    ql_jnode *node = ql_j_node(p, QL_J_FILTER_BLOCK, p->token++);
    node->a = ql_j_parse_filters(p, NULL, true);
    node->b = parse_until(p, "endfilter");
    return node;
}

static ql_jnode *parse_with(ql_jparser *p)
{
    ql_jnode *node = ql_j_node(p, QL_J_WITH, p->token++), *targets_tail = NULL, *values_tail = NULL;
    while (p->token->type != QL_J_T_BLOCK_END) {
        if (node->a)
            ql_j_expect_op(p, ",");
        ql_j_append(&node->a, &targets_tail, ql_j_parse_target(p, NULL, false));
        ql_j_expect_op(p, "=");
        ql_j_append(&node->b, &values_tail, ql_j_parse_expression(p));
    }
    node->c = parse_until(p, "endwith");
    return node;
}

static ql_jnode *parse_autoescape(ql_jparser *p)
{
    ql_jnode *node = ql_j_node(p, QL_J_SCOPE_BLOCK, p->token++);
    node->a = ql_j_parse_expression(p);
    node->b = parse_until(p, "endautoescape");
    return node;
}

static ql_jnode *parse_generation(ql_jparser *p)
{
    ql_jnode *node = ql_j_node(p, QL_J_SCOPE_BLOCK, p->token++);
    node->b = parse_until(p, "endgeneration");
    return node;
}

static ql_jnode *parse_print(ql_jparser *p)
{
    ql_jnode *node = ql_j_node(p, QL_J_OUTPUT, p->token++), *tail = NULL;
    while (p->token->type != QL_J_T_BLOCK_END) {
        if (node->a)
            ql_j_expect_op(p, ",");
        ql_j_append(&node->a, &tail, ql_j_parse_expression(p));
    }
    return node;
}

static ql_jnode *parse_block(ql_jparser *p)
{
    ql_jnode *node = ql_j_node(p, QL_J_BLOCK_DEF, p->token++);
    node->macro = QL_J_NEW(p->j, ql_jmacro);
    node->name = ql_j_expect(p, QL_J_T_NAME, "a name")->value.u.s;
    if (ql_j_skip_name(p, "scoped"))
        ql_j_fail(p, "scoped blocks are not supported in a chat template");
    node->flag = ql_j_skip_name(p, "required");
    for (size_t i = 0; i < p->blocks.n; i++) {
        ql_j_step(p->j);
        if (ql_j_str_equal(p->blocks.items[i]->name, node->name))
            ql_j_fail(p, "a block is defined twice");
    }
    node->macro->body = parse_until(p, "endblock");
    if (p->token->type == QL_J_T_NAME && ql_j_str_equal(p->token->value.u.s, node->name))
        p->token++;
    p->blocks.items = ql_j_grow(p->j, p->blocks.items, p->blocks.n, &p->blocks.cap, p->blocks.n + 1,
                                sizeof *p->blocks.items);
    p->blocks.items[p->blocks.n++] = node;
    return node;
}

// Other templates: there are none here. The rest of the tag is not looked at; running it is an error.
static ql_jnode *parse_refused(ql_jparser *p)
{
    ql_jnode *node = ql_j_node(p, QL_J_REFUSED, p->token);
    node->name = p->token++->value.u.s;
    if (p->token->type == QL_J_T_BLOCK_END)
        ql_j_fail_expected(p, "an expression");
    while (p->token->type != QL_J_T_BLOCK_END && p->token->type != QL_J_T_EOF)
        p->token++;
    return node;
}

static ql_jnode *parse_jump(ql_jparser *p)
{
    ql_jkind kind = ql_j_at_name(p, "break") ? QL_J_BREAK : QL_J_CONTINUE;
    return ql_j_node(p, kind, p->token++);
}

static ql_jnode *parse_statement(ql_jparser *p)
{
    static const struct {
        const char *name;
        ql_jnode *(*parse)(ql_jparser *p);
    } statements[] = {
        {"if", parse_if},         {"for", parse_for},           {"set", parse_set},
        {"macro", parse_macro},   {"call", parse_call_block},   {"filter", parse_filter_block},
        {"with", parse_with},     {"generation", parse_generation}, {"autoescape", parse_autoescape},
        {"print", parse_print},   {"block", parse_block},       {"break", parse_jump},
        {"continue", parse_jump}, {"include", parse_refused},   {"import", parse_refused},
        {"from", parse_refused},  {"extends", parse_refused},
    };
    if (p->token->type != QL_J_T_NAME)
        ql_j_fail_expected(p, "the name of a tag");
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++)
        if (ql_j_at_name(p, statements[i].name))
            return statements[i].parse(p);
    const ql_jstr *name = p->token->value.u.s;
    ql_j_fail(p, "unknown tag '%.*s'", name->len < 60 ? (int)name->len : 60, name->s);
}

static bool at_any(const ql_jparser *p, const char *const *ends)
{
    for (; ends && *ends; ends++)
        if (ql_j_at_name(p, *ends))
            return true;
    return false;
}

// Text and print tags in a row are one output.
static ql_jnode *parse_output(ql_jparser *p)
{
    ql_jnode *node = ql_j_node(p, QL_J_OUTPUT, p->token), *tail = NULL;
    while (p->token->type == QL_J_T_DATA || p->token->type == QL_J_T_PRINT_BEGIN) {
        if (p->token->type == QL_J_T_DATA) {
            ql_jnode *data = ql_j_node(p, QL_J_CONST, p->token);
            data->u.value = p->token++->value;
            ql_j_append(&node->a, &tail, data);
            continue;
        }
        p->token++;
        ql_j_append(&node->a, &tail, ql_j_parse_tuple(p, 0, NULL));
        ql_j_expect(p, QL_J_T_PRINT_END, "'}}'");
    }
    return node;
}

static ql_jnode *parse_body(ql_jparser *p, const char *const *ends)
{
    ql_jnode *head = NULL, *tail = NULL;
    while (p->token->type != QL_J_T_EOF) {
        if (p->token->type != QL_J_T_BLOCK_BEGIN) {
            ql_j_append(&head, &tail, parse_output(p));
            continue;
        }
        p->token++;
        if (at_any(p, ends))
            break;
        ql_j_append(&head, &tail, parse_statement(p));
        ql_j_expect(p, QL_J_T_BLOCK_END, "the end of the tag");
    }
    return head;
}

void ql_j_parse(ql_jinja *j, const char *source, size_t len, struct ql_template *tmpl)
{
    if (len > QL_J_MAX_TEXT)
        ql_j_raise(j, "the template has %zu bytes, at most %d are allowed", len, QL_J_MAX_TEXT);
    ql_jparser p = {.j = j};
    p.token = ql_j_lex(j, source, len);
    tmpl->body = parse_body(&p, NULL);
    tmpl->blocks = p.blocks.items;
    tmpl->n_blocks = p.blocks.n;
}
