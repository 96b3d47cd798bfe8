// SPDX-License-Identifier: MIT
// Owns which files of a repository are needed to run it, from their names alone. It must not know network or disk.
// The Python package decides the same in _hub_files.py; tests/python/test_hub_choose.py runs both on the same listings.
#include "hub_impl.h"

#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char hub_config_file[] = "config.json";
static const char weights_file[] = "model.safetensors", index_file[] = "model.safetensors.index.json",
                  tokenizer_file[] = "tokenizer.json";
static const char *const documents[] = {"config.json", "generation_config.json", "tokenizer.json",
                                        "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja",
                                        "chat_template.json"};
static const char *const old_tokenizer[] = {"vocab.json", "merges.txt", "vocab.txt", "added_tokens.json"};
static const char *const quantized[] = {"quantize_config.json", "quant_config.json"}; // of GPTQ and AWQ

// The first of these that is there is taken when none is asked for: the library's own order for a folder.
static const char *const preferred[] = {"Q4_K_M", "Q4_K_S", "Q5_K_M", "Q4_0", "Q8_0", "Q6_K", "Q5_K_S", "Q4_K_L",
                                        "Q5_K_L", "Q6_K_L", "Q4_K_XL", "Q4_1", "IQ4_XS", "IQ4_NL", "Q5_0", "Q5_1",
                                        "Q3_K_L", "Q3_K_M", "Q3_K_S", "Q2_K", "BF16", "F16", "F32"};
#define COUNT(array) (sizeof(array) / sizeof *(array))

// ---- names ----

static int by_name(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

// The plain ones in order; the caller frees the array, not the names.
static const char **sorted(hub_names names, size_t *n)
{
    const char **out = calloc(names.n + 1, sizeof *out);
    *n = 0;
    for (size_t i = 0; out && i < names.n; i++)
        if (hub_is_plain(names.at[i]))
            out[(*n)++] = names.at[i];
    if (out)
        qsort(out, *n, sizeof *out, by_name);
    return out;
}

static const char *find(const char *const *names, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return names[i];
    return NULL;
}

static const char *last_part(const char *name)
{
    const char *slash = strrchr(name, '/');
    return slash ? slash + 1 : name;
}

static bool add(hub_choice *choice, const char *name)
{
    const char **more = realloc(choice->files, (choice->n + 1) * sizeof *more);
    if (!more)
        return false;
    choice->files = more;
    choice->files[choice->n++] = name;
    return true;
}

void hub_choice_free(hub_choice *choice)
{
    free(choice->files);
    *choice = (hub_choice){0};
}

// ---- GGUF ----

// "...-00001-of-00003.gguf": the length before "-00001", its number and count. False: a file of its own.
static bool shard(const char *name, size_t *stem, long *number, long *count)
{
    size_t n = strlen(name);
    if (n < 20 || strcasecmp(name + n - 5, ".gguf") != 0)
        return false;
    const char *s = name + n - 20;
    if (s[0] != '-' || strncasecmp(s + 6, "-of-", 4) != 0 || strspn(s + 1, "0123456789") != 5 ||
        strspn(s + 10, "0123456789") != 5)
        return false;
    *stem = n - 20;
    *number = strtol(s + 1, NULL, 10);
    *count = strtol(s + 10, NULL, 10);
    return true;
}

// Whether both are shards of one model.
static bool same_set(const char *a, const char *b)
{
    size_t stem_a, stem_b;
    long number, count_a, count_b;
    return shard(a, &stem_a, &number, &count_a) && shard(b, &stem_b, &number, &count_b) && stem_a == stem_b &&
           count_a == count_b && memcmp(a, b, stem_a) == 0;
}

static bool contains_nocase(const char *text, const char *word) { return strcasestr(text, word) != NULL; }

// A GGUF that is a model, not one of its companions.
static bool is_gguf(const char *name)
{
    const char *base = last_part(name);
    size_t n = strlen(base);
    return n >= 5 && strcasecmp(base + n - 5, ".gguf") == 0 && !contains_nocase(base, "mmproj") &&
           !contains_nocase(base, "imatrix");
}

// The first file of each GGUF model.
typedef struct sets {
    const char *const *names; // all names of the repository
    size_t n_names;
    const char **first;
    size_t n;
} sets;

static ql_code gguf_sets(const char *const *names, size_t n, sets *out, ql_error *err)
{
    *out = (sets){names, n, calloc(n + 1, sizeof *out->first), 0};
    if (!out->first)
        return ql_fail_memory(err, (n + 1) * sizeof *out->first);
    for (size_t i = 0; i < n; i++) {
        // names are in order, so the shards of a set follow its first, though others may stand between
        bool known = !is_gguf(names[i]);
        size_t stem;
        long number, count;
        if (!known && shard(names[i], &stem, &number, &count))
            for (size_t k = 0; k < out->n && !known; k++)
                known = same_set(out->first[k], names[i]);
        if (!known)
            out->first[out->n++] = names[i];
    }
    return QL_OK;
}

// Letters and digits may not stand around the word: Q4_K is not in "x.Q4_K_M.gguf".
static bool has_word(const char *name, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = name; (at = strcasestr(at, word)); at++) {
        bool begins = at == name || !isalnum((unsigned char)at[-1]);
        bool ends = !isalnum((unsigned char)at[len]) && at[len] != '_';
        if (begins && ends)
            return true;
    }
    return false;
}

