// SPDX-License-Identifier: MIT
// Private to the model room: reading checked numbers, shared by both kinds of sources (config_gguf.c, config_hf.c).
#ifndef QL_MODEL_CONFIG_H
#define QL_MODEL_CONFIG_H

#include "model/arch.h"

// The keys of one object: "llama." of a GGUF file, "" or "text_config." of config.json.
typedef struct ql_reader {
    const ql_source *source;
    char prefix[80];
} ql_reader;

typedef struct ql_key {
    char text[160];
} ql_key;

ql_key ql_key_of(const ql_reader *r, const char *name);
bool ql_read_has(const ql_reader *r, const char *name);

// An absent key leaves *out as it is.
ql_code ql_read_u32(const ql_reader *r, const char *name, bool required, uint32_t min, uint32_t max, uint32_t *out,
                    ql_error *err);
ql_code ql_read_bool(const ql_reader *r, const char *name, bool *out, ql_error *err);
// A number in (min, max].
ql_code ql_read_f64(const ql_reader *r, const char *name, double min, double max, double *out, ql_error *err);
ql_code ql_read_f32(const ql_reader *r, const char *name, double min, double max, float *out, ql_error *err);

// Heads and rotation in relation to each other; the names are those of the source's keys. head_dim 0: from n_embd.
ql_code ql_check_heads(const ql_reader *r, ql_config *c, const char *n_embd, const char *n_heads,
                       const char *n_kv_heads, ql_error *err);
ql_code ql_check_experts(const ql_reader *r, const ql_config *c, const char *n_used, ql_error *err);

// Gives layer i its window and positions as the architecture's numbers say.
void ql_plan_layers(ql_config *c, uint32_t max_window_layers);

// The embedding, and what the names of its source begin with; NULL: there is none.
const ql_tensor *ql_find_embd(const ql_source *source, const ql_names *names, const char **prefix);

ql_code ql_config_gguf(const ql_source *source, ql_config *config, ql_error *err);
ql_code ql_config_hf(const ql_source *source, ql_config *config, ql_error *err);

// The key of a rotation's parameter in config.json, wherever that version of transformers put it. False: absent; *key
// is where it should be.
bool ql_hf_rope_key(const ql_source *source, const ql_config *config, int which, const char *name, ql_key *key);

// LongRoPE's divisors [n_rot / 2], from tensors or from config.json. (rope.c)
ql_code ql_rope_factors(const ql_source *source, const ql_config *config, bool is_long, double *factors, ql_error *err);

#endif
