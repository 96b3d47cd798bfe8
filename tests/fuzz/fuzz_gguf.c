// SPDX-License-Identifier: MIT
// libFuzzer target: any bytes as a GGUF file; what is accepted is read to its last byte. The input is on the heap with
// its exact size, so a read outside is seen.
//
//     clang -g -fsanitize=fuzzer,address,undefined -D_GNU_SOURCE -DQL_VERSION='"fuzz"' -Iinclude -Isrc
//         tests/fuzz/fuzz_gguf.c src/base/*.c src/tensor/*.c src/format/*.c -ljansson -lm -lpthread -o fuzz_gguf
#include <stdlib.h>

#include "../unit/gguf_walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    volatile uint32_t seen = 0; // or the reading would be removed
    ql_source source = {0};
    ql_error err = {0};
    if (ql_gguf_parse(data, size, "f.gguf", &source, &err) == QL_OK)
        seen = gguf_walk(&source);
    else if (strncmp(err.message, "f.gguf: ", 8) != 0 || strchr(err.message, '\n'))
        abort();
    (void)seen;
    ql_gguf_clear(&source);
    return 0;
}
