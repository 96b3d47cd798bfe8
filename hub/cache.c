// SPDX-License-Identifier: MIT
// Owns the folder of one repository in the cache: paths, refs, links, and whether a model is complete. It must not
// know the network. Names in paths have passed name.c. What is written appears by rename, never half.
#include "hub_impl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_DEPTH = 16 }; // of folders below a snapshot

ql_code hub_cache_open(hub_cache *cache, const hub_settings *settings, const char *repo, ql_error *err)
{
    *cache = (hub_cache){.settings = settings, .repo = repo};
    const char *slash = strchr(repo, '/');
    int owner = slash ? (int)(slash - repo) : 0;
    cache->folder = hub_format("%s/models--%.*s%s%s", settings->cache, owner, repo, slash ? "--" : "",
                               slash ? slash + 1 : repo);
    return cache->folder ? QL_OK : ql_fail_memory(err, strlen(settings->cache) + strlen(repo));
}

void hub_cache_close(hub_cache *cache)
{
    free(cache->folder);
    *cache = (hub_cache){0};
}

char *hub_cache_file(const hub_cache *cache, const char *commit, const char *name)
{
    return hub_format("%s/snapshots/%s%s%s", cache->folder, commit, *name ? "/" : "", name);
}

char *hub_cache_blob(const hub_cache *cache, const char *etag)
{
    return hub_format("%s/blobs/%s", cache->folder, etag);
}

