// SPDX-License-Identifier: MIT
// Puts rows into panels and takes them out again. One table of fields drives both, so a type is packed right when its
// fields are listed right; reading a row back restores the file's blocks and leaves decoding to the tensor room.
#include <string.h>

#include "kernel/layout.h"

const ql_field ql_panel_fields[QL_DTYPE_END][QL_FIELDS_MAX] = {
    [QL_F32] = {{0, 4, 4}},
    [QL_F16] = {{0, 2, 2}},
    [QL_BF16] = {{0, 2, 2}},
    [QL_Q4_0] = {{0, 2, 2}, {2, 16, 4}},
    [QL_Q4_1] = {{0, 2, 2}, {2, 2, 2}, {4, 16, 4}},
    [QL_Q5_0] = {{0, 2, 2}, {2, 4, 4}, {6, 16, 4}},
    [QL_Q5_1] = {{0, 2, 2}, {2, 2, 2}, {4, 4, 4}, {8, 16, 4}},
    [QL_Q8_0] = {{0, 2, 2}, {2, 32, 4}},
    [QL_IQ4_NL] = {{0, 2, 2}, {2, 16, 4}},
    [QL_Q2_K] = {{0, 16, 1}, {16, 64, 4}, {80, 2, 2}, {82, 2, 2}},
    [QL_Q3_K] = {{0, 32, 4}, {32, 64, 4}, {96, 12, 1}, {108, 2, 2}},
    [QL_Q4_K] = {{0, 2, 2}, {2, 2, 2}, {4, 12, 1}, {16, 128, 4}},
    [QL_Q5_K] = {{0, 2, 2}, {2, 2, 2}, {4, 12, 1}, {16, 32, 4}, {48, 128, 4}},
    [QL_Q6_K] = {{0, 128, 4}, {128, 64, 4}, {192, 16, 1}, {208, 2, 2}},
    [QL_IQ4_XS] = {{0, 2, 2}, {2, 2, 2}, {4, 4, 1}, {8, 128, 4}},
};

size_t ql_act_quad_bytes(ql_act act, size_t n_cols)
{
    size_t n_blocks = (n_cols + 31) / 32;
    return act == QL_ACT_F32 ? n_cols * QL_QUAD_ROWS * sizeof(float)
                             : ql_quad_bytes(act == QL_ACT_PAIRS ? sizeof(ql_pairs) : sizeof(ql_bytes), n_blocks);
}

// ---- what is not a plain transpose ----

// Fifth bits: from 32 bits a row to 64 bits a k-group, and back. dst may be src.
static void bits_by_group(const uint8_t src[64], uint8_t dst[64])
{
    uint32_t rows[16];
    uint64_t groups[8] = {0};
    memcpy(rows, src, sizeof rows);
    for (int g = 0; g < 8; g++)
        for (int r = 0; r < 16; r++)
            groups[g] |= (uint64_t)(rows[r] >> 4 * g & 15) << 4 * r;
    memcpy(dst, groups, sizeof groups);
}

static uint32_t bits_of_row(const uint8_t src[64], size_t row)
{
    uint64_t groups[8];
    uint32_t bits = 0;
    memcpy(groups, src, sizeof groups);
    for (int g = 0; g < 8; g++)
        bits |= (uint32_t)(groups[g] >> 4 * row & 15) << 4 * g;
    return bits;
}

static bool is_q5(ql_dtype dtype) { return dtype == QL_Q5_0 || dtype == QL_Q5_1; }
static size_t q5_bits_at(ql_dtype dtype) { return dtype == QL_Q5_0 ? 2 : 4; }

static void adjust_block(ql_dtype dtype, uint8_t *panel_block)
{
    if (is_q5(dtype)) {
        uint8_t *bits = panel_block + q5_bits_at(dtype) * QL_PANEL_ROWS;
        bits_by_group(bits, bits);
    }
    if (dtype == QL_Q8_0)
        for (size_t i = 0; i < 32 * QL_PANEL_ROWS; i++)
            panel_block[2 * QL_PANEL_ROWS + i] ^= 0x80;
}

static void restore_block(ql_dtype dtype, const uint8_t *panel_block, size_t row, uint8_t *block)
{
    if (is_q5(dtype)) {
        uint32_t bits = bits_of_row(panel_block + q5_bits_at(dtype) * QL_PANEL_ROWS, row);
        memcpy(block + q5_bits_at(dtype), &bits, sizeof bits);
    }
    if (dtype == QL_Q8_0)
        for (size_t i = 2; i < 34; i++)
            block[i] ^= 0x80;
}

// ---- the transpose ----

// All units of one field of one row's block; the loops by unit so that each move has a fixed size.
static void scatter(const uint8_t *src, const ql_field *f, size_t row, uint8_t *dst)
{
    src += f->offset;
    dst += (size_t)f->offset * QL_PANEL_ROWS + row * f->unit;
    if (f->unit == 4)
        for (size_t at = 0; at < f->bytes; at += 4)
            memcpy(dst + at * QL_PANEL_ROWS, src + at, 4);
    else if (f->unit == 2)
        for (size_t at = 0; at < f->bytes; at += 2)
            memcpy(dst + at * QL_PANEL_ROWS, src + at, 2);
    else
        for (size_t at = 0; at < f->bytes; at++)
            dst[at * QL_PANEL_ROWS] = src[at];
}

static void gather(const uint8_t *src, const ql_field *f, size_t row, uint8_t *dst)
{
    src += (size_t)f->offset * QL_PANEL_ROWS + row * f->unit;
    for (size_t at = 0; at < f->bytes; at += f->unit)
        memcpy(dst + f->offset + at, src + at * QL_PANEL_ROWS, f->unit);
}

void ql_panel_pack(ql_dtype dtype, const uint8_t *rows, size_t row_bytes, int n_rows, size_t n_cols, uint8_t *dst)
{
    const ql_dtype_info *info = ql_dtype_get(dtype);
    const ql_field *fields = ql_panel_fields[dtype];
    size_t n_blocks = n_cols / info->block, bytes = info->block_bytes;
    if (n_rows < QL_PANEL_ROWS)
        memset(dst, 0, n_blocks * bytes * QL_PANEL_ROWS);
    for (size_t b = 0; b < n_blocks; b++) {
        uint8_t *out = dst + b * bytes * QL_PANEL_ROWS;
        for (int f = 0; f < QL_FIELDS_MAX && fields[f].unit; f++)
            for (int r = 0; r < n_rows; r++)
                scatter(rows + (size_t)r * row_bytes + b * bytes, &fields[f], (size_t)r, out);
        adjust_block(dtype, out);
    }
}

void ql_panel_row(ql_dtype dtype, const uint8_t *panels, size_t n_cols, size_t row, float *out)
{
    const ql_dtype_info *info = ql_dtype_get(dtype);
    const ql_field *fields = ql_panel_fields[dtype];
    size_t n_blocks = n_cols / info->block, bytes = info->block_bytes;
    const uint8_t *panel = panels + row / QL_PANEL_ROWS * n_blocks * bytes * QL_PANEL_ROWS;
    uint8_t block[256];
    for (size_t b = 0; b < n_blocks; b++) {
        const uint8_t *in = panel + b * bytes * QL_PANEL_ROWS;
        for (int f = 0; f < QL_FIELDS_MAX && fields[f].unit; f++)
            gather(in, &fields[f], row % QL_PANEL_ROWS, block);
        restore_block(dtype, in, row % QL_PANEL_ROWS, block);
        info->decode(block, out + b * info->block, info->block);
    }
}
