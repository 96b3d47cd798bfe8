# SPDX-License-Identifier: MIT
"""Hugging Face folders exported as GGUF: every architecture against transformers (archs.json) and against the GGUF form that a
kept script makes of it, as llama.cpp's converter does; what has no exact form is refused. Tokenizers: test_tokenizer_families.py."""
import json
import os
import sys

import pytest

np = pytest.importorskip("numpy")

from conftest import ROOT
from quantllm import turbo
from test_archs import CASES, NO_GGUF, check
from test_export import File

sys.path.insert(0, str(ROOT / "tests" / "golden"))
import arch_models
import make_tiny_folder

NOT_WRITTEN = "models of architecture \"{}\" are not written as GGUF by this version"
NO_FORM = 'a GGUF file of architecture "{}" has no form for {}'
NORMS = "a GGUF file of this architecture has no form for norms of queries and keys"
WINDOW = "its sliding window"
REFUSED = {
    "llama, dynamic": NO_FORM.format("llama", "its rotation (rope)"),
    "mistral, window": NO_FORM.format("llama", WINDOW), "mistral, long window": NO_FORM.format("llama", WINDOW),
    "published: Mistral v0.1": NO_FORM.format("llama", WINDOW), "qwen2, window": NO_FORM.format("qwen2", WINDOW),
    "published: StarCoder2": NO_FORM.format("starcoder2", WINDOW),
    "qwen3_moe, some dense": NO_FORM.format("qwen3moe", "its mixture of experts"),
    "gemma2, scalar": NO_FORM.format("gemma2", "its scale of scores"),
    "phi, qk norm": NORMS, "stablelm, parallel, qk norm": NORMS, "published: StableLM 2 12B": NORMS, "cohere, qk norm": NORMS,
    **{name: NOT_WRITTEN.format(case["config"]["model_type"]) for name, case in CASES.items()
       if case["config"]["model_type"] in ("phi3", "gpt2", "gpt_neox", "falcon", "glm4")}}


def export(folder, out, quantization, **options):
    with turbo(folder, verbose=False, cache=False, threads=1, quantization="F32", **options) as model:
        return model.export("gguf", out, quantization=quantization)


SANITIZED = {"llama, biases", "llama, llama3", "mixtral", "gemma2", "phi, qk norm"}  # of these the sanitized build sees a sample


@pytest.mark.parametrize("name", [name if name in SANITIZED else pytest.param(name, marks=pytest.mark.slow) for name in CASES])
def test_architecture(name, tmp_path):
    case = CASES[name]
    arch_models.write_folder(tmp_path / "model", case)
    if name in REFUSED:
        with pytest.raises(NotImplementedError) as raised:
            export(tmp_path / "model", tmp_path / "out.gguf", "F32")
        assert str(raised.value).endswith(REFUSED[name]) and str(raised.value).startswith(f"{tmp_path}/model: ")
        assert [p.name for p in tmp_path.iterdir()] == ["model"]
        return
    export(tmp_path / "model", tmp_path / "out.gguf", "F32")
    check(tmp_path / "out.gguf", case)
    if name.startswith("published: ") or name in NO_GGUF:
        return
    arch_models.write_gguf(tmp_path / "want.gguf", case)
    file, want = File(tmp_path / "out.gguf"), File(tmp_path / "want.gguf")
    assert set(file.tensors) == set(want.tensors)
    for tensor, expected in want.tensors.items():
        assert file.tensors[tensor] == expected, tensor
    said = {key: value for key, value in want.entries.items() if "tokenizer" not in key}
    defaults = ("attention.key_length", "attention.value_length", "use_parallel_residual")  # what files that do not say have
    assert said == {key: file.entries.get(key, value if key.endswith(defaults) else None) for key, value in said.items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["llama", "llama, biases", "llama, tied", "mixtral", "qwen2", "qwen3", "gemma2", "olmo2", "cohere"])
@pytest.mark.parametrize("quantization", ["Q8_0", "Q4_0"])
def test_runs_as_if_quantized_at_load(name, quantization, tmp_path):
    case = CASES[name]
    arch_models.write_folder(tmp_path / "model", case)
    export(tmp_path / "model", tmp_path / "out.gguf", quantization)
    with turbo(tmp_path / "model", quantization=quantization, verbose=False, cache=False) as loaded:
        want = loaded.logits(case["ids"]).tobytes()
    with turbo(tmp_path / "out.gguf", verbose=False, cache=False) as exported:
        assert exported.logits(case["ids"]).tobytes() == want


