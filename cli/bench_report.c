// SPDX-License-Identifier: MIT
// Owns the three forms of a benchmark's result. It must not know how it was measured.
// Names and units of fields are llama-bench's where both have them, so that its readers read ours.
#include "bench.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct summary {
    double avg_ns, stddev_ns, avg_ts, stddev_ts;
    double reads, macs;  // bytes of weights and multiply-adds with them, per second
    bool memory;         // the memory's limit is nearer than the kernels'
    double part;         // of the nearer limit that was reached; 0: it was not measured
} summary;

static int test_tokens(const bench_test *test) { return test->n_prompt ? test->n_prompt : test->n_gen * test->n_seqs; }

static void mean_and_deviation(const double *values, int n, double *mean, double *deviation)
{
    double sum = 0, squares = 0;
    for (int i = 0; i < n; i++)
        sum += values[i];
    *mean = sum / n;
    for (int i = 0; i < n; i++)
        squares += (values[i] - *mean) * (values[i] - *mean);
    *deviation = n > 1 ? sqrt(squares / (n - 1)) : 0;
}

// A run reads the weights at least once, in decoding once a step, and multiplies them with every token: the limit of its speed
// is the slower of the two (Williams et al. 2009). Attention is in neither, so that a long context lowers the part reached.
static void place_under_roof(const bench_result *result, const bench_test *test, summary *s)
{
    const ql_roof *roof = &result->roof;
    double tokens = test_tokens(test), runs = s->avg_ts / tokens; // per second
    double bytes = (double)result->info.bytes_per_token * (test->n_gen ? test->n_gen : 1);
    double macs = (double)roof->layer_macs * tokens + (double)roof->output_macs * (test->n_gen ? tokens : 1);
    s->reads = bytes * runs;
    s->macs = macs * runs;
    double of_memory = roof->weight_reads > 0 ? s->reads / roof->weight_reads : 0;
    double of_kernels = roof->kernel_macs > 0 ? s->macs / roof->kernel_macs : 0;
    s->memory = of_memory > of_kernels;
    s->part = s->memory ? of_memory : of_kernels;
}

static summary summarize(const bench_result *result, const bench_test *test)
{
    summary s = {0};
    int n = result->repetitions;
    double *rates = cli_alloc((size_t)n * sizeof *rates);
    for (int i = 0; i < n; i++)
        rates[i] = cli_rate((uint64_t)test_tokens(test), test->seconds[i]);
    mean_and_deviation(test->seconds, n, &s.avg_ns, &s.stddev_ns);
    mean_and_deviation(rates, n, &s.avg_ts, &s.stddev_ts);
    s.avg_ns *= 1e9;
    s.stddev_ns *= 1e9;
    free(rates);
    place_under_roof(result, test, &s);
    return s;
}

// "model name" of /proc/cpuinfo, or an empty string.
static void cpu_name(char *name, size_t size)
{
    char line[512];
    FILE *file = fopen("/proc/cpuinfo", "re");
    name[0] = 0;
    while (file && fgets(line, sizeof line, file)) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !colon)
            continue;
        colon[1 + strcspn(colon + 1, "\n")] = 0;
        snprintf(name, size, "%s", colon + 1 + strspn(colon + 1, " "));
        break;
    }
    if (file)
        fclose(file);
}

static void model_type(const ql_model_info *info, char *text, size_t size)
{
    char count[32];
    cli_parameter_count(info->n_params, count, sizeof count);
    snprintf(text, size, "%s %s %s", info->architecture, count, info->quantization);
}

static void add_number(json_t *row, const char *name, double value, bool known)
{
    json_object_set_new(row, name, known ? json_real(value) : json_null());
}

// What is the limit of one kind of test alone is null in the other; a part of a limit that was not measured too.
static void add_roof(json_t *row, const bench_result *result, const bench_test *test, const summary *s)
{
    const ql_roof *roof = &result->roof;
    bool decode = test->n_gen, reads = roof->weight_reads > 0, macs = roof->kernel_macs > 0, dots = roof->dot_macs > 0;
    add_number(row, "gb_per_s", s->reads / 1e9, decode);
    add_number(row, "read_bandwidth_gb_s", roof->weight_reads / 1e9, reads);
    add_number(row, "bandwidth_fraction", s->reads / roof->weight_reads, reads && decode);
    add_number(row, "huge_page_bandwidth_gb_s", roof->huge_reads / 1e9, roof->huge_reads > 0);
    json_object_set_new(row, "weight_mapping", reads ? json_string(roof->from_file ? "file" : "anonymous") : json_null());
    add_number(row, "huge_page_fraction", roof->huge_part, reads);
    add_number(row, "gmac_per_s", s->macs / 1e9, s->macs > 0);
    add_number(row, "kernel_gmac_per_s", roof->kernel_macs / 1e9, macs);
    add_number(row, "kernel_fraction", s->macs / roof->kernel_macs, macs && !decode);
    add_number(row, "dot_gmac_per_s", roof->dot_macs / 1e9, dots);
    add_number(row, "dot_fraction", s->macs / roof->dot_macs, dots && !decode);
    json_object_set_new(row, "roofline_bound", s->part > 0 ? json_string(s->memory ? "memory" : "kernels") : json_null());
    add_number(row, "roofline_fraction", s->part, s->part > 0);
}

