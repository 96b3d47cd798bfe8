// SPDX-License-Identifier: MIT
// Linked with a fuzz target it is a test program: feeds the target every file of tests/fuzz/corpus/TARGET once, without
// libFuzzer, and reports in TAP. It must not know what a target reads.
//
//     test_fuzz_gguf [FILE...]      FILE: these instead, as to see a crash that the fuzzer has found
//
// An input is on the heap with its exact size, so AddressSanitizer sees a read outside of it. A target that is not
// satisfied aborts; the input's name is then the last comment.
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static _Noreturn void cannot_read(const char *path)
{
    printf("not ok 1 %s: %s\n", path, strerror(errno));
    exit(EXIT_FAILURE);
}

static void replay(int number, const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0)
        cannot_read(path);
    long size = ftell(file);
    uint8_t *data = size < 0 ? NULL : malloc((size_t)size);
    rewind(file);
    if (size && (!data || fread(data, (size_t)size, 1, file) != 1))
        cannot_read(path);
    fclose(file);
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    printf("# %s\n", name);
    fflush(stdout);
    LLVMFuzzerTestOneInput(data, (size_t)size);
    free(data);
    printf("ok %d %s\n", number, name);
}

static int visible(const struct dirent *entry) { return entry->d_name[0] != '.'; }

static int replay_corpus(void)
{
    const char *root = getenv("QL_SOURCE_ROOT");
    char folder[4096], path[4096 + 256];
    struct dirent **entries;
    snprintf(folder, sizeof folder, "%s/tests/fuzz/corpus/" TARGET, root ? root : ".");
    int n = scandir(folder, &entries, visible, alphasort);
    if (n <= 0) // an empty folder would test nothing
        cannot_read(folder);
    for (int i = 0; i < n; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        replay(i + 1, path);
        free(entries[i]);
    }
    free(entries);
    return n;
}

int main(int argc, char **argv)
{
    int n = argc - 1;
    for (int i = 1; i < argc; i++)
        replay(i, argv[i]);
    if (!n)
        n = replay_corpus();
    printf("1..%d\n", n);
    return EXIT_SUCCESS;
}
