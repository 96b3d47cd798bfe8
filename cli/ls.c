// SPDX-License-Identifier: MIT
// quantllm ls: what is stored here, from the Hub and packed. It changes nothing.
#include "models.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static error_t parse_ls(int key, char *arg, struct argp_state *state) { return cli_parse_store(key, arg, state, false); }

static const struct argp_option ls_options[] = {
    {"json", CLI_KEY_JSON, NULL, 0, "Print one JSON object, sizes in bytes, times in UTC", 0},
    {"help", 'h', NULL, 0, "This help", -1},
    {0},
};
static const struct argp ls_argp = {
    ls_options, parse_ls, "",
    "List the models in the cache of the Hugging Face Hub, and the packed weights that make a second start quick.\v"
    "Packed weights are kept in QUANTLLM_CACHE (off: nowhere) up to a total of QUANTLLM_CACHE_SIZE (20G); the least "
    "recently used go first.\n\n"
    "Examples:\n"
    "  quantllm ls\n"
    "  quantllm ls --json | jq -r '.hub.models[].model'",
    NULL, NULL, NULL};

typedef struct shelf {
    hub_settings settings;
    hub_stored stored;
    hub_entries entries;
    ql_packed_entry *packed;
    size_t n_packed;
    char *packed_dir; // NULL: no packed cache
} shelf;

static uint64_t hub_bytes(const shelf *s)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < s->stored.n; i++)
        bytes += s->stored.repos[i].bytes;
    return bytes;
}

static uint64_t packed_bytes(const shelf *s)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < s->n_packed; i++)
        bytes += s->packed[i].bytes;
    return bytes;
}

// ---- a table ----

enum { COLUMNS = 5 };

typedef struct table {
    char **cells; // COLUMNS a row
    size_t n_rows;
} table;

static void add_row(table *t, const char *const cells[COLUMNS])
{
    t->cells = cli_grow(t->cells, (t->n_rows + 1) * COLUMNS, sizeof *t->cells);
    for (size_t i = 0; i < COLUMNS; i++) {
        size_t len = strlen(cells[i]) + 1;
        t->cells[t->n_rows * COLUMNS + i] = memcpy(cli_alloc(len), cells[i], len);
    }
    t->n_rows++;
}

static void print_table(table *t)
{
    size_t width[COLUMNS] = {0};
    cli_text line = {0};
    for (size_t i = 0; i < t->n_rows * COLUMNS; i++)
        if (strlen(t->cells[i]) > width[i % COLUMNS])
            width[i % COLUMNS] = strlen(t->cells[i]);
    for (size_t i = 0; i < t->n_rows * COLUMNS; i++) {
        bool last = i % COLUMNS == COLUMNS - 1;
        cli_append_string(&line, t->cells[i]);
        for (size_t pad = strlen(t->cells[i]); !last && pad < width[i % COLUMNS] + 2; pad++)
            cli_append(&line, " ", 1);
        if (last)
            cli_append(&line, "\n", 1);
        free(t->cells[i]);
    }
    cli_print(line.data, line.len);
    cli_release(&line);
    free(t->cells);
    *t = (table){0};
}

static void print_line(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void print_line(const char *fmt, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, fmt);
    int len = vasprintf(&text, fmt, args);
    va_end(args);
    if (len > 0)
        cli_print_model(text, (size_t)len); // paths may hold anything
    free(text);
}

// "main 0123456"
static void revision_text(const hub_snapshot *s, char *text, size_t size)
{
    snprintf(text, size, "%s%s%.7s", s->refs, *s->refs ? " " : "", s->commit);
}

static void print_hub(const shelf *s)
{
    table t = {0};
    char size[32], age[32], revision[200];
    add_row(&t, (const char *const[]){"MODEL", "REVISION", "TYPE", "SIZE", "LAST USED"});
    for (size_t i = 0; i < s->entries.n; i++) {
        const hub_entry *e = &s->entries.at[i];
        cli_size(e->bytes, size);
        cli_age(e->last_used, age);
        revision_text(e->snapshot, revision, sizeof revision);
        add_row(&t, (const char *const[]){e->name, revision, !e->complete ? "incomplete" : *e->type ? e->type : "-", size,
                                          age});
    }
    for (size_t i = 0; i < s->stored.n; i++) {
        const hub_repo *repo = &s->stored.repos[i];
        cli_size(repo->partial_bytes, size);
        cli_age(repo->last_used, age);
        if (repo->partial_bytes)
            add_row(&t, (const char *const[]){repo->name, "", "interrupted", size, age});
    }
    bool empty = t.n_rows == 1;
    print_table(&t);
    cli_size(hub_bytes(s), size);
    if (empty)
        print_line("none in %s; quantllm pull org/name downloads one\n", s->settings.cache);
    else
        print_line("%s in %s\n", size, s->settings.cache);
}

