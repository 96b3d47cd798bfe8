// SPDX-License-Identifier: MIT
// What a safetensors file may hold, and the one line that each broken rule gets (bad inputs 40-47).
#include "format/safetensors.h"

#include <math.h>

#include "format/gguf.h"
#include "unit/model_folder.h"

#define F32(name, shape, begin, end) \
    "\"" name "\":{\"dtype\":\"F32\",\"shape\":[" shape "],\"data_offsets\":[" begin "," end "]}"

// Exactly its bytes on the heap, at an odd address: nothing in a file is aligned.
static ql_code parse(const ql_buf *b, uint8_t **copy, ql_source *s, ql_error *err)
{
    *copy = malloc(b->len + 1);
    assert_non_null(*copy);
    if (b->len)
        memcpy(*copy + 1, b->data, b->len);
    *s = (ql_source){0};
    *err = (ql_error){0};
    return ql_safetensors_parse(*copy + 1, b->len, "f.safetensors", s, err);
}

static void clear(ql_source *s, uint8_t *copy)
{
    ql_gguf_clear(s);
    ql_buf_free(&s->remarks);
    free(copy);
}

// message NULL: the file is accepted; it frees b.
static void expect_file(ql_buf b, const char *message)
{
    uint8_t *copy;
    ql_source s;
    ql_error err;
    ql_code code = parse(&b, &copy, &s, &err);
    char line[1200] = "";
    if (message)
        snprintf(line, sizeof line, "f.safetensors: %s", message);
    assert_string_equal(err.message, line);
    assert_int_equal(code, message ? QL_E_FORMAT : QL_OK);
    clear(&s, copy);
    ql_buf_free(&b);
}

static void expect(const char *header, size_t n_data, const char *message)
{
    expect_file(tensors_file(header, n_data), message);
}

// ---- what is accepted ----

static void tensors_are_read(void **state)
{
    (void)state;
    static const char header[] =
        " \t\r\n{\"__metadata__\":{\"format\":\"pt\"},"
        "\"b\":{\"dtype\":\"BF16\",\"shape\":[2,3],\"data_offsets\":[16,28]},"
        F32("a", "4", "0", "16") ","
        "\"mask\":{\"dtype\":\"BOOL\",\"shape\":[2],\"data_offsets\":[28,30]},"
        "\"h\":{\"dtype\":\"F16\",\"shape\":[1,2,1,1],\"data_offsets\":[30,34]},"
        "\"e\":{\"dtype\":\"F8_E4M3\",\"shape\":[3],\"data_offsets\":[34,37]},"
        "\"f\":{\"dtype\":\"F8_E5M2\",\"shape\":[1],\"data_offsets\":[37,38]},"
        "\"scalar\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[38,42]},"
        "\"none\":{\"dtype\":\"F32\",\"shape\":[0,5],\"data_offsets\":[42,42]},"
        "\"deep\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1],\"data_offsets\":[42,46]},"
        "\"n\\u00e4me\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[46,54]}}   ";
    uint8_t *copy;
    ql_source s;
    ql_error err;
    ql_buf b = tensors_file(header, 54);
    if (parse(&b, &copy, &s, &err) != QL_OK)
        fail_msg("%s", err.message);
    assert_int_equal(s.n_tensors, 10);
    const ql_tensor *t = ql_source_tensor(&s, "b");
    assert_non_null(t);
    assert_true(t->dtype == QL_BF16 && t->n_dims == 2 && t->shape[0] == 3 && t->shape[1] == 2 && t->shape[2] == 1);
    assert_true(t->size == 12 && t->data[0] == 16 && t->data[11] == 27 && !t->packed);
    t = ql_source_tensor(&s, "h");
    assert_true(t->dtype == QL_F16 && t->n_dims == 4 && t->shape[2] == 2 && t->shape[3] == 1 && t->data[0] == 30);
    assert_int_equal(ql_source_tensor(&s, "e")->dtype, QL_F8_E4M3);
    assert_int_equal(ql_source_tensor(&s, "f")->dtype, QL_F8_E5M2);
    t = ql_source_tensor(&s, "scalar");
    assert_true(t->n_dims == 0 && t->size == 4 && t->shape[0] == 1);
    assert_int_equal(ql_source_tensor(&s, "none")->size, 0);
    assert_int_equal(ql_source_tensor(&s, "mask")->dtype, QL_DTYPE_END);
    assert_int_equal(ql_source_tensor(&s, "deep")->dtype, QL_DTYPE_END);
    assert_int_equal(ql_source_tensor(&s, "n\xc3\xa4me")->dtype, QL_DTYPE_END);
    assert_null(ql_source_tensor(&s, "__metadata__"));
    clear(&s, copy);
    ql_buf_free(&b);
    expect("{}", 0, NULL);
    expect("{\"__metadata__\":{}}", 0, NULL);
}

