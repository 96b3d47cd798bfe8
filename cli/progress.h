// SPDX-License-Identifier: MIT
// The progress of a download on standard error.
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include "common.h"

typedef struct cli_progress {
    bool quiet, terminal, drawn;
    double start, shown;      // seconds of cli_seconds()
    double rate, rate_time;   // bytes a second; when it was measured
    uint64_t rate_done;
    int tenth;                // the last tenth that had its line
} cli_progress;

void cli_progress_init(cli_progress *progress, bool quiet);
void cli_progress_update(cli_progress *progress, uint64_t done, uint64_t total, bool end);
void cli_progress_clear(cli_progress *progress); // before another line is written
#endif
