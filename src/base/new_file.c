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

// Whether path still is the name of an open file: 0, ENOENT when it is not, or another errno.
static int check_name(int fd, const char *path)
{
    struct stat held, named;
    if (fstat(fd, &held) != 0 || lstat(path, &named) != 0)
        return errno;
    return held.st_ino == named.st_ino && held.st_dev == named.st_dev ? 0 : ENOENT;
}

// flags: O_EXCL for a file that is made here, or 0.
static int open_locked(const char *path, int flags, mode_t mode)
{
    for (;;) {
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | flags, mode);
        if (fd < 0)
            return -1;
        bool locked = flock(fd, LOCK_EX | LOCK_NB) == 0;
        int reason = locked ? check_name(fd, path) : errno;
        if (!reason)
            return fd;
        close(fd);
        // Whoever had the lock before may have renamed or removed the file that was opened: then there is another try.
        if (locked && reason == ENOENT)
            continue;
        if (reason != EWOULDBLOCK) // nobody can have it: what was made for nothing goes
            unlink(path);
        errno = reason;
        return -1;
    }
}

int ql_lock_file(const char *path, mode_t mode) { return open_locked(path, 0, mode); }

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

// What a killed writer left is removed, not written over: it may have another owner or mode, and other names.
static int remove_left(const char *part, mode_t mode)
{
    int fd = ql_lock_file(part, mode);
    if (fd < 0)
        return errno;
    int reason = unlink(part) == 0 ? 0 : errno;
    close(fd);
    return reason;
}

int ql_new_file_open(ql_new_file *file, mode_t mode)
{
    int reason = 0;
    while (!reason && (file->fd = open_locked(file->part, O_EXCL, mode)) < 0)
        reason = errno == EEXIST ? remove_left(file->part, mode) : errno;
    return reason;
}

int ql_new_file_reserve(ql_new_file *file, uint64_t size)
{
    enum { TRIES = 8 }; // of a file system that lets signals interrupt it (tmpfs before Linux 6.10), with a timer's signals
    limit_guard guard;
    int reason = EINTR;
    guard_limit(&guard);
    for (int i = 0; i < TRIES && reason == EINTR; i++)
        reason = fallocate(file->fd, 0, 0, (off_t)size) == 0 ? 0 : errno;
    if (reason == EOPNOTSUPP || reason == ENOSYS || reason == EINVAL || reason == EINTR)
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
    int reason = fsync(file->fd) == 0 ? check_name(file->fd, file->part) : errno;
    if (reason || rename(file->part, file->path) != 0)
        return reason ? reason : errno;
    close(file->fd); // and with it the lock
    file->fd = -1;
    sync_folder_of(file->path);
    return 0;
}

void ql_new_file_drop(ql_new_file *file)
{
    if (file->part && file->fd >= 0) {
        if (check_name(file->fd, file->part) != ENOENT) // else it was removed, and may be another's by now
            unlink(file->part);
        close(file->fd);
    }
    free(file->path);
    free(file->part);
    *file = (ql_new_file){.fd = -1};
}
