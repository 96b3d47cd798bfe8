// SPDX-License-Identifier: MIT
// The tables of the levels there are. Each is defined at the end of its mm_<level>.c.
#ifndef QL_KERNEL_LEVELS_H
#define QL_KERNEL_LEVELS_H

#include "kernel/kernel.h"

extern const ql_kernels ql_kernels_scalar;
#if defined(__x86_64__)
extern const ql_kernels ql_kernels_avx2, ql_kernels_avx512;
#endif

#endif
