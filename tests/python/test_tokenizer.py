# SPDX-License-Identifier: MIT
"""Tokenizer: the shared vocabularies against the publishers' own ids, and its small interface."""
import pathlib

import pytest

from quantllm import Tokenizer

VOCABULARIES = ["deepseek-llm", "gpt-2", "llama-bpe", "llama-spm", "phi-3", "qwen2"]
SEPARATOR = b"\n__ggml_vocab_test__\n"


@pytest.fixture(scope="module")
def tokenizer(tiny):
    return Tokenizer.from_file(tiny)


@pytest.mark.parametrize("name", VOCABULARIES)
def test_ids_are_those_of_the_publisher(shared, name):
    path = shared(f"data/vocab/ggml-vocab-{name}.gguf")
    tokenizer = Tokenizer.from_file(path)
    texts = pathlib.Path(f"{path}.inp").read_bytes().split(SEPARATOR)
    lines = pathlib.Path(f"{path}.out").read_text().splitlines()
    assert texts.pop() == b"" or len(texts) == len(lines)
    assert len(texts) == len(lines) > 40
    for text, line in zip(texts, lines):
        text, ids = text.decode(), [int(id) for id in line.split()]
        assert tokenizer.encode(text, add_special_tokens=False, parse_special=False) == ids
        assert tokenizer.encode(text, add_special_tokens=False) == ids
        assert tokenizer.decode(ids) == text


def test_facts(tokenizer, tiny, model):
    assert len(tokenizer) == tokenizer.n_vocab > 200
    for id in (tokenizer.bos_id, tokenizer.eos_id, tokenizer.unk_id, tokenizer.pad_id):
        assert id is None or 0 <= id < len(tokenizer)
    assert repr(tokenizer) == f"Tokenizer({str(tiny)!r}, n_vocab={len(tokenizer)})"
    assert len(model.tokenizer) == len(tokenizer)


def test_model_and_file_agree(tokenizer, model):
    for text in ("Once upon a time", "", "é", "a\0b", "  ", "\n"):
        assert tokenizer.encode(text) == model.tokenize(text) == model.tokenizer.encode(text)
        ids = tokenizer.encode(text, add_special_tokens=False)
        assert ids == model.tokenize(text, add_special_tokens=False)
        assert tokenizer.decode(ids) == model.detokenize(ids)


def test_every_id_decodes(tokenizer):
    for id in range(len(tokenizer)):
        assert isinstance(tokenizer.decode([id]), str)
    assert tokenizer.decode([]) == ""
    assert tokenizer.decode(range(3)) == tokenizer.decode((0, 1, 2))


def test_special_tokens(tokenizer):
    eos = tokenizer.eos_id
    spelled = tokenizer.decode([eos])
    assert spelled and tokenizer.decode([eos], skip_special_tokens=True) == ""
    assert tokenizer.encode(spelled, add_special_tokens=False) == [eos]
    assert eos not in tokenizer.encode(spelled, add_special_tokens=False, parse_special=False)


def test_wrong_use(tokenizer, tmp_path):
    wrong = [
        (lambda: tokenizer.encode(b"a"), TypeError, "text must be str, got bytes (b'a')"),
        (lambda: tokenizer.encode("\ud800"), ValueError,
         "text is not valid Unicode: character 0 is a lone surrogate (U+D800)"),
        (lambda: tokenizer.encode("a", add_special_tokens=1), TypeError,
         "add_special_tokens must be bool, got int (1)"),
        (lambda: tokenizer.encode("a", add_special=True), TypeError,
         "encode() has no parameter 'add_special': did you mean 'add_special_tokens'?"),
        (lambda: tokenizer.decode("a"), TypeError, "ids must be a list of int, got str ('a')"),
        (lambda: tokenizer.decode([1, "a"]), TypeError, "ids[1] must be int, got str"),
        (lambda: Tokenizer.from_file(5), TypeError, "path must be str or Path, got int (5)"),
        (lambda: Tokenizer.from_file("a\0b"), ValueError, "path must not contain a NUL character"),
    ]
    for call, kind, message in wrong:
        with pytest.raises(kind) as caught:
            call()
        assert str(caught.value) == message
    for ids in ([len(tokenizer)], [-1], [2**40]):
        with pytest.raises(ValueError):
            tokenizer.decode(ids)
    with pytest.raises(FileNotFoundError):
        Tokenizer.from_file(tmp_path / "none.gguf")
    (tmp_path / "empty.gguf").touch()
    with pytest.raises(ValueError):
        Tokenizer.from_file(tmp_path / "empty.gguf")
