# SPDX-License-Identifier: MIT
"""Every architecture against transformers (tests/golden/archs.json): logits in F32, from a folder and from GGUF."""
import os
import pathlib
import subprocess
import sys

import pytest

np = pytest.importorskip("numpy")

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "golden"))

import arch_models  # noqa: E402
from quantllm import turbo  # noqa: E402

CASES = arch_models.load()
NMSE = 1e-8
OURS = [name for name in CASES if not name.startswith("published: ")]  # the others have all been seen in other forms
# What llama.cpp's GGUF files have no form for: windows of these, dynamic scaling, norms of Phi's queries and keys, experts'
# weights that do not sum to 1, Gemma's scale of scores, Falcon's sequential layers.
NO_GGUF = {"llama, dynamic", "mistral, window", "mistral, long window", "qwen2, window", "phi, qk norm",
           "qwen3_moe, some dense", "gemma2, scalar", "falcon, sequential"}


def max_length(case):
    """Where frequencies depend on it, the length for which transformers computed them."""
    rope = case["config"].get("rope_parameters") or {}
    return len(case["ids"]) if rope.get("rope_type") == "dynamic" else max(64, len(case["ids"]))


def check(path, case, **options):
    want = arch_models.logits(case).astype(np.float64)
    with turbo(path, dtype="float32", max_length=max_length(case), verbose=False, cache=False, **options) as model:
        got = np.array(model.logits(case["ids"]), dtype=np.float64)[-len(want):]
    assert ((got - want) ** 2).sum() / (want ** 2).sum() <= NMSE
    best = np.sort(want, axis=1)
    clear = best[:, -1] - best[:, -2] > 1e-3
    assert clear.any()
    assert (got.argmax(1) == want.argmax(1))[clear].all()


@pytest.mark.parametrize("name", CASES)
def test_folder(name, tmp_path):
    arch_models.write_folder(tmp_path / "model", CASES[name])
    check(tmp_path / "model", CASES[name])


@pytest.mark.parametrize("name", [name for name in OURS if name not in NO_GGUF])
def test_gguf(name, tmp_path):
    arch_models.write_gguf(tmp_path / "model.gguf", CASES[name])
    check(tmp_path / "model.gguf", CASES[name])


@pytest.mark.parametrize("name", OURS)
def test_packed(name, tmp_path):
    """What the second start maps is what the first one computed with."""
    case = CASES[name]
    arch_models.write_folder(tmp_path / "model", case)
    options = {"quantization": "Q4_K_M", "max_length": max_length(case), "verbose": False}
    logits = []
    for start in range(2):
        with turbo(tmp_path / "model", **options) as model:
            assert model.report()["from_cache"] == bool(start)
            logits.append(bytes(model.logits(case["ids"])))
    assert logits[0] == logits[1]
    want = arch_models.logits(case)
    got = np.frombuffer(logits[1], dtype="<f4").reshape(-1, want.shape[1])[-len(want):]
    assert ((got - want) ** 2).sum() / (want ** 2).sum() < 0.5  # random weights in 4 bits


# One of each kind of stage: mixtures, windows over chunks, capped scores, LayerNorm and parallel layers, all heads' norms.
VARIED = ["mixtral", "mixtral, wide", "qwen3_moe, some dense", "mistral, long window", "gemma2", "gpt_neox", "cohere, qk norm", "olmo2", "gpt2"]
HASH = """
import hashlib, sys
from quantllm import turbo
folder, quantization, threads, ids = sys.argv[1], sys.argv[2], int(sys.argv[3]), [int(i) for i in sys.argv[4].split()]
with turbo(folder, quantization=quantization, threads=threads, max_length=1024 if len(ids) > 128 else 128, verbose=False,
           cache=False) as model:
    print(hashlib.sha256(bytes(model.logits(ids))).hexdigest())
"""


def hashed(folder, quantization, threads, ids, isa):
    command = [sys.executable, "-c", HASH, str(folder), quantization, str(threads), " ".join(map(str, ids))]
    return subprocess.run(command, env={**os.environ, "QUANTLLM_ISA": isa}, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("name", VARIED)
def test_same_bits(name, tmp_path):
    """On every level and with any number of threads."""
    case, folder = CASES[name], tmp_path / "model"
    arch_models.write_folder(folder, case)
    for quantization in ("F32", "Q4_K_M" if "wide" in name else "Q4_0"):
        want = hashed(folder, quantization, 1, case["ids"], "scalar")
        assert len(want) == 65
        for isa, threads in (("avx2", 1), ("avx512", 2), ("avx512", 3)):
            assert hashed(folder, quantization, threads, case["ids"], isa) == want, (quantization, isa, threads)


@pytest.mark.parametrize("name", VARIED)
def test_same_text_alone_and_in_a_list(name, tmp_path):
    case, folder = CASES[name], tmp_path / "model"
    arch_models.write_folder(folder, case)
    prompts = ["Hello there, general", "a", "what of a prompt that is a good deal longer than the others of its list?"]
    with turbo(folder, quantization="Q4_0", verbose=False, cache=False, seed=1) as model:
        together = model.generate(prompts, max_new_tokens=12, seed=5)
        assert [model.generate(p, max_new_tokens=12, seed=5) for p in prompts] == together
        assert any(together)


@pytest.mark.parametrize("name", ["mistral, long window", "gemma3_text, long"])
def test_decoding_at_length(name, tmp_path):
    """Token by token, chunks shared out, windows that begin inside a chunk: the same as all at once."""
    arch_models.write_folder(tmp_path / "model", CASES[name])
    prompt = "".join(chr(32 + i * i % 95) for i in range(620))
    for quantization in ("F32", "Q4_0"):
        with turbo(tmp_path / "model", quantization=quantization, verbose=False, cache=False, threads=2) as model:
            text = model.generate(prompt, max_new_tokens=20, temperature=0, repetition_penalty=1.0,
                                  logit_bias={i: float("-inf") for i in (2, *range(95, 128))})  # what spells itself
            ids, new = model.tokenize(prompt + text), len(model.tokenize(text))
            assert new >= 10
            logits = np.array(model.logits(ids))[-new - 1:-1, :95]
            logits[:, 2] = -np.inf
            best = logits.argmax(1)
        assert best.tolist() == ids[-new:]


def test_default_length_is_the_unscaled_context(tmp_path):
    """Of models whose rotation depends on length: no choice of ours makes a short text use the long factors."""
    for name, length in (("phi3, longrope short", 64), ("llama, dynamic", 32), ("llama, yarn", 128)):
        arch_models.write_folder(tmp_path / name, CASES[name])
        with turbo(tmp_path / name, verbose=False, cache=False) as model:
            assert model.report()["max_length"] == length
