// SPDX-License-Identifier: MIT
// quantllm show: one model, as the library sees it and as it lies on the disk. It must not read weights or change
// anything.
#include "models.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static error_t parse_show(int key, char *arg, struct argp_state *state)
{
    return cli_parse_store(key, arg, state, true);
}

static const struct argp_option show_options[] = {
    {"revision", CLI_KEY_REVISION, "REV", 0, "Branch, tag or commit of a model of the Hub (main)", 0},
    {"json", CLI_KEY_JSON, NULL, 0, "Print one JSON object, sizes in bytes, times in UTC", 0},
    {"help", 'h', NULL, 0, "This help", -1},
    {0},
};
static const struct argp show_argp = {
    show_options, parse_show, "MODEL",
    "Describe a model that is here: what it is, what it needs, its files, and what is packed from it.\v"
    "MODEL is a GGUF file, a folder, or the name of a downloaded model of the Hugging Face Hub.\n\n"
    "Examples:\n"
    "  quantllm show model.gguf\n"
    "  quantllm show TinyLlama/TinyLlama-1.1B-Chat-v1.0 --json",
    NULL, NULL, NULL};

typedef struct view {
    const cli_options *options;
    hub_settings settings;
    hub_name name;
    hub_stored stored;
    hub_entries entries;
    const hub_entry *entry; // NULL: a path
    const char *path;
    ql_model *model;        // NULL: it can not be opened, why has the reason
    ql_error why;
    ql_packed_entry *packed;
    size_t n_packed;
} view;

// The entry that `quantllm run NAME` would take.
static int find_entry(view *v)
{
    ql_error err = {0};
    hub_model model = {0};
    if (hub_stored_read(&v->settings, v->name.repo, &v->stored, &err) != QL_OK ||
        hub_entries_of(&v->settings, &v->stored, &v->entries, &err) != QL_OK)
        return cli_fail(&err);
    if (hub_find(&v->settings, &v->name, &model, &err) != QL_OK)
        return cli_error(ql_code_lookup(QL_E_NOT_FOUND)->exit_code, "%s; quantllm pull %s downloads it", err.message,
                         v->options->model);
    for (size_t i = 0; i < v->entries.n && !v->entry; i++)
        if (strcmp(v->entries.at[i].path, model.path) == 0)
            v->entry = &v->entries.at[i];
    free(model.path);
    if (!v->entry)
        return cli_error(CLI_FAILURE, "%s has changed while it was looked at: run it again", v->options->model);
    v->path = v->entry->path;
    return CLI_OK;
}

static int look(view *v)
{
    int code = CLI_OK;
    ql_error err = {0};
    if (!cli_parse_name(v->options->model, v->options->revision, &v->name, &code))
        return code;
    if (hub_settings_read(&v->settings, &err) != QL_OK)
        return cli_fail(&err);
    v->path = v->options->model;
    if (*v->name.repo && (code = find_entry(v)) != CLI_OK)
        return code;
    ql_model_options options = {.inspect = true};
    v->model = ql_model_open(v->path, &options, &v->why);
    if (!v->model && !v->entry)
        return cli_fail(&v->why);
    return cli_packed(&v->packed, &v->n_packed);
}

// ---- text ----

