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
    QL_GROUPS = 8, // k-groups of 4 weights in a block of 32
    QL_PAIRS = 16, // pairs of weights in it
    QL_SUPER = 8,  // blocks of 32 in a super-block of 256
    QL_SUBS = 16,  // sub-blocks in it, at most: of 16 weights; or of 32
    QL_ACT_FAR = 5,       // root mean squares of its row that an activation may have; beyond it, its group is far
    QL_FAR_MORE = 3,      // far groups beyond one that are copied at once; so many may be read behind the last list of a quad
    QL_ACT_NARROW = 127,  // levels of an activation that fits int8
    QL_ACT_WIDE = 16255,  // of one that is 128 * high + low, both int8. A block's sum fits 32 bits: 32 * 255 * 16255 < 2^31
};

// A block of 32 of 4 activation rows. q = low + 128 high, of int8; only some k-groups, the far ones of a row, have high numbers,
// and their low ones are 0 to 127. A quad has its blocks, with the low numbers; then ql_far_list()s. Every field but those of pairs
// has 4 bytes of each row, so that half a quad is its address and 8 bytes more.
typedef struct ql_act_block {
    uint32_t far[QL_QUAD_ROWS];     // far groups of the row before it
    float d[QL_QUAD_ROWS];          // scale
    float ds[3][QL_QUAD_ROWS];      // d times the sum of q, of each half and of both: meets a type's minimums
} ql_act_block;

// QL_ACT_PAIRS. The order of the pairs of group g, (4 g, 4 g + 2) and (4 g + 1, 4 g + 3), is that in which a mask and a
// shift take two 16-bit numbers out of 4 bytes.
typedef struct ql_pairs {
    ql_act_block of;
    int16_t q[QL_PAIRS][QL_QUAD_ROWS][2]; // low
    int32_t nsum[QL_QUAD_ROWS];           // minus 128 times the sum of q: corrects unsigned weights
} ql_pairs;

// QL_ACT_BYTES: four cache lines.
typedef struct ql_bytes {
    ql_act_block of;
    int32_t nsum[QL_QUAD_ROWS];           // minus 128 times the sum of q
    int16_t nsum_by_two[2][QL_QUAD_ROWS][2]; // of each half: minus the sums of the values 0 and 1, and 2 and 3, of its groups
    int8_t q[QL_GROUPS][QL_QUAD_ROWS][4]; // low
} ql_bytes;

// The high numbers of a far group.
typedef struct ql_far {
    uint32_t at; // QL_GROUPS * block + group
    float d;     // 128 times the block's
    union {
        int16_t pairs[2][2];
        struct {
            int32_t nsum; // minus 128 times the sum of q
            int8_t q[4];
        } bytes;
    };
} ql_far;

// No more values than this can be so many root mean squares; blocks beyond it (whose squares are too small to be summed) have
// no far groups.
static inline size_t ql_far_most(size_t n_blocks) { return 32 * n_blocks / (QL_ACT_FAR * QL_ACT_FAR); }

// The bytes of a quad of n_blocks blocks of block_bytes.
static inline size_t ql_quad_bytes(size_t block_bytes, size_t n_blocks)
{
    size_t n_far = QL_QUAD_ROWS * (ql_far_most(n_blocks) + 1) + QL_FAR_MORE;
    return (n_blocks * block_bytes + n_far * sizeof(ql_far) + 63) / 64 * 64;
}
// The far groups of a row of it, in K order, ql_far_most() at most; `at` of what is behind that many is how many there are.
static inline ql_far *ql_far_list(const void *quad, size_t block_bytes, size_t n_blocks, size_t lane)
{
    return (ql_far *)(void *)((char *)(uintptr_t)quad + n_blocks * block_bytes) + lane * (ql_far_most(n_blocks) + 1);
}

// Panel bytes of a block, by field.
typedef struct ql_field {
    uint16_t offset, bytes; // in the file's block
    uint8_t unit;           // 1, 2, 4; 0 ends the list
} ql_field;

enum { QL_FIELDS_MAX = 5 };
extern const ql_field ql_panel_fields[QL_DTYPE_END][QL_FIELDS_MAX];

// ---- what the kernels know of a type; constant once the type is ----

