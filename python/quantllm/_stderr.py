# SPDX-License-Identifier: MIT
"""What is said on stderr: lines, and a progress bar on a terminal. Standard output is never written."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any

PATIENCE = 0.5  # seconds without a bar


def say(text: str) -> None:
    if sys.stderr is not None:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


def say_nothing(text: str) -> None:
    pass


def talker(verbose: bool) -> Callable[[str], None]:
    return say if verbose else say_nothing


def short(name: str) -> str:
    """A path's last part; a name of the Hub as it is."""
    return os.path.basename(name.rstrip(os.sep)) if os.path.exists(name) else name


class ProgressBar:
    """Called with the fraction that is done, and with lines about it. Draws on a terminal only, and only what takes a
    while: most programs never import tqdm."""

    def __init__(self, doing: str, name: str) -> None:
        self._name = f"{doing} {short(name)}"
        self._start = time.monotonic()
        self._terminal = sys.stderr is not None and sys.stderr.isatty()
        self._bar: Any = None

    def __call__(self, fraction: float) -> None:
        if not self._terminal or time.monotonic() - self._start < PATIENCE:
            return
        if self._bar is None:
            from tqdm import tqdm

            self._bar = tqdm(
                total=1.0, desc=self._name, file=sys.stderr, leave=False,
                bar_format="{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}",
            )
        self._bar.update(fraction - self._bar.n)

    def log(self, line: str) -> None:
        if self._bar is not None:
            self._bar.clear()
        say(f"quantllm: {line}")

    def clear(self) -> None:
        if self._bar is not None:
            self._bar.close()