static void line(const char *label, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void line(const char *label, const char *fmt, ...)
{
    char *value = NULL;
    cli_text text = {0};
    va_list args;
    va_start(args, fmt);
    int len = vasprintf(&value, fmt, args);
    va_end(args);
    cli_append_string(&text, label);
    for (size_t pad = strlen(label); pad < 14; pad++)
        cli_append(&text, " ", 1);
    if (len > 0)
        cli_append(&text, value, (size_t)len);
    cli_append(&text, "\n", 1);
    cli_print_model(text.data, text.len); // names in files and paths may hold anything
    cli_release(&text);
    free(value);
}

static void print_model(const view *v)
{
    ql_model_info info;
    char count[32], weights[32], cache[32];
    if (!v->model) {
        line("runs", "no: %s", v->why.message);
        return;
    }
    ql_model_get_info(v->model, &info);
    cli_parameter_count(info.n_params, count, sizeof count);
    cli_size(info.weight_bytes, weights);
    cli_size(info.kv_bytes, cache);
    if (*info.name && strcmp(info.name, v->options->model) != 0)
        line("name", "%s", info.name);
    line("architecture", "%s, %u layers, %u dimensions, %u tokens", info.architecture, info.n_layers, info.n_embd,
         info.n_vocab);
    line("parameters", "%s", count);
    line("type", "%s, runs as %s", info.file_type, info.quantization);
    line("memory", "%s of weights, %s of cache (%s) for %u tokens", weights, cache, info.kv_cache, info.max_length);
    line("context", "%u", info.context_length);
    line("chat template", "%s", info.chat_template ? "yes" : "no");
}

static void print_files(const view *v)
{
    const hub_snapshot *s = v->entry->snapshot;
    char size[32];
    for (size_t i = 0, n = 0; i < s->n_files; i++) {
        if (!v->entry->files[i])
            continue;
        cli_size(s->files[i].bytes, size);
        line(n++ ? "" : "files", "%-9s  %s", size, s->files[i].name);
    }
}

static void print_text(const view *v)
{
    char size[32], age[32];
    line("model", "%s", v->entry ? v->entry->name : v->options->model);
    if (v->entry) {
        const hub_snapshot *s = v->entry->snapshot;
        cli_size(v->entry->bytes, size);
        cli_age(v->entry->last_used, age);
        line("revision", "%s%s%s", s->refs, *s->refs ? ", " : "", s->commit);
        line("path", "%s", v->path);
        line("size", "%s, last used %s", size, age);
    }
    print_model(v);
    if (v->entry)
        print_files(v);
    for (size_t i = 0; i < v->n_packed; i++) {
        if (!cli_packed_from(&v->packed[i], v->path))
            continue;
        cli_size(v->packed[i].bytes, size);
        cli_age(v->packed[i].last_used, age);
        line("packed", "%s, %s, last used %s: %s", v->packed[i].quantization, size, age, v->packed[i].path);
    }
}

// ---- JSON ----

static json_t *json_time(int64_t when)
{
    char text[32];
    cli_time(when, text);
    return json_string(text);
}

static json_t *json_model(const view *v)
{
    ql_model_info info;
    if (!v->model)
        return json_pack("{s:o}", "error", cli_json_text(v->why.message));
    ql_model_get_info(v->model, &info);
    return json_pack("{s:o, s:s, s:s, s:s, s:I, s:I, s:I, s:s, s:i, s:i, s:i, s:i, s:i, s:b}", "name",
                     cli_json_text(info.name), "architecture", info.architecture, "type", info.file_type, "runs_as",
                     info.quantization, "parameters", (json_int_t)info.n_params, "weight_bytes",
                     (json_int_t)info.weight_bytes, "kv_bytes",
                     (json_int_t)info.kv_bytes, "kv_cache", info.kv_cache, "n_layers", (int)info.n_layers, "n_embd", (int)info.n_embd, "n_vocab",
                     (int)info.n_vocab, "context_length", (int)info.context_length, "max_length", (int)info.max_length,
                     "chat_template", info.chat_template != NULL);
}

static json_t *json_stored(const hub_entry *e)
{
    json_t *files = json_array();
    for (size_t i = 0; i < e->snapshot->n_files; i++)
        if (e->files[i])
            json_array_append_new(files, json_pack("{s:s, s:I}", "name", e->snapshot->files[i].name, "bytes",
                                                   (json_int_t)e->snapshot->files[i].bytes));
    return json_pack("{s:s, s:s, s:I, s:o, s:o}", "revision", e->snapshot->refs, "commit", e->snapshot->commit, "bytes",
                     (json_int_t)e->bytes, "last_used", json_time(e->last_used), "files", files);
}

static void print_json(const view *v)
{
    json_t *packed = json_array();
    for (size_t i = 0; i < v->n_packed; i++)
        if (cli_packed_from(&v->packed[i], v->path))
            json_array_append_new(packed, json_pack("{s:o, s:o, s:I, s:o}", "path", cli_json_text(v->packed[i].path),
                                                    "quantization", cli_json_text(v->packed[i].quantization), "bytes",
                                                    (json_int_t)v->packed[i].bytes, "last_used",
                                                    json_time(v->packed[i].last_used)));
    cli_print_object(json_pack("{s:o, s:o, s:o*, s:o, s:o}", "model",
                               cli_json_text(v->entry ? v->entry->name : v->options->model), "path",
                               cli_json_text(v->path), "hub", v->entry ? json_stored(v->entry) : NULL, "info",
                               json_model(v), "packed", packed));
}

int cli_show(int argc, char **argv)
{
    cli_options options;
    cli_options_init(&options);
    cli_parse parse = {.argp = &show_argp, .name = "show", .options = &options};
    view v = {.options = &options};
    cli_signals_install(false);
    int code = cli_parse_arguments(&parse, argc, argv) ? CLI_OK : options.status;
    if (code == CLI_OK && !parse.done) {
        code = look(&v);
        if (code == CLI_OK && options.json)
            print_json(&v);
        else if (code == CLI_OK)
            print_text(&v);
    }
    ql_model_close(v.model);
    ql_free(v.packed);
    hub_entries_free(&v.entries);
    hub_stored_free(&v.stored);
    hub_settings_free(&v.settings);
    cli_options_release(&options);
    return code;
}
