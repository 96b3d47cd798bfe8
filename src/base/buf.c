// SPDX-License-Identifier: MIT
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *ql_buf_reserve(ql_buf *buf, size_t n)
{
    size_t need;
    if (buf->failed || __builtin_add_overflow(buf->len, n, &need) || __builtin_add_overflow(need, 1, &need)) {
        buf->failed = true;
        return NULL;
    }
    if (need > buf->cap) {
        size_t cap = buf->cap ? buf->cap : 64;
        while (cap < need)
            cap = cap > SIZE_MAX / 2 ? need : cap * 2;
        char *data = realloc(buf->data, cap);
        if (!data) {
            buf->failed = true;
            return NULL;
        }
        buf->data = data;
        buf->cap = cap;
    }
    return buf->data + buf->len;
}

void ql_buf_append(ql_buf *buf, const void *bytes, size_t n)
{
    char *at = ql_buf_reserve(buf, n);
    if (!at)
        return;
    if (n)
        memcpy(at, bytes, n);
    buf->len += n;
    buf->data[buf->len] = 0;
}

void ql_buf_append_str(ql_buf *buf, const char *string) { ql_buf_append(buf, string, strlen(string)); }

void ql_buf_append_byte(ql_buf *buf, char byte) { ql_buf_append(buf, &byte, 1); }

void ql_buf_printf(ql_buf *buf, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    char *at = n < 0 ? NULL : ql_buf_reserve(buf, (size_t)n);
    if (at) {
        vsnprintf(at, (size_t)n + 1, fmt, again);
        buf->len += (size_t)n;
    }
    va_end(again);
    va_end(args);
}

void ql_buf_consume(ql_buf *buf, size_t n)
{
    if (n == 0)
        return;
    memmove(buf->data, buf->data + n, buf->len - n);
    buf->len -= n;
    buf->data[buf->len] = 0;
}

void ql_buf_clear(ql_buf *buf)
{
    buf->len = 0;
    if (buf->data)
        buf->data[0] = 0;
}

void ql_buf_free(ql_buf *buf)
{
    free(buf->data);
    *buf = (ql_buf){0};
}

ql_code ql_buf_take(ql_buf *buf, char **data, size_t *len, ql_error *err)
{
    ql_buf_append(buf, "", 0); // an empty buffer becomes "" with memory of its own
    if (buf->failed) {
        ql_buf_free(buf);
        return ql_fail_memory(err, buf->cap);
    }
    *data = buf->data;
    if (len)
        *len = buf->len;
    *buf = (ql_buf){0};
    return QL_OK;
}

void ql_free(void *memory) { free(memory); }