static void unknown_fields_are_told(void **state)
{
    (void)state;
    uint8_t *copy;
    ql_source s;
    ql_error err;
    ql_buf b = tensors_file("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"more\":1}}", 4);
    assert_int_equal(parse(&b, &copy, &s, &err), QL_OK);
    assert_string_equal(s.remarks.data, "f.safetensors: tensor a: field \"more\" is not known and was ignored");
    clear(&s, copy);
    ql_buf_free(&b);
}

// ---- the frame ----

static ql_buf raw(const char *bytes, size_t n)
{
    ql_buf b = {0};
    ql_buf_append(&b, bytes, n);
    return b;
}

static void headers_that_are_none(void **state)
{
    (void)state;
    expect_file(raw("", 0), "file is 0 bytes, a safetensors header needs 8");
    expect_file(raw("1234567", 7), "file is 7 bytes, a safetensors header needs 8");
    expect_file(raw("\0\0\0\0\0\0\0\0", 8), "header of 0 bytes is not a JSON object");
    expect_file(raw("\x0a\0\0\0\0\0\0\0{}", 10), "header of 10 bytes, file has 10 (download incomplete?)");
    expect_file(raw("\xff\xff\xff\xff\xff\xff\xff\xff{}", 10),
                "header of 18446744073709551615 bytes, file has 10 (download incomplete?)");
    expect_file(raw("version https://git-lfs", 23),
                "header of 2336927755350992246 bytes, file has 23 (looks like a Git LFS pointer: "
                "fetch the file itself)");
    expect_file(raw("<!DOCTYPE html>", 15),
                "header of 5789751444030890300 bytes, file has 15 (looks like an HTML page: a failed download?)");
    expect("[]", 0, "header of 2 bytes is not a JSON object");
    expect("   ", 0, "header of 3 bytes is not a JSON object");
    expect_file(raw("\3\0\0\0\0\0\0\0{}\0", 11), "header byte 3: end of file expected near end of file");
    // 45: N = 10^8 + 1, and as many bytes
    ql_buf b = {0};
    uint64_t n = 100000001;
    ql_buf_append(&b, &n, sizeof n);
    memset(ql_buf_reserve(&b, n), ' ', n);
    b.len += n;
    expect_file(b, "header of 100000001 bytes: at most 16777216");
}

static void headers_that_are_no_json(void **state)
{
    (void)state;
    expect("{\"a\":{\"dtype\":}}", 0, "tensor a: header byte 15: unexpected token near '}'");
    expect("{", 0, "header byte 1: string or '}' expected near end of file");
    expect("{\"\xff\":1}", 0, "header is not UTF-8 at byte 2");
    expect("{} {}", 0, "header byte 4: end of file expected near '{'");
    ql_buf deep = {0};
    ql_buf_append_str(&deep, "{\"a\":");
    for (int i = 0; i < 5000; i++)
        ql_buf_append_byte(&deep, '[');
    expect(deep.data, 0, "tensor a: header byte 2053: maximum parsing depth reached near '['");
    ql_buf_free(&deep);
    // 40: names that are there twice
    expect("{" F32("a", "1", "0", "4") "," F32("a", "1", "0", "4") "}", 4, "tensor a appears twice");
    expect("{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\"}}", 0,
           "tensor a: header byte 27: duplicate object key near '\"dtype\"'");
    expect("{\"__metadata__\":{},\"__metadata__\":{}}", 0, "__metadata__ appears twice");
    expect("{\"__metadata__\":{\"k\":\"1\",\"k\":\"1\"}}", 0,
           "__metadata__: header byte 28: duplicate object key near '\"k\"'");
    expect("{\"__metadata__\":{\"k\":1}}", 0, "__metadata__: k is not a string");
    expect("{\"__metadata__\":[]}", 0, "__metadata__ is not an object");
}

