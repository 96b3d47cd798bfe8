#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes tests/golden/rope.txt: inverse frequencies and attention factors of transformers for the tiny model's head (16
dimensions, base 10000, 256 positions, 64 originally, factor 4), one line a kind: name, factor, the 8 frequencies.

    python -m venv golden && golden/bin/pip install torch transformers && golden/bin/python tests/golden/make_rope.py"""
import pathlib

from transformers import LlamaConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

OUT = pathlib.Path(__file__).resolve().parent / "rope.txt"
BASE = {"rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 64}
KINDS = {
    "linear": {},
    "yarn": {},
    "longrope": {"long_factor": [1.0] * 8, "short_factor": [1.0] * 8, "attention_factor": 1.0},
}


def main():
    lines = []
    for kind, more in KINDS.items():
        config = LlamaConfig(hidden_size=64, num_attention_heads=4, max_position_embeddings=256,
                             rope_parameters={"rope_type": kind, **BASE, **more})
        inv_freq, factor = ROPE_INIT_FUNCTIONS[kind](config, "cpu", seq_len=256)
        lines.append(f"{kind} {factor:.9g} " + " ".join(f"{x:.9g}" for x in inv_freq.tolist()))
    OUT.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
