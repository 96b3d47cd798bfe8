// SPDX-License-Identifier: MIT
// quantllm doctor: what the library says of this machine, and the Hub's cache, on one screen. It must not measure anything
// itself. Lines are at most 100 columns; what is longer goes on below.
#include "models.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { KEY_FAST = 0x500, WIDTH = 100, LABEL = 14 };

typedef struct doctor_options {
    cli_parse parse; // first: it is what parse_doctor() gets
    cli_options shared;
    bool fast;
} doctor_options;

static error_t parse_doctor(int key, char *arg, struct argp_state *state)
{
    doctor_options *o = state->input;
    if (key == KEY_FAST) {
        o->fast = true;
        return 0;
    }
    return key == ARGP_KEY_ARG ? cli_parse_error(&o->shared, "doctor takes no model; quantllm verify %s looks at one", arg)
                               : cli_parse_store(key, arg, state, false);
}

static const struct argp_option doctor_argp_options[] = {
    {"json", CLI_KEY_JSON, NULL, 0, "Print one JSON object, sizes in bytes", 0},
    {"fast", KEY_FAST, NULL, 0, "Do not measure the bandwidth of memory", 0},
    {"help", 'h', NULL, 0, "This help", -1},
    {0},
};
static const struct argp doctor_argp = {
    doctor_argp_options, parse_doctor, NULL,
    "Say what models will meet on this machine: CPU, threads, memory and its bandwidth, caches, versions, and what would be "
    "slow or wrong.\vExamples:\n"
    "  quantllm doctor\n"
    "  quantllm doctor --json",
    NULL, NULL, NULL};

// ---- the Hub's cache ----

static void advise_of_hub(const hub_settings *s, bool known, uint64_t space, json_t *advice)
{
    char *line = NULL, size[32];
    cli_size(space, size);
    if (s->offline)
        json_array_append_new(advice, json_string("HF_HUB_OFFLINE is set: nothing is downloaded"));
    int made = access(s->cache, W_OK) != 0 && errno != ENOENT
                   ? asprintf(&line, "the Hub's cache can not be written (%s): set HF_HOME to a place that can", s->cache)
               : known && space < (uint64_t)5 << 30
                   ? asprintf(&line, "%s of disk are free for downloads in %s: set HF_HOME to a place with more", size,
                              s->cache)
                   : -1;
    if (made >= 0)
        json_array_append_new(advice, cli_json_text(line));
    free(line);
}

static json_t *look_at_hub(json_t *advice)
{
    hub_settings settings = {0};
    hub_stored stored = {0};
    ql_error err = {0};
    uint64_t used = 0, space = 0;
    json_t *hub = NULL;
    if (hub_settings_read(&settings, &err) != QL_OK || hub_stored_read(&settings, NULL, &stored, &err) != QL_OK) {
        json_array_append_new(advice, cli_json_text(err.message));
    } else {
        bool known = hub_free_space(&settings, &space);
        for (size_t i = 0; i < stored.n; i++)
            used += stored.repos[i].bytes;
        advise_of_hub(&settings, known, space, advice);
        hub = json_pack("{s:o, s:o, s:I, s:I, s:o, s:b}", "folder", cli_json_text(settings.cache), "endpoint",
                        cli_json_text(settings.endpoint), "models", (json_int_t)stored.n, "bytes", (json_int_t)used, "free",
                        known ? json_integer((json_int_t)space) : json_null(), "offline", settings.offline);
    }
    hub_stored_free(&stored);
    hub_settings_free(&settings);
    return hub ? hub : json_null();
}

// ---- text ----

// A label and text, broken at blanks.
static void print(const char *label, const char *text)
{
    cli_text out = {0};
    cli_append_string(&out, label);
    for (size_t used = strlen(label); used < LABEL; used++)
        cli_append(&out, " ", 1);
    while (*text) {
        size_t len = strlen(text), most = WIDTH - LABEL, end = len;
        if (len > most) {
            for (end = most; end && text[end] != ' ';)
                end--;
            end = end ? end : most;
        }
        cli_append(&out, text, end);
        text += end;
        text += *text == ' ';
        cli_append_string(&out, *text ? "\n              " : "");
    }
    cli_append(&out, "\n", 1);
    cli_print_model(out.data, out.len); // names of the system may hold anything
    cli_release(&out);
}

__attribute__((format(printf, 2, 3))) static void line(const char *label, const char *fmt, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, fmt);
    if (vasprintf(&text, fmt, args) >= 0)
        print(label, text);
    va_end(args);
    free(text);
}

static const char *string_of(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? text : "";
}

static int int_of(const json_t *o, const char *key) { return (int)json_integer_value(json_object_get(o, key)); }

