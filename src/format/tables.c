// SPDX-License-Identifier: MIT
// The order of a source's entries and tensors, and the tables of a whole from those of its parts. Must not know which
// files they come from. Equal names stay in the order of the file, so that messages tell the first one.
#include <stdlib.h>
#include <string.h>

#include "format/source_impl.h"

static int compare_keys(const ql_gguf_kv *a, const ql_gguf_kv *b)
{
    int order = memcmp(a->key, b->key, a->key_len < b->key_len ? a->key_len : b->key_len);
    return order ? order : (a->key_len > b->key_len) - (a->key_len < b->key_len);
}

static int compare_kvs(const void *a, const void *b, void *kvs)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    int order = compare_keys((const ql_gguf_kv *)kvs + x, (const ql_gguf_kv *)kvs + y);
    return order ? order : (x > y) - (x < y);
}

static int compare_names(const void *a, const void *b, void *tensors)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    int order = strcmp(((const ql_tensor *)tensors)[x].name, ((const ql_tensor *)tensors)[y].name);
    return order ? order : (x > y) - (x < y);
}

bool ql_source_sort_kvs(ql_source *s, uint32_t *a, uint32_t *b)
{
    for (uint32_t i = 0; i < s->n_kvs; i++)
        s->kvs_by_key[i] = i;
    qsort_r(s->kvs_by_key, s->n_kvs, sizeof *s->kvs_by_key, compare_kvs, s->kvs);
    for (size_t i = 1; i < s->n_kvs; i++) {
        *a = s->kvs_by_key[i - 1];
        *b = s->kvs_by_key[i];
        if (compare_keys(&s->kvs[*a], &s->kvs[*b]) == 0)
            return true;
    }
    return false;
}

bool ql_source_sort_tensors(ql_source *s, const ql_tensor **twice)
{
    for (uint32_t i = 0; i < s->n_tensors; i++)
        s->tensors_by_name[i] = i;
    qsort_r(s->tensors_by_name, s->n_tensors, sizeof *s->tensors_by_name, compare_names, s->tensors);
    for (size_t i = 1; i < s->n_tensors; i++) {
        *twice = &s->tensors[s->tensors_by_name[i]];
        if (strcmp(s->tensors[s->tensors_by_name[i - 1]].name, (*twice)->name) == 0)
            return true;
    }
    return false;
}

// ---- parts ----

static const ql_source *part_of(const ql_source *s, const ql_tensor *t)
{
    for (size_t i = 0; i < s->n_parts; i++) {
        const ql_tensor *found = ql_source_tensor(&s->parts[i], t->name);
        if (found && found->name == t->name) // the same string: each part has its own
            return &s->parts[i];
    }
    return s;
}

static ql_code fail_twice(const ql_source *s, const ql_tensor *twice, ql_error *err)
{
    const ql_tensor *first = NULL;
    for (size_t i = 0; i < s->n_tensors && !first; i++)
        if (strcmp(s->tensors[i].name, twice->name) == 0)
            first = &s->tensors[i];
    return ql_fail(err, QL_E_FORMAT, "%s: tensor %s appears twice (in %s and %s)", s->path, twice->name,
                   ql_path_name(part_of(s, first)->path), ql_path_name(part_of(s, twice)->path));
}

ql_code ql_source_join(ql_source *s, ql_error *err)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n_parts; i++)
        n += s->parts[i].n_tensors;
    if (n > UINT32_MAX)
        return ql_fail(err, QL_E_FORMAT, "%s: %zu tensors, at most %u", s->path, n, UINT32_MAX);
    s->tensors = calloc(n + 1, sizeof *s->tensors);
    s->tensors_by_name = calloc(n + 1, sizeof *s->tensors_by_name);
    if (!s->tensors || !s->tensors_by_name)
        return ql_fail_memory(err, (n + 1) * (sizeof *s->tensors + sizeof *s->tensors_by_name));
    for (size_t i = 0; i < s->n_parts; i++)
        for (size_t j = 0; j < s->parts[i].n_tensors; j++)
            if (s->parts[i].tensors[j].dtype != QL_DTYPE_END)
                s->tensors[s->n_tensors++] = s->parts[i].tensors[j];
    const ql_tensor *twice;
    return ql_source_sort_tensors(s, &twice) ? fail_twice(s, twice, err) : QL_OK;
}
