#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""quantllm beside OpenVINO GenAI (int8, int4) and CTranslate2 (int8): prompt and decode, in turns.

    python bench/rivals.py MODEL.gguf HF_FOLDER --rivals-python PYTHON --models FOLDER [-p 512] [-n 64] [-t 2] [--turns 3]

The same model twice: as GGUF for us, as a Hugging Face folder (tools/gguf_to_hf.py, bench/make_model.py) to make the
rivals' models from, which are kept in FOLDER. PYTHON is an interpreter with their packages, all on PyPI:

    python3 -m venv rivals && rivals/bin/pip install torch "transformers<5.6" openvino-genai optimum-intel nncf ctranslate2

A turn is one fresh process of each, with one warm-up. Prompt: tokens over the time to the first new one. Decode: the others
over the time from the first to the last, greedy, past any end token. OpenVINO's int4 has groups of 64 with a zero point
(135M: its head dimension allows no 128), and its own choice of what stays int8; CTranslate2's int8 has a scale a row."""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import typing

ROOT = pathlib.Path(__file__).resolve().parent.parent

OPENVINO = r"""
import json, sys
import numpy as np
import openvino as ov
import openvino_genai as genai
path, n_prompt, n_gen, threads = sys.argv[1], *map(int, sys.argv[2:5])
pipe = genai.LLMPipeline(path, "CPU", INFERENCE_NUM_THREADS=threads)

def run(n_new, first):
    config = genai.GenerationConfig(max_new_tokens=n_new, min_new_tokens=n_new, ignore_eos=True, do_sample=False, apply_chat_template=False)
    ids = np.array([[(7 * i + first) % 1000 + 100 for i in range(n_prompt)]], dtype=np.int64)
    inputs = genai.TokenizedInputs(ov.Tensor(ids), ov.Tensor(np.ones_like(ids)))
    return pipe.generate(inputs, config).perf_metrics

run(2, 0)
metrics = run(n_gen + 1, 1)
assert metrics.get_num_generated_tokens() == n_gen + 1 and metrics.get_num_input_tokens() == n_prompt
print(json.dumps({"prompt": n_prompt * 1e3 / metrics.get_ttft().mean, "gen": 1e3 / metrics.get_tpot().mean}))
"""

CTRANSLATE2 = r"""
import json, pathlib, sys, time
import ctranslate2
path, n_prompt, n_gen, threads = sys.argv[1], *map(int, sys.argv[2:5])
vocabulary = json.loads((pathlib.Path(path) / "vocabulary.json").read_text())
generator = ctranslate2.Generator(path, device="cpu", compute_type="int8", inter_threads=1, intra_threads=threads)

def run(n_new, first):
    tokens = [vocabulary[(7 * i + first) % 1000 + 100] for i in range(n_prompt)]
    times = [time.perf_counter()]
    steps = generator.generate_tokens(tokens, max_length=n_new, min_length=n_new, sampling_topk=1, end_token=[])
    for _ in steps:
        times.append(time.perf_counter())
    assert len(times) == n_new + 1
    return times

run(2, 0)
times = run(n_gen + 1, 1)
print(json.dumps({"prompt": n_prompt / (times[1] - times[0]), "gen": n_gen / (times[-1] - times[1])}))
"""


class Rival(typing.NamedTuple):
    name: str
    folder: pathlib.Path
    script: str
    convert: list  # the command that makes the folder, whose name comes last


def rivals(hf, models):
    def openvino(kind, *more):
        out = models / f"{hf.name}-openvino-{kind}"
        return Rival(f"OpenVINO {kind}", out, OPENVINO, ["optimum-cli", "export", "openvino", "--model", str(hf), "--task",
                                                         "text-generation-with-past", "--weight-format", kind, *more])

    out = models / f"{hf.name}-ctranslate2-int8"
    return [openvino("int8"), openvino("int4", "--group-size", "64"),
            Rival("CTranslate2 int8", out, CTRANSLATE2, ["ct2-transformers-converter", "--model", str(hf), "--quantization", "int8",
                                                         "--output_dir"])]


def name_special_tokens(folder):
    """CTranslate2 does not open what its converter makes of a tokenizer without BOS, EOS or UNK; none of them is used here."""
    vocabulary, path = folder / "vocabulary.json", folder / "config.json"
    if vocabulary.exists():
        config, first = json.loads(path.read_text()), json.loads(vocabulary.read_text())[0]
        path.write_text(json.dumps({key: first if value is None else value for key, value in config.items()}))


def convert(rival, python):
    """Makes a rival's model once, without the network; what fails is told, and that rival is left out."""
    if rival.folder.exists():
        return True
    part = rival.folder.with_name(rival.folder.name + ".part")  # of a run that was interrupted
    shutil.rmtree(part, ignore_errors=True)
    program, *arguments = rival.convert
    print(f"making {rival.folder.name}", file=sys.stderr)
    run = subprocess.run([str(python.parent / program), *arguments, str(part)], capture_output=True, text=True,
                         env={**os.environ, "HF_HUB_OFFLINE": "1"})
    if run.returncode:
        print(f"{rival.name}: no model: {run.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        return False
    name_special_tokens(part)
    part.rename(rival.folder)
    return True


def ours(options):
    out = {}
    for name, arguments in (("prompt", ["-p", str(options.p), "-n", "0"]), ("gen", ["-p", "0", "-n", str(options.n), "-d", str(options.p)])):
        command = [options.command, "bench", options.gguf, *arguments, "-r", "1", "-t", str(options.t), "-o", "json"]
        out[name] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)[0]["avg_ts"]
    return out


def theirs(options, rival):
    command = [str(options.rivals_python), "-c", rival.script, str(rival.folder), *map(str, (options.p, options.n, options.t))]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{rival.name}: {done.stderr.strip().splitlines()[-1]}")
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("gguf")
    parser.add_argument("hf", type=pathlib.Path)
    parser.add_argument("--rivals-python", required=True, type=pathlib.Path)
    parser.add_argument("--models", required=True, type=pathlib.Path)
    parser.add_argument("--command", default=str(ROOT / ".venv" / "bin" / "quantllm"))
    for name, default in (("-p", 512), ("-n", 64), ("-t", 2), ("--turns", 3)):
        parser.add_argument(name, type=int, default=default)
    options = parser.parse_args()
    options.models.mkdir(parents=True, exist_ok=True)
    usable = [rival for rival in rivals(options.hf.resolve(), options.models) if convert(rival, options.rivals_python)]
    rows = {"quantllm": [], **{rival.name: [] for rival in usable}}
    for turn in range(options.turns):
        print(f"turn {turn + 1} of {options.turns}", file=sys.stderr)
        rows["quantllm"].append(ours(options))
        for rival in usable:
            rows[rival.name].append(theirs(options, rival))
    print(f"{pathlib.Path(options.gguf).name}, {options.t} threads, medians of {options.turns} turns, tokens/s; ratios above 1 are in "
          f"our favour\n| {'':16} | prompt {options.p:5} | ratio  | decode {options.n:5} | ratio  |")
    median = {name: {key: statistics.median(r[key] for r in turns) for key in ("prompt", "gen")} for name, turns in rows.items()}
    for name, value in median.items():
        ratio = {key: median["quantllm"][key] / value[key] for key in value}
        print(f"| {name:16} | {value['prompt']:12.1f} | {ratio['prompt']:5.2f}x | {value['gen']:12.1f} | {ratio['gen']:5.2f}x |")


if __name__ == "__main__":
    main()
