// SPDX-License-Identifier: MIT
// Limits of a machine, from cgroup files made for the occasion: versions 1 and 2, groups in groups, containers.
#include "base/machine.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/pool.h"

static char root[64];

// Writes root/path, with the folders it needs.
static void put(const char *path, const char *text)
{
    char full[512];
    snprintf(full, sizeof full, "%s/%s", root, path);
    for (char *at = full + strlen(root) + 1; (at = strchr(at, '/')); *at++ = '/') {
        *at = 0;
        assert_true(mkdir(full, 0700) == 0 || errno == EEXIST);
    }
    FILE *file = fopen(full, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void begin(const char *groups)
{
    strcpy(root, "/tmp/quantllm-machine-XXXXXX");
    assert_non_null(mkdtemp(root));
    put("proc/self/cgroup", groups);
    put("proc/meminfo", "MemTotal:       16000000 kB\nMemFree:  1 kB\nMemAvailable:    8000000 kB\n");
}

static void end(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    assert_int_equal(system(command), 0);
}

static double quota(void)
{
    ql_cores cores;
    ql_cores_look(root, &cores);
    assert_in_range(cores.threads, 1, 256);
    assert_true(!cores.quota || cores.threads <= cores.quota + 1);
    return cores.quota;
}

static uint64_t group_memory(void)
{
    ql_memory memory;
    ql_memory_look(root, &memory);
    assert_int_equal(memory.total, (uint64_t)16000000 * 1024);
    assert_int_equal(memory.machine, (uint64_t)8000000 * 1024);
    return memory.cgroup;
}

static void no_limits(void **state)
{
    (void)state;
    begin("0::/user.slice\n");
    put("sys/fs/cgroup/user.slice/cpu.max", "max 100000\n");
    put("sys/fs/cgroup/user.slice/memory.max", "max\n");
    assert_true(quota() == 0);
    assert_int_equal(group_memory(), 0);
    end();
    begin("");
    assert_true(quota() == 0);
    assert_int_equal(group_memory(), 0);
    end();
}

static void version_2(void **state)
{
    (void)state;
    begin("0::/a.slice/b.scope\n");
    put("sys/fs/cgroup/a.slice/b.scope/cpu.max", "400000 100000\n");
    put("sys/fs/cgroup/a.slice/cpu.max", "150000 100000\n"); // the group above allows less
    put("sys/fs/cgroup/a.slice/b.scope/memory.max", "1000\n");
    put("sys/fs/cgroup/a.slice/b.scope/memory.current", "900\n");
    put("sys/fs/cgroup/a.slice/b.scope/memory.stat", "anon 1\ninactive_file 300\nactive_file 7\n");
    put("sys/fs/cgroup/a.slice/memory.max", "5000\n");
    put("sys/fs/cgroup/a.slice/memory.current", "4999\n");
    assert_true(quota() == 1.5);
    assert_int_equal(group_memory(), 1);
    put("sys/fs/cgroup/a.slice/memory.current", "100\n");
    assert_int_equal(group_memory(), 400); // pages of files that are not used count as free
    end();
}

static void version_1(void **state)
{
    (void)state;
    begin("12:cpuset:/other\n4:memory:/docker/x\n3:cpu,cpuacct:/docker/x\n0::/system.slice\n");
    put("sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_quota_us", "50000\n");
    put("sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_period_us", "100000\n");
    put("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
    put("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
    put("sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes", "2000\n");
    put("sys/fs/cgroup/memory/docker/x/memory.usage_in_bytes", "500\n");
    put("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"); // its word for no limit
    put("sys/fs/cgroup/memory/memory.usage_in_bytes", "500\n");
    assert_true(quota() == 0.5);
    assert_int_equal(group_memory(), 1500);
    end();
    begin("3:cpu,cpuacct:/\n");
    put("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "300000\n"); // the usual link
    put("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
    assert_true(quota() == 3);
    end();
}

// A container sees its own group as the root, under the name that the host gives it.
static void container(void **state)
{
    (void)state;
    begin("0::/kubepods/pod1/c1\n");
    put("sys/fs/cgroup/cpu.max", "200000 100000\n");
    put("sys/fs/cgroup/memory.max", "4096\n");
    put("sys/fs/cgroup/memory.current", "96\n");
    assert_true(quota() == 2);
    assert_int_equal(group_memory(), 4000);
    end();
}

static void broken_files(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "\n", "x", "0 100000", "100000", "100000 0", "-5 100000", "99999999999999999999 1"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        begin("0::/g\nrubbish\n::\n5:cpu\n");
        put("sys/fs/cgroup/g/cpu.max", texts[i]);
        put("sys/fs/cgroup/g/memory.max", texts[i]);
        quota();
        group_memory();
        end();
    }
}

// Siblings "0,1" or "0-1" are one core; who may use only the second of them has a core too.
static void threads_of_cores(void **state)
{
    (void)state;
    cpu_set_t before, one;
    ql_cores all, first;
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    int cpu = 0;
    while (!CPU_ISSET(cpu, &before))
        cpu++;
    begin("");
    for (int i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &before)) {
            char path[96];
            snprintf(path, sizeof path, "sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", i);
            put(path, "0-1023\n"); // all CPUs are one core
        }
    ql_cores_look(root, &all);
    assert_int_equal(all.allowed, CPU_COUNT(&before));
    assert_int_equal(all.cores, 1);
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    ql_cores_look("", &first);
    assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
    assert_true(first.allowed == 1 && first.cores == 1 && first.threads == 1);
    end();
}

static void this_machine(void **state)
{
    (void)state;
    ql_memory memory;
    ql_memory_look("", &memory);
    assert_true(memory.available > 0 && memory.available <= memory.total);
    assert_true(ql_measure_bandwidth(ql_default_threads()) > 1e8);
}

static void areas_are_read(void **state)
{
    (void)state;
    static uint64_t data[3][1 << 16];
    const ql_area areas[] = {{data[0], sizeof data[0]}, {data[1], 255}, {data[2], sizeof data[2] - 8}};
    for (int threads = 1; threads <= 3; threads++) // nothing behind an area is read: 255 bytes are less than one stride
        assert_true(ql_measure_reads(areas, 3, threads) > 1e8);
    assert_true(ql_measure_reads(areas, 0, 1) == 0);
    assert_true(ql_measure_reads(areas + 1, 1, 1) == 0);
}

static void pages_of_a_mapping(void **state)
{
    (void)state;
    ql_pages pages;
    static const char in_file[] = "of the program";
    char path[] = "/tmp/quantllm-pages-XXXXXX";
    size_t bytes = (size_t)1 << 20;
    int fd = mkstemp(path);
    assert_true(fd >= 0 && unlink(path) == 0 && ftruncate(fd, (off_t)bytes) == 0);
    char *file = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(file != MAP_FAILED && memory != MAP_FAILED);
    memset(memory, 1, bytes);
    assert_true(ql_pages_look(in_file, &pages) && pages.file && pages.resident > 0);
    assert_true(ql_pages_look(file + bytes - 1, &pages) && pages.file);
    assert_true(ql_pages_look(memory + bytes / 2, &pages) && !pages.file);
    assert_true(pages.resident >= bytes && pages.huge <= pages.resident);
    assert_false(ql_pages_look(NULL, &pages));
    assert_true(!pages.file && pages.resident == 0);
    munmap(file, bytes);
    munmap(memory, bytes);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_limits),     cmocka_unit_test(version_2),        cmocka_unit_test(version_1),
        cmocka_unit_test(container),     cmocka_unit_test(broken_files),     cmocka_unit_test(threads_of_cores),
        cmocka_unit_test(this_machine),  cmocka_unit_test(areas_are_read),  cmocka_unit_test(pages_of_a_mapping),
    };
    return cmocka_run_group_tests_name("machine", tests, NULL, NULL);
}
