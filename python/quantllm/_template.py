# SPDX-License-Identifier: MIT
"""ChatTemplate: messages to text, without a model."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from . import _quantllm
from ._answer import Answer, parse_answer
from ._arguments import flag, integer, is_bool, text, wrong_type
from ._json import optional_json, schemas, to_json

if TYPE_CHECKING:
    import datetime


def _instant(now: Any) -> int | None:
    """Seconds since 1970 UTC. A datetime gives the date and time it shows, whatever its time zone."""
    if now is None:
        return None
    if hasattr(now, "timetuple") and hasattr(now, "replace"):
        import calendar

        return calendar.timegm(now.timetuple())
    if isinstance(now, float) and math.isfinite(now):
        now = math.floor(now)
    if is_bool(now) or not hasattr(now, "__index__"):
        wrong_type("now", "seconds since 1970 UTC or a datetime", now)
    return integer("now", now, -(2**55), 2**55)


class ChatTemplate:
    """A chat template in Jinja, as models carry it, compiled by an interpreter of its own that has no access to
    Python. It may be used by many threads at once."""

    def __init__(self, source: str, bos_token: str = "", eos_token: str = "") -> None:
        """Compiles source; bos_token and eos_token are what the template sees under these names.

        Raises TemplateError, with line and column, when the source is wrong."""
        self._source = text("source", source)
        self._handle = _quantllm.Template(
            self._source, text("bos_token", bos_token), text("eos_token", eos_token)
        )

    def render(
        self,
        messages: Sequence[dict[str, Any]],
        tools: Sequence[dict[str, Any] | Callable[..., Any]] | None = None,
        add_generation_prompt: bool = True,
        now: float | datetime.datetime | None = None,
        **variables: Any,
    ) -> str:
        """The text of a conversation. Functions among the tools are replaced by their JSON schemas.

        now is what strftime_now() sees, in seconds since 1970 UTC or as a datetime, the clock when None. Other
        keywords become variables of the template; all values must be JSON's (dict, list, str, int, float, bool, None).

        Raises TemplateError when the template refuses the messages or passes a limit, TypeError for values that JSON
        does not have."""
        return self._handle.render(
            to_json("messages", messages),
            optional_json("tools", schemas(tools)),
            to_json("variables", variables) if variables else None,
            flag("add_generation_prompt", add_generation_prompt),
            _instant(now),
        )

    def parse_answer(
        self, answer: str, tools: Sequence[dict[str, Any] | Callable[..., Any]] | None = None, prompt: str | None = None
    ) -> Answer:
        """Takes what a model answered apart, by the marks that this template speaks of. tools is what was offered, None
        for nothing, so that no calls are looked for; prompt is what render() gave, or its end."""
        return parse_answer(answer, self._source, tools, prompt)

    def __repr__(self) -> str:
        return f"<ChatTemplate at {id(self):#x}>"
