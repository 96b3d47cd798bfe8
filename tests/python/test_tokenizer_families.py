# SPDX-License-Identifier: MIT
"""Tokenizers of every family against the `tokenizers` library: ids and texts of random strings, seeded.

2,000 strings a family here; QL_TOKENIZER_STRINGS sets another number (tools/test_long.sh: 100,000)."""
import os
import pathlib
import random
import sys

import pytest

tokenizers = pytest.importorskip("tokenizers")
pytest.importorskip("sentencepiece")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "golden"))
import tokenizer_families as families  # noqa: E402

from quantllm import Tokenizer  # noqa: E402

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
