// SPDX-License-Identifier: MIT
// Compares what lies in the cache with the checksums that it is named by. It must not know models, nor change anything.
#include "hub_impl.h"
#include "libs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static ql_code read_all(int fd, hub_digest *digest, const char *path, ql_error *err)
{
    enum { PIECE = 1 << 20 };
    char *bytes = malloc(PIECE);
    ssize_t n = 0;
    if (!bytes)
        return ql_fail_memory(err, PIECE);
    while ((n = read(fd, bytes, PIECE)) > 0 || (n < 0 && errno == EINTR))
        if (n > 0)
            hub_digest_add(digest, bytes, (size_t)n);
    free(bytes);
    return n < 0 ? ql_fail(err, QL_E_IO, "%s: %s", path, strerror(errno)) : QL_OK;
}

static ql_code check(int fd, const char *blob, const char *name, bool *known, bool *matches, ql_error *err)
{
    struct stat st;
    hub_digest *digest = NULL;
    char found[65];
    if (fstat(fd, &st) != 0)
        return ql_fail(err, QL_E_IO, "%s: %s", blob, strerror(errno));
    ql_code code = hub_libs_load_crypto(err);
    if (code == QL_OK)
        code = hub_digest_new(name, (uint64_t)st.st_size, &digest, err);
    if (code != QL_OK)
        return code;
    *known = hub_digest_known(digest);
    if (*known)
        code = read_all(fd, digest, blob, err);
    *matches = code == QL_OK && hub_digest_matches(digest, found);
    hub_digest_free(digest);
    return code;
}

ql_code hub_check_file(const char *path, bool *known, bool *matches, ql_error *err)
{
    char *blob = realpath(path, NULL);
    *known = *matches = false;
    if (!blob)
        return ql_fail(err, errno == ENOENT ? QL_E_NOT_FOUND : QL_E_IO, "%s: %s", path, strerror(errno));
    const char *name = strrchr(blob, '/') + 1;
    size_t n = strlen(name);
    ql_code code = QL_OK;
    if ((n == 40 || n == 64) && strspn(name, "0123456789abcdef") == n) {
        int fd = open(blob, O_RDONLY | O_CLOEXEC);
        code = fd < 0 ? ql_fail(err, QL_E_IO, "%s: %s", blob, strerror(errno)) : check(fd, blob, name, known, matches, err);
        if (fd >= 0)
            close(fd);
    }
    free(blob);
    return code;
}
