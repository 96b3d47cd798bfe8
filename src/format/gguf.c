// SPDX-License-Identifier: MIT
// Reads GGUF: header, metadata, tensor infos. Nothing of the file is believed: counts are held against the bytes that
// are left before anything is allocated, every addition and product is checked, every tensor lies inside the file.
#include "format/gguf.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/utf8.h"

enum {
    HEADER_BYTES = 24,
    MIN_KV_BYTES = 13,      // key length, one byte of key is not counted, type, one byte of value
    MIN_TENSOR_BYTES = 24,  // name length, dimensions, type, offset
    MAX_KEY = 65535,
    MAX_NAME = 64,
    MAX_COUNT = 65536,      // of keys, and of tensors
    MAX_METADATA = 1 << 30,
};

const char *const ql_gguf_type_names[QL_GGUF_TYPES] = {"u8",   "i8",  "u16", "i16", "u32", "i32", "f32",
                                                       "bool", "str", "arr", "u64", "i64", "f64"};

size_t ql_gguf_type_bytes(ql_gguf_type type)
{
    static const uint8_t bytes[QL_GGUF_TYPES] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    return bytes[type];
}

// Where parsing stands. path is only for messages.
typedef struct reader {
    const uint8_t *data;
    size_t size, at;
    const char *path;
    ql_error *err;
} reader;

#define FAIL(r, ...) ql_fail((r)->err, QL_E_FORMAT, "%s: " __VA_ARGS__)
#define LEFT(r) ((r)->size - (r)->at)

// ---- pieces ----

static bool take(reader *r, size_t n, const uint8_t **data)
{
    if (LEFT(r) < n)
        return false;
    *data = r->data + r->at;
    r->at += n;
    return true;
}

static bool take_u32(reader *r, uint32_t *value)
{
    const uint8_t *p;
    if (!take(r, sizeof *value, &p))
        return false;
    memcpy(value, p, sizeof *value);
    return true;
}

static bool take_u64(reader *r, uint64_t *value)
{
    const uint8_t *p;
    if (!take(r, sizeof *value, &p))
        return false;
    memcpy(value, p, sizeof *value);
    return true;
}

static ql_code ends_inside(reader *r, const char *what, size_t i)
{
    return FAIL(r, "%s %zu: the file ends inside it (download incomplete?)", r->path, what, i);
}

static bool valid_utf8(const uint8_t *s, size_t n)
{
    uint32_t cp;
    for (size_t i = 0; i < n;) {
        int len = ql_utf8_decode((const char *)s + i, n - i, &cp);
        if (len < 0)
            return false;
        i += (size_t)len;
    }
    return true;
}

// ---- what the file is ----

