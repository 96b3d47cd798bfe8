// SPDX-License-Identifier: MIT
// A compiled template: the syntax tree with every name bound to a slot. Immutable, so that threads share it.
//
// Scopes follow jinja2's, which are those of the Python code it generates: each template, macro, call block, recursive
// loop and {% block %} is a function with slots of its own; loops, with, filter and set blocks are scopes in it, whose
// names begin with the outer value or with none each time the scope is entered.
#ifndef QL_TEXT_JINJA_AST_H
#define QL_TEXT_JINJA_AST_H

#include "text/jinja_value.h"

// Fields of ql_jnode in order; [] is a list linked by `next`, ? may be NULL.
typedef enum ql_jkind {
    // expressions
    QL_J_CONST,   // value
    QL_J_NAME,    // name, hops, slot
    QL_J_NSREF,   // name, hops, slot, attr: assignment target name.attr
    QL_J_TUPLE_EXPR, // a[] items
    QL_J_LIST_EXPR,  // a[] items
    QL_J_DICT_EXPR,  // a[] key, value, key, value ...
    QL_J_BINARY,  // a, b, op = ql_jop
    QL_J_AND,     // a, b
    QL_J_OR,      // a, b
    QL_J_NOT,     // a
    QL_J_NEG,     // a
    QL_J_POS,     // a
    QL_J_CONCAT,  // a[]
    QL_J_COMPARE, // a, b[] of QL_J_OPERAND
    QL_J_OPERAND, // a, op = ql_jcmp
    QL_J_COND,    // a test, b then, c? else
    QL_J_FILTER,  // a? value (NULL: the text of a block), name, func, call
    QL_J_TEST,    // a value, name, func, call
    QL_J_CALL,    // a, call
    QL_J_ATTR,    // a, attr
    QL_J_ITEM,    // a, b
    QL_J_SLICE,   // a? start, b? stop, c? step
    // statements
    QL_J_OUTPUT,      // a[] expressions
    QL_J_FOR,         // loop
    QL_J_IF,          // a test, b[] body, c[] elif as QL_J_IF, d[] else
    QL_J_SET,         // a target, b value
    QL_J_SET_BLOCK,   // a target, b? filter, c[] body, scope
    QL_J_MACRO_DEF,   // name, hops, slot, macro
    QL_J_CALL_BLOCK,  // a call, macro
    QL_J_FILTER_BLOCK, // a filter, b[] body, scope
    QL_J_WITH,        // a[] targets, b[] values, c[] body, scope
    QL_J_SCOPE_BLOCK, // a? autoescape, b[] body, scope; also {% generation %}
    QL_J_BREAK,
    QL_J_CONTINUE,
    QL_J_BLOCK_DEF,   // name, macro (its function), flag: required
    QL_J_REFUSED,     // name: include, import, from, extends; an error when it runs
} ql_jkind;

typedef enum {
    QL_J_CMP_LT, // the first four in the order of ql_jorder
    QL_J_CMP_LE,
    QL_J_CMP_GT,
    QL_J_CMP_GE,
    QL_J_CMP_EQ,
    QL_J_CMP_NE,
    QL_J_CMP_IN,
    QL_J_CMP_NOTIN,
} ql_jcmp;

typedef struct ql_jnode ql_jnode;

// The arguments of a call, filter or test.
typedef struct ql_jcall {
    ql_jnode *args; // []
    size_t n_args;
    const ql_jstr **names; // [n_named]
    ql_jnode *named;       // [] values
    size_t n_named;
    ql_jnode *star, *star_star; // ?
} ql_jcall;

// What a slot holds when its scope is entered.
typedef struct ql_jload {
    enum { QL_J_LOAD_RESOLVE, QL_J_LOAD_ALIAS, QL_J_LOAD_NOTHING } action;
    uint32_t slot;
    uint32_t hops, from;  // ALIAS
    const ql_jstr *name;  // RESOLVE
} ql_jload;

typedef struct ql_jscope {
    ql_jload *loads;
    size_t n_loads;
} ql_jscope;

// A macro, the body of a call block, or a {% block %}.
typedef struct ql_jmacro {
    const ql_jstr *name; // NULL: of a call block
    ql_jnode *params;    // [] QL_J_NAME
    size_t n_params;
    ql_jnode *defaults;  // [] of the last n_defaults parameters
    size_t n_defaults;
    ql_jnode *body; // []
    ql_jscope scope;
    uint32_t n_slots;
    bool uses_caller, uses_kwargs, uses_varargs;
    bool caller_is_param; // named in params
    uint32_t caller_slot, kwargs_slot, varargs_slot;
} ql_jmacro;

typedef struct ql_jfor {
    ql_jnode *target, *iter, *test; // test ?
    ql_jnode *test_target;          // the same target, bound in the scope of the test
    ql_jnode *body, *otherwise;     // []
    bool recursive, extended;       // extended: the body uses `loop`
    uint32_t loop_slot;
    uint32_t n_slots; // recursive: of its function
    ql_jscope scope, test_scope, else_scope;
} ql_jfor;

struct ql_jnode {
    uint8_t kind, op;
    bool flag;
    bool exported; // SET, SET_BLOCK, MACRO_DEF: at top level
    uint16_t depth; // of the tree below
    uint16_t hops;
    uint32_t slot;
    uint32_t line, col;
    ql_jnode *next;
    ql_jnode *a, *b, *c, *d;
    const ql_jstr *name, *attr;
    union {
        ql_jval value;
        const void *func; // ql_jfilter or ql_jtest; NULL: unknown
    } u;
    ql_jcall *call;
    ql_jmacro *macro;
    ql_jfor *loop;
    ql_jscope *scope;
};

struct ql_template {
    ql_jinja memory; // owns the tree; not used otherwise after compiling
    ql_jnode *body;  // []
    ql_jscope scope;
    uint32_t n_slots;
    const ql_jstr *bos, *eos;
    ql_jnode **blocks; // [n_blocks] QL_J_BLOCK_DEF
    size_t n_blocks;
};

// Fill tmpl from source (valid UTF-8); raise with the place of the mistake.
void ql_j_parse(ql_jinja *j, const char *source, size_t len, struct ql_template *tmpl);
void ql_j_bind_names(ql_jinja *j, struct ql_template *tmpl);

#endif
