// SPDX-License-Identifier: MIT
// ql_doctor: what this machine has, what limits it, and what follows. Must not know models. Facts are gathered by the rooms
// that act on them, so what is told is what will be done.
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <unistring/version.h>

#include "base/machine.h"
#include "engine/engine.h"

static const double gib = 1 << 30;

__attribute__((format(printf, 2, 3))) static void advise(json_t *advice, const char *fmt, ...)
{
    char line[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    json_array_append_new(advice, json_string(line));
}

// Paths and names of the system, which need not be UTF-8.
static json_t *text(const char *s)
{
    json_t *string = s ? json_string(s) : json_null();
    return string ? string : json_string("(not UTF-8)");
}

static json_t *bytes(uint64_t n) { return n ? json_integer((json_int_t)n) : json_null(); }

// The rest of the first line that begins so, after ": "; false: there is none.
static bool find_line(const char *path, const char *begin, char *out, size_t size)
{
    char line[512];
    FILE *file = fopen(path, "re");
    bool found = false;
    while (file && !found && fgets(line, sizeof line, file)) {
        const char *colon = strchr(line, ':'), *value = !*begin ? line : colon ? colon + 1 : "";
        found = strncmp(line, begin, strlen(begin)) == 0;
        if (found)
            snprintf(out, size, "%.*s", (int)strcspn(value + strspn(value, " \t"), "\n"), value + strspn(value, " \t"));
    }
    if (file)
        fclose(file);
    return found;
}

// ---- cpu ----

static json_t *level_of(const char *name, const char *used)
{
    char why[96];
    const char *missing = ql_kernels_lacks(name);
    bool is_used = strcmp(name, used) == 0;
    snprintf(why, sizeof why, "%s%s", missing ? "the CPU has no " : is_used ? "used" : "another is used", missing ? missing : "");
    return json_pack("{s:s, s:b, s:b, s:s}", "level", name, "there", missing == NULL, "used", is_used, "why",
                     why);
}

static json_t *look_at_cpu(json_t *advice)
{
    static const char *const names[] = {"scalar", "avx2", "avx512"};
    char model[256] = "unknown", governor[64] = "";
    const char *cap = getenv("QUANTLLM_ISA");
    const ql_kernels *best = ql_kernels_get(NULL), *used = ql_kernels_get(cap);
    json_t *levels = json_array();
    find_line("/proc/cpuinfo", "model name", model, sizeof model);
    for (int i = 0; i < 3; i++)
        json_array_append_new(levels, level_of(names[i], used ? used->name : ""));
    if (!used)
        advise(advice, "QUANTLLM_ISA is \"%s\": no model will load; unset it, or set scalar, avx2 or avx512", cap);
    else if (used != best)
        advise(advice, "QUANTLLM_ISA=%s keeps %s from being used, results are the same: unset it to be faster", cap,
               best->name);
    if (best == ql_kernels_get("scalar"))
        advise(advice, "no AVX2 here (%s is missing): generation is several times slower", ql_kernels_lacks("avx2"));
    if (find_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "", governor, sizeof governor) &&
        strcmp(governor, "powersave") == 0)
        advise(advice, "the CPU's frequency governor is powersave: performance may be faster");
    return json_pack("{s:o, s:s?, s:s?, s:o}", "name", text(model), "level", used ? used->name : NULL, "cap", cap,
                     "levels", levels);
}

// ---- threads ----

static json_t *look_at_threads(const ql_cores *c, json_t *advice)
{
    char why[256];
    double load[1];
    bool limited = c->threads < c->cores;
    snprintf(why, sizeof why, "%d physical core%s among the %d of %d CPUs that affinity allows%s", c->cores,
             c->cores == 1 ? "" : "s", c->allowed, c->online, limited ? "; the cgroup's quota allows fewer" : "");
    if (limited)
        advise(advice, "a cgroup allows %.2f of %d cores: more of cpu.max is more speed", c->quota, c->cores);
    if (c->allowed && c->allowed < c->online)
        advise(advice, "affinity allows %d of %d CPUs (taskset, cpuset): the others are not used", c->allowed, c->online);
    if (getloadavg(load, 1) == 1 && load[0] > 0.5 * c->cores)
        advise(advice, "other programs are busy (a load of %.1f): generation shares the cores with them", load[0]);
    return json_pack("{s:i, s:s, s:i, s:i, s:i, s:o}", "default", c->threads, "why", why, "online", c->online, "allowed",
                     c->allowed, "cores", c->cores, "quota", c->quota > 0 ? json_real(c->quota) : json_null());
}

// ---- memory ----

