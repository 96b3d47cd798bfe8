// SPDX-License-Identifier: MIT
// Owns the wording-independent part of errors: the code table and safe formatting.
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const ql_code_info code_table[QL_E_COUNT] = {
    [QL_OK] = {"ok", "", 200, 0},
    [QL_E_ARGUMENT] = {"argument", "ValueError", 400, 64},
    [QL_E_NOT_FOUND] = {"not_found", "FileNotFoundError", 404, 1},
    [QL_E_IO] = {"io", "OSError", 500, 1},
    [QL_E_FORMAT] = {"format", "ValueError", 500, 65},
    [QL_E_UNSUPPORTED] = {"unsupported", "NotImplementedError", 400, 65},
    [QL_E_MEMORY] = {"memory", "MemoryError", 503, 69},
    [QL_E_CONTEXT] = {"context_length_exceeded", "ValueError", 400, 64},
    [QL_E_NO_TEMPLATE] = {"no_template", "ValueError", 400, 64},
    [QL_E_TEMPLATE] = {"template", "TemplateError", 400, 65},
    [QL_E_CANCELLED] = {"cancelled", "KeyboardInterrupt", 499, 130},
    [QL_E_NUMERIC] = {"numeric_error", "ArithmeticError", 500, 1},
    [QL_E_CLOSED] = {"closed", "ValueError", 500, 64},
};

const ql_code_info *ql_code_lookup(ql_code code)
{
    static const ql_code_info internal = {"internal", "RuntimeError", 500, 1};
    return (unsigned)code < QL_E_COUNT ? &code_table[code] : &internal;
}

// Copies src to dst (size bytes), control bytes as \xNN, cut at a whole character.
static void copy_printable(char *dst, size_t size, const char *src)
{
    size_t n = 0;
    for (; *src; src++) {
        unsigned char c = (unsigned char)*src;
        bool control = c < 0x20 || c == 0x7f;
        if (n + (control ? 4 : 1) >= size)
            break;
        if (control)
            n += (size_t)snprintf(dst + n, size - n, "\\x%02x", c);
        else
            dst[n++] = (char)c;
    }
    if (*src)
        while (n && ((unsigned char)dst[n - 1] & 0xc0) == 0x80)
            n--; // a character cut in two: drop its rest here, its lead byte below
    if (*src && n && (unsigned char)dst[n - 1] >= 0xc0)
        n--;
    dst[n] = 0;
}

ql_code ql_fail(ql_error *err, ql_code code, const char *fmt, ...)
{
    if (!err)
        return code;
    char raw[sizeof err->message + 8]; // longer, so that copy_printable sees what is cut
    va_list args;
    va_start(args, fmt);
    vsnprintf(raw, sizeof raw, fmt, args);
    va_end(args);
    err->code = code;
    copy_printable(err->message, sizeof err->message, raw);
    return code;
}

ql_code ql_fail_prefix(ql_error *err, ql_code code, const char *fmt, ...)
{
    if (!err)
        return code;
    char prefix[512], message[sizeof err->message];
    va_list args;
    va_start(args, fmt);
    vsnprintf(prefix, sizeof prefix, fmt, args);
    va_end(args);
    memcpy(message, err->message, sizeof message);
    return ql_fail(err, code, "%s: %s", prefix, message);
}

ql_code ql_fail_memory(ql_error *err, size_t bytes)
{
    return ql_fail(err, QL_E_MEMORY, "out of memory: %zu bytes were refused", bytes);
}

const char *ql_version(void) { return QL_VERSION; }
