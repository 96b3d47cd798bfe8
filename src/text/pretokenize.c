// SPDX-License-Identifier: MIT
// Owns the cutting of text by regular expressions. Must not know tokens. Its decisions: PCRE2's JIT does the matching,
// with the patterns as published but for two translations from the publishers' engine (Oniguruma): \s is White_Space
// (PCRE2's own \s takes U+180E too), and \s+$, quadratic in a run of spaces that does not end the text, skips the run
// it has failed on. A piece is its own subject: lookahead must not see the next piece, as in the original.
#include "text/pretokenize.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>
#include <uninorm.h>

#define S "\\p{White_Space}"
#define NOT_S "\\P{White_Space}"
#define CONTRACTIONS "'s|'t|'re|'ve|'m|'ll|'d"
#define GPT2 CONTRACTIONS "| ?\\p{L}+| ?\\p{N}+| ?[^" S "\\p{L}\\p{N}]+|" S "+(?!" NOT_S ")|" S "+"
#define LLAMA3(digits)                                                                                     \
    "(?i:" CONTRACTIONS ")|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" digits "| ?[^" S "\\p{L}\\p{N}]+[\\r\\n]*|" S   \
    "*[\\r\\n]+|" S "+(?!" NOT_S ")|" S "+"
#define CJK "[\\x{4e00}-\\x{9fa5}\\x{800}-\\x{4e00}\\x{ac00}-\\x{d7ff}]+"

// The letters with case of Unicode 11, as DeepSeek's tokenizer.json lists them.
#define CASED                                                                                                        \
    "A-Za-z\\x{b5}\\x{c0}-\\x{d6}\\x{d8}-\\x{f6}\\x{f8}-\\x{1ba}\\x{1bc}-\\x{1bf}\\x{1c4}-\\x{293}\\x{295}-\\x{2af}" \
    "\\x{370}-\\x{373}\\x{376}\\x{377}\\x{37b}-\\x{37d}\\x{37f}\\x{386}\\x{388}-\\x{38a}\\x{38c}\\x{38e}-\\x{3a1}"   \
    "\\x{3a3}-\\x{3f5}\\x{3f7}-\\x{481}\\x{48a}-\\x{52f}\\x{531}-\\x{556}\\x{10a0}-\\x{10c5}\\x{13a0}-\\x{13f5}"     \
    "\\x{13f8}-\\x{13fd}\\x{1c90}-\\x{1cba}\\x{1cbd}-\\x{1cbf}\\x{1d00}-\\x{1d2b}\\x{1d6b}-\\x{1d77}"                \
    "\\x{1d79}-\\x{1d9a}\\x{1e00}-\\x{1f15}\\x{1f18}-\\x{1f1d}\\x{1f20}-\\x{1f45}\\x{1f48}-\\x{1f4d}"                \
    "\\x{1f50}-\\x{1f57}\\x{1f59}\\x{1f5b}\\x{1f5d}\\x{1f5f}-\\x{1f7d}\\x{1f80}-\\x{1fb4}\\x{1fb6}-\\x{1fbc}"        \
    "\\x{1fbe}\\x{1fc2}-\\x{1fc4}\\x{1fc6}-\\x{1fcc}\\x{1fd0}-\\x{1fd3}\\x{1fd6}-\\x{1fdb}\\x{1fe0}-\\x{1fec}"       \
    "\\x{1ff2}-\\x{1ff4}\\x{1ff6}-\\x{1ffc}\\x{2102}\\x{2107}\\x{210a}-\\x{2113}\\x{2115}\\x{2119}-\\x{211d}"        \
    "\\x{2124}\\x{2126}\\x{2128}\\x{212a}-\\x{212d}\\x{212f}-\\x{2134}\\x{2139}\\x{213c}-\\x{213f}"                  \
    "\\x{2145}-\\x{2149}\\x{214e}\\x{2183}\\x{2184}\\x{2c00}-\\x{2c7b}\\x{2c7e}-\\x{2ce4}\\x{2ceb}-\\x{2cee}"        \
    "\\x{2cf2}\\x{2cf3}\\x{a640}-\\x{a66d}\\x{a680}-\\x{a69b}\\x{a722}-\\x{a76f}\\x{a771}-\\x{a787}"                 \
    "\\x{a78b}-\\x{a78e}\\x{ab70}-\\x{abbf}\\x{fb00}-\\x{fb06}\\x{fb13}-\\x{fb17}\\x{ff21}-\\x{ff3a}"                \
    "\\x{ff41}-\\x{ff5a}\\x{10400}-\\x{1044f}\\x{104b0}-\\x{104d3}\\x{104d8}-\\x{104fb}\\x{10c80}-\\x{10cb2}"        \
    "\\x{10cc0}-\\x{10cf2}\\x{118a0}-\\x{118df}\\x{1e900}-\\x{1e943}"

