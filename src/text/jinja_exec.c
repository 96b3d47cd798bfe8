// SPDX-License-Identifier: MIT
// Owns the running of statements.
#include "text/jinja_eval.h"

#include "text/jinja_text.h"

static ql_jsignal exec_one(ql_jinja *j, ql_jenv *env, const ql_jnode *node);

ql_jsignal ql_j_exec(ql_jinja *j, ql_jenv *env, const ql_jnode *list)
{
    ql_jsignal signal = QL_J_GO_ON;
    ql_j_enter(j);
    for (; list && signal == QL_J_GO_ON; list = list->next) {
        ql_j_step(j);
        signal = exec_one(j, env, list);
    }
    ql_j_leave(j);
    return signal;
}

ql_jstr *ql_j_exec_captured(ql_jinja *j, ql_jenv *env, const ql_jnode *list, ql_jsignal *signal)
{
    ql_jbuild text, *outer = j->out;
    ql_j_build(j, &text);
    j->out = &text;
    *signal = ql_j_exec(j, env, list);
    j->out = outer;
    return ql_j_take(&text);
}

static void exec_output(ql_jinja *j, ql_jenv *env, const ql_jnode *node)
{
    for (const ql_jnode *item = node->a; item; item = item->next) {
        ql_jval v = ql_j_eval(j, env, item);
        ql_j_at(j, item);
        ql_j_put_value(j->out, v);
    }
}

static ql_jsignal exec_if(ql_jinja *j, ql_jenv *env, const ql_jnode *node)
{
    if (ql_j_truth(ql_j_eval(j, env, node->a)))
        return ql_j_exec(j, env, node->b);
    for (const ql_jnode *elif = node->c; elif; elif = elif->next)
        if (ql_j_truth(ql_j_eval(j, env, elif->a)))
            return ql_j_exec(j, env, elif->b);
    return ql_j_exec(j, env, node->d);
}

// ---- loops

typedef struct filtered {
    const ql_jfor *loop;
    ql_jenv *env;
} filtered;

// The items that pass the test of a loop; unpacked ones come out as tuples, as from jinja2's generator.
static bool next_filtered(ql_jinja *j, ql_jiter *it, ql_jval *out)
{
    const filtered *f = it->state;
    if (!it->started)
        ql_j_enter_scope(j, f->env, &f->loop->test_scope);
    it->started = true;
    while (ql_j_next(j, it->inner, out)) {
        ql_j_assign(j, f->env, f->loop->test_target, *out);
        if (!ql_j_truth(ql_j_eval(j, f->env, f->loop->test)))
            continue;
        if (f->loop->test_target->kind == QL_J_TUPLE_EXPR)
            *out = ql_j_eval(j, f->env, f->loop->test_target);
        return true;
    }
    return false;
}

static ql_jloop *open_loop(ql_jinja *j, ql_jenv *env, const ql_jnode *node, ql_jval iterable, int64_t depth0)
{
    const ql_jfor *code = node->loop;
    ql_jloop *loop = QL_J_NEW(j, ql_jloop);
    ql_j_at(j, code->iter);
    loop->iterable = iterable;
    loop->it = ql_j_iter(j, iterable);
    loop->index0 = -1;
    loop->depth0 = depth0;
    loop->length = -1;
    if (code->test) {
        ql_jiter *it = QL_J_NEW(j, ql_jiter);
        filtered *f = QL_J_NEW(j, filtered);
        *f = (filtered){code, env};
        *it = (ql_jiter){.next = next_filtered, .type = "generator", .inner = loop->it, .state = f};
        loop->it = it;
        loop->iterable = ql_j_iterv(it);
    }
    if (code->recursive) {
        loop->node = node;
        loop->env = env->outer;
    }
    return loop;
}

