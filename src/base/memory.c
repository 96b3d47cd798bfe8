// SPDX-License-Identifier: MIT
// How much memory this process may still take: the least of what the machine has, what its cgroups leave and what
// `ulimit -v` leaves.
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/arena.h"

static bool read_u64(const char *path, uint64_t *value)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    bool ok = fscanf(file, "%" SCNu64, value) == 1;
    fclose(file);
    return ok;
}

// The number after `name` and blanks in a file of such lines, 0 when there is none.
static uint64_t read_line(const char *path, const char *name)
{
    FILE *file = fopen(path, "re");
    char line[256];
    uint64_t value = 0;
    size_t n = strlen(name);
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, name, n) == 0 && (line[n] == ' ' || line[n] == '\t')) {
            value = strtoull(line + n, NULL, 10);
            break;
        }
    if (file)
        fclose(file);
    return value;
}

static uint64_t least(uint64_t a, uint64_t b) { return !a || (b && b < a) ? b : a; } // 0: no limit

// ---- cgroups ----

// What one group leaves, 0 for no limit. Pages of files count as used, but are given up before anything is refused: those
// not used lately are taken as free.
static uint64_t group_available(const char *folder, const char *limit_name, const char *used_name, const char *cold_name)
{
    char path[PATH_MAX];
    uint64_t limit, used;
    if (snprintf(path, sizeof path, "%s/%s", folder, limit_name) >= (int)sizeof path || !read_u64(path, &limit) ||
        limit >= INT64_MAX / 2) // version 1 has no word for "no limit", but a number near this
        return 0;
    if (snprintf(path, sizeof path, "%s/%s", folder, used_name) >= (int)sizeof path || !read_u64(path, &used))
        return 0;
    snprintf(path, sizeof path, "%s/memory.stat", folder);
    uint64_t cold = read_line(path, cold_name);
    used = used > cold ? used - cold : 0;
    return limit > used ? limit - used : 1;
}

// The group and all above it.
static uint64_t groups_available(const char *root, const char *group, const char *limit_name, const char *used_name,
                                 const char *cold_name)
{
    char path[PATH_MAX];
    uint64_t available = 0;
    if (snprintf(path, sizeof path, "%s%s", root, group) >= (int)sizeof path)
        return 0;
    for (size_t end = strlen(path); end >= strlen(root); end--)
        if (!path[end] || path[end] == '/') {
            path[end] = 0;
            available = least(available, group_available(path, limit_name, used_name, cold_name));
        }
    return available;
}

// Lines "number:controllers:/group"; of version 2 "0::/group". In a container the group may be named as the host sees it:
// then its folder is not there, and the root's is the one that counts.
static uint64_t cgroup_available(void)
{
    FILE *file = fopen("/proc/self/cgroup", "re");
    char line[PATH_MAX];
    uint64_t available = 0;
    while (file && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        char *controllers = strchr(line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group || group[1] != '/')
            continue;
        *group++ = 0;
        if (!controllers[1])
            available = least(available, groups_available("/sys/fs/cgroup", group, "memory.max", "memory.current",
                                                          "inactive_file"));
        else if (strcmp(controllers + 1, "memory") == 0)
            available = least(available, groups_available("/sys/fs/cgroup/memory", group, "memory.limit_in_bytes",
                                                          "memory.usage_in_bytes", "total_inactive_file"));
    }
    if (file)
        fclose(file);
    return available;
}

// ---- address space ----

// `ulimit -v`. What threads and their heaps will still take of it is left to them.
static uint64_t address_space_available(void)
{
    static const uint64_t for_threads = 64 << 20;
    struct rlimit limit;
    uint64_t pages = 0;
    if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY || !read_u64("/proc/self/statm", &pages))
        return 0;
    uint64_t used = pages * (uint64_t)sysconf(_SC_PAGESIZE) + for_threads;
    return limit.rlim_cur > used ? limit.rlim_cur - used : 1;
}

uint64_t ql_memory_available(void)
{
    uint64_t machine = 1024 * read_line("/proc/meminfo", "MemAvailable:");
    return least(least(machine, cgroup_available()), address_space_available());
}
