// SPDX-License-Identifier: MIT
// What a model recommends for sampling: generation_config.json, and neutral values where it says nothing.
#include <jansson.h>
#include <string.h>

#include "engine/engine.h"

static void take_number(const json_t *config, const char *key, double *out)
{
    const json_t *value = json_object_get(config, key);
    if (json_is_number(value))
        *out = json_number_value(value);
}

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

void ql_defaults_read(ql_str document, ql_params *params, const ql_logger *log)
{
    *params = neutral();
    json_error_t where;
    json_t *config = document.data ? json_loadb(document.data, document.len, JSON_REJECT_DUPLICATES, &where) : NULL;
    if (document.data && !json_is_object(config))
        ql_log_line(log, "generation_config.json: no JSON object, its sampling parameters are not used");
    double top_k = params->top_k;
    take_number(config, "temperature", &params->temperature);
    take_number(config, "top_p", &params->top_p);
    take_number(config, "min_p", &params->min_p);
    take_number(config, "typical_p", &params->typical_p);
    take_number(config, "repetition_penalty", &params->repetition_penalty);
    take_number(config, "top_k", &top_k);
    params->top_k = top_k >= 0 && top_k <= INT32_MAX ? (int32_t)top_k : -1;
    if (json_is_boolean(json_object_get(config, "do_sample")))
        params->do_sample = json_is_true(json_object_get(config, "do_sample"));
    json_decref(config);
    ql_error wrong = {0};
    if (ql_params_check(params, &wrong) != QL_OK) {
        ql_log_line(log, "generation_config.json: %s; its sampling parameters are not used", wrong.message);
        *params = neutral();
    }
}

ql_params ql_model_default_params(const ql_model *model) { return model->defaults; }
