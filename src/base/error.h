// SPDX-License-Identifier: MIT
// Errors: every fallible internal function returns a ql_code and fills a last argument ql_error* (which may be NULL).
#ifndef QL_BASE_ERROR_H
#define QL_BASE_ERROR_H

#include "quantllm.h"

// Fills *err with one line and returns code. Control bytes in the arguments come out as \xNN, so that a hostile file
// can not write to a terminal through a message.
__attribute__((format(printf, 3, 4))) ql_code ql_fail(ql_error *err, ql_code code, const char *fmt, ...);

// Puts "prefix: " in front of the message of an error that code tells of (a file name, mostly) and returns code.
__attribute__((format(printf, 3, 4))) ql_code ql_fail_prefix(ql_error *err, ql_code code, const char *fmt, ...);

// Out of memory: the only message for it, with the size that was asked.
ql_code ql_fail_memory(ql_error *err, size_t bytes);

// Returns from the calling function when expr fails.
#define QL_TRY(expr)                    \
    do {                                \
        ql_code ql_try_code_ = (expr);  \
        if (ql_try_code_ != QL_OK)      \
            return ql_try_code_;        \
    } while (0)

#endif
