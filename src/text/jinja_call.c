// SPDX-License-Identifier: MIT
// Owns calls: macros, methods, `loop`, blocks and global functions.
#include "text/jinja_eval.h"

// Takes the keyword argument `name` out of what is left; MISSING when it is not there.
static ql_jval take_named(const ql_jargs *args, bool *taken, const ql_jstr *name)
{
    for (size_t i = 0; i < args->n_named; i++) {
        if (taken[i] || !ql_j_str_equal(args->names[i], name))
            continue;
        taken[i] = true;
        return args->named[i];
    }
    return ql_j_missing();
}

static void bind_params(ql_jinja *j, const ql_jmacro *code, ql_jenv *env, const ql_jargs *args, bool *taken)
{
    size_t i = 0;
    for (const ql_jnode *param = code->params; param; param = param->next, i++) {
        ql_j_charge(j, 16 * args->n_named);
        env->slots[param->slot] = i < args->n ? args->pos[i] : take_named(args, taken, param->name);
    }
}

static void bind_specials(ql_jinja *j, const ql_jmacro *code, ql_jenv *env, const ql_jargs *args, bool *taken)
{
    const char *name = code->name ? code->name->s : "caller";
    int shown = !code->name ? 6 : code->name->len < 60 ? (int)code->name->len : 60;
    if (code->uses_caller && !code->caller_is_param) {
        ql_jval caller = take_named(args, taken, ql_j_cstr(j, "caller"));
        bool none = caller.type == QL_J_MISSING || caller.type == QL_J_NONE;
        env->slots[code->caller_slot] = none ? ql_j_undef_hint(j, "No caller defined") : caller;
    }
    ql_jdict *rest = code->uses_kwargs ? ql_j_dict(j) : NULL;
    for (size_t i = 0; i < args->n_named; i++) {
        if (taken[i])
            continue;
        if (!rest)
            ql_j_raise(j, "macro '%.*s' takes no keyword argument '%.*s'", shown, name,
                       args->names[i]->len < 60 ? (int)args->names[i]->len : 60, args->names[i]->s);
        ql_j_set(j, rest, ql_j_strv(args->names[i]), args->named[i]);
    }
    if (rest)
        env->slots[code->kwargs_slot] = ql_j_dictv(rest);
    if (!code->uses_varargs && args->n > code->n_params)
        ql_j_raise(j, "macro '%.*s' takes not more than %zu argument(s)", shown, name, code->n_params);
    if (!code->uses_varargs)
        return;
    ql_jlist *list = ql_j_list(j, 0);
    for (size_t i = code->n_params; i < args->n; i++)
        ql_j_push(j, list, args->pos[i]);
    env->slots[code->varargs_slot] = ql_j_tuplev(list);
}

static void set_defaults(ql_jinja *j, const ql_jmacro *code, ql_jenv *env)
{
    size_t first = code->n_params - code->n_defaults, i = 0;
    const ql_jnode *value = code->defaults;
    for (const ql_jnode *param = code->params; param; param = param->next, i++) {
        const ql_jnode *own = i >= first ? value : NULL;
        value = own ? value->next : value;
        if (env->slots[param->slot].type != QL_J_MISSING)
            continue;
        ql_jval v = own ? ql_j_eval(j, env, own) : ql_j_undef_name(j, param->name);
        env->slots[param->slot] = v;
    }
}

static ql_jval call_macro(ql_jinja *j, const ql_jmacro_value *macro, const ql_jargs *args)
{
    const ql_jmacro *code = macro->code;
    ql_jsignal signal;
    if (++j->calls > QL_J_MAX_CALLS)
        ql_j_depth_limit(j);
    ql_jenv *env = ql_j_env(j, macro->env, code->n_slots);
    bool *taken = ql_j_zalloc(j, args->n_named);
    bind_params(j, code, env, args, taken);
    bind_specials(j, code, env, args, taken);
    ql_j_enter_scope(j, env, &code->scope);
    set_defaults(j, code, env);
    ql_jstr *text = ql_j_exec_captured(j, env, code->body, &signal);
    j->calls--;
    return ql_j_strv(text);
}

static ql_jval call_loop(ql_jinja *j, const ql_jloop *loop, const ql_jargs *args)
{
    if (!loop->node)
        ql_j_raise(j, "the loop must have the 'recursive' marker to be called recursively");
    bool named = args->n == 0 && args->n_named == 1 && ql_j_str_is(args->names[0], "iterable");
    if (!named && (args->n != 1 || args->n_named))
        ql_j_raise(j, "loop() takes one argument");
    ql_jval iterable = named ? args->named[0] : args->pos[0];
    return ql_j_strv(ql_j_run_recursive(j, loop->env, loop->node, iterable, loop->depth0 + 1));
}

static ql_jval call_joiner(ql_jinja *j, ql_jjoiner *joiner, const ql_jargs *args)
{
    if (args->n || args->n_named)
        ql_j_raise(j, "a joiner takes no arguments");
    if (joiner->used)
        return *joiner->separator;
    joiner->used = true;
    return ql_j_strv(ql_j_cstr(j, ""));
}

ql_jval ql_j_call(ql_jinja *j, ql_jval callee, const ql_jargs *args)
{
    ql_j_want(j, callee);
    switch (callee.type) {
    case QL_J_MACRO:
        return call_macro(j, callee.u.macro, args);
    case QL_J_METHOD:
        return ql_j_call_method(j, callee.u.method, args);
    case QL_J_FUNC:
        return callee.u.func->call(j, args);
    case QL_J_LOOP:
        return call_loop(j, callee.u.loop, args);
    case QL_J_JOINER:
        return call_joiner(j, callee.u.joiner, args);
    case QL_J_BLOCK:
        return ql_j_strv(ql_j_run_block(j, callee.u.block));
    default:
        ql_j_raise(j, "'%s' object is not callable", ql_j_type_name(callee));
    }
}
