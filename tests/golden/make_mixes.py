#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes mixes.txt: the type llama.cpp's own quantizer gives to each matrix, for several shapes and every quantization.

    python tests/golden/make_mixes.py tests/golden/mixes.txt       needs llama-cpp-python, gguf, numpy

A line is: quantization, layers, heads, kv heads, experts, hidden size, tied (0 or 1), then for every kind of matrix
name=TYPE or, by layers, name=TYPE*count,TYPE*count,... as tests/unit/test_mix.c reads it."""
import itertools
import sys
import tempfile

import gguf
import llama_cpp as ll
import numpy as np

FTYPES = {"Q4_0": 2, "Q4_1": 3, "Q8_0": 7, "Q5_0": 8, "Q5_1": 9, "Q2_K": 10, "Q3_K_S": 11, "Q3_K_M": 12, "Q3_K_L": 13,
          "Q4_K_S": 14, "Q4_K_M": 15, "Q5_K_S": 16, "Q5_K_M": 17, "Q6_K": 18, "IQ4_NL": 25, "IQ4_XS": 30}
VOCAB = 64
# layers, heads, kv heads, experts, hidden size, tied
SHAPES = [(22, 8, 2, 0, 256, False), (32, 8, 8, 0, 256, False), (30, 8, 4, 0, 320, True), (12, 8, 2, 8, 256, False),
          (16, 4, 4, 0, 256, True), (5, 4, 2, 0, 256, False)]


def write(path, layers, heads, kv, experts, hidden, tied):
    rng = np.random.default_rng(1)
    head_dim, ff = hidden // heads, 512
    w = gguf.GGUFWriter(path, "llama")
    w.add_context_length(128)
    w.add_embedding_length(hidden)
    w.add_block_count(layers)
    w.add_feed_forward_length(ff)
    w.add_head_count(heads)
    w.add_head_count_kv(kv)
    w.add_layer_norm_rms_eps(1e-5)
    w.add_rope_dimension_count(head_dim)
    if experts:
        w.add_expert_count(experts)
        w.add_expert_used_count(2)
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("gpt-2")
    w.add_token_list([f"t{i}" for i in range(VOCAB)])
    w.add_token_merges([])

    def add(name, *shape):
        w.add_tensor(name, rng.standard_normal(shape, dtype=np.float32))

    add("token_embd.weight", VOCAB, hidden)
    add("output_norm.weight", hidden)
    if not tied:
        add("output.weight", VOCAB, hidden)
    for i in range(layers):
        add(f"blk.{i}.attn_norm.weight", hidden)
        add(f"blk.{i}.attn_q.weight", hidden, hidden)
        add(f"blk.{i}.attn_k.weight", kv * head_dim, hidden)
        add(f"blk.{i}.attn_v.weight", kv * head_dim, hidden)
        add(f"blk.{i}.attn_output.weight", hidden, hidden)
        add(f"blk.{i}.ffn_norm.weight", hidden)
        if experts:
            add(f"blk.{i}.ffn_gate_inp.weight", experts, hidden)
            add(f"blk.{i}.ffn_gate_exps.weight", experts, ff, hidden)
            add(f"blk.{i}.ffn_up_exps.weight", experts, ff, hidden)
            add(f"blk.{i}.ffn_down_exps.weight", experts, hidden, ff)
        else:
            add(f"blk.{i}.ffn_gate.weight", ff, hidden)
            add(f"blk.{i}.ffn_up.weight", ff, hidden)
            add(f"blk.{i}.ffn_down.weight", hidden, ff)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def kinds(path):
    """name=types for every kind of matrix, layers in their order."""
    types = {}
    for tensor in gguf.GGUFReader(path).tensors:
        if len(tensor.shape) > 1:
            layer, name = (tensor.name.split(".", 2)[1:] if tensor.name.startswith("blk.") else (0, tensor.name))
            types.setdefault(name.removesuffix(".weight"), {})[int(layer)] = tensor.tensor_type.name
    for name, by_layer in sorted(types.items()):
        runs = itertools.groupby(by_layer[i] for i in range(len(by_layer)))
        yield f"{name}=" + ",".join(f"{key}*{len(list(run))}" for key, run in runs)


def main():
    quiet = ll.llama_log_callback(lambda *a: None)
    ll.llama_log_set(quiet, None)
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        for shape in SHAPES:
            write(f"{folder}/full.gguf", *shape)
            for name, ftype in FTYPES.items():
                params = ll.llama_model_quantize_default_params()
                params.ftype, params.nthread = ftype, 2
                if ll.llama_model_quantize(f"{folder}/full.gguf".encode(), f"{folder}/small.gguf".encode(), params):
                    sys.exit(f"{name} {shape}: llama.cpp refused")
                lines.append(" ".join([name, *(str(int(v)) for v in shape), *kinds(f"{folder}/small.gguf")]))
    with open(sys.argv[1], "w", encoding="ascii") as out:
        out.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
