"""Files of class names: a name on each line, numbered or not, a table, YAML or JSON."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any, TypeVar

from tagseg.data.colour_list import has_colours, read_colour_list
from tagseg.data.dataset import IGNORE
from tagseg.data.names import fold, is_background
from tagseg.data.notes import Note
from tagseg.data.text_file import read_text
from tagseg.data.yaml_text import parse_yaml
from tagseg.errors import TagsegError

_NUMBERED = re.compile(r"(\d{1,9})\s*(?:[:.,;=)]|\s)\s*(\S.*)")
_KEYS = ("names", "classes", "class_names", "labels", "categories", "id2label")
_NAME_COLUMNS = ("name", "class_name", "class name", "classname", "class", "label", "category")
_ID_COLUMNS = ("id", "label", "index", "value", "class_id", "category_id", "class")
_EXPECTED = "expected a class name a line"
Id = TypeVar("Id", int, str)


def read_class_file(path: Path) -> tuple[tuple[str, ...], tuple[Note, ...]]:
    """The names in a file, background and all, in the order of their labels.

    - *Text:* a name on each line. Lines may be numbered, from 0 or 1: ``0 background``, ``1: cat``, ..., ``255 ignore``
      (optional).
    - *A colour list* (``colour_list.read_colour_list``): its names without the background, wherever that is.
    - *A table* with a header, as ``predict`` writes ``classes.csv``: ``label,name,...``.
    - *YAML or JSON:* a list of names, or names by id (or ids by name), also below ``names``, ``classes``,
      ``categories`` or ``id2label``. Names need no quotes, ``no`` and ``1.0`` stay as they are.

    Returns:
        The names, and notes.

    Raises:
        TagsegError: a malformed file, or ids with gaps.
    """
    text, notes = read_text(path, "a class list, one name a line")
    if path.suffix.lower() in (".yaml", ".yml", ".json") or text.lstrip()[:1] in ("[", "{"):
        names, more = _from_yaml(path, text)
        return names, (*notes, *more)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    table = _from_table(path, lines)
    if table is not None:
        return table[0], (*notes, *table[1])
    if has_colours(path):
        return read_colour_list(path).classes(), (
            *notes,
            Note(f"{path.name} is a colour list: the classes are its names"),
        )
    if len(lines) == 1 and re.search("[,;]", lines[0]):
        raise TagsegError(
            f"{path} has one line, {lines[0]!r}, which can be read as one class or several, {_EXPECTED}: write them so"
        )
    numbered = _numbered(path, lines)
    if numbered is None:
        return tuple(lines), notes
    names, more = _by_id(path, numbered)
    return names, (*notes, *more)


def _numbered(path: Path, lines: list[str]) -> dict[int, str] | None:
    """Names by number, if all lines are numbered, from 0 or 1; ``None`` if they are not."""
    matches = [_NUMBERED.fullmatch(line) for line in lines]
    found = [(int(match[1]), match[2].strip()) for match in matches if match]
    begins = bool(found) and (found[0][0] == 0 or found[0][0] == 1) and matches[0] is not None
    if not begins:
        return None
    surely = found[0][0] == 0 and is_background(found[0][1])
    if not surely and (len(found) < len(lines) or len({fold(name) for _, name in found}) < len(found)):
        return None  # "1 euro", "2 euro" are names
    expected = found[0][0]
    for line, match in zip(lines, matches, strict=True):
        number = int(match[1]) if match else -1
        if number == IGNORE and line is lines[-1]:
            break
        if number != expected:
            raise TagsegError(f"{path} has the line {line!r}, expected '{expected} name': number all or none")
        expected += 1
    return dict(found)


def _by_id(path: Path, names: dict[int, str]) -> tuple[tuple[str, ...], tuple[Note, ...]]:
    """Names in the order of their ids, which must be those of a mask's labels: from 0 (or 1) on, without gaps."""
    ids = sorted(names)
    if len(ids) > 1 and ids[-1] == IGNORE:
        ids.pop()
    start = ids[0] if ids and ids[0] in (0, 1) else 0
    gap = next((i for i, each in enumerate(ids, start) if each != i), None)
    if gap is not None:
        raise TagsegError(
            f"{path} has no class of id {gap}, expected ids from 0 or 1 on without gaps: number them as masks do"
        )
    ordered = tuple(names[each] for each in ids)
    if start == 1 and is_background(ordered[0]):
        raise TagsegError(f"{path} gives the background id 1, expected 0: number it so, and relabel masks if need be")
    if start == 1 or not ordered:
        return ordered, (
            (Note(f"{path.name} is numbered from 1; the numbers are no part of the names"),) if ordered else ()
        )
    if is_background(ordered[0]):
        return ordered, ()
    text = (
        f"{path.name} gives {ordered[0]!r} the id 0, which is the background in masks: there {ordered[0]!r} is label 1"
    )
    return ordered, (Note(text, warning=True),)