// "21.9 GiB", or none.
static void gib_of(const json_t *o, const char *key, const char *none, char text[32])
{
    json_int_t n = json_integer_value(json_object_get(o, key));
    if (n)
        snprintf(text, 32, "%.1f GiB", (double)n / (1 << 30));
    else
        snprintf(text, 32, "%s", none);
}

static void print_cpu(const json_t *cpu)
{
    char why[256] = "";
    size_t i;
    json_t *level;
    json_array_foreach(json_object_get(cpu, "levels"), i, level)
        if (i && !json_is_true(json_object_get(level, "used")) && !json_is_true(json_object_get(level, "there")))
            snprintf(why + strlen(why), sizeof why - strlen(why), "; %s not: %s", string_of(level, "level"),
                     string_of(level, "why"));
    line("cpu", "%s", string_of(cpu, "name"));
    line("level", "%s%s%s%s", *string_of(cpu, "level") ? string_of(cpu, "level") : "none",
         json_is_string(json_object_get(cpu, "cap")) ? ", capped by QUANTLLM_ISA=" : "", string_of(cpu, "cap"), why);
}

static void print_cache(const char *label, const json_t *cache, const char *count, const char *what)
{
    char used[32], space[32], cap[48] = "";
    if (!json_is_object(cache)) {
        line(label, "off");
        return;
    }
    json_int_t most = json_integer_value(json_object_get(cache, "cap"));
    cli_size((uint64_t)json_integer_value(json_object_get(cache, "bytes")), used);
    cli_size((uint64_t)json_integer_value(json_object_get(cache, "free")), space);
    if (most)
        snprintf(cap, sizeof cap, " of at most %.0f GiB", (double)most / (1 << 30));
    line(label, "%d %s%s, %s%s, %s free, in %s", int_of(cache, count), what, int_of(cache, count) == 1 ? "" : "s", used, cap,
         space, string_of(cache, "folder"));
}

static void print_text(const json_t *all)
{
    const json_t *threads = json_object_get(all, "threads"), *memory = json_object_get(all, "memory");
    const json_t *versions = json_object_get(all, "versions"), *speed = json_object_get(all, "bandwidth");
    char available[32], total[32], cgroup[32], space[32];
    size_t i;
    json_t *sentence;
    gib_of(memory, "available", "unknown", available);
    gib_of(memory, "total", "unknown", total);
    gib_of(memory, "cgroup", "no limit", cgroup);
    gib_of(memory, "address_space", "no limit", space);
    line("quantllm", "%s, compiled by %s, with jansson %s, PCRE2 %s, libunistring %s", string_of(versions, "quantllm"),
         string_of(versions, "compiler"), string_of(versions, "jansson"), string_of(versions, "pcre2"),
         string_of(versions, "libunistring"));
    line("system", "%s", string_of(versions, "system"));
    print_cpu(json_object_get(all, "cpu"));
    line("threads", "%d: %s", int_of(threads, "default"), string_of(threads, "why"));
    line("memory", "%s available of %s; cgroup: %s; ulimit -v: %s", available, total, cgroup, space);
    if (json_is_real(speed))
        line("bandwidth", "%.1f GB/s read by %d thread%s: a model of 1 GB decodes at most %.0f tokens per second",
             json_real_value(speed) / 1e9, int_of(threads, "default"), int_of(threads, "default") == 1 ? "" : "s",
             json_real_value(speed) / 1e9);
    print_cache("Hub cache", json_object_get(all, "hub"), "models", "model");
    print_cache("packed cache", json_object_get(all, "packed_cache"), "files", "file");
    json_array_foreach(json_object_get(all, "advice"), i, sentence)
        print(i ? "" : "advice", json_string_value(sentence));
    if (json_array_size(json_object_get(all, "advice")) == 0)
        print("advice", "none: nothing here is slow or wrong");
}

// ---- the verb ----

static int look(const doctor_options *o)
{
    ql_error err = {0};
    char *text = NULL;
    size_t len = 0;
    if (ql_doctor(!o->fast, &text, &len, &err) != QL_OK)
        return cli_fail(&err);
    json_t *all = json_loadb(text, len, 0, NULL);
    ql_free(text);
    json_object_set_new(all, "hub", look_at_hub(json_object_get(all, "advice")));
    if (o->shared.json) {
        cli_print_object(all);
        return CLI_OK;
    }
    print_text(all);
    json_decref(all);
    return CLI_OK;
}

int cli_doctor(int argc, char **argv)
{
    doctor_options options = {.parse = {.argp = &doctor_argp, .name = "doctor"}};
    options.parse.options = &options.shared;
    cli_options_init(&options.shared);
    cli_signals_install(false);
    int code = cli_parse_arguments(&options.parse, argc, argv) ? look(&options) : options.shared.status;
    cli_options_release(&options.shared);
    return code;
}
