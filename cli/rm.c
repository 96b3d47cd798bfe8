// SPDX-License-Identifier: MIT
// quantllm rm: deletes a model of the Hub from the cache, with the weights packed from it. It must never delete what it
// did not say, nor anything outside the two caches: of a path only packed weights go, not the user's own file.
#include "models.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static error_t parse_rm(int key, char *arg, struct argp_state *state) { return cli_parse_store(key, arg, state, true); }

static const struct argp_option rm_options[] = {
    {"revision", CLI_KEY_REVISION, "REV", 0, "Only this branch, tag or commit (all that are here)", 0},
    {"packed", CLI_KEY_PACKED, NULL, 0, "Only packed weights: of MODEL, or without it all of them", 0},
    {"yes", 'y', NULL, 0, "Do not ask", 0},
    {"quiet", 'q', NULL, 0, "No line about what was deleted", 0},
    {"json", CLI_KEY_JSON, NULL, 0, "Print one JSON object: model, freed_bytes, packed_files", 0},
    {"help", 'h', NULL, 0, "This help", -1},
    {0},
};
static const struct argp rm_argp = {
    rm_options, parse_rm, "ORG/NAME[:TYPE|:FILE][@REV]|PATH",
    "Delete a model from the cache of the Hugging Face Hub, with what was packed from it.\v"
    "Files that another revision uses stay. Of a PATH only packed weights are deleted, never the file itself.\n\n"
    "Examples:\n"
    "  quantllm rm TinyLlama/TinyLlama-1.1B-Chat-v1.0\n"
    "  quantllm rm bartowski/SmolLM2-135M-Instruct-GGUF:Q8_0 -y\n"
    "  quantllm rm --packed -y",
    NULL, NULL, NULL};

// What a command line means to delete.
typedef struct plan {
    const cli_options *options;
    hub_settings settings;
    hub_name name;
    hub_stored stored;
    const hub_repo *repo;         // NULL: nothing of the Hub
    const hub_snapshot *snapshot; // NULL: all of the repository
    bool *files;                  // with a choice: those of the snapshot that go
    ql_packed_entry *packed;
    size_t n_packed, n_chosen;
    bool *chosen;                 // of packed
    uint64_t packed_bytes;
} plan;

static int not_here(const plan *p)
{
    return cli_error(ql_code_lookup(QL_E_NOT_FOUND)->exit_code, "%s is not in the cache (%s); quantllm ls lists what is",
                     p->options->model, p->settings.cache);
}

static int plan_hub(plan *p)
{
    ql_error err = {0};
    if (hub_stored_read(&p->settings, p->name.repo, &p->stored, &err) != QL_OK)
        return cli_fail(&err);
    if (!p->stored.n)
        return not_here(p);
    p->repo = &p->stored.repos[0];
    if (!*p->name.wanted && !*p->name.revision)
        return CLI_OK;
    p->snapshot = hub_stored_find(p->repo, &p->name);
    if (!p->snapshot)
        return not_here(p);
    p->files = cli_alloc(p->snapshot->n_files + 1);
    if (*p->name.wanted && hub_stored_choose(p->repo, p->snapshot, p->name.wanted, p->files, &err) != QL_OK)
        return cli_fail(&err);
    return CLI_OK;
}

// Whether a packed file was made from files of this snapshot that go. Content may stand outside the repository's folder:
// huggingface_hub can keep it in a store for all repositories.
static bool from_snapshot(const plan *p, const hub_snapshot *s, const ql_packed_entry *entry)
{
    if (!*p->name.wanted && cli_packed_from(entry, s->path))
        return true;
    for (size_t i = 0; i < s->n_files; i++)
        if ((!*p->name.wanted || p->files[i]) && s->files[i].blob && cli_packed_from(entry, s->files[i].blob))
            return true;
    return false;
}

// Whether a packed file was made from what is meant.
static bool is_meant(const plan *p, const ql_packed_entry *entry)
{
    bool meant = !p->options->model || (!p->repo && cli_packed_from(entry, p->options->model));
    for (size_t i = 0; p->repo && i < p->repo->n_snapshots && !meant; i++)
        if (!p->snapshot || p->snapshot == &p->repo->snapshots[i])
            meant = from_snapshot(p, &p->repo->snapshots[i], entry);
    return meant;
}

