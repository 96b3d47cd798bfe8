// SPDX-License-Identifier: MIT
// A file that is under its name whole or not at all: what stands under its temporary name before and meanwhile, and signals.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/new_file.h"

static int interruptions; // of fallocate to come

int __real_fallocate64(int fd, int mode, off_t offset, off_t n);
int __wrap_fallocate64(int fd, int mode, off_t offset, off_t n);
int __wrap_fallocate64(int fd, int mode, off_t offset, off_t n)
{
    if (interruptions-- > 0) {
        errno = EINTR;
        return -1;
    }
    return __real_fallocate64(fd, mode, offset, n);
}

static char folder[64], path[96], part[112], other[96];

static int setup(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/ql_new_file.XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/file", folder);
    snprintf(part, sizeof part, "%s/file.part", folder);
    snprintf(other, sizeof other, "%s/other", folder);
    interruptions = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(path);
    unlink(part);
    unlink(other);
    return rmdir(folder); // nothing else is there
}

static void put_text(const char *to, const char *text)
{
    FILE *f = fopen(to, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void assert_text(const char *of, const char *expected)
{
    char text[64] = "";
    FILE *f = fopen(of, "r");
    assert_non_null(f);
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    assert_string_equal(text, expected);
}

static void begin(ql_new_file *file)
{
    assert_int_equal(ql_new_file_name(file, path, ".part"), 0);
    assert_int_equal(ql_new_file_open(file, 0644), 0);
    assert_int_equal(ql_new_file_reserve(file, 3), 0);
    assert_int_equal(ql_new_file_put(file, "new", 3, 0), 0);
}

static void test_replaces(void **state)
{
    (void)state;
    ql_new_file file;
    put_text(path, "old");
    begin(&file);
    assert_text(path, "old");
    assert_int_equal(ql_new_file_publish(&file), 0);
    ql_new_file_drop(&file);
    assert_text(path, "new");
    assert_int_equal(access(part, F_OK), -1);
}

static void test_dropped(void **state)
{
    (void)state;
    ql_new_file file;
    begin(&file);
    ql_new_file_drop(&file);
    ql_new_file_drop(&file);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(access(part, F_OK), -1);
}

// What stands under the temporary name may be another name of a file that somebody needs.
static void test_another_name_of_a_file(void **state)
{
    (void)state;
    ql_new_file file;
    put_text(other, "kept");
    assert_int_equal(link(other, part), 0);
    begin(&file);
    assert_int_equal(ql_new_file_publish(&file), 0);
    ql_new_file_drop(&file);
    assert_text(other, "kept");
    assert_text(path, "new");
}

static void test_mode_is_not_that_of_what_was_left(void **state)
{
    (void)state;
    ql_new_file file;
    struct stat st;
    mode_t mask = umask(022);
    put_text(part, "left");
    assert_int_equal(chmod(part, 0606), 0);
    begin(&file);
    umask(mask);
    assert_int_equal(ql_new_file_publish(&file), 0);
    ql_new_file_drop(&file);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0644);
}

static void test_a_pipe_was_left(void **state)
{
    (void)state;
    ql_new_file file;
    assert_int_equal(mkfifo(part, 0600), 0);
    begin(&file);
    assert_int_equal(ql_new_file_publish(&file), 0);
    ql_new_file_drop(&file);
    assert_text(path, "new");
}

static void test_a_link_was_left(void **state)
{
    (void)state;
    ql_new_file file;
    put_text(other, "kept");
    assert_int_equal(symlink(other, part), 0);
    assert_int_equal(ql_new_file_name(&file, path, ".part"), 0);
    assert_int_equal(ql_new_file_open(&file, 0644), ELOOP);
    ql_new_file_drop(&file);
    assert_text(other, "kept");
}

static void test_two_at_once(void **state)
{
    (void)state;
    ql_new_file file, second;
    begin(&file);
    assert_int_equal(ql_new_file_name(&second, path, ".part"), 0);
    assert_int_equal(ql_new_file_open(&second, 0644), EWOULDBLOCK);
    ql_new_file_drop(&second);
    assert_int_equal(ql_new_file_publish(&file), 0);
    ql_new_file_drop(&file);
    assert_text(path, "new");
}

// A second writer's unfinished file must not get the name, nor be removed.
static void test_removed_meanwhile(void **state)
{
    (void)state;
    ql_new_file file, second;
    begin(&file);
    assert_int_equal(unlink(part), 0);
    begin(&second);
    assert_int_equal(ql_new_file_publish(&file), ENOENT);
    ql_new_file_drop(&file);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(ql_new_file_publish(&second), 0);
    ql_new_file_drop(&second);
    assert_text(path, "new");
}

static void test_interrupted(void **state)
{
    (void)state;
    for (int n = 1; n < 100; n += 98) { // once; and by a timer that never lets it finish: then writing finds out
        ql_new_file file;
        interruptions = n;
        begin(&file);
        assert_int_equal(ql_new_file_publish(&file), 0);
        ql_new_file_drop(&file);
        assert_text(path, "new");
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {T(test_replaces), T(test_dropped), T(test_another_name_of_a_file),
                                       T(test_mode_is_not_that_of_what_was_left), T(test_a_pipe_was_left),
                                       T(test_a_link_was_left), T(test_two_at_once), T(test_removed_meanwhile),
                                       T(test_interrupted)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
