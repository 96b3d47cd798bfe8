// SPDX-License-Identifier: MIT
#include "base/new_file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"

// ---- the lock ----

int ql_lock_file(const char *path, mode_t mode)
{
    for (;;) {
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, mode);
        struct stat held, named;
        if (fd < 0)
            return -1;
        bool gone = false;
        int reason = flock(fd, LOCK_EX | LOCK_NB) != 0 || fstat(fd, &held) != 0 ? errno : 0;
        if (!reason && stat(path, &named) != 0) {
            gone = errno == ENOENT;
            reason = errno;
        }
        if (!reason && held.st_ino == named.st_ino && held.st_dev == named.st_dev)
            return fd;
        close(fd);
        // Whoever had the lock before may have renamed or removed the file that was opened: then there is another try.
        if (reason && !gone) {
            if (reason != EWOULDBLOCK) // nobody can have it: what was made for nothing goes
                unlink(path);
            errno = reason;
            return -1;
        }
    }
}

// ---- the limit on file sizes ----

typedef struct limit_guard {
    sigset_t limit, before;
} limit_guard;

static void guard_limit(limit_guard *g)
{
    sigemptyset(&g->limit);
    sigaddset(&g->limit, SIGXFSZ);
    pthread_sigmask(SIG_BLOCK, &g->limit, &g->before);
}

// The signal that came with an error is taken back.
static void leave_limit(const limit_guard *g, int reason)
{
    const struct timespec now = {0};
    if (reason == EFBIG && !sigismember(&g->before, SIGXFSZ))
        sigtimedwait(&g->limit, NULL, &now);
    pthread_sigmask(SIG_SETMASK, &g->before, NULL);
}

// ---- the file ----

int ql_new_file_name(ql_new_file *file, const char *path, const char *suffix)
{
    ql_buf part = {0};
    size_t len;
    *file = (ql_new_file){.fd = -1, .path = strdup(path)};
    ql_buf_append_str(&part, path);
    ql_buf_append_str(&part, suffix);
    if (file->path && ql_buf_take(&part, &file->part, &len, NULL) == QL_OK)
        return 0;
    ql_buf_free(&part);
    ql_new_file_drop(file);
    return ENOMEM;
}

int ql_new_file_open(ql_new_file *file, mode_t mode)
{
    file->fd = ql_lock_file(file->part, mode);
    return file->fd < 0 || ftruncate(file->fd, 0) != 0 ? errno : 0;
}

int ql_new_file_reserve(ql_new_file *file, uint64_t size)
{
    limit_guard guard;
    guard_limit(&guard);
    int reason = fallocate(file->fd, 0, 0, (off_t)size) == 0 ? 0 : errno;
    if (reason == EOPNOTSUPP || reason == ENOSYS || reason == EINVAL)
        reason = 0;
    if (!reason && ftruncate(file->fd, (off_t)size) != 0)
        reason = errno;
    leave_limit(&guard, reason);
    return reason;
}

int ql_new_file_put(ql_new_file *file, const void *data, uint64_t size, uint64_t offset)
{
    const char *at = data;
    limit_guard guard;
    int reason = 0;
    guard_limit(&guard);
    while (size && !reason) {
        ssize_t n = pwrite(file->fd, at, size < (64 << 20) ? size : (64 << 20), (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            reason = n ? errno : ENOSPC;
            continue;
        }
        at += n;
        size -= (uint64_t)n;
        offset += (uint64_t)n; // bounded: below the file's size
    }
    leave_limit(&guard, reason);
    return reason;
}

// So that the new name is on the disk too; a file system that can not is left alone.
static void sync_folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = !slash ? strdup(".") : strndup(path, (size_t)(slash - path) + (slash == path));
    int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    free(folder);
}

int ql_new_file_publish(ql_new_file *file)
{
    if (fsync(file->fd) != 0 || rename(file->part, file->path) != 0)
        return errno;
    close(file->fd); // and with it the lock
    file->fd = -1;
    sync_folder_of(file->path);
    return 0;
}

void ql_new_file_drop(ql_new_file *file)
{
    if (file->part && file->fd >= 0) { // locked: ours
        unlink(file->part);
        close(file->fd);
    }
    free(file->path);
    free(file->part);
    *file = (ql_new_file){.fd = -1};
}
