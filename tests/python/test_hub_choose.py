# SPDX-License-Identifier: MIT
"""The command's hub/choose.c and the package's _hub_files.py choose the same files of the same listing."""
import json
import os
import pathlib
import random
import subprocess

import pytest

from quantllm import _quantllm  # noqa: F401  (the package under test is there)
from quantllm._hub_files import choose
from test_hub_files import GGUF, MISTRAL, SHARDS, TINYLLAMA, TYPES

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = pathlib.Path(os.environ.get("QL_HUB_CHOOSE", ROOT / "build" / "tests" / "hub" / "hub_choose"))
CODES = {FileNotFoundError: "not_found", NotImplementedError: "unsupported", ValueError: ("argument", "format")}

pytestmark = pytest.mark.skipif(not PROGRAM.exists(), reason=f"{PROGRAM} is not built: make build")


def in_c(names, wanted):
    environment = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}
    done = subprocess.run([PROGRAM, wanted or ""], input=b"".join(name.encode() + b"\0" for name in names),
                          capture_output=True, check=True, env=environment)
    return json.loads(done.stdout)


def same(names, wanted):
    ours = in_c(names, wanted)
    try:
        theirs = choose("o/n", names, wanted)
    except (FileNotFoundError, NotImplementedError, ValueError) as error:
        assert ours.get("code") in CODES[type(error)], (names, wanted, ours, error)
        # the same words, but for the option's spelling and long lists, which each cuts at its own place
        head = str(error).split(":")[0].replace("'", '"')
        assert ours["error"].startswith(head), (ours, error)
        return None
    assert (ours.get("files"), ours["index"], ours["gguf"]) == (theirs.files, theirs.shard_index, theirs.gguf), (
        names, wanted, ours, theirs)
    assert (ours["n_ggufs"] > 1) == (theirs.remark is not None)
    return theirs


@pytest.mark.parametrize("wanted", [None, *TYPES, "q4_k_m", "Q4_K", "Q6_K", "x.gguf", "UD-Q4_K_XL", "tiny-1.1b-chat.Q2_K.gguf",
                                    SHARDS[0], SHARDS[2].rsplit("/")[-1]])
@pytest.mark.parametrize("names", [TINYLLAMA, MISTRAL, GGUF, SHARDS, SHARDS[:2], [*SHARDS, "x.F16.gguf"], [*TINYLLAMA, *GGUF],
                                   [*MISTRAL, "model.safetensors"]], ids=lambda names: f"{names[0]}-{len(names)}")
def test_known_listings(names, wanted):
    same(names, wanted)


@pytest.mark.parametrize("names", [
    [], ["README.md"], ["config.json"], ["model.safetensors"], ["config.json", "model.safetensors", "vocab.json", "merges.txt"],
    ["config.json", "pytorch_model.bin"], ["onnx/model.onnx"], ["adapter_config.json", "a.safetensors"], ["unet.safetensors"],
    ["../a.gguf", "/b.gguf", "c\\d.gguf", "e\n.gguf", "f\x7f.gguf", "g//h.gguf", "./i.gguf", "j" * 251 + ".gguf"],
    ["a.Q4_K_M.gguf", "b.Q4_K_M.gguf"], ["A.GGUF", "b.Gguf"], ["x-MMPROJ.gguf", "imatrix.gguf"], ["é/ä.Q8_0.gguf"],
    ["a-00001-of-00002.gguf", "a-00002-of-00002.gguf", "a-00001-of-00003.gguf"],
    ["a-00002-of-00002.gguf", "a-00003-of-00002.gguf"], ["b-00001-of-00001.GGUF"], ["-00001-of-00001.gguf"],
    ["a/b-00001-of-00002.gguf", "a/b-00002-of-00002.gguf", "a-b.gguf"],
], ids=lambda names: names[0] if names else "nothing")
@pytest.mark.parametrize("wanted", [None, "Q4_K_M", "Q8_0", "a-00001-of-00002.gguf"])
def test_strange_listings(names, wanted):
    same(names, wanted)


def test_listings_made_at_random():
    source = random.Random(11)
    stems = ["model", "a", "b.c", "sub/x", "Q8_0/y", "tiny-q4_k_m", "mmproj-z", "UPPER"]
    kinds = ["Q4_K_M", "q4_k_m", "Q4_K_S", "Q8_0", "f16", "BF16", "IQ4_XS", "Q4_K", "", "UD-Q2_K_XL"]
    others = ["config.json", "tokenizer.json", "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin",
              "generation_config.json", "chat_template.jinja", "vocab.json", "added_tokens.json", "../up.gguf"]
    chosen = 0
    for _ in range(250):
        names = source.sample(others, source.randrange(5))
        for _ in range(source.randrange(5)):
            stem, kind, joint = source.choice(stems), source.choice(kinds), source.choice(".-_")
            base = f"{stem}{joint}{kind}" if kind else stem
            count = source.choice([0, 0, 1, 2, 3])
            shards = [f"{base}-{i + 1:05}-of-{count:05}.gguf" for i in range(count)]
            names += shards[:source.choice([count, count, count, max(0, count - 1)])] or [f"{base}.gguf"]
        names = list(dict.fromkeys(names))
        source.shuffle(names)
        wanted = source.choice([None, None, *kinds[:8], source.choice(names) if names else "x"])
        chosen += same(names, wanted or None) is not None
    assert chosen > 60
