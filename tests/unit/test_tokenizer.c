// SPDX-License-Identifier: MIT
// Tokenizers of real models: the publishers' ids for the shared texts, round trips, and texts of one long word.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/random.h"
#include "base/utf8.h"
#include "text/normalize.h"
#include "text/tokenizer.h"

static const char *const names[] = {"deepseek-llm", "gpt-2", "llama-bpe", "llama-spm", "phi-3", "qwen2"};
enum { N_NAMES = 6, N_BYTE_LEVEL = 4 };
static const char *const byte_level[] = {"gpt-2", "llama-bpe", "qwen2", "deepseek-llm"};

static const char *shared_path(const char *name, const char *end)
{
    static char path[1024];
    const char *shared = getenv("QL_SHARED"), *root = getenv("QL_SOURCE_ROOT");
    if (shared)
        snprintf(path, sizeof path, "%s/data/vocab/ggml-vocab-%s.gguf%s", shared, name, end);
    else
        snprintf(path, sizeof path, "%s/../shared/data/vocab/ggml-vocab-%s.gguf%s", root ? root : ".", name, end);
    return path;
}

// The whole file as a string; skips the test when it is not there.
static ql_buf read_shared(const char *name, const char *end)
{
    ql_buf text = {0};
    char block[4096];
    FILE *file = fopen(shared_path(name, end), "rb");
    if (!file) {
        print_message("no %s: set QL_SHARED\n", shared_path(name, end));
        skip();
    }
    for (size_t n; (n = fread(block, 1, sizeof block, file)) > 0;)
        ql_buf_append(&text, block, n);
    fclose(file);
    return text;
}

static ql_tokenizer *open_shared(const char *name)
{
    ql_buf there = read_shared(name, ".out");
    ql_buf_free(&there);
    ql_error err = {0};
    ql_tokenizer *t = ql_tokenizer_open(shared_path(name, ""), &err);
    if (!t)
        fail_msg("%s", err.message);
    return t;
}

static ql_ids encode(const ql_tokenizer *t, const char *text, size_t len, unsigned flags)
{
    ql_ids ids = {0};
    ql_error err = {0};
    if (ql_tokenizer_encode(t, text, len, NULL, flags, &ids, &err) != QL_OK)
        fail_msg("%s", err.message);
    return ids;
}

static void decodes_to(const ql_tokenizer *t, const ql_ids *ids, const char *text, size_t len)
{
    ql_buf out = {0};
    assert_int_equal(ql_tokenizer_decode(t, ids->data, ids->n, 0, &out, NULL), QL_OK);
    assert_int_equal(out.len, len);
    assert_memory_equal(out.data ? out.data : "", text, len);
    ql_buf_free(&out);
}

// One text and its line of ids.
static void check_vector(const ql_tokenizer *t, const char *name, const char *text, size_t len, const char *line)
{
    for (unsigned flags = 0; flags <= QL_PARSE_SPECIAL; flags += QL_PARSE_SPECIAL) {
        ql_ids ids = encode(t, text, len, flags);
        const char *at = line;
        for (size_t i = 0;; i++) {
            char *end;
            long id = strtol(at, &end, 10);
            if (end == at || (size_t)(end - line) > strcspn(line, "\n")) {
                assert_int_equal(i, ids.n);
                break;
            }
            if (i >= ids.n || ids.data[i] != id)
                fail_msg("%s: \"%.*s\": ids[%zu] is %d of %zu, expected %ld", name, (int)len, text, i,
                         i < ids.n ? ids.data[i] : -1, ids.n, id);
            at = end;
        }
        decodes_to(t, &ids, text, len);
        ql_ids_free(&ids);
    }
}

