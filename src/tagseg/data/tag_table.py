"""Tables as text: CSV with any usual field separator, JSON lines, JSON; a header and rows, not yet understood."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tagseg.data.json_text import parse_json
from tagseg.data.notes import Note
from tagseg.errors import TagsegError

ABSENT = object()
"""A cell of a JSON object that lacks the key."""

_FIELD_SEPARATORS = {",": "','", ";": "';'", "\t": "tabs", "|": "'|'"}
MOST_COLUMNS = 10_000
"""A mask has 254 classes at most; beyond all that could be a table's, looking through the columns takes minutes."""
_LISTS = "an object a line, a list of objects, or one object of image names and their tags"


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        path: the file.
        header: names of the C columns.
        rows: the row's place (a line, or an entry of JSON) and C cells: text, or what JSON has there.
        unit: what a place counts: ``line`` or ``entry``.
        notes: how the table was read.
    """

    path: Path
    header: tuple[str, ...]
    rows: tuple[tuple[int, tuple[Any, ...]], ...]
    unit: str = "line"
    notes: tuple[Note, ...] = ()

    def where(self, place: int) -> str:
        """The file and the row's place, for messages."""
        return f"{self.path} {self.unit} {place}"


def parse_table(path: Path, text: str, rank: Callable[[list[str]], int]) -> Table:
    """Read the text of a tag file; the content tells the format, not the file's name.

    Args:
        path: the file, for messages.
        text: its text.
        rank: how well a header is understood; the best of the usual field separators is taken.

    Raises:
        TagsegError: a malformed file; the message names the line.
    """
    start = text.lstrip()[:1]
    if start in ("[", "{") or path.suffix.lower() in (".jsonl", ".ndjson", ".json"):
        return _from_json(path, text, rank)
    return _from_csv(path, text, rank)


def _from_csv(path: Path, text: str, rank: Callable[[list[str]], int]) -> Table:
    declared, begin = _declared(text)
    separator = declared or _field_separator(text, rank)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    header: list[str] | None = None
    rows: list[tuple[int, tuple[Any, ...]]] = []
    try:
        for fields in reader:
            if reader.line_num < begin or not any(field.strip() for field in fields):
                continue
            if header is None:
                header = [name.strip() for name in fields]
                header = header[: 1 + max(i for i, name in enumerate(header) if name)]  # a separator may end the line
                if len(header) > MOST_COLUMNS:
                    raise TagsegError(f"{path} has {_too_many(len(header))}")
                continue
            if len(fields) > len(header) and not any(field.strip() for field in fields[len(header) :]):
                fields = fields[: len(header)]
            if len(fields) != len(header):
                raise TagsegError(
                    f"{path} line {reader.line_num} has {len(fields)} fields, expected {len(header)} "
                    f"({', '.join(header)}): separate tags by ';', put quotes around text with a "
                    f"{'comma' if separator == ',' else repr(separator)}"
                )
            rows.append((reader.line_num, tuple(fields)))
    except csv.Error as error:
        raise TagsegError(
            f"{path} line {reader.line_num} is no CSV ({error}), expected a comma-separated table: check its quotes"
        ) from error
    notes = (Note(f"fields of {path.name} are separated by {_FIELD_SEPARATORS.get(separator, repr(separator))}"),)
    return Table(path, tuple(header or ()), tuple(rows), notes=() if separator == "," else notes)


def _declared(text: str) -> tuple[str, int]:
    """The separator of a first line ``sep=;``, which Excel writes, and the line of the header."""
    first = next(iter(text[:20].splitlines()), "").strip('"')  # a Mac's lines may end in \r alone
    return (first[4:], 2) if first[:4].lower() == "sep=" and len(first) == 5 else ("", 1)


def _field_separator(text: str, rank: Callable[[list[str]], int]) -> str:
    line = next((line for line in text.splitlines() if line.strip()), "")
    if len(line) > csv.field_size_limit():  # then with another separator it may be one field
        return max(_FIELD_SEPARATORS, key=line.count)
    headers = {each: next(csv.reader([line], delimiter=each), []) for each in _FIELD_SEPARATORS}
    return max(headers, key=lambda each: (rank(headers[each]), len(headers[each])))  # of equals the first


def _from_json(path: Path, text: str, rank: Callable[[list[str]], int]) -> Table:
    lines = path.suffix.lower() in (".jsonl", ".ndjson")
    try:
        content = parse_json(text, unique=True) if text.strip() else []
    except json.JSONDecodeError as error:
        if lines or error.msg == "Extra data":
            return _of_objects(path, _json_lines(path, text), "line")
        raise TagsegError(f"{path} line {error.lineno} is no JSON ({error.msg}), expected {_LISTS}") from error
    except ValueError as error:
        raise TagsegError(f"{path} cannot be read ({error}), expected {_LISTS}: correct it") from error
    if isinstance(content, dict):
        if {"annotations", "categories"} <= set(content):
            raise TagsegError(f"{path} is an annotation file of COCO, expected {_LISTS}: use --data.source coco")
        content = [content] if lines or rank(list(content)) > 1 else _unwrapped(path, content)
    if not isinstance(content, list):
        content = [content]
    return _of_objects(path, list(enumerate(content, 1)), "line" if lines else "entry")


def _json_lines(path: Path, text: str) -> list[tuple[int, Any]]:
    entries = []
    for line, each in enumerate(text.split("\n"), 1):
        if each.strip():
            try:
                entries.append((line, parse_json(each, unique=True)))
            except ValueError as error:
                reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
                raise TagsegError(f"{path} line {line} is no JSON ({reason}), expected one object a line") from error
    return entries


def _unwrapped(path: Path, content: dict[str, Any]) -> list[Any]:
    """The rows of an object: of the only list of objects in it, or of itself as names and their tags."""
    lists = [value for value in content.values() if isinstance(value, list) and value]
    if len(lists) == 1 and all(isinstance(entry, dict) for entry in lists[0]):
        return lists[0]
    if not any(map(_is_image, content)) and any(_is_image(value) for each in lists for value in each):
        raise TagsegError(f"{path} gives classes with their images, expected {_LISTS}: turn it round")
    # a name with an object: of class → 0 or 1, or of columns
    return [
        {"image": name, **(value if isinstance(value, dict) else {"labels": value})} for name, value in content.items()
    ]


def _is_image(value: Any) -> bool:
    return isinstance(value, str) and value.lower().endswith(
        (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp")
    )


def _of_objects(path: Path, entries: list[tuple[int, Any]], unit: str) -> Table:
    header: dict[str, None] = {}
    for place, entry in entries:
        if not isinstance(entry, dict):
            expected = 'expected {"image": ..., "labels": [...]}'
            raise TagsegError(f"{path} {unit} {place} is no JSON object, {expected}")
        header.update(dict.fromkeys(entry))
    if len(header) > MOST_COLUMNS:
        raise TagsegError(f"{path} has {_too_many(len(header))}")
    rows = ((place, tuple(entry.get(name, ABSENT) for name in header)) for place, entry in entries)
    return Table(path, tuple(header), tuple(rows), unit)


def _too_many(columns: int) -> str:
    return f"{columns:,} columns, expected at most {MOST_COLUMNS:,}: name tags in one column, e.g. image,labels"
