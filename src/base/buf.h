// SPDX-License-Identifier: MIT
// A growing byte buffer. Running out of memory sets `failed` and turns later calls into no-ops, so that a writer
// checks once, at the end. A zeroed struct is an empty buffer.
#ifndef QL_BASE_BUF_H
#define QL_BASE_BUF_H

#include "base/error.h"

typedef struct ql_buf {
    char *data; // len bytes and, when not NULL, a NUL after them
    size_t len, cap;
    bool failed;
} ql_buf;

void ql_buf_append(ql_buf *buf, const void *bytes, size_t n);
void ql_buf_append_str(ql_buf *buf, const char *string);
void ql_buf_append_byte(ql_buf *buf, char byte);
__attribute__((format(printf, 2, 3))) void ql_buf_printf(ql_buf *buf, const char *fmt, ...);

// Room for n more bytes; returns where they go (len is not changed), NULL when failed.
char *ql_buf_reserve(ql_buf *buf, size_t n);

// Drops the first n bytes.
void ql_buf_consume(ql_buf *buf, size_t n);

void ql_buf_clear(ql_buf *buf); // keeps the memory
void ql_buf_free(ql_buf *buf);

// Hands the memory to the caller (free()), never NULL when QL_OK; the buffer is empty after.
ql_code ql_buf_take(ql_buf *buf, char **data, size_t *len, ql_error *err);

#endif
