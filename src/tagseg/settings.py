"""Fields of the configuration whose type is the constraint on their values.

A section is a frozen dataclass that derives from ``Section``. A field such as ``ratio: Share = 0.4`` needs no further
check: ``Section`` reads the constraint from the annotation and names the field, the value and what was expected.
"""

from __future__ import annotations

import dataclasses
import math
import os
from dataclasses import dataclass
from functools import cache
from types import UnionType
from typing import Annotated, Any, ClassVar, Literal, TypeAlias, Union, get_args, get_origin, get_type_hints

from tagseg.errors import TagsegError


@dataclass(frozen=True)
class Within:
    """A number from ``least`` to ``most``; an open interval leaves out ``least``."""

    least: int | float = -math.inf
    most: int | float = math.inf
    open: bool = False
    expected: str = ""

    def accepts(self, value: Any) -> bool:
        """Whether a number lies in the interval."""
        if not isinstance(value, int | float) or value in (math.inf, -math.inf):
            return False
        return (self.least < value if self.open else self.least <= value) and value <= self.most


@dataclass(frozen=True)
class StepOrShare:
    """A step number (``int``) or a share of the training (``float`` from 0 to 1)."""

    expected: str = "a step number (integer) or a share of the training (a float from 0 to 1)"

    def accepts(self, value: Any) -> bool:
        """Whether a value is one of both."""
        return isinstance(value, int | float) and value >= 0 and (isinstance(value, int) or value <= 1)


@dataclass(frozen=True)
class NotEmpty:
    """At least one element."""

    expected: str = "one or more values"

    def accepts(self, value: Any) -> bool:
        """Whether there is an element."""
        return isinstance(value, tuple | list) and len(value) > 0


LARGEST = 2**32 - 1
"""Of integers: the largest seed. What is counted is fewer, and numbers beyond 64 bits end other programs in errors."""
Share: TypeAlias = Annotated[float, Within(0, 1, expected="a number from 0 to 1")]
InnerShare: TypeAlias = Annotated[float, Within(1e-6, 1 - 1e-6, expected="a number between 0 and 1")]
OpenShare: TypeAlias = Annotated[float, Within(0, 1, open=True, expected="a number above 0 and at most 1")]
Positive: TypeAlias = Annotated[float, Within(0, open=True, expected="a positive number")]
NotNegative: TypeAlias = Annotated[float, Within(0, expected="0 or more")]
Count: TypeAlias = Annotated[int, Within(0, expected="0 or more")]
AtLeastOne: TypeAlias = Annotated[int, Within(1, expected="1 or more")]
AtLeastTwo: TypeAlias = Annotated[int, Within(2, expected="at least 2")]
Seed: TypeAlias = Annotated[int, Within(0, LARGEST, expected=f"an integer from 0 to {LARGEST:,}")]
Workers: TypeAlias = Annotated[int, Within(-1, expected="-1 or more")]
Pixels: TypeAlias = Annotated[int, Within(1, 65_535, expected="a positive number of pixels, at most 65,535")]
FromTheEnd: TypeAlias = Annotated[int, Within(most=-1, expected="a negative number, counted from the end")]
When: TypeAlias = Annotated[int | float, StepOrShare()]
Options: TypeAlias = dict
"""Keys with values of any kind. Not ``dict[str, Any]``: for ``Any`` jsonargparse imports and calls the code that a
``class_path`` in a configuration file names."""

Constraint = Within | StepOrShare | NotEmpty


WAY_OUT = ": change it in the config file or by its flag"
"""The end of the message of a wrong setting; of a file's description, which has no flags, it is left out."""


@dataclass(frozen=True)
class Section:
    """Part of the configuration; ``SECTION`` is its name in YAML files and flags."""

    SECTION: ClassVar[str]

    def __post_init__(self) -> None:
        """Raise ``TagsegError`` for the first field whose value its type does not allow; a path becomes a string."""
        section: Any = type(self)
        for name, kind in field_types(section).items():
            value = getattr(self, name)
            if isinstance(value, os.PathLike) and not violated(kind, ""):
                object.__setattr__(self, name, value := os.fspath(value))
            expected = violated(kind, value)
            if expected:
                self.refuse(name, value, expected)

    def refuse(self, name: str, value: object, expected: str) -> None:
        """Raise the ``TagsegError`` that names a setting, its value, what was expected, and the way out."""
        raise TagsegError(f"{self.SECTION}.{name} is {value!r}, expected {expected}{WAY_OUT}")


@dataclass(frozen=True)
class MethodConfig:
    """The settings of a method: a frozen dataclass whose fields are its sections. ``NAME`` chooses it."""

    NAME: ClassVar[str]
    STEPWISE: ClassVar[bool] = True
    """Whether a ``Method`` is trained step by step on views; otherwise ``training/train.py`` names what trains it."""


@cache
def field_types(section: Any) -> dict[str, Any]:
    """The fields of a dataclass with their types, constraints included."""
    hints = get_type_hints(section, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(section)}


_TYPES = {
    bool: "true or false",
    int: "an integer",
    float: "a number",
    str: "a string",
    tuple: "a list",
    dict: "keys with values",
    type(None): "none",
}


def violated(kind: Any, value: Any) -> str:
    """What was expected of a value by the first part of its type that it breaks; empty where it breaks none."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        inner, *constraints = arguments
        broken = (c.expected for c in constraints if isinstance(c, Constraint) and not c.accepts(value))
        return next(broken, "") or violated(inner, value)
    if origin is Literal:
        names = [str(name) for name in arguments]
        return "" if value in arguments else f"{', '.join(names[:-1])} or {names[-1]}"
    if origin is tuple and isinstance(value, tuple | list):
        kinds = arguments[:1] * len(value) if arguments[1:] == (...,) else arguments
        if len(kinds) != len(value):
            return f"{len(kinds)} values"
        return next(filter(None, (violated(k, v) for k, v in zip(kinds, value, strict=True))), "")
    if origin in (Union, UnionType):
        expected = {k: violated(k, value) for k in arguments}
        fits = [expected[k] for k in arguments if _is_of(k, value)]
        return "" if "" in expected.values() else next(iter(fits), " or ".join(expected.values()))
    if isinstance(value, int) and abs(value) > LARGEST:
        return f"a number of at most {LARGEST:,}"
    return "" if _is_of(kind, value) else _TYPES.get(origin or kind, str(kind))


def _is_of(kind: Any, value: Any) -> bool:
    """Whether a value is of a plain type, its elements aside; an integer is also a number, true and false are not."""
    base = get_origin(kind) or kind
    if base is Any or not isinstance(base, type):
        return True
    if isinstance(value, bool):
        return base is bool
    return isinstance(value, int | float if base is float else tuple | list if base is tuple else base)
