// SPDX-License-Identifier: MIT
// A file that is under its name whole or not at all: written under a temporary name beside it, synced, renamed.
//
// The temporary file is locked (flock) as long as it is written. The lock goes with its process, so what a killed writer
// left is removed by the next, and two never write one file. Calls return 0 or an errno; the limit on file sizes
// (ulimit -f) is an errno like the others, without its signal.
#ifndef QL_BASE_NEW_FILE_H
#define QL_BASE_NEW_FILE_H

#include <sys/types.h>

#include "base/error.h"

typedef struct ql_new_file {
    char *path, *part; // its name, and the temporary one
    int fd;            // of part, locked; -1: not open
} ql_new_file;

// Only names it: suffix is what the temporary name has behind path. ENOMEM: nothing is to be dropped.
int ql_new_file_name(ql_new_file *file, const char *path, const char *suffix);

// Makes the temporary file, in place of one that nobody writes. EWOULDBLOCK: somebody does.
int ql_new_file_open(ql_new_file *file, mode_t mode);

// Takes its room on the disk and gives it its size; where a file system can not promise, writing finds out.
int ql_new_file_reserve(ql_new_file *file, uint64_t size);

int ql_new_file_put(ql_new_file *file, const void *data, uint64_t size, uint64_t offset);

// Syncs it and gives it its name, in place of what had it. ENOENT: somebody removed the temporary file.
int ql_new_file_publish(ql_new_file *file);

// Closes it; what was not published is removed. A zeroed or dropped one is fine.
void ql_new_file_drop(ql_new_file *file);

// Opens and locks path for writing; -1 with errno EWOULDBLOCK when another process has it.
int ql_lock_file(const char *path, mode_t mode);

#endif
