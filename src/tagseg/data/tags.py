"""Tag files (image-level labels as CSV or JSON lines) and class lists."""

from __future__ import annotations

import csv
import difflib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tagseg.data.dataset import IGNORE
from tagseg.data.layout import choose_file
from tagseg.errors import TagsegError, list_some

FROM_MASKS = "labels_from_mask"
"""Column of tags that were derived from masks."""

_BACKGROUND = "background"


class TagRow(NamedTuple):
    """One row of a tag file: image name, tags, split (empty: in none), and its last line."""

    image: str
    labels: tuple[str, ...]
    split: str
    line: int


@dataclass(frozen=True)
class TagTable:
    """A tag file.

    Attributes:
        path: the file.
        rows: in the order of the file.
        column: column of the tags, ``labels`` or ``labels_from_mask``.
        has_splits: whether there is a ``split`` column.
    """

    path: Path
    rows: tuple[TagRow, ...]
    column: str
    has_splits: bool

    @property
    def tags_from(self) -> str:
        """The file name; also the column if the tags were derived from masks."""
        return f"{self.path.name} ({FROM_MASKS})" if self.column == FROM_MASKS else self.path.name

    def splits(self) -> Counter[str]:
        """Number of rows of each split."""
        return Counter(row.split for row in self.rows if row.split)

    def classes(self) -> tuple[str, ...]:
        """All tags of the file, over all splits, sorted.

        Raises:
            TagsegError: the file has no tag, or two that are the same but for case.
        """
        classes = tuple(sorted({label for row in self.rows for label in row.labels}))
        check_classes(classes, f"the tags in {self.path}")
        return classes


