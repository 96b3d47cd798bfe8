// SPDX-License-Identifier: MIT
// Panels and matrix products: packing loses nothing, scalar is close to the exact product, and every level this CPU has
// gives scalar's bytes, at the edges of sizes and values too.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>

#include "base/random.h"
#include "kernel/layout.h"
#include "kernel_test.h"

static const ql_dtype dtypes[] = {QL_F32,  QL_F16,    QL_BF16, QL_Q4_0, QL_Q4_1, QL_Q5_0, QL_Q5_1, QL_Q8_0,
                                  QL_IQ4_NL, QL_Q2_K, QL_Q3_K, QL_Q4_K, QL_Q5_K, QL_Q6_K, QL_IQ4_XS};
enum { N_DTYPES = sizeof dtypes / sizeof *dtypes, MAX_ROWS = 48, MAX_COLS = 1536, MAX_TOKENS = 29, GUARD = 32 };

static uint64_t drawn;
static uint64_t random_bits(void) { return ql_mix64(++drawn); }
static float uniform(float scale) { return ((float)(random_bits() >> 40) * 0x1p-23f - 1) * scale; }

static void *aligned(size_t bytes)
{
    void *p = aligned_alloc(64, (bytes + 63) / 64 * 64);
    assert_non_null(p);
    memset(p, 0, (bytes + 63) / 64 * 64);
    return p;
}

// Byte places of the f16 scales in a block, -1 for none.
static const int8_t half_at[QL_DTYPE_END][2] = {
    [QL_F16] = {0, -1}, [QL_Q4_0] = {0, -1}, [QL_Q4_1] = {0, 2}, [QL_Q5_0] = {0, -1}, [QL_Q5_1] = {0, 2},
    [QL_Q8_0] = {0, -1}, [QL_IQ4_NL] = {0, -1}, [QL_Q2_K] = {80, 82}, [QL_Q3_K] = {108, -1}, [QL_Q4_K] = {0, 2},
    [QL_Q5_K] = {0, 2}, [QL_Q6_K] = {-1, -1}, [QL_IQ4_XS] = {0, -1}};

// Random blocks; sane: with scales of the size real models have.
static void random_rows(ql_dtype dtype, uint8_t *rows, size_t n_rows, size_t n_cols, bool sane)
{
    const ql_dtype_info *info = ql_dtype_get(dtype);
    size_t n_blocks = n_rows * n_cols / info->block;
    for (size_t i = 0; i < n_blocks * info->block_bytes; i++)
        rows[i] = (uint8_t)random_bits();
    for (size_t b = 0; b < n_blocks && sane; b++) {
        uint8_t *block = rows + b * info->block_bytes;
        float f = uniform(1);
        uint16_t h = ql_f32_to_bf16(f);
        if (dtype == QL_F32)
            memcpy(block, &f, 4);
        else if (dtype == QL_BF16)
            memcpy(block, &h, 2);
        else
            for (int i = 0; i < 2; i++) {
                int at = dtype == QL_Q6_K && i == 0 ? 208 : half_at[dtype][i];
                h = ql_f32_to_f16(uniform(0.01f));
                if (at >= 0)
                    memcpy(block + at, &h, 2);
            }
    }
}

typedef struct problem {
    ql_dtype dtype;
    size_t n_rows, n_cols, n_tokens, n_panels;
    uint8_t *rows, *panels;
    float *x; // [n_tokens, n_cols]
} problem;

static problem make(ql_dtype dtype, size_t n_rows, size_t n_cols, size_t n_tokens, bool sane)
{
    size_t row_bytes = ql_row_bytes(ql_dtype_get(dtype), n_cols);
    problem p = {dtype, n_rows, n_cols, n_tokens, (n_rows + 15) / 16, aligned(n_rows * row_bytes), NULL, NULL};
    p.panels = aligned(p.n_panels * 16 * row_bytes);
    p.x = aligned(n_tokens * n_cols * sizeof *p.x);
    random_rows(dtype, p.rows, n_rows, n_cols, sane);
    memset(p.panels, 0xee, p.n_panels * 16 * row_bytes); // packing must write every byte
    for (size_t i = 0; i < p.n_panels; i++)
        ql_panel_pack(dtype, p.rows + i * 16 * row_bytes, row_bytes, (int)(n_rows - 16 * i < 16 ? n_rows - 16 * i : 16),
                      n_cols, p.panels + i * 16 * row_bytes);
    for (size_t i = 0; i < n_tokens * n_cols; i++)
        p.x[i] = uniform(2) * (i % 37 == 0 ? 20 : 1);
    return p;
}

