// SPDX-License-Identifier: MIT
// Attention: scalar against double precision over keys and values as stored, every other level against scalar to the
// bit, and the promises of the contract: masked positions and neighbours in a tile change nothing.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>

#include "kernel_test.h"

static const size_t dims[] = {4, 8, 12, 16, 24, 32, 40, 48, 64, 80, 96, 100, 112, 128, 192, 256};
enum { N_DIMS = sizeof dims / sizeof *dims, N_POS = 700, N_CHUNKS = 3 };
static const int32_t visible[] = {0, 1, 15, 16, 17, 100, 255, 256, 257, 300, 511, 512, 513, 699, 700};
enum { N_VISIBLE = sizeof visible / sizeof *visible };
static const int32_t windows[] = {0, 1, 15, 16, 100, 256, 300}; // 0: none
enum { N_WINDOWS = sizeof windows / sizeof *windows };

static ql_span span(int32_t end, int32_t window)
{
    return (ql_span){window && end > window ? end - window : 0, end};
}

// A cache of its own size: a read behind its end is seen by ASan.
typedef struct cache {
    ql_kv_type type;
    size_t head_dim, n_pos; // n_pos: rounded up to 16
    ql_kv kv;
} cache;

static cache new_cache(ql_kv_type type, size_t head_dim, size_t n_ctx)
{
    cache c = {.type = type, .head_dim = head_dim, .n_pos = (n_ctx + 15) / 16 * 16};
    c.kv = (ql_kv){.k = calloc(c.n_pos, ql_kv_key_bytes(type, head_dim)),
                   .v = calloc(c.n_pos, ql_kv_value_bytes(type, head_dim))};
    assert_true(c.kv.k && c.kv.v);
    if (ql_kv_scale_bytes(type)) {
        c.kv.k_scale = calloc(c.n_pos, sizeof(float));
        c.kv.v_scale = calloc(c.n_pos, sizeof(float));
        assert_true(c.kv.k_scale && c.kv.v_scale);
    }
    return c;
}

static void free_cache(cache *c) { free(c->kv.k), free(c->kv.v), free(c->kv.k_scale), free(c->kv.v_scale); }

static void copy_cache(const cache *to, const cache *from)
{
    memcpy(to->kv.k, from->kv.k, from->n_pos * ql_kv_key_bytes(from->type, from->head_dim));
    memcpy(to->kv.v, from->kv.v, from->n_pos * ql_kv_value_bytes(from->type, from->head_dim));
    if (from->kv.k_scale) {
        memcpy(to->kv.k_scale, from->kv.k_scale, from->n_pos * sizeof(float));
        memcpy(to->kv.v_scale, from->kv.v_scale, from->n_pos * sizeof(float));
    }
}

static bool same_cache(const cache *a, const cache *b)
{
    return memcmp(a->kv.k, b->kv.k, a->n_pos * ql_kv_key_bytes(a->type, a->head_dim)) == 0 &&
           memcmp(a->kv.v, b->kv.v, a->n_pos * ql_kv_value_bytes(a->type, a->head_dim)) == 0 &&
           (!a->kv.k_scale || (same_floats(a->kv.k_scale, b->kv.k_scale, a->n_pos) &&
                               same_floats(a->kv.v_scale, b->kv.v_scale, a->n_pos)));
}

static void fill_cache(const cache *c, size_t n_pos, flavour f, uint64_t *seed)
{
    float k[QL_HEAD_DIM_MAX], v[QL_HEAD_DIM_MAX];
    for (size_t pos = 0; pos < n_pos; pos++) {
        fill_floats(k, c->head_dim, f, seed);
        fill_floats(v, c->head_dim, f, seed);
        level(0)->kv_write[c->type](&c->kv, pos, k, v, c->head_dim);
    }
}

