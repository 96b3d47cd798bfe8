// SPDX-License-Identifier: MIT
// Owns what names may be: of repositories, revisions and files. It must not know the network or the disk.
// Every name that becomes part of a path passes here first; what is not allowed by these rules is never a path.
#include "hub_impl.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

bool hub_ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), k = strlen(end);
    return n >= k && memcmp(text + n - k, end, k) == 0;
}

bool hub_is_commit(const char *text)
{
    return strlen(text) == HUB_COMMIT_LEN && strspn(text, "0123456789abcdef") == HUB_COMMIT_LEN;
}

bool hub_is_plain(const char *name)
{
    if (!*name || strlen(name) > 1024)
        return false;
    for (const char *c = name; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f || *c == '\\')
            return false;
    for (const char *part = name;; part++) {
        size_t len = strcspn(part, "/");
        if (len == 0 || len > 255 || (len == 1 && *part == '.') || (len == 2 && memcmp(part, "..", 2) == 0))
            return false;
        part += len;
        if (!*part)
            return true;
    }
}

// Letters, digits, "_", and inside also "." and "-"; at most 96 bytes. Returns its length, 0 when it is none.
static size_t repo_part(const char *text)
{
    size_t n = 0;
    while (is_word(text[n]) || text[n] == '.' || text[n] == '-')
        n++;
    return n && n <= 96 && is_word(text[0]) && is_word(text[n - 1]) ? n : 0;
}

// Bytes beyond ASCII are letters of some language; the rest is what git allows and a path can take.
static bool is_revision(const char *text)
{
    if (!*text || strlen(text) >= sizeof((hub_name *)0)->revision || !hub_is_plain(text))
        return false;
    for (const char *c = text; *c; c++)
        if (!is_word(*c) && (unsigned char)*c < 0x80 && !strchr(".+@-/", *c))
            return false;
    for (const char *part = text; *part; part += strcspn(part, "/"), part += *part == '/')
        if (strspn(part, ".") == strcspn(part, "/"))
            return false;
    return true;
}

static ql_code set_revision(hub_name *name, const char *revision, ql_error *err)
{
    if (!is_revision(revision))
        return ql_fail(err, QL_E_ARGUMENT, "%s: a revision must be a branch, a tag or a commit, got \"%s\"", name->repo,
                       revision);
    if (*name->revision && strcmp(name->revision, revision) != 0)
        return ql_fail(err, QL_E_ARGUMENT, "%s: two revisions are given, \"%s\" and \"%s\"", name->repo, name->revision,
                       revision);
    snprintf(name->revision, sizeof name->revision, "%s", revision);
    return QL_OK;
}

// What follows the name: ":wanted", "@revision" or both in this order.
static ql_code parse_rest(hub_name *name, const char *rest, ql_error *err)
{
    const char *at = strrchr(rest, '@');
    size_t len = at ? (size_t)(at - rest) : strlen(rest);
    if (at)
        QL_TRY(set_revision(name, at + 1, err));
    if (*rest != ':')
        return QL_OK;
    if (len == 1)
        return ql_fail(err, QL_E_ARGUMENT, "\"%s:\" lacks a type or a file after the colon, as in \"%s:Q4_K_M\"",
                       name->repo, name->repo);
    if (len - 1 >= sizeof name->wanted)
        return ql_fail(err, QL_E_ARGUMENT, "%s: the file's name has %zu bytes, more than %zu", name->repo, len - 1,
                       sizeof name->wanted - 1);
    memcpy(name->wanted, rest + 1, len - 1);
    name->wanted[len - 1] = 0;
    if (!hub_is_plain(name->wanted) || !is_word(name->wanted[0]))
        return ql_fail(err, QL_E_ARGUMENT, "%s: \"%s\" is no type and no file of a repository", name->repo,
                       name->wanted);
    return QL_OK;
}

ql_code hub_name_parse(const char *text, const char *revision, hub_name *name, ql_error *err)
{
    static const char *const files[] = {".gguf", ".safetensors", ".bin", ".json", ".git", NULL};
    *name = (hub_name){0};
    if (strncmp(text, "hf://", 5) == 0)
        text += 5;
    size_t len = repo_part(text);
    if (len && text[len] == '/') {
        size_t second = repo_part(text + len + 1);
        len = second ? len + 1 + second : 0;
    }
    if (!len || (text[len] && text[len] != ':' && text[len] != '@'))
        return QL_OK;
    memcpy(name->repo, text, len);
    bool file = strstr(name->repo, "--") || strstr(name->repo, "..");
    for (size_t i = 0; files[i]; i++)
        file |= hub_ends_with(name->repo, files[i]);
    if (file) {
        name->repo[0] = 0;
        return QL_OK;
    }
    QL_TRY(parse_rest(name, text + len, err));
    return revision ? set_revision(name, revision, err) : QL_OK;
}

// ---- small things that the room shares ----

char *hub_format(const char *fmt, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, fmt);
    if (vasprintf(&text, fmt, args) < 0)
        text = NULL;
    va_end(args);
    return text;
}

void hub_note(const hub_events *events, const char *fmt, ...)
{
    char line[1024];
    va_list args;
    if (!events || !events->note)
        return;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    events->note(events->user, line);
}

bool hub_cancelled(const hub_events *events)
{
    return events && events->cancelled && events->cancelled(events->user);
}

ql_code hub_fail_cancelled(ql_error *err)
{
    return ql_fail(err, QL_E_CANCELLED, "interrupted: what has arrived is kept, the same command goes on from there");
}
