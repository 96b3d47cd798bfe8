// SPDX-License-Identifier: MIT
// Owns the evaluation of expressions. Every recursion goes through ql_j_eval, which counts it.
#include "text/jinja_eval.h"

#include "text/jinja_filter.h"
#include "text/jinja_num.h"
#include "text/jinja_text.h"

ql_jenv *ql_j_env(ql_jinja *j, ql_jenv *outer, size_t n_slots)
{
    ql_jenv *env = ql_j_zalloc(j, sizeof *env + n_slots * sizeof *env->slots); // all MISSING
    env->outer = outer;
    return env;
}

static ql_jval *slot_of(ql_jenv *env, uint32_t hops, uint32_t slot)
{
    while (hops--)
        env = env->outer;
    return &env->slots[slot];
}

static ql_jval resolve(ql_jinja *j, const ql_jstr *name)
{
    const ql_jval *v = j->exported ? ql_j_get_str(j, j->exported, name) : NULL;
    if (!v)
        v = ql_j_get_str(j, j->variables, name);
    if (!v && ql_j_str_is(name, "self"))
        return (ql_jval){.type = QL_J_SELF};
    return v ? *v : ql_j_missing();
}

void ql_j_enter_scope(ql_jinja *j, ql_jenv *env, const ql_jscope *scope)
{
    for (size_t i = 0; i < scope->n_loads; i++) {
        const ql_jload *load = &scope->loads[i];
        ql_j_step(j);
        env->slots[load->slot] = load->action == QL_J_LOAD_RESOLVE ? resolve(j, load->name)
                                 : load->action == QL_J_LOAD_ALIAS ? *slot_of(env, load->hops, load->from)
                                                                   : ql_j_missing();
    }
}

static ql_jval load_name(ql_jinja *j, ql_jenv *env, const ql_jnode *node)
{
    ql_jval v = *slot_of(env, node->hops, node->slot);
    return v.type == QL_J_MISSING ? ql_j_undef_name(j, node->name) : v;
}

static ql_jlist *eval_list(ql_jinja *j, ql_jenv *env, const ql_jnode *items)
{
    ql_jlist *list = ql_j_list(j, 0);
    for (; items; items = items->next)
        ql_j_push(j, list, ql_j_eval(j, env, items));
    return list;
}

static ql_jval eval_dict(ql_jinja *j, ql_jenv *env, const ql_jnode *node)
{
    ql_jdict *dict = ql_j_dict(j);
    for (const ql_jnode *key = node->a; key; key = key->next->next) {
        ql_jval k = ql_j_eval(j, env, key), v = ql_j_eval(j, env, key->next);
        ql_j_at(j, key);
        ql_j_set(j, dict, k, v);
    }
    return ql_j_dictv(dict);
}

static ql_jval eval_container(ql_jinja *j, ql_jenv *env, const ql_jnode *node)
{
    if (node->kind == QL_J_DICT_EXPR)
        return eval_dict(j, env, node);
    ql_jlist *list = eval_list(j, env, node->a);
    return node->kind == QL_J_LIST_EXPR ? ql_j_listv(list) : ql_j_tuplev(list);
}

// ---- operators

static ql_jval eval_binary(ql_jinja *j, ql_jenv *env, const ql_jnode *node)
{
    ql_jval a = ql_j_eval(j, env, node->a), b = ql_j_eval(j, env, node->b);
    ql_j_at(j, node);
    return ql_j_operate(j, node->op, a, b);
}

static ql_jval eval_sign(ql_jinja *j, ql_jenv *env, const ql_jnode *node)
{
    ql_jval v = ql_j_eval(j, env, node->a);
    ql_j_at(j, node);
    ql_j_want(j, v);
    if (!ql_j_is_number(v))
        ql_j_raise(j, "bad operand type for unary %c: '%s'", node->kind == QL_J_NEG ? '-' : '+', ql_j_type_name(v));
    if (node->kind == QL_J_NEG && v.type == QL_J_FLOAT)
        return ql_j_tainted(ql_j_float(-v.u.f), v.input);
    return ql_j_arith(j, node->kind == QL_J_NEG ? QL_J_SUB : QL_J_ADD, ql_j_int(0), v);
}

static ql_jval eval_concat(ql_jinja *j, ql_jenv *env, const ql_jnode *node)
{
    ql_jstr *s = ql_j_to_str(j, ql_j_eval(j, env, node->a));
    for (const ql_jnode *item = node->a->next; item; item = item->next)
        s = ql_j_concat(j, s, ql_j_to_str(j, ql_j_eval(j, env, item)));
    return ql_j_strv(s);
}

static bool compare(ql_jinja *j, ql_jcmp op, ql_jval a, ql_jval b)
{
    switch (op) {
    case QL_J_CMP_EQ:
        return ql_j_equal(j, a, b);
    case QL_J_CMP_NE:
        return !ql_j_equal(j, a, b);
    case QL_J_CMP_IN:
        return ql_j_contains(j, b, a);
    case QL_J_CMP_NOTIN:
        return !ql_j_contains(j, b, a);
    default:
        return ql_j_compare(j, (ql_jorder)op, a, b);
    }
}

