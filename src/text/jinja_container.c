// SPDX-License-Identifier: MIT
// Owns lists, dicts, views and ranges: building, lookup, membership, length and iteration.
#include <math.h>

#include "text/jinja_value.h"

ql_jlist *ql_j_list(ql_jinja *j, size_t cap)
{
    ql_jlist *list = QL_J_NEW(j, ql_jlist);
    list->items = cap ? ql_j_array(j, cap, sizeof *list->items) : NULL;
    list->cap = cap;
    return list;
}

void ql_j_push(ql_jinja *j, ql_jlist *list, ql_jval v)
{
    if (list->n == list->cap)
        list->items = ql_j_grow(j, list->items, list->n, &list->cap, list->n + 1, sizeof *list->items);
    list->items[list->n++] = v;
}

ql_jval ql_j_pair(ql_jinja *j, ql_jval a, ql_jval b)
{
    ql_jlist *list = ql_j_list(j, 2);
    list->items[0] = a;
    list->items[1] = b;
    list->n = 2;
    return ql_j_tuplev(list);
}

ql_jdict *ql_j_dict(ql_jinja *j) { return QL_J_NEW(j, ql_jdict); }

static uint32_t mix(uint64_t x)
{
    x *= 0x9e3779b97f4a7c15u;
    return (uint32_t)(x >> 32);
}

// Equal values have equal hashes: 1, 1.0 and True are one key.
bool ql_j_hash(ql_jinja *j, ql_jval v, uint32_t *hash)
{
    *hash = mix(v.type);
    switch (v.type) {
    case QL_J_LIST:
    case QL_J_DICT:
        return false;
    case QL_J_BOOL:
        *hash = mix(v.u.b);
        return true;
    case QL_J_INT:
        *hash = mix((uint64_t)v.u.i);
        return true;
    case QL_J_FLOAT:
        if (v.u.f == floor(v.u.f) && fabs(v.u.f) < 9e18)
            *hash = mix((uint64_t)(int64_t)v.u.f);
        else
            memcpy(hash, &v.u.f, sizeof *hash);
        return true;
    case QL_J_STR:
    case QL_J_WIDE:
        if (!v.u.s->hash)
            ql_j_charge(j, v.u.s->len);
        *hash = ql_j_str_hash(v.u.s);
        return true;
    case QL_J_TUPLE:
        ql_j_enter(j);
        for (size_t i = 0; i < v.u.list->n; i++) {
            uint32_t item;
            if (!ql_j_hash(j, v.u.list->items[i], &item)) {
                ql_j_leave(j);
                return false;
            }
            *hash = *hash * 31 + item;
        }
        ql_j_leave(j);
        return true;
    default: // by identity or, for the rest, by type: equal() decides
        return v.type != QL_J_VIEW || v.u.view->kind == QL_J_VALUES;
    }
}

static bool key_is(ql_jinja *j, const ql_jentry *entry, ql_jval key, uint32_t hash)
{
    if (entry->hash != hash)
        return false;
    if (entry->key.type == QL_J_STR && key.type == QL_J_STR)
        return ql_j_str_equal(entry->key.u.s, key.u.s);
    return ql_j_same(entry->key, key) || ql_j_equal(j, entry->key, key);
}

static ql_jentry *find(ql_jinja *j, const ql_jdict *dict, ql_jval key, uint32_t hash)
{
    if (!dict->index) {
        for (size_t i = 0; i < dict->n; i++)
            if (key_is(j, &dict->entries[i], key, hash))
                return &dict->entries[i];
        return NULL;
    }
    for (size_t at = hash & (dict->n_index - 1); dict->index[at]; at = (at + 1) & (dict->n_index - 1)) {
        ql_j_step(j); // keys made to collide cost their sender's steps
        ql_jentry *entry = &dict->entries[dict->index[at] - 1];
        if (key_is(j, entry, key, hash))
            return entry;
    }
    return NULL;
}

static void index_entry(ql_jdict *dict, size_t i)
{
    size_t at = dict->entries[i].hash & (dict->n_index - 1);
    while (dict->index[at])
        at = (at + 1) & (dict->n_index - 1);
    dict->index[at] = (uint32_t)i + 1;
}

