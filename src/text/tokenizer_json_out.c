// SPDX-License-Identifier: MIT
// Owns the reading of tokenizer.json's decoders and post-processors. Must not know what the steps do. Unknown components
// are refused by name.
#include <stdlib.h>
#include <string.h>

#include "text/tokenizer_json.h"

// ---- decoders ----

static ql_code set_text(char **text, size_t *len, const json_t *object, const char *key, ql_error *err)
{
    ql_str value = {0};
    QL_TRY(ql_json_str(object, key, true, &value, err));
    return ql_norm_set(text, len, value.data, value.len, err);
}

static ql_code replace_decoder(const json_t *object, ql_dec_step *step, ql_error *err)
{
    ql_str pattern = {0};
    bool regex;
    QL_TRY(ql_json_pattern(object, &pattern, &regex, err));
    QL_TRY(set_text(&step->more, &step->more_len, object, "content", err));
    if (regex)
        return ql_regex_new(pattern.data, pattern.len, &step->regex, err);
    return ql_norm_set(&step->text, &step->text_len, pattern.data, pattern.len, err);
}

static ql_code metaspace_decoder(const json_t *object, ql_dec_step *step, ql_error *err)
{
    ql_str text = {0};
    ql_pre_scheme scheme;
    QL_TRY(ql_json_char(object, "replacement", &text, err));
    QL_TRY(ql_json_scheme(object, &scheme, err));
    step->drop = scheme != QL_PRE_NEVER;
    return ql_norm_set(&step->text, &step->text_len, text.data, text.len, err);
}

static ql_code strip_decoder(const json_t *object, ql_dec_step *step, ql_error *err)
{
    ql_str text = {0};
    QL_TRY(ql_json_char(object, "content", &text, err));
    QL_TRY(ql_json_size(object, "start", true, &step->start, err));
    QL_TRY(ql_json_size(object, "stop", true, &step->stop, err));
    return ql_norm_set(&step->text, &step->text_len, text.data, text.len, err);
}

static ql_code fill_decoder(const json_t *object, ql_dec_step *step, ql_error *err)
{
    switch (step->kind) {
    case QL_DEC_WORDPIECE:
        QL_TRY(ql_json_bool(object, "cleanup", true, &step->cleanup, err));
        return set_text(&step->text, &step->text_len, object, "prefix", err);
    case QL_DEC_METASPACE:
        return metaspace_decoder(object, step, err);
    case QL_DEC_BPE:
        return set_text(&step->text, &step->text_len, object, "suffix", err);
    case QL_DEC_CTC:
        QL_TRY(ql_json_bool(object, "cleanup", true, &step->cleanup, err));
        QL_TRY(set_text(&step->text, &step->text_len, object, "pad_token", err));
        return set_text(&step->more, &step->more_len, object, "word_delimiter_token", err);
    case QL_DEC_STRIP:
        return strip_decoder(object, step, err);
    case QL_DEC_REPLACE:
        return replace_decoder(object, step, err);
    default:
        return QL_OK;
    }
}

static ql_code read_decoder(const json_t *object, void *out, ql_error *err)
{
    static const struct { const char *name; ql_dec_kind kind; } kinds[] = {
        {"ByteLevel", QL_DEC_BYTES}, {"WordPiece", QL_DEC_WORDPIECE}, {"Metaspace", QL_DEC_METASPACE},
        {"BPEDecoder", QL_DEC_BPE}, {"CTC", QL_DEC_CTC}, {"Fuse", QL_DEC_FUSE}, {"Strip", QL_DEC_STRIP},
        {"Replace", QL_DEC_REPLACE}, {"ByteFallback", QL_DEC_BYTE_FALLBACK}};
    const char *type;
    QL_TRY(ql_json_type(object, &type, err));
    if (strcmp(type, "Sequence") == 0)
        return ql_json_list(object, "decoders", read_decoder, out, err);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(type, kinds[i].name) != 0)
            continue;
        ql_dec_step *step = ql_decoder_add(out, kinds[i].kind);
        if (!step)
            return ql_json_too_many(err, QL_DEC_MAX);
        ql_code code = fill_decoder(object, step, err);
        return code == QL_OK ? QL_OK : ql_fail_prefix(err, code, "%s", type);
    }
    return ql_fail(err, QL_E_UNSUPPORTED, "\"%s\" is not known", type);
}

ql_code ql_json_decoder(const json_t *object, ql_decoder *decoder, ql_error *err)
{
    if (object && !json_is_null(object))
        return read_decoder(object, decoder, err);
    return ql_decoder_add(decoder, QL_DEC_SPACES) ? QL_OK : ql_json_too_many(err, QL_DEC_MAX);
}

// ---- post-processors ----

typedef struct id_list {
    int32_t *ids;
    uint32_t n;
} id_list;

