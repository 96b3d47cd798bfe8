// SPDX-License-Identifier: MIT
// Owns the table of tokenizer.ggml.pre: GGUF files name the rule by which a text is cut, the publishers' tokenizer.json
// say what it is. Patterns are written as there (Oniguruma) and run as any other. An unknown name is no rule.
#include <string.h>

#include "text/tokenizer_impl.h"

#define CONTRACTIONS "'s|'t|'re|'ve|'m|'ll|'d"
#define GPT2 CONTRACTIONS "| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
#define LLAMA3(digits, rest)                                                                    \
    "(?i:" CONTRACTIONS ")|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" digits "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*" rest
#define NEWLINES "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define CJK "[\\x{4e00}-\\x{9fa5}\\x{800}-\\x{4e00}\\x{ac00}-\\x{d7ff}]+"
#define KANA "\\x{4e00}-\\x{9fa5}\\x{3040}-\\x{309f}\\x{30a0}-\\x{30ff}"
#define ASCII_PUNCTUATION "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~]"

// Words whose case changes at most once: o200k and its kin. more stands in both classes of letters.
#define CASES(more, contractions, digits)                                                                      \
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}" more "]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}" more "]+" \
    contractions "|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}" more "]+"                         \
    "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}" more "]*" contractions "|" digits "| ?[^\\s\\p{L}\\p{N}]+"
#define O200K CASES("", "(?i:" CONTRACTIONS ")?", "\\p{N}{1,3}") "[\\r\\n/]*" NEWLINES

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
static const char *const llama3[] = {LLAMA3("\\p{N}{1,3}", NEWLINES), NULL};
// The publisher's pattern is LLAMA3 with "\\s{512}(?!\\S)|\\s{256}(?!\\S)|..." for "\\s+(?!\\S)|\\s+". But then "\\s*[\\r\\n]+"
// looks through the whole of a run of spaces again for each 512 of them. The second step cuts what LLAMA3 gives whole.
static const char *const jais2[] = {
    LLAMA3("\\p{N}{1,3}", NEWLINES),
    "(?:\\A(?=[^\\S\\r\\n]+\\z)|(?!\\A)\\G)(?:\\s{512}|\\s{256}|\\s{128}|\\s{64}|\\s{32}|\\s{16}|\\s{8}|\\s{4}|\\s{1,2})",
    NULL};
static const char *const qwen2[] = {LLAMA3("\\p{N}", NEWLINES), NULL};
static const char *const qwen35[] = {
    "(?i:" CONTRACTIONS ")|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*" NEWLINES, NULL};
static const char *const minicpm5[] = {"\\p{N}{1,3}", LLAMA3("\\p{N}+", NEWLINES), NULL};
static const char *const laguna[] = {"[^\\n]+|[\\n]+", LLAMA3("\\p{N}", NEWLINES), NULL};
static const char *const ufakzeka[] = { // no contractions: a Turkish suffix stays behind its apostrophe
    "[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*" NEWLINES, NULL};
static const char *const k2_horizon[] = { // zero-width joiners belong to words
    "(?i:" CONTRACTIONS ")|[^\\r\\n\\p{L}\\p{N}]?(?:\\p{L}|\\p{M}|\\x{200c}|\\x{200d})+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+"
    "[\\r\\n]*" NEWLINES, NULL};
static const char *const seed_coder[] = {
    "(?i:" CONTRACTIONS ")|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\\r\\n]+" NEWLINES, NULL};
static const char *const bailing[] = {
    "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+",
    NULL};
static const char *const exaone_moe[] = {
    "(?i:" CONTRACTIONS ")|[^\\r\\n\\p{L}\\p{N}]?(?:\\p{L}\\p{M}*(?: \\p{L}\\p{M}*)*)+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+"
    "[\\r\\n/]?|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+", NULL};
