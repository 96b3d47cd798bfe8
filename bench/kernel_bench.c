// SPDX-License-Identifier: MIT
// Times matrix products at every level of this CPU. Prefill: many rows against the shapes of a small model, in GMAC/s
// and in parts of what the level's dot products alone reach. Decode: one row against a matrix that
// is larger than the caches, in GB/s.
//
//   kernel_bench [type, or "all"] [rows of prefill] [largest number of threads] [level] [rows of decode]
//
// Every figure is the best of many short runs: what the code can do, on a machine that may be shared.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "kernel/kernel.h"

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

// GMAC/s of one core that does nothing but dot products; 0 for scalar.
static double dot_peak(const ql_kernels *kernels, ql_act act)
{
    double best = 0;
    for (int run = 0; run < 200; run++) {
        double start = now(), macs = (double)ql_dot_burst(kernels, act);
        double rate = macs / (now() - start) / 1e9;
        best = rate > best ? rate : best;
    }
    return best;
}

typedef struct job {
    const ql_kernels *kernels;
    ql_dtype dtype;
    size_t n_rows, n_cols, n_tokens;
    const uint8_t *panels;
    const void *acts;
    float *y;
    int n_threads;
    double seconds; // at least, of all runs
} job;

typedef struct worker {
    const job *j;
    pthread_barrier_t *barrier;
    int id;
    double best; // seconds of a run, from barrier to barrier
} worker;

static void *work(void *arg)
{
    worker *w = arg;
    const job *j = w->j;
    size_t n_panels = j->n_rows / QL_PANEL_ROWS, n = (size_t)j->n_threads, id = (size_t)w->id;
    double begin = now(), longest = 0;
    w->best = 1e9;
    for (int run = 0; run < 3 || longest < j->seconds; run++) {
        pthread_barrier_wait(w->barrier);
        double start = now();
        j->kernels->matmul[j->dtype](j->panels, j->n_cols, j->acts, j->n_tokens, j->y, j->n_rows, n_panels * id / n,
                                     n_panels * (id + 1) / n);
        pthread_barrier_wait(w->barrier);
        double t = now() - start;
        w->best = t < w->best ? t : w->best;
        longest = j->n_threads == 1 ? now() - begin : run * j->seconds / 12; // all threads must stop together
    }
    return NULL;
}

// Best seconds of one product.
static double time_product(const job *j)
{
    enum { MAX = 64 };
    worker w[MAX];
    pthread_t threads[MAX];
    pthread_barrier_t barrier;
    if (j->n_threads > MAX || pthread_barrier_init(&barrier, NULL, (unsigned)j->n_threads))
        exit(1);
    for (int i = 0; i < j->n_threads; i++) {
        w[i] = (worker){.j = j, .barrier = &barrier, .id = i};
        if (i > 0 && pthread_create(&threads[i], NULL, work, &w[i]))
            exit(1);
    }
    work(&w[0]);
    for (int i = 1; i < j->n_threads; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&barrier);
    return w[0].best;
}

static void *memory(size_t bytes)
{
    void *p = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
    if (!p)
        exit(1);
    memset(p, 0x11, bytes);
    return p;
}

// Seconds of a product of this shape; *bytes: of the weights.
static double time_shape(job j, size_t *bytes)
{
    ql_act act = j.kernels->act[j.dtype];
    *bytes = j.n_rows * ql_row_bytes(ql_dtype_get(j.dtype), j.n_cols);
    uint8_t *panels = memory(*bytes);
    void *acts = memory((j.n_tokens + 3) / 4 * ql_act_quad_bytes(act, j.n_cols));
    float *x = memory(j.n_cols * sizeof *x), *y = memory(j.n_tokens * j.n_rows * sizeof *y);
    for (size_t k = 0; k < j.n_cols; k++)
        x[k] = (float)rand() / (float)RAND_MAX - 0.5f;
    for (size_t t = 0; t < j.n_tokens; t++)
        j.kernels->act_write[act](x, j.n_cols, t, acts);
    j.panels = panels, j.acts = acts, j.y = y;
    double t = time_product(&j);
    free(panels), free(acts), free(x), free(y);
    return t;
}

