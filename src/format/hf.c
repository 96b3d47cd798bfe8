// SPDX-License-Identifier: MIT
// A Hugging Face folder: which files of it are the model, config.json's entries, safetensors files as parts, documents
// as they are. Must not know architectures. Files may be symbolic links: those of the Hub's cache all are.
//
// Opening reads headers and config.json only: tensors and tokenizer.json are mapped and stay untouched.
#include "format/hf_index.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/safetensors.h"

static const uint64_t max_document = (uint64_t)256 << 20;

static const char weights_name[] = "model.safetensors", index_name[] = "model.safetensors.index.json";

// JSON is checked by its parsers; of the rest the text is checked here.
static const char *const document_names[] = {
    "config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json", "chat_template.jinja",
    "chat_template.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt", "vocab.txt"};
enum { N_DOCUMENTS = sizeof document_names / sizeof *document_names };

static bool has_file(const char *folder, const char *name)
{
    char path[PATH_MAX]; // a longer one can not be opened
    return snprintf(path, sizeof path, "%s/%s", folder, name) < (int)sizeof path && ql_path_is_file(path);
}

bool ql_hf_has_safetensors(const char *folder)
{
    return has_file(folder, weights_name) || has_file(folder, index_name);
}

// The first by name of the folder's files that end so; false: there is none.
static bool find_ending(const char *folder, const char *end, char name[NAME_MAX + 1])
{
    DIR *dir = opendir(folder);
    name[0] = 0;
    for (struct dirent *e; dir && (e = readdir(dir));)
        if (ql_path_ends(e->d_name, end) && (!name[0] || strcmp(e->d_name, name) < 0))
            snprintf(name, NAME_MAX + 1, "%s", e->d_name);
    if (dir)
        closedir(dir);
    return name[0];
}

bool ql_hf_looks_like_folder(const char *folder)
{
    for (size_t i = 0; i < N_DOCUMENTS; i++)
        if (has_file(folder, document_names[i]))
            return true;
    char name[NAME_MAX + 1];
    return find_ending(folder, ".bin", name) || find_ending(folder, ".safetensors", name);
}

// ---- documents ----

static ql_code check_text(const char *path, const ql_document *d, ql_error *err)
{
    size_t bad;
    if (d->file.size > max_document)
        return ql_fail(err, QL_E_FORMAT, "%s: file is %zu bytes, at most %llu", path, d->file.size,
                       (unsigned long long)max_document);
    if (!ql_path_ends(d->name, ".json") && !ql_gguf_is_utf8(d->file.data, d->file.size, &bad))
        return ql_fail(err, QL_E_FORMAT, "%s: not UTF-8 at byte %zu", path, bad);
    return QL_OK;
}

// A file that is not there is no fault; one that can not be looked at is: without its template a model is another.
static ql_code map_document(ql_source *s, ql_document *d, const char *path, ql_error *err)
{
    errno = 0;
    if (!ql_path_is_file(path))
        return !errno || errno == ENOENT || errno == ENOTDIR ? QL_OK : ql_fail(err, QL_E_IO, "%s: %s", path, strerror(errno));
    QL_TRY(ql_source_map(s, path, &d->file, err));
    return check_text(path, d, err);
}

// tokenizer: the path that is tokenizer.json's; NULL: the folder's.
static ql_code map_documents(ql_source *s, const char *folder, const char *tokenizer, ql_error *err)
{
    s->documents = calloc(N_DOCUMENTS, sizeof *s->documents);
    if (!s->documents)
        return ql_fail_memory(err, N_DOCUMENTS * sizeof *s->documents);
    s->n_documents = N_DOCUMENTS;
    for (size_t i = 0; i < N_DOCUMENTS; i++) {
        ql_document *d = &s->documents[i];
        d->name = document_names[i];
        bool given = tokenizer && strcmp(d->name, "tokenizer.json") == 0;
        char *path = given ? strdup(tokenizer) : ql_path_join(folder, d->name);
        if (!path)
            return ql_fail_memory(err, strlen(folder));
        ql_code code = map_document(s, d, path, err);
        if (i == 0) // config.json
            s->keys_path = path;
        else
            free(path);
        QL_TRY(code);
    }
    return QL_OK;
}

