// SPDX-License-Identifier: MIT
// GGUF files that break a rule: each gets its line, none a crash. The bad files come from tests/golden/make_tiny.py.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "base/buf.h"
#include "format/gguf.h"
#include "quantllm.h"
#include "unit/tiny.h"

// ---- small files, built here ----

static void put(ql_buf *b, const void *data, size_t n) { ql_buf_append(b, data, n); }
static void put_u32(ql_buf *b, uint32_t v) { put(b, &v, 4); }
static void put_u64(ql_buf *b, uint64_t v) { put(b, &v, 8); }
static void put_str(ql_buf *b, const char *s)
{
    put_u64(b, strlen(s));
    put(b, s, strlen(s));
}

static void put_header(ql_buf *b, uint32_t version, uint64_t n_tensors, uint64_t n_kvs)
{
    put(b, "GGUF", 4);
    put_u32(b, version);
    put_u64(b, n_tensors);
    put_u64(b, n_kvs);
}

static void put_u32_kv(ql_buf *b, const char *key, uint32_t v)
{
    put_str(b, key);
    put_u32(b, QL_GGUF_U32);
    put_u32(b, v);
}

static void put_tensor(ql_buf *b, const char *name, uint32_t n_dims, const uint64_t *dims, uint32_t type, uint64_t offset)
{
    put_str(b, name);
    put_u32(b, n_dims);
    for (uint32_t d = 0; d < n_dims; d++)
        put_u64(b, dims[d]);
    put_u32(b, type);
    put_u64(b, offset);
}

static void put_padding(ql_buf *b, size_t alignment)
{
    while (b->len % alignment)
        ql_buf_append_byte(b, 0);
}

// Exactly its bytes on the heap, so that a sanitizer sees a read behind the end.
static ql_code parse(const void *data, size_t size, ql_error *err)
{
    uint8_t *copy = malloc(size ? size : 1);
    memcpy(copy, data, size);
    ql_source source = {0};
    ql_code code = ql_gguf_parse(copy, size, "f.gguf", &source, err);
    ql_gguf_clear(&source);
    free(copy);
    return code;
}

static void expect(ql_buf *b, const char *message)
{
    ql_error err = {0};
    ql_code code = parse(b->data, b->len, &err);
    if (!message)
        assert_int_equal(code, QL_OK);
    else
        assert_string_equal(err.message, message);
    ql_buf_free(b);
}

// A valid file with a value of every type and three tensors.
static ql_buf valid(uint32_t version, uint32_t alignment)
{
    ql_buf b = {0};
    static const uint8_t zeros[128];
    put_header(&b, version, 3, 15);
    put_u32_kv(&b, "general.alignment", alignment);
    for (uint32_t type = 0; type < QL_GGUF_TYPES; type++) {
        char key[32];
        snprintf(key, sizeof key, "a.value_%u", type);
        put_str(&b, key);
        put_u32(&b, type);
        if (type == QL_GGUF_STR) {
            put_str(&b, "text");
        } else if (type == QL_GGUF_ARR) {
            put_u32(&b, QL_GGUF_STR);
            put_u64(&b, 2);
            put_str(&b, "one");
            put_str(&b, "");
        } else {
            put(&b, "\1\0\0\0\0\0\0\0", ql_gguf_type_bytes((ql_gguf_type)type));
        }
    }
    put_str(&b, "a.empty");
    put_u32(&b, QL_GGUF_ARR);
    put_u32(&b, QL_GGUF_I8);
    put_u64(&b, 0);
    put_tensor(&b, "z", 2, (uint64_t[]){32, 2}, QL_Q4_0, 0);
    put_tensor(&b, "a", 1, (uint64_t[]){3}, QL_F32, alignment > 64 ? alignment : 64);
    put_tensor(&b, "m", 1, (uint64_t[]){0}, QL_F32, 0);
    put_padding(&b, alignment);
    for (uint32_t at = 0; at < 2 * (alignment > 64 ? alignment : 64); at += 64)
        put(&b, zeros, 64);
    return b;
}

