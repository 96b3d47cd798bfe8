// SPDX-License-Identifier: MIT
// Answers taken apart. Each case is written as the models' authors publish it; each is fed whole, byte by byte and cut at
// every place, which must give the same; then cases are cut short and damaged at random: nothing may be an error, and the
// raw text is always what came.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "text/answer.h"

#define TOOLS                                                                                                             \
    "[{\"type\":\"function\",\"function\":{\"name\":\"get_weather\",\"parameters\":{\"type\":\"object\",\"properties\":{"  \
    "\"city\":{\"type\":\"string\"},\"days\":{\"type\":\"integer\"},\"exact\":{\"type\":\"boolean\"}}}}},"               \
    "{\"type\":\"function\",\"function\":{\"name\":\"get_time\",\"parameters\":{\"type\":\"object\",\"properties\":{}}}}]"
#define WEATHER(arguments) "{\"type\": \"function\", \"function\": {\"name\": \"get_weather\", \"arguments\": {" arguments "}}}"
#define TIME "{\"type\": \"function\", \"function\": {\"name\": \"get_time\", \"arguments\": {}}}"
#define PARIS WEATHER("\"city\": \"Paris\"")
#define PARIS_2 WEATHER("\"city\": \"Paris\", \"days\": 2")
#define HERMES "<tool_call> <think>"
#define LLAMA "<|start_header_id|> \"parameters\": dictionary of argument name"
#define DS(word) "<\uff5ctool\u2581" word "\uff5c>"
#define HARMONY "<|channel|>"

typedef struct answer_case {
    const char *marks; // what stands for the chat template
    const char *prompt;
    const char *text;
    const char *content, *reasoning, *calls; // NULL: the text, "", "[]"
} answer_case;

