// SPDX-License-Identifier: MIT
// Owns the marks that models put around reasoning and tool calls. Must not know what stands between them.
// Its decision: no list of models. A template speaks of the marks its model was trained on, when it shows past calls or
// tells how to call; those marks, and no others, are looked for.
#include <string.h>

#include "text/answer.h"

#define DROP(mark, says) {QL_MARK_DROP, mark, NULL, says, 0}
#define DEEPSEEK(word) "<\uff5ctool\u2581" word "\uff5c>"
#define HARMONY "<|channel|>"

static const ql_mark marks[] = {
    // reasoning
    {QL_MARK_REASONING, "<think>", "</think>", NULL, QL_MARK_AT_START},
    {QL_MARK_REASONING, "<seed:think>", "</seed:think>", NULL, QL_MARK_AT_START},
    {QL_MARK_REASONING, "<thought>", "</thought>", NULL, QL_MARK_AT_START},
    {QL_MARK_REASONING, "[THINK]", "[/THINK]", NULL, QL_MARK_AT_START},
    {QL_MARK_REASONING, "<|START_THINKING|>", "<|END_THINKING|>", NULL, QL_MARK_AT_START},
    {QL_MARK_REASONING, "<|inner_prefix|>", "<|inner_suffix|>", NULL, QL_MARK_AT_START},
    {QL_MARK_REASONING, "<|channel>thought\n", "<channel|>", NULL, QL_MARK_AT_START},
    {QL_MARK_REASONING, "\u25c1think\u25b7", "\u25c1/think\u25b7", NULL, QL_MARK_AT_START},
    // around the content
    DROP("<|START_RESPONSE|>", NULL), DROP("<|END_RESPONSE|>", NULL), DROP("<|START_TEXT|>", NULL),
    DROP("<|END_TEXT|>", NULL), DROP("<response>", "<think>"), DROP("</response>", "<think>"),
    // Hermes, Qwen, SmolLM3, Granite 4 and many others: JSON; Qwen3-Coder, StepFun: <function=; GLM: <arg_key>
    {QL_MARK_CALL, "<tool_call>", "</tool_call>", NULL, 0},
    DROP("<tool_calls>", NULL), DROP("</tool_calls>", "<tool_calls>"),
    {QL_MARK_CALL, "<minimax:tool_call>", "</minimax:tool_call>", NULL, 0},
    {QL_MARK_CALL, "<seed:tool_call>", "</seed:tool_call>", NULL, 0},
    {QL_MARK_CALL, "<atem:function_calls>", "</atem:function_calls>", NULL, 0},
    {QL_MARK_CALL, "<\uff5cDSML\uff5cfunction_calls>", "</\uff5cDSML\uff5cfunction_calls>", "DSML", 0},
    {QL_MARK_CALL, "<\uff5cDSML\uff5ctool_calls>", "</\uff5cDSML\uff5ctool_calls>", "DSML", 0},
    // Granite 3, Phi-4-mini (which closes it), Nemotron, Hunyuan, GigaChat
    {QL_MARK_CALL, "<|tool_call|>", NULL, NULL, 0},
    DROP("<|/tool_call|>", "<|tool_call|>"),
    {QL_MARK_CALL, "<TOOLCALL>", "</TOOLCALL>", NULL, 0},
    {QL_MARK_CALL, "<|function_call|>", NULL, NULL, 0},
    {QL_MARK_CALL, "<function_call>", "</function_call>", NULL, 0},
    // Mistral: JSON in the old templates, NAME[ARGS]{...} in the new ones
    {QL_MARK_CALL, "[TOOL_CALLS]", NULL, NULL, 0},
    // DeepSeek V3, R1, V3.1
    {QL_MARK_CALL, DEEPSEEK("call\u2581begin"), DEEPSEEK("call\u2581end"), NULL, 0},
    DROP(DEEPSEEK("calls\u2581begin"), NULL), DROP(DEEPSEEK("calls\u2581end"), DEEPSEEK("calls\u2581begin")),
    // Kimi K2
    {QL_MARK_CALL, "<|tool_call_begin|>", "<|tool_call_end|>", NULL, 0},
    DROP("<|tool_calls_section_begin|>", NULL), DROP("<|tool_calls_section_end|>", "<|tool_calls_section_begin|>"),
    // Command R7B and A; Command R and R+
    {QL_MARK_CALL, "<|START_ACTION|>", "<|END_ACTION|>", NULL, 0},
    {QL_MARK_CALL, "Action: ```json\n", "```", "Action:", QL_MARK_AT_START},
    {QL_MARK_CALL, "Action:```json\n", "```", "Action:", QL_MARK_AT_START},
    // LFM2, Apertus, InternLM, Gemma 4, FunctionGemma
    {QL_MARK_CALL, "<|tool_call_start|>", "<|tool_call_end|>", NULL, 0},
    {QL_MARK_CALL, "<|tools_prefix|>", "<|tools_suffix|>", NULL, 0},
    {QL_MARK_CALL, "<|action_start|>", "<|action_end|>", NULL, 0},
    {QL_MARK_CALL, "<|tool_call>", "<tool_call|>", NULL, 0},
    {QL_MARK_CALL, "<start_function_call>", "<end_function_call>", NULL, 0},
    // Gemma 1 to 3, whose templates know no tools: what their makers recommend
    {QL_MARK_CALL, "```tool_code\n", "```", "<start_of_turn>", 0},
    {QL_MARK_CALL, "```json\n", "```", "<start_of_turn>", QL_MARK_AT_START | QL_MARK_BARE},
    {QL_MARK_CALL, "{", NULL, "<start_of_turn>", QL_MARK_AT_START | QL_MARK_KEEP | QL_MARK_BARE},
    {QL_MARK_CALL, "[", NULL, "<start_of_turn>", QL_MARK_AT_START | QL_MARK_KEEP | QL_MARK_BARE},
    // Llama 3.x and 4: JSON or [f(x=1)] as the whole answer, or behind the mark
    {QL_MARK_CALL, "<|python_tag|>", NULL, "\"parameters\": dictionary", QL_MARK_TO_END},
    {QL_MARK_CALL, "{", NULL, "\"parameters\": dictionary", QL_MARK_AT_START | QL_MARK_KEEP | QL_MARK_BARE},
    {QL_MARK_CALL, "[", NULL, "\"parameters\": dictionary", QL_MARK_AT_START | QL_MARK_KEEP | QL_MARK_BARE},
    {QL_MARK_CALL, "<function=", "</function>", "<|start_header_id|>", QL_MARK_KEEP},
    {QL_MARK_CALL, "<function=", "</function>", "<function=", QL_MARK_KEEP}, // Qwen3-Coder when it forgets <tool_call>
    {QL_MARK_CALL, "<function name=", "</function>", NULL, QL_MARK_KEEP},    // MiniCPM
    {QL_MARK_RECIPIENT, ">>>", "\n", NULL, 0},                               // Functionary
    // gpt-oss
    {QL_MARK_CHANNEL, "<|channel|>", "<|message|>", HARMONY, 0},
    {QL_MARK_CHANNEL, "<|start|>", "<|message|>", HARMONY, 0},
    DROP("<|end|>", HARMONY), DROP("<|call|>", HARMONY), DROP("<|return|>", HARMONY),
};

static bool speaks_of(const char *chat_template, const ql_mark *mark)
{
    if (mark->spoken)
        return strstr(chat_template, mark->spoken) != NULL;
    return strstr(chat_template, mark->open) || (mark->close && strstr(chat_template, mark->close));
}

size_t ql_marks_of(const char *chat_template, const ql_mark **out)
{
    _Static_assert(sizeof marks / sizeof *marks <= QL_MAX_MARKS, "room for all marks");
    size_t n = 0;
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
        if (speaks_of(chat_template, &marks[i]))
            out[n++] = &marks[i];
    return n;
}
