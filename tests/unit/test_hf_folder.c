// SPDX-License-Identifier: MIT
// Hugging Face folders: config.json's entries, documents, shards by their index, what is refused by name.
#include "unit/model_folder.h"

#include <fcntl.h>
#include <time.h>

#define TENSOR(name, dtype, shape, begin, end) \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":[" shape "],\"data_offsets\":[" begin "," end "]}"

static void put_tensors(const char *name, const char *header, size_t n_data)
{
    ql_buf b = tensors_file(header, n_data);
    folder_put_buf(name, &b);
}

// A folder with one tensor, and this config.json.
static ql_source *with_config(const char *config)
{
    folder_empty();
    folder_put_str("config.json", config);
    put_tensors("model.safetensors", "{" TENSOR("a.weight", "BF16", "2,3", "0", "12") "}", 12);
    return folder_open(NULL);
}

static void config_refused(const char *config, const char *message)
{
    folder_empty();
    folder_put_str("config.json", config);
    folder_refused(NULL, QL_E_FORMAT, message);
}

static void weights_refused(const ql_source *s, ql_code code, const char *message)
{
    ql_error err = {0};
    assert_int_equal(ql_source_check_weights(s, &err), code);
    assert_string_equal(after_folder(err.message), message);
}

// ---- config.json ----

static void config_becomes_entries(void **state)
{
    (void)state;
    ql_source *s = with_config("{\"model_type\":\"llama\",\"hidden_size\":2048,\"rms_norm_eps\":1e-05,\"tie\":false,"
                               "\"rope_theta\":10000,\"absent\":null,\"negative\":-3,\"big\":9223372036854775807,"
                               "\"rope_scaling\":{\"factor\":8.5,\"rope_type\":\"llama3\",\"deep\":{\"er\":1}},"
                               "\"architectures\":[\"LlamaForCausalLM\",\"\"],\"ids\":[1,-2],\"large\":[1,5000000000],"
                               "\"factors\":[1,2.5],\"flags\":[true,false],\"empty\":[],\"mixed\":[1,\"a\"],"
                               "\"nested\":[[1],[2]],\"nulls\":[null]}");
    ql_error err = {0};
    uint64_t u = 0;
    float f = 0;
    double d = 0;
    bool flag = true;
    ql_str text;
    ql_str_array strings;
    ql_num_array numbers;
    assert_int_equal(ql_source_kind_of(s), QL_SOURCE_HF);
    assert_int_equal(ql_source_get_u64(s, "hidden_size", true, 1, 4096, &u, &err), QL_OK);
    assert_int_equal(u, 2048);
    assert_int_equal(ql_source_get_u64(s, "rope_scaling.deep.er", true, 1, 1, &u, &err), QL_OK);
    assert_int_equal(ql_source_get_u64(s, "big", true, 0, UINT64_MAX, &u, &err), QL_OK);
    assert_true(u == INT64_MAX);
    assert_int_equal(ql_source_get_f64(s, "rms_norm_eps", true, &d, &err), QL_OK);
    assert_true(d == 1e-05);
    assert_int_equal(ql_source_get_f32(s, "rope_scaling.factor", true, &f, &err), QL_OK);
    assert_true(f == 8.5f);
    assert_int_equal(ql_source_get_f64(s, "rope_theta", true, &d, &err), QL_OK); // an integer is a number too
    assert_true(d == 10000);
    assert_int_equal(ql_source_get_f32(s, "negative", true, &f, &err), QL_OK);
    assert_true(f == -3);
    assert_int_equal(ql_source_get_bool(s, "tie", true, &flag, &err), QL_OK);
    assert_false(flag);
    assert_int_equal(ql_source_get_str(s, "rope_scaling.rope_type", true, &text, &err), QL_OK);
    assert_true(text.len == 6 && memcmp(text.data, "llama3", 6) == 0);
    assert_int_equal(ql_source_get_str_array(s, "architectures", true, &strings, &err), QL_OK);
    assert_true(strings.n == 2 && strings.items[0].len == 16 && strings.items[1].len == 0);
    assert_memory_equal(strings.items[0].data, "LlamaForCausalLM", 16);
    assert_int_equal(ql_source_get_i32_array(s, "ids", true, &numbers, &err), QL_OK);
    assert_true(numbers.n == 2);
    assert_memory_equal(numbers.data, ((int32_t[]){1, -2}), 8);
    static const char *const absent[] = {"absent", "mixed", "nested", "nulls", "rope_scaling", "rope", ""};
    for (size_t i = 0; i < sizeof absent / sizeof *absent; i++)
        assert_false(ql_source_has(s, absent[i]));
    assert_true(ql_source_has(s, "empty"));
    ql_source_close(s);
}

