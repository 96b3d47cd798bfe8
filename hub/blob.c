// SPDX-License-Identifier: MIT
// Owns the content of one file on its way into the cache: lock, partial file, resuming, checksum, rename.
// It must not know why a file is wanted. A partial file is blobs/ETAG.quantllm.incomplete; its length alone says how
// far it is, so that a process may end at any moment. What it holds is only trusted after the checksum of the whole.
#include "hub_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

typedef struct blob {
    hub_download *d;
    const hub_remote *file;
    char *path, *partial;
    int fd;
    uint64_t have;       // bytes of the partial file
    uint64_t others;     // bytes of the other files that are done
    bool answered;       // the answer under way has been looked at
    hub_digest *digest;
} blob;

static char *partial_path(const hub_cache *cache, const char *etag)
{
    return hub_format("%s/blobs/%s.quantllm.incomplete", cache->folder, etag);
}

uint64_t hub_blob_present(const hub_download *d, const hub_remote *file)
{
    char *path = hub_cache_blob(&d->cache, file->etag), *partial = partial_path(&d->cache, file->etag);
    struct stat info;
    uint64_t bytes = 0;
    if (path && stat(path, &info) == 0 && (uint64_t)info.st_size == file->size)
        bytes = file->size;
    else if (partial && stat(partial, &info) == 0 && (uint64_t)info.st_size <= file->size)
        bytes = (uint64_t)info.st_size;
    free(path);
    free(partial);
    return bytes;
}

static ql_code fail_writing(const blob *b, int error, ql_error *err)
{
    const char *repo = b->d->name->repo;
    if (error == ENOSPC || error == EDQUOT || error == EFBIG)
        return ql_fail(err, QL_E_IO, "%s: no room for %s in %s (%s): make room and run it again, it goes on from there",
                       repo, b->file->name, b->d->cache.folder, strerror(error));
    return ql_fail(err, QL_E_IO, "%s: %s can not be written: %s: set HF_HOME to a place that can be written", repo,
                   b->partial, strerror(error));
}

// ---- locks ----

static void nap(void)
{
    struct timespec slice = {0, 100 * 1000000L};
    nanosleep(&slice, NULL);
}

// Waits for a lock that another process holds.
static ql_code take_lock(const blob *b, int fd, ql_error *err)
{
    bool told = false;
    for (;;) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            return QL_OK;
        if (errno != EWOULDBLOCK && errno != EINTR) { // some network drives have none: a rename is still whole
            hub_note(b->d->events, "%s: no locks here (%s), so two downloads at once would both write", b->path,
                     strerror(errno));
            return QL_OK;
        }
        if (hub_cancelled(b->d->events))
            return hub_fail_cancelled(err);
        if (!told)
            hub_note(b->d->events, "waiting for another program that is downloading %s", b->file->name);
        told = true;
        nap();
    }
}

// huggingface_hub's lock of a blob. Another process may delete the file while we wait: then it is locked anew.
static ql_code lock_blob(const blob *b, int *fd, ql_error *err)
{
    const hub_cache *cache = &b->d->cache;
    const char *folder = strrchr(cache->folder, '/');
    char *path = hub_format("%s/.locks%s/%s.lock", cache->settings->cache, folder, b->file->etag);
    ql_code code = path ? hub_make_parents(path, err) : ql_fail_memory(err, 4096);
    for (bool same = false; code == QL_OK && !same;) {
        struct stat held, named;
        *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        code = *fd < 0 ? ql_fail(err, QL_E_IO, "%s can not be made: %s", path, strerror(errno)) : take_lock(b, *fd, err);
        bool found = code == QL_OK && fstat(*fd, &held) == 0 && stat(path, &named) == 0;
        if (code == QL_OK && !found && errno != ENOENT) // ENOENT: deleted, as above
            code = ql_fail(err, QL_E_IO, "%s can not be looked at: %s", path, strerror(errno));
        same = found && held.st_ino == named.st_ino && held.st_dev == named.st_dev;
        if (!same && *fd >= 0) {
            close(*fd);
            *fd = -1;
        }
    }
    free(path);
    return code;
}

