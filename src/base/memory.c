// SPDX-License-Identifier: MIT
// How much memory this process may still take: the least of what the machine has, what its cgroups leave and what
// `ulimit -v` leaves.
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/machine.h"

// The number after `name` and blanks in a file of such lines, 0 when there is none.
static uint64_t read_line(const char *folder, const char *file_name, const char *name)
{
    char line[PATH_MAX];
    uint64_t value = 0;
    size_t n = strlen(name);
    FILE *file = snprintf(line, sizeof line, "%s/%s", folder, file_name) < (int)sizeof line ? fopen(line, "re") : NULL;
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

// What one group leaves. Pages of files count as used, but are given up before anything is refused: those not used lately
// are taken as free.
static void look_at_group(void *arg, const char *folder, bool v2)
{
    uint64_t limit, used, *available = arg;
    if (ql_read_numbers(folder, v2 ? "memory.max" : "memory.limit_in_bytes", &limit, 1) != 1 ||
        limit >= INT64_MAX / 2 || // version 1 has no word for "no limit", but a number near this
        ql_read_numbers(folder, v2 ? "memory.current" : "memory.usage_in_bytes", &used, 1) != 1)
        return;
    uint64_t cold = read_line(folder, "memory.stat", v2 ? "inactive_file" : "total_inactive_file");
    used = used > cold ? used - cold : 0;
    *available = least(*available, limit > used ? limit - used : 1);
}

// ---- address space ----

// `ulimit -v`. What threads and their heaps will still take of it is left to them.
static uint64_t address_space_available(void)
{
    static const uint64_t for_threads = 64 << 20;
    struct rlimit limit;
    uint64_t pages = 0;
    if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY ||
        ql_read_numbers("/proc/self", "statm", &pages, 1) != 1)
        return 0;
    uint64_t used = pages * (uint64_t)sysconf(_SC_PAGESIZE) + for_threads;
    return limit.rlim_cur > used ? limit.rlim_cur - used : 1;
}

void ql_memory_look(const char *root, ql_memory *memory)
{
    char proc[PATH_MAX];
    *memory = (ql_memory){.address_space = address_space_available()};
    if (snprintf(proc, sizeof proc, "%s/proc", root) >= (int)sizeof proc)
        return;
    memory->total = 1024 * read_line(proc, "meminfo", "MemTotal:");
    memory->machine = 1024 * read_line(proc, "meminfo", "MemAvailable:");
    ql_cgroup_walk(root, "memory", look_at_group, &memory->cgroup);
    memory->available = least(least(memory->machine, memory->cgroup), memory->address_space);
}

uint64_t ql_memory_available(void)
{
    ql_memory memory;
    ql_memory_look("", &memory);
    return memory.available;
}
