// SPDX-License-Identifier: MIT
// Vocabularies: what a wrong one is refused with, and what the parts of a right one do.
#include "text/tokenizer_impl.h"
#include "unit/vocab_file.h"

static void refused(const vocab_file *v, ql_code code, const char *part)
{
    ql_error err = {0};
    ql_tokenizer *t = vocab_open(v, &err);
    assert_null(t);
    if (!strstr(err.message, part))
        fail_msg("\"%s\" does not contain \"%s\"", err.message, part);
    assert_int_equal(err.code, code);
    assert_null(strchr(err.message, '\n'));
}

static ql_tokenizer *accepted(const vocab_file *v)
{
    ql_error err = {0};
    ql_tokenizer *t = vocab_open(v, &err);
    if (!t)
        fail_msg("%s", err.message);
    return t;
}

static void kinds_and_rules_are_refused_by_name(void **state)
{
    (void)state;
    vocab_file v = vocab_bytes_bpe();
    v.model = "rwkv";
    refused(&v, QL_E_UNSUPPORTED, "tokenizer.ggml.model \"rwkv\" is not supported (supported: gpt2, gemma4, llama, t5, bert)");
    v = vocab_bytes_bpe();
    v.merges[v.n_merges++] = "a b";
    vocab_add(&v, "ab", 0, 1);
    v.pre = "zzz\n";
    refused(&v, QL_E_UNSUPPORTED, "tokenizer.ggml.pre \"zzz\\x0a\" is not supported (supported: default, gpt-2, ");
    static const char *const known[] = {"gpt-2", "llama-bpe", "llama3", "qwen2", "smollm", "deepseek-llm", "default",
                                        "starcoder", "deepseek-coder", NULL};
    for (int i = 0; known[i]; i++) {
        v.pre = known[i];
        ql_tokenizer_close(accepted(&v));
    }
    v.pre = NULL;
    ql_tokenizer_close(accepted(&v));
}

// Every name that llama.cpp knows as llama-cpp-python 0.3.36 contains it, and k2-horizon of a pull request that models are
// published for; those that are one rule in a line. i: a piece that is a token is that token, b: BOS is added, n: NFC,
// c: characters, s: U+2581 for spaces, r: what does not match is dropped.
static void every_name_of_a_rule_is_known(void **state)
{
    (void)state;
    static const struct {
        const char *names, *flags;
    } rules[] = {
        {"default", ""},
        {"gpt-2 phi-2 jina-es jina-de jina-v2-es jina-v2-de gigachat a.x-4.0 mellum modern-bert exaone4 jais trillion granite-docling jina-v1-en jina-v2-code roberta-bpe", ""},
        {"mpt olmo", "n"},
        {"llama-bpe llama3 llama-v3 falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano", "ib"},
        {"dbrx smaug-bpe chatglm-bpe", ""},
        {"glm4 glm5", "i"},
        {"k2-horizon", ""},
        {"jais-2", ""},
        {"qwen2", "n"},
        {"qwen35", "n"},
        {"deepseek-r1-qwen kormo f2llmv2 megrez stablelm2 hunyuan solar-open grok-2", ""},
        {"smollm starcoder refact command-r codeshell exaone minerva-7b mellum2", ""},
        {"deepseek-llm", ""},
        {"deepseek-coder", ""},
        {"deepseek-v3 hunyuan-dense joyai-llm hy_v4", ""},
        {"spark2_5", ""},
        {"falcon", ""},
        {"bloom poro-chat gpt3-finnish", ""},
        {"viking", ""},
        {"tekken", "ib"},
        {"gpt-4o llama4 kanana2 talkie minimax-m2", ""},
        {"granite-embed-multi-97m", "i"},
        {"tiny_aya cohere2moe", ""},
        {"kimi-k2", ""},
        {"superbpe", ""},
        {"bailingmoe bailingmoe2 llada-moe", ""},
        {"ufakzeka", ""},
        {"seed-coder", ""},
        {"chameleon", "b"},
        {"exaone-moe", ""},
        {"afmoe", ""},
        {"laguna", ""},
        {"minicpm5", "i"},
        {"youtu", "i"},
        {"gemma4 granite-embed-multi-311m sarvam-moe", "cs"},
        {"whitespace", "cr"},
    };
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        const ql_pre_rule *first = NULL;
        for (const char *at = rules[i].names; *at; at += strspn(at, " ")) {
            size_t n = strcspn(at, " ");
            const ql_pre_rule *rule = ql_pre_rule_find(at, n);
            if (!rule)
                fail_msg("%.*s is not known", (int)n, at);
            assert_true(!first || rule == first);
            first = rule;
            at += n;
        }
        const bool has[] = {first->nfc, first->ignore_merges, first->add_bos, first->characters, first->spaces, first->removes_rest};
        for (int k = 0; k < 6; k++)
            if (has[k] != !!strchr(rules[i].flags, "nibcsr"[k]))
                fail_msg("%s: flag %c", rules[i].names, "nibcsr"[k]);
    }
    static const char *const refused_names[] = {"mmbert", "", "qwen", "llama", "gpt-2 ", "gpt-2 phi-2", "GPT-2"};
    for (size_t i = 0; i < sizeof refused_names / sizeof refused_names[0]; i++)
        assert_null(ql_pre_rule_find(refused_names[i], strlen(refused_names[i])));
}

