// SPDX-License-Identifier: MIT
// What a benchmark measured, and how it is written.
#ifndef CLI_BENCH_H
#define CLI_BENCH_H

#include "common.h"

#include <stdio.h>

// One row: n_prompt or n_gen is 0, as in llama-bench; both are of each sequence.
typedef struct bench_test {
    int n_prompt, n_gen, n_depth;
    int n_seqs;      // decoded together; 1 for prompts
    double *seconds; // [repetitions]
    char time[32];   // when it began, ISO 8601 UTC
} bench_test;

typedef struct bench_result {
    const char *path;
    ql_model_info info;
    bench_test *tests; // [n_tests]
    size_t n_tests;
    int repetitions;
    uint64_t peak_bytes;   // resident, before the limits are measured; 0: unknown
    ql_roof roof;
} bench_result;

typedef enum bench_format { BENCH_MD, BENCH_JSON, BENCH_CSV } bench_format;

// To standard output, flushed.
void cli_bench_print(const bench_result *result, bench_format format);
#endif
