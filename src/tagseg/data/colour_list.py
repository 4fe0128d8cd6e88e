"""Colour lists: files that say which colour of a mask means which class, as annotation tools write them."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tagseg.data.json_text import parse_json
from tagseg.data.layout import choose_file
from tagseg.data.mask_pixels import packed, unpacked, written
from tagseg.data.names import fold, is_background, is_doubtful, is_ignored
from tagseg.errors import TagsegError, list_some

USUAL = ("labelmap.txt", "label_colors.txt", "label_colours.txt", "class_dict.csv", "colors.txt", "colours.txt")
"""Names of colour lists in a data folder."""

_EXPECTED = "expected a line 'name:red,green,blue' for each class, 0 to 255 each"
_BETWEEN = r"(?:\s*,\s*|\s+|\s*;\s*)"
_RGB = re.compile(rf"(?<![\w.\-])\d{{1,3}}(?:{_BETWEEN}\d{{1,3}}){{2,}}(?![\w.])")
_COLUMNS = (("name", "class_name", "class", "label", "category"), ("r", "red"), ("g", "green"), ("b", "blue"))
_HEX = re.compile(r"#([0-9a-f]{6})\b", re.I)


@dataclass(frozen=True)
class ColourList:
    """Names of colours.

    Attributes:
        path: the file.
        names: packed colour → name, in the order of the file.
    """

    path: Path
    names: dict[int, str]

    def classes(self) -> tuple[str, ...]:
        """The names but background and ignored ones, in the order of the file, each once."""
        kept = (name for name in self.names.values() if not is_background(name) and not _is_left_out(name))
        return tuple(dict.fromkeys(kept))

    def labels(self, classes: tuple[str, ...]) -> dict[int, int]:
        """Packed colour → label: 0 background, 1 to K a class, 255 ignored; without colours of other names."""
        index = {fold(name): label for label, name in enumerate(classes, 1)}
        labels = {}
        for colour, name in self.names.items():
            if fold(name) in index:
                labels[colour] = index[fold(name)]
            elif is_background(name):
                labels[colour] = 0
            elif _is_left_out(name):
                labels[colour] = 255
        return labels


def _is_left_out(name: str) -> bool:
    """Ignored pixels; ``unlabeled`` too, where it is no class."""
    return is_ignored(name) or (is_doubtful(name) and fold(name).strip("_- ").startswith("un"))


def read_colour_list(path: Path) -> ColourList:
    """Read a colour list.

    Text with a name and a colour on each line, in either order (``cat:48,112,32::`` as CVAT writes it,
    ``cat 48 112 32``, ``48 112 32 cat``, ``cat,48,112,32``, ``cat #307020``; lines that begin with ``# `` and a header
    are left out), or JSON: an object of names with colours, or a list of objects with ``name`` and ``color``.

    Raises:
        TagsegError: it cannot be read, a line has no colour, or one colour has two names.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        pairs = list(_from_json(text) if path.suffix.lower() == ".json" else _from_lines(path, text))
    except (OSError, UnicodeDecodeError) as error:
        raise TagsegError(f"the colour list {path} cannot be read ({error}), {_EXPECTED}") from error
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, csv.Error) as error:
        if isinstance(error, TagsegError):
            raise
        raise TagsegError(f"the colour list {path} is not understood ({error}), {_EXPECTED}") from error
    names: dict[int, str] = {}
    for name, colour in pairs:
        if names.setdefault(colour, name) != name:
            raise TagsegError(
                f"{path} gives {names[colour]!r} and {name!r} one colour, {written(colour)}, expected one a class"
            )
    if not names:
        raise TagsegError(f"the colour list {path} names no colour, {_EXPECTED}")
    return ColourList(path, names)


def has_colours(path: Path) -> bool:
    """Whether each line of a text file has a name and a colour; then a class list is a colour list too."""
    try:
        return bool(list(_from_lines(path, path.read_text(encoding="utf-8-sig"))))
    except (OSError, ValueError, csv.Error):
        return False


