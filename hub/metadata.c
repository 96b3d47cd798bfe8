// SPDX-License-Identifier: MIT
// Owns the reading of what a hub sends beside content: heads of answers and the listing of a repository. Both are
// any bytes until they have passed here (tests/fuzz/fuzz_hub.c). It must not know how they came or what is done next.
#include "hub_impl.h"

#include <ctype.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

// ---- heads ----

void hub_headers_clear(hub_headers *headers)
{
    memset(headers, 0, sizeof *headers);
    headers->retry_after = -1;
}

typedef struct span {
    const char *at;
    size_t n;
} span;

static span trimmed(const char *at, size_t n)
{
    while (n && isspace((unsigned char)*at)) {
        at++;
        n--;
    }
    while (n && isspace((unsigned char)at[n - 1]))
        n--;
    return (span){at, n};
}

// Printable text that fits; else it stays empty, as if it had not been sent.
static void keep_text(span value, char *out, size_t size)
{
    out[0] = 0;
    for (size_t i = 0; i < value.n; i++)
        if ((unsigned char)value.at[i] < 0x20 || value.at[i] == 0x7f)
            return;
    if (value.n >= size)
        return;
    memcpy(out, value.at, value.n);
    out[value.n] = 0;
}

// An ETag without W/ and quotes. It becomes a file's name: letters, digits, "-", "_" and "." inside.
static void keep_etag(span value, char *out, size_t size)
{
    out[0] = 0;
    if (value.n > 2 && memcmp(value.at, "W/", 2) == 0)
        value = (span){value.at + 2, value.n - 2};
    if (value.n >= 2 && value.at[0] == '"' && value.at[value.n - 1] == '"')
        value = (span){value.at + 1, value.n - 2};
    if (value.n >= size || !value.n || value.at[0] == '.')
        return;
    for (size_t i = 0; i < value.n; i++)
        if (!isalnum((unsigned char)value.at[i]) && !memchr("-_.", value.at[i], 3))
            return;
    memcpy(out, value.at, value.n);
    out[value.n] = 0;
}

// Decimal digits alone, up to 2^63 - 1.
static bool number(span value, uint64_t *out)
{
    uint64_t n = 0;
    if (!value.n || value.n > 19)
        return false;
    for (size_t i = 0; i < value.n; i++) {
        if (!isdigit((unsigned char)value.at[i]))
            return false;
        n = n * 10 + (uint64_t)(value.at[i] - '0'); // 19 digits fit 64 bits
    }
    *out = n;
    return n <= INT64_MAX;
}

// "bytes 100-199/200"; the total may be "*".
static void keep_range(span value, hub_headers *h)
{
    uint64_t last;
    if (value.n < 6 || strncasecmp(value.at, "bytes ", 6) != 0)
        return;
    span rest = trimmed(value.at + 6, value.n - 6);
    const char *dash = memchr(rest.at, '-', rest.n), *slash = memchr(rest.at, '/', rest.n);
    if (!dash || !slash || slash < dash)
        return;
    h->has_range = number((span){rest.at, (size_t)(dash - rest.at)}, &h->range_from) &&
                   number((span){dash + 1, (size_t)(slash - dash - 1)}, &last) && last >= h->range_from &&
                   number((span){slash + 1, (size_t)(rest.at + rest.n - slash - 1)}, &h->range_total) &&
                   last < h->range_total;
}

static bool is(span name, const char *header)
{
    return name.n == strlen(header) && strncasecmp(name.at, header, name.n) == 0;
}

