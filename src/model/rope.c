// SPDX-License-Identifier: MIT
// Rotary position embedding: the inverse frequencies of every scaling kind, in double.
// Sources: RoPE (Su et al. 2021); position interpolation (Chen et al. 2023); NTK by length (bloc97 and emozilla 2023);
// YaRN (Peng et al. 2023, section 3.2-3.4); LongRoPE (Ding et al. 2024); Llama 3's smoothing (Meta 2024), of which a
// GGUF file has the result as rope_freqs.weight.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/config.h"

// Divisors [n] from a tensor of the file.
static ql_code factors_of_tensor(const ql_source *source, const ql_tensor *t, uint32_t n, double *factors,
                                 ql_error *err)
{
    if (t->dtype != QL_F32 || t->shape[0] != n || t->shape[1] != 1 || t->shape[2] != 1 || t->shape[3] != 1)
        return ql_fail(err, QL_E_FORMAT, "%s: tensor %s: %s of [%llu,%llu], expected F32 of [%u]",
                       ql_source_path(source), t->name, ql_dtype_get(t->dtype)->name, (unsigned long long)t->shape[0],
                       (unsigned long long)t->shape[1], n);
    for (uint32_t i = 0; i < n; i++) {
        float f;
        memcpy(&f, t->data + i * sizeof f, sizeof f);
        if (!(f > 0 && f < INFINITY))
            return ql_fail(err, QL_E_FORMAT, "%s: tensor %s: element %u is %g: > 0", ql_source_path(source), t->name, i,
                           (double)f);
        factors[i] = (double)f;
    }
    return QL_OK;
}

// Divisors [n] from an array of config.json, rounded to f32: there they are a tensor of floats.
static ql_code factors_of_array(const ql_source *source, const ql_config *c, const char *name, uint32_t n,
                                double *factors, ql_error *err)
{
    ql_key key;
    double *values = NULL;
    size_t count = 0;
    ql_hf_rope_key(source, c, QL_ROPE_GLOBAL, name, &key);
    QL_TRY(ql_source_get_f64_array(source, key.text, false, &values, &count, err));
    ql_code code = QL_OK;
    if (count != n)
        code = ql_fail(err, QL_E_FORMAT, "%s: %s has %zu elements, expected %u, half of the dimensions that rotate",
                       ql_source_path(source), key.text, count, n);
    for (uint32_t i = 0; code == QL_OK && i < n; i++) {
        factors[i] = (double)(float)values[i];
        if (!(factors[i] > 0 && factors[i] < INFINITY))
            code = ql_fail(err, QL_E_FORMAT, "%s: %s: element %u is %g: > 0", ql_source_path(source), key.text, i,
                           values[i]);
    }
    free(values);
    return code;
}

ql_code ql_rope_factors(const ql_source *source, const ql_config *c, bool is_long, double *factors, ql_error *err)
{
    const char *name = is_long ? "rope_factors_long.weight" : "rope_factors_short.weight";
    const ql_tensor *t = ql_source_tensor(source, name);
    if (t)
        return factors_of_tensor(source, t, c->n_rot / 2, factors, err);
    if (ql_source_kind_of(source) == QL_SOURCE_HF)
        return factors_of_array(source, c, is_long ? "long_factor" : "short_factor", c->n_rot / 2, factors, err);
    return ql_fail(err, QL_E_FORMAT, "%s: tensor %s is missing", ql_source_path(source), name);
}

// What plain frequencies are divided by.
static ql_code read_factors(const ql_source *source, const ql_config *c, int which, uint32_t max_length,
                            double *factors, ql_error *err)
{
    const ql_rope_config *rope = &c->rope[which];
    for (uint32_t i = 0; i < c->n_rot / 2; i++)
        factors[i] = 1;
    if (rope->scaling == QL_ROPE_LONGROPE)
        return ql_rope_factors(source, c, max_length > rope->original_context_length, factors, err);
    // config.json's llama3 computes what rope_freqs.weight holds.
    const ql_tensor *t = ql_source_tensor(source, "rope_freqs.weight");
    if (t && which == QL_ROPE_GLOBAL && rope->scaling != QL_ROPE_LLAMA3)
        return factors_of_tensor(source, t, c->n_rot / 2, factors, err);
    return QL_OK;
}

