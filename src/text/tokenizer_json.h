// SPDX-License-Identifier: MIT
// Private to the files that read tokenizer.json: its components, each made of what jansson read.
#ifndef QL_TEXT_TOKENIZER_JSON_H
#define QL_TEXT_TOKENIZER_JSON_H

#include <jansson.h>

#include "text/tokenizer_impl.h"

// Members of a component. An absent or null one leaves *out as it was, unless required; a wrong kind is QL_E_FORMAT.
ql_code ql_json_bool(const json_t *object, const char *key, bool required, bool *out, ql_error *err);
ql_code ql_json_str(const json_t *object, const char *key, bool required, ql_str *out, ql_error *err);
ql_code ql_json_size(const json_t *object, const char *key, bool required, size_t *out, ql_error *err);

// A component's type; QL_E_UNSUPPORTED when it has none.
ql_code ql_json_type(const json_t *object, const char **type, ql_error *err);

ql_code ql_json_char(const json_t *object, const char *key, ql_str *text, ql_error *err); // one character
// "pattern": {"String": "..."} or {"Regex": "..."}.
ql_code ql_json_pattern(const json_t *object, ql_str *text, bool *regex, ql_error *err);
// Metaspace's prepend_scheme; older files have add_prefix_space instead.
ql_code ql_json_scheme(const json_t *object, ql_pre_scheme *scheme, ql_error *err);
// The components of a sequence, each by read().
typedef ql_code ql_json_read_fn(const json_t *object, void *out, ql_error *err);
ql_code ql_json_list(const json_t *object, const char *key, ql_json_read_fn *read, void *out, ql_error *err);
ql_code ql_json_too_many(ql_error *err, int most);

// Each fills in what an object says; null is nothing. QL_E_UNSUPPORTED with the name of what is not known.
ql_code ql_json_normalizer(const json_t *object, ql_normalizer *normalizer, ql_error *err);
ql_code ql_json_pretokenizer(const json_t *object, ql_pretokenizer *pre, ql_error *err);
ql_code ql_json_decoder(const json_t *object, ql_decoder *decoder, ql_error *err);
ql_code ql_json_post_processor(const json_t *object, ql_tokenizer *t, ql_error *err);

// ---- the parts of loading that a stored tokenizer shares

// tokenizer.json's components and the model's members, without its tables.
ql_code ql_json_components(const json_t *root, ql_tokenizer *t, ql_error *err);
ql_code ql_json_unk(const json_t *model, ql_tokenizer *t, ql_error *err);
// What needs the vocabulary: added tokens, post-processor, symbols, the ids that the other documents name.
ql_code ql_json_finish(const json_t *root, const ql_source *source, ql_tokenizer *t, ql_error *err);

#endif
