// SPDX-License-Identifier: MIT
// Owns deleting from the cache. It must not ask: a verb does. A blob goes only when no other file of the repository
// links to it. A blob that is itself a link (huggingface_hub's store for all repositories) loses the link alone: what it
// points to belongs to that store. Refs go first, so that nothing half deleted is found complete.
#include "hub_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static ql_code fail_removing(const char *path, int error, ql_error *err)
{
    return ql_fail(err, QL_E_IO, "%s can not be deleted: %s", path, strerror(error));
}

// ---- a tree ----

static uint64_t tree_freed; // nftw hands no pointer on; the command removes one tree at a time

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *at)
{
    (void)at;
    if (kind == FTW_DP)
        return rmdir(path) == 0 || errno == ENOENT ? 0 : -1;
    if (unlink(path) != 0)
        return errno == ENOENT ? 0 : -1;
    if (kind == FTW_F)
        tree_freed += (uint64_t)info->st_size;
    return 0;
}

static ql_code remove_tree(const char *path, uint64_t *freed, ql_error *err)
{
    tree_freed = 0;
    int result = nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS); // links are not followed
    *freed += tree_freed;
    return result == 0 || errno == ENOENT ? QL_OK : fail_removing(path, errno, err);
}

static ql_code remove_part(const hub_repo *repo, const char *part, uint64_t *freed, ql_error *err)
{
    char *path = hub_format("%s%s%s", repo->path, *part ? "/" : "", part);
    ql_code code = path ? remove_tree(path, freed, err) : ql_fail_memory(err, 4096);
    free(path);
    return code;
}

static ql_code remove_repo(const hub_repo *repo, uint64_t *freed, ql_error *err)
{
    QL_TRY(remove_part(repo, "refs", freed, err));
    QL_TRY(remove_part(repo, "snapshots", freed, err));
    return remove_part(repo, "", freed, err);
}

// ---- one commit ----

// The blob that a file of a snapshot links to: repo/blobs/NAME (free()). NULL: it is no such link.
static char *blob_of(const hub_repo *repo, const char *path)
{
    char target[4096];
    ssize_t n = readlink(path, target, sizeof target - 1);
    if (n <= 0)
        return NULL;
    target[n] = 0;
    const char *name = strrchr(target, '/');
    if (!name || name - target < 5 || memcmp(name - 5, "blobs", 5) != 0 || !hub_is_plain(name + 1))
        return NULL;
    return hub_format("%s/blobs/%s", repo->path, name + 1);
}

// Whether a file that stays links to the blob.
static bool is_used(const hub_repo *repo, const char *blob)
{
    bool used = false;
    for (size_t i = 0; i < repo->n_snapshots && !used; i++)
        for (size_t k = 0; k < repo->snapshots[i].n_files && !used; k++) {
            char *path = hub_format("%s/%s", repo->snapshots[i].path, repo->snapshots[i].files[k].name);
            char *other = path ? blob_of(repo, path) : NULL;
            used = !path || (other && strcmp(other, blob) == 0); // what was deleted before is no link any more
            free(other);
            free(path);
        }
    return used;
}

static ql_code remove_file(const hub_repo *repo, const hub_snapshot *s, const char *name, uint64_t *freed, ql_error *err)
{
    struct stat info;
    char *path = hub_format("%s/%s", s->path, name), *blob = path ? blob_of(repo, path) : NULL;
    ql_code code = path ? QL_OK : ql_fail_memory(err, 4096);
    const char *content = blob ? blob : path;
    bool sized = path && lstat(content, &info) == 0 && S_ISREG(info.st_mode);
    if (path && unlink(path) != 0 && errno != ENOENT)
        code = fail_removing(path, errno, err);
    if (code == QL_OK && blob && is_used(repo, blob))
        sized = false;
    else if (code == QL_OK && blob && unlink(blob) != 0 && errno != ENOENT)
        code = fail_removing(blob, errno, err);
    if (code == QL_OK && sized)
        *freed += (uint64_t)info.st_size;
    free(blob);
    free(path);
    return code;
}

static ql_code remove_refs(const hub_settings *settings, const hub_repo *repo, const char *commit, ql_error *err)
{
    hub_cache cache = {.settings = settings, .repo = repo->name, .folder = repo->path};
    hub_file_list list = {0};
    char found[HUB_COMMIT_LEN + 1], *folder = hub_format("%s/refs", repo->path);
    ql_code code = folder ? hub_list_files(folder, &list, err) : ql_fail_memory(err, 4096);
    for (size_t i = 0; i < list.n && code == QL_OK; i++) {
        if (!hub_cache_commit_of(&cache, list.at[i], found) || strcmp(found, commit) != 0)
            continue;
        char *path = hub_format("%s/%s", folder, list.at[i]);
        code = !path ? ql_fail_memory(err, 4096) : unlink(path) != 0 ? fail_removing(path, errno, err) : QL_OK;
        free(path);
    }
    hub_file_list_free(&list);
    free(folder);
    return code;
}

ql_code hub_remove(const hub_settings *settings, const hub_repo *repo, const char *commit, const char *wanted,
                   uint64_t *freed, ql_error *err)
{
    const hub_snapshot *s = NULL;
    *freed = 0;
    if (!commit)
        return remove_repo(repo, freed, err);
    for (size_t i = 0; i < repo->n_snapshots; i++)
        if (strcmp(repo->snapshots[i].commit, commit) == 0)
            s = &repo->snapshots[i];
    if (!s)
        return ql_fail(err, QL_E_NOT_FOUND, "%s has no commit %s in the cache", repo->name, commit);
    bool *chosen = calloc(s->n_files + 1, sizeof *chosen);
    size_t n = 0;
    ql_code code = chosen ? QL_OK : ql_fail_memory(err, s->n_files);
    if (code == QL_OK && *wanted)
        code = hub_stored_choose(repo, s, wanted, chosen, err);
    for (size_t i = 0; i < s->n_files && code == QL_OK; i++)
        n += chosen[i] = chosen[i] || !*wanted;
    bool whole = n == s->n_files;
    if (code == QL_OK && whole && repo->n_snapshots == 1) {
        free(chosen);
        return remove_repo(repo, freed, err);
    }
    if (code == QL_OK && whole)
        code = remove_refs(settings, repo, commit, err);
    for (size_t i = 0; i < s->n_files && code == QL_OK; i++)
        if (chosen[i])
            code = remove_file(repo, s, s->files[i].name, freed, err);
    if (code == QL_OK && whole)
        code = remove_tree(s->path, freed, err);
    free(chosen);
    return code;
}
