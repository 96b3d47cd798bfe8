// SPDX-License-Identifier: MIT
// The GGUF writer against our own reader, and packed files. With a path as argument it writes a file for another reader
// (the gguf package of PyPI reads it).
#include "format/gguf_write.h"

#include "unit/gguf_writer.h"
#include "unit/model_folder.h"

static ql_str str(const char *s) { return (ql_str){s, strlen(s)}; }

// The file of a writer with the tensors' bytes 0, 1, 2, ...; frees the writer.
static ql_buf written(ql_gguf_writer *w, size_t n_tensors, const uint64_t *bytes)
{
    ql_buf file = {0};
    ql_error err = {0};
    if (ql_gguf_writer_finish(w, &file, &err) != QL_OK)
        fail_msg("%s", err.message);
    size_t header = file.len, total = ql_gguf_writer_file_bytes(w);
    assert_true(total >= header);
    memset(ql_buf_reserve(&file, total - header + 1), 0, total - header + 1);
    file.len = total;
    for (size_t i = 0; i < n_tensors; i++) {
        uint64_t at = ql_gguf_writer_offset(w, i);
        assert_true(at >= header && at + bytes[i] <= total);
        for (size_t j = 0; j < bytes[i]; j++)
            file.data[at + j] = (char)j;
    }
    ql_gguf_writer_free(w);
    return file;
}

static void refused(ql_gguf_writer *w, const char *message)
{
    ql_buf file = {0};
    ql_error err = {0};
    assert_int_equal(ql_gguf_writer_finish(w, &file, &err), QL_E_ARGUMENT);
    assert_string_equal(err.message, message);
    assert_int_equal(file.len, 0);
    ql_gguf_writer_free(w);
}

// An entry of every type.
static void put_all(ql_gguf_writer *w)
{
    ql_gguf_put_u32(w, "a.u32", 1);
    ql_gguf_put_u64(w, "a.u64", (uint64_t)1 << 40);
    ql_gguf_put_i64(w, "a.i64", -5);
    ql_gguf_put_f32(w, "a.f32", 1.5f);
    ql_gguf_put_f64(w, "a.f64", 0.1);
    ql_gguf_put_bool(w, "a.bool", true);
    ql_gguf_put_str(w, "a.str", str("text"));
    ql_gguf_put_strs(w, "a.strs", (ql_str[]){str("one"), str(""), str("drei")}, 3);
    ql_gguf_put_i32s(w, "a.i32s", (int32_t[]){1, -2}, 2);
    ql_gguf_put_f32s(w, "a.f32s", (float[]){1, 2.5f}, 2);
    ql_gguf_put_u8s(w, "a.u8s", (uint8_t[]){7, 8, 9}, 3);
    ql_gguf_put_strs(w, "a.none", NULL, 0);
}

static void check_all(const ql_source *s)
{
    uint64_t u = 0;
    float f = 0;
    double d = 0, *values;
    bool flag = false;
    size_t n;
    ql_str text;
    ql_str_array strings;
    ql_num_array numbers;
    assert_true(ql_source_get_u64(s, "a.u32", true, 1, 1, &u, NULL) == QL_OK);
    assert_true(ql_source_get_u64(s, "a.u64", true, 0, UINT64_MAX, &u, NULL) == QL_OK && u == (uint64_t)1 << 40);
    assert_true(ql_source_get_u64(s, "a.i64", true, 0, 9, &u, NULL) == QL_E_FORMAT);
    assert_true(ql_source_get_f32(s, "a.f32", true, &f, NULL) == QL_OK && f == 1.5f);
    assert_true(ql_source_get_f64(s, "a.f32", true, &d, NULL) == QL_OK && d == 1.5);
    assert_true(ql_source_get_f64(s, "a.f64", true, &d, NULL) == QL_OK && d == 0.1);
    assert_true(ql_source_get_bool(s, "a.bool", true, &flag, NULL) == QL_OK && flag);
    assert_true(ql_source_get_str(s, "a.str", true, &text, NULL) == QL_OK && text.len == 4);
    assert_memory_equal(text.data, "text", 4);
    assert_true(ql_source_get_str_array(s, "a.strs", true, &strings, NULL) == QL_OK && strings.n == 3);
    assert_true(strings.items[1].len == 0 && strings.items[2].len == 4);
    assert_memory_equal(strings.items[2].data, "drei", 4);
    assert_true(ql_source_get_i32_array(s, "a.i32s", true, &numbers, NULL) == QL_OK && numbers.n == 2);
    assert_memory_equal(numbers.data, ((int32_t[]){1, -2}), 8);
    assert_true(ql_source_get_f32_array(s, "a.f32s", true, &numbers, NULL) == QL_OK && numbers.n == 2);
    assert_true(ql_source_get_f64_array(s, "a.u8s", true, &values, &n, NULL) == QL_OK && n == 3 && values[2] == 9);
    free(values);
    assert_true(ql_source_has(s, "a.none"));
}

