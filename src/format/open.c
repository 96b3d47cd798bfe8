// SPDX-License-Identifier: MIT
// Opens a source from whatever a path names, and closes it: which kind it is, remarks, identity, documents. Must not
// know any format beyond its first bytes.
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "format/gguf.h"

// ---- paths ----

char *ql_path_join(const char *folder, const char *name)
{
    size_t n = strlen(folder), m = strlen(name);
    bool slash = n && folder[n - 1] != '/';
    char *path = malloc(n + slash + m + 1);
    if (!path)
        return NULL;
    memcpy(path, folder, n);
    if (slash)
        path[n] = '/';
    memcpy(path + n + slash, name, m + 1);
    return path;
}

const char *ql_path_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

char *ql_path_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return strdup(".");
    return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

bool ql_path_ends(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);
    return n >= m && strcasecmp(name + n - m, end) == 0;
}

bool ql_path_is_file(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static bool is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

// ---- what a source tells of itself ----

static bool note_identity(ql_buf *identity, const char *path)
{
    struct stat st;
    errno = 0;
    char *real = realpath(path, NULL);
    identity->failed |= !real && errno == ENOMEM;
    bool seen = stat(path, &st) == 0;
    int reason = errno;
    if (seen)
        ql_buf_printf(identity, "%s %" PRIu64 " %" PRId64 ".%09ld %" PRId64 ".%09ld %" PRIu64 ":%" PRIu64 "\n",
                      real ? real : path, (uint64_t)st.st_size, (int64_t)st.st_mtim.tv_sec, st.st_mtim.tv_nsec,
                      (int64_t)st.st_ctim.tv_sec, st.st_ctim.tv_nsec, (uint64_t)st.st_dev, (uint64_t)st.st_ino);
    free(real);
    errno = reason;
    return seen;
}

ql_code ql_source_map(ql_source *owner, const char *path, ql_file *file, ql_error *err)
{
    bool seen = note_identity(&owner->identity, path);
    int reason = errno;
    ql_buf_append(&owner->files, path, strlen(path) + 1);
    QL_TRY(ql_file_open(file, path, err)); // says why, when there is no such file
    ql_code code = QL_OK;
    if (!seen) // without its line another model could have the same identity
        code = ql_fail(err, QL_E_IO, "%s: %s", path, strerror(reason));
    else if (owner->identity.failed || owner->files.failed)
        code = ql_fail_memory(err, owner->identity.cap);
    if (code != QL_OK)
        ql_file_close(file);
    return code;
}

ql_code ql_source_check_unchanged(const ql_source *s, ql_error *err)
{
    ql_buf now = {0};
    for (size_t at = 0; at < s->files.len; at += strlen(s->files.data + at) + 1)
        note_identity(&now, s->files.data + at);
    bool same = !now.failed && now.len == s->identity.len && (!now.len || memcmp(now.data, s->identity.data, now.len) == 0);
    bool failed = now.failed;
    ql_buf_free(&now);
    if (failed)
        return ql_fail_memory(err, s->identity.len);
    return same ? QL_OK : ql_fail(err, QL_E_IO, "%s: changed while it was read", s->path);
}

bool ql_source_has_file(const ql_source *s, const char *path)
{
    struct stat one, other;
    if (stat(path, &one) != 0)
        return false;
    for (size_t at = 0; at < s->files.len; at += strlen(s->files.data + at) + 1)
        if (stat(s->files.data + at, &other) == 0 && one.st_ino == other.st_ino && one.st_dev == other.st_dev)
            return true;
    return false;
}

void ql_source_identity(const ql_source *source, ql_buf *out)
{
    ql_buf_append(out, source->identity.data, source->identity.len);
}

void ql_source_add_remark(ql_source *source, const char *fmt, ...)
{
    char line[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    ql_error clean = {0}; // file names come out without control bytes, as in errors
    ql_fail(&clean, QL_OK, "%s", line);
    ql_buf_append(&source->remarks, clean.message, strlen(clean.message) + 1);
}

const char *ql_source_remark(const ql_source *source, size_t i)
{
    const ql_buf *b = &source->remarks;
    for (size_t at = 0; at < b->len; at += strlen(b->data + at) + 1)
        if (i-- == 0)
            return b->data + at;
    return NULL;
}

ql_code ql_source_set_no_weights(ql_source *source, ql_error *err, ql_code code, const char *fmt, ...)
{
    char line[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    if (!source->no_weights && !(source->no_weights = calloc(1, sizeof *source->no_weights)))
        return ql_fail_memory(err, sizeof *source->no_weights);
    ql_fail(source->no_weights, code, "%s", line);
    return QL_OK;
}

ql_code ql_source_check_weights(const ql_source *s, ql_error *err)
{
    if (s->no_weights)
        return ql_fail(err, s->no_weights->code, "%s", s->no_weights->message);
    if (s->n_tensors == 0)
        return ql_fail(err, QL_E_FORMAT, "%s: holds no weights", s->path);
    if (s->kind == QL_SOURCE_HF && s->n_kvs == 0)
        return ql_fail(err, QL_E_FORMAT, "%s: %s is missing or empty", s->path,
                       s->keys_path ? ql_path_name(s->keys_path) : "config.json");
    return QL_OK;
}

ql_str ql_source_document(const ql_source *s, const char *name)
{
    char key[128];
    ql_str text = {0};
    for (size_t i = 0; i < s->n_documents; i++)
        if (s->documents[i].file.data && strcmp(s->documents[i].name, name) == 0)
            return (ql_str){(const char *)s->documents[i].file.data, s->documents[i].file.size};
    if (s->n_documents || snprintf(key, sizeof key, "quantllm.document.%s", name) >= (int)sizeof key)
        return text;
    return ql_source_get_str(s, key, false, &text, NULL) == QL_OK ? text : (ql_str){0};
}

uint64_t ql_source_file_bytes(const ql_source *source)
{
    uint64_t bytes = source->file.size;
    for (size_t i = 0; i < source->n_parts; i++)
        bytes += source->parts[i].file.size;
    return bytes;
}

// ---- which kind ----

static bool is_safetensors(const char *path)
{
    ql_file file;
    if (ql_path_ends(path, ".safetensors"))
        return true;
    if (ql_path_ends(path, ".gguf") || ql_file_open(&file, path, NULL) != QL_OK)
        return false;
    bool is = file.size > 8 && memcmp(file.data, "GGUF", 4) != 0 && file.data[8] == '{';
    ql_file_close(&file);
    return is;
}

static ql_code open_folder_of(ql_source *s, const char *path, ql_error *err)
{
    char *folder = ql_path_folder(path);
    if (!folder)
        return ql_fail_memory(err, strlen(path) + 1);
    ql_code code = ql_folder_open(s, folder, NULL, err);
    free(folder);
    return code;
}

// "folder:choice".
static ql_code open_choice(ql_source *s, const char *path, ql_error *err)
{
    const char *colon = strrchr(path, ':');
    char *folder = strndup(path, (size_t)(colon - path));
    if (!folder)
        return ql_fail_memory(err, strlen(path) + 1);
    ql_code code;
    if (!is_folder(folder))
        code = ql_fail(err, QL_E_NOT_FOUND, "%s: %s", path, strerror(ENOENT));
    else
        code = ql_folder_open(s, folder, colon + 1, err);
    free(folder);
    return code;
}

static ql_code open_any(ql_source *s, const char *path, ql_error *err)
{
    struct stat st;
    const char *name = ql_path_name(path);
    if (stat(path, &st) != 0)
        return strchr(path, ':') ? open_choice(s, path, err) : ql_gguf_open(s, path, err); // which tells why not
    if (S_ISDIR(st.st_mode))
        return ql_folder_open(s, path, NULL, err);
    if (ql_path_ends(name, "tokenizer.json"))
        return ql_hf_open_tokenizer(s, path, err);
    if (strcmp(name, "config.json") == 0 || ql_path_ends(name, ".safetensors.index.json"))
        return open_folder_of(s, path, err);
    return S_ISREG(st.st_mode) && is_safetensors(path) ? ql_hf_open_file(s, path, err) : ql_gguf_open(s, path, err);
}

// ---- lifetime ----

static ql_code new_source(const char *path, ql_source **source, ql_error *err)
{
    ql_source *s = calloc(1, sizeof *s);
    if (!s || !(s->path_copy = strdup(path))) {
        free(s);
        return ql_fail_memory(err, sizeof *s);
    }
    s->path = s->path_copy;
    *source = s;
    return QL_OK;
}

static ql_code finish(ql_source *s, ql_code code, ql_source **source, ql_error *err)
{
    if (code == QL_OK && (s->identity.failed || s->remarks.failed))
        code = ql_fail_memory(err, s->identity.len + s->remarks.len);
    if (code != QL_OK)
        ql_source_close(s);
    else
        *source = s;
    return code;
}

ql_code ql_source_open(const char *path, ql_source **source, ql_error *err)
{
    ql_source *s = NULL;
    *source = NULL;
    QL_TRY(new_source(path, &s, err));
    return finish(s, open_any(s, path, err), source, err);
}

ql_code ql_source_open_memory(const void *data, size_t size, const char *path, ql_source **source, ql_error *err)
{
    ql_source *s = NULL;
    *source = NULL;
    QL_TRY(new_source(path, &s, err));
    return finish(s, ql_gguf_parse(data, size, s->path_copy, s, err), source, err);
}

// Panels are read in whole vectors of 64 bytes. A source of ours that was copied from a folder stays of that kind: its
// keys are config.json's.
static ql_code open_packed(ql_source *s, const char *path, ql_error *err)
{
    uint64_t alignment = 0;
    ql_str kind = {0};
    s->allow_packed = true;
    QL_TRY(ql_source_map(s, path, &s->file, err));
    QL_TRY(ql_gguf_parse(s->file.data, s->file.size, s->path_copy, s, err));
    QL_TRY(ql_source_get_u64(s, "general.alignment", true, 64, 65536, &alignment, err));
    QL_TRY(ql_source_get_str(s, "quantllm.kind", false, &kind, err));
    if (kind.len == 2 && memcmp(kind.data, "hf", 2) == 0)
        s->kind = QL_SOURCE_HF;
    return QL_OK;
}

ql_code ql_source_open_packed(const char *path, ql_source **source, ql_error *err)
{
    ql_source *s = NULL;
    *source = NULL;
    QL_TRY(new_source(path, &s, err));
    return finish(s, open_packed(s, path, err), source, err);
}

static void clear(ql_source *s)
{
    ql_gguf_clear(s);
    ql_file_close(&s->file);
    for (size_t i = 0; i < s->n_documents; i++)
        ql_file_close(&s->documents[i].file);
    free(s->documents);
    free(s->path_copy);
    free(s->keys_path);
    free(s->no_weights);
    ql_buf_free(&s->identity);
    ql_buf_free(&s->files);
}

void ql_source_close(ql_source *source)
{
    if (!source)
        return;
    for (size_t i = 0; i < source->n_parts; i++)
        clear(&source->parts[i]);
    free(source->parts);
    clear(source);
    free(source);
}
