// SPDX-License-Identifier: MIT
// Running a compiled template: expressions (jinja_eval.c), statements (jinja_exec.c), calls (jinja_call.c) and global
// functions (jinja_global.c).
#ifndef QL_TEXT_JINJA_EVAL_H
#define QL_TEXT_JINJA_EVAL_H

#include "text/jinja_ast.h"
#include "text/jinja_object.h"

typedef enum { QL_J_GO_ON, QL_J_DO_BREAK, QL_J_DO_CONTINUE } ql_jsignal;

// Errors are reported at this node from now on.
static inline void ql_j_at(ql_jinja *j, const ql_jnode *node)
{
    j->line = node->line;
    j->col = node->col;
}

ql_jenv *ql_j_env(ql_jinja *j, ql_jenv *outer, size_t n_slots);
ql_jval ql_j_eval(ql_jinja *j, ql_jenv *env, const ql_jnode *node);
ql_jval ql_j_eval_call(ql_jinja *j, ql_jenv *env, const ql_jnode *node, const ql_jval *caller); // caller: or NULL
void ql_j_assign(ql_jinja *j, ql_jenv *env, const ql_jnode *target, ql_jval v);
// Raises for a name that transformers refuses in a namespace.
void ql_j_check_namespace_name(ql_jinja *j, ql_jval name);
// A chain of filters on the text of a block.
ql_jval ql_j_filter_text(ql_jinja *j, ql_jenv *env, const ql_jnode *filter, ql_jval text);
void ql_j_enter_scope(ql_jinja *j, ql_jenv *env, const ql_jscope *scope);

ql_jsignal ql_j_exec(ql_jinja *j, ql_jenv *env, const ql_jnode *list);
ql_jstr *ql_j_exec_captured(ql_jinja *j, ql_jenv *env, const ql_jnode *list, ql_jsignal *signal);
// A recursive loop, from its tag (depth0 0) or from a call of `loop`.
ql_jstr *ql_j_run_recursive(ql_jinja *j, ql_jenv *outer, const ql_jnode *node, ql_jval iterable, int64_t depth0);
ql_jstr *ql_j_run_block(ql_jinja *j, const ql_jnode *block);

ql_jval ql_j_call(ql_jinja *j, ql_jval callee, const ql_jargs *args);

typedef struct ql_jglobal {
    const char *name;
    ql_jval (*call)(ql_jinja *j, const ql_jargs *args);
} ql_jglobal;
extern const ql_jglobal ql_j_globals[]; // ends with a NULL name

#endif
