// SPDX-License-Identifier: MIT
// quantllm verify: a model's files against their checksums, then the library's look at all of it. It must not repair.
#include "models.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEY_QUIET = 'q', KEY_THREADS = 't' };

typedef struct verify_options {
    cli_parse parse; // first: it is what parse_verify() gets
    cli_options shared;
} verify_options;

static error_t parse_verify(int key, char *arg, struct argp_state *state)
{
    verify_options *o = state->input;
    int64_t threads;
    if (key == KEY_THREADS) {
        const char *why = cli_parse_integer(arg, 1, 256, &threads);
        if (why)
            return cli_parse_error(&o->shared, "--threads: \"%s\" %s (1 to 256)", arg, why);
        o->shared.model_options.threads = (int)threads;
        return 0;
    }
    return cli_parse_store(key, arg, state, true);
}

static const struct argp_option verify_argp_options[] = {
    {"revision", CLI_KEY_REVISION, "REV", 0, "Branch, tag or commit of a model of the Hub (main)", 0},
    {"threads", KEY_THREADS, "N", 0, "Threads (the cores that may be used)", 0},
    {"json", CLI_KEY_JSON, NULL, 0, "Print one JSON object", 0},
    {"quiet", KEY_QUIET, NULL, 0, "No progress", 0},
    {"help", 'h', NULL, 0, "This help", -1},
    {0},
};
static const struct argp verify_argp = {
    verify_argp_options, parse_verify, "MODEL",
    "Look at all of a model that is here: checksums of files from the Hub, the rules of its files, every number (NaN, "
    "infinite), and what is packed from it. A line for each finding, then a summary; 65 when there is a fault.\v"
    "MODEL is a GGUF file, a folder, or the name of a downloaded model of the Hugging Face Hub.\n\n"
    "Examples:\n"
    "  quantllm verify model.gguf\n"
    "  quantllm verify TinyLlama/TinyLlama-1.1B-Chat-v1.0 --json",
    NULL, NULL, NULL};

typedef struct report {
    bool json, progress;
    int shown; // per cent on the terminal, -1 for none
    json_t *findings;
    size_t n_checksums, n_faults, n_warnings;
} report;

// ---- findings ----

static void clear(report *r)
{
    if (r->shown >= 0)
        fprintf(stderr, "\r\033[K");
    r->shown = -1;
}

static void add(report *r, ql_severity severity, const char *line)
{
    const char *name = severity == QL_FAULT ? "fault" : "warning";
    cli_text text = {0};
    clear(r);
    *(severity == QL_FAULT ? &r->n_faults : &r->n_warnings) += 1;
    json_array_append_new(r->findings, json_pack("{s:s, s:o}", "severity", name, "finding", cli_json_text(line)));
    if (r->json)
        return;
    cli_append_string(&text, name);
    cli_append_string(&text, ": ");
    cli_append_string(&text, line);
    cli_append_string(&text, "\n");
    cli_print_model(text.data, text.len);
    cli_release(&text);
}

static void on_finding(void *user, ql_severity severity, const char *line) { add(user, severity, line); }

static void on_progress(void *user, float fraction)
{
    report *r = user;
    int percent = (int)(fraction * 100);
    if (!r->progress || percent == r->shown)
        return;
    fprintf(stderr, "\rverifying %d %%", percent);
    r->shown = percent;
}

// ---- checksums ----

static void check_file(report *r, const char *path)
{
    ql_error err = {0};
    bool known, matches;
    char *line = NULL;
    if (hub_check_file(path, &known, &matches, &err) != QL_OK)
        add(r, QL_FAULT, err.message);
    else if (known && !matches && asprintf(&line, "%s: its content does not have the checksum it is named by: quantllm rm "
                                                  "the model and pull it again", path) >= 0)
        add(r, QL_FAULT, line);
    r->n_checksums += known;
    free(line);
}

