// SPDX-License-Identifier: MIT
// Rotary position embedding: the inverse frequencies of every scaling kind, in double.
// Sources: RoPE (Su et al. 2021); position interpolation (Chen et al. 2023); YaRN (Peng et al. 2023, section 3.2-3.4);
// LongRoPE (Ding et al. 2024); Llama 3's factors come in the file as rope_freqs.weight.
#include <math.h>
#include <string.h>

#include "model/model.h"

// Divisors [n_rot / 2] from a tensor of the file; absent: 1.
static ql_code read_factors(const ql_source *source, const char *name, bool required, uint32_t n, double *factors,
                            ql_error *err)
{
    for (uint32_t i = 0; i < n; i++)
        factors[i] = 1.0;
    const ql_tensor *t = ql_source_tensor(source, name);
    if (!t)
        return required ? ql_fail(err, QL_E_FORMAT, "%s: tensor %s is missing", ql_source_path(source), name) : QL_OK;
    if (t->dtype != QL_F32 || t->shape[0] != n || t->shape[1] != 1 || t->shape[2] != 1 || t->shape[3] != 1)
        return ql_fail(err, QL_E_FORMAT, "%s: tensor %s: %s of [%llu,%llu], expected F32 of [%u]",
                       ql_source_path(source), name, ql_dtype_get(t->dtype)->name, (unsigned long long)t->shape[0],
                       (unsigned long long)t->shape[1], n);
    for (uint32_t i = 0; i < n; i++) {
        float f;
        memcpy(&f, t->data + i * sizeof f, sizeof f);
        if (!(f > 0 && f < INFINITY))
            return ql_fail(err, QL_E_FORMAT, "%s: tensor %s: element %u is %g: > 0", ql_source_path(source), name, i,
                           (double)f);
        factors[i] = (double)f;
    }
    return QL_OK;
}

// The dimension whose wavelength turns `rotations` times over the original context.
static double yarn_dim(const ql_config *c, double rotations)
{
    return c->n_rot * log(c->rope.original_context_length / (rotations * 2 * M_PI)) / (2 * log(c->rope.theta));
}

// YaRN's blend: fast dimensions keep their frequency, slow ones are interpolated, a linear ramp lies between.
static void yarn(const ql_config *c, double *inv_freq)
{
    double low = floor(yarn_dim(c, c->rope.beta_fast)), high = ceil(yarn_dim(c, c->rope.beta_slow));
    low = fmax(low, 0);
    high = fmin(high, c->n_rot - 1.0);
    for (uint32_t i = 0; i < c->n_rot / 2; i++) {
        double ramp = (i - low) / fmax(0.001, high - low);
        double keep = (1 - fmin(1, fmax(0, ramp))) * c->rope.ext_factor;
        inv_freq[i] = inv_freq[i] / c->rope.factor * (1 - keep) + inv_freq[i] * keep;
    }
}

ql_code ql_rope_frequencies(const ql_source *source, const ql_config *c, uint32_t max_length, double *inv_freq,
                            double *attn_factor, ql_error *err)
{
    uint32_t n = c->n_rot / 2;
    const char *name = "rope_freqs.weight";
    if (c->rope.scaling == QL_ROPE_LONGROPE)
        name = max_length > c->rope.original_context_length ? "rope_factors_long.weight" : "rope_factors_short.weight";
    QL_TRY(read_factors(source, name, c->rope.scaling == QL_ROPE_LONGROPE, n, inv_freq, err));
    for (uint32_t i = 0; i < n; i++)
        inv_freq[i] = pow(c->rope.theta, -2.0 * i / c->n_rot) / inv_freq[i];
    *attn_factor = c->rope.attn_factor;
    if (c->rope.scaling == QL_ROPE_LINEAR)
        for (uint32_t i = 0; i < n; i++)
            inv_freq[i] /= c->rope.factor;
    if (c->rope.scaling == QL_ROPE_YARN) {
        yarn(c, inv_freq);
        if (c->rope.factor > 1 && c->rope.ext_factor > 0)
            *attn_factor *= 0.1 * log(c->rope.factor) + 1;
    }
    return QL_OK;
}
