// SPDX-License-Identifier: MIT
// libFuzzer target: any bytes as a file of the packed cache. What is accepted is read to its last byte, also without the
// seal, so that the checks behind it are reached.
//
//     clang -g -fsanitize=fuzzer,address,undefined -D_GNU_SOURCE -DQL_VERSION='"fuzz"' -Iinclude -Isrc
//         tests/fuzz/fuzz_packed.c src/base/*.c src/tensor/*.c src/format/*.c -ljansson -lm -lpthread -o fuzz_packed
#include <stdlib.h>

#include "../unit/gguf_walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    volatile uint32_t seen = 0; // or the reading would be removed
    ql_source source = {.allow_packed = true, .file = {data, size}};
    ql_error err = {0};
    if (ql_gguf_parse(data, size, "f.packed", &source, &err) == QL_OK) {
        seen = gguf_walk(&source);
        ql_code code = ql_source_check_seal(&source, &err);
        if (code != QL_OK && code != QL_E_FORMAT)
            abort();
    } else if (strncmp(err.message, "f.packed: ", 10) != 0 || strchr(err.message, '\n')) {
        abort();
    }
    (void)seen;
    ql_gguf_clear(&source);
    return 0;
}
