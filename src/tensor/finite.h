// SPDX-License-Identifier: MIT
// Whether a row of a tensor holds a NaN or an infinity.
#ifndef QL_TENSOR_FINITE_H
#define QL_TENSOR_FINITE_H

#include "tensor/dtype.h"

// Of n weights, whole blocks, of any type that has kernels (not the 8-bit floats, which become another type).
bool ql_row_is_finite(ql_dtype dtype, const void *row, size_t n);

bool ql_all_finite(const float *values, size_t n);

#endif
