// SPDX-License-Identifier: MIT
// Owns the binding of names to slots. A scope is looked at as a whole before its statements are bound, because a name
// that it assigns anywhere is its own everywhere in it. A name of a scope begins with
//   - the value of the same name outside, when it is assigned here and exists outside (ALIAS);
//   - the variable of the render, when it is read or assigned under a condition first (RESOLVE);
//   - nothing, when it is assigned unconditionally first.
// The rules are those of jinja2's idtracking.Symbols, in closed form.
#include "text/jinja_walk.h"

typedef struct function {
    struct function *outer;
    uint32_t n_slots, depth;
} function;

typedef struct binding {
    struct binding *shadowed;      // the same name further out
    struct binding *next_in_frame; // another name of the frame
    struct frame *frame;
    size_t name;
    uint32_t slot;
} binding;

typedef struct frame {
    struct frame *parent;
    function *function;
    ql_jscope *scope;
    size_t cap;
    binding *bindings;
    bool top_level;
} frame;

typedef struct binder {
    ql_jinja *j;
    ql_jdict *names;  // name -> number
    binding **newest; // [names] of each name
    size_t cap;
    frame *frame;
    bool conditional; // while looking: inside an if of the frame
    bool soft;        // while binding: an unknown filter is an error only when it runs
    bool in_loop;
} binder;

static size_t number_of(binder *b, const ql_jstr *name)
{
    ql_jval *known = ql_j_get_str(b->j, b->names, name);
    if (known)
        return (size_t)known->u.i;
    size_t n = b->names->n;
    ql_j_set(b->j, b->names, ql_j_strv(name), ql_j_int((int64_t)n));
    b->newest = ql_j_grow(b->j, b->newest, n, &b->cap, n + 1, sizeof *b->newest);
    b->newest[n] = NULL;
    return n;
}

static void open_frame(binder *b, frame *f, function *fn, ql_jscope *scope)
{
    *f = (frame){.parent = b->frame, .function = fn, .scope = scope};
    b->frame = f;
}

static void close_frame(binder *b)
{
    for (binding *x = b->frame->bindings; x; x = x->next_in_frame)
        b->newest[x->name] = x->shadowed;
    b->frame = b->frame->parent;
}

static void open_function(binder *b, function *fn)
{
    function *outer = b->frame ? b->frame->function : NULL;
    *fn = (function){.outer = outer, .depth = outer ? outer->depth + 1 : 0};
}

static binding *define(binder *b, size_t name)
{
    frame *f = b->frame;
    binding *x = QL_J_NEW(b->j, binding);
    *x = (binding){.shadowed = b->newest[name], .next_in_frame = f->bindings, .frame = f, .name = name,
                   .slot = f->function->n_slots++};
    b->newest[name] = f->bindings = x;
    return x;
}

static ql_jload *add_load(binder *b, binding *x)
{
    frame *f = b->frame;
    ql_jscope *scope = f->scope;
    scope->loads = ql_j_grow(b->j, scope->loads, scope->n_loads, &f->cap, scope->n_loads + 1, sizeof *scope->loads);
    ql_jload *load = &scope->loads[scope->n_loads++];
    *load = (ql_jload){.slot = x->slot};
    return load;
}

static void define_resolve(binder *b, const ql_jstr *name)
{
    ql_jload *load = add_load(b, define(b, number_of(b, name)));
    load->action = QL_J_LOAD_RESOLVE;
    load->name = name;
}

static uint32_t define_param(binder *b, const ql_jstr *name)
{
    size_t number = number_of(b, name);
    binding *x = b->newest[number];
    return x && x->frame == b->frame ? x->slot : define(b, number)->slot;
}

static void see_store(binder *b, const ql_jstr *name)
{
    size_t number = number_of(b, name);
    const binding *outer = b->newest[number];
    if (outer && outer->frame == b->frame)
        return;
    if (!outer && b->conditional) {
        define_resolve(b, name);
        return;
    }
    ql_jload *load = add_load(b, define(b, number));
    load->action = outer ? QL_J_LOAD_ALIAS : QL_J_LOAD_NOTHING;
    if (outer) {
        load->hops = b->frame->function->depth - outer->frame->function->depth;
        load->from = outer->slot;
    }
}

