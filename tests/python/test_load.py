# SPDX-License-Identifier: MIT
"""What turbo() gives to the library, what it says on stderr, and None as a sampling parameter."""
import contextlib
import fcntl
import mmap
import os
import pty
import struct
import sys
import termios

import pytest

import quantllm
from quantllm import Tokenizer, turbo
from quantllm import _load, _quantllm, _stderr

DEFAULTS = {"format": "safetensors", "quantization": "Q4_K_M", "push_format": "safetensors", "push_quantization": None}


class Asked(Exception):
    """The library was asked to open a model."""


@pytest.fixture
def asked(monkeypatch):
    """What turbo(...) gives to the library: path, threads, max_length, bits, quantization, chat_template, cache."""

    def open_model(*arguments):
        raise Asked(arguments)

    def ask(*args, **options):
        with pytest.raises(Asked) as caught:
            turbo(*args, **options)
        *arguments, progress, log = caught.value.args[0]
        assert (progress is None) == (log is None) == (options.get("verbose") is False)
        return arguments

    monkeypatch.setattr(_load._quantllm, "Model", open_model)
    return ask


@pytest.mark.parametrize("options, bits, quantization", [
    ({}, 0, None), ({"device": "cpu"}, 0, None), ({"device": "auto"}, 0, None), ({"bits": 4}, 4, None),
    ({"quantization": "auto"}, 0, "auto"), ({"quantization": "q4_k_m"}, 0, "q4_k_m"),
    ({"bits": 4, "quantization": "Q4_K_M"}, 4, "Q4_K_M"), ({"dtype": "float32"}, 0, "F32"),
    ({"dtype": "float32", "quantization": "f32"}, 0, "F32"), ({"dtype": "float32", "quantization": "auto"}, 0, "F32"),
])
def test_type(asked, tiny, options, bits, quantization):
    assert asked(tiny, **options) == [os.fsencode(tiny), 0, 0, bits, quantization, None, None, None, True]


@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6, 8, 16])
def test_bits(asked, tiny, bits):
    assert asked(str(tiny), bits=bits, verbose=False)[3] == bits


def test_other_options(asked, tiny):
    options = {"threads": 3, "max_length": 77, "chat_template": "{{ x }}", "cache": False, "quantization": "Q8_0",
               "kv_cache": "q4"}
    assert asked(tiny, **options) == [os.fsencode(tiny), 3, 77, 0, "Q8_0", "q4", None, "{{ x }}", False]


def test_what_exists_is_a_path(asked, tmp_path, monkeypatch):
    """Also when it looks like a name of the Hub; a folder may be followed by a choice."""
    (tmp_path / "owner" / "name").mkdir(parents=True)
    (tmp_path / "file.safetensors").touch()
    monkeypatch.chdir(tmp_path)
    for name in ("owner/name", "owner/name/", "owner/name:Q4_K_M", "owner/name:x.gguf", "file.safetensors", "owner"):
        assert asked(name)[0] == name.encode()


def test_config(tiny):
    def kept(config):
        with turbo(tiny, verbose=False, config=config) as model:
            return model.export_push_config

    assert kept(None) == kept({}) == kept({"format": None}) == DEFAULTS
    assert kept({"quantization": "Q8_0"}) == {**DEFAULTS, "quantization": "Q8_0", "push_quantization": "Q8_0"}
    assert kept({"export_format": "gguf"}) == {**DEFAULTS, "format": "gguf", "push_format": "gguf"}
    assert kept({"format": "gguf", "push_format": "mlx"}) == {**DEFAULTS, "format": "gguf", "push_format": "mlx"}


class Loud:
    """A model of the library that takes a while and has something to say."""

    def __new__(cls, path, *arguments):
        *arguments, progress, log = arguments
        if progress:
            for i in range(11):
                progress(i / 10)
            log("x.weight: rows of 100 take Q8_0")
            progress(1.0)
        return _quantllm.Model(path, *arguments, progress, log)


@pytest.fixture
def loud(monkeypatch):
    class Module:
        Model = Loud

    monkeypatch.setattr(_load, "_quantllm", Module)
    monkeypatch.setattr(_stderr, "PATIENCE", 0.0)


def test_lines_of_the_library_are_shown(loud, tiny, capsys):
    turbo(tiny).close()
    turbo(tiny, verbose=False).close()
    out, err = capsys.readouterr()
    assert out == "" and "\r" not in err  # no bar where nobody looks
    first, *_, last = err.splitlines()
    assert first == "quantllm: x.weight: rows of 100 take Q8_0" and last.startswith("quantllm: tiny.gguf: ")
    assert err.count("rows of 100") == 1