static const answer_case cases[] = {
    // plain text stays as it is
    {HERMES, NULL, " Hello,\n\nworld! \n", NULL, NULL, NULL},
    {HERMES, NULL, "", NULL, NULL, NULL},
    {"", NULL, "<think>a</think>{\"name\": \"get_time\"}", NULL, NULL, NULL},
    {HERMES, NULL, "a < b, <tool, <tool_cal", NULL, NULL, NULL},
    {HERMES, NULL, "The mark <think> opens reasoning.", NULL, NULL, NULL},
    // reasoning
    {HERMES, NULL, "<think>\nFirst this.\n\nThen that.\n</think>\n\nHello!", "Hello!", "First this.\n\nThen that.", NULL},
    {HERMES, "<|im_start|>assistant\n<think>\n", "Let me see.\n</think>\n\n42 ", "42 ", "Let me see.", NULL},
    {HERMES, "<|im_start|>assistant\n<think>\n", "<think>\nLet me see.\n</think>\n\n42", "42", "Let me see.", NULL},
    {HERMES, "<|im_start|>assistant\n<think>\n\n</think>\n\n", "42", "42", "", NULL},
    {HERMES, NULL, "<think>\n\n</think>\n\n42", "42", "", NULL},
    {HERMES, NULL, "<think>\nNo end, <tool_call> or </thin", "", "No end, <tool_call> or </thin", NULL},
    {HERMES " </response>", NULL, "<think>Why.</think><response>So.</response>", "So.", "Why.", NULL},
    {"[THINK] [TOOL_CALLS]", NULL, "[THINK]Hm.[/THINK]Yes.", "Yes.", "Hm.", NULL},
    {"<seed:think>", NULL, "<seed:think>Hm.</seed:think>Yes.", "Yes.", "Hm.", NULL},
    {"<|START_THINKING|> <|START_ACTION|> <|START_RESPONSE|> <|END_RESPONSE|>", NULL,
     "<|START_THINKING|>Hm.<|END_THINKING|><|START_RESPONSE|>Yes.<|END_RESPONSE|>", "Yes.", "Hm.", NULL},
    {"\u25c1/think\u25b7", NULL, "\u25c1think\u25b7Hm.\u25c1/think\u25b7Yes.", "Yes.", "Hm.", NULL},
    {"<|channel>thought\n<channel|> <|tool_call>", NULL, "<|channel>thought\nHm.\n<channel|>Yes.", "Yes.", "Hm.", NULL},
    // Hermes, Qwen 2.5 and 3, SmolLM3, Granite 4
    {HERMES, NULL, "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Paris\", \"days\": 2}}\n</tool_call>",
     "", NULL, "[" PARIS_2 "]"},
    {HERMES, NULL, "<think>\nTwo.\n</think>\n\nI'll look.\n<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": "
     "\"Paris\"}}\n</tool_call>\n<tool_call>\n{\"name\": \"get_time\", \"arguments\": {}}\n</tool_call>",
     "I'll look.", "Two.", "[" PARIS ", " TIME "]"},
    {HERMES, NULL, "<tool_call>\n{'arguments': {'city': 'Paris'}, 'name': 'get_weather'}\n</tool_call>", "", NULL,
     "[" PARIS "]"},
    {HERMES, NULL, "<tool_call>{\"name\": \"get_weather\", \"arguments\": \"{\\\"city\\\": \\\"Paris\\\"}\"}</tool_call>", "",
     NULL, "[" PARIS "]"},
    {HERMES, NULL, "<tool_call>{\"name\": \"get_time\"}{\"name\": \"get_time\"}", "", NULL, "[" TIME ", " TIME "]"},
    {HERMES, NULL, "<tool_call>{\"name\": \"get_weather\", \"arguments\": {\"city\": \"</tool_call> \\\" {\"}}</tool_call>", "",
     NULL, "[" WEATHER("\"city\": \"</tool_call> \\\" {\"") "]"},
    {HERMES, NULL, "<tool_call>{\"name\": \"unknown\", \"arguments\": {\"a\": [1, 2.5, null, true]}}</tool_call> Done.", "Done.",
     NULL, "[{\"type\": \"function\", \"function\": {\"name\": \"unknown\", \"arguments\": {\"a\": [1, 2.5, null, true]}}}]"},
    {HERMES, NULL, "Use <tool_call> for it:\n<tool_call>{\"name\": \"get_time\"}</tool_call>\nDone.",
     "Use <tool_call> for it:\n\nDone.", NULL, "[" TIME "]"},
    {HERMES, NULL, "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Par", NULL, NULL, NULL},
    {HERMES, NULL, "<tool_call>\nnot a call\n</tool_call>", NULL, NULL, NULL},
    {HERMES, NULL, "<tool_call>{\"name\": 5}</tool_call> <tool_call>[1]</tool_call> <tool_call></tool_call>", NULL, NULL, NULL},
    {HERMES, NULL, "<tool_call>{\"name\": \"get_time\", \"arguments\": [1]}</tool_call>", NULL, NULL, NULL},
    // Qwen3-Coder, StepFun
    {HERMES, NULL, "<tool_call>\n<function=get_weather>\n<parameter=city>\nParis\n</parameter>\n<parameter=days>\n2\n"
     "</parameter>\n</function>\n</tool_call>", "", NULL, "[" PARIS_2 "]"},
    {HERMES, NULL, "<tool_call>\n<function=get_weather>\n<parameter=city>\n12\n</parameter>\n<parameter=exact>\nTrue\n"
     "</parameter>\n<parameter=more>\n{\"a\": [1]}\n</parameter>\n<parameter=note>\n two\nlines \n</parameter>\n</function>\n"
     "</tool_call>", "", NULL,
     "[" WEATHER("\"city\": \"12\", \"exact\": true, \"more\": {\"a\": [1]}, \"note\": \" two\\nlines \"") "]"},
    {HERMES " <function=", NULL, "Yes.\n<function=get_weather>\n<parameter=city>\nParis\n</parameter>\n</function>", "Yes.", NULL,
     "[" PARIS "]"},
    {HERMES, NULL, "<tool_call>\n<function=get_time>\n</function>\n</tool_call>", "", NULL, "[" TIME "]"},
    {HERMES, NULL, "<tool_call>\n<function=get_weather>\n<parameter=city>\nParis\n</function>\n</tool_call>", NULL, NULL, NULL},
    // MiniMax, DeepSeek V3.2, MiniCPM, Seed-OSS
    {"<minimax:tool_call>", NULL, "<minimax:tool_call>\n<invoke name=\"get_weather\">\n<parameter name=\"city\">Paris</parameter>\n"
     "<parameter name=\"days\">2</parameter>\n</invoke>\n<invoke name=\"get_time\">\n</invoke>\n</minimax:tool_call>", "", NULL,
     "[" PARIS_2 ", " TIME "]"},
    {"DSML", NULL, "Well.\n\n<\uff5cDSML\uff5cfunction_calls>\n<\uff5cDSML\uff5cinvoke name=\"get_weather\">\n"
     "<\uff5cDSML\uff5cparameter name=\"city\" string=\"true\">Paris</\uff5cDSML\uff5cparameter>\n"
     "<\uff5cDSML\uff5cparameter name=\"days\" string=\"false\">2</\uff5cDSML\uff5cparameter>\n"
     "</\uff5cDSML\uff5cinvoke>\n</\uff5cDSML\uff5cfunction_calls>", "Well.", NULL, "[" PARIS_2 "]"},
    {"<function name=\"", NULL, "<function name=\"get_weather\"><param name=\"city\"><![CDATA[a<b>\n]]></param></function>", "",
     NULL, "[" WEATHER("\"city\": \"a<b>\\n\"") "]"},
    {"<seed:tool_call>", NULL, "<seed:tool_call><function=get_weather><parameter=city>Paris</parameter></function>"
     "</seed:tool_call>", "", NULL, "[" PARIS "]"},
    // GLM 4.5 to 4.7
    {HERMES, NULL, "\n<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Paris</arg_value>\n<arg_key>days</arg_key>\n"
     "<arg_value>2</arg_value>\n</tool_call>", "", NULL, "[" PARIS_2 "]"},
    {HERMES, NULL, "<tool_call>get_time</tool_call>", "", NULL, "[" TIME "]"},
    {HERMES, NULL, "<tool_call>get_weather<arg_key>city</arg_key><arg_value>Paris</tool_call>", NULL, NULL, NULL},
    {HERMES, NULL, "<tool_call>get_weather<arg_key>city</tool_call>", NULL, NULL, NULL},
    // Llama 3.1 to 3.3
    {LLAMA, NULL, "{\"name\": \"get_weather\", \"parameters\": {\"city\": \"Paris\", \"days\": 2}}", "", NULL, "[" PARIS_2 "]"},
    {LLAMA, NULL, "{\"type\": \"function\", \"name\": \"get_weather\", \"parameters\": {\"city\": \"Paris\"}}; "
     "{\"name\": \"get_time\", \"parameters\": {}}", "", NULL, "[" PARIS ", " TIME "]"},
    {LLAMA, NULL, "<|python_tag|>{\"name\": \"get_weather\", \"parameters\": {\"city\": \"Paris\"}}", "", NULL, "[" PARIS "]"},
    {LLAMA, NULL, "<|python_tag|>get_weather.call(city=\"Paris\")", "", NULL, "[" PARIS "]"},
    {LLAMA, NULL, "<|python_tag|>brave_search.call(query=\"x\")", "", NULL,
     "[{\"type\": \"function\", \"function\": {\"name\": \"brave_search\", \"arguments\": {\"query\": \"x\"}}}]"},
    {LLAMA, NULL, "<|python_tag|>x = 5\nprint(x)", NULL, NULL, NULL},
    {LLAMA, NULL, "<function=get_weather>{\"city\": \"Paris\"}</function>", "", NULL, "[" PARIS "]"},
    {LLAMA, NULL, "{\"city\": \"Paris\"}", NULL, NULL, NULL},
    {LLAMA, NULL, "{\"name\": \"Bob\", \"parameters\": {}}", NULL, NULL, NULL},
    {LLAMA, NULL, "{\"name\": \"get_time\"}", NULL, NULL, NULL},
    {LLAMA, NULL, "Here: {\"name\": \"get_time\", \"parameters\": {}}", NULL, NULL, NULL},
    // Llama 4, Llama 3.2 small, LFM2
    {LLAMA, NULL, "[get_weather(city='Paris', days=2), get_time()]", "", NULL, "[" PARIS_2 ", " TIME "]"},
    {LLAMA, NULL, "[get_weather(\"Paris\", 2)]", "", NULL, "[" PARIS_2 "]"},
    {LLAMA, NULL, "[1, 2]", NULL, NULL, NULL},
    {LLAMA, NULL, "[get_weather(city='Paris'", NULL, NULL, NULL},
    {"<|tool_call_start|>", NULL, "<|tool_call_start|>[get_weather(city=\"it's ] \\\"x\\\"\", exact=True)]<|tool_call_end|>Wait.",
     "Wait.", NULL, "[" WEATHER("\"city\": \"it's ] \\\"x\\\"\", \"exact\": true") "]"},
    // Mistral: Nemo, v3; Small 3.2; Devstral
    {"[TOOL_CALLS]", NULL, "[TOOL_CALLS] [{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Paris\"}, \"id\": \"abc123def\"}]",
     "", NULL, "[{\"type\": \"function\", \"function\": {\"name\": \"get_weather\", \"arguments\": {\"city\": \"Paris\"}}, "
     "\"id\": \"abc123def\"}]"},
    {"[TOOL_CALLS]", NULL, "[TOOL_CALLS]get_weather[ARGS]{\"city\": \"Paris\", \"days\": 2}[TOOL_CALLS]get_time[ARGS]{}", "", NULL,
     "[" PARIS_2 ", " TIME "]"},
    {"[TOOL_CALLS]", NULL, "Well.[TOOL_CALLS]get_weather[CALL_ID]a1B2c3D4e[ARGS]{\"city\": \"Paris\"}", "Well.", NULL,
     "[{\"type\": \"function\", \"function\": {\"name\": \"get_weather\", \"arguments\": {\"city\": \"Paris\"}}, "
     "\"id\": \"a1B2c3D4e\"}]"},
    {"[TOOL_CALLS]", NULL, "[TOOL_CALLS]get_weather{\"city\": \"it's\"}", "", NULL, "[" WEATHER("\"city\": \"it's\"") "]"},
    {"[TOOL_CALLS]", NULL, "[TOOL_CALLS] nothing of the kind", NULL, NULL, NULL},
    // DeepSeek V3 and R1; V3.1
    {DS("calls\u2581begin") DS("call\u2581begin") "</think>", NULL,
     DS("calls\u2581begin") DS("call\u2581begin") "function" DS("sep") "get_weather\n```json\n{\"city\": \"Paris\"}\n```"
     DS("call\u2581end") "\n" DS("call\u2581begin") "function" DS("sep") "get_time\n```json\n{}\n```" DS("call\u2581end")
     DS("calls\u2581end"), "", NULL, "[" PARIS ", " TIME "]"},
    {DS("calls\u2581begin") DS("call\u2581begin") "</think>", NULL, "<think>Hm.</think>Yes. " DS("calls\u2581begin")
     DS("call\u2581begin") "get_weather" DS("sep") "{\"city\": \"Paris\"}" DS("call\u2581end") DS("calls\u2581end"),
     "Yes.", "Hm.", "[" PARIS "]"},
    // Kimi K2
    {"<|tool_calls_section_begin|><|tool_call_begin|>", NULL, "Yes.<|tool_calls_section_begin|><|tool_call_begin|>"
     "functions.get_weather:0<|tool_call_argument_begin|>{\"city\": \"Paris\"}<|tool_call_end|><|tool_calls_section_end|>", "Yes.",
     NULL, "[{\"type\": \"function\", \"function\": {\"name\": \"get_weather\", \"arguments\": {\"city\": \"Paris\"}}, "
     "\"id\": \"functions.get_weather:0\"}]"},
    // gpt-oss
    {HARMONY, "<|start|>assistant", "<|channel|>analysis<|message|>Let me think.<|end|><|start|>assistant<|channel|>final<|message|>"
     "Hello <b>!<|return|>", "Hello <b>!", "Let me think.", NULL},
    {HARMONY, "<|start|>assistant", "<|channel|>analysis<|message|>Need the weather.<|end|><|start|>assistant<|channel|>commentary "
     "to=functions.get_weather <|constrain|>json<|message|>{\"city\": \"Paris\", \"days\": 2}<|call|>", "", "Need the weather.",
     "[" PARIS_2 "]"},
    {HARMONY, "<|start|>assistant", "<|channel|>commentary<|message|>I'll look.<|end|><|start|>assistant to=functions.get_time"
     "<|channel|>commentary json<|message|>{}", "I'll look.", NULL, "[" TIME "]"},
    {HARMONY, "<|start|>assistant", "<|channel|>analysis<|message|>A.<|end|><|start|>assistant<|channel|>analysis<|message|>B.<|end|>"
     "<|start|>assistant<|channel|>final<|message|>C.", "C.", "A.\n\nB.", NULL},
    {HARMONY, "<|start|>assistant", "<|channel|>commentary to=functions.get_time<|message|>now, please<|call|>", "now, please", NULL,
     NULL},
    {HARMONY, "<|start|>assistant", "Just text.", NULL, NULL, NULL},
    {HARMONY, "<|start|>assistant", "<|channel|>ana", NULL, NULL, NULL},
    // Gemma 3, FunctionGemma, Gemma 4
    {"<start_of_turn>", NULL, "Sure.\n```tool_code\nget_weather(city=\"Paris\")\n```", "Sure.", NULL, "[" PARIS "]"},
    {"<start_of_turn>", NULL, "```tool_code\nprint(default_api.get_weather(city='Paris', days=2))\n```\n", "", NULL, "[" PARIS_2 "]"},
    {"<start_of_turn>", NULL, "```json\n{\"name\": \"get_weather\", \"parameters\": {\"city\": \"Paris\"}}\n```", "", NULL,
     "[" PARIS "]"},
    {"<start_of_turn>", NULL, "{\"name\": \"get_weather\", \"parameters\": {\"city\": \"Paris\"}}", "", NULL, "[" PARIS "]"},
    {"<start_of_turn>", NULL, "```json\n{\"a\": 1}\n```", NULL, NULL, NULL},
    {"<start_of_turn>", NULL, "```tool_code\nx = 1\n```", NULL, NULL, NULL},
    {"<start_function_call>", NULL, "<start_function_call>call:get_weather{city:<escape>Paris<escape>,days:2}<end_function_call>",
     "", NULL, "[" PARIS_2 "]"},
    {"<|tool_call> <channel|>", NULL, "<|channel>thought\nHm.<channel|><|tool_call>call:get_weather{city:<|\"|>Pa\"ris<|\"|>,more:"
     "{a:[1,true]}}<tool_call|>", "", "Hm.", "[" WEATHER("\"city\": \"Pa\\\"ris\", \"more\": {\"a\": [1, true]}") "]"},
    // Granite 3, Phi-4-mini, Nemotron, Command R7B and R+, Apertus, InternLM, Functionary
    {"<|tool_call|>", NULL, "<|tool_call|>[{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Paris\"}}]", "", NULL, "[" PARIS "]"},
    {"<|tool_call|> <|/tool_call|>", NULL, "<|tool_call|>[{\"name\": \"get_time\", \"arguments\": {}}, {\"name\": \"get_weather\", "
     "\"arguments\": {\"city\": \"Paris\"}}]<|/tool_call|>", "", NULL, "[" TIME ", " PARIS "]"},
    {"<TOOLCALL>", NULL, "<TOOLCALL>[{\"name\": \"get_time\", \"arguments\": {}}]</TOOLCALL>", "", NULL, "[" TIME "]"},
    {"<|START_THINKING|><|START_ACTION|>", NULL, "<|START_THINKING|>I will look.<|END_THINKING|><|START_ACTION|>[\n    {\"tool_call_id\": "
     "\"0\", \"tool_name\": \"get_weather\", \"parameters\": {\"city\": \"Paris\"}}\n]<|END_ACTION|>", "", "I will look.",
     "[{\"type\": \"function\", \"function\": {\"name\": \"get_weather\", \"arguments\": {\"city\": \"Paris\"}}, \"id\": \"0\"}]"},
    {"Action:", NULL, "Action: ```json\n[\n    {\n        \"tool_name\": \"get_weather\",\n        \"parameters\": {\"city\": "
     "\"Paris\"}\n    }\n]```", "", NULL, "[" PARIS "]"},
    {"<|tools_prefix|>", NULL, "<|tools_prefix|>[{\"get_weather\": {\"city\": \"Paris\"}}]<|tools_suffix|>", "", NULL, "[" PARIS "]"},
    {"<|action_start|>", NULL, "Yes.<|action_start|><|plugin|>{\"name\": \"get_weather\", \"parameters\": {\"city\": \"Paris\"}}"
     "<|action_end|>", "Yes.", NULL, "[" PARIS "]"},
    {">>>", "<|start_header_id|>assistant<|end_header_id|>\n\n>>>", "all\nHello.>>>get_weather\n{\"city\": \"Paris\"}", "Hello.", NULL,
     "[" PARIS "]"},
    {">>>", ">>>", "Hello, you", NULL, NULL, NULL},
    {">>>", NULL, ">>>\n{\"", NULL, NULL, NULL},
    {"<tool_calls><tool_call>", NULL, "<tool_calls>\n<tool_call>get_weather\n```json\n{\"city\": \"Paris\"}\n```</tool_call>\n</tool_calls>", "",
     NULL, "[" PARIS "]"},
};
enum { N_CASES = sizeof cases / sizeof *cases };

