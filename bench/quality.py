#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The quality guard: perplexity of each weight type and each type of the key/value cache, beside llama.cpp on the same file.

    PYTHONPATH=... python bench/quality.py MODEL.gguf TEXT [--types Q4_1,Q4_0,Q8_0,Q4_K_M] [--tokens 4096] [--window 512]

needs numpy and llama-cpp-python beside quantllm. Types that MODEL does not have are made from it by llama.cpp's quantizer.
Perplexity is that of llama.cpp's tool: windows of their own context, of which the second half is scored. llama.cpp runs as it
comes (keys and values in f16). KL is the mean divergence from our f32 cache on the same weights, in nats a token.

What must hold: with the default cache the perplexity is within 0.3 % of llama.cpp's, and q8 is a default only where it is
within 0.1 % of f16. The last lines say whether it does; the status is 1 when it does not."""
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


def ours(path, ids, window, kind, reference):
    """Perplexity, and KL from reference, a list of log-probabilities that is filled when it is empty."""
    losses, kl = [], []
    fill = not reference
    whole = ids[:len(ids) // window * window]
    for n, rows in enumerate(log_probabilities(path, whole, window, kv_cache=kind)):
        losses.append(score(rows, ids, n * window, window))
        if fill:
            reference.append(rows.astype(np.float32))
        else:
            kl.append((np.exp(reference[n].astype(np.float64)) * (reference[n] - rows)).sum(axis=1))
    return float(np.exp(np.concatenate(losses).mean())), float(np.concatenate(kl).mean()) if kl else 0.0


def theirs(path, ids, window, threads):
    model = ll.Llama(str(path), n_ctx=window, n_batch=window, n_ubatch=window, logits_all=True, n_threads=threads, verbose=False)
    losses = []
    for at in range(0, len(ids) - window + 1, window):
        model.reset()
        model.eval(ids[at:at + window])
        losses.append(score(log_softmax(np.asarray(model.scores[:window], dtype=np.float64)), ids, at, window))
    return float(np.exp(np.concatenate(losses).mean()))


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
    print("| weights | llama.cpp |" + "".join(f" {kind} | against llama.cpp | KL |" for kind in KINDS))
    print("|---|--:|" + "--:|--:|--:|" * len(KINDS))
    with tempfile.TemporaryDirectory(prefix="quantllm-quality-") as work:
        for name in options.types.split(","):
            path = options.model
            if name != own:
                path = f"{work}/{name}.gguf"
                quantize(options.model, path, FTYPES[name])
            rival, reference, found = theirs(path, ids, options.window, options.threads), [], {}
            cells = []
            for kind in KINDS:
                found[kind], kl = ours(path, ids, options.window, kind, reference)
                cells.append(f" {found[kind]:.3f} | {found[kind] / rival - 1:+.2%} | {kl:.1e} |")
            print(f"| {name} | {rival:.3f} |" + "".join(cells), flush=True)
            for what, value, most in ((f"{default} against llama.cpp", found[default] / rival - 1, 0.003),
                                      (f"{default} against f16", found[default] / found["f16"] - 1, 0.001)):
                if value > most:
                    kept = False
                    print(f"{name}: {what} {value:+.2%}, at most {most:.1%}")
    print("the guard holds" if kept else "the guard does not hold")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
