// SPDX-License-Identifier: MIT
// Owns the reading of tokenizer.json's normalizers and pre-tokenizers into steps. Must not know what the steps do. A
// component or value that is not known is refused by name: a guess would give wrong ids without a word.
#include <stdlib.h>
#include <string.h>

#include "text/tokenizer_json.h"

static bool is(const char *type, const char *name) { return strcmp(type, name) == 0; }

// ---- normalizers ----

static ql_code add_step(ql_normalizer *n, ql_norm_kind kind, ql_norm_step **step, ql_error *err)
{
    *step = ql_normalizer_add(n, kind);
    return *step ? QL_OK : ql_json_too_many(err, QL_NORM_MAX);
}

static ql_code bert_normalizer(const json_t *object, ql_normalizer *n, ql_error *err)
{
    bool clean = false, cjk = false, lowercase = false, accents;
    ql_norm_step *step;
    QL_TRY(ql_json_bool(object, "clean_text", true, &clean, err));
    QL_TRY(ql_json_bool(object, "handle_chinese_chars", true, &cjk, err));
    QL_TRY(ql_json_bool(object, "lowercase", true, &lowercase, err));
    accents = lowercase;
    QL_TRY(ql_json_bool(object, "strip_accents", false, &accents, err));
    if (clean)
        QL_TRY(add_step(n, QL_NORM_CLEAN, &step, err));
    if (cjk)
        QL_TRY(add_step(n, QL_NORM_SPACE_CJK, &step, err));
    if (accents) {
        QL_TRY(add_step(n, QL_NORM_NFD, &step, err));
        QL_TRY(add_step(n, QL_NORM_STRIP_NONSPACING, &step, err));
    }
    return lowercase ? add_step(n, QL_NORM_LOWER, &step, err) : QL_OK;
}

static ql_code replace_normalizer(const json_t *object, ql_normalizer *n, ql_error *err)
{
    ql_norm_step *step;
    ql_str pattern = {0}, content = {0};
    bool regex;
    QL_TRY(add_step(n, QL_NORM_REPLACE, &step, err));
    QL_TRY(ql_json_pattern(object, &pattern, &regex, err));
    QL_TRY(ql_json_str(object, "content", true, &content, err));
    QL_TRY(ql_norm_set(&step->b, &step->b_len, content.data, content.len, err));
    if (regex)
        return ql_regex_new(pattern.data, pattern.len, &step->regex, err);
    return ql_norm_set(&step->a, &step->a_len, pattern.data, pattern.len, err);
}

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    return c >= '0' && c <= '9' ? c - '0' + 52 : c == '+' ? 62 : c == '/' ? 63 : -1;
}

static ql_code read_base64(ql_str text, ql_buf *out, ql_error *err)
{
    uint32_t bits = 0;
    int n = 0;
    while (text.len && text.data[text.len - 1] == '=')
        text.len--;
    for (size_t i = 0; i < text.len; i++) {
        int digit = base64_digit(text.data[i]);
        if (digit < 0)
            return ql_fail(err, QL_E_FORMAT, "precompiled_charsmap is not base64 at character %zu", i);
        bits = bits << 6 | (uint32_t)digit;
        n += 6;
        if (n >= 8)
            ql_buf_append_byte(out, (char)(bits >> (n -= 8)));
    }
    return out->failed ? ql_fail_memory(err, text.len) : QL_OK;
}

static ql_code precompiled(const json_t *object, ql_normalizer *n, ql_error *err)
{
    ql_norm_step *step;
    ql_str text = {0};
    ql_buf data = {0};
    QL_TRY(add_step(n, QL_NORM_CHARSMAP, &step, err));
    QL_TRY(ql_json_str(object, "precompiled_charsmap", true, &text, err));
    ql_code code = read_base64(text, &data, err);
    if (code == QL_OK)
        code = ql_charsmap_new((const uint8_t *)data.data, data.len, &step->map, err);
    ql_buf_free(&data);
    return code;
}