// What a file that is not GGUF looks like, for the message.
static const char *guess(const uint8_t *data, size_t size)
{
    static const struct { const char *magic; size_t n; const char *what; } known[] = {
        {"PK\3\4", 4, "; looks like a ZIP or PyTorch file: convert it to GGUF"},
        {"<!DO", 4, "; looks like an HTML page: a failed download?"},
        {"<htm", 4, "; looks like an HTML page: a failed download?"},
        {"vers", 4, "; looks like a Git LFS pointer: fetch the file itself"},
        {"\x80\2", 2, "; looks like a pickle: convert it to GGUF"},
        {"lmgg", 4, "; looks like an old GGML file: convert it to GGUF"},
        {"tjgg", 4, "; looks like an old GGML file: convert it to GGUF"},
        {"FUGG", 4, "; a big-endian writer's GGUF?"},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (size >= known[i].n && memcmp(data, known[i].magic, known[i].n) == 0)
            return known[i].what;
    if (size > 8 && data[8] == '{')
        return "; looks like a safetensors file: convert it to GGUF";
    return "";
}

static ql_code parse_header(reader *r, uint64_t *n_tensors, uint64_t *n_kvs)
{
    if (r->size >= 4 && memcmp(r->data, "GGUF", 4) != 0)
        return FAIL(r, "not a GGUF file (starts with \"%.4s\"%s)", r->path, (const char *)r->data,
                    guess(r->data, r->size));
    if (r->size < HEADER_BYTES)
        return FAIL(r, "file is %zu bytes, a GGUF header needs %d", r->path, r->size, HEADER_BYTES);
    uint32_t version;
    r->at = 4;
    take_u32(r, &version);
    take_u64(r, n_tensors);
    take_u64(r, n_kvs);
    if (version != 0 && (version & 0xffff) == 0)
        return FAIL(r, "big-endian file: convert it to little-endian", r->path);
    if (version < 2)
        return FAIL(r, "version %u is no longer used, convert again", r->path, version);
    if (version > 3)
        return FAIL(r, "version %u is newer than 3", r->path, version);
    if (*n_kvs > MAX_COUNT || *n_kvs > r->size / MIN_KV_BYTES)
        return FAIL(r, "kv count %" PRIu64 " cannot fit in %zu bytes", r->path, *n_kvs, r->size);
    if (*n_tensors > MAX_COUNT || *n_tensors > r->size / MIN_TENSOR_BYTES)
        return FAIL(r, "tensor count %" PRIu64 " cannot fit in %zu bytes", r->path, *n_tensors, r->size);
    return QL_OK;
}

// ---- metadata ----

static ql_code parse_key(reader *r, size_t i, ql_str *key)
{
    uint64_t len;
    const uint8_t *data;
    if (!take_u64(r, &len))
        return ends_inside(r, "kv", i);
    if (len > MAX_KEY || len == 0)
        return FAIL(r, "kv %zu: key length %" PRIu64 "%s", r->path, i, len, len ? " > 65535" : ", at least 1");
    if (!take(r, len, &data))
        return FAIL(r, "kv %zu: key of %" PRIu64 " bytes, %zu left", r->path, i, len, LEFT(r));
    for (size_t j = 0; j < len; j++)
        if (data[j] <= ' ' || data[j] > '~')
            return FAIL(r, "kv %zu: key has byte 0x%02x, keys are printable ASCII", r->path, i, data[j]);
    *key = (ql_str){(const char *)data, len};
    return QL_OK;
}

// For messages: keys are long only in hostile files.
#define KEY(kv) (int)((kv)->key.len < 128 ? (kv)->key.len : 128), (kv)->key.data

static ql_code parse_string(reader *r, const ql_gguf_kv *kv, ql_str *str)
{
    uint64_t len;
    const uint8_t *data;
    if (!take_u64(r, &len))
        return FAIL(r, "kv %.*s: the file ends inside it (download incomplete?)", r->path, KEY(kv));
    if (!take(r, len, &data))
        return FAIL(r, "kv %.*s: string of %" PRIu64 " bytes, %zu left", r->path, KEY(kv), len, LEFT(r));
    *str = (ql_str){(const char *)data, len};
    return QL_OK;
}

static ql_code check_bools(reader *r, const ql_gguf_kv *kv, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (kv->data[i] > 1)
            return FAIL(r, "kv %.*s: bool is %u, 0 or 1", r->path, KEY(kv), kv->data[i]);
    return QL_OK;
}

static ql_code parse_strings(reader *r, ql_gguf_kv *kv)
{
    if (kv->n > LEFT(r) / sizeof(uint64_t))
        return FAIL(r, "kv %.*s: array of %" PRIu64 " strings cannot fit in %zu bytes", r->path, KEY(kv), kv->n, LEFT(r));
    kv->items = malloc((kv->n + 1) * sizeof *kv->items);
    if (!kv->items)
        return ql_fail_memory(r->err, (kv->n + 1) * sizeof *kv->items);
    for (size_t i = 0; i < kv->n; i++)
        QL_TRY(parse_string(r, kv, &kv->items[i]));
    return QL_OK;
}

static ql_code parse_array(reader *r, ql_gguf_kv *kv)
{
    uint32_t element;
    if (!take_u32(r, &element) || !take_u64(r, &kv->n))
        return FAIL(r, "kv %.*s: the file ends inside it (download incomplete?)", r->path, KEY(kv));
    if (element >= QL_GGUF_TYPES)
        return FAIL(r, "kv %.*s: array of unknown type %u", r->path, KEY(kv), element);
    if (element == QL_GGUF_ARR)
        return FAIL(r, "kv %.*s: nested arrays are not supported", r->path, KEY(kv));
    kv->element = (ql_gguf_type)element;
    if (element == QL_GGUF_STR)
        return parse_strings(r, kv);
    size_t bytes = ql_gguf_type_bytes(kv->element);
    if (kv->n > LEFT(r) / bytes)
        return FAIL(r, "kv %.*s: array of %" PRIu64 " %s cannot fit in %zu bytes", r->path, KEY(kv), kv->n,
                    ql_gguf_type_names[element], LEFT(r));
    take(r, kv->n * bytes, &kv->data);
    return element == QL_GGUF_BOOL ? check_bools(r, kv, kv->n) : QL_OK;
}

static ql_code parse_kv(reader *r, size_t i, ql_gguf_kv *kv)
{
    uint32_t type;
    QL_TRY(parse_key(r, i, &kv->key));
    if (!take_u32(r, &type))
        return ends_inside(r, "kv", i);
    if (type >= QL_GGUF_TYPES)
        return FAIL(r, "kv %.*s: unknown type %u", r->path, KEY(kv), type);
    kv->type = (ql_gguf_type)type;
    if (type == QL_GGUF_STR)
        return parse_string(r, kv, &kv->str);
    if (type == QL_GGUF_ARR)
        return parse_array(r, kv);
    if (!take(r, ql_gguf_type_bytes(kv->type), &kv->data))
        return FAIL(r, "kv %.*s: the file ends inside it (download incomplete?)", r->path, KEY(kv));
    return type == QL_GGUF_BOOL ? check_bools(r, kv, 1) : QL_OK;
}

static int compare_str(ql_str a, ql_str b)
{
    int order = memcmp(a.data, b.data, a.len < b.len ? a.len : b.len);
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

// Equal keys stay in file order: their place in the file decides.
static int compare_kvs(const void *a, const void *b)
{
    const ql_gguf_kv *x = a, *y = b;
    int order = compare_str(x->key, y->key);
    return order ? order : (x->key.data > y->key.data) - (x->key.data < y->key.data);
}

static ql_code parse_kvs(reader *r, ql_source *s, uint64_t n)
{
    s->kvs = calloc(n + 1, sizeof *s->kvs);
    const char **order = calloc(n + 1, sizeof *order); // keys as they come, for the numbers in a message
    if (!s->kvs || !order) {
        free(order);
        return ql_fail_memory(r->err, (n + 1) * sizeof *s->kvs);
    }
    ql_code code = QL_OK;
    for (size_t i = 0; i < n && code == QL_OK; i++) {
        s->n_kvs = i + 1;
        code = parse_kv(r, i, &s->kvs[i]);
        order[i] = s->kvs[i].key.data;
    }
    if (code == QL_OK)
        qsort(s->kvs, n, sizeof *s->kvs, compare_kvs);
    for (size_t i = 1; i < n && code == QL_OK; i++)
        if (compare_str(s->kvs[i - 1].key, s->kvs[i].key) == 0) {
            size_t first = 0, second = 0;
            while (order[first] != s->kvs[i - 1].key.data)
                first++;
            while (order[second] != s->kvs[i].key.data)
                second++;
            code = FAIL(r, "kv %.*s appears twice (%zu, %zu)", r->path, KEY(&s->kvs[i]), first, second);
        }
    free(order);
    if (code == QL_OK && r->at > MAX_METADATA)
        return FAIL(r, "%zu bytes of metadata, at most %d", r->path, r->at, MAX_METADATA);
    return code;
}

// ---- tensors ----

static ql_code check_dtype(reader *r, const char *name, uint32_t type)
{
    static const char *const removed[] = {
        [4] = "Q4_2", [5] = "Q4_3", [31] = "Q4_0_4_4", [32] = "Q4_0_4_8", [33] = "Q4_0_8_8",
        [36] = "IQ4_NL_4_4", [37] = "IQ4_NL_4_8", [38] = "IQ4_NL_8_8"};
    static const char *const other[] = {
        [9] = "Q8_1", [15] = "Q8_K", [16] = "IQ2_XXS", [17] = "IQ2_XS", [18] = "IQ3_XXS", [19] = "IQ1_S",
        [21] = "IQ3_S", [22] = "IQ2_S", [24] = "I8", [25] = "I16", [26] = "I32", [27] = "I64", [28] = "F64",
        [29] = "IQ1_M", [34] = "TQ1_0", [35] = "TQ2_0", [39] = "MXFP4"};
    if (ql_dtype_get(type))
        return QL_OK;
    if (type < sizeof removed / sizeof *removed && removed[type])
        return FAIL(r, "tensor %s: type %s was removed, convert again", r->path, name, removed[type]);
    if (type < sizeof other / sizeof *other && other[type])
        return ql_fail(r->err, QL_E_UNSUPPORTED, "%s: tensor %s: type %s is not supported", r->path, name, other[type]);
    return FAIL(r, "tensor %s: unknown type %" PRId32, r->path, name, (int32_t)type);
}

static ql_code parse_name(reader *r, size_t i, char *name)
{
    uint64_t len;
    const uint8_t *data;
    if (!take_u64(r, &len))
        return ends_inside(r, "tensor", i);
    if (len == 0 || len > MAX_NAME)
        return FAIL(r, "tensor %zu: name of %" PRIu64 " bytes, 1 to %d", r->path, i, len, MAX_NAME);
    if (!take(r, len, &data))
        return ends_inside(r, "tensor", i);
    if (!valid_utf8(data, len) || memchr(data, 0, len))
        return FAIL(r, "tensor %zu: name is not UTF-8", r->path, i);
    memcpy(name, data, len);
    name[len] = 0;
    return QL_OK;
}

// Rows must be whole blocks, and the bytes of all must be a number.
static ql_code measure(reader *r, ql_tensor *t)
{
    const ql_dtype_info *info = ql_dtype_get(t->dtype);
    uint64_t n_rows, size;
    if (t->shape[0] % info->block)
        return FAIL(r, "tensor %s: row of %" PRIu64 " is not a multiple of %u (%s)", r->path, t->name, t->shape[0],
                    info->block, info->name);
    if (!ql_mul_u64(t->shape[1], t->shape[2], &n_rows) || !ql_mul_u64(n_rows, t->shape[3], &n_rows) ||
        !ql_mul_u64(t->shape[0] / info->block, info->block_bytes, &size) || !ql_mul_u64(size, n_rows, &size) ||
        !ql_mul_u64(n_rows, t->shape[0], &n_rows) || n_rows > INT64_MAX ||
        size > INT64_MAX - 65535) // and padded to any alignment
        return FAIL(r, "tensor %s: size does not fit in 64 bits", r->path, t->name);
    t->size = size;
    return QL_OK;
}

// One tensor info; offsets[i] is relative to the data section, whose place is not known yet.
static ql_code parse_tensor(reader *r, size_t i, char *name, ql_tensor *t, uint64_t *offset)
{
    uint32_t type;
    QL_TRY(parse_name(r, i, name));
    *t = (ql_tensor){.name = name, .shape = {1, 1, 1, 1}};
    if (!take_u32(r, &t->n_dims))
        return ends_inside(r, "tensor", i);
    if (t->n_dims > 4)
        return FAIL(r, "tensor %s: %u dimensions, at most 4", r->path, name, t->n_dims);
    for (uint32_t d = 0; d < t->n_dims; d++)
        if (!take_u64(r, &t->shape[d]))
            return ends_inside(r, "tensor", i);
    if (!take_u32(r, &type) || !take_u64(r, offset))
        return ends_inside(r, "tensor", i);
    QL_TRY(check_dtype(r, name, type));
    t->dtype = (ql_dtype)type;
    return measure(r, t);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const ql_tensor *)a)->name, ((const ql_tensor *)b)->name);
}