// ---- content ----

static ql_code restart(blob *b, ql_error *err)
{
    b->have = 0;
    hub_digest_free(b->digest);
    b->digest = NULL;
    if (ftruncate(b->fd, 0) != 0 || lseek(b->fd, 0, SEEK_SET) != 0)
        return fail_writing(b, errno, err);
    return hub_digest_new(b->file->etag, b->file->size, &b->digest, err);
}

// Where an answer's content belongs: behind what is there, or, when the range was ignored, at the beginning.
static ql_code look_at_answer(blob *b, const hub_headers *h, ql_error *err)
{
    const char *repo = b->d->name->repo, *name = b->file->name;
    b->answered = true;
    if (h->encoded)
        return ql_fail(err, QL_E_IO, "%s: %s was sent compressed, which was not asked for: check the proxy", repo, name);
    if (h->status == 206) {
        if (h->has_range && h->range_from == b->have && h->range_total == b->file->size)
            return QL_OK;
        return ql_fail(err, QL_E_IO, "%s: another part of %s was sent than the one from byte %llu of %llu", repo, name,
                       (unsigned long long)b->have, (unsigned long long)b->file->size);
    }
    if (h->has_length && h->length != b->file->size)
        return ql_fail(err, QL_E_IO, "%s: %s was announced with %llu bytes and is sent with %llu", repo, name,
                       (unsigned long long)b->file->size, (unsigned long long)h->length);
    return b->have ? restart(b, err) : QL_OK;
}

static void report(blob *b)
{
    const hub_events *events = b->d->events;
    b->d->done = b->others + b->have;
    hub_progress progress = {.file = b->file->name, .done = b->d->done, .total = b->d->total};
    if (events && events->progress)
        events->progress(events->user, &progress);
}

static ql_code on_content(void *user, const hub_headers *headers, const char *bytes, size_t n, ql_error *err)
{
    blob *b = user;
    if (!b->answered)
        QL_TRY(look_at_answer(b, headers, err));
    if (n > b->file->size - b->have)
        return ql_fail(err, QL_E_IO, "%s: more than the announced %llu bytes of %s were sent", b->d->name->repo,
                       (unsigned long long)b->file->size, b->file->name);
    hub_digest_add(b->digest, bytes, n);
    for (size_t at = 0; at < n;) {
        ssize_t written = write(b->fd, bytes + at, n - at);
        if (written < 0 && errno != EINTR)
            return fail_writing(b, errno, err);
        at += written > 0 ? (size_t)written : 0;
        b->have += written > 0 ? (uint64_t)written : 0;
    }
    report(b);
    return QL_OK;
}

// Attempts until all is there. One that has brought a megabyte makes the count begin anew.
static ql_code receive(blob *b, const char *url, ql_error *err)
{
    enum { PROGRESS = 1 << 20 };
    hub_answer answer = {0};
    ql_code code = QL_OK;
    for (int attempt = 0; code == QL_OK && b->have < b->file->size;) {
        uint64_t before = b->have;
        hub_request request = {.url = url, .from = b->have, .sink = on_content, .user = b};
        b->answered = false;
        code = hub_http_once(b->d->http, &request, &answer, err);
        if (b->have == b->file->size)
            break; // a connection that breaks after the last byte has done its work
        if (b->have > before + PROGRESS)
            attempt = 0;
        if (code == QL_OK && answer.headers.status == 416 && b->have) {
            code = restart(b, err); // what is there does not fit what the hub has
        } else if (hub_http_again(b->d->http, &answer, code, &attempt)) {
            code = QL_OK;
        } else if (hub_cancelled(b->d->events)) {
            code = hub_fail_cancelled(err);
        } else if (code == QL_OK) {
            code = hub_explain(b->d, &answer, b->file->name, err);
        }
    }
    hub_answer_clear(&answer);
    return b->have == b->file->size ? QL_OK : code;
}

