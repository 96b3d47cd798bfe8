// SPDX-License-Identifier: MIT
// Reads a safetensors file: 8 bytes of the header's length, a JSON header, the tensors' bytes. All rules of the format
// are held, those too that its own library lets pass (names that are there twice). Source: the format's README.
//
// jansson parses the header; where it stops, the header is looked through again for the tensor to name.
#include "format/safetensors.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "format/json.h"

enum {
    LENGTH_BYTES = 8,
    MAX_HEADER = 16 << 20, // the largest known are near 3 MB; the format's own library takes 100 MB
    MAX_NAME = 1024,
    MAX_RANK = 64,
};

static const uint64_t max_dim = (uint64_t)1 << 48;

typedef struct reader {
    const uint8_t *header; // [header_size]
    size_t header_size;
    const uint8_t *data;   // [data_size]
    size_t data_size;
    const char *path;
    ql_error *err;
} reader;

#define FAIL(r, fmt, ...) ql_fail((r)->err, QL_E_FORMAT, "%s: " fmt, (r)->path, __VA_ARGS__)

// ---- header ----

static const char *guess(const uint8_t *data, size_t size)
{
    if (size >= 8 && memcmp(data, "version ", 8) == 0)
        return "looks like a Git LFS pointer: fetch the file itself";
    if (size >= 4 && memcmp(data, "PK\3\4", 4) == 0)
        return "looks like a ZIP or PyTorch file";
    if (size >= 4 && memcmp(data, "GGUF", 4) == 0)
        return "looks like a GGUF file: its name must not end in .safetensors";
    return size && data[0] == '<' ? "looks like an HTML page: a failed download?" : "download incomplete?";
}

static ql_code find_header(reader *r, const uint8_t *file, size_t size)
{
    uint64_t n = 0;
    if (size < LENGTH_BYTES)
        return FAIL(r, "file is %zu bytes, a safetensors header needs 8", size);
    memcpy(&n, file, sizeof n);
    if (n > size - LENGTH_BYTES)
        return FAIL(r, "header of %" PRIu64 " bytes, file has %zu (%s)", n, size, guess(file, size));
    if (n > MAX_HEADER)
        return FAIL(r, "header of %" PRIu64 " bytes: at most %d", n, MAX_HEADER);
    r->header = file + LENGTH_BYTES;
    r->header_size = n;
    r->data = r->header + n; // bounded: n <= MAX_HEADER
    r->data_size = size - LENGTH_BYTES - n;
    size_t i = 0;
    while (i < n && strchr(" \t\r\n", r->header[i]) && r->header[i])
        i++;
    if (i == n || r->header[i] != '{')
        return FAIL(r, "header of %" PRIu64 " bytes is not a JSON object", n);
    return QL_OK;
}

// Finds the last key of the outermost object that begins before `end`, and how deep the place is.
static ql_str find_entry(const reader *r, size_t end, int *depth)
{
    ql_str key = {"", 0};
    *depth = 0;
    for (size_t i = 0; i < end && i < r->header_size; i++) {
        uint8_t c = r->header[i];
        if (c == '"') {
            size_t begin = ++i;
            while (i < r->header_size && r->header[i] != '"')
                i += r->header[i] == '\\' ? 2 : 1;
            if (*depth == 1)
                key = (ql_str){(const char *)r->header + begin, (i < r->header_size ? i : r->header_size) - begin};
        } else if (c == '{' || c == '[') {
            ++*depth;
        } else if (c == '}' || c == ']') {
            --*depth;
        }
    }
    return key;
}

