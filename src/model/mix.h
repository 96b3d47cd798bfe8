// SPDX-License-Identifier: MIT
// Which type each matrix gets under a quantization's name. The mixes of the K-quants (some tensors in a larger type) and
// the types that take over where a row is no whole number of blocks are those of llama.cpp's llama-quantize without an
// importance matrix, so that a name means what people know.
#ifndef QL_MODEL_MIX_H
#define QL_MODEL_MIX_H

#include "model/bind.h"

typedef struct ql_mix ql_mix;

// By name, in any case ("Q4_K" is "Q4_K_M"); NULL: there is none. All names are in ql_mix_names.
const ql_mix *ql_mix_find(const char *name);
extern const char ql_mix_names[];

// By number of bits: 2, 3, 4, 5, 6, 8, and 16 for `half` (F16 or BF16); NULL: none of them.
const ql_mix *ql_mix_of_bits(int bits, ql_dtype half);

// By the number of GGUF's general.file_type; NULL: unknown or not supported.
const ql_mix *ql_mix_of_file_type(uint64_t file_type);

// The default for weights that are not quantized: it depends on the number of parameters alone.
const ql_mix *ql_mix_default(uint64_t n_params);

// The next smaller one to try when a model does not fit; NULL after the last.
const ql_mix *ql_mix_smaller(const ql_mix *mix);

const char *ql_mix_name(const ql_mix *mix); // "Q4_K_M"
ql_dtype ql_mix_base(const ql_mix *mix);    // the type of most matrices
int ql_mix_file_type(const ql_mix *mix);    // the number of GGUF's general.file_type

// The type of one matrix. *wanted, when not NULL, is what the mix says; the result differs from it when a row is no whole
// number of its blocks.
ql_dtype ql_mix_dtype(const ql_mix *mix, const ql_config *config, const ql_bound *bound, bool tied, ql_dtype *wanted);

// How often a type took another's place, and in rows of which length.
typedef struct ql_fallbacks {
    struct {
        uint32_t count, n_cols;
    } of[QL_DTYPE_END][QL_DTYPE_END]; // [wanted][got]
} ql_fallbacks;
void ql_fallbacks_note(ql_fallbacks *fallbacks, ql_dtype wanted, ql_dtype dtype, uint32_t n_cols);
void ql_fallbacks_say(const ql_fallbacks *fallbacks, const ql_logger *log);

#endif
