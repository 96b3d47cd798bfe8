// SPDX-License-Identifier: MIT
// Owns the measurement of how fast memory is read: the bound that decoding a token is compared with. The best of the passes
// counts, since noise only slows.
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/machine.h"
#include "base/pool.h"

enum { PASSES = 6, STRIDE = 8 * 32 }; // bytes of eight vectors

typedef uint64_t lanes __attribute__((vector_size(32), aligned(8), may_alias));

typedef struct reading {
    const ql_area *areas;
    size_t n_areas;
    int n_workers;
    atomic_uint_fast64_t sum; // is used: the reads must happen
} reading;

// A worker's share of an area, in whole strides; what is left over is not read.
static size_t share(const reading *r, const ql_area *area) { return area->bytes / STRIDE / (size_t)r->n_workers; }

// Eight sums: enough loads under way that no addition waits.
static void read_shares(void *arg, int worker)
{
    reading *r = arg;
    lanes sums[8] = {{0}};
    for (size_t a = 0; a < r->n_areas; a++) {
        size_t n = share(r, &r->areas[a]);
        const lanes *data = (const lanes *)r->areas[a].data + (size_t)worker * n * 8;
        for (size_t i = 0; i < n; i++, data += 8)
            for (size_t j = 0; j < 8; j++)
                sums[j] += data[j];
    }
    uint64_t total = 0;
    for (size_t j = 0; j < 8; j++)
        for (size_t k = 0; k < 4; k++)
            total += sums[j][k];
    atomic_fetch_add(&r->sum, total);
}

double ql_best_seconds(ql_pool *pool, ql_job *job, void *arg, int passes)
{
    double best = 0;
    for (int pass = 0; pass < passes; pass++) {
        double start = ql_clock();
        ql_pool_run(pool, ql_pool_size(pool), job, arg);
        double seconds = ql_clock() - start;
        if (pass == 0 || seconds < best)
            best = seconds;
    }
    return best;
}

static double reads_per_second(ql_pool *pool, const ql_area *areas, size_t n)
{
    reading r = {.areas = areas, .n_areas = n, .n_workers = ql_pool_size(pool)};
    double bytes = 0;
    for (size_t a = 0; a < n; a++)
        bytes += (double)share(&r, &areas[a]) * (double)r.n_workers * STRIDE;
    double best = bytes > 0 ? ql_best_seconds(pool, read_shares, &r, PASSES) : 0;
    return best > 0 ? bytes / best : 0;
}

static ql_pool *new_pool(int threads)
{
    ql_pool *pool = NULL;
    return ql_pool_new(&pool, threads < 1 ? 1 : threads > 256 ? 256 : threads, NULL) == QL_OK ? pool : NULL;
}

double ql_measure_reads(const ql_area *areas, size_t n, int threads)
{
    ql_pool *pool = new_pool(threads);
    double speed = pool ? reads_per_second(pool, areas, n) : 0;
    ql_pool_free(pool);
    return speed;
}

// Four times the last cache, at least 512 MB; where memory is short a smaller sample beats swapping.
static size_t buffer_bytes(void)
{
    size_t bytes = (size_t)512 << 20;
    long cache = sysconf(_SC_LEVEL3_CACHE_SIZE);
    ql_memory memory;
    ql_memory_look("", &memory);
    if (cache > 0 && (size_t)cache * 4 > bytes)
        bytes = (size_t)cache * 4;
    return memory.available && memory.available / 2 < bytes ? memory.available / 2 : bytes;
}

static void fill(void *arg, int worker)
{
    const reading *r = arg;
    size_t n = r->areas->bytes / (size_t)r->n_workers / 8;
    uint64_t *data = (uint64_t *)r->areas->data + (size_t)worker * n;
    for (size_t i = 0; i < n; i++)
        data[i] = i;
}

double ql_measure_bandwidth(int threads)
{
    size_t bytes = buffer_bytes();
    void *data = bytes ? mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) : MAP_FAILED;
    if (data == MAP_FAILED)
        return 0;
    madvise(data, bytes, MADV_HUGEPAGE);
    ql_area all = {data, bytes};
    ql_pool *pool = new_pool(threads);
    double speed = 0;
    if (pool) { // each thread touches first what it reads: on its own node
        int n = ql_pool_size(pool);
        ql_pool_run(pool, n, fill, &(reading){.areas = &all, .n_areas = 1, .n_workers = n});
        speed = reads_per_second(pool, &all, 1);
    }
    ql_pool_free(pool);
    munmap(data, bytes);
    return speed;
}

bool ql_pages_look(const void *address, ql_pages *pages)
{
    FILE *file = fopen("/proc/self/smaps", "re");
    char line[512];
    unsigned long long begin, end, inode, kib;
    bool found = false;
    *pages = (ql_pages){0};
    while (file && fgets(line, sizeof line, file)) {
        if (sscanf(line, "%llx-%llx %*s %*s %*s %llu", &begin, &end, &inode) == 3) {
            if (found)
                break; // the next mapping
            found = (uintptr_t)address >= begin && (uintptr_t)address < end;
            pages->file = found && inode != 0;
        } else if (found && sscanf(line, "Rss: %llu", &kib) == 1) {
            pages->resident = kib * 1024;
        } else if (found && (sscanf(line, "AnonHugePages: %llu", &kib) == 1 || sscanf(line, "FilePmdMapped: %llu", &kib) == 1 ||
                             sscanf(line, "ShmemPmdMapped: %llu", &kib) == 1)) {
            pages->huge += kib * 1024;
        }
    }
    if (file)
        fclose(file);
    return found;
}
