# SPDX-License-Identifier: MIT
"""A repository in the cache of huggingface_hub: models--owner--name with blobs, snapshots/COMMIT and refs/REVISION.

Every program that uses that cache shares the files. refs/REVISION is written when all files of a commit are there:
until then a start without the network still finds the commit before."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from ._hub_files import CONFIG, Choice, choose, has_tokenizer, refuse_quantized, shards_of

COMMIT = re.compile(r"[0-9a-f]{40}")


class HubName(NamedTuple):
    """What the user calls a model of the Hub."""

    repo: str
    wanted: str | None
    """What follows the colon: a type or a file."""

    def __str__(self) -> str:
        return self.repo if self.wanted is None else f"{self.repo}:{self.wanted}"


class Snapshot(NamedTuple):
    """A complete model on disk."""

    path: str
    """What the library opens: a folder, or a GGUF file."""
    commit: str


class Cache:
    """The folder of one repository. Nothing here needs the network."""

    def __init__(self, root: str, name: HubName) -> None:
        self.root = os.path.expanduser(root)
        self.name = name
        self._storage = os.path.join(self.root, "models--" + name.repo.replace("/", "--"))

    def path(self, commit: str, name: str = "") -> str:
        """Of a file at a commit, or of the commit's folder."""
        return os.path.join(self._storage, "snapshots", commit, *name.split("/")).rstrip(os.sep)

    def commit_of(self, revision: str) -> str | None:
        """The commit that a branch or tag was when it was last complete here."""
        if COMMIT.fullmatch(revision):
            return revision
        try:
            with open(self._ref(revision), encoding="ascii") as file:
                commit = file.read(100).strip()
        except (OSError, UnicodeDecodeError):
            return None
        return commit if COMMIT.fullmatch(commit) else None

    def remember(self, revision: str, commit: str) -> None:
        """From now on revision is commit. A cache that can not be written keeps what it says."""
        if self.commit_of(revision) == commit:
            return
        path = self._ref(revision)
        temporary = f"{path}.{os.getpid()}.tmp"
        with contextlib.suppress(OSError):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(temporary, "w", encoding="ascii") as file:
                file.write(commit)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)

    def find(self, commit: str | None) -> Snapshot | None:
        """The model at a commit, None if a file of it is missing."""
        if commit is None:
            return None
        names = list(_files_below(self.path(commit)))
        try:
            choice = choose(self.name.repo, names, self.name.wanted)
            if not has_tokenizer(choice):
                return None
            if choice.shard_index:
                self.read_shards(choice.shard_index, commit, names)
        except (OSError, ValueError, NotImplementedError):
            return None
        return self.snapshot(choice, commit)

    def missing(self, names: list[str], commit: str) -> list[str]:
        return [name for name in names if not os.path.isfile(self.path(commit, name))]

    def read_shards(self, index: str, commit: str, names: list[str]) -> list[str]:
        """The weight files that the safetensors index speaks of."""
        return shards_of(self.name.repo, self._read_json(index, commit), names)

    def check_config(self, commit: str, names: list[str]) -> None:
        refuse_quantized(self.name.repo, self._read_json(CONFIG, commit), names)

    def snapshot(self, choice: Choice, commit: str) -> Snapshot:
        return Snapshot(self.path(commit, choice.gguf or ""), commit)

    def drop_if_damaged(self, name: str, commit: str) -> str | None:
        """Removes a file whose content is not what its blob's name says, and tells what is wrong with it.

        The Hub names a large file by its SHA-256 and a small one by git's SHA-1; other names tell nothing."""
        path = self.path(commit, name)
        if not os.path.islink(path):
            return None
        blob = os.path.join(os.path.dirname(path), os.readlink(path))
        expected = os.path.basename(blob)
        if re.fullmatch(r"[0-9a-f]{64}", expected):
            found = {_digest(path, hashlib.sha256())}
        elif re.fullmatch(r"[0-9a-f]{40}", expected):  # of mirrors also the plain one
            header = b"blob %d\0" % os.path.getsize(path)
            found = {_digest(path, hashlib.sha1(header, usedforsecurity=False)),
                     _digest(path, hashlib.sha1(usedforsecurity=False))}
        else:
            return None
        if expected in found:
            return None
        for damaged in (path, blob):
            with contextlib.suppress(OSError):
                os.unlink(damaged)
        return f"{name} has the checksum {sorted(found)[0][:16]}..., the Hub says {expected[:16]}..."

    def _read_json(self, name: str, commit: str) -> Any:
        try:
            with open(self.path(commit, name), "rb") as file:
                return json.load(file)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{self.name.repo}: {name} is not JSON: {error}") from None

    def _ref(self, revision: str) -> str:
        return os.path.join(self._storage, "refs", *revision.split("/"))


def _files_below(folder: str) -> Iterator[str]:
    """Names of the files that are really there: a link to a blob that is gone does not count."""
    for where, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(where, name)
            if os.path.isfile(path):
                yield os.path.relpath(path, folder).replace(os.sep, "/")


def _digest(path: str, digest: Any) -> str:
    with open(path, "rb", buffering=0) as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return str(digest.hexdigest())
