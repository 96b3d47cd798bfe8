// SPDX-License-Identifier: MIT
// Opens a GGUF, also one that was split into files "name-00001-of-00003.gguf": any of them opens all. Their names tell
// where the others are; their split.* keys must agree with that. The first one has the model's entries.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/gguf.h"

enum {
    MAX_SHARDS = 4096,
    SUFFIX_BYTES = 20, // "-00001-of-00003.gguf"
};

// The number and count that a shard's name ends in; false: it is not such a name.
static bool read_suffix(const char *path, unsigned *number, unsigned *count)
{
    size_t len = strlen(path);
    int end = 0;
    const char *suffix = path + len - SUFFIX_BYTES;
    if (len <= SUFFIX_BYTES || suffix[0] != '-' || suffix[6] != '-')
        return false;
    return sscanf(suffix, "-%5u-of-%5u.gguf%n", number, count, &end) == 2 && end == SUFFIX_BYTES;
}

// Puts another number into a shard's path.
static void set_number(char *path, unsigned number)
{
    char digits[8];
    snprintf(digits, sizeof digits, "%05u", number % 100000);
    memcpy(path + strlen(path) - SUFFIX_BYTES + 1, digits, 5);
}

static ql_code check_present(const char *path, unsigned count, ql_error *err)
{
    char *shard = strdup(path), *first = NULL;
    unsigned n = 0;
    for (unsigned i = 1; shard && i <= count; i++) {
        set_number(shard, i);
        if (!ql_path_is_file(shard) && ++n == 1)
            first = strdup(shard);
    }
    ql_code code = QL_OK;
    if (!shard || (n && !first))
        code = ql_fail_memory(err, strlen(path) + 1);
    else if (n == 1)
        code = ql_fail(err, QL_E_FORMAT, "%s: %s is missing", path, ql_path_name(first));
    else if (n)
        code = ql_fail(err, QL_E_FORMAT, "%s: %s and %u more of %u files are missing", path, ql_path_name(first),
                       n - 1, count);
    free(first);
    free(shard);
    return code;
}

// The entries of a shard against its name.
static ql_code check_shard(const ql_source *part, unsigned number, unsigned count, ql_error *err)
{
    uint64_t no = 0, n = 0;
    QL_TRY(ql_source_get_u64(part, "split.count", true, 0, UINT16_MAX, &n, err));
    QL_TRY(ql_source_get_u64(part, "split.no", true, 0, UINT16_MAX, &no, err));
    if (n != count)
        return ql_fail(err, QL_E_FORMAT, "%s: split.count %" PRIu64 ": the file's name says %u", part->path, n, count);
    if (no + 1 != number) // bounded: 16 bits
        return ql_fail(err, QL_E_FORMAT, "%s: split.no %" PRIu64 ": the file's name says %u", part->path, no,
                       number - 1);
    return QL_OK;
}

static ql_code open_shard(ql_source *s, const char *path, unsigned number, ql_error *err)
{
    ql_source *part = &s->parts[number - 1];
    if (!part->path_copy) { // or it was opened first
        if (!(part->path_copy = strdup(path)))
            return ql_fail_memory(err, strlen(path) + 1);
        set_number(part->path_copy, number);
        QL_TRY(ql_source_map(s, part->path_copy, &part->file, err));
        QL_TRY(ql_gguf_parse_part(part->file.data, part->file.size, part->path_copy, part, err));
        for (size_t i = 0; ql_source_remark(part, i); i++)
            ql_source_add_remark(s, "%s", ql_source_remark(part, i));
    }
    return check_shard(part, number, (unsigned)s->n_parts, err);
}

// Hands a parsed file's tables to a part. The path stays, for messages.
static ql_code move_to_part(ql_source *s, ql_source *part, const char *path, ql_error *err)
{
    if (!(part->path_copy = strdup(path)))
        return ql_fail_memory(err, strlen(path) + 1);
    part->path = part->path_copy;
    part->file = s->file;
    part->kvs = s->kvs;
    part->kvs_by_key = s->kvs_by_key;
    part->n_kvs = s->n_kvs;
    part->tensors = s->tensors;
    part->tensors_by_name = s->tensors_by_name;
    part->n_tensors = s->n_tensors;
    part->names = s->names;
    s->file = (ql_file){0};
    s->kvs = NULL;
    s->tensors = NULL;
    s->kvs_by_key = s->tensors_by_name = NULL;
    s->names = NULL;
    s->n_kvs = s->n_tensors = 0;
    return QL_OK;
}

static ql_code take_entries(ql_source *s, ql_error *err)
{
    ql_source *first = &s->parts[0];
    uint64_t n_tensors = s->n_tensors;
    QL_TRY(ql_source_get_u64(first, "split.tensors.count", false, 0, UINT64_MAX, &n_tensors, err));
    if (n_tensors != s->n_tensors)
        return ql_fail(err, QL_E_FORMAT, "%s: split.tensors.count %" PRIu64 ": the %zu files hold %zu", first->path,
                       n_tensors, s->n_parts, s->n_tensors);
    s->kvs = first->kvs;
    s->kvs_by_key = first->kvs_by_key;
    s->n_kvs = first->n_kvs;
    first->kvs = NULL;
    first->kvs_by_key = NULL;
    first->n_kvs = 0;
    return QL_OK;
}

static ql_code open_shards(ql_source *s, const char *path, unsigned split_count, ql_error *err)
{
    unsigned number = 0, count = 0;
    if (!read_suffix(path, &number, &count))
        return ql_fail(err, QL_E_FORMAT, "%s: split.count %u: the names of such files end in -00001-of-%05u.gguf", path,
                       split_count, split_count % 100000);
    if (count < 1 || count > MAX_SHARDS || number < 1 || number > count)
        return ql_fail(err, QL_E_FORMAT, "%s: file %u of %u: 1 to the count, which is at most %d", path, number, count,
                       MAX_SHARDS);
    QL_TRY(check_shard(s, number, count, err));
    QL_TRY(check_present(path, count, err));
    if (!(s->parts = calloc(count, sizeof *s->parts)))
        return ql_fail_memory(err, count * sizeof *s->parts);
    s->n_parts = count;
    QL_TRY(move_to_part(s, &s->parts[number - 1], path, err));
    for (unsigned i = 1; i <= count; i++)
        QL_TRY(open_shard(s, path, i, err));
    QL_TRY(ql_source_join(s, err));
    return take_entries(s, err);
}

ql_code ql_gguf_open(ql_source *s, const char *path, ql_error *err)
{
    uint64_t count = 1;
    const char *whole = s->path; // what the caller asked for: a folder, perhaps
    QL_TRY(ql_source_map(s, path, &s->file, err));
    ql_code code = ql_gguf_parse_part(s->file.data, s->file.size, path, s, err);
    if (code == QL_OK)
        code = ql_source_get_u64(s, "split.count", false, 0, UINT16_MAX, &count, err);
    if (code == QL_OK && count > 1)
        code = open_shards(s, path, (unsigned)count, err);
    s->path = whole;
    return code;
}