static void special_ids_must_be_in_the_vocabulary(void **state)
{
    (void)state;
    vocab_file v = vocab_bytes_spm();
    v.bos = 999999;
    refused(&v, QL_E_FORMAT, "bos_token_id 999999: vocabulary has 259");
    v.bos = 1;
    v.eos = 259;
    refused(&v, QL_E_FORMAT, "eos_token_id 259: vocabulary has 259");
    v.eos = 258;
    ql_tokenizer_close(accepted(&v));
    v = vocab_bytes_bpe();
    vocab_add(&v, "ab", 0, 1);
    v.merges[v.n_merges++] = "a b";
    v.add_bos = 1;
    refused(&v, QL_E_FORMAT, "add_bos_token is true, but there is no tokenizer.ggml.bos_token_id");
}

static void arrays_must_fit(void **state)
{
    (void)state;
    vocab_file v = vocab_bytes_spm();
    v.scores_are_i8 = true;
    refused(&v, QL_E_FORMAT, "tokenizer.ggml.scores");
    v = vocab_bytes_spm();
    v.n_scores = 0;
    refused(&v, QL_E_FORMAT, "tokenizer.ggml.scores");
    v.n_scores = 258;
    refused(&v, QL_E_FORMAT, "tokenizer.ggml.scores has 258 elements, the vocabulary 259");
    v.n_scores = 259;
    v.n_types = 1;
    refused(&v, QL_E_FORMAT, "tokenizer.ggml.token_type has 1 elements, the vocabulary 259");
    v.n_types = 259;
    v.types[7] = 9;
    refused(&v, QL_E_FORMAT, "tokenizer.ggml.token_type[7] 9: must be 0 to 6");
    v.types[7] = 6;
    v.scores[40] = 0.0f / 0.0f;
    refused(&v, QL_E_FORMAT, "tokenizer.ggml.scores[40] is not a number");
    v.scores[40] = 0;
    v.n = v.n_types = v.n_scores = 0;
    refused(&v, QL_E_FORMAT, "tokenizer.ggml.tokens");
}

static void tokens_must_be_told_apart(void **state)
{
    (void)state;
    vocab_file v = vocab_bytes_bpe();
    v.merges[v.n_merges++] = "a b";
    vocab_add(&v, "ab", 0, 1);
    vocab_add(&v, "", 0, 1); // converters pad with empty tokens
    vocab_add(&v, "", 0, 5);
    ql_tokenizer_close(accepted(&v));
    vocab_add(&v, "ab", 0, 1);
    refused(&v, QL_E_FORMAT, "tokenizer.ggml.tokens: ids 256 and 259 are both \"ab\"");
}