static void publishers_ids(void **state)
{
    (void)state;
    static const char separator[] = "\n__ggml_vocab_test__\n";
    size_t done = 0;
    for (int i = 0; i < N_NAMES; i++) {
        ql_tokenizer *t = open_shared(names[i]);
        ql_buf texts = read_shared(names[i], ".inp"), ids = read_shared(names[i], ".out");
        const char *text = texts.data, *line = ids.data;
        for (const char *end; (end = strstr(text, separator)); text = end + strlen(separator)) {
            check_vector(t, names[i], text, (size_t)(end - text), line);
            line += strcspn(line, "\n") + 1;
            done++;
        }
        assert_true(line >= ids.data + ids.len - 1);
        ql_buf_free(&texts);
        ql_buf_free(&ids);
        ql_tokenizer_close(t);
    }
    print_message("%zu texts\n", done);
    assert_true(done >= 6 * 40);
}

// What a piece of a byte-level vocabulary stands for.
static void append_bytes(ql_buf *out, const char *piece)
{
    while (*piece) {
        uint32_t cp;
        piece += ql_utf8_decode(piece, strlen(piece), &cp);
        ql_buf_append_byte(out, (char)ql_char_byte(cp));
    }
}

// Any bytes go through a byte-level vocabulary: what comes out as tokens' bytes is what went in.
static void any_bytes_round_trip(void **state)
{
    (void)state;
    for (int i = 0; i < N_BYTE_LEVEL - 1; i++) { // DeepSeek's has no tokens for the bytes that UTF-8 never uses
        ql_tokenizer *t = open_shared(byte_level[i]);
        for (uint64_t round = 0; round < 2000; round++) {
            char text[64];
            size_t n = ql_mix64(round) % sizeof text;
            for (size_t k = 0; k < n; k++) { // half of it ASCII; Qwen2 would normalize marks
                uint64_t x = ql_mix64(round * 1000 + k);
                text[k] = (char)(x % 2 ? ' ' + (x >> 8) % 95 : 0xf0 | (x >> 8) % 16);
            }
            ql_ids ids = encode(t, text, n, 0);
            ql_buf out = {0};
            for (size_t k = 0; k < ids.n; k++)
                append_bytes(&out, ql_token_piece(t, ids.data[k]));
            assert_int_equal(out.len, n);
            assert_memory_equal(out.data ? out.data : "", text, n);
            ql_buf_free(&out);
            ql_ids_free(&ids);
        }
        ql_tokenizer_close(t);
    }
}

static void bad_bytes_keep_to_themselves(void **state)
{
    (void)state;
    ql_tokenizer *t = open_shared("gpt-2");
    ql_ids whole = encode(t, "Hello\xff\xfe world", 13, 0), a = encode(t, "Hello", 5, 0), b = encode(t, " world", 6, 0);
    assert_int_equal(whole.n, a.n + 2 + b.n);
    assert_memory_equal(whole.data, a.data, a.n * 4);
    assert_memory_equal(whole.data + a.n + 2, b.data, b.n * 4);
    decodes_to(t, &whole, "Hello\xef\xbf\xbd\xef\xbf\xbd world", 17);
    ql_ids_free(&whole);
    ql_ids_free(&a);
    ql_ids_free(&b);
    ql_tokenizer_close(t);
    t = open_shared("deepseek-llm"); // has no tokens for the bytes that UTF-8 never uses
    whole = encode(t, "Hi\xff\xe2\x82!", 6, 0);
    decodes_to(t, &whole, "Hi\xef\xbf\xbd\xef\xbf\xbd!", 9);
    ql_ids_free(&whole);
    whole = encode(t, "\xc3\xbf", 2, 0); // but for the letter
    assert_int_equal(whole.n, 1);
    decodes_to(t, &whole, "\xc3\xbf", 2);
    ql_ids_free(&whole);
    ql_tokenizer_close(t);
}

static void long_words_are_merged_as_short_ones(void **state)
{
    (void)state;
    // Merging is the same function of the text whatever its length: repeat what gives one token alone.
    ql_tokenizer *t = open_shared("qwen2");
    ql_buf text = {0};
    for (int i = 0; i < 4000; i++)
        ql_buf_append_str(&text, "abcdefgh");
    ql_ids ids = encode(t, text.data, text.len, 0);
    decodes_to(t, &ids, text.data, text.len);
    ql_ids few = encode(t, text.data, 8 * 200, 0);
    size_t n = few.n - 20; // but for the end of the shorter one
    assert_true(ids.n > few.n && n > 100);
    assert_memory_equal(ids.data, few.data, n * sizeof *few.data);
    ql_ids_free(&few);
    ql_ids_free(&ids);
    ql_buf_free(&text);
    ql_tokenizer_close(t);
}

