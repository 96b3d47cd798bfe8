// SPDX-License-Identifier: MIT
// A tiny model for tests, made by tests/golden/make_tiny.py in a temporary file that the test removes.
#ifndef TESTS_UNIT_TINY_H
#define TESTS_UNIT_TINY_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char tiny_path[64];

static void tiny_remove(void)
{
    if (tiny_path[0])
        unlink(tiny_path);
    tiny_path[0] = 0;
}

// A group's teardown.
static inline int tiny_teardown(void **state)
{
    (void)state;
    tiny_remove();
    return 0;
}

// The path of a fresh model made with these arguments; the one before is removed. NULL when the script fails.
static const char *tiny_make(const char *arguments)
{
    const char *root = getenv("QL_SOURCE_ROOT");
    char command[1024];
    tiny_remove();
    snprintf(tiny_path, sizeof tiny_path, "/tmp/quantllm-test-%d.gguf", (int)getpid());
    // Without LD_PRELOAD: a sanitizer's library in the test must not enter the interpreter.
    snprintf(command, sizeof command, "env -u LD_PRELOAD python3 '%s/tests/golden/make_tiny.py' %s %s >/dev/null",
             root ? root : ".", tiny_path, arguments);
    return system(command) == 0 ? tiny_path : NULL;
}

#endif
