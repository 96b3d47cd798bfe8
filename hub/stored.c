// SPDX-License-Identifier: MIT
// Owns the description of what the cache holds: repositories, commits, files, sizes, last use. It changes nothing.
// Whatever is no repository of models (data sets, other programs' folders, names that are no names) is passed over.
#include "hub_impl.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char folder_prefix[] = "models--";

static int64_t last_use(const struct stat *info)
{
    return info->st_atime > info->st_mtime ? info->st_atime : info->st_mtime;
}

// One more zeroed element at the end of an array of n.
static void *grown(void *array, size_t n, size_t size)
{
    char *more = realloc(array, (n + 1) * size);
    if (more)
        memset(more + n * size, 0, size);
    return more;
}

// ---- files of a snapshot ----

static ql_code describe_file(hub_snapshot *s, char **name, ql_error *err)
{
    struct stat info;
    char *path = hub_format("%s/%s", s->path, *name);
    if (!path)
        return ql_fail_memory(err, 4096);
    hub_stored_file *file = &s->files[s->n_files];
    if (stat(path, &info) == 0) {
        *file = (hub_stored_file){.name = *name, .blob = realpath(path, NULL), .bytes = (uint64_t)info.st_size,
                                  .last_used = last_use(&info)};
        *name = NULL; // now the snapshot's
        s->n_files++;
    }
    free(path);
    return QL_OK;
}

static int by_file(const void *a, const void *b)
{
    return strcmp(((const hub_stored_file *)a)->name, ((const hub_stored_file *)b)->name);
}

static ql_code read_files(hub_snapshot *s, ql_error *err)
{
    hub_file_list list = {0};
    ql_code code = hub_list_files(s->path, &list, err);
    s->files = calloc(list.n + 1, sizeof *s->files);
    if (code == QL_OK && !s->files)
        code = ql_fail_memory(err, list.n * sizeof *s->files);
    for (size_t i = 0; i < list.n && code == QL_OK; i++)
        code = describe_file(s, &list.at[i], err);
    if (s->files)
        qsort(s->files, s->n_files, sizeof *s->files, by_file);
    hub_file_list_free(&list);
    return code;
}

// ---- snapshots and refs ----

static ql_code add_snapshot(hub_repo *repo, const char *commit, ql_error *err)
{
    hub_snapshot *more = grown(repo->snapshots, repo->n_snapshots, sizeof *more);
    if (!more)
        return ql_fail_memory(err, sizeof *more);
    repo->snapshots = more;
    hub_snapshot *s = &more[repo->n_snapshots++];
    memcpy(s->commit, commit, sizeof s->commit);
    s->path = hub_format("%s/snapshots/%s", repo->path, commit);
    s->refs = strdup("");
    if (!s->path || !s->refs)
        return ql_fail_memory(err, 4096);
    return read_files(s, err);
}

static int by_commit(const void *a, const void *b)
{
    return strcmp(((const hub_snapshot *)a)->commit, ((const hub_snapshot *)b)->commit);
}

static ql_code read_snapshots(hub_repo *repo, ql_error *err)
{
    char *folder = hub_format("%s/snapshots", repo->path);
    DIR *dir = folder ? opendir(folder) : NULL;
    ql_code code = folder ? QL_OK : ql_fail_memory(err, 4096);
    for (struct dirent *e; code == QL_OK && dir && (e = readdir(dir));)
        if (hub_is_commit(e->d_name))
            code = add_snapshot(repo, e->d_name, err);
    if (dir)
        closedir(dir);
    free(folder);
    if (repo->n_snapshots)
        qsort(repo->snapshots, repo->n_snapshots, sizeof *repo->snapshots, by_commit);
    return code;
}

static ql_code add_ref(hub_snapshot *s, const char *ref, ql_error *err)
{
    char *both = hub_format("%s%s%s", s->refs, *s->refs ? ", " : "", ref);
    if (!both)
        return ql_fail_memory(err, strlen(ref));
    free(s->refs);
    s->refs = both;
    return QL_OK;
}

static ql_code read_refs(hub_repo *repo, const hub_settings *settings, ql_error *err)
{
    hub_cache cache = {.settings = settings, .repo = repo->name, .folder = repo->path};
    hub_file_list list = {0};
    char commit[HUB_COMMIT_LEN + 1], *folder = hub_format("%s/refs", repo->path);
    ql_code code = folder ? hub_list_files(folder, &list, err) : ql_fail_memory(err, 4096);
    for (size_t i = 0; i < list.n && code == QL_OK; i++) {
        if (!hub_cache_commit_of(&cache, list.at[i], commit))
            continue;
        for (size_t k = 0; k < repo->n_snapshots && code == QL_OK; k++)
            if (strcmp(repo->snapshots[k].commit, commit) == 0)
                code = add_ref(&repo->snapshots[k], list.at[i], err);
    }
    hub_file_list_free(&list);
    free(folder);
    return code;
}

// ---- blobs ----

