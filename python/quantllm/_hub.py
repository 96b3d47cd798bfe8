# SPDX-License-Identifier: MIT
"""Models of the Hugging Face Hub: what a name means, and when the cache is enough.

What is complete in the cache is found without importing more of huggingface_hub than its constants: a start without
the network, or at a full commit, does not pay for an HTTP client."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from ._hub_cache import COMMIT, Cache, HubName, Snapshot
from ._hub_errors import Unreachable

_PART = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?"
_NAME = re.compile(rf"({_PART}(?:/{_PART})?)(?::([A-Za-z0-9_][^\\\0\n]*|))?")
_FILES = (".gguf", ".safetensors", ".bin", ".json", ".git")


def parse(name: str) -> HubName | None:
    """"owner/name" or "name", each also with ":type" or ":file", or after "hf://"; None for what can only be a path."""
    found = _NAME.fullmatch(name.removeprefix("hf://"))
    if not found:
        return None
    repo, wanted = found.groups()
    if "--" in repo or ".." in repo or repo.endswith(_FILES) or any(len(part) > 96 for part in repo.split("/")):
        return None
    if wanted == "":
        raise ValueError(f'{name!r} ends with ":": a type or a file follows it, as in "{repo}:Q4_K_M"')
    return HubName(repo, wanted)


def fetch(
    name: HubName, revision: str | None, token: str | None, verbose: bool, say: Callable[[str], None]
) -> Snapshot:
    """The model in the cache, downloaded as far as it is not there.

    Raises FileNotFoundError, PermissionError, ConnectionError, OSError or ValueError that say what to do."""
    constants = _constants()
    revision = _checked(revision, constants)
    cache = Cache(constants.HF_HUB_CACHE, name)
    commit = cache.commit_of(revision)
    kept = cache.find(commit)
    if kept and COMMIT.fullmatch(revision):
        return kept
    if _is_offline(constants):
        if kept is None:
            raise FileNotFoundError(
                f"{name}: HF_HUB_OFFLINE is set and {cache.root} has no complete copy at revision {revision!r}: unset "
                "it once to download the model, or give the path of one"
            )
        return kept
    from ._hub_download import Download

    try:
        return Download(constants, cache, revision, token, verbose, say).run()
    except Unreachable as problem:
        if kept is None:
            raise problem.error from None
        say(f"quantllm: {problem.reason}: taking the copy in the cache, commit {kept.commit[:12]}")
        return kept
    except PermissionError as error:
        if kept is None:
            raise
        raise PermissionError(f"{error}; HF_HUB_OFFLINE=1 runs the copy in the cache") from None


def _constants() -> Any:
    try:
        from huggingface_hub import constants
    except ImportError:
        raise ImportError(
            "a model of the Hub needs the package huggingface_hub: run pip install huggingface_hub, or give the path "
            "of a model"
        ) from None
    return constants


def _is_offline(constants: Any) -> bool:
    return bool(constants.is_offline_mode() if hasattr(constants, "is_offline_mode") else constants.HF_HUB_OFFLINE)


def _checked(revision: str | None, constants: Any) -> str:
    """A revision that is safe as a part of a path."""
    if revision is None:
        return str(constants.DEFAULT_REVISION)
    if not re.fullmatch(r"[\w.+@-]+(/[\w.+@-]+)*", revision) or any(p.strip(".") == "" for p in revision.split("/")):
        raise ValueError(f"revision must be a branch, a tag or a commit, got {revision!r}")
    return revision
