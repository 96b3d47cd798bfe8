# SPDX-License-Identifier: MIT
"""turbo(): which file a model's name means, the options, and what is said on stderr while it loads."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

from . import _quantllm
from ._arguments import UINT32_MAX, UINT64_MAX, flag, integer, known_names, optional_text, whole, wrong_type
from ._model import TurboModel, bits_of, size_of
from ._tokenizer import file_path

_BITS = (2, 3, 4, 5, 6, 8, 16, 32)
_EXPORT_KEYS = ("format", "quantization", "push_format", "push_quantization", "export_format", "export_quantization")
_HOW = 'download a .gguf file of the model and give its path, as in turbo("path/to/model.gguf")'


@known_names
def turbo(
    model: str | os.PathLike[str],
    *,
    bits: int | None = None,
    quantization: str | None = None,
    max_length: int | None = None,
    threads: int | None = None,
    device: str | None = None,
    dtype: str | None = None,
    seed: int | None = None,
    revision: str | None = None,
    token: str | None = None,
    verbose: bool = True,
    config: dict[str, Any] | None = None,
    chat_template: str | os.PathLike[str] | None = None,
) -> TurboModel:
    """Opens a model and makes it ready to generate text.

    model          path of a .gguf file, str or Path. Hub ids, folders and .safetensors files are not supported yet.
    bits           bits per weight; the file's own, or 32 for the reference. None: as stored.
    quantization   None or "auto": as stored; the file's own type, such as "Q4_1"; "F32": weights, activations and
                   cache in f32, the reference numerics, slow.
    max_length     context in tokens (prompt and new text). None: the smaller of the model's own and 8192.
    threads        1 to 256. None: the physical cores this process may use. Results do not depend on it.
    device, dtype  None, "auto" or what there is: "cpu", "float32".
    seed           makes all calls repeatable: the n-th call (from 0) of generate or chat without a seed of its own
                   takes the n-th output of SplitMix64 started at it. None: fresh entropy for each prompt.
    revision, token  of the Hub; a local file takes none.
    verbose        progress (on a terminal) and one line about the model on stderr.
    config         defaults of export and push, which are not there yet: None or empty.
    chat_template  Jinja source, or the Path of a file of it, used instead of the model's own.

    Raises FileNotFoundError; ValueError for a wrong option or a file that breaks a rule of its format;
    NotImplementedError for what is valid but not supported; MemoryError, with figures, for one that does not fit."""
    path = _find_file(model)
    _check_fixed_options(device, dtype, revision, token, config)
    quantization = _choose_quantization(bits, quantization)
    arguments = (
        0 if threads is None else integer("threads", threads, 1, 256),
        0 if max_length is None else integer("max_length", max_length, 1, UINT32_MAX),
        quantization,
        _template_source(chat_template),
    )
    first_seed = None if seed is None else integer("seed", seed, 0, UINT64_MAX)
    bar = _ProgressBar(path) if flag("verbose", verbose) else None
    try:
        handle = _quantllm.Model(os.fsencode(path), *arguments, bar)
    finally:
        if bar:
            bar.clear()
    opened = TurboModel(handle, path, bits, first_seed)
    _check_bits(opened, bits, quantization)
    if verbose:
        _say(_summary(opened.report()))
    return opened


# ---- which file ----


def _find_file(model: str | os.PathLike[str]) -> str:
    path = file_path("model", model)
    if not path:
        raise ValueError(f"model is empty: {_HOW}")
    if os.path.isdir(path):
        files = sorted(name for name in os.listdir(path) if name.endswith(".gguf"))
        hint = f"give the file, as in turbo({os.path.join(path, files[0])!r})" if files else _HOW
        raise NotImplementedError(f"{path} is a folder, which can not be opened yet: {hint}")
    if path.endswith(".safetensors"):
        raise NotImplementedError(f"{path}: only .gguf files can be opened so far: {_HOW}")
    if isinstance(model, str) and not os.path.exists(path) and _looks_like_hub_id(path):
        raise NotImplementedError(f"{path} is no file, and models of the Hub can not be downloaded yet: {_HOW}")
    return path


def _looks_like_hub_id(name: str) -> bool:
    """"owner/name" or "name", and nothing that can only be a path."""
    import re

    return re.fullmatch(r"\w[\w.-]*(/\w[\w.-]*)?", name) is not None and not name.endswith(".gguf")


# ---- options ----


def _check_fixed_options(device: Any, dtype: Any, revision: Any, token: Any, config: Any) -> None:
    for name, value, only in (("device", device, "cpu"), ("dtype", dtype, "float32")):
        if optional_text(name, value) not in (None, "auto", only):
            raise ValueError(f'{name} must be "{only}", "auto" or None, got {value!r}')
    for name, value in (("revision", revision), ("token", token)):
        if optional_text(name, value) is not None:
            raise ValueError(f"{name} is for models of the Hub, and this is a local file: leave it out")
    if config is None:
        return
    if not isinstance(config, dict):
        wrong_type("config", "a dict", config)
    for key in config:
        if key not in _EXPORT_KEYS:
            raise ValueError(f"config has no key {key!r}; it has {', '.join(_EXPORT_KEYS)}")
        raise NotImplementedError(f"config[{key!r}] is for export and push, which are not there yet: leave it out")


def _choose_quantization(bits: Any, quantization: Any) -> str | None:
    wanted = optional_text("quantization", quantization)
    if bits is None:
        return wanted
    if whole("bits", bits) not in _BITS:
        raise ValueError(f"bits must be one of {', '.join(map(str, _BITS))}, got {bits}")
    return "F32" if wanted is None and bits == 32 else wanted


def _check_bits(model: TurboModel, bits: int | None, quantization: str | None) -> None:
    runs = model.quantization
    if bits is None or bits_of(runs) == bits:
        return
    model.close()
    if quantization not in (None, "auto"):
        raise ValueError(f"bits={bits} and quantization={quantization!r} do not agree: give one of them")
    raise NotImplementedError(
        f"bits={bits}: this file holds {runs} and can not be quantized on loading yet: leave bits out to run it as "
        'stored, or take quantization="F32", the reference'
    )


def _template_source(chat_template: Any) -> str | None:
    if chat_template is None:
        return None
    if isinstance(chat_template, os.PathLike):
        with open(chat_template, encoding="utf-8") as file:
            return file.read()
    if not isinstance(chat_template, str):
        wrong_type("chat_template", "Jinja source as str, or the Path of a file of it", chat_template)
    if "{" not in chat_template and "\n" not in chat_template and os.path.isfile(chat_template):
        raise ValueError(f"chat_template is Jinja source; for a file of it, give pathlib.Path({chat_template!r})")
    return chat_template


# ---- stderr ----


def _say(text: str, end: str = "\n") -> None:
    if sys.stderr is not None:
        sys.stderr.write(text + end)
        sys.stderr.flush()


def _summary(report: dict[str, Any]) -> str:
    """One line: what runs, and how."""
    size = size_of(report["n_params"])
    return (
        f"quantllm: {os.path.basename(report['file'])}: {size} parameters, {report['quantization']}, "
        f"context {report['max_length']}, threads {report['threads']}, {report['isa']}, {report['load_seconds']:.2f} s"
    )


class _ProgressBar:
    """Called with the fraction that is loaded. Draws on a terminal only, and only what takes a while."""

    def __init__(self, path: str) -> None:
        self._name = os.path.basename(path)
        self._start = time.monotonic()
        self._terminal = sys.stderr is not None and sys.stderr.isatty()
        self._drawn = False

    def __call__(self, fraction: float) -> None:
        if self._terminal and time.monotonic() - self._start > 0.5:
            filled = int(30 * fraction)
            _say(f"\r{self._name}: [{'#' * filled}{'.' * (30 - filled)}] {fraction:4.0%}", end="")
            self._drawn = True

    def clear(self) -> None:
        if self._drawn:
            _say("\r\x1b[K", end="")