static const char *const gpt2[] = {GPT2, NULL};
static const char *const llama3[] = {LLAMA3("\\p{N}{1,3}"), NULL};
static const char *const qwen2[] = {LLAMA3("\\p{N}"), NULL};
static const char *const smollm[] = {"\\p{N}", GPT2, NULL};
static const char *const fallback[] = {"[\\p{P}$+<=>^~|]+", GPT2, "\\p{N}+", "[0-9][0-9][0-9]", NULL};
static const char *const deepseek_llm[] = {
    "[\\r\\n]",
    S "?[" CASED "]+",
    S "?[!-/:-~\\x{ff01}-\\x{ff0f}\\x{ff1a}-\\x{ff5e}\\x{2018}-\\x{201f}\\x{3000}-\\x{3002}]+",
    S "++(?:\\z|(*SKIP)(*FAIL))", // \s+$: a piece with a newline is only that newline
    CJK,
    "\\p{N}",
    NULL,
};
static const char *const deepseek_coder[] = {"[\\r\\n]", S "?\\p{L}+", S "?\\p{P}+", CJK, "\\p{N}", NULL};

static const ql_pre_rule rules[] = {
    {.names = "default", .patterns = fallback},
    {.names = "gpt-2 phi-2 jina-es jina-de jina-v2-es jina-v2-de gigachat a.x-4.0 mellum modern-bert exaone4 jais "
              "trillion granite-docling", .patterns = gpt2},
    {.names = "mpt olmo", .patterns = gpt2, .nfc = true},
    {.names = "llama-bpe llama3 llama-v3 falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano", .patterns = llama3,
     .ignore_merges = true, .add_bos = true},
    {.names = "dbrx smaug-bpe glm4 chatglm-bpe", .patterns = llama3},
    {.names = "qwen2", .patterns = qwen2, .nfc = true},
    {.names = "deepseek-r1-qwen kormo f2llmv2 megrez stablelm2 hunyuan solar-open", .patterns = qwen2},
    {.names = "smollm starcoder refact command-r codeshell exaone minerva-7b mellum2", .patterns = smollm},
    {.names = "deepseek-llm", .patterns = deepseek_llm},
    {.names = "deepseek-coder", .patterns = deepseek_coder},
};

const ql_pre_rule *ql_pre_rule_find(const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        for (const char *at = rules[i].names; *at;) {
            size_t n = strcspn(at, " ");
            if (n == len && memcmp(at, name, n) == 0)
                return &rules[i];
            at += n;
            at += *at == ' ';
        }
    }
    return NULL;
}

void ql_pre_rule_names(ql_buf *buf)
{
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        ql_buf_printf(buf, "%s%.*s", i ? ", " : "", (int)strcspn(rules[i].names, " "), rules[i].names);
}

// ---- compiling

enum { MAX_STAGES = 8 };

struct ql_pretokenizer {
    pcre2_code *stage[MAX_STAGES];
    size_t n_stages;
    bool nfc;
};

static ql_code fail_pcre2(int code, const char *what, ql_error *err)
{
    PCRE2_UCHAR text[256];
    pcre2_get_error_message(code, text, sizeof text);
    return ql_fail(err, code == PCRE2_ERROR_NOMEMORY ? QL_E_MEMORY : QL_E_UNSUPPORTED, "%s: %s", what,
                   (const char *)text);
}