static bool in_set(const sets *all, const char *first, const char *wanted, bool by_last_part)
{
    for (size_t i = 0; i < all->n_names; i++) {
        const char *name = all->names[i];
        if ((name == first || same_set(first, name)) && is_gguf(name) &&
            strcmp(by_last_part ? last_part(name) : name, wanted) == 0)
            return true;
    }
    return false;
}

// The names of those that are picked (NULL: all) for a message.
static const char *listed(const sets *all, const bool *picked, char *text, size_t size)
{
    size_t at = 0, shown = 0, n = 0;
    text[0] = 0;
    for (size_t i = 0; i < all->n; i++) {
        if (picked && !picked[i])
            continue;
        n++;
        if (shown == 12 || at + strlen(all->first[i]) + 40 > size)
            continue;
        at += (size_t)snprintf(text + at, size - at, "%s%s", shown++ ? ", " : "", all->first[i]);
    }
    if (n > shown)
        snprintf(text + at, size - at, " and %zu more", n - shown);
    return text;
}

// By the whole path, else the file's name, else a type in it.
static size_t pick(const sets *all, const char *wanted, bool *picked)
{
    size_t n = 0;
    for (int rule = 0; rule < 3 && !n; rule++)
        for (size_t i = 0; i < all->n; i++) {
            picked[i] = rule == 2 ? has_word(all->first[i], wanted) : in_set(all, all->first[i], wanted, rule == 1);
            n += picked[i];
        }
    return n;
}

static ql_code match(const char *repo, const sets *all, const char *wanted, const char **chosen, ql_error *err)
{
    char names[700];
    bool *picked = calloc(all->n + 1, sizeof *picked);
    if (!picked)
        return ql_fail_memory(err, all->n + 1);
    size_t n = pick(all, wanted, picked);
    ql_code code = QL_OK;
    if (n == 0)
        code = ql_fail(err, QL_E_NOT_FOUND, "%s has no \"%s\"; its GGUF files are %s", repo, wanted,
                       listed(all, NULL, names, sizeof names));
    else if (n > 1)
        code = ql_fail(err, QL_E_ARGUMENT, "\"%s\" is in the names of %zu GGUF files of %s, give one: %s", wanted, n,
                       repo, listed(all, picked, names, sizeof names));
    for (size_t i = 0; i < all->n && code == QL_OK; i++)
        if (picked[i])
            *chosen = all->first[i];
    free(picked);
    return code;
}

static const char *by_preference(const sets *all)
{
    for (size_t k = 0; k < COUNT(preferred); k++)
        for (size_t i = 0; i < all->n; i++)
            if (has_word(all->first[i], preferred[k]))
                return all->first[i];
    return all->first[0];
}

// All shards of a model, which must be there from the first to the last.
static ql_code take_gguf(const sets *all, const char *first, hub_choice *choice, ql_error *err)
{
    size_t stem;
    long number, count;
    bool split = shard(first, &stem, &number, &count);
    for (size_t i = 0; i < all->n_names; i++) {
        const char *name = all->names[i];
        if ((name == first || same_set(first, name)) && is_gguf(name) && !add(choice, name))
            return ql_fail_memory(err, choice->n * sizeof *choice->files);
    }
    choice->gguf = first;
    bool whole = !split || (long)choice->n == count;
    for (size_t i = 0; split && whole && i < choice->n; i++) {
        long n;
        whole = shard(choice->files[i], &stem, &n, &count) && n == (long)i + 1;
    }
    if (whole)
        return QL_OK;
    return ql_fail(err, QL_E_ARGUMENT, "%s is one of %ld shards, of which %zu are there", first, count, choice->n);
}