static const char *source_name(const shelf *s, const ql_packed_entry *packed)
{
    for (size_t i = 0; i < s->entries.n; i++)
        if (cli_packed_from(packed, s->entries.at[i].path))
            return s->entries.at[i].name;
    return packed->source;
}

static void print_packed(const shelf *s)
{
    table t = {0};
    char size[32], age[32];
    if (!s->packed_dir) {
        print_line("\npacked weights are not kept (QUANTLLM_CACHE)\n");
        return;
    }
    add_row(&t, (const char *const[]){"PACKED FROM", "", "TYPE", "SIZE", "LAST USED"});
    for (size_t i = 0; i < s->n_packed; i++) {
        const ql_packed_entry *e = &s->packed[i];
        cli_size(e->bytes, size);
        cli_age(e->last_used, age);
        add_row(&t, (const char *const[]){source_name(s, e), "", e->quantization, size, age});
    }
    print_line("\n");
    print_table(&t);
    cli_size(packed_bytes(s), size);
    print_line("%s of at most %.4g GiB (QUANTLLM_CACHE_SIZE) in %s\n", size, (double)ql_packed_cap() / (1 << 30),
               s->packed_dir);
}

// ---- JSON ----

static json_t *json_time(int64_t when)
{
    char text[32];
    cli_time(when, text);
    return json_string(text);
}

static json_t *json_models(const shelf *s)
{
    json_t *models = json_array();
    for (size_t i = 0; i < s->entries.n; i++) {
        const hub_entry *e = &s->entries.at[i];
        json_array_append_new(models, json_pack("{s:s, s:s, s:s, s:o, s:s*, s:I, s:o, s:b}", "model", e->name, "revision",
                                                e->snapshot->refs, "commit", e->snapshot->commit, "path",
                                                cli_json_text(e->path), "type", *e->type ? e->type : NULL, "bytes",
                                                (json_int_t)e->bytes, "last_used", json_time(e->last_used), "complete",
                                                e->complete));
    }
    return models;
}

static json_t *json_interrupted(const shelf *s)
{
    json_t *all = json_array();
    for (size_t i = 0; i < s->stored.n; i++)
        if (s->stored.repos[i].partial_bytes)
            json_array_append_new(all, json_pack("{s:s, s:I}", "model", s->stored.repos[i].name, "bytes",
                                                 (json_int_t)s->stored.repos[i].partial_bytes));
    return all;
}

static json_t *json_packed(const shelf *s)
{
    json_t *files = json_array();
    for (size_t i = 0; i < s->n_packed; i++) {
        const ql_packed_entry *e = &s->packed[i];
        json_array_append_new(files, json_pack("{s:o, s:o, s:o, s:o, s:I, s:o}", "path", cli_json_text(e->path), "source",
                                               cli_json_text(e->source), "model", cli_json_text(source_name(s, e)),
                                               "quantization", cli_json_text(e->quantization), "bytes",
                                               (json_int_t)e->bytes, "last_used", json_time(e->last_used)));
    }
    if (!s->packed_dir) {
        json_decref(files);
        return json_null();
    }
    return json_pack("{s:o, s:I, s:I, s:o}", "folder", cli_json_text(s->packed_dir), "bytes",
                     (json_int_t)packed_bytes(s), "cap",
                     (json_int_t)(ql_packed_cap() < INT64_MAX ? ql_packed_cap() : INT64_MAX), "files", files);
}

static void print_json(const shelf *s)
{
    cli_print_object(json_pack("{s:{s:o, s:I, s:o, s:o}, s:o}", "hub", "folder", cli_json_text(s->settings.cache),
                               "bytes", (json_int_t)hub_bytes(s), "models", json_models(s), "interrupted",
                               json_interrupted(s), "packed", json_packed(s)));
}

// ---- the verb ----

static int list(const cli_options *options)
{
    shelf s = {.packed_dir = ql_packed_dir()};
    ql_error err = {0};
    int code = CLI_OK;
    if (hub_settings_read(&s.settings, &err) != QL_OK || hub_stored_read(&s.settings, NULL, &s.stored, &err) != QL_OK ||
        hub_entries_of(&s.settings, &s.stored, &s.entries, &err) != QL_OK)
        code = cli_fail(&err);
    else
        code = cli_packed(&s.packed, &s.n_packed);
    if (code == CLI_OK && options->json) {
        print_json(&s);
    } else if (code == CLI_OK) {
        print_hub(&s);
        print_packed(&s);
    }
    ql_free(s.packed_dir);
    ql_free(s.packed);
    hub_entries_free(&s.entries);
    hub_stored_free(&s.stored);
    hub_settings_free(&s.settings);
    return code;
}

int cli_ls(int argc, char **argv)
{
    cli_options options;
    cli_options_init(&options);
    cli_parse parse = {.argp = &ls_argp, .name = "ls", .options = &options};
    cli_signals_install(false);
    int code = cli_parse_arguments(&parse, argc, argv) ? list(&options) : options.status;
    cli_options_release(&options);
    return code;
}
