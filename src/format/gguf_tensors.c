// SPDX-License-Identifier: MIT
// Reads the tensor infos of a GGUF and finds each tensor's bytes. Every product and sum of the file's numbers is
// checked; a tensor that is handed out lies inside the file and overlaps no other.
#include <inttypes.h>
#include <stdlib.h>

#include "base/check.h"
#include "format/gguf_read.h"

enum {
    MAX_NAME = 64,
    MAX_ALIGNMENT = 65536,
    PANEL_ROWS = 16,
};

// In files of ours type numbers from QL_PACKED_TYPE on are panels.
static ql_code read_dtype(ql_gguf_reader *r, const ql_source *s, ql_tensor *t, uint32_t type)
{
    static const char *const removed[] = {
        [4] = "Q4_2", [5] = "Q4_3", [31] = "Q4_0_4_4", [32] = "Q4_0_4_8", [33] = "Q4_0_8_8",
        [36] = "IQ4_NL_4_4", [37] = "IQ4_NL_4_8", [38] = "IQ4_NL_8_8"};
    static const char *const other[] = {
        [9] = "Q8_1", [15] = "Q8_K", [16] = "IQ2_XXS", [17] = "IQ2_XS", [18] = "IQ3_XXS", [19] = "IQ1_S",
        [21] = "IQ3_S", [22] = "IQ2_S", [24] = "I8", [25] = "I16", [26] = "I32", [27] = "I64", [28] = "F64",
        [29] = "IQ1_M", [34] = "TQ1_0", [35] = "TQ2_0", [39] = "MXFP4"};
    bool packed = s->allow_packed && type >= QL_PACKED_TYPE;
    uint32_t number = packed ? type - QL_PACKED_TYPE : type;
    bool is_removed = number < sizeof removed / sizeof *removed && removed[number]; // two of them are F8 here
    if (!is_removed && ql_dtype_get(number)) {
        t->dtype = (ql_dtype)number;
        t->packed = packed;
        return QL_OK;
    }
    if (is_removed)
        return QL_GGUF_FAIL(r, "tensor %s: type %s was removed, convert again", t->name, removed[number]);
    if (type < sizeof other / sizeof *other && other[type])
        return QL_GGUF_FAIL_CODE(r, QL_E_UNSUPPORTED, "tensor %s: type %s is not supported", t->name, other[type]);
    return QL_GGUF_FAIL(r, "tensor %s: unknown type %" PRId32, t->name, (int32_t)type);
}

static ql_code parse_name(ql_gguf_reader *r, size_t i, char *name, size_t *name_len)
{
    uint64_t len;
    size_t bad;
    const uint8_t *data;
    if (!ql_gguf_take_u64(r, &len))
        return ql_gguf_ends_inside(r, "tensor", i);
    if (len == 0 || len > MAX_NAME)
        return QL_GGUF_FAIL(r, "tensor %zu: name of %" PRIu64 " bytes, 1 to %d", i, len, MAX_NAME);
    if (!ql_gguf_take(r, len, &data))
        return ql_gguf_ends_inside(r, "tensor", i);
    if (!ql_gguf_is_utf8(data, len, &bad) || memchr(data, 0, len))
        return QL_GGUF_FAIL(r, "tensor %zu: name is not UTF-8 without NUL", i);
    memcpy(name, data, len);
    name[len] = 0;
    *name_len = len;
    return QL_OK;
}

// Rows must be whole blocks, and the bytes of all must be a number. Panels have whole sixteens of rows (of each matrix,
// when there are several) and the bytes of that many rows.
static ql_code measure(ql_gguf_reader *r, ql_tensor *t)
{
    const ql_dtype_info *info = ql_dtype_get(t->dtype);
    uint64_t n_rows = t->shape[1], n_weights, size;
    bool fits = !t->packed || ql_round_up_u64(n_rows, PANEL_ROWS, &n_rows);
    if (t->shape[0] % info->block)
        return QL_GGUF_FAIL(r, "tensor %s: row of %" PRIu64 " is not a multiple of %u (%s)", t->name, t->shape[0],
                            info->block, info->name);
    if (!fits || !ql_mul_u64(n_rows, t->shape[2], &n_rows) || !ql_mul_u64(n_rows, t->shape[3], &n_rows) ||
        !ql_mul_u64(t->shape[0] / info->block, info->block_bytes, &size) || !ql_mul_u64(size, n_rows, &size) ||
        !ql_mul_u64(n_rows, t->shape[0], &n_weights) || n_weights > INT64_MAX ||
        size > INT64_MAX - MAX_ALIGNMENT) // and padded to any alignment
        return QL_GGUF_FAIL(r, "tensor %s: size does not fit in 64 bits", t->name);
    t->size = size;
    return QL_OK;
}

