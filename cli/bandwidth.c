// SPDX-License-Identifier: MIT
// Owns the measurement of memory read bandwidth: the bound that decoding a token is compared with.
// It must not know models. Each thread touches its own part first, so that on a machine with several memory nodes it
// reads near memory, as the engine's row ranges do; the best of the passes counts, since noise only slows.
#include "bench.h"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#define PASSES 6
#define MIN_BYTES ((size_t)512 << 20)
#define MAX_THREADS 256

typedef uint64_t lanes __attribute__((vector_size(32)));

typedef struct reader {
    pthread_t thread;
    pthread_barrier_t *barrier;
    lanes *data;
    size_t n; // multiple of 8
    uint64_t sum;
} reader;

// Eight sums: enough loads under way that no addition waits.
static uint64_t sum_lanes(const lanes *data, size_t n)
{
    lanes sums[8] = {{0}};
    for (size_t i = 0; i < n; i += 8)
        for (size_t j = 0; j < 8; j++)
            sums[j] += data[i + j];
    uint64_t total = 0;
    for (size_t j = 0; j < 8; j++)
        for (size_t k = 0; k < 4; k++)
            total += sums[j][k];
    return total;
}

static void *read_part(void *argument)
{
    reader *r = argument;
    for (size_t i = 0; i < r->n; i++)
        r->data[i] = (lanes){i, 1, 2, 3};
    for (int pass = 0; pass < PASSES; pass++) {
        pthread_barrier_wait(r->barrier);
        r->sum += sum_lanes(r->data, r->n);
        pthread_barrier_wait(r->barrier);
    }
    return NULL;
}

static double best_pass(pthread_barrier_t *barrier)
{
    double best = 0;
    for (int pass = 0; pass < PASSES; pass++) {
        pthread_barrier_wait(barrier);
        double start = cli_seconds();
        pthread_barrier_wait(barrier);
        double seconds = cli_seconds() - start;
        if (pass == 0 || seconds < best)
            best = seconds;
    }
    return best;
}

static size_t buffer_bytes(void)
{
    long cache = sysconf(_SC_LEVEL3_CACHE_SIZE);
    long pages = sysconf(_SC_AVPHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    size_t bytes = cache > 0 && (size_t)cache * 4 > MIN_BYTES ? (size_t)cache * 4 : MIN_BYTES;
    size_t room = pages > 0 && page > 0 ? (size_t)pages * (size_t)page / 2 : bytes;
    return bytes < room ? bytes : room; // a smaller sample beats swapping
}

double cli_read_bandwidth(int threads)
{
    static reader readers[MAX_THREADS];
    int n = threads < 1 ? 1 : threads > MAX_THREADS ? MAX_THREADS : threads;
    size_t each = buffer_bytes() / sizeof(lanes) / (size_t)n / 8 * 8, bytes = each * (size_t)n * sizeof(lanes);
    lanes *data = each ? mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) : MAP_FAILED;
    if (data == MAP_FAILED)
        return 0;
    madvise(data, bytes, MADV_HUGEPAGE);
    pthread_barrier_t barrier;
    pthread_barrier_init(&barrier, NULL, (unsigned)n + 1);
    for (int i = 0; i < n; i++) {
        readers[i] = (reader){.barrier = &barrier, .data = data + (size_t)i * each, .n = each};
        // Those already started wait at the barrier for good: nothing to measure with then, and the process ends soon.
        if (pthread_create(&readers[i].thread, NULL, read_part, &readers[i]) != 0)
            return 0;
    }
    double best = best_pass(&barrier);
    for (int i = 0; i < n; i++)
        pthread_join(readers[i].thread, NULL);
    pthread_barrier_destroy(&barrier);
    volatile uint64_t sink = readers[0].sum; // the sums are used: the reads must happen
    (void)sink;
    munmap(data, bytes);
    return best > 0 ? (double)bytes / best : 0;
}
