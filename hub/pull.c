// SPDX-License-Identifier: MIT
// Owns the order of a download: which commit, which files, is there room, then each file, and the ref at last.
// It must not know how content arrives. All files are of one commit, whatever the branch does meanwhile; documents come
// before weights, so that a folder with all its weights is complete.
#include "base/machine.h"
#include "hub_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- addresses ----

// Everything but unreserved characters (RFC 3986) and, when it may stay, "/" as %XX.
static void append_quoted(ql_buf *buf, const char *text, bool keep_slash)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     strchr("-._~", c) || (keep_slash && c == '/');
        if (plain)
            ql_buf_append_byte(buf, (char)c);
        else
            ql_buf_printf(buf, "%%%02X", c);
    }
}

static char *finished(ql_buf *buf)
{
    char *text = NULL;
    size_t len;
    return ql_buf_take(buf, &text, &len, NULL) == QL_OK ? text : NULL;
}

char *hub_url(const hub_download *d, const char *file, const char *commit)
{
    ql_buf buf = {0};
    ql_buf_printf(&buf, "%s/%s/resolve/%s/", d->settings->endpoint, d->name->repo, commit);
    append_quoted(&buf, file, true);
    return finished(&buf);
}

static char *listing_url(const hub_download *d)
{
    ql_buf buf = {0};
    ql_buf_printf(&buf, "%s/api/models/%s/revision/", d->settings->endpoint, d->name->repo);
    append_quoted(&buf, d->revision, false);
    return finished(&buf);
}

// ---- questions ----

static ql_code prefixed(const hub_download *d, ql_code code, ql_error *err)
{
    return code == QL_OK || code == QL_E_CANCELLED ? code : ql_fail_prefix(err, code, "%s", d->name->repo);
}

static ql_code ask_listing(hub_download *d, hub_listing *listing, ql_error *err)
{
    hub_answer answer = {0};
    ql_error why = {0};
    char *url = listing_url(d);
    hub_request request = {.url = url};
    ql_code code = url ? prefixed(d, hub_http_get(d->http, &request, &answer, err), err) : ql_fail_memory(err, 4096);
    if (code == QL_OK && answer.headers.status != 200)
        code = hub_explain(d, &answer, NULL, err);
    else if (code == QL_OK &&
             hub_listing_parse(answer.body.data ? answer.body.data : "", answer.body.len, listing, &why) != QL_OK)
        code = why.code == QL_E_MEMORY ? ql_fail(err, why.code, "%s", why.message) : hub_stranger(d, err);
    if (code == QL_OK)
        memcpy(d->commit, listing->commit, sizeof d->commit);
    hub_answer_clear(&answer);
    free(url);
    return code;
}

// What a file's head says about its content. A large file is a redirect that names the content behind it.
static ql_code read_head(const hub_download *d, const hub_headers *h, hub_remote *file, ql_error *err)
{
    const char *etag = *h->linked_etag ? h->linked_etag : h->etag;
    bool known = h->has_linked_size || (h->has_length && h->status == 200);
    if (!*etag || !known)
        return hub_stranger(d, err);
    if (*h->commit && strcmp(h->commit, d->commit) != 0)
        return ql_fail(err, QL_E_IO, "%s: %s was asked for at commit %.12s and is sent from %.12s: try again later",
                       d->name->repo, file->name, d->commit, h->commit);
    snprintf(file->etag, sizeof file->etag, "%s", etag);
    file->size = h->has_linked_size ? h->linked_size : h->length;
    return QL_OK;
}

static ql_code ask_head(hub_download *d, hub_remote *file, ql_error *err)
{
    hub_answer answer = {0};
    char *url = hub_url(d, file->name, d->commit);
    hub_request request = {.url = url, .head = true};
    ql_code code = url ? prefixed(d, hub_http_get(d->http, &request, &answer, err), err) : ql_fail_memory(err, 4096);
    long status = answer.headers.status;
    if (code == QL_OK && status != 200 && !(status >= 300 && status < 400))
        code = hub_explain(d, &answer, file->name, err);
    else if (code == QL_OK)
        code = read_head(d, &answer.headers, file, err);
    hub_answer_clear(&answer);
    free(url);
    return code;
}

// ---- files ----

static void size_text(uint64_t n, char text[32])
{
    bool giga = n >= 1000000000, mega = n >= 1000000;
    snprintf(text, 32, "%.*f %s", giga ? 2 : 1, (double)n / (giga ? 1e9 : mega ? 1e6 : 1e3),
             giga ? "GB" : mega ? "MB" : "kB");
}

bool hub_free_space(const hub_settings *settings, uint64_t *bytes) { return ql_disk_free(settings->cache, bytes); }

static ql_code check_room(const hub_download *d, uint64_t needed, ql_error *err)
{
    uint64_t left;
    char need[32], have[32];
    if (!ql_disk_free(d->cache.folder, &left) || needed <= left)
        return QL_OK;
    size_text(needed, need);
    size_text(left, have);
    return ql_fail(err, QL_E_IO, "%s: %s are to be downloaded and %s has %s left: make room, or choose another folder "
                   "with HF_HOME", d->name->repo, need, d->settings->cache, have);
}

static ql_code plan(hub_download *d, const char *const *names, size_t n, hub_remote *files, size_t *n_files,
                    uint64_t *needed, ql_error *err)
{
    *n_files = 0;
    *needed = d->done = d->total = 0;
    for (size_t i = 0; i < n; i++) {
        if (hub_cache_has(&d->cache, d->commit, names[i]))
            continue;
        hub_remote *file = &files[(*n_files)++];
        file->name = names[i];
        QL_TRY(ask_head(d, file, err));
        file->present = hub_blob_present(d, file);
        d->total += file->size;
        d->done += file->present;
        *needed += file->size - file->present;
    }
    return QL_OK;
}

