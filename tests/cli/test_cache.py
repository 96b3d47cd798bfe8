# SPDX-License-Identifier: MIT
"""The cache of packed weights: right or absent, whatever happens to the process, the source or the disk."""
import json
import os
import pathlib
import random
import resource
import shutil
import subprocess
import time

import pytest

import conftest

QUANTIZE = ["--quantization", "Q8_0"]
PROMPT = ["--greedy", "--max-new-tokens", "8", "hello"]


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def model(tiny, tmp_path):
    return pathlib.Path(shutil.copy(tiny, tmp_path / "model.gguf"))


class Run:
    def __init__(self, command, cache):
        self.command, self.env = command, {**os.environ, "QUANTLLM_CACHE": str(cache)}

    def text(self, model, *options, env=None, **extra):
        done = self.command("run", model, *QUANTIZE, *PROMPT, *options, env={**self.env, **(env or {})}, **extra)
        assert done.returncode == 0, done.stderr
        return done.stdout, done.stderr.decode()

    def from_cache(self, model, *options):
        done = self.command("bench", model, *QUANTIZE, "-p", "0", "-n", "1", "-r", "1", "--fast", "-o", "json", *options, env=self.env)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)[0]["from_cache"]


@pytest.fixture
def run(command, cache):
    return Run(command, cache)


def files(cache):
    return sorted(p.name for p in cache.iterdir()) if cache.exists() else []


def one_packed(cache):
    (packed,) = files(cache)
    assert packed.endswith(".packed")
    return cache / packed


