#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""quantllm against llama.cpp (llama-cpp-python) on the same files, in turns, and the ratios of the medians.

    python bench/compare.py MODEL.gguf... --rival-python PYTHON [--work prompt,decode,...] [--json results.json]

PYTHON is an interpreter with llama-cpp-python built natively:
    python3 -m venv rival && CMAKE_ARGS=-DGGML_NATIVE=ON rival/bin/pip install --no-binary :all: llama-cpp-python

Works, each with its sizes' option:
    prompt   -p tokens in one batch, from an empty cache
    long     --long tokens of prompt
    decode   -n tokens one by one
    deep     --deep-n tokens one by one behind -d tokens
    batch    -n tokens of each of -b sequences, decoded together
    busy     --busy-n tokens one by one while another process keeps one core busy; also as a part of decode's rate
    first    from a process's start to the first byte of its answer to a short prompt, in seconds: our command, and our
             Python package, beside llama-cpp-python, its import included

A turn is one fresh process of each side for each work, both doing what llama-bench does: a warm-up, then the work,
without sampling (ours chooses the best token). Machines are noisy: turns alternate, and the medians are compared.
--json adds the results to a file, one entry a model and work, for bench/plot.py."""
import argparse
import contextlib
import datetime
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
WORKS = ("prompt", "long", "decode", "deep", "batch", "busy", "first")

RIVAL = r"""
import json, resource, sys, time
import llama_cpp as ll
path, work = sys.argv[1], json.loads(sys.argv[2])
n_prompt, n_gen, n_depth, n_seqs, threads = (work[k] for k in ("p", "n", "d", "seqs", "threads"))
quiet = ll.llama_log_callback(lambda *a: None)
ll.llama_log_set(quiet, None)
ll.llama_backend_init()
start = time.perf_counter()
model = ll.llama_model_load_from_file(path.encode(), ll.llama_model_default_params())
params = ll.llama_context_default_params()
params.n_ctx = (n_depth + n_prompt + n_gen + 16) * n_seqs
params.n_seq_max = n_seqs
params.n_batch = params.n_ubatch = 512
params.n_threads = params.n_threads_batch = threads
ctx = ll.llama_init_from_model(model, params)
load = time.perf_counter() - start
memory = ll.llama_get_memory(ctx)
batch = ll.llama_batch_init(512, 0, 1)

def decode(rows):  # of (token, position, sequence, whether logits are wanted)
    batch.n_tokens = len(rows)
    for i, (token, position, sequence, wanted) in enumerate(rows):
        batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.seq_id[i][0], batch.logits[i] = token, position, 1, sequence, wanted
    assert ll.llama_decode(ctx, batch) == 0
    ll.llama_synchronize(ctx)

def prompt(first, n):
    rows = [((7 * i + 11 * first) % 1000 + 100, first + i, 0, i == n - 1) for i in range(n)]
    for at in range(0, n, 512):
        decode(rows[at:at + 512])

def timed(depth, n_prompt, n_gen):
    ll.llama_memory_clear(memory, True)
    if depth:
        prompt(0, depth)
    start = time.perf_counter()
    if n_prompt:
        prompt(depth, n_prompt)
    for i in range(n_gen):
        decode([((13 * i + s) % 1000 + 100, depth + i, s, True) for s in range(n_seqs)])
    return (n_prompt + n_gen * n_seqs) / (time.perf_counter() - start)

