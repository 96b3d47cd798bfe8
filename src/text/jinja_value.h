// SPDX-License-Identifier: MIT
// Values of the template interpreter, with Python's rules for truth, equality, order, hashing and iteration.
// Everything is immutable but namespaces, iterators, loop, cycler and joiner objects, as in jinja2's
// ImmutableSandboxedEnvironment.
#ifndef QL_TEXT_JINJA_VALUE_H
#define QL_TEXT_JINJA_VALUE_H

#include "text/jinja_str.h"

typedef enum ql_jtype {
    QL_J_MISSING, // no value: never seen by a template
    QL_J_UNDEFINED,
    QL_J_NONE,
    QL_J_BOOL,
    QL_J_INT,
    QL_J_WIDE, // an int beyond 64 bits: its digits in u.s; it prints and is equal to itself, nothing else
    QL_J_FLOAT,
    QL_J_STR,
    QL_J_LIST,
    QL_J_TUPLE,
    QL_J_DICT,
    QL_J_VIEW, // keys(), values(), items() of a dict
    QL_J_RANGE,
    QL_J_ITER,
    QL_J_NAMESPACE,
    QL_J_METHOD, // bound
    QL_J_FUNC,   // a global
    QL_J_MACRO,
    QL_J_LOOP,
    QL_J_CYCLER,
    QL_J_JOINER,
    QL_J_SELF,  // `self`
    QL_J_BLOCK, // `self.name`
} ql_jtype;

typedef struct ql_jval ql_jval;
typedef struct ql_jlist ql_jlist;
typedef struct ql_jdict ql_jdict;
typedef struct ql_jiter ql_jiter;
typedef struct ql_jargs ql_jargs;

// Why a value is undefined, for the message of the error that using it raises.
typedef struct ql_jundef {
    const char *hint;       // whole message, or NULL
    const char *owner;      // type of the object without that name; NULL: a variable
    const ql_jstr *name;    // NULL with a hint
    bool unsafe;
} ql_jundef;

typedef struct ql_jrange {
    int64_t start, stop, step, len;
} ql_jrange;

typedef enum { QL_J_KEYS, QL_J_VALUES, QL_J_ITEMS } ql_jview_kind;
typedef struct ql_jview {
    ql_jdict *dict;
    ql_jview_kind kind;
} ql_jview;

typedef struct ql_jcycler {
    ql_jlist *items;
    size_t at;
} ql_jcycler;

typedef struct ql_jjoiner {
    ql_jval *separator;
    bool used;
} ql_jjoiner;

struct ql_jval {
    uint8_t type;
    bool input; // of numbers, bool and None: their text is of the input
    union {
        bool b;
        int64_t i;
        double f;
        ql_jstr *s;
        ql_jlist *list; // also of a tuple
        ql_jdict *dict; // also of a namespace
        ql_jview *view;
        ql_jrange *range;
        ql_jiter *iter;
        ql_jundef *undef; // or NULL
        ql_jcycler *cycler;
        ql_jjoiner *joiner;
        struct ql_jmethod *method;
        const struct ql_jglobal *func;
        struct ql_jmacro_value *macro;
        struct ql_jloop *loop;
        const struct ql_jnode *block;
    } u;
};

struct ql_jlist {
    ql_jval *items;
    size_t n, cap;
    bool group; // a tuple of groupby: .grouper and .list
};

typedef struct ql_jentry {
    ql_jval key, value;
    uint32_t hash;
} ql_jentry;

struct ql_jdict { // in the order of insertion
    ql_jentry *entries;
    size_t n, cap;
    uint32_t *index; // [n_index] entry number + 1, a power of two; NULL while small
    size_t n_index;
};

// A Python iterator: next() gives values until it returns false. The fields are next()'s own.
struct ql_jiter {
    bool (*next)(ql_jinja *j, ql_jiter *it, ql_jval *out);
    const char *type;   // "generator", "list_iterator", ...
    ql_jval source;
    ql_jiter *inner;
    size_t at;
    void *state;
    bool started, reversed;
};

struct ql_jargs {
    ql_jval *pos; // [n]
    size_t n;
    const ql_jstr **names; // [n_named]
    ql_jval *named;
    size_t n_named;
};

