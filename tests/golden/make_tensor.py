#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes tests/golden/tensor.bin: what PyPI gguf's reference decodes and encodes, for tests/unit/test_tensor.c.

    python -m venv golden && golden/bin/pip install gguf && golden/bin/python tests/golden/make_tensor.py

For each type: u32 number, u32 bytes of blocks, u32 weights, the blocks (random, with edge values), the f32 they decode
to; then u32 bytes of encoded blocks (0: no encoder), the f32 input and the encoded blocks."""
import pathlib
import struct
import warnings

import gguf
import numpy as np

OUT = pathlib.Path(__file__).resolve().parent / "tensor.bin"
NAMES = "F16 BF16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 IQ4_NL Q2_K Q3_K Q4_K Q5_K Q6_K IQ4_XS".split()
WEIGHTS = 1024


def blocks_of(rng, n_blocks, size):
    """Random blocks, then all zeros, all ones, and blocks of bytes that make denormal, infinite and NaN scales."""
    blocks = rng.integers(0, 256, (n_blocks, size), dtype=np.uint8)
    for i, byte in enumerate((0x00, 0xff, 0x7c, 0x01)):
        if i < n_blocks - 1:
            blocks[-1 - i] = byte
    return blocks


def inputs_of(rng):
    x = (rng.standard_normal(WEIGHTS) * np.exp(rng.standard_normal(WEIGHTS))).astype(np.float32)
    x[:32] = 0
    x[32:64] = 1
    x[64:96] *= np.float32(1e-6)
    x[96:128] *= np.float32(1e3)
    x[128:160] = -np.abs(x[128:160])
    return x


def main():
    warnings.simplefilter("ignore")
    rng, out = np.random.default_rng(7), b""
    for name in NAMES:
        kind = gguf.GGMLQuantizationType[name]
        block, size = gguf.GGML_QUANT_SIZES[kind]
        blocks = blocks_of(rng, WEIGHTS // block, size)
        decoded = gguf.quants.dequantize(blocks.reshape(1, -1), kind).astype("<f4").ravel()
        x, encoded = inputs_of(rng), b""
        try:
            encoded = gguf.quants.quantize(x.reshape(1, -1), kind).view(np.uint8).tobytes()
        except NotImplementedError:
            pass
        out += struct.pack("<III", kind.value, blocks.size, decoded.size) + blocks.tobytes() + decoded.tobytes()
        out += struct.pack("<I", len(encoded)) + (x.tobytes() + encoded if encoded else b"")
    OUT.write_bytes(out)


if __name__ == "__main__":
    main()
