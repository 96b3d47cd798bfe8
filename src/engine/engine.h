// SPDX-License-Identifier: MIT
// Private to the engine room: what stands behind the handles of quantllm.h.
#ifndef QL_ENGINE_ENGINE_H
#define QL_ENGINE_ENGINE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "engine/choice.h"
#include "engine/packed.h"
#include "model/model.h"
#include "sample/sampler.h"
#include "text/stream.h"
#include "text/template.h"
#include "text/tokenizer.h"

struct ql_model {
    atomic_int references;      // the caller's, and one for each session
    ql_source *source;
    ql_source *packed;          // where the weights are mapped from, or NULL
    ql_packed_pages *pages;     // of packed, on their way, or NULL
    ql_packed_place place;
    ql_packed_writer *writer;   // of the packed file, or NULL
    ql_config config;
    ql_weights weights;
    ql_tokenizer *tokenizer;
    ql_pool *pool;
    ql_forward *forward;
    pthread_mutex_t turn;       // held while forward() runs and its logits are used
    const ql_kernels *kernels;
    ql_kv_type kv_type;
    uint32_t max_length;
    double load_seconds;

    ql_model *draft;            // suggests tokens, or NULL
    char *name;
    ql_choice choice;
    ql_params defaults;         // what the model recommends
    char *template_source;      // NULL: the model has none
    ql_template *tmpl;          // NULL: none, or it does not compile: template_error
    ql_error template_error;
};

void ql_model_retain(ql_model *model);

// What models and exported files have in common (model.c). The embedding must have a row for each token.
ql_code ql_check_vocabulary(const ql_source *source, const ql_tokenizer *tokenizer, const ql_config *config, ql_error *err);
// A line about tensors that have no place in the architecture.
ql_code ql_tell_unused(const ql_source *source, const ql_config *config, uint32_t max_length, const ql_logger *log,
                       ql_error *err);
// "org/name" of a path inside the Hugging Face cache (models--org--name/snapshots/...); else the path's last part, of "." that
// of the folder it is. free().
ql_code ql_name_of_path(const char *path, char **name, ql_error *err);

// Sampling parameters of generation_config.json; neutral ones where it is absent (data NULL), says nothing or is wrong.
void ql_defaults_read(ql_str document, ql_params *params, const ql_logger *log);

#endif
