// SPDX-License-Identifier: MIT
// What a model recommends for sampling: generation_config.json, and neutral values where it says nothing (null says
// nothing). A value of the wrong kind is told and left out; one that is out of range makes all of them suspect.
#include <jansson.h>
#include <string.h>

#include "engine/engine.h"

static ql_params neutral(void)
{
    ql_params p = ql_params_default();
    p.repetition_penalty = 1;
    p.frequency_penalty = p.presence_penalty = 0;
    p.do_sample = false;
    p.temperature = 1;
    p.top_k = 0;
    p.top_p = p.typical_p = 1;
    p.min_p = 0;
    return p;
}

typedef struct reader {
    const json_t *config;
    const ql_logger *log;
} reader;

// NULL: absent, null, or told to be no such thing.
static const json_t *find(const reader *r, const char *key, bool right(const json_t *), const char *kind)
{
    const json_t *value = json_object_get(r->config, key);
    if (!value || json_is_null(value) || right(value))
        return json_is_null(value) ? NULL : value;
    ql_log_line(r->log, "generation_config.json: %s is not %s and is not used", key, kind);
    return NULL;
}

static bool is_number(const json_t *v) { return json_is_number(v); }
static bool is_flag(const json_t *v) { return json_is_boolean(v); }
static bool is_count(const json_t *v)
{
    return json_is_integer(v) && json_integer_value(v) >= 0 && json_integer_value(v) <= INT32_MAX;
}

static void take_number(const reader *r, const char *key, double *out)
{
    const json_t *value = find(r, key, is_number, "a number");
    if (value)
        *out = json_number_value(value);
}

static void take_count(const reader *r, const char *key, int32_t *out)
{
    const json_t *value = find(r, key, is_count, "a whole number from 0 on");
    if (value)
        *out = (int32_t)json_integer_value(value);
}

void ql_defaults_read(ql_str document, ql_params *params, const ql_logger *log)
{
    *params = neutral();
    if (!document.data)
        return;
    json_error_t where;
    json_t *config = json_loadb(document.data, document.len, JSON_REJECT_DUPLICATES, &where);
    if (!json_is_object(config))
        ql_log_line(log, "generation_config.json: no JSON object, its sampling parameters are not used");
    reader r = {config, log};
    take_number(&r, "temperature", &params->temperature);
    take_number(&r, "top_p", &params->top_p);
    take_number(&r, "min_p", &params->min_p);
    take_number(&r, "typical_p", &params->typical_p);
    take_number(&r, "repetition_penalty", &params->repetition_penalty);
    take_count(&r, "top_k", &params->top_k);
    take_count(&r, "max_new_tokens", &params->max_new_tokens);
    const json_t *sample = find(&r, "do_sample", is_flag, "true or false");
    if (sample)
        params->do_sample = json_is_true(sample);
    json_decref(config);
    ql_error wrong = {0};
    if (ql_params_check(params, &wrong) != QL_OK) {
        ql_log_line(log, "generation_config.json: %s; its sampling parameters are not used", wrong.message);
        *params = neutral();
    }
}

ql_params ql_model_default_params(const ql_model *model) { return model->defaults; }
