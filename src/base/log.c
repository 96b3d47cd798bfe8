// SPDX-License-Identifier: MIT
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

void ql_log_line(const ql_logger *logger, const char *fmt, ...)
{
    if (!logger->call)
        return;
    char line[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    logger->call(logger->user, line);
}
