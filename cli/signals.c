// SPDX-License-Identifier: MIT
// Owns SIGINT, SIGTERM and SIGHUP: what the first one stops and what the second one ends.
// It must not know verbs. The handler only stores, cancels (async-signal-safe) and leaves by _exit: during an answer
// the terminal is in its usual mode and nothing is buffered, so leaving at once is clean.
#include "common.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

static _Atomic(ql_session *) watched;
static atomic_int pending;   // the last signal not yet taken
static atomic_bool stopping; // the watched session has been cancelled
static atomic_bool keep;
static atomic_bool held;

static void on_signal(int number)
{
    int saved = errno;
    ql_session *session = atomic_load(&watched);
    bool first = session || atomic_load(&held) ? !atomic_exchange(&stopping, true) : atomic_load(&keep);
    if (!first)
        _exit(128 + number);
    atomic_store(&pending, number);
    if (session)
        ql_cancel(session);
    errno = saved;
}

void cli_signals_install(bool remember)
{
    atomic_store(&keep, remember);
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal; // no SA_RESTART: a wait for input must end
    sigemptyset(&action.sa_mask);
    int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        struct sigaction before;
        // A shell starts a background job with SIGINT ignored, nohup ignores SIGHUP: leave them so.
        if (sigaction(numbers[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
            sigaction(numbers[i], &action, NULL);
    }
}

void cli_signals_watch(ql_session *session)
{
    atomic_store(&stopping, false);
    atomic_store(&watched, session);
}

void cli_signals_hold(bool hold)
{
    atomic_store(&stopping, false);
    atomic_store(&held, hold);
}

int cli_signal_pending(void) { return atomic_load(&pending); }

int cli_signal_take(void) { return atomic_exchange(&pending, 0); }