// ---- tensors ----

static void entries_that_are_wrong(void **state)
{
    (void)state;
    expect("{\"a\":1}", 0, "tensor a: is not an object");
    expect("{\"\":{}}", 0, "tensor \"\": name of 0 bytes, 1 to 1024");
    expect("{\"a\":{}}", 0, "tensor a: dtype is missing or not a string");
    expect("{\"a\":{\"dtype\":\"F7\"}}", 0, "tensor a: unknown dtype \"F7\"");
    expect("{\"a\":{\"dtype\":\"F32\"}}", 0, "tensor a: shape is not an array of at most 64 numbers");
    expect("{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 0, "tensor a: data_offsets is not an array of 2 numbers");
    expect("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]}}", 0,
           "tensor a: data_offsets is not an array of 2 numbers");
    // 46: a float dimension
    expect("{" F32("a", "2.5", "0", "4") "}", 4, "tensor a: shape[0] is 2.5, a whole number is needed");
    expect("{" F32("a", "1,-1", "0", "4") "}", 4, "tensor a: shape[1] is -1: 0 to 281474976710656");
    expect("{" F32("a", "\"1\"", "0", "4") "}", 4, "tensor a: shape[0] is not a number");
    // 47: [2, 2^64 - 2]
    expect("{" F32("a", "2,18446744073709551614", "0", "4") "}", 4,
           "tensor a: header byte 51: a number that is too large");
    expect("{" F32("a", "0,281474976710657", "0", "0") "}", 0,
           "tensor a: shape[1] is 281474976710657: 0 to 281474976710656");
    expect("{" F32("a", "281474976710656,281474976710656", "0", "4") "}", 4, "tensor a: size does not fit in 64 bits");
    expect("{\"a\":{\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[0,2]}}", 2,
           "tensor a: its 12 bits are not whole bytes");
    expect("{" F32("a", "2", "0", "4") "}", 4, "tensor a: its shape and type take 8 bytes, data_offsets hold 4");
    expect("{" F32("a", "1", "4", "0") "}", 4, "tensor a: data_offsets [4, 0] go backwards");
    expect("{" F32("a", "1", "-4", "0") "}", 4, "tensor a: data_offsets[0] is -4: 0 to 9223372036854775807");
}

static void places_that_are_wrong(void **state)
{
    (void)state;
    // 41: a hole; also before the first one
    expect("{" F32("a", "1", "0", "4") "," F32("b", "1", "8", "12") "}", 12, "hole of 4 bytes before tensor b");
    expect("{" F32("a", "1", "4", "8") "}", 8, "hole of 4 bytes before tensor a");
    // 42: an overlap; also all at one place
    expect("{" F32("a", "2", "0", "8") "," F32("b", "1", "4", "8") "}", 8, "tensors a and b overlap");
    expect("{" F32("a", "1", "0", "4") "," F32("b", "1", "0", "4") "}", 4, "tensors a and b overlap");
    // 43: a trailing byte; also without tensors
    expect("{" F32("a", "1", "0", "4") "}", 5, "1 bytes after the last tensor, a");
    expect("{}", 3, "3 bytes of data, but no tensor");
    // 44: short
    expect("{" F32("a", "1", "0", "4") "}", 3,
           "tensor a: needs bytes 0-4 of the data, there are 3 (download incomplete?)");
}

// ---- damage ----

static const char small[] = "{\"__metadata__\":{\"format\":\"pt\"}," F32("a", "2,1", "0", "8") ","
                            "\"b\":{\"dtype\":\"I8\",\"shape\":[3],\"data_offsets\":[8,11]}}";

static void every_truncation_is_refused(void **state)
{
    (void)state;
    ql_buf b = tensors_file(small, 11);
    for (size_t n = 0; n < b.len; n++) {
        ql_buf part = {.data = b.data, .len = n};
        uint8_t *copy;
        ql_source s;
        ql_error err;
        assert_int_equal(parse(&part, &copy, &s, &err), QL_E_FORMAT);
        assert_true(strncmp(err.message, "f.safetensors: ", 15) == 0 && !strchr(err.message, '\n'));
        clear(&s, copy);
    }
    ql_buf_free(&b);
}

static void every_flipped_bit_is_survived(void **state)
{
    (void)state;
    ql_buf b = tensors_file(small, 11);
    size_t refused = 0;
    for (size_t bit = 0; bit < 8 * b.len; bit++) {
        uint8_t *copy;
        ql_source s;
        ql_error err;
        b.data[bit / 8] ^= (char)(1 << bit % 8);
        ql_code code = parse(&b, &copy, &s, &err);
        refused += code != QL_OK;
        assert_true(code == QL_OK || strncmp(err.message, "f.safetensors: ", 15) == 0);
        clear(&s, copy);
        b.data[bit / 8] ^= (char)(1 << bit % 8);
    }
    assert_in_range(refused, 700, 8 * b.len);
    ql_buf_free(&b);
}

// 8-bit floats: all values against what their bits say.
static void eight_bit_floats(void **state)
{
    (void)state;
    uint8_t codes[256];
    float e4m3[256], e5m2[256];
    for (int i = 0; i < 256; i++)
        codes[i] = (uint8_t)i;
    ql_dtype_get(QL_F8_E4M3)->decode(codes, e4m3, 256);
    ql_dtype_get(QL_F8_E5M2)->decode(codes, e5m2, 256);
    for (int i = 0; i < 256; i++) {
        float sign = i & 128 ? -1 : 1;
        int e = i >> 3 & 15, m = i & 7, f = i & 3;
        float want = e ? (float)(8 + m) * (float)(1 << e) * 0x1p-10f : (float)m * 0x1p-9f;
        if ((i & 127) == 127)
            assert_true(e4m3[i] != e4m3[i]);
        else
            assert_true(e4m3[i] == sign * want && !e4m3[i] == !(i & 127));
        e = i >> 2 & 31;
        want = e == 31 ? HUGE_VALF : e ? (float)(4 + f) * (float)(1u << e) * 0x1p-17f : (float)f * 0x1p-16f;
        if (e == 31 && f)
            assert_true(e5m2[i] != e5m2[i]);
        else
            assert_true(e5m2[i] == sign * want);
    }
    assert_true(e4m3[0x7e] == 448 && e4m3[0x38] == 1 && e5m2[0x7b] == 57344 && e5m2[0x3c] == 1);
    assert_string_equal(ql_dtype_get(QL_F8_E4M3)->name, "F8_E4M3");
    assert_string_equal(ql_dtype_get(QL_F8_E5M2)->name, "F8_E5M2");
    assert_null(ql_dtype_get(QL_F8_E4M3)->encode);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tensors_are_read),
        cmocka_unit_test(unknown_fields_are_told),
        cmocka_unit_test(headers_that_are_none),
        cmocka_unit_test(headers_that_are_no_json),
        cmocka_unit_test(entries_that_are_wrong),
        cmocka_unit_test(places_that_are_wrong),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(every_flipped_bit_is_survived),
        cmocka_unit_test(eight_bit_floats),
    };
    return cmocka_run_group_tests_name("safetensors", tests, NULL, NULL);
}
