// SPDX-License-Identifier: MIT
// Lines for the user: the library never prints, it hands them to the caller's ql_log.
#ifndef QL_BASE_LOG_H
#define QL_BASE_LOG_H

#include "quantllm.h"

typedef struct ql_logger {
    ql_log *call; // NULL: nobody listens
    void *user;
} ql_logger;

// A line of at most 1023 bytes.
__attribute__((format(printf, 2, 3))) void ql_log_line(const ql_logger *logger, const char *fmt, ...);

#endif
