"""Tag files: image-level labels as CSV or JSON, as people and other tools write them."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

from tagseg.data.class_index import TagNames, one_spelling
from tagseg.data.class_list import check_classes
from tagseg.data.layout import choose_file
from tagseg.data.names import natural_order
from tagseg.data.notes import Note
from tagseg.data.tag_cells import find_splitter
from tagseg.data.tag_columns import FROM_MASKS, Entries, rank, read_entries
from tagseg.data.tag_table import Table, parse_table
from tagseg.data.text_file import read_text
from tagseg.errors import TagsegError, list_some

TAG_FILES = (
    *("labels.csv", "tags.csv", "labels.jsonl", "tags.jsonl", "labels.json", "tags.json", "labels.tsv", "tags.tsv"),
    *("labels.ndjson", "tags.ndjson", "_classes.csv"),
)
"""File names that are tried for the tag file, in this order."""
FILES = "file"
"""The unit of a table that was read from a file for each image."""
_NO_TEXT = (".xlsx", ".xls", ".ods", ".parquet", ".pkl", ".zip")
_TABLES = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".txt", *_NO_TEXT)
_EXPECTED = "a tag file (CSV, JSON lines or JSON)"
_VECTOR = re.compile(r"[\[(]?\s*[01](?:\.0?)?(?:[\s,;|]+[01](?:\.0?)?)+\s*[\])]?")


class TagRow(NamedTuple):
    """The tags of one image: its name, tags, split (empty: in none), and its last line (or entry, of a JSON list)."""

    image: str
    labels: tuple[str, ...]
    split: str
    line: int


@dataclass(frozen=True)
class TagTable:
    """A tag file.

    Attributes:
        path: the file.
        rows: one an image, in the order of the file.
        column: column of the tags, usually ``labels`` or ``labels_from_mask``.
        has_splits: whether there is a column of splits.
        unit: what ``TagRow.line`` counts, ``line`` or ``entry``.
        notes: what was read other than literally.
    """

    path: Path
    rows: tuple[TagRow, ...]
    column: str
    has_splits: bool
    unit: str = "line"
    notes: tuple[Note, ...] = ()

    @property
    def name(self) -> str:
        """What names the images, for messages: the file, or ``labelme``, whose files are many."""
        return "labelme" if self.unit == FILES else self.path.name

    @property
    def tags_from(self) -> str:
        """The file name; also the column if the tags were derived from masks."""
        if self.unit == FILES:
            return "the JSON files"
        return f"{self.path.name} ({FROM_MASKS})" if self.column == FROM_MASKS else self.path.name

    def noting(self, notes: tuple[Note, ...]) -> TagTable:
        """The same with notes before its own."""
        return replace(self, notes=(*notes, *self.notes))

    def splits(self) -> Counter[str]:
        """Number of rows of each split."""
        return Counter(row.split for row in self.rows if row.split)

    def classes(self) -> tuple[str, ...]:
        """All tags of the file, over all splits, in natural order: ``class2`` before ``class10``.

        Raises:
            TagsegError: the file has no tag, or too many.
        """
        classes = tuple(sorted({label for row in self.rows for label in row.labels}, key=natural_order))
        check_classes(classes, f"the tags in {self.path}")
        return classes


def usual_tag_file(root: Path) -> Path | None:
    """The first of ``TAG_FILES`` that a folder has."""
    return next((root / name for name in TAG_FILES if (root / name).is_file()), None)


def find_tag_file(root: Path, setting: str) -> Path:
    """The tag file of a setting; for ``auto`` the first of ``TAG_FILES`` that the root has.

    Raises:
        TagsegError: there is none; the message names what else is there.
    """
    if setting != "auto":
        return choose_file(root, setting, "--data.tags")
    usual = usual_tag_file(root)
    if usual is not None:
        return usual
    names = ", ".join(TAG_FILES)
    others = sorted(path.name for path in root.iterdir() if path.suffix.lower() in _TABLES and path.is_file())
    name = next((other for other in others if other != "classes.txt"), "FILE")
    if name.endswith(_NO_TEXT):
        read_text(root / name, _EXPECTED)  # says what it is
    others_text = f" (it has {list_some(others)})" if others else ""
    raise TagsegError(
        f"{root} has no tag file{others_text}, expected one of {names} with the columns image,labels "
        f"('photo1.jpg,cat;dog'), or a folder for each class: add one, or set --data.tags {name}"
    )


def read_tags(
    path: Path,
    known: tuple[str, ...] = (),
    separator: str = "auto",
    no_tag: tuple[str, ...] = (),
    column: str = "auto",
) -> TagTable:
    """Read a tag file; no image is opened.

    CSV with a header, fields separated by ``,`` ``;`` ``|`` or tabs, JSON lines, or JSON: a list of objects, or an
    object of image names and their tags. UTF-8, or UTF-16 with a mark. Columns: the image (with or without extension,
    may be in sub-folders), its tags (``labels``; if absent, ``labels_from_mask``; or what other tools call them), or a
    column of 0 and 1 for each class, and optionally ``split``; others are ignored. Rows of one image are joined. An
    image without tags, or with a tag that means none such as ``background`` or ``nan``, is all background.

    Args:
        path: the file.
        known: the names of the class list, if there is one. They are never split, and decide what is a tag.
        separator: between tags: ``auto`` (found from the whole column), ``none`` (one tag a cell), or itself.
        no_tag: further tags that mean none, e.g. ``no finding``.
        column: name of the column of the tags; ``auto`` finds it.

    Raises:
        TagsegError: no such file, or a malformed one (the message names the line); a cell that could be read two ways.
    """
    text, notes = read_text(path, _EXPECTED)
    return _read(path, text, known, separator, no_tag, column).noting(notes)


@lru_cache(maxsize=1)  # a training reads the same text for each split, and to find out what its folder is
def _read(
    path: Path, text: str, known: tuple[str, ...], separator: str, no_tag: tuple[str, ...], column: str
) -> TagTable:
    table = parse_table(path, text, rank)
    return tag_table(table, read_entries(table, known, column), known, separator, no_tag)


def tag_table(
    table: Table, entries: Entries, known: tuple[str, ...], separator: str, no_tag: tuple[str, ...]
) -> TagTable:
    """The tags of rows whose columns are understood: cells split, one spelling of each name, one row an image.

    Args:
        table: where the rows come from, and what was noticed there.
        entries: the rows.
        known: as in ``read_tags``, as are the other two.
        separator: between tags.
        no_tag: further tags that mean none.

    Raises:
        TagsegError: a row without image, in two splits, or with a cell that could be read two ways.
    """
    rows, more = _tagged(table, entries, known, separator, no_tag)
    joined, joins = _joined(table, rows)
    notes = (*table.notes, *entries.notes, *more, *joins)
    return TagTable(table.path, joined, entries.column, entries.has_splits, table.unit, notes)


def _tagged(
    table: Table, entries: Entries, known: tuple[str, ...], separator: str, no_tag: tuple[str, ...]
) -> tuple[list[TagRow], tuple[Note, ...]]:
    """The rows with their tags, one spelling for each."""
    first: dict[str, int] = {}
    for row in entries.rows:
        for cell in row.cells:
            first.setdefault(cell, row.place)
    if separator == "auto":
        _refuse_vectors(table, [text for text in first if text.strip()])
    places = ((cell, f"{table.unit} {place}") for cell, place in first.items())
    splitter = find_splitter(places, known, separator, str(table.path))
    split = cache(splitter.split)  # most cells are like another
    names = TagNames(known, no_tag)
    rows = []
    for row in entries.rows:
        image = row.image.strip().removeprefix("./")
        if not image:
            where = table.where(row.place)
            raise TagsegError(f"{where} names no image, expected its file name: fill it in or remove the {table.unit}")
        tags = [tag for cell in row.cells for tag in split(cell)]
        rows.append(TagRow(image, names((*tags, *row.tags), image), row.split.strip(), row.place))
    notes = (*splitter.notes, *names.notes)
    if known:
        return rows, notes
    name_of, more = one_spelling(row.labels for row in rows)
    same = all(tag == name for tag, name in name_of.items())
    respelled = rows if same else [row._replace(labels=_renamed(row.labels, name_of)) for row in rows]
    return respelled, (*notes, *more)


def _renamed(labels: tuple[str, ...], name_of: dict[str, str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name_of[label] for label in labels))


def _refuse_vectors(table: Table, cells: list[str]) -> None:
    if cells and all(_VECTOR.fullmatch(text.strip()) for text in cells):
        raise TagsegError(
            f"{table.path} has {cells[0]!r} for tags, a vector of zeros and ones, expected class names: write them, or "
            "a column for each class; if 0 and 1 are names, set --data.separator"
        )


def _joined(table: Table, rows: list[TagRow]) -> tuple[tuple[TagRow, ...], tuple[Note, ...]]:
    """One row an image; some tools write one a tag."""
    first: dict[str, TagRow] = {}
    again: dict[str, None] = {}
    for row in rows:
        other = first.setdefault(row.image, row)
        if other is row:
            continue
        if other.split != row.split:
            raise TagsegError(
                f"{table.path} names the image {row.image!r} in the splits {other.split!r} ({table.unit} {other.line}) "
                f"and {row.split!r} ({table.unit} {row.line}), expected one: correct it"
            )
        again[row.image] = None
        first[row.image] = row._replace(labels=tuple(dict.fromkeys((*other.labels, *row.labels))))
    single = all(len(row.labels) <= 1 for row in rows)
    text = "images are on several rows, whose tags are joined"
    return tuple(first.values()), Note.of(text, list(again), warning=not single)
