// SPDX-License-Identifier: MIT
// Owns the directory of packed weights: names, identity, listing, the cap on its size. Must not know what is in a file
// beyond its labels. Nothing here is worth a failure: without the cache a model loads as it did the first time.
#include "engine/packed.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/new_file.h"
#include "base/number.h"
#include "base/random.h"

// Of panels, of the container, and of what the quantizers give: a change of any of them makes all files strangers.
enum { LAYOUT_VERSION = 2 };

const char ql_packed_suffix[] = ".packed";
const char ql_packed_part_suffix[] = ".part";

// ---- places ----

static char *join(const char *a, const char *b, const char *c)
{
    ql_buf buf = {0};
    ql_buf_printf(&buf, "%s%s%s", a, b, c);
    char *text;
    size_t len;
    return ql_buf_take(&buf, &text, &len, NULL) == QL_OK ? text : NULL;
}

char *ql_packed_dir(void)
{
    const char *own = getenv("QUANTLLM_CACHE"), *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (own && (strcasecmp(own, "off") == 0 || strcmp(own, "0") == 0 || !*own))
        return NULL;
    if (own)
        return join(own, "", "");
    if (xdg && *xdg == '/')
        return join(xdg, "/quantllm/packed", "");
    return home && *home ? join(home, "/.cache/quantllm/packed", "") : NULL;
}

uint64_t ql_packed_cap(void)
{
    static const uint64_t default_cap = (uint64_t)20 << 30;
    const char *text = getenv("QUANTLLM_CACHE_SIZE");
    if (!text || !*text)
        return default_cap;
    char *end;
    double size = ql_to_double(text, &end);
    static const char units[] = "KMGT";
    const char *unit = *end ? strchr(units, *end & ~0x20) : NULL;
    if (end == text || !(size >= 0) || size > 1e18 || (*end && (!unit || end[1])))
        return default_cap;
    for (int i = unit ? (int)(unit - units) : -1; i >= 0; i--)
        size *= 1024;
    return size < 1e19 ? (uint64_t)size : UINT64_MAX;
}

static uint64_t hash(const char *text, size_t len)
{
    uint64_t h = 0;
    for (size_t i = 0; i < len; i++)
        h = ql_mix64(h ^ (uint8_t)text[i]);
    return h;
}

// A name that people recognize in the directory, as far as its characters are harmless.
static void label(const char *name, char out[64])
{
    size_t n = 0;
    for (; *name && n < 63; name++) {
        bool plain = (*name >= 'a' && *name <= 'z') || (*name >= 'A' && *name <= 'Z') || (*name >= '0' && *name <= '9');
        out[n++] = plain || strchr("-_.", *name) ? *name : '-';
    }
    out[n] = 0;
}

ql_code ql_packed_locate(const ql_source *source, const char *name, const char *quantization, ql_packed_place *place,
                         ql_error *err)
{
    *place = (ql_packed_place){0};
    if (!(place->dir = ql_packed_dir()))
        return QL_OK;
    ql_buf identity = {0};
    ql_buf_printf(&identity, "layout %d\nquantization %s\n", LAYOUT_VERSION, quantization);
    ql_source_identity(source, &identity);
    QL_TRY(ql_buf_take(&identity, &place->identity, &place->identity_len, err));
    char text[64], tail[64 + 40];
    label(name, text);
    snprintf(tail, sizeof tail, "%s.%s.%016" PRIx64, text, quantization, hash(place->identity, place->identity_len));
    ql_buf path = {0};
    ql_buf_printf(&path, "%s/%s%s", place->dir, tail, ql_packed_suffix);
    size_t len;
    return ql_buf_take(&path, &place->path, &len, err);
}

void ql_packed_place_free(ql_packed_place *place)
{
    free(place->dir);
    free(place->path);
    free(place->identity);
    *place = (ql_packed_place){0};
}

// ---- opening ----

ql_source *ql_packed_open(const ql_packed_place *place)
{
    ql_source *packed;
    ql_str identity = {0};
    ql_code code = place->path ? ql_source_open_packed(place->path, &packed, NULL) : QL_E_NOT_FOUND;
    if (code != QL_OK) {
        if (code == QL_E_FORMAT || code == QL_E_UNSUPPORTED) // in its way another could not be written
            unlink(place->path);
        return NULL;
    }
    if (ql_source_check_seal(packed, NULL) == QL_OK &&
        ql_source_get_str(packed, "quantllm.identity", true, &identity, NULL) == QL_OK &&
        identity.len == place->identity_len && memcmp(identity.data, place->identity, identity.len) == 0) {
        utimensat(AT_FDCWD, place->path, NULL, 0); // its last use
        return packed;
    }
    ql_source_close(packed);
    unlink(place->path);
    return NULL;
}

// ---- the directory ----

typedef struct entry {
    char *path;
    uint64_t bytes;
    int64_t used;
} entry;

typedef struct listing {
    entry *entries;
    size_t n, cap;
} listing;

static bool ends_with(const char *text, const char *suffix)
{
    size_t n = strlen(text), m = strlen(suffix);
    return n >= m && strcmp(text + n - m, suffix) == 0;
}

