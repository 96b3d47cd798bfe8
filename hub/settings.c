// SPDX-License-Identifier: MIT
// Owns the variables of the environment, those that huggingface_hub reads and in its meaning. It must not know what
// they are good for. A token is read once here and never stands in a message.
#include "hub_impl.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

// NULL for an empty one too.
static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

static bool is_true(const char *name)
{
    const char *value = variable(name);
    return value && (strcmp(value, "1") == 0 || strcasecmp(value, "on") == 0 || strcasecmp(value, "yes") == 0 ||
                     strcasecmp(value, "true") == 0);
}

// "~" and "~/..." are the home.
static ql_code expand(const char *path, char **out, ql_error *err)
{
    const char *home = variable("HOME");
    if (path[0] != '~' || (path[1] && path[1] != '/')) {
        *out = strdup(path);
        return *out ? QL_OK : ql_fail_memory(err, strlen(path) + 1);
    }
    if (!home)
        return ql_fail(err, QL_E_ARGUMENT, "HOME is not set, so %s is nowhere: set HF_HOME to a folder", path);
    *out = hub_format("%s%s", home, path + 1);
    return *out ? QL_OK : ql_fail_memory(err, strlen(path));
}

static ql_code join(const char *folder, const char *name, char **out, ql_error *err)
{
    *out = hub_format("%s/%s", folder, name);
    return *out ? QL_OK : ql_fail_memory(err, strlen(folder) + strlen(name) + 2);
}

static ql_code read_home(char **home, ql_error *err)
{
    const char *set = variable("HF_HOME"), *xdg = variable("XDG_CACHE_HOME");
    char *above = NULL;
    if (set)
        return expand(set, home, err);
    QL_TRY(expand(xdg ? xdg : "~/.cache", &above, err));
    ql_code code = join(above, "huggingface", home, err);
    free(above);
    return code;
}

static ql_code read_cache(const char *home, char **cache, ql_error *err)
{
    const char *set = variable("HF_HUB_CACHE");
    if (!set)
        set = variable("HUGGINGFACE_HUB_CACHE"); // its name until 2024
    return set ? expand(set, cache, err) : join(home, "hub", cache, err);
}

static ql_code read_endpoint(char **endpoint, ql_error *err)
{
    const char *set = variable("HF_ENDPOINT");
    *endpoint = strdup(set ? set : "https://huggingface.co");
    if (!*endpoint)
        return ql_fail_memory(err, strlen(set) + 1);
    for (size_t n = strlen(*endpoint); n && (*endpoint)[n - 1] == '/'; n--)
        (*endpoint)[n - 1] = 0;
    bool web = strncmp(*endpoint, "https://", 8) == 0 || strncmp(*endpoint, "http://", 7) == 0;
    if (web && !strpbrk(*endpoint, " \t\r\n?#"))
        return QL_OK;
    return ql_fail(err, QL_E_ARGUMENT, "HF_ENDPOINT must be the address of a hub, as https://huggingface.co, got \"%s\"",
                   set);
}

// ---- the token ----

// A header can take printable ASCII; anything else would be another header or a broken one.
static ql_code keep_token(const char *from, const char *text, char **token, ql_error *err)
{
    while (isspace((unsigned char)*text))
        text++;
    size_t n = strlen(text);
    while (n && isspace((unsigned char)text[n - 1]))
        n--;
    for (size_t i = 0; i < n; i++)
        if (text[i] <= ' ' || text[i] >= 0x7f)
            return ql_fail(err, QL_E_ARGUMENT, "the token in %s has characters that no token has", from);
    *token = n ? strndup(text, n) : NULL;
    return n && !*token ? ql_fail_memory(err, n + 1) : QL_OK;
}

static ql_code read_token_file(const char *path, bool named, char **token, ql_error *err)
{
    char text[4096];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    int error = errno;
    if (fd >= 0)
        close(fd);
    if (n < 0 && (named || (error != ENOENT && error != ENOTDIR)))
        return ql_fail(err, QL_E_IO, "the token in %s can not be read: %s", path, strerror(error));
    if (n < 0)
        return QL_OK;
    text[n] = 0;
    return keep_token(path, text, token, err);
}

static ql_code read_token(const char *home, char **token, ql_error *err)
{
    const char *set = variable("HF_TOKEN"), *named = variable("HF_TOKEN_PATH");
    char *path = NULL;
    if (is_true("HF_HUB_DISABLE_IMPLICIT_TOKEN"))
        return QL_OK;
    if (!set)
        set = variable("HUGGING_FACE_HUB_TOKEN"); // its name until 2023
    if (set)
        return keep_token("HF_TOKEN", set, token, err);
    QL_TRY(named ? expand(named, &path, err) : join(home, "token", &path, err));
    ql_code code = read_token_file(path, named != NULL, token, err);
    free(path);
    return code;
}

// ---- numbers ----

static ql_code read_number(const char *name, long standard, long low, long high, long *value, ql_error *err)
{
    const char *text = variable(name);
    *value = standard;
    if (!text)
        return QL_OK;
    char *end;
    errno = 0;
    *value = strtol(text, &end, 10);
    if (errno || *end || !isdigit((unsigned char)*text) || *value < low || *value > high)
        return ql_fail(err, QL_E_ARGUMENT, "%s must be a whole number from %ld to %ld, got \"%s\"", name, low, high,
                       text);
    return QL_OK;
}

static ql_code read_all(hub_settings *s, char **home, ql_error *err)
{
    long retries;
    QL_TRY(read_home(home, err));
    QL_TRY(read_cache(*home, &s->cache, err));
    QL_TRY(read_endpoint(&s->endpoint, err));
    QL_TRY(read_token(*home, &s->token, err));
    QL_TRY(read_number("HF_HUB_ETAG_TIMEOUT", 10, 1, 86400, &s->metadata_timeout, err));
    QL_TRY(read_number("HF_HUB_DOWNLOAD_TIMEOUT", 10, 1, 86400, &s->download_timeout, err));
    QL_TRY(read_number("QUANTLLM_HUB_RETRIES", 4, 0, 100, &retries, err));
    s->retries = (int)retries;
    s->offline = is_true("HF_HUB_OFFLINE") || is_true("TRANSFORMERS_OFFLINE");
    s->no_bars = is_true("HF_HUB_DISABLE_PROGRESS_BARS");
    return QL_OK;
}

ql_code hub_settings_read(hub_settings *settings, ql_error *err)
{
    char *home = NULL;
    *settings = (hub_settings){0};
    ql_code code = read_all(settings, &home, err);
    free(home);
    if (code != QL_OK)
        hub_settings_free(settings);
    return code;
}

void hub_settings_free(hub_settings *settings)
{
    free(settings->cache);
    free(settings->endpoint);
    free(settings->token);
    *settings = (hub_settings){0};
}