static ql_source *saved(ql_buf *file)
{
    folder_put_buf("w.gguf", file);
    return folder_open("w.gguf");
}

static void all_types_are_read_again(void **state)
{
    (void)state;
    ql_gguf_writer *w = ql_gguf_writer_new(64);
    put_all(w);
    assert_int_equal(ql_gguf_put_tensor(w, "a", QL_F32, 2, (uint64_t[]){3, 2}, 24), 0);
    assert_int_equal(ql_gguf_put_tensor(w, "scalar", QL_F32, 0, NULL, 4), 1);
    assert_int_equal(ql_gguf_put_tensor(w, "q", QL_Q4_0, 1, (uint64_t[]){64}, 36), 2);
    ql_buf file = written(w, 3, (uint64_t[]){24, 4, 36});
    assert_int_equal(file.len % 64, 0);
    ql_source *s = saved(&file);
    uint64_t alignment = 0;
    check_all(s);
    assert_int_equal(ql_source_get_u64(s, "general.alignment", true, 64, 64, &alignment, NULL), QL_OK);
    assert_int_equal(ql_source_n_tensors(s), 3);
    for (size_t i = 0; i < 3; i++) {
        const ql_tensor *t = ql_source_tensor_at(s, i);
        assert_true((uintptr_t)t->data % 64 == 0 && t->data[1] == 1 && t->data[t->size - 1] == t->size - 1);
    }
    assert_int_equal(ql_source_tensor(s, "q")->size, 36);
    ql_source_close(s);
    w = ql_gguf_writer_new(32); // nothing but the alignment
    file = written(w, 0, NULL);
    assert_int_equal(file.len % 32, 0);
    ql_source_close(saved(&file));
}

static void entries_of_a_source_are_copied(void **state)
{
    (void)state;
    ql_gguf_writer *w = ql_gguf_writer_new(32);
    put_all(w);
    ql_gguf_put_u32(w, "split.count", 1);
    ql_buf file = written(w, 0, NULL);
    ql_source *s = saved(&file);
    w = ql_gguf_writer_new(64);
    ql_gguf_put_keys_of(w, s, (const char *[]){"a.u32", NULL});
    ql_gguf_put_u32(w, "a.u32", 1);
    file = written(w, 0, NULL);
    ql_source_close(s);
    s = saved(&file);
    check_all(s);
    assert_false(ql_source_has(s, "split.count") || ql_source_has(s, "quantllm.kind"));
    assert_int_equal(ql_source_kind_of(s), QL_SOURCE_GGUF);
    ql_source_close(s);
}

