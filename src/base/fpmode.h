// SPDX-License-Identifier: MIT
// The float mode a computation runs in: round to nearest, denormals kept, exceptions masked. A host program may have
// set flush-to-zero (some Python packages do); results must not depend on it.
#ifndef QL_BASE_FPMODE_H
#define QL_BASE_FPMODE_H

#if defined(__x86_64__)
#include <xmmintrin.h>
typedef unsigned ql_fpmode;
static inline ql_fpmode ql_fpmode_enter(void)
{
    ql_fpmode saved = _mm_getcsr();
    _mm_setcsr(0x1f80);
    return saved;
}
static inline void ql_fpmode_leave(ql_fpmode saved) { _mm_setcsr(saved); }
#else
#include <fenv.h>
typedef fenv_t ql_fpmode;
static inline ql_fpmode ql_fpmode_enter(void)
{
    ql_fpmode saved;
    fegetenv(&saved);
    fesetenv(FE_DFL_ENV);
    return saved;
}
static inline void ql_fpmode_leave(ql_fpmode saved) { fesetenv(&saved); }
#endif

#endif
