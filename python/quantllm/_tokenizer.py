# SPDX-License-Identifier: MIT
"""Tokenizer: text to token ids and back."""

from __future__ import annotations

import os
from collections.abc import Iterable

from . import _quantllm
from ._arguments import flag, known_names, text, token_ids, wrong_type


def file_path(name: str, path: str | os.PathLike[str]) -> str:
    """str of a path; TypeError for what is none."""
    if not isinstance(path, (str, os.PathLike)):
        wrong_type(name, "str or Path", path)
    result = os.fspath(path)
    if not isinstance(result, str):
        wrong_type(name, "str or Path", result)
    if "\0" in result:
        raise ValueError(f"{name} must not contain a NUL character")
    return result


def encode_with(
    handle: _quantllm.Model | _quantllm.Tokenizer, value: str, add_special_tokens: bool, parse_special: bool
) -> list[int]:
    flags = _quantllm.ADD_SPECIAL if flag("add_special_tokens", add_special_tokens) else 0
    flags |= _quantllm.PARSE_SPECIAL if flag("parse_special", parse_special) else 0
    return handle.tokenize(text("text", value), flags)


def decode_with(
    handle: _quantllm.Model | _quantllm.Tokenizer, ids: Iterable[int], skip_special_tokens: bool
) -> str:
    flags = _quantllm.SKIP_SPECIAL if flag("skip_special_tokens", skip_special_tokens) else 0
    return handle.detokenize(token_ids("ids", ids), flags)


class Tokenizer:
    """The tokenizer of a folder with tokenizer.json, or of a GGUF file, which need not hold more than a vocabulary; or,
    as TurboModel.tokenizer, that of an open model. It may be used by many threads at once."""

    def __init__(self, handle: _quantllm.Model | _quantllm.Tokenizer, source: str) -> None:
        """Not to be called: Tokenizer.from_file(path) makes one."""
        self._handle = handle
        self._source = source
        self._info = handle.vocab_info()

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Tokenizer:
        """Opens the tokenizer of a folder with tokenizer.json, of that file, or of a .gguf file.

        Raises FileNotFoundError, ValueError for a file that breaks a rule of its format, NotImplementedError for a
        kind of tokenizer that is not supported."""
        name = file_path("path", path)
        return cls(_quantllm.Tokenizer(os.fsencode(name)), name)

    @known_names
    def encode(self, text: str, add_special_tokens: bool = True, parse_special: bool = True) -> list[int]:
        """The ids of a text.

        add_special_tokens adds the tokens the model wants around a text (BOS, EOS) unless they are there already;
        parse_special makes text that spells a control token, such as "<|im_end|>", that token."""
        return encode_with(self._handle, text, add_special_tokens, parse_special)

    @known_names
    def decode(self, ids: Iterable[int], skip_special_tokens: bool = False) -> str:
        """The text of ids; bytes that are not UTF-8 become U+FFFD. ValueError for an id outside the vocabulary."""
        return decode_with(self._handle, ids, skip_special_tokens)

    @property
    def n_vocab(self) -> int:
        """How many tokens there are; ids are 0 to n_vocab - 1."""
        return self._info["n_vocab"]

    @property
    def bos_id(self) -> int | None:
        """The token that begins a text, None where the vocabulary has none."""
        return self._id("bos_id")

    @property
    def eos_id(self) -> int | None:
        """The token that ends a text, or None."""
        return self._id("eos_id")

    @property
    def unk_id(self) -> int | None:
        """The token of what can not be spelled, or None."""
        return self._id("unk_id")

    @property
    def pad_id(self) -> int | None:
        """The token that fills, or None."""
        return self._id("pad_id")

    def _id(self, name: str) -> int | None:
        return self._info[name] if self._info[name] >= 0 else None

    def __len__(self) -> int:
        return self.n_vocab

    def __repr__(self) -> str:
        return f"Tokenizer({self._source!r}, n_vocab={self.n_vocab})"