static void valid_files_are_read(void **state)
{
    (void)state;
    static const uint32_t alignments[] = {8, 32, 64, 4096, 65536};
    for (size_t i = 0; i < 5; i++)
        for (uint32_t version = 2; version <= 3; version++) {
            ql_buf b = valid(version, alignments[i]);
            ql_error err = {0};
            ql_source s = {0};
            if (ql_gguf_parse((const uint8_t *)b.data, b.len, "f.gguf", &s, &err) != QL_OK)
                fail_msg("%s", err.message);
            const ql_tensor *t = ql_source_tensor(&s, "z");
            assert_non_null(t);
            assert_int_equal(t->size, 36);
            assert_true(t->shape[0] == 32 && t->shape[1] == 2 && t->shape[2] == 1 && t->shape[3] == 1);
            assert_int_equal((size_t)(t->data - (const uint8_t *)b.data) % alignments[i], 0);
            assert_null(ql_source_tensor(&s, "b"));
            uint64_t u = 0;
            float f = 1;
            bool flag = false;
            ql_str text;
            ql_str_array strings;
            ql_num_array numbers;
            static const int integers[] = {0, 1, 2, 3, 4, 5, 10, 11};
            for (size_t j = 0; j < 8; j++) {
                char key[32];
                snprintf(key, sizeof key, "a.value_%d", integers[j]);
                assert_int_equal(ql_source_get_u64(&s, key, true, 0, 9, &u, &err), QL_OK);
                assert_int_equal(u, 1);
                assert_int_equal(ql_source_get_u64(&s, key, true, 2, 9, &u, &err), QL_E_FORMAT);
            }
            assert_int_equal(ql_source_get_f32(&s, "a.value_6", true, &f, &err), QL_OK);
            assert_int_equal(ql_source_get_bool(&s, "a.value_7", true, &flag, &err), QL_OK);
            assert_true(flag && f < 1e-40f);
            assert_int_equal(ql_source_get_str(&s, "a.value_8", true, &text, &err), QL_OK);
            assert_true(text.len == 4 && memcmp(text.data, "text", 4) == 0);
            assert_int_equal(ql_source_get_str_array(&s, "a.value_9", true, &strings, &err), QL_OK);
            assert_true(strings.n == 2 && strings.items[0].len == 3 && strings.items[1].len == 0);
            assert_int_equal(ql_source_get_f32_array(&s, "a.empty", true, &numbers, &err), QL_OK); // of i8, but empty
            assert_int_equal(numbers.n, 0);
            assert_int_equal(ql_source_get_f32_array(&s, "no", false, &numbers, &err), QL_OK);
            ql_gguf_clear(&s);
            ql_buf_free(&b);
        }
}

static void getters_tell_the_type(void **state)
{
    (void)state;
    ql_buf b = valid(3, 32);
    ql_error err = {0};
    ql_source s = {0};
    uint64_t u;
    float f;
    bool flag;
    ql_str text;
    ql_num_array numbers;
    assert_int_equal(ql_gguf_parse((const uint8_t *)b.data, b.len, "f.gguf", &s, &err), QL_OK);
    s.path = (char[]){"f.gguf"};
    ql_source_get_u64(&s, "a.value_8", true, 0, 9, &u, &err);
    assert_string_equal(err.message, "f.gguf: a.value_8: str, expected an integer");
    ql_source_get_f32(&s, "a.value_4", true, &f, &err);
    assert_string_equal(err.message, "f.gguf: a.value_4: u32, expected f32");
    ql_source_get_bool(&s, "a.value_4", true, &flag, &err);
    assert_string_equal(err.message, "f.gguf: a.value_4: u32, expected bool");
    ql_source_get_str(&s, "a.value_9", true, &text, &err);
    assert_string_equal(err.message, "f.gguf: a.value_9: array of str, expected str");
    ql_source_get_i32_array(&s, "a.value_9", true, &numbers, &err);
    assert_string_equal(err.message, "f.gguf: a.value_9: array of str, expected i32");
    ql_source_get_u64(&s, "a.value_4", true, 2, 9, &u, &err);
    assert_string_equal(err.message, "f.gguf: a.value_4 1: 2 to 9");
    ql_source_get_u64(&s, "b.c", true, 2, 9, &u, &err);
    assert_string_equal(err.message, "f.gguf: b.c is missing");
    ql_gguf_clear(&s);
    ql_buf_free(&b);
}

