// SPDX-License-Identifier: MIT
// Sizes of the key/value rows and of query tiles; the layouts themselves are in kernel.h and attend_tile.h.
#include "kernel/attend_tile.h"

const char *const ql_kv_names[QL_KV_COUNT] = {"f32", "f16", "q8", "q4"};

size_t ql_kv_key_bytes(ql_kv_type type, size_t head_dim)
{
    static const uint8_t bytes[QL_KV_COUNT] = {[QL_KV_F32] = 4, [QL_KV_F16] = 2, [QL_KV_Q8] = 2, [QL_KV_Q4] = 1};
    return head_dim * bytes[type];
}

size_t ql_kv_value_bytes(ql_kv_type type, size_t head_dim)
{
    static const uint8_t halves[QL_KV_COUNT] = {[QL_KV_F32] = 8, [QL_KV_F16] = 4, [QL_KV_Q8] = 2, [QL_KV_Q4] = 1};
    return head_dim * halves[type] / 2;
}

size_t ql_kv_scale_bytes(ql_kv_type type) { return ql_kv_is_int(type) ? sizeof(float) : 0; }

size_t ql_query_tile_bytes(ql_kv_type type, size_t head_dim)
{
    return ql_kv_is_int(type) ? sizeof(ql_query_scales) + head_dim * QL_QUERY_MAX * sizeof(int16_t)
                              : head_dim * QL_QUERY_MAX * sizeof(float);
}
