// SPDX-License-Identifier: MIT
// Private to the format room: see seal.c. Byte order of the hash: of the machine, which is little-endian (base/check.h).
#ifndef QL_FORMAT_SEAL_H
#define QL_FORMAT_SEAL_H

#include <stddef.h>
#include <stdint.h>

extern const char ql_seal_key[];

// Of a header of size bytes, in which the 8 bytes at seal_at count as zero.
uint64_t ql_seal_of(const uint8_t *header, size_t size, size_t seal_at, uint64_t file_bytes);

#endif
