// SPDX-License-Identifier: MIT
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

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

static uint64_t machine_available(void)
{
    FILE *file = fopen("/proc/meminfo", "re");
    char line[128];
    uint64_t kib = 0;
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "MemAvailable: %" SCNu64 " kB", &kib) == 1)
            break;
    if (file)
        fclose(file);
    return kib * 1024;
}

// What the cgroup leaves (v2, then v1); "max" and huge numbers are no limit.
static uint64_t cgroup_available(void)
{
    uint64_t limit, used;
    if ((read_u64("/sys/fs/cgroup/memory.max", &limit) && read_u64("/sys/fs/cgroup/memory.current", &used)) ||
        (read_u64("/sys/fs/cgroup/memory/memory.limit_in_bytes", &limit) &&
         read_u64("/sys/fs/cgroup/memory/memory.usage_in_bytes", &used)))
        return limit > used ? limit - used : 1;
    return 0;
}

uint64_t ql_memory_available(void)
{
    uint64_t machine = machine_available(), cgroup = cgroup_available();
    return machine && cgroup ? (machine < cgroup ? machine : cgroup) : machine ? machine : cgroup;
}
