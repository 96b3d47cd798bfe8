#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes a Hugging Face folder from a GGUF of the llama architecture with a byte-level tokenizer: for tests that need one.

    python tools/gguf_to_hf.py MODEL.gguf FOLDER      needs numpy

Weights are dequantized to BF16 (F32, F16, Q4_1 and Q8_0 are known), rows of q and k go back to the order of transformers."""
import json
import pathlib
import struct
import sys

import numpy as np

SCALARS = {0: "<u1", 1: "<i1", 2: "<u2", 3: "<i2", 4: "<u4", 5: "<i4", 6: "<f4", 7: "?", 10: "<u8", 11: "<i8", 12: "<f8"}
STR, ARR = 8, 9
NAMES = {"attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
         "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj", "ffn_norm": "post_attention_layernorm",
         "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}
TOP = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight",
       "output.weight": "lm_head.weight"}


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, kind):
        value = np.frombuffer(self.data, kind, 1, self.at)[0]
        self.at += value.itemsize
        return value.item()

    def string(self):
        n = self.take("<u8")
        self.at += n
        return self.data[self.at - n:self.at].decode()

    def value(self, kind):
        if kind == STR:
            return self.string()
        if kind != ARR:
            return self.take(SCALARS[kind])
        element, n = self.take("<u4"), self.take("<u8")
        if element == STR:
            return [self.string() for _ in range(n)]
        values = np.frombuffer(self.data, SCALARS[element], n, self.at)
        self.at += values.nbytes
        return values.tolist()


def halves(blocks, at):
    return blocks[:, at:at + 2].copy().view(np.float16).astype(np.float32)


def dequantize(data, kind, shape):
    n = int(np.prod(shape))
    if kind in (0, 1):
        return np.frombuffer(data, (np.float32, np.float16)[kind], n).astype(np.float32).reshape(shape)
    size = {3: 20, 8: 34}[kind]
    blocks = np.frombuffer(data, np.uint8, n // 32 * size).reshape(-1, size)
    if kind == 8:
        values = halves(blocks, 0) * blocks[:, 2:].view(np.int8)
    else:
        quanta = np.concatenate([blocks[:, 4:] & 15, blocks[:, 4:] >> 4], axis=1)
        values = halves(blocks, 0) * quanta + halves(blocks, 2)
    return values.astype(np.float32).reshape(shape)


def read(path):
    r = Reader(path.read_bytes())
    r.at = 8
    n_tensors, n_keys = r.take("<u8"), r.take("<u8")
    keys, infos = {}, []
    for _ in range(n_keys):
        name = r.string()
        keys[name] = r.value(r.take("<u4"))
    for _ in range(n_tensors):
        name = r.string()
        shape = [r.take("<u8") for _ in range(r.take("<u4"))]
        infos.append((name, shape[::-1], r.take("<u4"), r.take("<u8")))
    align = keys.get("general.alignment", 32)
    begin = (r.at + align - 1) // align * align
    return keys, {name: dequantize(r.data[begin + at:begin + at + 4 * int(np.prod(shape))], kind, shape)
                  for name, shape, kind, at in infos}


def unpermute(rows, n_heads):
    return rows.reshape(n_heads, rows.shape[0] // n_heads // 2, 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def hf_name(name):
    if name in TOP:
        return TOP[name]
    _, layer, part, kind = name.split(".")
    return f"model.layers.{layer}.{NAMES[part]}.{kind}"


def bf16(values):
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return ((bits + 0x7fff + (bits >> 16 & 1)) >> 16).astype(np.uint16).tobytes()


def tokenizer(keys):
    tokens, types = keys["tokenizer.ggml.tokens"], keys["tokenizer.ggml.token_type"]
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    pre = {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, level]}
    added = [{"id": i, "content": t, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
              "special": True} for i, t in enumerate(tokens) if types[i] == 3]
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None,
            "pre_tokenizer": pre, "post_processor": None, "decoder": level,
            "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                      "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False,
                      "vocab": {t: i for i, t in enumerate(tokens)}, "merges": keys["tokenizer.ggml.merges"]}}


def config(keys, tensors):
    def key(name, default=None):
        return keys.get("llama." + name, default)

    return {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": key("embedding_length"),
            "intermediate_size": key("feed_forward_length"), "num_hidden_layers": key("block_count"),
            "num_attention_heads": key("attention.head_count"), "num_key_value_heads": key("attention.head_count_kv"),
            "vocab_size": tensors["token_embd.weight"].shape[0], "max_position_embeddings": key("context_length"),
            "rms_norm_eps": key("attention.layer_norm_rms_epsilon"), "rope_theta": key("rope.freq_base", 10000.0),
            "hidden_act": "silu", "tie_word_embeddings": "output.weight" not in tensors, "torch_dtype": "bfloat16",
            "bos_token_id": keys["tokenizer.ggml.bos_token_id"], "eos_token_id": keys["tokenizer.ggml.eos_token_id"]}


def main():
    folder = pathlib.Path(sys.argv[2])
    keys, tensors = read(pathlib.Path(sys.argv[1]))
    made = config(keys, tensors)
    header, parts, at = {}, [], 0
    for name, values in tensors.items():
        heads = {"attn_q": made["num_attention_heads"], "attn_k": made["num_key_value_heads"]}.get(name.split(".")[-2])
        data = bf16(unpermute(values, heads) if heads else values)
        header[hf_name(name)] = {"dtype": "BF16", "shape": list(values.shape), "data_offsets": [at, at + len(data)]}
        parts.append(data)
        at += len(data)
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(b"".join([struct.pack("<Q", len(text)), text, *parts]))
    tokens = keys["tokenizer.ggml.tokens"]
    ends = {"bos_token_id": made["bos_token_id"], "eos_token_id": made["eos_token_id"]}
    named = {"bos_token": tokens[made["bos_token_id"]], "eos_token": tokens[made["eos_token_id"]],
             "chat_template": keys.get("tokenizer.chat_template")}
    for name, content in [("config.json", made), ("tokenizer.json", tokenizer(keys)), ("generation_config.json", ends),
                          ("tokenizer_config.json", named)]:
        (folder / name).write_text(json.dumps(content), encoding="utf-8")


if __name__ == "__main__":
    main()
