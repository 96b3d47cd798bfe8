// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/file.h"
#include "base/pace.h"
#include "base/pool.h"
#include "base/random.h"
#include "base/utf8.h"

static void errors_escape_control_bytes(void **state)
{
    (void)state;
    ql_error err = {0};
    assert_int_equal(ql_fail(&err, QL_E_FORMAT, "key \"%s\"", "a\x1b[2J\n"), QL_E_FORMAT);
    assert_string_equal(err.message, "key \"a\\x1b[2J\\x0a\"");
    assert_int_equal(ql_fail_prefix(&err, QL_E_FORMAT, "m.gguf"), QL_E_FORMAT);
    assert_string_equal(err.message, "m.gguf: key \"a\\x1b[2J\\x0a\"");
    assert_int_equal(ql_fail(NULL, QL_E_IO, "nobody listens"), QL_E_IO);
}

static void long_errors_are_cut_at_a_character(void **state)
{
    (void)state;
    char text[3001];
    for (int i = 0; i < 3000; i += 3)
        memcpy(text + i, "\xe2\x82\xac", 3);
    text[3000] = 0;
    for (int shift = 0; shift < 4; shift++) {
        ql_error err = {0};
        ql_fail(&err, QL_E_FORMAT, "%.*s%s", shift, "abc", text);
        size_t n = strlen(err.message);
        assert_true(n < sizeof err.message && n > sizeof err.message - 5);
        for (size_t i = 0; i < n;) {
            uint32_t cp;
            int len = ql_utf8_decode(err.message + i, n - i, &cp);
            assert_true(len > 0);
            i += (size_t)len;
        }
    }
}

static void every_code_has_an_entry(void **state)
{
    (void)state;
    for (int code = 0; code < QL_E_COUNT; code++) {
        assert_non_null(ql_code_lookup((ql_code)code)->name);
        assert_true(code == 0 || ql_code_lookup((ql_code)code)->exit_code > 0);
    }
    assert_string_equal(ql_code_lookup((ql_code)999)->name, "internal");
}

static void checked_arithmetic_overflows(void **state)
{
    (void)state;
    uint64_t out;
    assert_true(ql_mul_u64(1u << 20, 1u << 20, &out) && out == (uint64_t)1 << 40);
    assert_false(ql_mul_u64((uint64_t)1 << 33, (uint64_t)1 << 31, &out));
    assert_false(ql_add_u64(UINT64_MAX, 1, &out));
    assert_true(ql_round_up_u64(33, 32, &out) && out == 64);
    assert_false(ql_round_up_u64(UINT64_MAX - 3, 32, &out));
}

static void arena_measures_what_it_gives(void **state)
{
    (void)state;
    ql_arena arena = {0};
    for (int pass = 0; pass < 2; pass++) {
        char *a = ql_arena_alloc(&arena, 3, 1);
        double *b = QL_ARENA_NEW(&arena, double, 100);
        if (pass == 0) {
            assert_null(a);
            assert_null(b);
            assert_int_equal(ql_arena_init(&arena, arena.used, false, NULL), QL_OK);
        } else {
            assert_int_equal((uintptr_t)b % 64, 0);
            assert_true(b[99] == 0.0);
            assert_null(ql_arena_alloc(&arena, 1, 1)); // full
        }
    }
    ql_arena_free(&arena);
    assert_null(ql_arena_alloc(&arena, SIZE_MAX / 2, 3));
    assert_true(arena.used == SIZE_MAX);
    assert_int_equal(ql_arena_init(&arena, arena.used, false, NULL), QL_E_MEMORY);
}

static void buffer_grows_and_hands_over(void **state)
{
    (void)state;
    ql_buf buf = {0};
    for (int i = 0; i < 1000; i++)
        ql_buf_printf(&buf, "%d,", i % 10);
    ql_buf_consume(&buf, 1990);
    assert_string_equal(buf.data, "5,6,7,8,9,");
    char *data;
    size_t len;
    assert_int_equal(ql_buf_take(&buf, &data, &len, NULL), QL_OK);
    assert_int_equal(len, 10);
    ql_free(data);
    assert_null(ql_buf_reserve(&buf, SIZE_MAX));
    ql_buf_append(&buf, "x", 1);
    assert_int_equal(ql_buf_take(&buf, &data, &len, NULL), QL_E_MEMORY);
}

