# SPDX-License-Identifier: MIT
"""Every bad input of the table (tests/golden/bad_inputs.py) gets its one line and status from the C library, the command and
Python, and the process that met them all goes on."""
import json
import math
import os
import re
import resource
import signal
import struct
import subprocess
import sys

import pytest

from conftest import ROOT, error_line

import bad_inputs

PROBE = os.environ.get("QL_PROBE", str(ROOT / "build" / "tests" / "probe"))
# Opens and uses each, as the probe does, and tells what was raised.
PYTHON = """
import json, sys
from quantllm import turbo
for line in sys.stdin:
    action, text, path = line.rstrip("\\n").split("\\t")
    try:
        with turbo(path, verbose=False, threads=1) as model:
            if action == "generate":
                model.generate(text, max_new_tokens=3, temperature=0)
            elif action == "chat":
                model.apply_chat_template([{"role": "user", "content": "hi"}])
        print(json.dumps(["", ""]), flush=True)
    except Exception as error:
        print(json.dumps([type(error).__name__, str(error)]), flush=True)
"""


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return bad_inputs.make_all(tmp_path_factory.mktemp("bad"))


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    path = tmp_path_factory.mktemp("good") / "good.gguf"
    path.write_bytes(bad_inputs.make_tiny.build())
    return path


def lines(inputs, good):
    asked = [(bad.action, path) for bad, path in inputs] + [("generate", good)]
    return "".join(f"{action}\t{bad_inputs.TEXT}\t{path}\n" for action, path in asked)


def check(bad, path, text):
    start = "" if bad.where == "!" else f"{path}/{bad.where}: " if bad.where else f"{path}: "
    assert text.startswith(start) and re.fullmatch(bad.message, text[len(start):]), f"{bad.number} ({bad.what}): {text}"


def check_all(inputs, answers):
    assert len(answers) == len(inputs) + 1, answers[-1:]
    faults = []
    for (bad, path), (_, text) in zip(inputs, answers):
        try:
            check(bad, path, text)
        except AssertionError as fault:
            faults.append(str(fault).splitlines()[0])
    assert not faults, "\n".join(faults)


def test_numbers():
    """01 to 59 and 71; 72, what is written: test_export.py, and test_packed_cache_on_a_full_disk."""
    there = {re.match(r"\d*", bad.number)[0] for bad in bad_inputs.TABLE}
    assert {f"{n:02}" for n in range(1, 60)} | {"71"} <= there


def test_from_c(inputs, good):
    done = subprocess.run([PROBE], input=lines(inputs, good), capture_output=True, text=True, timeout=300,
                          env={**os.environ, "QUANTLLM_CACHE": "off"})
    assert done.returncode == 0 and done.stderr == "", done
    answers = [tuple(line.split("\t", 1)) for line in done.stdout.splitlines()]
    check_all(inputs, answers)
    assert [status for status, _ in answers] == [bad.code for bad, _ in inputs] + ["ok"]


def test_from_python(inputs, good):
    done = subprocess.run([sys.executable, "-c", PYTHON], input=lines(inputs, good), capture_output=True, text=True, timeout=300,
                          env={**os.environ, "QUANTLLM_CACHE": "off"})
    assert done.returncode == 0 and done.stderr == "", done
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    check_all(inputs, answers)
    assert [status for status, _ in answers] == [bad_inputs.PYTHON[bad.code] for bad, _ in inputs] + [""]


@pytest.mark.parametrize("bad", bad_inputs.TABLE, ids=lambda bad: bad.number)
def test_from_the_command(command, inputs, bad):
    path = dict((b.number, p) for b, p in inputs)[bad.number]
    args = ["run", path, bad_inputs.TEXT, "-q", "--no-cache", "--greedy", "--max-new-tokens", "3"]
    line = error_line(command(*args, *(["--chat"] if bad.action == "chat" else [])), bad_inputs.EXIT[bad.code])
    check(bad, path, line)
    if bad.action == "open" and bad.code != "memory":  # what is free is another number each time
        assert error_line(command("chat", path, "-q", "--no-cache"), bad_inputs.EXIT[bad.code]) == line


# ---- what is told and does not stop ----


@pytest.mark.parametrize("kind", ["f32", "q8_0", "q4_1"])
@pytest.mark.parametrize("quantization", [[], ["--quantization", "Q4_0"]])
def test_broken_numbers_are_told_at_load(command, inputs, kind, quantization):
    """Whatever the weights become. What the first token's error is stands in the table."""
    path = dict((b.number, p) for b, p in inputs)[f"A11-{kind}"]
    done = command("run", path, bad_inputs.TEXT, "--no-cache", "--greedy", *quantization)
    assert "1 tensor has NaN or infinite values: token_embd.weight, row 0; quantllm verify shows all" in done.stderr.decode()
    assert done.returncode == 1 and b"error: no token has a logit" in done.stderr