def read_tags(path: Path) -> TagTable:
    """Read a tag file; no image is opened.

    UTF-8. CSV (with a header; ``;`` between tags) or, for ``.jsonl``, JSON lines (an object on each line; tags as a
    list or with ``;``). Columns: ``image`` (with or without extension, may be in sub-folders), ``labels`` (if absent,
    ``labels_from_mask``) and optionally ``split``; others are ignored. An image without tags, or with the tag
    ``background`` alone, is all background.

    Raises:
        TagsegError: a malformed file (the message names the line), or two rows for one image.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            read = _read_json_lines if path.suffix.lower() in (".jsonl", ".ndjson") else _read_csv
            table = read(path, file)
    except UnicodeDecodeError as error:
        raise TagsegError(f"{path} is not UTF-8 text ({error.reason}), expected UTF-8: save it as UTF-8") from error
    except OSError as error:
        raise TagsegError(f"the tag file {path} cannot be read ({error.strerror}): check --data.tags") from error
    first: dict[str, int] = {}
    for row in table.rows:
        line = first.setdefault(row.image, row.line)
        if line != row.line:
            raise TagsegError(
                f"{path} names the image {row.image!r} on line {line} and again on line {row.line}, "
                "expected one row an image: join them, with ';' between the tags"
            )
    return table


def _read_csv(path: Path, file: Iterable[str]) -> TagTable:
    reader = csv.reader(file)
    try:
        header = [name.strip() for name in next(reader, [])]
        column, has_splits = _check_header(path, header)
        image, labels = header.index("image"), header.index(column)
        split = header.index("split") if has_splits else None
        rows = []
        for fields in reader:
            if not any(fields):
                continue
            if len(fields) != len(header):
                raise TagsegError(
                    f"{path} line {reader.line_num} has {len(fields)} fields, expected {len(header)} "
                    f"({', '.join(header)}): separate tags by ';', put quotes around text with a comma"
                )
            tags = _split_tags(fields[labels].split(";"))
            rows.append(_row(path, fields[image], tags, "" if split is None else fields[split], reader.line_num))
    except csv.Error as error:
        raise TagsegError(
            f"{path} line {reader.line_num} is no CSV ({error}), expected a comma-separated table"
        ) from error
    return TagTable(path, tuple(rows), column, has_splits)


def _read_json_lines(path: Path, file: Iterable[str]) -> TagTable:
    rows: list[TagRow] = []
    header: tuple[str, bool] | None = None
    for line, text in enumerate(file, 1):
        if not text.strip():
            continue
        where = f"{path} line {line}"
        try:
            entry = json.loads(text)
        except json.JSONDecodeError as error:
            raise TagsegError(f"{where} is no JSON ({error.msg}), expected one object a line") from error
        if not isinstance(entry, dict):
            raise TagsegError(f'{where} is no JSON object, expected {{"image": ..., "labels": [...]}}')
        columns = _check_header(Path(where), list(entry))
        if columns != (header := header or columns):
            raise TagsegError(f"{where} has the keys {', '.join(entry)}, expected the same keys on every line")
        labels = entry[columns[0]]
        labels = labels.split(";") if isinstance(labels, str) else labels
        if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
            raise TagsegError(f"{where} has {columns[0]} = {labels!r}, expected a list of class names")
        rows.append(_row(path, str(entry["image"]), _split_tags(labels), str(entry.get("split") or ""), line))
    column, has_splits = header or ("labels", False)
    return TagTable(path, tuple(rows), column, has_splits)


def _check_header(path: Path, names: list[str]) -> tuple[str, bool]:
    """The column of the tags, and whether there is a split column."""
    column = "labels" if "labels" in names else FROM_MASKS
    counts = [names.count(name) for name in ("image", column, "split")]
    if counts[:2] != [1, 1] or counts[2] > 1:
        columns = ", ".join(names) or "none"
        raise TagsegError(f"{path} has the columns {columns}, expected image and labels (and maybe split), each once")
    return column, counts[2] == 1


def _row(path: Path, image: str, labels: tuple[str, ...], split: str, line: int) -> TagRow:
    name = image.strip().replace("\\", "/").removeprefix("./")
    if not name:
        raise TagsegError(f"{path} line {line} names no image, expected its file name: fill it in or remove the line")
    return TagRow(name, labels, split.strip(), line)


def _split_tags(labels: list[str]) -> tuple[str, ...]:
    stripped = (label.strip() for label in labels)
    return tuple(dict.fromkeys(label for label in stripped if label and label != _BACKGROUND))


def class_list(setting: str | tuple[str, ...], root: Path) -> tuple[str, ...]:
    """The K foreground class names: from the settings, else ``classes.txt`` in the root, else ``()``.

    A class file has one name on each line. Lines may be numbered: ``0 background``, ``1 cat``, ..., ``255 ignore``
    (optional). A leading ``background`` is dropped, as it always is label 0.

    Raises:
        TagsegError: an absent or malformed file, duplicate names, or more names than a mask has labels.
    """
    if isinstance(setting, tuple) and setting:
        classes, named_in = setting, "--data.classes"
    elif setting or (root / "classes.txt").is_file():
        path = choose_file(root, str(setting or "classes.txt"), "--data.classes")
        classes, named_in = _read_class_file(path), str(path)
    else:
        return ()
    classes = classes[1:] if classes[:1] == (_BACKGROUND,) else classes
    check_classes(classes, named_in)
    return classes


def _read_class_file(path: Path) -> tuple[str, ...]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise TagsegError(f"{path} is not UTF-8 text, expected a class name a line: save it as UTF-8") from error
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines or lines[0].split() != ["0", _BACKGROUND]:
        return tuple(lines)
    numbered = [line.split(maxsplit=1) for line in lines]
    if numbered[-1][0] == str(IGNORE):
        numbered.pop()
    for expected, parts in enumerate(numbered):
        if len(parts) != 2 or parts[0] != str(expected):
            raise TagsegError(
                f"{path} has the line {' '.join(parts)!r}, expected '{expected} name': number all or none"
            )
    return tuple(name for _, name in numbered)


def check_classes(classes: tuple[str, ...], named_in: str) -> None:
    """Raise ``TagsegError`` unless there are 1 to 254 classes with different names; case does not count."""
    if not 1 <= len(classes) < IGNORE:
        raise TagsegError(f"{named_in} gives {len(classes)} classes, expected 1 to {IGNORE - 1}: set --data.classes")
    if not all(name.strip() for name in classes):
        raise TagsegError(f"{named_in} has an empty class name, expected a name: remove it")
    spellings = Counter(name.casefold() for name in classes)
    twice = [name for name in classes if spellings[name.casefold()] > 1]
    if twice:
        raise TagsegError(f"{named_in} has classes twice, but for case: {list_some(twice)}; keep one spelling")


class ClassIndex:
    """Maps class names to indices 0 to K-1.

    Attributes:
        classes: the K foreground class names.
    """

    def __init__(self, classes: tuple[str, ...]) -> None:
        self.classes = classes
        self._index = {name: index for index, name in enumerate(classes)}

    def __call__(self, labels: Iterable[str], where: str) -> tuple[int, ...]:
        """Ascending indices of the tags; messages name their origin, ``where``.

        Raises:
            TagsegError: a tag that is no class.
        """
        try:
            return tuple(sorted({self._index[label] for label in labels}))
        except KeyError as error:
            tag = str(error.args[0])
        known = list_some(list(self.classes), most=30)
        folded = {name.casefold(): name for name in self.classes}
        near = difflib.get_close_matches(tag.casefold(), folded, n=1)
        hint = f"did you mean {folded[near[0]]!r}?" if near else "correct it, or add it to the class list"
        raise TagsegError(f"the tag {tag!r} of {where} is not in the class list ({known}): {hint}")