static void merges_must_be_in_the_vocabulary(void **state)
{
    (void)state;
    vocab_file v = vocab_bytes_bpe();
    refused(&v, QL_E_FORMAT, "tokenizer.ggml.merges");
    v.n_merges = 1;
    vocab_add(&v, "ab", 0, 1);
    vocab_add(&v, "cd", 0, 1);
    v.merges[0] = "ab cd";
    refused(&v, QL_E_FORMAT, "merges[0] \"ab cd\": \"abcd\" is not in the vocabulary");
    v.merges[0] = "xyz a";
    refused(&v, QL_E_FORMAT, "merges[0] \"xyz a\": \"xyz\" is not in the vocabulary");
    v.merges[0] = "a xyz";
    refused(&v, QL_E_FORMAT, "merges[0] \"a xyz\": \"xyz\" is not in the vocabulary");
    static const char *const broken[] = {"ab", "", " ", "a ", " b", NULL};
    for (int i = 0; broken[i]; i++) {
        v.merges[0] = broken[i];
        refused(&v, QL_E_FORMAT, "must be two pieces and one space");
    }
    v.merges[0] = "a b";
    v.merges[1] = "q q";
    v.n_merges = 2;
    refused(&v, QL_E_FORMAT, "merges[1] \"q q\": \"qq\" is not in the vocabulary");
}

static void bytes_must_have_tokens(void **state)
{
    (void)state;
    static const char *const broken[] = {"<0x4>", "<0x41", "<0x4G>", "<0x4a>", "<0X41>", "<0x0041>", "A", NULL};
    for (int i = 0; broken[i]; i++) {
        vocab_file v = vocab_bytes_spm();
        v.tokens[3 + 0x41] = broken[i];
        refused(&v, QL_E_FORMAT, "a byte token must be <0x00> to <0xFF>");
    }
    vocab_file v = vocab_bytes_spm();
    v.tokens[3 + 0x41] = "xx";
    v.types[3 + 0x41] = 1;
    ql_tokenizer *t = accepted(&v); // A becomes <unk>, which waits for the next character, bytes going by: the library's way
    int32_t *ids;
    size_t n;
    assert_int_equal(ql_tokenize(t, "BAAB", 4, 0, &ids, &n, NULL), QL_OK);
    const int32_t expected[] = {3 + 0xe2, 3 + 0x96, 3 + 0x81, 3 + 'B', 3 + 'B', 0};
    assert_int_equal(n, 6);
    assert_memory_equal(ids, expected, sizeof expected);
    ql_free(ids);
    ql_tokenizer_close(t);
    v.unk = -1;
    v.types[0] = 1;
    refused(&v, QL_E_FORMAT, "no token <0x41>, and no tokenizer.ggml.unknown_token_id to stand in for it");

    v = vocab_bytes_bpe();
    vocab_add(&v, "ab", 0, 1);
    v.merges[v.n_merges++] = "a b";
    v.tokens['x'] = "xx";
    refused(&v, QL_E_FORMAT, "no token for the byte 0x78 ('x')");
    v.unk = vocab_add(&v, "<unk>", 0, 2);
    t = accepted(&v);
    assert_int_equal(ql_tokenize(t, "axb", 3, 0, &ids, &n, NULL), QL_OK);
    assert_int_equal(n, 3);
    assert_int_equal(ids[1], v.unk);
    ql_free(ids);
    ql_tokenizer_close(t);
    v.eos = v.unk; // what ends a text does not stand in for anything
    refused(&v, QL_E_FORMAT, "no token for the byte 0x78 ('x')");
}