def test_bar_on_a_terminal(loud, tiny, monkeypatch):
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    os.set_blocking(master, False)
    with open(slave, "w", buffering=1) as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        turbo(tiny).close()
        drawn = b""
        with contextlib.suppress(BlockingIOError):
            while True:
                drawn += os.read(master, 10_000)
        turbo(tiny, verbose=False).close()
        with pytest.raises(BlockingIOError):
            os.read(master, 10_000)
        monkeypatch.undo()
    os.close(master)
    lines = drawn.decode().replace("\r\n", "\n").split("\n")
    assert lines[0].startswith("\rloading tiny.gguf:   0%|") and "quantllm: x.weight: rows of 100" in lines[0]
    assert lines[-1] == "" and lines[-2].rsplit("\r", 1)[-1].startswith("quantllm: tiny.gguf: ")  # the bar is gone


def test_no_stderr(tiny, monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    turbo(tiny).close()


# ---- None ----


NAMES = ("max_new_tokens", "temperature", "top_p", "top_k", "min_p", "typical_p", "repetition_penalty",
         "frequency_penalty", "presence_penalty", "do_sample")


def test_none_is_the_models_own(tiny, monkeypatch):
    own = {"max_new_tokens": 7, "temperature": 0.25, "top_p": 0.5, "top_k": 9, "min_p": 0.125, "typical_p": 0.75,
           "repetition_penalty": 1.5, "frequency_penalty": 0.5, "presence_penalty": -0.5, "do_sample": True}
    messages = [{"role": "user", "content": "Hi"}]
    with turbo(tiny, verbose=False) as model:
        explicit = model.generate("Once", seed=5, **own), model.chat(messages, seed=5, **own)
        monkeypatch.setattr(model, "_defaults", own)
        nones = dict.fromkeys(NAMES)
        assert (model.generate("Once", seed=5, **nones), model.chat(messages, seed=5, **nones)) == explicit
        assert "".join(model.generate("Once", seed=5, stream=True, **nones)) == explicit[0]
        assert model.last_usage.new_tokens <= 7


def test_none_without_a_recommendation_is_neutral(tiny):
    with turbo(tiny, verbose=False) as model:
        neutral = {"temperature": 1.0, "top_p": 1.0, "top_k": 0, "min_p": 0.0, "typical_p": 1.0,
                   "repetition_penalty": 1.0, "frequency_penalty": 0.0, "presence_penalty": 0.0}
        nones = dict.fromkeys(neutral)
        for sample in (True, False):
            options = {"do_sample": sample, "seed": 3, "max_new_tokens": 12}
            assert model.generate("Once", **nones, **options) == model.generate("Once", **neutral, **options)
        greedy = model.generate("Once", **neutral, do_sample=False, max_new_tokens=12)
        assert model.generate("Once", **nones, do_sample=None, max_new_tokens=12) == greedy
        assert model.generate(["Once"], **nones, do_sample=None, max_new_tokens=12) == [greedy]


def test_tokenizer_of_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        Tokenizer.from_file(tmp_path / "tokenizer.json")


def test_report_tells_where_from(tiny):
    with quantllm.turbo(tiny, verbose=False) as model:
        report = model.report()
        assert report["source"] == report["file"] == os.path.abspath(tiny) and report["model_id"] == str(tiny)
        assert report["quantization"] == model.quantization and report["n_params"] > 0
        assert report["from_cache"] in (True, False)


def mapped(path):
    """Of this process's mappings of a file: kB in memory, and of those in huge pages."""
    total = {"Rss": 0, "FilePmdMapped": 0}
    inside = False
    with open("/proc/self/smaps") as smaps:
        for line in smaps:
            words = line.split()
            if "-" in words[0] and not words[0].endswith(":"):
                inside = words[-1] == str(path)
            elif inside and words[0][:-1] in total:
                total[words[0][:-1]] += int(words[1])
    return total["Rss"], total["FilePmdMapped"]


@pytest.fixture
def folder_with_huge_pages(tmp_path):
    probe = tmp_path / "probe"
    with open(probe, "wb", buffering=0) as file:
        file.write(bytes(4 << 20))
    with open(probe, "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as content:
        assert sum(content[i] for i in range(0, len(content), 4096)) == 0
        if mapped(probe)[1] == 0:
            pytest.skip("files have no huge pages on this file system (ext4 has them from Linux 6.16)")
    return tmp_path


def test_packed_weights_are_mapped_by_huge_pages(smollm, folder_with_huge_pages, monkeypatch):
    monkeypatch.setenv("QUANTLLM_CACHE", str(folder_with_huge_pages / "packed"))
    with turbo(smollm, verbose=False):
        pass
    (packed,) = (folder_with_huge_pages / "packed").iterdir()
    with turbo(smollm, verbose=False) as model:
        model.generate("Hello", max_new_tokens=1)
        resident, huge = mapped(packed)
        assert resident > 80_000 and huge > resident // 2
