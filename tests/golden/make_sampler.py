#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes tests/golden/sampler.json: what transformers' logits processors keep, and with which probabilities.

    python -m venv golden && golden/bin/pip install torch transformers && golden/bin/python tests/golden/make_sampler.py

Each case: logits, the prompt's ids, parameters; expected: id -> probability after all processors, or the greedy id (of
equals the lowest); penalized: the float32 logits of the prompt's ids after the repetition penalty, to the bit.
transformers computes in float32 and we in double: cases whose kept set depends on the difference (a cumulative
probability within 1e-5 of its bound) are left out, and those that part equal logits."""
import json
import pathlib
import random

import numpy
import torch
from transformers.generation.logits_process import (MinPLogitsWarper, RepetitionPenaltyLogitsProcessor,
                                                    TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper,
                                                    TypicalLogitsWarper)

OUT = pathlib.Path(__file__).resolve().parent / "sampler.json"
N_CASES = 320


def chain(p, dtype):
    steps = [RepetitionPenaltyLogitsProcessor(p["repetition_penalty"])] if p["repetition_penalty"] != 1 else []
    if p["temperature"] == 0:
        return steps
    steps.append(TemperatureLogitsWarper(p["temperature"]))
    if p["top_k"]:
        steps.append(TopKLogitsWarper(p["top_k"]))
    if p["top_p"] < 1:
        steps.append(TopPLogitsWarper(p["top_p"]))
    if p["min_p"] > 0:
        steps.append(MinPLogitsWarper(p["min_p"]))
    if p["typical_p"] < 1:
        steps.append(TypicalLogitsWarper(p["typical_p"]))
    return steps


def penalized(logits, prompt, p):
    step = RepetitionPenaltyLogitsProcessor(p["repetition_penalty"])
    scores = step(torch.tensor([prompt]), torch.tensor([logits], dtype=torch.float32))[0].numpy()
    return [float(numpy.format_float_positional(scores[i], unique=True)) for i in prompt]


def run(logits, prompt, p, dtype):
    scores = torch.tensor([logits], dtype=dtype)
    for step in chain(p, dtype):
        scores = step(torch.tensor([prompt], dtype=torch.long), scores)
    return torch.softmax(scores[0].double(), -1), scores[0]


def make(rng):
    n = rng.choice([8, 40, 120])
    logits = [round(rng.gauss(0, 3), 3) for _ in range(n)]
    if rng.random() < 0.3:  # ties, at the top and elsewhere
        for _ in range(n // 4):
            logits[rng.randrange(n)] = logits[rng.randrange(n)]
    prompt = [rng.randrange(n) for _ in range(rng.randrange(1, 6))]
    return logits, prompt, {
        "repetition_penalty": rng.choice([1.0, 1.0, 1.1, 1.5, 0.8]), "temperature": rng.choice([0, 0.3, 0.7, 1.0, 1.8]),
        "top_k": rng.choice([0, 0, 1, 3, 10, 50, 1000]), "top_p": rng.choice([1.0, 1.0, 0.9, 0.5, 0.1, 0.999]),
        "min_p": rng.choice([0.0, 0.0, 0.05, 0.3, 1.0]), "typical_p": rng.choice([1.0, 1.0, 0.9, 0.4])}


def main():
    rng, cases = random.Random(11), []
    while len(cases) < N_CASES:
        logits, prompt, p = make(rng)
        single, scores = run(logits, prompt, p, torch.float32)
        case = {"logits": logits, "prompt": prompt, "params": p, "penalized": penalized(logits, prompt, p)}
        if p["temperature"] == 0:
            cases.append({**case, "greedy": scores.tolist().index(float(scores.max()))})
            continue
        # The same in double, and with bounds a little off: a case whose kept set moves is a knife's edge.
        kept = single > 0
        stable = True
        for factor in (1, 1 - 1e-5, 1 + 1e-5):
            moved = {**p, **{k: min(p[k] * factor, 1.0) if p[k] < 1 else p[k] for k in ("top_p", "min_p", "typical_p")}}
            stable = stable and bool(((run(logits, prompt, moved, torch.float64)[0] > 0) == kept).all())
        # Of equal logits, which fall to top-p is up to torch's sort.
        plain, _ = run(logits, prompt, {**p, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "typical_p": 1.0}, torch.float32)
        stable = stable and not set(plain[kept].tolist()) & set(plain[~kept].tolist())
        if stable:
            expected = {str(i): round(float(single[i]), 6) for i in range(len(logits)) if kept[i]}
            cases.append({**case, "expected": expected})
    OUT.write_text(json.dumps(cases, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