static bool is_file(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

bool hub_cache_has(const hub_cache *cache, const char *commit, const char *name)
{
    char *path = hub_cache_file(cache, commit, name);
    bool has = path && is_file(path);
    free(path);
    return has;
}

// ---- folders and durability ----

ql_code hub_make_parents(const char *path, ql_error *err)
{
    char *folder = strdup(path);
    if (!folder)
        return ql_fail_memory(err, strlen(path) + 1);
    ql_code code = QL_OK;
    for (char *slash = strchr(folder + 1, '/'); slash && code == QL_OK; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        if (mkdir(folder, 0777) != 0 && errno != EEXIST) {
            struct stat info;
            int error = errno; // a read-only parent of a folder that is there says EROFS or EACCES
            if (stat(folder, &info) != 0 || !S_ISDIR(info.st_mode))
                code = ql_fail(err, QL_E_IO, "the folder %s can not be made: %s: set HF_HOME to a place that can be "
                               "written", folder, strerror(error));
        }
        *slash = '/';
    }
    free(folder);
    return code;
}

ql_code hub_sync_parent(const char *path, ql_error *err)
{
    char *folder = strdup(path);
    char *slash = folder ? strrchr(folder, '/') : NULL;
    if (!slash) {
        free(folder);
        return ql_fail_memory(err, strlen(path) + 1);
    }
    *slash = 0;
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ql_code code = QL_OK;
    if (fd >= 0 && fsync(fd) != 0 && errno != EINVAL && errno != EROFS) // some file systems have no sync of folders
        code = ql_fail(err, QL_E_IO, "%s can not be written: %s", folder, strerror(errno));
    if (fd >= 0)
        close(fd);
    free(folder);
    return code;
}

// ---- refs ----

static char *ref_path(const hub_cache *cache, const char *revision)
{
    return hub_format("%s/refs/%s", cache->folder, revision);
}

bool hub_cache_commit_of(const hub_cache *cache, const char *revision, char commit[HUB_COMMIT_LEN + 1])
{
    char text[100] = "";
    if (hub_is_commit(revision)) {
        memcpy(commit, revision, HUB_COMMIT_LEN + 1);
        return true;
    }
    char *path = ref_path(cache, revision);
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    free(path);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    text[n > 0 ? n : 0] = 0;
    text[strcspn(text, " \r\n")] = 0;
    if (!hub_is_commit(text))
        return false;
    memcpy(commit, text, HUB_COMMIT_LEN + 1);
    return true;
}

static ql_code write_ref(const char *path, const char *temporary, const char *commit, ql_error *err)
{
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        return ql_fail(err, QL_E_IO, "%s can not be written: %s", path, strerror(errno));
    bool written = write(fd, commit, HUB_COMMIT_LEN) == HUB_COMMIT_LEN && fsync(fd) == 0;
    int error = errno;
    close(fd);
    if (written && rename(temporary, path) == 0)
        return hub_sync_parent(path, err);
    error = written ? errno : error;
    unlink(temporary);
    return ql_fail(err, QL_E_IO, "%s can not be written: %s", path, strerror(error));
}

ql_code hub_cache_remember(const hub_cache *cache, const char *revision, const char *commit, ql_error *err)
{
    char before[HUB_COMMIT_LEN + 1];
    if (hub_cache_commit_of(cache, revision, before) && strcmp(before, commit) == 0)
        return QL_OK;
    char *path = ref_path(cache, revision);
    char *temporary = path ? hub_format("%s.%ld.tmp", path, (long)getpid()) : NULL;
    ql_code code = temporary ? hub_make_parents(path, err) : ql_fail_memory(err, strlen(cache->folder) + 64);
    if (code == QL_OK)
        code = write_ref(path, temporary, commit, err);
    free(temporary);
    free(path);
    return code;
}

// ---- links ----

// "../" from a snapshot's file up to the repository's folder: snapshots/COMMIT/NAME.
static char *link_target(const char *name, const char *etag)
{
    size_t depth = 2;
    for (const char *c = name; *c; c++)
        depth += *c == '/';
    char *target = malloc(depth * 3 + strlen("blobs/") + strlen(etag) + 1);
    if (!target)
        return NULL;
    char *at = target;
    while (depth--)
        at = stpcpy(at, "../");
    stpcpy(stpcpy(at, "blobs/"), etag);
    return target;
}

// Where there are no symbolic links (FAT, some network drives) the file itself goes there, as huggingface_hub does.
static ql_code place(const char *target, const char *temporary, const char *path, const char *blob, ql_error *err)
{
    unlink(temporary);
    if (symlink(target, temporary) == 0) {
        if (rename(temporary, path) == 0)
            return hub_sync_parent(path, err);
    } else if ((errno == EPERM || errno == EOPNOTSUPP) && rename(blob, path) == 0) {
        return hub_sync_parent(path, err);
    }
    int error = errno;
    unlink(temporary);
    return ql_fail(err, QL_E_IO, "%s can not be made: %s", path, strerror(error));
}

ql_code hub_cache_link(const hub_cache *cache, const char *commit, const char *name, const char *etag, ql_error *err)
{
    char *path = hub_cache_file(cache, commit, name), *blob = hub_cache_blob(cache, etag);
    char *target = link_target(name, etag);
    char *temporary = path ? hub_format("%s.%ld.tmp", path, (long)getpid()) : NULL;
    ql_code code = temporary && target && blob ? hub_make_parents(path, err) : ql_fail_memory(err, 4096);
    if (code == QL_OK)
        code = place(target, temporary, path, blob, err);
    free(temporary);
    free(target);
    free(blob);
    free(path);
    return code;
}

// ---- reading ----

ql_code hub_cache_read(const hub_cache *cache, const char *commit, const char *name, ql_buf *text, ql_error *err)
{
    char *path = hub_cache_file(cache, commit, name);
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    ql_code code = fd < 0 ? ql_fail(err, QL_E_IO, "%s: %s", path ? path : name, strerror(errno)) : QL_OK;
    while (code == QL_OK) {
        char *room = ql_buf_reserve(text, 1 << 16);
        ssize_t n = room ? read(fd, room, 1 << 16) : -1;
        if (!room)
            code = ql_fail_memory(err, 1 << 16);
        else if (n < 0)
            code = ql_fail(err, QL_E_IO, "%s: %s", path, strerror(errno));
        else if (text->len + (size_t)n > HUB_MAX_METADATA)
            code = ql_fail(err, QL_E_FORMAT, "%s: %s has more than %d bytes", cache->repo, name, HUB_MAX_METADATA);
        else if (n == 0)
            break;
        else
            text->len += (size_t)n;
    }
    if (fd >= 0)
        close(fd);
    free(path);
    return code;
}

// ---- what is there ----

void hub_file_list_free(hub_file_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        free(list->at[i]);
    free(list->at);
    *list = (hub_file_list){0};
}

static ql_code add_name(hub_file_list *list, char *name, ql_error *err)
{
    if (name && list->n == list->size) {
        size_t size = list->size ? 2 * list->size : 16;
        char **more = realloc(list->at, size * sizeof *more);
        if (!more) {
            free(name);
            name = NULL;
        } else {
            list->at = more;
            list->size = size;
        }
    }
    if (!name)
        return ql_fail_memory(err, list->size * sizeof name);
    list->at[list->n++] = name;
    return QL_OK;
}

static ql_code walk(const char *folder, const char *below, int depth, hub_file_list *list, ql_error *err)
{
    ql_code code = QL_OK;
    char *here = hub_format("%s%s%s", folder, *below ? "/" : "", below);
    DIR *dir = here ? opendir(here) : NULL;
    for (struct dirent *e; code == QL_OK && dir && (e = readdir(dir));) {
        struct stat info;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
            fstatat(dirfd(dir), e->d_name, &info, 0) != 0)
            continue;
        char *name = hub_format("%s%s%s", below, *below ? "/" : "", e->d_name);
        if (name && S_ISDIR(info.st_mode) && depth < MAX_DEPTH) {
            code = walk(folder, name, depth + 1, list, err);
            free(name);
        } else if (name && S_ISREG(info.st_mode) && list->n < HUB_MAX_FILES) {
            code = add_name(list, name, err);
        } else {
            free(name);
        }
    }
    if (dir)
        closedir(dir);
    free(here);
    return code;
}

