// SPDX-License-Identifier: MIT
// Starts the library's own threads. Signals are the host program's: none is handled on a thread of ours, except those that
// a thread's own instruction raises. To block these would help nobody: the kernel then ends the process past any handler
// (SIGBUS: a mapped file was cut).
#ifndef QL_BASE_THREAD_H
#define QL_BASE_THREAD_H

#include <pthread.h>

// 0 or an errno, as pthread_create.
int ql_thread_start(pthread_t *thread, void *(*run)(void *), void *arg);

#endif
