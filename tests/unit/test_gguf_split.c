// SPDX-License-Identifier: MIT
// GGUF models in several files, and folders of GGUF files of which one is chosen by name.
#include "unit/model_folder.h"

#include "unit/gguf_writer.h"

// ---- split models ----

// Shard `number` of m-0000N-of-00003.gguf: one tensor t<number> with the value number, entries in the first alone.
static void put_shard(const char *name, unsigned number, int no, int count, int n_tensors)
{
    gguf_writer w = gguf_new();
    char tensor[16];
    float value = (float)number;
    if (no == 0)
        gguf_kv_str(&w, "general.architecture", "llama");
    if (no >= 0)
        gguf_kv(&w, "split.no", QL_GGUF_U16, &(uint16_t){(uint16_t)no});
    if (count >= 0)
        gguf_kv(&w, "split.count", QL_GGUF_U16, &(uint16_t){(uint16_t)count});
    if (n_tensors >= 0)
        gguf_kv(&w, "split.tensors.count", QL_GGUF_I32, &(int32_t){n_tensors});
    snprintf(tensor, sizeof tensor, "t%u", number);
    gguf_tensor(&w, tensor, QL_F32, 1, (uint64_t[]){1}, &value);
    ql_buf b = gguf_finish(&w);
    folder_put_buf(name, &b);
}

static void put_split(void)
{
    folder_empty();
    put_shard("m-00001-of-00003.gguf", 1, 0, 3, 3);
    put_shard("m-00002-of-00003.gguf", 2, 1, 3, 3);
    put_shard("m-00003-of-00003.gguf", 3, 2, 3, 3);
}

static void check_split(const char *name)
{
    ql_source *s = folder_open(name);
    ql_error err = {0};
    ql_str text = {0};
    ql_buf identity = {0};
    size_t lines = 0;
    assert_int_equal(ql_source_n_tensors(s), 3);
    for (unsigned i = 1; i <= 3; i++) {
        char tensor[16];
        float value;
        snprintf(tensor, sizeof tensor, "t%u", i);
        const ql_tensor *t = ql_source_tensor(s, tensor);
        assert_non_null(t);
        assert_ptr_equal(t, ql_source_tensor_at(s, i - 1));
        memcpy(&value, t->data, sizeof value);
        assert_true(value == (float)i);
    }
    assert_int_equal(ql_source_get_str(s, "general.architecture", true, &text, &err), QL_OK);
    assert_int_equal(ql_source_kind_of(s), QL_SOURCE_GGUF);
    assert_int_equal(ql_source_check_weights(s, &err), QL_OK);
    assert_string_equal(ql_source_path(s), folder_path(name));
    assert_true(ql_source_file_bytes(s) > 3 * 150);
    ql_source_identity(s, &identity);
    for (size_t i = 0; i < identity.len; i++)
        lines += identity.data[i] == '\n';
    assert_int_equal(lines, 3);
    ql_buf_free(&identity);
    ql_source_close(s);
}

static void any_shard_opens_all(void **state)
{
    (void)state;
    put_split();
    check_split("m-00001-of-00003.gguf");
    check_split("m-00002-of-00003.gguf");
    check_split("m-00003-of-00003.gguf");
    ql_source *s = folder_open(NULL); // one model, so nothing to remark
    assert_int_equal(ql_source_n_tensors(s), 3);
    assert_null(ql_source_remark(s, 0));
    ql_source_close(s);
    put_shard("one.gguf", 1, 0, 1, 1); // a split of one file is a file
    s = folder_open("one.gguf");
    assert_int_equal(ql_source_n_tensors(s), 1);
    ql_source_close(s);
}

static void missing_shards_are_named(void **state)
{
    (void)state;
    put_split();
    unlink(folder_path("m-00002-of-00003.gguf"));
    folder_refused("m-00003-of-00003.gguf", QL_E_FORMAT, "/m-00003-of-00003.gguf: m-00002-of-00003.gguf is missing");
    unlink(folder_path("m-00001-of-00003.gguf"));
    folder_refused(NULL, QL_E_FORMAT,
                   "/m-00003-of-00003.gguf: m-00001-of-00003.gguf and 1 more of 3 files are missing");
}

