// SPDX-License-Identifier: MIT
// Private to the format room: parsing one safetensors file.
#ifndef QL_FORMAT_SAFETENSORS_H
#define QL_FORMAT_SAFETENSORS_H

#include "format/source_impl.h"

// Parses size bytes at data into a zeroed source: its tensors, those of types that hold no weights (I64, BOOL) or of
// more than 4 dimensions with dtype QL_DTYPE_END. data and path (for messages) must outlive it. On failure what was
// allocated is left for ql_gguf_clear.
ql_code ql_safetensors_parse(const uint8_t *data, size_t size, const char *path, ql_source *source, ql_error *err);

#endif