static void free_problem(problem *p)
{
    free(p->rows);
    free(p->panels);
    free(p->x);
}

// The product by one level, with guards around; ldy is larger than it must be.
static float *product(const problem *p, const ql_kernels *k, size_t p_begin, size_t p_end, size_t *size)
{
    ql_act act = k->act[p->dtype];
    size_t quads = (p->n_tokens + 3) / 4, ldy = p->n_panels * 16 + 16;
    void *acts = aligned(quads * ql_act_quad_bytes(act, p->n_cols));
    memset(acts, 0xa5, quads * ql_act_quad_bytes(act, p->n_cols)); // what is left of another product
    for (size_t t = 0; t < p->n_tokens; t++)
        k->act_write[act](p->x + t * p->n_cols, p->n_cols, t, acts);
    *size = (p->n_tokens * ldy + 2 * GUARD) * sizeof(float);
    float *y = aligned(*size);
    for (size_t i = 0; i < *size / sizeof *y; i++)
        y[i] = -77;
    k->matmul[p->dtype](p->panels, p->n_cols, acts, p->n_tokens, y + GUARD, ldy, p_begin, p_end);
    free(acts);
    return y;
}

static void a_packed_row_is_the_row(void **state)
{
    (void)state;
    for (int d = 0; d < N_DTYPES; d++)
        for (size_t n_rows = 1; n_rows <= MAX_ROWS; n_rows += 15) {
            problem p = make(dtypes[d], n_rows, 512, 1, false);
            size_t row_bytes = ql_row_bytes(ql_dtype_get(dtypes[d]), 512);
            float a[512], b[512];
            for (size_t r = 0; r < n_rows; r++) {
                ql_panel_row(dtypes[d], p.panels, 512, r, a);
                ql_dtype_get(dtypes[d])->decode(p.rows + r * row_bytes, b, 512);
                assert_memory_equal(a, b, sizeof a);
            }
            free_problem(&p);
        }
}

// Against the product of the decoded weights with the activations as given, in double: what 7 bits cost, where far values do not
// make them coarse.
static void scalar_is_close_to_the_exact_product(void **state)
{
    (void)state;
    const ql_kernels *scalar = ql_kernels_get("scalar");
    for (int d = 0; d < N_DTYPES; d++) {
        problem p = make(dtypes[d], 40, 768, 7, true);
        size_t size, ldy = p.n_panels * 16 + 16, row_bytes = ql_row_bytes(ql_dtype_get(dtypes[d]), 768);
        float *y = product(&p, scalar, 0, p.n_panels, &size), w[768];
        double error = 0, norm = 0;
        for (size_t r = 0; r < 40; r++) {
            ql_dtype_get(dtypes[d])->decode(p.rows + r * row_bytes, w, 768);
            for (size_t t = 0; t < 7; t++) {
                double exact = 0;
                for (size_t k = 0; k < 768; k++)
                    exact += (double)w[k] * (double)p.x[t * 768 + k];
                error += pow(exact - (double)y[GUARD + t * ldy + r], 2);
                norm += exact * exact;
            }
        }
        double bound = scalar->act[dtypes[d]] == QL_ACT_F32 ? 1e-11 : 2e-4;
        if (!(error / norm < bound))
            fail_msg("%s: normalized squared error %g", ql_dtype_get(dtypes[d])->name, error / norm);
        free(y);
        free_problem(&p);
    }
}

static size_t block_size(ql_act act) { return act == QL_ACT_PAIRS ? sizeof(ql_pairs) : sizeof(ql_bytes); }
static const void *quad_at(ql_act act, const void *acts, size_t n_blocks, size_t quad)
{
    return (const char *)acts + quad * ql_quad_bytes(block_size(act), n_blocks);
}

