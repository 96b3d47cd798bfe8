// SPDX-License-Identifier: MIT
// Private to the engine room: what stands behind the handles of quantllm.h.
#ifndef QL_ENGINE_ENGINE_H
#define QL_ENGINE_ENGINE_H

#include <pthread.h>
#include <stdatomic.h>

#include "model/model.h"
#include "sample/sampler.h"
#include "text/stream.h"
#include "text/template.h"
#include "text/tokenizer.h"

struct ql_model {
    atomic_int references;      // the caller's, and one for each session
    ql_source *source;          // the tokenizer's strings lie in it
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

    char *name;
    const char *quantization;
    char *template_source;      // NULL: the model has none
    ql_template *tmpl;          // NULL: none, or it does not compile: template_error
    ql_error template_error;
};

void ql_model_retain(ql_model *model);

// Seconds of a clock that never jumps.
double ql_clock(void);

#endif
