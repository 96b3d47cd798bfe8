# SPDX-License-Identifier: MIT
"""Which files of a repository are needed to run it. Looks at their names only: knows no network and no disk.

Weights come as safetensors (one file, or an index and its shards) beside config.json and tokenizer.json, else as GGUF
files, of which one (or one set of shards) is chosen. Nothing else is ever wanted: no .bin, .pt, .onnx, no second copy
of the weights. The command decides the same in hub/choose.c; tests/python/test_hub_choose.py runs both."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
CONFIG = "config.json"
TOKENIZER = "tokenizer.json"
_DOCUMENTS = (CONFIG, "generation_config.json", TOKENIZER, "tokenizer_config.json", "special_tokens_map.json",
              "chat_template.jinja", "chat_template.json")
# without tokenizer.json
_OLD_TOKENIZER = ("vocab.json", "merges.txt", "vocab.txt", "added_tokens.json")

_QUANTIZED = ("quantize_config.json", "quant_config.json")  # of GPTQ and AWQ, where config.json does not tell

# The first of these that is there is taken when none is asked for: the library's own order for a folder.
_PREFERRED = ("Q4_K_M", "Q4_K_S", "Q5_K_M", "Q4_0", "Q8_0", "Q6_K", "Q5_K_S", "Q4_K_L", "Q5_K_L", "Q6_K_L", "Q4_K_XL",
              "Q4_1", "IQ4_XS", "IQ4_NL", "Q5_0", "Q5_1", "Q3_K_L", "Q3_K_M", "Q3_K_S", "Q2_K", "BF16", "F16", "F32")
_TYPE = re.compile(r"I?Q\d_[A-Z0-9_]+|B?F16|F32")
_SHARD = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$", re.I)


class Choice(NamedTuple):
    """What to have on disk, and what to open then."""

    files: list[str]
    shard_index: str | None = None
    """The safetensors index among files, whose shards are wanted too. Documents come before weights in files."""
    gguf: str | None = None
    """The GGUF file to open; None: the folder."""
    remark: str | None = None
    """What was decided for the user."""


def choose(repo: str, names: Iterable[str], wanted: str | None) -> Choice:
    """The files of a repository for "repo" or "repo:wanted", where wanted is a type ("Q4_K_M") or the name of a file.

    Raises FileNotFoundError or ValueError for a choice that is not there or not clear, NotImplementedError for a
    repository without weights that can be read."""
    names = sorted(name for name in names if _is_plain(name))
    ggufs = _gguf_sets(names)
    if wanted is not None:
        if not ggufs:
            is_type = _TYPE.fullmatch(wanted.upper())
            instead = f', and take quantization="{wanted.upper()}" for that type' if is_type else ""
            raise FileNotFoundError(f'{repo} has no GGUF files: leave ":{wanted}" out{instead}')
        return _one_gguf(_matching(repo, ggufs, wanted))
    if WEIGHTS in names or INDEX in names:
        if CONFIG not in names:
            raise ValueError(f"{repo} has {WEIGHTS if WEIGHTS in names else INDEX} but no {CONFIG}: it is not complete")
        documents = _DOCUMENTS if TOKENIZER in names else _DOCUMENTS + _OLD_TOKENIZER
        index = INDEX if WEIGHTS not in names else None
        return Choice([name for name in (*documents, index or WEIGHTS) if name in names], shard_index=index)
    if ggufs:
        chosen = _one_gguf(_preferred(ggufs))
        remark = f"{repo}: {len(ggufs)} GGUF models, taking {chosen.gguf}" if len(ggufs) > 1 else None
        return chosen._replace(remark=remark)
    raise NotImplementedError(f"{repo} {_what_else(names)}")


def has_tokenizer(choice: Choice) -> bool:
    """Whether what was chosen can run: a folder of safetensors needs a tokenizer beside them."""
    return choice.gguf is not None or any(name in choice.files for name in (TOKENIZER, "vocab.json", "vocab.txt"))


def shards_of(repo: str, index: Any, names: Iterable[str]) -> list[str]:
    """The files that a parsed safetensors index speaks of, all of which must be there."""
    weight_map = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(weight_map, dict) or not weight_map or not all(isinstance(v, str) for v in weight_map.values()):
        raise ValueError(f"{repo}: {INDEX} has no weight_map of tensor names to file names")
    shards = sorted(set(weight_map.values()))
    there = set(names)
    for shard in shards:
        if not _is_plain(shard) or shard not in there:
            raise ValueError(f"{repo}: {INDEX} speaks of {shard!r}, which is not there: the repository is not complete")
    return shards


def refuse_quantized(repo: str, config: Any, names: Iterable[str]) -> None:
    """NotImplementedError for safetensors that another program has quantized, before they are downloaded."""
    if not isinstance(config, dict):
        raise ValueError(f"{repo}: {CONFIG} is no JSON object")
    text = config.get("text_config")
    places = (config, text if isinstance(text, dict) else {})
    found = [place[key] for place in places for key in ("quantization_config", "compression_config") if place.get(key)]
    files = [name for name in names if name in _QUANTIZED]
    if found or files:
        method = found[0].get("quant_method") if found and isinstance(found[0], dict) else None
        how = f'"{method}"' if isinstance(method, str) else "another program"
        raise NotImplementedError(
            f"{repo}: its weights are quantized by {how}, which is not supported: take the unquantized model or a GGUF"
        )


def _is_plain(name: str) -> bool:
    """A path below the repository's root, as all honest ones are."""
    parts = name.encode("utf-8", "replace").split(b"/")
    return (
        not re.search(r"[\\\x00-\x1f\x7f]", name)
        and sum(map(len, parts)) + len(parts) - 1 <= 1024
        and all(len(part) <= 255 and part not in (b"", b".", b"..") for part in parts)
    )