static ql_jsignal run_loop(ql_jinja *j, ql_jenv *env, const ql_jnode *node, ql_jval iterable, int64_t depth0)
{
    const ql_jfor *code = node->loop;
    ql_jloop *loop = open_loop(j, env, node, iterable, depth0);
    bool finished_one = false;
    ql_jval item;
    while (ql_j_loop_next(j, loop, &item)) {
        if (code->extended)
            env->slots[code->loop_slot] = (ql_jval){.type = QL_J_LOOP, .u.loop = loop};
        ql_j_assign(j, env, code->target, item);
        ql_j_enter_scope(j, env, &code->scope);
        ql_jsignal signal = ql_j_exec(j, env, code->body);
        if (signal == QL_J_DO_BREAK)
            break;
        finished_one = finished_one || signal == QL_J_GO_ON; // `continue` does not count: jinja2 does it so
    }
    if (finished_one || !code->otherwise)
        return QL_J_GO_ON;
    ql_j_enter_scope(j, env, &code->else_scope);
    return ql_j_exec(j, env, code->otherwise);
}

ql_jstr *ql_j_run_recursive(ql_jinja *j, ql_jenv *outer, const ql_jnode *node, ql_jval iterable, int64_t depth0)
{
    if (++j->calls > QL_J_MAX_CALLS)
        ql_j_depth_limit(j);
    ql_jbuild text, *before = j->out;
    ql_j_build(j, &text);
    j->out = &text;
    run_loop(j, ql_j_env(j, outer, node->loop->n_slots), node, iterable, depth0);
    j->out = before;
    j->calls--;
    return ql_j_take(&text);
}

static ql_jsignal exec_for(ql_jinja *j, ql_jenv *env, const ql_jnode *node)
{
    ql_jval iterable = ql_j_eval(j, env, node->loop->iter);
    if (!node->loop->recursive)
        return run_loop(j, env, node, iterable, 0);
    ql_j_put_str(j->out, ql_j_run_recursive(j, env, node, iterable, 0));
    return QL_J_GO_ON;
}

// ---- assignments

// Top-level names are visible to the blocks of the template.
static void export_names(ql_jinja *j, ql_jenv *env, const ql_jnode *target)
{
    if (!j->exported)
        return;
    if (target->kind == QL_J_NAME || target->kind == QL_J_MACRO_DEF)
        ql_j_set(j, j->exported, ql_j_strv(target->name), env->slots[target->slot]);
    for (const ql_jnode *item = target->kind == QL_J_TUPLE_EXPR ? target->a : NULL; item; item = item->next)
        export_names(j, env, item);
}

static void exec_set(ql_jinja *j, ql_jenv *env, const ql_jnode *node)
{
    ql_j_assign(j, env, node->a, ql_j_eval(j, env, node->b));
    if (node->exported)
        export_names(j, env, node->a);
}

static ql_jsignal exec_set_block(ql_jinja *j, ql_jenv *env, const ql_jnode *node)
{
    ql_jsignal signal;
    ql_j_enter_scope(j, env, node->scope);
    ql_jval text = ql_j_strv(ql_j_exec_captured(j, env, node->c, &signal));
    if (signal != QL_J_GO_ON)
        return signal;
    ql_j_assign(j, env, node->a, ql_j_filter_text(j, env, node->b, text));
    if (node->exported)
        export_names(j, env, node->a);
    return QL_J_GO_ON;
}

// ---- macros and blocks

static ql_jmacro_value *close_over(ql_jinja *j, ql_jenv *env, const ql_jmacro *code)
{
    ql_jmacro_value *macro = QL_J_NEW(j, ql_jmacro_value);
    *macro = (ql_jmacro_value){code, env};
    return macro;
}

static void exec_macro(ql_jinja *j, ql_jenv *env, const ql_jnode *node)
{
    env->slots[node->slot] = (ql_jval){.type = QL_J_MACRO, .u.macro = close_over(j, env, node->macro)};
    if (node->exported)
        export_names(j, env, node);
}