static int compare_places(const void *a, const void *b)
{
    const ql_tensor *x = a, *y = b;
    if (x->data != y->data)
        return x->data > y->data ? 1 : -1;
    return (x->size > y->size) - (x->size < y->size);
}

static ql_code place(reader *r, ql_source *s, const uint64_t *offsets, uint64_t alignment)
{
    uint64_t begin;
    if (!ql_round_up_u64(r->at, alignment, &begin))
        return FAIL(r, "the data section does not fit in 64 bits", r->path);
    for (size_t i = 0; i < s->n_tensors; i++) {
        ql_tensor *t = &s->tensors[i];
        uint64_t at, end;
        if (offsets[i] % alignment)
            return FAIL(r, "tensor %s: offset %" PRIu64 " is not a multiple of the alignment %" PRIu64, r->path, t->name,
                        offsets[i], alignment);
        if (!ql_add_u64(begin, offsets[i], &at) || !ql_add_u64(at, t->size, &end))
            return FAIL(r, "tensor %s: size does not fit in 64 bits", r->path, t->name);
        if (end > r->size)
            return FAIL(r, "tensor %s: needs bytes %" PRIu64 "-%" PRIu64 ", file has %zu (download incomplete?)", r->path,
                        t->name, at, end, r->size);
        t->data = r->data + at;
    }
    qsort(s->tensors, s->n_tensors, sizeof *s->tensors, compare_places);
    for (size_t i = 1; i < s->n_tensors; i++)
        if (s->tensors[i - 1].data + s->tensors[i - 1].size > s->tensors[i].data)
            return FAIL(r, "tensors %s and %s overlap", r->path, s->tensors[i - 1].name, s->tensors[i].name);
    qsort(s->tensors, s->n_tensors, sizeof *s->tensors, compare_names);
    return QL_OK;
}

