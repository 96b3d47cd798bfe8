#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""From a Hugging Face folder to the first token: quantllm, llama.cpp and transformers on the same model.

    python bench/load.py FOLDER --rival-python PYTHON [--quantization Q4_K_M] [-t 2] [--turns 3]

PYTHON is an interpreter with llama-cpp-python, gguf, torch and transformers. A figure is the time from starting a fresh
process to its first byte of output, that process's CPU time (what a busy machine disturbs least) and its peak resident
memory as the kernel counts it (ru_maxrss: file pages that are mapped at the time included). The folder is in the page
cache (it is read once before); quantllm's cache of packed weights is an empty directory in every turn, so "first start"
quantizes and "second start" maps what the first one kept. quantllm writes that file while it generates: the first token
does not wait for it, the whole process does.

llama.cpp needs three steps. "convert" is what its converter does to a model of the llama family (F16 or BF16 tensors as
they are, under GGUF's names), with PyPI's gguf package; "quantize" is its own llama_model_quantize; "load" is its own
loader and first token. Its first start is their sum, its second start "load" alone. What is not counted for it: the
converter's own start and its checks of the tokenizer (the script is not on PyPI); what is: Python's start and imports in
each of the three steps, as its users pay them. transformers does not quantize here: both its starts are the same.

Ratios: the row over quantllm's of the same kind of start (a part of a first start: over the whole of ours)."""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROMPT = "x"  # loading is what is measured, not the prompt

CONVERT = r"""
import json, pathlib, re, sys
import gguf, numpy as np
from safetensors import safe_open
folder, out = pathlib.Path(sys.argv[1]), sys.argv[2]
config = json.loads((folder / "config.json").read_text())
heads, kv = config["num_attention_heads"], config["num_key_value_heads"]
w = gguf.GGUFWriter(out, "llama")
w.add_context_length(config["max_position_embeddings"]); w.add_embedding_length(config["hidden_size"])
w.add_block_count(config["num_hidden_layers"]); w.add_feed_forward_length(config["intermediate_size"])
w.add_head_count(heads); w.add_head_count_kv(kv); w.add_layer_norm_rms_eps(config["rms_norm_eps"])
w.add_rope_freq_base(config.get("rope_theta") or config.get("rope_parameters", {}).get("rope_theta", 10000.0))
w.add_vocab_size(config["vocab_size"]); w.add_file_type(32)
tokenizer = json.loads((folder / "tokenizer.json").read_text())
vocab = sorted(tokenizer["model"]["vocab"].items(), key=lambda item: item[1])
extra = {t["id"]: t["content"] for t in tokenizer["added_tokens"]}
tokens = [text for text, _ in vocab] + [extra[i] for i in sorted(extra) if i >= len(vocab)]
tokens += [f"<unused{i}>" for i in range(len(tokens), config["vocab_size"])]
w.add_tokenizer_model("gpt2"); w.add_tokenizer_pre("smollm"); w.add_token_list(tokens)
w.add_token_types([3 if i in extra else 1 for i in range(len(tokens))])
w.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in tokenizer["model"]["merges"]])
w.add_bos_token_id(config.get("bos_token_id") or 0); w.add_eos_token_id(config.get("eos_token_id") or 0)
names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config["num_hidden_layers"])
def permute(a, n):
    return a.reshape(n, 2, a.shape[0] // n // 2, *a.shape[1:]).swapaxes(1, 2).reshape(a.shape)
import torch
for file in sorted(folder.glob("*.safetensors")):
    with safe_open(file, "pt") as f:
        for key in f.keys():
            t = f.get_tensor(key)
            name = names.get_name(key, try_suffixes=(".weight", ".bias"))
            if t.ndim == 1:
                w.add_tensor(name, t.float().numpy())
                continue
            bf16 = t.dtype == torch.bfloat16
            a = t.view(torch.uint16).numpy() if bf16 else t.numpy()
            if ".q_proj." in key: a = permute(a, heads)
            if ".k_proj." in key: a = permute(a, kv)
            if bf16:
                w.add_tensor(name, np.ascontiguousarray(a).view(np.uint8), raw_dtype=gguf.GGMLQuantizationType.BF16)
            else:
                w.add_tensor(name, np.ascontiguousarray(a))
w.write_header_to_file(); w.write_kv_data_to_file(); w.write_tensors_to_file(); w.close()
print("done", flush=True)
"""

QUANTIZE = r"""
import sys
import llama_cpp as ll
quiet = ll.llama_log_callback(lambda *a: None)
ll.llama_log_set(quiet, None)
params = ll.llama_model_quantize_default_params()
params.nthread = int(sys.argv[4])
params.ftype = int(sys.argv[3])
assert ll.llama_model_quantize(sys.argv[1].encode(), sys.argv[2].encode(), params) == 0
print("done", flush=True)
"""

LOAD = r"""
import sys
import llama_cpp as ll
model = ll.Llama(sys.argv[1], n_ctx=2048, n_threads=int(sys.argv[2]), verbose=False)
print(model(sys.argv[3], max_tokens=1, temperature=0)["choices"][0]["text"], flush=True)
"""

TRANSFORMERS = r"""
import sys
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
torch.set_num_threads(int(sys.argv[2]))
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=getattr(torch, sys.argv[4]))
ids = tokenizer(sys.argv[3], return_tensors="pt")
print(tokenizer.decode(model.generate(**ids, max_new_tokens=1, do_sample=False)[0]), flush=True)
"""
FTYPES = {"Q4_0": 2, "Q8_0": 7, "Q2_K": 10, "Q3_K_M": 12, "Q4_K_S": 14, "Q4_K_M": 15, "Q5_K_M": 17, "Q6_K": 18}


def run(command, env=None):
    """Seconds to the first byte, seconds to the end, CPU seconds, peak bytes."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
                               env={**os.environ, **(env or {})})
    first = process.stdout.read(1)
    to_first = time.perf_counter() - start
    process.stdout.read()
    error = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status or not first:
        sys.exit(f"{command[0]} failed: {error.decode(errors='replace')[-2000:]}")
    return to_first, time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def ours(options, cache):
    command = [options.command, "run", str(options.folder), PROMPT, "--max-new-tokens", "1", "--temperature", "0", "--threads",
               str(options.t), "--quiet", "--quantization", options.quantization]
    return run(command, {"QUANTLLM_CACHE": cache})


def turn(options, work):
    cache = os.path.join(work, "cache")
    shutil.rmtree(cache, ignore_errors=True)
    rows = {"quantllm, first start": ours(options, cache), "quantllm, second start": ours(options, cache)}
    python, t = options.rival_python, str(options.t)
    if python:
        full, small = os.path.join(work, "full.gguf"), os.path.join(work, "small.gguf")
        convert = run([python, "-c", CONVERT, str(options.folder), full])
        quantize = run([python, "-c", QUANTIZE, full, small, str(FTYPES[options.quantization]), t])
        load = run([python, "-c", LOAD, small, t, PROMPT])
        rows |= {"llama.cpp, convert": convert, "llama.cpp, quantize": quantize, "llama.cpp, load (second start)": load}
        steps = (convert, quantize, load)
        total = sum(step[1] for step in steps[:2]) + load[0]
        rows["llama.cpp, first start"] = (total, total, sum(s[2] for s in steps), max(s[3] for s in steps))
        for kind in ("bfloat16", "float32"):
            rows[f"transformers, {kind}"] = run([python, "-c", TRANSFORMERS, str(options.folder), t, PROMPT, kind])
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--rival-python", help="leave it out to measure quantllm alone")
    parser.add_argument("--command", default=str(ROOT / ".venv" / "bin" / "quantllm"))
    parser.add_argument("--quantization", default="Q4_K_M", choices=sorted(FTYPES))
    parser.add_argument("-t", type=int, default=2)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    for file in options.folder.glob("*.safetensors"):
        with open(file, "rb") as data:  # in pieces: a child's peak memory counts what its parent had
            while data.read(1 << 24):
                pass
    turns = []
    with tempfile.TemporaryDirectory(prefix="quantllm-load-") as work:
        for i in range(options.turns):
            print(f"turn {i + 1} of {options.turns}", file=sys.stderr)
            turns.append(turn(options, work))
    rows = {name: [statistics.median(t[name][i] for t in turns) for i in range(4)] for name in turns[0]}
    if options.json:
        print(json.dumps({name: dict(zip(("first_token_s", "process_s", "cpu_s", "peak_bytes"), row)) for name, row in rows.items()}))
        return
    print(f"{options.folder.name} to {options.quantization}, {options.t} threads, medians of {options.turns} turns")
    print(f"| {'':32} | first token s | x ours | whole process s | CPU s | peak MB | x ours |")
    for name, (first, whole, cpu, peak) in rows.items():
        ours = rows["quantllm, second start" if "second" in name else "quantllm, first start"]
        print(f"| {name:32} | {first:13.2f} | {first / ours[0]:6.2f} | {whole:15.2f} | {cpu:5.1f} | {peak / 1e6:7.0f} "
              f"| {peak / ours[3]:6.2f} |")


if __name__ == "__main__":
    main()
