#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes export.json: what llama.cpp's own quantizer makes of two small models, tensor by tensor, for tests/python/test_export.py.

    python tests/golden/make_export.py tests/golden/export.json       needs llama-cpp-python, gguf, numpy

For each model and quantization: the type of every tensor and, where bytes must be equal (unquantized and legacy types), the
begin of their SHA-256; where they need not (K-quants, whose search is each quantizer's own), the RMS error of its values."""
import array
import copy
import ctypes
import functools
import hashlib
import json
import pathlib
import random
import sys
import tempfile

import make_tiny

QUANTIZATIONS = {"F32": 0, "F16": 1, "Q4_0": 2, "Q4_1": 3, "Q8_0": 7, "Q5_0": 8, "Q5_1": 9, "Q2_K": 10, "Q3_K_S": 11, "Q3_K_M": 12,
                 "Q3_K_L": 13, "Q4_K_S": 14, "Q4_K_M": 15, "Q5_K_S": 16, "Q5_K_M": 17, "Q6_K": 18, "IQ4_NL": 25, "IQ4_XS": 30,
                 "BF16": 32}
_random = random.Random(7)
ROW = [_random.gauss(0, 1) for _ in range(4099)]
EXACT = {"F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"}


def filled(n, at, centre, spread):
    """n floats of a fixed row of random ones, from place `at` on."""
    numbers = array.array("f", (centre + spread * x for x in ROW))
    return (numbers[at % len(ROW):] + numbers * (n // len(ROW) + 1))[:n].tobytes()


@functools.cache
def made():
    before = make_tiny.EMBD, make_tiny.FF
    make_tiny.EMBD, make_tiny.FF = 256, 256
    kvs, listed = make_tiny.parts(bad=True, untied=True)
    make_tiny.EMBD, make_tiny.FF = before
    for i, t in enumerate(listed):
        t.data = filled(len(t.data) // 4, 499 * i, *((1, 0.1) if len(t.shape) == 1 else (0, 0.1)))
    return kvs, listed


def llama():
    """Rows of 256: every type fits. The output matrix is the embedding."""
    kvs, listed = copy.deepcopy(made())
    return make_tiny.assemble(kvs, [t for t in listed if t.name != "output.weight"])


def phi3():
    """The same with q, k and v in one tensor, gate and up in another, and an output matrix of its own."""
    kvs, listed = copy.deepcopy(made())
    for kv in kvs:
        kv.key = kv.key.replace("llama.", "phi3.")
    make_tiny.change(kvs, "general.architecture", "phi3")
    by_name = {t.name: t for t in listed}

    def join(layer, name, *parts):
        found = [by_name.pop(f"blk.{layer}.{part}.weight") for part in parts]
        joined = make_tiny.Tensor(f"blk.{layer}.{name}.weight", [256, sum(t.shape[1] for t in found)], 0,
                                  b"".join(t.data for t in found))
        by_name[joined.name] = joined

    for layer in range(2):
        join(layer, "attn_qkv", "attn_q", "attn_k", "attn_v")
        join(layer, "ffn_up", "ffn_gate", "ffn_up")
    return make_tiny.assemble(kvs, list(by_name.values()))


MODELS = {"llama": llama, "phi3": phi3}


def quantized(source, out, file_type):
    import llama_cpp

    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype = file_type
    params.nthread = 1
    if llama_cpp.llama_model_quantize(str(source).encode(), str(out).encode(), ctypes.byref(params)) != 0:
        raise SystemExit(f"llama.cpp does not quantize {source} to {file_type}")


def describe(source, path):
    import gguf
    import numpy as np

    values = {t.name: gguf.quants.dequantize(t.data, t.tensor_type) for t in gguf.GGUFReader(source).tensors}
    out = {}
    for t in gguf.GGUFReader(path).tensors:
        if t.tensor_type.name in EXACT:
            out[t.name] = [t.tensor_type.name, hashlib.sha256(t.data.tobytes()).hexdigest()[:16]]
        else:
            error = gguf.quants.dequantize(t.data, t.tensor_type).reshape(-1) - values[t.name].reshape(-1)
            out[t.name] = [t.tensor_type.name, float(f"{np.sqrt(np.mean(error.astype(np.float64) ** 2)):.5g}")]
    return out


def main():
    golden = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, make in MODELS.items():
            source, out = pathlib.Path(folder) / f"{name}.gguf", pathlib.Path(folder) / "out.gguf"
            source.write_bytes(make())
            golden[name] = {}
            for quantization, file_type in QUANTIZATIONS.items():
                quantized(source, out, file_type)
                golden[name][quantization] = describe(source, out)
    lines = [f'  {json.dumps(q)}: {json.dumps(t)}' for m in golden.values() for q, t in m.items()]
    half = len(QUANTIZATIONS)
    pathlib.Path(sys.argv[1]).write_text("{" + ",\n".join(
        f'"{name}": {{\n' + ",\n".join(lines[i * half:(i + 1) * half]) + "}" for i, name in enumerate(golden)) + "}\n")


if __name__ == "__main__":
    main()
