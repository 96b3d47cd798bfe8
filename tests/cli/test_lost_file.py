# SPDX-License-Identifier: MIT
"""Files that change while they are mapped: cut in place they end the command with their name, replaced they do not."""
import os
import pathlib
import shutil
import subprocess
import time

import pytest

from conftest import LONG

QUANTIZE = ["--quantization", "Q8_0"]


@pytest.fixture
def env(tmp_path):
    return {**os.environ, "QUANTLLM_CACHE": str(tmp_path / "cache")}


@pytest.fixture
def packed(command, tiny, tmp_path, env):
    """The packed file of the tiny model."""
    done = command("run", tiny, *QUANTIZE, "--greedy", "--max-new-tokens", "4", "hello", env=env)
    assert done.returncode == 0, done.stderr
    (path,) = (tmp_path / "cache").iterdir()
    return path


def start(command, *args, env):
    return subprocess.Popen(command.argv(*args), env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE)


def end(process):
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err.decode()


@pytest.mark.parametrize("threads", ["1", "3"])
@pytest.mark.parametrize("size", [0, 4096])
def test_packed_file_is_cut(command, tiny, env, packed, threads, size):
    """The promise of the cache is that nobody does this: it is replaced by rename."""
    process = start(command, "run", tiny, *QUANTIZE, "--quiet", "--threads", threads, *LONG, "hello", env=env)
    try:
        assert process.stdout.read(1) == b"a"
        os.truncate(packed, size)
        code, _, err = end(process)
    finally:
        process.kill()
    assert code == 74
    assert err == (f"error: {packed}: was cut to {size} bytes while it was in use: replace such a file by renaming "
                   "another to it, then run this again\n")
    done = command("run", tiny, *QUANTIZE, "--greedy", "--max-new-tokens", "4", "hello", env=env)
    assert done.returncode == 0 and packed.stat().st_size > 4096  # the cut one was found, and made anew


def test_replaced_files_do_not_matter(command, tiny, make_tiny, tmp_path, env, packed):
    model = pathlib.Path(shutil.copy(tiny, tmp_path / "model.gguf"))
    for mapped, options in ((model, []), (packed, [*QUANTIZE])):
        source = model if mapped is model else tiny
        process = start(command, "run", source, *options, "--quiet", *LONG, "hello", env=env)
        try:
            assert process.stdout.read(1) == b"a"
            other = pathlib.Path(shutil.copy(make_tiny("biases.gguf", "--biases"), tmp_path / "other"))
            os.replace(other, mapped)
            assert process.stdout.read(2000) == b"a" * 2000
        finally:
            process.kill()
            process.communicate()


def mapped_by(process, path):
    """Waits until it is."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        if str(path) in pathlib.Path(f"/proc/{process.pid}/maps").read_text():
            return True
        time.sleep(0.002)
    return False


@pytest.mark.model
def test_source_is_cut_while_it_is_quantized(command, tmp_path, env):
    path = os.environ.get("QL_MODEL")
    if not path:
        pytest.skip("QL_MODEL is not set: ./check sets it to SmolLM2")
    model = tmp_path / "model.gguf"
    codes = []
    while codes[-1:] != [74] and len(codes) < 10:  # it may be done before it is cut, or not have begun
        shutil.copy(path, model)
        process = start(command, "run", model, "--quantization", "Q4_K_M", "--no-cache", "--quiet", "--greedy",
                        "--max-new-tokens", "1", "hello", env=env)
        assert mapped_by(process, model)
        time.sleep(0.1 * len(codes))
        os.truncate(model, 8 << 20)
        code, out, err = end(process)
        codes.append(code)
        assert code in (0, 65, 74), err
        assert code == 0 or (err.startswith(f"error: {model}: ") and err.count("\n") == 1 and out == b"")
    assert codes[-1] == 74 and "was cut to 8388608 bytes" in err
