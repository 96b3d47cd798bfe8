// SPDX-License-Identifier: MIT
// Every codec against PyPI gguf's reference (tests/golden/tensor.bin), bit for bit; and all 16-bit floats.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "tensor/finite.h"

static uint32_t take_u32(const uint8_t **p)
{
    uint32_t v;
    memcpy(&v, *p, 4);
    *p += 4;
    return v;
}

static void same_floats(const char *name, const float *got, const uint8_t *want, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float w;
        memcpy(&w, want + 4 * i, 4);
        if (memcmp(&w, &got[i], 4) != 0 && !(isnan(w) && isnan(got[i])))
            fail_msg("%s: weight %zu decodes to %a, the reference has %a", name, i, (double)got[i], (double)w);
    }
}

static void same_encoding(const ql_dtype_info *info, const float *input, const uint8_t *want, size_t n)
{
    size_t n_bytes = ql_row_bytes(info, n);
    uint8_t *encoded = malloc(n_bytes);
    info->encode(input, encoded, n);
    for (size_t i = 0; i < n_bytes; i++)
        if (encoded[i] != want[i])
            fail_msg("%s: byte %zu of block %zu is encoded as %d, the reference has %d", info->name,
                     i % info->block_bytes, i / info->block_bytes, encoded[i], want[i]);
    free(encoded);
}

static void codecs_are_those_of_the_reference(void **state)
{
    (void)state;
    char path[512];
    ql_file file;
    const char *root = getenv("QL_SOURCE_ROOT");
    snprintf(path, sizeof path, "%s/tests/golden/tensor.bin", root ? root : ".");
    assert_int_equal(ql_file_open(&file, path, NULL), QL_OK);
    int n_types = 0, n_encoders = 0;
    const uint8_t *p = file.data;
    uint32_t n_input = take_u32(&p);
    float *input = malloc(n_input * sizeof *input);
    memcpy(input, p, n_input * sizeof *input);
    for (p += n_input * sizeof *input; p < file.data + file.size; n_types++) {
        const ql_dtype_info *info = ql_dtype_get(take_u32(&p));
        assert_non_null(info);
        uint32_t n_bytes = take_u32(&p), n = take_u32(&p);
        assert_int_equal(n_bytes, ql_row_bytes(info, n));
        float *decoded = malloc(n * sizeof *decoded);
        info->decode(p, decoded, n);
        same_floats(info->name, decoded, p + n_bytes, n);
        free(decoded);
        p += n_bytes + n * sizeof *decoded;
        uint32_t n_encoded = take_u32(&p);
        // The golden has the encoders that are ggml's to the bit; the others search for less error: test_encode.c.
        assert_true(!n_encoded || info->encode);
        if (n_encoded) {
            assert_int_equal(n_encoded, ql_row_bytes(info, n_input));
            same_encoding(info, input, p, n_input);
            p += n_encoded;
            n_encoders++;
        }
    }
    free(input);
    assert_int_equal(n_types, 15);
    assert_int_equal(n_encoders, 8);
    ql_file_close(&file);
}

// By the definition: sign, exponent and fraction put together with ldexp.
static void every_half(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 65536; h++) {
        int exponent = h >> 10 & 31, fraction = h & 1023;
        double value = exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);
        if (exponent == 31)
            value = fraction ? (double)NAN : (double)INFINITY;
        value = h & 0x8000 ? -value : value;
        float f = ql_f16_to_f32((uint16_t)h);
        assert_true(isnan(value) ? isnan(f) : (double)f == value && !signbit(f) == !signbit(value));
        if (!isnan(f))
            assert_int_equal(ql_f32_to_f16(f), h);
        else
            assert_true(isnan(ql_f16_to_f32(ql_f32_to_f16(f))));
        if (exponent == 31 || h & 0x8000)
            continue;
        // Rounding to nearest, ties to even: just below, at and just above the middle of this half and the next.
        float next = exponent == 30 && fraction == 1023 ? 65536.0f : ql_f16_to_f32((uint16_t)(h + 1));
        float middle = (f + next) / 2;
        assert_int_equal(ql_f32_to_f16(nextafterf(middle, 0)), h);
        assert_int_equal(ql_f32_to_f16(nextafterf(middle, INFINITY)), h + 1);
        assert_int_equal(ql_f32_to_f16(middle), h + (h & 1));
    }
}

static void bfloat16_rounds_to_even(void **state)
{
    (void)state;
    static const struct { uint32_t in; uint16_t out; } cases[] = {
        {0x3f800000, 0x3f80}, {0x3f808000, 0x3f80}, {0x3f818000, 0x3f82}, {0x3f808001, 0x3f81},
        {0x7f7fffff, 0x7f80}, {0x7f800000, 0x7f80}, {0x7f800001, 0x7fc0}, {0xff812345, 0xffc1}, {0x00000001, 0x0000}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        float f;
        memcpy(&f, &cases[i].in, 4);
        assert_int_equal(ql_f32_to_bf16(f), cases[i].out);
    }
    assert_true(ql_bf16_to_f32(0x3fc0) == 1.5f);
}

static void types_that_are_not_there(void **state)
{
    (void)state;
    static const uint32_t none[] = {4, 5, 9, 15, 16, 31, 39, 99, UINT32_MAX};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_null(ql_dtype_get(none[i]));
}

// Of random bytes, in which each half is broken once in 32 times: what the decoder makes of them.
static void rows_are_finite_when_their_values_are(void **state)
{
    enum { N = 512, ROWS = 400 };
    (void)state;
    uint64_t seed = 11;
    float values[N];
    uint8_t row[N * 4];
    for (uint32_t type = 0; type < QL_DTYPE_END; type++) {
        const ql_dtype_info *info = ql_dtype_get(type);
        if (!info || type == QL_F8_E4M3 || type == QL_F8_E5M2)
            continue;
        int seen[2] = {0};
        for (int r = 0; r < ROWS; r++) {
            for (size_t i = 0; i < sizeof row; i++)
                row[i] = (uint8_t)((seed = seed * 6364136223846793005u + 1442695040888963407u) >> 56);
            size_t n = info->block * (info->block == 1 ? 16 : 2);
            info->decode(row, values, n);
            bool finite = true;
            for (size_t i = 0; i < n; i++)
                finite &= isfinite(values[i]) != 0;
            if (ql_row_is_finite((ql_dtype)type, row, n) != finite)
                fail_msg("%s, row %d: the values are%s finite", info->name, r, finite ? "" : " not");
            seen[finite]++;
        }
        assert_true(seen[false] > 0 && seen[true] > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codecs_are_those_of_the_reference),
        cmocka_unit_test(every_half),
        cmocka_unit_test(bfloat16_rounds_to_even),
        cmocka_unit_test(types_that_are_not_there),
        cmocka_unit_test(rows_are_finite_when_their_values_are),
    };
    return cmocka_run_group_tests_name("tensor", tests, NULL, NULL);
}