// The dimension whose wavelength turns `rotations` times over the original context.
static double yarn_dim(const ql_rope_config *rope, uint32_t n_rot, double rotations)
{
    return n_rot * log(rope->original_context_length / (rotations * 2 * M_PI)) / (2 * log(rope->theta));
}

// YaRN's blend: fast dimensions keep their frequency, slow ones are interpolated, a linear ramp lies between.
static void yarn(const ql_rope_config *rope, uint32_t n_rot, double *inv_freq)
{
    double low = yarn_dim(rope, n_rot, rope->beta_fast), high = yarn_dim(rope, n_rot, rope->beta_slow);
    if (!rope->exact_range) {
        low = floor(low);
        high = ceil(high);
    }
    low = fmax(low, 0);
    high = fmin(high, n_rot - 1.0);
    double width = high > low || high < low ? high - low : 0.001;
    for (uint32_t i = 0; i < n_rot / 2; i++) {
        double keep = (1 - fmin(1, fmax(0, (i - low) / width))) * rope->ext_factor;
        inv_freq[i] = inv_freq[i] / rope->factor * (1 - keep) + inv_freq[i] * keep;
    }
}

// Long waves are interpolated, short ones kept, those between mixed.
static void llama3(const ql_rope_config *rope, uint32_t n_rot, double *inv_freq)
{
    double length = rope->original_context_length;
    for (uint32_t i = 0; i < n_rot / 2; i++) {
        double wave = 2 * M_PI / inv_freq[i];
        if (wave < length / rope->high_freq_factor)
            continue;
        double keep = (length / wave - rope->low_freq_factor) / (rope->high_freq_factor - rope->low_freq_factor);
        if (wave > length / rope->low_freq_factor)
            keep = 0;
        inv_freq[i] = (1 - keep) * inv_freq[i] / rope->factor + keep * inv_freq[i];
    }
}

// NTK: a longer context stretches the base, so that the slowest wave spans it.
static double dynamic_theta(const ql_rope_config *rope, uint32_t n_rot, uint32_t max_length)
{
    double original = rope->original_context_length, length = fmax(max_length, original);
    if (n_rot <= 2)
        return rope->theta;
    return rope->theta * pow(rope->factor * length / original - (rope->factor - 1), n_rot / (n_rot - 2.0));
}

static double longrope_attn_factor(const ql_rope_config *rope)
{
    if (rope->attn_factor > 0)
        return rope->attn_factor;
    return rope->factor <= 1 ? 1 : sqrt(1 + log(rope->factor) / log(rope->original_context_length));
}

ql_code ql_rope_frequencies(const ql_source *source, const ql_config *c, int which, uint32_t max_length,
                            double *inv_freq, double *attn_factor, ql_error *err)
{
    const ql_rope_config *rope = &c->rope[which];
    uint32_t n = c->n_rot / 2;
    double theta = rope->scaling == QL_ROPE_DYNAMIC ? dynamic_theta(rope, c->n_rot, max_length) : rope->theta;
    QL_TRY(read_factors(source, c, which, max_length, inv_freq, err));
    for (uint32_t i = 0; i < n; i++)
        inv_freq[i] = pow(theta, -2.0 * i / c->n_rot) / inv_freq[i];
    *attn_factor = rope->attn_factor;
    switch (rope->scaling) {
    case QL_ROPE_LINEAR:
        for (uint32_t i = 0; i < n; i++)
            inv_freq[i] /= rope->factor;
        break;
    case QL_ROPE_YARN:
        yarn(rope, c->n_rot, inv_freq);
        if (rope->factor > 1 && rope->ext_factor > 0)
            *attn_factor *= 0.1 * log(rope->factor) + 1;
        break;
    case QL_ROPE_LLAMA3: llama3(rope, c->n_rot, inv_freq); break;
    case QL_ROPE_LONGROPE: *attn_factor = longrope_attn_factor(rope); break;
    case QL_ROPE_NONE:
    case QL_ROPE_DYNAMIC: break;
    }
    return QL_OK;
}
