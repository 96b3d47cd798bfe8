// SPDX-License-Identifier: MIT
// The kernels that are not matrix products, once a level: declarations, and the part of a ql_kernels table they fill.
// Every level is compiled from the same bodies (vec_body.inc, attend_body.inc) over its own set of 16-lane operations.
#ifndef QL_KERNEL_VEC_H
#define QL_KERNEL_VEC_H

#include "kernel/kernel.h"

// Every macro that takes a level expands it first: tests/kernel compiles the files of one level again by another name.
#define QL_VEC_NAME(level, name) QL_VEC_NAME_(level, name)
#define QL_VEC_NAME_(level, name) ql_vec_##level##_##name

#define QL_VEC_DECLARE(level) QL_VEC_DECLARE_(level)
#define QL_VEC_DECLARE_(level)                                                                                        \
    void ql_vec_##level##_rms_norm(const float *x, const float *w, float eps, size_t n, float *y);                    \
    void ql_vec_##level##_add(float *x, const float *y, size_t n);                                                    \
    void ql_vec_##level##_layer_norm(const float *x, const float *w, const float *b, float eps, size_t n, float *y);  \
    void ql_vec_##level##_exp(const float *x, size_t n, float *y);                                                    \
    void ql_vec_##level##_silu(const float *x, const float *up, size_t n, float *out);                                \
    void ql_vec_##level##_gelu_tanh(const float *x, const float *up, size_t n, float *out);                           \
    void ql_vec_##level##_gelu_erf(const float *x, const float *up, size_t n, float *out);                            \
    void ql_vec_##level##_softcap(float *x, float cap, size_t n);                                                     \
    void ql_vec_##level##_rope(float *x, const float *cos_sin, size_t n_heads, size_t head_dim, size_t n_rot,         \
                               ql_rope_kind kind);                                                                    \
    void ql_vec_##level##_kv_write_f32(const ql_kv *kv, size_t pos, const float *k, const float *v, size_t head_dim); \
    void ql_vec_##level##_kv_write_f16(const ql_kv *kv, size_t pos, const float *k, const float *v, size_t head_dim); \
    void ql_vec_##level##_kv_write_q8(const ql_kv *kv, size_t pos, const float *k, const float *v, size_t head_dim);  \
    void ql_vec_##level##_kv_write_q4(const ql_kv *kv, size_t pos, const float *k, const float *v, size_t head_dim);  \
    void ql_vec_##level##_query_write_float(const float *q, float scale, size_t lane, size_t head_dim, void *tile);   \
    void ql_vec_##level##_query_write_int(const float *q, float scale, size_t lane, size_t head_dim, void *tile);     \
    void ql_vec_##level##_attend_chunk_f32(QL_ATTEND_ARGUMENTS);                                                      \
    void ql_vec_##level##_attend_chunk_f16(QL_ATTEND_ARGUMENTS);                                                      \
    void ql_vec_##level##_attend_chunk_q8(QL_ATTEND_ARGUMENTS);                                                       \
    void ql_vec_##level##_attend_chunk_q4(QL_ATTEND_ARGUMENTS);                                                       \
    void ql_vec_##level##_attend_merge(float *total, const float *partial, size_t head_dim);                          \
    void ql_vec_##level##_attend_finish(const float *total, size_t head_dim, float *out)

QL_VEC_DECLARE(scalar);
QL_VEC_DECLARE(avx2);
QL_VEC_DECLARE(avx512);

// Designated initializers of a ql_kernels: {.name = "scalar", QL_VEC_TABLE(scalar), .matmul = {...}, ...}
#define QL_VEC_TABLE(level) QL_VEC_TABLE_(level)
#define QL_VEC_TABLE_(level)                                                                         \
    .rms_norm = ql_vec_##level##_rms_norm, .layer_norm = ql_vec_##level##_layer_norm,                \
    .add = ql_vec_##level##_add, .exp = ql_vec_##level##_exp, .softcap = ql_vec_##level##_softcap,   \
    .activate = {ql_vec_##level##_silu, ql_vec_##level##_gelu_tanh, ql_vec_##level##_gelu_erf},      \
    .rope = ql_vec_##level##_rope,                                                                   \
    .kv_write = {ql_vec_##level##_kv_write_f32, ql_vec_##level##_kv_write_f16,                       \
                 ql_vec_##level##_kv_write_q8, ql_vec_##level##_kv_write_q4},                        \
    .query_write = {ql_vec_##level##_query_write_float, ql_vec_##level##_query_write_float,          \
                    ql_vec_##level##_query_write_int, ql_vec_##level##_query_write_int},             \
    .attend_chunk = {ql_vec_##level##_attend_chunk_f32, ql_vec_##level##_attend_chunk_f16,           \
                     ql_vec_##level##_attend_chunk_q8, ql_vec_##level##_attend_chunk_q4},            \
    .attend_merge = ql_vec_##level##_attend_merge, .attend_finish = ql_vec_##level##_attend_finish

#endif
