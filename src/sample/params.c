// SPDX-License-Identifier: MIT
// The defaults of generation and their ranges, one table for all users. It checks each parameter by itself, those
// that do_sample or a temperature of 0 leave without effect too: a wrong value is a mistake wherever it stands.
#include <float.h>
#include <math.h>

#include "sample/sampler.h"

enum { MAX_STOPS = 64, MAX_STOP_BYTES = 1024 };

ql_params ql_params_default(void)
{
    return (ql_params){
        .repetition_penalty = 1.1,
        .do_sample = true,
        .temperature = 0.7,
        .top_k = 50,
        .top_p = 0.9,
        .min_p = 0.0,
        .typical_p = 1.0,
        .max_new_tokens = 512,
    };
}

typedef struct range {
    const char *name;
    double value, min, max;
    bool open;        // min itself is not allowed
    const char *rule; // how the range is told
} range;

static ql_code check_range(const range *r, ql_error *err)
{
    bool low = r->open ? r->value > r->min : r->value >= r->min;
    if (low && r->value <= r->max) // NaN fails each comparison
        return QL_OK;
    bool above = r->value > r->max && r->max == DBL_MAX; // the rule alone would not tell what is wrong with inf
    return ql_fail(err, QL_E_ARGUMENT, "%s must be %s%s, got %.10g", r->name, above ? "finite and " : "", r->rule,
                   r->value);
}

static ql_code check_stops(const ql_params *p, ql_error *err)
{
    if (p->n_stop_strings > MAX_STOPS)
        return ql_fail(err, QL_E_ARGUMENT, "stop_strings: at most %d, got %zu", MAX_STOPS, p->n_stop_strings);
    if (p->n_stop_strings && !p->stop_strings)
        return ql_fail(err, QL_E_ARGUMENT, "stop_strings is NULL, n_stop_strings says %zu", p->n_stop_strings);
    for (size_t i = 0; i < p->n_stop_strings; i++) {
        size_t len = p->stop_strings[i].len;
        if (len == 0)
            return ql_fail(err, QL_E_ARGUMENT, "stop_strings[%zu] is empty", i);
        if (!p->stop_strings[i].text)
            return ql_fail(err, QL_E_ARGUMENT, "stop_strings[%zu] is NULL, its length says %zu", i, len);
        if (len > MAX_STOP_BYTES)
            return ql_fail(err, QL_E_ARGUMENT, "stop_strings[%zu] has %zu bytes, at most %d", i, len, MAX_STOP_BYTES);
    }
    return QL_OK;
}

static ql_code check_bias(const ql_params *p, ql_error *err)
{
    if (p->n_logit_bias && !p->logit_bias)
        return ql_fail(err, QL_E_ARGUMENT, "logit_bias is NULL, n_logit_bias says %zu", p->n_logit_bias);
    for (size_t i = 0; i < p->n_logit_bias; i++) {
        ql_logit_bias bias = p->logit_bias[i];
        if (bias.id < 0)
            return ql_fail(err, QL_E_ARGUMENT, "logit_bias: id %d, ids begin at 0", bias.id);
        if (isnan(bias.bias) || (isinf(bias.bias) && bias.bias > 0))
            return ql_fail(err, QL_E_ARGUMENT, "logit_bias of id %d must be finite or -inf, got %g", bias.id,
                           (double)bias.bias);
    }
    return QL_OK;
}

ql_code ql_params_check(const ql_params *p, ql_error *err)
{
    const range ranges[] = {
        {"repetition_penalty", p->repetition_penalty, 0, DBL_MAX, true, "> 0"},
        {"frequency_penalty", p->frequency_penalty, -2, 2, false, "between -2 and 2"},
        {"presence_penalty", p->presence_penalty, -2, 2, false, "between -2 and 2"},
        {"temperature", p->temperature, 0, DBL_MAX, false, ">= 0"},
        {"top_k", p->top_k, 0, INT32_MAX, false, ">= 0 (0 is off)"},
        {"top_p", p->top_p, 0, 1, true, "in (0, 1]"},
        {"min_p", p->min_p, 0, 1, false, "in [0, 1]"},
        {"typical_p", p->typical_p, 0, 1, true, "in (0, 1]"},
        {"max_new_tokens", p->max_new_tokens, 1, INT32_MAX, false, ">= 1"},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        QL_TRY(check_range(&ranges[i], err));
    QL_TRY(check_stops(p, err));
    return check_bias(p, err);
}