def _gguf_sets(names: list[str]) -> list[list[str]]:
    """The GGUF models: each a list of one file or of all its shards. Companions that hold no model are left out."""
    sets: dict[str, list[str]] = {}
    for name in names:
        base = name.rsplit("/", 1)[-1].lower()
        if base.endswith(".gguf") and "mmproj" not in base and "imatrix" not in base:
            sets.setdefault(_SHARD.sub(r"-of-\2.gguf", name), []).append(name)
    return list(sets.values())


def _one_gguf(files: list[str]) -> Choice:
    numbers = [tuple(map(int, found.groups())) for name in files if (found := _SHARD.search(name))]
    if numbers and [number for number, _ in numbers] != list(range(1, numbers[0][1] + 1)):
        raise ValueError(f"{files[0]} is one of {numbers[0][1]} shards, of which {len(files)} are there")
    return Choice(files, gguf=files[0])


def _matching(repo: str, sets: list[list[str]], wanted: str) -> list[str]:
    found = [files for files in sets if wanted in files]
    found = found or [files for files in sets if any(name.rsplit("/", 1)[-1] == wanted for name in files)]
    found = found or [files for files in sets if _has_word(files[0], wanted)]
    if not found:
        raise FileNotFoundError(f'{repo} has no "{wanted}"; its GGUF files are {_listed(sets)}')
    if len(found) > 1:
        raise ValueError(f'"{wanted}" is in the names of {len(found)} GGUF files of {repo}, give one: {_listed(found)}')
    return found[0]


def _preferred(sets: list[list[str]]) -> list[str]:
    for word in _PREFERRED:
        for files in sets:
            if _has_word(files[0], word):
                return files
    return sets[0]


def _has_word(name: str, word: str) -> bool:
    """Whether word is in a file's name and not part of a longer type: Q4_K is not in "x.Q4_K_M.gguf"."""
    return re.search(rf"(?<![A-Z0-9]){re.escape(word.upper())}(?![A-Z0-9_])", name.upper()) is not None


def _listed(sets: list[list[str]]) -> str:
    shown = [files[0] for files in sets[:12]]
    return ", ".join(shown) + (f" and {len(sets) - len(shown)} more" if len(sets) > len(shown) else "")


def _what_else(names: list[str]) -> str:
    """Why a repository can not be run, and what to do."""
    if "adapter_config.json" in names:
        return "is an adapter (LoRA) and no model: merge it into its base model, and load the result"
    found = [name for name in names if re.search(r"\.(bin|pt|pth|ckpt|msgpack|h5|onnx)$", name)]
    if found:
        return f"has its weights as {found[0]} only: convert them to safetensors, or find a repository that has those"
    others = [name for name in names if name.endswith(".safetensors")]
    if others:
        return f"has no {WEIGHTS}, only {others[0]}, which is no language model that can be read"
    return "has no weights: neither safetensors nor GGUF files"