timed(0, min(n_prompt, 512), 2 if n_gen else 0)
print(json.dumps({"rate": timed(n_depth, n_prompt, n_gen), "load": load, "version": ll.__version__,
                  "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))
"""

RIVAL_FIRST = r"""
import sys
import llama_cpp as ll
model = ll.Llama(sys.argv[1], n_ctx=8192, n_threads=int(sys.argv[2]), verbose=False)
print(model(sys.argv[3], max_tokens=1, temperature=0)["choices"][0]["text"])
"""
FIRST = r"""
import sys
from quantllm import turbo
model = turbo(sys.argv[1], threads=int(sys.argv[2]), verbose=False)
print(model.generate(sys.argv[3], max_new_tokens=1, temperature=0))
"""
PROMPT = "The capital of France is"


def sizes(options, work):
    """What bench and the rival are told to do."""
    size = {"p": 0, "n": 0, "d": 0, "seqs": 1, "threads": options.t}
    size.update({"prompt": {"p": options.p}, "long": {"p": options.long}, "decode": {"n": options.n},
                 "deep": {"n": options.deep_n, "d": options.d}, "batch": {"n": options.n, "seqs": options.b},
                 "busy": {"n": options.busy_n}}[work])
    return size


def title(options, work):
    return {"prompt": f"prompt, {options.p} tokens", "long": f"prompt, {options.long} tokens",
            "decode": f"decode, {options.n} tokens", "deep": f"decode behind {options.d}",
            "batch": f"decode, {options.b} sequences", "busy": "decode, one core busy", "first": "process to first token",
            "first-python": "the same, from Python", "load": "load", "memory": "peak memory"}[work]


def ours(options, model, work):
    size = sizes(options, work)
    command = [options.command, "bench", model, "-p", str(size["p"]), "-n", str(size["n"]), "-d", str(size["d"]), "-b",
               str(size["seqs"]), "-r", "1", "-t", str(options.t), "-o", "json"]
    row, = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return {"rate": row["avg_ts"], "load": row["load_seconds"], "peak": row["peak_memory_bytes"], "row": row}


def rival(options, model, work):
    command = [options.rival_python, "-c", RIVAL, model, json.dumps(sizes(options, work))]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def seconds(command):
    """From a process's start to its first byte of output."""
    start = time.perf_counter()
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        process.stdout.read(1)
        passed = time.perf_counter() - start
        process.stdout.read()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return passed


def measure_first(options, model):
    command = [options.command, "run", model, PROMPT, "--max-new-tokens", "1", "--temperature", "0", "--threads", str(options.t),
               "--quiet"]
    package = [options.python, "-c", FIRST, model, str(options.t), PROMPT]
    llama = [options.rival_python, "-c", RIVAL_FIRST, model, str(options.t), PROMPT]
    return {"rate": seconds(command), "python": seconds(package)}, {"rate": seconds(llama)}


@contextlib.contextmanager
def busy_core():
    """Another process that never waits, on the last core that we may use."""
    core = max(os.sched_getaffinity(0))
    loop = subprocess.Popen([sys.executable, "-c", f"import os\nos.sched_setaffinity(0, {{{core}}})\nwhile True: pass"])
    try:
        time.sleep(0.2)
        yield
    finally:
        loop.kill()
        loop.wait()


def measure(options, model, work):
    """One turn of one work: our figures, the rival's."""
    if work == "first":
        return measure_first(options, model)
    with busy_core() if work == "busy" else contextlib.nullcontext():
        return ours(options, model, work), rival(options, model, work)


def entry(options, model, work, left, right, less=False, unit="tok/s"):
    """A result as the JSON file has it; ratios above 1 are in our favour."""
    a, b = statistics.median(left), statistics.median(right)
    return {"model": pathlib.Path(model).name, "work": work, "title": title(options, work), "unit": unit,
            "less_is_better": less, "quantllm": left, "llama_cpp": right, "quantllm_median": a, "llama_cpp_median": b,
            "ratio": b / a if less else a / b}


def results_of(options, model, turns):
    """turns: of each work, the pairs of both sides."""
    results = []
    for work, pairs in turns.items():
        left, right = ([side["rate"] for side in sides] for sides in zip(*pairs))
        result = entry(options, model, work, left, right, work == "first", "s" if work == "first" else "tok/s")
        rows = [a["row"] for a, _ in pairs if "row" in a]
        if rows:
            result["roofline_fraction"] = statistics.median(row["roofline_fraction"] for row in rows)
            result["roofline_bound"] = rows[0]["roofline_bound"]
            result["isa"] = rows[0]["isa"]
        if work == "busy" and "decode" in turns:
            result["quantllm_of_quiet"], result["llama_cpp_of_quiet"] = (
                statistics.median(side) / statistics.median(pair[i]["rate"] for pair in turns["decode"])
                for i, side in enumerate((left, right)))
        results.append(result)
        if work == "first":
            results.append(entry(options, model, "first-python", [a["python"] for a, _ in pairs], right, True, "s"))
    for work, key, scale, unit in (("load", "load", 1, "s"), ("memory", "peak", 1e-6, "MB")):
        base = turns.get("decode") or turns.get("prompt")
        if base:
            left, right = ([side[key] * scale for side in sides] for sides in zip(*base))
            results.append(entry(options, model, work, left, right, True, unit))
    return results


def print_table(model, results, options):
    print(f"{pathlib.Path(model).name}, {options.t} threads, medians of {options.turns} turns; a ratio above 1 is in our favour")
    print(f"| {'':23} | {'quantllm':>10} | {'llama.cpp':>10} | unit  | ratio  | of our limit   |")
    for r in results:
        limit = f"{100 * r['roofline_fraction']:.0f} % {r['roofline_bound']}" if "roofline_fraction" in r else ""
        print(f"| {r['title']:23} | {r['quantllm_median']:10.2f} | {r['llama_cpp_median']:10.2f} | {r['unit']:5} "
              f"| {r['ratio']:5.2f}x | {limit:14} |")
    for r in results:
        if "quantllm_of_quiet" in r:
            print(f"one core busy: {100 * r['quantllm_of_quiet']:.0f} % of the quiet rate, llama.cpp "
                  f"{100 * r['llama_cpp_of_quiet']:.0f} %")


def save(path, results, options, version):
    """Results of a model and work replace those of before; the rest of the file stays."""
    data = json.loads(path.read_text()) if path.exists() else {"results": []}
    new = {(r["model"], r["work"]) for r in results}
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d")
    for r in results:
        r.update(date=now, threads=options.t, turns=options.turns, rival=version, cpu=cpu_name())
    data["results"] = [r for r in data["results"] if (r["model"], r["work"]) not in new] + results
    path.write_text(json.dumps(data, indent=1) + "\n")


def cpu_name():
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")


def works(text):
    names = WORKS if text == "all" else tuple(text.split(","))
    for name in names:
        if name not in WORKS:
            raise argparse.ArgumentTypeError(f'"{name}" is none of {", ".join(WORKS)}')
    return names


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--rival-python", required=True)
    parser.add_argument("--command", default=str(ROOT / ".venv" / "bin" / "quantllm"))
    parser.add_argument("--python", default=str(ROOT / ".venv" / "bin" / "python"), help="which has the package")
    parser.add_argument("--work", type=works, default=("prompt", "decode", "first"), help=f"of {','.join(WORKS)}, or all")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="add the results to this file")
    for name, default in (("-p", 512), ("-n", 128), ("-d", 4096), ("-b", 8), ("-t", 2), ("--long", 4096), ("--deep-n", 48),
                          ("--busy-n", 32), ("--turns", 5)):
        parser.add_argument(name, type=int, default=default)
    return parser.parse_args()


def main():
    options = parse()
    for model in options.models:
        turns, version = {work: [] for work in options.work}, None
        for turn in range(options.turns):
            for work in options.work:
                print(f"{pathlib.Path(model).name}: turn {turn + 1} of {options.turns}, {work}", file=sys.stderr)
                turns[work].append(measure(options, model, work))
                version = turns[work][-1][1].get("version", version)
        results = results_of(options, model, turns)
        print_table(model, results, options)
        if options.json:
            save(options.json, results, options, version)


if __name__ == "__main__":
    main()