static void tell_plan(const hub_download *d, size_t n)
{
    char total[32], resumed[64] = "";
    size_text(d->total, total);
    if (d->done) {
        char have[32];
        size_text(d->done, have);
        snprintf(resumed, sizeof resumed, ", %s of it are here", have);
    }
    hub_note(d->events, "downloading %s: %zu file%s, %s%s", d->name->repo, n, n == 1 ? "" : "s", total, resumed);
}

// told: a download that is worth a line and a bar, not a document that is looked into first.
static ql_code get_files(hub_download *d, const char *const *names, size_t n, bool told, ql_error *err)
{
    const hub_events *events = d->events;
    hub_events silent = {.user = events ? events->user : NULL, .note = events ? events->note : NULL,
                         .cancelled = events ? events->cancelled : NULL};
    hub_remote *files = calloc(n + 1, sizeof *files);
    size_t n_files;
    uint64_t needed;
    if (!files)
        return ql_fail_memory(err, (n + 1) * sizeof *files);
    ql_code code = plan(d, names, n, files, &n_files, &needed, err);
    if (code == QL_OK)
        code = check_room(d, needed, err);
    if (code == QL_OK && told && needed)
        tell_plan(d, n_files);
    if (!told)
        d->events = &silent;
    for (size_t i = 0; i < n_files && code == QL_OK; i++)
        code = hub_blob_get(d, &files[i], err);
    d->events = events;
    if (told && events && events->progress)
        events->progress(events->user, &(hub_progress){.file = "", .done = d->done, .total = d->total, .end = true});
    free(files);
    return code;
}

// A document that decides what else is needed.
static ql_code read_document(hub_download *d, const char *name, ql_buf *text, ql_error *err)
{
    QL_TRY(get_files(d, &name, 1, false, err));
    QL_TRY(hub_cache_read(&d->cache, d->commit, name, text, err));
    if (!text->data)
        ql_buf_append_str(text, "");
    return text->failed ? ql_fail_memory(err, 1) : QL_OK;
}

static ql_code look_into(hub_download *d, hub_names names, hub_choice *choice, ql_error *err)
{
    ql_buf config = {0}, index = {0};
    ql_code code = read_document(d, hub_config_file, &config, err);
    if (code == QL_OK)
        code = hub_refuse_quantized(d->name->repo, config.data, config.len, names, err);
    if (code == QL_OK && choice->index)
        code = read_document(d, choice->index, &index, err);
    if (code == QL_OK && choice->index)
        code = hub_choose_shards(d->name->repo, index.data, index.len, names, choice, err);
    ql_buf_free(&config);
    ql_buf_free(&index);
    return code;
}

static ql_code get_model(hub_download *d, const hub_listing *listing, hub_choice *choice, hub_model *model, ql_error *err)
{
    hub_names names = {listing->names, listing->n};
    QL_TRY(hub_choose(d->name->repo, names, d->name->wanted, choice, err));
    if (choice->n_ggufs > 1)
        hub_note(d->events, "%s: %zu GGUF models, taking %s", d->name->repo, choice->n_ggufs, choice->gguf);
    if (!choice->gguf)
        QL_TRY(look_into(d, names, choice, err));
    QL_TRY(get_files(d, choice->files, choice->n, true, err));
    QL_TRY(hub_cache_remember(&d->cache, d->revision, d->commit, err));
    model->path = hub_cache_file(&d->cache, d->commit, choice->gguf ? choice->gguf : "");
    memcpy(model->commit, d->commit, sizeof model->commit);
    return model->path ? QL_OK : ql_fail_memory(err, 4096);
}

static const char *revision_of(const hub_name *name) { return *name->revision ? name->revision : "main"; }

ql_code hub_find(const hub_settings *settings, const hub_name *name, hub_model *model, ql_error *err)
{
    hub_cache cache;
    char commit[HUB_COMMIT_LEN + 1];
    *model = (hub_model){0};
    QL_TRY(hub_cache_open(&cache, settings, name->repo, err));
    ql_error why = {0};
    ql_code code = QL_E_NOT_FOUND;
    if (hub_cache_commit_of(&cache, revision_of(name), commit))
        code = hub_cache_find(&cache, commit, name->wanted, model, &why);
    if (code != QL_OK)
        code = ql_fail(err, QL_E_NOT_FOUND, "%s%s%s: %s has no complete copy at revision \"%s\"", name->repo,
                       *name->wanted ? ":" : "", name->wanted, settings->cache, revision_of(name));
    hub_cache_close(&cache);
    return code;
}

ql_code hub_pull(const hub_settings *settings, const hub_name *name, const hub_events *events, hub_model *model,
                 ql_error *err)
{
    hub_download d = {.settings = settings, .events = events, .name = name, .revision = revision_of(name)};
    hub_listing listing = {0};
    hub_choice choice = {0};
    *model = (hub_model){0};
    if (settings->offline)
        return ql_fail(err, QL_E_IO, "%s: HF_HUB_OFFLINE is set, so nothing is downloaded: unset it", name->repo);
    QL_TRY(hub_cache_open(&d.cache, settings, name->repo, err));
    ql_code code = hub_http_open(settings, events, &d.http, err);
    if (code == QL_OK)
        code = ask_listing(&d, &listing, err);
    if (code == QL_OK)
        code = get_model(&d, &listing, &choice, model, err);
    hub_choice_free(&choice);
    hub_listing_free(&listing);
    hub_http_close(d.http);
    hub_cache_close(&d.cache);
    return code;
}