// One tensor info; offset is relative to the data section, whose place is not known yet. name has room for any.
static ql_code parse_tensor(ql_gguf_reader *r, const ql_source *s, size_t i, char *name, size_t *name_len, ql_tensor *t,
                            uint64_t *offset)
{
    uint32_t type;
    QL_TRY(parse_name(r, i, name, name_len));
    *t = (ql_tensor){.name = name, .shape = {1, 1, 1, 1}};
    if (!ql_gguf_take_u32(r, &t->n_dims))
        return ql_gguf_ends_inside(r, "tensor", i);
    if (t->n_dims > 4)
        return QL_GGUF_FAIL(r, "tensor %s: %u dimensions, at most 4", name, t->n_dims);
    for (uint32_t d = 0; d < t->n_dims; d++)
        if (!ql_gguf_take_u64(r, &t->shape[d]))
            return ql_gguf_ends_inside(r, "tensor", i);
    if (!ql_gguf_take_u32(r, &type) || !ql_gguf_take_u64(r, offset))
        return ql_gguf_ends_inside(r, "tensor", i);
    QL_TRY(read_dtype(r, s, t, type));
    return measure(r, t);
}

// ---- order ----

// Empty tensors come before the one that begins where they are.
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

static void sort(uint32_t *numbers, const ql_source *s, int compare(const void *, const void *, void *))
{
    for (uint32_t i = 0; i < s->n_tensors; i++)
        numbers[i] = i;
    qsort_r(numbers, s->n_tensors, sizeof *numbers, compare, s->tensors);
}

// What lies between tensors: padding of zeros to the alignment. Anything else runs, but may be what somebody hides or
// lost; it is told, of each kind the first.
typedef struct gaps {
    const uint8_t *at;       // where the tensor before ends
    size_t alignment;
    bool told_hole, told_padding;
} gaps;

static bool is_zero(const uint8_t *data, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (data[i])
            return false;
    return true;
}

// next: where the tensor `name` begins (NULL: the file ends), not before g->at.
static void look_at_gap(const ql_gguf_reader *r, ql_source *s, gaps *g, const uint8_t *next, const char *name)
{
    size_t gap = (size_t)(next - g->at), to_alignment = -(size_t)(g->at - r->data) & (g->alignment - 1);
    size_t padding = gap < to_alignment ? gap : to_alignment;
    if (!g->told_padding && !is_zero(g->at, padding)) {
        g->told_padding = true;
        ql_source_add_remark(s, "%s: the padding before %s%s is not zero", r->path, name ? "tensor " : "the end",
                             name ? name : "");
    }
    if (gap > padding && !g->told_hole) {
        g->told_hole = true;
        ql_source_add_remark(s, name ? "%s: %zu bytes before tensor %s belong to no tensor and are not used"
                                     : "%s: %zu bytes after the last tensor belong to no tensor and are not used",
                             r->path, gap - padding, name);
    }
}

static ql_code check_places(ql_gguf_reader *r, ql_source *s, size_t alignment)
{
    uint32_t *order = malloc((s->n_tensors + 1) * sizeof *order);
    if (!order)
        return ql_fail_memory(r->err, (s->n_tensors + 1) * sizeof *order);
    sort(order, s, compare_places);
    ql_code code = QL_OK;
    for (size_t i = 1; i < s->n_tensors && code == QL_OK; i++) {
        const ql_tensor *a = &s->tensors[order[i - 1]], *b = &s->tensors[order[i]];
        if (a->size > (size_t)(b->data - a->data))
            code = QL_GGUF_FAIL(r, "tensors %s and %s overlap", a->name, b->name);
    }
    gaps g = {.at = r->data + r->at, .alignment = alignment};
    for (size_t i = 0; i < s->n_tensors && code == QL_OK; i++) {
        const ql_tensor *t = &s->tensors[order[i]];
        look_at_gap(r, s, &g, t->data, t->name);
        g.at = t->data + t->size;
    }
    if (code == QL_OK && s->n_tensors)
        look_at_gap(r, s, &g, r->data + r->size, NULL);
    free(order);
    return code;
}

