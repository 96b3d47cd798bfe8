// SPDX-License-Identifier: MIT
// Owns what a person calls "the models in the cache": of each commit the folder that runs, and each GGUF model, by the
// name that runs it. It changes nothing.
#include "hub_impl.h"

#include <ctype.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

// ---- types ----

// The last word of a GGUF's name that looks like a type: Q4_K_M, IQ4_XS, BF16, MXFP4_MOE. "" for none.
static void type_of_gguf(const char *name, char type[24])
{
    const char *base = strrchr(name, '/');
    type[0] = 0;
    for (const char *at = base ? base + 1 : name; *at;) {
        size_t n = 0, letters = 0;
        while (isalnum((unsigned char)at[n]) || at[n] == '_')
            n++;
        letters = (at[0] | 32) == 'i' || (at[0] | 32) == 't'; // IQ, TQ
        bool kind = ((at[letters] | 32) == 'q' && isdigit((unsigned char)at[letters + 1]) && at[letters + 2] == '_') ||
                    strncasecmp(at, "mxfp4", 5) == 0 || (n == 4 && strncasecmp(at, "bf16", 4) == 0) ||
                    (n == 3 && (strncasecmp(at, "f16", 3) == 0 || strncasecmp(at, "f32", 3) == 0));
        if (kind && n < 24)
            for (size_t i = 0; i <= n; i++)
                type[i] = i < n ? (char)toupper((unsigned char)at[i]) : 0;
        at += n ? n : 1;
    }
}

// torch_dtype of config.json: "bfloat16" is BF16.
static void type_of_config(const hub_settings *settings, const hub_repo *repo, const hub_snapshot *s, char type[24])
{
    static const char *const names[][2] = {{"bfloat16", "BF16"}, {"float16", "F16"}, {"float32", "F32"}};
    hub_cache cache = {.settings = settings, .repo = repo->name, .folder = repo->path};
    ql_buf text = {0};
    json_t *config = NULL;
    if (hub_cache_read(&cache, s->commit, hub_config_file, &text, NULL) == QL_OK && text.data)
        config = json_loadb(text.data, text.len, 0, NULL);
    json_t *dtype = json_object_get(config, "torch_dtype");
    const char *word = json_string_value(dtype ? dtype : json_object_get(config, "dtype"));
    type[0] = 0;
    for (size_t i = 0; word && i < 3; i++)
        if (strcmp(word, names[i][0]) == 0)
            strcpy(type, names[i][1]);
    json_decref(config);
    ql_buf_free(&text);
}

// ---- entries ----

static bool is_gguf(const char *name)
{
    size_t n = strlen(name);
    return n >= 5 && strcasecmp(name + n - 5, ".gguf") == 0;
}

static ql_code add(hub_entries *all, hub_entry entry, ql_error *err)
{
    hub_entry *more = realloc(all->at, (all->n + 1) * sizeof *more);
    if (more) {
        all->at = more;
        all->at[all->n++] = entry;
    }
    if (more && entry.name && entry.path && entry.files)
        return QL_OK;
    if (!more) {
        free(entry.name);
        free(entry.path);
        free(entry.files);
    }
    return ql_fail_memory(err, sizeof *more);
}

static bool *copy_bits(const bool *bits, size_t n)
{
    bool *copy = malloc(n + 1);
    return copy ? memcpy(copy, bits, n) : NULL;
}

static ql_code describe(const hub_repo *repo, const hub_snapshot *s, const bool *files, char *name, char *path,
                        const char *type, bool complete, hub_entries *all, ql_error *err)
{
    hub_entry entry = {.name = name, .path = path, .repo = repo, .snapshot = s, .complete = complete,
                       .files = copy_bits(files, s->n_files)};
    strcpy(entry.type, type);
    for (size_t i = 0; i < s->n_files; i++) {
        if (!files[i])
            continue;
        entry.bytes += s->files[i].bytes;
        if (s->files[i].last_used > entry.last_used)
            entry.last_used = s->files[i].last_used;
    }
    return add(all, entry, err);
}

// Every GGUF model of the snapshot, named by its type when that is enough. taken: files that an entry has.
static ql_code add_ggufs(const hub_repo *repo, const hub_snapshot *s, bool *taken, hub_entries *all, ql_error *err)
{
    bool *chosen = calloc(s->n_files + 1, sizeof *chosen), *same = calloc(s->n_files + 1, sizeof *same);
    ql_code code = chosen && same ? QL_OK : ql_fail_memory(err, s->n_files);
    for (size_t i = 0; i < s->n_files && code == QL_OK; i++) {
        const char *file = s->files[i].name;
        char type[24];
        if (taken[i] || !is_gguf(file) || hub_stored_choose(repo, s, file, chosen, NULL) != QL_OK)
            continue;
        type_of_gguf(file, type);
        bool by_type = *type && hub_stored_choose(repo, s, type, same, NULL) == QL_OK &&
                       memcmp(same, chosen, s->n_files) == 0;
        for (size_t k = 0; k < s->n_files; k++)
            taken[k] |= chosen[k];
        code = describe(repo, s, chosen, hub_format("%s:%s", repo->name, by_type ? type : file),
                        hub_format("%s/%s", s->path, file), type, true, all, err);
    }
    free(chosen);
    free(same);
    return code;
}

// The folder, when it runs; else what is there of it, so that nothing on the disk is left out.
static ql_code add_folder(const hub_settings *settings, const hub_repo *repo, const hub_snapshot *s, bool *taken,
                          hub_entries *all, ql_error *err)
{
    hub_cache cache = {.settings = settings, .repo = repo->name, .folder = repo->path};
    hub_model model = {0};
    char type[24] = "";
    size_t n = 0;
    bool complete = hub_cache_find(&cache, s->commit, "", &model, NULL) == QL_OK && strcmp(model.path, s->path) == 0;
    free(model.path);
    for (size_t i = 0; i < s->n_files; i++)
        n += taken[i] = !taken[i];
    if (complete)
        type_of_config(settings, repo, s, type);
    if (!complete && n < s->n_files)
        return QL_OK; // beside GGUF models: a README and the like
    return describe(repo, s, taken, strdup(repo->name), strdup(s->path), type, complete, all, err);
}

static ql_code add_snapshot(const hub_settings *settings, const hub_repo *repo, const hub_snapshot *s, hub_entries *all,
                            ql_error *err)
{
    bool *taken = calloc(s->n_files + 1, sizeof *taken);
    ql_code code = taken ? add_ggufs(repo, s, taken, all, err) : ql_fail_memory(err, s->n_files);
    if (code == QL_OK)
        code = add_folder(settings, repo, s, taken, all, err);
    free(taken);
    return code;
}

ql_code hub_entries_of(const hub_settings *settings, const hub_stored *stored, hub_entries *all, ql_error *err)
{
    *all = (hub_entries){0};
    ql_code code = QL_OK;
    for (size_t i = 0; i < stored->n && code == QL_OK; i++)
        for (size_t k = 0; k < stored->repos[i].n_snapshots && code == QL_OK; k++)
            code = add_snapshot(settings, &stored->repos[i], &stored->repos[i].snapshots[k], all, err);
    if (code != QL_OK)
        hub_entries_free(all);
    return code;
}

void hub_entries_free(hub_entries *all)
{
    for (size_t i = 0; i < all->n; i++) {
        free(all->at[i].name);
        free(all->at[i].path);
        free(all->at[i].files);
    }
    free(all->at);
    *all = (hub_entries){0};
}
