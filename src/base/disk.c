// SPDX-License-Identifier: MIT
// Owns how much a file system has left.
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/machine.h"

bool ql_disk_free(const char *folder, uint64_t *bytes)
{
    struct statvfs fs;
    char *path = strdup(folder);
    bool found = false;
    while (path && *path && !(found = statvfs(path, &fs) == 0)) {
        char *slash = strrchr(path, '/');
        if (!slash)
            break;
        *(slash == path && slash[1] ? slash + 1 : slash) = 0;
    }
    *bytes = found ? (uint64_t)fs.f_bavail * fs.f_frsize : 0;
    free(path);
    return found;
}