static void expect_numbers(const ql_source *s, const char *key, size_t n, const double *want)
{
    double *values;
    size_t got;
    ql_error err = {0};
    if (ql_source_get_f64_array(s, key, true, &values, &got, &err) != QL_OK)
        fail_msg("%s", err.message);
    assert_int_equal(got, n);
    assert_true(n || !values);
    for (size_t i = 0; i < n; i++)
        assert_true(values[i] == want[i]);
    free(values);
}

static void arrays_become_numbers(void **state)
{
    (void)state;
    ql_source *s = with_config("{\"i\":[1,-2],\"l\":[1,5000000000],\"r\":[1,2.5],\"b\":[true,false],\"e\":[],"
                               "\"s\":[\"x\"],\"n\":1}");
    double *values;
    size_t n;
    ql_error err = {0};
    expect_numbers(s, "i", 2, (double[]){1, -2});
    expect_numbers(s, "l", 2, (double[]){1, 5e9});
    expect_numbers(s, "r", 2, (double[]){1, 2.5});
    expect_numbers(s, "b", 2, (double[]){1, 0});
    expect_numbers(s, "e", 0, NULL);
    assert_int_equal(ql_source_get_f64_array(s, "none", false, &values, &n, &err), QL_OK);
    assert_true(!values && n == 0);
    assert_int_equal(ql_source_get_f64_array(s, "none", true, &values, &n, &err), QL_E_FORMAT);
    assert_string_equal(after_folder(err.message), "/config.json: none is missing");
    assert_int_equal(ql_source_get_f64_array(s, "s", true, &values, &n, &err), QL_E_FORMAT);
    assert_string_equal(after_folder(err.message), "/config.json: s: array of str, expected numbers");
    assert_int_equal(ql_source_get_f64_array(s, "n", true, &values, &n, &err), QL_E_FORMAT);
    assert_string_equal(after_folder(err.message), "/config.json: n: i64, expected an array of numbers");
    ql_source_close(s);
}

static void getters_name_config_json(void **state)
{
    (void)state;
    ql_source *s = with_config("{\"a\":-1,\"b\":\"x\",\"c\":1.5}");
    ql_error err = {0};
    uint64_t u;
    double d;
    assert_int_equal(ql_source_get_u64(s, "a", true, 0, 9, &u, &err), QL_E_FORMAT);
    assert_string_equal(after_folder(err.message), "/config.json: a -1: 0 to 9");
    assert_int_equal(ql_source_get_f64(s, "b", true, &d, &err), QL_E_FORMAT);
    assert_string_equal(after_folder(err.message), "/config.json: b: str, expected a number");
    assert_int_equal(ql_source_get_u64(s, "c", true, 0, 9, &u, &err), QL_E_FORMAT);
    assert_string_equal(after_folder(err.message), "/config.json: c: f64, expected an integer");
    ql_source_close(s);
}

