// SPDX-License-Identifier: MIT
// libFuzzer target: a template, a 0 byte, and JSON for a message's content; compile and render.
//
//     clang -g -fsanitize=fuzzer,address,undefined -Iinclude -Isrc tests/fuzz/fuzz_template.c
//         <the static library> -ljansson -lunistring -lm -o fuzz_template
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *split = size ? memchr(data, 0, size) : NULL;
    size_t len = split ? (size_t)(split - data) : size;
    ql_error err = {0};
    ql_buf messages = {0}, text = {0}, origin = {0};
    ql_buf_append_str(&messages, "[{\"role\": \"user\", \"content\": ");
    if (split)
        ql_buf_append(&messages, split + 1, size - len - 1);
    else
        ql_buf_append_str(&messages, "[\"a\", {\"b\": 1.5, \"c\": null}, [1, 2, 3]]");
    ql_buf_append_str(&messages, "}]");
    ql_template *tmpl = ql_template_open((const char *)data, len, "<s>", "</s>", &err);
    ql_render render = {.messages = messages.data, .add_generation_prompt = true, .has_now = true};
    if (tmpl && ql_template_render_buf(tmpl, &render, &text, &origin, &err) == QL_OK) {
        if (text.len != origin.len)
            abort();
        for (size_t i = 0; i < origin.len; i++)
            if ((uint8_t)origin.data[i] > 1)
                abort();
    } else if (!err.message[0]) {
        abort();
    }
    ql_template_close(tmpl);
    ql_buf_free(&messages);
    ql_buf_free(&text);
    ql_buf_free(&origin);
    return 0;
}
