# SPDX-License-Identifier: MIT
"""TurboModel.export(): which format, which file, and what is said on stderr while it is written."""

from __future__ import annotations

import os
import time
from typing import Any

from . import _quantllm
from ._arguments import FORMATS, optional_text, wrong_type
from ._stderr import ProgressBar, talker
from ._tokenizer import file_path

_WRITTEN = ("gguf",)


def checked_format(value: Any, default: str | None) -> str:
    """One that is written; the others are told apart from what is no format at all."""
    name = default if value is None else value
    if not isinstance(name, str):
        wrong_type("format", "str", value)
    if name not in FORMATS:
        raise ValueError(f"Unknown format: {name}. Supported: {list(_WRITTEN)}")
    if name not in _WRITTEN:
        from_config = "" if value is not None else ' (the default of turbo(config={"format": ...}))'
        raise ValueError(f"format {name!r}{from_config} is not written by this version. Supported: {list(_WRITTEN)}")
    return name


def default_path(model_name: str, quantization: str | None) -> str:
    """NAME.TYPE.gguf in the current folder, where NAME is the model's without owner, choice and type."""
    import re  # here, as it takes longer than the rest of the package

    name = model_name.rstrip("/")
    name = name if os.path.exists(name) else name.partition("@")[0].rpartition(":")[0] or name
    name = os.path.basename(name)
    name = name[:-5] if name.lower().endswith(".gguf") else name
    if quantization is None or quantization.lower() == "auto":
        return f"{name}.gguf"
    name = re.sub(r"[.-](?:I?Q\d\w*|B?F16|F32)$", "", name, flags=re.IGNORECASE)
    return f"{name}.{quantization.upper()}.gguf"


def checked_path(value: Any, otherwise: str) -> str:
    return otherwise if value is None else file_path("path", value)


def export_gguf(source: str, name: str, path: str, quantization: Any, threads: int, verbose: bool) -> str:
    """Writes the model that source is the path of; returns path."""
    kind = optional_text("quantization", quantization)
    bar = ProgressBar("exporting", name) if verbose else None
    start = time.monotonic()
    try:
        written, size, n_tensors, n_encoded = _quantllm.export_gguf(
            os.fsencode(source), kind, threads, os.fsencode(path), bar, bar.log if bar else None
        )
    finally:
        if bar:
            bar.clear()
    talker(verbose)(
        f"quantllm: {path}: {written}, {size / 1e6:.4g} MB, {n_tensors} tensors, of which {n_encoded} encoded, "
        f"{time.monotonic() - start:.1f} s"
    )
    return path
