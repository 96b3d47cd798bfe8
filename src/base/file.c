// SPDX-License-Identifier: MIT
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"

static ql_code map(ql_file *file, int fd, const char *path, ql_error *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return ql_fail(err, QL_E_IO, "%s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return ql_fail(err, QL_E_FORMAT, "%s: is %s, expected a model file", path,
                       S_ISDIR(st.st_mode) ? "a directory" : "not a regular file");
    static const uint8_t nothing[1];
    *file = (ql_file){.data = nothing, .size = 0};
    if (st.st_size == 0)
        return QL_OK;
    void *data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED && errno == ENOMEM)
        return ql_fail(err, QL_E_MEMORY, "%s: needs %.2f GiB of address space, %.2f GiB free: raise the limit (ulimit -v)",
                       path, (double)st.st_size / (1 << 30), (double)ql_memory_available() / (1 << 30));
    if (data == MAP_FAILED)
        return ql_fail(err, QL_E_IO, "%s: can not be mapped: %s", path, strerror(errno));
    // Also read ahead by huge pages, where the file system can (ext4 from Linux 6.16, XFS, btrfs): a hint.
    madvise(data, (size_t)st.st_size, MADV_HUGEPAGE);
    *file = (ql_file){.data = data, .size = (size_t)st.st_size};
    return QL_OK;
}

ql_code ql_file_open(ql_file *file, const char *path, ql_error *err)
{
    *file = (ql_file){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); // a FIFO must not block before it is refused
    if (fd < 0) {
        ql_code code = errno == ENOENT || errno == ENOTDIR ? QL_E_NOT_FOUND : QL_E_IO;
        return ql_fail(err, code, "%s: %s", path, strerror(errno));
    }
    ql_code code = map(file, fd, path, err);
    close(fd);
    return code;
}

void ql_file_close(ql_file *file)
{
    if (file->size)
        munmap((void *)file->data, file->size);
    *file = (ql_file){0};
}

void ql_file_release(const void *data, size_t size)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t begin = ((uintptr_t)data + page - 1) & ~(page - 1);
    uintptr_t end = ((uintptr_t)data + size) & ~(page - 1);
    if (end > begin)
        madvise((void *)begin, end - begin, MADV_DONTNEED);
}