static ql_code fail_json(reader *r, const json_error_t *error)
{
    int depth;
    size_t at = error->position > 0 ? (size_t)error->position : 0, bad;
    ql_str key = find_entry(r, at, &depth);
    enum json_error_code code = json_error_code(error);
    int len = key.len < 256 ? (int)key.len : 256;
    const char *what = key.len == 12 && memcmp(key.data, "__metadata__", 12) == 0 ? "" : "tensor ";
    if (ql_json_is_out_of_memory(error))
        return ql_fail_memory(r->err, r->header_size);
    if (!ql_gguf_is_utf8(r->header, r->header_size, &bad))
        return FAIL(r, "header is not UTF-8 at byte %zu", bad);
    if (code == json_error_duplicate_key && depth == 1)
        return FAIL(r, "%s%.*s appears twice", what, len, key.data);
    if (code == json_error_numeric_overflow && key.len)
        return FAIL(r, "%s%.*s: header byte %zu: a number that is too large", what, len, key.data, at);
    if (key.len)
        return FAIL(r, "%s%.*s: header byte %zu: %s", what, len, key.data, at, error->text);
    return FAIL(r, "header byte %zu: %s", at, error->text);
}

static ql_code parse_header(reader *r, json_t **root)
{
    json_error_t error;
    *root = json_loadb((const char *)r->header, r->header_size, JSON_REJECT_DUPLICATES, &error);
    return *root ? QL_OK : fail_json(r, &error);
}

static ql_code check_metadata(reader *r, const json_t *metadata)
{
    const char *key;
    json_t *value;
    if (!json_is_object(metadata))
        return FAIL(r, "%s", "__metadata__ is not an object");
    json_object_foreach((json_t *)metadata, key, value)
        if (!json_is_string(value))
            return FAIL(r, "__metadata__: %s is not a string", key);
    return QL_OK;
}

// ---- one tensor ----

typedef struct type_info {
    const char *name;
    uint8_t bits;
    uint8_t dtype; // QL_DTYPE_END: holds no weights
} type_info;

static const type_info *find_type(const char *name)
{
    static const type_info types[] = {
        {"BF16", 16, QL_BF16}, {"F16", 16, QL_F16}, {"F32", 32, QL_F32}, {"F8_E4M3", 8, QL_F8_E4M3},
        {"F8_E5M2", 8, QL_F8_E5M2}, {"BOOL", 8, QL_DTYPE_END}, {"F4", 4, QL_DTYPE_END}, {"F6_E2M3", 6, QL_DTYPE_END},
        {"F6_E3M2", 6, QL_DTYPE_END}, {"U8", 8, QL_DTYPE_END}, {"I8", 8, QL_DTYPE_END}, {"F8_E8M0", 8, QL_DTYPE_END},
        {"F8_E4M3FNUZ", 8, QL_DTYPE_END}, {"F8_E5M2FNUZ", 8, QL_DTYPE_END}, {"I16", 16, QL_DTYPE_END},
        {"U16", 16, QL_DTYPE_END}, {"I32", 32, QL_DTYPE_END}, {"U32", 32, QL_DTYPE_END}, {"C64", 64, QL_DTYPE_END},
        {"F64", 64, QL_DTYPE_END}, {"I64", 64, QL_DTYPE_END}, {"U64", 64, QL_DTYPE_END}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i].name, name) == 0)
            return &types[i];
    return NULL;
}

static ql_code read_number(reader *r, const char *name, const char *what, size_t i, const json_t *json, uint64_t max,
                           uint64_t *value)
{
    if (json_is_real(json))
        return FAIL(r, "tensor %s: %s[%zu] is %g, a whole number is needed", name, what, i, json_real_value(json));
    if (!json_is_integer(json))
        return FAIL(r, "tensor %s: %s[%zu] is not a number", name, what, i);
    if (json_integer_value(json) < 0 || (uint64_t)json_integer_value(json) > max)
        return FAIL(r, "tensor %s: %s[%zu] is %" PRId64 ": 0 to %" PRIu64, name, what, i,
                    (int64_t)json_integer_value(json), max);
    *value = (uint64_t)json_integer_value(json);
    return QL_OK;
}

