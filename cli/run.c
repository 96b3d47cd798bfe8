// SPDX-License-Identifier: MIT
// quantllm run: one prompt, one answer. It must not ask anything: a missing prompt on a terminal is an error.
// Where the prompt comes from: the argument, then standard input when it is "-", or a pipe or a file. Devices and
// sockets are read only when asked for, so that a command under cron or ssh never waits for nobody.
#include "conversation.h"
#include "models.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEY_SYSTEM = 0x200, KEY_CHAT, KEY_JSON, KEY_NO_PARSE_SPECIAL };

static error_t parse_run(int key, char *arg, struct argp_state *state)
{
    cli_options *options = ((cli_parse *)state->input)->options;
    switch (key) {
    case KEY_SYSTEM:
        options->system = arg;
        options->chat = true;
        return 0;
    case KEY_CHAT:
        options->chat = true;
        return 0;
    case KEY_JSON:
        options->json = true;
        return 0;
    case KEY_NO_PARSE_SPECIAL:
        options->no_parse_special = true;
        return 0;
    case ARGP_KEY_ARG:
        if (!options->model)
            options->model = arg;
        else if (strcmp(arg, "-") == 0 && !options->read_stdin)
            options->read_stdin = true;
        else if (!options->prompt && !options->read_stdin)
            options->prompt = arg;
        else
            return cli_parse_error(options, "run takes one prompt; \"%s\" is one too many (quote a prompt with spaces)",
                                   arg);
        return 0;
    case ARGP_KEY_END:
        return options->model ? 0 : cli_parse_error(options, "run: MODEL is missing; see quantllm run --help");
    default:
        return cli_parse_common(key, state);
    }
}

static const struct argp_option run_options[] = {
    {"chat", KEY_CHAT, NULL, 0, "Answer the prompt as a message, through the chat template", 0},
    {"system", KEY_SYSTEM, "TEXT", 0, "System message; implies --chat", 0},
    {"no-parse-special", KEY_NO_PARSE_SPECIAL, NULL, 0, "What spells a control token in PROMPT stays text", 0},
    {"json", KEY_JSON, NULL, 0, "Print one JSON object: text, finish_reason, usage", 0},
    {"help", 'h', NULL, 0, "This help", -1},
    {0},
};
static const struct argp_child run_children[] = {
    {&cli_sampling_argp, 0, NULL, 0},
    {&cli_model_argp, 0, NULL, 0},
    {0},
};
static const struct argp run_argp = {
    run_options, parse_run, "MODEL [PROMPT] [-]",
    "Continue PROMPT and print what the model adds, nothing else, on standard output.\v"
    "A prompt in a pipe or a file on standard input comes after PROMPT, one newline at its end dropped; \"-\" reads "
    "any standard input.\n\n"
    "Examples:\n"
    "  quantllm run model.gguf \"Once upon a time\" --max-new-tokens 100\n"
    "  quantllm run model.gguf --chat \"What is Python?\" --greedy\n"
    "  quantllm run model.gguf --chat \"Summarize this:\" < notes.txt\n"
    "  echo Once upon | quantllm run model.gguf - --json\n"
    "  quantllm run TinyLlama/TinyLlama-1.1B-Chat-v1.0 --chat \"What is Python?\"\n\n"
    "MODEL is a GGUF file, a folder, or org/name of the Hugging Face Hub, downloaded once (quantllm pull --help).",
    run_children, NULL, NULL};

// True: standard input holds a prompt that somebody meant to give.
static bool piped_input(bool instead_of_prompt)
{
    struct stat info;
    if (fstat(STDIN_FILENO, &info) != 0)
        return false;
    return S_ISFIFO(info.st_mode) || S_ISREG(info.st_mode) ||
           (instead_of_prompt && !cli_is_terminal(STDIN_FILENO) && !S_ISCHR(info.st_mode));
}

