/* SPDX-License-Identifier: MIT
 * cc generate.c $(pkg-config --cflags --libs quantllm) && ./a.out model.gguf "Once upon a time" */
#include <quantllm.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    if (argc != 3)
        return fprintf(stderr, "usage: %s MODEL PROMPT\n", argv[0]), 64;
    ql_error err = {0};
    ql_model *model = ql_model_open(argv[1], NULL, &err);
    ql_session *session = model ? ql_session_new(model, &err) : NULL;
    if (session) {
        ql_params params = ql_params_default();
        params.max_new_tokens = 100;
        params.temperature = 0; /* greedy */
        ql_prompt prompt = {.text = argv[2], .len = strlen(argv[2])};
        ql_piece piece = {0};
        ql_code code = ql_generate(session, &prompt, 1, &params, &err);
        while (code == QL_OK && (code = ql_next(session, &piece, &err)) == QL_OK && piece.text)
            fwrite(piece.text, 1, piece.len, stdout);
        putchar('\n');
    }
    if (err.code)
        fprintf(stderr, "error: %s\n", err.message);
    ql_session_free(session);
    ql_model_close(model);
    return ql_code_lookup(err.code)->exit_code;
}
