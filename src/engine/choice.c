// SPDX-License-Identifier: MIT
// Owns what bits, quantization and their absence mean.
#include "engine/choice.h"

#include <strings.h>

ql_dtype ql_main_dtype(const ql_source *source)
{
    uint64_t n_weights[QL_DTYPE_END] = {0};
    int best = QL_F32;
    for (size_t i = 0; i < ql_source_n_tensors(source); i++) {
        const ql_tensor *t = ql_source_tensor_at(source, i);
        n_weights[t->dtype] += t->size / ql_dtype_get(t->dtype)->block_bytes * ql_dtype_get(t->dtype)->block;
        best = n_weights[t->dtype] > n_weights[best] ? (int)t->dtype : best;
    }
    return (ql_dtype)best;
}

uint64_t ql_n_params(const ql_source *source)
{
    uint64_t n = 0;
    for (size_t i = 0; i < ql_source_n_tensors(source); i++)
        n += ql_tensor_n_values(ql_source_tensor_at(source, i));
    return n;
}

// What a GGUF file is called: by general.file_type when most weights are of that type, else by their type.
static const char *stored_name(const ql_source *source)
{
    ql_dtype dtype = ql_main_dtype(source);
    uint64_t number = UINT64_MAX;
    ql_source_get_u64(source, "general.file_type", false, 0, UINT32_MAX, &number, NULL);
    const ql_mix *mix = ql_mix_of_file_type(number);
    return mix && ql_mix_base(mix) == dtype ? ql_mix_name(mix) : ql_dtype_get(dtype)->name;
}

// The mix that the options name; NULL: none. Both given must agree.
static ql_code asked_mix(const ql_source *source, const ql_model_options *o, const ql_mix **mix, ql_error *err)
{
    const ql_mix *by_bits = NULL, *by_name = NULL;
    ql_dtype half = ql_main_dtype(source) == QL_F16 || ql_dtype_get(ql_main_dtype(source))->block > 1 ? QL_F16 : QL_BF16;
    if (o->bits && !(by_bits = ql_mix_of_bits(o->bits, half)))
        return ql_fail(err, QL_E_ARGUMENT, "bits must be 2, 3, 4, 5, 6, 8 or 16, got %d", o->bits);
    if (o->quantization && strcasecmp(o->quantization, "auto") != 0 && !(by_name = ql_mix_find(o->quantization)))
        return ql_fail(err, QL_E_ARGUMENT, "quantization must be one of %s or auto, got \"%s\"", ql_mix_names,
                       o->quantization);
    if (by_bits && by_name && by_bits != by_name)
        return ql_fail(err, QL_E_ARGUMENT, "bits %d means %s, quantization says %s: give one of them", o->bits,
                       ql_mix_name(by_bits), ql_mix_name(by_name));
    *mix = by_name ? by_name : by_bits;
    return QL_OK;
}

ql_code ql_choose(const ql_source *source, const ql_model_options *o, const ql_logger *log, ql_choice *choice,
                  ql_error *err)
{
    *choice = (ql_choice){0};
    bool gguf = ql_source_kind_of(source) == QL_SOURCE_GGUF;
    const char *stored = gguf ? stored_name(source) : ql_dtype_get(ql_main_dtype(source))->name;
    QL_TRY(asked_mix(source, o, &choice->mix, err));
    if (!choice->mix && !gguf)
        choice->mix = ql_mix_default(ql_n_params(source));
    // A type that the file already has is no reason to quantize twice.
    bool same = choice->mix && (strcasecmp(ql_mix_name(choice->mix), stored) == 0 ||
                                (ql_mix_base(choice->mix) == ql_main_dtype(source) && o->quantization &&
                                 strcasecmp(ql_dtype_get(ql_main_dtype(source))->name, o->quantization) == 0));
    choice->reference = choice->mix && ql_mix_base(choice->mix) == QL_F32;
    if (gguf && same && !choice->reference)
        choice->mix = NULL;
    choice->name = choice->mix ? ql_mix_name(choice->mix) : stored;
    if (gguf && choice->mix && !choice->reference && ql_dtype_get(ql_main_dtype(source))->block > 1)
        ql_log_line(log, "%s: quantized again, from the values of its %s to %s", ql_source_path(source), stored,
                    choice->name);
    return QL_OK;
}

ql_code ql_choose_kv(const ql_choice *choice, const char *kv_cache, ql_kv_type by_arch, ql_kv_type *type, ql_error *err)
{
    *type = choice->reference ? QL_KV_F32 : by_arch;
    if (!kv_cache || strcasecmp(kv_cache, "auto") == 0)
        return QL_OK;
    for (int t = 0; t < QL_KV_COUNT; t++)
        if (strcasecmp(kv_cache, ql_kv_names[t]) == 0) {
            *type = (ql_kv_type)t;
            return QL_OK;
        }
    return ql_fail(err, QL_E_ARGUMENT, "kv_cache must be one of f32, f16, q8, q4 or auto, got \"%s\"", kv_cache);
}
