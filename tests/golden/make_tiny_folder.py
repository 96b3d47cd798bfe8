#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes a tiny llama model as a Hugging Face folder, the same bytes every time, with nothing but the standard library.

    make_tiny_folder.py FOLDER [--shards N]

2 layers, 64 dimensions, 4 heads of 2 kv heads, byte-level BPE of 256 bytes and 3 control tokens, BF16."""
import argparse
import json
import pathlib
import random
import struct

HIDDEN, HEADS, KV_HEADS, FF, LAYERS, VOCAB = 64, 4, 2, 96, 2, 259
TEMPLATE = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"


def shapes():
    kv = HIDDEN // HEADS * KV_HEADS
    yield "model.embed_tokens.weight", (VOCAB, HIDDEN)
    for i in range(LAYERS):
        base = f"model.layers.{i}."
        for name, shape in [("input_layernorm", (HIDDEN,)), ("self_attn.q_proj", (HIDDEN, HIDDEN)),
                            ("self_attn.k_proj", (kv, HIDDEN)), ("self_attn.v_proj", (kv, HIDDEN)),
                            ("self_attn.o_proj", (HIDDEN, HIDDEN)), ("post_attention_layernorm", (HIDDEN,)),
                            ("mlp.gate_proj", (FF, HIDDEN)), ("mlp.up_proj", (FF, HIDDEN)), ("mlp.down_proj", (HIDDEN, FF))]:
            yield f"{base}{name}.weight", shape
    yield "model.norm.weight", (HIDDEN,)


def bf16(values):
    return b"".join(struct.pack("<f", v)[2:] for v in values)


def safetensors(tensors):
    header, at = {}, 0
    for name, (shape, data) in tensors.items():
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + b"".join(data for _, data in tensors.values())


def byte_chars():
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    return [chr(b) if b in plain else chr(next(others)) for b in range(256)]


def tokenizer():
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    added = [{"id": 256 + i, "content": text, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
              "special": True} for i, text in enumerate(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])]
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None,
            "pre_tokenizer": level, "post_processor": None, "decoder": level,
            "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                      "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False,
                      "vocab": {c: i for i, c in enumerate(byte_chars())}, "merges": []}}


def make(folder, shards=1):
    rng = random.Random(3)
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": HIDDEN, "intermediate_size": FF,
              "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS, "vocab_size": VOCAB,
              "max_position_embeddings": 256, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu",
              "tie_word_embeddings": True, "torch_dtype": "bfloat16", "eos_token_id": 256}
    tensors = {}
    for name, shape in shapes():
        n = shape[0] * (shape[1] if len(shape) > 1 else 1)
        tensors[name] = (shape, bf16(1 + 0.1 * rng.gauss(0, 1) if len(shape) == 1 else 0.3 * rng.gauss(0, 1) for _ in range(n)))
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in [("config.json", config), ("tokenizer.json", tokenizer()),
                          ("generation_config.json", {"eos_token_id": [256, 258], "temperature": 0.5, "top_k": 7}),
                          ("tokenizer_config.json", {"eos_token": {"content": "<|im_end|>"}, "model_max_length": 10**30,
                                                     "chat_template": TEMPLATE})]:
        (folder / name).write_text(json.dumps(content))
    if shards == 1:
        (folder / "model.safetensors").write_bytes(safetensors(tensors))
        return
    weight_map, names = {}, list(tensors)
    for i in range(shards):
        file = f"model-{i + 1:05}-of-{shards:05}.safetensors"
        part = {name: tensors[name] for name in names[i::shards]}
        (folder / file).write_bytes(safetensors(part))
        weight_map |= dict.fromkeys(part, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--shards", type=int, default=1)
    options = parser.parse_args()
    make(options.folder, options.shards)
