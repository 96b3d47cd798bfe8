// SPDX-License-Identifier: MIT
// quantllm bench: prompt and decode speed in llama-bench's shape. It must not know how results are written
// (bench_report.c).
// A prompt test is timed by the engine's own prompt_seconds, with the depth's tokens in the cache before; a decode test
// asks for one token more than it counts, since the first one comes out of the prompt's computation.
#include "bench.h"
#include "models.h"
#include "options.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { MAX_VALUES = 16, MAX_TOKENS = 1 << 20, MAX_SEQS = 8 }; // MAX_SEQS: a list of prompts runs in waves of so many

typedef struct values {
    int data[MAX_VALUES];
    size_t n;
} values;

typedef struct bench_options {
    cli_parse parse; // first: it is what parse_bench() gets
    cli_options shared;
    values prompt, gen, depth, seqs;
    int repetitions;
    bool fast;
    bench_format format;
} bench_options;

// ---- options ----------------------------------------------------------------------------------------------------

enum { KEY_FAST = 0x200 };

// "128,512"
static const char *parse_values(const char *text, values *out)
{
    out->n = 0;
    for (;;) {
        char number[24];
        size_t len = strcspn(text, ",");
        int64_t value;
        if (len >= sizeof number)
            return "is not a list of whole numbers";
        memcpy(number, text, len);
        number[len] = 0;
        const char *why = cli_parse_integer(number, 0, MAX_TOKENS, &value);
        if (why)
            return len ? why : "is not a list of whole numbers";
        if (out->n == MAX_VALUES)
            return "has more than 16 values";
        out->data[out->n++] = (int)value;
        if (!text[len])
            return NULL;
        text += len + 1;
    }
}

static error_t parse_list(bench_options *options, const char *name, const char *arg, values *out)
{
    const char *why = parse_values(arg, out);
    return why ? cli_parse_error(&options->shared, "--%s: \"%s\" %s", name, arg, why) : 0;
}

static error_t parse_batches(bench_options *options, const char *arg)
{
    error_t failed = parse_list(options, "batch", arg, &options->seqs);
    for (size_t i = 0; i < options->seqs.n && !failed; i++)
        if (options->seqs.data[i] < 1 || options->seqs.data[i] > MAX_SEQS)
            return cli_parse_error(&options->shared, "--batch: \"%s\" has %d; 1 to %d sequences are decoded together", arg,
                                   options->seqs.data[i], MAX_SEQS);
    return failed;
}

static error_t parse_format(bench_options *options, const char *arg)
{
    static const char *const names[] = {"md", "json", "csv"};
    for (int i = 0; i < 3; i++)
        if (strcmp(arg, names[i]) == 0) {
            options->format = (bench_format)i;
            return 0;
        }
    return cli_parse_error(&options->shared, "--output: \"%s\" is none of md, json and csv", arg);
}

static error_t parse_bench(int key, char *arg, struct argp_state *state)
{
    bench_options *options = state->input;
    cli_options *shared = &options->shared;
    int64_t number;
    const char *why;
    switch (key) {
    case 'p':
        return parse_list(options, "n-prompt", arg, &options->prompt);
    case 'n':
        return parse_list(options, "n-gen", arg, &options->gen);
    case 'd':
        return parse_list(options, "n-depth", arg, &options->depth);
    case 'b':
        return parse_batches(options, arg);
    case 'r':
        if ((why = cli_parse_integer(arg, 1, 1000, &number)))
            return cli_parse_error(shared, "--repetitions: \"%s\" %s (1 to 1000)", arg, why);
        options->repetitions = (int)number;
        return 0;
    case 'o':
        return parse_format(options, arg);
    case KEY_FAST:
        options->fast = true;
        return 0;
    case ARGP_KEY_ARG:
        if (shared->model)
            return cli_parse_error(shared, "bench takes one model; \"%s\" is one too many", arg);
        shared->model = arg;
        return 0;
    case ARGP_KEY_END:
        return shared->model ? 0 : cli_parse_error(shared, "bench: MODEL is missing; see quantllm bench --help");
    default:
        return cli_parse_common(key, state);
    }
}

