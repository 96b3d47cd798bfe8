// SPDX-License-Identifier: MIT
// Maps the pages of a packed file ahead of their use. Must not know what is in them.
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/thread.h"
#include "engine/packed.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22 // Linux 5.14; an older kernel refuses it, and pages come when they are used
#endif

enum { STEP = 16 << 20 }; // between two looks at `stop`: 3 ms from the page cache, 0.1 s from a disk

struct ql_packed_pages {
    pthread_t thread;
    atomic_bool stop;
    uintptr_t begin, end;
};

static void *bring(void *arg)
{
    ql_packed_pages *p = arg;
    for (uintptr_t at = p->begin; at < p->end && !atomic_load(&p->stop); at += STEP)
        if (madvise((void *)at, p->end - at < STEP ? p->end - at : STEP, MADV_POPULATE_READ) != 0)
            break;
    return NULL;
}

// From the first tensor to the last, in whole pages.
static void find_range(const ql_source *packed, ql_packed_pages *p)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    p->begin = UINTPTR_MAX;
    for (size_t i = 0; i < ql_source_n_tensors(packed); i++) {
        const ql_tensor *t = ql_source_tensor_at(packed, i);
        uintptr_t begin = (uintptr_t)t->data & ~(page - 1), end = ((uintptr_t)t->data + t->size + page - 1) & ~(page - 1);
        p->begin = begin < p->begin ? begin : p->begin;
        p->end = end > p->end ? end : p->end;
    }
}

ql_packed_pages *ql_packed_pages_start(const ql_source *packed)
{
    ql_packed_pages *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    find_range(packed, p);
    uint64_t available = ql_memory_available();
    // Where memory is short the pages that are read first would be given up for the last ones.
    if (p->begin >= p->end || (available && p->end - p->begin > available / 2)) {
        free(p);
        return NULL;
    }
    int failed = ql_thread_start(&p->thread, bring, p);
    if (failed) {
        free(p);
        return NULL;
    }
    return p;
}

void ql_packed_pages_end(ql_packed_pages *p)
{
    if (!p)
        return;
    atomic_store(&p->stop, true);
    pthread_join(p->thread, NULL);
    free(p);
}
