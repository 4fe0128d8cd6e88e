"""JSON as annotation tools write it: read whole, or its beginning alone to tell whose it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tagseg.data.json_text import parse_json
from tagseg.data.notes import Note
from tagseg.data.text_file import read_text
from tagseg.errors import TagsegError

BEGINNING = 1 << 18
"""Bytes that are read to recognise a file."""


def read_json(path: Path, expected: str) -> tuple[Any, tuple[Note, ...]]:
    """The content of a file, and what was noticed of its encoding.

    Args:
        path: the file.
        expected: what it should have been, for messages, e.g. ``a JSON export of Label Studio``.

    Raises:
        TagsegError: it cannot be read, is empty or is no JSON; the message names the line.
    """
    text, notes = read_text(path, expected)
    if not text.strip():
        raise TagsegError(f"{path} is empty, expected {expected}: export it again")
    try:
        return parse_json(text), notes
    except json.JSONDecodeError as error:
        raise TagsegError(
            f"{path} line {error.lineno} is no JSON ({error.msg}), expected {expected}: export it again"
        ) from error
    except ValueError as error:
        raise TagsegError(f"{path} cannot be read ({error}), expected {expected}: export it again") from error


def beginning(path: Path) -> bytes:
    """The first bytes of a file without byte order mark and white space; empty if it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(BEGINNING).removeprefix(b"\xef\xbb\xbf").lstrip()
    except OSError:
        return b""