static int plan_packed(plan *p)
{
    int code = cli_packed(&p->packed, &p->n_packed);
    p->chosen = cli_alloc(p->n_packed + 1);
    for (size_t i = 0; i < p->n_packed; i++) {
        // a packed file may also be named itself, by the path that ls --json gives
        bool itself = p->options->model && strcmp(p->packed[i].path, p->options->model) == 0;
        p->chosen[i] = itself || is_meant(p, &p->packed[i]);
        p->n_chosen += p->chosen[i];
        p->packed_bytes += p->chosen[i] ? p->packed[i].bytes : 0;
    }
    return code;
}

static int make_plan(plan *p)
{
    ql_error err = {0};
    const char *model = p->options->model;
    int code = CLI_OK;
    if (hub_settings_read(&p->settings, &err) != QL_OK)
        return cli_fail(&err);
    if (model && !cli_parse_name(model, p->options->revision, &p->name, &code))
        return code;
    if (*p->name.repo)
        code = plan_hub(p);
    if (code == CLI_OK)
        code = plan_packed(p);
    if (code == CLI_OK && model && !p->repo && !p->n_chosen)
        return cli_error(ql_code_lookup(QL_E_NOT_FOUND)->exit_code, "nothing is packed from %s, and rm does not delete "
                         "files outside the caches; quantllm ls lists what is there", model);
    return code;
}

// "org/name, 2 revisions, 2.20 GB, and 1 packed file, 0.67 GB"
static void describe(const plan *p, char *text, size_t size)
{
    char bytes[32];
    int n = snprintf(text, size, "%s", p->options->model ? p->options->model : "all packed weights");
    if (p->repo && !p->options->packed) {
        uint64_t total = p->snapshot ? 0 : p->repo->bytes;
        for (size_t i = 0; p->snapshot && i < p->snapshot->n_files; i++)
            total += p->files[i] || !*p->name.wanted ? p->snapshot->files[i].bytes : 0;
        cli_size(total, bytes);
        n += snprintf(text + n, size - (size_t)n, " (%s)", bytes);
    }
    if (p->n_chosen && (size_t)n < size) {
        cli_size(p->packed_bytes, bytes);
        snprintf(text + n, size - (size_t)n, "%s %zu packed file%s (%s)", p->options->packed || !p->repo ? ":" : " and",
                 p->n_chosen, p->n_chosen == 1 ? "" : "s", bytes);
    }
}

static int delete(const plan *p, uint64_t *freed)
{
    ql_error err = {0};
    *freed = 0;
    if (p->repo && !p->options->packed &&
        hub_remove(&p->settings, p->repo, p->snapshot ? p->snapshot->commit : NULL, p->name.wanted, freed, &err) != QL_OK)
        return cli_fail(&err);
    for (size_t i = 0; i < p->n_packed; i++) {
        if (!p->chosen[i])
            continue;
        if (ql_packed_remove(p->packed[i].path, &err) != QL_OK)
            return cli_fail(&err);
        *freed += p->packed[i].bytes;
    }
    return CLI_OK;
}

static int carry_out(const plan *p)
{
    char what[1400], question[1440], size[32];
    uint64_t freed;
    describe(p, what, sizeof what);
    if (!p->options->yes && !(cli_is_terminal(STDIN_FILENO) && cli_is_terminal(STDERR_FILENO)))
        return cli_error(CLI_USAGE, "nobody is here to ask whether to delete %s: give -y", what);
    snprintf(question, sizeof question, "delete %s?", what);
    if (!p->options->yes && !cli_confirm(question)) {
        cli_note("nothing is deleted");
        return CLI_FAILURE;
    }
    int code = delete(p, &freed);
    if (code != CLI_OK)
        return code;
    cli_size(freed, size);
    if (p->options->json)
        cli_print_object(json_pack("{s:o*, s:I, s:I}", "model",
                                   p->options->model ? cli_json_text(p->options->model) : NULL, "freed_bytes",
                                   (json_int_t)freed, "packed_files", (json_int_t)p->n_chosen));
    else if (!p->options->quiet)
        cli_note("deleted, %s are free again", size);
    return CLI_OK;
}

int cli_rm(int argc, char **argv)
{
    cli_options options;
    cli_options_init(&options);
    cli_parse parse = {.argp = &rm_argp, .name = "rm", .options = &options};
    plan p = {.options = &options};
    cli_signals_install(false);
    int code = cli_parse_arguments(&parse, argc, argv) ? CLI_OK : options.status;
    if (code == CLI_OK && !parse.done) {
        code = make_plan(&p);
        if (code == CLI_OK)
            code = carry_out(&p);
    }
    free(p.files);
    free(p.chosen);
    ql_free(p.packed);
    hub_stored_free(&p.stored);
    hub_settings_free(&p.settings);
    cli_options_release(&options);
    return code;
}
