"""JSON from outside: whatever is wrong with it is a ``ValueError`` of one line."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any


def parse_json(text: str | bytes, unique: bool = False) -> Any:
    """The content of a JSON text.

    Args:
        text: the text; bytes are UTF-8, UTF-16 or UTF-32.
        unique: whether a key that an object has twice is an error. JSON's readers take the last one, so what is said of
            an image first would be lost in silence.

    Raises:
        json.JSONDecodeError: no JSON; it knows the line.
        ValueError: nested too deeply, a number too long to be read, a key twice, or half a letter, which no file that
            is written later could hold.
    """
    try:
        content = json.loads(text, object_pairs_hook=_once if unique else None)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    except (json.JSONDecodeError, UnicodeDecodeError, _Twice):
        raise
    except ValueError as error:  # of int(), which takes some thousand digits
        raise ValueError("a number of thousands of digits") from error
    if _HALVES.search(text) if isinstance(text, str) else _HALVES_IN_BYTES.search(text):
        try:
            json.dumps(content, ensure_ascii=False).encode("utf-8", "surrogateescape")  # names of files pass
        except UnicodeEncodeError as error:
            raise ValueError(f"half a letter, {error.object[error.start]!a}") from error
    return content


_HALVES = re.compile(r"\\u[dD][89a-fA-F]")
_HALVES_IN_BYTES = re.compile(_HALVES.pattern.encode())
"""Escapes of halves; two of them make a letter."""


class _Twice(ValueError):
    """A key that is there twice."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise _Twice(f"the key {twice!r} twice in one object")
    return content
