// SPDX-License-Identifier: MIT
// What a GGUF file may hold, and the one line that each broken rule gets. What hostile files cost: test_gguf_limits.c.
// The bad files 01-39 through the whole library: tests/cli/test_bad_inputs.py.
#include "unit/gguf_writer.h"

#include <dirent.h>

#include "quantllm.h"
#include "unit/gguf_walk.h"

// ---- small files, built here ----

// Exactly its bytes on the heap, so that a sanitizer sees a read behind the end. The source is to be cleared.
static ql_code parse_copy(ql_buf *b, uint8_t **copy, ql_source *source, ql_error *err)
{
    *copy = malloc(b->len + 1);
    assert_non_null(*copy);
    memcpy(*copy + 1, b->data, b->len); // at an odd address: nothing in a file is aligned
    *source = (ql_source){0};
    return ql_gguf_parse(*copy + 1, b->len, "f.gguf", source, err);
}

// NULL: the file is accepted.
static void expect_code(gguf_writer *w, ql_code code, const char *message)
{
    uint8_t *copy;
    ql_source source;
    ql_error err = {0};
    ql_buf b = gguf_finish(w);
    assert_int_equal(parse_copy(&b, &copy, &source, &err), code);
    assert_string_equal(err.message, message ? message : "");
    if (!message)
        gguf_walk(&source);
    ql_gguf_clear(&source);
    free(copy);
    ql_buf_free(&b);
}

static void expect(gguf_writer *w, const char *message)
{
    expect_code(w, message ? QL_E_FORMAT : QL_OK, message);
}

static void expect_bytes(const char *bytes, size_t n, const char *message)
{
    uint8_t *copy;
    ql_source source;
    ql_error err = {0};
    ql_buf b = {0};
    ql_buf_append(&b, bytes, n);
    assert_int_equal(parse_copy(&b, &copy, &source, &err), QL_E_FORMAT);
    assert_string_equal(err.message, message);
    ql_gguf_clear(&source);
    free(copy);
    ql_buf_free(&b);
}

static ql_source parsed(const ql_buf *b)
{
    ql_error err = {0};
    ql_source s = {0};
    if (ql_gguf_parse((const uint8_t *)b->data, b->len, "f.gguf", &s, &err) != QL_OK)
        fail_msg("%s", err.message);
    return s;
}

// A value 1 of every type under a.<type>, in this order.
static void put_values(gguf_writer *w)
{
    for (uint32_t type = 0; type < QL_GGUF_TYPES; type++) {
        char key[32];
        snprintf(key, sizeof key, "a.%s", ql_gguf_type_names[type]);
        if (type == QL_GGUF_STR)
            gguf_kv_str(w, key, "text");
        else if (type == QL_GGUF_ARR)
            gguf_kv_strs(w, key, (const char *[]){"one", ""}, 2);
        else if (type == QL_GGUF_F32)
            gguf_kv_f32(w, key, 1);
        else if (type == QL_GGUF_F64)
            gguf_kv(w, key, type, &(double){1});
        else
            gguf_kv(w, key, type, "\1\0\0\0\0\0\0");
    }
}

static ql_buf valid(uint32_t version, uint32_t alignment)
{
    gguf_writer w = gguf_new();
    w.version = version;
    w.alignment = alignment;
    gguf_kv_u32(&w, "general.alignment", alignment);
    put_values(&w);
    gguf_kv_array(&w, "a.empty", QL_GGUF_I8, 0);
    gguf_kv_array(&w, "a.i32s", QL_GGUF_I32, 2);
    gguf_u32(&w.kvs, 7);
    gguf_u32(&w.kvs, (uint32_t)-9);
    gguf_kv_array(&w, "a.f32s", QL_GGUF_F32, 1);
    gguf_u32(&w.kvs, 0x40490fdb);
    gguf_tensor(&w, "z", QL_Q4_0, 2, (uint64_t[]){32, 2}, NULL);
    gguf_tensor(&w, "empty", QL_F32, 1, (uint64_t[]){0}, NULL);
    gguf_tensor(&w, "a", QL_F32, 1, (uint64_t[]){3}, (float[]){1, 2, 3});
    gguf_tensor(&w, "scalar", QL_F32, 0, NULL, (float[]){5});
    return gguf_finish(&w);
}