static void bench_type(const ql_kernels *kernels, ql_dtype dtype, size_t n_tokens, size_t n_decode, int max_threads,
                       const double *peaks)
{
    static const size_t shapes[][2] = {{576, 768}, {1536, 768}, {768, 1536}}; // rows, columns: K-quants need 256 k
    job j = {.kernels = kernels, .dtype = dtype, .n_tokens = n_tokens};
    j.seconds = strcmp(kernels->name, "scalar") == 0 ? 0.01 : 0.15;
    printf("%-7s %-7s", kernels->name, ql_dtype_get(dtype)->name);
    size_t bytes;
    double peak = peaks[kernels->act[dtype]];
    for (int n = 1; n <= max_threads; n++)
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
            j.n_threads = n, j.n_rows = shapes[s][0], j.n_cols = shapes[s][1];
            double rate = (double)j.n_rows * (double)j.n_cols * (double)n_tokens / time_shape(j, &bytes) / 1e9;
            printf(" %7.1f", rate);
            if (peak > 0 && kernels == ql_kernels_get(NULL))
                printf(" %3.0f%%", 100 * rate / peak / n);
        }
    j.n_cols = 2048, j.n_tokens = n_decode;
    j.n_rows = ((size_t)96 << 20) / ql_row_bytes(ql_dtype_get(dtype), j.n_cols) / 64 * 64;
    for (int n = 1; n <= max_threads; n++) {
        j.n_threads = n;
        double t = time_shape(j, &bytes);
        printf("  %6.1f", (double)bytes / t / 1e9);
    }
    printf("\n");
    fflush(stdout);
}

static void bench_quantize(const ql_kernels *kernels)
{
    float x[1536];
    static uint8_t acts[4 * 4 * 1536];
    for (int i = 0; i < 1536; i++)
        x[i] = (float)rand() / (float)RAND_MAX - 0.5f;
    for (int act = 0; act < QL_ACT_COUNT; act++) {
        double best = 1e9;
        for (int run = 0; run < 2000; run++) {
            double start = now();
            kernels->act_write[act](x, 1536, (size_t)run % 4, acts);
            double t = now() - start;
            best = t < best ? t : best;
        }
        printf("%-7s act_write %d: %.2f ns a value\n", kernels->name, act, best / 1536 * 1e9);
    }
}

int main(int argc, char **argv)
{
    static const char *const levels[] = {"scalar", "avx2", "avx512"};
    const char *type = argc > 1 ? argv[1] : "all", *level = argc > 4 ? argv[4] : NULL;
    size_t n_tokens = argc > 2 ? strtoul(argv[2], NULL, 10) : 512;
    int max_threads = argc > 3 ? atoi(argv[3]) : 1;
    size_t n_decode = argc > 5 ? strtoul(argv[5], NULL, 10) : 1;
    printf("GMAC/s with %zu rows at 576x768 1536x768 768x1536, then GB/s with %zu\n", n_tokens, n_decode);
    for (int i = 0; i < 3; i++) {
        const ql_kernels *kernels = ql_kernels_get(levels[i]);
        if (strcmp(kernels->name, levels[i]) != 0 || (level && strcmp(level, levels[i]) != 0))
            continue;
        double peaks[QL_ACT_COUNT] = {0};
        for (int act = 0; act < QL_ACT_COUNT; act++)
            peaks[act] = dot_peak(kernels, (ql_act)act);
        if (peaks[QL_ACT_PAIRS] > 0)
            printf("%-7s products alone, GMAC/s a core: of 16 bits %.1f, of 8 bits %.1f\n", kernels->name, peaks[QL_ACT_PAIRS],
                   peaks[QL_ACT_BYTES]);
        for (uint32_t d = 0; d < QL_DTYPE_END; d++)
            if (ql_dtype_get(d) && (strcmp(type, "all") == 0 || strcasecmp(type, ql_dtype_get(d)->name) == 0))
                bench_type(kernels, (ql_dtype)d, n_tokens, n_decode, max_threads, peaks);
        if (strcmp(type, "all") == 0)
            bench_quantize(kernels);
    }
    return 0;
}