static inline ql_jval ql_j_none(void) { return (ql_jval){.type = QL_J_NONE}; }
static inline ql_jval ql_j_bool(bool b) { return (ql_jval){.type = QL_J_BOOL, .u.b = b}; }
static inline ql_jval ql_j_int(int64_t i) { return (ql_jval){.type = QL_J_INT, .u.i = i}; }
static inline ql_jval ql_j_float(double f) { return (ql_jval){.type = QL_J_FLOAT, .u.f = f}; }
static inline ql_jval ql_j_strv(const ql_jstr *s) { return (ql_jval){.type = QL_J_STR, .u.s = (ql_jstr *)s}; }
static inline ql_jval ql_j_listv(ql_jlist *list) { return (ql_jval){.type = QL_J_LIST, .u.list = list}; }
static inline ql_jval ql_j_tuplev(ql_jlist *list) { return (ql_jval){.type = QL_J_TUPLE, .u.list = list}; }
static inline ql_jval ql_j_dictv(ql_jdict *dict) { return (ql_jval){.type = QL_J_DICT, .u.dict = dict}; }
static inline ql_jval ql_j_iterv(ql_jiter *iter) { return (ql_jval){.type = QL_J_ITER, .u.iter = iter}; }
static inline ql_jval ql_j_missing(void) { return (ql_jval){.type = QL_J_MISSING}; }
static inline ql_jval ql_j_tainted(ql_jval v, bool input) { v.input = input; return v; }

// An argument that must be an int (or left out: missing), or a str. what: "width".
int64_t ql_j_int_arg(ql_jinja *j, ql_jval v, int64_t missing, const char *what);
ql_jstr *ql_j_str_arg(ql_jinja *j, ql_jval v, const char *what);

ql_jval ql_j_undef_hint(ql_jinja *j, const char *hint); // hint lives as long as the run
ql_jval ql_j_undef_name(ql_jinja *j, const ql_jstr *name);
ql_jval ql_j_undef_attr(ql_jinja *j, ql_jval owner, ql_jval name, bool unsafe);
__attribute__((noreturn)) void ql_j_raise_undef(ql_jinja *j, ql_jval v);
// Raises if v is undefined; ql_j_want_narrow also if it is an int that only prints.
__attribute__((noreturn)) void ql_j_raise_wide(ql_jinja *j);
static inline void ql_j_want(ql_jinja *j, ql_jval v)
{
    if (v.type == QL_J_UNDEFINED)
        ql_j_raise_undef(j, v);
}
static inline void ql_j_want_narrow(ql_jinja *j, ql_jval v)
{
    ql_j_want(j, v);
    if (v.type == QL_J_WIDE)
        ql_j_raise_wide(j);
}

const char *ql_j_type_name(ql_jval v);
bool ql_j_truth(ql_jval v);
bool ql_j_is_number(ql_jval v);                   // int, float or bool
bool ql_j_as_index(ql_jval v, int64_t *i);        // int or bool
double ql_j_as_double(ql_jval v);                 // of a number
bool ql_j_is_str(ql_jval v, const char *string);

ql_jlist *ql_j_list(ql_jinja *j, size_t cap);
void ql_j_push(ql_jinja *j, ql_jlist *list, ql_jval v);
ql_jval ql_j_pair(ql_jinja *j, ql_jval a, ql_jval b);

ql_jdict *ql_j_dict(ql_jinja *j);
// False: v can not be a key.
bool ql_j_hash(ql_jinja *j, ql_jval v, uint32_t *hash);
ql_jval *ql_j_get(ql_jinja *j, const ql_jdict *dict, ql_jval key); // NULL: not there (or not hashable)
ql_jval *ql_j_get_str(ql_jinja *j, const ql_jdict *dict, const ql_jstr *key);
void ql_j_set(ql_jinja *j, ql_jdict *dict, ql_jval key, ql_jval v); // raises when key is not hashable

bool ql_j_equal(ql_jinja *j, ql_jval a, ql_jval b);
typedef enum { QL_J_LT, QL_J_LE, QL_J_GT, QL_J_GE } ql_jorder;
bool ql_j_compare(ql_jinja *j, ql_jorder op, ql_jval a, ql_jval b); // raises for types without an order
bool ql_j_contains(ql_jinja *j, ql_jval container, ql_jval v);
// "is": the same object.
bool ql_j_same(ql_jval a, ql_jval b);

// len(): false if v has none.
bool ql_j_len(ql_jval v, int64_t *len);
ql_jiter *ql_j_iter(ql_jinja *j, ql_jval v); // raises when v is not iterable
bool ql_j_iterable(ql_jval v);
ql_jiter *ql_j_reversed(ql_jinja *j, ql_jval v); // NULL: can not be reversed
bool ql_j_next(ql_jinja *j, ql_jiter *it, ql_jval *out);
ql_jlist *ql_j_to_list(ql_jinja *j, ql_jval v); // list(v), a new list
ql_jval ql_j_item_at(ql_jinja *j, ql_jval v, size_t i); // of a sequence with a len; in range

#endif
