// SPDX-License-Identifier: MIT
// The index of a model in several safetensors files. Its weight_map names the file of each tensor: the files must be in
// the same folder, all there, and hold what the map says.
#include "format/hf_index.h"

#include <stdlib.h>
#include <string.h>

#include "format/json.h"

enum {
    MAX_INDEX = 64 << 20,
    MAX_SHARDS = 4096,
};

typedef struct index_file {
    ql_source *source;
    const char *folder;
    char *path;             // of the index, for messages
    json_t *root;
    json_t *map;            // tensor -> file name
    const char **shards;    // [n_shards], sorted, each once
    size_t n_shards;
    ql_error *err;
} index_file;

static ql_code load(index_file *x)
{
    ql_file file;
    json_error_t error;
    QL_TRY(ql_source_map(x->source, x->path, &file, x->err));
    if (file.size > MAX_INDEX) {
        ql_code code = ql_fail(x->err, QL_E_FORMAT, "%s: file is %zu bytes, at most %d", x->path, file.size, MAX_INDEX);
        ql_file_close(&file);
        return code;
    }
    x->root = json_loadb((const char *)file.data, file.size, JSON_REJECT_DUPLICATES, &error);
    ql_file_close(&file);
    if (!x->root && ql_json_is_out_of_memory(&error))
        return ql_fail_memory(x->err, file.size);
    if (!x->root)
        return ql_fail(x->err, QL_E_FORMAT, "%s:%d:%d: %s", x->path, error.line, error.column, error.text);
    x->map = json_object_get(x->root, "weight_map");
    if (!json_is_object(x->map) || json_object_size(x->map) == 0)
        return ql_fail(x->err, QL_E_FORMAT, "%s: weight_map is missing or not an object with tensors", x->path);
    return QL_OK;
}

static int compare(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static ql_code check_name(index_file *x, const char *tensor, const json_t *value)
{
    if (!json_is_string(value))
        return ql_fail(x->err, QL_E_FORMAT, "%s: weight_map: the file of tensor %s is not a string", x->path, tensor);
    const char *name = json_string_value(value);
    if (strchr(name, '/') || strcmp(name, "..") == 0 || strcmp(name, ".") == 0)
        return ql_fail(x->err, QL_E_FORMAT, "%s: weight_map: shard name \"%s\" leaves the folder", x->path, name);
    if (!ql_path_ends(name, ".safetensors"))
        return ql_fail(x->err, QL_E_FORMAT, "%s: weight_map: shard name \"%s\" is no .safetensors file", x->path, name);
    return QL_OK;
}

// Each file of the map once.
static ql_code list_shards(index_file *x)
{
    const char *tensor;
    json_t *value;
    size_t n = 0, kept = 0;
    x->shards = calloc(json_object_size(x->map), sizeof *x->shards);
    if (!x->shards)
        return ql_fail_memory(x->err, json_object_size(x->map) * sizeof *x->shards);
    json_object_foreach(x->map, tensor, value) {
        QL_TRY(check_name(x, tensor, value));
        x->shards[n++] = json_string_value(value);
    }
    qsort(x->shards, n, sizeof *x->shards, compare);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || strcmp(x->shards[kept - 1], x->shards[i]) != 0)
            x->shards[kept++] = x->shards[i];
    x->n_shards = kept;
    if (kept > MAX_SHARDS)
        return ql_fail(x->err, QL_E_FORMAT, "%s: weight_map: %zu files, at most %d", x->path, kept, MAX_SHARDS);
    return QL_OK;
}

static ql_code check_present(index_file *x)
{
    const char *first = NULL;
    size_t n = 0;
    for (size_t i = 0; i < x->n_shards; i++) {
        char *path = ql_path_join(x->folder, x->shards[i]);
        if (!path)
            return ql_fail_memory(x->err, strlen(x->folder));
        if (!ql_path_is_file(path) && n++ == 0)
            first = x->shards[i];
        free(path);
    }
    if (n == 1)
        return ql_fail(x->err, QL_E_FORMAT, "%s: %s is missing", x->folder, first);
    if (n)
        return ql_fail(x->err, QL_E_FORMAT, "%s: %s and %zu more of %zu files are missing", x->folder, first, n - 1,
                       x->n_shards);
    return QL_OK;
}

static ql_code open_parts(index_file *x)
{
    ql_source *s = x->source;
    if (!(s->parts = calloc(x->n_shards, sizeof *s->parts)))
        return ql_fail_memory(x->err, x->n_shards * sizeof *s->parts);
    s->n_parts = x->n_shards;
    for (size_t i = 0; i < x->n_shards; i++)
        QL_TRY(ql_hf_open_part(s, &s->parts[i], x->folder, x->shards[i], x->err));
    return QL_OK;
}

static ql_code check_places(index_file *x)
{
    const char *tensor;
    json_t *value;
    json_object_foreach(x->map, tensor, value) {
        const char *name = json_string_value(value);
        const char **at = bsearch(&name, x->shards, x->n_shards, sizeof *x->shards, compare);
        if (!ql_source_tensor(&x->source->parts[at - x->shards], tensor))
            return ql_fail(x->err, QL_E_FORMAT, "%s: weight_map: tensor %s is not in %s", x->path, tensor, name);
    }
    return QL_OK;
}

static ql_code open_all(index_file *x)
{
    QL_TRY(load(x));
    QL_TRY(list_shards(x));
    QL_TRY(check_present(x));
    QL_TRY(open_parts(x));
    return check_places(x);
}

ql_code ql_hf_open_shards(ql_source *s, const char *folder, const char *index, ql_error *err)
{
    index_file x = {.source = s, .folder = folder, .path = ql_path_join(folder, index), .err = err};
    if (!x.path)
        return ql_fail_memory(err, strlen(folder));
    ql_code code = open_all(&x);
    json_decref(x.root);
    free(x.shards);
    free(x.path);
    return code;
}
