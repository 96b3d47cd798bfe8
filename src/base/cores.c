// SPDX-License-Identifier: MIT
// How many threads are worth starting: physical cores among those this process may run on, at most its cgroup's quota.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "base/pool.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>

// The first number of a small file; false when there is none.
static bool read_number(const char *path, long *value)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    bool ok = fscanf(file, "%ld", value) == 1;
    fclose(file);
    return ok;
}

// A CPU stands for its core when it is the first allowed one of its thread siblings ("0-1" or "0,64").
static bool first_of_core(int cpu, const cpu_set_t *allowed)
{
    char path[96];
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu);
    FILE *file = fopen(path, "re");
    if (!file)
        return true;
    int first, last, separator;
    bool lead = true;
    while (lead && fscanf(file, "%d", &first) == 1) {
        last = first;
        separator = fgetc(file);
        if (separator == '-' && fscanf(file, "%d", &last) == 1)
            separator = fgetc(file);
        for (int sibling = first; sibling <= last && sibling < cpu; sibling++)
            if (sibling >= 0 && sibling < CPU_SETSIZE && CPU_ISSET(sibling, allowed))
                lead = false;
        if (separator != ',')
            break;
    }
    fclose(file);
    return lead;
}

// cgroup v2 "max 100000" or "200000 100000"; v1 in two files. 0: no limit.
static int quota_cores(void)
{
    long quota = 0, period = 0;
    FILE *file = fopen("/sys/fs/cgroup/cpu.max", "re");
    if (file) {
        if (fscanf(file, "%ld %ld", &quota, &period) != 2)
            quota = 0;
        fclose(file);
    } else if (!read_number("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", &quota) ||
               !read_number("/sys/fs/cgroup/cpu/cpu.cfs_period_us", &period)) {
        quota = 0;
    }
    return quota > 0 && period > 0 ? (int)((quota + period - 1) / period) : 0;
}

int ql_default_threads(void)
{
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        return 1;
    int cores = 0;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &allowed) && first_of_core(cpu, &allowed))
            cores++;
    int quota = quota_cores();
    if (quota && quota < cores)
        cores = quota;
    return cores < 1 ? 1 : cores > 256 ? 256 : cores;
}
