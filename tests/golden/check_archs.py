#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Tiny random models of each architecture that runs, from transformers, through quantllm in F32: NMSE and argmax.

    python tests/golden/check_archs.py      needs torch, transformers, numpy and quantllm; exit 1 when one differs

The bars: NMSE of the logits at most 1e-8, the same argmax wherever the two best are more than 1e-3 apart."""
import json
import pathlib
import sys
import tempfile

import numpy as np
import torch
import transformers

import quantllm

VOCAB, N_IDS, LIMIT = 128, 40, 1e-8
SMALL = {"vocab_size": VOCAB, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 4, "num_attention_heads": 4,
         "num_key_value_heads": 2, "max_position_embeddings": 128, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}


def scaled(kind, **extra):
    return {"rope_parameters": {"rope_theta": 10000.0, "rope_type": kind, **extra}}


MODELS = {
    "llama": ("Llama", {}),
    "llama, tied": ("Llama", {"tie_word_embeddings": True}),
    "llama, biases": ("Llama", {"attention_bias": True, "mlp_bias": True}),
    "llama, linear": ("Llama", scaled("linear", factor=4.0)),
    "llama, yarn": ("Llama", scaled("yarn", factor=4.0, original_max_position_embeddings=32)),
    "llama, llama3": ("Llama", scaled("llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                                      original_max_position_embeddings=32)),
    "mistral": ("Mistral", {"sliding_window": None, "head_dim": 16}),
    "qwen2": ("Qwen2", {}),
    "qwen3": ("Qwen3", {"head_dim": 32}),
    "smollm3": ("SmolLM3", {}),
    "granite": ("Granite", {"embedding_multiplier": 3.0, "residual_multiplier": 0.4, "attention_multiplier": 0.2,
                            "logits_scaling": 2.0}),
    "phi3": ("Phi3", {"sliding_window": None}),
}


def tokenizer():
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    vocab = {"\u0120" if b == 32 else chr(b): i for i, b in enumerate(range(32, 127))}
    return {"version": "1.0", "added_tokens": [], "normalizer": None, "pre_tokenizer": level, "post_processor": None,
            "decoder": level, "model": {"type": "BPE", "byte_fallback": False, "vocab": vocab, "merges": []}}


def make(folder, family, options):
    torch.manual_seed(3)
    config = getattr(transformers, family + "Config")(**{**SMALL, **options})
    model = getattr(transformers, family + "ForCausalLM")._from_config(config, attn_implementation="eager").float().eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():  # so that every part of a layer counts
            weight.normal_(1.0 if "norm" in name else 0.0, 0.2)
    model.save_pretrained(folder)
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer()))
    return model


def compare(want, got):
    nmse = float(((got - want) ** 2).sum() / (want ** 2).sum())
    best = np.sort(want, axis=1)
    clear = best[:, -1] - best[:, -2] > 1e-3
    return nmse, bool((want.argmax(1) == got.argmax(1))[clear].all())


def main():
    ids = np.random.default_rng(1).integers(0, VOCAB, N_IDS).tolist()
    failed = 0
    for name, (family, options) in MODELS.items():
        with tempfile.TemporaryDirectory() as work:
            folder = pathlib.Path(work) / "model"
            model = make(folder, family, options)
            with torch.no_grad():
                want = model(torch.tensor([ids]), use_cache=False).logits[0].double().numpy()
            with quantllm.turbo(folder, dtype="float32", max_length=64, verbose=False, cache=False) as ours:
                got = np.array(ours.logits(ids), dtype=np.float64).reshape(want.shape)
        nmse, same = compare(want, got)
        good = nmse <= LIMIT and same
        failed += not good
        print(f"{'ok  ' if good else 'FAIL'} {name:16} NMSE {nmse:.1e}, argmax {'equal' if same else 'differs'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