static void shards_that_disagree(void **state)
{
    (void)state;
    put_split();
    put_shard("m-00002-of-00003.gguf", 2, 1, 4, 3);
    folder_refused("m-00001-of-00003.gguf", QL_E_FORMAT,
                   "/m-00002-of-00003.gguf: split.count 4: the file's name says 3");
    folder_refused("m-00002-of-00003.gguf", QL_E_FORMAT,
                   "/m-00002-of-00003.gguf: split.count 4: the file's name says 3");
    put_shard("m-00002-of-00003.gguf", 2, 2, 3, 3);
    folder_refused("m-00001-of-00003.gguf", QL_E_FORMAT, "/m-00002-of-00003.gguf: split.no 2: the file's name says 1");
    put_shard("m-00002-of-00003.gguf", 2, -1, 3, 3);
    folder_refused("m-00001-of-00003.gguf", QL_E_FORMAT, "/m-00002-of-00003.gguf: split.no is missing");
    put_shard("m-00002-of-00003.gguf", 2, 1, -1, 3);
    folder_refused("m-00001-of-00003.gguf", QL_E_FORMAT, "/m-00002-of-00003.gguf: split.count is missing");
    put_shard("m-00002-of-00003.gguf", 3, 1, 3, 3);
    folder_refused("m-00001-of-00003.gguf", QL_E_FORMAT, "/m-00001-of-00003.gguf: tensor t3 appears twice (in "
                   "m-00002-of-00003.gguf and m-00003-of-00003.gguf)");
    put_split();
    put_shard("m-00001-of-00003.gguf", 1, 0, 3, 4);
    folder_refused("m-00002-of-00003.gguf", QL_E_FORMAT,
                   "/m-00001-of-00003.gguf: split.tensors.count 4: the 3 files hold 3");
    put_split();
    folder_put_str("m-00003-of-00003.gguf", "GGUF");
    folder_refused("m-00001-of-00003.gguf", QL_E_FORMAT,
                   "/m-00003-of-00003.gguf: file is 4 bytes, a GGUF header needs 24");
    put_shard("other.gguf", 1, 0, 3, 3);
    folder_refused("other.gguf", QL_E_FORMAT,
                   "/other.gguf: split.count 3: the names of such files end in -00001-of-00003.gguf");
    put_shard("m-00004-of-00003.gguf", 1, 3, 3, 3);
    folder_refused("m-00004-of-00003.gguf", QL_E_FORMAT,
                   "/m-00004-of-00003.gguf: file 4 of 3: 1 to the count, which is at most 4096");
    put_shard("m-00000-of-00003.gguf", 1, 0, 3, 3);
    folder_refused("m-00000-of-00003.gguf", QL_E_FORMAT,
                   "/m-00000-of-00003.gguf: file 0 of 3: 1 to the count, which is at most 4096");
    put_shard("m-00001-of-09999.gguf", 1, 0, 9999, 3);
    folder_refused("m-00001-of-09999.gguf", QL_E_FORMAT,
                   "/m-00001-of-09999.gguf: file 1 of 9999: 1 to the count, which is at most 4096");
}

// ---- folders ----

static void put_gguf(const char *name) { put_shard(name, 7, 0, 1, 1); }

// choice NULL: the folder itself. Also what the remark says, from the folder on.
static void check_choice(const char *choice, const char *taken, const char *remark)
{
    char path[1024];
    ql_error err = {0};
    ql_source *s;
    snprintf(path, sizeof path, "%s%s%s", folder, choice ? ":" : "", choice ? choice : "");
    if (ql_source_open(path, &s, &err) != QL_OK)
        fail_msg("%s", err.message);
    assert_string_equal(ql_path_name(ql_source_path(s)), taken);
    if (remark)
        assert_string_equal(after_folder(ql_source_remark(s, 0)), remark);
    else
        assert_null(ql_source_remark(s, 0));
    ql_source_close(s);
}

static void check_refused(const char *choice, ql_code code, const char *message)
{
    char path[1024];
    ql_error err = {0};
    ql_source *s;
    snprintf(path, sizeof path, "%s:%s", folder, choice);
    assert_int_equal(ql_source_open(path, &s, &err), code);
    assert_null(s);
    assert_string_equal(after_folder(err.message), message);
}