// The last dimension is the fastest: shapes are turned around. Shapes of more dimensions are only multiplied.
static ql_code read_shape(reader *r, ql_tensor *t, const json_t *shape, unsigned bits)
{
    size_t rank = json_array_size(shape);
    uint64_t total = bits, dim;
    if (!json_is_array(shape) || rank > MAX_RANK)
        return FAIL(r, "tensor %s: shape is not an array of at most %d numbers", t->name, MAX_RANK);
    for (size_t i = 0; i < rank; i++) {
        QL_TRY(read_number(r, t->name, "shape", i, json_array_get(shape, i), max_dim, &dim));
        if (!ql_mul_u64(total, dim, &total))
            return FAIL(r, "tensor %s: size does not fit in 64 bits", t->name);
        if (rank <= 4)
            t->shape[rank - 1 - i] = dim;
    }
    if (total % 8)
        return FAIL(r, "tensor %s: its %" PRIu64 " bits are not whole bytes", t->name, total);
    t->size = total / 8;
    t->n_dims = (uint32_t)rank;
    return QL_OK;
}

static ql_code read_place(reader *r, ql_tensor *t, const json_t *offsets)
{
    uint64_t begin, end;
    if (!json_is_array(offsets) || json_array_size(offsets) != 2)
        return FAIL(r, "tensor %s: data_offsets is not an array of 2 numbers", t->name);
    QL_TRY(read_number(r, t->name, "data_offsets", 0, json_array_get(offsets, 0), INT64_MAX, &begin));
    QL_TRY(read_number(r, t->name, "data_offsets", 1, json_array_get(offsets, 1), INT64_MAX, &end));
    if (end < begin)
        return FAIL(r, "tensor %s: data_offsets [%" PRIu64 ", %" PRIu64 "] go backwards", t->name, begin, end);
    if (end > r->data_size)
        return FAIL(r, "tensor %s: needs bytes %" PRIu64 "-%" PRIu64 " of the data, there are %zu (download "
                    "incomplete?)", t->name, begin, end, r->data_size);
    if (end - begin != t->size)
        return FAIL(r, "tensor %s: its shape and type take %" PRIu64 " bytes, data_offsets hold %" PRIu64, t->name,
                    t->size, end - begin);
    t->data = r->data + begin; // bounded: begin <= end <= the data's size
    return QL_OK;
}

// t->name has been set.
static ql_code read_tensor(reader *r, ql_source *s, ql_tensor *t, const json_t *entry)
{
    const char *key;
    json_t *value;
    if (!json_is_object(entry))
        return FAIL(r, "tensor %s: is not an object", t->name);
    const json_t *dtype = json_object_get(entry, "dtype");
    if (!json_is_string(dtype))
        return FAIL(r, "tensor %s: dtype is missing or not a string", t->name);
    const type_info *type = find_type(json_string_value(dtype));
    if (!type)
        return FAIL(r, "tensor %s: unknown dtype \"%s\"", t->name, json_string_value(dtype));
    QL_TRY(read_shape(r, t, json_object_get(entry, "shape"), type->bits));
    t->dtype = t->n_dims > 4 ? QL_DTYPE_END : (ql_dtype)type->dtype;
    // Counters and masks are left out; what is called a weight can not be.
    if (type->dtype == QL_DTYPE_END && ql_path_ends(t->name, ".weight") && !s->no_weights)
        QL_TRY(ql_source_set_no_weights(s, r->err, QL_E_UNSUPPORTED, "%s: tensor %s: dtype %s is not supported (BF16, "
                                        "F16, F32, F8_E4M3 and F8_E5M2 are)", r->path, t->name, type->name));
    json_object_foreach((json_t *)entry, key, value)
        if (strcmp(key, "dtype") != 0 && strcmp(key, "shape") != 0 && strcmp(key, "data_offsets") != 0 &&
            !s->remarks.len)
            ql_source_add_remark(s, "%s: tensor %s: field \"%s\" is not known and was ignored", r->path, t->name, key);
    return read_place(r, t, json_object_get(entry, "data_offsets"));
}

