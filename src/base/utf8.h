// SPDX-License-Identifier: MIT
// UTF-8 (RFC 3629: no surrogates, nothing over U+10FFFF, no overlong forms).
#ifndef QL_BASE_UTF8_H
#define QL_BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

// Decodes the character at s (n > 0 bytes there). Returns its length 1-4 and *cp; or, when it is not a whole valid
// character: minus the length of its maximal valid prefix (at least 1), with *cp = U+FFFD. That prefix is what one
// U+FFFD stands for (Unicode 15, section 3.9, best practice; as Python's errors="replace").
int ql_utf8_decode(const char *s, size_t n, uint32_t *cp);

// Like ql_utf8_decode, but returns 0 when the n bytes may become a valid character with more bytes.
int ql_utf8_decode_partial(const char *s, size_t n, uint32_t *cp);

// Writes cp (a valid scalar value) to out, returns the length 1-4.
int ql_utf8_encode(uint32_t cp, char out[4]);

#endif
