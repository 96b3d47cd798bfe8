// SPDX-License-Identifier: MIT
// quantllm export: a model as one GGUF file. It must not know what is in such a file.
#include "models.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { KEY_QUIET = 'q', KEY_THREADS = 't', KEY_QUANTIZATION = 0x500 };

typedef struct export_options {
    cli_parse parse; // first: it is what parse_export() gets
    cli_options shared;
    const char *out;
} export_options;

static error_t parse_export(int key, char *arg, struct argp_state *state)
{
    export_options *o = state->input;
    int64_t threads;
    const char *why;
    switch (key) {
    case KEY_THREADS:
        why = cli_parse_integer(arg, 1, 256, &threads);
        if (why)
            return cli_parse_error(&o->shared, "--threads: \"%s\" %s (1 to 256)", arg, why);
        o->shared.model_options.threads = (int)threads;
        return 0;
    case KEY_QUANTIZATION:
        o->shared.model_options.quantization = arg;
        return 0;
    case ARGP_KEY_ARG:
        if (o->out)
            return cli_parse_error(&o->shared, "export takes a model and a file; \"%s\" is one too many", arg);
        *(o->shared.model ? &o->out : &o->shared.model) = arg;
        return 0;
    case ARGP_KEY_END:
        if (o->out)
            return 0;
        return cli_parse_error(&o->shared, "export: %s is missing; see quantllm export --help",
                               o->shared.model ? "the file to write" : "MODEL");
    default:
        return cli_parse_store(key, arg, state, true);
    }
}

static const struct argp_option export_argp_options[] = {
    {"quantization", KEY_QUANTIZATION, "TYPE", 0, "The weights' type: Q8_0, Q4_K_M, ..., F16, BF16, F32 (auto)", 0},
    {"revision", CLI_KEY_REVISION, "REV", 0, "Branch, tag or commit of a model of the Hub (main)", 0},
    {"threads", KEY_THREADS, "N", 0, "Threads (the physical cores)", 0},
    {"json", CLI_KEY_JSON, NULL, 0, "Print one JSON object: path, quantization, bytes, tensors, encoded", 0},
    {"quiet", KEY_QUIET, NULL, 0, "No lines about it", 0},
    {"help", 'h', NULL, 0, "This help", -1},
    {0},
};
static const struct argp export_argp = {
    export_argp_options, parse_export, "MODEL OUT.gguf",
    "Write a model as one GGUF file, for llama.cpp and what reads its files.\v"
    "MODEL is a GGUF file (of a split one any part), a folder with safetensors, or a name of the Hugging Face Hub. Without "
    "--quantization the weights of a GGUF file stay as they are, and a folder becomes Q8_0 below 1e9 parameters and Q4_K_M "
    "from there. OUT.gguf is there whole or not at all; a file of that name is replaced at the end.\n\n"
    "Examples:\n"
    "  quantllm export model.F16.gguf model.Q4_K_M.gguf --quantization Q4_K_M\n"
    "  quantllm export model-00001-of-00003.gguf whole.gguf\n"
    "  quantllm export TinyLlama/TinyLlama-1.1B-Chat-v1.0 tinyllama.gguf --quantization Q5_K_M",
    NULL, NULL, NULL};

typedef struct progress {
    double start;
    bool quiet, terminal;
    int shown; // per cent on the terminal, -1 for none
} progress;

static void clear(progress *p)
{
    if (p->shown >= 0)
        fprintf(stderr, "\r\033[K");
    p->shown = -1;
}

static void on_progress(void *user, float fraction)
{
    progress *p = user;
    int percent = (int)(fraction * 100);
    if (!p->terminal || percent == p->shown || cli_seconds() - p->start < 0.5)
        return;
    fprintf(stderr, "\rexporting %d %%", percent);
    p->shown = percent;
}

static void on_line(void *user, const char *line)
{
    progress *p = user;
    clear(p);
    if (!p->quiet)
        cli_note("%s", line);
}

static bool on_poll(void *user)
{
    (void)user;
    return cli_signal_pending() != 0;
}

static void print_result(const export_options *o, const ql_export_result *result, double seconds)
{
    char size[32];
    cli_size(result->bytes, size);
    if (!o->shared.quiet)
        cli_note("%s: %s, %s, %llu tensors, of which %llu encoded, in %.1f s", o->out, result->quantization, size,
                 (unsigned long long)result->n_tensors, (unsigned long long)result->n_encoded, seconds);
    if (o->shared.json)
        cli_print_object(json_pack("{s:o, s:s, s:I, s:I, s:I}", "path", cli_json_text(o->out), "quantization",
                                   result->quantization, "bytes", (json_int_t)result->bytes, "tensors",
                                   (json_int_t)result->n_tensors, "encoded", (json_int_t)result->n_encoded));
}

static int export(export_options *o)
{
    int code = CLI_OK;
    ql_error err = {0};
    ql_export_result result;
    char *path = cli_find_model(&o->shared, &code);
    if (!path)
        return code;
    progress p = {.start = cli_seconds(), .quiet = o->shared.quiet, .shown = -1};
    p.terminal = !p.quiet && cli_is_terminal(STDERR_FILENO) && cli_smart_terminal();
    const ql_export_options options = {.quantization = o->shared.model_options.quantization,
                                       .threads = o->shared.model_options.threads, .progress = on_progress,
                                       .cancelled = on_poll, .log = on_line, .user = &p};
    cli_signals_hold(true); // the temporary file goes before the command does
    ql_code done = ql_export_gguf(path, &options, o->out, &result, &err);
    cli_signals_hold(false);
    free(path);
    clear(&p);
    int number = done == QL_E_CANCELLED ? cli_signal_take() : 0;
    if (done != QL_OK)
        return code = cli_fail(&err), number ? 128 + number : code;
    print_result(o, &result, cli_seconds() - p.start);
    return CLI_OK;
}

int cli_export(int argc, char **argv)
{
    export_options options = {.parse = {.argp = &export_argp, .name = "export"}};
    options.parse.options = &options.shared;
    cli_options_init(&options.shared);
    cli_signals_install(false);
    int code = cli_parse_arguments(&options.parse, argc, argv) ? export(&options) : options.shared.status;
    cli_options_release(&options.shared);
    return code;
}
