// SPDX-License-Identifier: MIT
// For Python under ThreadSanitizer (tools/test_long.sh preloads it): the interpreter's locks wait with sem_clockwait,
// which GCC 12's libtsan does not know, so that what such a lock protects is told as a race. sem_timedwait it knows.
#include <errno.h>
#include <semaphore.h>
#include <time.h>

int sem_clockwait(sem_t *semaphore, clockid_t clock, const struct timespec *until)
{
    struct timespec now, real;
    clock_gettime(clock, &now);
    clock_gettime(CLOCK_REALTIME, &real);
    long long left = (until->tv_sec - now.tv_sec) * 1000000000ll + until->tv_nsec - now.tv_nsec;
    long long end = real.tv_nsec + (left > 0 ? left : 0);
    real.tv_sec += end / 1000000000;
    real.tv_nsec = end % 1000000000;
    return sem_timedwait(semaphore, &real);
}