// Takes in what an earlier run has left.
static ql_code read_partial(blob *b, ql_error *err)
{
    char *chunk = malloc(1 << 20);
    struct stat info;
    ql_code code = chunk ? QL_OK : ql_fail_memory(err, 1 << 20);
    if (code == QL_OK && (fstat(b->fd, &info) != 0 || (uint64_t)info.st_size > b->file->size))
        code = restart(b, err);
    for (ssize_t n = 1; code == QL_OK && n > 0;) {
        n = hub_cancelled(b->d->events) ? -1 : read(b->fd, chunk, 1 << 20);
        if (n < 0 && errno != EINTR)
            code = hub_cancelled(b->d->events) ? hub_fail_cancelled(err) : fail_writing(b, errno, err);
        if (n > 0) {
            hub_digest_add(b->digest, chunk, (size_t)n);
            b->have += (uint64_t)n;
        }
    }
    free(chunk);
    return code;
}

static ql_code open_partial(blob *b, ql_error *err)
{
    b->fd = open(b->partial, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (b->fd < 0)
        return fail_writing(b, errno, err);
    QL_TRY(take_lock(b, b->fd, err));
    QL_TRY(hub_digest_new(b->file->etag, b->file->size, &b->digest, err));
    return read_partial(b, err);
}

// Damaged content is fetched once more from its beginning: part of it may have come from an earlier run.
static ql_code receive_checked(blob *b, ql_error *err)
{
    char found[65], *url = hub_url(b->d, b->file->name, b->d->commit);
    ql_code code = url ? QL_OK : ql_fail_memory(err, 4096);
    for (int round = 0; code == QL_OK; round++) {
        code = receive(b, url, err);
        if (code != QL_OK || hub_digest_matches(b->digest, found))
            break;
        ql_code cleared = restart(b, err);
        if (round == 0 && cleared == QL_OK) {
            hub_note(b->d->events, "%s does not have its checksum, downloading it again", b->file->name);
            continue;
        }
        unlink(b->partial);
        code = ql_fail(err, QL_E_IO, "%s: %s has the checksum %.16s..., the Hub says %.16s...: the download was "
                       "damaged and is removed, try again", b->d->name->repo, b->file->name, found, b->file->etag);
    }
    free(url);
    return code;
}

static ql_code publish(blob *b, ql_error *err)
{
    if (!hub_digest_known(b->digest))
        hub_note(b->d->events, "%s gives no checksum for %s: only its length was compared", b->d->settings->endpoint,
                 b->file->name);
    if (fsync(b->fd) != 0 || rename(b->partial, b->path) != 0)
        return fail_writing(b, errno, err);
    return hub_sync_parent(b->path, err);
}

static ql_code get_locked(blob *b, ql_error *err)
{
    struct stat info;
    if (stat(b->path, &info) == 0 && (uint64_t)info.st_size == b->file->size) {
        b->have = b->file->size; // another program was first, or another revision has the same file
    } else {
        QL_TRY(open_partial(b, err));
        QL_TRY(receive_checked(b, err));
        QL_TRY(publish(b, err));
    }
    report(b);
    return QL_OK;
}

ql_code hub_blob_get(hub_download *d, const hub_remote *file, ql_error *err)
{
    int lock = -1;
    blob b = {.d = d, .file = file, .fd = -1, .others = d->done - file->present, .path = hub_cache_blob(&d->cache, file->etag),
              .partial = partial_path(&d->cache, file->etag)};
    ql_code code = b.path && b.partial ? hub_make_parents(b.path, err) : ql_fail_memory(err, 4096);
    if (code == QL_OK)
        code = lock_blob(&b, &lock, err);
    if (code == QL_OK)
        code = get_locked(&b, err);
    if (code == QL_OK)
        code = hub_cache_link(&d->cache, d->commit, file->name, file->etag, err);
    hub_digest_free(b.digest);
    if (b.fd >= 0)
        close(b.fd);
    if (lock >= 0)
        close(lock);
    free(b.partial);
    free(b.path);
    return code;
}