// In a sorted copy: offsets are still in the order of the file.
static ql_code check_twice(reader *r, const ql_source *s)
{
    size_t bytes = (s->n_tensors + 1) * sizeof *s->tensors;
    ql_tensor *sorted = malloc(bytes);
    if (!sorted)
        return ql_fail_memory(r->err, bytes);
    memcpy(sorted, s->tensors, s->n_tensors * sizeof *sorted);
    qsort(sorted, s->n_tensors, sizeof *sorted, compare_names);
    ql_code code = QL_OK;
    for (size_t i = 1; i < s->n_tensors && code == QL_OK; i++)
        if (strcmp(sorted[i - 1].name, sorted[i].name) == 0)
            code = FAIL(r, "tensor %s appears twice", r->path, sorted[i].name);
    free(sorted);
    return code;
}

static ql_code parse_tensors(reader *r, ql_source *s, uint64_t n, uint64_t *offsets)
{
    s->tensors = calloc(n + 1, sizeof *s->tensors);
    s->names = malloc((n + 1) * (MAX_NAME + 1));
    if (!s->tensors || !s->names)
        return ql_fail_memory(r->err, (n + 1) * (sizeof *s->tensors + MAX_NAME + 1));
    for (size_t i = 0; i < n; i++) {
        QL_TRY(parse_tensor(r, i, s->names + i * (MAX_NAME + 1), &s->tensors[i], &offsets[i]));
        s->n_tensors = i + 1;
    }
    QL_TRY(check_twice(r, s));
    uint64_t alignment = 32;
    QL_TRY(ql_source_get_u64(s, "general.alignment", false, 0, UINT32_MAX, &alignment, r->err));
    if (alignment < 8 || alignment > 65536 || alignment & (alignment - 1))
        return FAIL(r, "general.alignment %" PRIu64 ": power of two from 8 to 65536", r->path, alignment);
    return place(r, s, offsets, alignment);
}

ql_code ql_gguf_parse(const uint8_t *data, size_t size, const char *path, ql_source *source, ql_error *err)
{
    reader r = {.data = data, .size = size, .path = path, .err = err};
    uint64_t n_tensors = 0, n_kvs = 0;
    QL_TRY(parse_header(&r, &n_tensors, &n_kvs));
    QL_TRY(parse_kvs(&r, source, n_kvs));
    uint64_t *offsets = malloc((n_tensors + 1) * sizeof *offsets);
    if (!offsets)
        return ql_fail_memory(err, (n_tensors + 1) * sizeof *offsets);
    ql_code code = parse_tensors(&r, source, n_tensors, offsets);
    free(offsets);
    return code;
}

void ql_gguf_clear(ql_source *source)
{
    for (size_t i = 0; i < source->n_kvs; i++)
        free(source->kvs[i].items);
    free(source->kvs);
    free(source->tensors);
    free(source->names);
    source->kvs = NULL;
    source->tensors = NULL;
    source->names = NULL;
    source->n_kvs = source->n_tensors = 0;
}