// ---- what is accepted ----

static void check_tensors(const ql_source *s, uint32_t alignment)
{
    static const char *const order[] = {"z", "empty", "a", "scalar"}; // the file's
    assert_int_equal(ql_source_n_tensors(s), 4);
    for (size_t i = 0; i < 4; i++) {
        const ql_tensor *t = ql_source_tensor(s, order[i]);
        assert_non_null(t);
        assert_ptr_equal(t, ql_source_tensor_at(s, i));
        assert_int_equal((size_t)(t->data - ql_source_tensor_at(s, 0)->data) % alignment, 0);
    }
    const ql_tensor *z = ql_source_tensor(s, "z"), *a = ql_source_tensor(s, "a");
    const ql_tensor *scalar = ql_source_tensor(s, "scalar");
    assert_int_equal(z->size, 36);
    assert_true(z->shape[0] == 32 && z->shape[1] == 2 && z->shape[2] == 1 && z->shape[3] == 1 && z->n_dims == 2);
    assert_memory_equal(a->data, ((float[]){1, 2, 3}), 12);
    assert_true(scalar->size == 4 && scalar->n_dims == 0);
    assert_int_equal(ql_source_tensor(s, "empty")->size, 0);
    assert_null(ql_source_tensor(s, "b"));
    assert_null(ql_source_tensor(s, ""));
}

static void check_values(const ql_source *s)
{
    static const char *const integers[] = {"a.u8", "a.i8", "a.u16", "a.i16", "a.u32", "a.i32", "a.u64", "a.i64"};
    uint64_t u = 0;
    float f = 0, g = 0;
    bool flag = false;
    ql_str text;
    ql_str_array strings;
    ql_num_array numbers;
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(ql_source_get_u64(s, integers[i], true, 0, 9, &u, NULL), QL_OK);
        assert_int_equal(u, 1);
    }
    assert_int_equal(ql_source_get_f32(s, "a.f32", true, &f, NULL), QL_OK);
    assert_int_equal(ql_source_get_f32(s, "a.f64", true, &g, NULL), QL_OK);
    assert_int_equal(ql_source_get_bool(s, "a.bool", true, &flag, NULL), QL_OK);
    assert_true(f == 1 && g == 1 && flag);
    assert_int_equal(ql_source_get_str(s, "a.str", true, &text, NULL), QL_OK);
    assert_true(text.len == 4 && memcmp(text.data, "text", 4) == 0);
    assert_int_equal(ql_source_get_str_array(s, "a.arr", true, &strings, NULL), QL_OK);
    assert_true(strings.n == 2 && strings.items[0].len == 3 && strings.items[1].len == 0);
    assert_int_equal(ql_source_get_i32_array(s, "a.i32s", true, &numbers, NULL), QL_OK);
    assert_true(numbers.n == 2 && memcmp(numbers.data, (int32_t[]){7, -9}, 8) == 0);
    assert_int_equal(ql_source_get_f32_array(s, "a.f32s", true, &numbers, NULL), QL_OK);
    assert_true(numbers.n == 1);
    assert_int_equal(ql_source_get_f32_array(s, "a.empty", true, &numbers, NULL), QL_OK); // of i8, but empty
    assert_int_equal(numbers.n, 0);
}

static void valid_files_are_read(void **state)
{
    (void)state;
    static const uint32_t alignments[] = {8, 32, 64, 4096, 65536};
    for (size_t i = 0; i < 5; i++)
        for (uint32_t version = 2; version <= 3; version++) {
            ql_buf b = valid(version, alignments[i]);
            ql_source s = parsed(&b);
            check_tensors(&s, alignments[i]);
            check_values(&s);
            ql_gguf_clear(&s);
            ql_buf_free(&b);
        }
}

