# SPDX-License-Identifier: MIT
"""Python functions as tools for chat(), described by their type hints and docstring.

The schema of a function is the one that transformers' get_json_schema makes, since that is what models were trained on:
a docstring in Google's form, with a description of every parameter under "Args:"; tests compare the two."""

from __future__ import annotations

import enum
import inspect
import json
import re
import types
import typing
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

_SCALARS = {int: "integer", float: "number", str: "string", bool: "boolean", type(None): "null"}
_PLAIN: dict[Any, dict[str, Any]] = {
    **{kind: {"type": name} for kind, name in _SCALARS.items()},
    list: {"type": "array"},
    tuple: {"type": "array"},
    dict: {"type": "object"},
    Any: {},
}

_SECTION = r"(?:Args:|Returns:|Raises:|\Z)"
_CHOICES = re.compile(r"\(choices:\s*(.*?)\)\s*$", re.IGNORECASE)
_PARAMETER = re.compile(r"([ \t]*)(\w+)(?:[ \t]*\([^()\n]*\))?:")


def function_schema(function: Callable[..., Any]) -> dict[str, Any]:
    """{"type": "function", "function": {"name", "description", "parameters"[, "return"]}} of a function.

    Raises ValueError when the docstring or a type hint is missing, and for a type without a JSON form."""
    name = function.__name__
    doc = (inspect.getdoc(function) or "").strip()
    if not doc:
        raise ValueError(f"the tool {name} has no docstring: the model reads there what it does")
    description, arguments, returns = _read_docstring(doc)
    parameters, result = _read_signature(function)
    for argument, schema in parameters["properties"].items():
        if argument not in arguments:
            raise ValueError(f"the docstring of the tool {name} does not describe the parameter {argument!r}: it needs "
                             f'a line "{argument}: ..." under "Args:"')
        _describe(schema, arguments[argument])
    described: dict[str, Any] = {"name": name, "description": description, "parameters": parameters}
    if result is not None:
        if returns is not None:
            result["description"] = returns
        described["return"] = result
    return {"type": "function", "function": described}


# ---- docstring ----


def _read_docstring(doc: str) -> tuple[str, dict[str, str], str | None]:
    """The description, the parameters and what is returned."""
    description = re.match(rf"(.*?)\s*{_SECTION}", doc, re.DOTALL)
    arguments = re.search(r"\n\s*Args:\n(.*?)\s*(?:Returns:|Raises:|\Z)", doc, re.DOTALL)
    returns = re.search(r"\n\s*Returns:\n\s*(.*?)\s*(?:Raises:|\Z)", doc, re.DOTALL)
    return (
        description.group(1).strip() if description else "",
        _read_arguments(arguments.group(1)) if arguments else {},
        returns.group(1).strip() if returns else None,
    )


def _read_arguments(block: str) -> dict[str, str]:
    """name: description, where a line that is indented deeper than the name goes on with the description."""
    found: dict[str, list[str]] = {}
    indent: str | None = None
    lines: list[str] = []
    for line in block.split("\n"):
        if not line.strip():
            continue
        start = _PARAMETER.match(line)
        deeper = indent is not None and start and len(start[1]) > len(indent) and start[1].startswith(indent)
        if start and not deeper:
            indent = start[1]
            lines = found[start[2]] = [line[start.end() :].strip()]
        else:
            lines.append(line.strip())
    return {name: " ".join(part for part in parts if part) for name, parts in found.items()}


def _describe(schema: dict[str, Any], text: str) -> None:
    choices = _CHOICES.search(text)
    if choices:
        schema["enum"] = [c.strip() if isinstance(c, str) else c for c in json.loads(choices[1])]
        text = text[: choices.start()].strip()
    schema["description"] = text


# ---- type hints ----


def _read_signature(function: Callable[..., Any]) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """The schema of the parameters, and that of the result if it has one."""
    hints = typing.get_type_hints(function)
    parameters = dict(inspect.signature(function).parameters)
    first = next(iter(parameters), None)
    if first in ("self", "cls") and parameters[first].annotation is inspect.Parameter.empty:
        del parameters[first]
        hints.pop(first, None)
    for name, parameter in parameters.items():
        if parameter.annotation is inspect.Parameter.empty:
            raise ValueError(f"the parameter {name!r} of the tool {function.__name__} has no type hint")
    result = hints.pop("return", None)
    schema: dict[str, Any] = {"type": "object", "properties": {name: _of_hint(hint) for name, hint in hints.items()}}
    required = [name for name, parameter in parameters.items() if parameter.default is inspect.Parameter.empty]
    if required:
        schema["required"] = required
    return schema, _of_result(function, result)


def _of_result(function: Callable[..., Any], hint: Any) -> dict[str, Any] | None:
    """None where there is no hint, or one that has no JSON form: the model never writes a result."""
    if "return" not in getattr(function, "__annotations__", {}):
        return None
    try:
        return _of_hint(type(None) if hint is None else hint)
    except ValueError:
        return None


def _of_hint(hint: Any) -> dict[str, Any]:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is None:
        return _of_class(hint)
    if origin in (typing.Union, types.UnionType):
        return _of_union(arguments)
    if origin is typing.Literal:
        return _of_values(hint, arguments)
    if origin is list:
        return {"type": "array", "items": _of_hint(arguments[0])}
    if origin is tuple:
        if len(arguments) == 1 or ... in arguments:
            _refuse(hint, "use list[...] for a tuple of any length")
        return {"type": "array", "prefixItems": [_of_hint(a) for a in arguments]}
    if origin is dict:
        more = {"additionalProperties": _of_hint(arguments[1])} if len(arguments) == 2 else {}
        return {"type": "object", **more}
    _refuse(hint)


def _of_class(hint: Any) -> dict[str, Any]:
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return _of_values(hint, [member.value for member in hint])
    try:
        return dict(_PLAIN[hint])
    except (KeyError, TypeError):
        _refuse(hint)


def _of_values(hint: Any, values: Iterable[Any]) -> dict[str, Any]:
    values = list(values)
    if not values or any(type(value) not in _SCALARS for value in values):
        _refuse(hint, "its values must be int, float, str, bool or None, and at least one")
    kinds = list(dict.fromkeys(_SCALARS[type(value)] for value in values))
    return {"type": kinds[0] if len(kinds) == 1 else kinds, "enum": values}


def _of_union(hints: tuple[Any, ...]) -> dict[str, Any]:
    parts = [_of_hint(hint) for hint in hints if hint is not type(None)]
    schema: dict[str, Any]
    if len(parts) == 1:
        schema = parts[0]
    elif all(part.keys() == {"type"} and isinstance(part["type"], str) for part in parts):
        names = sorted({part["type"] for part in parts})
        schema = {"type": names[0] if len(names) == 1 else names}
    else:
        schema = {"anyOf": parts}
    if type(None) in hints:
        schema["nullable"] = True
    return schema


def _refuse(hint: Any, rule: str = "give the tool as a JSON schema (dict)") -> NoReturn:
    raise ValueError(f"the type hint {hint!r} of a tool has no JSON form: {rule}")
