"""Tables with a column for each class: 1 where the class is in the image, 0 where not."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from tagseg.data.names import fold, is_background
from tagseg.data.notes import Note
from tagseg.data.tag_table import ABSENT, Table
from tagseg.errors import TagsegError

_YES = frozenset({"1", "1.0", "true", "yes", "x", "✓"})
_NO = frozenset({"0", "0.0", "false", "no"})
_UNSURE = frozenset({"-1", "-1.0"})
_BLANK = frozenset({"", "nan", "none", "null"})
_UNNAMED = re.compile(r"unnamed: \d+|index|")


class ClassColumns(NamedTuple):
    """The columns of classes: column → name; and how they were read."""

    places: dict[int, str]
    notes: tuple[Note, ...]


def class_columns(table: Table, taken: set[int], known: tuple[str, ...]) -> ClassColumns:
    """The columns that hold 0 and 1 alone; with a class list, those of its names.

    A blank cell means 0. -1 means 0 too: "uncertain" as CheXpert writes it, "absent" where others write 1 and -1.

    Args:
        table: the table.
        taken: columns that are something else.
        known: names of the class list, if there is one.

    Raises:
        TagsegError: a column of zeros and ones holds something else.
    """
    wanted = {fold(name) for name in known}
    places: dict[int, str] = {}
    others: list[str] = []
    counts = {"blank": 0, "unsure": 0, "no": 0}
    for column, name in enumerate(table.header):
        if column in taken or _UNNAMED.fullmatch(fold(name)):
            continue
        values = [_value(cells[column]) for _, cells in table.rows]
        if not _is_class(table, column, values) or (wanted and fold(name) not in wanted and not is_background(name)):
            others.append(name)
            continue
        places[column] = name
        counts["blank"] += sum(value in _BLANK for value in values)
        counts["unsure"] += sum(value in _UNSURE for value in values)
        counts["no"] += sum(value in _NO for value in values)
    return ClassColumns(places, _notes(table, places, others, counts, bool(wanted)))


def tags_of_row(columns: ClassColumns, cells: tuple[Any, ...]) -> tuple[str, ...]:
    """The names of the columns that hold a 1."""
    return tuple(name for column, name in columns.places.items() if _value(cells[column]) in _YES)


def _value(cell: Any) -> str:
    return "" if cell is ABSENT or cell is None else fold(str(cell))


def _is_class(table: Table, column: int, values: list[str]) -> bool:
    """Whether a column holds 0 and 1 alone; one that mostly does is a mistake."""
    filled = [value for value in values if value not in _BLANK]
    valid = [value for value in filled if value in _YES | _NO | _UNSURE]
    if not valid or 2 * len(valid) <= len(filled):
        return False
    if len(valid) < len(filled):
        wrong = next(index for index, value in enumerate(values) if value not in _YES | _NO | _UNSURE | _BLANK)
        where, name = table.where(table.rows[wrong][0]), table.header[column]
        raise TagsegError(
            f"{where} has {values[wrong]!r} in the column {name!r} of zeros and ones, expected 0, 1 or -1 (uncertain): "
            "correct it, or leave the column out"
        )
    return True


def _notes(
    table: Table, places: dict[int, str], others: list[str], counts: dict[str, int], listed: bool
) -> tuple[Note, ...]:
    if not places:
        return ()
    name = table.path.name
    notes = [Note(f"{name} has a column for each class, {len(places)} columns of 0 and 1")]
    reason = "are not in the class list" if listed else "do not hold 0 and 1"
    notes += Note.of(f"columns of {name} are not read, as they {reason}", others, warning=listed)
    if counts["blank"]:
        notes.append(Note("blank cells in columns of 0 and 1, read as 0", counts["blank"]))
    if counts["unsure"]:
        unsure = counts["no"] or counts["blank"]
        text = "cells with -1 (uncertain), read as no tag" if unsure else "cells with -1, read as no tag"
        notes.append(Note(text, counts["unsure"], warning=bool(unsure)))
    return tuple(notes)
