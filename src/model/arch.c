// SPDX-License-Identifier: MIT
// Owns the targets of a layer, and the search in the architecture table (arch_table.c).
#include "model/arch.h"

#include <stdio.h>
#include <string.h>

#define LAYER(field) offsetof(ql_layer, field)
#define EXPERT(field) offsetof(ql_expert, field)
#define MATRIX(name, role, rows, cols, field) {name, true, false, role, rows, cols, LAYER(field)}
#define EXPERTS(name, role, rows, cols, field) {name, true, true, role, rows, cols, EXPERT(field)}
#define NORM(name, n, field) {name, false, false, QL_ROLE_Q, QL_DIM_ONE, n, LAYER(field)}

const ql_target_info ql_target_infos[QL_TARGETS] = {
    [QL_TO_ATTN_NORM] = NORM("attn_norm.weight", QL_DIM_EMBD, attn_norm),
    [QL_TO_Q] = MATRIX("attn_q.weight", QL_ROLE_Q, QL_DIM_Q, QL_DIM_EMBD, q),
    [QL_TO_K] = MATRIX("attn_k.weight", QL_ROLE_K, QL_DIM_KV, QL_DIM_EMBD, k),
    [QL_TO_V] = MATRIX("attn_v.weight", QL_ROLE_V, QL_DIM_KV, QL_DIM_EMBD, v),
    [QL_TO_Q_NORM] = NORM("attn_q_norm.weight", QL_DIM_Q, q_norm),
    [QL_TO_K_NORM] = NORM("attn_k_norm.weight", QL_DIM_KV, k_norm),
    [QL_TO_O] = MATRIX("attn_output.weight", QL_ROLE_O, QL_DIM_EMBD, QL_DIM_Q, o),
    [QL_TO_ATTN_POST_NORM] = NORM("post_attention_norm.weight", QL_DIM_EMBD, attn_post_norm),
    [QL_TO_FFN_NORM] = NORM("ffn_norm.weight", QL_DIM_EMBD, ffn_norm),
    [QL_TO_ROUTER] = MATRIX("ffn_gate_inp.weight", QL_ROLE_ROUTER, QL_DIM_EXPERTS, QL_DIM_EMBD, router),
    [QL_TO_EXPERT_GATE] = EXPERTS("ffn_gate_exps.%u.weight", QL_ROLE_GATE, QL_DIM_FF_EXPERT, QL_DIM_EMBD, gate),
    [QL_TO_EXPERT_UP] = EXPERTS("ffn_up_exps.%u.weight", QL_ROLE_UP, QL_DIM_FF_EXPERT, QL_DIM_EMBD, up),
    [QL_TO_EXPERT_DOWN] = EXPERTS("ffn_down_exps.%u.weight", QL_ROLE_DOWN, QL_DIM_EMBD, QL_DIM_FF_EXPERT, down),
    [QL_TO_GATE] = MATRIX("ffn_gate.weight", QL_ROLE_GATE, QL_DIM_FF, QL_DIM_EMBD, gate),
    [QL_TO_UP] = MATRIX("ffn_up.weight", QL_ROLE_UP, QL_DIM_FF, QL_DIM_EMBD, up),
    [QL_TO_DOWN] = MATRIX("ffn_down.weight", QL_ROLE_DOWN, QL_DIM_EMBD, QL_DIM_FF, down),
    [QL_TO_FFN_POST_NORM] = NORM("post_ffw_norm.weight", QL_DIM_EMBD, ffn_post_norm),
};

static bool is(const char *row, const char *name, size_t len)
{
    return row && strlen(row) == len && memcmp(row, name, len) == 0;
}

const ql_arch *ql_arch_find(ql_source_kind kind, const char *name, size_t len)
{
    for (size_t i = 0; i < ql_n_archs; i++)
        if (is(ql_arch_table[i].names[kind], name, len))
            return &ql_arch_table[i];
    return NULL;
}

const ql_arch *ql_arch_find_class(const char *name, size_t len)
{
    for (size_t i = 0; i < ql_n_archs; i++)
        if (is(ql_arch_table[i].hf_class, name, len))
            return &ql_arch_table[i];
    return NULL;
}

void ql_arch_list(ql_source_kind kind, char *out, size_t size)
{
    size_t used = 0;
    out[0] = 0;
    for (size_t i = 0; i < ql_n_archs && used < size; i++)
        if (ql_arch_table[i].names[kind])
            used += (size_t)snprintf(out + used, size - used, "%s%s", used ? ", " : "", ql_arch_table[i].names[kind]);
}
