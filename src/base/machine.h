// SPDX-License-Identifier: MIT
// What this machine lets the process have: cores, memory, and the limits of cgroups (versions 1 and 2), affinity and
// ulimit. A root in front of /proc and /sys is "" but in tests, which bring files of their own.
#ifndef QL_BASE_MACHINE_H
#define QL_BASE_MACHINE_H

#include "base/error.h"
#include "base/pool.h"

typedef struct ql_cores {
    int online;    // CPUs (threads of cores) that run
    int allowed;   // of which affinity allows
    int cores;     // physical cores of those
    double quota;  // cores that cgroups allow, the least of the group and all above it; 0: no quota
    int threads;   // what all this gives, 1 to 256
} ql_cores;

void ql_cores_look(const char *root, ql_cores *cores);

// Bytes; 0: no limit, or not known.
typedef struct ql_memory {
    uint64_t total;
    uint64_t machine;       // available without swapping
    uint64_t cgroup;        // what the group and all above it leave
    uint64_t address_space; // what `ulimit -v` leaves
    uint64_t available;     // the least of these
} ql_memory;

void ql_memory_look(const char *root, ql_memory *memory);

// Calls visit for the folder of this process's group, then for those above it, in the hierarchy that has the controller
// ("cpu", "memory"): of version 2, of version 1, or of both where both are mounted.
typedef void ql_cgroup_visit(void *arg, const char *folder, bool version_2);
void ql_cgroup_walk(const char *root, const char *controller, ql_cgroup_visit *visit, void *arg);

// Small files of numbers: up to n of them, separated by blanks; how many were read.
int ql_read_numbers(const char *folder, const char *name, uint64_t *numbers, int n);

// Bytes that are left where a folder is or will be: of the nearest one above it that is there. False, and 0: not known.
bool ql_disk_free(const char *folder, uint64_t *bytes);

// Seconds of the best of so many passes of a job on all workers of a pool: noise only slows.
double ql_best_seconds(ql_pool *pool, ql_job *job, void *arg, int passes);

typedef struct ql_area {
    const void *data; // aligned to 8
    size_t bytes;
} ql_area;

// Bytes per second that so many threads read the areas at together, each a part of every area; 0: it could not be measured.
// A few passes over them; areas smaller than the caches give the speed of the caches.
double ql_measure_reads(const ql_area *areas, size_t n, int threads);
// The same of anonymous memory on huge pages. Takes about 0.3 s and 512 MB.
double ql_measure_bandwidth(int threads);

// The mapping that an address lies in: whether it is of a file; its bytes in memory, and how many of them on huge pages.
typedef struct ql_pages {
    bool file;
    uint64_t resident, huge;
} ql_pages;
bool ql_pages_look(const void *address, ql_pages *pages); // false, and zeros: not known

#endif