// ---- weights ----

ql_code ql_hf_open_part(ql_source *s, ql_source *part, const char *folder, const char *name, ql_error *err)
{
    part->kind = QL_SOURCE_HF;
    part->path = part->path_copy = folder ? ql_path_join(folder, name) : strdup(name);
    if (!part->path)
        return ql_fail_memory(err, strlen(name) + 1);
    QL_TRY(ql_source_map(s, part->path, &part->file, err));
    return ql_safetensors_parse(part->file.data, part->file.size, part->path, part, err);
}

// Says what the parts hold that is no weight.
static void remark_others(ql_source *s)
{
    const ql_tensor *first = NULL;
    size_t n = 0;
    for (size_t i = 0; i < s->n_parts; i++) {
        const ql_source *part = &s->parts[i];
        const char *line = ql_source_remark(part, 0);
        if (line)
            ql_source_add_remark(s, "%s", line);
        for (size_t j = 0; j < part->n_tensors; j++) {
            if (part->tensors[j].dtype != QL_DTYPE_END)
                continue;
            n++;
            first = first ? first : &part->tensors[j];
        }
    }
    if (n)
        ql_source_add_remark(s, "%s: left out %zu tensors that are no floats of at most 4 dimensions (%s%s)", s->path,
                             n, first->name, n > 1 ? ", ..." : "");
}

// 8-bit floats with scales of their own are a quantization of which config.json should have told.
static ql_code refuse_scales(const ql_source *s, ql_error *err)
{
    static const char *const ends[] = {"_scale_inv", ".weight_scale", ".scale_weight", "scaled_fp8"};
    bool f8 = false;
    for (size_t i = 0; i < s->n_tensors && !f8; i++)
        f8 = s->tensors[i].dtype == QL_F8_E4M3 || s->tensors[i].dtype == QL_F8_E5M2;
    for (size_t i = 0; i < s->n_tensors && f8; i++)
        for (size_t k = 0; k < sizeof ends / sizeof *ends; k++)
            if (ql_path_ends(s->tensors[i].name, ends[k]))
                return ql_fail(err, QL_E_UNSUPPORTED, "%s: weights are quantized by \"fp8\" (%s): not supported; use "
                               "the unquantized model or a GGUF", s->path, s->tensors[i].name);
    return QL_OK;
}

static ql_code open_one(ql_source *s, const char *folder, const char *name, ql_error *err)
{
    if (!(s->parts = calloc(1, sizeof *s->parts)))
        return ql_fail_memory(err, sizeof *s->parts);
    s->n_parts = 1;
    return ql_hf_open_part(s, &s->parts[0], folder, name, err);
}

static ql_code finish_weights(ql_source *s, ql_error *err)
{
    for (size_t i = 0; i < s->n_parts; i++)
        if (s->parts[i].no_weights)
            return ql_source_set_no_weights(s, err, s->parts[i].no_weights->code, "%s", s->parts[i].no_weights->message);
    QL_TRY(ql_source_join(s, err));
    remark_others(s);
    return refuse_scales(s, err);
}

// What is there instead of weights.
static ql_code tell_instead(ql_source *s, const char *folder, ql_error *err)
{
    static const char *const other[] = {".bin", ".bin.index.json", ".pth", ".pt", ".h5", ".msgpack", ".onnx", ".ot"};
    char name[NAME_MAX + 1];
    bool found = find_ending(folder, ".safetensors", name);
    for (size_t i = 0; !found && i < sizeof other / sizeof *other; i++)
        if (find_ending(folder, other[i], name))
            return ql_source_set_no_weights(s, err, QL_E_UNSUPPORTED, "%s: holds %s but no %s, and only safetensors and GGUF "
                                            "are read: take a repository that has them, or convert this one once with "
                                            "transformers (from_pretrained, then save_pretrained)", folder, name,
                                            weights_name);
    if (!found)
        return ql_source_set_no_weights(s, err, QL_E_FORMAT, "%s: holds no weights: neither %s nor %s nor a GGUF file",
                                        folder, weights_name, index_name);
    if (strstr(name, "-of-"))
        return ql_source_set_no_weights(s, err, QL_E_FORMAT, "%s: %s is missing", folder, index_name);
    if (strncmp(name, "adapter", 7) == 0)
        return ql_source_set_no_weights(s, err, QL_E_UNSUPPORTED, "%s: holds an adapter (%s), not a model: merge it "
                                        "into its model", folder, name);
    return ql_source_set_no_weights(s, err, QL_E_FORMAT, "%s: holds %s but no %s: give that file's path", folder, name,
                                    weights_name);
}

