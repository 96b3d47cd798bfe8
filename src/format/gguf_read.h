// SPDX-License-Identifier: MIT
// Private to the GGUF parser: where it stands in the file, and taking pieces that are there.
#ifndef QL_FORMAT_GGUF_READ_H
#define QL_FORMAT_GGUF_READ_H

#include <string.h>

#include "format/gguf.h"

typedef struct ql_gguf_reader {
    const uint8_t *data; // [size]
    size_t size, at;
    const char *path;    // only for messages
    ql_error *err;
} ql_gguf_reader;

// The format must be a literal that starts after "<file>: "; the path is put in front.
#define QL_GGUF_FAIL(r, ...) QL_GGUF_FAIL_CODE(r, QL_E_FORMAT, __VA_ARGS__)
#define QL_GGUF_FAIL_CODE(r, code, ...) \
    (ql_fail((r)->err, (code), __VA_ARGS__), ql_fail_prefix((r)->err, (code), "%s", (r)->path))

static inline size_t ql_gguf_left(const ql_gguf_reader *r) { return r->size - r->at; }

// False, taking nothing, when fewer than n bytes are left.
static inline bool ql_gguf_take(ql_gguf_reader *r, uint64_t n, const uint8_t **data)
{
    if (ql_gguf_left(r) < n)
        return false;
    *data = r->data + r->at;
    r->at += n; // bounded: n <= what is left
    return true;
}

static inline bool ql_gguf_take_u32(ql_gguf_reader *r, uint32_t *value)
{
    const uint8_t *p;
    if (!ql_gguf_take(r, sizeof *value, &p))
        return false;
    memcpy(value, p, sizeof *value);
    return true;
}

static inline bool ql_gguf_take_u64(ql_gguf_reader *r, uint64_t *value)
{
    const uint8_t *p;
    if (!ql_gguf_take(r, sizeof *value, &p))
        return false;
    memcpy(value, p, sizeof *value);
    return true;
}

static inline ql_code ql_gguf_ends_inside(ql_gguf_reader *r, const char *what, size_t i)
{
    return QL_GGUF_FAIL(r, "%s %zu: the file ends inside it (download incomplete?)", what, i);
}

// Reads n tensor infos at r, then finds and checks each tensor's place. The metadata has been parsed.
ql_code ql_gguf_parse_tensors(ql_gguf_reader *r, ql_source *source, uint64_t n);

#endif