// Key, or value, d of a position, as stored.
static double key_at(const cache *c, size_t pos, size_t d)
{
    size_t panel = pos / 16 * 16 * c->head_dim, lane = pos % 16;
    switch (c->type) {
    case QL_KV_F32:
        return (double)((const float *)(const void *)c->kv.k)[panel + d * 16 + lane];
    case QL_KV_F16:
        return (double)ql_f16_to_f32(((const uint16_t *)(const void *)c->kv.k)[panel + d * 16 + lane]);
    case QL_KV_Q8:
        return ((const int16_t *)(const void *)c->kv.k)[panel + d / 2 * 32 + lane * 2 + d % 2] * (double)c->kv.k_scale[pos];
    default:
        return ((const int8_t *)c->kv.k)[panel + d / 2 * 32 + lane * 2 + d % 2] * (double)c->kv.k_scale[pos];
    }
}

static double value_at(const cache *c, size_t pos, size_t d)
{
    size_t n = c->head_dim, half = (n - d / 16 * 16 < 16 ? n - d / 16 * 16 : 16) / 2;
    switch (c->type) {
    case QL_KV_F32:
        return (double)((const float *)(const void *)c->kv.v)[pos * n + d];
    case QL_KV_F16:
        return (double)ql_f16_to_f32(((const uint16_t *)(const void *)c->kv.v)[pos * n + d]);
    case QL_KV_Q8:
        return ((const int8_t *)c->kv.v)[pos / 2 * 2 * n + 2 * d + pos % 2] * (double)c->kv.v_scale[pos];
    default: {
        uint8_t byte = c->kv.v[pos / 2 * n + d / 16 * 16 + 2 * (d % 16 % half) + pos % 2];
        return ((d % 16 < half ? byte & 15 : byte >> 4) - 8) * (double)c->kv.v_scale[pos];
    }
    }
}

// The largest integers of keys and of values; 0: floats.
static double key_levels(ql_kv_type type, size_t head_dim)
{
    return type == QL_KV_Q8 ? floor(sqrt(2147483647.0 / (double)head_dim)) : type == QL_KV_Q4 ? 127 : 0;
}
static double value_levels(ql_kv_type type) { return type == QL_KV_Q8 ? 127 : type == QL_KV_Q4 ? 7 : 0; }

static void *new_tile(const cache *c)
{
    void *tile = malloc(ql_query_tile_bytes(c->type, c->head_dim));
    assert_non_null(tile);
    return tile;
}

// ---- what is stored ----

// Every element to the nearest multiple of amax / levels; halves to the nearest half.
static void check_stored(double stored, float x, float amax, double levels, ql_kv_type type)
{
    if (type == QL_KV_F32)
        assert_true(stored == (double)x);
    else if (type == QL_KV_F16)
        assert_true(fabs(stored - (double)x) <= 0x1p-11 * fabs((double)x) + 0x1p-25);
    else {
        double unit = (double)(amax / (float)levels), q = stored / unit;
        assert_true(fabs(stored - (double)x) <= 0.5001 * unit);
        assert_true(fabs(q - nearbyint(q)) < 1e-6 * levels && fabs(q) < levels + 0.5);
    }
}

static void rows_are_stored_by_the_rule(void **state)
{
    (void)state;
    uint64_t seed = 11;
    float k[QL_HEAD_DIM_MAX], v[QL_HEAD_DIM_MAX];
    for (int t = 0; t < QL_KV_COUNT; t++)
        for (int i = 0; i < N_DIMS; i++) {
            ql_kv_type type = (ql_kv_type)t;
            cache c = new_cache(type, dims[i], 32);
            fill_floats(k, dims[i], ORDINARY, &seed);
            fill_floats(v, dims[i], ORDINARY, &seed);
            level(0)->kv_write[type](&c.kv, 17, k, v, dims[i]);
            float k_max = 0, v_max = 0;
            for (size_t d = 0; d < dims[i]; d++) {
                k_max = fmaxf(k_max, fabsf(k[d]));
                v_max = fmaxf(v_max, fabsf(v[d]));
            }
            for (size_t d = 0; d < dims[i]; d++) {
                check_stored(key_at(&c, 17, d), k[d], k_max, key_levels(type, dims[i]), type);
                check_stored(value_at(&c, 17, d), v[d], v_max, value_levels(type), type);
            }
            free_cache(&c);
        }
}