ql_code hub_list_files(const char *folder, hub_file_list *list, ql_error *err)
{
    return walk(folder, "", 0, list, err);
}

// Weights alone do not run: a folder of safetensors needs a tokenizer beside them.
static bool has_tokenizer(const hub_choice *choice)
{
    static const char *const names[] = {"tokenizer.json", "vocab.json", "vocab.txt"};
    for (size_t i = 0; i < choice->n; i++)
        for (size_t k = 0; k < 3; k++)
            if (strcmp(choice->files[i], names[k]) == 0)
                return true;
    return choice->gguf != NULL;
}

static ql_code choose_complete(const hub_cache *cache, const char *commit, hub_names names, const char *wanted,
                               hub_choice *choice, ql_error *err)
{
    QL_TRY(hub_choose(cache->repo, names, wanted, choice, err));
    ql_code code = QL_OK;
    if (!has_tokenizer(choice)) {
        code = ql_fail(err, QL_E_NOT_FOUND, "%s: no tokenizer in the cache", cache->repo);
    } else if (choice->index) {
        ql_buf text = {0};
        code = hub_cache_read(cache, commit, choice->index, &text, err);
        if (code == QL_OK)
            code = hub_choose_shards(cache->repo, text.data ? text.data : "", text.len, names, choice, err);
        ql_buf_free(&text);
    }
    if (code != QL_OK)
        hub_choice_free(choice);
    return code;
}

ql_code hub_cache_find(const hub_cache *cache, const char *commit, const char *wanted, hub_model *model, ql_error *err)
{
    hub_file_list list = {0};
    hub_choice choice;
    char *folder = hub_cache_file(cache, commit, "");
    ql_code code = folder ? hub_list_files(folder, &list, err) : ql_fail_memory(err, 4096);
    free(folder);
    if (code == QL_OK)
        code = choose_complete(cache, commit, (hub_names){list.at, list.n}, wanted, &choice, err);
    if (code == QL_OK) {
        model->path = hub_cache_file(cache, commit, choice.gguf ? choice.gguf : "");
        memcpy(model->commit, commit, sizeof model->commit);
        if (!model->path)
            code = ql_fail_memory(err, 4096);
        hub_choice_free(&choice);
    }
    hub_file_list_free(&list);
    return code;
}
