// SPDX-License-Identifier: MIT
// Private to the format room: jansson, and what it does not say itself.
#ifndef QL_FORMAT_JSON_H
#define QL_FORMAT_JSON_H

#include <jansson.h>
#include <stdbool.h>

// Most of its failed allocations leave the error as it was initialized, without a text.
static inline bool ql_json_is_out_of_memory(const json_error_t *error)
{
    return !error->text[0] || json_error_code(error) == json_error_out_of_memory;
}

#endif
