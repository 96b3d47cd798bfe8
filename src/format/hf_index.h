// SPDX-License-Identifier: MIT
// Private to the Hugging Face files of the format room: one safetensors file, and several by their index.
#ifndef QL_FORMAT_HF_INDEX_H
#define QL_FORMAT_HF_INDEX_H

#include "format/source_impl.h"

// Maps and parses folder/name (folder NULL: name is a path) into a zeroed part of s.
ql_code ql_hf_open_part(ql_source *s, ql_source *part, const char *folder, const char *name, ql_error *err);

// Opens the files that folder/index names as the parts of s, and checks that each tensor is where it says.
ql_code ql_hf_open_shards(ql_source *s, const char *folder, const char *index, ql_error *err);

#endif
