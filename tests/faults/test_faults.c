// SPDX-License-Identifier: MIT
// Every call of the C library that can fail fails once, and from then on, in each thing a user does: an error with its
// one line or the right answer, nothing left behind, no half file, and the next run right.
//
// Every call; under sanitizers a sample of the allocations with a fixed seed, unless QL_LONG is set.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "faults/faults.h"
#include "format/source.h"
#include "quantllm.h"

enum { MAX_PATH = 256, SAMPLE = 25 };

static char work[MAX_PATH], model_path[MAX_PATH + 32], folder_path[MAX_PATH + 32], cache_path[MAX_PATH + 32],
    split_path[MAX_PATH + 64], export_path[MAX_PATH + 32];
static bool whole;

// What a user does. It gives a text that is the same each time, or an error.
typedef struct scenario {
    const char *name;
    ql_code (*run)(ql_buf *text, ql_error *err);
    bool keeps;       // writes to the packed cache
    bool from_cache;  // begins with what the cache has; else the cache is empty
    bool exports;     // to export_path
} scenario;

// ---- what is done ----

static ql_code generate(ql_model *model, ql_buf *text, ql_error *err)
{
    ql_params params = ql_params_default();
    ql_prompt prompts[2] = {{.text = "hello there", .len = 11}, {.text = "the", .len = 3}};
    const ql_string stop = {"never said", 10};
    ql_piece piece;
    params.seed = 7;
    params.has_seed = true;
    params.max_new_tokens = 6;
    params.stop_strings = &stop;
    params.n_stop_strings = 1;
    ql_session *session = ql_session_new(model, err);
    if (!session)
        return err->code;
    ql_code code = ql_generate(session, prompts, 2, &params, err);
    for (piece.text = ""; code == QL_OK && piece.text;) {
        code = ql_next(session, &piece, err);
        if (code == QL_OK && piece.text)
            ql_buf_append(text, piece.text, piece.len);
    }
    ql_session_free(session);
    return code;
}

static ql_code open_and_generate(const char *path, const ql_model_options *options, ql_buf *text, ql_error *err)
{
    ql_model *model = ql_model_open(path, options, err);
    if (!model)
        return err->code;
    ql_code code = generate(model, text, err);
    ql_model_close(model);
    return code;
}

static ql_code run_gguf(ql_buf *text, ql_error *err)
{
    return open_and_generate(model_path, &(ql_model_options){.threads = 2, .no_cache = true}, text, err);
}

static ql_code run_split(ql_buf *text, ql_error *err)
{
    return open_and_generate(split_path, &(ql_model_options){.threads = 1, .no_cache = true}, text, err);
}

static ql_code run_folder(ql_buf *text, ql_error *err)
{
    return open_and_generate(folder_path, &(ql_model_options){.threads = 1, .no_cache = true}, text, err);
}

static ql_code run_quantized(ql_buf *text, ql_error *err)
{
    return open_and_generate(folder_path, &(ql_model_options){.threads = 2, .quantization = "Q8_0"}, text, err);
}

static ql_code run_chat(ql_buf *text, ql_error *err)
{
    static const ql_render render = {
        .messages = "[{\"role\": \"user\", \"content\": \"a \\u00e9\"}, {\"role\": \"assistant\", \"content\": \"b\"}]",
        .tools = "[{\"type\": \"function\", \"function\": {\"name\": \"f\", \"parameters\": {\"a\": [1, 2.5, null]}}}]",
        .variables = "{\"more\": {\"x\": \"y\"}}", .add_generation_prompt = true};
    ql_model *model = ql_model_open(model_path, &(ql_model_options){.threads = 1, .inspect = true}, err);
    int32_t *ids = NULL;
    size_t n = 0, len = 0;
    char *out = NULL;
    if (!model)
        return err->code;
    ql_code code = ql_model_render_ids(model, &render, &ids, &n, err);
    if (code == QL_OK)
        code = ql_detokenize(ql_model_tokenizer(model), ids, n, 0, &out, &len, err);
    if (code == QL_OK)
        ql_buf_append(text, out, len);
    ql_free(ids);
    ql_free(out);
    ql_model_close(model);
    return code;
}

