// SPDX-License-Identifier: MIT
// Private to the kernel room: the quantizers of the levels above scalar. Types that are not here are fast enough as the
// tensor room has them, or lack an encoder.
#ifndef QL_KERNEL_ENCODE_H
#define QL_KERNEL_ENCODE_H

#include "kernel/kernel.h"

// Blocks of 32 (encode_blocks_avx2.c); the levels above use them too.
void ql_encode_avx2_q4_0(const float *in, void *blocks, size_t n);
void ql_encode_avx2_q4_1(const float *in, void *blocks, size_t n);
void ql_encode_avx2_q5_0(const float *in, void *blocks, size_t n);
void ql_encode_avx2_q5_1(const float *in, void *blocks, size_t n);
void ql_encode_avx2_q8_0(const float *in, void *blocks, size_t n);

#define QL_ENCODE_NAME(level, type) QL_ENCODE_NAME_(level, type) // a level is expanded first, as in vec.h
#define QL_ENCODE_NAME_(level, type) ql_encode_##level##_##type

#define QL_ENCODE_DECLARE(level) QL_ENCODE_DECLARE_(level)
#define QL_ENCODE_DECLARE_(level)                                                   \
    void ql_encode_##level##_q2_k(const float *in, void *blocks, size_t n);         \
    void ql_encode_##level##_q3_k(const float *in, void *blocks, size_t n);         \
    void ql_encode_##level##_q4_k(const float *in, void *blocks, size_t n);         \
    void ql_encode_##level##_q5_k(const float *in, void *blocks, size_t n);         \
    void ql_encode_##level##_q6_k(const float *in, void *blocks, size_t n);         \
    void ql_encode_##level##_iq4_xs(const float *in, void *blocks, size_t n);       \
    void ql_encode_##level##_iq4_nl(const float *in, void *blocks, size_t n)

QL_ENCODE_DECLARE(avx2);
QL_ENCODE_DECLARE(avx512);

// A designated initializer of a ql_kernels. `scalar` has none: the tensor room's encoders are the definition.
#define QL_ENCODE_TABLE(level) QL_ENCODE_TABLE_(level)
#define QL_ENCODE_TABLE_(level)                                                                         \
    .encode = {[QL_Q4_0] = ql_encode_avx2_q4_0, [QL_Q4_1] = ql_encode_avx2_q4_1,                        \
               [QL_Q5_0] = ql_encode_avx2_q5_0, [QL_Q5_1] = ql_encode_avx2_q5_1,                        \
               [QL_Q8_0] = ql_encode_avx2_q8_0,                                                         \
               [QL_Q2_K] = ql_encode_##level##_q2_k, [QL_Q3_K] = ql_encode_##level##_q3_k,              \
               [QL_Q4_K] = ql_encode_##level##_q4_k, [QL_Q5_K] = ql_encode_##level##_q5_k,              \
               [QL_Q6_K] = ql_encode_##level##_q6_k, [QL_IQ4_XS] = ql_encode_##level##_iq4_xs,          \
               [QL_IQ4_NL] = ql_encode_##level##_iq4_nl}

#endif
