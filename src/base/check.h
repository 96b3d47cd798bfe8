// SPDX-License-Identifier: MIT
// Checked arithmetic: the only way numbers from a file or a caller may be added or multiplied. False is an overflow.
#ifndef QL_BASE_CHECK_H
#define QL_BASE_CHECK_H

#include <stdbool.h>
#include <stdint.h>

static inline bool ql_add_u64(uint64_t a, uint64_t b, uint64_t *out) { return !__builtin_add_overflow(a, b, out); }
static inline bool ql_mul_u64(uint64_t a, uint64_t b, uint64_t *out) { return !__builtin_mul_overflow(a, b, out); }

// Up to the next multiple of align, a power of two.
static inline bool ql_round_up_u64(uint64_t a, uint64_t align, uint64_t *out)
{
    if (!ql_add_u64(a, align - 1, out))
        return false;
    *out &= ~(align - 1);
    return true;
}

#endif