static json_t *look_at_memory(json_t *advice)
{
    ql_memory m;
    char pages[128] = "";
    ql_memory_look("", &m);
    if (m.available && m.available < (uint64_t)1 << 30)
        advise(advice, "%.2f GiB of memory are free: only small models fit", (double)m.available / gib);
    if (m.cgroup && m.cgroup == m.available && m.cgroup < m.machine / 2)
        advise(advice, "a cgroup leaves %.2f GiB of %.2f GiB that are free: raise memory.max for larger models",
               (double)m.cgroup / gib, (double)m.machine / gib);
    if (m.address_space && m.address_space == m.available)
        advise(advice, "ulimit -v leaves %.2f GiB of address space, model files included: raise it for larger models",
               (double)m.address_space / gib);
    if (find_line("/sys/kernel/mm/transparent_hugepage/enabled", "", pages, sizeof pages) && strstr(pages, "[never]"))
        advise(advice, "transparent huge pages are off: decoding loses some speed; madvise is enough");
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "total", bytes(m.total), "available", bytes(m.available), "machine",
                     bytes(m.machine), "cgroup", bytes(m.cgroup), "address_space", bytes(m.address_space));
}

static json_t *look_at_bandwidth(bool measure, int threads, json_t *advice)
{
    double speed = measure ? ql_measure_bandwidth(threads) : 0;
    if (measure && speed == 0)
        advise(advice, "the bandwidth of memory could not be measured: there is no memory for it");
    if (speed > 0 && speed < 8e9)
        advise(advice, "memory is read at %.1f GB/s: a model of 1 GB decodes at most %.0f tokens per second", speed / 1e9,
               speed / 1e9);
    return speed > 0 ? json_real(round(speed)) : json_null();
}

// ---- the packed cache ----

static json_t *look_at_cache(json_t *advice)
{
    char *dir = ql_packed_dir();
    ql_packed_entry *entries = NULL;
    size_t n = 0;
    uint64_t used = 0, space = 0, cap = ql_packed_cap();
    if (!dir) {
        advise(advice, "the cache of packed weights is off: each start of a model that is quantized on load quantizes it "
                       "again");
        return json_null();
    }
    if (ql_packed_list(&entries, &n, NULL) != QL_OK)
        n = 0;
    for (size_t i = 0; i < n; i++)
        used += entries[i].bytes;
    bool known = ql_disk_free(dir, &space), writable = access(dir, W_OK) == 0 || errno == ENOENT;
    if (!writable)
        advise(advice, "the cache of packed weights can not be written (%s): each start quantizes again", dir);
    else if (known && space < (uint64_t)2 << 30)
        advise(advice, "%.2f GiB of disk are free for packed weights in %s: set QUANTLLM_CACHE to a place with more",
               (double)space / gib, dir);
    json_t *cache = json_pack("{s:o, s:I, s:I, s:I, s:o, s:b}", "folder", text(dir), "files", (json_int_t)n, "bytes",
                              (json_int_t)used, "cap", (json_int_t)cap, "free",
                              known ? json_integer((json_int_t)space) : json_null(), "writable", writable);
    ql_free(entries);
    ql_free(dir);
    return cache;
}

// ---- versions ----

static json_t *look_at_versions(void)
{
#if defined(__clang__)
    static const char compiler[] = __VERSION__; // "Clang 17.0.1"
#else
    static const char compiler[] = "GCC " __VERSION__;
#endif
    char pcre[64] = "", unistring[32], host[256] = "";
    struct utsname system;
    pcre2_config(PCRE2_CONFIG_VERSION, pcre);
    snprintf(unistring, sizeof unistring, "%d.%d", _libunistring_version >> 16, _libunistring_version >> 8 & 0xff);
    if (uname(&system) == 0)
        snprintf(host, sizeof host, "%s %s %s", system.sysname, system.release, system.machine);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "quantllm", ql_version(), "compiler",
                     compiler, "jansson",
                     jansson_version_str(), "pcre2", pcre, "libunistring", unistring, "system", host);
}

// ---- all of it ----

double ql_read_bandwidth(int threads) { return ql_measure_bandwidth(threads); }

ql_code ql_doctor(bool measure, char **json, size_t *len, ql_error *err)
{
    ql_cores cores;
    ql_cores_look("", &cores);
    json_t *advice = json_array(), *cpu = look_at_cpu(advice), *threads = look_at_threads(&cores, advice);
    json_t *memory = look_at_memory(advice), *speed = look_at_bandwidth(measure, cores.threads, advice);
    json_t *cache = look_at_cache(advice);
    json_t *all = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "cpu", cpu, "threads", threads, "memory", memory,
                            "bandwidth", speed, "packed_cache", cache, "versions", look_at_versions(), "advice", advice);
    *json = all ? json_dumps(all, 0) : NULL;
    json_decref(all);
    if (!*json)
        return ql_fail_memory(err, 4096);
    *len = strlen(*json);
    return QL_OK;
}