static void utf8_takes_exactly_rfc3629(void **state)
{
    (void)state;
    char s[4];
    uint32_t cp;
    for (uint32_t c = 0; c <= 0x10ffff; c++) {
        if (c >= 0xd800 && c < 0xe000)
            continue;
        int n = ql_utf8_encode(c, s);
        if (ql_utf8_decode(s, (size_t)n, &cp) != n || cp != c)
            fail_msg("U+%X", c);
    }
    static const struct { const char *bytes; size_t n; int len; } bad[] = {
        {"\x80", 1, -1}, {"\xc0\x80", 2, -1}, {"\xc1\xbf", 2, -1}, {"\xe0\x9f\xbf", 3, -1}, {"\xed\xa0\x80", 3, -1},
        {"\xf0\x8f\xbf\xbf", 4, -1}, {"\xf4\x90\x80\x80", 4, -1}, {"\xf5\x80\x80\x80", 4, -1}, {"\xff", 1, -1},
        {"\xe2\x82", 2, -2}, {"\xe2\x82g", 3, -2}, {"\xf0\x9f\x98g", 4, -3}, {"\xc3g", 2, -1},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(ql_utf8_decode(bad[i].bytes, bad[i].n, &cp), bad[i].len);
        assert_int_equal(cp, 0xfffd);
    }
    assert_int_equal(ql_utf8_decode_partial("\xe2\x82", 2, &cp), 0);
    assert_int_equal(ql_utf8_decode_partial("\xe2g", 2, &cp), -1);
}

static void files_that_can_not_be_models(void **state)
{
    (void)state;
    ql_file file;
    ql_error err;
    assert_int_equal(ql_file_open(&file, "no/such/file.gguf", &err), QL_E_NOT_FOUND);
    assert_string_equal(err.message, "no/such/file.gguf: No such file or directory");
    assert_int_equal(ql_file_open(&file, ".", &err), QL_E_FORMAT);
    assert_string_equal(err.message, ".: is a directory, expected a model file");
    assert_int_equal(ql_file_open(&file, "/dev/zero", &err), QL_E_FORMAT);
}

typedef struct counters {
    ql_pool *pool;
    int n_workers;
    atomic_int total;
    int seen[8];
    atomic_int phase[3];
    int late;
} counters;

static void count_job(void *arg, int worker)
{
    counters *c = arg;
    c->seen[worker]++;
    for (int phase = 0; phase < 3; phase++) {
        atomic_fetch_add(&c->phase[phase], 1);
        ql_pool_barrier(c->pool, worker);
        if (atomic_load(&c->phase[phase]) % c->n_workers != 0)
            c->late++; // someone passed the barrier before the last one came
        ql_pool_barrier(c->pool, worker);
    }
    atomic_fetch_add(&c->total, 1);
}

static void pool_runs_every_worker_once(void **state)
{
    (void)state;
    for (int size = 1; size <= 5; size++) {
        counters c = {0};
        int total = 0, seen[8] = {0};
        assert_int_equal(ql_pool_new(&c.pool, size, NULL), QL_OK);
        for (int i = 0; i < 300; i++) {
            c.n_workers = 1 + i * 7 % size; // all numbers, up and down
            for (int phase = 0; phase < 3; phase++)
                c.phase[phase] = 0;
            ql_pool_run(c.pool, c.n_workers, count_job, &c);
            total += c.n_workers;
            for (int worker = 0; worker < c.n_workers; worker++)
                seen[worker]++;
        }
        assert_int_equal(c.total, total);
        assert_int_equal(c.late, 0);
        assert_memory_equal(c.seen, seen, sizeof seen);
        ql_pool_free(c.pool);
    }
    int threads = ql_default_threads();
    assert_true(threads >= 1 && threads <= 256);
}

