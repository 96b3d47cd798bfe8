// SPDX-License-Identifier: MIT
#include "base/utf8.h"

#include <stdbool.h>

// The length a lead byte promises (0: not a lead byte), and the range its second byte must lie in.
static int lead(uint8_t c, uint8_t *lo, uint8_t *hi)
{
    *lo = 0x80;
    *hi = 0xbf;
    if (c < 0x80)
        return 1;
    if (c < 0xc2 || c > 0xf4)
        return 0;
    if (c < 0xe0)
        return 2;
    if (c == 0xe0)
        *lo = 0xa0;
    if (c == 0xed)
        *hi = 0x9f;
    if (c == 0xf0)
        *lo = 0x90;
    if (c == 0xf4)
        *hi = 0x8f;
    return c < 0xf0 ? 3 : 4;
}

int ql_utf8_decode_partial(const char *s, size_t n, uint32_t *cp)
{
    const uint8_t *u = (const uint8_t *)s;
    uint8_t lo, hi;
    int len = lead(u[0], &lo, &hi);
    *cp = 0xfffd;
    if (len == 0)
        return -1;
    if (len == 1) {
        *cp = u[0];
        return 1;
    }
    uint32_t value = u[0] & (0xffu >> (len + 1));
    for (int i = 1; i < len; i++) {
        if ((size_t)i >= n)
            return 0;
        if (u[i] < lo || u[i] > hi)
            return -i;
        value = value << 6 | (u[i] & 0x3f);
        lo = 0x80;
        hi = 0xbf;
    }
    *cp = value;
    return len;
}

int ql_utf8_decode(const char *s, size_t n, uint32_t *cp)
{
    int len = ql_utf8_decode_partial(s, n, cp);
    return len ? len : -(int)n;
}

int ql_utf8_encode(uint32_t cp, char out[4])
{
    if (cp < 0x80) {
        out[0] = (char)cp;
        return 1;
    }
    int len = cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
    for (int i = len - 1; i > 0; i--, cp >>= 6)
        out[i] = (char)(0x80 | (cp & 0x3f));
    out[0] = (char)((0xf00 >> len) | cp);
    return len;
}
