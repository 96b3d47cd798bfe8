// SPDX-License-Identifier: MIT
// Private to the format room: parsing a GGUF. Source: ggml's GGUF specification, versions 2 and 3.
#ifndef QL_FORMAT_GGUF_H
#define QL_FORMAT_GGUF_H

#include "format/source_impl.h"

// Parses size bytes at data into a zeroed source. data and path (for messages) must outlive it; file and path_copy are
// left alone. On failure what was allocated is left for ql_gguf_clear. A part of a split model is refused.
ql_code ql_gguf_parse(const uint8_t *data, size_t size, const char *path, ql_source *source, ql_error *err);

// The same, parts of a split model too.
ql_code ql_gguf_parse_part(const uint8_t *data, size_t size, const char *path, ql_source *source, ql_error *err);

// Frees the tables and remarks of any source, not what it maps.
void ql_gguf_clear(ql_source *source);

#endif