// Block `block` of a quad after quad of n_blocks.
static const void *block_at(ql_act act, const void *acts, size_t n_blocks, size_t block)
{
    return (const char *)quad_at(act, acts, n_blocks, block / n_blocks) + block % n_blocks * block_size(act);
}
static const ql_act_block *block_of(ql_act act, const void *acts, size_t n_blocks, size_t block)
{
    return block_at(act, acts, n_blocks, block); // its first field
}

// A far group; NULL where it is not. It is behind those of the blocks before.
static const ql_far *far_at(ql_act act, const void *acts, size_t n_blocks, size_t block, size_t lane, size_t group)
{
    const ql_far *list = ql_far_list(quad_at(act, acts, n_blocks, block / n_blocks), block_size(act), n_blocks, lane);
    const ql_far *end = list + list[ql_far_most(n_blocks)].at;
    for (const ql_far *far = list + block_of(act, acts, n_blocks, block)->far[lane]; far < end; far++)
        if (far->at == 8 * (block % n_blocks) + group)
            return far;
    return NULL;
}

// Numbers of pairs as layout.h has them: of each group of four its even ones, then its odd ones.
static const size_t pair_of[4] = {0, 1, 0, 1}, half_of[4] = {0, 0, 1, 1};
static int low_at(ql_act act, const void *acts, size_t n_blocks, size_t block, size_t lane, size_t k)
{
    const void *at = block_at(act, acts, n_blocks, block);
    return act == QL_ACT_PAIRS ? ((const ql_pairs *)at)->q[k / 4 * 2 + pair_of[k % 4]][lane][half_of[k % 4]]
                               : ((const ql_bytes *)at)->q[k / 4][lane][k % 4];
}
static int high_of(ql_act act, const ql_far *far, size_t k)
{
    return act == QL_ACT_PAIRS ? far->pairs[pair_of[k % 4]][half_of[k % 4]] : far->bytes.q[k % 4];
}

// Quantum k of a block.
static int quantum(ql_act act, const void *acts, size_t n_blocks, size_t block, size_t lane, size_t k)
{
    const ql_far *far = far_at(act, acts, n_blocks, block, lane, k / 4);
    return low_at(act, acts, n_blocks, block, lane, k) + (far ? 128 * high_of(act, far, k) : 0);
}

// One row of quads back to numbers, in double.
static void activations(ql_act act, const void *acts, size_t n_cols, size_t row, double *x)
{
    size_t lane = row % 4, quad = row / 4;
    for (size_t k = 0; k < n_cols; k++) {
        size_t n_blocks = n_cols / 32, block = quad * n_blocks + k / 32;
        if (act == QL_ACT_F32)
            x[k] = (double)((const float *)acts)[(quad * n_cols + k) * 4 + lane];
        else
            x[k] = (double)block_of(act, acts, n_blocks, block)->d[lane] * quantum(act, acts, n_blocks, block, lane, k % 32);
    }
}

// Against the product of the decoded weights with the quantized activations: nothing is left but float's rounding, once
// or twice a block (a column), on terms of the size of |w||x|.
static void scalar_loses_nothing_but_rounding(void **state)
{
    (void)state;
    enum { N = 768, TOKENS = 6 };
    const ql_kernels *scalar = ql_kernels_get("scalar");
    for (int d = 0; d < N_DTYPES; d++) {
        problem p = make(dtypes[d], 20, N, TOKENS, true);
        ql_act act = scalar->act[dtypes[d]];
        size_t row_bytes = ql_row_bytes(ql_dtype_get(dtypes[d]), N);
        uint8_t *acts = aligned(2 * ql_act_quad_bytes(act, N));
        for (size_t t = 0; t < TOKENS; t++)
            scalar->act_write[act](p.x + t * N, N, t, acts);
        float y[TOKENS * 32], w[N];
        scalar->matmul[dtypes[d]](p.panels, N, acts, TOKENS, y, 32, 0, 2);
        for (size_t r = 0; r < 32; r++)
            for (size_t t = 0; t < TOKENS; t++) {
                double x[N], exact = 0, size = 0;
                activations(act, acts, N, t, x);
                if (r < 20)
                    ql_dtype_get(dtypes[d])->decode(p.rows + r * row_bytes, w, N);
                for (size_t k = 0; k < N && r < 20; k++) {
                    exact += (double)w[k] * x[k];
                    size += fabs((double)w[k] * x[k]);
                }
                // rows that are padding are zero; minimums and zero points make terms larger than their sum
                double bound = size * (act == QL_ACT_F32 ? 2e-5 : 1e-5);
                if (!(fabs(exact - (double)y[t * 32 + r]) <= bound))
                    fail_msg("%s row %zu token %zu: %g, not %g", ql_dtype_get(dtypes[d])->name, r, t,
                             (double)y[t * 32 + r], exact);
            }
        free(acts);
        free_problem(&p);
    }
}