static ql_jval eval_compare(ql_jinja *j, ql_jenv *env, const ql_jnode *node)
{
    ql_jval left = ql_j_eval(j, env, node->a);
    for (const ql_jnode *operand = node->b; operand; operand = operand->next) {
        ql_jval right = ql_j_eval(j, env, operand->a);
        ql_j_at(j, operand);
        if (!compare(j, operand->op, left, right))
            return ql_j_bool(false);
        left = right;
    }
    return ql_j_bool(true);
}

static ql_jval eval_logic(ql_jinja *j, ql_jenv *env, const ql_jnode *node)
{
    ql_jval left = ql_j_eval(j, env, node->a);
    return ql_j_truth(left) == (node->kind == QL_J_OR) ? left : ql_j_eval(j, env, node->b);
}

static ql_jval eval_cond(ql_jinja *j, ql_jenv *env, const ql_jnode *node)
{
    if (ql_j_truth(ql_j_eval(j, env, node->a)))
        return ql_j_eval(j, env, node->b);
    if (node->c)
        return ql_j_eval(j, env, node->c);
    return ql_j_undef_hint(j, "the inline if-expression evaluated to false and no else section was defined");
}

static ql_jval eval_item(ql_jinja *j, ql_jenv *env, const ql_jnode *node)
{
    ql_jval v = ql_j_eval(j, env, node->a);
    if (node->b->kind != QL_J_SLICE) {
        ql_jval key = ql_j_eval(j, env, node->b);
        ql_j_at(j, node);
        return ql_j_getitem(j, v, key);
    }
    const ql_jnode *bounds[3] = {node->b->a, node->b->b, node->b->c};
    ql_jval values[3];
    for (int i = 0; i < 3; i++)
        values[i] = bounds[i] ? ql_j_eval(j, env, bounds[i]) : ql_j_none();
    ql_j_at(j, node);
    return ql_j_slice(j, v, values[0], values[1], values[2]);
}

static ql_jval eval_attr(ql_jinja *j, ql_jenv *env, const ql_jnode *node)
{
    ql_jval v = ql_j_eval(j, env, node->a);
    ql_j_at(j, node);
    return ql_j_getattr(j, v, node->attr);
}

// ---- calls, filters, tests

static void add_named(ql_jinja *j, ql_jargs *args, size_t *cap, const ql_jstr *name, ql_jval v)
{
    for (size_t i = 0; i < args->n_named; i++) {
        if ((i & 7) == 0)
            ql_j_step(j);
        if (ql_j_str_equal(args->names[i], name))
            ql_j_raise(j, "got multiple values for keyword argument '%.*s'", name->len < 60 ? (int)name->len : 60,
                       name->s);
    }
    size_t names_cap = *cap;
    args->names = ql_j_grow(j, args->names, args->n_named, &names_cap, args->n_named + 1, sizeof *args->names);
    args->named = ql_j_grow(j, args->named, args->n_named, cap, args->n_named + 1, sizeof *args->named);
    args->names[args->n_named] = name;
    args->named[args->n_named++] = v;
}

static void add_mapping(ql_jinja *j, ql_jargs *args, size_t *cap, ql_jval mapping)
{
    ql_j_want(j, mapping);
    if (mapping.type != QL_J_DICT)
        ql_j_raise(j, "argument after ** must be a mapping, not %s", ql_j_type_name(mapping));
    for (size_t i = 0; i < mapping.u.dict->n; i++) {
        const ql_jentry *entry = &mapping.u.dict->entries[i];
        if (entry->key.type != QL_J_STR)
            ql_j_raise(j, "keywords must be strings");
        add_named(j, args, cap, entry->key.u.s, entry->value);
    }
}

static ql_jargs eval_args(ql_jinja *j, ql_jenv *env, const ql_jcall *call, const ql_jval *caller)
{
    ql_jlist *pos = eval_list(j, env, call->args);
    ql_jargs args = {0};
    size_t cap = 0, i = 0;
    for (const ql_jnode *named = call->named; named; named = named->next, i++)
        add_named(j, &args, &cap, call->names[i], ql_j_eval(j, env, named));
    if (caller)
        add_named(j, &args, &cap, ql_j_cstr(j, "caller"), *caller);
    if (call->star) {
        ql_jval item;
        for (ql_jiter *it = ql_j_iter(j, ql_j_eval(j, env, call->star)); ql_j_next(j, it, &item);)
            ql_j_push(j, pos, item);
    }
    if (call->star_star)
        add_mapping(j, &args, &cap, ql_j_eval(j, env, call->star_star));
    args.pos = pos->items;
    args.n = pos->n;
    return args;
}