static void see_name(void *user, ql_jnode *node, bool load)
{
    binder *b = user;
    size_t number = number_of(b, node->name); // may move b->newest
    if (!load)
        see_store(b, node->name);
    else if (!b->newest[number])
        define_resolve(b, node->name);
}

static void see_expr(binder *b, ql_jnode *node)
{
    if (node)
        ql_j_walk_expr(b->j, node, see_name, b);
}

static void see_exprs(binder *b, ql_jnode *list)
{
    for (; list; list = list->next)
        see_expr(b, list);
}

static void see_target(binder *b, ql_jnode *node)
{
    if (node->kind == QL_J_NAME)
        see_store(b, node->name);
    else if (node->kind == QL_J_NSREF)
        see_name(b, node, true);
    for (ql_jnode *item = node->kind == QL_J_TUPLE_EXPR ? node->a : NULL; item; item = item->next)
        see_target(b, item);
}

static void see_params(binder *b, ql_jnode *target)
{
    if (target->kind == QL_J_NAME)
        define_param(b, target->name);
    for (ql_jnode *item = target->kind == QL_J_TUPLE_EXPR ? target->a : NULL; item; item = item->next)
        see_params(b, item);
}

static void see_body(binder *b, ql_jnode *list);

static void see_branches(binder *b, ql_jnode *node)
{
    bool outer = b->conditional;
    see_expr(b, node->a);
    b->conditional = true;
    see_body(b, node->b);
    for (ql_jnode *elif = node->c; elif; elif = elif->next)
        see_branches(b, elif);
    see_body(b, node->d);
    b->conditional = outer;
}

// What a statement does to the names of the scope it stands in; scopes inside it are looked at when they are bound.
static void see_statement(binder *b, ql_jnode *node)
{
    switch (node->kind) {
    case QL_J_OUTPUT:
        see_exprs(b, node->a);
        break;
    case QL_J_FOR:
        see_expr(b, node->loop->iter);
        break;
    case QL_J_IF:
        see_branches(b, node);
        break;
    case QL_J_SET:
        see_expr(b, node->b);
        see_target(b, node->a);
        break;
    case QL_J_SET_BLOCK:
        see_target(b, node->a);
        break;
    case QL_J_MACRO_DEF:
        see_store(b, node->name);
        break;
    case QL_J_CALL_BLOCK:
    case QL_J_FILTER_BLOCK:
        see_expr(b, node->a);
        break;
    case QL_J_WITH:
        see_exprs(b, node->b);
        break;
    default:
        break;
    }
}

static void see_body(binder *b, ql_jnode *list)
{
    for (; list; list = list->next)
        see_statement(b, list);
}

// A new scope: nothing in it is under a condition yet.
static void see_scope(binder *b, ql_jnode *list)
{
    bool outer = b->conditional;
    b->conditional = false;
    see_body(b, list);
    b->conditional = outer;
}

// ---- binding

static void bind_name(binder *b, ql_jnode *node)
{
    size_t number = number_of(b, node->name);
    const binding *x = b->newest[number];
    if (!x) { // only in the filter of a set block, whose names jinja2 does not look at
        b->j->line = node->line;
        b->j->col = node->col;
        ql_j_raise(b->j, "'%.*s' is not known in the filter of a set block",
                   node->name->len < 60 ? (int)node->name->len : 60, node->name->s);
    }
    node->slot = x->slot;
    node->hops = (uint16_t)(b->frame->function->depth - x->frame->function->depth);
}

static void bind_expr(void *user, ql_jnode *node)
{
    binder *b = user;
    bool soft = b->soft;
    ql_j_step(b->j);
    if (node->kind == QL_J_NAME || node->kind == QL_J_NSREF)
        bind_name(b, node);
    if ((node->kind == QL_J_FILTER || node->kind == QL_J_TEST) && !node->u.func && !soft) {
        b->j->line = node->line;
        b->j->col = node->col;
        ql_j_raise(b->j, "no %s named '%.*s'", node->kind == QL_J_FILTER ? "filter" : "test",
                   node->name->len < 60 ? (int)node->name->len : 60, node->name->s);
    }
    b->soft = soft || node->kind == QL_J_COND;
    ql_j_each_child(node, bind_expr, b);
    b->soft = soft;
}

static void bind_exprs(binder *b, ql_jnode *list)
{
    for (; list; list = list->next)
        bind_expr(b, list);
}

