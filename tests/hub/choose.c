// SPDX-License-Identifier: MIT
// What hub/choose.c decides, for tests that compare it with the Python package: names on standard input, one a line, the
// choice in argv[1] ("" for none). Prints one JSON object: files, index, gguf; or error and its code.
#include "hub_impl.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    char **names = NULL, *line = NULL;
    size_t n = 0, size = 0;
    ssize_t len;
    while ((len = getdelim(&line, &size, 0, stdin)) > 0) {
        names = realloc(names, (n + 1) * sizeof *names);
        names[n++] = strdup(line);
    }
    free(line);
    hub_choice choice;
    ql_error err = {0};
    json_t *answer;
    ql_code code = hub_choose("o/n", (hub_names){names, n}, argc > 1 ? argv[1] : "", &choice, &err);
    if (code == QL_OK) {
        json_t *files = json_array();
        for (size_t i = 0; i < choice.n; i++)
            json_array_append_new(files, json_string(choice.files[i]));
        answer = json_pack("{s:o, s:s?, s:s?, s:I}", "files", files, "index", choice.index, "gguf", choice.gguf, "n_ggufs",
                           (json_int_t)choice.n_ggufs);
        hub_choice_free(&choice);
    } else {
        answer = json_pack("{s:s, s:s}", "error", err.message, "code", ql_code_lookup(code)->name);
    }
    json_dumpf(answer, stdout, 0);
    json_decref(answer);
    for (size_t i = 0; i < n; i++)
        free(names[i]);
    free(names);
    return 0;
}