static ql_jval apply_filter(ql_jinja *j, ql_jenv *env, const ql_jnode *node, ql_jval v)
{
    ql_jargs args = eval_args(j, env, node->call, NULL);
    ql_j_at(j, node);
    const ql_jfilter *filter = node->u.func;
    return ql_j_call_filter(j, filter ? filter : ql_j_want_filter(j, ql_j_strv(node->name)), v, &args);
}

ql_jval ql_j_filter_text(ql_jinja *j, ql_jenv *env, const ql_jnode *filter, ql_jval text)
{
    if (!filter)
        return text;
    ql_j_enter(j);
    ql_jval v = apply_filter(j, env, filter, ql_j_filter_text(j, env, filter->a, text));
    ql_j_leave(j);
    return v;
}

static ql_jval eval_test(ql_jinja *j, ql_jenv *env, const ql_jnode *node)
{
    ql_jval v = ql_j_eval(j, env, node->a);
    ql_jargs args = eval_args(j, env, node->call, NULL);
    ql_j_at(j, node);
    const ql_jtest *test = node->u.func;
    return ql_j_bool(ql_j_call_test(j, test ? test : ql_j_want_test(j, ql_j_strv(node->name)), v, &args));
}

ql_jval ql_j_eval_call(ql_jinja *j, ql_jenv *env, const ql_jnode *node, const ql_jval *caller)
{
    ql_jval callee = ql_j_eval(j, env, node->a);
    ql_jargs args = eval_args(j, env, node->call, caller);
    ql_j_at(j, node);
    return ql_j_call(j, callee, &args);
}

ql_jval ql_j_eval(ql_jinja *j, ql_jenv *env, const ql_jnode *node)
{
    ql_jval v;
    ql_j_enter(j);
    switch (node->kind) {
    case QL_J_CONST:
        v = node->u.value;
        break;
    case QL_J_NAME:
        v = load_name(j, env, node);
        break;
    case QL_J_ATTR:
        v = eval_attr(j, env, node);
        break;
    case QL_J_ITEM:
        v = eval_item(j, env, node);
        break;
    case QL_J_BINARY:
        v = eval_binary(j, env, node);
        break;
    case QL_J_COMPARE:
        v = eval_compare(j, env, node);
        break;
    case QL_J_AND:
    case QL_J_OR:
        v = eval_logic(j, env, node);
        break;
    case QL_J_NOT:
        v = ql_j_bool(!ql_j_truth(ql_j_eval(j, env, node->a)));
        break;
    case QL_J_NEG:
    case QL_J_POS:
        v = eval_sign(j, env, node);
        break;
    case QL_J_CONCAT:
        v = eval_concat(j, env, node);
        break;
    case QL_J_COND:
        v = eval_cond(j, env, node);
        break;
    case QL_J_FILTER:
        v = apply_filter(j, env, node, ql_j_eval(j, env, node->a));
        break;
    case QL_J_TEST:
        v = eval_test(j, env, node);
        break;
    case QL_J_CALL:
        v = ql_j_eval_call(j, env, node, NULL);
        break;
    default:
        v = eval_container(j, env, node);
    }
    ql_j_leave(j);
    return v;
}

static void assign_name(ql_jinja *j, ql_jenv *env, const ql_jnode *target, ql_jval v)
{
    ql_jval *slot = slot_of(env, target->hops, target->slot);
    if (target->kind == QL_J_NAME) {
        *slot = v;
        return;
    }
    ql_j_at(j, target);
    if (slot->type != QL_J_NAMESPACE)
        ql_j_raise(j, "cannot assign attribute on non-namespace object");
    ql_j_check_namespace_name(j, ql_j_strv(target->attr));
    ql_j_set(j, slot->u.dict, ql_j_strv(target->attr), v);
}

void ql_j_check_namespace_name(ql_jinja *j, ql_jval name)
{
    if (name.type == QL_J_STR && name.u.s->len && name.u.s->s[0] == '_')
        ql_j_raise(j, "a namespace of a chat template has no names that begin with an underscore");
}

void ql_j_assign(ql_jinja *j, ql_jenv *env, const ql_jnode *target, ql_jval v)
{
    if (target->kind != QL_J_TUPLE_EXPR) {
        assign_name(j, env, target, v);
        return;
    }
    ql_j_at(j, target);
    ql_j_enter(j);
    size_t n = 0, want = 0;
    for (const ql_jnode *item = target->a; item; item = item->next)
        want++;
    ql_jiter *it = ql_j_iter(j, v);
    ql_jlist *values = ql_j_list(j, want + 1);
    ql_jval value;
    while (n <= want && ql_j_next(j, it, &value)) {
        values->items[n++] = value;
    }
    if (n > want)
        ql_j_raise(j, "too many values to unpack (expected %zu)", want);
    if (n < want)
        ql_j_raise(j, "not enough values to unpack (expected %zu, got %zu)", want, n);
    n = 0;
    for (const ql_jnode *item = target->a; item; item = item->next)
        ql_j_assign(j, env, item, values->items[n++]);
    ql_j_leave(j);
}