static ql_answer *open_case(const answer_case *c)
{
    ql_error err = {0};
    ql_answer *answer = ql_answer_open(
        &(ql_answer_options){.chat_template = c->marks, .prompt = c->prompt, .prompt_len = c->prompt ? strlen(c->prompt) : 0,
                             .tools = TOOLS}, &err);
    assert_non_null(answer);
    return answer;
}

static void feed(ql_answer *answer, const char *text, size_t len, bool last)
{
    ql_error err = {0};
    if (ql_answer_feed(answer, text, len, last, &err) != QL_OK)
        fail_msg("%.*s: %s", (int)len, text, err.message);
}

static void assert_part(const char *text, const char *name, const char *got, size_t len, const char *want)
{
    if (strlen(got) != len || strcmp(got, want) != 0)
        fail_msg("%s\n  %s\n  want %s\n  got  %s", text, name, want, got);
}

static void published_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_CASES; i++) {
        const answer_case *c = &cases[i];
        ql_answer *answer = open_case(c);
        ql_answer_parts parts;
        feed(answer, c->text, strlen(c->text), true);
        ql_answer_get(answer, &parts);
        assert_part(c->text, "raw", parts.raw, parts.raw_len, c->text);
        assert_part(c->text, "content", parts.content, parts.content_len, c->content ? c->content : c->text);
        assert_part(c->text, "reasoning", parts.reasoning, parts.reasoning_len, c->reasoning ? c->reasoning : "");
        assert_part(c->text, "tool calls", parts.tool_calls, parts.tool_calls_len, c->calls ? c->calls : "[]");
        ql_answer_close(answer);
    }
}

