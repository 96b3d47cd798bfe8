// SPDX-License-Identifier: MIT
// How many threads are worth starting: physical cores among those this process may run on, at most its cgroups' quota.
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/machine.h"
#include "base/pool.h"

// A CPU stands for its core when it is the first allowed one of its thread siblings ("0-1" or "0,64").
static bool first_of_core(const char *root, int cpu, const cpu_set_t *allowed)
{
    char path[PATH_MAX];
    FILE *file = snprintf(path, sizeof path, "%s/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", root, cpu) <
                         (int)sizeof path ? fopen(path, "re") : NULL;
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

// Version 2: "200000 100000" or "max 100000", of which no number is read; version 1: two files, the quota -1 for none.
static void look_at_group(void *arg, const char *folder, bool v2)
{
    double *quota = arg;
    uint64_t numbers[2];
    if (v2 ? ql_read_numbers(folder, "cpu.max", numbers, 2) != 2
           : ql_read_numbers(folder, "cpu.cfs_quota_us", &numbers[0], 1) != 1 ||
                 ql_read_numbers(folder, "cpu.cfs_period_us", &numbers[1], 1) != 1)
        return;
    if (!numbers[0] || !numbers[1] || numbers[0] > INT64_MAX)
        return;
    double cores = (double)numbers[0] / (double)numbers[1];
    if (!*quota || cores < *quota)
        *quota = cores;
}

void ql_cores_look(const char *root, ql_cores *c)
{
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    *c = (ql_cores){.online = (int)sysconf(_SC_NPROCESSORS_ONLN)};
    if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) // fails on a machine of more than 1024 CPUs
        for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
            if (CPU_ISSET(cpu, &allowed)) {
                c->allowed++;
                c->cores += first_of_core(root, cpu, &allowed);
            }
    ql_cgroup_walk(root, "cpu", look_at_group, &c->quota);
    int threads = c->cores, most = c->quota < 256 ? (int)c->quota + ((double)(int)c->quota < c->quota) : 256;
    if (most && most < threads)
        threads = most;
    c->threads = threads < 1 ? 1 : threads > 256 ? 256 : threads;
}

int ql_default_threads(void)
{
    ql_cores cores;
    ql_cores_look("", &cores);
    return cores.threads;
}
