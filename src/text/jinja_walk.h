// SPDX-License-Identifier: MIT
// Visiting every name of a piece of the tree, in jinja2's order.
#ifndef QL_TEXT_JINJA_WALK_H
#define QL_TEXT_JINJA_WALK_H

#include "text/jinja_ast.h"

typedef void ql_jvisit(void *user, ql_jnode *name, bool load); // load: the name is read, else assigned

// Names in a list of expressions, or of statements with all that is inside them except {% block %}.
void ql_j_walk(ql_jinja *j, ql_jnode *list, ql_jvisit *visit, void *user);
// The value, arguments and all else that is evaluated of one expression.
void ql_j_walk_expr(ql_jinja *j, ql_jnode *node, ql_jvisit *visit, void *user);
// Calls each on every direct child of an expression.
void ql_j_each_child(ql_jnode *node, void (*each)(void *user, ql_jnode *child), void *user);

// Which of names are read in list before anything assigns them: found[i].
void ql_j_undeclared(ql_jinja *j, ql_jnode *list, const char *const *names, size_t n, bool *found);

#endif