static void a_write_leaves_its_neighbours(void **state)
{
    (void)state;
    uint64_t seed = 12;
    float k[QL_HEAD_DIM_MAX], v[QL_HEAD_DIM_MAX];
    for (int type = 0; type < QL_KV_COUNT; type++)
        for (int l = 0; l < N_LEVELS; l++)
            for (int i = 0; level(l) && i < N_DIMS; i++) {
                cache a = new_cache((ql_kv_type)type, dims[i], 48), b = new_cache((ql_kv_type)type, dims[i], 48);
                fill_cache(&a, 48, ORDINARY, &seed);
                copy_cache(&b, &a);
                size_t pos = next_bits(&seed) % 48;
                for (size_t d = 0; d < dims[i]; d++)
                    k[d] = v[d] = d % 2 ? -3.0f : 3.0f; // every byte of the row changes
                level(l)->kv_write[type](&b.kv, pos, k, v, dims[i]);
                for (size_t p = 0; p < 48; p++)
                    for (size_t d = 0; d < dims[i]; d++)
                        if (p == pos) {
                            assert_true(fabs(key_at(&b, p, d) - (double)k[d]) < 1e-6);
                            assert_true(fabs(value_at(&b, p, d) - (double)v[d]) < 1e-6);
                        } else {
                            assert_true(key_at(&a, p, d) == key_at(&b, p, d));
                            assert_true(value_at(&a, p, d) == value_at(&b, p, d));
                        }
                free_cache(&a);
                free_cache(&b);
            }
}

static void stored_bytes_are_the_same_on_all_levels(void **state)
{
    (void)state;
    uint64_t seed = 13;
    float k[QL_HEAD_DIM_MAX], v[QL_HEAD_DIM_MAX];
    for (int t = 0; t < QL_KV_COUNT; t++)
        for (int i = 0; i < N_DIMS; i++)
            for (int f = 0; f < N_FLAVOURS; f++)
                for (int l = 1; l < N_LEVELS; l++) {
                    if (!level(l) || (f == NOT_FINITE && !ql_kv_scale_bytes((ql_kv_type)t))) // NaNs as such: no payload promised
                        continue;
                    ql_kv_type type = (ql_kv_type)t;
                    size_t n = dims[i], bytes = ql_query_tile_bytes(type, n);
                    cache a = new_cache(type, n, 16), b = new_cache(type, n, 16);
                    char *ta = calloc(1, bytes), *tb = calloc(1, bytes);
                    assert_true(ta && tb);
                    for (size_t pos = 0; pos < 12; pos++) {
                        fill_floats(k, n, (flavour)f, &seed);
                        fill_floats(v, n, (flavour)f, &seed);
                        level(0)->kv_write[type](&a.kv, pos, k, v, n);
                        level(l)->kv_write[type](&b.kv, pos, k, v, n);
                        level(0)->query_write[type](k, 0.3f, pos, n, ta);
                        level(l)->query_write[type](k, 0.3f, pos, n, tb);
                    }
                    assert_true(same_cache(&a, &b));
                    if (ql_kv_scale_bytes(type)) // the scales come first, which may be NaN
                        assert_true(same_floats((float *)(void *)ta, (float *)(void *)tb, 16));
                    size_t scales = ql_kv_scale_bytes(type) ? 64 : 0;
                    assert_memory_equal(ta + scales, tb + scales, bytes - scales);
                    free(ta), free(tb);
                    free_cache(&a);
                    free_cache(&b);
                }
}

static void what_is_not_finite_shows(void **state)
{
    (void)state;
    const float bad[] = {NAN, INFINITY, -INFINITY};
    for (int l = 0; l < N_LEVELS; l++)
        for (int type = 0; level(l) && type < QL_KV_COUNT; type++)
            for (int i = 0; i < 6; i++) {
                float k[16] = {1, 2, 3}, v[16] = {1, 2, 3}, partial[32], out[16], q[16] = {1, 1, 1};
                (i < 3 ? k : v)[5] = bad[i % 3];
                cache c = new_cache((ql_kv_type)type, 16, 16);
                void *tile = new_tile(&c);
                const ql_span sees = {0, 3};
                fill_cache(&c, 3, ORDINARY, &(uint64_t){1});
                level(l)->kv_write[type](&c.kv, 1, k, v, 16);
                q[5] = 1;
                level(l)->query_write[type](q, 1.0f, 0, 16, tile);
                level(l)->attend_chunk[type](&c.kv, tile, 1, &sees, 0, 16, 0, partial);
                level(l)->attend_finish(partial, 16, out);
                assert_true(!isfinite(out[5]) || (!ql_kv_scale_bytes((ql_kv_type)type) && i == 2)); // -inf times a key: weight 0
                free(tile);
                free_cache(&c);
            }
}

