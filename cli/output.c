// SPDX-License-Identifier: MIT
// Owns what the command writes: errors and notes on standard error, answers on standard output.
// It must not know what is said. Answers go out by write(2), not stdio: each piece is on the screen when it is made,
// and a signal cannot lose buffered text.
#include "common.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

bool cli_is_terminal(int fd) { return isatty(fd) == 1; }

bool cli_smart_terminal(void)
{
    const char *term = getenv("TERM");
    return term && *term && strcmp(term, "dumb") != 0;
}

bool cli_colour(int fd)
{
    const char *no_color = getenv("NO_COLOR");
    return cli_is_terminal(fd) && cli_smart_terminal() && !(no_color && *no_color);
}

double cli_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

// 0 or an errno.
static int write_all(int fd, const char *bytes, size_t len)
{
    while (len) {
        ssize_t n = write(fd, bytes, len);
        struct pollfd room = {.fd = fd, .events = POLLOUT};
        if (n < 0 && errno == EAGAIN) // whoever shares the descriptor has made it non-blocking
            poll(&room, 1, -1);
        else if (n < 0 && errno != EINTR)
            return errno;
        if (n > 0) {
            bytes += n;
            len -= (size_t)n;
        }
    }
    return 0;
}

// Appends text as one printable line: control characters, C1 among them, and bytes that are not UTF-8 as \xNN.
static void append_printable(cli_text *line, const char *text, size_t len)
{
    size_t valid = cli_utf8_valid(text, len);
    for (size_t i = 0; i < len; i++) {
        if (i > valid) // past a broken byte: look again from here
            valid = i + cli_utf8_valid(text + i, len - i);
        unsigned char c = (unsigned char)text[i];
        bool c1 = c == 0xc2 && i + 1 < valid && (unsigned char)text[i + 1] < 0xa0;
        if (i < valid && c >= 0x20 && c != 0x7f && !c1) {
            cli_append(line, text + i, 1);
            continue;
        }
        char code[8];
        snprintf(code, sizeof code, "\\x%02x", c1 ? (unsigned char)text[++i] : c);
        cli_append_string(line, code);
    }
}

static void write_line(const char *head, const char *tail, const char *fmt, va_list args)
{
    char *message = NULL;
    int len = vasprintf(&message, fmt, args);
    if (len < 0)
        return;
    cli_text line = {0};
    cli_append_string(&line, head);
    append_printable(&line, message, (size_t)len);
    cli_append_string(&line, tail);
    write_all(STDERR_FILENO, line.data, line.len); // there is nobody left to tell
    cli_release(&line);
    free(message);
}

int cli_error(int code, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    write_line("error: ", "\n", fmt, args);
    va_end(args);
    return code;
}

void cli_note(const char *fmt, ...)
{
    bool dim = cli_colour(STDERR_FILENO);
    va_list args;
    va_start(args, fmt);
    write_line(dim ? "\033[2m" : "", dim ? "\033[0m\n" : "\n", fmt, args);
    va_end(args);
}

static void output_failed(int error)
{
    _exit(cli_error(CLI_FAILURE, "cannot write to standard output: %s", strerror(error)));
}

void cli_print(const char *bytes, size_t len)
{
    int error = write_all(STDOUT_FILENO, bytes, len);
    if (error)
        output_failed(error);
}

void cli_print_reasoning(const char *text, size_t len)
{
    bool dim = cli_colour(STDOUT_FILENO);
    if (!len || !cli_is_terminal(STDOUT_FILENO))
        return;
    if (dim)
        cli_print("\033[2m", 4);
    cli_print_model(text, len);
    if (dim)
        cli_print("\033[0m", 4);
}

void cli_print_model(const char *text, size_t len)
{
    if (!cli_is_terminal(STDOUT_FILENO)) {
        cli_print(text, len);
        return;
    }
    cli_text shown = {0};
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        char caret[2] = {'^', (char)(c ^ 0x40)};
        if (c == 0xc2 && i + 1 < len && (unsigned char)text[i + 1] < 0xa0)
            append_printable(&shown, text + i++, 2);
        else if (c == '\r' && i + 1 < len && text[i + 1] == '\n')
            continue;
        else if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f)
            cli_append(&shown, caret, 2);
        else
            cli_append(&shown, text + i, 1);
    }
    cli_print(shown.data, shown.len);
    cli_release(&shown);
}

void cli_flush(void)
{
    if (fflush(stdout) != 0 || ferror(stdout))
        output_failed(errno);
}