// ---- all of them ----

static ql_code get_alignment(ql_gguf_reader *r, const ql_source *s, uint64_t *alignment)
{
    *alignment = 32;
    QL_TRY(ql_source_get_u64(s, "general.alignment", false, 0, UINT64_MAX, alignment, r->err));
    if (*alignment < 8 || *alignment > MAX_ALIGNMENT || *alignment & (*alignment - 1))
        return QL_GGUF_FAIL(r, "general.alignment %" PRIu64 ": power of two from 8 to 65536", *alignment);
    return QL_OK;
}

static ql_code place(ql_gguf_reader *r, ql_source *s, const uint64_t *offsets)
{
    uint64_t alignment, begin;
    QL_TRY(get_alignment(r, s, &alignment));
    if (!ql_round_up_u64(r->at, alignment, &begin))
        return QL_GGUF_FAIL(r, "the data section does not fit in 64 bits");
    for (size_t i = 0; i < s->n_tensors; i++) {
        ql_tensor *t = &s->tensors[i];
        uint64_t at, end;
        if (offsets[i] % alignment)
            return QL_GGUF_FAIL(r, "tensor %s: offset %" PRIu64 " is not a multiple of the alignment %" PRIu64, t->name,
                                offsets[i], alignment);
        if (!ql_add_u64(begin, offsets[i], &at) || !ql_add_u64(at, t->size, &end))
            return QL_GGUF_FAIL(r, "tensor %s: size does not fit in 64 bits", t->name);
        if (end > r->size)
            return QL_GGUF_FAIL(r, "tensor %s: needs bytes %" PRIu64 "-%" PRIu64 ", file has %zu "
                                "(download incomplete?)", t->name, at, end, r->size);
        t->data = r->data + at;
    }
    return check_places(r, s, alignment);
}

static ql_code parse_infos(ql_gguf_reader *r, ql_source *s, uint64_t n, uint64_t *offsets)
{
    // n names take n * 65 bytes at most; and a name of L bytes (1 to 64) takes L + 1, less than 3/4 of the 24 + L that
    // it and its info have in the file. One more is for a name that comes before an info that is cut.
    size_t most = n * (MAX_NAME + 1), there = ql_gguf_left(r) / 4 * 3 + 3; // bounded: n <= MAX_COUNT
    size_t bytes = (most < there ? most : there) + MAX_NAME + 1;
    s->names = malloc(bytes);
    s->tensors = calloc(n + 1, sizeof *s->tensors); // bounded: n <= MAX_COUNT
    s->tensors_by_name = malloc((n + 1) * sizeof *s->tensors_by_name); // bounded: n <= MAX_COUNT
    if (!s->names || !s->tensors || !s->tensors_by_name)
        return ql_fail_memory(r->err, bytes);
    size_t at = 0, len = 0;
    for (size_t i = 0; i < n; i++, at += len + 1) {
        QL_TRY(parse_tensor(r, s, i, s->names + at, &len, &s->tensors[i], &offsets[i]));
        s->n_tensors = i + 1;
    }
    const ql_tensor *twice;
    if (ql_source_sort_tensors(s, &twice))
        return QL_GGUF_FAIL(r, "tensor %s appears twice", twice->name);
    return place(r, s, offsets);
}

ql_code ql_gguf_parse_tensors(ql_gguf_reader *r, ql_source *source, uint64_t n)
{
    uint64_t *offsets = malloc((n + 1) * sizeof *offsets); // bounded: n <= MAX_COUNT
    if (!offsets)
        return ql_fail_memory(r->err, (n + 1) * sizeof *offsets); // bounded: n <= MAX_COUNT
    ql_code code = parse_infos(r, source, n, offsets);
    free(offsets);
    return code;
}