ql_code ql_pretokenizer_new(const ql_pre_rule *rule, ql_pretokenizer **out, ql_error *err)
{
    ql_pretokenizer *pre = calloc(1, sizeof *pre);
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    ql_code code = pre && context ? QL_OK : ql_fail_memory(err, sizeof *pre);
    if (code == QL_OK)
        pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    for (size_t i = 0; code == QL_OK && rule->patterns[i]; i++) {
        int number;
        PCRE2_SIZE offset;
        pre->stage[i] = pcre2_compile((PCRE2_SPTR)rule->patterns[i], PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_UCP,
                                      &number, &offset, context);
        if (!pre->stage[i]) {
            code = fail_pcre2(number, "pre-tokenizer: the PCRE2 library refuses a pattern", err);
        } else {
            pcre2_jit_compile(pre->stage[i], PCRE2_JIT_COMPLETE); // without JIT the interpreter matches, only slower
            pre->n_stages++;
        }
    }
    pcre2_compile_context_free(context);
    if (code != QL_OK) {
        ql_pretokenizer_free(pre);
        return code;
    }
    pre->nfc = rule->nfc;
    *out = pre;
    return QL_OK;
}

void ql_pretokenizer_free(ql_pretokenizer *pre)
{
    if (!pre)
        return;
    for (size_t i = 0; i < pre->n_stages; i++)
        pcre2_code_free(pre->stage[i]);
    free(pre);
}

// ---- cutting

typedef struct cutter {
    const ql_pretokenizer *pre;
    pcre2_match_data *match;
    pcre2_match_context *context;
    ql_piece_fn *take;
    void *user;
    ql_error *err;
} cutter;

static ql_code cut(const cutter *c, size_t stage, const char *text, size_t len)
{
    if (stage == c->pre->n_stages)
        return c->take(c->user, text, len, c->err);
    size_t at = 0; // all before has been cut
    while (at < len) {
        int rc = pcre2_match(c->pre->stage[stage], (PCRE2_SPTR)text, len, at, PCRE2_NO_UTF_CHECK, c->match,
                             c->context);
        if (rc == PCRE2_ERROR_NOMATCH)
            break;
        if (rc < 0)
            return fail_pcre2(rc, "pre-tokenizer: matching failed", c->err);
        const PCRE2_SIZE *span = pcre2_get_ovector_pointer(c->match);
        size_t begin = span[0], end = span[1];
        if (begin > at)
            QL_TRY(cut(c, stage + 1, text + at, begin - at));
        QL_TRY(cut(c, stage + 1, text + begin, end - begin)); // no pattern matches the empty string
        at = end;
    }
    return at < len ? cut(c, stage + 1, text + at, len - at) : QL_OK;
}

static ql_code cut_all(const ql_pretokenizer *pre, const char *text, size_t len, ql_piece_fn *take, void *user,
                       ql_error *err)
{
    cutter c = {.pre = pre, .take = take, .user = user, .err = err};
    c.match = pcre2_match_data_create(1, NULL);
    c.context = pcre2_match_context_create(NULL);
    ql_code code;
    if (c.match && c.context) {
        // A pattern looks at each character a few times at most; the limit only turns a mistake into an error.
        uint64_t limit = 10000000 + 8 * (uint64_t)len;
        pcre2_set_match_limit(c.context, limit < UINT32_MAX ? (uint32_t)limit : UINT32_MAX);
        code = cut(&c, 0, text, len);
    } else {
        code = ql_fail_memory(err, 4096);
    }
    pcre2_match_context_free(c.context);
    pcre2_match_data_free(c.match);
    return code;
}

static bool is_ascii(const char *text, size_t len)
{
    uint8_t all = 0;
    for (size_t i = 0; i < len; i++)
        all |= (uint8_t)text[i];
    return all < 0x80;
}

ql_code ql_pretokenize(const ql_pretokenizer *pre, const char *text, size_t len, ql_piece_fn *take, void *user,
                       ql_error *err)
{
    if (!pre->nfc || is_ascii(text, len))
        return cut_all(pre, text, len, take, user, err);
    size_t n = 0;
    uint8_t *normal = u8_normalize(UNINORM_NFC, (const uint8_t *)text, len, NULL, &n);
    if (!normal)
        return ql_fail_memory(err, len);
    ql_code code = cut_all(pre, (const char *)normal, n, take, user, err);
    free(normal);
    return code;
}
