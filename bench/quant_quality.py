#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What quantizing costs on real text: quantllm's encoders beside llama.cpp's, at the same types.

    PYTHONPATH=... python bench/quant_quality.py MODEL.gguf TEXT [--types Q4_0,Q4_K_M,...] [--tokens 1024]

needs numpy and llama-cpp-python beside quantllm. The model is brought to F32 by llama.cpp and from there to each type, by
its quantizer and by ours (both with the same mix of types, tests/unit/test_mix.c). All run in quantllm, so that nothing
but the encoders differs; the figures are against the F32 model: the mean and the 99th percentile of the divergence
KL(F32 || quantized) in nats per token, and how often the most likely token stays."""
import argparse
import os
import pathlib
import tempfile

import llama_cpp as ll
import numpy as np

from quantllm import turbo

FTYPES = {"Q4_0": 2, "Q4_1": 3, "Q8_0": 7, "Q5_0": 8, "Q5_1": 9, "Q2_K": 10, "Q3_K_S": 11, "Q3_K_M": 12, "Q3_K_L": 13,
          "Q4_K_S": 14, "Q4_K_M": 15, "Q5_K_S": 16, "Q5_K_M": 17, "Q6_K": 18, "IQ4_NL": 25, "IQ4_XS": 30}


def quantize(source, target, ftype):
    params = ll.llama_model_quantize_default_params()
    params.ftype, params.allow_requantize, params.nthread = ftype, True, os.cpu_count()
    if ll.llama_model_quantize(str(source).encode(), str(target).encode(), params):
        raise SystemExit(f"llama.cpp could not quantize to type {ftype}")


def log_probabilities(path, ids, window, **options):
    """[n, n_vocab] in float64, in windows of their own context."""
    with turbo(path, verbose=False, max_length=window, cache=False, **options) as model:
        parts = [np.array(model.logits(ids[i:i + window]), dtype=np.float64) for i in range(0, len(ids), window)]
    logits = np.concatenate(parts)
    logits -= logits.max(axis=1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def divergence(reference, other):
    kl = (np.exp(reference) * (reference - other)).sum(axis=1)
    return kl.mean(), np.quantile(kl, 0.99), (reference.argmax(1) == other.argmax(1)).mean()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("text", type=pathlib.Path)
    parser.add_argument("--types", default=",".join(FTYPES))
    parser.add_argument("--tokens", type=int, default=1024)
    options = parser.parse_args()
    quiet = ll.llama_log_callback(lambda *a: None)
    ll.llama_log_set(quiet, None)
    with tempfile.TemporaryDirectory(prefix="quantllm-quality-") as work:
        full, small = f"{work}/full.gguf", f"{work}/small.gguf"
        quantize(options.model, full, 0)
        with turbo(full, verbose=False, quantization="F32") as model:
            ids = model.tokenize(options.text.read_text(encoding="utf-8"))[:options.tokens]
        reference = log_probabilities(full, ids, 512, quantization="F32")
        print(f"{options.model.name}, {len(ids)} tokens of {options.text.name}")
        print(f"| {'type':7} | KL ours | KL llama.cpp | ratio | p99 ours | p99 llama.cpp | top-1 ours | top-1 llama.cpp |")
        for name in options.types.split(","):
            quantize(full, small, FTYPES[name])
            ours = divergence(reference, log_probabilities(full, ids, 512, quantization=name))
            theirs = divergence(reference, log_probabilities(small, ids, 512))
            print(f"| {name:7} | {ours[0]:7.4f} | {theirs[0]:12.4f} | {ours[0] / theirs[0]:5.3f} | {ours[1]:8.3f} | {theirs[1]:13.3f} "
                  f"| {ours[2]:10.3f} | {theirs[2]:15.3f} |", flush=True)


if __name__ == "__main__":
    main()
