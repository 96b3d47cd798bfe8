// SPDX-License-Identifier: MIT
// Reads GGUF: header and metadata. Nothing of the file is believed: counts are held against the bytes that are left
// before anything is allocated, and values are only slices of the file until a typed getter asks for them.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "format/gguf_read.h"

enum {
    HEADER_BYTES = 24,
    MIN_KV_BYTES = 14,      // key length, a byte of key, type, a byte of value
    MIN_TENSOR_BYTES = 25,  // name length, a byte of name, dimensions, type, offset
    MAX_KEY = 65535,
    MAX_COUNT = 65536,      // of keys, and of tensors
    MAX_METADATA = 1 << 30,
};

// ---- what the file is ----

// What a file that is not GGUF looks like, for the message.
static const char *guess(const uint8_t *data, size_t size)
{
    static const struct { const char *magic; size_t n; const char *what; } known[] = {
        {"PK\3\4", 4, "; looks like a ZIP or PyTorch file: convert it to GGUF"},
        {"<!DO", 4, "; looks like an HTML page: a failed download?"},
        {"<!do", 4, "; looks like an HTML page: a failed download?"},
        {"<htm", 4, "; looks like an HTML page: a failed download?"},
        {"<HTM", 4, "; looks like an HTML page: a failed download?"},
        {"<?xm", 4, "; looks like an XML page: a failed download?"},
        {"vers", 4, "; looks like a Git LFS pointer: fetch the file itself"},
        {"\x1f\x8b", 2, "; looks like a gzip file: unpack it"},
        {"\x80\2", 2, "; looks like a pickle: convert it to GGUF"},
        {"\x80\3", 2, "; looks like a pickle: convert it to GGUF"},
        {"\x80\4", 2, "; looks like a pickle: convert it to GGUF"},
        {"\x80\5", 2, "; looks like a pickle: convert it to GGUF"},
        {"lmgg", 4, "; looks like an old GGML file: convert it to GGUF"},
        {"fmgg", 4, "; looks like an old GGML file: convert it to GGUF"},
        {"tjgg", 4, "; looks like an old GGML file: convert it to GGUF"},
        {"FUGG", 4, "; a big-endian writer's GGUF?"},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (size >= known[i].n && memcmp(data, known[i].magic, known[i].n) == 0)
            return known[i].what;
    if (size > 8 && data[8] == '{')
        return "; looks like a safetensors file: convert it to GGUF";
    return data[0] == '{' ? "; looks like JSON: a failed download?" : "";
}

static ql_code not_gguf(ql_gguf_reader *r)
{
    char start[17] = "";
    for (size_t i = 0, n = 0; i < 4; i++) {
        uint8_t c = r->data[i];
        n += (size_t)snprintf(start + n, sizeof start - n, c > 31 && c < 127 && c != '"' ? "%c" : "\\x%02x", c);
    }
    return QL_GGUF_FAIL(r, "not a GGUF file (starts with \"%s\"%s)", start, guess(r->data, r->size));
}

static ql_code check_count(ql_gguf_reader *r, const char *what, uint64_t n, size_t min_bytes)
{
    if (n > ql_gguf_left(r) / min_bytes)
        return QL_GGUF_FAIL(r, "%s count %" PRIu64 " cannot fit in %zu bytes", what, n, r->size);
    if (n > MAX_COUNT)
        return QL_GGUF_FAIL(r, "%s count %" PRIu64 ": at most %d", what, n, MAX_COUNT);
    return QL_OK;
}

static ql_code parse_header(ql_gguf_reader *r, uint64_t *n_tensors, uint64_t *n_kvs)
{
    if (r->size >= 4 && memcmp(r->data, "GGUF", 4) != 0)
        return not_gguf(r);
    if (r->size < HEADER_BYTES)
        return QL_GGUF_FAIL(r, "file is %zu bytes, a GGUF header needs %d", r->size, HEADER_BYTES);
    uint32_t version;
    r->at = 4;
    ql_gguf_take_u32(r, &version);
    ql_gguf_take_u64(r, n_tensors);
    ql_gguf_take_u64(r, n_kvs);
    if (version != 0 && (version & 0xffff) == 0)
        return QL_GGUF_FAIL(r, "big-endian file: convert it to little-endian");
    if (version < 2)
        return QL_GGUF_FAIL(r, "version %u is no longer used, convert again", version);
    if (version > 3)
        return QL_GGUF_FAIL(r, "version %u is newer than 3", version);
    QL_TRY(check_count(r, "kv", *n_kvs, MIN_KV_BYTES));
    return check_count(r, "tensor", *n_tensors, MIN_TENSOR_BYTES);
}

// ---- metadata ----

// For messages: keys are long only in hostile files.
#define KEY(kv) (int)((kv)->key_len < 128 ? (kv)->key_len : 128), (kv)->key

static ql_code parse_key(ql_gguf_reader *r, size_t i, ql_gguf_kv *kv)
{
    uint64_t len;
    const uint8_t *data;
    if (!ql_gguf_take_u64(r, &len))
        return ql_gguf_ends_inside(r, "kv", i);
    if (len > MAX_KEY || len == 0)
        return QL_GGUF_FAIL(r, "kv %zu: key length %" PRIu64 "%s", i, len, len ? " > 65535" : ", at least 1");
    if (!ql_gguf_take(r, len, &data))
        return QL_GGUF_FAIL(r, "kv %zu: key of %" PRIu64 " bytes, %zu left", i, len, ql_gguf_left(r));
    for (size_t j = 0; j < len; j++)
        if (data[j] <= ' ' || data[j] > '~')
            return QL_GGUF_FAIL(r, "kv %zu: key has byte 0x%02x, keys are printable ASCII", i, data[j]);
    kv->key = (const char *)data;
    kv->key_len = (uint32_t)len;
    return QL_OK;
}

static ql_code kv_ends_inside(ql_gguf_reader *r, const ql_gguf_kv *kv)
{
    return QL_GGUF_FAIL(r, "kv %.*s: the file ends inside it (download incomplete?)", KEY(kv));
}

static ql_code parse_string(ql_gguf_reader *r, const ql_gguf_kv *kv, uint64_t *len, const uint8_t **data)
{
    if (!ql_gguf_take_u64(r, len))
        return kv_ends_inside(r, kv);
    if (!ql_gguf_take(r, *len, data))
        return QL_GGUF_FAIL(r, "kv %.*s: string of %" PRIu64 " bytes, %zu left", KEY(kv), *len, ql_gguf_left(r));
    return QL_OK;
}

static ql_code parse_strings(ql_gguf_reader *r, ql_gguf_kv *kv)
{
    if (kv->n > ql_gguf_left(r) / sizeof(uint64_t))
        return QL_GGUF_FAIL(r, "kv %.*s: array of %" PRIu64 " strings cannot fit in %zu bytes", KEY(kv), kv->n,
                            ql_gguf_left(r));
    kv->items = malloc((kv->n + 1) * sizeof *kv->items); // n is below 2^60: its strings' lengths are in the file
    if (!kv->items)
        return ql_fail_memory(r->err, (kv->n + 1) * sizeof *kv->items);
    for (size_t i = 0; i < kv->n; i++) {
        uint64_t len = 0;
        const uint8_t *data = NULL;
        QL_TRY(parse_string(r, kv, &len, &data));
        kv->items[i] = (ql_str){(const char *)data, len};
    }
    return QL_OK;
}

static ql_code check_bools(ql_gguf_reader *r, const ql_gguf_kv *kv, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (kv->data[i] > 1)
            return QL_GGUF_FAIL(r, "kv %.*s: bool is %u, 0 or 1", KEY(kv), kv->data[i]);
    return QL_OK;
}

static ql_code parse_array(ql_gguf_reader *r, ql_gguf_kv *kv)
{
    uint32_t element;
    if (!ql_gguf_take_u32(r, &element) || !ql_gguf_take_u64(r, &kv->n))
        return kv_ends_inside(r, kv);
    if (element >= QL_GGUF_TYPES)
        return QL_GGUF_FAIL(r, "kv %.*s: array of unknown type %u", KEY(kv), element);
    if (element == QL_GGUF_ARR)
        return QL_GGUF_FAIL(r, "kv %.*s: nested arrays are not supported", KEY(kv));
    kv->element = (uint8_t)element;
    if (element == QL_GGUF_STR)
        return parse_strings(r, kv);
    size_t bytes = ql_gguf_type_bytes((ql_gguf_type)element);
    if (kv->n > ql_gguf_left(r) / bytes)
        return QL_GGUF_FAIL(r, "kv %.*s: array of %" PRIu64 " %s cannot fit in %zu bytes", KEY(kv), kv->n,
                            ql_gguf_type_names[element], ql_gguf_left(r));
    ql_gguf_take(r, kv->n * bytes, &kv->data); // bounded: above
    return element == QL_GGUF_BOOL ? check_bools(r, kv, kv->n) : QL_OK;
}

static ql_code parse_kv(ql_gguf_reader *r, size_t i, ql_gguf_kv *kv)
{
    uint32_t type;
    QL_TRY(parse_key(r, i, kv));
    if (!ql_gguf_take_u32(r, &type))
        return ql_gguf_ends_inside(r, "kv", i);
    if (type >= QL_GGUF_TYPES)
        return QL_GGUF_FAIL(r, "kv %.*s: unknown type %u", KEY(kv), type);
    kv->type = (uint8_t)type;
    if (type == QL_GGUF_STR)
        return parse_string(r, kv, &kv->n, &kv->data);
    if (type == QL_GGUF_ARR)
        return parse_array(r, kv);
    if (!ql_gguf_take(r, ql_gguf_type_bytes((ql_gguf_type)type), &kv->data))
        return kv_ends_inside(r, kv);
    return type == QL_GGUF_BOOL ? check_bools(r, kv, 1) : QL_OK;
}

static ql_code sort_kvs(ql_gguf_reader *r, ql_source *s)
{
    uint32_t a, b;
    if (ql_source_sort_kvs(s, &a, &b))
        return QL_GGUF_FAIL(r, "kv %.*s appears twice (%u, %u)", KEY(&s->kvs[a]), a, b);
    return QL_OK;
}

static ql_code parse_kvs(ql_gguf_reader *r, ql_source *s, uint64_t n)
{
    s->kvs = calloc(n + 1, sizeof *s->kvs); // bounded: n <= MAX_COUNT
    s->kvs_by_key = malloc((n + 1) * sizeof *s->kvs_by_key); // bounded: n <= MAX_COUNT
    if (!s->kvs || !s->kvs_by_key)
        return ql_fail_memory(r->err, (n + 1) * (sizeof *s->kvs + sizeof *s->kvs_by_key)); // bounded: n <= MAX_COUNT
    for (size_t i = 0; i < n; i++) {
        s->n_kvs = i + 1;
        QL_TRY(parse_kv(r, i, &s->kvs[i]));
    }
    if (r->at > MAX_METADATA)
        return QL_GGUF_FAIL(r, "%zu bytes of metadata, at most %d", r->at, MAX_METADATA);
    return sort_kvs(r, s);
}

// Without this a part of a model would be told to lack tensors.
static ql_code check_split(ql_gguf_reader *r, const ql_source *s)
{
    uint64_t n_files = 1;
    QL_TRY(ql_source_get_u64(s, "split.count", false, 0, UINT16_MAX, &n_files, r->err));
    if (n_files > 1)
        return QL_GGUF_FAIL_CODE(r, QL_E_UNSUPPORTED, "split.count %" PRIu64 ": models of several files are not "
                                 "supported, merge them into one", n_files);
    return QL_OK;
}

ql_code ql_gguf_parse_part(const uint8_t *data, size_t size, const char *path, ql_source *source, ql_error *err)
{
    ql_gguf_reader r = {.data = data, .size = size, .path = path, .err = err};
    uint64_t n_tensors = 0, n_kvs = 0;
    source->path = path;
    QL_TRY(parse_header(&r, &n_tensors, &n_kvs));
    QL_TRY(parse_kvs(&r, source, n_kvs));
    return ql_gguf_parse_tensors(&r, source, n_tensors);
}

ql_code ql_gguf_parse(const uint8_t *data, size_t size, const char *path, ql_source *source, ql_error *err)
{
    QL_TRY(ql_gguf_parse_part(data, size, path, source, err));
    return check_split(&(ql_gguf_reader){.path = path, .err = err}, source);
}

void ql_gguf_clear(ql_source *source)
{
    for (size_t i = 0; i < source->n_kvs && !source->values.base; i++)
        free(source->kvs[i].items);
    free(source->kvs);
    free(source->kvs_by_key);
    free(source->tensors);
    free(source->tensors_by_name);
    free(source->names);
    ql_arena_free(&source->values);
    ql_buf_free(&source->remarks);
    source->kvs = NULL;
    source->tensors = NULL;
    source->kvs_by_key = source->tensors_by_name = NULL;
    source->names = NULL;
    source->n_kvs = source->n_tensors = 0;
}
