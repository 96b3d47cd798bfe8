// SPDX-License-Identifier: MIT
// Owns growing text, reading a file whole, and small questions about strings. It knows nothing of models or terminals.
#include "common.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void refuse(size_t bytes) { exit(cli_error(CLI_FAILURE, "out of memory: %zu bytes were refused", bytes)); }

void *cli_alloc(size_t bytes)
{
    void *memory = calloc(1, bytes ? bytes : 1);
    if (!memory)
        refuse(bytes);
    return memory;
}

void *cli_grow(void *memory, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        refuse(SIZE_MAX);
    void *grown = realloc(memory, bytes ? bytes : 1);
    if (!grown)
        refuse(bytes);
    return grown;
}

static void reserve(cli_text *text, size_t more)
{
    size_t need;
    if (__builtin_add_overflow(text->len, more, &need) || __builtin_add_overflow(need, (size_t)1, &need))
        refuse(SIZE_MAX);
    if (need <= text->size)
        return;
    size_t size = text->size ? text->size : 256;
    while (size < need)
        size = size > SIZE_MAX / 2 ? need : size * 2;
    text->data = cli_grow(text->data, size, 1);
    text->size = size;
}

void cli_append(cli_text *text, const char *bytes, size_t len)
{
    reserve(text, len);
    if (len)
        memcpy(text->data + text->len, bytes, len);
    text->len += len;
    text->data[text->len] = 0;
}

void cli_append_string(cli_text *text, const char *string) { cli_append(text, string, strlen(string)); }

void cli_clear(cli_text *text)
{
    text->len = 0;
    if (text->data)
        text->data[0] = 0;
}

void cli_release(cli_text *text)
{
    free(text->data);
    *text = (cli_text){0};
}

// The length of the character at the head of bytes, 0 if it is not UTF-8 (Unicode 14, table 3-7).
static size_t character(const unsigned char *s, size_t len)
{
    if (s[0] < 0x80)
        return 1;
    size_t n = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4 || n > len)
        return 0;
    unsigned char low = s[0] == 0xe0 ? 0xa0 : s[0] == 0xf0 ? 0x90 : 0x80;
    unsigned char high = s[0] == 0xed ? 0x9f : s[0] == 0xf4 ? 0x8f : 0xbf;
    if (s[1] < low || s[1] > high)
        return 0;
    for (size_t i = 2; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    return n;
}

size_t cli_utf8_valid(const char *bytes, size_t len)
{
    size_t at = 0;
    while (at < len) {
        size_t n = character((const unsigned char *)bytes + at, len - at);
        if (!n)
            break;
        at += n;
    }
    return at;
}

// Levenshtein's distance of words shorter than 64 bytes; two neighbours swapped count as two.
static size_t distance(const char *a, const char *b)
{
    size_t row[65], n_a = strlen(a), n_b = strlen(b);
    if (n_a >= 64 || n_b >= 64)
        return SIZE_MAX;
    for (size_t j = 0; j <= n_b; j++)
        row[j] = j;
    for (size_t i = 1; i <= n_a; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= n_b; j++) {
            size_t change = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            size_t best = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            row[j] = change < best ? change : best;
        }
    }
    return row[n_b];
}

const char *cli_nearest(const char *word, const char *const *candidates)
{
    const char *best = NULL;
    size_t limit = strlen(word) / 3 + 2; // a third of the letters may be wrong, one slip always
    for (; *candidates; candidates++) {
        size_t d = distance(word, *candidates);
        if (d < limit) {
            best = *candidates;
            limit = d;
        }
    }
    return best;
}

int cli_read_all(int fd, cli_text *text)
{
    for (;;) {
        reserve(text, 1 << 16);
        ssize_t n = read(fd, text->data + text->len, 1 << 16);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno;
        text->len += (size_t)n;
        text->data[text->len] = 0;
        if (n == 0)
            return 0;
    }
}

int cli_read_file(const char *path, cli_text *text)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int code = cli_read_all(fd, text);
    close(fd);
    return code;
}
