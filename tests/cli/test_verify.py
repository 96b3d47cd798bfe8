# SPDX-License-Identifier: MIT
"""quantllm verify: a sound model has no findings; damage of each kind is one line, told by Python too."""
import hashlib
import json
import os
import struct

import pytest

import quantllm
from conftest import error_line

import bad_inputs
import make_tiny
import make_tiny_folder


@pytest.fixture
def verify(command, tmp_path):
    """(exit code, findings, summary of --json) of a model with a cache of its own."""
    def call(model, *args):
        env = {**os.environ, "QUANTLLM_CACHE": str(tmp_path / "cache"), "HF_HOME": str(tmp_path / "hf")}
        done = command("verify", model, "--json", *args, env=env)
        assert done.stderr == b"", done
        summary = json.loads(done.stdout)
        text = command("verify", model, *args, env=env)
        assert text.returncode == done.returncode and len(text.stdout.splitlines()) == len(summary["findings"]) + 1, text
        assert summary["ok"] == (done.returncode == 0) == (summary["faults"] == 0)
        return done.returncode, [f["finding"] for f in summary["findings"]], summary

    return call


def values_of(listed):
    total = 0
    for t in listed:
        n = 1
        for dim in t.shape:
            n *= dim
        total += n
    return total


@pytest.mark.parametrize("dtype", make_tiny.TYPES)
def test_sound_file(verify, tmp_path, dtype):
    path = tmp_path / "model.gguf"
    path.write_bytes(make_tiny.build(dtype=dtype))
    code, findings, summary = verify(path)
    _, listed = make_tiny.parts(bad=True)
    assert code == 0 and findings == [] and summary["packed"] == 0
    assert summary["tensors"] == len(listed) and summary["values"] == values_of(listed)
    assert quantllm.verify(path) == {"ok": True, "findings": [], "tensors": len(listed), "values": values_of(listed), "packed": 0}


@pytest.mark.parametrize("number", [bad.number for bad in bad_inputs.TABLE
                                    if bad.action == "open" and bad.code in ("format", "unsupported")])
def test_bad_input(command, tmp_path, number):
    """The line of the table, as a finding."""
    bad = next(b for b in bad_inputs.TABLE if b.number == number)
    path = bad_inputs.path_of(tmp_path, bad)
    bad.make(path)
    want = error_line(command("run", path, "hi", "-q", "--no-cache"), 65)
    done = command("verify", path, "--json")
    assert done.returncode == 65, done
    assert {"severity": "fault", "finding": want} in json.loads(done.stdout)["findings"]


@pytest.mark.parametrize("bits, what", [(0x7fc00000, "1 values are NaN and 0 infinite"),
                                        (0xff800000, "0 values are NaN and 1 infinite")])
def test_one_bad_value(verify, tmp_path, bits, what):
    kvs, listed = make_tiny.parts(bad=True)
    at = 4 * (7 * 64 + 5)
    listed[0].data = listed[0].data[:at] + struct.pack("<I", bits) + listed[0].data[at + 4:]
    path = tmp_path / "model.gguf"
    path.write_bytes(make_tiny.assemble(kvs, listed))
    want = f"{path}: tensor token_embd.weight: {what} of {288 * 64}, the first at row 7, column 5"
    assert verify(path)[:2] == (65, [want])
    assert quantllm.verify(path)["findings"] == [{"severity": "fault", "finding": want}]


def test_bad_values_of_a_folder(verify, tmp_path):
    make_tiny_folder.make(tmp_path / "model")
    file = tmp_path / "model" / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-2:] = b"\x80\x7f"  # BF16 infinity, the last of model.norm.weight
    file.write_bytes(content)
    code, findings, _ = verify(tmp_path / "model")
    assert code == 65 and findings == [f"{tmp_path}/model: tensor model.norm.weight: 0 values are NaN and 1 infinite of 64, the "
                                       "first at row 0, column 63"]


def test_warnings_are_no_faults(verify, tmp_path):
    path = tmp_path / "model.gguf"
    path.write_bytes(make_tiny.build(template="bad55") + b"x")
    code, findings, summary = verify(path)
    assert code == 0 and summary["warnings"] == 2, findings
    assert any("after the last tensor" in f for f in findings) and any("chat is off" in f for f in findings)


# ---- the packed cache ----


@pytest.fixture
def packed(command, tmp_path):
    """A folder and its packed file."""
    model = tmp_path / "model"
    make_tiny_folder.make(model)
    done = command("run", model, "hi", "--greedy", "--max-new-tokens", "2", "--bits", "4",
                   env={**os.environ, "QUANTLLM_CACHE": str(tmp_path / "cache")})
    assert done.returncode == 0, done
    file, = (tmp_path / "cache").glob("*.packed")
    return model, file


