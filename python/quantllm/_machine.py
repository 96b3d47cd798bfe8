# SPDX-License-Identifier: MIT
"""doctor() and verify(): what a model meets on this machine, and whether its files are whole."""

from __future__ import annotations

import os
import sys
from typing import Any

from . import _quantllm
from ._arguments import flag
from ._tokenizer import file_path


def doctor(*, measure: bool = True) -> dict[str, Any]:
    """What models will meet on this machine: a dict with "cpu", "threads", "memory", "bandwidth" (bytes per second; None
    with measure=False, which spares 0.3 s and 512 MB), "packed_cache", "versions", "python", and "advice", a list of
    sentences about what would be slow or wrong. Sizes in bytes, None for no limit. Nothing is printed."""
    import json  # here: most programs do without

    found: dict[str, Any] = json.loads(_quantllm.doctor(flag("measure", measure)))
    found["python"] = {"version": sys.version.split()[0], "executable": sys.executable}
    return found


def verify(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Looks at all of a model's files without running it: the rules of their formats, configuration, tokenizer and template,
    every number (NaN, infinite), and what is packed from them.

    A dict: "ok" (no faults), "findings", a list of {"severity": "fault" or "warning", "finding": one line}, and counts of
    what was looked at, "tensors", "values", "packed". Raises FileNotFoundError, OSError or MemoryError when it could not
    look. Checksums of the Hub are compared when a model is downloaded, and by the command's quantllm verify."""
    findings, n_tensors, n_values, n_packed = _quantllm.verify(os.fsencode(file_path("path", path)), 0)
    return {
        "ok": all(severity != "fault" for severity, _ in findings),
        "findings": [{"severity": severity, "finding": line} for severity, line in findings],
        "tensors": n_tensors,
        "values": n_values,
        "packed": n_packed,
    }