static void configs_that_are_wrong(void **state)
{
    (void)state;
    config_refused("{\"a\":}", "/config.json:1:6: unexpected token near '}'");
    config_refused("{\"a\":1,\"a\":2}", "/config.json:1:10: duplicate object key near '\"a\"'");
    config_refused("{\"a.b\":1,\"a\":{\"b\":2}}", "/config.json: a.b appears twice");
    config_refused("[1]", "/config.json: is not a JSON object");
    config_refused("", "/config.json:1:0: '[' or '{' expected near end of file");
    config_refused("{\"a\":123456789012345678901234567890}",
                   "/config.json:1:35: too big integer");
    config_refused("{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":"
                   "{\"a\":{\"a\":{\"a\":{\"a\":1}}}}}}}}}}}}}}}}}}",
                   "/config.json: a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a: more than 16 objects inside each other");
    ql_buf b = {0};
    ql_buf_append_str(&b, "{\"k\":{\"");
    for (int i = 0; i < 600; i++)
        ql_buf_append_byte(&b, 'x');
    ql_buf_append_str(&b, "\":1}}");
    config_refused(b.data, "/config.json: a key of 602 bytes, at most 512 (k...)");
    ql_buf_clear(&b);
    ql_buf_append_str(&b, "{");
    for (int i = 0; i < 65537; i++)
        ql_buf_printf(&b, "%s\"k%d\":1", i ? "," : "", i);
    ql_buf_append_str(&b, "}");
    config_refused(b.data, "/config.json: more than 65536 entries");
    ql_buf_clear(&b);
    for (int i = 0; i < 4194305; i++)
        ql_buf_append_byte(&b, ' ');
    config_refused(b.data, "/config.json: file is 4194305 bytes, at most 4194304");
    ql_buf_free(&b);
}

// ---- weights in one file ----

static void one_file(void **state)
{
    (void)state;
    ql_source *s = with_config("{\"model_type\":\"llama\"}");
    ql_error err = {0};
    assert_int_equal(ql_source_n_tensors(s), 1);
    const ql_tensor *t = ql_source_tensor(s, "a.weight");
    assert_ptr_equal(t, ql_source_tensor_at(s, 0));
    assert_true(t->dtype == QL_BF16 && t->shape[0] == 3 && t->shape[1] == 2 && t->data[11] == 11);
    assert_int_equal(ql_source_check_weights(s, &err), QL_OK);
    assert_string_equal(ql_source_path(s), folder);
    assert_null(ql_source_remark(s, 0));
    assert_true(ql_source_file_bytes(s) > 12 && ql_source_file_bytes(s) < 200);
    ql_source_close(s);
    // the file itself, under another name, and its config.json
    char from[1024];
    strcpy(from, folder_path("model.safetensors"));
    assert_int_equal(rename(from, folder_path("weights")), 0);
    s = folder_open("weights");
    assert_non_null(ql_source_tensor(s, "a.weight"));
    assert_true(ql_source_has(s, "model_type"));
    assert_string_equal(ql_source_path(s), folder_path("weights"));
    ql_source_close(s);
    s = folder_open(NULL);
    assert_int_equal(ql_source_n_tensors(s), 0);
    weights_refused(s, QL_E_FORMAT,
                    ": holds no weights: neither model.safetensors nor model.safetensors.index.json nor a GGUF file");
    ql_source_close(s);
    assert_int_equal(unlink(folder_path("config.json")), 0);
    s = folder_open("weights");
    weights_refused(s, QL_E_FORMAT, "/weights: config.json is missing or empty");
    ql_source_close(s);
    folder_put_str("weights.safetensors", "<html>");
    folder_refused("weights.safetensors", QL_E_FORMAT,
                   "/weights.safetensors: file is 6 bytes, a safetensors header needs 8");
}

static void other_types_are_left_out(void **state)
{
    (void)state;
    folder_empty();
    folder_put_str("config.json", "{\"a\":1}");
    put_tensors("model.safetensors", "{" TENSOR("a", "F32", "1", "0", "4") "," TENSOR("mask", "BOOL", "2", "4", "6") ","
                TENSOR("ids", "I64", "1", "6", "14") "}", 14);
    ql_source *s = folder_open(NULL);
    assert_int_equal(ql_source_n_tensors(s), 1);
    assert_null(ql_source_tensor(s, "mask"));
    assert_string_equal(after_folder(ql_source_remark(s, 0)),
                        ": left out 2 tensors that are no floats of at most 4 dimensions (mask, ...)");
    assert_null(ql_source_remark(s, 1));
    ql_source_close(s);
}

// ---- shards ----

