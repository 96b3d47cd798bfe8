// SPDX-License-Identifier: MIT
// Owns the worker threads and their two meeting points: the start of a job and a barrier inside one.
// The one decision: a waiter spins SPIN times (about 50 microseconds), then sleeps; who changes the word it waits for
// pays for a wake-up call only when someone sleeps.
#include "base/pool.h"

#include <linux/futex.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/thread.h"

enum { SPIN = 2000 };

// A word that threads wait on, with the number of sleepers, on a cache line of its own.
typedef struct event {
    _Alignas(64) _Atomic uint32_t value;
    _Atomic uint32_t sleepers;
} event;

// What a worker has for itself.
typedef struct slot {
    event start;      // counts the jobs it took part in
    double stalled;   // seconds it slept at barriers in the last one
    pthread_t thread;
} slot;

struct ql_pool {
    event done;             // counts finished jobs
    event barrier;          // counts barriers passed
    _Alignas(64) _Atomic int arrived;  // at the barrier
    _Alignas(64) _Atomic int running;  // workers still inside the job
    ql_job *job;
    void *arg;
    bool stop;
    int size;
    int active;             // workers of the job under way
    int started;            // threads to join
    slot *slots;            // [size]; worker 0 has no thread
};

typedef struct worker_arg {
    ql_pool *pool;
    int worker;
} worker_arg;

static void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#else
    atomic_signal_fence(memory_order_seq_cst);
#endif
}

// Returns once the word differs from old: how long it slept, in seconds.
static double event_wait(event *e, uint32_t old)
{
    for (int i = 0; i < SPIN; i++) {
        if (atomic_load_explicit(&e->value, memory_order_acquire) != old)
            return 0;
        relax();
    }
    double start = ql_clock();
    atomic_fetch_add(&e->sleepers, 1);
    while (atomic_load(&e->value) == old)
        syscall(SYS_futex, &e->value, FUTEX_WAIT_PRIVATE, old, NULL, NULL, 0);
    atomic_fetch_sub(&e->sleepers, 1);
    return ql_clock() - start;
}

static void event_signal(event *e)
{
    atomic_fetch_add(&e->value, 1);
    if (atomic_load(&e->sleepers))
        syscall(SYS_futex, &e->value, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}

static void finish(ql_pool *pool)
{
    if (atomic_fetch_sub(&pool->running, 1) == 1)
        event_signal(&pool->done);
}

static void *worker_main(void *data)
{
    worker_arg arg = *(worker_arg *)data;
    free(data);
    ql_pool *pool = arg.pool;
    for (uint32_t seen = 0;; seen++) {
        event_wait(&pool->slots[arg.worker].start, seen);
        if (pool->stop)
            return NULL;
        pool->job(pool->arg, arg.worker);
        finish(pool);
    }
}

static ql_code start_threads(ql_pool *pool, ql_error *err)
{
    int failed = 0;
    for (int i = 1; i < pool->size && !failed; i++) {
        worker_arg *arg = malloc(sizeof *arg);
        if (arg) {
            *arg = (worker_arg){pool, i};
            failed = ql_thread_start(&pool->slots[i].thread, worker_main, arg);
        }
        if (!arg || failed)
            failed = 1, free(arg);
        else
            pool->started++;
    }
    return failed ? ql_fail(err, QL_E_MEMORY, "thread %d of %d could not be started", pool->started + 1, pool->size)
                  : QL_OK;
}

ql_code ql_pool_new(ql_pool **out, int n_threads, ql_error *err)
{
    *out = NULL;
    ql_pool *pool = aligned_alloc(64, sizeof *pool);
    size_t bytes = (size_t)n_threads * sizeof(slot);
    slot *slots = aligned_alloc(64, bytes);
    if (!pool || !slots) {
        free(pool);
        free(slots);
        return ql_fail_memory(err, sizeof *pool + bytes);
    }
    memset(pool, 0, sizeof *pool);
    memset(slots, 0, bytes);
    pool->size = n_threads;
    pool->slots = slots;
    ql_code code = start_threads(pool, err);
    if (code != QL_OK) {
        ql_pool_free(pool);
        return code;
    }
    *out = pool;
    return QL_OK;
}

void ql_pool_free(ql_pool *pool)
{
    if (!pool)
        return;
    pool->stop = true;
    for (int i = 1; i <= pool->started; i++) {
        event_signal(&pool->slots[i].start);
        pthread_join(pool->slots[i].thread, NULL);
    }
    free(pool->slots);
    free(pool);
}

int ql_pool_size(const ql_pool *pool) { return pool->size; }

void ql_pool_run(ql_pool *pool, int n_workers, ql_job *job, void *arg)
{
    pool->active = n_workers;
    for (int i = 0; i < n_workers; i++)
        pool->slots[i].stalled = 0;
    if (n_workers == 1) {
        job(arg, 0);
        return;
    }
    uint32_t done = atomic_load(&pool->done.value);
    pool->job = job;
    pool->arg = arg;
    atomic_store(&pool->running, n_workers);
    for (int i = 1; i < n_workers; i++)
        event_signal(&pool->slots[i].start);
    job(arg, 0);
    finish(pool);
    event_wait(&pool->done, done);
}

void ql_pool_barrier(ql_pool *pool, int worker)
{
    if (pool->active == 1)
        return;
    uint32_t passed = atomic_load_explicit(&pool->barrier.value, memory_order_acquire);
    if (atomic_fetch_add(&pool->arrived, 1) == pool->active - 1) {
        atomic_store(&pool->arrived, 0);
        event_signal(&pool->barrier);
    } else {
        pool->slots[worker].stalled += event_wait(&pool->barrier, passed);
    }
}

double ql_pool_stalled(const ql_pool *pool)
{
    double most = 0;
    for (int i = 0; i < pool->active; i++)
        most = pool->slots[i].stalled > most ? pool->slots[i].stalled : most;
    return most;
}
