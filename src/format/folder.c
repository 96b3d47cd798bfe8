// SPDX-License-Identifier: MIT
// A folder: the files of Hugging Face, or one of its GGUF files, chosen by name. Must not open what it does not choose.
// A choice is a word of the file's name ("Q4_K_M"), not a part of one: Q4_K does not choose Q4_K_M.
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/source_impl.h"

typedef struct gguf_list {
    char **names; // [n], sorted; of a split model the first file that is there
    size_t n, cap;
} gguf_list;

static void list_free(gguf_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        free(list->names[i]);
    free(list->names);
}

static int compare(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

// Pictures' encoders and the statistics of quantizers are no models.
static bool is_model_name(const char *name)
{
    return ql_path_ends(name, ".gguf") && name[0] != '.' && !strcasestr(name, "mmproj") && !strcasestr(name, "imatrix");
}

// Files of one split model: they differ in the number of "-00001-of-00003.gguf" alone.
static bool same_split(const char *a, const char *b)
{
    size_t n = strlen(a);
    return n == strlen(b) && n > 20 && strncasecmp(a + n - 14, "-of-", 4) == 0 && a[n - 20] == '-' &&
           strncmp(a, b, n - 19) == 0 && strcmp(a + n - 14, b + n - 14) == 0;
}

static ql_code list_add(gguf_list *list, const char *folder, const char *name, ql_error *err)
{
    char *path = ql_path_join(folder, name), *copy = strdup(name);
    bool failed = !path || !copy, wanted = !failed && ql_path_is_file(path);
    free(path);
    if (wanted && list->n == list->cap) {
        size_t cap = list->cap ? 2 * list->cap : 16;
        char **names = realloc(list->names, cap * sizeof *names);
        if (names) {
            list->names = names;
            list->cap = cap;
        }
    }
    if (failed || (wanted && list->n == list->cap)) {
        free(copy);
        return ql_fail_memory(err, strlen(folder) + strlen(name) + 2);
    }
    if (wanted)
        list->names[list->n++] = copy;
    else
        free(copy);
    return QL_OK;
}

static ql_code list_ggufs(const char *folder, gguf_list *list, ql_error *err)
{
    DIR *dir = opendir(folder);
    if (!dir)
        return ql_fail(err, QL_E_IO, "%s: %s", folder, strerror(errno));
    ql_code code = QL_OK;
    for (struct dirent *e; code == QL_OK && (e = readdir(dir));)
        if (is_model_name(e->d_name))
            code = list_add(list, folder, e->d_name, err);
    closedir(dir);
    QL_TRY(code);
    if (list->n)
        qsort(list->names, list->n, sizeof *list->names, compare);
    size_t kept = 0;
    for (size_t i = 0; i < list->n; i++) {
        if (kept && same_split(list->names[kept - 1], list->names[i]))
            free(list->names[i]);
        else
            list->names[kept++] = list->names[i];
    }
    list->n = kept;
    return QL_OK;
}

// ---- choosing ----

// Whether word is in name, in any case of letters, and no letter or digit makes it part of a longer type's name.
static bool has_word(const char *name, const char *word)
{
    size_t n = strlen(word);
    for (const char *at = name; n && (at = strcasestr(at, word)); at++) {
        unsigned char before = at == name ? '.' : (unsigned char)at[-1], after = (unsigned char)at[n];
        if (!isalnum(before) && !isalnum(after) && after != '_')
            return true;
    }
    return false;
}

// The names joined, as many as a message can take.
static void tell(const gguf_list *list, const char *word, char *out, size_t size)
{
    size_t at = 0, shown = 0, n = 0;
    out[0] = 0;
    for (size_t i = 0; i < list->n; i++) {
        if (word && !has_word(list->names[i], word))
            continue;
        n++;
        if (at + strlen(list->names[i]) + 32 > size)
            continue;
        at += (size_t)snprintf(out + at, size - at, "%s%s", shown++ ? ", " : "", list->names[i]);
    }
    if (n > shown)
        snprintf(out + at, size - at, " and %zu more", n - shown);
}

static ql_code choose(const gguf_list *list, const char *folder, const char *choice, size_t *chosen, ql_error *err)
{
    char names[600];
    size_t n = 0;
    for (size_t i = list->n; i-- > 0;) {
        if (strcmp(list->names[i], choice) == 0) {
            *chosen = i;
            return QL_OK;
        }
        if (has_word(list->names[i], choice)) {
            *chosen = i;
            n++;
        }
    }
    if (n == 1)
        return QL_OK;
    tell(list, n ? choice : NULL, names, sizeof names);
    if (n)
        return ql_fail(err, QL_E_ARGUMENT, "%s: \"%s\" is in the names of %zu GGUF files: %s; give a whole name",
                       folder, choice, n, names);
    return ql_fail(err, QL_E_NOT_FOUND, "%s: no GGUF file of it is named by \"%s\"; there %s %s", folder, choice,
                   list->n == 1 ? "is" : "are", list->n ? names : "none");
}

// Without a choice: small and good first, then what is near to that.
static size_t choose_default(const gguf_list *list)
{
    static const char *const order[] = {"Q4_K_M", "Q4_K_S", "Q5_K_M", "Q4_0", "Q8_0", "Q6_K", "Q5_K_S", "Q4_K_L",
                                        "Q5_K_L", "Q6_K_L", "Q4_K_XL", "Q4_1", "IQ4_XS", "IQ4_NL", "Q5_0", "Q5_1",
                                        "Q3_K_L", "Q3_K_M", "Q3_K_S", "Q2_K", "BF16", "F16", "F32"};
    for (size_t k = 0; k < sizeof order / sizeof *order; k++)
        for (size_t i = 0; i < list->n; i++)
            if (has_word(list->names[i], order[k]))
                return i;
    return 0;
}

static ql_code open_chosen(ql_source *s, const gguf_list *list, const char *folder, const char *choice, ql_error *err)
{
    size_t chosen = 0;
    if (choice)
        QL_TRY(choose(list, folder, choice, &chosen, err));
    else
        chosen = choose_default(list);
    if (!choice && list->n > 1)
        ql_source_add_remark(s, "%s: %zu GGUF models, took %s", folder, list->n, list->names[chosen]);
    char *path = ql_path_join(folder, list->names[chosen]);
    if (!path)
        return ql_fail_memory(err, strlen(folder) + strlen(list->names[chosen]) + 2);
    free(s->path_copy); // messages name the file
    s->path = s->path_copy = path;
    return ql_gguf_open(s, path, err);
}

ql_code ql_folder_open(ql_source *s, const char *folder, const char *choice, ql_error *err)
{
    gguf_list list = {0};
    if (!choice && ql_hf_has_safetensors(folder))
        return ql_hf_open_folder(s, folder, err);
    ql_code code = list_ggufs(folder, &list, err);
    if (code == QL_OK && (choice || list.n))
        code = open_chosen(s, &list, folder, choice, err);
    else if (code == QL_OK && ql_hf_looks_like_folder(folder))
        code = ql_hf_open_folder(s, folder, err);
    else if (code == QL_OK)
        code = ql_fail(err, QL_E_NOT_FOUND, "%s: holds no model: config.json with model.safetensors, or a .gguf file",
                       folder);
    list_free(&list);
    return code;
}