static ql_code run_answer(ql_buf *text, ql_error *err)
{
    static const char said[] = "<think>\nso\n</think>\nyes <tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": [1, {\"b\": \"c\"}]}}\n"
                               "</tool_call> and <tool_call>no</tool_call>";
    ql_answer_options options = {.chat_template = "<think></think><tool_call></tool_call>",
                                 .tools = "[{\"name\": \"f\", \"parameters\": {\"properties\": {\"a\": {}}}}]"};
    ql_answer_parts parts;
    ql_answer *answer = ql_answer_open(&options, err);
    if (!answer)
        return err->code;
    ql_code code = QL_OK;
    for (size_t at = 0; code == QL_OK && at < sizeof said - 1; at += 7)
        code = ql_answer_feed(answer, said + at, sizeof said - 1 - at < 7 ? sizeof said - 1 - at : 7, false, err);
    if (code == QL_OK)
        code = ql_answer_feed(answer, "", 0, true, err);
    if (code == QL_OK) {
        ql_answer_get(answer, &parts);
        ql_buf_printf(text, "%s|%s|%s", parts.content, parts.reasoning, parts.tool_calls);
    }
    ql_answer_close(answer);
    return code;
}

static ql_code export_model(const char *path, ql_buf *text, ql_error *err)
{
    ql_export_result result;
    const ql_export_options options = {.quantization = "Q4_0", .threads = 2};
    ql_code code = ql_export_gguf(path, &options, export_path, &result, err);
    if (code == QL_OK)
        ql_buf_printf(text, "%s %llu %llu", result.quantization, (unsigned long long)result.bytes,
                      (unsigned long long)result.n_encoded);
    return code;
}

static ql_code run_export(ql_buf *text, ql_error *err) { return export_model(split_path, text, err); }
static ql_code run_export_folder(ql_buf *text, ql_error *err) { return export_model(folder_path, text, err); }

static const scenario scenarios[] = {
    {"load a GGUF file and generate", run_gguf, false, false, false},
    {"load a split GGUF file and generate", run_split, false, false, false},
    {"load a folder and generate", run_folder, false, false, false},
    {"quantize, keep and generate", run_quantized, true, false, false},
    {"start from the packed cache and generate", run_quantized, true, true, false},
    {"render a chat", run_chat, false, false, false},
    {"take an answer apart", run_answer, false, false, false},
    {"export a GGUF file", run_export, true, false, true},
    {"export a folder", run_export_folder, true, false, true},
};

// ---- tokenizers of every kind: tests/fuzz/corpus/fuzz_tokenizer holds tokenizer.json, a 0 byte and a text ----

static char tokenizer_path[MAX_PATH + 64], tokenizer_text[4096];

static ql_code run_tokenizer(ql_buf *text, ql_error *err)
{
    int32_t *ids = NULL;
    size_t n = 0, len = 0;
    char *out = NULL;
    ql_tokenizer *t = ql_tokenizer_open(tokenizer_path, err);
    if (!t)
        return err->code;
    ql_code code = ql_tokenize(t, tokenizer_text, strlen(tokenizer_text), QL_ADD_SPECIAL | QL_PARSE_SPECIAL, &ids, &n, err);
    for (size_t i = 0; code == QL_OK && i < n; i++)
        ql_buf_printf(text, "%d ", (int)ids[i]);
    if (code == QL_OK)
        code = ql_detokenize(t, ids, n, 0, &out, &len, err);
    if (code == QL_OK)
        ql_buf_append(text, out, len);
    ql_free(ids);
    ql_free(out);
    ql_tokenizer_close(t);
    return code;
}

// ---- the disk ----

// What is wrong is told and counted, so that one run shows all of it.
static int n_wrong;

static void __attribute__((format(printf, 1, 2))) wrong(const char *fmt, ...)
{
    char line[2048];
    va_list args;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    if (n_wrong++ < 30)
        print_error("%s\n", line);
}

static void in_cache(void (*each)(const char *path))
{
    DIR *dir = opendir(cache_path);
    char path[2 * MAX_PATH + 64];
    for (struct dirent *e; dir && (e = readdir(dir));)
        if (e->d_name[0] != '.') {
            snprintf(path, sizeof path, "%s/%s", cache_path, e->d_name);
            each(path);
        }
    if (dir)
        closedir(dir);
}

static void remove_it(const char *path) { unlink(path); }

// A file under its final name is whole; none is left under a temporary one.
static void check_it(const char *path)
{
    ql_source *packed;
    ql_error err = {0};
    struct stat before, after;
    size_t n = strlen(path);
    if (n > 5 && strcmp(path + n - 5, ".part") == 0)
        wrong("%s was left", path);
    assert_int_equal(stat(path, &before), 0);
    if (ql_source_open_packed(path, &packed, &err) != QL_OK) {
        wrong("%s", err.message);
        return;
    }
    if (ql_source_check_seal(packed, &err) != QL_OK)
        wrong("%s", err.message);
    ql_source_close(packed);
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(before.st_size, after.st_size);
}

// An exported file is whole, the same each time, or not there; none is left under a temporary name. It is removed.
static void check_export(const scenario *s, const char *what, ql_code code)
{
    static char content[2][1 << 18];
    static size_t n[2];
    static const scenario *of; // whose file content[0] is
    char part[MAX_PATH + 64];
    snprintf(part, sizeof part, "%s.quantllm-part", export_path);
    FILE *in = fopen(export_path, "rb");
    if ((code == QL_OK) != (in != NULL) || access(part, F_OK) == 0)
        wrong("%s: code %d, and the file is %sthere, the temporary one %sthere", what, (int)code, in ? "" : "not ",
              access(part, F_OK) == 0 ? "" : "not ");
    if (!in)
        return;
    n[1] = fread(content[1], 1, sizeof content[1], in);
    fclose(in);
    if (of != s)
        memcpy(content[0], content[1], n[0] = n[1]);
    of = s;
    if (n[0] != n[1] || memcmp(content[0], content[1], n[0]) != 0)
        wrong("%s: the exported file is another one", what);
    unlink(export_path);
}

// ---- sweeps ----

static ql_code attempt(const scenario *s, ql_buf *text, ql_error *err)
{
    *text = (ql_buf){0};
    *err = (ql_error){0};
    return s->run(text, err);
}

static void expect_equal(const char *what, const ql_buf *text, const ql_buf *expected)
{
    if (text->failed || text->len != expected->len || (text->len && memcmp(text->data, expected->data, text->len) != 0))
        wrong("%s: gave \"%.80s\" instead of \"%.80s\"", what, text->data ? text->data : "", expected->data);
}

static void fail_once(const scenario *s, fault_kind kind, unsigned long at, bool lasting, const ql_buf *expected)
{
    char what[256];
    ql_buf text;
    ql_error err;
    snprintf(what, sizeof what, "%s, %s %lu%s", s->name, fault_name(kind), at, lasting ? " and all after it" : "");
    if (s->keeps && !s->from_cache)
        in_cache(remove_it);
    unlink(export_path);
    fault_state before = faults_state();
    faults_begin(kind, at, lasting);
    ql_code code = attempt(s, &text, &err);
    faults_end();
    bool memory = text.failed; // of the test's own text
    if (code == QL_OK && !memory)
        expect_equal(what, &text, expected);
    else if (code != QL_OK && (err.code != code || !*err.message || strchr(err.message, '\n')))
        wrong("%s: code %d, and code %d with \"%s\" in the error", what, (int)code, (int)err.code, err.message);
    if (code != QL_OK && kind == FAULT_MEMORY && code != QL_E_MEMORY)
        wrong("%s: \"%s\" is said", what, err.message);
    ql_buf_free(&text);
    char left[256];
    if (!faults_nothing_left(before, left, sizeof left))
        wrong("%s: %s", what, left);
    in_cache(check_it);
    if (s->exports)
        check_export(s, what, code);
    if (s->keeps && (code = attempt(s, &text, &err)) != QL_OK) // the next run
        wrong("%s, the next run: %s", what, err.message);
    if (s->keeps)
        expect_equal(what, &text, expected);
    if (s->exports)
        check_export(s, what, code);
    ql_buf_free(&text);
}

static unsigned long count_calls(const scenario *s, fault_kind kind)
{
    ql_buf text;
    ql_error err;
    if (s->keeps && !s->from_cache)
        in_cache(remove_it);
    faults_begin(kind, 0, false);
    ql_code code = attempt(s, &text, &err);
    unsigned long n = faults_end();
    if (code != QL_OK)
        wrong("%s: %s", s->name, err.message);
    ql_buf_free(&text);
    return n;
}

// All calls, or a sample of SAMPLE of them and the first and last few.
static void sweep_kind(const scenario *s, fault_kind kind, const ql_buf *expected)
{
    unsigned long n = count_calls(s, kind), tried = 0;
    for (unsigned long at = 1; at <= n; at++) {
        if (!whole && kind == FAULT_MEMORY && !faults_in_sample(at, n, SAMPLE))
            continue;
        fail_once(s, kind, at, false, expected);
        if (whole || kind != FAULT_MEMORY || at % 2)
            fail_once(s, kind, at, true, expected);
        tried++;
    }
    if (n)
        print_message("%s: %s, %lu of %lu calls\n", s->name, fault_name(kind), tried, n);
}

static void sweep(const scenario *s)
{
    ql_buf expected;
    ql_error err;
    in_cache(remove_it);
    for (int i = 0; i < 2; i++) { // what is made once and kept is made here
        if (i)
            ql_buf_free(&expected);
        faults_begin(FAULT_MEMORY, 0, false);
        if (attempt(s, &expected, &err) != QL_OK)
            wrong("%s: %s", s->name, err.message);
        faults_end();
    }
    assert_true(expected.len > 0);
    n_wrong = 0;
    for (fault_kind kind = 0; kind < FAULT_KINDS; kind++)
        sweep_kind(s, kind, &expected);
    ql_buf_free(&expected);
    assert_int_equal(n_wrong, 0);
}

static void everything_that_can_fail_fails(void **state) { sweep(*state); }

static void tokenizers_without_memory(void **state)
{
    const char *root = getenv("QL_SOURCE_ROOT");
    char corpus[1024], path[2048];
    (void)state;
    snprintf(corpus, sizeof corpus, "%s/tests/fuzz/corpus/fuzz_tokenizer", root ? root : ".");
    DIR *dir = opendir(corpus);
    int n = 0;
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir));) {
        static char data[1 << 16];
        snprintf(path, sizeof path, "%s/%s", corpus, e->d_name);
        FILE *in = e->d_name[0] == '.' ? NULL : fopen(path, "rb");
        if (!in)
            continue;
        size_t size = fread(data, 1, sizeof data - 1, in);
        fclose(in);
        data[size] = 0;
        FILE *out = fopen(tokenizer_path, "wb");
        assert_non_null(out);
        assert_int_equal(fwrite(data, 1, strlen(data), out), strlen(data));
        fclose(out);
        snprintf(tokenizer_text, sizeof tokenizer_text, "%s", strlen(data) < size ? data + strlen(data) + 1 : "hello you");
        ql_error err = {0};
        ql_tokenizer *t = ql_tokenizer_open(tokenizer_path, &err); // the corpus holds refused ones too
        ql_tokenizer_close(t);
        if (!t)
            continue;
        char name[300];
        snprintf(name, sizeof name, "the tokenizer %s", e->d_name);
        sweep(&(scenario){name, run_tokenizer, false, false, false});
        n++;
    }
    closedir(dir);
    assert_true(n > 0);
}

