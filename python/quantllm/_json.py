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


def schemas(tools: Any) -> list[dict[str, Any]] | None:
    """The tools of a call: JSON schemas as they are, functions replaced by theirs."""
    if tools is None:
        return None
    if not isinstance(tools, (list, tuple)):
        wrong_type("tools", "a list of functions and JSON schemas (dicts)", tools)
    return [tool if isinstance(tool, dict) else _schema(f"tools[{i}]", tool) for i, tool in enumerate(tools)]


def _schema(name: str, tool: Any) -> dict[str, Any]:
    if type(tool).__name__ not in ("function", "method"):
        wrong_type(name, "a function or a JSON schema (dict)", tool)
    from ._tools import function_schema  # here: few calls have functions, and inspect is slow to import

    return function_schema(tool)


def template_request(
    messages: Any, tools: Any, documents: Any, variables: Any, add_generation_prompt: bool
) -> tuple[str, str | None, str | None, bool, None]:
    """The arguments of the extension's render functions, for a conversation of a model."""
    if variables is not None and not isinstance(variables, dict):
        wrong_type("variables", "a dict of the template's variables", variables)
    if documents is not None and not isinstance(documents, (list, tuple)):
        wrong_type("documents", 'a list of dicts such as {"title": "...", "text": "..."}', documents)
    for i, document in enumerate(documents or ()):
        if not isinstance(document, dict):
            wrong_type(f"documents[{i}]", 'a dict such as {"title": "...", "text": "..."}', document)
    more = {**(variables or {}), **({} if documents is None else {"documents": documents})}
    return (
        conversation(messages),
        optional_json("tools", schemas(tools)),
        to_json("variables", more) if more else None,
        add_generation_prompt,
        None,
    )


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
