// SPDX-License-Identifier: MIT
// How many threads short jobs of one kind should use while other programs want the same cores.
//
// A job with barriers runs at the speed of its slowest thread: on two cores of which another program keeps one busy, two
// threads were measured at a sixth of their undisturbed speed, one thread alone at more than half. Results do not depend
// on the number of threads, so it may follow the machine: when jobs stall, one thread less is tried and kept if jobs get
// faster; now and then one more.
#ifndef QL_BASE_PACE_H
#define QL_BASE_PACE_H

#include <stdint.h>

typedef struct ql_pace {
    int size, n;         // threads there are; threads in use
    uint64_t kind;       // of the last job: times of different kinds are not compared
    double mean;         // seconds of a job, a moving mean
    double bad;          // seconds of jobs that stalled, less those of jobs that did not
    double until_less, until_more; // seconds of jobs before the next try
    double patience;     // grows with every try in vain
    int from;            // in a trial: threads before it; 0: there is none
    double before;       // in a trial: mean before it
    double sum;          // in a trial: seconds
    int count;           // in a trial: jobs, from -1: the first one does not count
} ql_pace;

void ql_pace_init(ql_pace *pace, int n_threads);

// A job of this kind ran on pace->n threads for so many seconds, for `stalled` of which some thread slept at a barrier.
void ql_pace_ran(ql_pace *pace, uint64_t kind, double seconds, double stalled);

#endif