// ---- safetensors ----

static ql_code take_safetensors(const char *repo, const char *const *names, size_t n, hub_choice *choice, ql_error *err)
{
    const char *weights = find(names, n, weights_file), *index = weights ? NULL : find(names, n, index_file);
    if (!find(names, n, hub_config_file))
        return ql_fail(err, QL_E_FORMAT, "%s has %s but no %s: it is not complete", repo, weights ? weights : index,
                       hub_config_file);
    bool fits = true;
    for (size_t i = 0; i < COUNT(documents); i++)
        if (find(names, n, documents[i]))
            fits &= add(choice, find(names, n, documents[i]));
    for (size_t i = 0; i < COUNT(old_tokenizer) && !find(names, n, tokenizer_file); i++)
        if (find(names, n, old_tokenizer[i]))
            fits &= add(choice, find(names, n, old_tokenizer[i]));
    fits &= add(choice, weights ? weights : index);
    choice->index = index;
    return fits ? QL_OK : ql_fail_memory(err, n * sizeof *names);
}

// ---- neither ----

static const char *first_ending(const char *const *names, size_t n, const char *const *ends)
{
    for (size_t i = 0; i < n; i++)
        for (const char *const *end = ends; *end; end++)
            if (hub_ends_with(names[i], *end))
                return names[i];
    return NULL;
}

static ql_code refuse(const char *repo, const char *const *names, size_t n, ql_error *err)
{
    static const char *const pickled[] = {".bin", ".pt", ".pth", ".ckpt", ".msgpack", ".h5", ".onnx", NULL};
    static const char *const safetensors[] = {".safetensors", NULL};
    const char *found;
    if (find(names, n, "adapter_config.json"))
        return ql_fail(err, QL_E_UNSUPPORTED, "%s is an adapter (LoRA) and no model: merge it into its base model, and "
                       "load the result", repo);
    if ((found = first_ending(names, n, pickled)))
        return ql_fail(err, QL_E_UNSUPPORTED, "%s has its weights as %s only: convert them to safetensors, or find a "
                       "repository that has those", repo, found);
    if ((found = first_ending(names, n, safetensors)))
        return ql_fail(err, QL_E_UNSUPPORTED, "%s has no %s, only %s, which is no language model that can be read",
                       repo, weights_file, found);
    return ql_fail(err, QL_E_UNSUPPORTED, "%s has no weights: neither safetensors nor GGUF files", repo);
}

// "Q4_K_M", "IQ4_XS", "BF16": for this a user may have meant --quantization.
static bool is_type(const char *text)
{
    size_t i = (text[0] | 32) == 'i';
    if (strcasecmp(text, "bf16") == 0 || strcasecmp(text, "f16") == 0 || strcasecmp(text, "f32") == 0)
        return true;
    return (text[i] | 32) == 'q' && isdigit((unsigned char)text[i + 1]) && text[i + 2] == '_' && text[i + 3];
}

static ql_code no_ggufs(const char *repo, const char *wanted, ql_error *err)
{
    if (is_type(wanted))
        return ql_fail(err, QL_E_NOT_FOUND, "%s has no GGUF files: leave \":%s\" out, and take --quantization %s for "
                       "that type", repo, wanted, wanted);
    return ql_fail(err, QL_E_NOT_FOUND, "%s has no GGUF files: leave \":%s\" out", repo, wanted);
}

static ql_code choose(const char *repo, const char *const *names, size_t n, const char *wanted, hub_choice *choice,
                      ql_error *err)
{
    sets all;
    const char *first = NULL;
    QL_TRY(gguf_sets(names, n, &all, err));
    ql_code code = QL_OK;
    if (*wanted) {
        code = all.n ? match(repo, &all, wanted, &first, err) : no_ggufs(repo, wanted, err);
    } else if (find(names, n, weights_file) || find(names, n, index_file)) {
        code = take_safetensors(repo, names, n, choice, err);
    } else if (all.n) {
        first = by_preference(&all);
        choice->n_ggufs = all.n;
    } else {
        code = refuse(repo, names, n, err);
    }
    if (code == QL_OK && first)
        code = take_gguf(&all, first, choice, err);
    free(all.first);
    return code;
}