// ---- attention ----

// The whole attention of one query in double.
static void reference(const cache *c, const double *q, ql_span sees, double softcap, double *out)
{
    size_t begin = (size_t)sees.begin, end = (size_t)sees.end;
    double *p = malloc(end * sizeof *p), m = -INFINITY, l = 0;
    assert_non_null(p);
    for (size_t pos = begin; pos < end; pos++) {
        p[pos] = 0;
        for (size_t d = 0; d < c->head_dim; d++)
            p[pos] += q[d] * key_at(c, pos, d);
        if (softcap > 0)
            p[pos] = softcap * tanh(p[pos] / softcap);
        m = fmax(m, p[pos]);
    }
    memset(out, 0, c->head_dim * sizeof *out);
    for (size_t pos = begin; pos < end; pos++) {
        double e = exp(p[pos] - m);
        l += e;
        for (size_t d = 0; d < c->head_dim; d++)
            out[d] += e * value_at(c, pos, d);
    }
    for (size_t d = 0; d < c->head_dim; d++)
        out[d] /= l;
    free(p);
}

// The query as a tile holds it.
static void stored_query(ql_kv_type type, const float *q, float scale, size_t n, double *out)
{
    float amax = 0, levels = (float)key_levels(QL_KV_Q8, n); // Q4's queries are those of Q8
    for (size_t d = 0; d < n; d++)
        amax = fmaxf(amax, fabsf(q[d]));
    for (size_t d = 0; d < n; d++)
        out[d] = !ql_kv_scale_bytes(type) ? (double)(q[d] * scale)
                                          : (double)nearbyintf(q[d] * (levels / amax)) * (double)(amax / levels * scale);
}

static void attend(const ql_kernels *k, const cache *c, const void *tile, ql_span sees, float softcap, float *out)
{
    float total[QL_HEAD_DIM_MAX + 16], partial[QL_HEAD_DIM_MAX + 16];
    k->attend_chunk[c->type](&c->kv, tile, 1, &sees, 0, c->head_dim, softcap, total);
    for (size_t chunk = 1; chunk * QL_KV_CHUNK < c->n_pos; chunk++) {
        k->attend_chunk[c->type](&c->kv, tile, 1, &sees, chunk, c->head_dim, softcap, partial);
        k->attend_merge(total, partial, c->head_dim);
    }
    k->attend_finish(total, c->head_dim, out);
}

static void chunks_sum_up_to_attention(void **state)
{
    (void)state;
    uint64_t seed = 14;
    double worst[QL_KV_COUNT] = {0}, want[QL_HEAD_DIM_MAX], stored[QL_HEAD_DIM_MAX];
    float q[QL_HEAD_DIM_MAX], out[QL_HEAD_DIM_MAX];
    for (int type = 0; type < QL_KV_COUNT; type++)
        for (int i = 0; i < N_DIMS; i += 3) {
            size_t n = dims[i];
            float scale = 8.0f / sqrtf((float)n); // sharper than in life
            cache c = new_cache((ql_kv_type)type, n, N_POS);
            void *tile = new_tile(&c);
            fill_cache(&c, N_POS, ORDINARY, &seed);
            for (int j = 1; j < N_VISIBLE; j++) {
                fill_floats(q, n, ORDINARY, &seed);
                level(0)->query_write[type](q, scale, 0, n, tile);
                stored_query((ql_kv_type)type, q, scale, n, stored);
                for (int w = 0; w < N_WINDOWS; w++) {
                    ql_span sees = span(visible[j], windows[w]);
                    float softcap = w % 3 == 1 ? 2.0f : 0.0f;
                    attend(level(0), &c, tile, sees, softcap, out);
                    reference(&c, stored, sees, (double)softcap, want);
                    for (size_t d = 0; d < n; d++)
                        worst[type] = fmax(worst[type], fabs((double)out[d] - want[d]));
                }
            }
            free(tile);
            free_cache(&c);
        }
    print_message("attention over values in [-1, 1): F32 at most %.1e off, F16 %.1e, Q8 %.1e, Q4 %.1e\n", worst[QL_KV_F32],
                  worst[QL_KV_F16], worst[QL_KV_Q8], worst[QL_KV_Q4]);
    assert_true(worst[QL_KV_F32] < 3e-6 && worst[QL_KV_F16] < 3e-6);
    // Weights of 15 bits: 0.3 / 32767 each, 256 of them. Rounding the values to 8 bits costs 16 times as much.
    assert_true(worst[QL_KV_Q8] < 4e-4 && worst[QL_KV_Q4] < 4e-4);
}

