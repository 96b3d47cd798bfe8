# SPDX-License-Identifier: MIT
"""Messages, tools and variables on their way to the library, which takes JSON."""

from __future__ import annotations

from typing import Any

from ._arguments import wrong_type


def to_json(name: str, value: Any) -> str:
    """JSON of a value; TypeError for what JSON does not have, ValueError for NaN, rings and endless nesting."""
    import json  # here: a plain generate() does without

    def refuse(item: object) -> object:
        raise TypeError(f"{name} holds a {type(item).__name__}, which JSON does not have")

    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, default=refuse)
    except TypeError as error:
        if str(error).startswith("keys must be"):
            raise TypeError(f"{name}: {error}") from None
        raise
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    except RecursionError:
        raise ValueError(f"{name} is nested too deeply") from None


def optional_json(name: str, value: Any) -> str | None:
    return None if value is None else to_json(name, value)


def conversation(messages: Any) -> str:
    """JSON of a conversation, checked to be a list of dicts with a role and content that a template can use."""
    expected = 'a list of dicts such as {"role": "user", "content": "Hi"}'
    if not isinstance(messages, (list, tuple)):
        wrong_type("messages", expected, messages)
    if not messages:
        raise ValueError(f"messages is empty: give {expected}")
    for i, message in enumerate(messages):
        if isinstance(message, (list, tuple)):
            raise TypeError("messages must be one conversation, got a list of lists: call chat for each of them")
        if not isinstance(message, dict):
            wrong_type(f"messages[{i}]", 'a dict such as {"role": "user", "content": "Hi"}', message)
        _check_message(f"messages[{i}]", message)
    return to_json("messages", messages)


def _check_message(name: str, message: dict[Any, Any]) -> None:
    if "role" not in message:
        raise ValueError(f'{name} has no "role": give "system", "user" or "assistant"')
    if not isinstance(message["role"], str):
        wrong_type(f'{name}["role"]', "str", message["role"])
    if "content" not in message:
        if "tool_calls" in message:
            return
        raise ValueError(f'{name} has no "content"')
    content = message["content"]
    if content is not None and not isinstance(content, (str, list, tuple)):
        wrong_type(f'{name}["content"]', "str, or a list of parts", content)
