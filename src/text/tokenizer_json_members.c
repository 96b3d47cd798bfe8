// SPDX-License-Identifier: MIT
// Owns the reading of a component's members, with one message for each way to be wrong. Must not know components.
#include <string.h>

#include "text/tokenizer_json.h"

static const char *kind_of(const json_t *value)
{
    static const char *const names[] = {"an object", "an array", "a string", "an integer", "a number", "true", "false",
                                        "null"};
    return value ? names[json_typeof(value)] : "nothing";
}

// Whether there is a value to read; absent and null are errors when it is required.
static ql_code find(const json_t *object, const char *key, bool required, const json_t **value, ql_error *err)
{
    *value = json_object_get(object, key);
    if (json_is_null(*value))
        *value = NULL;
    return *value || !required ? QL_OK : ql_fail(err, QL_E_FORMAT, "%s is missing", key);
}

ql_code ql_json_bool(const json_t *object, const char *key, bool required, bool *out, ql_error *err)
{
    const json_t *value;
    QL_TRY(find(object, key, required, &value, err));
    if (value && !json_is_boolean(value))
        return ql_fail(err, QL_E_FORMAT, "%s must be true or false, is %s", key, kind_of(value));
    *out = value ? json_is_true(value) : *out;
    return QL_OK;
}

ql_code ql_json_str(const json_t *object, const char *key, bool required, ql_str *out, ql_error *err)
{
    const json_t *value;
    QL_TRY(find(object, key, required, &value, err));
    if (value && !json_is_string(value))
        return ql_fail(err, QL_E_FORMAT, "%s must be a string, is %s", key, kind_of(value));
    if (value)
        *out = (ql_str){json_string_value(value), json_string_length(value)};
    return QL_OK;
}

ql_code ql_json_size(const json_t *object, const char *key, bool required, size_t *out, ql_error *err)
{
    const json_t *value;
    QL_TRY(find(object, key, required, &value, err));
    if (value && (!json_is_integer(value) || json_integer_value(value) < 0))
        return ql_fail(err, QL_E_FORMAT, "%s must be an integer from 0 on, is %s", key, kind_of(value));
    *out = value ? (size_t)json_integer_value(value) : *out;
    return QL_OK;
}

ql_code ql_json_type(const json_t *object, const char **type, ql_error *err)
{
    *type = json_string_value(json_object_get(object, "type"));
    return *type ? QL_OK : ql_fail(err, QL_E_UNSUPPORTED, "a component without a type is not supported");
}

ql_code ql_json_too_many(ql_error *err, int most)
{
    return ql_fail(err, QL_E_UNSUPPORTED, "more than %d steps are not supported", most);
}

// "pattern": {"String": "..."} or {"Regex": "..."}.
ql_code ql_json_pattern(const json_t *object, ql_str *text, bool *regex, ql_error *err)
{
    const json_t *pattern = json_object_get(object, "pattern"), *value = json_object_get(pattern, "Regex");
    *regex = value;
    value = value ? value : json_object_get(pattern, "String");
    if (!json_is_string(value) || json_object_size(pattern) != 1)
        return ql_fail(err, QL_E_UNSUPPORTED, "pattern must be {\"String\": ...} or {\"Regex\": ...}");
    *text = (ql_str){json_string_value(value), json_string_length(value)};
    return QL_OK;
}

// The components of a sequence, each by read(); its number is told.
ql_code ql_json_list(const json_t *object, const char *key, ql_json_read_fn *read, void *out, ql_error *err)
{
    const json_t *list = json_object_get(object, key), *item;
    size_t i;
    if (!json_is_array(list))
        return ql_fail(err, QL_E_FORMAT, "Sequence: %s must be an array, is %s", key, kind_of(list));
    json_array_foreach(list, i, item) {
        ql_code code = read(item, out, err);
        if (code != QL_OK)
            return code;
    }
    return QL_OK;
}

// prepend_scheme; older files have add_prefix_space instead.
ql_code ql_json_scheme(const json_t *object, ql_pre_scheme *scheme, ql_error *err)
{
    static const char *const names[] = {"always", "first", "never"};
    ql_str name = {0};
    bool space = true;
    QL_TRY(ql_json_bool(object, "add_prefix_space", false, &space, err));
    QL_TRY(ql_json_str(object, "prepend_scheme", false, &name, err));
    *scheme = space ? QL_PRE_ALWAYS : QL_PRE_NEVER;
    for (size_t i = 0; i < 3 && name.data; i++)
        if (strcmp(name.data, names[i]) == 0) {
            *scheme = (ql_pre_scheme)i;
            if (!space && *scheme != QL_PRE_NEVER)
                return ql_fail(err, QL_E_FORMAT, "add_prefix_space is false, prepend_scheme \"%s\"", name.data);
            return QL_OK;
        }
    return name.data ? ql_fail(err, QL_E_UNSUPPORTED, "prepend_scheme \"%s\" is not known", name.data) : QL_OK;
}

ql_code ql_json_char(const json_t *object, const char *key, ql_str *text, ql_error *err)
{
    size_t chars = 0;
    QL_TRY(ql_json_str(object, key, true, text, err));
    for (size_t i = 0; i < text->len; i++)
        chars += ((uint8_t)text->data[i] & 0xc0) != 0x80;
    return chars == 1 ? QL_OK : ql_fail(err, QL_E_FORMAT, "%s must be one character, has %zu", key, chars);
}
