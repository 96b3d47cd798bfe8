// SPDX-License-Identifier: MIT
// The scalar level of the row kernels: the 16-lane operations in plain C, which define what every other level computes.
// fmaf is the C library's, exact on every machine.
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "kernel/attend_tile.h"

typedef struct vf {
    float v[16];
} vf;

#define EACH_LANE for (int l = 0; l < 16; l++)

static inline vf vload(const float *p)
{
    vf r;
    memcpy(&r, p, sizeof r);
    return r;
}

static inline void vstore(float *p, vf a) { memcpy(p, &a, sizeof a); }

static inline vf vload_n(const float *p, size_t n)
{
    vf r = {{0}};
    memcpy(&r, p, n * sizeof *p);
    return r;
}

static inline void vstore_n(float *p, size_t n, vf a) { memcpy(p, &a, n * sizeof *p); }

static inline vf vset(float x)
{
    vf r;
    EACH_LANE r.v[l] = x;
    return r;
}

static inline vf vload_f16(const uint16_t *p)
{
    vf r;
    EACH_LANE r.v[l] = ql_f16_to_f32(p[l]);
    return r;
}

#define LANEWISE(name, expression)    \
    static inline vf name(vf a, vf b) \
    {                                 \
        EACH_LANE a.v[l] = expression; \
        return a;                     \
    }
LANEWISE(vadd, a.v[l] + b.v[l])
LANEWISE(vsub, a.v[l] - b.v[l])
LANEWISE(vmul, a.v[l] * b.v[l])
LANEWISE(vdiv, a.v[l] / b.v[l])
LANEWISE(vmax, a.v[l] > b.v[l] ? a.v[l] : b.v[l])
LANEWISE(vmin, a.v[l] < b.v[l] ? a.v[l] : b.v[l])

static inline vf vfma(vf a, vf b, vf c)
{
    EACH_LANE c.v[l] = __builtin_fmaf(a.v[l], b.v[l], c.v[l]);
    return c;
}

static inline vf vkeep(vf a, size_t n, float fill)
{
    EACH_LANE a.v[l] = (size_t)l < n ? a.v[l] : fill;
    return a;
}

static inline vf vzero_below(vf a, vf x, float low)
{
    EACH_LANE a.v[l] = x.v[l] < low ? 0.0f : a.v[l];
    return a;
}

static inline uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float of_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline vf vmax_abs(vf m, vf x)
{
    EACH_LANE {
        uint32_t a = bits_of(x.v[l]) & 0x7fffffffu;
        m.v[l] = a > bits_of(m.v[l]) ? of_bits(a) : m.v[l];
    }
    return m;
}

// The upper half onto the lower, until one lane is left.
#define FOLD(name, op)                                  \
    static inline float name(vf a)                      \
    {                                                   \
        for (int n = 8; n > 0; n /= 2)                  \
            for (int l = 0; l < n; l++)                 \
                a.v[l] = op(a.v[l], a.v[l + n]);        \
        return a.v[0];                                  \
    }
#define SUM(a, b) (a) + (b)
#define LARGER(a, b) (a) > (b) ? (a) : (b)
#define LARGER_BITS(a, b) bits_of(a) > bits_of(b) ? (a) : (b)
FOLD(fold_sum, SUM)
FOLD(fold_max, LARGER)
FOLD(fold_max_abs, LARGER_BITS)

static inline vf vscale(vf p, vf n, vf t)
{
    (void)n;
    EACH_LANE p.v[l] *= of_bits(bits_of(t.v[l]) << 23);
    return p;
}

static inline void vstore_i16(int16_t *q, vf a)
{
    EACH_LANE {
        float rounded = a.v[l] + 0x1.8p23f;
        q[l] = a.v[l] == a.v[l] ? (int16_t)(int32_t)(bits_of(rounded) - bits_of(0x1.8p23f)) : 0;
    }
}

// ---- pairs of integers ----

// 16 sums, or 16 pairs; .lo and .hi are a pair's first and second.
typedef struct vi {
    int32_t lo[16], hi[16];
} vi;

static inline vi vi_zero(void) { return (vi){{0}, {0}}; }

static inline vi vi_words(const uint8_t *p)
{
    vi r;
    EACH_LANE {
        int16_t pair[2];
        memcpy(pair, p + 4 * l, sizeof pair);
        r.lo[l] = pair[0];
        r.hi[l] = pair[1];
    }
    return r;
}

static inline vi vi_bytes(const uint8_t *p)
{
    vi r;
    EACH_LANE {
        r.lo[l] = (int8_t)p[2 * l];
        r.hi[l] = (int8_t)p[2 * l + 1];
    }
    return r;
}

static inline vi vi_nibbles(const uint8_t *p)
{
    vi r;
    EACH_LANE {
        const uint8_t *at = p + 2 * (l % 8);
        r.lo[l] = (at[0] >> l / 8 * 4 & 15) - 8;
        r.hi[l] = (at[1] >> l / 8 * 4 & 15) - 8;
    }
    return r;
}

static inline vi vi_dot(vi sum, vi x, const ql_pair *pair)
{
    int16_t q[2];
    memcpy(q, pair, sizeof q);
    EACH_LANE sum.lo[l] += x.lo[l] * q[0] + x.hi[l] * q[1];
    return sum;
}

static inline vf vi_float(vi x)
{
    vf r;
    EACH_LANE r.v[l] = (float)x.lo[l];
    return r;
}

#define QL_VEC(name) ql_vec_scalar_##name
#define TILE_QUERIES 1
#define TILE_WIDTH(n) 1
#include "kernel/vec_body.inc"
#include "kernel/activation_body.inc"
#include "kernel/kv_body.inc"
#include "kernel/attend_body.inc"
