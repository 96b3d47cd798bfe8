// SPDX-License-Identifier: MIT
// libFuzzer target: any bytes as what a hub sends beside content: heads of answers, line by line, and the listing of a
// repository, from which files are then chosen. What is accepted must be fit for a path.
//
//     clang -g -fsanitize=fuzzer,address,undefined -D_GNU_SOURCE -DQL_VERSION='"fuzz"' -Iinclude -Isrc -Ihub
//         tests/fuzz/fuzz_hub.c hub/{name,metadata,choose}.c src/base/*.c -ljansson -lunistring -lm -lpthread
#include "hub_impl.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool right)
{
    if (!right)
        abort();
}

// The input is on the heap with its exact size, so a read outside is seen: lines are handed over without a NUL.
static void read_head(const char *text, size_t size)
{
    hub_headers h;
    hub_headers_clear(&h);
    for (size_t at = 0; at < size;) {
        const char *end = memchr(text + at, '\n', size - at);
        size_t len = end ? (size_t)(end + 1 - text) - at : size - at;
        hub_headers_line(&h, text + at, len);
        at += len;
    }
    const char *etags[] = {h.etag, h.linked_etag};
    for (size_t i = 0; i < 2; i++)
        demand(!*etags[i] || (hub_is_plain(etags[i]) && !strchr(etags[i], '/')));
    demand(!h.has_length || h.length <= INT64_MAX);
    demand(!h.has_range || h.range_from < h.range_total);
    demand(h.status >= 0 && h.status <= 999 && h.retry_after >= -1 && h.retry_after <= 86400);
    demand(strlen(h.location) < sizeof h.location && strlen(h.error_message) < sizeof h.error_message);
}

static void read_listing(const char *text, size_t size)
{
    hub_listing listing;
    hub_choice choice;
    ql_error err = {0};
    if (hub_listing_parse(text, size, &listing, &err) != QL_OK) {
        demand(*err.message && !strchr(err.message, '\n'));
        return;
    }
    demand(hub_is_commit(listing.commit));
    hub_names names = {listing.names, listing.n};
    for (size_t i = 0; i < names.n; i++)
        demand(hub_is_plain(names.at[i]));
    static const char *const wanted[] = {"", "Q4_K_M", "a.gguf"};
    for (size_t i = 0; i < 3; i++) {
        if (hub_choose("o/n", names, wanted[i], &choice, &err) == QL_OK) {
            demand(choice.n > 0);
            hub_choose_shards("o/n", text, size, names, &choice, &err);
            hub_choice_free(&choice);
        }
    }
    hub_refuse_quantized("o/n", text, size, names, &err);
    hub_listing_free(&listing);
}

static void read_name(const char *text, size_t size)
{
    char *string = malloc(size + 1);
    hub_name name;
    if (!string)
        return;
    memcpy(string, text, size);
    string[size] = 0;
    if (hub_name_parse(string, NULL, &name, NULL) == QL_OK && *name.repo) {
        demand(hub_is_plain(name.repo) && !strstr(name.repo, ".."));
        demand(!*name.wanted || hub_is_plain(name.wanted));
        demand(!*name.revision || hub_is_plain(name.revision));
    }
    free(string);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_head((const char *)data, size);
    read_listing((const char *)data, size);
    read_name((const char *)data, size);
    return 0;
}