static int check_utf8(const char *what, const char *bytes, size_t len, int code)
{
    size_t valid = cli_utf8_valid(bytes, len);
    if (valid == len)
        return CLI_OK;
    return cli_error(code, "%s is not UTF-8 (byte 0x%02x at offset %zu)", what, (unsigned char)bytes[valid], valid);
}

static int read_input(cli_text *prompt)
{
    cli_text input = {0};
    int error = cli_read_all(STDIN_FILENO, &input);
    int code = error ? cli_error(CLI_FAILURE, "cannot read standard input: %s", strerror(error))
                     : check_utf8("standard input", input.data, input.len, CLI_DATA);
    if (input.len && input.data[input.len - 1] == '\n') {
        input.len--;
        if (input.len && input.data[input.len - 1] == '\r')
            input.len--;
    }
    if (code == CLI_OK && input.len && prompt->len)
        cli_append(prompt, "\n", 1);
    if (code == CLI_OK)
        cli_append(prompt, input.data, input.len);
    cli_release(&input);
    return code;
}

static int gather_prompt(const cli_options *options, cli_text *prompt)
{
    int code = CLI_OK;
    cli_append(prompt, "", 0);
    if (options->prompt) {
        cli_append_string(prompt, options->prompt);
        code = check_utf8("the prompt", prompt->data, prompt->len, CLI_USAGE);
    }
    if (code == CLI_OK && options->system)
        code = check_utf8("--system", options->system, strlen(options->system), CLI_USAGE);
    if (code != CLI_OK)
        return code;
    if (options->read_stdin || piped_input(!options->prompt))
        return read_input(prompt);
    if (!options->prompt)
        return cli_error(CLI_USAGE, "a prompt is missing: give it after MODEL or in a pipe, or use quantllm chat");
    return CLI_OK;
}

// JSON readers promise no more than 63 bits.
static json_t *seed_value(uint64_t seed)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)seed);
    return seed <= INT64_MAX ? json_integer((json_int_t)seed) : json_string(text);
}

// Content and reasoning; what the model wrote is all content where it is not taken apart.
static ql_answer_parts what_it_said(const cli_answer *answer)
{
    ql_answer_parts parts = {.content = answer->text.data ? answer->text.data : "", .content_len = answer->text.len,
                             .reasoning = ""};
    if (answer->parts)
        ql_answer_get(answer->parts, &parts);
    return parts;
}

static void print_json(const cli_answer *answer, const cli_options *options)
{
    const ql_usage *usage = &answer->usage;
    ql_answer_parts parts = what_it_said(answer);
    json_t *object = json_pack(
        "{s:s, s:s%, s:s%, s:s, s:o, s:{s:I, s:I, s:I, s:{s:I}, s:{s:I, s:I}}, s:{s:f, s:f}}", "model", options->model,
        "text", parts.content, parts.content_len, "reasoning", parts.reasoning, parts.reasoning_len, "finish_reason",
        cli_finish_name(answer->finish), "seed", seed_value(options->params.seed), "usage", "prompt_tokens",
        (json_int_t)usage->n_prompt, "completion_tokens", (json_int_t)usage->n_new, "total_tokens",
        (json_int_t)(usage->n_prompt + usage->n_new), "prompt_tokens_details", "cached_tokens", (json_int_t)usage->n_prompt_cached, "completion_tokens_details",
        "accepted_prediction_tokens", (json_int_t)usage->n_accepted, "rejected_prediction_tokens",
        (json_int_t)(usage->n_drafted - usage->n_accepted), "timings", "prompt_seconds",
        usage->prompt_seconds, "decode_seconds", usage->decode_seconds);
    char *text = object ? json_dumps(object, 0) : NULL;
    if (text) {
        cli_print(text, strlen(text));
        cli_print("\n", 1);
    }
    free(text);
    json_decref(object);
}