// ---- pieces ----

// Feeds text in pieces: `size` bytes each, or with size 0 two pieces, cut at `cut`. Parts only grow.
static void feed_in_pieces(const answer_case *c, const char *text, size_t len, size_t size, size_t cut)
{
    ql_answer *whole = open_case(c), *pieces = open_case(c);
    ql_answer_parts want, got, before = {0};
    feed(whole, text, len, true);
    ql_answer_get(whole, &want);
    for (size_t at = 0, n; at < len; at += n) {
        n = size ? size : at ? len - cut : cut;
        n = n > len - at ? len - at : n;
        if (!n)
            break;
        feed(pieces, text + at, n, false);
        ql_answer_get(pieces, &got);
        assert_true(got.content_len >= before.content_len && got.reasoning_len >= before.reasoning_len);
        assert_true(got.n_tool_calls >= before.n_tool_calls);
        assert_true(got.content_len <= want.content_len && memcmp(got.content, want.content, got.content_len) == 0);
        assert_true(got.reasoning_len <= want.reasoning_len && memcmp(got.reasoning, want.reasoning, got.reasoning_len) == 0);
        before = got;
    }
    size_t fed = before.raw_len;
    feed(pieces, text + fed, len - fed, true);
    ql_answer_get(pieces, &got);
    assert_int_equal(want.raw_len, len);
    assert_true(got.raw_len == len && (!len || memcmp(got.raw, text, len) == 0));
    if (got.content_len != want.content_len || strcmp(got.content, want.content) != 0 ||
        strcmp(got.reasoning, want.reasoning) != 0 || strcmp(got.tool_calls, want.tool_calls) != 0)
        fail_msg("%.*s\n  in pieces: %s | %s | %s\n  whole:     %s | %s | %s", (int)len, text, got.content, got.reasoning,
                 got.tool_calls, want.content, want.reasoning, want.tool_calls);
    ql_answer_close(whole);
    ql_answer_close(pieces);
}