#ifdef __SANITIZE_ADDRESS__
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

// A million characters of one kind: would take hours if anything were quadratic. With sanitizers a tenth of it.
static void a_megabyte_takes_no_time(void **state)
{
    (void)state;
    static const char *const units[] = {"a", " ", "\n", "1", "\xe5\xa5\xbd", " \n", "'", "\xff", "\xcc\x81"};
    for (int i = 0; i < N_NAMES; i++) {
        ql_tokenizer *t = open_shared(names[i]);
        for (size_t k = 0; k < sizeof units / sizeof units[0]; k++) {
            ql_buf text = {0};
            while (text.len < (SANITIZED ? 100000 : 1000000))
                ql_buf_append_str(&text, units[k]);
            ql_buf_append_str(&text, "7");
            ql_ids ids = encode(t, text.data, text.len, QL_PARSE_SPECIAL);
            if (units[k][0] != '\xff')
                decodes_to(t, &ids, text.data, text.len);
            ql_ids_free(&ids);
            ql_buf_free(&text);
        }
        ql_tokenizer_close(t);
    }
}

static void llama3_adds_bos(void **state)
{
    (void)state;
    ql_tokenizer *t = open_shared("llama-bpe");
    ql_ids ids = encode(t, "<|begin_of_text|>Hi<|eot_id|>", 29, QL_ADD_SPECIAL | QL_PARSE_SPECIAL);
    assert_int_equal(ids.n, 3);
    assert_int_equal(ids.data[0], 128000);
    assert_int_equal(ids.data[2], 128009);
    assert_true(ql_tokenizer_is_eog(t, 128001) && ql_tokenizer_is_eog(t, 128009) && !ql_tokenizer_is_eog(t, 128000));
    ql_ids_free(&ids);
    ids = encode(t, "Hi", 2, QL_ADD_SPECIAL);
    assert_int_equal(ids.n, 2);
    assert_int_equal(ids.data[0], 128000);
    ql_ids_free(&ids);
    ql_tokenizer_close(t);
}

static void qwen2_normalizes(void **state)
{
    (void)state;
    ql_tokenizer *t = open_shared("qwen2");
    ql_ids two = encode(t, "cafe\xcc\x81", 6, 0), one = encode(t, "caf\xc3\xa9", 5, 0);
    assert_int_equal(two.n, one.n);
    assert_memory_equal(two.data, one.data, one.n * sizeof *one.data);
    ql_ids_free(&two);
    ql_ids_free(&one);
    ql_tokenizer_close(t);
}

static void too_long_a_text_is_refused(void **state)
{
    (void)state;
    ql_tokenizer *t = open_shared("gpt-2");
    ql_ids ids = {0};
    ql_error err = {0};
    assert_int_equal(ql_tokenizer_encode(t, "", (size_t)1 << 31, NULL, 0, &ids, &err), QL_E_ARGUMENT);
    assert_string_equal(err.message, "text has 2147483648 bytes, at most 1073741824 can be tokenized at once");
    ql_tokenizer_close(t);
    assert_null(ql_tokenizer_open("no/such.gguf", &err));
    assert_int_equal(err.code, QL_E_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(publishers_ids),
        cmocka_unit_test(any_bytes_round_trip),
        cmocka_unit_test(bad_bytes_keep_to_themselves),
        cmocka_unit_test(long_words_are_merged_as_short_ones),
        cmocka_unit_test(a_megabyte_takes_no_time),
        cmocka_unit_test(llama3_adds_bos),
        cmocka_unit_test(qwen2_normalizes),
        cmocka_unit_test(too_long_a_text_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
