// SPDX-License-Identifier: MIT
// A pool of threads that run one job together. The caller is worker 0.
//
// Workers wait by spinning for some tens of microseconds, the time between two jobs of a decode, then sleep on a
// futex: on a shared machine a spinning peer may hold the core that the last worker needs.
#ifndef QL_BASE_POOL_H
#define QL_BASE_POOL_H

#include "base/error.h"

typedef struct ql_pool ql_pool;

// n_threads of 1 starts none.
ql_code ql_pool_new(ql_pool **pool, int n_threads, ql_error *err);
void ql_pool_free(ql_pool *pool);
int ql_pool_size(const ql_pool *pool);

// Runs job(arg, worker) on workers 0 .. n_workers - 1 (1 to size) and returns when all have finished. One caller at a time.
typedef void ql_job(void *arg, int worker);
void ql_pool_run(ql_pool *pool, int n_workers, ql_job *job, void *arg);

// Inside a job, called by all of its workers: returns when all have arrived; what they wrote before is visible after.
void ql_pool_barrier(ql_pool *pool, int worker);

// How long the last job's workers slept at its barriers: seconds of the one that slept most. Sleeping begins where
// spinning ends, so there is none unless somebody lost its core.
double ql_pool_stalled(const ql_pool *pool);

// Physical cores allowed by affinity and cgroup quota, at least 1.
int ql_default_threads(void);

#endif
