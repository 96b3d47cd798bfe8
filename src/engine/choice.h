// SPDX-License-Identifier: MIT
// Private to the engine room: which quantization a model is to run in.
#ifndef QL_ENGINE_CHOICE_H
#define QL_ENGINE_CHOICE_H

#include "base/log.h"
#include "kernel/kernel.h"
#include "model/mix.h"

typedef struct ql_choice {
    const ql_mix *mix;  // NULL: the source's own types
    const char *name;   // "Q4_K_M"
    bool reference;     // everything in f32, the cache of keys and values too, unless kv_cache says otherwise
} ql_choice;

// The type of most weights.
ql_dtype ql_main_dtype(const ql_source *source);

// Elements of all tensors.
uint64_t ql_n_params(const ql_source *source);

// From the options bits and quantization and, where they say nothing, from the model.
ql_code ql_choose(const ql_source *source, const ql_model_options *options, const ql_logger *log, ql_choice *choice,
                  ql_error *err);

// The type of the cache of keys and values. by_arch: the architecture's.
ql_code ql_choose_kv(const ql_choice *choice, const char *kv_cache, ql_kv_type by_arch, ql_kv_type *type, ql_error *err);

#endif
