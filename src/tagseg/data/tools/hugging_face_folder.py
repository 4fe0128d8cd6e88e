"""A Hugging Face image folder: ``metadata.csv``, ``.jsonl`` or ``.parquet`` beside the images, also one a split."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from tagseg.data.coco_layout import usual_name
from tagseg.data.notes import Note
from tagseg.data.tag_columns import Entries, Entry, rank, read_entries
from tagseg.data.tag_table import Table, parse_table
from tagseg.data.text_file import read_text
from tagseg.data.tools.folders import folders_in
from tagseg.data.tools.hugging_face_ids import is_unlabelled, named
from tagseg.data.tools.hugging_face_names import Names, names_of_folder
from tagseg.data.tools.json_file import beginning
from tagseg.data.tools.parquet import read_parquet
from tagseg.errors import TagsegError, list_some

EXPECTED = "the metadata of a Hugging Face image folder, with a column file_name"
FILES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
IMAGE = "file_name"
"""The column of the images; their paths are relative to the file."""
LOOKED_AT = 20
"""Images that are looked for beside their file."""
_SPLITS = ("train", "val", "test")


def metadata_files(root: Path) -> tuple[Path, ...]:
    """The files of metadata in a folder, its sub-folders and theirs."""
    folders = [root, *folders_in(root)]
    folders += [inner for folder in folders[1:] for inner in folders_in(folder)]
    return tuple(folder / name for folder in folders for name in FILES if (folder / name).is_file())


def is_metadata(path: Path) -> bool:
    """Whether a file has a column ``file_name``; of a table of bytes by its name alone."""
    start = beginning(path)
    return start.startswith(b"PAR1") or IMAGE.encode() in start.replace(b"\0", b"").split(b"\n", 1)[0]


def read_hugging_face(
    root: Path, files: tuple[Path, ...], known: tuple[str, ...], column: str
) -> tuple[Table, Entries]:
    """Read the files of a folder; class ids get the names of its card (``README.md``), infos or schema.

    The split of an image is that of its row, else its folder ``train/``, ``validation/`` or ``test/``.

    Args:
        root: the data set's folder.
        files: its files of metadata, one at least.
        known: names of the class list, if there is one.
        column: as in ``tag_columns.read_entries``.

    Raises:
        TagsegError: a file is damaged, or has no images or tags.
    """
    twice = next((path for path, after in pairwise(files) if path.parent == after.parent), None)
    if twice is not None:
        raise TagsegError(
            f"{twice.parent} has several files of metadata, expected one: choose with --data.tags {twice.name}"
        )
    names, card = names_of_folder(root)
    tables: list[Table] = []
    entries: list[Entries] = []
    with_ids: dict[str, None] = {}
    for path in files:
        table, of_schema = _table(path)
        table, used = _named(table, names or of_schema)
        with_ids.update(dict.fromkeys(f"{each} ({card or path.name})" for each in used))
        tables.append(table)
        entries.append(_below(root, path, read_entries(table, known, column)))
    if len({each.column for each in entries}) > 1:
        columns = list_some([f"{each.path}: {own.column}" for each, own in zip(tables, entries, strict=True)])
        raise TagsegError(
            f"{root} has files of metadata with other columns of tags ({columns}), expected one: rename it"
        )
    rows = tuple(row for each in entries for row in each.rows)
    given = all(each.has_splits for each in entries)
    rows, has_splits = (rows, True) if given else _in_folders(rows)
    notes = dict.fromkeys(
        note for table, own in zip(tables, entries, strict=True) for note in (*table.notes, *own.notes)
    )
    found = (*notes, *Note.of("columns of class ids, read as the names of their classes", list(with_ids)))
    return Table(files[0], (), (), tables[0].unit, found), Entries(rows, entries[0].column, has_splits, ())


def _table(path: Path) -> tuple[Table, Names]:
    """The table, with no other column that could name the image, and names of class ids that it gives itself."""
    own: Names = {}
    if path.suffix == ".parquet" and beginning(path).startswith(b"PAR1"):
        table, own = read_parquet(path)
    else:
        text, notes = read_text(path, EXPECTED)
        if not text.strip():
            raise TagsegError(f"{path} is empty, expected {EXPECTED}: write it again")
        table = parse_table(path, text, rank)
        table = replace(table, notes=(*notes, *table.notes))
    if IMAGE in table.header:  # it names the image, whatever else could
        header = (f"{name} (column)" if name != IMAGE and rank([name, ""]) else name for name in table.header)
        table = replace(table, header=tuple(header))
    return table, own


def _named(table: Table, names: Names) -> tuple[Table, list[str]]:
    """The table with names for the ids of columns that have some, and text for other integers.

    Rows with the id -1, which stands for "not labelled", are left out.
    """
    used = [index for index, name in enumerate(table.header) if name in names]
    labelled = [row for row in table.rows if not any(is_unlabelled(row[1][index]) for index in used)]
    rows = tuple((place, _cells(table, place, cells, names)) for place, cells in labelled)
    text = f"rows of {table.path.name} with the class id -1, which stands for no label: left out"
    notes = (Note(text, len(table.rows) - len(rows)),) if len(rows) < len(table.rows) else ()
    return replace(table, rows=rows, notes=(*table.notes, *notes)), [table.header[index] for index in used]


def _cells(table: Table, place: int, cells: tuple[Any, ...], names: Names) -> tuple[Any, ...]:
    return tuple(
        named(cell, names.get(column, ()), f"{table.where(place)}, column {column!r},")
        for column, cell in zip(table.header, cells, strict=True)
    )


def _below(root: Path, path: Path, entries: Entries) -> Entries:
    """The rows with the images' names relative to the root, if they are beside their file."""
    if path.parent == root or root not in path.parents:
        return entries
    beside = f"{path.parent.relative_to(root).as_posix()}/"
    found = any(os.path.isfile(path.parent / row.image.strip()) for row in entries.rows[:LOOKED_AT])
    if not found and not _split(beside):
        return entries
    rows = (row._replace(image=beside + row.image.strip()) if row.image.strip() else row for row in entries.rows)
    return replace(entries, rows=tuple(rows))


def _in_folders(rows: Iterable[Entry]) -> tuple[tuple[Entry, ...], bool]:
    """The rows with the splits that their folders name, if all do and there are two at least."""
    rows = tuple(rows)
    splits = [_split(row.image) for row in rows]
    if not all(splits) or len(set(splits)) < 2:
        return tuple(row._replace(split="") for row in rows), False
    return tuple(row._replace(split=split) for row, split in zip(rows, splits, strict=True)), True


def _split(image: str) -> str:
    return next((part for part in image.split("/")[:-1] if usual_name(part) in _SPLITS), "")
