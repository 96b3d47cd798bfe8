#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The quality guard: perplexity of each weight type and each type of the key/value cache, beside llama.cpp on the same file.

    PYTHONPATH=... python bench/quality.py MODEL.gguf TEXT [--types Q4_1,Q4_0,Q8_0,Q4_K_M] [--tokens 4096] [--window 512]

needs numpy and llama-cpp-python beside quantllm. Types that MODEL does not have are made from it by llama.cpp's quantizer.
Perplexity is that of llama.cpp's tool: windows of their own context, of which the second half is scored. llama.cpp runs as it
comes (keys and values in f16). KL is the mean divergence from the same weights with everything in f32, in nats a token.

What must hold: with the default cache the perplexity is within 0.3 % of llama.cpp's, and q8 is a default only where it is
within 0.1 % of f16, with all else in f32: activations of 8 bits round otherwise after the smallest difference, which moves the
perplexity of a short text more than that. The last lines say whether it does; the status is 1 when it does not."""
import argparse
import pathlib
import sys
import tempfile

import llama_cpp as ll
import numpy as np

from quant_quality import FTYPES, log_probabilities, log_softmax, quantize
from quantllm import turbo

KINDS = ("f32", "f16", "q8", "q4")


def score(rows, ids, at, window):
    """Negative log-likelihoods of the second half of the window that begins at `at`."""
    first = window // 2
    targets = ids[at + first + 1:at + window]
    return -rows[first:window - 1][np.arange(len(targets)), targets]


def judge(rows, ids, window, reference):
    """Perplexity of windows of log-probabilities, and KL from reference, a list of such that is filled when it is empty."""
    losses, kl = [], []
    fill = not reference
    for n, window_rows in enumerate(rows):
        losses.append(score(window_rows, ids, n * window, window))
        if fill:
            reference.append(window_rows.astype(np.float32))
        else:
            kl.append((np.exp(reference[n].astype(np.float64)) * (reference[n] - window_rows)).sum(axis=1))
    return float(np.exp(np.concatenate(losses).mean())), float(np.concatenate(kl).mean()) if kl else 0.0


def ours(path, ids, window, reference, **options):
    return judge(log_probabilities(path, ids[:len(ids) // window * window], window, **options), ids, window, reference)


def their_rows(path, ids, window, threads):
    model = ll.Llama(str(path), n_ctx=window, n_batch=window, n_ubatch=window, logits_all=True, n_threads=threads, verbose=False)
    for at in range(0, len(ids) - window + 1, window):
        model.reset()
        model.eval(ids[at:at + window])
        yield log_softmax(np.asarray(model.scores[:window], dtype=np.float64))


def holds(what, value, most):
    if value > most:
        print(f"{what} {value:+.2%}, at most {most:.1%}")
    return value <= most


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("text", type=pathlib.Path)
    parser.add_argument("--types", default="Q4_1,Q4_0,Q5_0,Q8_0,Q4_K_M")
    parser.add_argument("--tokens", type=int, default=4096)
    parser.add_argument("--window", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    quiet = ll.llama_log_callback(lambda *a: None)
    ll.llama_log_set(quiet, None)
    with turbo(options.model, verbose=False) as model:
        own, default = model.quantization, model.report()["kv_cache"]
        ids = model.tokenize(options.text.read_text(encoding="utf-8"))[:options.tokens]
    kept = True
    print(f"{options.model.name}, {len(ids)} tokens of {options.text.name}, windows of {options.window}; llama.cpp by "
          f"llama-cpp-python {ll.__version__}")
    print("| weights | all in f32 | llama.cpp | KL |" + "".join(f" {kind} | against llama.cpp | KL |" for kind in KINDS))
    print("|---|--:|--:|--:|" + "--:|--:|--:|" * len(KINDS))
    with tempfile.TemporaryDirectory(prefix="quantllm-quality-") as work:
        for name in options.types.split(","):
            path = options.model
            if name != own:
                path = f"{work}/{name}.gguf"
                quantize(options.model, path, FTYPES[name])
            reference, found = [], {}
            exact, _ = ours(path, ids, options.window, reference, quantization="F32")
            rival, rival_kl = judge(their_rows(path, ids, options.window, options.threads), ids, options.window, reference)
            cells = []
            for kind in KINDS:
                found[kind], kl = ours(path, ids, options.window, reference, kv_cache=kind)
                cells.append(f" {found[kind]:.3f} | {found[kind] / rival - 1:+.2%} | {kl:.1e} |")
            print(f"| {name} | {exact:.3f} | {rival:.3f} | {rival_kl:.1e} |" + "".join(cells), flush=True)
            kept &= holds(f"{name}: {default} against llama.cpp", found[default] / rival - 1, 0.003)
    caches = {kind: ours(options.model, ids, options.window, [], quantization="F32", kv_cache=kind)[0] for kind in KINDS}
    print(f"{own} in f32, by cache: " + ", ".join(f"{kind} {caches[kind]:.3f}" for kind in KINDS))
    kept &= holds(f"{default} against f16", caches[default] / caches["f16"] - 1, 0.001)
    print("the guard holds" if kept else "the guard does not hold")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
