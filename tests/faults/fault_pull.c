// SPDX-License-Identifier: MIT
// Every call of ours that can fail fails once, and from then on, while a model is downloaded:
//
//     HF_ENDPOINT=... HF_HOME=... fault_pull NAME FOLDER [all]      FOLDER: the files that the hub has
//
// Prints what was wrong; the exit code is 1 then. After each attempt what has a blob's name is whole, and a second
// download, with nothing failing, completes the model. Without "all" a sample of each kind.
#include <dirent.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "faults/faults.h"
#include "hub.h"

enum { SAMPLE = 8, MAX_PATH = 4096 };

static const char *repository, *folder;
static char cache[MAX_PATH];
static int n_wrong;

static void __attribute__((format(printf, 1, 2))) wrong(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    if (n_wrong++ < 30) {
        vprintf(fmt, args);
        putchar('\n');
    }
    va_end(args);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st, (void)kind, (void)ftw;
    return remove(path);
}

static ql_code pull(ql_error *err)
{
    hub_settings settings = {0};
    hub_name name;
    hub_model model = {0};
    *err = (ql_error){0};
    ql_code code = hub_settings_read(&settings, err);
    if (code == QL_OK)
        code = hub_name_parse(repository, NULL, &name, err);
    if (code == QL_OK)
        code = hub_pull(&settings, &name, NULL, &model, err);
    free(model.path);
    hub_settings_free(&settings);
    return code;
}

// The whole content of a file; false: there is none.
static bool read_file(const char *path, ql_buf *content)
{
    char chunk[1 << 14];
    FILE *file = fopen(path, "rb");
    ql_buf_clear(content);
    for (size_t n; file && (n = fread(chunk, 1, sizeof chunk, file)) > 0;)
        ql_buf_append(content, chunk, n);
    if (file)
        fclose(file);
    return file != NULL;
}

static bool is_of_the_hub(const ql_buf *content)
{
    char path[2 * MAX_PATH];
    ql_buf own = {0};
    bool found = false;
    DIR *dir = opendir(folder);
    for (struct dirent *e; dir && !found && (e = readdir(dir));) {
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        found = e->d_name[0] != '.' && read_file(path, &own) && own.len == content->len &&
                (!own.len || memcmp(own.data, content->data, own.len) == 0);
    }
    if (dir)
        closedir(dir);
    ql_buf_free(&own);
    return found;
}

static const char *attempt_name;

static int check_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)ftw;
    ql_buf content = {0};
    size_t n = strlen(path);
    if (kind == FTW_F && strstr(path, "/blobs/") && !(n > 11 && strcmp(path + n - 11, ".incomplete") == 0)) {
        if (!read_file(path, &content) || content.len != (size_t)st->st_size || !is_of_the_hub(&content))
            wrong("%s: %s is not whole", attempt_name, path);
        ql_buf_free(&content);
    }
    return 0;
}

static void remove_cache(void) { nftw(cache, remove_one, 16, FTW_DEPTH | FTW_PHYS); }

static void fail_once(fault_kind kind, unsigned long at, bool lasting)
{
    static char name[128];
    char left[256];
    ql_error err;
    snprintf(name, sizeof name, "%s %lu%s", fault_name(kind), at, lasting ? " and all after it" : "");
    attempt_name = name;
    remove_cache();
    fault_state before = faults_state();
    faults_begin(kind, at, lasting);
    ql_code code = pull(&err);
    faults_end();
    if (code != QL_OK && (err.code != code || !*err.message || strchr(err.message, '\n')))
        wrong("%s: code %d, and code %d with \"%s\" in the error", name, (int)code, (int)err.code, err.message);
    if (code != QL_OK && kind == FAULT_MEMORY && code != QL_E_MEMORY)
        wrong("%s: \"%s\" is said", name, err.message);
    if (!faults_nothing_left(before, left, sizeof left))
        wrong("%s: %s", name, left);
    nftw(cache, check_one, 16, FTW_PHYS);
    if (pull(&err) != QL_OK)
        wrong("%s, the next download: %s", name, err.message);
    nftw(cache, check_one, 16, FTW_PHYS);
}

int main(int argc, char **argv)
{
    ql_error err;
    const char *home = getenv("HF_HOME");
    if (argc < 3 || !home)
        return 2;
    repository = argv[1];
    folder = argv[2];
    bool all = argc > 3;
    snprintf(cache, sizeof cache, "%s/hub", home);
    unsigned long total = 0;
    for (fault_kind kind = 0; kind < FAULT_KINDS; kind++) {
        remove_cache();
        faults_begin(kind, 0, false);
        if (pull(&err) != QL_OK)
            wrong("nothing fails, and yet: %s", err.message);
        unsigned long n = faults_end();
        for (unsigned long at = 1; at <= n && n_wrong < 30; at++)
            if (all || faults_in_sample(at, n, SAMPLE)) {
                fail_once(kind, at, false);
                if (all || at % 3 == 1)
                    fail_once(kind, at, true);
                total++;
            }
        printf("# %s: %lu calls\n", fault_name(kind), n);
    }
    printf("%lu calls failed, %d wrong\n", total, n_wrong);
    return n_wrong != 0;
}