static const char *const smollm[] = {"\\p{N}", GPT2, NULL};
static const char *const fallback[] = {"[\\p{P}$+<=>^~|]+", GPT2, "\\p{N}+", "[0-9][0-9][0-9]", NULL};
static const char *const falcon[] = {"[\\p{P}$+<=>^~|`]+", GPT2, "[0-9][0-9][0-9]", NULL};
static const char *const bloom[] = {" ?[^(\\s|.,!?\\x{2026}\\x{3002}\\x{ff0c}\\x{3001}\\x{964}\\x{6d4}\\x{60c})]+", NULL};
static const char *const viking[] = {
    " ?[^(\\s|.,!?\\x{2026}\\x{3002}\\x{ff0c}\\x{3001}\\x{964}\\x{6d4}\\x{60c})]+", "\\p{N}", NULL};
static const char *const tekken[] = {CASES("", "", "\\p{N}") "[\\r\\n/]*" NEWLINES, NULL};
static const char *const o200k[] = {O200K, NULL};
static const char *const tiny_aya[] = {"\\d{1,3}(?=(?:\\d{3})*\\b)", O200K, NULL};
static const char *const kimi_k2[] = {
    "[\\p{Han}]+|" CASES("&&[^\\p{Han}]", "(?i:" CONTRACTIONS ")?", "\\p{N}{1,3}") "[\\r\\n]*" NEWLINES, NULL};
static const char *const superbpe[] = {"\\p{N}+", "(?=(\\d{3})+(?!\\d))", NULL};
static const char *const chameleon[] = {
    "<sentinel:[0-9]+>", "(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z", "([\\t\\n]|    |  )", "\\p{N}",
    "[\\p{P}!-/:-@\\[-`{-~]", GPT2, NULL};
static const char *const deepseek_llm[] = {
    "[\\r\\n]",
    "\\s?[" CASED "]+",
    "\\s?[!-/:-~\\x{ff01}-\\x{ff0f}\\x{ff1a}-\\x{ff5e}\\x{2018}-\\x{201f}\\x{3000}-\\x{3002}]+",
    "\\s+$",
    CJK,
    "\\p{N}",
    NULL,
};
static const char *const deepseek_coder[] = {"[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", CJK, "\\p{N}", NULL};
#define DEEPSEEK3(newlines)                                                                                      \
    ASCII_PUNCTUATION "[A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+" newlines          \
    "|\\s+(?!\\S)|\\s+"
static const char *const deepseek_v3[] = {
    "\\p{N}{1,3}", "[" KANA "]+", DEEPSEEK3("[\\r\\n]*|\\s*[\\r\\n]+"), NULL};
static const char *const spark[] = {"\\p{N}{1,3}", "[" KANA "]+", DEEPSEEK3("|[\\r\\n]"), "\\p{N}", NULL};
static const char *const afmoe[] = {
    "\\d{1,3}(?=(?:\\d{3})*\\b)",
    "[\\x{4e00}-\\x{9fff}\\x{3400}-\\x{4dbf}\\x{f900}-\\x{faff}\\x{3040}-\\x{309f}\\x{30a0}-\\x{30ff}\\x{ff65}-\\x{ff9f}"
    "\\x{2f00}-\\x{2fdf}\\x{e40}-\\x{e7f}\\x{e80}-\\x{eff}\\x{1780}-\\x{17ff}\\x{1000}-\\x{109f}\\x{aa60}-\\x{aa7f}"
    "\\x{a9e0}-\\x{a9ff}\\x{ac00}-\\x{d7af}\\x{1100}-\\x{11ff}]+",
    DEEPSEEK3("[\\r\\n]*|\\s*[\\r\\n]+"), NULL};
static const char *const youtu[] = {
    "[\\x{ac00}-\\x{d7a3}\\x{3131}-\\x{318e}]+|[\\x{ff01}\\x{2026}\\x{201c}\\x{201d}\\x{2018}\\x{2019}\\x{2014}\\x{ff1a}"
    "\\x{ff1b}\\x{ff0c}\\x{3001}-\\x{303f}\\x{fe30}-\\x{fe4f}]+|[\\x{3105}-\\x{312f}]+|[" KANA "]+",
    CASES("", "(?i:" CONTRACTIONS ")?", "\\p{N}") "[\\r\\n/]*" NEWLINES, NULL};