// ---- all of them ----

static int compare_places(const void *a, const void *b, void *tensors)
{
    uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
    const ql_tensor *x = (const ql_tensor *)tensors + i, *y = (const ql_tensor *)tensors + j;
    if (x->data != y->data)
        return x->data > y->data ? 1 : -1;
    if (x->size != y->size)
        return x->size > y->size ? 1 : -1;
    return (i > j) - (i < j);
}

// Tensors cover the data from the first byte to the last, without holes. order has room for all their numbers.
static ql_code check_cover(reader *r, const ql_source *s, uint32_t *order)
{
    const uint8_t *at = r->data;
    const char *before = NULL;
    for (uint32_t i = 0; i < s->n_tensors; i++)
        order[i] = i;
    qsort_r(order, s->n_tensors, sizeof *order, compare_places, s->tensors);
    for (size_t i = 0; i < s->n_tensors; i++) {
        const ql_tensor *t = &s->tensors[order[i]];
        if (t->data < at)
            return FAIL(r, "tensors %s and %s overlap", before, t->name);
        if (t->data > at)
            return FAIL(r, "hole of %zu bytes before tensor %s", (size_t)(t->data - at), t->name);
        at = t->data + t->size;
        before = t->name;
    }
    size_t left = (size_t)(r->data + r->data_size - at);
    if (left && before)
        return FAIL(r, "%zu bytes after the last tensor, %s", left, before);
    return left ? FAIL(r, "%zu bytes of data, but no tensor", left) : QL_OK;
}

static ql_code allocate(reader *r, ql_source *s, json_t *root)
{
    const char *name;
    json_t *value;
    size_t n = json_object_size(root), bytes = 0;
    json_object_foreach(root, name, value) {
        size_t len = strlen(name);
        if (len == 0 || len > MAX_NAME)
            return FAIL(r, "tensor \"%.64s\": name of %zu bytes, 1 to %d", name, len, MAX_NAME);
        bytes += len + 1;
    }
    s->names = malloc(bytes + 1);
    s->tensors = calloc(n + 1, sizeof *s->tensors);
    s->tensors_by_name = calloc(n + 1, sizeof *s->tensors_by_name);
    if (!s->names || !s->tensors || !s->tensors_by_name)
        return ql_fail_memory(r->err, bytes + n * (sizeof *s->tensors + sizeof *s->tensors_by_name));
    return QL_OK;
}

static ql_code read_tensors(reader *r, ql_source *s, json_t *root)
{
    const char *name;
    json_t *value;
    const ql_tensor *twice;
    QL_TRY(allocate(r, s, root));
    char *at = s->names;
    json_object_foreach(root, name, value) {
        if (strcmp(name, "__metadata__") == 0) {
            QL_TRY(check_metadata(r, value));
            continue;
        }
        ql_tensor *t = &s->tensors[s->n_tensors];
        size_t len = strlen(name);
        *t = (ql_tensor){.name = memcpy(at, name, len + 1), .shape = {1, 1, 1, 1}};
        at += len + 1;
        QL_TRY(read_tensor(r, s, t, value));
        s->n_tensors++;
    }
    QL_TRY(check_cover(r, s, s->tensors_by_name)); // its order is made after
    return ql_source_sort_tensors(s, &twice) ? FAIL(r, "tensor %s appears twice", twice->name) : QL_OK;
}

ql_code ql_safetensors_parse(const uint8_t *data, size_t size, const char *path, ql_source *source, ql_error *err)
{
    reader r = {.path = path, .err = err};
    json_t *root = NULL;
    source->path = path;
    QL_TRY(find_header(&r, data, size));
    QL_TRY(parse_header(&r, &root));
    ql_code code = read_tensors(&r, source, root);
    json_decref(root);
    return code == QL_OK && source->remarks.failed ? ql_fail_memory(err, source->remarks.len) : code;
}
