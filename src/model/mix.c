// SPDX-License-Identifier: MIT
// Owns the names of quantizations and their rules. Must not know how anything is encoded.
#include "model/mix.h"

#include <string.h>
#include <strings.h>

// In which layers a role gets the larger type.
typedef enum span {
    NOWHERE,
    EVERYWHERE,
    FIRST_2,
    FIRST_4,
    FIRST_8TH,  // of all layers
    FIRST_16TH,
    MORE_BITS,  // the first and the last eighth, and every third between
    SHARED_4,   // everywhere in models whose kv heads serve 4 or more heads
} span;

// The type of a role: `larger` in the layers of `where`, else `other`.
typedef struct rule {
    span where;
    ql_dtype larger, other;
} rule;

struct ql_mix {
    const char *name;
    int file_type; // general.file_type of GGUF
    ql_dtype base;
    rule v, down, o;    // NOWHERE: base
    bool o_of_experts;  // with eight experts o is Q5_K; else it is of the base type
};

static const ql_mix mixes[] = {
    // from small to large: what is tried when a model does not fit goes upwards in this list
    {"Q2_K", 10, QL_Q2_K, {SHARED_4, QL_Q4_K, QL_Q3_K}, {EVERYWHERE, QL_Q3_K, QL_Q3_K},
     {EVERYWHERE, QL_Q3_K, QL_Q3_K}, true},
    {"Q3_K_S", 11, QL_Q3_K, {0}, {0}, {0}, true},
    {"Q3_K_M", 12, QL_Q3_K, {FIRST_2, QL_Q5_K, QL_Q4_K}, {FIRST_16TH, QL_Q5_K, QL_Q4_K},
     {EVERYWHERE, QL_Q4_K, QL_Q4_K}, true},
    {"Q3_K_L", 13, QL_Q3_K, {EVERYWHERE, QL_Q5_K, QL_Q5_K}, {EVERYWHERE, QL_Q5_K, QL_Q5_K},
     {EVERYWHERE, QL_Q5_K, QL_Q5_K}, false},
    {"IQ4_XS", 30, QL_IQ4_XS, {SHARED_4, QL_Q5_K, QL_IQ4_XS}, {FIRST_8TH, QL_Q5_K, QL_IQ4_XS}, {0}, true},
    {"IQ4_NL", 25, QL_IQ4_NL, {SHARED_4, QL_Q5_K, QL_IQ4_NL}, {FIRST_8TH, QL_Q5_K, QL_IQ4_NL}, {0}, true},
    {"Q4_0", 2, QL_Q4_0, {0}, {0}, {0}, false},
    {"Q4_K_S", 14, QL_Q4_K, {FIRST_4, QL_Q5_K, QL_Q4_K}, {FIRST_8TH, QL_Q5_K, QL_Q4_K}, {0}, true},
    {"Q4_K_M", 15, QL_Q4_K, {MORE_BITS, QL_Q6_K, QL_Q4_K}, {MORE_BITS, QL_Q6_K, QL_Q4_K}, {0}, true},
    {"Q4_1", 3, QL_Q4_1, {0}, {0}, {0}, false},
    {"Q5_0", 8, QL_Q5_0, {0}, {0}, {0}, false},
    {"Q5_K_S", 16, QL_Q5_K, {0}, {0}, {0}, false},
    {"Q5_K_M", 17, QL_Q5_K, {MORE_BITS, QL_Q6_K, QL_Q5_K}, {MORE_BITS, QL_Q6_K, QL_Q5_K}, {0}, false},
    {"Q5_1", 9, QL_Q5_1, {0}, {0}, {0}, false},
    {"Q6_K", 18, QL_Q6_K, {0}, {0}, {0}, false},
    {"Q8_0", 7, QL_Q8_0, {0}, {0}, {0}, false},
    {"F16", 1, QL_F16, {0}, {0}, {0}, false},
    {"BF16", 32, QL_BF16, {0}, {0}, {0}, false},
    {"F32", 0, QL_F32, {0}, {0}, {0}, false},
};
enum { N_MIXES = sizeof mixes / sizeof *mixes };
const char ql_mix_names[] = "Q2_K, Q3_K_S, Q3_K_M, Q3_K_L, Q4_0, Q4_1, Q4_K_S, Q4_K_M, Q5_0, Q5_1, Q5_K_S, Q5_K_M, Q6_K, Q8_0, "
                            "IQ4_NL, IQ4_XS, F16, BF16, F32";

const ql_mix *ql_mix_find(const char *name)
{
    static const char *const aliases[][2] = {{"Q3_K", "Q3_K_M"}, {"Q4_K", "Q4_K_M"}, {"Q5_K", "Q5_K_M"}};
    for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++)
        if (strcasecmp(name, aliases[i][0]) == 0)
            name = aliases[i][1];
    for (size_t i = 0; i < N_MIXES; i++)
        if (strcasecmp(name, mixes[i].name) == 0)
            return &mixes[i];
    return NULL;
}