static const struct argp_option bench_argp_options[] = {
    {"n-prompt", 'p', "N,...", 0, "Tokens of the prompt tests; 0 for none (512)", 0},
    {"n-gen", 'n', "N,...", 0, "Tokens of the decode tests; 0 for none (128)", 0},
    {"n-depth", 'd', "N,...", 0, "Tokens in the context before each test (0)", 0},
    {"batch", 'b', "N,...", 0, "Sequences that the decode tests decode together, 1 to 8 (1)", 0},
    {"repetitions", 'r', "N", 0, "Runs of each test, after one that does not count (5)", 0},
    {"output", 'o', "FORMAT", 0, "md, json or csv (md)", 0},
    {"fast", KEY_FAST, NULL, 0, "Do not measure the limits of memory and kernels", 0},
    {"help", 'h', NULL, 0, "This help", -1},
    {0},
};
static const struct argp_child bench_children[] = {{&cli_model_argp, 0, NULL, 0}, {0}};
static const struct argp bench_argp = {
    bench_argp_options, parse_bench, "MODEL",
    "Measure prompt and decode tokens per second, beside the limits of memory and of the kernels (the roofline), peak "
    "memory and load time.\vExamples:\n"
    "  quantllm bench model.gguf\n"
    "  quantllm bench model.gguf -p 128,512 -n 128 -d 0,1024 -r 3 -t 2 -o json\n"
    "  quantllm bench model.gguf -p 0 -n 64 -b 1,4,8\n"
    "  quantllm bench TinyLlama/TinyLlama-1.1B-Chat-v1.0 --quantization Q4_K_M",
    bench_children, NULL, NULL};

// ---- measuring --------------------------------------------------------------------------------------------------

typedef struct bencher {
    ql_session *session;
    uint32_t n_vocab;
    uint64_t state; // of the token sequence: the same numbers in every run
    int32_t *ids;   // [depth + prompt], or [n_seqs, depth]
} bencher;

static int32_t next_id(bencher *b)
{
    b->state = b->state * 6364136223846793005u + 1442695040888963407u; // Knuth's MMIX generator
    return (int32_t)((b->state >> 33) % b->n_vocab);
}

// n prompts of n_ids each that differ in their last token.
static ql_code generate(bencher *b, int n, size_t n_ids, int n_new, ql_usage *usage, ql_error *err)
{
    ql_prompt prompts[MAX_SEQS] = {{0}};
    for (int i = 0; i < n; i++) {
        int32_t *ids = b->ids + (size_t)i * n_ids;
        if (i > 0) {
            memcpy(ids, b->ids, n_ids * sizeof *ids);
            ids[n_ids - 1] = (int32_t)(((uint32_t)b->ids[n_ids - 1] + (uint32_t)i) % b->n_vocab);
        }
        prompts[i] = (ql_prompt){.ids = ids, .n_ids = n_ids};
    }
    ql_params params = ql_params_default();
    params.do_sample = false;
    params.repetition_penalty = 1;
    params.ignore_eos = true;
    params.no_speculation = true; // what a token costs, not what a text suggests
    params.max_new_tokens = n_new;
    ql_piece piece;
    ql_code code = ql_generate(b->session, prompts, (size_t)n, &params, err);
    do {
        if (code == QL_OK)
            code = ql_next(b->session, &piece, err);
    } while (code == QL_OK && piece.text);
    ql_session_get_usage(b->session, usage);
    return code;
}

static ql_code run_once(bencher *b, const bench_test *test, double *seconds, ql_error *err)
{
    ql_usage usage;
    size_t depth = (size_t)test->n_depth;
    if (test->n_gen) {
        ql_code code = generate(b, test->n_seqs, depth ? depth : 1, test->n_gen + 1, &usage, err);
        *seconds = usage.decode_seconds;
        return code;
    }
    if (!depth)
        ql_session_reset(b->session);
    int32_t before = b->ids[depth];
    for (int i = 0; i < test->n_prompt; i++)
        b->ids[depth + (size_t)i] = next_id(b);
    if (b->ids[depth] == before) // nothing but the depth may be in the cache
        b->ids[depth] = (int32_t)(((uint32_t)before + 1) % b->n_vocab);
    ql_code code = generate(b, 1, depth + (size_t)test->n_prompt, 1, &usage, err);
    *seconds = usage.prompt_seconds;
    return code;
}