static void grow_index(ql_jinja *j, ql_jdict *dict)
{
    dict->n_index = dict->n_index ? dict->n_index * 4 : 64;
    dict->index = ql_j_array(j, dict->n_index, sizeof *dict->index);
    memset(dict->index, 0, dict->n_index * sizeof *dict->index);
    ql_j_charge(j, dict->n_index * sizeof *dict->index);
    for (size_t i = 0; i < dict->n; i++)
        index_entry(dict, i);
}

ql_jval *ql_j_get(ql_jinja *j, const ql_jdict *dict, ql_jval key)
{
    uint32_t hash;
    if (!ql_j_hash(j, key, &hash))
        return NULL;
    ql_jentry *entry = find(j, dict, key, hash);
    return entry ? &entry->value : NULL;
}

ql_jval *ql_j_get_str(ql_jinja *j, const ql_jdict *dict, const ql_jstr *key)
{
    return ql_j_get(j, dict, ql_j_strv(key));
}

void ql_j_set(ql_jinja *j, ql_jdict *dict, ql_jval key, ql_jval v)
{
    uint32_t hash;
    if (!ql_j_hash(j, key, &hash))
        ql_j_raise(j, "unhashable type: '%s'", ql_j_type_name(key));
    ql_jentry *entry = find(j, dict, key, hash);
    if (entry) {
        entry->value = v;
        return;
    }
    dict->entries = ql_j_grow(j, dict->entries, dict->n, &dict->cap, dict->n + 1, sizeof *dict->entries);
    dict->entries[dict->n++] = (ql_jentry){.key = key, .value = v, .hash = hash};
    if (dict->index && dict->n * 2 <= dict->n_index)
        index_entry(dict, dict->n - 1);
    else if (dict->n > 8)
        grow_index(j, dict);
}

static bool in_range(const ql_jrange *r, ql_jval v)
{
    int64_t i;
    if (v.type == QL_J_FLOAT && v.u.f == floor(v.u.f) && fabs(v.u.f) < 9e18)
        i = (int64_t)v.u.f;
    else if (!ql_j_as_index(v, &i))
        return false;
    if (r->step > 0 ? i < r->start || i >= r->stop : i > r->start || i <= r->stop)
        return false;
    return (__int128)i - r->start == 0 || ((__int128)i - r->start) % r->step == 0;
}

static bool in_items(ql_jinja *j, const ql_jdict *dict, ql_jval v)
{
    if (v.type != QL_J_TUPLE || v.u.list->n != 2)
        return false;
    const ql_jval *found = ql_j_get(j, dict, v.u.list->items[0]);
    return found && ql_j_equal(j, *found, v.u.list->items[1]);
}

static bool in_dict(ql_jinja *j, const ql_jdict *dict, ql_jval v)
{
    uint32_t hash;
    if (!ql_j_hash(j, v, &hash))
        ql_j_raise(j, "unhashable type: '%s'", ql_j_type_name(v));
    return find(j, dict, v, hash) != NULL;
}

bool ql_j_contains(ql_jinja *j, ql_jval container, ql_jval v)
{
    switch (container.type) {
    case QL_J_STR:
        if (v.type != QL_J_STR)
            ql_j_raise(j, "'in <string>' requires string as left operand, not %s", ql_j_type_name(v));
        return ql_j_find(j, container.u.s, 0, container.u.s->len, v.u.s) != SIZE_MAX;
    case QL_J_DICT:
        return in_dict(j, container.u.dict, v);
    case QL_J_RANGE:
        return in_range(container.u.range, v);
    case QL_J_VIEW:
        if (container.u.view->kind == QL_J_KEYS)
            return in_dict(j, container.u.view->dict, v);
        if (container.u.view->kind == QL_J_ITEMS)
            return in_items(j, container.u.view->dict, v);
        break;
    default:
        break;
    }
    if (!ql_j_iterable(container))
        ql_j_raise(j, "argument of type '%s' is not iterable", ql_j_type_name(container));
    ql_jval item;
    for (ql_jiter *it = ql_j_iter(j, container); ql_j_next(j, it, &item);)
        if (ql_j_same(item, v) || ql_j_equal(j, item, v))
            return true;
    return false;
}