static void pieces_divide_as_the_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_CASES; i++) {
        const char *text = cases[i].text;
        size_t len = strlen(text);
        feed_in_pieces(&cases[i], text, len, 1, 0);
        feed_in_pieces(&cases[i], text, len, 7, 0);
        for (size_t cut = 1; cut < len; cut++)
            feed_in_pieces(&cases[i], text, len, 0, cut);
    }
}

// ---- damage ----

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

// Cuts, doubles or replaces a part of text, or puts in a part of another case.
static size_t damage(char *text, size_t len, size_t cap, uint32_t *seed)
{
    static const char *const words[] = {"<", ">", "{", "}", "[", "]", "\"", "'", "\\", "\n", " ", ",", "</tool_call>", "<tool_call>",
                                        "<think>", "</think>", "null", "<|channel|>", "<|message|>", "[ARGS]", "\xff", "\0"};
    size_t at = len ? next_random(seed) % (len + 1) : 0, n = next_random(seed) % 9;
    n = n > len - at ? len - at : n;
    switch (next_random(seed) % 4) {
    case 0:
        return at; // cut short
    case 1:
        memmove(text + at, text + at + n, len - at - n);
        return len - n;
    default: {
        const answer_case *other = &cases[next_random(seed) % N_CASES];
        const char *put = words[next_random(seed) % (sizeof words / sizeof *words)];
        size_t from = 0, m = strlen(put) ? strlen(put) : 1;
        if (next_random(seed) % 3 == 0) {
            size_t all = strlen(other->text);
            put = other->text;
            from = all ? next_random(seed) % all : 0;
            m = all - from > 40 ? 40 : all - from;
        }
        if (len + m > cap)
            return len;
        memmove(text + at + m, text + at, len - at);
        memcpy(text + at, put + from, m);
        return len + m;
    }
    }
}

