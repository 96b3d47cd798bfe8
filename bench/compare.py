#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""quantllm against llama.cpp (llama-cpp-python) on the same file, in turns, and the ratios of the medians.

    python bench/compare.py MODEL.gguf --rival-python PYTHON [-p 512] [-n 128] [-d 0] [-t 2] [--turns 5]

PYTHON is an interpreter with llama-cpp-python built natively:
    python3 -m venv rival && CMAKE_ARGS=-DGGML_NATIVE=ON rival/bin/pip install --no-binary :all: llama-cpp-python

A turn is one fresh process of each side, both doing what llama-bench does: a warm-up, then n_prompt tokens in one
batch from an empty cache, then n_gen tokens one by one, without sampling. Machines are noisy: turns alternate, and the
medians are compared. First token is the time of a whole process that answers a short prompt with one token."""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent

RIVAL = r"""
import json, resource, sys, time
import llama_cpp as ll
path, n_prompt, n_gen, n_depth, threads = sys.argv[1], *map(int, sys.argv[2:6])
quiet = ll.llama_log_callback(lambda *a: None)
ll.llama_log_set(quiet, None)
ll.llama_backend_init()
start = time.perf_counter()
model = ll.llama_model_load_from_file(path.encode(), ll.llama_model_default_params())
params = ll.llama_context_default_params()
params.n_ctx = n_depth + n_prompt + n_gen + 16
params.n_batch = params.n_ubatch = 512
params.n_threads = params.n_threads_batch = threads
ctx = ll.llama_init_from_model(model, params)
load = time.perf_counter() - start
memory = ll.llama_get_memory(ctx)

def decode(tokens):
    for at in range(0, len(tokens), 512):
        part = (ll.llama_token * len(tokens[at:at + 512]))(*tokens[at:at + 512])
        assert ll.llama_decode(ctx, ll.llama_batch_get_one(part, len(part))) == 0
    ll.llama_synchronize(ctx)

def timed(n_before, n, one_by_one):
    ll.llama_memory_clear(memory, True)
    if n_before:
        decode([(7 * i) % 1000 + 100 for i in range(n_before)])
    tokens = [(11 * i) % 1000 + 100 for i in range(n)]
    start = time.perf_counter()
    if one_by_one:
        for token in tokens:
            decode([token])
    else:
        decode(tokens)
    return n / (time.perf_counter() - start)

out = {"load": load}
if n_prompt:
    timed(0, n_prompt, False)
    out["prompt"] = timed(n_depth, n_prompt, False)
if n_gen:
    timed(0, 2, True)
    out["gen"] = timed(n_depth, n_gen, True)
out["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps(out))
"""

RIVAL_FIRST = r"""
import sys
import llama_cpp as ll
model = ll.Llama(sys.argv[1], n_ctx=8192, n_threads=int(sys.argv[2]), verbose=False)
print(model(sys.argv[3], max_tokens=1, temperature=0)["choices"][0]["text"])
"""
PROMPT = "The capital of France is"


def ours(options):
    command = [options.command, "bench", options.model, "-p", str(options.p), "-n", str(options.n), "-d", str(options.d),
               "-r", "1", "-t", str(options.t), "-o", "json"]
    rows = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    out = {"load": rows[0]["load_seconds"], "peak": rows[0]["peak_memory_bytes"]}
    for row in rows:
        out["prompt" if row["n_prompt"] else "gen"] = row["avg_ts"]
        out["gb_per_s"] = row.get("gb_per_s") if row["n_gen"] else out.get("gb_per_s")
        out["bandwidth"] = row.get("read_bandwidth_gb_s")
    return out


def rival(options):
    command = [options.rival_python, "-c", RIVAL, options.model, *map(str, (options.p, options.n, options.d, options.t))]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def seconds(command):
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL)
    return time.perf_counter() - start


def first_token(options):
    return (seconds([options.command, "run", options.model, PROMPT, "--max-new-tokens", "1", "--temperature", "0", "--threads",
                     str(options.t), "--quiet"]),
            seconds([options.rival_python, "-c", RIVAL_FIRST, options.model, str(options.t), PROMPT]))


def row(name, a, b, unit, less=False):
    ratio = (b / a if less else a / b) if a and b else float("nan")
    print(f"| {name:22} | {a:10.2f} | {b:10.2f} | {unit:5} | {ratio:5.2f}x |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--rival-python", required=True)
    parser.add_argument("--command", default=str(ROOT / ".venv" / "bin" / "quantllm"))
    parser.add_argument("-p", type=int, default=512)
    parser.add_argument("-n", type=int, default=128)
    parser.add_argument("-d", type=int, default=0)
    parser.add_argument("-t", type=int, default=2)
    parser.add_argument("--turns", type=int, default=5)
    options = parser.parse_args()
    left, right, first = [], [], []
    for turn in range(options.turns):
        print(f"turn {turn + 1} of {options.turns}", file=sys.stderr)
        left.append(ours(options))
        right.append(rival(options))
        first.append(first_token(options))

    def median(rows, key):
        return statistics.median(r[key] for r in rows)

    print(f"{pathlib.Path(options.model).name}, {options.t} threads, depth {options.d}, medians of {options.turns} turns; "
          "a ratio above 1 is in our favour")
    print(f"| {'':22} | {'quantllm':>10} | {'llama.cpp':>10} | unit  | ratio  |")
    if options.p:
        row(f"prompt, {options.p} tokens", median(left, "prompt"), median(right, "prompt"), "tok/s")
    if options.n:
        row(f"decode, {options.n} tokens", median(left, "gen"), median(right, "gen"), "tok/s")
    row("process to first token", statistics.median(f[0] for f in first), statistics.median(f[1] for f in first), "s", True)
    row("load", median(left, "load"), median(right, "load"), "s", True)
    row("peak memory", median(left, "peak") / 1e6, median(right, "peak") / 1e6, "MB", True)
    if options.n:
        print(f"decode reads {median(left, 'gb_per_s'):.1f} GB/s of {median(left, 'bandwidth'):.1f} GB/s measured")


if __name__ == "__main__":
    main()
