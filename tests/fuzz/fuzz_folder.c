// SPDX-License-Identifier: MIT
// libFuzzer target: any text as config.json (read through every getter) and, after a first byte '#', as the index of
// shards of a folder that has one shard, a.safetensors with the tensor "a".
//
//     clang -g -fsanitize=fuzzer,address,undefined -D_GNU_SOURCE -DQL_VERSION='"fuzz"' -Iinclude -Isrc
//         tests/fuzz/fuzz_folder.c src/base/*.c src/tensor/*.c src/format/*.c -ljansson -lm -lpthread -o fuzz_folder
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../unit/gguf_walk.h"
#include "format/hf_index.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[64], index_path[96], shard_path[96];

static void put(const char *path, const void *data, size_t size)
{
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(data, 1, size, file) != size || fclose(file) != 0)
        abort();
}

static void remove_folder(void)
{
    unlink(index_path);
    unlink(shard_path);
    rmdir(folder);
}

static void make_folder(void)
{
    static const char shard[] = "\x38\0\0\0\0\0\0\0{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}  1234";
    snprintf(folder, sizeof folder, "%s/quantllm-fuzz-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : P_tmpdir);
    if (!mkdtemp(folder))
        abort();
    snprintf(index_path, sizeof index_path, "%s/i.json", folder);
    snprintf(shard_path, sizeof shard_path, "%s/a.safetensors", folder);
    put(shard_path, shard, sizeof shard - 1);
    atexit(remove_folder);
}

static void check(ql_code code, const ql_error *err)
{
    if (code != QL_OK && (!err->message[0] || strchr(err->message, '\n')))
        abort();
}

static void read_config(const uint8_t *data, size_t size)
{
    ql_document document = {"config.json", {data, size}};
    ql_source source = {.kind = QL_SOURCE_HF, .path = "f", .keys_path = (char[]){"f/config.json"}, .documents = &document,
                        .n_documents = 1};
    ql_error err = {0};
    volatile uint32_t seen = 0;
    ql_code code = ql_hf_read_config(&source, &err);
    check(code, &err);
    if (code == QL_OK)
        seen = gguf_walk(&source);
    (void)seen;
    ql_gguf_clear(&source);
}

static void read_index(const uint8_t *data, size_t size)
{
    ql_error err = {0};
    ql_source *source = calloc(1, sizeof *source); // on the heap: ql_source_close frees it
    if (!source)
        abort();
    *source = (ql_source){.kind = QL_SOURCE_HF, .path = folder};
    put(index_path, data, size);
    check(ql_hf_open_shards(source, folder, "i.json", &err), &err);
    ql_source_close(source);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!folder[0])
        make_folder();
    if (size && data[0] == '#')
        read_index(data + 1, size - 1);
    else
        read_config(data, size);
    return 0;
}