static void expect(const ql_tokenizer *t, const char *text, unsigned flags, const char *origin, const char *expected)
{
    ql_ids ids = {0};
    ql_error err = {0};
    uint8_t from[256];
    for (size_t i = 0; origin && origin[i]; i++)
        from[i] = origin[i] != '0';
    if (ql_tokenizer_encode(t, text, strlen(text), origin ? from : NULL, flags, &ids, &err) != QL_OK)
        fail_msg("%s", err.message);
    ql_buf got = {0};
    for (size_t i = 0; i < ids.n; i++)
        ql_buf_printf(&got, "%s%s", i ? "," : "", ql_token_piece(t, ids.data[i]));
    assert_string_equal(got.data ? got.data : "", expected);
    ql_buf_free(&got);
    ql_ids_free(&ids);
}

static vocab_file with_specials(void)
{
    vocab_file v = vocab_bytes_bpe();
    static const char *const merges[] = {"a b", "ab c", "b c", "< |"};
    for (int i = 0; i < 4; i++)
        v.merges[v.n_merges++] = merges[i];
    vocab_add(&v, "ab", 0, 1);
    vocab_add(&v, "abc", 0, 1);
    vocab_add(&v, "bc", 0, 3); // a control token that merging must not make
    vocab_add(&v, "<|", 0, 1);
    v.bos = vocab_add(&v, "<|x|>", 0, 3);
    v.eos = vocab_add(&v, "<|x|>y", 0, 3);
    vocab_add(&v, "<tool>", 0, 4);
    vocab_add(&v, "<|im_end|>", 0, 3);
    vocab_add(&v, "<un>", 0, 2);
    return v;
}

static void special_tokens_are_found_first(void **state)
{
    (void)state;
    vocab_file v = with_specials();
    ql_tokenizer *t = accepted(&v);
    expect(t, "abc", 0, NULL, "abc");
    expect(t, "bcbc", 0, NULL, "b,c,b,c");
    expect(t, "abc<tool>ab", 0, NULL, "abc,<tool>,ab"); // user-defined: always
    expect(t, "ab<|x|>c", 0, NULL, "ab,<|,x,|,>,c");
    expect(t, "ab<|x|>c", QL_PARSE_SPECIAL, NULL, "ab,<|x|>,c");
    expect(t, "<|x|>y", QL_PARSE_SPECIAL, NULL, "<|x|>y"); // the longest
    expect(t, "<|x|>", QL_PARSE_SPECIAL, NULL, "<|x|>");
    expect(t, "<|x|", QL_PARSE_SPECIAL, NULL, "<|,x,|");
    expect(t, "<|x<|x|>", QL_PARSE_SPECIAL, NULL, "<|,x,<|x|>");
    expect(t, "<un>bc", QL_PARSE_SPECIAL, NULL, "<un>,bc");
    expect(t, "<un>bc", 0, NULL, "<,u,n,>,b,c");
    expect(t, "", QL_PARSE_SPECIAL, NULL, "");
    ql_tokenizer_close(t);
}

static void messages_do_not_make_control_tokens(void **state)
{
    (void)state;
    vocab_file v = with_specials();
    ql_tokenizer *t = accepted(&v);
    expect(t, "<|x|>", QL_PARSE_SPECIAL, "00000", "<|x|>");
    expect(t, "<|x|>", QL_PARSE_SPECIAL, "11111", "<|,x,|,>");
    for (int i = 0; i < 5; i++) {
        char origin[] = "00000";
        origin[i] = '1';
        expect(t, "<|x|>", QL_PARSE_SPECIAL, origin, "<|,x,|,>");
    }
    expect(t, "<|x|>y", QL_PARSE_SPECIAL, "000001", "<|x|>,y"); // the longest that is allowed
    expect(t, "<|x|>y", QL_PARSE_SPECIAL, "000000", "<|x|>y");
    expect(t, "a<|x|>y", QL_PARSE_SPECIAL, "1000000", "a,<|x|>y");
    expect(t, "<tool>", QL_PARSE_SPECIAL, "111111", "<tool>"); // user-defined: wherever it is from
    ql_tokenizer_close(t);
}