// A machine of `size` cores that runs a job in 2 ms / threads + 0.3; `hogs` of its cores are taken: then a job with a
// thread on one of them takes 12 ms and sleeps through most of it. Returns the share of jobs that ran on `want` threads.
static double run_paced(ql_pace *p, double seconds, int hogs, int want)
{
    int jobs = 0, right = 0;
    for (double at = 0; at < seconds; jobs++) {
        bool late = p->n > p->size - hogs, blip = jobs % 50 == 49; // now and then a job is late for no reason
        double took = late ? 0.012 : 0.0003 + 0.002 / p->n + (blip ? 0.004 : 0), slept = late ? 0.009 : blip ? 0.004 : 0;
        right += p->n == want;
        at += took;
        ql_pace_ran(p, 1, took, slept);
    }
    return (double)right / jobs;
}

static void threads_follow_the_machine(void **state)
{
    (void)state;
    for (int size = 1; size <= 8; size++) {
        ql_pace p;
        ql_pace_init(&p, size);
        assert_true(run_paced(&p, 5, 0, size) > 0.97);
        if (size == 1)
            continue;
        assert_true(run_paced(&p, 5, 1, size - 1) > 0.9);
        assert_true(run_paced(&p, 20, 0, size) > 0.75); // patience has grown while the core was taken
        if (size > 3)
            assert_true(run_paced(&p, 10, 2, size - 2) > 0.85);
    }
}

static void a_trial_ends_with_its_kind(void **state)
{
    (void)state;
    ql_pace p;
    ql_pace_init(&p, 2);
    for (int i = 0; p.n == 2; i++) {
        ql_pace_ran(&p, 1, 0.01, 0.009);
        assert_true(i < 10);
    }
    ql_pace_ran(&p, 2, 0.5, 0); // another kind, which says nothing about the trial
    assert_int_equal(p.n, 2);
}

// Golden values: the numbers of a seed may never change from one release to the next.
static void random_numbers_are_fixed(void **state)
{
    (void)state;
    assert_true(ql_mix64(0) == 0xe220a8397b1dcdafu); // SplitMix64's published first output for seed 0
    double sum = 0;
    for (int i = 0; i < 100000; i++) {
        double r = ql_random(7, (uint64_t)i);
        assert_true(r >= 0 && r < 1);
        sum += r;
    }
    assert_true(sum > 49500 && sum < 50500);
    assert_true(ql_random(1, 2) != ql_random(2, 1));
    assert_true(ql_random_entropy() != ql_random_entropy());
}

// In a child: a limit can not be taken back.
static void address_space_is_a_limit(void **state)
{
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        FILE *file = fopen("/proc/self/statm", "r");
        unsigned long long pages = 0;
        bool ok = file && fscanf(file, "%llu", &pages) == 1;
        struct rlimit limit = {0, RLIM_INFINITY};
        limit.rlim_cur = pages * (rlim_t)sysconf(_SC_PAGESIZE) + ((rlim_t)1 << 30);
        ok = ok && setrlimit(RLIMIT_AS, &limit) == 0;
        uint64_t available = ql_memory_available();
        _exit(ok && available > ((uint64_t)900 << 20) && available < ((uint64_t)1 << 30) ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_escape_control_bytes), cmocka_unit_test(long_errors_are_cut_at_a_character),
        cmocka_unit_test(every_code_has_an_entry),     cmocka_unit_test(checked_arithmetic_overflows),
        cmocka_unit_test(arena_measures_what_it_gives), cmocka_unit_test(buffer_grows_and_hands_over),
        cmocka_unit_test(utf8_takes_exactly_rfc3629),  cmocka_unit_test(files_that_can_not_be_models),
        cmocka_unit_test(pool_runs_every_worker_once), cmocka_unit_test(threads_follow_the_machine),
        cmocka_unit_test(a_trial_ends_with_its_kind),  cmocka_unit_test(random_numbers_are_fixed),
        cmocka_unit_test(address_space_is_a_limit),
    };
    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