static void every_type_of_tensor(void **state)
{
    (void)state;
    gguf_writer w = gguf_new();
    size_t n = 0;
    for (uint32_t type = 0; type < QL_DTYPE_END; type++)
        if (ql_dtype_get(type) && type != QL_F8_E4M3 && type != QL_F8_E5M2) { // not GGUF's
            gguf_tensor(&w, ql_dtype_get(type)->name, (ql_dtype)type, 2, (uint64_t[]){512, 3}, NULL);
            n++;
        }
    ql_buf b = gguf_finish(&w);
    ql_source s = parsed(&b);
    assert_int_equal(n, 15);
    for (size_t i = 0; i < n; i++) {
        const ql_tensor *t = ql_source_tensor_at(&s, i);
        const ql_dtype_info *info = ql_dtype_get(t->dtype);
        assert_string_equal(t->name, info->name);
        assert_int_equal(t->size, 3 * (512 / info->block) * info->block_bytes);
    }
    ql_gguf_clear(&s);
    ql_buf_free(&b);
}

static void lookup_finds_each_of_many(void **state)
{
    (void)state;
    gguf_writer w = gguf_new();
    char name[32];
    for (uint32_t i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "k.%u", i * 7919 % 1000);
        gguf_kv_u32(&w, name, i * 7919 % 1000);
        gguf_tensor(&w, name, QL_F32, 1, (uint64_t[]){1 + i % 3}, NULL);
    }
    ql_buf b = gguf_finish(&w);
    ql_source s = parsed(&b);
    for (uint32_t i = 0; i < 1010; i++) {
        uint64_t value = 5000;
        snprintf(name, sizeof name, "k.%u", i);
        ql_code code = ql_source_get_u64(&s, name, true, 0, 999, &value, NULL);
        const ql_tensor *t = ql_source_tensor(&s, name);
        assert_true(i < 1000 ? code == QL_OK && value == i : code == QL_E_FORMAT);
        assert_true(i < 1000 ? t && strcmp(t->name, name) == 0 : !t);
    }
    ql_gguf_clear(&s);
    ql_buf_free(&b);
}

static void files_are_opened_by_path(void **state)
{
    (void)state;
    char path[256], line[512];
    gguf_writer w = gguf_new();
    gguf_kv_str(&w, "general.architecture", "llama");
    gguf_save(&w, path, sizeof path);
    ql_error err = {0};
    ql_source *s;
    if (ql_source_open(path, &s, &err) != QL_OK)
        fail_msg("%s", err.message);
    assert_string_equal(ql_source_path(s), path);
    assert_int_equal(ql_source_file_bytes(s), 24 + 8 + 20 + 4 + 8 + 5);
    assert_true(ql_source_has(s, "general.architecture") && !ql_source_has(s, "general.name"));
    ql_source_close(s);
    assert_int_equal(truncate(path, 30), 0);
    assert_int_equal(ql_source_open(path, &s, &err), QL_E_FORMAT);
    assert_null(s);
    snprintf(line, sizeof line, "%s: kv count 1 cannot fit in 30 bytes", path);
    assert_string_equal(err.message, line);
    unlink(path);
    assert_int_equal(ql_source_open(path, &s, &err), QL_E_NOT_FOUND);
    assert_int_equal(ql_source_open("/proc", &s, &err), QL_E_NOT_FOUND);
    assert_string_equal(err.message, "/proc: holds no model: config.json with model.safetensors, or a .gguf file");
    ql_source_close(NULL);
}

static void real_vocabularies_are_read(void **state)
{
    (void)state;
    char folder[512], path[1024];
    const char *shared = getenv("QL_SHARED"), *root = getenv("QL_SOURCE_ROOT");
    snprintf(folder, sizeof folder, "%s%s/data/vocab", shared ? shared : root ? root : ".", shared ? "" : "/../shared");
    DIR *dir = opendir(folder);
    if (!dir) {
        print_message("no %s: set QL_SHARED\n", folder);
        skip();
    }
    size_t n_files = 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        size_t len = strlen(entry->d_name);
        if (len < 5 || strcmp(entry->d_name + len - 5, ".gguf") != 0)
            continue;
        ql_source *s;
        ql_error err = {0};
        ql_str_array tokens;
        ql_num_array types;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (ql_source_open(path, &s, &err) != QL_OK)
            fail_msg("%s", err.message);
        assert_string_equal(ql_source_path(s), path);
        assert_int_equal(ql_source_get_str_array(s, "tokenizer.ggml.tokens", true, &tokens, &err), QL_OK);
        assert_int_equal(ql_source_get_i32_array(s, "tokenizer.ggml.token_type", true, &types, &err), QL_OK);
        assert_true(tokens.n >= 30000 && tokens.n == types.n);
        assert_int_equal(ql_source_n_tensors(s), 0);
        gguf_walk(s);
        ql_source_close(s);
        n_files++;
    }
    closedir(dir);
    assert_true(n_files >= 5);
}

