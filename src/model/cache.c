// SPDX-License-Identifier: MIT
// The key/value cache of one sequence: for every layer and kv head its keys, values and scales, over max_length
// positions. It is address space at first: pages become resident when positions are written.
#include "model/model.h"

static void layout(ql_arena *arena, const ql_config *c, ql_kv_type type, uint32_t max_length, ql_kv **heads)
{
    size_t n_heads = (size_t)c->n_layers * c->n_kv_heads;
    size_t n_pos = ((size_t)max_length + QL_PANEL_ROWS - 1) / QL_PANEL_ROWS * QL_PANEL_ROWS;
    size_t key = ql_kv_key_bytes(type, c->head_dim), value = ql_kv_value_bytes(type, c->head_dim);
    size_t scale = ql_kv_scale_bytes(type);
    ql_kv *kv = QL_ARENA_NEW(arena, ql_kv, n_heads);
    *heads = kv;
    for (size_t i = 0; i < n_heads; i++) {
        ql_kv head = {.k = ql_arena_alloc(arena, n_pos, key), .v = ql_arena_alloc(arena, n_pos, value)};
        if (scale) {
            head.k_scale = ql_arena_alloc(arena, n_pos, scale);
            head.v_scale = ql_arena_alloc(arena, n_pos, scale);
        }
        if (kv)
            kv[i] = head;
    }
}

uint64_t ql_cache_bytes(const ql_config *config, ql_kv_type type, uint32_t max_length)
{
    ql_arena measure = {0};
    ql_kv *heads;
    layout(&measure, config, type, max_length, &heads);
    return measure.used;
}

ql_code ql_cache_init(ql_cache *cache, const ql_config *config, ql_kv_type type, uint32_t max_length, ql_error *err)
{
    *cache = (ql_cache){0};
    QL_TRY(ql_arena_init(&cache->arena, ql_cache_bytes(config, type, max_length), false, err));
    layout(&cache->arena, config, type, max_length, &cache->heads);
    return QL_OK;
}

void ql_cache_free(ql_cache *cache)
{
    ql_arena_free(&cache->arena);
    *cache = (ql_cache){0};
}
