// SPDX-License-Identifier: MIT
// Times the choice of a token from a large vocabulary, as a user's defaults have it: repetition penalty over the tokens of a
// prompt, top-k 50, top-p 0.9; then parts of it, greedy, and no filter at all.
//
//   sample_bench [size of the vocabulary: 128256] [tokens of the prompt: 1000]
//
// Logits are normal with a standard deviation of 2, which gives top-k and top-p work to do; they are new in memory each
// time, as after the output matrix. Microseconds a token, the median and the least of many.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/random.h"
#include "sample/sampler.h"

enum { RUNS = 600, SETS = 8 };

typedef struct chain {
    const char *name;
    int top_k;
    double top_p, repetition_penalty;
    bool greedy;
} chain;

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void time_chain(const chain *c, const float *sets, uint32_t n_vocab, const int32_t *prompt, size_t n_prompt)
{
    ql_params params = ql_params_default();
    params.do_sample = !c->greedy;
    params.top_k = c->top_k;
    params.top_p = c->top_p;
    params.repetition_penalty = c->repetition_penalty;
    ql_sampler *sampler;
    ql_error err;
    float *logits = malloc(n_vocab * sizeof *logits);
    double seconds[RUNS];
    if (!logits || ql_sampler_new(&params, n_vocab, 1, &sampler, &err) != QL_OK)
        exit(1);
    ql_sampler_prompt(sampler, prompt, n_prompt);
    for (int run = 0; run < RUNS; run++) {
        int32_t id;
        memcpy(logits, sets + (size_t)(run % SETS) * n_vocab, n_vocab * sizeof *logits);
        double start = ql_clock();
        if (ql_sampler_next(sampler, logits, &id, &err) != QL_OK)
            exit(1);
        seconds[run] = ql_clock() - start;
    }
    qsort(seconds, RUNS, sizeof *seconds, by_value);
    printf("%-44s %8.1f %8.1f\n", c->name, seconds[RUNS / 2] * 1e6, seconds[0] * 1e6);
    ql_sampler_free(sampler);
    free(logits);
}

int main(int argc, char **argv)
{
    static const chain chains[] = {
        {"top-k 50, top-p 0.9, repetition penalty 1.1", 50, 0.9, 1.1, false},
        {"top-k 50, top-p 0.9", 50, 0.9, 1, false},
        {"top-p 0.9, repetition penalty 1.1", 0, 0.9, 1.1, false},
        {"no filter", 0, 1, 1, false},
        {"greedy, repetition penalty 1.1", 0, 1, 1.1, true},
        {"greedy", 0, 1, 1, true},
    };
    uint32_t n_vocab = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 128256;
    size_t n_prompt = argc > 2 ? strtoul(argv[2], NULL, 10) : 1000;
    float *sets = malloc((size_t)n_vocab * SETS * sizeof *sets);
    int32_t *prompt = malloc((n_prompt + 1) * sizeof *prompt);
    if (!sets || !prompt || n_vocab == 0)
        return 1;
    for (size_t i = 0; i < (size_t)n_vocab * SETS; i++) { // Box and Muller 1958
        double radius = sqrt(-2 * log(1 - ql_random(1, 2 * i))), angle = 2 * M_PI * ql_random(1, 2 * i + 1);
        sets[i] = (float)(2 * radius * cos(angle));
    }
    for (size_t i = 0; i < n_prompt; i++)
        prompt[i] = (int32_t)(ql_random(2, i) * n_vocab);
    printf("%u logits, a prompt of %zu tokens: microseconds a token%6s %8s\n", n_vocab, n_prompt, "median", "least");
    for (size_t i = 0; i < sizeof chains / sizeof *chains; i++)
        time_chain(&chains[i], sets, n_vocab, prompt, n_prompt);
    free(sets);
    free(prompt);
    return 0;
}
