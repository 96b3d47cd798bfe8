// SPDX-License-Identifier: MIT
// Owns the options of a model and of sampling, and how a command line is told to be wrong.
// It must not know what a verb does with them; ranges belong to ql_params_check(), here only the syntax of numbers.
// argp parses silently (ARGP_NO_ERRS): its own messages take several lines and another form than all other errors.
#include "options.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    KEY_HELP = 'h',
    KEY_QUIET = 'q',
    KEY_VERBOSE = 'v',
    KEY_THREADS = 't',
    KEY_MAX_LENGTH = 0x100,
    KEY_QUANTIZATION,
    KEY_BITS,
    KEY_KV_CACHE,
    KEY_NO_SPECULATION,
    KEY_DRAFT,
    KEY_NO_CACHE,
    KEY_REVISION,
    KEY_MODEL_DEFAULTS,
    KEY_CHAT_TEMPLATE,
    KEY_MAX_NEW_TOKENS,
    KEY_TOP_K,
    KEY_TEMPERATURE,
    KEY_TOP_P,
    KEY_MIN_P,
    KEY_TYPICAL_P,
    KEY_REPETITION_PENALTY,
    KEY_FREQUENCY_PENALTY,
    KEY_PRESENCE_PENALTY,
    KEY_SEED,
    KEY_GREEDY,
    KEY_STOP,
    KEY_LOGIT_BIAS,
};

// ---- numbers ----------------------------------------------------------------------------------------------------

static bool starts_a_number(const char *text) { return isdigit((unsigned char)*text) || strchr("+-.", *text); }

const char *cli_parse_double(const char *text, double *value)
{
    char *end;
    if (!*text || !starts_a_number(text) || strpbrk(text, "xXnN")) // neither hexadecimal, nan nor inf
        return "is not a number";
    *value = strtod(text, &end);
    if (*end || end == text)
        return "is not a number";
    return isfinite(*value) ? NULL : "is too large";
}

const char *cli_parse_integer(const char *text, int64_t low, int64_t high, int64_t *value)
{
    char *end;
    errno = 0;
    if (!*text || !(isdigit((unsigned char)*text) || *text == '-' || *text == '+'))
        return "is not a whole number";
    long long number = strtoll(text, &end, 10);
    if (*end || end == text)
        return "is not a whole number";
    if (errno == ERANGE || number > high)
        return "is too large";
    if (number < low)
        return low == 0 ? "must not be negative" : "is too small";
    *value = number;
    return NULL;
}

const char *cli_parse_unsigned(const char *text, uint64_t high, uint64_t *value)
{
    char *end;
    errno = 0;
    if (*text == '-')
        return "must not be negative";
    if (!isdigit((unsigned char)*text))
        return "is not a whole number";
    unsigned long long number = strtoull(text, &end, 10);
    if (*end)
        return "is not a whole number";
    if (errno == ERANGE || number > high)
        return "is too large";
    *value = number;
    return NULL;
}

// ---- errors -----------------------------------------------------------------------------------------------------

error_t cli_parse_error(cli_options *options, const char *fmt, ...)
{
    char *message = NULL;
    va_list args;
    va_start(args, fmt);
    if (vasprintf(&message, fmt, args) < 0)
        message = NULL;
    va_end(args);
    options->status = cli_error(CLI_USAGE, "%s", message ? message : fmt);
    free(message);
    return EINVAL;
}

static error_t bad_value(cli_options *options, const char *option, const char *value, const char *why)
{
    return cli_parse_error(options, "--%s: \"%s\" %s", option, value, why);
}