enum { TOLD = 16 }; // blocks of a row

static float largest(const float *x, size_t n)
{
    float most = 0;
    for (size_t i = 0; i < n; i++)
        most = fmaxf(most, fabsf(x[i]));
    return most;
}

// d, q and sums of one block by the text of layout.h, in double where that is exact enough to know the answer. Returns how many
// groups are far.
static int block_is_as_told(ql_act act, const void *acts, size_t b, size_t lane, const float *x, double mean)
{
    const ql_act_block *of = block_of(act, acts, TOLD, b);
    int sum[3] = {0}, low[2][2] = {{0}}, n_far = 0;
    float near = largest(x, 32) * (127.0f / 16255.0f);
    for (size_t g = 0; g < 8; g++)
        if (sqrt(mean) * 5 >= (double)largest(x + 4 * g, 4))
            near = fmaxf(near, largest(x + 4 * g, 4));
    for (size_t k = 0; k < 32; k++) {
        int q = quantum(act, acts, TOLD, b, lane, k);
        bool far = sqrt(mean) * 5 < (double)largest(x + k / 4 * 4, 4);
        assert_int_equal(q, (int)nearbyintf(x[k] * (127 / near)));
        assert_int_equal(low_at(act, acts, TOLD, b, lane, k), far ? q & 127 : q);
        assert_true(far || abs(q) <= 127);
        sum[k / 16] += q, sum[2] += q;
        low[k / 16][k / 2 % 2] += far ? q & 127 : q;
        assert_int_equal(far_at(act, acts, TOLD, b, lane, k / 4) != NULL, far);
        n_far += far && k % 4 == 0;
    }
    assert_true(of->d[lane] == near / 127);
    for (int i = 0; i < 3; i++)
        assert_true(of->ds[i][lane] == of->d[lane] * (float)sum[i]);
    for (int i = 0; act == QL_ACT_BYTES && i < 4; i++)
        assert_int_equal(((const ql_bytes *)of)->nsum_by_two[i / 2][lane][i % 2], -low[i / 2][i % 2]);
    assert_int_equal(act == QL_ACT_BYTES ? ((const ql_bytes *)of)->nsum[lane] : ((const ql_pairs *)of)->nsum[lane],
                     -128 * (low[0][0] + low[0][1] + low[1][0] + low[1][1]));
    for (size_t g = 0; g < 8; g++) {
        const ql_far *far = far_at(act, acts, TOLD, b, lane, g);
        if (far)
            assert_true(far->d == 128 * of->d[lane]);
        if (far && act == QL_ACT_BYTES)
            assert_int_equal(far->bytes.nsum, -128 * (far->bytes.q[0] + far->bytes.q[1] + far->bytes.q[2] + far->bytes.q[3]));
    }
    return n_far;
}

static void quantized_activations_are_as_told(void **state)
{
    (void)state;
    float x[32 * TOLD];
    int n_far = 0;
    for (int round = 0; round < 100; round++) {
        ql_act act = round % 2 ? QL_ACT_PAIRS : QL_ACT_BYTES;
        double mean = 0;
        for (size_t b = 0; b < TOLD; b++) {
            float size = ldexpf(random_bits() % 4 ? 1 : 8, round / 2 - 25);
            for (size_t k = 0; k < 32; k++) {
                x[32 * b + k] = uniform(k == 7 ? size : ldexpf(1, round / 2 - 25));
                mean += (double)x[32 * b + k] * (double)x[32 * b + k] / (32 * TOLD);
            }
        }
        uint8_t *acts = aligned(ql_act_quad_bytes(act, 32 * TOLD));
        size_t lane = (size_t)round % 4;
        ql_kernels_get(NULL)->act_write[act](x, 32 * TOLD, lane, acts);
        for (size_t b = 0; b < TOLD; b++)
            n_far += block_is_as_told(act, acts, b, lane, x + 32 * b, mean);
        free(acts);
    }
    assert_in_range(n_far, 100, 700); // of 12,800 groups
}