// The weights are q - zero, q unsigned.
static inline int zero_of(ql_dtype dtype)
{
    switch (dtype) {
    case QL_Q3_K: return 4;
    case QL_Q4_0: return 8;
    case QL_Q5_0: return 16;
    case QL_Q6_K: return 32;
    case QL_Q8_0: case QL_IQ4_NL: case QL_IQ4_XS: return 128;
    default: return 0;
    }
}

// Blocks of 32 in a block of the type.
static inline int n_parts(ql_dtype dtype)
{
    return (dtype >= QL_Q2_K && dtype <= QL_Q6_K) || dtype == QL_IQ4_XS ? QL_SUPER : 1;
}

// Sub-blocks of a super-block, each with a scale of its own, which is multiplied into the super-block's: exact in f32.
static inline int n_subs(ql_dtype dtype)
{
    return dtype == QL_Q4_K || dtype == QL_Q5_K || dtype == QL_IQ4_XS ? 8 : 16;
}

// Scales of a block of 32, each for its part of it.
static inline int n_scales(ql_dtype dtype) { return n_parts(dtype) != 1 && n_subs(dtype) == 16 ? 2 : 1; }

// Minimums of a block of 32.
static inline int n_mins(ql_dtype dtype)
{
    switch (dtype) {
    case QL_Q4_1: case QL_Q5_1: case QL_Q4_K: case QL_Q5_K: return 1;
    case QL_Q2_K: return 2;
    default: return 0;
    }
}

// Where things begin in a panel's block.
static inline size_t quants_at(ql_dtype dtype)
{
    switch (dtype) {
    case QL_Q4_1: return 4 * QL_PANEL_ROWS;
    case QL_Q5_0: return 6 * QL_PANEL_ROWS;
    case QL_Q5_1: case QL_IQ4_XS: return 8 * QL_PANEL_ROWS;
    case QL_Q2_K: case QL_Q4_K: return 16 * QL_PANEL_ROWS;
    case QL_Q3_K: return 32 * QL_PANEL_ROWS;
    case QL_Q5_K: return 48 * QL_PANEL_ROWS;
    case QL_Q6_K: return 0;
    default: return 2 * QL_PANEL_ROWS;
    }
}

static inline size_t scale_at(ql_dtype dtype)
{
    return (dtype == QL_Q2_K ? 80 : dtype == QL_Q3_K ? 108 : dtype == QL_Q6_K ? 208 : 0) * QL_PANEL_ROWS;
}
static inline size_t min_at(ql_dtype dtype) { return scale_at(dtype) + 2 * QL_PANEL_ROWS; }

static inline size_t block_bytes(ql_dtype dtype)
{
    switch (dtype) {
    case QL_Q4_1: return 20 * QL_PANEL_ROWS;
    case QL_Q5_0: return 22 * QL_PANEL_ROWS;
    case QL_Q5_1: return 24 * QL_PANEL_ROWS;
    case QL_Q8_0: return 34 * QL_PANEL_ROWS;
    case QL_Q2_K: return 84 * QL_PANEL_ROWS;
    case QL_Q3_K: return 110 * QL_PANEL_ROWS;
    case QL_Q4_K: return 144 * QL_PANEL_ROWS;
    case QL_Q5_K: return 176 * QL_PANEL_ROWS;
    case QL_Q6_K: return 210 * QL_PANEL_ROWS;
    case QL_IQ4_XS: return 136 * QL_PANEL_ROWS;
    default: return 18 * QL_PANEL_ROWS; // Q4_0, IQ4_NL
    }
}

// A product is summed slice by slice: first the blocks of 32 of a slice, then its far groups. The blocks of one, whole blocks of
// the type: 16, or as near to it as leaves no small rest.
enum { QL_SLICE = 18 }; // at most
static inline size_t slice_of(ql_dtype dtype, size_t n_blocks)
{
    size_t parts = (size_t)n_parts(dtype), n_slices = n_blocks < 32 ? 1 : n_blocks / 16, each;
    do {
        each = ((n_blocks + n_slices - 1) / n_slices + parts - 1) / parts * parts;
        n_slices++;
    } while (each > QL_SLICE);
    return each;
}

#define QL_MATMUL_ARGUMENTS                                                                                            \
    const uint8_t *panels, size_t n_cols, const void *acts, size_t n_tokens, float *y, size_t ldy, size_t p_begin,     \
        size_t p_end

#endif
