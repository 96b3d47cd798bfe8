// SPDX-License-Identifier: MIT
// Owns what a user calls a model: a path, or a name of the Hub that is looked up in the cache and else downloaded; and
// what the verbs about stored models share. It must not know HTTP or the layout of the cache (hub/).
// A complete copy in the cache is taken without asking the Hub: quantllm pull is what looks for a newer one.
#include "models.h"

#include "progress.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

// ---- names ----

bool cli_is_path(const char *name)
{
    if (access(name, F_OK) == 0)
        return true;
    const char *colon = strrchr(name, ':');
    char *folder = colon ? strndup(name, (size_t)(colon - name)) : NULL;
    bool there = folder && *folder && access(folder, F_OK) == 0;
    free(folder);
    return there;
}

bool cli_parse_name(const char *text, const char *revision, hub_name *name, int *code)
{
    ql_error err = {0};
    *name = (hub_name){0};
    if (!cli_is_path(text) && hub_name_parse(text, revision, name, &err) != QL_OK) {
        *code = cli_fail(&err);
        return false;
    }
    if (revision && !*name->repo) {
        *code = cli_error(CLI_USAGE, "--revision: is for models of the Hub, and %s is a path", text);
        return false;
    }
    return true;
}

// ---- download ----

typedef struct download {
    cli_progress progress;
    bool quiet, bars;
} download;

static void on_note(void *user, const char *line)
{
    download *d = user;
    cli_progress_clear(&d->progress);
    if (!d->quiet)
        cli_note("%s", line);
}

static void on_progress(void *user, const hub_progress *progress)
{
    download *d = user;
    if (d->bars)
        cli_progress_update(&d->progress, progress->done, progress->total, progress->end);
}

static bool on_poll(void *user)
{
    (void)user;
    return cli_signal_pending() != 0;
}

int cli_pull_model(const hub_settings *settings, const hub_name *name, bool quiet, hub_model *model)
{
    ql_error err = {0};
    download d = {.quiet = quiet, .bars = !settings->no_bars};
    hub_events events = {.user = &d, .note = on_note, .progress = on_progress, .cancelled = on_poll};
    cli_progress_init(&d.progress, quiet);
    cli_signals_hold(true);
    ql_code code = hub_pull(settings, name, &events, model, &err);
    cli_progress_clear(&d.progress);
    cli_signals_hold(false);
    if (code == QL_OK)
        return CLI_OK;
    int number = code == QL_E_CANCELLED ? cli_signal_take() : 0;
    int status = cli_fail(&err);
    return number ? 128 + number : status;
}

// From the cache, else downloaded.
static int get_model(const hub_settings *settings, const cli_options *options, const hub_name *name, hub_model *model)
{
    ql_error err = {0};
    if (hub_find(settings, name, model, &err) == QL_OK)
        return CLI_OK;
    if (settings->offline)
        return cli_error(ql_code_lookup(QL_E_NOT_FOUND)->exit_code, "%s, and HF_HUB_OFFLINE is set: unset it once to "
                         "download the model, or give the path of one", err.message);
    return cli_pull_model(settings, name, options->quiet, model);
}

static int get_stored(const hub_settings *settings, const cli_options *options, const hub_name *name, hub_model *model)
{
    ql_error err = {0};
    if (hub_find(settings, name, model, &err) == QL_OK)
        return CLI_OK;
    return cli_error(ql_code_lookup(QL_E_NOT_FOUND)->exit_code, "%s; quantllm pull %s downloads it", err.message,
                     options->model);
}

// How a copy comes about: its path in *model, or an error message and its exit code.
typedef int get_fn(const hub_settings *settings, const cli_options *options, const hub_name *name, hub_model *model);

static char *find_model(const cli_options *options, get_fn *get, int *code)
{
    hub_name name;
    hub_settings settings;
    hub_model model = {0};
    ql_error err = {0};
    *code = CLI_OK;
    if (!cli_parse_name(options->model, options->revision, &name, code))
        return NULL;
    if (!*name.repo) {
        size_t len = strlen(options->model) + 1;
        return memcpy(cli_alloc(len), options->model, len);
    }
    if (hub_settings_read(&settings, &err) != QL_OK) {
        *code = cli_fail(&err);
        return NULL;
    }
    *code = get(&settings, options, &name, &model);
    hub_settings_free(&settings);
    return model.path;
}

char *cli_find_model(const cli_options *options, int *code) { return find_model(options, get_model, code); }
char *cli_find_stored(const cli_options *options, int *code) { return find_model(options, get_stored, code); }

// The model of --draft, in its own types and the same number of threads.
static ql_model *open_draft(const cli_options *options, int *code)
{
    cli_options of_draft = {.model = options->draft, .quiet = options->quiet};
    const ql_model_options with = {.threads = options->model_options.threads,
                                   .max_length = options->model_options.max_length,
                                   .no_cache = options->model_options.no_cache};
    char *path = cli_find_model(&of_draft, code);
    ql_model *draft = path ? cli_open_model(path, &with, options->quiet, code) : NULL;
    free(path);
    return draft;
}