// A block with anything that is not finite is all NaN and no quanta, its neighbours are whole; no quantum is beyond
// 127 or 16255, also where 127 / near overflows.
static void strange_activations_stay_in_their_block(void **state)
{
    (void)state;
    static const float strange[] = {NAN, INFINITY, -INFINITY, 1e-39f, -1e-39f, 0};
    for (int l = 0; l < N_LEVELS; l++)
        for (size_t s = 0; level(l) && s < 2 * sizeof strange / sizeof *strange; s++) {
            float x[96], odd = strange[s / 2];
            ql_act act = s % 2 ? QL_ACT_PAIRS : QL_ACT_BYTES;
            float around = s % 2 ? 1 : 1e-41f; // beside which 1e-39 is large
            for (int k = 0; k < 96; k++)
                x[k] = k < 32 || k >= 64 ? uniform(around) : odd == 0 || isfinite(odd) ? 0 : uniform(1);
            size_t at = 5 * (s / 2);
            x[32 + at] = odd;
            uint8_t *acts = aligned(ql_act_quad_bytes(act, 96));
            level(l)->act_write[act](x, 96, 1, acts);
            const ql_act_block *mid = block_of(act, acts, 3, 1);
            assert_true(isfinite(block_of(act, acts, 3, 0)->d[1]) && isfinite(block_of(act, acts, 3, 2)->ds[2][1]));
            assert_true(block_of(act, acts, 3, 0)->d[1] > 0 || around < 1);
            assert_int_equal(!isfinite(odd), isnan(mid->d[1]) != 0);
            assert_int_equal(!isfinite(odd), isnan(mid->ds[2][1]) != 0);
            int most = around < 1 ? 16255 : 127;
            for (size_t k = 0; k < 32; k++)
                assert_int_equal(quantum(act, acts, 3, 1, 1, k), k != at ? 0 : odd == 1e-39f ? most : odd == -1e-39f ? -most : 0);
            free(acts);
        }
}

// NaN is NaN, whatever its payload: what is a float in activations gets one for all. Integers stay.
static void one_nan(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = isnan(x[i]) ? NAN : x[i];
}
static void one_nan_in(ql_act act, uint8_t *acts, size_t n_blocks, size_t n_quads)
{
    if (act == QL_ACT_F32)
        one_nan((float *)(void *)acts, n_quads * QL_QUAD_ROWS * 32 * n_blocks);
    for (size_t b = 0; act != QL_ACT_F32 && b < n_quads * n_blocks; b++) {
        ql_act_block *of = (ql_act_block *)(uintptr_t)block_of(act, acts, n_blocks, b);
        one_nan(of->d, QL_QUAD_ROWS);
        one_nan(of->ds[0], 3 * QL_QUAD_ROWS);
    }
}

// The same bytes from every level, whatever the numbers; and a row's neighbours are left alone.
static void levels_quantize_alike(void **state)
{
    (void)state;
    static const float strange[] = {0, -0.0f, INFINITY, -INFINITY, NAN, 3e38f, -3e38f, 1e-45f, 1e-39f, 1e-37f, 4e-35f, 8e-34f};
    static const float scales[] = {1, 1e-30f, 8e-34f, 4e-35f, 1e-42f, 1e38f, 3e38f, 0};
    float x[768];
    for (int act = 0; act < QL_ACT_COUNT; act++)
        for (int round = 0; round < 200; round++) {
            for (int k = 0; k < 768; k++) {
                x[k] = uniform(scales[round % 8] * (k / 32 % 5 == 0 ? 0.25f : 1) * (k / 32 % 7 == 0 ? 0.1f : 1));
                if (round >= 100 && random_bits() % 200 == 0)
                    x[k] = strange[random_bits() % (sizeof strange / sizeof *strange)];
            }
            size_t size = 2 * ql_act_quad_bytes((ql_act)act, 768), row = random_bits() % 8;
            uint8_t *a = aligned(size), *b = aligned(size);
            for (int l = 1; l < N_LEVELS; l++) {
                if (!level(l))
                    continue;
                memset(a, 0x5a, size);
                memset(b, 0x5a, size);
                level(0)->act_write[act](x, 768, row, a);
                level(l)->act_write[act](x, 768, row, b);
                one_nan_in((ql_act)act, a, 24, 2);
                one_nan_in((ql_act)act, b, 24, 2);
                assert_memory_equal(a, b, size);
            }
            free(a);
            free(b);
        }
}

