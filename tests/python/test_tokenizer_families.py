# SPDX-License-Identifier: MIT
"""Tokenizers of every family's configuration against PyPI's `tokenizers`: ids, decoding, on seeded random texts.

2,000 texts a family; QL_TOKENIZER_TEXTS=100000 in the long run. The library's Unicode tables are older than ours: texts with
a character that they do not know are left out (tokenizer_families.newer)."""
import os
import pathlib
import random
import sys

import pytest

tokenizers = pytest.importorskip("tokenizers")
pytest.importorskip("sentencepiece")

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "golden"))

import tokenizer_families as families  # noqa: E402
from quantllm import Tokenizer  # noqa: E402

N_TEXTS = int(os.environ.get("QL_TOKENIZER_TEXTS", "2000"))


@pytest.mark.parametrize("name", families.FAMILIES)
def test_family(name, tmp_path):
    path = tmp_path / "tokenizer.json"
    path.write_text(families.make(name))
    theirs, ours = tokenizers.Tokenizer.from_file(str(path)), Tokenizer.from_file(path)
    rng, n_vocab = random.Random(1), theirs.get_vocab_size()
    for text in families.strings(3, N_TEXTS, name):
        ids = theirs.encode(text, add_special_tokens=False).ids
        assert ours.encode(text, add_special_tokens=False) == ids, ascii(text)
        if rng.random() < 0.5:
            ids = [rng.randrange(n_vocab) for _ in range(rng.randint(0, 8))]
        for skip in (False, True):
            try:
                decoded = theirs.decode(ids, skip_special_tokens=skip)
            except BaseException as error:  # the library panics on some ids
                if "Panic" not in type(error).__name__:
                    raise
                continue
            assert ours.decode(ids, skip_special_tokens=skip) == decoded, ids
