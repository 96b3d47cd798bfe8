# SPDX-License-Identifier: MIT
"""Functions as people give them to a chat as tools. make_tools.py writes what transformers makes of them."""
import enum
from typing import Any, Literal, Optional, Union


def no_parameters():
    """The time, now."""


def multiply(a: float, b: float) -> float:
    """
    A function that multiplies two numbers

    Args:
        a: The first number to multiply
        b: The second number to multiply
    """
    return a * b


def get_weather(city: str, unit: Literal["celsius", "fahrenheit"] = "celsius", days: int = 1) -> dict:
    """Get the weather "now" in Zürich & elsewhere.

    It is <never> wrong: see below.

    Args:
        city: The city, e.g. "São Paulo, BR"
        unit (str, optional): The unit of the
            temperature: always one.
            note: this line goes on
        days: How many days
            ahead

    Returns:
        The weather:
        a dict

    Raises:
        ValueError: never
    """


def drink(beverage: str, size: int = 2):
    """Drinks.

    Args:
        beverage: The beverage to drink (choices: ["tea", "coffee "])
        size: How large (Choices: [1, 2, 3])
    """


def all_types(
    a: list, b: list[int], c: dict, d: dict[str, float], e: tuple[int, str], f: Optional[int], g: Union[int, str],
    h: int | None, i: list[str] | int, j: Any, k: bool, l: Literal[1, "a", True, None], m: None, n: tuple,
    o: list[dict[str, list[bool]]], p: list | tuple, q: int | float | None = None,
) -> list[int]:
    """Every type.

    Args:
        a: A
        b: B
        c: C
        d: D
        e: E
        f: F
        g: G
        h: H
        i: I
        j: J
        k: K
        l: L
        m: M
        n: N
        o: O
        p: P
        q: Q
    Returns:
        ints
    """


class Color(enum.Enum):
    RED = "red"
    BLUE = 2


def paint(color: Color, undescribed_result: int) -> "Any":
    """Paints.

    Args:
        color: Which.

        undescribed_result: After an empty line.
    """


class Thing:
    def method(self, x: int) -> "Thing":
        """A method.

        Args:
            x: of it
        """


def no_docstring(a: int):
    pass


def undescribed(a: int, b: int):
    """Lacks b.

    Args:
        a: A
    """


def no_hint(a, b: int):
    """Lacks a hint.

    Args:
        a: A
        b: B
    """


def custom(a: Thing):
    """A class of its own.

    Args:
        a: A
    """


def endless(a: tuple[int, ...]):
    """A tuple of any length.

    Args:
        a: A
    """


FUNCTIONS = [no_parameters, multiply, get_weather, drink, all_types, paint, Thing().method, no_docstring, undescribed,
             no_hint, custom, endless]