static void compare_levels(const problem *p, size_t p_begin, size_t p_end)
{
    size_t size;
    float *a = product(p, ql_kernels_get("scalar"), p_begin, p_end, &size);
    one_nan(a, size / sizeof *a);
    for (int l = 1; l < N_LEVELS; l++) {
        if (!level(l))
            continue;
        float *b = product(p, level(l), p_begin, p_end, &size);
        one_nan(b, size / sizeof *b);
        if (memcmp(a, b, size) != 0)
            fail_msg("%s differs from scalar: %s, %zu rows, %zu columns, %zu tokens, panels %zu to %zu", level_names[l],
                     ql_dtype_get(p->dtype)->name, p->n_rows, p->n_cols, p->n_tokens, p_begin, p_end);
        free(b);
    }
    free(a);
}

static void levels_are_equal_at_edge_sizes(void **state)
{
    (void)state;
    static const size_t cols[] = {32, 64, 96, 256, 512, 544, 576, 768, 1536};
    for (int d = 0; d < N_DTYPES; d++)
        for (size_t c = 0; c < sizeof cols / sizeof *cols; c++) {
            if (cols[c] % ql_dtype_get(dtypes[d])->block)
                continue;
            for (size_t tokens = 1; tokens <= MAX_TOKENS; tokens += tokens < 17 ? 1 : 4) {
                problem p = make(dtypes[d], 1 + random_bits() % MAX_ROWS, cols[c], tokens, true);
                compare_levels(&p, 0, p.n_panels);
                if (p.n_panels > 1)
                    compare_levels(&p, 1, p.n_panels);
                free_problem(&p);
            }
        }
}

// Nearly as many far groups as a row can have, in all of their places.
static void make_many_far(problem *p)
{
    for (size_t t = 0; t < p->n_tokens; t++)
        for (size_t k = 0; k < p->n_cols; k++)
            p->x[t * p->n_cols + k] = (k + t) % 32 == 0 ? uniform(0.1f) + (random_bits() % 2 ? 2 : -2) : uniform(0.01f);
}

// More rows than a slice of weights is unpacked for once, and two slices.
static void levels_are_equal_with_many_rows(void **state)
{
    (void)state;
    for (int d = 0; d < N_DTYPES; d++)
        for (int many_far = 0; many_far < 2; many_far++) {
            problem p = make(dtypes[d], 48, 1024, 271, true);
            if (many_far)
                make_many_far(&p);
            compare_levels(&p, 0, 3);
            free_problem(&p);
        }
}

// Blocks of random bytes: scales that are huge, infinite, NaN; and activations of every strange kind.
static void levels_are_equal_on_any_bytes(void **state)
{
    (void)state;
    static const float strange[] = {0, -0.0f, INFINITY, -INFINITY, NAN, 1e38f, -1e38f, 1e-45f, 1e-39f};
    for (int d = 0; d < N_DTYPES; d++)
        for (int round = 0; round < 16; round++) { // straight from the panel, and by slices of one panel and of two
            size_t tokens = round < 4 ? 4 : round < 8 ? 5 : 19;
            problem p = make(dtypes[d], 48, 512, tokens, false);
            for (size_t i = 0; i < tokens * 512; i++)
                if (random_bits() % (round % 2 ? 700 : 3) == 0)
                    p.x[i] = strange[random_bits() % (sizeof strange / sizeof *strange)];
            if (round % 8 == 7)
                memset(p.x, 0, tokens * 512 * sizeof *p.x);
            compare_levels(&p, 0, 3);
            free_problem(&p);
        }
}

