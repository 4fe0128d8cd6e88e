"""Corrections as a log of actions that can be undone and done again; each is saved before its call returns."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Literal, get_args

from tagseg.serving.database import Database, next_revision

State = Literal["open", "accepted", "rejected"]
STATES: tuple[State, ...] = get_args(State)
SHARE = ""
"""The subject of actions on the foreground share; those on a photo have its id."""


@dataclass(frozen=True)
class PhotoEdit:
    """What was corrected of a photo.

    Attributes:
        tags: names of its classes; ``None``: those of the data.
        state: what the user said of its mask.
        mask: number of the accepted mask.
    """

    tags: tuple[str, ...] | None = None
    state: State = "open"
    mask: int | None = None


@dataclass(frozen=True)
class Entry:
    """An action of the log.

    Attributes:
        text: what was done, for people.
        time: when, in seconds since 1970.
        undone: whether it was undone; ``redo`` does it again.
    """

    text: str
    time: float
    undone: bool


UNCHANGED = PhotoEdit()


class Edits:
    """The corrections in a file."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def photos(self) -> dict[str, PhotoEdit]:
        """The photos that were ever corrected, by id."""
        rows = self.database.rows("SELECT subject, value FROM subjects WHERE subject != ?", SHARE)
        return {subject: _edit(value) for subject, value in rows}

    def photo(self, id: str) -> PhotoEdit:
        """What was corrected of one photo."""
        rows = self.database.rows("SELECT value FROM subjects WHERE subject = ?", id)
        return _edit(rows[0][0]) if rows else UNCHANGED

    def share(self, default: float | None) -> float | None:
        """The foreground share; ``default`` where it was never set."""
        rows = self.database.rows("SELECT value FROM subjects WHERE subject = ?", SHARE)
        return default if not rows or rows[0][0] is None else json.loads(rows[0][0])["share"]

    def revisions(self) -> dict[str, int]:
        """When photos were corrected last, by id: a number that grows with each change."""
        return dict(self.database.rows("SELECT subject, revision FROM subjects"))

    def mask(self, number: int) -> bytes:
        """An accepted mask as a PNG."""
        png: bytes = self.database.rows("SELECT png FROM masks WHERE id = ?", number)[0][0]
        return png

    def change(
        self, id: str, text: str, changed: Callable[[PhotoEdit, Callable[[bytes], int]], PhotoEdit]
    ) -> PhotoEdit:
        """Correct a photo: one action, saved. Nothing is logged if nothing changes.

        Args:
            id: of the photo.
            text: of the action.
            changed: makes the new edit of the old one and of a function that keeps a mask and gives its number.
        """
        with self.database.writing() as cursor:
            row = cursor.execute("SELECT value FROM subjects WHERE subject = ?", (id,)).fetchone()
            before = row[0] if row else None

            def keep(png: bytes) -> int:
                number = cursor.execute("INSERT INTO masks (png) VALUES (?)", (png,)).lastrowid
                assert number is not None  # the row is there
                return number

            old = _edit(before)
            new = changed(old, keep)
            if new != old:
                _log(cursor, id, text, before, json.dumps(asdict(new)))
            return new

    def set_share(self, value: float | None, default: float | None, text: str) -> None:
        """Set the foreground share: one action, saved."""
        with self.database.writing() as cursor:
            row = cursor.execute("SELECT value FROM subjects WHERE subject = ?", (SHARE,)).fetchone()
            before = row[0] if row else None
            if (json.loads(before)["share"] if before else default) != value:
                _log(cursor, SHARE, text, before, json.dumps({"share": value}))

    def undo(self) -> str | None:
        """Undo the last action that stands; its text, or ``None`` if there is none."""
        return self._step("SELECT id, subject, before, text FROM actions WHERE NOT undone ORDER BY id DESC LIMIT 1", 1)

    def redo(self) -> str | None:
        """Do again what was undone last; its text, or ``None`` if there is none."""
        return self._step("SELECT id, subject, after, text FROM actions WHERE undone ORDER BY id LIMIT 1", 0)

    def _step(self, query: str, undone: int) -> str | None:
        with self.database.writing() as cursor:
            row = cursor.execute(query).fetchone()
            if row is None:
                return None
            number, subject, value, text = row
            cursor.execute("UPDATE actions SET undone = ? WHERE id = ?", (undone, number))
            _set(cursor, subject, value)
            return str(text)

    def history(self) -> tuple[Entry, ...]:
        """All actions, the first one first."""
        rows = self.database.rows("SELECT text, time, undone FROM actions ORDER BY id")
        return tuple(Entry(text, moment, bool(undone)) for text, moment, undone in rows)


def _edit(value: str | None) -> PhotoEdit:
    if value is None:
        return UNCHANGED
    content = json.loads(value)
    tags = content["tags"]
    return PhotoEdit(None if tags is None else tuple(tags), content["state"], content["mask"])


def _log(cursor: sqlite3.Cursor, subject: str, text: str, before: str | None, after: str) -> None:
    """Add an action and what it changes; what was undone before cannot be done again."""
    cursor.execute("DELETE FROM actions WHERE undone")
    cursor.execute(
        "INSERT INTO actions (time, text, subject, before, after) VALUES (?, ?, ?, ?, ?)",
        (time.time(), text.encode("utf-8", "replace").decode(), subject, before, after),  # of names in other bytes
    )
    _set(cursor, subject, after)


def _set(cursor: sqlite3.Cursor, subject: str, value: str | None) -> None:
    cursor.execute("INSERT OR REPLACE INTO subjects VALUES (?, ?, ?)", (subject, value, next_revision(cursor)))