static void keep(hub_headers *h, span name, span value)
{
    uint64_t n;
    if (is(name, "etag"))
        keep_etag(value, h->etag, sizeof h->etag);
    else if (is(name, "x-linked-etag"))
        keep_etag(value, h->linked_etag, sizeof h->linked_etag);
    else if (is(name, "x-repo-commit"))
        keep_text(value, h->commit, sizeof h->commit);
    else if (is(name, "location"))
        keep_text(value, h->location, sizeof h->location);
    else if (is(name, "x-error-code"))
        keep_text(value, h->error_code, sizeof h->error_code);
    else if (is(name, "x-error-message"))
        keep_text((span){value.at, value.n < sizeof h->error_message ? value.n : sizeof h->error_message - 1},
                  h->error_message, sizeof h->error_message);
    else if (is(name, "content-length"))
        h->has_length = number(value, &h->length);
    else if (is(name, "x-linked-size"))
        h->has_linked_size = number(value, &h->linked_size);
    else if (is(name, "content-range"))
        keep_range(value, h);
    else if (is(name, "content-encoding"))
        h->encoded = !is(value, "identity");
    else if (is(name, "retry-after"))
        h->retry_after = number(value, &n) && n <= 86400 ? (long)n : -1; // a date is rare: the usual pause is taken
}

void hub_headers_line(hub_headers *headers, const char *line, size_t len)
{
    span whole = trimmed(line, len);
    if (whole.n >= 5 && memcmp(whole.at, "HTTP/", 5) == 0) {
        const char *space = memchr(whole.at, ' ', whole.n);
        uint64_t status = 0;
        size_t left = space ? (size_t)(whole.at + whole.n - space - 1) : 0;
        hub_headers_clear(headers);
        if (left >= 3 && number((span){space + 1, 3}, &status))
            headers->status = (long)status;
        return;
    }
    const char *colon = memchr(whole.at, ':', whole.n);
    if (!colon)
        return;
    size_t n = (size_t)(colon - whole.at);
    keep(headers, (span){whole.at, n}, trimmed(colon + 1, whole.n - n - 1));
}

// ---- the listing ----

void hub_listing_free(hub_listing *listing)
{
    for (size_t i = 0; i < listing->n; i++)
        free(listing->names[i]);
    free(listing->names);
    *listing = (hub_listing){0};
}

// Names that are no plain path can not be wanted: they are left out.
static ql_code keep_names(const json_t *siblings, hub_listing *listing, ql_error *err)
{
    size_t n = json_array_size(siblings);
    if (n > HUB_MAX_FILES)
        return ql_fail(err, QL_E_FORMAT, "the repository has %zu files, more than %d", n, HUB_MAX_FILES);
    listing->names = calloc(n + 1, sizeof *listing->names);
    if (!listing->names)
        return ql_fail_memory(err, (n + 1) * sizeof *listing->names);
    for (size_t i = 0; i < n; i++) {
        const json_t *name = json_object_get(json_array_get(siblings, i), "rfilename");
        if (!json_is_string(name))
            return ql_fail(err, QL_E_FORMAT, "siblings[%zu] has no rfilename", i);
        const char *text = json_string_value(name);
        if (strlen(text) != json_string_length(name) || !hub_is_plain(text))
            continue;
        listing->names[listing->n] = strdup(text);
        if (!listing->names[listing->n++])
            return ql_fail_memory(err, strlen(text) + 1);
    }
    return QL_OK;
}

ql_code hub_listing_parse(const char *json, size_t len, hub_listing *listing, ql_error *err)
{
    json_error_t wrong;
    *listing = (hub_listing){0};
    json_t *root = json_loadb(json, len, JSON_REJECT_DUPLICATES, &wrong);
    const json_t *sha = json_object_get(root, "sha"), *siblings = json_object_get(root, "siblings");
    ql_code code;
    if (!root)
        code = ql_fail(err, QL_E_FORMAT, "the listing is not JSON: %s", wrong.text);
    else if (!json_is_string(sha) || !hub_is_commit(json_string_value(sha)))
        code = ql_fail(err, QL_E_FORMAT, "the listing has no commit (sha)");
    else if (!json_is_array(siblings))
        code = ql_fail(err, QL_E_FORMAT, "the listing has no files (siblings)");
    else
        code = keep_names(siblings, listing, err);
    if (code == QL_OK)
        memcpy(listing->commit, json_string_value(sha), sizeof listing->commit);
    else
        hub_listing_free(listing);
    json_decref(root);
    return code;
}