static const char shard_index[] = "{\"metadata\":{\"total_size\":20},\"weight_map\":{"
    "\"a\":\"model-00001-of-00002.safetensors\",\"b\":\"model-00002-of-00002.safetensors\","
    "\"m\":\"model-00002-of-00002.safetensors\"}}";

static void put_shards(void)
{
    folder_empty();
    folder_put_str("config.json", "{\"a\":1}");
    folder_put_str("model.safetensors.index.json", shard_index);
    put_tensors("model-00001-of-00002.safetensors", "{" TENSOR("a", "F32", "1", "0", "4") "}", 4);
    put_tensors("model-00002-of-00002.safetensors",
                "{" TENSOR("b", "F16", "2,2", "0", "8") "," TENSOR("m", "I64", "1", "8", "16") "}", 16);
}

static void shards_are_joined(void **state)
{
    (void)state;
    put_shards();
    ql_source *s = folder_open(NULL);
    ql_error err = {0};
    assert_int_equal(ql_source_n_tensors(s), 2);
    assert_int_equal(ql_source_tensor(s, "a")->dtype, QL_F32);
    assert_int_equal(ql_source_tensor(s, "b")->data[7], 7);
    assert_null(ql_source_tensor(s, "m"));
    assert_int_equal(ql_source_check_weights(s, &err), QL_OK);
    assert_non_null(strstr(ql_source_remark(s, 0), "left out 1 tensors"));
    ql_source_close(s);
    s = folder_open("model.safetensors.index.json"); // its folder
    assert_int_equal(ql_source_n_tensors(s), 2);
    ql_source_close(s);
}

