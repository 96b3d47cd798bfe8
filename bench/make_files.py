#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes the GGUF files that are measured (docs/performance.md): a small model's types from its file, and those of a model of
TinyLlama's shape from a folder of bench/make_model.py, all by llama.cpp's quantizer. Files that exist are kept.

    python bench/make_files.py FOLDER [--small MODEL.gguf] [--large HF_FOLDER] [--types Q4_0,Q8_0]

needs numpy, gguf and llama-cpp-python; 2.2 GB more for the large model's F16."""
import argparse
import json
import mmap
import pathlib

import gguf
import numpy as np

from quant_quality import FTYPES, quantize

SMALL = "Q4_1,Q4_0,Q5_0,Q8_0,Q4_K_M"
LARGE = "Q4_0,Q4_K_M,Q8_0"
BLOCK_NAMES = {"input_layernorm": "attn_norm", "mlp.down_proj": "ffn_down", "mlp.gate_proj": "ffn_gate",
               "mlp.up_proj": "ffn_up", "post_attention_layernorm": "ffn_norm", "self_attn.k_proj": "attn_k",
               "self_attn.o_proj": "attn_output", "self_attn.q_proj": "attn_q", "self_attn.v_proj": "attn_v"}
NAMES = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
         "lm_head.weight": "output.weight"}


def gguf_name(name):
    if name in NAMES:
        return NAMES[name]
    _, _, layer, *inner, kind = name.split(".")
    return f"blk.{layer}.{BLOCK_NAMES['.'.join(inner)]}.{kind}"


def by_pairs(rows, n_heads):
    """Rows of a projection from halves, as Hugging Face rotates them, to the pairs of a GGUF llama."""
    n, cols = rows.shape
    return rows.reshape(n_heads, 2, n // n_heads // 2, cols).swapaxes(1, 2).reshape(n, cols)


def tensors_of(path):
    with open(path, "rb") as f:
        data = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)
    size = int.from_bytes(data[:8], "little")
    for name, entry in json.loads(data[8:8 + size]).items():
        begin, end = entry["data_offsets"]
        bits = np.frombuffer(data, np.uint16, (end - begin) // 2, 8 + size + begin)
        yield name, (bits.astype(np.uint32) << 16).view(np.float32).reshape(entry["shape"])


def to_gguf(folder, path):
    config = json.loads((folder / "config.json").read_text())
    model = json.loads((folder / "tokenizer.json").read_text())["model"]
    out = gguf.GGUFWriter(path, "llama")
    out.add_context_length(config["max_position_embeddings"])
    out.add_embedding_length(config["hidden_size"])
    out.add_block_count(config["num_hidden_layers"])
    out.add_feed_forward_length(config["intermediate_size"])
    out.add_head_count(config["num_attention_heads"])
    out.add_head_count_kv(config["num_key_value_heads"])
    out.add_layer_norm_rms_eps(config["rms_norm_eps"])
    out.add_rope_freq_base(config["rope_theta"])
    out.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    out.add_tokenizer_model("gpt2")
    out.add_tokenizer_pre("gpt-2")
    out.add_token_list(sorted(model["vocab"], key=model["vocab"].get))
    out.add_token_merges([" ".join(m) for m in model["merges"]])
    out.add_bos_token_id(config["bos_token_id"])
    out.add_eos_token_id(config["eos_token_id"])
    out.add_add_bos_token(False)
    heads = {"q_proj": config["num_attention_heads"], "k_proj": config["num_key_value_heads"]}
    for name, x in tensors_of(folder / "model.safetensors"):
        part = name.split(".")[-2]
        if part in heads:
            x = by_pairs(x, heads[part])
        out.add_tensor(gguf_name(name), x if x.ndim == 1 else x.astype(np.float16))
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


def make(source, folder, name, types):
    for kind in types:
        target = folder / f"{name}.{kind}.gguf"
        if not target.exists():
            quantize(source, target, FTYPES[kind])
        print(target)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--small", type=pathlib.Path)
    parser.add_argument("--large", type=pathlib.Path)
    parser.add_argument("--types")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    if options.small:
        make(options.small, options.folder, "135m", (options.types or SMALL).split(","))
    if options.large:
        whole = options.folder / "1.1b.F16.gguf"
        if not whole.exists():
            to_gguf(options.large, whole)
        make(whole, options.folder, "1.1b", (options.types or LARGE).split(","))


if __name__ == "__main__":
    main()
