// SPDX-License-Identifier: MIT
#include "faults/faults.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/random.h"

static const char *const names[FAULT_KINDS] = {"memory", "mmap", "open", "stat", "read", "write", "size", "fsync", "rename",
                                               "flock", "thread"};

const char *fault_name(fault_kind kind) { return names[kind]; }

static struct {
    atomic_bool on;
    fault_kind kind;
    unsigned long at;
    bool lasting;
    atomic_ulong calls;
    atomic_size_t mapped;
} plan;

static bool refuse(fault_kind kind)
{
    if (!atomic_load(&plan.on) || kind != plan.kind)
        return false;
    unsigned long call = atomic_fetch_add(&plan.calls, 1) + 1;
    return plan.at && (call == plan.at || (plan.lasting && call > plan.at));
}

// ---- blocks that are live ----

// A table of addresses, open addressing; a removed one leaves GONE. Blocks of other libraries are not in it, so that
// freeing what they gave us counts for nothing.
enum { SLOTS = 1 << 18 };
static const uintptr_t GONE = 1;
static uintptr_t blocks[SLOTS];
static size_t n_blocks, n_used;
static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER;

static size_t slot_of(uintptr_t p) { return (p >> 4) * 0x9e3779b97f4a7c15u >> 46; }

static void *note(void *p)
{
    if (!p)
        return NULL;
    pthread_mutex_lock(&guard);
    size_t i = slot_of((uintptr_t)p);
    while (blocks[i] > GONE)
        i = (i + 1) % SLOTS;
    n_used += blocks[i] == 0;
    if (n_used > SLOTS / 2)
        abort(); // the test holds more than the table is made for
    blocks[i] = (uintptr_t)p;
    n_blocks++;
    pthread_mutex_unlock(&guard);
    return p;
}

static void forget(void *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&guard);
    for (size_t i = slot_of((uintptr_t)p); blocks[i]; i = (i + 1) % SLOTS)
        if (blocks[i] == (uintptr_t)p) {
            blocks[i] = GONE;
            n_blocks--;
            break;
        }
    pthread_mutex_unlock(&guard);
}

// Tombstones go when all is quiet.
static void tidy(void)
{
    pthread_mutex_lock(&guard);
    if (n_used > SLOTS / 4) {
        static uintptr_t live[SLOTS];
        size_t n = 0;
        for (size_t i = 0; i < SLOTS; i++) {
            if (blocks[i] > GONE)
                live[n++] = blocks[i];
            blocks[i] = 0;
        }
        for (size_t k = 0; k < n; k++) {
            size_t i = slot_of(live[k]);
            while (blocks[i])
                i = (i + 1) % SLOTS;
            blocks[i] = live[k];
        }
        n_used = n;
    }
    pthread_mutex_unlock(&guard);
}

// ---- calls ----

// Each __wrap_f stands for f, whose own name is then __real_f. Names with 64 are what 64-bit file offsets make of a call,
// those with _chk what _FORTIFY_SOURCE does.
void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__real_aligned_alloc(size_t alignment, size_t n);
void __real_free(void *p);
char *__real_strdup(const char *s);
char *__real_strndup(const char *s, size_t n);
char *__real_realpath(const char *path, char *out);
void *__real_mmap64(void *at, size_t n, int protection, int flags, int fd, off_t offset);
int __real_munmap(void *at, size_t n);
int __real_open64(const char *path, int flags, ...);
FILE *__real_fopen64(const char *path, const char *mode);
DIR *__real_opendir(const char *path);
int __real_mkdir(const char *path, mode_t mode);
int __real_symlink(const char *target, const char *path);
int __real_stat64(const char *path, struct stat *st);
int __real_lstat64(const char *path, struct stat *st);
int __real_fstat64(int fd, struct stat *st);
ssize_t __real_read(int fd, void *to, size_t n);
ssize_t __real_write(int fd, const void *from, size_t n);
ssize_t __real_pwrite64(int fd, const void *from, size_t n, off_t offset);
int __real_ftruncate64(int fd, off_t n);
int __real_fallocate64(int fd, int mode, off_t offset, off_t n);
int __real_fsync(int fd);
int __real_rename(const char *from, const char *to);
int __real_flock(int fd, int operation);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *arg);

