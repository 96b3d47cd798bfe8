// SPDX-License-Identifier: MIT
// libFuzzer target: any bytes as a safetensors file; what is accepted is read to its last byte. The input is on the
// heap with its exact size, so a read outside is seen.
//
//     clang -g -fsanitize=fuzzer,address,undefined -D_GNU_SOURCE -DQL_VERSION='"fuzz"' -Iinclude -Isrc
//         tests/fuzz/fuzz_safetensors.c src/base/*.c src/tensor/*.c src/format/*.c -ljansson -lm -lpthread
#include "format/safetensors.h"

#include <stdlib.h>
#include <string.h>

#include "format/gguf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    volatile uint32_t seen = 0; // or the reading would be removed
    ql_source source = {0};
    ql_error err = {0};
    const uint8_t *end = data + size;
    if (ql_safetensors_parse(data, size, "f.safetensors", &source, &err) == QL_OK) {
        for (size_t i = 0; i < source.n_tensors; i++) {
            const ql_tensor *t = &source.tensors[i];
            if (t->data < data || t->data > end || t->size > (size_t)(end - t->data) ||
                ql_source_tensor(&source, t->name) != t)
                abort();
            for (uint64_t j = 0; j < t->size; j++)
                seen += t->data[j];
        }
    } else if (strncmp(err.message, "f.safetensors: ", 15) != 0 || strchr(err.message, '\n')) {
        abort();
    }
    (void)seen;
    ql_gguf_clear(&source);
    ql_buf_free(&source.remarks);
    return 0;
}
