// SPDX-License-Identifier: MIT
// Owns SIGBUS: a model file that somebody cuts while it is mapped, or whose disk fails, ends the command with one line
// that names it. A library must not have such a handler, so this is the command's. It must not know models: which file
// lies at an address is what the kernel says in /proc/self/maps, so no list of mappings has to be kept in step.
// Everything here is async-signal-safe: no memory, no stdio, no locks.
#include "common.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINE = 4096 + 256 }; // a path and what stands before it

typedef struct place {
    char path[LINE];
    uint64_t offset; // of the address in the file
} place;

static uint64_t read_hex(const char **at)
{
    uint64_t value = 0;
    for (;; ++*at) {
        char c = **at;
        if (c >= '0' && c <= '9')
            value = value * 16 + (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            value = value * 16 + (uint64_t)(c - 'a' + 10);
        else
            return value;
    }
}

// "begin-end mode offset device inode   path", numbers in hex: whether it is a file's and holds the address.
static bool read_mapping(const char *line, uint64_t address, place *found)
{
    const char *at = line, *path = strchr(line, '/');
    uint64_t begin = read_hex(&at);
    at += *at == '-';
    uint64_t end = read_hex(&at);
    if (!path || address < begin || address >= end || !(at = strchr(at + (*at == ' '), ' ')))
        return false;
    at++;
    found->offset = read_hex(&at) + (address - begin);
    memcpy(found->path, path, strlen(path) + 1);
    return true;
}

static bool find_file(uint64_t address, place *found)
{
    static char text[2 * LINE]; // lines that are not complete move to its begin
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    bool is = false;
    size_t have = 0;
    for (ssize_t n; fd >= 0 && !is && (n = read(fd, text + have, sizeof text - 1 - have)) > 0;) {
        have += (size_t)n;
        text[have] = 0;
        char *line = text;
        for (char *end; !is && (end = strchr(line, '\n')); line = end + 1) {
            *end = 0;
            is = end - line < LINE && read_mapping(line, address, found);
        }
        have -= (size_t)(line - text);
        memmove(text, line, have);
    }
    if (fd >= 0)
        close(fd);
    return is;
}

static void append(char *line, size_t *len, const char *text)
{
    for (; *text && *len < 2 * LINE - 1; text++)
        line[(*len)++] = (unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text;
}

static void append_number(char *line, size_t *len, uint64_t value)
{
    char digits[24];
    size_t at = sizeof digits - 1;
    digits[at] = 0;
    do
        digits[--at] = (char)('0' + value % 10);
    while (value /= 10);
    append(line, len, digits + at);
}

static void tell(const place *lost)
{
    static char line[2 * LINE];
    size_t len = 0;
    struct stat now;
    bool cut = stat(lost->path, &now) == 0 && (uint64_t)now.st_size <= lost->offset;
    append(line, &len, "error: ");
    append(line, &len, lost->path);
    append(line, &len, cut ? ": was cut to " : ": byte ");
    append_number(line, &len, cut ? (uint64_t)now.st_size : lost->offset);
    append(line, &len, cut ? " bytes while it was in use: replace such a file by renaming another to it, then run this again"
                           : " can not be read any more: look at the disk, then run this again");
    line[len++] = '\n';
    (void)!write(STDERR_FILENO, line, len); // there is nobody left to tell
}

static void on_bus(int number, siginfo_t *info, void *context)
{
    static atomic_flag telling = ATOMIC_FLAG_INIT;
    static place lost;
    (void)context;
    while (atomic_flag_test_and_set(&telling))
        pause(); // another thread is at it, and then the process ends
    if (info->si_code == BUS_ADRERR && find_file((uint64_t)(uintptr_t)info->si_addr, &lost)) {
        tell(&lost);
        _exit(CLI_IO);
    }
    signal(number, SIG_DFL); // something else: the instruction runs again and ends the process as it would have
    atomic_flag_clear(&telling);
}

void cli_lost_file_install(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = on_bus;
    action.sa_flags = SA_SIGINFO;
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, NULL);
}