void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_aligned_alloc(size_t alignment, size_t n);
void __wrap_free(void *p);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t n);
char *__wrap_realpath(const char *path, char *out);
char *__wrap___realpath_chk(const char *path, char *out, size_t size);
void *__wrap_mmap64(void *at, size_t n, int protection, int flags, int fd, off_t offset);
int __wrap_munmap(void *at, size_t n);
int __wrap_open64(const char *path, int flags, ...);
FILE *__wrap_fopen64(const char *path, const char *mode);
DIR *__wrap_opendir(const char *path);
int __wrap_mkdir(const char *path, mode_t mode);
int __wrap_symlink(const char *target, const char *path);
int __wrap_stat64(const char *path, struct stat *st);
int __wrap_lstat64(const char *path, struct stat *st);
int __wrap_fstat64(int fd, struct stat *st);
ssize_t __wrap_read(int fd, void *to, size_t n);
ssize_t __wrap___read_chk(int fd, void *to, size_t n, size_t size);
ssize_t __wrap_write(int fd, const void *from, size_t n);
ssize_t __wrap_pwrite64(int fd, const void *from, size_t n, off_t offset);
int __wrap_ftruncate64(int fd, off_t n);
int __wrap_fallocate64(int fd, int mode, off_t offset, off_t n);
int __wrap_fsync(int fd);
int __wrap_rename(const char *from, const char *to);
int __wrap_flock(int fd, int operation);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *arg);

static void *no_memory(void)
{
    errno = ENOMEM;
    return NULL;
}

static int fails(int error)
{
    errno = error;
    return -1;
}

void *__wrap_malloc(size_t n) { return refuse(FAULT_MEMORY) ? no_memory() : note(__real_malloc(n)); }
void *__wrap_calloc(size_t n, size_t size) { return refuse(FAULT_MEMORY) ? no_memory() : note(__real_calloc(n, size)); }

void *__wrap_realloc(void *p, size_t n)
{
    if (refuse(FAULT_MEMORY))
        return no_memory();
    forget(p); // before another thread may be given the same address
    return note(__real_realloc(p, n));
}

void *__wrap_aligned_alloc(size_t alignment, size_t n)
{
    return refuse(FAULT_MEMORY) ? no_memory() : note(__real_aligned_alloc(alignment, n));
}

void __wrap_free(void *p)
{
    forget(p);
    __real_free(p);
}

char *__wrap_strdup(const char *s) { return refuse(FAULT_MEMORY) ? no_memory() : note(__real_strdup(s)); }
char *__wrap_strndup(const char *s, size_t n) { return refuse(FAULT_MEMORY) ? no_memory() : note(__real_strndup(s, n)); }

char *__wrap_realpath(const char *path, char *out)
{
    if (refuse(FAULT_MEMORY))
        return no_memory();
    return out ? __real_realpath(path, out) : note(__real_realpath(path, NULL));
}

char *__wrap___realpath_chk(const char *path, char *out, size_t size) { return (void)size, __wrap_realpath(path, out); }

void *__wrap_mmap64(void *at, size_t n, int protection, int flags, int fd, off_t offset)
{
    if (refuse(FAULT_MAP)) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    void *p = __real_mmap64(at, n, protection, flags, fd, offset);
    if (p != MAP_FAILED)
        atomic_fetch_add(&plan.mapped, n);
    return p;
}

int __wrap_munmap(void *at, size_t n)
{
    atomic_fetch_sub(&plan.mapped, n);
    return __real_munmap(at, n);
}

int __wrap_open64(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    return refuse(FAULT_OPEN) ? fails(EMFILE) : __real_open64(path, flags, mode);
}

FILE *__wrap_fopen64(const char *path, const char *mode)
{
    return refuse(FAULT_OPEN) ? (errno = EMFILE, NULL) : __real_fopen64(path, mode);
}

DIR *__wrap_opendir(const char *path) { return refuse(FAULT_OPEN) ? (errno = EMFILE, NULL) : __real_opendir(path); }
int __wrap_mkdir(const char *path, mode_t mode) { return refuse(FAULT_OPEN) ? fails(ENOSPC) : __real_mkdir(path, mode); }

int __wrap_symlink(const char *target, const char *path)
{
    return refuse(FAULT_OPEN) ? fails(ENOSPC) : __real_symlink(target, path);
}