static void framing(void **state)
{
    (void)state;
    ql_buf b = {0};
    put_header(&b, 3, 0, 1);
    put_u64(&b, 0);
    put(&b, "12345678", 8);
    expect(&b, "f.gguf: kv 0: key length 0, at least 1");
    put_header(&b, 3, 0, 1);
    put_str(&b, "a\x80");
    put(&b, "12345678", 8);
    expect(&b, "f.gguf: kv 0: key has byte 0x80, keys are printable ASCII");
    put_header(&b, 3, 0, 1);
    put_str(&b, "a.b");
    put_u32(&b, 13);
    put_u64(&b, 0);
    expect(&b, "f.gguf: kv a.b: unknown type 13");
    put_header(&b, 3, 0, 1);
    put_str(&b, "a.b");
    put_u32(&b, QL_GGUF_BOOL);
    put(&b, "\7", 1);
    expect(&b, "f.gguf: kv a.b: bool is 7, 0 or 1");
    put_header(&b, 3, 0, 1);
    put_str(&b, "a.b");
    put_u32(&b, QL_GGUF_ARR);
    put_u32(&b, QL_GGUF_STR);
    put_u64(&b, (uint64_t)1 << 61);
    expect(&b, "f.gguf: kv a.b: array of 2305843009213693952 strings cannot fit in 0 bytes");
    put(&b, "PK\3\4aaaaaaaaaaaaaaaaaaaaaaaa", 28);
    expect(&b, "f.gguf: not a GGUF file (starts with \"PK\\x03\\x04\"; looks like a ZIP or PyTorch file: convert it to GGUF)");
    put(&b, "<!DOCTYPE html><html><body>", 27);
    expect(&b, "f.gguf: not a GGUF file (starts with \"<!DO\"; looks like an HTML page: a failed download?)");
    put(&b, "\x40\0\0\0\0\0\0\0{\"a\":{}}                ", 32);
    expect(&b, "f.gguf: not a GGUF file (starts with \"@\"; looks like a safetensors file: convert it to GGUF)");
    put_header(&b, 3, 0, 0);
    expect(&b, NULL);
}

