// SPDX-License-Identifier: MIT
// A read-only mapping of a whole file. If another process shortens the file while it is mapped, reading the lost part
// raises SIGBUS: the library installs no handler for it, so model files must be replaced by rename, never rewritten.
#ifndef QL_BASE_FILE_H
#define QL_BASE_FILE_H

#include "base/error.h"

typedef struct ql_file {
    const uint8_t *data; // never NULL once open, also for an empty file
    size_t size;
} ql_file;

// Regular files only.
ql_code ql_file_open(ql_file *file, const char *path, ql_error *err);
void ql_file_close(ql_file *file);

// Gives back the resident pages that lie fully inside [data, data+size) of a mapping; they are read again on use.
void ql_file_release(const void *data, size_t size);

#endif