// Files of one split model differ in the number of "-00001-of-00003.gguf" alone.
static bool same_split(const char *a, const char *b)
{
    enum { SUFFIX = 20, NUMBER = 5 };
    size_t n = strlen(a), at = n > SUFFIX ? n - SUFFIX + 1 : 0;
    return at && n == strlen(b) && strncmp(a + at + NUMBER, "-of-", 4) == 0 && strncmp(a, b, at) == 0 &&
           strcmp(a + at + NUMBER, b + at + NUMBER) == 0;
}

// All files of a folder; or a file, with those of the same split model.
static void check_files(report *r, const char *path)
{
    struct stat st;
    bool whole = stat(path, &st) == 0 && S_ISDIR(st.st_mode);
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    char *folder = whole ? strdup(path) : !slash ? strdup(".") : strndup(path, (size_t)(slash - path) + (slash == path));
    DIR *dir = folder ? opendir(folder) : NULL;
    if (!dir)
        check_file(r, path);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        char *file = NULL;
        if ((whole || strcmp(e->d_name, name) == 0 || same_split(e->d_name, name)) &&
            asprintf(&file, "%s/%s", folder, e->d_name) >= 0 && stat(file, &st) == 0 && S_ISREG(st.st_mode))
            check_file(r, file);
        free(file);
    }
    if (dir)
        closedir(dir);
    free(folder);
}

// ---- the verb ----

static void print_summary(const report *r, const char *name, const ql_verify_result *v)
{
    char text[256];
    if (r->json) {
        cli_print_object(json_pack("{s:o, s:b, s:O, s:I, s:I, s:I, s:I, s:I, s:I}", "model", cli_json_text(name), "ok",
                                   r->n_faults == 0, "findings", r->findings, "faults", (json_int_t)r->n_faults, "warnings",
                                   (json_int_t)r->n_warnings, "checksums", (json_int_t)r->n_checksums, "tensors",
                                   (json_int_t)v->n_tensors, "values", (json_int_t)v->n_values, "packed",
                                   (json_int_t)v->n_packed));
        return;
    }
    snprintf(text, sizeof text, ": %s: %llu tensors, %llu values, %zu checksum%s, %u packed file%s; %zu fault%s, %zu warning%s\n",
             r->n_faults ? "FAULTY" : "ok", (unsigned long long)v->n_tensors, (unsigned long long)v->n_values, r->n_checksums,
             r->n_checksums == 1 ? "" : "s", v->n_packed, v->n_packed == 1 ? "" : "s", r->n_faults,
             r->n_faults == 1 ? "" : "s", r->n_warnings, r->n_warnings == 1 ? "" : "s");
    cli_print_model(name, strlen(name));
    cli_print(text, strlen(text));
}

static int verify(verify_options *o)
{
    int code = CLI_OK;
    ql_error err = {0};
    ql_verify_result result = {0};
    report r = {.json = o->shared.json, .shown = -1};
    ql_verify_options options = {.threads = o->shared.model_options.threads, .finding = on_finding, .progress = on_progress,
                                 .user = &r};
    char *path = cli_find_stored(&o->shared, &code); // nothing is downloaded to be looked at
    if (!path)
        return code;
    r.findings = json_array();
    r.progress = !o->shared.quiet && cli_is_terminal(STDERR_FILENO) && cli_smart_terminal();
    if (ql_verify(path, &options, &result, &err) != QL_OK) {
        clear(&r);
        code = cli_fail(&err);
    } else {
        check_files(&r, path);
        clear(&r);
        print_summary(&r, o->shared.model, &result);
        code = r.n_faults ? CLI_DATA : CLI_OK;
    }
    json_decref(r.findings);
    free(path);
    return code;
}

int cli_verify(int argc, char **argv)
{
    verify_options options = {.parse = {.argp = &verify_argp, .name = "verify"}};
    options.parse.options = &options.shared;
    cli_options_init(&options.shared);
    cli_signals_install(false);
    int code = cli_parse_arguments(&options.parse, argc, argv) ? verify(&options) : options.shared.status;
    cli_options_release(&options.shared);
    return code;
}