static void bos_and_eos_are_added_once(void **state)
{
    (void)state;
    vocab_file v = with_specials();
    unsigned both = QL_ADD_SPECIAL | QL_PARSE_SPECIAL;
    ql_tokenizer *t = accepted(&v);
    expect(t, "ab", both, NULL, "ab"); // byte-level: not unless the file says so
    ql_tokenizer_close(t);
    v.pre = "llama-bpe"; // except there
    t = accepted(&v);
    expect(t, "ab", both, NULL, "<|x|>,ab");
    ql_tokenizer_close(t);
    v.add_bos = v.add_eos = 1;
    t = accepted(&v);
    expect(t, "ab", both, NULL, "<|x|>,ab,<|x|>y");
    expect(t, "ab", QL_PARSE_SPECIAL, NULL, "ab");
    expect(t, "", both, NULL, "<|x|>,<|x|>y");
    expect(t, "<|x|>ab", both, NULL, "<|x|>,ab,<|x|>y");
    expect(t, "<|x|><|x|>ab", both, NULL, "<|x|>,<|x|>,ab,<|x|>y");
    expect(t, "ab<|x|>y", both, NULL, "<|x|>,ab,<|x|>y");
    expect(t, "<|x|><|x|>y", both, NULL, "<|x|>,<|x|>y");
    expect(t, "<|x|>ab", QL_ADD_SPECIAL, NULL, "<|x|>,<|,x,|,>,ab,<|x|>y"); // not spelled: text
    expect(t, "<|x|>ab", both, "1111100", "<|x|>,<|,x,|,>,ab,<|x|>y");
    ql_ids ids = {0};
    assert_true(ql_ids_push(&ids, 7)); // ids are appended
    assert_int_equal(ql_tokenizer_encode(t, "<|x|>ab", 7, NULL, both, &ids, NULL), QL_OK);
    assert_int_equal(ids.n, 4);
    assert_int_equal(ids.data[0], 7);
    assert_int_equal(ids.data[1], v.bos);
    ql_ids_free(&ids);
    ql_tokenizer_close(t);
}

static void ends_of_text_are_known(void **state)
{
    (void)state;
    vocab_file v = with_specials();
    ql_tokenizer *t = accepted(&v);
    assert_true(ql_tokenizer_is_eog(t, (int32_t)v.eos));
    for (int32_t id = -1; id < (int32_t)v.n + 1; id++) {
        const char *piece = ql_token_piece(t, id);
        bool is = id == v.eos || (piece && strcmp(piece, "<|im_end|>") == 0);
        assert_int_equal(ql_tokenizer_is_eog(t, id), is);
    }
    assert_string_equal(ql_tokenizer_bos_str(t), "<|x|>");
    assert_string_equal(ql_tokenizer_eos_str(t), "<|x|>y");
    ql_vocab_info info;
    ql_tokenizer_get_info(t, &info);
    assert_int_equal(info.n_vocab, v.n);
    assert_int_equal(info.bos_id, v.bos);
    assert_int_equal(info.pad_id, -1);
    assert_null(ql_token_piece(t, (int32_t)v.n));
    assert_null(ql_token_piece(t, -1));
    ql_tokenizer_close(t);
}

