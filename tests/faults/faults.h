// SPDX-License-Identifier: MIT
// A machine that fails on demand: the linker sends the project's own calls of the C library here (meson.build), and
// the k-th of a kind is refused, as in curl's torture tests. Also what those calls have left behind.
//
//     faults_begin(FAULT_MEMORY, 17, false); ...the code under test...; faults_end();
//
// Calls inside other libraries are left alone. Of jansson that has a reason: the lexer of 2.14 ignores that its buffer did
// not grow, and then loses characters or ends the process by an assertion (load.c); no caller can help that.
#ifndef TESTS_FAULTS_FAULTS_H
#define TESTS_FAULTS_FAULTS_H

#include <stdbool.h>
#include <stddef.h>

typedef enum fault_kind {
    FAULT_MEMORY, // malloc and its relatives give NULL
    FAULT_MAP,    // mmap: ENOMEM
    FAULT_OPEN,   // open, fopen, opendir, mkdir, symlink: EMFILE
    FAULT_STAT,   // stat, fstat, lstat: EIO
    FAULT_READ,   // read: EIO
    FAULT_WRITE,  // write, pwrite: half of it is written, then ENOSPC
    FAULT_SIZE,   // ftruncate, fallocate: ENOSPC
    FAULT_SYNC,   // fsync: EIO
    FAULT_RENAME, // rename: EACCES
    FAULT_LOCK,   // flock: ENOLCK
    FAULT_THREAD, // pthread_create: EAGAIN
    FAULT_KINDS
} fault_kind;

const char *fault_name(fault_kind kind);

// The at-th call of a kind fails, counted from 1; with lasting, all after it too. at 0: calls are only counted.
void faults_begin(fault_kind kind, unsigned long at, bool lasting);
unsigned long faults_end(void); // how many calls of the kind there were

// What is there now. Memory is counted from the first faults_begin on.
typedef struct fault_state {
    size_t blocks, mapped_bytes, descriptors, threads;
} fault_state;
fault_state faults_state(void);
// Whether there is no more than before; else what, in one line.
bool faults_nothing_left(fault_state before, char *what, size_t size);

// Whether a sample of about `wanted` of n calls has this one; the same each time, the first and last few always.
bool faults_in_sample(unsigned long at, unsigned long n, unsigned long wanted);

#endif