static void bind_body(binder *b, ql_jnode *list);

// The body of a scope of its own: filters are checked again, and jumps may or may not leave it.
static void bind_scope(binder *b, ql_jnode *list, bool in_loop)
{
    bool soft = b->soft, outer = b->in_loop;
    b->soft = false;
    b->in_loop = in_loop;
    bind_body(b, list);
    b->soft = soft;
    b->in_loop = outer;
}

static void bind_macro(binder *b, ql_jmacro *macro)
{
    static const char *const names[] = {"caller", "kwargs", "varargs"};
    bool used[3];
    function fn;
    frame f;
    ql_j_undeclared(b->j, macro->body, names, 3, used);
    open_function(b, &fn);
    open_frame(b, &f, &fn, &macro->scope);
    size_t i = 0;
    for (ql_jnode *param = macro->params; param; param = param->next, i++) {
        define_param(b, param->name);
        bool has_default = i >= macro->n_params - macro->n_defaults;
        if (ql_j_str_is(param->name, "caller")) {
            macro->caller_is_param = true;
            if (used[0] && !has_default)
                ql_j_raise(b->j, "the argument `caller` of a macro must be omitted or have a default");
        }
        for (int k = 1; k < 3; k++)
            used[k] = used[k] && !ql_j_str_is(param->name, names[k]);
    }
    macro->uses_caller = used[0];
    macro->uses_kwargs = used[1];
    macro->uses_varargs = used[2];
    if (used[0])
        macro->caller_slot = define_param(b, ql_j_cstr(b->j, "caller"));
    if (used[1])
        macro->kwargs_slot = define_param(b, ql_j_cstr(b->j, "kwargs"));
    if (used[2])
        macro->varargs_slot = define_param(b, ql_j_cstr(b->j, "varargs"));
    see_exprs(b, macro->defaults);
    see_scope(b, macro->body);
    bind_exprs(b, macro->params);
    bind_exprs(b, macro->defaults);
    bind_scope(b, macro->body, false);
    close_frame(b);
    macro->n_slots = fn.n_slots;
}

static void refuse_loop(void *user, ql_jnode *name, bool load)
{
    ql_jinja *j = user;
    if (load || !ql_j_str_is(name->name, "loop"))
        return;
    j->line = name->line;
    j->col = name->col;
    ql_j_raise(j, "can't assign to special loop variable in for-loop");
}

static void refuse_loop_target(binder *b, ql_jnode *target)
{
    if (target->kind == QL_J_NAME)
        refuse_loop(b->j, target, false);
    for (ql_jnode *item = target->kind == QL_J_TUPLE_EXPR ? target->a : NULL; item; item = item->next)
        refuse_loop_target(b, item);
}

static void bind_for_test(binder *b, ql_jfor *loop, function *fn)
{
    frame f;
    bool soft = b->soft;
    open_frame(b, &f, fn, &loop->test_scope);
    see_params(b, loop->test_target);
    see_expr(b, loop->test);
    b->soft = false;
    bind_expr(b, loop->test_target);
    bind_expr(b, loop->test);
    b->soft = soft;
    close_frame(b);
}

static void bind_for(binder *b, ql_jnode *node)
{
    static const char *const name[] = {"loop"};
    ql_jfor *loop = node->loop;
    function own, *fn = b->frame->function;
    frame f;
    bind_expr(b, loop->iter);
    ql_j_walk(b->j, loop->body, refuse_loop, b->j);
    ql_j_walk(b->j, loop->otherwise, refuse_loop, b->j);
    refuse_loop_target(b, loop->target);
    ql_j_undeclared(b->j, loop->body, name, 1, &loop->extended);
    loop->extended = loop->extended || loop->recursive;
    if (loop->recursive) {
        open_function(b, &own);
        fn = &own;
    }
    if (loop->test)
        bind_for_test(b, loop, fn);
    open_frame(b, &f, fn, &loop->scope);
    if (loop->extended)
        loop->loop_slot = define_param(b, ql_j_cstr(b->j, "loop"));
    see_params(b, loop->target);
    see_scope(b, loop->body);
    bind_expr(b, loop->target);
    bind_scope(b, loop->body, true);
    close_frame(b);
    open_frame(b, &f, fn, &loop->else_scope);
    see_scope(b, loop->otherwise);
    bind_scope(b, loop->otherwise, b->in_loop && !loop->recursive);
    close_frame(b);
    loop->n_slots = fn->n_slots;
}