def find_colour_list(setting: str, root: Path, class_file: str = "") -> ColourList | None:
    """The colour list of a data folder.

    Args:
        setting: ``--data.colours``: a file, ``ids`` (none is read), or ``auto``: one of ``USUAL``, else the class list
            where it names colours too.
        root: the data's folder.
        class_file: ``--data.classes``, if it is a file.

    Raises:
        TagsegError: the file that is set does not exist or is no colour list.
    """
    if setting == "ids":
        return None
    if setting != "auto":
        return read_colour_list(choose_file(root, setting, "--data.colours"))
    lists = [root / name for name in (*USUAL, "classes.txt")]
    files = [*lists[:-1], *([root / class_file, Path(class_file)] if class_file else lists[-1:])]
    return next((read_colour_list(path) for path in files if path.is_file() and has_colours(path)), None)


def _from_lines(path: Path, text: str) -> Iterator[tuple[str, int]]:
    table = _columns(text)
    if table is not None:
        yield from table
        return
    found: list[tuple[int, str, list[int]]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or re.match(r"\s*(#\s|#\w+:\w+:|//)", line):
            continue
        named = _name_and_numbers(line)
        if named is not None:
            found.append((number, *named))
        elif number > 1 or any(letter.isdigit() for letter in line):  # else a header
            raise TagsegError(f"{path} line {number} is {line.strip()!r}, {_EXPECTED}")
    colours = _three_of_each(path, [(number, numbers) for number, _, numbers in found])
    yield from ((name, _pack(colour)) for (_, name, _), colour in zip(found, colours, strict=True))


def _columns(text: str) -> list[tuple[str, int]] | None:
    """The rows of a table with a header such as ``name,r,g,b``; ``None`` if it is none."""
    rows = [row for row in csv.reader(text.splitlines()) if any(cell.strip() for cell in row)]
    header = [fold(name) for name in rows[0]] if rows else []
    places = [next((header.index(name) for name in names if name in header), None) for names in _COLUMNS]
    if None in places or len({len(row) for row in rows}) > 1:
        return None
    name, *colour = (place for place in places if place is not None)
    return [(row[name].strip(), _pack([int(row[place]) for place in colour])) for row in rows[1:]]


def _name_and_numbers(line: str) -> tuple[str, list[int]] | None:
    """The name of a line, and its numbers: red, green and blue, and what else stands beside them."""
    hexadecimal = _HEX.search(line)
    found = hexadecimal or _RGB.search(line)
    if found is None:
        return None
    before, after = line[: found.start()].strip(" \t,:;=\"'[("), line[found.end() :].strip(" \t,:;=\"')]")
    name = re.sub(r"^\d+\s*[,;:\s]\s*(?=\D)", "", before or after.split(":")[0].strip())  # may have an id before it
    if not name:
        return None
    return name, list(unpacked(int(found[1], 16))) if hexadecimal else [
        int(value) for value in re.findall(r"\d+", found[0])
    ]


def _three_of_each(path: Path, lines: list[tuple[int, list[int]]]) -> list[list[int]]:
    """Red, green and blue of each line, where all may have an id before them, or an id or an opacity of 255 behind."""
    if all(len(numbers) == 3 for _, numbers in lines):
        return [numbers for _, numbers in lines]
    if len(lines) > 1 and all(len(numbers) == 4 for _, numbers in lines):
        first, last = ([numbers[place] for _, numbers in lines] for place in (0, 3))
        ids = [list(range(start, start + len(lines))) for start in (0, 1)]
        if first in ids and last not in ids:
            return [numbers[1:] for _, numbers in lines]
        if first not in ids and (last in ids or set(last) == {255}):
            return [numbers[:3] for _, numbers in lines]
    number, numbers = next(each for each in lines if len(each[1]) != 3)
    raise TagsegError(
        f"{path} line {number} has the {len(numbers)} numbers {list_some([str(value) for value in numbers], 5)}, "
        f"{_EXPECTED}: leave out the others"
    )


def _from_json(text: str) -> Iterator[tuple[str, int]]:
    content: Any = parse_json(text, unique=True)
    if isinstance(content, dict):
        content = [{"name": name, "color": colour} for name, colour in content.items()]
    for entry in content:
        name, colour = str(entry["name"]), entry.get("color", entry.get("colour"))
        if isinstance(colour, str):
            found = _HEX.search(colour)
            if found is None:
                raise ValueError(f"the colour {colour!r} of {name!r}")
            yield name, int(found[1], 16)
        else:
            yield name, _pack([int(value) for value in colour[:3]])


def _pack(values: list[int]) -> int:
    if len(values) != 3 or not all(0 <= value <= 255 for value in values):
        raise ValueError(f"the colour {list_some([str(value) for value in values])}")
    return packed(*values)
