// SPDX-License-Identifier: MIT
// An arena: one anonymous mapping from which an object and all it owns are cut; freed at once.
//
// Layout functions run twice over the same code: on a measuring arena (base NULL), which only adds up sizes, and on
// the real one of exactly that size. So what an object needs is known, and can be refused with figures, before any of
// it is allocated. Memory comes zeroed and becomes resident when it is first written.
#ifndef QL_BASE_ARENA_H
#define QL_BASE_ARENA_H

#include "base/error.h"

typedef struct ql_arena {
    uint8_t *base; // NULL: measuring
    size_t size;
    size_t used;   // of a measuring arena: SIZE_MAX after an overflow
} ql_arena;

// Reserves size bytes (0 is allowed). huge asks for huge pages: for memory that is all used, not for caches.
ql_code ql_arena_init(ql_arena *arena, size_t size, bool huge, ql_error *err);
void ql_arena_free(ql_arena *arena);

// n objects of size bytes, aligned to 64. NULL from a measuring arena; never NULL from one measured by the same calls.
void *ql_arena_alloc(ql_arena *arena, size_t n, size_t size);

// Bytes that may still be taken without swapping: the least of what the machine has, what the cgroups of this process
// leave, and its limit on address space. 0: unknown.
uint64_t ql_memory_available(void);

#define QL_ARENA_NEW(arena, type, n) ((type *)ql_arena_alloc((arena), (n), sizeof(type)))

#endif