// ---- what is refused ----

static void getters_tell_the_type(void **state)
{
    (void)state;
    ql_buf b = valid(3, 32);
    ql_source s = parsed(&b);
    ql_error err = {0};
    uint64_t u = 77;
    float f = 77;
    bool flag;
    ql_str text;
    ql_num_array numbers;
    ql_str_array strings;
#define TOLD(call, line)                                  \
    assert_int_equal(call, QL_E_FORMAT);                  \
    assert_string_equal(err.message, "f.gguf: " line)
    TOLD(ql_source_get_u64(&s, "a.str", true, 0, 9, &u, &err), "a.str: str, expected an integer");
    TOLD(ql_source_get_u64(&s, "a.f32", true, 0, 9, &u, &err), "a.f32: f32, expected an integer");
    TOLD(ql_source_get_f32(&s, "a.u32", true, &f, &err), "a.u32: u32, expected f32");
    TOLD(ql_source_get_bool(&s, "a.u32", true, &flag, &err), "a.u32: u32, expected bool");
    TOLD(ql_source_get_str(&s, "a.arr", true, &text, &err), "a.arr: array of str, expected str");
    TOLD(ql_source_get_i32_array(&s, "a.arr", true, &numbers, &err), "a.arr: array of str, expected i32");
    TOLD(ql_source_get_f32_array(&s, "a.i32s", true, &numbers, &err), "a.i32s: array of i32, expected f32");
    TOLD(ql_source_get_str_array(&s, "a.i32s", true, &strings, &err), "a.i32s: array of i32, expected str");
    TOLD(ql_source_get_f32_array(&s, "a.u32", true, &numbers, &err), "a.u32: u32, expected an array of f32");
    TOLD(ql_source_get_u64(&s, "a.u32", true, 2, 9, &u, &err), "a.u32 1: 2 to 9");
    TOLD(ql_source_get_u64(&s, "a.i8", true, 2, 9, &u, &err), "a.i8 1: 2 to 9");
    TOLD(ql_source_get_u64(&s, "b.c", true, 2, 9, &u, &err), "b.c is missing");
    TOLD(ql_source_get_i32_array(&s, "b.c", true, &numbers, &err), "b.c is missing");
#undef TOLD
    assert_int_equal(ql_source_get_u64(&s, "b.c", false, 2, 9, &u, &err), QL_OK);
    assert_int_equal(ql_source_get_f32(&s, "b.c", false, &f, &err), QL_OK);
    assert_true(u == 77 && f == 77);
    ql_gguf_clear(&s);
    ql_buf_free(&b);
}

static void values_are_checked_when_asked_for(void **state)
{
    (void)state;
    gguf_writer w = gguf_new();
    gguf_kv(&w, "a.negative", QL_GGUF_I16, "\xfe\xff");
    gguf_kv(&w, "a.large", QL_GGUF_U64, "\xff\xff\xff\xff\xff\xff\xff\xff");
    gguf_kv_str(&w, "a.text", "ab\xc3(");
    ql_buf b = gguf_finish(&w);
    ql_source s = parsed(&b);
    ql_error err = {0};
    uint64_t u;
    ql_str text;
    assert_int_equal(ql_source_get_u64(&s, "a.negative", true, 0, UINT64_MAX, &u, &err), QL_E_FORMAT);
    assert_string_equal(err.message, "f.gguf: a.negative -2: 0 to 18446744073709551615");
    assert_int_equal(ql_source_get_u64(&s, "a.large", true, 0, 4096, &u, &err), QL_E_FORMAT);
    assert_string_equal(err.message, "f.gguf: a.large 18446744073709551615: 0 to 4096");
    assert_int_equal(ql_source_get_str(&s, "a.text", true, &text, &err), QL_E_FORMAT);
    assert_string_equal(err.message, "f.gguf: a.text: not UTF-8 at byte 2 of 4");
    ql_gguf_clear(&s);
    ql_buf_free(&b);
}