def test_second_start_maps_what_the_first_kept(run, model, cache):
    first, _ = run.text(model)
    packed = one_packed(cache)
    assert run.from_cache(model)
    assert run.text(model)[0] == first
    # The weights are really the file's: another byte in its last matrix is another model.
    data = bytearray(packed.read_bytes())
    for i in range(len(data) // 2, len(data) // 2 + 4096):
        data[i] ^= 0x55
    packed.write_bytes(data)
    assert run.from_cache(model)


def test_own_types_are_not_kept_twice(command, run, model, cache):
    done = command("run", model, *PROMPT, env=run.env)
    assert done.returncode == 0 and files(cache) == []


def test_each_quantization_has_its_file(run, model, cache):
    run.text(model)
    command_line = ["--greedy", "--max-new-tokens", "4", "hello"]
    assert run.command("run", model, "--quantization", "Q4_0", *command_line, env=run.env).returncode == 0
    assert len(files(cache)) == 2
    assert run.from_cache(model)


def test_changed_source_is_another_source(run, model, cache, make_tiny):
    before, _ = run.text(model)
    assert run.from_cache(model)
    shutil.copy(make_tiny("biases.gguf", "--biases"), model)
    assert not run.from_cache(model)
    os.utime(model, ns=(1, 1))
    assert not run.from_cache(model)
    assert run.text(model)[0] != before


def test_damaged_file_is_made_anew(run, model, cache):
    first, _ = run.text(model)
    packed = one_packed(cache)
    good = packed.read_bytes()
    identity = good.index(b"quantization Q8_0")
    other = good[:identity] + b"quantization Q9_0" + good[identity + 17:]
    for bad in (b"", good[:100], good[: len(good) // 2], good[:-1], good + b"x", b"x" * len(good),
                good[:64] + bytes(64) + good[128:], other):
        packed.write_bytes(bad)
        assert not run.from_cache(model)
        assert packed.read_bytes() == good  # and so the next start is right
    assert run.text(model)[0] == first


def test_no_bit_of_the_header_is_trusted(run, model, cache):
    """A sample; all bits of a header: tests/unit/test_gguf_write.c."""
    run.text(model)
    packed = one_packed(cache)
    good = packed.read_bytes()
    first_tensor = good.index(b"token_embd")  # its names are the last part of the header
    source = random.Random(7)
    for at in [source.randrange(first_tensor) for _ in range(24 if os.environ.get("QL_LONG") else 8)]:
        bad = bytearray(good)
        bad[at] ^= 1 << source.randrange(8)
        packed.write_bytes(bad)
        assert not run.from_cache(model), at
        assert packed.read_bytes() == good


def test_older_layout_is_a_stranger(run, model, cache):
    run.text(model)
    packed = one_packed(cache)
    good = packed.read_bytes()
    at = good.index(b"layout ") + 7
    packed.write_bytes(good[:at] + b"1" + good[at + 1:])
    assert not run.from_cache(model) and packed.read_bytes() == good


def test_a_file_in_use_can_go(run, make_tiny, template_file, cache):
    model = make_tiny("long.gguf", "--template", template_file, "--context", "100000")
    options = ["run", model, *QUANTIZE, *conftest.LONG, "hello"]
    run.text(model)
    process = subprocess.Popen(run.command.argv(*options), env=run.env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert process.stdout.read(1) == b"a"
        one_packed(cache).unlink()
        assert process.stdout.read(2000) == b"a" * 2000
    finally:
        process.kill()
        process.communicate()
    assert files(cache) == []


def mounted(folder, size):
    """A small file system, or a skip where that can not be."""
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "quantllm-test", folder], capture_output=True)
    if done.returncode:
        pytest.skip(f"can not mount a tmpfs: {done.stderr.decode().strip()}")


def test_small_disk_and_read_only_disk(run, model, cache, make_tiny, tmp_path):
    want, _ = run.text(model, "--no-cache")
    mounted(cache, "16k")
    try:
        text, said = run.text(model)
        assert text == want and "No space left" in said and files(cache) == []
        subprocess.run(["mount", "-o", "remount,size=16M", cache], check=True)
        run.text(model)
        one_packed(cache)
        subprocess.run(["mount", "-o", "remount,ro", cache], check=True)
        assert run.from_cache(model) and run.text(model)[0] == want
        other = make_tiny("biases.gguf", "--biases")
        assert "Read-only file system" in run.text(other)[1]
    finally:
        subprocess.run(["umount", cache], check=True)


def test_concurrent_first_loads(run, model, cache):
    argv = run.command.argv("run", model, *QUANTIZE, *PROMPT)
    several = [subprocess.Popen(argv, env=run.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(8)]
    outputs = {p.communicate(timeout=60)[0] for p in several}
    assert [p.returncode for p in several] == [0] * 8 and len(outputs) == 1
    one_packed(cache)
    assert run.from_cache(model) and run.text(model)[0] in outputs


def test_killed_at_any_moment(run, model, cache):
    start = time.monotonic()
    want, _ = Run(run.command, cache / "apart").text(model)
    whole = time.monotonic() - start
    shutil.rmtree(cache)
    argv = run.command.argv("run", model, *QUANTIZE, *PROMPT)
    source = random.Random(4)
    seen = set()
    for _ in range(100 if os.environ.get("QL_LONG") else 30):
        process = subprocess.Popen(argv, env=run.env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        time.sleep(source.uniform(0, whole))
        process.kill()
        process.communicate()
        seen.add(tuple(files(cache)))
        if any(name.endswith(".packed") for name in files(cache)):
            assert run.text(model)[0] == want
            shutil.rmtree(cache)
    assert len(seen) > 1
    assert run.text(model)[0] == want
    one_packed(cache)  # what the killed ones left is gone


def test_nowhere_to_write(command, model, tmp_path):
    (tmp_path / "file").write_text("")
    run = Run(command, tmp_path / "file" / "cache")
    text, said = run.text(model)
    assert text and "packed weights are not kept" in said and "Not a directory" in said


def test_full_disk(run, model, cache):
    def limit():  # a file larger than this is what a full disk is to write()
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    want, _ = run.text(model, "--no-cache")
    text, said = run.text(model, preexec_fn=limit)
    assert text == want and "packed weights are not kept" in said
    assert files(cache) == []


def test_total_is_capped(run, make_tiny, tmp_path, cache, tiny):
    models = [pathlib.Path(shutil.copy(tiny, tmp_path / f"{i}.gguf")) for i in range(3)]
    for model in models[:2]:
        run.text(model)
    size = max(p.stat().st_size for p in cache.iterdir())
    now = time.time()
    for p in cache.iterdir():
        os.utime(p, (now - 1000, now - 1000))
    assert run.from_cache(models[0])  # used: now the second is the older one
    run.text(models[2], env={"QUANTLLM_CACHE_SIZE": str(2 * size + 100)})
    assert [run.from_cache(m, "--no-cache") for m in models] == [False] * 3
    assert len(files(cache)) == 2
    assert run.from_cache(models[0]) and run.from_cache(models[2])
    said = run.text(models[1], env={"QUANTLLM_CACHE_SIZE": "1K"})[1]
    assert "packed weights are not kept" in said and "QUANTLLM_CACHE_SIZE" in said


@pytest.mark.parametrize("how", ["off", "0", "OFF"])
def test_turned_off(command, model, tmp_path, how):
    env = {**os.environ, "QUANTLLM_CACHE": how, "HOME": str(tmp_path / "home"), "XDG_CACHE_HOME": str(tmp_path / "xdg")}
    assert command("run", model, *QUANTIZE, *PROMPT, env=env).returncode == 0
    assert not (tmp_path / "home").exists() and not (tmp_path / "xdg").exists()


def test_no_cache_option(run, model, cache):
    run.text(model, "--no-cache")
    assert files(cache) == []


def test_default_place(command, model, tmp_path):
    env = {k: v for k, v in os.environ.items() if k not in ("QUANTLLM_CACHE", "XDG_CACHE_HOME")}
    env["HOME"] = str(tmp_path / "home")
    assert command("run", model, *QUANTIZE, *PROMPT, env=env).returncode == 0
    one_packed(tmp_path / "home" / ".cache" / "quantllm" / "packed")