static void tensor_infos(void **state)
{
    (void)state;
    static const struct { uint64_t dims[4]; uint32_t n_dims, type; uint64_t offset; const char *message; } cases[] = {
        {{32, 4}, 2, QL_Q4_0, 0, NULL},
        {{4}, 1, QL_F32, 33, "f.gguf: tensor t: offset 33 is not a multiple of the alignment 32"},
        {{4}, 1, QL_F32, 128, "f.gguf: tensor t: needs bytes 192-208, file has 192 (download incomplete?)"},
        {{4}, 1, QL_F32, UINT64_MAX - 31, "f.gguf: tensor t: size does not fit in 64 bits"},
        {{(uint64_t)1 << 62, 4}, 2, QL_F32, 0, "f.gguf: tensor t: size does not fit in 64 bits"},
        {{(uint64_t)1 << 32, (uint64_t)1 << 31, 0, 1}, 4, QL_F32, 0, NULL}, // nothing, whatever the other dimensions say
        {{33}, 1, QL_Q8_0, 0, "f.gguf: tensor t: row of 33 is not a multiple of 32 (Q8_0)"},
        {{128}, 1, QL_Q4_K, 0, "f.gguf: tensor t: row of 128 is not a multiple of 256 (Q4_K)"},
        {{4}, 1, 24, 0, "f.gguf: tensor t: type I8 is not supported"},
        {{4}, 1, 33, 0, "f.gguf: tensor t: type Q4_0_8_8 was removed, convert again"},
        {{4}, 1, UINT32_MAX, 0, "f.gguf: tensor t: unknown type -1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ql_buf b = {0};
        put_header(&b, 3, 1, 0);
        put_tensor(&b, "t", cases[i].n_dims, cases[i].dims, cases[i].type, cases[i].offset);
        put_padding(&b, 32);
        while (b.len < 192)
            ql_buf_append_byte(&b, 0);
        expect(&b, cases[i].message);
    }
    ql_buf b = {0};
    put_header(&b, 3, 2, 0);
    put_tensor(&b, "a", 1, (uint64_t[]){16}, QL_F32, 0);
    put_tensor(&b, "b", 1, (uint64_t[]){8}, QL_F32, 32);
    put_padding(&b, 32);
    put(&b, (char[96]){0}, 96);
    expect(&b, "f.gguf: tensors a and b overlap");
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    ql_buf b = valid(3, 32);
    for (size_t n = 0; n < b.len - 52; n++) { // the last 52 bytes are padding behind the last tensor
        ql_error err = {0};
        if (parse(b.data, n, &err) == QL_OK)
            fail_msg("%zu of %zu bytes were accepted", n, b.len);
        assert_true(strncmp(err.message, "f.gguf: ", 8) == 0);
    }
    ql_buf_free(&b);
}

static void every_flipped_bit_is_survived(void **state)
{
    (void)state;
    ql_buf b = valid(3, 32);
    size_t refused = 0;
    for (size_t bit = 0; bit < 8 * b.len; bit++) {
        b.data[bit / 8] ^= (char)(1 << bit % 8);
        refused += parse(b.data, b.len, NULL) != QL_OK;
        b.data[bit / 8] ^= (char)(1 << bit % 8);
    }
    assert_true(refused > 1000);
    ql_buf_free(&b);
}

// ---- bad files 01-39, through the whole library ----

static void bad_files_get_their_line(void **state)
{
    (void)state;
    static const struct { int n; ql_code code; const char *message; } bad[] = {
        {1, QL_E_FORMAT, "file is 0 bytes, a GGUF header needs 24"},
        {2, QL_E_FORMAT, "file is 4 bytes, a GGUF header needs 24"},
        {3, QL_E_FORMAT, "not a GGUF file (starts with \"FUGG\"; a big-endian writer's GGUF?)"},
        {4, QL_E_FORMAT, "version 1 is no longer used, convert again"},
        {5, QL_E_FORMAT, "version 4 is newer than 3"},
        {6, QL_E_FORMAT, "big-endian file: convert it to little-endian"},
        {7, QL_E_FORMAT, "kv count 9223372036854775808 cannot fit in "},
        {8, QL_E_FORMAT, "kv count 1099511627776 cannot fit in "},
        {9, QL_E_FORMAT, "tensor count 1099511627776 cannot fit in "},
        {10, QL_E_FORMAT, "kv 0: key length 1152921504606846976 > 65535"},
        {11, QL_E_FORMAT, "kv general.architecture: string of 900 bytes, 5 left"},
        {12, QL_E_FORMAT, "kv general.name appears twice (1, "},
        {13, QL_E_FORMAT, "general.alignment 0: power of two from 8 to 65536"},
        {14, QL_E_FORMAT, "general.alignment 3: power of two from 8 to 65536"},
        {15, QL_E_FORMAT, "general.alignment 2147483648: power of two from 8 to 65536"},
        {16, QL_E_FORMAT, "tensor token_embd.weight: 5 dimensions, at most 4"},
        {17, QL_E_FORMAT, "tensor token_embd.weight: 0 rows, a vocabulary has 1 to "},
        {18, QL_E_FORMAT, "tensor token_embd.weight: size does not fit in 64 bits"},
        {19, QL_E_FORMAT, "tensor token_embd.weight: size does not fit in 64 bits"},
        {20, QL_E_FORMAT, "tensor token_embd.weight: unknown type 99"},
        {21, QL_E_FORMAT, "tensor token_embd.weight: type Q4_2 was removed, convert again"},
        {22, QL_E_FORMAT, "tensor token_embd.weight: row of 31 is not a multiple of 32 (Q4_0)"},
        {23, QL_E_FORMAT, "tensor token_embd.weight: needs bytes 1099"},
        {24, QL_E_FORMAT, "(download incomplete?)"},
        {25, QL_E_FORMAT, "tensor token_embd.weight appears twice"},
        {26, QL_E_FORMAT, "tensor blk.2.attn_norm.weight is missing"},
        {27, QL_E_FORMAT, "llama.block_count 4294967295: 1 to 1024"},
        {28, QL_E_FORMAT, "llama.attention.head_count 0: 1 to 1024"},
        {29, QL_E_FORMAT, "llama.attention.head_count_kv 0: 1 to 4"},
        {30, QL_E_FORMAT, "llama.embedding_length 0: "},
        {31, QL_E_FORMAT, "llama.embedding_length 64 is not a multiple of head_count 7"},
        {32, QL_E_FORMAT, "tokenizer.ggml.scores: array of i8, expected f32"},
        {33, QL_E_FORMAT, "bos_token_id 999999: vocabulary has 288"},
        {34, QL_E_FORMAT, "kv x.y: nested arrays are not supported"},
        {35, QL_E_FORMAT, "kv x.y: array of 4611686018427387904 u32 cannot fit in "},
        {36, QL_E_FORMAT, "llama.attention.layer_norm_rms_epsilon nan: > 0 and < 1"},
        {37, QL_E_FORMAT, "llama.context_length 0: 1 to "},
        {38, QL_E_UNSUPPORTED, "architecture \"zzz\" is not supported (supported: "},
        {39, QL_E_FORMAT, "general.architecture: u32, expected str"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char arguments[32];
        snprintf(arguments, sizeof arguments, "--bad %d", bad[i].n);
        const char *path = tiny_make(arguments);
        assert_non_null(path);
        ql_error err = {0};
        if (ql_model_open(path, NULL, &err))
            fail_msg("bad file %d was opened", bad[i].n);
        if (strncmp(err.message, path, strlen(path)) != 0 || !strstr(err.message, bad[i].message))
            fail_msg("bad file %d: %s", bad[i].n, err.message);
        assert_int_equal(err.code, bad[i].code);
        assert_null(strchr(err.message, '\n'));
    }
}

static int remove_tiny(void **state)
{
    (void)state;
    tiny_remove();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(valid_files_are_read),
        cmocka_unit_test(getters_tell_the_type),
        cmocka_unit_test(framing),
        cmocka_unit_test(tensor_infos),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(every_flipped_bit_is_survived),
        cmocka_unit_test(bad_files_get_their_line),
    };
    return cmocka_run_group_tests_name("gguf", tests, NULL, remove_tiny);
}
