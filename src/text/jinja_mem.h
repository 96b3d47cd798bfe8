// SPDX-License-Identifier: MIT
// The state of one compilation or one rendering of a template: its memory, its limits, and the way out on an error.
//
// An error leaves by longjmp to the one setjmp in template.c. All memory of a run comes from its pool and goes with
// it, so nothing between the two points owns anything, and 300 call sites need no error check.
#ifndef QL_TEXT_JINJA_MEM_H
#define QL_TEXT_JINJA_MEM_H

#include <setjmp.h>

#include "base/error.h"

enum {
    QL_J_MAX_STEPS = 1000000,
    QL_J_MAX_TEXT = 4 << 20,    // bytes of the output and of any string
    QL_J_MAX_MEMORY = 32 << 20, // bytes of one run
    QL_J_MAX_RANGE = 100000,    // as jinja2's sandbox
    QL_J_MAX_CALLS = 128,       // macros in macros
    QL_J_MAX_NESTING = 200,     // of the source
    QL_J_MAX_CHAIN = 1000,      // operators in one chain, which nests the tree but not the source
    QL_J_MAX_DEPTH = 3000,      // C calls of the evaluator, at most about 300 bytes of stack each
    QL_J_MAX_VALUE_DEPTH = 400, // lists in lists
    QL_J_BYTES_PER_STEP = 128,  // copying or searching this much costs one step
    QL_J_FRESH_PER_STEP = 64,   // so does getting this much memory from the system
};

typedef struct ql_jinja {
    jmp_buf failed;
    ql_error *err;
    ql_code code;
    uint32_t line, col; // what runs, for messages
    int64_t steps;      // left
    uint32_t depth;     // C calls of the evaluator under way
    uint32_t calls;     // macro calls under way
    bool limited;       // the error is one of the limits

    struct ql_jchunk *chunks;
    char *at, *end; // room left in the newest chunk
    size_t memory;

    // Rendering only.
    const struct ql_template *tmpl;
    struct ql_jdict *variables; // what the caller gives and the globals
    struct ql_jdict *exported;  // top-level assignments; NULL when no {% block %} can see them
    struct ql_jbuild *out;      // where output goes now
    bool chat; // messages are made as transformers' apply_chat_template does
    bool has_now;
    int64_t now;
} ql_jinja;

// Starts a run: no memory yet, all limits full.
void ql_j_start(ql_jinja *j, ql_error *err);
void ql_j_free(ql_jinja *j);

// Never NULL. The memory is not cleared; ql_j_zalloc's is.
void *ql_j_alloc(ql_jinja *j, size_t n);
void *ql_j_zalloc(ql_jinja *j, size_t n);
// n items of size bytes, checked.
void *ql_j_array(ql_jinja *j, size_t n, size_t size);
// Room for more items: *cap grows to at least need, items are copied.
void *ql_j_grow(ql_jinja *j, void *items, size_t n, size_t *cap, size_t need, size_t size);
#define QL_J_NEW(j, type) ((type *)ql_j_zalloc((j), sizeof(type)))

// "chat_template:LINE:COL: message", QL_E_TEMPLATE.
__attribute__((noreturn, format(printf, 2, 3))) void ql_j_raise(ql_jinja *j, const char *fmt, ...);
// Another code, for errors that are not the template's; fills *j->err before.
__attribute__((noreturn)) void ql_j_escape(ql_jinja *j, ql_code code);

__attribute__((noreturn)) void ql_j_step_limit(ql_jinja *j);
__attribute__((noreturn)) void ql_j_depth_limit(ql_jinja *j);
__attribute__((noreturn)) void ql_j_text_limit(ql_jinja *j);
__attribute__((noreturn)) void ql_j_memory_limit(ql_jinja *j);
__attribute__((noreturn)) void ql_j_range_limit(ql_jinja *j);

static inline void ql_j_step(ql_jinja *j)
{
    if (--j->steps < 0)
        ql_j_step_limit(j);
}

// The cost of touching this many bytes.
static inline void ql_j_charge(ql_jinja *j, size_t bytes)
{
    j->steps -= (int64_t)(bytes / QL_J_BYTES_PER_STEP);
    if (j->steps < 0)
        ql_j_step_limit(j);
}

// Around every recursion of the evaluator.
static inline void ql_j_enter(ql_jinja *j)
{
    ql_j_step(j);
    if (++j->depth > QL_J_MAX_DEPTH)
        ql_j_depth_limit(j);
}

static inline void ql_j_leave(ql_jinja *j) { j->depth--; }

#endif