static ql_code read_normalizer(const json_t *object, void *out, ql_error *err)
{
    static const struct { const char *name; ql_norm_kind kind; } plain[] = {
        {"NFC", QL_NORM_NFC}, {"NFD", QL_NORM_NFD}, {"NFKC", QL_NORM_NFKC}, {"NFKD", QL_NORM_NFKD},
        {"Lowercase", QL_NORM_LOWER}, {"StripAccents", QL_NORM_STRIP_ACCENTS}, {"Nmt", QL_NORM_NMT},
        {"ByteLevel", QL_NORM_BYTES}};
    ql_normalizer *n = out;
    ql_norm_step *step;
    const char *type;
    QL_TRY(ql_json_type(object, &type, err));
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        if (is(type, plain[i].name))
            return add_step(n, plain[i].kind, &step, err);
    ql_code code;
    if (is(type, "Sequence"))
        return ql_json_list(object, "normalizers", read_normalizer, n, err);
    if (is(type, "Strip")) {
        QL_TRY(add_step(n, QL_NORM_STRIP, &step, err));
        code = ql_json_bool(object, "strip_left", true, &step->left, err);
        if (code == QL_OK)
            code = ql_json_bool(object, "strip_right", true, &step->right, err);
    } else if (is(type, "Prepend")) {
        ql_str text = {0};
        QL_TRY(add_step(n, QL_NORM_PREPEND, &step, err));
        code = ql_json_str(object, "prepend", true, &text, err);
        if (code == QL_OK)
            code = ql_norm_set(&step->a, &step->a_len, text.data, text.len, err);
    } else if (is(type, "Replace")) {
        code = replace_normalizer(object, n, err);
    } else if (is(type, "BertNormalizer")) {
        code = bert_normalizer(object, n, err);
    } else if (is(type, "Precompiled")) {
        code = precompiled(object, n, err);
    } else {
        return ql_fail(err, QL_E_UNSUPPORTED, "\"%s\" is not known", type);
    }
    return code == QL_OK ? QL_OK : ql_fail_prefix(err, code, "%s", type);
}

ql_code ql_json_normalizer(const json_t *object, ql_normalizer *normalizer, ql_error *err)
{
    return !object || json_is_null(object) ? QL_OK : read_normalizer(object, normalizer, err);
}

// ---- pre-tokenizers ----

static ql_code add_pre(ql_pretokenizer *pre, ql_pre_kind kind, ql_pre_step **step, ql_error *err)
{
    *step = ql_pretokenizer_add(pre, kind);
    return *step ? QL_OK : ql_json_too_many(err, QL_PRE_MAX);
}

static ql_code add_literal(ql_pretokenizer *pre, ql_pre_kind kind, ql_str text, ql_pre_step **step, ql_error *err)
{
    QL_TRY(add_pre(pre, kind, step, err));
    return ql_norm_set(&(*step)->text, &(*step)->text_len, text.data, text.len, err);
}

static ql_code add_pattern(ql_pretokenizer *pre, const char *pattern, ql_pre_behavior behavior, bool invert, ql_error *err)
{
    return ql_pretokenizer_add_split(pre, pattern, strlen(pattern), behavior, invert, err);
}

static ql_code read_behavior(const json_t *object, bool required, ql_pre_behavior *out, ql_error *err)
{
    static const char *const names[] = {"Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"};
    ql_str name = {0};
    QL_TRY(ql_json_str(object, "behavior", required, &name, err));
    for (size_t i = 0; i < 5 && name.data; i++)
        if (is(name.data, names[i])) {
            *out = (ql_pre_behavior)i;
            return QL_OK;
        }
    return name.data ? ql_fail(err, QL_E_UNSUPPORTED, "behavior \"%s\" is not known", name.data) : QL_OK;
}

static ql_code split(const json_t *object, ql_pretokenizer *pre, ql_error *err)
{
    ql_str pattern = {0};
    ql_pre_behavior behavior = QL_PRE_REMOVED;
    ql_pre_step *step;
    bool regex, invert = false;
    QL_TRY(ql_json_pattern(object, &pattern, &regex, err));
    QL_TRY(read_behavior(object, true, &behavior, err));
    QL_TRY(ql_json_bool(object, "invert", true, &invert, err));
    if (regex)
        return ql_pretokenizer_add_split(pre, pattern.data, pattern.len, behavior, invert, err);
    QL_TRY(add_literal(pre, QL_PRE_SPLIT, pattern, &step, err));
    step->behavior = behavior;
    step->invert = invert;
    return QL_OK;
}

#define GPT2_WORDS "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

static ql_code byte_level(const json_t *object, ql_pretokenizer *pre, ql_error *err)
{
    bool space = false, trim = false, words = true;
    ql_pre_step *step;
    QL_TRY(ql_json_bool(object, "add_prefix_space", true, &space, err));
    QL_TRY(ql_json_bool(object, "trim_offsets", true, &trim, err));
    QL_TRY(ql_json_bool(object, "use_regex", false, &words, err));
    if (space)
        QL_TRY(add_pre(pre, QL_PRE_SPACE, &step, err));
    if (words)
        QL_TRY(add_pattern(pre, GPT2_WORDS, QL_PRE_ISOLATED, false, err));
    return add_pre(pre, QL_PRE_BYTES, &step, err);
}