static bool listing_add(listing *l, const char *dir, const char *name)
{
    struct stat st;
    char *path = join(dir, "/", name);
    if (!path || lstat(path, &st) != 0 || !S_ISREG(st.st_mode)) {
        free(path);
        return true;
    }
    if (l->n == l->cap) {
        size_t cap = l->cap ? 2 * l->cap : 16;
        entry *more = realloc(l->entries, cap * sizeof *more);
        if (!more) {
            free(path);
            return false;
        }
        l->entries = more;
        l->cap = cap;
    }
    l->entries[l->n++] = (entry){path, (uint64_t)st.st_size, (int64_t)st.st_mtime};
    return true;
}

static int by_last_use(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    return x->used != y->used ? (x->used < y->used ? 1 : -1) : strcmp(x->path, y->path);
}

// Files with this suffix, the last used first.
static listing list(const char *dir, const char *suffix)
{
    listing l = {0};
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));)
        if (ends_with(e->d_name, suffix) && !listing_add(&l, dir, e->d_name))
            break;
    if (d)
        closedir(d);
    if (l.n)
        qsort(l.entries, l.n, sizeof *l.entries, by_last_use);
    return l;
}

static void listing_free(listing *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->entries[i].path);
    free(l->entries);
}

void ql_packed_trim(const char *dir, uint64_t cap, const char *keep)
{
    listing parts = list(dir, ql_packed_part_suffix), files = list(dir, ql_packed_suffix);
    uint64_t total = 0;
    for (size_t i = 0; i < parts.n; i++) {
        int fd = ql_lock_file(parts.entries[i].path, 0600);
        if (fd >= 0) {
            unlink(parts.entries[i].path);
            close(fd);
        }
    }
    for (size_t i = 0; i < files.n; i++)
        total += files.entries[i].bytes;
    for (size_t i = files.n; i-- > 0 && total > cap;)
        if (strcmp(files.entries[i].path, keep) != 0 && unlink(files.entries[i].path) == 0)
            total -= files.entries[i].bytes;
    listing_free(&parts);
    listing_free(&files);
}

// ---- quantllm.h ----

// Strings of the entries go behind them, in one allocation.
static char *put_string(char **at, const char *data, size_t len)
{
    char *string = *at;
    memcpy(string, data, len);
    string[len] = 0;
    *at += len + 1;
    return string;
}

static void read_labels(const char *path, ql_buf *labels)
{
    ql_source *packed;
    ql_str source = {"", 0}, quantization = {"", 0};
    bool open = ql_source_open_packed(path, &packed, NULL) == QL_OK;
    if (open) {
        ql_source_get_str(packed, "quantllm.source_path", false, &source, NULL);
        ql_source_get_str(packed, "quantllm.quantization", false, &quantization, NULL);
    }
    ql_buf_append(labels, source.data, source.len);
    ql_buf_append_byte(labels, 0);
    ql_buf_append(labels, quantization.data, quantization.len);
    ql_buf_append_byte(labels, 0);
    if (open)
        ql_source_close(packed);
}

static ql_code make_entries(const listing *files, const ql_buf *labels, ql_packed_entry **entries, ql_error *err)
{
    size_t bytes = files->n * sizeof **entries + labels->len + 1;
    for (size_t i = 0; i < files->n; i++)
        bytes += strlen(files->entries[i].path) + 1;
    if (!(*entries = malloc(bytes)))
        return ql_fail_memory(err, bytes);
    char *at = (char *)(*entries + files->n);
    const char *text = labels->data;
    for (size_t i = 0; i < files->n; i++) {
        const entry *f = &files->entries[i];
        ql_packed_entry *e = &(*entries)[i];
        *e = (ql_packed_entry){.bytes = f->bytes, .last_used = f->used};
        e->path = put_string(&at, f->path, strlen(f->path));
        e->source = put_string(&at, text, strlen(text));
        text += strlen(text) + 1;
        e->quantization = put_string(&at, text, strlen(text));
        text += strlen(text) + 1;
    }
    return QL_OK;
}

ql_code ql_packed_list(ql_packed_entry **entries, size_t *n, ql_error *err)
{
    *entries = NULL;
    *n = 0;
    char *dir = ql_packed_dir();
    if (!dir)
        return QL_OK;
    listing files = list(dir, ql_packed_suffix);
    ql_buf labels = {0};
    for (size_t i = 0; i < files.n; i++)
        read_labels(files.entries[i].path, &labels);
    ql_code code = labels.failed ? ql_fail_memory(err, labels.cap) : make_entries(&files, &labels, entries, err);
    *n = code == QL_OK ? files.n : 0;
    ql_buf_free(&labels);
    listing_free(&files);
    free(dir);
    return code;
}

ql_code ql_packed_remove(const char *path, ql_error *err)
{
    char *dir = ql_packed_dir();
    size_t n = dir ? strlen(dir) : 0;
    bool inside = dir && strncmp(path, dir, n) == 0 && path[n] == '/' && !strchr(path + n + 1, '/') &&
                  ends_with(path, ql_packed_suffix);
    free(dir);
    if (!inside)
        return ql_fail(err, QL_E_ARGUMENT, "%s: is no file of the packed cache", path);
    if (unlink(path) != 0)
        return ql_fail(err, errno == ENOENT ? QL_E_NOT_FOUND : QL_E_IO, "%s: %s", path, strerror(errno));
    return QL_OK;
}