def test_a_norm_that_is_not_finite_is_told_at_load(command, tmp_path):
    kvs, listed = bad_inputs.make_tiny.parts()
    for one in listed:
        if one.name.endswith("ffn_norm.weight"):
            one.data = struct.pack("<f", -math.inf) + one.data[4:]
    path = tmp_path / "model.gguf"
    path.write_bytes(bad_inputs.make_tiny.assemble(kvs, listed))
    said = command("run", path, "hi", "--no-cache", "--greedy", "--max-new-tokens", "1").stderr.decode()
    assert "2 tensors have NaN or infinite values: blk.0.ffn_norm.weight, ...; quantllm verify shows all" in said


def test_whole_numbers_are_not_told(command, good):
    assert b"NaN" not in command("run", good, bad_inputs.TEXT, "--no-cache", "--greedy", "--max-new-tokens", "1").stderr


def test_tensors_that_have_no_place(command, tmp_path):
    """Two layers are there and one is told: on the first start, and from the cache."""
    kvs, listed = bad_inputs.make_tiny.parts()
    bad_inputs.make_tiny.change(kvs, "llama.block_count", 1)
    path = tmp_path / "model.gguf"
    path.write_bytes(bad_inputs.make_tiny.assemble(kvs, listed))
    for _ in range(2):
        done = command("run", path, "hi", "--greedy", "--max-new-tokens", "2", "--quantization", "Q8_0",
                       env={**os.environ, "QUANTLLM_CACHE": str(tmp_path / "cache")})
        assert done.returncode == 0, done
        assert (f"{path}: 9 tensors have no place in this architecture and are not used: blk.1.attn_norm.weight, ..."
                in done.stderr.decode().splitlines()), done.stderr


def test_bytes_that_belong_to_no_tensor(command, tmp_path):
    path = tmp_path / "model.gguf"
    path.write_bytes(bad_inputs.make_tiny.build() + b"PK\3\4" * 9)
    done = command("run", path, "hi", "--greedy", "--max-new-tokens", "2")
    assert done.returncode == 0 and b"36 bytes after the last tensor belong to no tensor and are not used" in done.stderr, done


# ---- 71 under a limit of this process alone ----


def under_limit(run, n_bytes):
    return run(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (n_bytes, n_bytes)))


def is_sanitized(command):
    return b"__asan_init" in open(command.path, "rb").read()


@pytest.mark.parametrize("room, message", [
    (1 << 30, rf"[^:]*: {bad_inputs.NEEDS}"),  # the file can be mapped, its weights can not be held
    (-1, r"[^:]*: needs [\d.]+ GiB of address space, [\d.]+ GiB free: raise the limit \(ulimit -v\)")])
def test_more_than_ulimit_allows(command, tmp_path, room, message):
    if is_sanitized(command):
        pytest.skip("a sanitizer takes more address space than any limit")
    path, size = tmp_path / "large.gguf", 4 << 30
    bad_inputs.huge(size)(path)
    limit = size + room if room > 0 else size // 2
    args = ["run", path, "hi", "-q", "--no-cache"]
    line = error_line(under_limit(lambda **more: command(*args, **more), limit), 69)
    assert re.fullmatch(message, line), line
    done = under_limit(lambda **more: subprocess.run([sys.executable, "-c", PYTHON], input=f"open\tx\t{path}\n", text=True,
                                                     capture_output=True, env={**os.environ, "QUANTLLM_CACHE": "off"}, **more),
                       limit)
    status, text = json.loads(done.stdout)
    assert status == "MemoryError" and re.fullmatch(message, text), done


# ---- 72: of what is written, the packed cache; the other is an exported model (test_export.py) ----


def test_packed_cache_on_a_full_disk(command, tmp_path):
    """The answer is the same, the reason is told, nothing stays behind."""
    model, cache = tmp_path / "model", tmp_path / "cache"
    bad_inputs.make_tiny_folder.make(model)
    args = ["run", model, "hi", "--greedy", "--max-new-tokens", "3", "--quantization", "F16"]
    env = {**os.environ, "QUANTLLM_CACHE": str(cache)}

    def limit():  # what a full disk is to write(); SIGXFSZ is ignored so that it is an error
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    want = command(*args, env={**env, "QUANTLLM_CACHE": "off"})
    done = command(*args, env=env, preexec_fn=limit)
    assert want.returncode == done.returncode == 0 and done.stdout == want.stdout
    assert not cache.exists() or not list(cache.iterdir())
    said = [line for line in done.stderr.decode().splitlines() if str(cache) in line]
    assert len(said) == 1 and "File too large" in said[0], done.stderr
