// SPDX-License-Identifier: MIT
// Owns the table of places. A slot keeps the last place with its hash and nothing else: what stands there is compared, so
// a collision costs a draft, never a wrong one.
#include "engine/lookup.h"

#include <stdlib.h>
#include <string.h>

ql_code ql_lookup_init(ql_lookup *lookup, uint32_t max_length, ql_error *err)
{
    size_t n = 1024;
    while (n < 2 * (size_t)max_length)
        n *= 2;
    *lookup = (ql_lookup){.places = calloc(n, sizeof *lookup->places), .mask = n - 1};
    return lookup->places ? QL_OK : ql_fail_memory(err, n * sizeof *lookup->places);
}

void ql_lookup_free(ql_lookup *lookup)
{
    free(lookup->places);
    *lookup = (ql_lookup){0};
}

void ql_lookup_clear(ql_lookup *lookup)
{
    if (lookup->n)
        memset(lookup->places, 0, (lookup->mask + 1) * sizeof *lookup->places);
    lookup->n = lookup->followed = 0;
}

// Of the QL_LOOKUP_MIN tokens before tokens + end.
static size_t hash(const int32_t *tokens, size_t end)
{
    uint64_t h = 0;
    for (size_t i = end - QL_LOOKUP_MIN; i < end; i++)
        h = (h ^ (uint32_t)tokens[i]) * 0x9e3779b97f4a7c15u;
    return (size_t)(h >> 32);
}

static ql_found compare(const int32_t *tokens, size_t n, size_t place)
{
    ql_found at = {.tokens = tokens + place, .n = n - place};
    for (size_t i = 0; i < place && i < QL_LOOKUP_LONG; i++) {
        bool same = tokens[place - 1 - i] == tokens[n - 1 - i];
        at.match += same && at.match == i;
        at.alike += same;
    }
    return at;
}

void ql_lookup_follow(ql_lookup *lookup, size_t place) { lookup->followed = place; }

size_t ql_lookup_find(ql_lookup *lookup, const int32_t *tokens, size_t n, ql_found found[QL_LOOKUP_PLACES])
{
    size_t n_found = 0;
    if (n <= QL_LOOKUP_MIN)
        return 0;
    for (size_t end = lookup->n < QL_LOOKUP_MIN ? QL_LOOKUP_MIN : lookup->n; end < n; end++) // not yet the end itself
        lookup->places[hash(tokens, end) & lookup->mask] = (uint32_t)end;
    if (lookup->followed)
        lookup->followed += n - lookup->n;
    lookup->n = n;
    size_t place = lookup->places[hash(tokens, n) & lookup->mask];
    found[0] = compare(tokens, n, place);
    n_found = found[0].match >= QL_LOOKUP_MIN;
    if (!lookup->followed || (n_found && lookup->followed == place))
        return n_found;
    found[n_found] = compare(tokens, n, lookup->followed);
    return n_found + (found[n_found].alike >= QL_LOOKUP_ALIKE);
}
