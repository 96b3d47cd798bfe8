// SPDX-License-Identifier: MIT
#include "model/arch.h"

#include <string.h>

#define LAYER(field) offsetof(ql_layer, field)

// Names as llama.cpp's converter writes them. GGUF files of the llama family hold q and k rows permuted for
// interleaved RoPE pairs.
static const ql_slot llama_layer[] = {
    {"attn_norm.weight", QL_SLOT_NORM, QL_DIM_ONE, QL_DIM_EMBD, LAYER(attn_norm), false},
    {"attn_q.weight", QL_SLOT_MATRIX, QL_DIM_Q, QL_DIM_EMBD, LAYER(q), false},
    {"attn_k.weight", QL_SLOT_MATRIX, QL_DIM_KV, QL_DIM_EMBD, LAYER(k), false},
    {"attn_v.weight", QL_SLOT_MATRIX, QL_DIM_KV, QL_DIM_EMBD, LAYER(v), false},
    {"attn_output.weight", QL_SLOT_MATRIX, QL_DIM_EMBD, QL_DIM_Q, LAYER(o), false},
    {"attn_q.bias", QL_SLOT_BIAS, QL_DIM_ONE, QL_DIM_Q, LAYER(q), true},
    {"attn_k.bias", QL_SLOT_BIAS, QL_DIM_ONE, QL_DIM_KV, LAYER(k), true},
    {"attn_v.bias", QL_SLOT_BIAS, QL_DIM_ONE, QL_DIM_KV, LAYER(v), true},
    {"attn_output.bias", QL_SLOT_BIAS, QL_DIM_ONE, QL_DIM_EMBD, LAYER(o), true},
    {"ffn_norm.weight", QL_SLOT_NORM, QL_DIM_ONE, QL_DIM_EMBD, LAYER(ffn_norm), false},
    {"ffn_gate.weight", QL_SLOT_MATRIX, QL_DIM_FF, QL_DIM_EMBD, LAYER(gate), false},
    {"ffn_up.weight", QL_SLOT_MATRIX, QL_DIM_FF, QL_DIM_EMBD, LAYER(up), false},
    {"ffn_down.weight", QL_SLOT_MATRIX, QL_DIM_EMBD, QL_DIM_FF, LAYER(down), false},
    {"ffn_gate.bias", QL_SLOT_BIAS, QL_DIM_ONE, QL_DIM_FF, LAYER(gate), true},
    {"ffn_up.bias", QL_SLOT_BIAS, QL_DIM_ONE, QL_DIM_FF, LAYER(up), true},
    {"ffn_down.bias", QL_SLOT_BIAS, QL_DIM_ONE, QL_DIM_EMBD, LAYER(down), true},
};

const ql_slot ql_model_slots[] = {
    {"token_embd.weight", QL_SLOT_MATRIX, QL_DIM_VOCAB, QL_DIM_EMBD, offsetof(ql_weights, embd), false},
    {"output_norm.weight", QL_SLOT_NORM, QL_DIM_ONE, QL_DIM_EMBD, offsetof(ql_weights, output_norm), false},
    {"output.weight", QL_SLOT_MATRIX, QL_DIM_VOCAB, QL_DIM_EMBD, offsetof(ql_weights, output), true},
};
const size_t ql_n_model_slots = sizeof ql_model_slots / sizeof *ql_model_slots;

static const ql_arch table[] = {
    {"llama", QL_ROPE_NORM, llama_layer, sizeof llama_layer / sizeof *llama_layer},
};
const char ql_arch_names[] = "llama";

const ql_arch *ql_arch_find(const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strlen(table[i].name) == len && memcmp(table[i].name, name, len) == 0)
            return &table[i];
    return NULL;
}
