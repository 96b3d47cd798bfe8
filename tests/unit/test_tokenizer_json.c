// SPDX-License-Identifier: MIT
// tokenizer.json: what is refused and with which words, what the parts of a right one do, storing, streaming. That ids and
// texts are the `tokenizers` library's is tested in tests/python/test_tokenizer_families.py.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "base/utf8.h"
#include "text/json_scan.h"
#include "text/stream.h"
#include "text/tokenizer_impl.h"
#include "unit/model_folder.h"

// ---- making them ----

static ql_tokenizer *open_json(const char *text, ql_error *err)
{
    folder_empty();
    folder_put_str("tokenizer.json", text);
    return ql_tokenizer_open(folder_path("tokenizer.json"), err);
}

static ql_tokenizer *accepted(const char *text)
{
    ql_error err = {0};
    ql_tokenizer *t = open_json(text, &err);
    if (!t)
        fail_msg("%s", err.message);
    return t;
}

static void refused(const char *text, ql_code code, const char *part)
{
    ql_error err = {0};
    ql_tokenizer *t = open_json(text, &err);
    if (t)
        fail_msg("accepted, not \"%s\"", part);
    if (!strstr(err.message, part))
        fail_msg("\"%s\" does not contain \"%s\"", err.message, part);
    assert_non_null(strstr(err.message, "tokenizer.json: "));
    assert_null(strchr(err.message, '\n'));
    assert_int_equal(err.code, code);
}

// A BPE model with the given members besides; more: members of the whole file, each with a comma behind it.
static const char *bpe(const char *more, const char *model)
{
    static char text[1 << 17];
    snprintf(text, sizeof text, "{%s\"model\":{\"type\":\"BPE\",%s}}", more, model);
    return text;
}

#define AB "\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[[\"a\",\"b\"]]"

static void expect(const ql_tokenizer *t, const char *text, unsigned flags, const char *expected)
{
    ql_ids ids = {0};
    ql_error err = {0};
    if (ql_tokenizer_encode(t, text, strlen(text), NULL, flags, &ids, &err) != QL_OK)
        fail_msg("%s", err.message);
    ql_buf got = {0};
    for (size_t i = 0; i < ids.n; i++)
        ql_buf_printf(&got, "%s%d", i ? "," : "", ids.data[i]);
    assert_string_equal(got.data ? got.data : "", expected);
    ql_buf_free(&got);
    ql_ids_free(&ids);
}

static void decodes(const ql_tokenizer *t, const int32_t *ids, size_t n, const char *expected)
{
    ql_buf out = {0};
    assert_int_equal(ql_tokenizer_decode(t, ids, n, 0, &out, NULL), QL_OK);
    assert_string_equal(out.data ? out.data : "", expected);
    ql_buf_free(&out);
}

// ---- refusals ----

