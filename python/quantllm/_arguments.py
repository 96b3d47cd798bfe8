# SPDX-License-Identifier: MIT
"""Checks of arguments: every complaint names the parameter, what was expected and what was found.

Only types are checked here (and ranges that C integers have); the library knows the ranges of its parameters.
Numbers are taken by protocol, so numpy's integers and floats work; a bool is no number."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

INT32_MAX = 2**31 - 1
UINT32_MAX = 2**32 - 1
UINT64_MAX = 2**64 - 1
FORMATS = ("gguf", "safetensors", "onnx", "mlx")  # of models that are written, here or elsewhere


def known_names(function: F) -> F:
    """Makes an unknown keyword a TypeError that names the nearest known one."""
    code = function.__code__
    known = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    known = tuple(name for name in known if name != "self")

    @functools.wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        for name in kwargs:
            if name not in known:
                raise TypeError(f"{function.__name__}() has no parameter {name!r}{_nearest(name, known)}")
        return function(*args, **kwargs)

    return checked  # type: ignore[return-value]


def _nearest(name: str, known: tuple[str, ...]) -> str:
    import difflib

    found = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f": did you mean {found[0]!r}?" if found else f"; it has {', '.join(known)}"


def wrong_type(name: str, expected: str, value: object) -> NoReturn:
    """TypeError 'temperature must be a number, got str ("hot")'."""
    found = type(value).__name__
    if isinstance(value, (str, bytes, bool, int, float)):
        shown = repr(value)
        found += f" ({shown})" if len(shown) <= 40 else f" ({shown[:37]}...)"
    raise TypeError(f"{name} must be {expected}, got {found}")


def is_bool(value: object) -> bool:
    return isinstance(value, bool) or type(value).__name__ in ("bool", "bool_") and hasattr(value, "dtype")


def whole(name: str, value: Any) -> int:
    """An int, of anything with __index__."""
    if is_bool(value):
        wrong_type(name, "int", value)
    try:
        return operator.index(value)
    except TypeError:
        wrong_type(name, "int", value)


def integer(name: str, value: Any, low: int, high: int) -> int:
    """An int in low..high."""
    result = whole(name, value)
    if not low <= result <= high:
        raise ValueError(f"{name} must be {low} to {high}, got {result}")
    return result


def int32(name: str, value: Any, low: int) -> int:
    """An int that C can hold; the library says that it must be >= low."""
    result = whole(name, value)
    if not -INT32_MAX <= result <= INT32_MAX:
        raise ValueError(f"{name} must be {low} to {INT32_MAX}, got {result}")
    return result


def number(name: str, value: Any) -> float:
    """A float, of anything with __float__ or __index__ that is no text."""
    if is_bool(value) or isinstance(value, (str, bytes, bytearray)):
        wrong_type(name, "a number", value)
    try:
        return float(value)
    except TypeError:
        wrong_type(name, "a number", value)
    except OverflowError:
        raise ValueError(f"{name} is too large for a float: an int of {value.bit_length()} bits") from None


def flag(name: str, value: Any) -> bool:
    if not is_bool(value):
        wrong_type(name, "bool", value)
    return bool(value)


def text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        wrong_type(name, "str", value)
    return value


def optional_text(name: str, value: Any) -> str | None:
    return None if value is None else text(name, value)


def token_ids(name: str, value: Any) -> list[int]:
    """A list, of any iterable (an array of numpy too); the extension looks at its items."""
    if isinstance(value, (str, bytes, dict)) or not hasattr(value, "__iter__"):
        wrong_type(name, "a list of int", value)
    return list(value)


def stop_strings(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, (list, tuple)):
        wrong_type("stop_strings", "str or a list of str", value)
    for i, item in enumerate(value):
        if not isinstance(item, str):
            wrong_type(f"stop_strings[{i}]", "str", item)
    return tuple(value)


def logit_bias(value: Any) -> tuple[tuple[int, float], ...]:
    if value is None:
        return ()
    if not isinstance(value, dict):
        wrong_type("logit_bias", "a dict of token id to number", value)
    return tuple(
        (integer("a token id in logit_bias", key, 0, INT32_MAX), number(f"logit_bias[{key}]", bias))
        for key, bias in value.items()
    )


def mixed_seed(seed: int, n: int) -> int:
    """The seed of the n-th call (from 0) of a model opened with seed: the n-th output of SplitMix64 started at it."""
    z = (seed + (n + 1) * 0x9E3779B97F4A7C15) & UINT64_MAX
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & UINT64_MAX
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & UINT64_MAX
    return z ^ (z >> 31)
