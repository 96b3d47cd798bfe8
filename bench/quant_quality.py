#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What quantizing costs: quantllm's encoders beside llama.cpp's at the same types, on a real model's weights and on text.

    PYTHONPATH=... python bench/quant_quality.py MODEL.gguf TEXT [--types Q4_0,Q4_K_M,...] [--tokens 1024] [--no-text]

needs numpy, gguf and llama-cpp-python beside quantllm, and build/tests/kernel/encode_bench. Two tables:

Weights. All matrices of the model, brought to F32, are quantized to each block type by both (llama.cpp by
ggml_quantize_chunk, without an importance matrix); the figure is the root of the mean squared error over that of the
weights. Both results are decoded by the gguf package.

Text. The model is brought to F32 by llama.cpp and from there to each type, by its quantizer and by ours (both with the
same mix of types, tests/unit/test_mix.c). All run in quantllm, so that nothing but the encoders differs; the figures are
against the F32 model: the mean and the 99th percentile of the divergence KL(F32 || quantized) in nats per token, and how
often the most likely token stays. +- is the standard error of the difference of the two means, token by token."""
import argparse
import ctypes
import os
import pathlib
import subprocess
import tempfile

import gguf
import llama_cpp as ll
import numpy as np

from quantllm import turbo

ROOT = pathlib.Path(__file__).resolve().parent.parent
FTYPES = {"Q4_0": 2, "Q4_1": 3, "Q8_0": 7, "Q5_0": 8, "Q5_1": 9, "Q2_K": 10, "Q3_K_S": 11, "Q3_K_M": 12, "Q3_K_L": 13,
          "Q4_K_S": 14, "Q4_K_M": 15, "Q5_K_S": 16, "Q5_K_M": 17, "Q6_K": 18, "IQ4_NL": 25, "IQ4_XS": 30}
BLOCKS = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS"]


def quantize(source, target, ftype):
    params = ll.llama_model_quantize_default_params()
    params.ftype, params.allow_requantize, params.nthread = ftype, True, os.cpu_count()
    if ll.llama_model_quantize(str(source).encode(), str(target).encode(), params):
        raise SystemExit(f"llama.cpp could not quantize to type {ftype}")


# ---- weights


def ggml():
    library = ctypes.CDLL(str(pathlib.Path(ll.__file__).parent / "lib" / "libggml-base.so"))
    library.ggml_quantize_chunk.restype = ctypes.c_size_t
    library.ggml_quantize_chunk.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64,
                                            ctypes.c_int64, ctypes.c_void_p]
    return library


def theirs(library, x, kind, n_bytes):
    out = np.empty(n_bytes, np.uint8)
    if library.ggml_quantize_chunk(kind, x.ctypes.data, out.ctypes.data, 0, *x.shape, None) != n_bytes:
        raise SystemExit(f"ggml_quantize_chunk: not {n_bytes} bytes of type {kind}")
    return out


def ours(encoder, x, name, n_bytes):
    out = np.frombuffer(subprocess.run([encoder, name], input=x.tobytes(), capture_output=True, check=True).stdout, np.uint8)
    assert out.size == n_bytes
    return out


def compare_weights(matrices, encoder):
    library = ggml()
    print("| type    | RMS ours | RMS llama.cpp | ratio | same bytes |")
    for name in BLOCKS:
        kind = gguf.GGMLQuantizationType[name]
        block, size = gguf.GGML_QUANT_SIZES[kind]
        errors, power, same = np.zeros(2), 0.0, True
        for x in matrices:
            if x.shape[1] % block:  # as rows of whole blocks: the blocks are what is compared
                x = x.reshape(-1)[:x.size // block * block].reshape(-1, block)
            blocks = [encode(x, name, x.size // block * size) for encode in
                      (lambda *a: ours(encoder, *a), lambda x, _, n: theirs(library, x, kind.value, n))]
            errors += [np.square(gguf.dequantize(b, kind).reshape(x.shape) - x, dtype=np.float64).sum() for b in blocks]
            power += np.square(x, dtype=np.float64).sum()
            same &= np.array_equal(*blocks)
        rms = np.sqrt(errors / power)
        print(f"| {name:7} | {rms[0]:.6f} | {rms[1]:13.6f} | {rms[0] / rms[1]:.3f} | {'yes' if same else '':10} |", flush=True)


# ---- text


def log_softmax(logits):
    logits = logits - logits.max(axis=1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def log_probabilities(path, ids, window, **options):
    """[n, n_vocab], in windows of their own context."""
    with turbo(path, verbose=False, max_length=window, cache=False, **options) as model:
        for i in range(0, len(ids), window):
            yield log_softmax(np.array(model.logits(ids[i:i + window]), dtype=np.float64))


def divergence(reference, others):
    """KL of each token, and whether the most likely one stays."""
    kl, same = [], []
    for r, o in zip(reference, others):
        kl.append((np.exp(r, dtype=np.float64) * (r - o)).sum(axis=1))
        same.append(r.argmax(1) == o.argmax(1))
    return np.concatenate(kl), np.concatenate(same)


def compare_text(full, ids, types, work):
    reference = [r.astype(np.float32) for r in log_probabilities(full, ids, 512, quantization="F32")]
    small = f"{work}/small.gguf"
    print(f"| {'type':7} | KL ours | KL llama.cpp | ratio |    +- | p99 ours | p99 llama.cpp | top-1 ours | top-1 llama.cpp |")
    for name in types:
        quantize(full, small, FTYPES[name])
        a, same_a = divergence(reference, log_probabilities(full, ids, 512, quantization=name))
        b, same_b = divergence(reference, log_probabilities(small, ids, 512))
        noise = (a - b).std() / np.sqrt(len(a)) / b.mean()
        print(f"| {name:7} | {a.mean():7.4f} | {b.mean():12.4f} | {a.mean() / b.mean():5.3f} | {noise:5.3f} "
              f"| {np.quantile(a, 0.99):8.3f} | {np.quantile(b, 0.99):13.3f} | {same_a.mean():10.3f} "
              f"| {same_b.mean():15.3f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("text", type=pathlib.Path)
    parser.add_argument("--types", default=",".join(FTYPES))
    parser.add_argument("--tokens", type=int, default=1024)
    parser.add_argument("--no-text", action="store_true", help="the weights' table alone")
    parser.add_argument("--no-weights", action="store_true", help="the text's table alone")
    parser.add_argument("--encoder", default=str(ROOT / "build" / "tests" / "kernel" / "encode_bench"))
    options = parser.parse_args()
    quiet = ll.llama_log_callback(lambda *a: None)
    ll.llama_log_set(quiet, None)
    with tempfile.TemporaryDirectory(prefix="quantllm-quality-") as work:
        full = f"{work}/full.gguf"
        quantize(options.model, full, 0)
        if not options.no_weights:
            tensors = [t for t in gguf.GGUFReader(full).tensors if len(t.shape) == 2]
            print(f"{options.model.name}, {len(tensors)} matrices, {sum(int(t.n_elements) for t in tensors) / 1e6:.1f} M weights")
            compare_weights([np.array(t.data, np.float32).reshape(t.shape[::-1]) for t in tensors], options.encoder)
        if not options.no_text:
            with turbo(full, verbose=False, quantization="F32") as model:
                ids = model.tokenize(options.text.read_text(encoding="utf-8"))[:options.tokens]
            print(f"{options.model.name}, {len(ids)} tokens of {options.text.name}")
            compare_text(full, ids, options.types.split(","), work)


if __name__ == "__main__":
    main()
