# SPDX-License-Identifier: MIT
"""A generation under way, as a blocking call and as an iterator.

A model keeps idle sessions for reuse (SessionPool); a generation has one for itself, so that threads and interleaved
streams do not disturb each other. There are no Python locks: each step on shared state is one operation that the
interpreter does not interrupt, which also makes close() safe in destructors and signal handlers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from . import _quantllm

if TYPE_CHECKING:
    from types import TracebackType

Prompts = tuple[str | list[int], ...]


class Usage(NamedTuple):
    """What a generation took."""

    prompt_tokens: int
    """Tokens of all prompts."""
    cached_tokens: int
    """Of which were still in the cache from an earlier call."""
    new_tokens: int
    """Tokens generated."""
    prompt_seconds: float
    """Time to compute the prompts."""
    decode_seconds: float
    """Time to generate the new tokens."""
    drafted_tokens: int
    """Tokens that were computed ahead, as speculation suggested."""
    accepted_tokens: int
    """Of which were right and became text."""


class SessionPool:
    """Sessions of one model. One idle session is kept, with its cache of the last prompt."""

    def __init__(self, handle: _quantllm.Model) -> None:
        self._handle = handle
        self._idle: list[_quantllm.Session] = []

    def take(self) -> _quantllm.Session:
        try:
            return self._idle.pop()
        except IndexError:
            return self._handle.session()

    def give_back(self, session: _quantllm.Session) -> None:
        if not self._idle:
            self._idle.append(session)
        if self._handle.closed:
            self._idle.clear()

    def clear(self) -> None:
        self._idle.clear()


class Generation:
    """A started generation for one or more prompts, and the session it runs on until it has ended."""

    def __init__(self, pool: SessionPool, prompts: Prompts, parameters: dict[str, Any]) -> None:
        self._pool = pool
        self._left = len(prompts)
        self._usage: Usage | None = None
        session = pool.take()
        try:
            self._number = session.start(prompts, **parameters)
        except Exception:
            pool.give_back(session)
            raise
        self._session: _quantllm.Session | None = session

    def next(self) -> tuple[str, int, str | None] | None:
        """(text, which prompt, why it finished or None), None when all has ended."""
        session = self._session
        if session is None:
            return None
        try:
            piece = session.next(self._number)
        except BaseException:  # also Ctrl-C: the generation is over, its session can be used again
            self.end()
            raise
        if piece is not None and piece[2] is not None:
            self._left -= 1  # the last prompt's last piece: nothing else will come
        if piece is None or self._left == 0:
            self.end()
        return piece

    def end(self) -> None:
        """Cancels what is still under way and gives the session back."""
        session, self._session = self._session, None
        if session is not None:
            session.end(self._number)
            self._usage = Usage(*session.usage())
            self._pool.give_back(session)

    @property
    def usage(self) -> Usage:
        session = self._session
        if session is not None:
            return Usage(*session.usage())
        return self._usage or Usage(0, 0, 0, 0.0, 0.0, 0, 0)


def run(generation: Generation, n_prompts: int) -> tuple[list[str], list[str]]:
    """Computes all of it: the texts and the reasons they finished, in the order of the prompts."""
    pieces: list[list[str]] = [[] for _ in range(n_prompts)]
    reasons = [""] * n_prompts
    try:
        while (piece := generation.next()) is not None:
            text, index, finish = piece
            pieces[index].append(text)
            if finish is not None:
                reasons[index] = finish
    finally:
        generation.end()
    return ["".join(texts) for texts in pieces], reasons


class Stream:
    """An iterator over the text of one generation, piece by piece as it is computed.

    Pieces are never empty, hold whole characters only, and join to what the call without stream=True returns. The
    generation is computed as the iterator is advanced. close() ends it early, as leaving a with block, Ctrl-C and
    dropping the iterator do."""

    def __init__(self, generation: Generation) -> None:
        """Not to be called: generate(..., stream=True) and chat(..., stream=True) make one."""
        self._generation = generation
        self._finish_reason: str | None = None

    def __iter__(self) -> Stream:
        return self

    def __next__(self) -> str:
        while self._finish_reason is None:
            try:
                piece = self._generation.next()
            except BaseException:
                self._finish_reason = "cancelled"
                raise
            if piece is None:
                self._finish_reason = self._finish_reason or "cancelled"
                break
            text, _, self._finish_reason = piece
            if text:
                return text
        raise StopIteration

    def close(self) -> None:
        """Ends the generation; from any thread. What another thread is computing stops within one token."""
        if self._finish_reason is None:
            self._finish_reason = "cancelled"
        self._generation.end()

    @property
    def finish_reason(self) -> str | None:
        """None while it runs; "stop" (end of text or a stop string), "length" (max_new_tokens or the end of the
        context) or "cancelled"."""
        return self._finish_reason

    @property
    def usage(self) -> Usage:
        """Figures so far."""
        return self._generation.usage

    def __enter__(self) -> Stream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        generation = getattr(self, "_generation", None)
        if generation is not None:
            generation.end()

    def __repr__(self) -> str:
        return f"<Stream {self._finish_reason or 'running'}>"
