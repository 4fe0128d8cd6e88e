"""Which column of a table is what: the image, its tags or a column for each class, and the split."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from tagseg.data.class_columns import class_columns, tags_of_row
from tagseg.data.names import fold, names_of
from tagseg.data.notes import Note
from tagseg.data.tag_table import ABSENT, Table
from tagseg.errors import TagsegError, list_some

FROM_MASKS = "labels_from_mask"
"""Column of tags that were derived from masks."""

_IMAGE = (
    frozenset({"image"}),
    frozenset(
        {
            *("images", "imagename", "imagefile", "imagefilename", "imagepath", "img", "imgname", "imgfile", "imgpath"),
            *("file", "files", "filename", "filepath", "fname", "path", "photo", "photoname", "picture", "imageindex"),
        }
    ),
    frozenset({"imageid", "imgid", "photoid", "fileid", "id", "name", "key", "externalid"}),
)
"""What the column of images is called, the surest first."""
_LABELS = (
    frozenset({"labels"}),
    frozenset({"tags", "label", "tag", "classes", "categories", "labelname", "labelnames", "classname", "classnames"})
    | {"categoryname", "class", "category", "findinglabels", "imagelabels", "imagetags", "choice", "choices"},
    frozenset({"target", "targets", "species", "annotation", "annotations", "objects", "keywords"}),
)
_SPLIT = frozenset({"split", "subset", "set", "partition", "datasplit", "datasetsplit", "fold", "phase", "usage"})
_SPLITS = frozenset(
    {"train", "training", "val", "valid", "validation", "dev", "test", "testing", "trainval", "", "all"}
)
_CONFIDENCE = frozenset({"confidence", "present", "presence"})
_SEVERAL = re.compile(r"(?:label|tag|class|category)s?\d+")
_EXPECTED = "expected image and labels (and maybe split), each once"


class Entry(NamedTuple):
    """One row: image and split as written, cells that are to be split into tags, and tags that are whole."""

    image: str
    cells: tuple[str, ...]
    tags: tuple[str, ...]
    split: str
    place: int


@dataclass(frozen=True)
class Entries:
    """The rows of a table, understood.

    Attributes:
        rows: the rows.
        column: column of the tags; of 0/1 columns their number.
        has_splits: whether there is a column of splits.
        notes: how the columns were read.
    """

    rows: tuple[Entry, ...]
    column: str
    has_splits: bool
    notes: tuple[Note, ...]


def rank(header: list[str]) -> int:
    """How well a header is understood: 2 with image and tags, 1 with the image and something else, else 0."""
    plain = [_plain(name) for name in header]
    if not any(name in tier for tier in _IMAGE[:2] for name in plain):
        weak = any(name in _IMAGE[2] for name in plain)
        return 1 if weak and len(header) > 1 else 0
    found = FROM_MASKS in header or any(name in tier for tier in _LABELS for name in plain)
    return 2 if found else int(len(header) > 1)


def read_entries(table: Table, known: tuple[str, ...], column: str = "auto") -> Entries:
    """Find the columns, and read the rows.

    Args:
        table: the table.
        known: the names of the class list, if there is one.
        column: the setting ``--data.column``: name of the column of the tags, or of several, separated by commas.

    Raises:
        TagsegError: there is no such column, two could be meant, or a cell is malformed.
    """
    if not table.header and table.path.suffix.lower() in (".jsonl", ".ndjson"):
        return Entries((), "labels", False, ())
    image = _only(table, _IMAGE, "the image")
    if image is None:
        raise TagsegError(_no_columns(table))
    split = _split_column(table)
    labels = _label_columns(table, image) if column == "auto" else _set_columns(table, column)
    used = [column for column in (image, split, *labels) if column is not None]
    others = set(range(len(table.header))) - set(labels)
    if not labels or (column != "auto" and len(labels) > 1 and _are_class_columns(table, others, len(labels))):
        return _of_class_columns(table, others if labels else set(used), image, split, known)
    notes = _renamed(table, used)
    rows = []
    for place, cells in table.rows:
        if any(cells[column] is ABSENT for column in used):
            raise TagsegError(
                f"{table.where(place)} has the keys "
                f"{', '.join(name for name, cell in zip(table.header, cells, strict=True) if cell is not ABSENT)}, "
                f"expected the same keys on every {table.unit}"
            )
        whole: list[str] = []
        text: list[str] = []
        for index in labels:
            _add(cells[index], table, place, index, text, whole)
        rows.append(Entry(_text(cells[image]), tuple(text), tuple(whole), _text(cells, split), place))
    column_name = table.header[labels[0]] if len(labels) == 1 else f"{len(labels)} columns"
    entries = Entries(tuple(rows), column_name, split is not None, notes)
    return _annotated(table, _without_denied(table, entries))


def _are_class_columns(table: Table, others: set[int], count: int) -> bool:
    """Whether the columns that are set all hold zeros and ones."""
    return len(class_columns(table, others, ()).places) == count


def _of_class_columns(table: Table, others: set[int], image: int, split: int | None, known: tuple[str, ...]) -> Entries:
    columns = class_columns(table, others, known)
    if not columns.places:
        raise TagsegError(_no_columns(table))
    rows = tuple(
        Entry(_text(cells[image]), (), tags_of_row(columns, cells), _text(cells, split), place)
        for place, cells in table.rows
    )
    used = [image] if split is None else [image, split]
    count = f"{len(columns.places)} columns of 0 and 1"
    return Entries(rows, count, split is not None, (*_renamed(table, used), *columns.notes))


def _add(cell: Any, table: Table, place: int, column: int, text: list[str], whole: list[str]) -> None:
    if isinstance(cell, str):
        text.append(cell)
    elif isinstance(cell, list) and all(isinstance(each, str) for each in cell):
        whole.extend(cell)
    elif cell is not None:
        where = f"{table.where(place)} has {table.header[column]}"
        raise TagsegError(f"{where} = {cell!r}, expected a list of class names")


def _only(table: Table, tiers: tuple[frozenset[str], ...], what: str) -> int | None:
    """The column of the surest name; ``None`` if there is none."""
    for tier in tiers:
        found = [index for index, name in enumerate(table.header) if _plain(name) in tier]
        exact = [index for index in found if table.header[index] in ("image", "labels")]
        found = exact or found
        if len(found) > 1:
            names = " and ".join(table.header[index] for index in found)
            choose = f"choose with --data.column {table.header[found[0]]}"
            way_out = choose if tiers is _LABELS else "rename or remove one"
            raise TagsegError(
                f"{table.path} has the columns {names}, which could both hold {what}, {_EXPECTED}: {way_out}"
            )
        if found:
            return found[0]
    return None


def _label_columns(table: Table, image: int) -> list[int]:
    names = [_plain(name) for name in table.header]
    several = [index for index, name in enumerate(names) if _SEVERAL.fullmatch(name)]
    if "labels" not in table.header and FROM_MASKS in table.header:
        found = [index for index, name in enumerate(table.header) if name == FROM_MASKS]
        if len(found) > 1:
            raise TagsegError(f"{table.path} has the column {FROM_MASKS} twice, {_EXPECTED}: remove one")
        return found
    only = _only(table, _LABELS, "the tags")
    if only is not None and only != image:
        return [only]
    return several if len(several) > 1 else []


def _set_columns(table: Table, column: str) -> list[int]:
    wanted = names_of(column)
    absent = [name for name in wanted if name not in table.header]
    if absent or not wanted:
        columns = list_some([repr(name) for name in table.header], 20)
        raise TagsegError(f"--data.column is {column!r}, expected a column of {table.path}: {columns}")
    return [table.header.index(name) for name in wanted]


def _split_column(table: Table) -> int | None:
    exact = [index for index, name in enumerate(table.header) if name == "split"]
    if len(exact) > 1:
        raise TagsegError(f"{table.path} has the columns {', '.join(table.header)}, {_EXPECTED}: remove one")
    if exact:
        return exact[0]
    for index, name in enumerate(table.header):
        if _plain(name) in _SPLIT and {fold(_text(cells[index])) for _, cells in table.rows} <= _SPLITS - {""}:
            return index
    return None


def _renamed(table: Table, used: list[int]) -> tuple[Note, ...]:
    """Says which columns are read, unless they are called as documented."""
    names = [table.header[index] for index in used]
    if all(name in ("image", "labels", "split", FROM_MASKS) for name in names):
        return ()
    return (Note(f"columns of {table.path.name} that are read: {list_some([repr(name) for name in names], 8)}"),)


def _without_denied(table: Table, entries: Entries) -> Entries:
    """Without the tags that a column of confidences denies: Open Images lists what is *not* there with 0."""
    column = next((i for i, name in enumerate(table.header) if _plain(name) in _CONFIDENCE), None)
    if column is None:
        return entries
    values = [_text(cells[column]).strip() for _, cells in table.rows]
    name = table.header[column]
    if not set(values) <= {"0", "1", "0.0", "1.0"}:
        note = Note(f"the column {name!r} is not read: every tag counts, however unsure", warning=True)
        return replace(entries, notes=(*entries.notes, note))
    denied = [value.startswith("0") for value in values]
    rows = tuple(row._replace(cells=(), tags=()) if no else row for row, no in zip(entries.rows, denied, strict=True))
    text = f"rows with 0 in {name!r}, whose tags are not in the image"
    names = [row.image for row, no in zip(entries.rows, denied, strict=True) if no]
    return replace(entries, rows=rows, notes=(*entries.notes, *Note.of(text, names)))


def _annotated(table: Table, entries: Entries) -> Entries:
    """Without the rows of Label Studio's CSV that nobody annotated: no annotation, so not "no class"."""
    if not {"annotation_id", "annotator"} <= set(table.header):
        return entries
    column = table.header.index("annotation_id")
    rows = [row for row, (_, cells) in zip(entries.rows, table.rows, strict=True) if _text(cells[column]).strip()]
    nobody = [
        row.image for row, (_, cells) in zip(entries.rows, table.rows, strict=True) if not _text(cells[column]).strip()
    ]
    notes = Note.of("rows of Label Studio that nobody annotated, left out", nobody)
    return replace(entries, rows=tuple(rows), notes=(*entries.notes, *notes))


def _no_columns(table: Table) -> str:
    header = ", ".join(table.header[:20]) or "none"
    hint = ": name them so, or set --data.column to the name of the column of the tags"
    if any(re.search(r"\.(jpe?g|png|tiff?|bmp|webp)$", name, re.IGNORECASE) for name in table.header):
        hint = ": its first line is no header, write image,labels above it"
    return f"{table.path} has the columns {header}, {_EXPECTED}{hint}"


def _text(cell: Any, column: int | None = -1) -> str:
    """A cell as text; with a column, that cell of a row, empty if there is no column."""
    if column is None:
        return ""
    value = cell if column == -1 else cell[column]
    return "" if value is None or value is ABSENT else str(value)


def _plain(name: str) -> str:
    return "".join(filter(str.isalnum, fold(name)))
