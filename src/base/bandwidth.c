// SPDX-License-Identifier: MIT
// Owns the measurement of memory read bandwidth: the bound that decoding a token is compared with. Each thread touches its
// own part first, so that on a machine with several memory nodes it reads near memory, as the engine's row ranges do; the
// best of the passes counts, since noise only slows.
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/machine.h"
#include "base/pool.h"

enum { PASSES = 6 };

typedef uint64_t lanes __attribute__((vector_size(32)));

typedef struct reading {
    lanes *data;
    size_t each;              // of a thread; multiple of 8
    atomic_uint_fast64_t sum; // is used: the reads must happen
} reading;

static void write_part(void *arg, int worker)
{
    reading *r = arg;
    lanes *data = r->data + (size_t)worker * r->each;
    for (size_t i = 0; i < r->each; i++)
        data[i] = (lanes){i, 1, 2, 3};
}

// Eight sums: enough loads under way that no addition waits.
static void read_part(void *arg, int worker)
{
    reading *r = arg;
    const lanes *data = r->data + (size_t)worker * r->each;
    lanes sums[8] = {{0}};
    for (size_t i = 0; i < r->each; i += 8)
        for (size_t j = 0; j < 8; j++)
            sums[j] += data[i + j];
    uint64_t total = 0;
    for (size_t j = 0; j < 8; j++)
        for (size_t k = 0; k < 4; k++)
            total += sums[j][k];
    atomic_fetch_add(&r->sum, total);
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

static double best_pass(ql_pool *pool, reading *r)
{
    double best = 0;
    int n = ql_pool_size(pool);
    ql_pool_run(pool, n, write_part, r);
    for (int pass = 0; pass < PASSES; pass++) {
        double start = ql_clock();
        ql_pool_run(pool, n, read_part, r);
        double seconds = ql_clock() - start;
        if (pass == 0 || seconds < best)
            best = seconds;
    }
    return best;
}

double ql_measure_bandwidth(int threads)
{
    int n = threads < 1 ? 1 : threads > 256 ? 256 : threads;
    reading r = {.each = buffer_bytes() / sizeof(lanes) / (size_t)n / 8 * 8};
    size_t bytes = r.each * (size_t)n * sizeof(lanes);
    ql_pool *pool = NULL;
    void *data = bytes ? mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) : MAP_FAILED;
    if (data == MAP_FAILED)
        return 0;
    madvise(data, bytes, MADV_HUGEPAGE);
    r.data = data;
    double best = ql_pool_new(&pool, n, NULL) == QL_OK ? best_pass(pool, &r) : 0;
    ql_pool_free(pool);
    munmap(data, bytes);
    return best > 0 ? (double)bytes / best : 0;
}