static const char *const none[] = {NULL};
static const char *const whitespace[] = {"\\S+", NULL};

static const ql_pre_rule rules[] = {
    {.names = "default", .patterns = fallback},
    {.names = "gpt-2 phi-2 jina-es jina-de jina-v2-es jina-v2-de gigachat a.x-4.0 mellum modern-bert exaone4 jais "
              "trillion granite-docling jina-v1-en jina-v2-code roberta-bpe", .patterns = gpt2},
    {.names = "mpt olmo", .patterns = gpt2, .nfc = true},
    {.names = "llama-bpe llama3 llama-v3 falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano", .patterns = llama3,
     .ignore_merges = true, .add_bos = true},
    {.names = "dbrx smaug-bpe chatglm-bpe", .patterns = llama3},
    {.names = "glm4 glm5", .patterns = llama3, .ignore_merges = true},
    {.names = "k2-horizon", .patterns = k2_horizon},
    {.names = "jais-2", .patterns = jais2},
    {.names = "qwen2", .patterns = qwen2, .nfc = true},
    {.names = "qwen35", .patterns = qwen35, .nfc = true},
    {.names = "deepseek-r1-qwen kormo f2llmv2 megrez stablelm2 hunyuan solar-open grok-2", .patterns = qwen2},
    {.names = "smollm starcoder refact command-r codeshell exaone minerva-7b mellum2", .patterns = smollm},
    {.names = "deepseek-llm", .patterns = deepseek_llm},
    {.names = "deepseek-coder", .patterns = deepseek_coder},
    {.names = "deepseek-v3 hunyuan-dense joyai-llm hy_v4", .patterns = deepseek_v3},
    {.names = "spark2_5", .patterns = spark},
    {.names = "falcon", .patterns = falcon},
    {.names = "bloom poro-chat gpt3-finnish", .patterns = bloom},
    {.names = "viking", .patterns = viking},
    {.names = "tekken", .patterns = tekken, .ignore_merges = true, .add_bos = true},
    {.names = "gpt-4o llama4 kanana2 talkie minimax-m2", .patterns = o200k},
    {.names = "granite-embed-multi-97m", .patterns = o200k, .ignore_merges = true},
    {.names = "tiny_aya cohere2moe", .patterns = tiny_aya},
    {.names = "kimi-k2", .patterns = kimi_k2},
    {.names = "superbpe", .patterns = superbpe},
    {.names = "bailingmoe bailingmoe2 llada-moe", .patterns = bailing},
    {.names = "ufakzeka", .patterns = ufakzeka},
    {.names = "seed-coder", .patterns = seed_coder},
    {.names = "chameleon", .patterns = chameleon, .add_bos = true},
    {.names = "exaone-moe", .patterns = exaone_moe},
    {.names = "afmoe", .patterns = afmoe},
    {.names = "laguna", .patterns = laguna},
    {.names = "minicpm5", .patterns = minicpm5, .ignore_merges = true},
    {.names = "youtu", .patterns = youtu, .ignore_merges = true},
    {.names = "gemma4 granite-embed-multi-311m sarvam-moe", .patterns = none, .characters = true, .spaces = true},
    {.names = "whitespace", .patterns = whitespace, .characters = true, .removes_rest = true},
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

const ql_pre_rule *ql_pre_rule_at(size_t i) { return i < sizeof rules / sizeof rules[0] ? &rules[i] : NULL; }

void ql_pre_rule_names(ql_buf *buf)
{
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        ql_buf_printf(buf, "%s%.*s", i ? ", " : "", (int)strcspn(rules[i].names, " "), rules[i].names);
}