ql_code hub_choose(const char *repo, hub_names names, const char *wanted, hub_choice *choice, ql_error *err)
{
    size_t n;
    *choice = (hub_choice){0};
    const char **plain = sorted(names, &n);
    if (!plain)
        return ql_fail_memory(err, names.n * sizeof *plain);
    ql_code code = choose(repo, plain, n, wanted, choice, err);
    free(plain);
    if (code != QL_OK)
        hub_choice_free(choice);
    return code;
}

// ---- what stands in documents ----

static bool chosen(const hub_choice *choice, const char *name) { return find(choice->files, choice->n, name) != NULL; }

static ql_code add_shards(const char *repo, const json_t *map, hub_names names, hub_choice *choice, ql_error *err)
{
    const char *key;
    json_t *value;
    if (!json_object_size(map))
        return ql_fail(err, QL_E_FORMAT, "%s: %s has no weight_map of tensor names to file names", repo, index_file);
    json_object_foreach((json_t *)map, key, value)
        if (!json_is_string(value))
            return ql_fail(err, QL_E_FORMAT, "%s: %s has no weight_map of tensor names to file names", repo,
                           index_file);
    size_t before = choice->n;
    const char *last = NULL; // a map names the same shard many times in a row
    json_object_foreach((json_t *)map, key, value) {
        const char *shard_name = json_string_value(value);
        if (last && strcmp(last, shard_name) == 0)
            continue;
        last = shard_name;
        if (chosen(choice, shard_name))
            continue;
        const char *name = hub_is_plain(shard_name) ? find((const char *const *)names.at, names.n, shard_name) : NULL;
        if (!name)
            return ql_fail(err, QL_E_FORMAT, "%s: %s speaks of \"%s\", which is not there: the repository is not "
                           "complete", repo, index_file, shard_name);
        if (!add(choice, name))
            return ql_fail_memory(err, choice->n * sizeof name);
    }
    qsort(choice->files + before, choice->n - before, sizeof *choice->files, by_name);
    return QL_OK;
}

static ql_code parse(const char *repo, const char *name, const char *json, size_t len, json_t **root, ql_error *err)
{
    json_error_t wrong;
    *root = json_loadb(json, len, 0, &wrong);
    bool parsed = *root != NULL;
    if (json_is_object(*root))
        return QL_OK;
    json_decref(*root);
    if (parsed)
        return ql_fail(err, QL_E_FORMAT, "%s: %s is no JSON object", repo, name);
    return ql_fail(err, QL_E_FORMAT, "%s: %s is not JSON: %s", repo, name, wrong.text);
}

ql_code hub_choose_shards(const char *repo, const char *json, size_t len, hub_names names, hub_choice *choice,
                          ql_error *err)
{
    json_t *root;
    QL_TRY(parse(repo, index_file, json, len, &root, err));
    ql_code code = add_shards(repo, json_object_get(root, "weight_map"), names, choice, err);
    json_decref(root);
    return code;
}

// What makes a quantized model of config.json, or of its text_config. NULL: nothing.
static const json_t *quantization_of(const json_t *config)
{
    static const char *const keys[] = {"quantization_config", "compression_config"};
    const json_t *places[] = {config, json_object_get(config, "text_config")};
    for (size_t p = 0; p < 2; p++)
        for (size_t k = 0; k < 2; k++) {
            const json_t *found = json_object_get(places[p], keys[k]);
            if (json_is_object(found) ? json_object_size(found) : found && !json_is_null(found) && !json_is_false(found))
                return found;
        }
    return NULL;
}

ql_code hub_refuse_quantized(const char *repo, const char *json, size_t len, hub_names names, ql_error *err)
{
    json_t *config;
    QL_TRY(parse(repo, hub_config_file, json, len, &config, err));
    const json_t *found = quantization_of(config);
    const char *method = json_string_value(json_object_get(found, "quant_method"));
    bool other = found != NULL;
    for (size_t i = 0; i < COUNT(quantized); i++)
        other |= find((const char *const *)names.at, names.n, quantized[i]) != NULL;
    ql_code code = QL_OK;
    if (other)
        code = ql_fail(err, QL_E_UNSUPPORTED, "%s: its weights are quantized by %s%s%s, which is not supported: take "
                       "the unquantized model or a GGUF", repo, method ? "\"" : "", method ? method : "another program",
                       method ? "\"" : "");
    json_decref(config);
    return code;
}
