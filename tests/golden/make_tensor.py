#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes tests/golden/tensor.bin: what PyPI gguf's reference decodes and encodes, for tests/unit/test_tensor.c.

    python -m venv golden && golden/bin/pip install gguf && golden/bin/python tests/golden/make_tensor.py

The file: u32 count and that many f32, the encoders' input; then for each type u32 number, u32 bytes of blocks, u32
weights, the blocks (random, with edge values), the f32 they decode to, u32 bytes of encoded input (0: no encoder), and
these. Random numbers are made of integers alone, so that every machine writes the same bytes."""
import pathlib
import struct
import warnings

import gguf
import numpy as np

OUT = pathlib.Path(__file__).resolve().parent / "tensor.bin"
SCALES = {  # where a block has its half-precision scales
    "F32": [], "F16": [], "BF16": [], "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0],
    "IQ4_NL": [0],
    "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "IQ4_XS": [0]}
EDGES = [0x7c00, 0xfc00, 0x7e00, 0x8000, 0x0001, 0x83ff, 0x7bff]  # infinities, NaN, -0, denormals, the largest


def floats(rng, n):
    """Roughly normal, times a power of two."""
    sums = rng.integers(-2 ** 20, 2 ** 20, (4, n)).sum(axis=0)
    return np.ldexp(sums.astype(np.float32), rng.integers(-23, -17, n)).astype(np.float32)


def blocks_of(rng, name, block, size):
    """Blocks of zeros and of ones, then random ones: some as they come, one for each edge value of the scale."""
    n_blocks = 128 // block if block < 32 else 16 if block == 32 else 6
    blocks = rng.integers(0, 256, (n_blocks, size), dtype=np.uint8)
    blocks[0], blocks[1] = 0x00, 0xff
    for i in range(2, n_blocks - 1):
        for j, at in enumerate(SCALES[name]):
            edge = EDGES[(i - 2 + 3 * j) % len(EDGES)]
            blocks[i, at:at + 2] = edge & 255, edge >> 8
    return blocks


def inputs_of(rng):
    x = floats(rng, 16 * 32).reshape(16, 32)
    x[0] = 0
    x[1] = 1
    x[2] *= np.float32(2 ** -20)
    x[3] *= np.float32(2 ** 10)
    x[4] = -np.abs(x[4])
    x[5] *= np.float32(2 ** -130)  # too small to be inverted
    x[6, 7] = np.nan
    x[7, 31] = np.inf
    x[8, 0], x[8, 16] = -np.inf, np.inf
    x[9] *= np.float32(2 ** 100)   # the scale becomes infinite
    x[10] = rng.integers(-16, 17, 32) / np.float32(2)  # ties
    x[11] = -x[11][::-1]
    return x.ravel()


def main():
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(7)
    x = inputs_of(rng)
    out = struct.pack("<I", x.size) + x.tobytes()
    for name in SCALES:
        kind = gguf.GGMLQuantizationType[name]
        blocks = blocks_of(rng, name, *gguf.GGML_QUANT_SIZES[kind])
        decoded = gguf.quants.dequantize(blocks.reshape(1, -1), kind).astype("<f4").ravel()
        try:
            encoded = gguf.quants.quantize(x.reshape(1, -1), kind).view(np.uint8).tobytes()
        except NotImplementedError:
            encoded = b""
        out += struct.pack("<III", kind.value, blocks.size, decoded.size) + blocks.tobytes() + decoded.tobytes()
        out += struct.pack("<I", len(encoded)) + encoded
    OUT.write_bytes(out)


if __name__ == "__main__":
    main()
