// SPDX-License-Identifier: MIT
// libFuzzer target: an answer is taken apart. The input: a byte that says how long the pieces are, the marks of a template,
// a 0 byte, the answer. Fed in pieces it must divide as fed whole; raw must be what came; nothing may be an error.
//
//     clang -g -fsanitize=fuzzer,address,undefined -Iinclude -Isrc tests/fuzz/fuzz_answer.c
//         <the static library> -ljansson -lunistring -lm -o fuzz_answer
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char tools[] = "[{\"name\": \"f\", \"parameters\": {\"properties\": {\"a\": {\"type\": \"string\"}, \"b\": {}}}}]";

static ql_answer *take_apart(const char *marks, const char *text, size_t len, size_t piece, ql_answer_parts *parts)
{
    ql_error err = {0};
    ql_answer *answer = ql_answer_open(&(ql_answer_options){.chat_template = marks, .tools = tools}, &err);
    if (!answer)
        abort();
    for (size_t at = 0; at < len; at += piece)
        if (ql_answer_feed(answer, text + at, piece < len - at ? piece : len - at, false, &err) != QL_OK)
            abort();
    if (ql_answer_feed(answer, "", 0, true, &err) != QL_OK)
        abort();
    ql_answer_get(answer, parts);
    if (parts->raw_len != len || (len && memcmp(parts->raw, text, len) != 0))
        abort();
    return answer;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *split = size > 1 ? memchr(data + 1, 0, size - 1) : NULL;
    if (!split)
        return 0;
    const char *text = (const char *)split + 1;
    size_t len = size - (size_t)(text - (const char *)data);
    ql_answer_parts whole, pieces;
    ql_answer *a = take_apart((const char *)data + 1, text, len, len ? len : 1, &whole);
    ql_answer *b = take_apart((const char *)data + 1, text, len, 1 + data[0] % 16, &pieces);
    if (whole.content_len != pieces.content_len || memcmp(whole.content, pieces.content, whole.content_len) != 0 ||
        whole.reasoning_len != pieces.reasoning_len || memcmp(whole.reasoning, pieces.reasoning, whole.reasoning_len) != 0 ||
        strcmp(whole.tool_calls, pieces.tool_calls) != 0)
        abort();
    ql_answer_close(a);
    ql_answer_close(b);
    return 0;
}