// A tile of up to 12 queries, an even number with capped scores; partial of all chunks: [N_CHUNKS][12][head_dim + 16].
static void attend_all(const ql_kernels *k, const cache *c, const void *tile, size_t n, const ql_span *sees,
                       float *partial)
{
    size_t n_chunks = (c->n_pos + QL_KV_CHUNK - 1) / QL_KV_CHUNK;
    for (size_t chunk = 0; chunk < n_chunks; chunk++)
        k->attend_chunk[c->type](&c->kv, tile, n, sees, chunk, c->head_dim, n % 2 ? 0.0f : 5.0f,
                                 partial + chunk * n * (c->head_dim + 16));
}

static void partials_are_the_same_on_all_levels(void **state)
{
    (void)state;
    uint64_t seed = 15;
    size_t most = N_CHUNKS * QL_QUERY_MAX * (QL_HEAD_DIM_MAX + 16);
    float *a = malloc(most * sizeof *a), *b = malloc(most * sizeof *b), q[QL_HEAD_DIM_MAX];
    assert_true(a && b);
    for (int type = 0; type < QL_KV_COUNT; type++)
        for (int i = 0; i < N_DIMS; i++)
            for (int f = 0; f < N_FLAVOURS; f++) {
                size_t n = dims[i], n_queries = 1 + (size_t)(i + f * 5) % QL_QUERY_MAX;
                size_t floats = N_CHUNKS * n_queries * (n + 16);
                cache c = new_cache((ql_kv_type)type, n, N_POS);
                void *tile = new_tile(&c);
                ql_span sees[QL_QUERY_MAX];
                fill_cache(&c, N_POS, (flavour)f, &seed);
                for (size_t lane = 0; lane < n_queries; lane++) {
                    sees[lane] = span(visible[next_bits(&seed) % N_VISIBLE], windows[next_bits(&seed) % N_WINDOWS]);
                    fill_floats(q, n, (flavour)f, &seed);
                    level(0)->query_write[type](q, 1.5f, lane, n, tile);
                }
                memset(a, 0xff, floats * sizeof *a);
                attend_all(level(0), &c, tile, n_queries, sees, a);
                for (int l = 1; l < N_LEVELS; l++)
                    if (level(l)) {
                        memset(b, 0xff, floats * sizeof *b);
                        attend_all(level(l), &c, tile, n_queries, sees, b);
                        assert_true(same_floats(a, b, floats));
                    }
                free(tile);
                free_cache(&c);
            }
    free(a), free(b);
}

// One query alone, capped as in a tile of n_queries.
static void attend_one(const ql_kernels *k, const cache *c, const void *tile, size_t n_queries, const ql_span *sees,
                       float *partial)
{
    for (size_t chunk = 0; chunk < N_CHUNKS; chunk++)
        k->attend_chunk[c->type](&c->kv, tile, 1, sees, chunk, c->head_dim, n_queries % 2 ? 0.0f : 5.0f,
                                 partial + chunk * (c->head_dim + 16));
}

