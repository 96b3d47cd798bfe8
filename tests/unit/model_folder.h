// SPDX-License-Identifier: MIT
// A temporary folder for tests, and safetensors files in memory.
//
//     folder_new();                                   // in a group's setup or a test
//     folder_put("config.json", "{}", 2);
//     ql_buf b = tensors_file("{\"a\":{...}}", n);     // header and n bytes of data 0, 1, 2, ...
//     folder_remove();
#ifndef TESTS_UNIT_MODEL_FOLDER_H
#define TESTS_UNIT_MODEL_FOLDER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "format/source.h"

static char folder[256];

static inline const char *folder_path(const char *name)
{
    static char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static inline void folder_empty(void)
{
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            if (unlink(folder_path(e->d_name)) != 0)
                rmdir(folder_path(e->d_name));
    closedir(dir);
}

static inline int folder_new(void **state)
{
    (void)state;
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/quantllm-test-XXXXXX", base ? base : P_tmpdir);
    return mkdtemp(folder) ? 0 : -1;
}

static inline int folder_remove(void **state)
{
    (void)state;
    folder_empty();
    return rmdir(folder);
}

static inline void folder_put(const char *name, const void *data, size_t n)
{
    FILE *f = fopen(folder_path(name), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static inline void folder_put_str(const char *name, const char *text) { folder_put(name, text, strlen(text)); }

// Empties the buffer.
static inline void folder_put_buf(const char *name, ql_buf *b)
{
    assert_false(b->failed);
    folder_put(name, b->data, b->len);
    ql_buf_free(b);
}

static inline ql_buf tensors_file(const char *header, size_t n_data)
{
    ql_buf b = {0};
    uint64_t n = strlen(header);
    ql_buf_append(&b, &n, sizeof n);
    ql_buf_append_str(&b, header);
    for (size_t i = 0; i < n_data; i++)
        ql_buf_append_byte(&b, (char)i);
    assert_false(b.failed);
    return b;
}

// What a message says after the folder, whose name is another each time.
static inline const char *after_folder(const char *message)
{
    assert_int_equal(strncmp(message, folder, strlen(folder)), 0);
    assert_null(strchr(message, '\n'));
    return message + strlen(folder);
}

static inline ql_source *folder_open(const char *name)
{
    ql_error err = {0};
    ql_source *s;
    if (ql_source_open(name ? folder_path(name) : folder, &s, &err) != QL_OK)
        fail_msg("%s", err.message);
    return s;
}

static inline void folder_refused(const char *name, ql_code code, const char *message)
{
    ql_error err = {0};
    ql_source *s;
    ql_code got = ql_source_open(name ? folder_path(name) : folder, &s, &err);
    assert_null(s);
    assert_string_equal(after_folder(err.message), message);
    assert_int_equal(got, code);
}

#endif
