// SPDX-License-Identifier: MIT
// Private to the hub room: what its files share.
#ifndef HUB_HUB_IMPL_H
#define HUB_HUB_IMPL_H

#include "hub.h"

#include "base/buf.h"
#include "base/error.h"

enum {
    HUB_COMMIT_LEN = 40,
    HUB_MAX_METADATA = 10 << 20, // bytes of an answer or a document that is read whole
    HUB_MAX_FILES = 100000,      // of a repository
    HUB_MAX_REDIRECTS = 5        // a renamed repository, its mirror, its content network
};

bool hub_is_commit(const char *text);
// A path below a repository's root: no empty, "." or ".." part, no backslash, no control character, parts of at most
// 255 bytes.
bool hub_is_plain(const char *name);
bool hub_ends_with(const char *text, const char *end);
char *hub_format(const char *fmt, ...) __attribute__((format(printf, 1, 2))); // malloc; NULL when refused
void hub_note(const hub_events *events, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool hub_cancelled(const hub_events *events);
ql_code hub_fail_cancelled(ql_error *err);

// ---- metadata.c: what a hub sends, parsed from any bytes ----------------------------------------------------------

typedef struct hub_headers {
    long status;
    char etag[132], linked_etag[132]; // without W/ and quotes; "" when absent or not usable as a file's name
    char commit[HUB_COMMIT_LEN + 1];
    char location[4096];
    char error_code[64], error_message[200];
    uint64_t length, linked_size, range_from, range_total;
    bool has_length, has_linked_size, has_range, encoded;
    long retry_after; // seconds, -1: none
} hub_headers;

void hub_headers_clear(hub_headers *headers);
// One line of a head, with or without its line end. A status line starts a new head.
void hub_headers_line(hub_headers *headers, const char *line, size_t len);

typedef struct hub_listing {
    char commit[HUB_COMMIT_LEN + 1];
    char **names; // plain ones only
    size_t n;
} hub_listing;

// The JSON of /api/models/NAME/revision/REVISION.
ql_code hub_listing_parse(const char *json, size_t len, hub_listing *listing, ql_error *err);
void hub_listing_free(hub_listing *listing);

// ---- choose.c: which files of a repository are needed -------------------------------------------------------------

typedef struct hub_names {
    char *const *at;
    size_t n;
} hub_names;

// Pointers into the names that were chosen from. Documents come before weights: where weights are, all is.
typedef struct hub_choice {
    const char **files;
    size_t n;
    const char *index; // the safetensors index among files, whose shards are wanted too
    const char *gguf;  // the GGUF file to open; NULL: the folder
    size_t n_ggufs;    // models there were to choose from, 0 unless one was taken by default
} hub_choice;

extern const char hub_config_file[];

ql_code hub_choose(const char *repo, hub_names names, const char *wanted, hub_choice *choice, ql_error *err);
// Adds the shards that the index (its text) speaks of.
ql_code hub_choose_shards(const char *repo, const char *json, size_t len, hub_names names, hub_choice *choice,
                          ql_error *err);
// Refuses safetensors that another program has quantized, by config.json (its text) and names.
ql_code hub_refuse_quantized(const char *repo, const char *json, size_t len, hub_names names, ql_error *err);
void hub_choice_free(hub_choice *choice);

// ---- cache.c: one repository's folder -----------------------------------------------------------------------------

typedef struct hub_cache {
    const hub_settings *settings;
    const char *repo;
    char *folder; // CACHE/models--org--name
} hub_cache;

ql_code hub_cache_open(hub_cache *cache, const hub_settings *settings, const char *repo, ql_error *err);
void hub_cache_close(hub_cache *cache);
char *hub_cache_file(const hub_cache *cache, const char *commit, const char *name); // "" for the snapshot's folder
char *hub_cache_blob(const hub_cache *cache, const char *etag);
bool hub_cache_has(const hub_cache *cache, const char *commit, const char *name);
// The commit of a revision as last completed here; false: unknown.
bool hub_cache_commit_of(const hub_cache *cache, const char *revision, char commit[HUB_COMMIT_LEN + 1]);
ql_code hub_cache_remember(const hub_cache *cache, const char *revision, const char *commit, ql_error *err);
// The complete model at a commit.
ql_code hub_cache_find(const hub_cache *cache, const char *commit, const char *wanted, hub_model *model, ql_error *err);
// Makes snapshots/COMMIT/NAME a link to a blob, replacing what is there.
ql_code hub_cache_link(const hub_cache *cache, const char *commit, const char *name, const char *etag, ql_error *err);
// A document of a snapshot, at most HUB_MAX_METADATA.
ql_code hub_cache_read(const hub_cache *cache, const char *commit, const char *name, ql_buf *text, ql_error *err);
// Makes all folders above path.
ql_code hub_make_parents(const char *path, ql_error *err);
ql_code hub_sync_parent(const char *path, ql_error *err);

// Names of the files below a folder that are really there; a link to nothing is not.
typedef struct hub_file_list {
    char **at;
    size_t n, size;
} hub_file_list;
ql_code hub_list_files(const char *folder, hub_file_list *list, ql_error *err);
void hub_file_list_free(hub_file_list *list);

// ---- libs.c, http.c -------------------------------------------------------------------------------------------------

// Takes the content of an answer with status 200 or 206. QL_OK to go on; an error is handed on by hub_http_get.
typedef ql_code hub_sink(void *user, const hub_headers *headers, const char *bytes, size_t n, ql_error *err);

typedef struct hub_request {
    const char *url;
    bool head;        // no redirect to another host is followed: what that answer says is what is wanted
    uint64_t from;    // > 0: a range from here to the end
    hub_sink *sink;   // NULL: content goes to answer.body, at most HUB_MAX_METADATA
    void *user;
} hub_request;

typedef struct hub_answer {
    hub_headers headers;
    ql_buf body;
    bool again; // of an error: another attempt may help
} hub_answer;

typedef struct hub_http hub_http;
ql_code hub_http_open(const hub_settings *settings, const hub_events *events, hub_http **http, ql_error *err);
void hub_http_close(hub_http *http);
// One attempt. QL_OK is any status; an error tells of the network.
ql_code hub_http_once(hub_http *http, const hub_request *request, hub_answer *answer, ql_error *err);
// Waits before attempt + 1 and counts it. False: it makes no sense, or has been cancelled.
bool hub_http_again(hub_http *http, const hub_answer *answer, ql_code code, int *attempt);
// Attempts until an answer that another attempt would not change.
ql_code hub_http_get(hub_http *http, const hub_request *request, hub_answer *answer, ql_error *err);
void hub_answer_clear(hub_answer *answer);

typedef struct hub_digest hub_digest;
// Of a blob with this name and size; known tells whether its name says anything about its content.
ql_code hub_digest_new(const char *etag, uint64_t size, hub_digest **digest, ql_error *err);
bool hub_digest_known(const hub_digest *digest);
void hub_digest_add(hub_digest *digest, const void *bytes, size_t n);
// Whether what was added is what the name says; else found gets what it is.
bool hub_digest_matches(hub_digest *digest, char found[65]);
void hub_digest_free(hub_digest *digest);

// ---- one download: pull.c, blob.c, explain.c ----------------------------------------------------------------------

typedef struct hub_download {
    const hub_settings *settings;
    const hub_events *events;
    const hub_name *name;
    const char *revision;
    hub_cache cache;
    hub_http *http;
    char commit[HUB_COMMIT_LEN + 1];
    uint64_t done, total; // bytes of the files under way
} hub_download;

typedef struct hub_remote {
    const char *name;
    char etag[132];
    uint64_t size;
    uint64_t present; // bytes of it that were here when the download was planned
} hub_remote;

// The content of a file into its blob, checked, and the link to it.
ql_code hub_blob_get(hub_download *d, const hub_remote *file, ql_error *err);
// Bytes of a file that need not be downloaded any more.
uint64_t hub_blob_present(const hub_download *d, const hub_remote *file);
char *hub_url(const hub_download *d, const char *file, const char *commit);
// The error that an answer's status is. file: NULL for the repository itself.
ql_code hub_explain(const hub_download *d, const hub_answer *answer, const char *file, ql_error *err);
// The same for something that is no hub.
ql_code hub_stranger(const hub_download *d, ql_error *err);
// "the Hub", or with the address of another one.
const char *hub_label(const hub_settings *settings, char *text, size_t size);

#endif
