#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes a Hugging Face folder of TinyLlama's shape (1.1B parameters, BF16) with random weights, for measuring loads.

    python bench/make_model.py FOLDER      needs numpy; 2.2 GB

The tokenizer is a byte-level BPE as large as TinyLlama's, 32000 tokens and 52000 merges: reading it is a part of
every start. It encodes any text; its words are random letters."""
import json
import pathlib
import struct
import sys

import numpy as np

HIDDEN, FF, LAYERS, HEADS, KV_HEADS, VOCAB = 2048, 5632, 22, 32, 4, 32000


def tensors():
    yield "model.embed_tokens.weight", (VOCAB, HIDDEN)
    for i in range(LAYERS):
        base, kv = f"model.layers.{i}.", HIDDEN // HEADS * KV_HEADS
        yield base + "input_layernorm.weight", (HIDDEN,)
        yield base + "mlp.down_proj.weight", (HIDDEN, FF)
        yield base + "mlp.gate_proj.weight", (FF, HIDDEN)
        yield base + "mlp.up_proj.weight", (FF, HIDDEN)
        yield base + "post_attention_layernorm.weight", (HIDDEN,)
        yield base + "self_attn.k_proj.weight", (kv, HIDDEN)
        yield base + "self_attn.o_proj.weight", (HIDDEN, HIDDEN)
        yield base + "self_attn.q_proj.weight", (HIDDEN, HIDDEN)
        yield base + "self_attn.v_proj.weight", (kv, HIDDEN)
    yield "model.norm.weight", (HIDDEN,)
    yield "lm_head.weight", (VOCAB, HIDDEN)


def byte_chars():
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    return [chr(b) if b in plain else chr(next(others)) for b in range(256)]


def vocabulary(rng):
    """Tokens by id: 256 bytes, then joined pairs of random earlier ones. Merges: all pairs of tokens that make a token."""
    tokens = byte_chars()
    letters = [t for t in tokens if t in "aeno"] + [tokens[32]]
    known, pieces = set(tokens), list(letters)
    while len(tokens) < VOCAB:
        # squared: the earlier a piece, the more often it is taken, so that words share their beginnings
        a, b = (pieces[int(len(pieces) * x * x)] for x in rng.random(2))
        if len(a + b) <= 14 and a + b not in known:
            known.add(a + b)
            tokens.append(a + b)
            pieces.append(a + b)
    ids = {t: i for i, t in enumerate(tokens)}
    merges = [[t[:k], t[k:]] for t in tokens[256:] for k in range(1, len(t))
              if max(ids.get(t[:k], VOCAB), ids.get(t[k:], VOCAB)) < ids[t]]
    return ids, merges


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": HIDDEN, "intermediate_size": FF,
              "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS,
              "vocab_size": VOCAB, "max_position_embeddings": 2048, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
              "hidden_act": "silu", "tie_word_embeddings": False, "torch_dtype": "bfloat16", "bos_token_id": 1,
              "eos_token_id": 2}
    vocab, merges = vocabulary(np.random.default_rng(2))
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    tokenizer = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
                 "pre_tokenizer": level, "post_processor": None, "decoder": level,
                 "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                           "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "vocab": vocab,
                           "merges": merges}}
    (folder / "config.json").write_text(json.dumps(config, indent=1))
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"}))
    header, at = {}, 0
    for name, shape in tensors():
        size = 2 * int(np.prod(shape))
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    rng = np.random.default_rng(1)
    with open(folder / "model.safetensors", "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        for name, shape in tensors():
            values = rng.standard_normal(shape, dtype=np.float32)
            values = 1 + 0.1 * values if len(shape) == 1 else 0.02 * values
            out.write(((values.view(np.uint32) + 0x8000) >> 16).astype(np.uint16).tobytes())


if __name__ == "__main__":
    main()