// ---- quantized by others ----

// Whether config.json has an object of that name; its quant_method, or what else names the method.
static bool find_quantization(const ql_source *s, const char *object, ql_str *method)
{
    size_t n = strlen(object);
    char key[64];
    bool found = false;
    for (size_t i = 0; i < s->n_kvs && !found; i++)
        found = s->kvs[i].key_len > n && memcmp(s->kvs[i].key, object, n) == 0 && s->kvs[i].key[n] == '.';
    if (!found)
        return false;
    *method = (ql_str){object, n};
    snprintf(key, sizeof key, "%s.load_in_8bit", object);
    if (ql_source_has(s, key)) // as it was written before there was quant_method
        *method = (ql_str){"bitsandbytes", 12};
    memcpy(key, object, n);
    memcpy(key + n, ".quant_method", sizeof ".quant_method");
    ql_source_get_str(s, key, false, method, NULL);
    return true;
}

// Their weights are not opened, so that the tokenizer is.
static bool is_quantized(const ql_source *s, const char *folder, ql_str *method)
{
    if (find_quantization(s, "quantization_config", method) || find_quantization(s, "compression_config", method) ||
        find_quantization(s, "text_config.quantization_config", method))
        return true;
    *method = (ql_str){"gptq", 4};
    if (has_file(folder, "quantize_config.json"))
        return true;
    *method = (ql_str){"awq", 3};
    return has_file(folder, "quant_config.json");
}

static ql_code open_weights(ql_source *s, const char *folder, const char *file, ql_error *err)
{
    ql_str method;
    if (is_quantized(s, folder, &method))
        return ql_source_set_no_weights(s, err, QL_E_UNSUPPORTED, "%s: weights are quantized by \"%.*s\": not "
                                        "supported; use the unquantized model or a GGUF", s->path,
                                        method.len < 64 ? (int)method.len : 64, method.data);
    if (file)
        QL_TRY(open_one(s, NULL, file, err));
    else if (has_file(folder, weights_name))
        QL_TRY(open_one(s, folder, weights_name, err));
    else if (has_file(folder, index_name))
        QL_TRY(ql_hf_open_shards(s, folder, index_name, err));
    else
        return tell_instead(s, folder, err);
    return finish_weights(s, err);
}

// ---- ways in ----

ql_code ql_hf_open_folder(ql_source *s, const char *folder, ql_error *err)
{
    s->kind = QL_SOURCE_HF;
    QL_TRY(map_documents(s, folder, NULL, err));
    QL_TRY(ql_hf_read_config(s, err));
    return open_weights(s, folder, NULL, err);
}

ql_code ql_hf_open_file(ql_source *s, const char *path, ql_error *err)
{
    char *folder = ql_path_folder(path);
    if (!folder)
        return ql_fail_memory(err, strlen(path) + 1);
    s->kind = QL_SOURCE_HF;
    ql_code code = map_documents(s, folder, NULL, err);
    if (code == QL_OK)
        code = ql_hf_read_config(s, err);
    if (code == QL_OK)
        code = open_weights(s, folder, path, err);
    free(folder);
    return code;
}

ql_code ql_hf_open_tokenizer(ql_source *s, const char *path, ql_error *err)
{
    char *folder = ql_path_folder(path);
    if (!folder)
        return ql_fail_memory(err, strlen(path) + 1);
    s->kind = QL_SOURCE_HF;
    ql_code code = map_documents(s, folder, path, err);
    if (code == QL_OK)
        code = ql_hf_read_config(s, err);
    if (code == QL_OK)
        code = ql_source_set_no_weights(s, err, QL_E_FORMAT, "%s: is a tokenizer, not a model: give its folder", path);
    free(folder);
    return code;
}