static void a_folder_is_copied(void **state)
{
    (void)state;
    folder_empty();
    folder_put_str("config.json", "{\"hidden_size\":64,\"rope\":{\"theta\":10000},\"names\":[\"x\"],"
                   "\"sch\\u00f6n\":1}");
    folder_put_str("tokenizer.json", "{\"model\":1}");
    ql_source *s = folder_open(NULL);
    ql_gguf_writer *w = ql_gguf_writer_new(64);
    ql_gguf_put_keys_of(w, s, NULL);
    ql_gguf_put_documents_of(w, s);
    ql_gguf_put_tensor(w, "x", QL_PACKED_TYPE + QL_Q8_0, 2, (uint64_t[]){32, 17}, 32 * 34);
    ql_buf file = written(w, 1, (uint64_t[]){32 * 34});
    ql_source_close(s);
    folder_put_buf("w.gguf", &file);
    ql_error err = {0};
    if (ql_source_open_packed(folder_path("w.gguf"), &s, &err) != QL_OK)
        fail_msg("%s", err.message);
    assert_int_equal(ql_source_kind_of(s), QL_SOURCE_HF);
    double d = 0;
    uint64_t u = 0;
    assert_int_equal(ql_source_get_u64(s, "hidden_size", true, 64, 64, &u, NULL), QL_OK);
    assert_true(ql_source_get_f64(s, "rope.theta", true, &d, NULL) == QL_OK && d == 10000);
    ql_str text = ql_source_document(s, "tokenizer.json");
    assert_true(text.len == 11 && memcmp(text.data, "{\"model\":1}", 11) == 0);
    assert_null(ql_source_document(s, "merges.txt").data);
    ql_source_close(s);
}

static ql_code open_sealed(const char *name)
{
    ql_source *s;
    ql_code code = ql_source_open_packed(folder_path(name), &s, NULL);
    if (code == QL_OK) {
        code = ql_source_check_seal(s, NULL);
        ql_source_close(s);
    }
    return code;
}

// Every bit of a header, every shorter file, and longer ones.
static void seals_hold(void **state)
{
    (void)state;
    uint64_t bytes[] = {16 * 3 * 18, 8};
    ql_gguf_writer *w = ql_gguf_writer_new(64);
    ql_gguf_put_str(w, "a.b", (ql_str){"some text", 9});
    ql_gguf_put_seal(w);
    ql_gguf_put_u32(w, "c.d", 77);
    ql_gguf_put_tensor(w, "p", QL_PACKED_TYPE + QL_Q4_0, 2, (uint64_t[]){96, 5}, bytes[0]);
    ql_gguf_put_tensor(w, "plain", QL_F32, 1, (uint64_t[]){2}, bytes[1]);
    ql_buf file = written(w, 2, bytes);
    size_t data = file.len - (16 * 3 * 18 + 63) / 64 * 64 - 64;
    folder_put("s.gguf", file.data, file.len);
    assert_int_equal(open_sealed("s.gguf"), QL_OK);
    for (size_t bit = 0; bit < 8 * data; bit++) {
        file.data[bit / 8] = (char)(file.data[bit / 8] ^ 1 << bit % 8);
        folder_put("s.gguf", file.data, file.len);
        if (open_sealed("s.gguf") == QL_OK)
            fail_msg("bit %zu of byte %zu is not noticed", bit % 8, bit / 8);
        file.data[bit / 8] = (char)(file.data[bit / 8] ^ 1 << bit % 8);
    }
    folder_put("s.gguf", file.data, file.len);
    assert_int_equal(open_sealed("s.gguf"), QL_OK);
    for (size_t n = file.len; n-- > 0;) {
        assert_int_equal(truncate(folder_path("s.gguf"), (off_t)n), 0);
        assert_int_not_equal(open_sealed("s.gguf"), QL_OK);
    }
    ql_buf_append_byte(&file, 0);
    folder_put_buf("s.gguf", &file);
    assert_int_not_equal(open_sealed("s.gguf"), QL_OK);
    w = ql_gguf_writer_new(64);
    file = written(w, 0, NULL);
    folder_put_buf("s.gguf", &file);
    assert_int_equal(open_sealed("s.gguf"), QL_E_FORMAT); // none
}