// All quanta at their largest against activations at theirs: the integer sums must not overflow.
static void levels_are_equal_at_the_largest_integers(void **state)
{
    (void)state;
    for (int d = 3; d < N_DTYPES; d++)
        for (int sign = 0; sign < 96; sign++) { // straight from the panel, and by slices
            static const size_t some[] = {1, 2, 4, 6, 8, 22};
            size_t tokens = some[sign / 16];
            problem p = make(dtypes[d], 16, 1024, tokens, true);
            const ql_dtype_info *info = ql_dtype_get(dtypes[d]);
            memset(p.rows, sign & 1 ? 0xff : dtypes[d] == QL_Q8_0 ? 0x80 : 0x00, 16 * ql_row_bytes(info, 1024));
            for (size_t b = 0; b < 16 * 1024 / info->block; b++)
                for (int i = 0; i < 2; i++) {
                    int at = dtypes[d] == QL_Q6_K && i == 0 ? 208 : half_at[dtypes[d]][i];
                    uint16_t one = 0x3c00;
                    if (at >= 0)
                        memcpy(p.rows + b * info->block_bytes + at, &one, 2);
                    if (dtypes[d] == QL_Q6_K) // all ones are a scale of -1
                        memset(p.rows + b * info->block_bytes + 192, b % 2 ? 0x80 : 0x7f, 16);
                }
            ql_panel_pack(dtypes[d], p.rows, ql_row_bytes(info, 1024), 16, 1024, p.panels);
            for (size_t i = 0; i < tokens * 1024; i++) // the rows' groups: none is far, or those of a block in 32
                p.x[i] = (sign & 2 ? -1.0f : 1.0f) * (sign & 8 && i / 2 % 2 ? -1.0f : 1.0f) * (i / 32 % 32 && sign & 4 ? 0.01f : 1);
            compare_levels(&p, 0, 1);
            free_problem(&p);
        }
}

// A token's result is the same alone and among others.
static void batches_do_not_matter(void **state)
{
    (void)state;
    for (int d = 0; d < N_DTYPES; d++) {
        problem p = make(dtypes[d], 32, 512, 13, true);
        const ql_kernels *k = ql_kernels_get(NULL);
        size_t size, ldy = p.n_panels * 16 + 16;
        float *together = product(&p, k, 0, 2, &size);
        for (size_t t = 0; t < 13; t++) {
            problem one = p;
            one.x = p.x + t * 512;
            one.n_tokens = 1;
            float *alone = product(&one, k, 0, 2, &size);
            assert_memory_equal(alone + GUARD, together + GUARD + t * ldy, 32 * sizeof *alone);
            free(alone);
        }
        free(together);
        free_problem(&p);
    }
}

static void names_of_levels(void **state)
{
    (void)state;
    assert_string_equal(ql_kernels_get("scalar")->name, "scalar");
    assert_null(ql_kernels_get("sse9"));
    assert_null(ql_kernels_get(""));
    print_message("best level here: %s; compared with scalar:", ql_kernels_get(NULL)->name);
    for (int l = 1; l < N_LEVELS; l++)
        print_message(" %s", level(l) ? level_names[l] : "-");
    print_message("\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_levels),
        cmocka_unit_test(a_packed_row_is_the_row),
        cmocka_unit_test(scalar_is_close_to_the_exact_product),
        cmocka_unit_test(scalar_loses_nothing_but_rounding),
        cmocka_unit_test(quantized_activations_are_as_told),
        cmocka_unit_test(strange_activations_stay_in_their_block),
        cmocka_unit_test(levels_quantize_alike),
        cmocka_unit_test(levels_are_equal_at_edge_sizes),
        cmocka_unit_test(levels_are_equal_with_many_rows),
        cmocka_unit_test(levels_are_equal_on_any_bytes),
        cmocka_unit_test(levels_are_equal_at_the_largest_integers),
        cmocka_unit_test(batches_do_not_matter),
    };
    return cmocka_run_group_tests_name("matmul", tests, NULL, NULL);
}
