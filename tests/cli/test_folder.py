# SPDX-License-Identifier: MIT
"""A Hugging Face folder runs as it is, in the type that is asked for; what is wrong with it is one line."""
import json
import math
import os
import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "golden"))
import make_tiny_folder

PROMPT = ["--greedy", "--max-new-tokens", "12", "hello"]


@pytest.fixture
def folder(tmp_path):
    make_tiny_folder.make(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def run(command, tmp_path):
    def call(*args):
        return command("run", *args, *PROMPT, env={**os.environ, "QUANTLLM_CACHE": str(tmp_path / "cache")})

    return call


def test_default_is_q8_0_for_a_small_model(run, folder):
    done = run(folder)
    assert done.returncode == 0 and done.stdout
    assert b"Q8_0" in done.stderr
    assert run(folder).stdout == done.stdout  # from the cache


def in_group(limit, command, *args):
    """In a mount namespace whose cgroup files (version 2) allow `limit` bytes, all of them used by cold pages of files."""
    script = f"""mount -t tmpfs quantllm-test /sys/fs/cgroup && cd /sys/fs/cgroup && echo {limit} >memory.max &&
        echo {limit} >memory.current && echo inactive_file {limit} >memory.stat && exec "$@\""""
    return subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", *command.argv(*args)], capture_output=True)


def test_memory_of_a_cgroup(command, folder):
    if subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "quantllm-test", "/sys/fs/cgroup"], capture_output=True).returncode:
        pytest.skip("can not make a mount namespace")
    if not any(line.startswith("0::") for line in open("/proc/self/cgroup")):
        pytest.skip("no cgroups of version 2")
    args = ["run", folder, *PROMPT, "--no-cache", "--max-length", "32", "--quantization", "F16"]
    weights = 2 * sum(math.prod(shape) for _, shape in make_tiny_folder.shapes() if len(shape) == 2)
    assert in_group(2 * weights, command, *args).returncode == 0
    done = in_group(weights // 2, command, *args)
    assert done.returncode == 69 and b"GiB free: try quantization " in done.stderr, done
    done = in_group(1000, command, *args)
    assert done.returncode == 69 and b"no quantization would fit" in done.stderr, done


def test_shards_are_one_model(run, folder, tmp_path):
    make_tiny_folder.make(tmp_path / "sharded", shards=3)
    assert run(tmp_path / "sharded", "--quantization", "F32").stdout == run(folder, "--quantization", "F32").stdout


@pytest.mark.parametrize("bits,name", [(2, "Q2_K"), (3, "Q3_K_M"), (4, "Q4_K_M"), (5, "Q5_K_M"), (6, "Q6_K"), (8, "Q8_0"),
                                       (16, "BF16")])
def test_bits_are_names(run, folder, bits, name):
    a, b = run(folder, "--bits", str(bits)), run(folder, "--quantization", name.lower())
    assert a.returncode == b.returncode == 0 and a.stdout == b.stdout
    assert name.encode() in a.stderr


def test_rows_that_no_block_divides_are_told(run, folder):
    done = run(folder, "--bits", "4")
    assert b"of 64 columns, no whole number of Q4_K blocks of 256: Q5_0 instead" in done.stderr


def test_wrong_types(run, folder):
    for args, message in [(["--bits", "7"], b"--bits: must be 2, 3, 4, 5, 6, 8 or 16, got 7"),
                          (["--bits", "4", "--quantization", "Q8_0"], b"bits: 4 means Q4_K_M"),
                          (["--quantization", "int4"], b"must be one of Q2_K, Q3_K_S")]:
        done = run(folder, *args)
        assert done.returncode == 64 and message.split(b":")[-1].strip() in done.stderr, done.stderr


def edited(folder, name, **changes):
    path = folder / name
    content = json.loads(path.read_text())
    for key, value in changes.items():
        *outer, last = key.split("__")
        at = content
        for part in outer:
            at = at[part]
        at[last] = value
    path.write_text(json.dumps(content))


@pytest.mark.parametrize("name,changes,message", [
    ("config.json", {"model_type": "mamba", "architectures": ["MambaForCausalLM"]}, "\"mamba\" is not supported"),
    ("config.json", {"quantization_config": {"quant_method": "gptq"}}, "gptq"),
    ("config.json", {"num_attention_heads": 0}, "num_attention_heads 0"),
    ("config.json", {"hidden_size": "64"}, "hidden_size"),
    ("config.json", {"model_type": "gemma2"}, "tensor"),
    ("tokenizer.json", {"model__vocab": 3}, "an object expected"),
    ("tokenizer.json", {"model__merges": [["a", "b", "c"]]}, "an array of two expected"),
    ("tokenizer.json", {"model__merges": ["a b"]}, "is not in the vocabulary"),
    ("tokenizer.json", {"model__type": "Morse"}, "Morse"),
    ("tokenizer.json", {"normalizer": {"type": "Rot13"}}, "Rot13"),
    ("tokenizer.json", {"pre_tokenizer": {"type": "Lines"}}, "Lines"),
    ("tokenizer.json", {"post_processor": {"type": "BertProcessing"}}, "cls must be [token, id]"),
    ("tokenizer.json", {"decoder": {"type": "Morse"}}, "Morse"),
    ("tokenizer.json", {"added_tokens": [{"id": 256, "content": 3}]}, "content must be a string"),
    ("tokenizer.json", {"added_tokens": [{"id": 256, "content": "x", "lstrip": True}]}, "single_word is missing"),
])
def test_bad_folder_is_one_line(run, folder, name, changes, message):
    edited(folder, name, **changes)
    done = run(folder)
    lines = done.stderr.decode().splitlines()
    assert done.returncode in (65, 66, 69) and len(lines) == 1, done
    assert message in lines[0]


def test_dtypes_that_are_not_read(run, folder):
    path = folder / "model.safetensors"
    good = path.read_bytes()
    for dtype in ("I16", "U16"):
        path.write_bytes(good.replace(b'"BF16"', b'"%s" ' % dtype.encode(), 1))
        done = run(folder)
        assert done.returncode == 65, done
        assert b"tensor model.embed_tokens.weight: dtype %s is not supported" % dtype.encode() in done.stderr


@pytest.mark.parametrize("name,message", [("model.safetensors", "safetensors"), ("tokenizer.json", "tokenizer.json is missing"),
                                          ("config.json", "config.json")])
def test_missing_file(run, folder, name, message):
    (folder / name).unlink()
    done = run(folder)
    assert done.returncode != 0 and message in done.stderr.decode()


def test_chat_takes_the_folders_template(run, folder):
    done = run(folder, "--chat")
    assert done.returncode == 0, done.stderr


def test_every_end_of_the_list_ends(run, folder):
    """generation_config.json lists 256 and 258; 257 is a control token too, but no end. From the cache as well."""
    for _ in range(2):
        for token, ends in ((256, True), (258, True), (257, False)):
            done = run(folder, "--json", "--repetition-penalty", "1", "--logit-bias", f"{token}=10000")
            assert done.returncode == 0, done.stderr
            assert json.loads(done.stdout)["finish_reason"] == ("stop" if ends else "length")