static void changes_are_noticed(void **state)
{
    (void)state;
    folder_empty();
    folder_put_str("config.json", "{\"hidden_size\":64}");
    folder_put_str("tokenizer.json", "{\"model\":1}");
    ql_source *s = folder_open(NULL);
    assert_int_equal(ql_source_check_unchanged(s, NULL), QL_OK);
    folder_put_str("tokenizer.json", "{\"model\":2}"); // of the same length, in its place
    assert_int_equal(ql_source_check_unchanged(s, NULL), QL_E_IO);
    ql_source_close(s);
    s = folder_open(NULL);
    assert_int_equal(ql_source_check_unchanged(s, NULL), QL_OK);
    assert_int_equal(unlink(folder_path("config.json")), 0);
    assert_int_equal(ql_source_check_unchanged(s, NULL), QL_E_IO);
    ql_source_close(s);
}

static void packed_files_have_panels(void **state)
{
    (void)state;
    ql_error err = {0};
    ql_source *s;
    uint64_t bytes[] = {2 * 16 * 3 * 18, 3 * 16 * 34, 8};
    ql_gguf_writer *w = ql_gguf_writer_new(64);
    ql_gguf_put_tensor(w, "p", QL_PACKED_TYPE + QL_Q4_0, 2, (uint64_t[]){96, 17}, bytes[0]);
    ql_gguf_put_tensor(w, "experts", QL_PACKED_TYPE + QL_Q8_0, 3, (uint64_t[]){32, 5, 3}, bytes[1]);
    ql_gguf_put_tensor(w, "plain", QL_F32, 1, (uint64_t[]){2}, bytes[2]);
    ql_buf file = written(w, 3, bytes);
    folder_put_buf("p.gguf", &file);
    if (ql_source_open_packed(folder_path("p.gguf"), &s, &err) != QL_OK)
        fail_msg("%s", err.message);
    const ql_tensor *t = ql_source_tensor(s, "p");
    assert_true(t->packed && t->dtype == QL_Q4_0 && t->shape[0] == 96 && t->shape[1] == 17 && t->size == bytes[0]);
    assert_true((uintptr_t)t->data % 64 == 0);
    t = ql_source_tensor(s, "experts");
    assert_true(t->packed && t->dtype == QL_Q8_0 && t->size == bytes[1]);
    assert_false(ql_source_tensor(s, "plain")->packed);
    ql_source_close(s);
    folder_refused("p.gguf", QL_E_FORMAT, "/p.gguf: tensor p: unknown type 4098"); // for others it is no GGUF
    assert_int_equal(truncate(folder_path("p.gguf"), (off_t)1024), 0);
    assert_int_equal(ql_source_open_packed(folder_path("p.gguf"), &s, &err), QL_E_FORMAT);
    w = ql_gguf_writer_new(32);
    file = written(w, 0, NULL);
    folder_put_buf("p.gguf", &file);
    assert_int_equal(ql_source_open_packed(folder_path("p.gguf"), &s, &err), QL_E_FORMAT);
    assert_string_equal(after_folder(err.message), "/p.gguf: general.alignment 32: 64 to 65536");
    assert_int_equal(ql_source_open_packed(folder_path("none"), &s, &err), QL_E_NOT_FOUND);
    // types that are none, also when packed
    static const uint32_t types[] = {QL_PACKED_TYPE + 99, QL_PACKED_TYPE + QL_F8_E4M3, 32, 4095};
    static const char *const messages[] = {"unknown type 4195", "type Q4_0_4_8 was removed, convert again",
                                           "type Q4_0_4_8 was removed, convert again", "unknown type 4095"};
    for (size_t i = 0; i < 4; i++) {
        char line[128];
        w = ql_gguf_writer_new(64);
        ql_gguf_put_tensor(w, "x", types[i], 1, (uint64_t[]){32}, 64);
        file = written(w, 0, NULL);
        folder_put_buf("p.gguf", &file);
        assert_int_equal(ql_source_open_packed(folder_path("p.gguf"), &s, &err), QL_E_FORMAT);
        snprintf(line, sizeof line, "/p.gguf: tensor x: %s", messages[i]);
        assert_string_equal(after_folder(err.message), line);
    }
}