static void indexes_that_are_wrong(void **state)
{
    (void)state;
    put_shards();
    static const struct { const char *index, *message; } cases[] = {
        {"{", "/model.safetensors.index.json:1:1: string or '}' expected near end of file"},
        {"{}", "/model.safetensors.index.json: weight_map is missing or not an object with tensors"},
        {"{\"weight_map\":{}}", "/model.safetensors.index.json: weight_map is missing or not an object with tensors"},
        {"{\"weight_map\":{\"a\":1}}",
         "/model.safetensors.index.json: weight_map: the file of tensor a is not a string"},
        {"{\"weight_map\":{\"a\":\"../x\"}}", // 48
         "/model.safetensors.index.json: weight_map: shard name \"../x\" leaves the folder"},
        {"{\"weight_map\":{\"a\":\"/etc/x.safetensors\"}}",
         "/model.safetensors.index.json: weight_map: shard name \"/etc/x.safetensors\" leaves the folder"},
        {"{\"weight_map\":{\"a\":\"..\"}}",
         "/model.safetensors.index.json: weight_map: shard name \"..\" leaves the folder"},
        {"{\"weight_map\":{\"a\":\"config.json\"}}",
         "/model.safetensors.index.json: weight_map: shard name \"config.json\" is no .safetensors file"},
        {"{\"weight_map\":{\"a\":\"model-00002-of-00002.safetensors\"}}",
         "/model.safetensors.index.json: weight_map: tensor a is not in model-00002-of-00002.safetensors"},
        {"{\"weight_map\":{\"a\":\"model-00001-of-00002.safetensors\",\"a\":\"model-00001-of-00002.safetensors\"}}",
         "/model.safetensors.index.json:1:57: duplicate object key near '\"a\"'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        folder_put_str("model.safetensors.index.json", cases[i].index);
        folder_refused(NULL, QL_E_FORMAT, cases[i].message);
    }
    // 49: a shard is missing, or several are
    put_shards();
    unlink(folder_path("model-00002-of-00002.safetensors"));
    folder_refused(NULL, QL_E_FORMAT, ": model-00002-of-00002.safetensors is missing");
    unlink(folder_path("model-00001-of-00002.safetensors"));
    folder_refused(NULL, QL_E_FORMAT, ": model-00001-of-00002.safetensors and 1 more of 2 files are missing");
    // one tensor in two files
    put_shards();
    put_tensors("model-00001-of-00002.safetensors",
                "{" TENSOR("a", "F32", "1", "0", "4") "," TENSOR("b", "F32", "1", "4", "8") "}", 8);
    folder_refused(NULL, QL_E_FORMAT, ": tensor b appears twice (in model-00001-of-00002.safetensors and "
                   "model-00002-of-00002.safetensors)");
    // the index is missing
    put_shards();
    unlink(folder_path("model.safetensors.index.json"));
    ql_source *s = folder_open(NULL);
    weights_refused(s, QL_E_FORMAT, ": model.safetensors.index.json is missing");
    ql_source_close(s);
}

// As in the Hub's cache: files are links to blobs in another folder.
static void links_are_followed(void **state)
{
    (void)state;
    put_shards();
    static const char *const names[] = {"config.json", "model.safetensors.index.json",
                                        "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"};
    assert_int_equal(mkdir(folder_path("snapshot"), 0700), 0);
    for (size_t i = 0; i < 4; i++) {
        char link[1200], target[1024];
        snprintf(link, sizeof link, "%s/snapshot/%s", folder, names[i]);
        snprintf(target, sizeof target, "../%s", names[i]);
        assert_int_equal(symlink(target, link), 0);
    }
    ql_source *s = folder_open("snapshot");
    assert_int_equal(ql_source_n_tensors(s), 2);
    ql_buf identity = {0};
    ql_source_identity(s, &identity);
    assert_null(strstr(identity.data, "/snapshot/")); // real paths
    ql_buf_free(&identity);
    ql_source_close(s);
    unlink(folder_path("model-00002-of-00002.safetensors")); // the link hangs
    folder_refused("snapshot", QL_E_FORMAT, "/snapshot: model-00002-of-00002.safetensors is missing");
    for (size_t i = 0; i < 4; i++) {
        char link[1200];
        snprintf(link, sizeof link, "%s/snapshot/%s", folder, names[i]);
        unlink(link);
    }
}

// ---- what others quantized ----

static void quantized_models_are_refused_by_name(void **state)
{
    (void)state;
    static const char *const refused = ": weights are quantized by \"%s\": not supported; use the unquantized model or "
                                       "a GGUF";
    static const struct { const char *config, *method; } cases[] = {
        {"{\"quantization_config\":{\"bits\":4,\"quant_method\":\"gptq\"}}", "gptq"},
        {"{\"quantization_config\":{\"quant_method\":\"awq\"}}", "awq"},
        {"{\"quantization_config\":{\"quant_method\":\"bitsandbytes\",\"load_in_4bit\":true}}", "bitsandbytes"},
        {"{\"quantization_config\":{\"quant_method\":\"fp8\"}}", "fp8"},
        {"{\"quantization_config\":{\"load_in_8bit\":true}}", "bitsandbytes"},
        {"{\"quantization_config\":{\"bits\":3}}", "quantization_config"},
        {"{\"compression_config\":{\"quant_method\":\"compressed-tensors\"}}", "compressed-tensors"},
    };
    char line[256];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ql_source *s = with_config(cases[i].config);
        snprintf(line, sizeof line, refused, cases[i].method);
        weights_refused(s, QL_E_UNSUPPORTED, line);
        assert_int_equal(ql_source_n_tensors(s), 0);
        ql_source_close(s);
    }
    ql_source *s = with_config("{\"quantization_config\":null,\"quantization_config_of\":1}");
    assert_int_equal(ql_source_n_tensors(s), 1);
    ql_source_close(s);
    folder_put_str("quantize_config.json", "{}");
    s = folder_open(NULL);
    snprintf(line, sizeof line, refused, "gptq");
    weights_refused(s, QL_E_UNSUPPORTED, line);
    ql_source_close(s);
    // 8-bit floats alone are read; with scales they are not
    folder_empty();
    folder_put_str("config.json", "{\"a\":1}");
    put_tensors("model.safetensors", "{" TENSOR("a.weight", "F8_E4M3", "4", "0", "4") "}", 4);
    s = folder_open(NULL);
    assert_int_equal(ql_source_tensor(s, "a.weight")->dtype, QL_F8_E4M3);
    ql_source_close(s);
    put_tensors("model.safetensors", "{" TENSOR("a.weight", "F8_E4M3", "4", "0", "4") ","
                TENSOR("a.weight_scale_inv", "F32", "1", "4", "8") "}", 8);
    folder_refused(NULL, QL_E_UNSUPPORTED, ": weights are quantized by \"fp8\" (a.weight_scale_inv): not supported; "
                   "use the unquantized model or a GGUF");
}

