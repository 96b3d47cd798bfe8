// SPDX-License-Identifier: MIT
// Owns how a download is shown on standard error: one line that is drawn anew on a terminal, a plain line every 10 % (and
// not more often than every 5 s) elsewhere. It must not know what is downloaded or how.
#include "progress.h"

#include "models.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { BAR = 24 };
static const double redraw = 0.1, patience = 5; // seconds between two lines: on a terminal, elsewhere

void cli_progress_init(cli_progress *p, bool quiet)
{
    *p = (cli_progress){.quiet = quiet, .tenth = 0};
    p->terminal = cli_is_terminal(STDERR_FILENO) && cli_smart_terminal();
}

static void duration(double seconds, char text[32])
{
    long s = seconds < 360000 ? (long)seconds : 359999;
    if (s >= 3600)
        snprintf(text, 32, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(text, 32, "%ld:%02ld", s / 60, s % 60);
}

// Bytes a second over about the last 5 seconds: an average of the whole hides that a connection has slowed down.
static void update_rate(cli_progress *p, uint64_t done, double now)
{
    double passed = now - p->rate_time;
    if (!p->rate_time || done < p->rate_done) {
        p->rate_time = now;
        p->rate_done = done;
    } else if (passed >= 0.5) {
        double rate = (double)(done - p->rate_done) / passed, weight = passed < 5 ? passed / 5 : 1;
        p->rate = p->rate > 0 ? p->rate + weight * (rate - p->rate) : rate;
        p->rate_time = now;
        p->rate_done = done;
    }
}

static size_t columns(void)
{
    struct winsize size;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 80;
}

// "45 %", amounts, rate and what is left of the time.
static void describe(const cli_progress *p, uint64_t done, uint64_t total, char *text, size_t size)
{
    char have[32], all[32], rate[32] = "", left[32] = "", speed[80] = "";
    cli_size(done, have);
    cli_size(total, all);
    if (p->rate > 0) {
        cli_size((uint64_t)p->rate, rate);
        duration((double)(total - done) / p->rate, left);
        snprintf(speed, sizeof speed, ", %s/s, %s left", rate, left);
    }
    snprintf(text, size, "%s of %s%s", have, all, speed);
}

static void draw(cli_progress *p, const char *text, int percent)
{
    char bar[BAR + 1];
    size_t width = columns(), len = strlen(text);
    memset(bar, '.', BAR);
    memset(bar, '#', (size_t)(percent * BAR / 100));
    bar[BAR] = 0;
    if (width > len + BAR + 12)
        fprintf(stderr, "\r\033[K%3d %% [%s] %s", percent, bar, text);
    else
        fprintf(stderr, "\r\033[K%3d %% %.*s", percent, width > 7 ? (int)(width - 7) : 0, text);
    fflush(stderr);
    p->drawn = true;
}

void cli_progress_clear(cli_progress *p)
{
    if (p->drawn)
        fprintf(stderr, "\r\033[K");
    p->drawn = false;
}

void cli_progress_update(cli_progress *p, uint64_t done, uint64_t total, bool end)
{
    char text[160];
    double now = cli_seconds();
    if (p->quiet || !total)
        return;
    int percent = (int)((double)done * 100 / (double)total);
    if (!p->start)
        p->start = p->shown = now;
    update_rate(p, done, now);
    if (end) {
        cli_progress_clear(p);
        return;
    }
    if (now - p->shown < (p->terminal ? redraw : patience))
        return;
    describe(p, done, total, text, sizeof text);
    if (p->terminal) {
        draw(p, text, percent);
    } else if (percent / 10 > p->tenth) {
        cli_note("%d %%, %s", percent, text);
        p->tenth = percent / 10;
    } else {
        return;
    }
    p->shown = now;
}
