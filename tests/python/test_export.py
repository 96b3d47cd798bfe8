# SPDX-License-Identifier: MIT
"""Exported GGUF files beside llama.cpp's quantizer (tests/golden/export.json), and beside what the library itself computes with
the same types. Files are read with tools/gguf_to_hf.py's reader, which shares nothing with the library."""
import hashlib
import json
import os
import pathlib
import shutil
import sys

import numpy as np
import pytest

from conftest import ROOT
from quantllm import turbo

sys.path[:0] = [str(ROOT / "tests" / "golden"), str(ROOT / "tools")]
import gguf_to_hf
import make_export
import make_tiny

GOLDEN = json.loads((ROOT / "tests" / "golden" / "export.json").read_text())
TYPES = {"F32": (0, 1, 4), "F16": (1, 1, 2), "BF16": (30, 1, 2), "Q4_0": (2, 32, 18), "Q4_1": (3, 32, 20), "Q5_0": (6, 32, 22),
         "Q5_1": (7, 32, 24), "Q8_0": (8, 32, 34), "Q2_K": (10, 256, 84), "Q3_K": (11, 256, 110), "Q4_K": (12, 256, 144),
         "Q5_K": (13, 256, 176), "Q6_K": (14, 256, 210), "IQ4_NL": (20, 32, 18), "IQ4_XS": (23, 256, 136)}
NAMES = {number: name for name, (number, _, _) in TYPES.items()}