// ---- set-up ----

static int set_up(void **state)
{
    (void)state;
    setvbuf(stdout, NULL, _IOLBF, 0);
    const char *root = getenv("QL_SOURCE_ROOT"), *base = getenv("TMPDIR");
    char command[4096];
#ifdef __SANITIZE_ADDRESS__
    whole = getenv("QL_LONG") != NULL;
#else
    whole = true;
#endif
    snprintf(work, sizeof work, "%s/quantllm-faults-XXXXXX", base ? base : P_tmpdir);
    if (!mkdtemp(work))
        return -1;
    snprintf(model_path, sizeof model_path, "%s/tiny.gguf", work);
    snprintf(folder_path, sizeof folder_path, "%s/folder", work);
    snprintf(cache_path, sizeof cache_path, "%s/cache", work);
    snprintf(export_path, sizeof export_path, "%s/export.gguf", work);
    snprintf(split_path, sizeof split_path, "%s/split-00001-of-00002.gguf", work);
    snprintf(tokenizer_path, sizeof tokenizer_path, "%s/tokenizer.json", work);
    setenv("QUANTLLM_CACHE", cache_path, 1);
    // Without LD_PRELOAD: a sanitizer's library in the test must not enter the interpreter.
    snprintf(command, sizeof command, "env -u LD_PRELOAD python3 '%s/tests/faults/make_models.py' '%s'", root ? root : ".", work);
    return system(command);
}

static int tear_down(void **state)
{
    (void)state;
    char command[MAX_PATH + 32];
    snprintf(command, sizeof command, "rm -rf '%s'", work);
    return system(command);
}

int main(void)
{
    enum { N = sizeof scenarios / sizeof *scenarios };
    struct CMUnitTest tests[N + 1];
    for (size_t i = 0; i < N; i++)
        tests[i] = (struct CMUnitTest){scenarios[i].name, everything_that_can_fail_fails, NULL, NULL, (void *)(uintptr_t)&scenarios[i]};
    tests[N] = (struct CMUnitTest)cmocka_unit_test(tokenizers_without_memory);
    return cmocka_run_group_tests_name("faults", tests, set_up, tear_down);
}