static void damaged_answers_are_text(void **state)
{
    (void)state;
    uint32_t seed = 20261126;
    char text[2048];
    for (int round = 0; round < 20000; round++) {
        const answer_case *c = &cases[next_random(&seed) % N_CASES];
        size_t len = strlen(c->text);
        memcpy(text, c->text, len);
        for (uint32_t n = 1 + next_random(&seed) % 3; n > 0; n--)
            len = damage(text, len, sizeof text, &seed);
        feed_in_pieces(c, text, len, 1 + next_random(&seed) % 5, 0);
    }
}

// ---- the rest ----

static void no_tools_no_calls(void **state)
{
    (void)state;
    static const char *const none[] = {NULL, "null"};
    for (int i = 0; i < 2; i++) {
        ql_error err = {0};
        ql_answer_parts parts;
        const char *text = "<think>a</think>b <tool_call>{\"name\": \"get_time\"}</tool_call>";
        ql_answer *answer = ql_answer_open(&(ql_answer_options){.chat_template = HERMES, .tools = none[i]}, &err);
        feed(answer, text, strlen(text), true);
        ql_answer_get(answer, &parts);
        assert_string_equal(parts.content, "b <tool_call>{\"name\": \"get_time\"}</tool_call>");
        assert_string_equal(parts.reasoning, "a");
        assert_int_equal(parts.n_tool_calls, 0);
        ql_answer_close(answer);
    }
}

