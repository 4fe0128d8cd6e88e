"""Corrections as a log of actions that can be undone and done again; each is saved before its call returns."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from tagseg.data.json_text import parse_json
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
        return {subject: self._edit(value) for subject, value in rows}

    def photo(self, id: str) -> PhotoEdit:
        """What was corrected of one photo."""
        rows = self.database.rows("SELECT value FROM subjects WHERE subject = ?", id)
        return self._edit(rows[0][0]) if rows else UNCHANGED

    def share(self, default: float | None) -> float | None:
        """The foreground share; ``default`` where it was never set."""
        rows = self.database.rows("SELECT value FROM subjects WHERE subject = ?", SHARE)
        return self._share(rows[0][0], default) if rows else default

    def revisions(self) -> dict[str, int]:
        """When photos were corrected last, by id: a number that grows with each change."""
        return dict(self.database.rows("SELECT subject, revision FROM subjects"))

    def mask(self, number: int) -> bytes:
        """An accepted mask as a PNG."""
        rows = self.database.rows("SELECT png FROM masks WHERE id = ?", number)
        if not rows or not isinstance(rows[0][0], bytes):
            raise self.database.damaged(f"the accepted mask {number} is not there")
        return rows[0][0]

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

            old = self._edit(before)
            new = changed(old, keep)
            if new != old:
                _log(cursor, id, text, before, json.dumps(asdict(new)))
            return new

    def set_share(self, value: float | None, default: float | None, text: str) -> None:
        """Set the foreground share: one action, saved."""
        with self.database.writing() as cursor:
            row = cursor.execute("SELECT value FROM subjects WHERE subject = ?", (SHARE,)).fetchone()
            before = row[0] if row else None
            if self._share(before, default) != value:
                _log(cursor, SHARE, text, before, json.dumps({"share": value}))

    def undo(self) -> str | None:
        """Undo the last action that stands; its text, or ``None`` if there is none."""
        return self._step("SELECT id, subject, before, text FROM actions WHERE NOT undone ORDER BY id DESC LIMIT 1", 1)

    def redo(self) -> str | None:
        """Do again what was undone last; its text, or ``None`` if there is none."""
        return self._step("SELECT id, subject, after, text FROM actions WHERE undone ORDER BY id LIMIT 1", 0)

    def _edit(self, value: Any) -> PhotoEdit:
        if value is None:
            return UNCHANGED
        try:
            return edit_of(parse_json(value))
        except (ValueError, KeyError, TypeError) as error:
            raise self.database.damaged(f"a correction that is none, {error}") from error

    def _share(self, value: Any, default: float | None) -> float | None:
        if value is None:
            return default
        try:
            share = parse_json(value)["share"]
            return None if share is None else share_of(share)
        except (ValueError, KeyError, TypeError) as error:
            raise self.database.damaged(f"a share that is none, {error}") from error

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


def share_of(value: Any) -> float:
    """A share of foreground as JSON has it.

    Raises:
        ValueError: it is not 0 to 1.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError(f"the share {value!r}")
    return float(value)


def edit_of(content: Any) -> PhotoEdit:
    """A correction as JSON has it.

    Raises:
        ValueError, KeyError, TypeError: it is none.
    """
    tags, state, mask = content["tags"], content["state"], content["mask"]
    if tags is not None and not (isinstance(tags, list) and all(isinstance(tag, str) for tag in tags)):
        raise ValueError(f"tags {tags!r}")
    if state not in STATES or not (mask is None or type(mask) is int):
        raise ValueError(f"the state {state!r} and the mask {mask!r}")
    return PhotoEdit(None if tags is None else tuple(tags), state, mask)


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