static ql_code push_id(const ql_tokenizer *t, id_list *list, const json_t *id, ql_error *err)
{
    if (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) >= t->vocab.n)
        return ql_fail(err, QL_E_FORMAT, "a special token's id must be one of the vocabulary's 0 to %u", t->vocab.n - 1);
    int32_t *ids = realloc(list->ids, (list->n + 1) * sizeof *ids);
    if (!ids)
        return ql_fail_memory(err, (list->n + 1) * sizeof *ids);
    list->ids = ids;
    ids[list->n++] = (int32_t)json_integer_value(id);
    return QL_OK;
}

// The ids of {"SpecialToken": {"id": name}}, as special_tokens has them.
static ql_code push_special(const ql_tokenizer *t, id_list *list, const json_t *object, const json_t *piece, ql_error *err)
{
    ql_str name = {0};
    QL_TRY(ql_json_str(piece, "id", true, &name, err));
    const json_t *token = json_object_get(json_object_get(object, "special_tokens"), name.data);
    const json_t *ids = json_object_get(token, "ids"), *id;
    size_t i;
    if (!json_is_array(ids))
        return ql_fail(err, QL_E_FORMAT, "special_tokens has no ids of \"%.80s\"", name.data);
    json_array_foreach(ids, i, id)
        QL_TRY(push_id(t, list, id, err));
    return QL_OK;
}

// What stands before and behind the text.
static ql_code read_template(const json_t *object, const ql_tokenizer *t, id_list *before, id_list *after, ql_error *err)
{
    const json_t *single = json_object_get(object, "single"), *piece;
    size_t i, n_texts = 0;
    if (!json_is_array(single))
        return ql_fail(err, QL_E_FORMAT, "single must be an array");
    json_array_foreach(single, i, piece) {
        const json_t *special = json_object_get(piece, "SpecialToken"), *text = json_object_get(piece, "Sequence");
        const char *which = json_string_value(json_object_get(text, "id"));
        if (special)
            QL_TRY(push_special(t, n_texts ? after : before, object, special, err));
        else if (!which || strcmp(which, "A") != 0 || n_texts++)
            return ql_fail(err, QL_E_UNSUPPORTED, "single[%zu] must be a special token or the text, once", i);
    }
    return n_texts ? QL_OK : ql_fail(err, QL_E_UNSUPPORTED, "single without the text is not supported");
}

// ["[SEP]", 102]
static ql_code read_tuple(const json_t *object, const char *key, const ql_tokenizer *t, id_list *list, ql_error *err)
{
    const json_t *tuple = json_object_get(object, key);
    if (!json_is_array(tuple) || json_array_size(tuple) != 2)
        return ql_fail(err, QL_E_FORMAT, "%s must be [token, id]", key);
    return push_id(t, list, json_array_get(tuple, 1), err);
}

static ql_code join(int32_t **ids, uint32_t *n, const id_list *first, const id_list *second, ql_error *err)
{
    uint32_t total = first->n + second->n;
    int32_t *all = malloc((total + 1) * sizeof *all);
    if (!all)
        return ql_fail_memory(err, total * sizeof *all);
    if (first->n)
        memcpy(all, first->ids, first->n * sizeof *all);
    if (second->n)
        memcpy(all + first->n, second->ids, second->n * sizeof *all);
    free(*ids);
    *ids = all;
    *n = total;
    return QL_OK;
}

// Around what the processors before it have put there.
static ql_code wrap(ql_tokenizer *t, const id_list *before, const id_list *after, ql_error *err)
{
    id_list inner_before = {t->before, t->n_before}, inner_after = {t->after, t->n_after};
    QL_TRY(join(&t->before, &t->n_before, before, &inner_before, err));
    return join(&t->after, &t->n_after, &inner_after, after, err);
}

static ql_code read_post_processor(const json_t *object, void *out, ql_error *err)
{
    ql_tokenizer *t = out;
    const char *type;
    id_list before = {0}, after = {0};
    QL_TRY(ql_json_type(object, &type, err));
    if (strcmp(type, "Sequence") == 0)
        return ql_json_list(object, "processors", read_post_processor, t, err);
    if (strcmp(type, "ByteLevel") == 0)
        return QL_OK; // moves offsets only
    ql_code code;
    if (strcmp(type, "TemplateProcessing") == 0) {
        code = read_template(object, t, &before, &after, err);
    } else if (strcmp(type, "BertProcessing") == 0 || strcmp(type, "RobertaProcessing") == 0) {
        code = read_tuple(object, "cls", t, &before, err);
        if (code == QL_OK)
            code = read_tuple(object, "sep", t, &after, err);
    } else {
        return ql_fail(err, QL_E_UNSUPPORTED, "\"%s\" is not known", type);
    }
    if (code == QL_OK)
        code = wrap(t, &before, &after, err);
    free(before.ids);
    free(after.ids);
    return code == QL_OK ? QL_OK : ql_fail_prefix(err, code, "%s", type);
}

ql_code ql_json_post_processor(const json_t *object, ql_tokenizer *t, ql_error *err)
{
    return !object || json_is_null(object) ? QL_OK : read_post_processor(object, t, err);
}