def _from_table(path: Path, lines: list[str]) -> tuple[tuple[str, ...], tuple[Note, ...]] | None:
    """Names of a CSV table with a header; ``None`` if it is none."""
    separator = next((each for each in ",;\t" if each in (lines[0] if lines else "")), None)
    if separator is None:
        return None
    try:
        rows = list(csv.reader(lines, delimiter=separator))
    except csv.Error:
        return None
    header = [fold(name) for name in rows[0]]
    name = next((header.index(each) for each in _NAME_COLUMNS if each in header), None)
    if name is None or len(set(map(len, rows))) != 1:
        return None
    number = next((header.index(each) for each in _ID_COLUMNS if each in header and header.index(each) != name), None)
    if number is None:
        return tuple(row[name].strip() for row in rows[1:]), ()
    try:
        return _by_id(path, _each_once(path, [(int(row[number]), row[name].strip()) for row in rows[1:]]))
    except ValueError as error:
        if isinstance(error, TagsegError):
            raise
        raise TagsegError(f"{path} has an id that is no integer ({error}), expected the label of each class") from error


def _from_yaml(path: Path, text: str) -> tuple[tuple[str, ...], tuple[Note, ...]]:
    expected = "expected a list of names, or names by id (names: [cat, dog])"
    content = parse_yaml(path, text)
    if isinstance(content, dict):
        content = next((content[key] for key in _KEYS if isinstance(content.get(key), list | dict)), content)
    if isinstance(content, str) and content:
        content = content.split()
    if isinstance(content, list) and content and all(isinstance(each, dict) and "name" in each for each in content):
        if all("id" in each for each in content):
            content = _each_once(path, [(str(each["id"]), each["name"]) for each in content])
        else:
            content = [each["name"] for each in content]
    if isinstance(content, list) and all(isinstance(name, str) for name in content):
        return tuple(name.strip() for name in content), ()
    by_id = _ids_and_names(content)
    if by_id is None:
        raise TagsegError(f"{path} has no class names, {expected}")
    return _by_id(path, by_id)


def _each_once(path: Path, pairs: list[tuple[Id, str]]) -> dict[Id, str]:
    """Id → name, where no id has two names."""
    names: dict[Id, str] = {}
    for number, name in pairs:
        if names.setdefault(number, name) != name:
            raise TagsegError(f"{path} gives {names[number]!r} and {name!r} the id {number}, expected one id a class")
    return names


def _ids_and_names(content: Any) -> dict[int, str] | None:
    """Names by id, from a mapping either way; ``None`` if it is none."""
    if not isinstance(content, dict) or not content or not all(isinstance(value, str) for value in content.values()):
        return None
    for keys, values in ((content.keys(), content.values()), (content.values(), content.keys())):
        if all(re.fullmatch(r"\d{1,9}", key) for key in keys) and len(set(keys)) == len(keys):
            return {int(key): value.strip() for key, value in zip(keys, values, strict=True)}
    return None