const ql_mix *ql_mix_of_bits(int bits, ql_dtype half)
{
    static const struct {
        int bits;
        const char *name;
    } table[] = {{2, "Q2_K"}, {3, "Q3_K_M"}, {4, "Q4_K_M"}, {5, "Q5_K_M"}, {6, "Q6_K"}, {8, "Q8_0"}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (table[i].bits == bits)
            return ql_mix_find(table[i].name);
    return bits == 16 ? ql_mix_find(half == QL_F16 ? "F16" : "BF16") : NULL;
}

const ql_mix *ql_mix_of_file_type(uint64_t file_type)
{
    for (size_t i = 0; i < N_MIXES; i++)
        if ((uint64_t)mixes[i].file_type == file_type)
            return &mixes[i];
    return NULL;
}

const ql_mix *ql_mix_default(uint64_t n_params) { return ql_mix_find(n_params < 1000000000 ? "Q8_0" : "Q4_K_M"); }

const ql_mix *ql_mix_smaller(const ql_mix *mix) { return mix > mixes ? mix - 1 : NULL; }

const char *ql_mix_name(const ql_mix *mix) { return mix->name; }
ql_dtype ql_mix_base(const ql_mix *mix) { return mix->base; }
int ql_mix_file_type(const ql_mix *mix) { return mix->file_type; }

// ---- the rules ----

static bool holds(span where, const ql_config *c, uint32_t i)
{
    uint32_t n = c->n_layers;
    switch (where) {
    case NOWHERE: return false;
    case EVERYWHERE: return true;
    case FIRST_2: return i < 2;
    case FIRST_4: return i < 4;
    case FIRST_8TH: return i < n / 8;
    case FIRST_16TH: return i < n / 16;
    case MORE_BITS: return i < n / 8 || i >= 7 * n / 8 || (i - n / 8) % 3 == 2;
    case SHARED_4: return c->n_heads / c->n_kv_heads >= 4;
    }
    return false;
}

static ql_dtype by_rule(const ql_mix *mix, const rule *r, const ql_config *c, uint32_t layer)
{
    if (r->where == NOWHERE)
        return mix->base;
    return holds(r->where, c, layer) ? r->larger : r->other;
}

static bool is_k_quant(ql_dtype t) { return ql_dtype_get(t)->block == 256; }

// With eight experts the attention is a small part of the model, and worth more bits.
static ql_dtype among_experts(const ql_mix *mix, ql_dtype t, ql_role role)
{
    if (role == QL_ROLE_K || role == QL_ROLE_V)
        return QL_Q8_0;
    if (role == QL_ROLE_O)
        return mix->o_of_experts ? QL_Q5_K : mix->base;
    return t;
}

static ql_dtype by_role(const ql_mix *mix, const ql_config *c, const ql_bound *b, bool tied)
{
    bool quantized = ql_dtype_get(mix->base)->block > 1;
    ql_dtype t = mix->base;
    if (b->role == QL_ROLE_ROUTER)
        return QL_F32;
    if (!quantized)
        return t;
    if (b->role == QL_ROLE_OUTPUT || (b->role == QL_ROLE_EMBD && tied))
        return t == QL_Q8_0 ? t : QL_Q6_K;
    if (b->role == QL_ROLE_V) {
        t = by_rule(mix, &mix->v, c, b->layer);
        // v is small beside the rest where 8 heads share it, as in 70B models of 80 layers
        if (c->n_layers >= 80 && c->n_heads / c->n_kv_heads >= 8 && (t == QL_Q3_K || t == QL_Q4_K))
            t = QL_Q5_K;
    }
    if (b->role == QL_ROLE_DOWN)
        t = by_rule(mix, &mix->down, c, b->layer);
    if (b->role == QL_ROLE_O)
        t = by_rule(mix, &mix->o, c, b->layer);
    return c->n_experts == 8 ? among_experts(mix, t, b->role) : t;
}

// What takes over where a row is no whole number of blocks.
static ql_dtype next_that_fits(ql_dtype t, uint32_t n_cols)
{
    static const ql_dtype next[QL_DTYPE_END] = {[QL_Q2_K] = QL_Q4_0, [QL_Q3_K] = QL_Q4_0, [QL_Q4_K] = QL_Q5_0,
                                                [QL_Q5_K] = QL_Q5_1, [QL_Q6_K] = QL_Q8_0, [QL_IQ4_XS] = QL_IQ4_NL};
    if (is_k_quant(t) && n_cols % 256)
        t = next[t];
    return n_cols % ql_dtype_get(t)->block ? QL_F16 : t;
}

ql_dtype ql_mix_dtype(const ql_mix *mix, const ql_config *config, const ql_bound *bound, bool tied, ql_dtype *wanted)
{
    ql_dtype t = by_role(mix, config, bound, tied);
    if (wanted)
        *wanted = t;
    return next_that_fits(t, bound->matrix->n_cols);
}

// ---- what is said of types that could not be had ----

void ql_fallbacks_note(ql_fallbacks *f, ql_dtype wanted, ql_dtype dtype, uint32_t n_cols)
{
    if (wanted == dtype)
        return;
    f->of[wanted][dtype].count++;
    f->of[wanted][dtype].n_cols = n_cols;
}

void ql_fallbacks_say(const ql_fallbacks *f, const ql_logger *log)
{
    for (uint32_t from = 0; from < QL_DTYPE_END; from++)
        for (uint32_t to = 0; to < QL_DTYPE_END; to++) {
            uint32_t count = f->of[from][to].count;
            if (count)
                ql_log_line(log, "%u %s of %u columns, no whole number of %s blocks of %u: %s instead", count,
                            count == 1 ? "matrix" : "matrices", f->of[from][to].n_cols, ql_dtype_get(from)->name,
                            ql_dtype_get(from)->block, ql_dtype_get(to)->name);
        }
}