// One row's fields in their order; samples only where a value may be an array.
static json_t *row_object(const bench_result *result, const bench_test *test, bool samples)
{
    const ql_model_info *info = &result->info;
    summary s = summarize(result, test);
    char cpu[256], type[128];
    cpu_name(cpu, sizeof cpu);
    model_type(info, type, sizeof type);
    json_t *row = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:i, s:i, s:i, s:i, s:i, s:s}", "version", ql_version(), "cpu_info", cpu,
        "isa", info->isa, "kv_cache", info->kv_cache, "model_filename", result->path, "model_type", type, "model_size",
        (json_int_t)info->file_bytes, "model_n_params", (json_int_t)info->n_params, "n_threads", info->threads,
        "n_prompt", test->n_prompt, "n_gen", test->n_gen, "n_depth", test->n_depth, "n_seqs",
        test->n_seqs, "test_time", test->time);
    if (!row)
        return NULL;
    json_object_set_new(row, "avg_ns", json_integer((json_int_t)s.avg_ns));
    json_object_set_new(row, "stddev_ns", json_integer((json_int_t)s.stddev_ns));
    json_object_set_new(row, "avg_ts", json_real(s.avg_ts));
    json_object_set_new(row, "stddev_ts", json_real(s.stddev_ts));
    add_roof(row, result, test, &s);
    json_object_set_new(row, "bytes_per_token", json_integer((json_int_t)info->bytes_per_token));
    json_object_set_new(row, "peak_memory_bytes",
                        result->peak_bytes ? json_integer((json_int_t)result->peak_bytes) : json_null());
    json_object_set_new(row, "load_seconds", json_real(info->load_seconds));
    json_object_set_new(row, "from_cache", json_boolean(info->from_cache));
    if (!samples)
        return row;
    json_t *ns = json_array(), *ts = json_array();
    for (int i = 0; i < result->repetitions; i++) {
        json_array_append_new(ns, json_integer((json_int_t)(test->seconds[i] * 1e9)));
        json_array_append_new(ts, json_real(cli_rate((uint64_t)test_tokens(test), test->seconds[i])));
    }
    json_object_set_new(row, "samples_ns", ns);
    json_object_set_new(row, "samples_ts", ts);
    return row;
}

static void print_json(const bench_result *result)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < result->n_tests; i++)
        json_array_append_new(rows, row_object(result, &result->tests[i], true));
    json_dumpf(rows, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(10));
    printf("\n");
    json_decref(rows);
}

static void print_csv_value(const json_t *value)
{
    if (json_is_string(value)) {
        putchar('"');
        for (const char *c = json_string_value(value); *c; c++)
            printf(*c == '"' ? "\"\"" : "%c", *c);
        putchar('"');
    } else if (!json_is_null(value)) {
        json_dumpf(value, stdout, JSON_ENCODE_ANY | JSON_REAL_PRECISION(10));
    }
}

static void print_csv(const bench_result *result)
{
    for (size_t i = 0; i < result->n_tests; i++) {
        json_t *row = row_object(result, &result->tests[i], false), *value;
        const char *key;
        bool first = true;
        if (i == 0)
            json_object_foreach(row, key, value) {
                printf(first ? "%s" : ",%s", key);
                first = false;
            }
        printf(i == 0 ? "\n" : "");
        first = true;
        json_object_foreach(row, key, value) {
            printf(first ? "" : ",");
            print_csv_value(value);
            first = false;
        }
        printf("\n");
        json_decref(row);
    }
}

// ---- markdown ----

enum { N_COLUMNS = 8, MAX_CELL = 160 };
static const char *const column_names[N_COLUMNS] = {"model", "size", "params", "backend", "threads", "test", "t/s", "roofline"};
static const bool is_text_column[N_COLUMNS] = {true, false, false, true, false, false, false, false};
typedef char table_row[N_COLUMNS][MAX_CELL];

// Characters of a UTF-8 text, of which printf counts the bytes.
static int n_characters(const char *text)
{
    int n = 0;
    for (; *text; text++)
        n += (*text & 0xc0) != 0x80;
    return n;
}

