// SPDX-License-Identifier: MIT
// The command line of a verb: the options that verbs share, and parsing with errors of one line.
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include "common.h"

#include <argp.h>

// What the shared options fill. params and model_options point into the other fields and into argv.
typedef struct cli_options {
    const char *model;
    const char *prompt; // NULL: none on the command line
    bool read_stdin;    // "-" was given
    const char *draft;    // a model's name; NULL: none
    const char *revision; // of a model of the Hub; NULL: not given
    bool chat, json, quiet, verbose, no_parse_special;
    bool yes, packed;   // of the verbs about stored models
    bool model_defaults; // sampling parameters that are not given are the model's own
    unsigned given;      // which sampling parameters are (options.c)
    const char *system; // NULL: none
    ql_model_options model_options;
    ql_params params;
    cli_text chat_template; // the file of --chat-template
    ql_logit_bias *bias;
    ql_string *stops;
    int status; // of parsing: an exit code once an error has been printed, else 0
} cli_options;

// Children for a verb's argp; each takes a cli_options * as its input.
extern const struct argp cli_model_argp;    // --revision --threads --max-length --quantization and so on
extern const struct argp cli_sampling_argp; // --temperature and so on

void cli_options_init(cli_options *options);
void cli_options_release(cli_options *options);

// With --model-defaults: what was not given becomes what the model recommends, and is told and checked. The exit code.
int cli_take_model_defaults(cli_options *options, const ql_model *model);

// What a verb's argp.parser gets as its input. The verb sets argp, name and the children's input.
typedef struct cli_parse {
    const struct argp *argp;
    const char *name;     // "run"
    cli_options *options; // input of every child
    bool done;            // --help was answered
    int next;             // argv index after the option that failed
} cli_parse;

// True: go on. False: leave with options->status, 0 after --help.
bool cli_parse_arguments(cli_parse *parse, int argc, char **argv);

// To be called first by a verb's own parser: sets up children, notes the place of an unknown option.
// ARGP_ERR_UNKNOWN when the key is the verb's own business.
error_t cli_parse_common(int key, struct argp_state *state);

// Prints "error: --name: ..." or "error: ..." and makes parsing end with code 64.
error_t cli_parse_error(cli_options *options, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

// Whole-string numbers. NULL, or what is wrong ("is not a number").
const char *cli_parse_double(const char *text, double *value);
const char *cli_parse_integer(const char *text, int64_t low, int64_t high, int64_t *value);
const char *cli_parse_unsigned(const char *text, uint64_t high, uint64_t *value);
#endif