static void what_the_reader_refuses_is_not_written(void **state)
{
    (void)state;
    char name[80];
    memset(name, 'n', sizeof name);
    name[65] = 0;
    refused(ql_gguf_writer_new(48), "alignment 48: power of two from 8 to 65536");
    ql_gguf_writer *w = ql_gguf_writer_new(64);
    ql_gguf_put_u32(w, "a b", 1);
    ql_gguf_put_u32(w, "", 1); // the first error stays
    refused(w, "key \"a b\": 1 to 65535 bytes of printable ASCII");
    w = ql_gguf_writer_new(64);
    ql_gguf_put_u32(w, "a", 1);
    ql_gguf_put_bool(w, "a", true);
    refused(w, "key a was put twice");
    w = ql_gguf_writer_new(64);
    ql_gguf_put_u32(w, "general.alignment", 32);
    refused(w, "key general.alignment was put twice");
    w = ql_gguf_writer_new(64);
    ql_gguf_put_tensor(w, "x", QL_F32, 1, (uint64_t[]){1}, 4);
    ql_gguf_put_tensor(w, "x", QL_F32, 1, (uint64_t[]){1}, 4);
    refused(w, "tensor x was put twice");
    w = ql_gguf_writer_new(64);
    ql_gguf_put_tensor(w, "x", QL_F32, 5, (uint64_t[]){1, 1, 1, 1, 1}, 4);
    refused(w, "tensor x: 5 dimensions and number 1, at most 4 and 65536");
    w = ql_gguf_writer_new(64);
    ql_gguf_put_tensor(w, "x", QL_F32, 1, (uint64_t[]){1}, INT64_MAX - 64);
    ql_gguf_put_tensor(w, "y", QL_F32, 1, (uint64_t[]){1}, 256);
    refused(w, "tensor y: the file's size does not fit in 64 bits");
    w = ql_gguf_writer_new(64);
    ql_gguf_put_tensor(w, name, QL_F32, 1, (uint64_t[]){1}, 4);
    refused(w, "tensor nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn: name of 65 bytes, 1 to 64");
    ql_error err = {0};
    put_all(NULL); // as after a failed allocation
    assert_int_equal(ql_gguf_put_tensor(NULL, "x", QL_F32, 0, NULL, 4), 0);
    assert_int_equal(ql_gguf_writer_finish(NULL, &(ql_buf){0}, &err), QL_E_MEMORY);
    ql_gguf_writer_free(NULL);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_types_are_read_again),
        cmocka_unit_test(entries_of_a_source_are_copied),
        cmocka_unit_test(a_folder_is_copied),
        cmocka_unit_test(seals_hold),
        cmocka_unit_test(changes_are_noticed),
        cmocka_unit_test(packed_files_have_panels),
        cmocka_unit_test(what_the_reader_refuses_is_not_written),
    };
    if (argc == 2) { // a file for another reader
        ql_gguf_writer *w = ql_gguf_writer_new(64);
        put_all(w);
        ql_gguf_put_str(w, "general.architecture", str("llama"));
        ql_gguf_put_tensor(w, "a", QL_F32, 2, (uint64_t[]){3, 2}, 24);
        ql_gguf_put_tensor(w, "q", QL_Q4_0, 1, (uint64_t[]){64}, 36);
        ql_buf file = written(w, 2, (uint64_t[]){24, 36});
        FILE *f = fopen(argv[1], "wb");
        bool ok = f && fwrite(file.data, 1, file.len, f) == file.len && fclose(f) == 0;
        ql_buf_free(&file);
        return !ok;
    }
    return cmocka_run_group_tests_name("gguf_write", tests, folder_new, folder_remove);
}