static void fill_row(const bench_result *result, const bench_test *test, const summary *s, table_row row)
{
    const ql_model_info *info = &result->info;
    model_type(info, row[0], MAX_CELL);
    snprintf(row[1], MAX_CELL, "%.2f MiB", (double)info->file_bytes / (1 << 20));
    snprintf(row[2], MAX_CELL, "%.2f M", (double)info->n_params / 1e6);
    snprintf(row[3], MAX_CELL, "CPU %s", info->isa);
    snprintf(row[4], MAX_CELL, "%d", info->threads);
    char seqs[16] = "", depth[16] = "";
    if (test->n_seqs > 1)
        snprintf(seqs, sizeof seqs, " x %d", test->n_seqs);
    if (test->n_depth)
        snprintf(depth, sizeof depth, " @ d%d", test->n_depth);
    snprintf(row[5], MAX_CELL, "%s%d%s%s", test->n_prompt ? "pp" : "tg", test->n_prompt ? test->n_prompt : test->n_gen, seqs,
             depth);
    snprintf(row[6], MAX_CELL, "%.2f ± %.2f", s->avg_ts, s->stddev_ts);
    if (s->part > 0)
        snprintf(row[7], MAX_CELL, "%.0f %% of %s", 100 * s->part, s->memory ? "memory" : "kernels");
    else
        snprintf(row[7], MAX_CELL, "-");
}

static void print_row(char cells[N_COLUMNS][MAX_CELL], const int width[N_COLUMNS])
{
    for (int c = 0; c < N_COLUMNS; c++) {
        int pad = width[c] - n_characters(cells[c]);
        if (is_text_column[c])
            printf("| %s%*s ", cells[c], pad, "");
        else
            printf("| %*s%s ", pad, "", cells[c]);
    }
    printf("|\n");
}

// Columns are as wide as their widest cell: no speed and no name makes the table crooked.
static void print_table(table_row *rows, size_t n_rows)
{
    int width[N_COLUMNS] = {0};
    table_row rule;
    for (int c = 0; c < N_COLUMNS; c++) {
        snprintf(rows[0][c], MAX_CELL, "%s", column_names[c]);
        for (size_t i = 0; i < n_rows; i++)
            width[c] = n_characters(rows[i][c]) > width[c] ? n_characters(rows[i][c]) : width[c];
        memset(rule[c], '-', (size_t)width[c]);
        rule[c][width[c]] = 0;
        if (!is_text_column[c])
            rule[c][width[c] - 1] = ':';
    }
    for (size_t i = 0; i < n_rows; i++) {
        print_row(rows[i], width);
        if (i == 0)
            print_row(rule, width);
    }
}

// The limits, each with the best that a test above reached of it.
static void print_roof(const bench_result *result)
{
    const ql_roof *roof = &result->roof;
    double reads = 0, macs = 0;
    for (size_t i = 0; i < result->n_tests; i++) {
        summary s = summarize(result, &result->tests[i]);
        if (result->tests[i].n_gen && s.reads > reads)
            reads = s.reads;
        if (!result->tests[i].n_gen && s.macs > macs)
            macs = s.macs;
    }
    if (reads > 0)
        printf("decode reads   %.2f GB/s (%.1f MB of weights a token)\n", reads / 1e9,
               (double)result->info.bytes_per_token / 1e6);
    if (roof->weight_reads > 0)
        printf("memory reads   %.2f GB/s, the weights alone, with %d thread%s (%s, %.0f %% on huge pages)\n",
               roof->weight_reads / 1e9, result->info.threads, result->info.threads == 1 ? "" : "s",
               roof->from_file ? "mapped from a file" : "anonymous memory", 100 * roof->huge_part);
    if (roof->huge_reads > 0)
        printf("huge pages     %.2f GB/s, anonymous memory\n", roof->huge_reads / 1e9);
    if (macs > 0)
        printf("prompt         %.1f GMAC/s with weights\n", macs / 1e9);
    if (roof->kernel_macs > 0)
        printf("kernels        %.1f GMAC/s on operands in the caches\n", roof->kernel_macs / 1e9);
    if (roof->dot_macs > 0)
        printf("dot products   %.1f GMAC/s, the instructions alone: prompts are at %.0f %% of it\n", roof->dot_macs / 1e9, 100 * macs / roof->dot_macs);
}

static void print_md(const bench_result *result)
{
    table_row *rows = cli_alloc((result->n_tests + 1) * sizeof *rows);
    for (size_t i = 0; i < result->n_tests; i++) {
        summary s = summarize(result, &result->tests[i]);
        fill_row(result, &result->tests[i], &s, rows[i + 1]);
    }
    print_table(rows, result->n_tests + 1);
    free(rows);
    printf("\n");
    print_roof(result);
    if (result->peak_bytes)
        printf("peak memory    %.1f MiB\n", (double)result->peak_bytes / (1 << 20));
    printf("load           %.3f s\n", result->info.load_seconds);
}

void cli_bench_print(const bench_result *result, bench_format format)
{
    switch (format) {
    case BENCH_MD:
        print_md(result);
        break;
    case BENCH_JSON:
        print_json(result);
        break;
    case BENCH_CSV:
        print_csv(result);
        break;
    }
    cli_flush();
}
