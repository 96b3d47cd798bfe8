// SPDX-License-Identifier: MIT
// Owns the traversal of the tree by name.
#include "text/jinja_walk.h"

typedef struct walker {
    ql_jinja *j;
    ql_jvisit *visit;
    void *user;
} walker;

static void each_in(ql_jnode *list, void (*each)(void *user, ql_jnode *child), void *user)
{
    for (; list; list = list->next)
        each(user, list);
}

void ql_j_each_child(ql_jnode *node, void (*each)(void *user, ql_jnode *child), void *user)
{
    each_in(node->a, each, user);
    each_in(node->b, each, user);
    each_in(node->c, each, user);
    if (node->call) {
        each_in(node->call->args, each, user);
        each_in(node->call->named, each, user);
        each_in(node->call->star, each, user);
        each_in(node->call->star_star, each, user);
    }
}

static void walk_expr(void *user, ql_jnode *node)
{
    walker *w = user;
    ql_j_step(w->j);
    if (node->kind == QL_J_NAME)
        w->visit(w->user, node, true);
    else
        ql_j_each_child(node, walk_expr, w);
}

static void walk_target(walker *w, ql_jnode *node)
{
    if (node->kind == QL_J_NAME)
        w->visit(w->user, node, false);
    for (ql_jnode *item = node->kind == QL_J_TUPLE_EXPR ? node->a : NULL; item; item = item->next)
        walk_target(w, item);
}

static void walk_list(walker *w, ql_jnode *list);

static void walk_macro(walker *w, ql_jmacro *macro)
{
    for (ql_jnode *param = macro->params; param; param = param->next)
        walk_target(w, param);
    each_in(macro->defaults, walk_expr, w);
    walk_list(w, macro->body);
}

static void walk_for(walker *w, ql_jfor *loop)
{
    walk_target(w, loop->target);
    walk_expr(w, loop->iter);
    walk_list(w, loop->body);
    walk_list(w, loop->otherwise);
    each_in(loop->test, walk_expr, w);
}

static void walk_if(walker *w, ql_jnode *node)
{
    walk_expr(w, node->a);
    walk_list(w, node->b);
    for (ql_jnode *elif = node->c; elif; elif = elif->next)
        walk_if(w, elif);
    walk_list(w, node->d);
}

static void walk_statement(walker *w, ql_jnode *node)
{
    switch (node->kind) {
    case QL_J_FOR:
        walk_for(w, node->loop);
        break;
    case QL_J_IF:
        walk_if(w, node);
        break;
    case QL_J_SET:
        walk_target(w, node->a);
        walk_expr(w, node->b);
        break;
    case QL_J_SET_BLOCK:
        walk_target(w, node->a);
        each_in(node->b, walk_expr, w);
        walk_list(w, node->c);
        break;
    case QL_J_CALL_BLOCK:
        walk_expr(w, node->a);
        walk_macro(w, node->macro);
        break;
    case QL_J_MACRO_DEF:
        walk_macro(w, node->macro);
        break;
    case QL_J_FILTER_BLOCK:
        walk_list(w, node->b);
        walk_expr(w, node->a);
        break;
    case QL_J_WITH:
        for (ql_jnode *target = node->a; target; target = target->next)
            walk_target(w, target);
        each_in(node->b, walk_expr, w);
        walk_list(w, node->c);
        break;
    case QL_J_SCOPE_BLOCK:
        each_in(node->a, walk_expr, w);
        walk_list(w, node->b);
        break;
    case QL_J_OUTPUT:
        each_in(node->a, walk_expr, w);
        break;
    default: // jumps, blocks and what is refused
        break;
    }
}

static void walk_list(walker *w, ql_jnode *list)
{
    for (; list; list = list->next) {
        ql_j_step(w->j);
        if (list->kind < QL_J_OUTPUT)
            walk_expr(w, list);
        else
            walk_statement(w, list);
    }
}

void ql_j_walk(ql_jinja *j, ql_jnode *list, ql_jvisit *visit, void *user)
{
    walker w = {j, visit, user};
    walk_list(&w, list);
}

void ql_j_walk_expr(ql_jinja *j, ql_jnode *node, ql_jvisit *visit, void *user)
{
    walker w = {j, visit, user};
    walk_expr(&w, node);
}

typedef struct search {
    const char *const *names;
    size_t n;
    bool *found;
    uint32_t assigned; // bit i
} search;

static void look(void *user, ql_jnode *name, bool load)
{
    search *s = user;
    for (size_t i = 0; i < s->n; i++) {
        if (!ql_j_str_is(name->name, s->names[i]))
            continue;
        if (!load)
            s->assigned |= 1u << i;
        else if (!(s->assigned & 1u << i))
            s->found[i] = true;
    }
}

void ql_j_undeclared(ql_jinja *j, ql_jnode *list, const char *const *names, size_t n, bool *found)
{
    search s = {.names = names, .n = n, .found = found};
    memset(found, 0, n * sizeof *found);
    ql_j_walk(j, list, look, &s);
}
