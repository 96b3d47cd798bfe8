#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Speed of the tokenizer beside the `tokenizers` library, in turns, on one thread.

    bench/tokenizer.py [--library build/libquantllm.so] [--rounds 5] [--families gpt2,t5,...] [FILE.gguf ...]

Encoding of prose (README and docs) and code (this project's C and Python) in MB/s; texts of 1 MB of one kind in
seconds; loading of tokenizer.json with a real vocabulary of 150,000 entries, made of a GGUF file (default: the shared
ggml-vocab-qwen2.gguf), of the GGUF itself, and of what the packed cache keeps. Medians; a figure is quoted with its rival's from the same run. Needs
tokenizers and sentencepiece, as tools/setup.sh installs them."""
import argparse
import ctypes
import json
import os
import pathlib
import statistics
import struct
import subprocess
import sys
import tempfile
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "golden"))
import tokenizer_families  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402

RUNS = {"letters": "a", "digits": "7", "spaces": " ", "marks": "\u0301", "newlines": "\n", "ideographs": "好", "punctuation": "!"}


class Ours:
    def __init__(self, library):
        self.lib = ctypes.CDLL(str(library))
        self.lib.ql_tokenizer_open.restype = ctypes.c_void_p

    def open(self, path):
        error = ctypes.create_string_buffer(4096)
        handle = self.lib.ql_tokenizer_open(str(path).encode(), error)
        if not handle:
            raise ValueError(error.raw[4:].split(b"\0")[0].decode())
        return ctypes.c_void_p(handle)

    def close(self, handle):
        self.lib.ql_tokenizer_close(handle)

    def encode(self, handle, text):
        ids, n = ctypes.c_void_p(), ctypes.c_size_t()
        error = ctypes.create_string_buffer(4096)
        if self.lib.ql_tokenize(handle, text, ctypes.c_size_t(len(text)), 2, ctypes.byref(ids), ctypes.byref(n), error):
            raise ValueError(error.raw[4:].split(b"\0")[0].decode())
        self.lib.ql_free(ids)
        return n.value


def timed(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def texts():
    prose = "".join(p.read_text() for p in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))])
    code = "".join(p.read_text() for folder in ("src/text", "src/model", "tests/python") for p in
                   sorted((ROOT / folder).iterdir()) if p.suffix in (".c", ".h", ".py"))
    return {"prose": prose, "code": code}


def gguf_strings(path):
    """Tokens, merges and types of a GGUF file's header."""
    data, at, found = pathlib.Path(path).read_bytes(), 24, {}
    sizes = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}

    def string():
        nonlocal at
        n, = struct.unpack_from("<Q", data, at)
        at += 8 + n
        return data[at - n:at].decode()

    for _ in range(struct.unpack_from("<Q", data, 16)[0]):
        key = string()
        kind, = struct.unpack_from("<I", data, at)
        at += 4
        if kind == 8:
            found[key] = string()
        elif kind != 9:
            at += sizes[kind]
        else:
            element, n = struct.unpack_from("<IQ", data, at)
            at += 12
            if element == 8:
                found[key] = [string() for _ in range(n)]
            else:
                found[key] = struct.unpack_from(f"<{n}i", data, at) if element == 5 else None
                at += n * sizes[element]
    return {k: found.get("tokenizer.ggml." + k) for k in ("tokens", "merges", "token_type")}


def real_json(path):
    """tokenizer.json of a byte-level GGUF vocabulary, as transformers saves Qwen2's."""
    v = gguf_strings(path)
    data = json.loads(tokenizer_families.make("qwen2"))
    kinds = v["token_type"]
    data["model"]["vocab"] = {t: i for i, t in enumerate(v["tokens"]) if kinds[i] == 1}
    data["model"]["merges"] = [m.split(" ") for m in v["merges"]]
    data["added_tokens"] = [{"id": i, "content": t, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
                             "special": True} for i, t in enumerate(v["tokens"]) if kinds[i] == 3]
    return json.dumps(data, ensure_ascii=False, indent=2)


def compare(ours, name, path, rounds):
    handle, theirs = ours.open(path), Tokenizer.from_file(str(path))
    line = f"{name:22}"
    for kind, text in texts().items():
        raw, a, b = text.encode(), [], []
        ours.encode(handle, raw), theirs.encode(text)
        for _ in range(rounds):
            a.append(timed(lambda: ours.encode(handle, raw)))
            b.append(timed(lambda: theirs.encode(text)))
        mine, other = (len(raw) / 1e6 / statistics.median(x) for x in (a, b))
        line += f" | {kind} {mine:6.1f} : {other:5.2f} MB/s {mine / other:5.1f}x"
    for kind, unit in RUNS.items():
        raw = (unit * 1_000_000)[:1_000_000 // len(unit.encode())].encode()
        line += f" | {kind} {min(timed(lambda: ours.encode(handle, raw)) for _ in range(2)):.3f}"
    print(line, flush=True)
    ours.close(handle)


def loading(ours, program, gguf, rounds):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "tokenizer.json"
        path.write_text(real_json(gguf), encoding="utf-8")
        a, b, c = [], [], []
        for _ in range(rounds):
            a.append(timed(lambda: ours.close(ours.open(path))))
            b.append(timed(lambda: Tokenizer.from_file(str(path))))
            c.append(timed(lambda: ours.close(ours.open(gguf))))
        mine, other, own = (1e3 * statistics.median(x) for x in (a, b, c))
        stored = subprocess.run([program, folder, str(rounds)], capture_output=True, text=True, check=True).stdout.split()[-1]
        print(f"{pathlib.Path(gguf).name}: tokenizer.json of {path.stat().st_size / 1e6:.1f} MB: {mine:.1f} ms, tokenizers {other:.0f} ms "
              f"({other / mine:.1f}x); the GGUF {own:.1f} ms; the packed cache {stored} ms")
        compare(ours, pathlib.Path(gguf).stem, path, rounds)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", default=ROOT / "build" / "libquantllm.so")
    parser.add_argument("--load-program", default=ROOT / "build" / "tests" / "kernel" / "tokenizer_load")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--families", default="gpt2,llama3,deepseek-llm,tiny-aya,superbpe,llama2,gemma,t5,xlnet,unigram-whole,"
                                              "bert-uncased,wordlevel")
    shared = os.environ.get("QL_SHARED", str(ROOT.parent / "shared"))
    parser.add_argument("files", nargs="*", default=[f"{shared}/data/vocab/ggml-vocab-qwen2.gguf"])
    args = parser.parse_args()
    ours = Ours(args.library)
    for gguf in args.files:
        loading(ours, args.load_program, gguf, args.rounds)
    with tempfile.TemporaryDirectory() as folder:
        for name in filter(None, args.families.split(",")):
            path = pathlib.Path(folder) / "tokenizer.json"
            path.write_text(tokenizer_families.make(name), encoding="utf-8")
            compare(ours, name, path, args.rounds)


if __name__ == "__main__":
    main()
