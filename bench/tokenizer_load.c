// SPDX-License-Identifier: MIT
// How long a tokenizer takes to load: from its file or folder, and from the form that the packed cache keeps.
//
//     tokenizer_load FILE_OR_FOLDER [ROUNDS]
//
// One line, "file 12.3 stored 4.5": medians in milliseconds; "stored -" where there is no such form (GGUF).
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "text/tokenizer.h"

enum { MAX_ROUNDS = 1000 };

static int by_time(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *times, int n)
{
    qsort(times, (size_t)n, sizeof *times, by_time);
    return 1e3 * times[n / 2];
}

static ql_code load_file(const char *path, ql_source **source, ql_tokenizer **t, ql_error *err)
{
    QL_TRY(ql_source_open(path, source, err));
    return ql_tokenizer_load(*source, t, err);
}

int main(int argc, char **argv)
{
    ql_error err;
    double times[MAX_ROUNDS];
    int rounds = argc > 2 ? atoi(argv[2]) : 21;
    ql_source *source = NULL;
    ql_tokenizer *t = NULL;
    ql_buf stored = {0};
    if (argc < 2 || rounds < 1 || rounds > MAX_ROUNDS) {
        fprintf(stderr, "usage: tokenizer_load FILE_OR_FOLDER [ROUNDS]\n");
        return 2;
    }
    for (int i = 0; i < rounds; i++) {
        double start = ql_clock();
        if (load_file(argv[1], &source, &t, &err) != QL_OK)
            return fprintf(stderr, "%s\n", err.message), 1;
        times[i] = ql_clock() - start;
        if (i + 1 < rounds) {
            ql_tokenizer_free(t);
            ql_source_close(source);
        }
    }
    printf("file %.1f ", median(times, rounds));
    bool storable = ql_tokenizer_store(t, &stored, &err) == QL_OK;
    ql_tokenizer_free(t);
    for (int i = 0; storable && i < rounds; i++) {
        double start = ql_clock();
        if (ql_tokenizer_load_stored(source, stored.data, stored.len, &t, &err) != QL_OK)
            return fprintf(stderr, "%s\n", err.message), 1;
        times[i] = ql_clock() - start;
        ql_tokenizer_free(t);
    }
    if (storable)
        printf("stored %.1f\n", median(times, rounds));
    else
        puts("stored -");
    ql_buf_free(&stored);
    ql_source_close(source);
    return 0;
}