// A parameter's name at the head of a message becomes its option: "--top-p: must be ...".
int cli_fail(const ql_error *err)
{
    static const struct {
        const char *parameter, *option;
    } names[] = {
        {"max_new_tokens", "--max-new-tokens"},
        {"temperature", "--temperature"},
        {"top_p", "--top-p"},
        {"top_k", "--top-k"},
        {"min_p", "--min-p"},
        {"typical_p", "--typical-p"},
        {"repetition_penalty", "--repetition-penalty"},
        {"frequency_penalty", "--frequency-penalty"},
        {"presence_penalty", "--presence-penalty"},
        {"logit_bias", "--logit-bias"},
        {"stop_strings", "--stop"},
        {"threads", "--threads"},
        {"max_length", "--max-length"},
        {"quantization", "--quantization"},
        {"bits", "--bits"},
        {"kv_cache", "--kv-cache"},
        {"chat_template", "--chat-template"},
        {"revision", "--revision"},
    };
    size_t word = strspn(err->message, "abcdefghijklmnopqrstuvwxyz_");
    for (size_t i = 0; err->code == QL_E_ARGUMENT && i < sizeof names / sizeof *names; i++) {
        if (strlen(names[i].parameter) != word || memcmp(names[i].parameter, err->message, word) != 0)
            continue;
        const char *rest = err->message + word;
        return cli_error(CLI_USAGE, "%s%s%s", names[i].option, *rest == ' ' ? ":" : "", rest);
    }
    return cli_error(ql_code_lookup(err->code)->exit_code, "%s", err->message);
}

// ---- the model's options ----------------------------------------------------------------------------------------

static error_t read_template(cli_options *options, const char *path)
{
    cli_clear(&options->chat_template);
    int error = cli_read_file(path, &options->chat_template);
    if (error)
        return cli_parse_error(options, "--chat-template: cannot read %s: %s", path, strerror(error));
    const cli_text *text = &options->chat_template;
    if (cli_utf8_valid(text->data, text->len) != text->len || memchr(text->data, 0, text->len))
        return cli_parse_error(options, "--chat-template: %s is not a text in UTF-8", path);
    options->model_options.chat_template = text->data;
    return 0;
}

