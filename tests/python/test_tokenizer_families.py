# SPDX-License-Identifier: MIT
"""Tokenizers of every family against the `tokenizers` library: ids and texts of random strings, seeded; from tokenizer.json,
and from the GGUF file that export makes of it.

2,000 strings a family here; QL_TOKENIZER_STRINGS sets another number (tools/test_long.sh: 100,000)."""
import json
import os
import pathlib
import random
import sys

import pytest

tokenizers = pytest.importorskip("tokenizers")
pytest.importorskip("sentencepiece")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "golden"))
import tokenizer_families as families  # noqa: E402

import make_tiny_folder  # noqa: E402
from quantllm import Tokenizer, turbo  # noqa: E402

COUNT = int(os.environ.get("QL_TOKENIZER_STRINGS", "2000"))
SEED = int(os.environ.get("QL_TOKENIZER_SEED", "1"))


@pytest.fixture(scope="module", params=list(families.FAMILIES))
def pair(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("family") / "tokenizer.json"
    path.write_text(families.make(request.param), encoding="utf-8")
    return request.param, Tokenizer.from_file(path), tokenizers.Tokenizer.from_file(str(path))


def theirs_decode(theirs, ids, skip):
    """The library panics on some lists of tokens (its Strip takes more than there is): no answer then."""
    try:
        return theirs.decode(ids, skip_special_tokens=skip)
    except BaseException as error:  # noqa: B036  PanicException is none of Exception's
        if type(error).__name__ != "PanicException":
            raise
        return None


def test_ids_and_texts(pair):
    name, ours, theirs = pair
    rng = random.Random(SEED)
    n_vocab = theirs.get_vocab_size()
    specials = [token.content for token in theirs.get_added_tokens_decoder().values() if token.special]
    for text in families.strings(SEED, COUNT, name):
        expected = theirs.encode(text, add_special_tokens=False).ids
        assert ours.encode(text, add_special_tokens=False) == expected, ascii(text)
        around = rng.random() < 0.2 and not any(s in text for s in specials)
        if around:
            assert ours.encode(text) == theirs.encode(text).ids, ascii(text)
        ids = expected if rng.random() < 0.5 else [rng.randrange(n_vocab) for _ in range(rng.randint(0, 8))]
        for skip in (False, True):
            expected_text = theirs_decode(theirs, ids, skip)
            if expected_text is not None:
                assert ours.decode(ids, skip_special_tokens=skip) == expected_text, ids


def test_special_tokens_as_text(pair):
    """parse_special=False is the library's encode_special_tokens."""
    name, ours, theirs = pair
    texts = list(families.strings(SEED + 1, min(COUNT, 200), name))
    specials = [token.content for token in theirs.get_added_tokens_decoder().values() if token.special]
    rng = random.Random(SEED)
    theirs.encode_special_tokens = True
    try:
        for text in texts:
            text = text + rng.choice(specials) + " x" if specials else text
            assert (ours.encode(text, add_special_tokens=False, parse_special=False)
                    == theirs.encode(text, add_special_tokens=False).ids), ascii(text)
    finally:
        theirs.encode_special_tokens = False


@pytest.mark.parametrize("name", ["gpt2", "llama3", "starcoder", "gpt-4o", "bloom", "llama2", "gemma"])
def test_round_trips(name, tmp_path):
    """What nothing normalizes comes back."""
    path = tmp_path / "tokenizer.json"
    path.write_text(families.make(name), encoding="utf-8")
    ours = Tokenizer.from_file(path)
    specials = [token["content"] for token in __import__("json").loads(families.make(name))["added_tokens"]]
    for text in families.strings(SEED + 2, min(COUNT, 500)):
        if not any(s in text for s in specials) and "\u2581" not in text and "<0x" not in text:
            assert ours.decode(ours.encode(text, add_special_tokens=False)) == text, ascii(text)


def test_newer_characters_are_few():
    """Those left out of the texts: the library's tables are older for them, and only for them."""
    assert 0 < len(families.newer()) < 1500
    assert not any(ord(c) < 0x300 for c in families.newer())


# ---- exported: the same tokenizer as GGUF's keys ----

# Families whose tokenizer.json GGUF's keys can say; all others must be refused by name.
EXPORTED = {"gpt2", "llama3", "qwen2", "qwen3.5", "ufakzeka", "tekken", "gpt-4o", "kimi-k2", "bailing", "superbpe-isolated",
            "starcoder", "phi", "gpt-neox", "olmo", "stablelm2", "glm4", "smollm3", "granite"}


def folder_with(folder, text, n_vocab, config):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(make_tiny_folder, "VOCAB", n_vocab)
        patch.setattr(make_tiny_folder, "HIDDEN", 16)
        make_tiny_folder.make(folder)
    (folder / "tokenizer.json").write_text(text, encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    (folder / "generation_config.json").unlink()


def compare_exported(folder, out, theirs, name, count):
    with turbo(folder, verbose=False, cache=False, quantization="F32", threads=1) as model:
        model.export("gguf", out, quantization="Q8_0")
    ours = Tokenizer.from_file(out)
    for text in families.strings(SEED, count, name):
        ids = theirs.encode(text, add_special_tokens=False).ids
        assert ours.encode(text, add_special_tokens=False) == ids, ascii(text)
        assert ours.encode(text) == theirs.encode(text).ids or ids[:1] == theirs.encode("").ids[:1], ascii(text)
        for skip in (False, True):
            expected = theirs_decode(theirs, ids, skip)
            assert expected is None or ours.decode(ids, skip_special_tokens=skip) == expected, ids


def test_exported(pair, tmp_path):
    name, _, theirs = pair
    folder_with(tmp_path / "model", families.make(name), theirs.get_vocab_size() + 3, {})
    if name in EXPORTED:
        compare_exported(tmp_path / "model", tmp_path / "out.gguf", theirs, name, min(COUNT, 100))
        return
    with pytest.raises(NotImplementedError, match="tokenizer.json: a GGUF file has no form for "):
        with turbo(tmp_path / "model", verbose=False, cache=False, quantization="F32", threads=1) as model:
            model.export("gguf", tmp_path / "out.gguf", quantization="Q8_0")
    assert not (tmp_path / "out.gguf").exists()


def llama_json(entries, gemma):
    """Llama 2's tokenizer.json, made of its SentencePiece vocabulary as transformers made it: all ways to put a token together,
    by the token's score. gemma: with the steps of Gemma's, which puts no space in front and cuts at spaces that are gone."""
    tokens, scores, types = (entries[f"tokenizer.ggml.{key}"] for key in ("tokens", "scores", "token_type"))
    ids = {token: i for i, token in enumerate(tokens)}
    normal = {token for token, kind in zip(tokens, types) if kind == 1}
    merges = [(token[:k], token[k:]) for token in normal for k in range(1, len(token)) if token[:k] in normal and token[k:] in normal]
    merges.sort(key=lambda pair: (-scores[ids[pair[0] + pair[1]]], ids[pair[0] + pair[1]], ids[pair[0]], ids[pair[1]]))
    replace = {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}
    split = {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False}
    strip = [] if gemma else [{"type": "Strip", "content": " ", "start": 1, "stop": 0}]
    bos = {"SpecialToken": {"id": "<s>", "type_id": 0}}
    return {
        "version": "1.0", "pre_tokenizer": split if gemma else None,
        "added_tokens": [{"id": i, "content": tokens[i], "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
                          "special": True} for i in range(3)],
        "normalizer": replace if gemma else {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "\u2581"}, replace]},
        "post_processor": {"type": "TemplateProcessing", "single": [bos, {"Sequence": {"id": "A", "type_id": 0}}],
                           "pair": [bos, {"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
                           "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}},
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
            *strip]},
        "model": {"type": "BPE", "dropout": None, "unk_token": "<unk>", "fuse_unk": True, "byte_fallback": True, "vocab": ids,
                  "merges": [" ".join(pair) for pair in merges]}}


@pytest.mark.parametrize("gemma", [False, True])
def test_exported_sentencepiece(shared, tmp_path, gemma):
    """A SentencePiece vocabulary, 32,000 tokens and 61,249 merges, which become scores."""
    from test_export import File

    entries = {key: value for key, (_, value) in File(shared("data/vocab/ggml-vocab-llama-spm.gguf")).entries.items()}
    text = json.dumps(llama_json(entries, gemma))
    folder_with(tmp_path / "model", text, 32000, {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"})
    compare_exported(tmp_path / "model", tmp_path / "out.gguf", tokenizers.Tokenizer.from_str(text), "llama2", min(COUNT, 200))
    got = {key: value for key, (_, value) in File(tmp_path / "out.gguf").entries.items()}
    assert got["tokenizer.ggml.add_space_prefix"] is not gemma
    for key in ("model", "tokens", "token_type", "bos_token_id", "eos_token_id", "unknown_token_id"):
        assert got[f"tokenizer.ggml.{key}"] == entries[f"tokenizer.ggml.{key}"], key