static void a_file_is_chosen_by_name(void **state)
{
    (void)state;
    folder_empty();
    put_gguf("Model.Q8_0.gguf");
    put_gguf("Model-Q4_K_M.gguf");
    put_gguf("Model_q4_k_s.gguf");
    put_gguf("Model.f16.gguf");
    put_gguf("Model.bf16.gguf");
    put_gguf("mmproj-Model.Q4_0.gguf");
    put_gguf("Model.imatrix.gguf");
    folder_put_str("README.md", "");
    folder_put_str("config.json", "{}"); // as GGUF repositories have it
    check_choice(NULL, "Model-Q4_K_M.gguf", ": 5 GGUF models, took Model-Q4_K_M.gguf");
    check_choice("Q4_K_M", "Model-Q4_K_M.gguf", NULL);
    check_choice("q8_0", "Model.Q8_0.gguf", NULL);
    check_choice("Q4_K_S", "Model_q4_k_s.gguf", NULL);
    check_choice("F16", "Model.f16.gguf", NULL);
    check_choice("Model.bf16.gguf", "Model.bf16.gguf", NULL);
    check_refused("Q4_K", QL_E_NOT_FOUND, ": no GGUF file of it is named by \"Q4_K\"; there are Model-Q4_K_M.gguf, "
                  "Model.Q8_0.gguf, Model.bf16.gguf, Model.f16.gguf, Model_q4_k_s.gguf");
    check_refused("", QL_E_NOT_FOUND, ": no GGUF file of it is named by \"\"; there are Model-Q4_K_M.gguf, "
                  "Model.Q8_0.gguf, Model.bf16.gguf, Model.f16.gguf, Model_q4_k_s.gguf");
    put_gguf("Other-Q8_0.gguf");
    check_refused("Q8_0", QL_E_ARGUMENT,
                  ": \"Q8_0\" is in the names of 2 GGUF files: Model.Q8_0.gguf, Other-Q8_0.gguf; give a whole name");
    check_choice("Other-Q8_0.gguf", "Other-Q8_0.gguf", NULL);
}

static void the_default_goes_down_a_list(void **state)
{
    (void)state;
    folder_empty();
    put_gguf("m-F16.gguf");
    check_choice(NULL, "m-F16.gguf", NULL);
    put_gguf("a-strange.gguf");
    check_choice(NULL, "m-F16.gguf", ": 2 GGUF models, took m-F16.gguf");
    put_gguf("m-Q6_K.gguf");
    check_choice(NULL, "m-Q6_K.gguf", ": 3 GGUF models, took m-Q6_K.gguf");
    put_gguf("m-Q8_0.gguf");
    check_choice(NULL, "m-Q8_0.gguf", ": 4 GGUF models, took m-Q8_0.gguf");
    put_gguf("m-Q4_0.gguf");
    check_choice(NULL, "m-Q4_0.gguf", ": 5 GGUF models, took m-Q4_0.gguf");
    put_gguf("m-Q4_K_S.gguf");
    check_choice(NULL, "m-Q4_K_S.gguf", ": 6 GGUF models, took m-Q4_K_S.gguf");
    put_split();
    put_gguf("m-Q8_0.gguf"); // a split set counts as one
    check_choice(NULL, "m-Q8_0.gguf", ": 2 GGUF models, took m-Q8_0.gguf");
    check_choice("m-00001-of-00003.gguf", "m-00001-of-00003.gguf", NULL);
    put_shard("m-Q4_K_M-00001-of-00001.gguf", 1, 0, 1, 1);
    check_choice("Q4_K_M", "m-Q4_K_M-00001-of-00001.gguf", NULL);
}

static void safetensors_come_first(void **state)
{
    (void)state;
    folder_empty();
    put_gguf("m-Q8_0.gguf");
    folder_put_str("config.json", "{\"a\":1}");
    ql_buf b = tensors_file("{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4);
    folder_put_buf("model.safetensors", &b);
    ql_source *s = folder_open(NULL);
    assert_int_equal(ql_source_kind_of(s), QL_SOURCE_HF);
    ql_source_close(s);
    check_choice("Q8_0", "m-Q8_0.gguf", NULL);
    folder_empty();
    check_refused("Q8_0", QL_E_NOT_FOUND, ": no GGUF file of it is named by \"Q8_0\"; there are none");
    ql_error err = {0};
    assert_int_equal(ql_source_open("/proc/none/x:Q8_0", &s, &err), QL_E_NOT_FOUND);
    assert_string_equal(err.message, "/proc/none/x:Q8_0: No such file or directory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_shard_opens_all),
        cmocka_unit_test(missing_shards_are_named),
        cmocka_unit_test(shards_that_disagree),
        cmocka_unit_test(a_file_is_chosen_by_name),
        cmocka_unit_test(the_default_goes_down_a_list),
        cmocka_unit_test(safetensors_come_first),
    };
    return cmocka_run_group_tests_name("gguf_split", tests, folder_new, folder_remove);
}