static void every_number_of_queries_has_the_bits_of_one(void **state)
{
    (void)state;
    uint64_t seed = 16;
    size_t most = N_CHUNKS * QL_QUERY_MAX * (QL_HEAD_DIM_MAX + 16);
    float *all = malloc(most * sizeof *all), *one = malloc(most * sizeof *one), q[QL_QUERY_MAX][QL_HEAD_DIM_MAX];
    assert_true(all && one);
    for (int l = 0; l < N_LEVELS; l++)
        for (int type = 0; level(l) && type < QL_KV_COUNT; type++)
            for (size_t n_queries = 1; n_queries <= QL_QUERY_MAX; n_queries++) {
                size_t n = dims[n_queries * 5 % N_DIMS], ld = n + 16;
                cache c = new_cache((ql_kv_type)type, n, N_POS);
                void *tile = new_tile(&c), *single = new_tile(&c);
                ql_span sees[QL_QUERY_MAX];
                int32_t start = (int32_t)(next_bits(&seed) % 680), window = windows[next_bits(&seed) % N_WINDOWS];
                fill_cache(&c, N_POS, ORDINARY, &seed);
                for (size_t lane = 0; lane < n_queries; lane++) {
                    // As in a prompt, rows after each other; or as nowhere, any.
                    sees[lane] = n_queries % 3 ? span(start + (int32_t)lane / 3, window)
                                               : span(visible[next_bits(&seed) % N_VISIBLE], window);
                    fill_floats(q[lane], n, ORDINARY, &seed);
                    level(l)->query_write[type](q[lane], 0.5f, lane, n, tile);
                }
                attend_all(level(l), &c, tile, n_queries, sees, all);
                for (size_t lane = 0; lane < n_queries; lane++) {
                    level(l)->query_write[type](q[lane], 0.5f, 0, n, single);
                    attend_one(level(l), &c, single, n_queries, &sees[lane], one);
                    for (size_t chunk = 0; chunk < N_CHUNKS; chunk++)
                        assert_memory_equal(all + (chunk * n_queries + lane) * ld, one + chunk * ld, ld * sizeof *one);
                }
                free(tile), free(single);
                free_cache(&c);
            }
    free(all), free(one);
}

static void what_is_masked_changes_nothing(void **state)
{
    (void)state;
    uint64_t seed = 17;
    for (int l = 0; l < N_LEVELS; l++)
        for (int type = 0; level(l) && type < QL_KV_COUNT; type++)
            for (int i = 0; i < N_DIMS; i += 2)
                for (int j = 1; j < N_VISIBLE; j++) {
                    size_t n = dims[i], floats = (size_t)N_CHUNKS * (n + 16), seen = (size_t)visible[j];
                    ql_span sees = span(visible[j], windows[(size_t)(i + j) % N_WINDOWS]);
                    cache clean = new_cache((ql_kv_type)type, n, N_POS), dirty = new_cache((ql_kv_type)type, n, N_POS);
                    void *tile = new_tile(&clean);
                    float q[QL_HEAD_DIM_MAX], bad[QL_HEAD_DIM_MAX], a[N_CHUNKS * (QL_HEAD_DIM_MAX + 16)];
                    float b[N_CHUNKS * (QL_HEAD_DIM_MAX + 16)];
                    memset(dirty.kv.k, 0xff, dirty.n_pos * ql_kv_key_bytes(dirty.type, n)); // floats: NaN behind what is seen
                    memset(dirty.kv.v, 0xff, dirty.n_pos * ql_kv_value_bytes(dirty.type, n));
                    for (size_t p = 0; dirty.kv.k_scale && p < dirty.n_pos; p++)
                        dirty.kv.k_scale[p] = dirty.kv.v_scale[p] = p % 2 ? NAN : INFINITY;
                    uint64_t same = seed;
                    fill_cache(&clean, seen, ORDINARY, &seed);
                    fill_cache(&dirty, seen, ORDINARY, &same);
                    for (int d = 0; d < QL_HEAD_DIM_MAX; d++)
                        bad[d] = NAN;
                    for (int32_t p = 0; p < sees.begin; p++) // in front of the window
                        level(0)->kv_write[type](&dirty.kv, (size_t)p, bad, bad, n);
                    fill_floats(q, n, ORDINARY, &seed);
                    level(l)->query_write[type](q, 0.5f, 0, n, tile);
                    attend_all(level(l), &clean, tile, 1, &sees, a);
                    attend_all(level(l), &dirty, tile, 1, &sees, b);
                    assert_memory_equal(a, b, floats * sizeof *a);
                    free(tile);
                    free_cache(&clean);
                    free_cache(&dirty);
                }
}

