# SPDX-License-Identifier: MIT
"""What a model answered, taken apart into content, reasoning and tool calls."""

from __future__ import annotations

from typing import Any

from . import _quantllm
from ._arguments import optional_text, text
from ._generation import Generation, Stream
from ._json import schemas, to_json


class Answer:
    """The parts of an answer.

    What looks like a tool call and can not be read as one is content; raw is always all that the model wrote."""

    __slots__ = ("content", "finish_reason", "raw", "reasoning", "tool_calls")

    def __init__(self, content: str, reasoning: str, tool_calls: list[dict[str, Any]], raw: str) -> None:
        self.content = content
        """What is meant for the reader."""
        self.reasoning = reasoning
        """What the model thought before; "" when it did not."""
        self.tool_calls = tool_calls
        """[{"type": "function", "function": {"name": str, "arguments": dict}}], with "id" where the model gave one."""
        self.raw = raw
        """All that the model wrote, marks included."""
        self.finish_reason: str | None = None
        """Why it ended: "stop" or "length"; None for a text of unknown origin."""

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

    def __repr__(self) -> str:
        return f"Answer(content={self.content!r}, reasoning={self.reasoning!r}, tool_calls={self.tool_calls!r})"


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

    def answer(self) -> Answer:
        """What is known so far."""
        import json  # here: importing the package does without

        content, reasoning, calls, raw = self._handle.parts()
        return Answer(content, reasoning, json.loads(calls), raw)


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
        answer = self._parser.answer()
        answer.finish_reason = self.finish_reason
        return answer