static void spm_merges_by_score(void **state)
{
    (void)state;
    vocab_file v = vocab_bytes_spm();
    vocab_add(&v, "\xe2\x96\x81", -9, 1);
    vocab_add(&v, "a", -9, 1);
    vocab_add(&v, "b", -9, 1);
    vocab_add(&v, "\xe2\x96\x81" "a", -3, 1);
    vocab_add(&v, "ab", -1, 1);
    vocab_add(&v, "aba", -2, 1);
    vocab_add(&v, "\xc3\xa9", -9, 1);
    ql_tokenizer *t = accepted(&v);
    expect(t, "ab", 0, NULL, "\xe2\x96\x81,ab");
    expect(t, "aa", 0, NULL, "\xe2\x96\x81" "a,a");
    expect(t, "aba", 0, NULL, "\xe2\x96\x81,aba");
    expect(t, "\xc3\xa9", 0, NULL, "\xe2\x96\x81,\xc3\xa9");
    expect(t, "z\xff", 0, NULL, "\xe2\x96\x81,<0x7A>,<0xFF>");
    expect(t, " a", 0, NULL, "\xe2\x96\x81,\xe2\x96\x81" "a");
    expect(t, "a</s>a", QL_PARSE_SPECIAL, NULL, "\xe2\x96\x81" "a,</s>,\xe2\x96\x81" "a"); // each fragment
    expect(t, "a", QL_ADD_SPECIAL, NULL, "<s>,\xe2\x96\x81" "a");                              // by default
    expect(t, "", QL_ADD_SPECIAL, NULL, "<s>");
    ql_tokenizer_close(t);
    vocab_add(&v, "b\xe2\x96\x81", -0.5f, 1); // words merge with the next ones
    v.add_space_prefix = 0;
    t = accepted(&v);
    expect(t, "ab a", 0, NULL, "a,b\xe2\x96\x81,a");
    ql_tokenizer_close(t);
}

static void decoded(const ql_tokenizer *t, const int32_t *ids, size_t n, unsigned flags, const char *expected)
{
    char *text;
    size_t len;
    assert_int_equal(ql_detokenize(t, ids, n, flags, &text, &len, NULL), QL_OK);
    assert_string_equal(text, expected);
    assert_int_equal(len, strlen(expected));
    ql_free(text);
}

static void decoding_is_text(void **state)
{
    (void)state;
    vocab_file v = vocab_bytes_spm();
    int32_t a = vocab_add(&v, "\xe2\x96\x81" "a", -3, 1);
    ql_tokenizer *t = accepted(&v);
    decoded(t, (int32_t[]){a, a}, 2, 0, "a a");
    decoded(t, (int32_t[]){1, a}, 2, 0, "<s> a");
    decoded(t, (int32_t[]){1, a, 2}, 3, QL_SKIP_SPECIAL, "a");
    decoded(t, (int32_t[]){3 + ' ', a}, 2, 0, " a");
    decoded(t, NULL, 0, 0, "");
    decoded(t, (int32_t[]){3 + 0xe2, 3 + 0x82, 3 + 0xac}, 3, 0, "\xe2\x82\xac");
    // A run of bytes is text as a whole, or each of them is none.
    decoded(t, (int32_t[]){3 + 0xe2, 3 + 0x82, a, 3 + 0xff}, 4, 0, "\xef\xbf\xbd\xef\xbf\xbd a\xef\xbf\xbd");
    ql_error err = {0};
    char *text;
    size_t len;
    assert_int_equal(ql_detokenize(t, (int32_t[]){a, 260}, 2, 0, &text, &len, &err), QL_E_ARGUMENT);
    assert_string_equal(err.message, "ids[1] is 260: must be 0 to 259");
    assert_int_equal(ql_detokenize(t, (int32_t[]){-1}, 1, 0, &text, &len, &err), QL_E_ARGUMENT);
    ql_tokenizer_close(t);
    v.add_space_prefix = 0;
    t = accepted(&v);
    decoded(t, (int32_t[]){a, a}, 2, 0, " a a");
    ql_tokenizer_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds_and_rules_are_refused_by_name),
        cmocka_unit_test(every_name_of_a_rule_is_known),
        cmocka_unit_test(special_ids_must_be_in_the_vocabulary),
        cmocka_unit_test(arrays_must_fit),
        cmocka_unit_test(tokens_must_be_told_apart),
        cmocka_unit_test(merges_must_be_in_the_vocabulary),
        cmocka_unit_test(bytes_must_have_tokens),
        cmocka_unit_test(special_tokens_are_found_first),
        cmocka_unit_test(messages_do_not_make_control_tokens),
        cmocka_unit_test(bos_and_eos_are_added_once),
        cmocka_unit_test(ends_of_text_are_known),
        cmocka_unit_test(spm_merges_by_score),
        cmocka_unit_test(decoding_is_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