static void a_chunk_that_sees_nothing_adds_nothing(void **state)
{
    (void)state;
    enum { DIM = 40 };
    for (int l = 0; l < N_LEVELS; l++)
        for (int type = 0; level(l) && type < QL_KV_COUNT; type++) {
            uint64_t seed = 18;
            cache c = new_cache((ql_kv_type)type, DIM, N_POS);
            char *tile = new_tile(&c);
            float q[DIM] = {1, 2, 3}, nothing[DIM + 16], some[DIM + 16], before[DIM + 16], empty[DIM + 16];
            const ql_span sees = {0, 100};
            fill_cache(&c, N_POS, ORDINARY, &seed);
            level(l)->query_write[type](q, 1.0f, 0, DIM, tile);
            level(l)->attend_chunk[type](&c.kv, tile, 1, &sees, 0, DIM, 0, some);
            level(l)->attend_chunk[type](&c.kv, tile, 1, &sees, 1, DIM, 0, nothing);
            assert_true(nothing[0] == -INFINITY);
            for (int i = 1; i < DIM + 16; i++)
                assert_true(nothing[i] == 0.0f);
            some[20] = -0.0f;
            memcpy(before, some, sizeof some);
            level(l)->attend_merge(some, nothing, DIM);
            assert_memory_equal(some, before, sizeof some);
            memcpy(empty, nothing, sizeof empty);
            level(l)->attend_merge(empty, nothing, DIM);
            assert_memory_equal(empty, nothing, sizeof empty);
            level(l)->attend_merge(empty, some, DIM); // a window that begins in a later chunk
            assert_memory_equal(empty, some, sizeof some);
            free(tile);
            free_cache(&c);
        }
}

static void merge_and_finish_are_the_same_on_all_levels(void **state)
{
    (void)state;
    uint64_t seed = 19;
    float start[QL_HEAD_DIM_MAX + 16], add[QL_HEAD_DIM_MAX + 16], a[QL_HEAD_DIM_MAX + 16], b[QL_HEAD_DIM_MAX + 16];
    for (int round = 0; round < 400; round++) {
        size_t n = dims[round % N_DIMS];
        flavour f = (flavour)(round / N_DIMS % N_FLAVOURS);
        fill_floats(start, n + 16, f, &seed);
        fill_floats(add, n + 16, f, &seed);
        memcpy(a, start, sizeof a);
        level(0)->attend_merge(a, add, n);
        for (int l = 1; l < N_LEVELS; l++) {
            float of_a[QL_HEAD_DIM_MAX], of_b[QL_HEAD_DIM_MAX];
            if (!level(l))
                continue;
            memcpy(b, start, sizeof b);
            level(l)->attend_merge(b, add, n);
            assert_true(same_floats(a, b, n + 16));
            level(0)->attend_finish(a, n, of_a);
            level(l)->attend_finish(b, n, of_b);
            assert_true(same_floats(of_a, of_b, n));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_stored_by_the_rule),
        cmocka_unit_test(a_write_leaves_its_neighbours),
        cmocka_unit_test(stored_bytes_are_the_same_on_all_levels),
        cmocka_unit_test(what_is_not_finite_shows),
        cmocka_unit_test(chunks_sum_up_to_attention),
        cmocka_unit_test(partials_are_the_same_on_all_levels),
        cmocka_unit_test(every_number_of_queries_has_the_bits_of_one),
        cmocka_unit_test(what_is_masked_changes_nothing),
        cmocka_unit_test(a_chunk_that_sees_nothing_adds_nothing),
        cmocka_unit_test(merge_and_finish_are_the_same_on_all_levels),
    };
    return cmocka_run_group_tests_name("attend", tests, NULL, NULL);
}