#define NOT_READ " but no model.safetensors, and only safetensors and GGUF are read: take a repository that has them, or " \
    "convert this one once with transformers (from_pretrained, then save_pretrained)"

static void what_is_there_instead(void **state)
{
    (void)state;
    static const struct { const char *file; ql_code code; const char *message; } cases[] = {
        {"pytorch_model.bin", QL_E_UNSUPPORTED, ": holds pytorch_model.bin" NOT_READ},
        {"pytorch_model-00001-of-00002.bin", QL_E_UNSUPPORTED, ": holds pytorch_model-00001-of-00002.bin" NOT_READ},
        {"consolidated.00.pth", QL_E_UNSUPPORTED, ": holds consolidated.00.pth" NOT_READ},
        {"tf_model.h5", QL_E_UNSUPPORTED, ": holds tf_model.h5" NOT_READ},
        {"adapter_model.safetensors", QL_E_UNSUPPORTED,
         ": holds an adapter (adapter_model.safetensors), not a model: merge it into its model"},
        {"consolidated.safetensors", QL_E_FORMAT,
         ": holds consolidated.safetensors but no model.safetensors: give that file's path"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        folder_empty();
        folder_put_str("config.json", "{\"a\":1}");
        folder_put_str(cases[i].file, "");
        ql_source *s = folder_open(NULL);
        weights_refused(s, cases[i].code, cases[i].message);
        ql_source_close(s);
    }
    folder_empty();
    folder_refused(NULL, QL_E_NOT_FOUND, ": holds no model: config.json with model.safetensors, or a .gguf file");
    folder_put_str("README.md", "");
    folder_refused(NULL, QL_E_NOT_FOUND, ": holds no model: config.json with model.safetensors, or a .gguf file");
    folder_refused("none", QL_E_NOT_FOUND, "/none: No such file or directory");
}

// ---- documents and identity ----

static bool document_is(const ql_source *s, const char *name, const char *text)
{
    ql_str got = ql_source_document(s, name);
    return text ? got.data && got.len == strlen(text) && memcmp(got.data, text, got.len) == 0 : !got.data;
}

static void documents_are_given(void **state)
{
    (void)state;
    ql_source *s = with_config("{\"model_type\":\"x\"}");
    assert_true(document_is(s, "config.json", "{\"model_type\":\"x\"}") && document_is(s, "tokenizer.json", NULL));
    ql_source_close(s);
    folder_put_str("tokenizer.json", "{\"model\":{}}");
    folder_put_str("chat_template.jinja", "{{ x }}");
    folder_put_str("merges.txt", "");
    s = folder_open(NULL);
    assert_true(document_is(s, "tokenizer.json", "{\"model\":{}}") && document_is(s, "chat_template.jinja", "{{ x }}"));
    assert_true(document_is(s, "merges.txt", "") && document_is(s, "vocab.json", NULL) && document_is(s, "x", NULL));
    ql_source_close(s);
    s = folder_open("tokenizer.json");
    assert_true(document_is(s, "tokenizer.json", "{\"model\":{}}") && document_is(s, "chat_template.jinja", "{{ x }}"));
    weights_refused(s, QL_E_FORMAT, "/tokenizer.json: is a tokenizer, not a model: give its folder");
    ql_source_close(s);
    folder_put_str("chat_template.jinja", "a\xff");
    folder_refused(NULL, QL_E_FORMAT, "/chat_template.jinja: not UTF-8 at byte 1");
    folder_empty();
    folder_put_str("other-tokenizer.json", "{}");
    s = folder_open("other-tokenizer.json");
    assert_true(document_is(s, "tokenizer.json", "{}") && document_is(s, "config.json", NULL));
    ql_source_close(s);
    // 256 MB and a byte, all of it a hole
    folder_put_str("tokenizer.json", "");
    assert_int_equal(truncate(folder_path("tokenizer.json"), (256 << 20) + 1), 0);
    folder_refused(NULL, QL_E_FORMAT, "/tokenizer.json: file is 268435457 bytes, at most 268435456");
}

static ql_buf identity_of(void)
{
    ql_buf b = {0};
    ql_source *s = folder_open(NULL);
    ql_source_identity(s, &b);
    ql_source_close(s);
    assert_true(!b.failed && b.len && b.data[b.len - 1] == '\n');
    return b;
}

static void identity_changes_with_each_file(void **state)
{
    (void)state;
    put_shards();
    folder_put_str("tokenizer.json", "{}");
    ql_buf a = identity_of(), b = identity_of();
    assert_string_equal(a.data, b.data);
    size_t lines = 0;
    for (size_t i = 0; i < a.len; i++)
        lines += a.data[i] == '\n';
    assert_int_equal(lines, 5);
    static const char *const names[] = {"config.json", "tokenizer.json", "model.safetensors.index.json",
                                        "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"};
    for (size_t i = 0; i < 5; i++) {
        struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 1000 + (time_t)i, .tv_nsec = 7}};
        ql_buf_free(&b);
        assert_int_equal(utimensat(AT_FDCWD, folder_path(names[i]), times, 0), 0);
        b = identity_of();
        assert_string_not_equal(a.data, b.data);
        ql_buf_free(&a);
        a = identity_of();
    }
    ql_buf_free(&a);
    ql_buf_free(&b);
}

