// SPDX-License-Identifier: MIT
// Sizes of the key/value rows and of query tiles; the layouts themselves are in kernel.h and attend_tile.h.
#include "kernel/attend_tile.h"

size_t ql_kv_row_bytes(ql_kv_type type, int head_dim)
{
    return type == QL_KV_Q8 ? (size_t)head_dim : (size_t)head_dim * sizeof(float);
}

size_t ql_query_tile_bytes(ql_kv_type type, size_t head_dim)
{
    return type == QL_KV_Q8 ? 2 * ql_query_plane_bytes(head_dim)
                            : head_dim * QL_QUERY_MAX * sizeof(float);
}
