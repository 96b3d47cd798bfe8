// SPDX-License-Identifier: MIT
#include "base/arena.h"

#include <sys/mman.h>

ql_code ql_arena_init(ql_arena *arena, size_t size, bool huge, ql_error *err)
{
    *arena = (ql_arena){0};
    size_t bytes = size ? size : 1;
    if (size == SIZE_MAX)
        return ql_fail_memory(err, size);
    void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return ql_fail_memory(err, bytes);
    if (huge)
        madvise(base, bytes, MADV_HUGEPAGE); // refused where huge pages are off: then small ones do
    *arena = (ql_arena){.base = base, .size = bytes};
    return QL_OK;
}

void ql_arena_free(ql_arena *arena)
{
    if (arena->base)
        munmap(arena->base, arena->size);
    *arena = (ql_arena){0};
}

void *ql_arena_alloc(ql_arena *arena, size_t n, size_t size)
{
    size_t bytes, end;
    if (__builtin_mul_overflow(n, size, &bytes) || __builtin_add_overflow(bytes, 63, &bytes) ||
        __builtin_add_overflow(arena->used, bytes & ~(size_t)63, &end)) {
        arena->used = SIZE_MAX;
        return NULL;
    }
    size_t begin = arena->used;
    arena->used = end;
    if (!arena->base || end > arena->size)
        return NULL;
    return arena->base + begin;
}