static ql_code run_test(bencher *b, bench_test *test, int repetitions, ql_error *err)
{
    size_t depth = (size_t)test->n_depth;
    time_t now = time(NULL);
    struct tm utc;
    strftime(test->time, sizeof test->time, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    test->seconds = cli_alloc((size_t)repetitions * sizeof *test->seconds);
    b->ids = cli_grow(b->ids, (depth + 1) * (size_t)test->n_seqs + (size_t)test->n_prompt, sizeof *b->ids);
    b->state = 1;
    for (size_t i = 0; i <= depth; i++)
        b->ids[i] = next_id(b);
    ql_session_reset(b->session);
    double warm_up;
    ql_usage usage;
    ql_code code = depth ? generate(b, test->n_seqs, depth, 1, &usage, err) : QL_OK;
    if (code == QL_OK)
        code = run_once(b, test, &warm_up, err);
    for (int i = 0; i < repetitions && code == QL_OK; i++)
        code = run_once(b, test, &test->seconds[i], err);
    return code;
}

// The high-water mark of this process image; ru_maxrss would also count the one that started it.
static uint64_t peak_memory(void)
{
    char line[256];
    unsigned long long kib = 0;
    FILE *file = fopen("/proc/self/status", "re");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "VmHWM: %llu kB", &kib) == 1)
            break;
    if (file)
        fclose(file);
    struct rusage usage;
    if (!kib && getrusage(RUSAGE_SELF, &usage) == 0)
        kib = (unsigned long long)usage.ru_maxrss;
    return kib * 1024;
}

// ---- the verb ---------------------------------------------------------------------------------------------------

static void add_tests(bench_result *result, const values *sizes, int depth, int n_seqs, bool prompt)
{
    for (size_t i = 0; i < sizes->n; i++) {
        int n = sizes->data[i];
        if (n == 0)
            continue;
        result->tests = cli_grow(result->tests, result->n_tests + 1, sizeof *result->tests);
        result->tests[result->n_tests++] =
            (bench_test){.n_prompt = prompt ? n : 0, .n_gen = prompt ? 0 : n, .n_depth = depth, .n_seqs = n_seqs};
    }
}

// The smallest context in which every test fits.
static uint32_t needed_length(const bench_result *result)
{
    uint32_t need = 0;
    for (size_t i = 0; i < result->n_tests; i++) {
        const bench_test *test = &result->tests[i];
        int depth = test->n_gen && !test->n_depth ? 1 : test->n_depth;
        uint32_t length = (uint32_t)(depth + test->n_prompt + test->n_gen + 1);
        need = length > need ? length : need;
    }
    return need;
}

static int measure(const bench_options *options, ql_model *model, bench_result *result)
{
    ql_error err = {0};
    bencher b = {.session = ql_session_new(model, &err)};
    if (!b.session)
        return cli_fail(&err);
    ql_model_get_info(model, &result->info);
    b.n_vocab = result->info.n_vocab;
    ql_code code = QL_OK;
    for (size_t i = 0; i < result->n_tests && code == QL_OK; i++) {
        code = run_test(&b, &result->tests[i], options->repetitions, &err);
        if (options->shared.verbose && code == QL_OK)
            cli_note("test %zu of %zu done", i + 1, result->n_tests);
    }
    free(b.ids);
    ql_session_free(b.session);
    return code == QL_OK ? CLI_OK : cli_fail(&err);
}

static int bench_model(bench_options *options, bench_result *result)
{
    int code;
    ql_model_options *model_options = &options->shared.model_options;
    if (!model_options->max_length)
        model_options->max_length = needed_length(result);
    ql_model *model = cli_open_named(&options->shared, &code);
    if (!model)
        return code;
    code = measure(options, model, result);
    if (code == CLI_OK) {
        result->peak_bytes = peak_memory();
        ql_error err = {0};
        if (options->fast || ql_model_roof(model, &result->roof, &err) == QL_OK)
            cli_bench_print(result, options->format);
        else
            code = cli_fail(&err);
    }
    ql_model_close(model);
    return code;
}

int cli_bench(int argc, char **argv)
{
    bench_options options = {.prompt = {{512}, 1}, .gen = {{128}, 1}, .depth = {{0}, 1}, .seqs = {{1}, 1},
                             .repetitions = 5};
    cli_options_init(&options.shared);
    options.parse = (cli_parse){.argp = &bench_argp, .name = "bench", .options = &options.shared};
    bench_result result = {0};
    int code;
    cli_signals_install(false);
    if (!cli_parse_arguments(&options.parse, argc, argv)) {
        code = options.shared.status;
    } else {
        for (size_t i = 0; i < options.depth.n; i++) {
            add_tests(&result, &options.prompt, options.depth.data[i], 1, true);
            for (size_t j = 0; j < options.seqs.n; j++)
                add_tests(&result, &options.gen, options.depth.data[i], options.seqs.data[j], false);
        }
        result.path = options.shared.model;
        result.repetitions = options.repetitions;
        code = result.n_tests ? bench_model(&options, &result)
                              : cli_error(CLI_USAGE, "--n-prompt and --n-gen are both 0: there is nothing to measure");
    }
    for (size_t i = 0; i < result.n_tests; i++)
        free(result.tests[i].seconds);
    free(result.tests);
    cli_options_release(&options.shared);
    return code;
}