def test_sound_packed_file(verify, packed):
    code, findings, summary = verify(packed[0])
    assert (code, findings, summary["packed"]) == (0, [], 1)


@pytest.mark.parametrize("place, what", [(200, "packed"), (-1000, "tensors are not what packing the model gives")])
def test_damaged_packed_file(verify, packed, place, what):
    model, file = packed
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)
    code, findings, _ = verify(model)
    assert code == 65 and len(findings) == 1, findings
    assert findings[0].startswith(str(file)) and what in findings[0] and "delete it" in findings[0]


def test_every_tensor_is_compared(verify, packed):
    """A bit at 12 places of the data, of which padding may be some."""
    model, file = packed
    content = file.read_bytes()
    found = 0
    for i in range(12):
        at = len(content) - 1 - (len(content) // 2) * i // 12
        file.write_bytes(content[:at] + bytes([content[at] ^ 64]) + content[at + 1:])
        found += verify(model)[0] == 65
    file.write_bytes(content)
    assert found >= 10 and verify(model)[0] == 0


# ---- checksums ----


def in_hub(files, root, name="org/tiny"):
    """The files as the Hub's cache keeps them; small ones named by git's SHA-1, the weights by SHA-256."""
    repo = root / "hub" / f"models--{name.replace('/', '--')}"
    commit = "a" * 40
    (repo / "blobs").mkdir(parents=True)
    (repo / "snapshots" / commit).mkdir(parents=True)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text(commit)
    for file in files:
        content = file.read_bytes()
        large = file.suffix == ".safetensors"
        digest = hashlib.sha256(content) if large else hashlib.sha1(b"blob %d\0" % len(content) + content)
        (repo / "blobs" / digest.hexdigest()).write_bytes(content)
        (repo / "snapshots" / commit / file.name).symlink_to(f"../../blobs/{digest.hexdigest()}")
    return repo


def test_checksums(verify, tmp_path):
    make_tiny_folder.make(tmp_path / "source")
    repo = in_hub(sorted((tmp_path / "source").iterdir()), tmp_path / "hf")
    snapshot = repo / "snapshots" / ("a" * 40)
    for model in ("org/tiny", snapshot):
        code, findings, summary = verify(model)
        assert (code, findings, summary["checksums"]) == (0, [], 5)
    weights = (snapshot / "model.safetensors").resolve()
    content = bytearray(weights.read_bytes())
    content[-1000] ^= 1  # a weight a little different: no rule of the format tells
    weights.write_bytes(content)
    code, findings, _ = verify("org/tiny")
    assert code == 65 and len(findings) == 1 and "model.safetensors: its content does not have the checksum" in findings[0]


def test_checksums_of_a_split_model(verify, tmp_path):
    """Every shard, whichever is named; and nothing else of the folder."""
    kvs, listed = make_tiny.parts()
    (tmp_path / "source").mkdir()
    for i, part in enumerate((listed[:9], listed[9:])):
        split = [make_tiny.Kv("split.no", make_tiny.U16, i), make_tiny.Kv("split.count", make_tiny.U16, 2),
                 make_tiny.Kv("split.tensors.count", make_tiny.I32, len(listed))]
        (tmp_path / "source" / f"m-0000{i + 1}-of-00002.gguf").write_bytes(
            make_tiny.assemble((kvs if i == 0 else kvs[:1]) + split, part))
    (tmp_path / "source" / "other.gguf").write_bytes(make_tiny.build() + b"x")
    repo = in_hub(sorted((tmp_path / "source").iterdir()), tmp_path / "hf", "org/split")
    snapshot = repo / "snapshots" / ("a" * 40)
    for number in (1, 2):
        code, findings, summary = verify(snapshot / f"m-0000{number}-of-00002.gguf")
        assert (code, findings, summary["checksums"], summary["tensors"]) == (0, [], 2, len(listed))
    second = (snapshot / "m-00002-of-00002.gguf").resolve()
    second.write_bytes(second.read_bytes() + b"\0")
    code, findings, _ = verify(snapshot / "m-00001-of-00002.gguf")
    assert code == 65 and any("1 bytes after the last tensor" in f for f in findings) and any("checksum" in f for f in findings)


# ---- the verb ----


def test_usage(command, tmp_path):
    assert "MODEL is missing" in error_line(command("verify"), 64)
    assert error_line(command("verify", tmp_path / "none.gguf"), 1).endswith("No such file or directory")
    assert "quantllm pull org/none downloads it" in error_line(command("verify", "org/none"), 1)
    assert "--threads: " in error_line(command("verify", "x", "-t", "0"), 64)
    assert b"Look at all of a model" in command("verify", "--help").stdout
