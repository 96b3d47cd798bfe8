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

// Whether up to three more bytes make a character of the n there; all that matters about a byte is between these.
static bool may_become_one(const uint8_t *bytes, size_t n)
{
    static const uint8_t continuations[] = {0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf};
    uint8_t more[4];
    ucs4_t cp;
    if (n > 3)
        return false;
    memcpy(more, bytes, n);
    for (size_t i = 0; i < sizeof continuations; i++) {
        more[n] = continuations[i];
        if (u8_mbtoucr(&cp, more, n + 1) == (int)n + 1 || may_become_one(more, n + 1))
            return true;
    }
    return false;
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
        demand((m == 0) == (n < 0 && may_become_one(data + at, size - at)));
        at += (size_t)(n > 0 ? n : -n);
    }
    return 0;
}
