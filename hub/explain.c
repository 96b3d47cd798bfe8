// SPDX-License-Identifier: MIT
// Owns what the statuses of a hub mean to a person, each with what to do next. It must not know when they come.
// The wording is that of the Python package (_hub_errors.py).
#include "hub_impl.h"

#include <stdio.h>
#include <string.h>

const char *hub_label(const hub_settings *settings, char *text, size_t size)
{
    bool usual = strcmp(settings->endpoint, "https://huggingface.co") == 0;
    snprintf(text, size, usual ? "the Hub" : "the Hub (%s)", settings->endpoint);
    return text;
}

ql_code hub_stranger(const hub_download *d, ql_error *err)
{
    char label[256];
    return ql_fail(err, QL_E_IO, "%s: %s does not answer as a hub does: check the network and HF_ENDPOINT, or give the "
                   "path of a model", d->name->repo, hub_label(d->settings, label, sizeof label));
}

static ql_code too_often(const hub_download *d, const hub_headers *h, const char *label, ql_error *err)
{
    char pause[40] = "wait some minutes";
    if (h->retry_after >= 0)
        snprintf(pause, sizeof pause, "wait %ld s", h->retry_after);
    return ql_fail(err, QL_E_IO, "%s: %s is asked too often (429): %s%s", d->name->repo, label, pause,
                   d->settings->token ? "" : ", or give a token with HF_TOKEN, which may ask more often");
}

static ql_code unknown_repo(const hub_download *d, const char *label, ql_error *err)
{
    return ql_fail(err, QL_E_NOT_FOUND, "%s is no file or folder here and no model of %s: check the spelling; a private "
                   "model needs %s", d->name->repo, label,
                   d->settings->token ? "a token that may read it" : "a token in the variable HF_TOKEN");
}

static ql_code unknown_entry(const hub_download *d, const char *label, const char *file, ql_error *err)
{
    const char *repo = d->name->repo;
    if (file)
        return ql_fail(err, QL_E_NOT_FOUND, "%s: %s does not have %s any more (404): try again later", repo, label, file);
    return ql_fail(err, QL_E_NOT_FOUND, "%s has no revision \"%s\": leave it out for the newest, or give a branch, a tag "
                   "or a commit of %s/%s", repo, d->revision, d->settings->endpoint, repo);
}

ql_code hub_explain(const hub_download *d, const hub_answer *answer, const char *file, ql_error *err)
{
    const hub_headers *h = &answer->headers;
    const char *repo = d->name->repo, *endpoint = d->settings->endpoint;
    char label[256];
    hub_label(d->settings, label, sizeof label);
    if (strcmp(h->error_code, "GatedRepo") == 0)
        return ql_fail(err, QL_E_IO, "%s is gated: accept its conditions at %s/%s, then give a token of your account in "
                       "the variable HF_TOKEN", repo, endpoint, repo);
    if (strcmp(h->error_code, "RepoNotFound") == 0)
        return unknown_repo(d, label, err);
    if (strcmp(h->error_code, "RevisionNotFound") == 0)
        return unknown_entry(d, label, NULL, err);
    if (h->status == 401 && d->settings->token)
        return ql_fail(err, QL_E_IO, "%s: %s does not accept the token (401): make a new one at %s/settings/tokens", repo,
                       label, endpoint);
    if (h->status == 401)
        return unknown_repo(d, label, err);
    if (h->status == 403 || h->status == 451)
        return ql_fail(err, QL_E_IO, "%s refuses %s (%ld): %s", label, repo, h->status,
                       *h->error_message ? h->error_message : "the token's account may not read it");
    if (h->status == 404)
        return file ? unknown_entry(d, label, file, err) : unknown_repo(d, label, err);
    if (h->status == 429)
        return too_often(d, h, label, err);
    if (h->status >= 200 && h->status < 400)
        return hub_stranger(d, err);
    return ql_fail(err, QL_E_IO, "%s: %s answers with status %ld: try again later", repo, label, h->status);
}