static error_t parse_model_option(int key, char *arg, struct argp_state *state)
{
    cli_options *options = state->input;
    const char *why = NULL;
    uint64_t number;
    int64_t value;
    switch (key) {
    case KEY_THREADS:
        if ((why = cli_parse_integer(arg, INT32_MIN, INT32_MAX, &value)))
            return bad_value(options, "threads", arg, why);
        options->model_options.threads = (int)value;
        return 0;
    case KEY_MAX_LENGTH:
        if ((why = cli_parse_unsigned(arg, UINT32_MAX, &number)))
            return bad_value(options, "max-length", arg, why);
        options->model_options.max_length = (uint32_t)number;
        return 0;
    case KEY_QUANTIZATION:
        options->model_options.quantization = arg;
        return 0;
    case KEY_DRAFT:
        options->draft = arg;
        return 0;
    case KEY_NO_SPECULATION:
        options->params.no_speculation = true;
        return 0;
    case KEY_KV_CACHE:
        options->model_options.kv_cache = arg;
        return 0;
    case KEY_BITS:
        if ((why = cli_parse_integer(arg, 0, INT32_MAX, &value)))
            return bad_value(options, "bits", arg, why);
        options->model_options.bits = (int)value;
        return 0;
    case KEY_REVISION:
        options->revision = arg;
        return 0;
    case KEY_NO_CACHE:
        options->model_options.no_cache = true;
        return 0;
    case KEY_CHAT_TEMPLATE:
        return read_template(options, arg);
    case KEY_QUIET:
        options->quiet = true;
        return 0;
    case KEY_VERBOSE:
        options->verbose = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option model_options[] = {
    {NULL, 0, NULL, 0, "Model:", 2},
    {"revision", KEY_REVISION, "REV", 0, "Branch, tag or commit of a model of the Hub (main)", 2},
    {"threads", KEY_THREADS, "N", 0, "Threads (the physical cores)", 2},
    {"max-length", KEY_MAX_LENGTH, "N", 0, "Context in tokens (the model's, at most 8192)", 2},
    {"quantization", KEY_QUANTIZATION, "TYPE", 0, "How weights run: Q8_0, Q4_K_M, ..., F32 is the reference (auto)", 2},
    {"bits", KEY_BITS, "N", 0, "The same by number: 2, 3, 4, 5, 6, 8 or 16", 2},
    {"kv-cache", KEY_KV_CACHE, "TYPE", 0, "Keys and values: f32, f16, q8 or q4 (auto: q8)", 2},
    {"draft", KEY_DRAFT, "MODEL", 0, "A smaller model that suggests tokens: the same text, sooner", 2},
    {"no-speculation", KEY_NO_SPECULATION, NULL, 0, "Compute no tokens ahead: the same text, token after token", 2},
    {"no-cache", KEY_NO_CACHE, NULL, 0, "Neither read nor keep packed weights", 2},
    {"chat-template", KEY_CHAT_TEMPLATE, "FILE", 0, "Jinja chat template instead of the model's", 2},
    {"quiet", KEY_QUIET, NULL, 0, "No line about loading", 2},
    {"verbose", KEY_VERBOSE, NULL, 0, "Timing at the end, on standard error", 2},
    {0},
};

const struct argp cli_model_argp = {model_options, parse_model_option, NULL, NULL, NULL, NULL, NULL};

// ---- sampling options -------------------------------------------------------------------------------------------

static double *real_field(ql_params *params, int key, const char **name)
{
    switch (key) {
    case KEY_TEMPERATURE:
        return *name = "temperature", &params->temperature;
    case KEY_TOP_P:
        return *name = "top-p", &params->top_p;
    case KEY_MIN_P:
        return *name = "min-p", &params->min_p;
    case KEY_TYPICAL_P:
        return *name = "typical-p", &params->typical_p;
    case KEY_REPETITION_PENALTY:
        return *name = "repetition-penalty", &params->repetition_penalty;
    case KEY_FREQUENCY_PENALTY:
        return *name = "frequency-penalty", &params->frequency_penalty;
    case KEY_PRESENCE_PENALTY:
        return *name = "presence-penalty", &params->presence_penalty;
    default:
        return NULL;
    }
}

// ID=BIAS, where BIAS may be -inf.
static error_t add_logit_bias(cli_options *options, char *arg)
{
    char *equals = strchr(arg, '=');
    if (!equals)
        return bad_value(options, "logit-bias", arg, "must be ID=BIAS, as in 42=-1.5 or 42=-inf");
    int64_t id;
    double bias = -INFINITY;
    *equals = 0;
    const char *why = cli_parse_integer(arg, 0, INT32_MAX, &id);
    const char *value = equals + 1;
    if (!why && strcmp(value, "-inf") != 0)
        why = cli_parse_double(value, &bias);
    *equals = '=';
    if (why)
        return bad_value(options, "logit-bias", arg, "must be ID=BIAS, as in 42=-1.5 or 42=-inf");
    size_t n = options->params.n_logit_bias;
    options->bias = cli_grow(options->bias, n + 1, sizeof *options->bias);
    options->bias[n] = (ql_logit_bias){(int32_t)id, (float)bias};
    options->params.logit_bias = options->bias;
    options->params.n_logit_bias = n + 1;
    return 0;
}

static error_t add_stop(cli_options *options, const char *arg)
{
    size_t n = options->params.n_stop_strings, len = strlen(arg);
    if (cli_utf8_valid(arg, len) != len)
        return cli_parse_error(options, "--stop: \"%s\" is not UTF-8", arg);
    options->stops = cli_grow(options->stops, n + 1, sizeof *options->stops);
    options->stops[n] = (ql_string){arg, len};
    options->params.stop_strings = options->stops;
    options->params.n_stop_strings = n + 1;
    return 0;
}

// Parameters that --model-defaults leaves as the user has said.
static const int defaulted[] = {KEY_TEMPERATURE, KEY_TOP_P, KEY_TOP_K, KEY_MIN_P, KEY_TYPICAL_P, KEY_REPETITION_PENALTY,
                                KEY_FREQUENCY_PENALTY, KEY_PRESENCE_PENALTY, KEY_MAX_NEW_TOKENS, KEY_GREEDY};
enum { N_SAMPLERS = 5 }; // the first of them only mean something when tokens are drawn

static unsigned given_bit(int key)
{
    for (size_t i = 0; i < sizeof defaulted / sizeof *defaulted; i++)
        if (defaulted[i] == key)
            return 1u << i;
    return 0;
}

static error_t parse_sampling_option(int key, char *arg, struct argp_state *state)
{
    cli_options *options = state->input;
    ql_params *params = &options->params;
    const char *name = NULL, *why;
    double *field = real_field(params, key, &name);
    options->given |= given_bit(key);
    if (field)
        return (why = cli_parse_double(arg, field)) ? bad_value(options, name, arg, why) : 0;
    int64_t number;
    switch (key) {
    case KEY_MAX_NEW_TOKENS:
    case KEY_TOP_K:
        name = key == KEY_TOP_K ? "top-k" : "max-new-tokens";
        if ((why = cli_parse_integer(arg, INT32_MIN, INT32_MAX, &number)))
            return bad_value(options, name, arg, why);
        *(key == KEY_TOP_K ? &params->top_k : &params->max_new_tokens) = (int32_t)number;
        return 0;
    case KEY_SEED:
        if ((why = cli_parse_unsigned(arg, UINT64_MAX, &params->seed)))
            return bad_value(options, "seed", arg, why);
        params->has_seed = true;
        return 0;
    case KEY_GREEDY:
        params->do_sample = false;
        return 0;
    case KEY_MODEL_DEFAULTS:
        options->model_defaults = true;
        return 0;
    case KEY_STOP:
        return add_stop(options, arg);
    case KEY_LOGIT_BIAS:
        return add_logit_bias(options, arg);
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option sampling_options[] = {
    {NULL, 0, NULL, 0, "Sampling:", 1},
    {"max-new-tokens", KEY_MAX_NEW_TOKENS, "N", 0, "Stop after N tokens (512)", 1},
    {"temperature", KEY_TEMPERATURE, "X", 0, "0 is greedy (0.7)", 1},
    {"top-p", KEY_TOP_P, "X", 0, "Keep the likeliest tokens of this sum; 1 is off (0.9)", 1},
    {"top-k", KEY_TOP_K, "N", 0, "Keep the N likeliest tokens; 0 is off (50)", 1},
    {"min-p", KEY_MIN_P, "X", 0, "Drop tokens below X times the likeliest; 0 is off (0)", 1},
    {"typical-p", KEY_TYPICAL_P, "X", 0, "Locally typical sampling; 1 is off (1)", 1},
    {"seed", KEY_SEED, "N", 0, "The same seed gives the same text (random)", 1},
    {"greedy", KEY_GREEDY, NULL, 0, "Always the likeliest token", 1},
    {"repetition-penalty", KEY_REPETITION_PENALTY, "X", 0, "Of prompt and new tokens; 1 is off (1.1)", 1},
    {"frequency-penalty", KEY_FREQUENCY_PENALTY, "X", 0, "Of new tokens, times their count, -2 to 2 (0)", 1},
    {"presence-penalty", KEY_PRESENCE_PENALTY, "X", 0, "Of new tokens, once, -2 to 2 (0)", 1},
    {"logit-bias", KEY_LOGIT_BIAS, "ID=BIAS", 0, "Add BIAS to a token's logit, -inf forbids it; repeatable", 1},
    {"stop", KEY_STOP, "TEXT", 0, "End before this text; repeatable", 1},
    {"model-defaults", KEY_MODEL_DEFAULTS, NULL, 0, "What is not given is the model's own (generation_config)", 1},
    {0},
};

const struct argp cli_sampling_argp = {sampling_options, parse_sampling_option, NULL, NULL, NULL, NULL, NULL};

static void tell_parameters(const ql_params *p)
{
    char text[160];
    int n = snprintf(text, sizeof text, p->do_sample ? "temperature %g, top-p %g, top-k %d" : "greedy", p->temperature,
                     p->top_p, p->top_k);
    if (p->do_sample && p->min_p > 0)
        n += snprintf(text + n, sizeof text - (size_t)n, ", min-p %g", p->min_p);
    if (p->do_sample && p->typical_p < 1)
        n += snprintf(text + n, sizeof text - (size_t)n, ", typical-p %g", p->typical_p);
    cli_note("sampling with the model's defaults: %s, repetition-penalty %g", text, p->repetition_penalty);
}

int cli_take_model_defaults(cli_options *options, const ql_model *model)
{
    ql_error err = {0};
    if (!options->model_defaults)
        return CLI_OK;
    ql_params *p = &options->params, own = ql_model_default_params(model);
    const char *name;
    for (size_t i = 0; i < sizeof defaulted / sizeof *defaulted; i++) {
        double *field = real_field(p, defaulted[i], &name);
        if (options->given & (1u << i))
            continue;
        if (field)
            *field = *real_field(&own, defaulted[i], &name);
        else if (defaulted[i] == KEY_TOP_K)
            p->top_k = own.top_k;
        else if (defaulted[i] == KEY_MAX_NEW_TOKENS)
            p->max_new_tokens = own.max_new_tokens;
        else // greedy is what a model says that does not speak of sampling; who gives a sampler wants it used
            p->do_sample = own.do_sample || (options->given & ((1u << N_SAMPLERS) - 1));
    }
    if (ql_params_check(p, &err) != QL_OK)
        return cli_fail(&err);
    if (!options->quiet)
        tell_parameters(p);
    return CLI_OK;
}

void cli_options_init(cli_options *options)
{
    *options = (cli_options){.params = ql_params_default()};
}

void cli_options_release(cli_options *options)
{
    cli_release(&options->chat_template);
    free(options->bias);
    free(options->stops);
}

// ---- parsing ----------------------------------------------------------------------------------------------------

error_t cli_parse_common(int key, struct argp_state *state)
{
    cli_parse *parse = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        for (int i = 0; parse->argp->children && parse->argp->children[i].argp; i++)
            state->child_inputs[i] = parse->options;
        return 0;
    case KEY_HELP:
        parse->done = true;
        return EINTR; // any error ends the parsing
    case ARGP_KEY_ERROR:
        parse->next = state->next;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

// All long names of an argp and its children; NULL at the end.
static size_t collect_names(const struct argp *argp, const struct argp_option **found, size_t n)
{
    for (const struct argp_option *o = argp->options; o && (o->name || o->key || o->doc || o->group); o++)
        if (o->name && n < 63)
            found[n++] = o;
    for (const struct argp_child *child = argp->children; child && child->argp; child++)
        n = collect_names(child->argp, found, n);
    return n;
}

// What getopt saw and argp keeps to itself: why argv[next - 1] is not an option with its value.
static int explain(const cli_parse *parse, const char *word)
{
    const struct argp_option *options[64] = {NULL}, *match = NULL;
    const char *names[64] = {NULL};
    size_t n = collect_names(parse->argp, options, 0), n_matches = 0, len = strcspn(word, "=");
    if (strncmp(word, "--", 2) != 0)
        return cli_error(CLI_USAGE, "unknown option %s; see quantllm %s --help", word, parse->name);
    for (size_t i = 0; i < n; i++) {
        names[i] = options[i]->name;
        if (strncmp(names[i], word + 2, len - 2) != 0)
            continue;
        n_matches++;
        match = options[i];
        if (strlen(names[i]) == len - 2) {
            n_matches = 1;
            break;
        }
    }
    if (n_matches > 1)
        return cli_error(CLI_USAGE, "option %.*s is ambiguous; see quantllm %s --help", (int)len, word, parse->name);
    if (match && !match->arg)
        return cli_error(CLI_USAGE, "--%s: takes no value", match->name);
    if (match)
        return cli_error(CLI_USAGE, "--%s: needs a value (%s)", match->name, match->arg);
    char *bare = strndup(word + 2, len - 2);
    const char *near = bare ? cli_nearest(bare, names) : NULL;
    free(bare);
    if (near)
        return cli_error(CLI_USAGE, "unknown option %.*s; did you mean --%s?", (int)len, word, near);
    return cli_error(CLI_USAGE, "unknown option %.*s; see quantllm %s --help", (int)len, word, parse->name);
}

bool cli_parse_arguments(cli_parse *parse, int argc, char **argv)
{
    error_t error = argp_parse(parse->argp, argc, argv, ARGP_NO_ERRS | ARGP_NO_EXIT | ARGP_NO_HELP, NULL, parse);
    if (parse->done) {
        char name[64];
        snprintf(name, sizeof name, "quantllm %s", parse->name);
        argp_help(parse->argp, stdout, ARGP_HELP_STD_HELP, name);
        cli_flush();
        return false;
    }
    int *status = &parse->options->status;
    if (error && !*status)
        *status = parse->next > 0 && parse->next <= argc ? explain(parse, argv[parse->next - 1])
                                                                : cli_error(CLI_USAGE, "%s", strerror(error));
    return !*status;
}
