// SPDX-License-Identifier: MIT
// Owns the comparison of content with its name: the Hub names a large file by its SHA-256 and a small one by git's
// SHA-1 of a blob. Names of other forms (of mirrors) say nothing about content.
#include "hub_impl.h"
#include "libs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct hub_digest {
    EVP_MD_CTX *main; // SHA-256, or SHA-1 as git has it; NULL: the name says nothing
    EVP_MD_CTX *bare; // SHA-1 of the content alone, which some mirrors take
    char name[65];
};

static bool is_hex(const char *text, size_t n) { return strlen(text) == n && strspn(text, "0123456789abcdef") == n; }

static EVP_MD_CTX *begin(const EVP_MD *kind, const char *head, size_t n)
{
    EVP_MD_CTX *context = hub_libs.EVP_MD_CTX_new();
    if (context && hub_libs.EVP_DigestInit_ex(context, kind, NULL) == 1 &&
        hub_libs.EVP_DigestUpdate(context, head, n) == 1)
        return context;
    hub_libs.EVP_MD_CTX_free(context);
    return NULL;
}

ql_code hub_digest_new(const char *etag, uint64_t size, hub_digest **digest, ql_error *err)
{
    bool sha256 = is_hex(etag, 64), sha1 = is_hex(etag, 40);
    char head[40];
    int n = snprintf(head, sizeof head, "blob %llu", (unsigned long long)size) + 1; // with its NUL
    hub_digest *d = calloc(1, sizeof *d);
    if (!d)
        return ql_fail_memory(err, sizeof *d);
    if (sha256 || sha1)
        memcpy(d->name, etag, strlen(etag) + 1);
    if (sha256)
        d->main = begin(hub_libs.EVP_sha256(), "", 0);
    if (sha1) {
        d->main = begin(hub_libs.EVP_sha1(), head, (size_t)n);
        d->bare = begin(hub_libs.EVP_sha1(), "", 0);
    }
    if ((sha256 || sha1) && (!d->main || (sha1 && !d->bare))) {
        hub_digest_free(d);
        return ql_fail(err, QL_E_UNSUPPORTED, "libcrypto does not give %s here", sha256 ? "SHA-256" : "SHA-1");
    }
    *digest = d;
    return QL_OK;
}

bool hub_digest_known(const hub_digest *digest) { return digest->main != NULL; }

void hub_digest_add(hub_digest *digest, const void *bytes, size_t n)
{
    if (digest->main)
        hub_libs.EVP_DigestUpdate(digest->main, bytes, n);
    if (digest->bare)
        hub_libs.EVP_DigestUpdate(digest->bare, bytes, n);
}

static void finish(EVP_MD_CTX *context, char text[65])
{
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    text[0] = 0;
    hub_libs.EVP_DigestFinal_ex(context, bytes, &n);
    for (unsigned i = 0; i < n && i < 32; i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
}

bool hub_digest_matches(hub_digest *digest, char found[65])
{
    char bare[65] = "";
    found[0] = 0;
    if (!digest->main)
        return true;
    finish(digest->main, found);
    if (digest->bare)
        finish(digest->bare, bare);
    return strcmp(found, digest->name) == 0 || strcmp(bare, digest->name) == 0;
}

void hub_digest_free(hub_digest *digest)
{
    if (!digest)
        return;
    hub_libs.EVP_MD_CTX_free(digest->main);
    hub_libs.EVP_MD_CTX_free(digest->bare);
    free(digest);
}
