#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What speculation gains: tokens a second with it over without, on text that repeats its prompt and on text that does not.

    PYTHONPATH=... python bench/speculation.py MODEL.gguf [--turns 5] [--tokens 128] [--draft SMALLER.gguf]

Both run in turns in one process, greedy; the ratio is of each pair, the median is printed with the least and the largest.
The texts must be the same, or the script fails."""
import argparse
import statistics
import sys

from quantllm import turbo

STORY = ("The lighthouse keeper climbed the one hundred and ninety-nine steps every evening, carrying a small brass lamp and "
         "a notebook bound in blue cloth. In the notebook he wrote the names of the ships that passed, the direction of the "
         "wind, and the colour of the sea at sunset. On the third of November he wrote only one word, and nobody ever found "
         "out what it meant. The ships went on passing, the wind went on turning, and the sea kept its colour.")
ROWS = "\n".join(f'{{"id": {i}, "name": "item {i}", "price": {3 * i + 2}.50, "stock": true}}' for i in range(1, 13))
CODE = """def load(path):
    with open(path) as file:
        return [line.strip().split(",") for line in file]

def save(path, rows):
    with open(path, "w") as file:
        for row in rows:
            file.write(",".join(row) + "\\n")
"""
WORK = {
    "copy an article": f"Text: {STORY}\n\nThe same text again: The lighthouse keeper climbed the one hundred and ninety-nine",
    "edit code": f"```python\n{CODE}```\nThe same code with comments:\n```python\n{CODE[:60]}",
    "rows of JSON": f"{ROWS}\n" + '{"id": 13, "name": "item 13", "price"',
    "a story": "Once upon a time, in a town at the sea,",
    "an explanation": "Why is the sky blue? The answer in detail:",
    "a poem": "A poem about rain on a tin roof:\n\n",
}


def rate(model, prompt, n):
    text = model.generate(prompt, max_new_tokens=n, do_sample=False, repetition_penalty=1.0)
    usage = model.last_usage
    return (usage.new_tokens - 1) / usage.decode_seconds, text, usage


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--draft")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=128)
    options = parser.parse_args()
    print("| work | plain tok/s | speculation tok/s | ratio | least | largest | drafted | right |\n|---|--:|--:|--:|--:|--:|--:|--:|")
    with (turbo(options.model, verbose=False, draft=options.draft) as quick,
          turbo(options.model, verbose=False, speculation=False) as plain):
        for name, prompt in WORK.items():
            pairs = []
            for turn in range(options.turns + 1):  # the first does not count
                a, text_a, usage = rate(quick, prompt, options.tokens)
                b, text_b, _ = rate(plain, prompt, options.tokens)
                if text_a != text_b:
                    print(f"{name}: the texts differ\n{text_a!r}\n{text_b!r}")
                    return 1
                pairs += [(a, b)] if turn else []
            ratios = sorted(a / b for a, b in pairs)
            print(f"| {name} | {statistics.median(b for _, b in pairs):.1f} | {statistics.median(a for a, _ in pairs):.1f} "
                  f"| {statistics.median(ratios):.2f} | {ratios[0]:.2f} | {ratios[-1]:.2f} | {usage.drafted_tokens} "
                  f"| {usage.accepted_tokens} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
