// SPDX-License-Identifier: MIT
// Owns how a row of a matrix is read from its tensor, and how it becomes a row of another type.
#include "model/bind.h"

static const ql_dtype_info *info_of(const ql_rows *rows) { return ql_dtype_get(rows->tensor->dtype); }

uint64_t ql_rows_index(const ql_rows *rows, uint64_t r)
{
    return rows->first + r / rows->inner * rows->stride + r % rows->inner;
}

const uint8_t *ql_rows_at(const ql_rows *rows, uint64_t r)
{
    return rows->tensor->data + ql_rows_index(rows, r) * ql_row_bytes(info_of(rows), rows->tensor->shape[0]);
}

// Column r of a tensor of single values, as a row.
static void read_column(const ql_rows *rows, uint64_t r, size_t n, float *out)
{
    const ql_dtype_info *info = info_of(rows);
    const uint8_t *at = rows->tensor->data + ql_rows_index(rows, r) * info->block_bytes;
    size_t row_bytes = ql_row_bytes(info, rows->tensor->shape[0]);
    for (size_t i = 0; i < n; i++)
        info->decode(at + i * row_bytes, out + i, 1);
}

void ql_rows_read(const ql_rows *rows, uint64_t r, size_t n, float *out)
{
    if (rows->transposed)
        read_column(rows, r, n, out);
    else
        info_of(rows)->decode(ql_rows_at(rows, r), out, n);
}

void ql_row_encode(const ql_kernels *kernels, ql_dtype dtype, const float *values, void *row, size_t n)
{
    if (kernels->encode[dtype])
        kernels->encode[dtype](values, row, n);
    else
        ql_dtype_get(dtype)->encode(values, row, n);
}