static ql_code metaspace(const json_t *object, ql_pretokenizer *pre, ql_error *err)
{
    ql_str text = {0};
    ql_pre_scheme scheme;
    ql_pre_step *step;
    bool splits = true;
    QL_TRY(ql_json_char(object, "replacement", &text, err));
    QL_TRY(ql_json_scheme(object, &scheme, err));
    QL_TRY(ql_json_bool(object, "split", false, &splits, err));
    QL_TRY(add_literal(pre, QL_PRE_METASPACE, text, &step, err));
    step->scheme = scheme;
    if (!splits)
        return QL_OK;
    QL_TRY(add_literal(pre, QL_PRE_SPLIT, text, &step, err));
    step->behavior = QL_PRE_MERGED_WITH_NEXT;
    return QL_OK;
}

#define RUST_WORD "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}"
#define PUNCTUATION "[\\p{P}$+<=>^`|~]"

static ql_code simple_splits(const char *type, const json_t *object, ql_pretokenizer *pre, bool *known, ql_error *err)
{
    ql_pre_behavior behavior = QL_PRE_ISOLATED;
    bool individual = false;
    *known = true;
    if (is(type, "WhitespaceSplit"))
        return add_pattern(pre, "\\s", QL_PRE_REMOVED, false, err);
    if (is(type, "Whitespace"))
        return add_pattern(pre, "[" RUST_WORD "]+|[^\\s" RUST_WORD "]+", QL_PRE_REMOVED, true, err);
    if (is(type, "BertPreTokenizer")) {
        QL_TRY(add_pattern(pre, "\\s", QL_PRE_REMOVED, false, err));
        return add_pattern(pre, PUNCTUATION, QL_PRE_ISOLATED, false, err);
    }
    if (is(type, "Punctuation")) {
        QL_TRY(read_behavior(object, false, &behavior, err));
        return add_pattern(pre, PUNCTUATION, behavior, false, err);
    }
    if (is(type, "Digits")) {
        QL_TRY(ql_json_bool(object, "individual_digits", true, &individual, err));
        return add_pattern(pre, "\\p{N}", individual ? QL_PRE_ISOLATED : QL_PRE_CONTIGUOUS, false, err);
    }
    *known = false;
    return QL_OK;
}

static ql_code read_pretokenizer(const json_t *object, void *out, ql_error *err)
{
    ql_pretokenizer *pre = out;
    ql_pre_step *step;
    const char *type;
    bool known;
    QL_TRY(ql_json_type(object, &type, err));
    if (is(type, "Sequence"))
        return ql_json_list(object, "pretokenizers", read_pretokenizer, pre, err);
    ql_code code = simple_splits(type, object, pre, &known, err);
    if (known) {
    } else if (is(type, "Split")) {
        code = split(object, pre, err);
    } else if (is(type, "ByteLevel")) {
        code = byte_level(object, pre, err);
    } else if (is(type, "Metaspace")) {
        code = metaspace(object, pre, err);
    } else if (is(type, "CharDelimiterSplit")) {
        ql_str text = {0};
        code = ql_json_char(object, "delimiter", &text, err);
        if (code == QL_OK)
            code = add_literal(pre, QL_PRE_SPLIT, text, &step, err);
    } else if (is(type, "UnicodeScripts")) {
        code = add_pre(pre, QL_PRE_SCRIPTS, &step, err);
    } else if (is(type, "FixedLength")) {
        code = add_pre(pre, QL_PRE_FIXED, &step, err);
        if (code == QL_OK) {
            step->n = 5;
            code = ql_json_size(object, "length", false, &step->n, err);
        }
        if (code == QL_OK && step->n == 0)
            code = ql_fail(err, QL_E_FORMAT, "length must not be 0");
    } else {
        return ql_fail(err, QL_E_UNSUPPORTED, "\"%s\" is not known", type);
    }
    return code == QL_OK ? QL_OK : ql_fail_prefix(err, code, "%s", type);
}

ql_code ql_json_pretokenizer(const json_t *object, ql_pretokenizer *pre, ql_error *err)
{
    return !object || json_is_null(object) ? QL_OK : read_pretokenizer(object, pre, err);
}