// A model of 1.1e9 parameters opens without a look at its data.
static void opening_reads_headers_only(void **state)
{
    (void)state;
    folder_empty();
    folder_put_str("config.json", "{\"model_type\":\"llama\"}");
    ql_buf header = {0};
    uint64_t at = 0;
    for (int i = 0; i < 201; i++) {
        uint64_t n = 2 * 2048 * 2750;
        ql_buf_printf(&header, "%s\"model.layers.%d.mlp.weight\":{\"dtype\":\"BF16\",\"shape\":[2750,2048],"
                      "\"data_offsets\":[%llu,%llu]}", i ? "," : "{", i, (unsigned long long)at,
                      (unsigned long long)(at + n));
        at += n;
    }
    ql_buf_append_str(&header, "}");
    ql_buf file = tensors_file(header.data, 0);
    uint64_t size = file.len + at;
    folder_put_buf("model.safetensors", &file);
    assert_int_equal(truncate(folder_path("model.safetensors"), (off_t)size), 0); // a hole
    folder_put_str("tokenizer.json", "");
    assert_int_equal(truncate(folder_path("tokenizer.json"), 20 << 20), 0);
    double best = 1;
    for (int i = 0; i < 5; i++) {
        struct timespec a, b;
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
        ql_source *s = folder_open(NULL);
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
        assert_int_equal(ql_source_n_tensors(s), 201);
        ql_source_close(s);
        double seconds = (double)(b.tv_sec - a.tv_sec) + 1e-9 * (double)(b.tv_nsec - a.tv_nsec);
        best = seconds < best ? seconds : best;
    }
    print_message("opened in %.2f ms\n", best * 1e3);
    assert_true(best < 0.05); // 0.005 without a sanitizer
    ql_buf_free(&header);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(config_becomes_entries),
        cmocka_unit_test(arrays_become_numbers),
        cmocka_unit_test(getters_name_config_json),
        cmocka_unit_test(configs_that_are_wrong),
        cmocka_unit_test(one_file),
        cmocka_unit_test(other_types_are_left_out),
        cmocka_unit_test(shards_are_joined),
        cmocka_unit_test(indexes_that_are_wrong),
        cmocka_unit_test(links_are_followed),
        cmocka_unit_test(quantized_models_are_refused_by_name),
        cmocka_unit_test(what_is_there_instead),
        cmocka_unit_test(documents_are_given),
        cmocka_unit_test(identity_changes_with_each_file),
        cmocka_unit_test(opening_reads_headers_only),
    };
    return cmocka_run_group_tests_name("hf_folder", tests, folder_new, folder_remove);
}