static void the_locale_does_not_matter(void **state)
{
    (void)state;
    static const char *const names[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "de_DE", NULL};
    static const char text[] = "[get_weather(days=1.5)]";
    int i = 0;
    while (names[i] && !setlocale(LC_ALL, names[i]))
        i++;
    if (!names[i]) {
        print_message("no locale with a decimal comma here: not tested\n");
        skip();
    }
    ql_error err = {0};
    ql_answer_parts parts;
    ql_answer *answer = ql_answer_open(&(ql_answer_options){.chat_template = LLAMA, .tools = TOOLS}, &err);
    feed(answer, text, strlen(text), true);
    ql_answer_get(answer, &parts);
    assert_string_equal(parts.tool_calls, "[" WEATHER("\"days\": 1.5") "]");
    ql_answer_close(answer);
    setlocale(LC_ALL, "C");
}

static void wrong_use_is_an_error(void **state)
{
    (void)state;
    ql_error err = {0};
    assert_null(ql_answer_open(&(ql_answer_options){.chat_template = HERMES, .tools = "[{]"}, &err));
    assert_int_equal(err.code, QL_E_ARGUMENT);
    assert_null(ql_answer_open(&(ql_answer_options){.chat_template = HERMES, .tools = "{}"}, &err));
    assert_string_equal(err.message, "tools must be a JSON array or null");
    ql_answer *answer = ql_answer_open(&(ql_answer_options){0}, &err);
    feed(answer, "<think>x", 8, true);
    assert_int_equal(ql_answer_feed(answer, "y", 1, false, &err), QL_E_ARGUMENT);
    ql_answer_close(answer);
    ql_answer_close(NULL);
}

// Marks without an end make the text be read again and again: that must not take long.
static void many_open_marks(void **state)
{
    (void)state;
    ql_buf text = {0};
    for (int i = 0; i < 2000; i++)
        ql_buf_append_str(&text, "<tool_call>{\"a\": [");
    const answer_case c = {.marks = HERMES, .text = text.data};
    ql_answer *answer = open_case(&c);
    ql_answer_parts parts;
    feed(answer, text.data, text.len, true);
    ql_answer_get(answer, &parts);
    assert_int_equal(parts.content_len, text.len);
    ql_answer_close(answer);
    ql_buf_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_answers),     cmocka_unit_test(pieces_divide_as_the_whole),
        cmocka_unit_test(damaged_answers_are_text), cmocka_unit_test(no_tools_no_calls),
        cmocka_unit_test(the_locale_does_not_matter), cmocka_unit_test(wrong_use_is_an_error), cmocka_unit_test(many_open_marks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