class File:
    """A GGUF file: its entries as (type, value), and each tensor's type, shape and bytes, in order."""

    def __init__(self, path):
        r = gguf_to_hf.Reader(pathlib.Path(path).read_bytes())
        assert r.data[:4] == b"GGUF"
        r.at = 8
        n_tensors, n_keys = r.take("<u8"), r.take("<u8")
        self.entries, self.tensors = {}, {}
        for _ in range(n_keys):
            key, kind = r.string(), r.take("<u4")
            assert key not in self.entries
            self.entries[key] = kind, r.value(kind)
        infos = []
        for _ in range(n_tensors):
            name = r.string()
            shape = tuple(r.take("<u8") for _ in range(r.take("<u4")))
            infos.append((name, shape, NAMES[r.take("<u4")], r.take("<u8")))
        self.alignment = self.entries.get("general.alignment", (4, 32))[1]
        begin = at = -(-r.at // self.alignment) * self.alignment
        assert not any(r.data[r.at:begin])
        for name, shape, kind, offset in infos:
            _, block, size = TYPES[kind]
            n = int(np.prod(shape)) // block * size
            assert begin + offset == at and shape[0] % block == 0  # as llama.cpp wants them: one behind the other
            self.tensors[name] = kind, shape, r.data[at:at + n]
            at += -(-n // self.alignment) * self.alignment
        assert at == len(r.data) or not infos

    def values(self, name):
        kind, _, data = self.tensors[name]
        assert kind == "F32"
        return np.frombuffer(data, "<f4")


def export(path, out, quantization, **options):
    with turbo(path, verbose=False, cache=False, threads=1) as model:
        assert model.export("gguf", out, quantization=quantization) == os.fspath(out)
    return File(out)


@pytest.fixture(scope="module", params=list(GOLDEN))
def wide(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("wide") / f"{request.param}.gguf"
    path.write_bytes(make_export.MODELS[request.param]())
    return request.param, path


@pytest.mark.slow
def test_what_llama_cpp_makes_of_it(wide, tmp_path):
    """Types as its quantizer gives them, legacy types to the byte, the others' values as near."""
    name, path = wide
    source = File(path)
    with turbo(path, verbose=False, cache=False) as model:
        for quantization, golden in GOLDEN[name].items():
            file = File(model.export("gguf", tmp_path / "out.gguf", quantization=quantization))
            assert {t: kind for t, (kind, _, _) in file.tensors.items()} == {t: kind for t, (kind, _) in golden.items()}
            assert {t: shape for t, (_, shape, _) in file.tensors.items()} == {t: shape for t, (_, shape, _) in source.tensors.items()}
            for tensor, (kind, expected) in golden.items():
                if isinstance(expected, str):
                    assert hashlib.sha256(file.tensors[tensor][2]).hexdigest()[:16] == expected, (quantization, tensor)
            assert file.entries["general.file_type"] == (4, make_export.QUANTIZATIONS[quantization])


@pytest.mark.slow
@pytest.mark.parametrize("quantization", ["Q2_K", "Q3_K_M", "Q4_K_M", "Q5_K_M", "Q6_K", "IQ4_NL", "IQ4_XS"])
def test_values_are_as_near_as_llama_cpps(wide, tmp_path, quantization):
    name, path = wide
    source = File(path)
    export(path, tmp_path / "out.gguf", quantization)
    back = export(tmp_path / "out.gguf", tmp_path / "back.gguf", "F32")
    for tensor, (kind, expected) in GOLDEN[name][quantization].items():
        if not isinstance(expected, str):
            error = back.values(tensor).astype(np.float64) - source.values(tensor)
            assert np.sqrt(np.mean(error ** 2)) <= 1.02 * expected, (kind, tensor)


@pytest.mark.slow
@pytest.mark.parametrize("quantization", ["Q4_K_M", "Q8_0", "Q2_K", "IQ4_XS", "F16"])
def test_runs_as_if_quantized_at_load(wide, tmp_path, quantization):
    """The same logits to the bit; of fused tensors, whose parts share a type in a file, where all parts have that type."""
    name, path = wide
    if name == "phi3" and quantization in ("Q4_K_M", "Q2_K", "IQ4_XS"):
        pytest.skip("q, k and v get one type in a file, each its own at load")
    export(path, tmp_path / "out.gguf", quantization)
    ids = list(range(40))
    with turbo(path, quantization=quantization, verbose=False, cache=False) as loaded:
        want = loaded.logits(ids).tobytes()
    with turbo(tmp_path / "out.gguf", verbose=False, cache=False) as exported:
        assert exported.quantization == quantization
        assert exported.logits(ids).tobytes() == want


def test_all_metadata_stays(tiny, tmp_path):
    source = File(tiny)
    file = export(tiny, tmp_path / "out.gguf", "Q8_0")
    changed = {"general.file_type": (4, 7), "general.quantization_version": (4, 2)}
    assert file.entries == {**source.entries, **changed}
    assert list(file.tensors) == list(source.tensors)
    for name, (kind, shape, data) in source.tensors.items():
        assert file.tensors[name][1] == shape
        assert len(shape) > 1 or file.tensors[name] == (kind, shape, data)


@pytest.mark.parametrize("alignment", [8, 64, 4096])
def test_alignment_stays(tmp_path, alignment):
    kvs, listed = make_tiny.parts()
    kvs = [kv for kv in kvs if kv.key != "general.alignment"] + [make_tiny.Kv("general.alignment", make_tiny.U32, alignment)]
    (tmp_path / "in.gguf").write_bytes(make_tiny.assemble(kvs, listed, alignment=alignment))
    assert export(tmp_path / "in.gguf", tmp_path / "out.gguf", "Q4_0").alignment == alignment


@pytest.mark.parametrize("quantization", ["auto", "F32"])
def test_same_type_is_copied(tiny, tmp_path, quantization):
    source, file = File(tiny), export(tiny, tmp_path / "out.gguf", quantization)
    assert file.tensors == source.tensors
    if quantization == "auto":
        assert file.entries == source.entries


def test_types_that_are_right_already_are_not_quantized_again(make_tiny, tmp_path):
    source = File(make_tiny("tiny_q8_0.gguf", "--dtype", "q8_0"))
    file = export(make_tiny("tiny_q8_0.gguf", "--dtype", "q8_0"), tmp_path / "out.gguf", "Q4_0")
    kinds = {name: kind for name, (kind, _, _) in file.tensors.items()}
    assert kinds["token_embd.weight"] == "Q8_0"  # for Q6_K, whose blocks do not fit 64 columns
    assert file.tensors["token_embd.weight"] == source.tensors["token_embd.weight"]
    assert kinds["blk.0.attn_q.weight"] == "Q4_0"


def test_parts_become_one(tmp_path):
    kvs, listed = make_tiny.parts()
    whole, parts = tmp_path / "whole.gguf", []
    whole.write_bytes(make_tiny.assemble(kvs, listed))
    for i, data in enumerate(make_tiny.split(*make_tiny.parts(), 3)):
        parts.append(tmp_path / f"part-{i + 1:05}-of-00003.gguf")
        parts[-1].write_bytes(data)
    file, source = export(parts[1], tmp_path / "out.gguf", "auto"), File(whole)
    assert file.tensors == source.tensors and file.entries == source.entries


@pytest.mark.slow
def test_level_and_threads_change_nothing(tmp_path, run_script):
    path, made = tmp_path / "model.gguf", set()
    path.write_bytes(make_export.llama())
    for isa, threads in (("scalar", 1), ("avx2", 2), ("avx512", 3)):
        script = run_script("import sys; from quantllm import turbo\n"
                            "with turbo(sys.argv[1], verbose=False, cache=False, threads=int(sys.argv[3])) as m:\n"
                            "    m.export('gguf', sys.argv[2], quantization='Q4_K_M')\n",
                            path, tmp_path / "out.gguf", str(threads), env={**os.environ, "QUANTLLM_ISA": isa})
        if "QUANTLLM_ISA" in script.stderr:
            continue
        assert script.returncode == 0, script.stderr
        made.add((tmp_path / "out.gguf").read_bytes())
    assert len(made) == 1


# ---- the method ----


def test_defaults_of_config(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = shutil.copy(tiny, tmp_path / "small.F32.gguf")
    with turbo("small.F32.gguf", verbose=False, config={"format": "gguf", "quantization": "q5_0"}) as model:
        assert model.export() == "small.Q5_0.gguf"
        assert model.export(quantization="Q8_0") == "small.Q8_0.gguf"
        assert model.export("gguf", pathlib.Path("a.gguf"), quantization="auto") == "a.gguf"
        assert File("small.Q5_0.gguf").tensors["blk.0.attn_q.weight"][0] == "Q5_0"
        monkeypatch.chdir("/")
        assert File(model.export(path=tmp_path / "b.gguf")).tensors["blk.0.attn_q.weight"][0] == "Q5_0"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.gguf", "b.gguf", "small.F32.gguf", "small.Q5_0.gguf", "small.Q8_0.gguf"]
    assert File(source).tensors == File(tiny).tensors


def test_says_so_on_stderr_alone(tiny, tmp_path, capfd):
    with turbo(tiny, cache=False) as model:
        capfd.readouterr()
        model.export("gguf", tmp_path / "out.gguf", quantization="Q8_0")
        out, err = capfd.readouterr()
    assert out == "" and err.startswith(f"quantllm: {tmp_path}/out.gguf: Q8_0, ") and err.count("\n") == 1, err
    with turbo(tiny, cache=False, verbose=False) as model:
        model.export("gguf", tmp_path / "out.gguf", quantization="Q8_0")
    assert capfd.readouterr() == ("", "")


class BytesPath:
    def __fspath__(self):
        return b"a.gguf"


@pytest.mark.parametrize("error, message, args, options", [
    (ValueError, "Unknown format: tflite. Supported: ['gguf']", ("tflite",), {}),
    (ValueError, "format 'onnx' is not written by this version. Supported: ['gguf']", ("onnx",), {}),
    (ValueError, "format 'mlx' is not written by this version. Supported: ['gguf']", ("mlx",), {}),
    (ValueError, "format 'safetensors' (the default of turbo(config={\"format\": ...})) is not written by this version. "
                 "Supported: ['gguf']", (), {}),
    (TypeError, "export() has no parameter 'quantisation': did you mean 'quantization'?", ("gguf",), {"quantisation": "Q8_0"}),
    (TypeError, "format must be str, got int (3)", (3,), {}),
    (TypeError, "path must be str or Path, got int (3)", ("gguf", 3), {}),
    (TypeError, "quantization must be str, got int (8)", ("gguf", "x.gguf"), {"quantization": 8}),
    (TypeError, "path must be str or Path, got bytes (b'a.gguf')", ("gguf", BytesPath()), {}),
    (ValueError, "path must not contain a NUL character", ("gguf", "a\0b"), {}),
    (ValueError, "quantization must be one of Q2_K, ", ("gguf", "x.gguf"), {"quantization": "Q9_K"}),
    (FileNotFoundError, "/no/such/x.gguf: its folder is not there", ("gguf", "/no/such/x.gguf"), {}),
    (ValueError, "/dev/null: is not a regular file, expected the path of a file to write", ("gguf", "/dev/null"), {}),
    (ValueError, "out is empty: give the path of the file to write", ("gguf", ""), {}),
])
def test_refused(model, tmp_path, monkeypatch, error, message, args, options):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error) as raised:
        model.export(*args, **options)
    assert str(raised.value).startswith(message)
    assert not list(tmp_path.iterdir())


def test_own_file_is_refused(tiny, tmp_path):
    source = shutil.copy(tiny, tmp_path / "model.gguf")
    os.link(source, tmp_path / "other.gguf")
    os.symlink(source, tmp_path / "link.gguf")
    before = pathlib.Path(source).read_bytes()
    with turbo(source, verbose=False, cache=False) as model:
        for name in ("model.gguf", "other.gguf", "link.gguf"):
            with pytest.raises(ValueError, match="is a file of the model itself"):
                model.export("gguf", tmp_path / name, quantization="Q8_0")
    assert pathlib.Path(source).read_bytes() == before and len(list(tmp_path.iterdir())) == 3


def test_closed_model(tiny, tmp_path):
    model = turbo(tiny, verbose=False, cache=False)
    model.close()
    with pytest.raises(ValueError, match="model is closed"):
        model.export("gguf", tmp_path / "x.gguf")


def test_interrupted(smollm, tmp_path):
    """Ctrl-C while it is written: KeyboardInterrupt, and nothing is left."""
    import signal

    with turbo(smollm, verbose=False) as model:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        before = signal.signal(signal.SIGALRM, signal.default_int_handler)
        try:
            with pytest.raises(KeyboardInterrupt):
                model.export("gguf", tmp_path / "out.gguf", quantization="Q2_K")
        finally:
            signal.signal(signal.SIGALRM, before)
    assert not list(tmp_path.iterdir())
