# SPDX-License-Identifier: MIT
"""What huggingface_hub raises, in one line that says what to do.

Its versions sit on different HTTP clients (requests, httpx), so errors of the network are known by where their class
comes from and by the status of the answer, not by class."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from typing import Any

_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EFBIG}
_CLIENTS = ("requests", "urllib3", "httpx", "httpcore", "h11", "ssl")


class Unreachable(Exception):
    """The Hub did not give what it should; what is in the cache may do. Never leaves the package."""

    def __init__(
        self, reason: str, advice: str, kind: type[OSError] = OSError, again: bool = True, damaged: bool = False
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.error = kind(f"{reason}: {advice}")
        """What the caller of turbo() gets when there is nothing in the cache."""
        self.again = again
        """Whether another attempt may help at once."""
        self.damaged = damaged
        """What has arrived can not be gone on with."""


def explain(error: Exception, repo: str, revision: str, endpoint: str, has_token: bool) -> Exception:
    """The exception to raise instead."""
    from huggingface_hub import errors

    hub = name_of(endpoint)
    chain = list(_chain(error))
    for one in chain:
        if isinstance(one, errors.GatedRepoError):
            return PermissionError(
                f"{repo} is gated: accept its conditions at {endpoint}/{repo}, then give a token of your account with "
                "token=... or the variable HF_TOKEN"
            )
        if isinstance(one, errors.RepositoryNotFoundError):
            return FileNotFoundError(
                f"{repo} is no file or folder here and no model of {hub}: check the spelling; a private model needs "
                + ("a token that may read it" if has_token else "a token: token=... or the variable HF_TOKEN")
            )
        if isinstance(one, errors.RevisionNotFoundError):
            return FileNotFoundError(
                f"{repo} has no revision {revision!r}: leave revision out for the newest, or give a branch, a tag or a "
                f"commit of {endpoint}/{repo}"
            )
        if isinstance(one, errors.HFValidationError):
            return ValueError(f"{repo} is no name of a model: {_line(one)}")
        if isinstance(one, OSError) and one.errno in _DISK:
            return OSError(f"{repo}: the cache can not be written: {_line(one)}: make room, or set HF_HOME")
    for one in chain:
        status = getattr(getattr(one, "response", None), "status_code", None)
        if status is not None:
            return _of_status(int(status), one, repo, hub, endpoint)
    if any(type(one).__name__ == "JSONDecodeError" or isinstance(one, (KeyError, TypeError)) for one in chain):
        return stranger(repo, hub)
    if any("onsistency check" in str(one) for one in chain):
        return Unreachable(f"{repo}: {hub} sent a file of a wrong length", "try again later", damaged=True)
    if any(_is_network(one) for one in chain):
        reason = f"{repo}: no connection to {hub} ({_line(chain[-1])})"
        return Unreachable(reason, "check the network, or give the path of a model", ConnectionError)
    return OSError(f"{repo}: the download failed: {type(error).__name__}: {_line(error)}")


def stranger(repo: str, hub: str) -> Unreachable:
    """Something else answered: a network that wants a login first, a wrong HF_ENDPOINT."""
    advice = "check the network and HF_ENDPOINT, or give the path of a model"
    return Unreachable(f"{repo}: {hub} does not answer as a hub does", advice, ConnectionError)


def name_of(endpoint: str) -> str:
    return "the Hub" if endpoint == "https://huggingface.co" else f"the Hub ({endpoint})"


def _of_status(status: int, error: BaseException, repo: str, hub: str, endpoint: str) -> Exception:
    if status == 401:
        return PermissionError(f"{hub} does not accept the token (401): make a new one at {endpoint}/settings/tokens")
    if status in (403, 451):
        return PermissionError(f"{hub} refuses {repo} ({status}): {_server_message(error)}")
    if status == 404:
        return FileNotFoundError(f"{repo}: {hub} does not have a file of it any more (404): try again later")
    if status == 416:
        return Unreachable(f"{repo}: {hub} refuses to go on with a download (416)", "try again later", damaged=True)
    if status == 429:
        wait = _header(error, "Retry-After")
        pause = f"wait {wait} s" if wait.isdigit() else "wait some minutes"
        advice = f"{pause}, or give a token, which may ask more often"
        return Unreachable(f"{repo}: {hub} is asked too often (429)", advice, ConnectionError, again=False)
    return Unreachable(f"{repo}: {hub} answers with status {status}", "try again later", ConnectionError, again=False)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what it came from."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _is_network(error: BaseException) -> bool:
    client = type(error).__module__.split(".")[0].startswith(_CLIENTS)
    return client or isinstance(error, (ConnectionError, TimeoutError))


def _header(error: BaseException, name: str) -> str:
    headers: Any = getattr(getattr(error, "response", None), "headers", None)
    return str(headers.get(name) or "") if headers is not None else ""


def _server_message(error: BaseException) -> str:
    return " ".join(_header(error, "X-Error-Message").split())[:200] or "the token's account may not read it"


def _line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return (text if len(text) <= 200 else f"{text[:197]}...") or type(error).__name__