// Each blob once, and files that stand in a snapshot themselves (where links can not be made).
static ql_code measure(hub_repo *repo, ql_error *err)
{
    char *folder = hub_format("%s/blobs", repo->path);
    if (!folder)
        return ql_fail_memory(err, 4096);
    DIR *dir = opendir(folder);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        struct stat info;
        if (fstatat(dirfd(dir), e->d_name, &info, 0) != 0 || !S_ISREG(info.st_mode))
            continue;
        repo->bytes += (uint64_t)info.st_size;
        if (hub_ends_with(e->d_name, ".incomplete"))
            repo->partial_bytes += (uint64_t)info.st_size;
        if (last_use(&info) > repo->last_used)
            repo->last_used = last_use(&info);
    }
    if (dir)
        closedir(dir);
    for (size_t i = 0; i < repo->n_snapshots; i++)
        for (size_t k = 0; k < repo->snapshots[i].n_files; k++) {
            const hub_stored_file *file = &repo->snapshots[i].files[k];
            char *path = hub_format("%s/%s", repo->snapshots[i].path, file->name);
            struct stat info;
            if (path && lstat(path, &info) == 0 && S_ISREG(info.st_mode))
                repo->bytes += file->bytes;
            if (file->last_used > repo->last_used)
                repo->last_used = file->last_used;
            free(path);
        }
    free(folder);
    return QL_OK;
}

// ---- repositories ----

// "models--org--name" to "org/name"; NULL for what is no name.
static char *name_of_folder(const char *folder)
{
    if (strncmp(folder, folder_prefix, sizeof folder_prefix - 1) != 0)
        return NULL;
    const char *rest = folder + sizeof folder_prefix - 1, *dashes = strstr(rest, "--");
    char *name = dashes ? hub_format("%.*s/%s", (int)(dashes - rest), rest, dashes + 2) : strdup(rest);
    hub_name parsed;
    if (name && (!*name || hub_name_parse(name, NULL, &parsed, NULL) != QL_OK || strcmp(parsed.repo, name) != 0)) {
        free(name);
        return NULL;
    }
    return name;
}

static ql_code add_repo(const hub_settings *settings, char *name, const char *folder, hub_stored *stored, ql_error *err)
{
    hub_repo *more = grown(stored->repos, stored->n, sizeof *more);
    if (!more) {
        free(name);
        return ql_fail_memory(err, sizeof *more);
    }
    stored->repos = more;
    hub_repo *repo = &more[stored->n++];
    repo->name = name;
    repo->path = hub_format("%s/%s", settings->cache, folder);
    if (!repo->path)
        return ql_fail_memory(err, 4096);
    QL_TRY(read_snapshots(repo, err));
    QL_TRY(read_refs(repo, settings, err));
    return measure(repo, err);
}

static int by_repo(const void *a, const void *b)
{
    return strcmp(((const hub_repo *)a)->name, ((const hub_repo *)b)->name);
}

ql_code hub_stored_read(const hub_settings *settings, const char *only, hub_stored *stored, ql_error *err)
{
    *stored = (hub_stored){0};
    DIR *dir = opendir(settings->cache);
    ql_code code = QL_OK;
    if (!dir && errno != ENOENT)
        return ql_fail(err, QL_E_IO, "%s can not be read: %s", settings->cache, strerror(errno));
    for (struct dirent *e; code == QL_OK && dir && (e = readdir(dir));) {
        char *name = name_of_folder(e->d_name);
        if (name && (!only || strcmp(name, only) == 0))
            code = add_repo(settings, name, e->d_name, stored, err);
        else
            free(name);
    }
    if (dir)
        closedir(dir);
    if (stored->n)
        qsort(stored->repos, stored->n, sizeof *stored->repos, by_repo);
    if (code != QL_OK)
        hub_stored_free(stored);
    return code;
}

static void snapshot_free(hub_snapshot *s)
{
    for (size_t i = 0; i < s->n_files; i++) {
        free(s->files[i].name);
        free(s->files[i].blob);
    }
    free(s->files);
    free(s->path);
    free(s->refs);
}

void hub_stored_free(hub_stored *stored)
{
    for (size_t i = 0; i < stored->n; i++) {
        hub_repo *repo = &stored->repos[i];
        for (size_t k = 0; k < repo->n_snapshots; k++)
            snapshot_free(&repo->snapshots[k]);
        free(repo->snapshots);
        free(repo->name);
        free(repo->path);
    }
    free(stored->repos);
    *stored = (hub_stored){0};
}

// ---- questions ----

// Whether ref is one of "a, b, c".
static bool has_ref(const char *refs, const char *ref)
{
    size_t n = strlen(ref);
    for (const char *at = refs; *at; at += strcspn(at, ","), at += strspn(at, ", "))
        if (strcspn(at, ",") == n && memcmp(at, ref, n) == 0)
            return true;
    return false;
}

const hub_snapshot *hub_stored_find(const hub_repo *repo, const hub_name *name)
{
    const char *revision = *name->revision ? name->revision : "main";
    for (size_t i = 0; i < repo->n_snapshots; i++)
        if (strcmp(repo->snapshots[i].commit, revision) == 0 || has_ref(repo->snapshots[i].refs, revision))
            return &repo->snapshots[i];
    return NULL;
}

ql_code hub_stored_choose(const hub_repo *repo, const hub_snapshot *snapshot, const char *wanted, bool *chosen,
                          ql_error *err)
{
    char **names = calloc(snapshot->n_files + 1, sizeof *names);
    hub_choice choice;
    if (!names)
        return ql_fail_memory(err, snapshot->n_files * sizeof *names);
    for (size_t i = 0; i < snapshot->n_files; i++)
        names[i] = snapshot->files[i].name;
    ql_code code = hub_choose(repo->name, (hub_names){names, snapshot->n_files}, wanted, &choice, err);
    if (code == QL_OK) {
        for (size_t i = 0; i < snapshot->n_files; i++) {
            chosen[i] = false;
            for (size_t k = 0; k < choice.n; k++)
                chosen[i] |= choice.files[k] == names[i];
        }
        hub_choice_free(&choice);
    }
    free(names);
    return code;
}