def test_metadata(tmp_path, monkeypatch):
    """Names, types, template, ids; a name for each row of the embedding that has no token."""
    monkeypatch.setattr(make_tiny_folder, "VOCAB", 262)
    make_tiny_folder.make(tmp_path / "some model")
    export(tmp_path / "some model", tmp_path / "out.gguf", None)
    entries = {key: value for key, (_, value) in File(tmp_path / "out.gguf").entries.items()}
    assert entries["general.name"] == "some model" and entries["general.architecture"] == "llama"
    assert entries["general.file_type"] == 15 and entries["general.quantization_version"] == 2  # Python's default, Q4_K_M
    assert entries["tokenizer.chat_template"] == make_tiny_folder.TEMPLATE
    assert entries["tokenizer.ggml.model"] == "gpt2" and entries["tokenizer.ggml.pre"] == "gpt-2"
    assert entries["tokenizer.ggml.tokens"][:256] == make_tiny_folder.byte_chars()
    assert entries["tokenizer.ggml.tokens"][256:] == ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "[PAD259]", "[PAD260]", "[PAD261]"]
    assert entries["tokenizer.ggml.token_type"] == [1] * 256 + [3] * 3 + [5] * 3
    assert entries["tokenizer.ggml.eos_token_id"] == 258 and entries["tokenizer.ggml.eot_token_id"] == 256
    assert not entries["tokenizer.ggml.add_bos_token"] and "tokenizer.ggml.bos_token_id" not in entries


def test_shards_and_folder_of_the_default_type(tmp_path):
    make_tiny_folder.make(tmp_path / "model", 3)
    assert export(tmp_path / "model", tmp_path / "auto.gguf", "auto")
    file = File(tmp_path / "auto.gguf")
    assert file.entries["general.file_type"] == (4, 7)  # small: Q8_0
    assert {kind for kind, shape, _ in file.tensors.values() if len(shape) == 2} == {"Q8_0"}


def test_tensors_without_a_place_are_told(tmp_path, capfd):
    case = dict(CASES["llama"])
    case["tensors"] = {**case["tensors"], "model.more.weight": [4, 4]}
    arch_models.write_folder(tmp_path / "model", case)
    with turbo(tmp_path / "model", quantization="F32", cache=False) as model:
        capfd.readouterr()
        model.export("gguf", tmp_path / "out.gguf", quantization="Q8_0")
    assert "1 tensor has no place in this architecture and is not used: model.more.weight" in capfd.readouterr().err
    assert not any("more" in name for name in File(tmp_path / "out.gguf").tensors)


@pytest.mark.parametrize("change, message", [
    ({"model": {"type": "WordLevel", "vocab": {"a": 0, "<unk>": 1}, "unk_token": "<unk>"}}, "a model other than BPE"),
    ({"pre_tokenizer": {"type": "Sequence", "pretokenizers": [
        {"type": "Split", "pattern": {"Regex": "[aeiou]"}, "behavior": "Isolated", "invert": False},
        {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}]}},
     "its way to cut a text (normalizer, pre_tokenizer, ignore_merges)"),
    ({"normalizer": {"type": "Lowercase"}}, "its normalizer"),
    ({"decoder": {"type": "Fuse"}}, "its decoder"),
    ({"added_tokens": [{"id": 256, "content": "<x>", "single_word": False, "lstrip": True, "rstrip": False, "normalized": False,
                        "special": True}]}, "an added token with lstrip, rstrip or single_word"),
    ({"post_processor": {"type": "TemplateProcessing", "single": [
        {"SpecialToken": {"id": "a", "type_id": 0}}, {"SpecialToken": {"id": "b", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [], "special_tokens": {"a": {"id": "a", "ids": [97], "tokens": ["a"]}, "b": {"id": "b", "ids": [98], "tokens": ["b"]}}}},
     "more than one token before or after a text"),
])
def test_tokenizers_without_a_form(tmp_path, change, message):
    make_tiny_folder.make(tmp_path / "model")
    (tmp_path / "model" / "tokenizer.json").write_text(json.dumps({**make_tiny_folder.tokenizer(), **change}))
    with pytest.raises(NotImplementedError) as raised:
        export(tmp_path / "model", tmp_path / "out.gguf", "Q8_0")
    assert str(raised.value) == f"{tmp_path}/model: tokenizer.json: a GGUF file has no form for {message}"
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


if os.environ.get("QL_LONG"):
    def test_whole_model(smollm_folder, smollm, tmp_path):
        """SmolLM2: the same ids, template and logits as the folder it was made from."""
        export(smollm_folder, tmp_path / "out.gguf", "Q8_0")
        with turbo(smollm_folder, quantization="Q8_0", verbose=False) as folder, turbo(tmp_path / "out.gguf", verbose=False) as file:
            text = "The capital of France is caf\u00e9 1234 \U0001f600\n\n  def f(x):"
            ids = folder.tokenize(text)
            assert file.tokenize(text) == ids and file.chat_template == folder.chat_template
            assert file.logits(ids).tobytes() == folder.logits(ids).tobytes()
