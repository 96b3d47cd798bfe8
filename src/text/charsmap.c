// SPDX-License-Identifier: MIT
// Owns SentencePiece's compiled normalization rules: a double array (Darts) from byte strings to offsets in a block of
// replacements. Must not know tokens. Every step through the array is checked, since it comes from a file.
#include <stdlib.h>
#include <string.h>

#include "text/normalize.h"

ql_code ql_charsmap_new(const uint8_t *data, size_t size, ql_charsmap **out, ql_error *err)
{
    uint32_t trie;
    if (size < 4)
        return ql_fail(err, QL_E_FORMAT, "precompiled_charsmap has %zu bytes, at least 4 are needed", size);
    memcpy(&trie, data, 4);
    if (trie > size - 4 || trie % 4)
        return ql_fail(err, QL_E_FORMAT, "precompiled_charsmap: a table of %u bytes in %zu", trie, size);
    ql_charsmap *map = calloc(1, sizeof *map);
    if (!map)
        return ql_fail_memory(err, sizeof *map);
    map->n_units = trie / 4;
    map->n_texts = size - 4 - trie;
    map->units = malloc((size_t)trie + 4); // bounded: trie <= size - 4
    map->texts = malloc(map->n_texts + 1);
    if (!map->units || !map->texts) {
        ql_charsmap_free(map);
        return ql_fail_memory(err, size);
    }
    memcpy(map->units, data + 4, trie);
    memcpy(map->texts, data + 4 + trie, map->n_texts); // bounded: the same
    map->texts[map->n_texts] = 0;
    *out = map;
    return QL_OK;
}

void ql_charsmap_free(ql_charsmap *map)
{
    if (!map)
        return;
    free(map->units);
    free(map->texts);
    free(map);
}

// ---- units of the double array, as Darts-clone packs them ----

static bool has_leaf(uint32_t unit) { return unit >> 8 & 1; }
static uint32_t value_of(uint32_t unit) { return unit & 0x7fffffff; }
static uint32_t label_of(uint32_t unit) { return unit & 0x800000ff; }
static uint32_t offset_of(uint32_t unit) { return unit >> 10 << ((unit & 0x200) >> 6); }

// The shortest rule that the text begins with stands for all of it: so the library has it.
const char *ql_charsmap_find(const ql_charsmap *map, const char *text, size_t len, size_t *n)
{
    size_t at = 0;
    if (map->n_units == 0)
        return NULL;
    at ^= offset_of(map->units[0]);
    for (size_t i = 0; i < len; i++) {
        uint8_t c = (uint8_t)text[i];
        if (c == 0)
            return NULL;
        at ^= c;
        if (at >= map->n_units || label_of(map->units[at]) != c)
            return NULL;
        uint32_t unit = map->units[at];
        at ^= offset_of(unit);
        if (!has_leaf(unit))
            continue;
        uint32_t value = at < map->n_units ? value_of(map->units[at]) : UINT32_MAX;
        if (value >= map->n_texts)
            return NULL;
        *n = strlen(map->texts + value);
        return map->texts + value;
    }
    return NULL;
}