static void broken_json_is_told_with_line_and_column(void **state)
{
    (void)state;
    static const struct { const char *text, *part; } bad[] = {
        {"{\"model\":\n{\"type\" \"BPE\"}}", "line 2, column 9: ':' expected"},
        {"", "line 1, column 1: an object expected"},
        {"[]", "line 1, column 1: an object expected"},
        {"{\"model\":{\"vocab\":{\"a\":0,}}}", "a key expected"},
        {"{\"model\":{\"vocab\":{\"a\":0}}", "line 1, column 27: ',' or '}' expected"},
        {"{\"model\":{\"vocab\":{\"a\":01}}}", "a value expected"},
        {"{\"model\":{\"vocab\":{\"a\":1.5}}}", "1.5: must be an integer"},
        {"{\"model\":{\"vocab\":{\"a\":-1}}}", "-1: must be an integer"},
        {"{\"model\":{\"vocab\":{\"\\ud800\":1}}}", "a wrong escape in a string"},
        {"{\"model\":{\"vocab\":{\"a\nb\":1}}}", "a control character in a string"},
        {"{\"model\":{\"vocab\":{\"a", "a string has no end"},
        {"{\"model\":{\"vocab\":{\"\xff\":1}}}", "line 1, column 21: not UTF-8"},
        {"{\"a\":nul}", "a value expected"},
        {"{} x", "line 1, column 4: the end of the file expected"},
        {"{}", "model is missing"},
        {"{\"model\":{},\"model\":{}}", "a second model"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refused(bad[i].text, QL_E_FORMAT, bad[i].part);
    ql_buf deep = {0};
    ql_buf_append_str(&deep, "{\"x\":");
    for (int i = 0; i < 100000; i++)
        ql_buf_append_byte(&deep, '[');
    refused(deep.data, QL_E_FORMAT, "nested deeper than 128");
    ql_buf_free(&deep);
}

static void wrong_tables_are_told(void **state)
{
    (void)state;
    refused(bpe("", "\"vocab\":{\"ab\":0,\"cd\":1},\"merges\":[\"ab cd\"]"), QL_E_FORMAT,
            "merges[0] \"ab cd\": \"abcd\" is not in the vocabulary");
    refused(bpe("", "\"vocab\":{\"a\":0},\"merges\":[[\"a\",\"x\"]]"), QL_E_FORMAT,
            "merges[0] \"a x\": \"x\" is not in the vocabulary");
    refused(bpe("", "\"vocab\":{\"a\":0},\"merges\":[\"a b c\"]"), QL_E_FORMAT, "must be two pieces and one space");
    refused(bpe("", "\"vocab\":{\"a\":0},\"merges\":[[\"a\"]]"), QL_E_FORMAT, "an array of two expected");
    refused(bpe("", "\"vocab\":{\"a\":0,\"b\":0},\"merges\":[]"), QL_E_FORMAT, "model.vocab: id 0 used by \"a\" and \"b\"");
    refused(bpe("", "\"vocab\":{\"a\":4000000000},\"merges\":[]"), QL_E_FORMAT, "4000000000: must be an integer from 0 to");
    refused(bpe("", "\"vocab\":{\"a\":9000000},\"merges\":[]"), QL_E_FORMAT, "id 9000000 of \"a\": must be below");
    refused(bpe("", "\"vocab\":{\"a\":0,\"a\":1},\"merges\":[]"), QL_E_FORMAT, "ids 0 and 1 are both \"a\"");
    refused(bpe("", "\"vocab\":{},\"merges\":[]"), QL_E_FORMAT, "model.vocab");
    refused(bpe("", "\"vocab\":{\"a\":0}"), QL_E_FORMAT, "model.merges is missing");
    refused(bpe("", "\"vocab\":[[\"a\",0.5]],\"merges\":[]"), QL_E_FORMAT, "model.vocab of BPE must be an object");
    refused(bpe("", AB ",\"continuing_subword_prefix\":\"##\""), QL_E_FORMAT,
            "merges[0] \"a b\": \"b\" is shorter than continuing_subword_prefix");
    refused("{\"model\":{\"type\":\"Unigram\",\"unk_id\":5,\"vocab\":[[\"a\",-1.0]]}}", QL_E_FORMAT, "unk_id 5 is no token");
    refused("{\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"a\",\"x\"]]}}", QL_E_FORMAT, "a value expected");
    refused("{\"model\":{\"type\":\"Quantum\",\"vocab\":{\"a\":0}}}", QL_E_UNSUPPORTED, "model \"Quantum\" is not known");
    refused(bpe("", AB ",\"dropout\":0.1"), QL_E_UNSUPPORTED, "dropout 0.1 is not supported");
    refused(bpe("\"added_tokens\":[{\"id\":2,\"content\":\"<x>\"}],", AB), QL_E_FORMAT,
            "added_tokens[0]: single_word is missing");
    refused(bpe("\"added_tokens\":[{\"id\":7,\"content\":\"<x>\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,"
                "\"normalized\":false,\"special\":true}],", "\"vocab\":{\"a\":0,\"b\":2},\"merges\":[]"),
            QL_E_FORMAT, "\"<x>\" gets id 2, which model.vocab gives to \"b\"");
}

static void unknown_components_are_refused_by_name(void **state)
{
    (void)state;
    static const struct { const char *more, *part; ql_code code; } bad[] = {
        {"\"normalizer\":{\"type\":\"Rot13\"},", "normalizer: \"Rot13\" is not known", QL_E_UNSUPPORTED},
        {"\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFC\"},{\"type\":\"X\"}]},", "\"X\" is not known",
         QL_E_UNSUPPORTED},
        {"\"normalizer\":{\"strip_left\":true},", "a component without a type", QL_E_UNSUPPORTED},
        {"\"normalizer\":{\"type\":\"Strip\",\"strip_left\":3},", "Strip: strip_left must be true or false, is an integer",
         QL_E_FORMAT},
        {"\"normalizer\":{\"type\":\"Prepend\"},", "Prepend: prepend is missing", QL_E_FORMAT},
        {"\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"!\"},", "is not base64", QL_E_FORMAT},
        {"\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"////////\"},", "precompiled_charsmap: a table",
         QL_E_FORMAT},
        {"\"pre_tokenizer\":{\"type\":\"Cutter\"},", "pre_tokenizer: \"Cutter\" is not known", QL_E_UNSUPPORTED},
        {"\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"a\"},\"behavior\":\"Odd\",\"invert\":false},",
         "Split: behavior \"Odd\" is not known", QL_E_UNSUPPORTED},
        {"\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Glob\":\"a\"},\"behavior\":\"Removed\",\"invert\":false},",
         "pattern must be", QL_E_UNSUPPORTED},
        {"\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"ab\"},", "replacement must be one character, has 2",
         QL_E_FORMAT},
        {"\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"_\",\"prepend_scheme\":\"last\"},",
         "prepend_scheme \"last\" is not known", QL_E_UNSUPPORTED},
        {"\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(a\"},\"behavior\":\"Removed\",\"invert\":false},",
         "the pattern \"(a\" can not be compiled by PCRE2", QL_E_UNSUPPORTED},
        {"\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"\\\\p{Klingon}\"},\"behavior\":\"Removed\","
         "\"invert\":false},", "the pattern \"\\p{Klingon}\" can not be compiled by PCRE2", QL_E_UNSUPPORTED},
        {"\"decoder\":{\"type\":\"Morse\"},", "decoder: \"Morse\" is not known", QL_E_UNSUPPORTED},
        {"\"decoder\":{\"type\":\"Strip\",\"content\":\"ab\",\"start\":0,\"stop\":0},", "content must be one character", QL_E_FORMAT},
        {"\"post_processor\":{\"type\":\"Stamp\"},", "post_processor: \"Stamp\" is not known", QL_E_UNSUPPORTED},
        {"\"post_processor\":{\"type\":\"BertProcessing\",\"cls\":[\"a\",0],\"sep\":[\"b\",9]},", "a special token's id",
         QL_E_FORMAT},
        {"\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"Sequence\":{\"id\":\"A\"}},{\"Sequence\":{\"id\":\"A\"}}"
         "]},", "single[1] must be a special token or the text, once", QL_E_UNSUPPORTED},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refused(bpe(bad[i].more, AB), bad[i].code, bad[i].part);
}

// A pattern that backtracks for ever is stopped and told when it does, not before.
static void match_limits_are_told(void **state)
{
    (void)state;
    ql_tokenizer *t = accepted(bpe("\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(a+)+$\"},\"behavior\":\"Isolated\","
                                   "\"invert\":false},", AB));
    expect(t, "aab", 0, "0,2");
    ql_ids ids = {0};
    ql_error err = {0};
    char text[64];
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = 'b';
    assert_int_equal(ql_tokenizer_encode(t, text, sizeof text, NULL, 0, &ids, &err), QL_E_UNSUPPORTED);
    assert_string_equal(err.message, "the pattern \"(a+)+$\" passes its match limit at byte 0 of the text");
    assert_int_equal(ids.n, 0);
    ql_ids_free(&ids);
    ql_tokenizer_close(t);
}

// ---- what parts do ----

static void missing_tokens(void **state)
{
    (void)state;
    ql_tokenizer *t = accepted(bpe("", AB)); // no unknown token: left out, and what is beside it meets
    expect(t, "axb", 0, "2");
    expect(t, "axa", 0, "0,0");
    ql_tokenizer_close(t);
    t = accepted(bpe("", AB ",\"unk_token\":\"b\""));
    expect(t, "axya", 0, "2,1,0");
    ql_tokenizer_close(t);
    t = accepted(bpe("", AB ",\"unk_token\":\"b\",\"fuse_unk\":true"));
    expect(t, "axya", 0, "2,0");
    ql_tokenizer_close(t);
    t = accepted("{\"model\":{\"type\":\"WordLevel\",\"unk_token\":\"?\",\"vocab\":{\"a\":0}}}");
    ql_ids ids = {0};
    ql_error err = {0};
    assert_int_equal(ql_tokenizer_encode(t, "b", 1, NULL, 0, &ids, &err), QL_E_ARGUMENT);
    assert_string_equal(err.message, "the vocabulary has no token for \"b\", and no unknown token");
    ql_tokenizer_close(t);
}

static void nul_and_holes_in_a_vocabulary(void **state)
{
    (void)state;
    ql_tokenizer *t = accepted(bpe("", "\"vocab\":{\"\\u0000\":0,\"a\":3},\"merges\":[]"));
    ql_ids ids = {0};
    assert_int_equal(ql_tokenizer_encode(t, "a\0a", 3, NULL, 0, &ids, NULL), QL_OK);
    assert_int_equal(ids.n, 3);
    assert_int_equal(ids.data[1], 0);
    assert_int_equal(ql_tokenizer_n_vocab(t), 4);
    decodes(t, (int32_t[]){3, 2, 3}, 3, "a a"); // no decoder: spaces between; no token: nothing
    ql_ids_free(&ids);
    ql_tokenizer_close(t);
}

#define ADDED(id, text, flags) "{\"id\":" #id ",\"content\":\"" text "\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false," flags "}"

static void what_a_post_processor_adds_is_not_doubled(void **state)
{
    (void)state;
    ql_tokenizer *t = accepted(bpe(
        "\"added_tokens\":[" ADDED(3, "<s>", "\"normalized\":false,\"special\":true") "," ADDED(4, "</s>",
        "\"normalized\":false,\"special\":true") "],\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":"
        "{\"id\":\"<s>\",\"type_id\":0}},{\"Sequence\":{\"id\":\"A\",\"type_id\":0}},{\"SpecialToken\":{\"id\":\"</s>\",\"type_id\":0}}],"
        "\"pair\":[],\"special_tokens\":{\"<s>\":{\"id\":\"<s>\",\"ids\":[3],\"tokens\":[\"<s>\"]},\"</s>\":{\"id\":\"</s>\",\"ids\":[4],"
        "\"tokens\":[\"</s>\"]}}},", AB));
    unsigned both = QL_ADD_SPECIAL | QL_PARSE_SPECIAL;
    expect(t, "ab", both, "3,2,4");
    expect(t, "<s>ab", both, "3,2,4");
    expect(t, "<s>ab</s>", both, "3,2,4");
    expect(t, "<s><s>ab", both, "3,3,2,4");
    expect(t, "", both, "3,4");
    expect(t, "ab", QL_PARSE_SPECIAL, "2");
    expect(t, "b<s>a", 0, "1,0"); // not parsed: text, for which there are no tokens
    ql_tokenizer_close(t);
}

// Normalizing keeps it in view who wrote what: a message does not make a control token of a normalized one.
static void origins_survive_normalizing(void **state)
{
    (void)state;
    ql_tokenizer *t = accepted(bpe(
        "\"added_tokens\":[" ADDED(3, "<C\xcc\xa7>", "\"normalized\":true,\"special\":true") "],\"normalizer\":{\"type\":\"Sequence\","
        "\"normalizers\":[{\"type\":\"NFC\"},{\"type\":\"Lowercase\"},{\"type\":\"Replace\",\"pattern\":{\"String\":\"bb\"},\"content\":\"b\"}"
        "]},", AB));
    static const struct { const char *text, *origin, *ids; } cases[] = {
        {"bb<C\xcc\xa7>A", "00" "00000" "0", "1,3,0"}, {"bb<C\xcc\xa7>A", "11" "00000" "1", "1,3,0"},
        {"bb<C\xcc\xa7>A", "00" "00010" "0", "1,0"}, {"bb<C\xcc\xa7>A", "00" "10000" "0", "1,0"},
        {"bb<C\xcc\xa7>A", "00" "00001" "0", "1,0"}, {"bb<\xc3\x87>A", "00" "0000" "1", "1,3,0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t origin[16];
        ql_ids ids = {0};
        ql_buf got = {0};
        for (size_t k = 0; k < strlen(cases[i].text); k++)
            origin[k] = cases[i].origin[k] == '1';
        assert_int_equal(ql_tokenizer_encode(t, cases[i].text, strlen(cases[i].text), origin, QL_PARSE_SPECIAL, &ids, NULL), QL_OK);
        for (size_t k = 0; k < ids.n; k++)
            ql_buf_printf(&got, "%s%d", k ? "," : "", ids.data[k]);
        assert_string_equal(got.data, cases[i].ids);
        ql_buf_free(&got);
        ql_ids_free(&ids);
    }
    ql_tokenizer_close(t);
}

// Special tokens that only tokenizer_config.json names are found in texts, as transformers has it; add_bos_token is not
// acted on where there is a tokenizer.json, as there.
static void the_config_names_special_tokens(void **state)
{
    (void)state;
    folder_empty();
    folder_put_str("tokenizer.json", bpe("", AB));
    folder_put_str("tokenizer_config.json", "{\"eos_token\":{\"content\":\"ab\"},\"bos_token\":\"a\",\"add_bos_token\":true,"
                   "\"pad_token\":\"<none>\",\"model_max_length\":1000000000000000019884624838656}");
    folder_put_str("generation_config.json", "{\"eos_token_id\":[1,2]}");
    ql_error err = {0};
    ql_tokenizer *t = ql_tokenizer_open(folder_path("tokenizer.json"), &err);
    if (!t)
        fail_msg("%s", err.message);
    ql_vocab_info info;
    ql_tokenizer_get_info(t, &info);
    assert_int_equal(info.eos_id, 2);
    assert_int_equal(info.bos_id, 0);
    assert_int_equal(info.pad_id, -1);
    assert_int_equal(info.n_vocab, 3);
    expect(t, "abb", QL_PARSE_SPECIAL | QL_ADD_SPECIAL, "2,1");
    expect(t, "abb", 0, "2,1"); // without it the letters merge to the same
    assert_true(ql_tokenizer_is_eog(t, 1) && ql_tokenizer_is_eog(t, 2) && !ql_tokenizer_is_eog(t, 0));
    ql_buf out = {0};
    assert_int_equal(ql_tokenizer_decode(t, (int32_t[]){0, 1, 2}, 3, QL_SKIP_SPECIAL, &out, NULL), QL_OK);
    assert_string_equal(out.data, "b");
    ql_buf_free(&out);
    ql_tokenizer_close(t);
}

// ---- bytes that are not UTF-8 ----

static const char *byte_fallback(void)
{
    static char text[1 << 16];
    ql_buf b = {0};
    ql_buf_append_str(&b, "\"vocab\":{\"<unk>\":0");
    for (int i = 0; i < 256; i++)
        ql_buf_printf(&b, ",\"<0x%02X>\":%d", (unsigned)i, i + 1);
    ql_buf_append_str(&b, ",\"_\":257,\"a\":258,\"_a\":259},\"merges\":[\"_ a\"],\"unk_token\":\"<unk>\",\"byte_fallback\":true");
    snprintf(text, sizeof text, "%s", b.data);
    ql_buf_free(&b);
    return text;
}

#define LLAMA "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Prepend\",\"prepend\":\"_\"},{\"type\":\"Replace\"," \
    "\"pattern\":{\"String\":\" \"},\"content\":\"_\"}]},\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\",\"pattern\":"  \
    "{\"String\":\"_\"},\"content\":\" \"},{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"},{\"type\":\"Strip\",\"content\":\" \",\"start\":1,"  \
    "\"stop\":0}]},"

static void bad_bytes_are_told_apart_from_text(void **state)
{
    (void)state;
    ql_tokenizer *t = accepted(bpe(LLAMA, byte_fallback()));
    expect(t, "a\xff" "a", 0, "259,256,258"); // no second space in front
    expect(t, "\xe2\x82" "a", 0, "227,131,258");
    ql_tokenizer_close(t);
    t = accepted(bpe("", "\"vocab\":{\"\xef\xbf\xbd\":0,\"a\":1},\"merges\":[]"));
    expect(t, "a\xff\xe2\x82" "a", 0, "1,0,0,1");
    ql_tokenizer_close(t);
}

// ---- streaming ----

// What comes token by token, behind `first` tokens that have been shown, is the whole less their text.
static void streams(const ql_tokenizer *t, const int32_t *ids, size_t n, size_t first, bool exact)
{
    ql_buf whole = {0}, shown = {0}, pieces = {0};
    ql_detokenizer *d = NULL;
    assert_int_equal(ql_tokenizer_decode(t, ids, n, 0, &whole, NULL), QL_OK);
    assert_int_equal(ql_tokenizer_decode(t, ids, first, 0, &shown, NULL), QL_OK);
    assert_int_equal(ql_detokenizer_new(t, false, &d, NULL), QL_OK);
    assert_int_equal(ql_detokenizer_prime(d, ids, first, NULL), QL_OK);
    for (size_t i = first; i < n; i++) {
        size_t before = pieces.len;
        assert_int_equal(ql_detokenizer_push(d, ids[i], &pieces, NULL), QL_OK);
        for (size_t at = before, used; at < pieces.len; at += used) { // whole characters only
            uint32_t cp;
            int size = ql_utf8_decode(pieces.data + at, pieces.len - at, &cp);
            assert_true(size > 0);
            used = (size_t)size;
        }
    }
    assert_int_equal(ql_detokenizer_finish(d, &pieces, NULL), QL_OK);
    if (exact || (whole.len >= shown.len && (shown.len == 0 || memcmp(whole.data, shown.data, shown.len) == 0))) {
        if (pieces.len != whole.len - shown.len)
            fail_msg("\"%s\" and then \"%s\" is not \"%s\"", shown.data ? shown.data : "", pieces.data ? pieces.data : "",
                     whole.data ? whole.data : "");
        assert_memory_equal(pieces.data ? pieces.data : "", (whole.data ? whole.data : "") + shown.len, pieces.len);
    }
    ql_detokenizer_free(d);
    ql_buf_free(&whole);
    ql_buf_free(&shown);
    ql_buf_free(&pieces);
}

#define WORDS "\"vocab\":{\"a\":0,\"##b\":1,\"c</w>\":2,\"<pad>\":3,\"|\":4,\".\":5,\"n't\":6,\"_\":7,\"_x_\":8,\"\\u0120y\":9,\"\\u00e2\":10," \
    "\"\\u0124\":11,\"\\u00a2\":12,\"<0xE2>\":13,\"<0x82>\":14,\"<0xAC>\":15,\"\":16,\"<0x0A>\":17},\"merges\":[]"

static void every_decoder_streams_what_it_gives(void **state)
{
    (void)state;
    static const char *const chains[] = {
        "", "\"decoder\":{\"type\":\"ByteLevel\"},", "\"decoder\":{\"type\":\"WordPiece\",\"prefix\":\"##\",\"cleanup\":true},",
        "\"decoder\":{\"type\":\"Metaspace\",\"replacement\":\"_\",\"prepend_scheme\":\"always\"},",
        "\"decoder\":{\"type\":\"BPEDecoder\",\"suffix\":\"</w>\"},",
        "\"decoder\":{\"type\":\"CTC\",\"pad_token\":\"<pad>\",\"word_delimiter_token\":\"|\",\"cleanup\":true},",
        "\"decoder\":{\"type\":\"ByteFallback\"},",
        "\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"},{\"type\":\"Strip\",\"content\":\"_\","
        "\"start\":1,\"stop\":2}]},",
        "\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Fuse\"},{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"a.\"},\"content\":"
        "\"!\"}]},",
        "\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Strip\",\"content\":\"_\",\"start\":1,\"stop\":1},{\"type\":\"ByteLevel\"},"
        "{\"type\":\"Metaspace\",\"replacement\":\"x\",\"prepend_scheme\":\"never\"}]},",
    };
    for (size_t c = 0; c < sizeof chains / sizeof *chains; c++) {
        ql_tokenizer *t = accepted(bpe(chains[c], WORDS));
        for (uint64_t round = 0; round < 400; round++) {
            int32_t ids[8];
            size_t n = ql_mix64(round) % 9;
            for (size_t i = 0; i < n; i++)
                ids[i] = (int32_t)(ql_mix64(round * 100 + i + 7) % 18);
            streams(t, ids, n, 0, true);
            streams(t, ids, n, n / 2, false);
        }
        ql_tokenizer_close(t);
    }
}

static void the_first_space_of_a_continuation_is_kept(void **state)
{
    (void)state;
    ql_tokenizer *t = accepted(bpe(LLAMA, byte_fallback()));
    decodes(t, (int32_t[]){259, 259}, 2, "a a");
    streams(t, (int32_t[]){259, 259, 257, 258}, 4, 1, true);
    streams(t, (int32_t[]){259, 227, 131, 173, 258}, 5, 1, true);
    streams(t, (int32_t[]){227, 131, 258, 258}, 4, 2, true); // what was shown as U+FFFD is not shown again
    streams(t, (int32_t[]){227, 131, 259, 258}, 4, 2, true); // and was the text's beginning
    ql_tokenizer_close(t);
}

// Behind a prompt, with decoders that see the text as a whole.
static void goes_on(const char *decoder, const char *vocab, const int32_t *ids, size_t n, size_t first, const char *expected)
{
    ql_tokenizer *t = accepted(bpe(decoder, vocab));
    ql_buf text = {0};
    ql_detokenizer *d = NULL;
    assert_int_equal(ql_detokenizer_new(t, false, &d, NULL), QL_OK);
    assert_int_equal(ql_detokenizer_prime(d, ids, first, NULL), QL_OK);
    for (size_t i = first; i < n; i++)
        assert_int_equal(ql_detokenizer_push(d, ids[i], &text, NULL), QL_OK);
    assert_int_equal(ql_detokenizer_finish(d, &text, NULL), QL_OK);
    assert_string_equal(text.data ? text.data : "", expected);
    ql_detokenizer_free(d);
    ql_buf_free(&text);
    ql_tokenizer_close(t);
}

static void a_pattern_over_the_whole_text_goes_on_behind_a_prompt(void **state)
{
    (void)state;
#define OVER_ALL(pattern, content) "\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"}," \
    "{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"" pattern "\"},\"content\":\"" content "\"}]},"
    static const char vocab[] = "\"vocab\":{\"a\":0,\"b\":1,\" \":2,\"<0xF0>\":3,\"<0x9F>\":4,\"<0x98>\":5,\"<0x80>\":6},\"merges\":[]";
    goes_on(OVER_ALL(" +", " "), vocab, (int32_t[]){0, 2, 2, 1, 2, 2, 0}, 7, 3, "b a"); // decode(prompt) is "a "
    goes_on(OVER_ALL(" +", " "), vocab, (int32_t[]){0, 2, 2, 2, 1}, 5, 3, "b");         // the run goes on
    goes_on(OVER_ALL("^ ", ""), vocab, (int32_t[]){2, 0, 2, 1}, 4, 1, "a b");           // decode(prompt) is empty
    goes_on(OVER_ALL("ab", "!"), vocab, (int32_t[]){1, 0, 1, 0}, 4, 2, "!a");           // its end changes: "ba", then "b!a"
    goes_on(OVER_ALL("x", "x"), vocab, (int32_t[]){0, 3, 4, 5, 6, 1}, 6, 2, "\xf0\x9f\x98\x80" "b"); // U+FFFD, then a character
}

// ---- storing ----

static void a_stored_tokenizer_is_the_same(void **state)
{
    (void)state;
    folder_empty();
    folder_put_str("tokenizer.json", bpe("\"added_tokens\":[" ADDED(260, "<s>", "\"normalized\":false,\"special\":true") "]," LLAMA,
                                         byte_fallback()));
    ql_error err = {0};
    ql_source *source;
    ql_tokenizer *t, *u;
    ql_buf bytes = {0};
    assert_int_equal(ql_source_open(folder_path("tokenizer.json"), &source, &err), QL_OK);
    assert_int_equal(ql_tokenizer_load(source, &t, &err), QL_OK);
    assert_int_equal(ql_tokenizer_store(t, &bytes, &err), QL_OK);
    char *moved = malloc(bytes.len + 1); // at no aligned place
    memcpy(moved + 1, bytes.data, bytes.len);
    if (ql_tokenizer_load_stored(source, moved + 1, bytes.len, &u, &err) != QL_OK)
        fail_msg("%s", err.message);
    static const char *const texts[] = {"a a", "<s>a", "\xff", "\xe6\x97\xa5 a", ""};
    for (size_t i = 0; i < 5; i++) {
        ql_ids a = {0}, b = {0};
        assert_int_equal(ql_tokenizer_encode(t, texts[i], strlen(texts[i]), NULL, QL_PARSE_SPECIAL, &a, NULL), QL_OK);
        assert_int_equal(ql_tokenizer_encode(u, texts[i], strlen(texts[i]), NULL, QL_PARSE_SPECIAL, &b, NULL), QL_OK);
        assert_int_equal(a.n, b.n);
        if (a.n)
            assert_memory_equal(a.data, b.data, a.n * sizeof *a.data);
        ql_ids_free(&a);
        ql_ids_free(&b);
    }
    assert_int_equal(ql_tokenizer_store(u, &bytes, &err), QL_E_UNSUPPORTED);
    ql_tokenizer_free(u);
    for (size_t at = 0; at < bytes.len; at += at < 300 ? 1 : 97) { // any wrong byte is noticed
        moved[1 + at] ^= 4;
        assert_int_equal(ql_tokenizer_load_stored(source, moved + 1, bytes.len, &u, &err), QL_E_FORMAT);
        moved[1 + at] ^= 4;
    }
    for (size_t n = 0; n < bytes.len; n += n < 300 ? 1 : 97)
        assert_int_equal(ql_tokenizer_load_stored(source, moved + 1, n, &u, &err), QL_E_FORMAT);
    free(moved);
    ql_buf_free(&bytes);
    ql_tokenizer_free(t);
    ql_source_close(source);
}

// ---- numbers ----

// serde_json's, bit for bit (json.loads of tokenizer.json in Rust): the third is one off the nearest double.
static void numbers_are_the_librarys(void **state)
{
    (void)state;
    static const struct { const char *text; double value; } cases[] = {
        {"-4", -4}, {"0.5", 0.5}, {"-8.103727340698242", -8103727340698242.0 / 1e15}, {"1e3", 1000}, {"12.5E-1", 1.25},
        {"-17.234567890123456789", -17234567890123456789.0 / 1e18}, {"123456789012345678901234", 12345678901234567890.0 * 1e4},
        {"1e-400", 0}, {"0e999999999999", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ql_scan scan;
        double value = 7;
        assert_int_equal(ql_scan_begin(&scan, cases[i].text, strlen(cases[i].text), NULL), QL_OK);
        assert_int_equal(ql_scan_number(&scan, &value), QL_OK);
        assert_true(value == cases[i].value);
    }
    refused("{\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"a\",1e400]]}}", QL_E_FORMAT, "a number out of range");
}

// ---- patterns ----

static void patterns_are_translated(void **state)
{
    (void)state;
    static const struct { const char *from, *to; } cases[] = {
        {"a{1,3}+", "(?:a{1,3})+"}, {"a{2}?", "(?:a{2})?"}, {"a{1,2}?", "a{1,2}?"}, {"a{,2}", "a{0,2}"}, {"a{x", "a{x"},
        {"\\s", "[\\p{White_Space}]"}, {"[^\\s\\S]", "[^\\p{White_Space}\\P{White_Space}]"}, {"\\h", "[0-9A-Fa-f]"},
        {"\\p{Han}", "[\\p{sc:han}]"}, {"\\p{^Lu}", "[^\\p{Lu}]"}, {"[\\P{L}x]", "[\\P{L}x]"}, {"\\p{Letter}", "[\\p{L}]"},
        {"[a&&[^b]]", "(?:(?=[a])(?:[^b]))"}, {"[a[^b]c]", "(?:[ac]|[^b])"}, {"[^a&&b]", "(?:(?!(?=[a])[b])(?s:.))"},
        {"(?m:.)", "(?s:.)"}, {"x(?i)y|z", "x(?i:y|z)"}, {"\\u00e9", "\\x{00e9}"}, {"[]a]", "[\\]a]"}, {"(?<n>a)", "(?<n>a)"},
        {"a++b*+c?+", "a++b*+c?+"}, {"[[:punct:]]", "[\\p{P}\\p{S}]"}, {"(?#note)a", "a"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ql_buf out = {0};
        ql_error err = {0};
        if (ql_regex_translate(cases[i].from, strlen(cases[i].from), &out, &err) != QL_OK)
            fail_msg("%s: %s", cases[i].from, err.message);
        assert_string_equal(out.data ? out.data : "", cases[i].to);
        ql_buf_free(&out);
    }
    static const char *const bad[] = {"[a", "(a", "a)", "\\", "[a&&]", "(?x)a", "(*SKIP)", "\\p", "\\p{", "(?~a)", "\\u12", NULL};
    for (size_t i = 0; bad[i]; i++) {
        ql_regex *regex;
        ql_error err = {0};
        assert_int_equal(ql_regex_new(bad[i], strlen(bad[i]), &regex, &err), QL_E_UNSUPPORTED);
        assert_non_null(strstr(err.message, "can not be compiled by PCRE2: "));
    }
    ql_buf deep = {0};
    for (int i = 0; i < 100000; i++)
        ql_buf_append_byte(&deep, i % 2 ? '[' : '(');
    ql_regex *regex;
    assert_int_equal(ql_regex_new(deep.data, 60000, &regex, NULL), QL_E_UNSUPPORTED);
    assert_int_equal(ql_regex_new(deep.data, deep.len, &regex, NULL), QL_E_UNSUPPORTED);
    ql_buf_free(&deep);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broken_json_is_told_with_line_and_column),
        cmocka_unit_test(wrong_tables_are_told),
        cmocka_unit_test(unknown_components_are_refused_by_name),
        cmocka_unit_test(match_limits_are_told),
        cmocka_unit_test(missing_tokens),
        cmocka_unit_test(nul_and_holes_in_a_vocabulary),
        cmocka_unit_test(what_a_post_processor_adds_is_not_doubled),
        cmocka_unit_test(origins_survive_normalizing),
        cmocka_unit_test(the_config_names_special_tokens),
        cmocka_unit_test(bad_bytes_are_told_apart_from_text),
        cmocka_unit_test(every_decoder_streams_what_it_gives),
        cmocka_unit_test(the_first_space_of_a_continuation_is_kept),
        cmocka_unit_test(a_pattern_over_the_whole_text_goes_on_behind_a_prompt),
        cmocka_unit_test(a_stored_tokenizer_is_the_same),
        cmocka_unit_test(numbers_are_the_librarys),
        cmocka_unit_test(patterns_are_translated),
    };
    return cmocka_run_group_tests_name("tokenizer_json", tests, folder_new, folder_remove);
}
