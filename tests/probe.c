// SPDX-License-Identifier: MIT
// The library under hostile input, for tests/cli/test_bad_inputs.py: a line "ACTION<TAB>PROMPT<TAB>PATH" on standard input
// gives a line "CODE<TAB>MESSAGE" on standard output. All in one process, which must live on.
#include "quantllm.h"

#include <stdio.h>
#include <string.h>

static ql_code generate(ql_model *model, const char *text, ql_error *err)
{
    ql_params params = ql_params_default();
    params.do_sample = false;
    params.max_new_tokens = 3;
    ql_session *session = ql_session_new(model, err);
    ql_prompt prompt = {.text = text, .len = strlen(text)};
    ql_code code = session ? ql_generate(session, &prompt, 1, &params, err) : err->code;
    ql_piece piece = {.text = ""};
    while (code == QL_OK && piece.text)
        code = ql_next(session, &piece, err);
    ql_session_free(session);
    return code;
}

static ql_code chat(ql_model *model, ql_error *err)
{
    ql_render render = {.messages = "[{\"role\":\"user\",\"content\":\"hi\"}]", .add_generation_prompt = true};
    int32_t *ids = NULL;
    size_t n = 0;
    ql_code code = ql_model_render_ids(model, &render, &ids, &n, err);
    ql_free(ids);
    return code;
}

int main(void)
{
    static char line[8192];
    while (fgets(line, sizeof line, stdin)) {
        ql_error err = {0};
        char *action = strtok(line, "\t\n"), *text = strtok(NULL, "\t\n"), *path = strtok(NULL, "\t\n");
        if (!action || !text || !path)
            return 2;
        ql_model_options options = {.threads = 1};
        ql_model *model = ql_model_open(path, &options, &err);
        ql_code code = model ? QL_OK : err.code;
        if (model && strcmp(action, "generate") == 0)
            code = generate(model, text, &err);
        if (model && strcmp(action, "chat") == 0)
            code = chat(model, &err);
        ql_model_close(model);
        printf("%s\t%s\n", ql_code_lookup(code)->name, code == QL_OK ? "" : err.message);
        fflush(stdout);
    }
    return 0;
}
