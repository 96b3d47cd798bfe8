# SPDX-License-Identifier: MIT
"""The download of a model through huggingface_hub: the files that are needed and missing, at one commit, checked."""

from __future__ import annotations

import contextlib
import glob
import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

from . import _quantllm
from ._hub_cache import COMMIT, Cache, Snapshot
from ._hub_errors import Unreachable, explain, name_of, stranger
from ._hub_files import CONFIG, choose

_ATTEMPTS = 3  # huggingface_hub goes on after most cuts by itself; what is complete is never downloaded again
_BAR_GROUPS = ("huggingface_hub.http_get", "huggingface_hub.xet_get")


class Download:
    """One download. All files are of one commit, whatever the branch does meanwhile."""

    def __init__(
        self, constants: Any, cache: Cache, revision: str, token: str | None, verbose: bool, say: Callable[[str], None]
    ) -> None:
        self._constants = constants
        self._cache = cache
        self._repo = cache.name.repo
        self._revision = revision
        self._token = token
        self._verbose = verbose
        self._say = say

    def run(self) -> Snapshot:
        cache = self._cache
        sizes, commit = self._list_files()
        choice = choose(self._repo, sizes, cache.name.wanted)
        files = choice.files
        if choice.remark:
            self._say(f"quantllm: {choice.remark}")
        if choice.gguf is None:  # a few kilobytes that tell whether the rest is of use, and what it is
            self._get([CONFIG], commit, sizes, bars=False)
            cache.check_config(commit, list(sizes))
        if choice.shard_index:
            self._get([choice.shard_index], commit, sizes, bars=False)
            files = files + cache.read_shards(choice.shard_index, commit, list(sizes))
        missing = cache.missing(files, commit)
        if missing:
            self._say(f"quantllm: downloading {self._repo}: {_files_of(missing, sizes)}")
        self._check_space(sum(sizes[name] or 0 for name in missing))
        # documents first: where all weights are, a download was not interrupted, and the copy in the cache is complete
        weights = [name for name in missing if name.endswith((".safetensors", ".gguf"))]
        self._get([name for name in missing if name not in weights], commit, sizes, bars=False)
        self._get(weights, commit, sizes, bars=self._verbose)
        cache.remember(self._revision, commit)
        return cache.snapshot(choice, commit)

    def _list_files(self) -> tuple[dict[str, int | None], str]:
        """Names and sizes, and the commit they are of."""
        from huggingface_hub import HfApi

        api = HfApi(library_name="quantllm", library_version=_quantllm.version)
        with self._explained():
            info = api.model_info(
                self._repo, revision=self._revision, files_metadata=True, token=self._token,
                timeout=self._constants.HF_HUB_ETAG_TIMEOUT,
            )
        if not info.sha or not COMMIT.fullmatch(info.sha) or info.siblings is None:
            raise stranger(self._repo, name_of(self._constants.ENDPOINT))
        return {file.rfilename: file.size for file in info.siblings}, info.sha

    def _get(self, names: list[str], commit: str, sizes: dict[str, int | None], bars: bool) -> None:
        """Downloads files that are not there and compares their checksums."""
        restart = False
        self._check_space(sum(sizes[name] or 0 for name in names))
        for attempt in range(1, _ATTEMPTS + 1):
            names = self._cache.missing(names, commit)
            if not names:
                return
            try:
                with self._explained():
                    self._snapshot_download(names, commit, restart, bars)
                self._check_all(names, commit)
                return
            except Unreachable as problem:
                if attempt == _ATTEMPTS or not problem.again or problem.damaged and restart:
                    raise
                restart = problem.damaged

    def _snapshot_download(self, names: list[str], commit: str, restart: bool, bars: bool) -> None:
        from huggingface_hub import snapshot_download

        with _quiet_bars(self._constants, bars):
            snapshot_download(
                self._repo, revision=commit, token=self._token, allow_patterns=[glob.escape(name) for name in names],
                cache_dir=self._cache.root, force_download=restart, tqdm_class=_bar_class(bars),
                library_name="quantllm", library_version=_quantllm.version,
            )

    def _check_all(self, names: list[str], commit: str) -> None:
        absent = self._cache.missing(names, commit)
        wrong = [problem for name in names if name not in absent
                 if (problem := self._cache.drop_if_damaged(name, commit))]
        if absent or wrong:
            what = wrong[0] if wrong else f"{absent[0]} was not downloaded"
            advice = "the download was damaged and is removed, try again"
            raise Unreachable(f"{self._repo}: {what}", advice, damaged=True)

    def _check_space(self, needed: int) -> None:
        """huggingface_hub only warns, and then fills the disk."""
        folder = self._cache.root
        while folder and not os.path.isdir(folder) and os.path.dirname(folder) != folder:
            folder = os.path.dirname(folder)
        with contextlib.suppress(OSError):
            free = shutil.disk_usage(folder).free
            if needed > free:
                have = f"{self._cache.root} has {_megabytes(free)} left"
                reason = f"{self._repo}: {_megabytes(needed)} are to be downloaded and {have}"
                raise Unreachable(reason, "make room, or choose another folder with HF_HOME", again=False)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            known = explain(error, self._repo, self._revision, self._constants.ENDPOINT, self._has_token())
            raise known from (error if type(known) is OSError else None)

    def _has_token(self) -> bool:
        from huggingface_hub import get_token

        return bool(self._token or get_token())


def _files_of(names: list[str], sizes: dict[str, int | None]) -> str:
    """"5 files, 2.2 GB"."""
    count = "1 file" if len(names) == 1 else f"{len(names)} files"
    total = sum(sizes[name] or 0 for name in names)
    return f"{count}, {_megabytes(total)}" if total else count


def _megabytes(n: int) -> str:
    return f"{n / 1e9:.2f} GB" if n >= 1e9 else f"{n / 1e6:.1f} MB"


# ---- bars ----


def _bar_class(shown: bool) -> type:
    """huggingface_hub's bar, which obeys its variables; on a terminal only."""
    from huggingface_hub.utils.tqdm import tqdm

    class Bar(tqdm):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            if not kwargs.get("disable"):
                kwargs["disable"] = None if shown else True
            super().__init__(*args, **kwargs)  # type: ignore[no-untyped-call]

    return Bar


@contextlib.contextmanager
def _quiet_bars(constants: Any, shown: bool) -> Iterator[None]:
    """Versions before 2 draw a file's bar with a class of their own, which only a switch silences."""
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    changed = []
    if not shown and constants.HF_HUB_DISABLE_PROGRESS_BARS is None:
        changed = [group for group in _BAR_GROUPS if not are_progress_bars_disabled(group)]
    for group in changed:
        disable_progress_bars(group)
    try:
        yield
    finally:
        for group in changed:
            enable_progress_bars(group)