static void files_that_are_no_gguf(void **state)
{
    (void)state;
    static const struct { const char *bytes; size_t n; const char *message; } cases[] = {
        {"PK\3\4aaaa", 8, "starts with \"PK\\x03\\x04\"; looks like a ZIP or PyTorch file: convert it to GGUF"},
        {"<!DOCTYPE html><html>", 21, "starts with \"<!DO\"; looks like an HTML page: a failed download?"},
        {"{\"error\":\"x\"}", 13, "starts with \"{\\x22er\"; looks like JSON: a failed download?"},
        {"@\0\0\0\0\0\0\0{\"a\":{}}", 16,
         "starts with \"@\\x00\\x00\\x00\"; looks like a safetensors file: convert it to GGUF"},
        {"\x80\2}q", 4, "starts with \"\\x80\\x02}q\"; looks like a pickle: convert it to GGUF"},
        {"tjgg\1\0\0\0", 8, "starts with \"tjgg\"; looks like an old GGML file: convert it to GGUF"},
        {"version https://git-lfs.github.com", 34,
         "starts with \"vers\"; looks like a Git LFS pointer: fetch the file itself"},
        {"\xff\x1b[2", 4, "starts with \"\\xff\\x1b[2\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char line[256];
        snprintf(line, sizeof line, "f.gguf: not a GGUF file (%s)", cases[i].message);
        expect_bytes(cases[i].bytes, cases[i].n, line);
    }
    expect_bytes("GGU", 3, "f.gguf: file is 3 bytes, a GGUF header needs 24");
}

static void metadata_framing(void **state)
{
    (void)state;
    gguf_writer w = gguf_new();
    expect(&w, NULL); // nothing in it
    w = gguf_new();
    gguf_kv_u32(&w, "", 1);
    expect(&w, "f.gguf: kv 0: key length 0, at least 1");
    w = gguf_new();
    gguf_kv_u32(&w, "a\x80", 1);
    expect(&w, "f.gguf: kv 0: key has byte 0x80, keys are printable ASCII");
    w = gguf_new();
    gguf_kv_u32(&w, "a.b", 1);
    gguf_key(&w, "a.c", QL_GGUF_TYPES);
    gguf_u64(&w.kvs, 0);
    expect(&w, "f.gguf: kv a.c: unknown type 13");
    w = gguf_new();
    gguf_kv(&w, "a.b", QL_GGUF_BOOL, "\7");
    expect(&w, "f.gguf: kv a.b: bool is 7, 0 or 1");
    w = gguf_new();
    gguf_kv_array(&w, "a.b", QL_GGUF_BOOL, 2);
    ql_buf_append(&w.kvs, "\1\2", 2);
    expect(&w, "f.gguf: kv a.b: bool is 2, 0 or 1");
    w = gguf_new();
    gguf_kv_array(&w, "a.b", QL_GGUF_STR, (uint64_t)1 << 61);
    expect(&w, "f.gguf: kv a.b: array of 2305843009213693952 strings cannot fit in 0 bytes");
    w = gguf_new();
    gguf_kv_array(&w, "a.b", QL_GGUF_U32, 3);
    gguf_u64(&w.kvs, 0);
    expect(&w, "f.gguf: kv a.b: array of 3 u32 cannot fit in 8 bytes");
    w = gguf_new();
    gguf_kv_array(&w, "a.b", 77, 0);
    expect(&w, "f.gguf: kv a.b: array of unknown type 77");
    w = gguf_new();
    gguf_kv_strs(&w, "a.b", (const char *[]){"x"}, 1);
    gguf_kv_u32(&w, "a.a", 1);
    gguf_kv_u32(&w, "a.b", 1);
    expect(&w, "f.gguf: kv a.b appears twice (0, 2)");
    w = gguf_new();
    gguf_kv_str(&w, "general.alignment", "32");
    expect(&w, "f.gguf: general.alignment: str, expected an integer");
    w = gguf_new();
    gguf_kv(&w, "split.count", QL_GGUF_U16, "\3");
    expect_code(&w, QL_E_UNSUPPORTED,
                "f.gguf: split.count 3: models of several files are not supported, merge them into one");
    w = gguf_new();
    gguf_kv(&w, "split.count", QL_GGUF_U16, "\1");
    expect(&w, NULL);
}

static void tensor_infos(void **state)
{
    (void)state;
    static const struct { uint64_t dims[5]; uint32_t n_dims, type; uint64_t offset; const char *message; } cases[] = {
        {{32, 4}, 2, QL_Q4_0, 0, NULL},
        {{1, 1, 1, 1, 1}, 5, QL_F32, 0, "5 dimensions, at most 4"},
        {{4}, 1, QL_F32, 33, "offset 33 is not a multiple of the alignment 32"},
        {{4}, 1, QL_F32, 128, "needs bytes 192-208, file has 192 (download incomplete?)"},
        {{4}, 1, QL_F32, UINT64_MAX - 31, "size does not fit in 64 bits"},
        {{(uint64_t)1 << 62, 4}, 2, QL_F32, 0, "size does not fit in 64 bits"},
        {{(uint64_t)1 << 61}, 1, QL_F32, 0, "size does not fit in 64 bits"},
        {{(uint64_t)1 << 32, (uint64_t)1 << 32}, 2, QL_Q8_0, 0, "size does not fit in 64 bits"},
        {{(uint64_t)1 << 32, (uint64_t)1 << 31}, 2, QL_Q4_0, 0, "size does not fit in 64 bits"}, // 2^63 weights
        {{(uint64_t)1 << 32, (uint64_t)1 << 31, 0, 1}, 4, QL_F32, 0, NULL}, // nothing, whatever the others say
        {{33}, 1, QL_Q8_0, 0, "row of 33 is not a multiple of 32 (Q8_0)"},
        {{128}, 1, QL_Q4_K, 0, "row of 128 is not a multiple of 256 (Q4_K)"},
        {{4}, 1, 24, 0, "type I8 is not supported"},
        {{4}, 1, 33, 0, "type Q4_0_8_8 was removed, convert again"},
        {{4}, 1, 40, 0, "unknown type 40"},
        {{4}, 1, UINT32_MAX, 0, "unknown type -1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char line[256];
        gguf_writer w = gguf_new();
        gguf_info(&w, "t", cases[i].n_dims, cases[i].dims, cases[i].type, cases[i].offset);
        size_t head = (24 + w.infos.len + 31) / 32 * 32;
        memset(ql_buf_reserve(&w.data, 192), 0, 192);
        w.data.len = 192 - head;
        snprintf(line, sizeof line, "f.gguf: tensor t: %s", cases[i].message ? cases[i].message : "");
        expect_code(&w, !cases[i].message ? QL_OK : cases[i].type == 24 ? QL_E_UNSUPPORTED : QL_E_FORMAT,
                    cases[i].message ? line : NULL);
    }
}

static void names_and_places_of_tensors(void **state)
{
    (void)state;
    char name[80];
    gguf_writer w = gguf_new();
    gguf_info(&w, "a", 1, (uint64_t[]){16}, QL_F32, 0);
    gguf_info(&w, "b", 1, (uint64_t[]){8}, QL_F32, 32);
    ql_buf_append(&w.data, (char[96]){0}, 96);
    expect(&w, "f.gguf: tensors a and b overlap");
    w = gguf_new();
    gguf_info(&w, "b", 1, (uint64_t[]){8}, QL_F32, 32); // not in order, with a gap: unusual and harmless
    gguf_info(&w, "a", 1, (uint64_t[]){4}, QL_F32, 0);
    ql_buf_append(&w.data, (char[96]){0}, 96);
    expect(&w, NULL);
    memset(name, 'n', sizeof name);
    name[64] = 0;
    w = gguf_new();
    gguf_tensor(&w, name, QL_F32, 1, (uint64_t[]){1}, NULL);
    expect(&w, NULL);
    name[64] = 'n';
    name[65] = 0;
    w = gguf_new();
    gguf_tensor(&w, name, QL_F32, 1, (uint64_t[]){1}, NULL);
    expect(&w, "f.gguf: tensor 0: name of 65 bytes, 1 to 64");
    w = gguf_new();
    gguf_tensor(&w, "", QL_F32, 1, (uint64_t[]){1}, NULL);
    expect(&w, "f.gguf: tensor 0: name of 0 bytes, 1 to 64");
    w = gguf_new();
    gguf_tensor(&w, "a\xff", QL_F32, 1, (uint64_t[]){1}, NULL);
    expect(&w, "f.gguf: tensor 0: name is not UTF-8 without NUL");
    w = gguf_new();
    gguf_tensor(&w, "x", QL_F32, 1, (uint64_t[]){1}, NULL);
    gguf_tensor(&w, "y", QL_F32, 1, (uint64_t[]){1}, NULL);
    gguf_tensor(&w, "x", QL_F16, 1, (uint64_t[]){1}, NULL);
    expect(&w, "f.gguf: tensor x appears twice");
}

// ---- what is told and does not stop ----

// The remark on a file, "" for none; at: a byte to be set from the file's end, 0 for none.
static void told(gguf_writer *w, size_t at, size_t more, const char *remark)
{
    ql_buf b = gguf_finish(w);
    for (size_t i = 0; i < more; i++)
        ql_buf_append_byte(&b, 0);
    if (at)
        b.data[b.len - at] = 1;
    ql_source s = parsed(&b);
    const char *line = ql_source_remark(&s, 0);
    assert_string_equal(line ? line : "", remark);
    assert_null(line ? ql_source_remark(&s, 1) : NULL);
    ql_gguf_clear(&s);
    ql_buf_free(&b);
}

static gguf_writer two_tensors(void)
{
    gguf_writer w = gguf_new();
    gguf_tensor(&w, "a", QL_F32, 1, (uint64_t[]){3}, NULL); // 12 bytes, 20 of padding
    gguf_tensor(&w, "b", QL_F32, 1, (uint64_t[]){8}, NULL); // 32
    return w;
}

static void what_belongs_to_no_tensor(void **state)
{
    (void)state;
    gguf_writer w = two_tensors();
    told(&w, 0, 0, "");
    w = two_tensors();
    told(&w, 33, 0, "f.gguf: the padding before tensor b is not zero");
    w = two_tensors();
    told(&w, 1, 0, ""); // a weight
    w = two_tensors();
    told(&w, 0, 7, "f.gguf: 7 bytes after the last tensor belong to no tensor and are not used");
    w = gguf_new();
    gguf_info(&w, "a", 1, (uint64_t[]){8}, QL_F32, 0);
    gguf_info(&w, "b", 1, (uint64_t[]){8}, QL_F32, 96);
    memset(ql_buf_reserve(&w.data, 128), 0, 128);
    w.data.len = 128;
    told(&w, 0, 0, "f.gguf: 64 bytes before tensor b belong to no tensor and are not used");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(valid_files_are_read),
        cmocka_unit_test(every_type_of_tensor),
        cmocka_unit_test(lookup_finds_each_of_many),
        cmocka_unit_test(files_are_opened_by_path),
        cmocka_unit_test(real_vocabularies_are_read),
        cmocka_unit_test(getters_tell_the_type),
        cmocka_unit_test(values_are_checked_when_asked_for),
        cmocka_unit_test(files_that_are_no_gguf),
        cmocka_unit_test(metadata_framing),
        cmocka_unit_test(tensor_infos),
        cmocka_unit_test(names_and_places_of_tensors),
        cmocka_unit_test(what_belongs_to_no_tensor),
    };
    return cmocka_run_group_tests_name("gguf", tests, NULL, NULL);
}