int __wrap_stat64(const char *path, struct stat *st) { return refuse(FAULT_STAT) ? fails(EIO) : __real_stat64(path, st); }
int __wrap_lstat64(const char *path, struct stat *st) { return refuse(FAULT_STAT) ? fails(EIO) : __real_lstat64(path, st); }
int __wrap_fstat64(int fd, struct stat *st) { return refuse(FAULT_STAT) ? fails(EIO) : __real_fstat64(fd, st); }

ssize_t __wrap_read(int fd, void *to, size_t n) { return refuse(FAULT_READ) ? fails(EIO) : __real_read(fd, to, n); }

ssize_t __wrap___read_chk(int fd, void *to, size_t n, size_t size)
{
    if (n > size)
        abort();
    return __wrap_read(fd, to, n);
}

// Half of it, so that the caller has to see the short count and try the rest, which is refused as a disk that is full.
ssize_t __wrap_write(int fd, const void *from, size_t n)
{
    return !refuse(FAULT_WRITE) ? __real_write(fd, from, n) : n > 1 && !plan.lasting ? __real_write(fd, from, n / 2) : fails(ENOSPC);
}

ssize_t __wrap_pwrite64(int fd, const void *from, size_t n, off_t offset)
{
    return !refuse(FAULT_WRITE) ? __real_pwrite64(fd, from, n, offset)
           : n > 1 && !plan.lasting ? __real_pwrite64(fd, from, n / 2, offset) : fails(ENOSPC);
}

int __wrap_ftruncate64(int fd, off_t n) { return refuse(FAULT_SIZE) ? fails(EIO) : __real_ftruncate64(fd, n); }

int __wrap_fallocate64(int fd, int mode, off_t offset, off_t n)
{
    return refuse(FAULT_SIZE) ? fails(ENOSPC) : __real_fallocate64(fd, mode, offset, n);
}

int __wrap_fsync(int fd) { return refuse(FAULT_SYNC) ? fails(EIO) : __real_fsync(fd); }

int __wrap_rename(const char *from, const char *to)
{
    return refuse(FAULT_RENAME) ? fails(EACCES) : __real_rename(from, to);
}

int __wrap_flock(int fd, int operation) { return refuse(FAULT_LOCK) ? fails(ENOLCK) : __real_flock(fd, operation); }

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *arg)
{
    return refuse(FAULT_THREAD) ? EAGAIN : __real_pthread_create(thread, attributes, run, arg);
}

// ---- begin and end ----

void faults_begin(fault_kind kind, unsigned long at, bool lasting)
{
    tidy();
    plan.kind = kind;
    plan.at = at;
    plan.lasting = lasting;
    atomic_store(&plan.calls, 0);
    atomic_store(&plan.on, true);
}

unsigned long faults_end(void)
{
    atomic_store(&plan.on, false);
    return atomic_load(&plan.calls);
}

static size_t count_entries(const char *path)
{
    DIR *dir = __real_opendir(path);
    size_t n = 0;
    while (dir && readdir(dir))
        n++;
    if (dir)
        closedir(dir);
    return n;
}

fault_state faults_state(void)
{
    pthread_mutex_lock(&guard);
    size_t live = n_blocks;
    pthread_mutex_unlock(&guard);
    return (fault_state){live, atomic_load(&plan.mapped), count_entries("/proc/self/fd"), count_entries("/proc/self/task")};
}

// A thread that was joined may be in the table of the system for a moment still.
bool faults_nothing_left(fault_state before, char *what, size_t size)
{
    fault_state now = faults_state();
    for (int i = 0; i < 200 && now.threads > before.threads; i++) {
        nanosleep(&(struct timespec){0, 1000000}, NULL);
        now = faults_state();
    }
    snprintf(what, size, "%td blocks, %td mapped bytes, %td descriptors, %td threads are left",
             (ptrdiff_t)(now.blocks - before.blocks), (ptrdiff_t)(now.mapped_bytes - before.mapped_bytes),
             (ptrdiff_t)(now.descriptors - before.descriptors), (ptrdiff_t)(now.threads - before.threads));
    return now.blocks == before.blocks && now.mapped_bytes == before.mapped_bytes && now.descriptors == before.descriptors &&
           now.threads <= before.threads;
}

bool faults_in_sample(unsigned long at, unsigned long n, unsigned long wanted)
{
    return n <= 2 * wanted || at <= 5 || at + 5 > n || ql_mix64(0x5eed + at) % n < wanted;
}
