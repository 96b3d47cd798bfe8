// SPDX-License-Identifier: MIT
// Owns the memory of a run and the limits; knows no values.
#include "text/jinja_mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

typedef struct ql_jchunk {
    struct ql_jchunk *next;
    size_t size;
    _Alignas(16) char bytes[];
} ql_jchunk;

enum { MIN_CHUNK = 16 << 10, MAX_CHUNK = 1 << 20 };

void ql_j_start(ql_jinja *j, ql_error *err)
{
    memset(j, 0, sizeof *j);
    j->err = err;
    j->line = j->col = 1;
    j->steps = QL_J_MAX_STEPS;
}

void ql_j_free(ql_jinja *j)
{
    for (ql_jchunk *chunk = j->chunks, *next; chunk; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    j->chunks = NULL;
    j->at = j->end = NULL;
}

static ql_jchunk *new_chunk(ql_jinja *j, size_t size)
{
    if (size > QL_J_MAX_MEMORY - j->memory)
        ql_j_memory_limit(j);
    ql_jchunk *chunk = malloc(sizeof *chunk + size);
    if (!chunk)
        ql_j_escape(j, ql_fail_memory(j->err, size));
    j->memory += size;
    j->steps -= (int64_t)(size / QL_J_FRESH_PER_STEP);
    chunk->size = size;
    return chunk;
}

void *ql_j_alloc(ql_jinja *j, size_t n)
{
    if (n > QL_J_MAX_MEMORY)
        ql_j_memory_limit(j);
    n = (n + 15) & ~(size_t)15;
    if (n <= (size_t)(j->end - j->at)) {
        void *p = j->at;
        j->at += n;
        return p;
    }
    size_t size = j->memory / 2;
    size = size < MIN_CHUNK ? MIN_CHUNK : size > MAX_CHUNK ? MAX_CHUNK : size;
    if (n > size / 4) { // a chunk of its own, behind the one that still has room
        ql_jchunk *chunk = new_chunk(j, n);
        ql_jchunk **link = j->chunks ? &j->chunks->next : &j->chunks;
        chunk->next = *link;
        *link = chunk;
        return chunk->bytes;
    }
    if (size > QL_J_MAX_MEMORY - j->memory)
        size = n;
    ql_jchunk *chunk = new_chunk(j, size);
    chunk->next = j->chunks;
    j->chunks = chunk;
    j->at = chunk->bytes + n;
    j->end = chunk->bytes + size;
    return chunk->bytes;
}

void *ql_j_zalloc(ql_jinja *j, size_t n) { return memset(ql_j_alloc(j, n), 0, n); }

void *ql_j_array(ql_jinja *j, size_t n, size_t size)
{
    uint64_t bytes;
    if (!ql_mul_u64(n, size, &bytes) || bytes > QL_J_MAX_MEMORY)
        ql_j_memory_limit(j);
    return ql_j_alloc(j, (size_t)bytes);
}

void *ql_j_grow(ql_jinja *j, void *items, size_t n, size_t *cap, size_t need, size_t size)
{
    if (need <= *cap)
        return items;
    size_t more = *cap ? *cap * 2 : 8;
    *cap = more < need ? need : more;
    void *grown = ql_j_array(j, *cap, size);
    if (n)
        memcpy(grown, items, n * size);
    ql_j_charge(j, n * size);
    return grown;
}

void ql_j_escape(ql_jinja *j, ql_code code)
{
    j->code = code;
    longjmp(j->failed, 1);
}

void ql_j_raise(ql_jinja *j, const char *fmt, ...)
{
    char message[sizeof(((ql_error *)0)->message) + 16];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    ql_j_escape(j, ql_fail(j->err, QL_E_TEMPLATE, "chat_template:%u:%u: %s", j->line, j->col, message));
}

// A limit that a template passes with the shortest chat is worth telling when the model is opened.
__attribute__((noreturn)) static void raise_limit(ql_jinja *j, const char *what, int limit, const char *unit)
{
    j->limited = true;
    ql_j_raise(j, "%s %d%s", what, limit, unit);
}

void ql_j_step_limit(ql_jinja *j) { raise_limit(j, "step limit", QL_J_MAX_STEPS, ""); }

void ql_j_depth_limit(ql_jinja *j) { raise_limit(j, "call depth", QL_J_MAX_CALLS, ""); }

void ql_j_text_limit(ql_jinja *j) { raise_limit(j, "output limit", QL_J_MAX_TEXT >> 20, " MB"); }

void ql_j_memory_limit(ql_jinja *j) { raise_limit(j, "memory limit", QL_J_MAX_MEMORY >> 20, " MB"); }

void ql_j_range_limit(ql_jinja *j)
{
    raise_limit(j, "range too big: the sandbox blocks ranges of more than", QL_J_MAX_RANGE, " items");
}
