// SPDX-License-Identifier: MIT
// libFuzzer target: any bytes as UTF-8, against libunistring, and through the filter of a stream in pieces.
//
//     clang -g -fsanitize=fuzzer,address,undefined -D_GNU_SOURCE -DQL_VERSION='"fuzz"' -Iinclude -Isrc
//         tests/fuzz/fuzz_utf8.c src/base/*.c src/text/stream.c -lunistring -lm -lpthread -o fuzz_utf8
#include <stdlib.h>
#include <string.h>
#include <unistr.h>

#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool right)
{
    if (!right)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    for (size_t at = 0; at < size;) {
        uint32_t cp = 0, partial = 0;
        ucs4_t theirs;
        int n = ql_utf8_decode(text + at, size - at, &cp), m = ql_utf8_decode_partial(text + at, size - at, &partial);
        int right = u8_mbtoucr(&theirs, data + at, size - at);
        demand(n != 0 && (n > 0 ? n : -n) <= 4 && (size_t)(n > 0 ? n : -n) <= size - at);
        demand((n > 0) == (right > 0));
        demand(n < 0 || (n == right && cp == theirs));
        demand(n > 0 ? m == n && partial == cp : m == n || m == 0); // 0: what is missing may come
        demand((m == 0) == (right == -2));                           // -2: their word for the same
        at += (size_t)(n > 0 ? n : -n);
    }
    return 0;
}
