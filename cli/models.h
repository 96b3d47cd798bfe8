// SPDX-License-Identifier: MIT
// What a user calls a model: a path, or a name of the Hub; and how the verbs about stored models print.
#ifndef CLI_MODELS_H
#define CLI_MODELS_H

#include "hub/hub.h"
#include "options.h"

#include <jansson.h>

// True: a file or folder here, also as "folder:Q4_K_M".
bool cli_is_path(const char *name);

// The name of the Hub that text and --revision (NULL: none) mean; repo is "" for a path. False after an error message.
bool cli_parse_name(const char *text, const char *revision, hub_name *name, int *code);

// The path of what the user calls a model (free()): as it is, from the cache, or downloaded. NULL after an error message.
char *cli_find_model(const cli_options *options, int *code);

// The same, but nothing is downloaded: what is not in the cache is an error.
char *cli_find_stored(const cli_options *options, int *code);

// That model, open, and its own sampling parameters taken with --model-defaults. NULL after an error message.
ql_model *cli_open_named(cli_options *options, int *code);

// Downloads what is missing, with notes and progress on standard error unless quiet. The exit code.
int cli_pull_model(const hub_settings *settings, const hub_name *name, bool quiet, hub_model *model);

// The packed files (NULL, 0 when there is no such cache).
int cli_packed(ql_packed_entry **entries, size_t *n);
// Whether a packed file was made from a model at this path, or from something below it.
bool cli_packed_from(const ql_packed_entry *entry, const char *path);

void cli_size(uint64_t bytes, char text[32]);          // "2.20 GB"
void cli_age(int64_t when, char text[32]);             // "3 hours ago"
void cli_time(int64_t when, char text[32]);            // "2026-11-26T04:30:00Z"
json_t *cli_json_text(const char *text);               // a path or a name; bytes that are not UTF-8 are U+FFFD
void cli_print_object(json_t *object);                 // one line of JSON; takes the reference
bool cli_confirm(const char *question);                // asks on the terminal

// ---- the command line of pull, ls, show and rm

enum { CLI_KEY_REVISION = 0x400, CLI_KEY_JSON, CLI_KEY_PACKED };

// For a verb's own parser: its options, and MODEL when takes_model (it is then required, unless --packed).
error_t cli_parse_store(int key, char *arg, struct argp_state *state, bool takes_model);
#endif
