// SPDX-License-Identifier: MIT
// What lies where in packed weights and activations. Private to the kernel room.
//
// A panel is 16 rows of a matrix, block by block in K order. In the panel's copy of a block every field of the 16 rows'
// blocks is kept together, unit by unit: unit e of row r lies at field * 16 + (e * 16 + r) * unit bytes. Quants have
// units of 4 bytes, so one 64-byte vector holds the same 4 (or, two nibbles a byte, twice 4) weights of 16 rows:
//
//   Q4_0  f16 d[16]             | vectors 0-3: low nibbles k-group j, high nibbles k-group j + 4   (group: 4 weights)
//   Q4_1  f16 d[16], m[16]      | the same
//   Q5_x  ... u64 fifth bits[8] | the same; bit 4 r + i of word g is weight i of row r in k-group g
//   Q8_0  f16 d[16]             | vectors 0-7: k-group j, as u8 = q + 128
//   K-quants, IQ4_XS: their fields in the order of the file
//
// Two types change bytes on the way (Q5_x's fifth bits, Q8_0's sign); every other panel is a plain transpose.
#ifndef QL_KERNEL_LAYOUT_H
#define QL_KERNEL_LAYOUT_H

#include <stdint.h>

#include "kernel/kernel.h"

enum {
    QL_GROUPS_32 = 8,   // k-groups of a block of 32
    QL_GROUPS_256 = 64,
    QL_SUBS_256 = 16,   // sub-blocks of 16 weights
};

// A block of 32 of 4 activation rows.
typedef struct ql_quad32 {
    int8_t q[QL_GROUPS_32][QL_QUAD_ROWS][4];
    float d[QL_QUAD_ROWS];       // scale
    int32_t nsum[QL_QUAD_ROWS];  // minus the sum of q: times a zero point it corrects unsigned weights
    float ds[QL_QUAD_ROWS];      // d times the sum of q: meets a type's minimums
} ql_quad32;

// A block of 256 of 4 activation rows.
typedef struct ql_quad256 {
    int8_t q[QL_GROUPS_256][QL_QUAD_ROWS][4];
    float d[QL_QUAD_ROWS];
    int16_t nsum[QL_SUBS_256 / 2][QL_QUAD_ROWS][2]; // minus the sum of each sub-block of 16; a pair is one operand
} ql_quad256;

// Panel bytes of a block, by field.
typedef struct ql_field {
    uint16_t offset, bytes; // in the file's block
    uint8_t unit;           // 1, 2, 4; 0 ends the list
} ql_field;

enum { QL_FIELDS_MAX = 5 };
extern const ql_field ql_panel_fields[QL_DTYPE_END][QL_FIELDS_MAX];

// Weights of 16 rows and 256 columns as every K kernel takes them. Scales and minimums are pairs of 16-bit numbers, as
// the multiply instructions of two 16-bit products take them.
typedef struct ql_tile256 {
    _Alignas(64) uint8_t q[QL_GROUPS_256][64];
    int32_t scale[QL_SUBS_256][16];   // of a sub-block, in both halves: multiplies its integer sum
    int32_t min[QL_SUBS_256 / 2][16]; // of sub-blocks of 16 number 2 j (low half) and 2 j + 1: multiplies nsum; the
                                      // types with a zero point have scale * zero point here
    float d[16], dmin[16];
} ql_tile256;

// ---- what the kernels know of a type; constant once the type is ----

// The weights are q - (1 << zero shift); 0: q itself.
static inline int zero_shift_32(ql_dtype dtype)
{
    return dtype == QL_Q4_0 ? 3 : dtype == QL_Q5_0 ? 4 : dtype == QL_Q8_0 || dtype == QL_IQ4_NL ? 7 : 0;
}

static inline bool has_min_32(ql_dtype dtype) { return dtype == QL_Q4_1 || dtype == QL_Q5_1; }
static inline bool has_bits_32(ql_dtype dtype) { return dtype == QL_Q5_0 || dtype == QL_Q5_1; }

// Where the quants begin in a panel's block, and its bytes.
static inline size_t quants_at_32(ql_dtype dtype)
{
    return dtype == QL_Q4_1 ? 64 : dtype == QL_Q5_0 ? 96 : dtype == QL_Q5_1 ? 128 : 32;
}
static inline size_t block_bytes_32(ql_dtype dtype) { return quants_at_32(dtype) + (dtype == QL_Q8_0 ? 512 : 256); }

static inline bool has_min_256(ql_dtype dtype) { return dtype == QL_Q2_K || dtype == QL_Q4_K || dtype == QL_Q5_K; }

// Sub-blocks with a scale of their own.
static inline int n_subs_256(ql_dtype dtype)
{
    return dtype == QL_Q4_K || dtype == QL_Q5_K || dtype == QL_IQ4_XS ? 8 : 16;
}

static inline size_t block_bytes_256(ql_dtype dtype)
{
    switch (dtype) {
    case QL_Q2_K: return 84 * QL_PANEL_ROWS;
    case QL_Q3_K: return 110 * QL_PANEL_ROWS;
    case QL_Q4_K: return 144 * QL_PANEL_ROWS;
    case QL_Q5_K: return 176 * QL_PANEL_ROWS;
    case QL_Q6_K: return 210 * QL_PANEL_ROWS;
    default: return 136 * QL_PANEL_ROWS; // IQ4_XS
    }
}

#define QL_MATMUL_ARGUMENTS                                                                                            \
    const uint8_t *panels, size_t n_cols, const void *acts, size_t n_tokens, float *y, size_t ldy, size_t p_begin,     \
        size_t p_end

#endif