static void print_timing(const cli_answer *answer, const ql_params *params)
{
    const ql_usage *u = &answer->usage;
    cli_note("prompt: %llu tokens, %llu of them cached, %.3f s, %.1f tokens/s", (unsigned long long)u->n_prompt,
             (unsigned long long)u->n_prompt_cached, u->prompt_seconds,
             cli_rate(u->n_prompt - u->n_prompt_cached, u->prompt_seconds));
    cli_note("answer: %llu tokens, %.3f s, %.1f tokens/s; finish: %s; seed: %llu", (unsigned long long)u->n_new,
             u->decode_seconds, cli_decode_rate(u), cli_finish_name(answer->finish),
             (unsigned long long)params->seed);
    if (u->n_drafted)
        cli_note("speculation: %llu tokens computed ahead, %llu of them right", (unsigned long long)u->n_drafted,
                 (unsigned long long)u->n_accepted);
}

static int report(const cli_options *options, const cli_answer *answer)
{
    ql_answer_parts parts = what_it_said(answer);
    size_t n = parts.content_len;
    if (options->json)
        print_json(answer, options);
    else if (cli_is_terminal(STDOUT_FILENO) && (n ? parts.content[n - 1] != '\n' : parts.reasoning_len > 0))
        cli_print("\n", 1); // the shell's prompt begins on a line of its own; a pipe gets the text as it is
    if (options->verbose)
        print_timing(answer, &options->params);
    int number = cli_signal_take();
    if (answer->finish == QL_FINISH_CANCELLED)
        return number ? 128 + number : CLI_INTERRUPTED;
    return CLI_OK;
}

static int answer_prompt(const cli_options *options, ql_model *model, const cli_text *text)
{
    ql_error err = {0};
    ql_prompt prompt = {.text = text->data, .len = text->len, .no_parse_special = options->no_parse_special};
    int32_t *ids = NULL;
    ql_code code = QL_OK;
    cli_answer answer = {0};
    if (options->chat) {
        ql_model_info info;
        cli_conversation talk;
        cli_conversation_init(&talk);
        cli_conversation_set_system(&talk, options->system);
        cli_conversation_add(&talk, "user", text->data, text->len);
        prompt = (ql_prompt){0};
        code = cli_conversation_ids(&talk, model, &ids, &prompt.n_ids, &err);
        prompt.ids = ids;
        ql_model_get_info(model, &info);
        if (code == QL_OK && !(answer.parts = cli_conversation_parts(&talk, model, info.chat_template, &err)))
            code = err.code;
        cli_conversation_release(&talk);
    }
    ql_session *session = code == QL_OK ? ql_session_new(model, &err) : NULL;
    int status;
    if (session && cli_generate(session, &prompt, &options->params, !options->json, &answer, &err) == QL_OK)
        status = report(options, &answer);
    else
        status = cli_fail(&err);
    ql_session_free(session);
    ql_free(ids);
    ql_answer_close(answer.parts);
    cli_release(&answer.text);
    return status;
}

// A seed of our own, short enough for every JSON reader, so that any answer can be had again.
static void choose_seed(ql_params *params)
{
    uint32_t seed;
    if (params->has_seed || getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed)
        return;
    params->seed = seed;
    params->has_seed = true;
}

int cli_run(int argc, char **argv)
{
    cli_options options;
    cli_options_init(&options);
    cli_parse parse = {.argp = &run_argp, .name = "run", .options = &options};
    int code = CLI_OK;
    cli_text prompt = {0};
    ql_error err = {0};
    cli_signals_install(false);
    if (!cli_parse_arguments(&parse, argc, argv))
        code = options.status;
    else if (ql_params_check(&options.params, &err) != QL_OK)
        code = cli_fail(&err);
    else
        code = gather_prompt(&options, &prompt);
    if (code == CLI_OK && !parse.done) {
        choose_seed(&options.params);
        ql_model *model = cli_open_named(&options, &code);
        if (model)
            code = answer_prompt(&options, model, &prompt);
        ql_model_close(model);
    }
    cli_release(&prompt);
    cli_options_release(&options);
    return code;
}
