// SPDX-License-Identifier: MIT
// Where a model's chat template is written. Must not know Jinja.
#include <jansson.h>
#include <string.h>

#include "text/tokenizer.h"

// Numbers larger than 64 bits stand in files of people (model_max_length): they are reals here.
static json_t *parse(ql_str document)
{
    return document.data ? json_loadb(document.data, document.len, JSON_DECODE_INT_AS_REAL, NULL) : NULL;
}

// Of a list of {"name", "template"} the one called "default".
static const char *of_list(const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        const char *name = json_string_value(json_object_get(item, "name"));
        if (name && strcmp(name, "default") == 0)
            return json_string_value(json_object_get(item, "template"));
    }
    return NULL;
}

static bool append_of_json(ql_str document, ql_buf *text)
{
    json_t *config = parse(document);
    const json_t *value = json_object_get(config, "chat_template");
    const char *template = json_is_array(value) ? of_list(value) : json_string_value(value);
    if (template)
        ql_buf_append_str(text, template);
    json_decref(config);
    return template != NULL;
}

ql_code ql_tokenizer_template(const ql_source *source, ql_buf *text, ql_error *err)
{
    ql_str own = {0};
    if (ql_source_kind_of(source) == QL_SOURCE_GGUF)
        QL_TRY(ql_source_get_str(source, "tokenizer.chat_template", false, &own, err));
    else
        own = ql_source_document(source, "chat_template.jinja");
    if (own.data)
        ql_buf_append(text, own.data, own.len);
    else if (!append_of_json(ql_source_document(source, "tokenizer_config.json"), text))
        append_of_json(ql_source_document(source, "chat_template.json"), text);
    return text->failed ? ql_fail_memory(err, text->cap) : QL_OK;
}
