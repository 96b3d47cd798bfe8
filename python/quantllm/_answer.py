# SPDX-License-Identifier: MIT
"""What a model answered, taken apart into content, reasoning and tool calls."""

from __future__ import annotations

from typing import Any, NamedTuple

from . import _quantllm
from ._arguments import optional_text, text
from ._generation import Generation, Stream
from ._json import schemas, to_json


class Answer(NamedTuple):
    """The parts of an answer. str() of it is the content.

    What looks like a tool call and can not be read as one is content; raw is always all that the model wrote."""

    content: str
    """What is meant for the reader."""
    reasoning: str
    """What the model thought before; "" when it did not."""
    tool_calls: list[dict[str, Any]]
    """[{"type": "function", "function": {"name": str, "arguments": dict}}], with "id" where the model gave one."""
    raw: str
    """All that the model wrote, marks included."""
    finish_reason: str | None
    """Why it ended: "stop", "length" or "cancelled"; None while it runs and for a text of unknown origin."""

    def message(self) -> dict[str, Any]:
        """The answer as the next message of the conversation, to be appended to it."""
        message: dict[str, Any] = {"role": "assistant", "content": self.content}
        if self.reasoning:
            message["reasoning_content"] = self.reasoning
        if self.tool_calls:
            message["tool_calls"] = self.tool_calls
        return message

    def __str__(self) -> str:
        return self.content


class Parser:
    """Divides an answer while it arrives."""

    def __init__(self, chat_template: str | None, prompt: str | None, tools: str | None) -> None:
        self._handle = _quantllm.Answer(chat_template, prompt, tools)
        self._seen = 0

    def feed(self, piece: str, last: bool = False) -> str:
        """Adds a piece; returns what that adds to the content."""
        self._handle.feed(piece, last)
        content, _, _, _ = self._handle.parts()
        new = content[self._seen :]
        self._seen = len(content)
        return new

    def answer(self, finish_reason: str | None = None) -> Answer:
        """What is known so far."""
        import json  # here: importing the package does without

        content, reasoning, calls, raw = self._handle.parts()
        return Answer(content, reasoning, json.loads(calls), raw, finish_reason)


def parse_answer(answer: str, chat_template: str | None, tools: Any = None, prompt: str | None = None) -> Answer:
    """Takes an answer apart by the marks that a chat template speaks of; see ql_answer_open() in quantllm.h.

    tools   what was offered; None: nothing, so that no calls are looked for
    prompt  what was rendered, or its end: behind an opening mark the answer begins in reasoning"""
    offered = schemas(tools)
    parser = Parser(
        optional_text("chat_template", chat_template),
        optional_text("prompt", prompt),
        None if offered is None else to_json("tools", offered),
    )
    parser.feed(text("answer", answer), True)
    return parser.answer()


class AnswerStream(Stream):
    """A Stream whose pieces are the content of the answer alone; answer has all parts, so far."""

    def __init__(self, generation: Generation, parser: Parser) -> None:
        super().__init__(generation)
        self._parser = parser
        self._ended = False

    def __next__(self) -> str:
        while not self._ended:
            try:
                new = self._parser.feed(super().__next__())
            except StopIteration:
                self._ended = True
                new = self._parser.feed("", True)  # what was held back
                if self.finish_reason == "cancelled":
                    break
            if new:
                return new
        raise StopIteration

    @property
    def answer(self) -> Answer:
        """Content, reasoning and tool calls so far."""
        return self._parser.answer(self.finish_reason)