static void bind_if(binder *b, ql_jnode *node)
{
    bool soft = b->soft;
    b->soft = true;
    bind_expr(b, node->a);
    bind_body(b, node->b);
    for (ql_jnode *elif = node->c; elif; elif = elif->next)
        bind_if(b, elif);
    bind_body(b, node->d);
    b->soft = soft;
}

static void bind_set_block(binder *b, ql_jnode *node)
{
    frame f;
    node->scope = QL_J_NEW(b->j, ql_jscope);
    open_frame(b, &f, b->frame->function, node->scope);
    see_scope(b, node->c);
    bind_scope(b, node->c, b->in_loop);
    bind_exprs(b, node->b);
    close_frame(b);
    bind_expr(b, node->a);
}

static void bind_filter_block(binder *b, ql_jnode *node)
{
    frame f;
    node->scope = QL_J_NEW(b->j, ql_jscope);
    open_frame(b, &f, b->frame->function, node->scope);
    see_scope(b, node->b);
    see_expr(b, node->a);
    bind_scope(b, node->b, b->in_loop);
    bind_expr(b, node->a);
    close_frame(b);
}

static void bind_with(binder *b, ql_jnode *node)
{
    frame f;
    bind_exprs(b, node->b);
    node->scope = QL_J_NEW(b->j, ql_jscope);
    open_frame(b, &f, b->frame->function, node->scope);
    for (ql_jnode *target = node->a; target; target = target->next)
        see_params(b, target);
    see_scope(b, node->c);
    bind_exprs(b, node->a);
    bind_scope(b, node->c, b->in_loop);
    close_frame(b);
}

static void bind_scope_block(binder *b, ql_jnode *node)
{
    frame f;
    node->scope = QL_J_NEW(b->j, ql_jscope);
    open_frame(b, &f, b->frame->function, node->scope);
    see_exprs(b, node->a);
    see_scope(b, node->b);
    bind_exprs(b, node->a);
    bind_scope(b, node->b, node->a && b->in_loop); // a generation block is a function
    close_frame(b);
}

static void bind_statement(binder *b, ql_jnode *node)
{
    b->j->line = node->line;
    b->j->col = node->col;
    node->exported = b->frame->top_level;
    switch (node->kind) {
    case QL_J_OUTPUT:
        bind_exprs(b, node->a);
        break;
    case QL_J_FOR:
        bind_for(b, node);
        break;
    case QL_J_IF:
        bind_if(b, node);
        break;
    case QL_J_SET:
        bind_expr(b, node->b);
        bind_expr(b, node->a);
        break;
    case QL_J_SET_BLOCK:
        bind_set_block(b, node);
        break;
    case QL_J_MACRO_DEF:
        bind_macro(b, node->macro);
        bind_name(b, node);
        break;
    case QL_J_CALL_BLOCK:
        bind_macro(b, node->macro);
        bind_expr(b, node->a);
        break;
    case QL_J_FILTER_BLOCK:
        bind_filter_block(b, node);
        break;
    case QL_J_WITH:
        bind_with(b, node);
        break;
    case QL_J_SCOPE_BLOCK:
        bind_scope_block(b, node);
        break;
    case QL_J_BREAK:
    case QL_J_CONTINUE:
        if (!b->in_loop)
            ql_j_raise(b->j, "'%s' outside loop", node->kind == QL_J_BREAK ? "break" : "continue");
        break;
    default:
        break;
    }
}

static void bind_body(binder *b, ql_jnode *list)
{
    for (; list; list = list->next)
        bind_statement(b, list);
}

void ql_j_bind_names(ql_jinja *j, struct ql_template *tmpl)
{
    binder b = {.j = j, .names = ql_j_dict(j)};
    function fn;
    frame f;
    open_function(&b, &fn);
    open_frame(&b, &f, &fn, &tmpl->scope);
    f.top_level = true;
    see_scope(&b, tmpl->body);
    bind_scope(&b, tmpl->body, false);
    close_frame(&b);
    tmpl->n_slots = fn.n_slots;
    for (size_t i = 0; i < tmpl->n_blocks; i++) // a block sees nothing of the scopes around it
        bind_macro(&b, tmpl->blocks[i]->macro);
}