bool ql_j_len(ql_jval v, int64_t *len)
{
    switch (v.type) {
    case QL_J_UNDEFINED:
        *len = 0;
        return true;
    case QL_J_STR:
        *len = v.u.s->n_chars;
        return true;
    case QL_J_LIST:
    case QL_J_TUPLE:
        *len = (int64_t)v.u.list->n;
        return true;
    case QL_J_DICT:
        *len = (int64_t)v.u.dict->n;
        return true;
    case QL_J_VIEW:
        *len = (int64_t)v.u.view->dict->n;
        return true;
    case QL_J_RANGE:
        *len = v.u.range->len;
        return true;
    default:
        return false;
    }
}

ql_jval ql_j_item_at(ql_jinja *j, ql_jval v, size_t i)
{
    switch (v.type) {
    case QL_J_LIST:
    case QL_J_TUPLE:
        return v.u.list->items[i];
    case QL_J_DICT:
        return v.u.dict->entries[i].key;
    case QL_J_RANGE:
        return ql_j_int(v.u.range->start + (int64_t)i * v.u.range->step);
    case QL_J_VIEW: {
        const ql_jentry *entry = &v.u.view->dict->entries[i];
        if (v.u.view->kind == QL_J_ITEMS)
            return ql_j_pair(j, entry->key, entry->value);
        return v.u.view->kind == QL_J_KEYS ? entry->key : entry->value;
    }
    case QL_J_STR: {
        size_t from = ql_j_offset(j, v.u.s, i), n;
        ql_j_char(v.u.s->s + from, &n);
        return ql_j_strv(ql_j_sub(j, v.u.s, from, from + n));
    }
    default:
        ql_j_raise(j, "'%s' object is not subscriptable", ql_j_type_name(v));
    }
}

// For strings `at` counts bytes, for the rest items.
static bool next_item(ql_jinja *j, ql_jiter *it, ql_jval *out)
{
    ql_jval v = it->source;
    if (v.type == QL_J_STR) {
        size_t n;
        const ql_jstr *s = v.u.s;
        if (it->at >= s->len)
            return false;
        size_t from = it->at;
        if (it->reversed) {
            n = ql_j_char_before(s->s, s->len - it->at);
            from = s->len - it->at - n;
        } else {
            ql_j_char(s->s + from, &n);
        }
        it->at += n;
        *out = ql_j_strv(ql_j_plain(j, ql_j_sub(j, s, from, from + n)));
        return true;
    }
    int64_t len;
    if (!ql_j_len(v, &len) || it->at >= (size_t)len)
        return false;
    *out = ql_j_item_at(j, v, it->reversed ? (size_t)len - 1 - it->at : it->at);
    it->at++;
    return true;
}

static bool next_none(ql_jinja *j, ql_jiter *it, ql_jval *out)
{
    (void)j, (void)it, (void)out;
    return false;
}

bool ql_j_iterable(ql_jval v)
{
    int64_t len;
    return v.type == QL_J_ITER || v.type == QL_J_LOOP || ql_j_len(v, &len);
}

ql_jiter *ql_j_iter(ql_jinja *j, ql_jval v)
{
    if (v.type == QL_J_ITER)
        return v.u.iter;
    int64_t len;
    if (!ql_j_len(v, &len))
        ql_j_raise(j, "'%s' object is not iterable", ql_j_type_name(v));
    ql_jiter *it = QL_J_NEW(j, ql_jiter);
    it->next = v.type == QL_J_UNDEFINED ? next_none : next_item;
    it->type = "iterator";
    it->source = v;
    return it;
}

ql_jiter *ql_j_reversed(ql_jinja *j, ql_jval v)
{
    int64_t len;
    if (!ql_j_len(v, &len))
        return NULL;
    ql_jiter *it = ql_j_iter(j, v);
    it->type = "reversed";
    it->reversed = true;
    return it;
}

bool ql_j_next(ql_jinja *j, ql_jiter *it, ql_jval *out)
{
    ql_j_enter(j); // a chain of lazy filters nests
    bool more = it->next(j, it, out);
    ql_j_leave(j);
    return more;
}

ql_jlist *ql_j_to_list(ql_jinja *j, ql_jval v)
{
    ql_jiter *it = ql_j_iter(j, v);
    int64_t len;
    ql_jlist *list = ql_j_list(j, ql_j_len(v, &len) && v.type != QL_J_STR ? (size_t)len : 0);
    ql_jval item;
    while (ql_j_next(j, it, &item))
        ql_j_push(j, list, item);
    return list;
}