// What a block gives must be a text already: nothing calls str() on it.
static void put_text(ql_jinja *j, ql_jval v)
{
    if (v.type != QL_J_STR)
        ql_j_raise(j, "expected str instance, %s found", ql_j_type_name(v));
    ql_j_put_str(j->out, v.u.s);
}

static void exec_call_block(ql_jinja *j, ql_jenv *env, const ql_jnode *node)
{
    ql_jval caller = {.type = QL_J_MACRO, .u.macro = close_over(j, env, node->macro)};
    ql_jval v = ql_j_eval_call(j, env, node->a, &caller);
    ql_j_at(j, node);
    put_text(j, v);
}

static ql_jsignal exec_filter_block(ql_jinja *j, ql_jenv *env, const ql_jnode *node)
{
    ql_jsignal signal;
    ql_j_enter_scope(j, env, node->scope);
    ql_jval text = ql_j_strv(ql_j_exec_captured(j, env, node->b, &signal));
    if (signal != QL_J_GO_ON)
        return signal;
    put_text(j, ql_j_filter_text(j, env, node->a, text));
    return QL_J_GO_ON;
}

static ql_jsignal exec_with(ql_jinja *j, ql_jenv *env, const ql_jnode *node)
{
    const ql_jnode *value = node->b;
    ql_j_enter_scope(j, env, node->scope);
    for (const ql_jnode *target = node->a; target; target = target->next, value = value->next)
        ql_j_assign(j, env, target, ql_j_eval(j, env, value));
    return ql_j_exec(j, env, node->c);
}

static ql_jsignal exec_scope_block(ql_jinja *j, ql_jenv *env, const ql_jnode *node)
{
    ql_j_enter_scope(j, env, node->scope);
    if (node->a && ql_j_truth(ql_j_eval(j, env, node->a)))
        ql_j_raise(j, "autoescape is not supported in a chat template");
    return ql_j_exec(j, env, node->b);
}

ql_jstr *ql_j_run_block(ql_jinja *j, const ql_jnode *block)
{
    ql_jsignal signal;
    ql_j_at(j, block);
    if (block->flag)
        ql_j_raise(j, "a required block has no content");
    if (++j->calls > QL_J_MAX_CALLS)
        ql_j_depth_limit(j);
    ql_jenv *env = ql_j_env(j, NULL, block->macro->n_slots);
    ql_j_enter_scope(j, env, &block->macro->scope);
    ql_jstr *text = ql_j_exec_captured(j, env, block->macro->body, &signal);
    j->calls--;
    return text;
}

static ql_jsignal exec_one(ql_jinja *j, ql_jenv *env, const ql_jnode *node)
{
    ql_j_at(j, node);
    switch (node->kind) {
    case QL_J_OUTPUT:
        exec_output(j, env, node);
        return QL_J_GO_ON;
    case QL_J_IF:
        return exec_if(j, env, node);
    case QL_J_FOR:
        return exec_for(j, env, node);
    case QL_J_SET:
        exec_set(j, env, node);
        return QL_J_GO_ON;
    case QL_J_SET_BLOCK:
        return exec_set_block(j, env, node);
    case QL_J_MACRO_DEF:
        exec_macro(j, env, node);
        return QL_J_GO_ON;
    case QL_J_CALL_BLOCK:
        exec_call_block(j, env, node);
        return QL_J_GO_ON;
    case QL_J_FILTER_BLOCK:
        return exec_filter_block(j, env, node);
    case QL_J_WITH:
        return exec_with(j, env, node);
    case QL_J_SCOPE_BLOCK:
        return exec_scope_block(j, env, node);
    case QL_J_BREAK:
        return QL_J_DO_BREAK;
    case QL_J_CONTINUE:
        return QL_J_DO_CONTINUE;
    case QL_J_BLOCK_DEF:
        ql_j_put_str(j->out, ql_j_run_block(j, node));
        return QL_J_GO_ON;
    default:
        ql_j_raise(j, "'%.*s' is not supported in a chat template", (int)node->name->len, node->name->s);
    }
}
