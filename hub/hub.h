// SPDX-License-Identifier: MIT
// The hub room: models of the Hugging Face Hub in its cache on this machine. Used by the command only; includes
// quantllm.h and base.
//
// A model is "org/name", with ":type" or ":file" for a repository of GGUF files, and "@revision". The cache is the one
// of huggingface_hub and is shared with it: models--org--name with blobs/ETAG, snapshots/COMMIT/FILE (links to blobs)
// and refs/REVISION. refs/REVISION is written when all files of a commit are there, so an interrupted update never
// hides the complete commit before it. The room never prints: it tells a caller's hub_events.
#ifndef HUB_HUB_H
#define HUB_HUB_H

#include "quantllm.h"

// ---- names ------------------------------------------------------------------------------------------------------

typedef struct hub_name {
    char repo[200];     // "org/name"; "" when the text can only be a path
    char wanted[512];   // a type or a file, "" for none
    char revision[256]; // a branch, tag or commit, "" for the default, main
} hub_name;

// revision may be NULL; one in both places is an error. A text that can only be a path gives QL_OK and an empty repo.
ql_code hub_name_parse(const char *text, const char *revision, hub_name *name, ql_error *err);

// ---- settings ---------------------------------------------------------------------------------------------------

// What the variables of huggingface_hub say: HF_HOME, HF_HUB_CACHE, HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE, ...
typedef struct hub_settings {
    char *cache;           // the folder of all repositories
    char *endpoint;        // without a slash at its end
    char *token;           // NULL: none
    bool offline;
    bool no_bars;          // HF_HUB_DISABLE_PROGRESS_BARS
    long metadata_timeout; // seconds without an answer or without a byte
    long download_timeout;
    int retries;           // QUANTLLM_HUB_RETRIES: attempts after the first
} hub_settings;

ql_code hub_settings_read(hub_settings *settings, ql_error *err);
void hub_settings_free(hub_settings *settings);

// ---- getting a model --------------------------------------------------------------------------------------------

typedef struct hub_progress {
    const char *file;
    uint64_t done, total; // bytes of this download; done starts above 0 when it is resumed
    bool end;             // the last call
} hub_progress;

// Each may be NULL. All are called on the caller's thread.
typedef struct hub_events {
    void *user;
    ql_log *note;
    void (*progress)(void *user, const hub_progress *progress);
    bool (*cancelled)(void *user); // true ends the work with QL_E_CANCELLED
} hub_events;

typedef struct hub_model {
    char *path; // what ql_model_open takes: a folder, or a GGUF file (free())
    char commit[41];
} hub_model;

// The complete copy in the cache; QL_E_NOT_FOUND when there is none. Never touches the network.
ql_code hub_find(const hub_settings *settings, const hub_name *name, hub_model *model, ql_error *err);

// Asks the Hub what the revision is now, and downloads what is missing of it. Interrupted at any moment, the next call
// goes on from there.
ql_code hub_pull(const hub_settings *settings, const hub_name *name, const hub_events *events, hub_model *model,
                 ql_error *err);

// ---- what is in the cache -----------------------------------------------------------------------------------------

typedef struct hub_stored_file {
    char *name;
    char *blob;        // real path of its content; NULL: the link is broken
    uint64_t bytes;
    int64_t last_used; // seconds since 1970
} hub_stored_file;

typedef struct hub_snapshot {
    char commit[41];
    char *path;
    char *refs; // names that point here, ", " between; "" for none
    hub_stored_file *files;
    size_t n_files;
} hub_snapshot;

typedef struct hub_repo {
    char *name; // "org/name"
    char *path; // its folder in the cache
    hub_snapshot *snapshots;
    size_t n_snapshots;
    uint64_t bytes;         // of its blobs, each once; partial downloads included
    uint64_t partial_bytes; // of interrupted downloads
    int64_t last_used;
} hub_repo;

typedef struct hub_stored {
    hub_repo *repos; // by name
    size_t n;
} hub_stored;

// only: one repository's name, NULL for all.
ql_code hub_stored_read(const hub_settings *settings, const char *only, hub_stored *stored, ql_error *err);
void hub_stored_free(hub_stored *stored);

// The copy in the snapshot that name stands for, as hub_find; NULL when it is not there.
const hub_snapshot *hub_stored_find(const hub_repo *repo, const hub_name *name);

// Which files of a snapshot belong to wanted, in chosen[n_files] (without the shards of a safetensors index).
ql_code hub_stored_choose(const hub_repo *repo, const hub_snapshot *snapshot, const char *wanted, bool *chosen,
                          ql_error *err);

// A model as a person names it: "org/name" for a folder, "org/name:Q4_K_M" (or ":file") for each GGUF model.
typedef struct hub_entry {
    char *name, *path;            // path: what ql_model_open takes
    const hub_repo *repo;         // these two point into the hub_stored
    const hub_snapshot *snapshot;
    bool *files;                  // which of the snapshot's files are its own
    char type[24];                // "Q4_K_M", "BF16"; "" when names do not tell
    uint64_t bytes;
    int64_t last_used;
    bool complete;                // false: files are missing, or it is no model that runs
} hub_entry;

typedef struct hub_entries {
    hub_entry *at;
    size_t n;
} hub_entries;

ql_code hub_entries_of(const hub_settings *settings, const hub_stored *stored, hub_entries *entries, ql_error *err);
void hub_entries_free(hub_entries *entries);

// Deletes one commit, or with wanted the files of it that belong to that choice; without commit the whole repository.
// Blobs that another snapshot of the repository uses stay. *freed gets the bytes.
ql_code hub_remove(const hub_settings *settings, const hub_repo *repo, const char *commit, const char *wanted,
                   uint64_t *freed, ql_error *err);

// Bytes that are left where the cache is or will be; false: not known.
bool hub_free_space(const hub_settings *settings, uint64_t *bytes);

// Compares a file's content with the checksum that names it: a blob of the cache, or a link to one. *known: there is a
// checksum; *matches: it is that of the content. The file is read in full.
ql_code hub_check_file(const char *path, bool *known, bool *matches, ql_error *err);

#endif