ql_model *cli_open_named(cli_options *options, int *code)
{
    ql_model *draft = options->draft ? open_draft(options, code) : NULL;
    if (options->draft && !draft)
        return NULL;
    char *path = cli_find_model(options, code);
    ql_model_options with = options->model_options;
    with.draft = draft;
    ql_model *model = path ? cli_open_model(path, &with, options->quiet, code) : NULL;
    free(path);
    ql_model_close(draft);
    if (model && (*code = cli_take_model_defaults(options, model)) != CLI_OK) {
        ql_model_close(model);
        return NULL;
    }
    return model;
}

// ---- packed files ----

int cli_packed(ql_packed_entry **entries, size_t *n)
{
    ql_error err = {0};
    char *dir = ql_packed_dir();
    *entries = NULL;
    *n = 0;
    ql_code code = dir ? ql_packed_list(entries, n, &err) : QL_OK;
    ql_free(dir);
    return code == QL_OK ? CLI_OK : cli_fail(&err);
}

bool cli_packed_from(const ql_packed_entry *entry, const char *path)
{
    char *source = realpath(entry->source, NULL), *real = realpath(path, NULL);
    const char *from = source ? source : entry->source, *at = real ? real : path;
    size_t n = strlen(at);
    bool below = strncmp(from, at, n) == 0 && (from[n] == 0 || from[n] == '/');
    free(source);
    free(real);
    return below;
}

// ---- words ----

void cli_size(uint64_t bytes, char text[32])
{
    static const char *const units[] = {"kB", "MB", "GB", "TB"};
    double n = (double)bytes / 1000;
    int unit = 0;
    if (bytes < 1000) {
        snprintf(text, 32, "%d B", (int)bytes);
        return;
    }
    for (; unit < 3 && n >= 999.5; unit++)
        n /= 1000;
    snprintf(text, 32, n < 9.995 ? "%.2f %s" : n < 99.95 ? "%.1f %s" : "%.0f %s", n, units[unit]);
}

void cli_age(int64_t when, char text[32])
{
    static const struct {
        int64_t seconds;
        const char *name;
    } units[] = {{365 * 86400, "year"}, {30 * 86400, "month"}, {86400, "day"}, {3600, "hour"}, {60, "minute"}};
    int64_t passed = (int64_t)time(NULL) - when;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        int64_t n = passed / units[i].seconds;
        if (n >= 1) {
            snprintf(text, 32, "%lld %s%s ago", (long long)n, units[i].name, n == 1 ? "" : "s");
            return;
        }
    }
    snprintf(text, 32, "just now");
}

void cli_time(int64_t when, char text[32])
{
    time_t t = (time_t)when;
    struct tm parts;
    text[0] = 0;
    if (gmtime_r(&t, &parts))
        strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &parts);
}

json_t *cli_json_text(const char *text)
{
    size_t len = strlen(text);
    cli_text shown = {0};
    cli_append(&shown, "", 0);
    for (size_t at = 0; at < len;) {
        size_t n = cli_utf8_valid(text + at, len - at);
        cli_append(&shown, text + at, n);
        at += n;
        if (at < len) {
            cli_append_string(&shown, "\uFFFD");
            at++;
        }
    }
    json_t *string = json_stringn(shown.data, shown.len);
    cli_release(&shown);
    return string;
}

void cli_print_object(json_t *object)
{
    char *text = object ? json_dumps(object, 0) : NULL;
    if (!text)
        exit(cli_error(CLI_FAILURE, "out of memory: the answer could not be put together"));
    cli_print(text, strlen(text));
    cli_print("\n", 1);
    free(text);
    json_decref(object);
}

bool cli_confirm(const char *question)
{
    char answer[16] = "";
    fprintf(stderr, "%s [y/N] ", question);
    fflush(stderr);
    return fgets(answer, sizeof answer, stdin) && (answer[0] | 32) == 'y';
}

// ---- the command line ----

error_t cli_parse_store(int key, char *arg, struct argp_state *state, bool takes_model)
{
    const cli_parse *parse = state->input;
    cli_options *options = parse->options;
    switch (key) {
    case CLI_KEY_REVISION:
        options->revision = arg;
        return 0;
    case CLI_KEY_JSON:
        options->json = true;
        return 0;
    case CLI_KEY_PACKED:
        options->packed = true;
        return 0;
    case 'q':
        options->quiet = true;
        return 0;
    case 'y':
        options->yes = true;
        return 0;
    case ARGP_KEY_ARG:
        if (!takes_model)
            return cli_parse_error(options, "%s takes no model; quantllm show %s describes one", parse->name, arg);
        if (options->model)
            return cli_parse_error(options, "%s takes one model; \"%s\" is one too many", parse->name, arg);
        options->model = arg;
        return 0;
    case ARGP_KEY_END:
        if (!takes_model || options->model || options->packed)
            return 0;
        return cli_parse_error(options, "%s: MODEL is missing; see quantllm %s --help", parse->name, parse->name);
    default:
        return cli_parse_common(key, state);
    }
}
