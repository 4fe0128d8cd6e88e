"""Checks of what is passed to the Python API, so that a wrong type is one line and not a traceback from below."""

from __future__ import annotations

import os
from collections.abc import Mapping
from numbers import Integral, Real

from tagseg.errors import TagsegError


def refuse(name: str, value: object, expected: str) -> TagsegError:
    """The error that names an argument, what it is, and what was expected."""
    shown = repr(value) if isinstance(value, str | int | float | bool | None) else f"a {_type(value)}"
    return TagsegError(f"{name} is {shown}, expected {expected}")


def check_path(name: str, value: object, expected: str = "a path (str or Path)") -> None:
    """Raise ``TagsegError`` unless a value can be a path."""
    if not isinstance(value, str | os.PathLike) or (isinstance(value, str) and not value):
        raise refuse(name, value, expected)


def check_kinds(values: Mapping[str, object], **kinds: str) -> None:
    """Raise ``TagsegError`` for the first value that is not of its kind.

    Args:
        values: the arguments of a function by name.
        kinds: of some of them: ``whole``, ``number``, ``switch``, ``text``, ``numbers``; with ``?`` also ``None``.
    """
    for name, kind in kinds.items():
        value = values[name]
        optional = kind.endswith("?")
        if not (optional and value is None) and not _is_of(kind.rstrip("?"), value):
            raise refuse(name, value, _EXPECTED[kind.rstrip("?")] + (" or None" if optional else ""))


_EXPECTED = {
    "whole": "an integer",
    "number": "a number",
    "switch": "True or False",
    "text": "a string",
    "numbers": "one or more numbers, e.g. (1.0, 1.5)",
}


def _is_of(kind: str, value: object) -> bool:
    if kind == "switch":
        return isinstance(value, bool) or type(value).__name__ in ("bool_", "bool")  # NumPy's as well
    if kind == "text":
        return isinstance(value, str)
    if kind == "numbers":
        return isinstance(value, tuple | list) and all(_is_of("number", one) for one in value)
    return isinstance(value, Integral if kind == "whole" else Real) and not isinstance(value, bool)


def _type(value: object) -> str:
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__.partition('.')[0]} {kind.__name__}"
