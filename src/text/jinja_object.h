// SPDX-License-Identifier: MIT
// Attributes, items and methods of values: what `.name` and `[key]` find, under the rules of jinja2's sandbox.
#ifndef QL_TEXT_JINJA_OBJECT_H
#define QL_TEXT_JINJA_OBJECT_H

#include "text/jinja_value.h"

// A method. Either bound arguments (see ql_j_bind_args) or all of them as they are.
typedef struct ql_jmethod_def {
    uint8_t type; // whose it is, in a table for several types
    const char *name;
    ql_jval (*call)(ql_jinja *j, ql_jval self, ql_jval *a);
    const char *params;
    int required;
    ql_jval (*variadic)(ql_jinja *j, ql_jval self, const ql_jargs *args);
} ql_jmethod_def;

typedef struct ql_jmethod {
    ql_jval self;
    const ql_jmethod_def *def;
} ql_jmethod;

// `loop`.
typedef struct ql_jloop {
    ql_jval iterable;
    ql_jiter *it;
    int64_t index0, depth0, length; // length -1: not asked yet
    ql_jval before, current, after, changed; // MISSING: none
    const struct ql_jnode *node; // of a recursive loop, else NULL
    struct ql_jenv *env;         // where the recursive loop was written
} ql_jloop;

// Slots of a function that runs.
typedef struct ql_jenv {
    struct ql_jenv *outer;
    ql_jval slots[];
} ql_jenv;

// A macro value: the code and the variables around its definition.
typedef struct ql_jmacro_value {
    const struct ql_jmacro *code;
    ql_jenv *env;
} ql_jmacro_value;

bool ql_j_loop_next(ql_jinja *j, ql_jloop *loop, ql_jval *item);

ql_jval ql_j_getattr(ql_jinja *j, ql_jval v, const ql_jstr *name);
ql_jval ql_j_attribute(ql_jinja *j, ql_jval v, const ql_jstr *name); // without looking for an item
ql_jval ql_j_getitem(ql_jinja *j, ql_jval v, ql_jval key);
// v[start:stop:step]; NONE or MISSING: left out.
ql_jval ql_j_slice(ql_jinja *j, ql_jval v, ql_jval start, ql_jval stop, ql_jval step);
// a op b, op is a ql_jop.
ql_jval ql_j_operate(ql_jinja *j, int op, ql_jval a, ql_jval b);
ql_jval ql_j_call_method(ql_jinja *j, const ql_jmethod *method, const ql_jargs *args);

// The tables; end with a NULL name.
extern const ql_jmethod_def ql_j_str_methods[], ql_j_container_methods[];
// str.format() and str.format_map().
ql_jval ql_j_str_format(ql_jinja *j, ql_jval self, const ql_jargs *args);
ql_jval ql_j_str_format_map(ql_jinja *j, ql_jval self, const ql_jargs *args);

// Helpers of str methods that filters share. chars NULL: white space.
ql_jstr *ql_j_strip(ql_jinja *j, const ql_jstr *s, const ql_jstr *chars, bool left, bool right);
ql_jstr *ql_j_replace(ql_jinja *j, const ql_jstr *s, const ql_jstr *from, const ql_jstr *to, int64_t count);
ql_jstr *ql_j_center(ql_jinja *j, const ql_jstr *s, int64_t width, const ql_jstr *fill);
ql_jlist *ql_j_split_lines(ql_jinja *j, const ql_jstr *s, bool keep_ends);
// Range of the characters start..stop (Python's slice rules) in bytes; a missing bound is the end.
void ql_j_char_range(ql_jinja *j, const ql_jstr *s, ql_jval start, ql_jval stop, size_t *from, size_t *to);

#endif
