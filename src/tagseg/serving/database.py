"""The file of corrections in a run's folder: SQLite, each change on the disk before it counts, for one process."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tagseg.errors import TagsegError

FILE = "corrections.sqlite"
"""Name of the file in the run's folder."""
FORMAT = 1
_TABLES = """
CREATE TABLE IF NOT EXISTS actions (
    id INTEGER PRIMARY KEY, time REAL NOT NULL, text TEXT NOT NULL, subject TEXT NOT NULL, before TEXT, after TEXT,
    undone INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS subjects (subject TEXT PRIMARY KEY, value TEXT, revision INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS masks (id INTEGER PRIMARY KEY, png BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value NOT NULL);
CREATE TABLE IF NOT EXISTS queue (photo TEXT PRIMARY KEY, score REAL NOT NULL, iou REAL NOT NULL, why TEXT NOT NULL);
"""


class Database:
    """The open file. It is safe in threads; another process is refused until it is closed or its process ends.

    Args:
        path: of the file, made if need be.

    Raises:
        TagsegError: in use, damaged, of a later version, or it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._lock = path, threading.RLock()
        with self._told():
            self._connection = sqlite3.connect(path, timeout=0.2, isolation_level=None, check_same_thread=False)
        try:
            with self._told():
                self._open()
        except BaseException:
            self._connection.close()
            raise

    def _open(self) -> None:
        run = self._connection.execute
        run("PRAGMA locking_mode=EXCLUSIVE")  # a lock of the operating system, which also kill -9 gives back
        run("PRAGMA journal_mode=WAL")
        run("PRAGMA synchronous=FULL")
        version = run("PRAGMA user_version").fetchone()[0]
        if version > FORMAT:
            raise TagsegError(f"{self.path}: written by a later version of tagseg, expected format {FORMAT}: use that")
        run("BEGIN EXCLUSIVE")
        for statement in _TABLES.split(";"):
            run(statement)
        run(f"PRAGMA user_version={FORMAT}")
        run("COMMIT")

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Cursor]:
        """A transaction: at its end all of it is on the disk, after an error nothing of it.

        Raises:
            TagsegError: it could not be written, e.g. the disk is full.
        """
        with self._lock, self._told():
            cursor = self._connection.cursor()
            cursor.execute("BEGIN IMMEDIATE")
            try:
                yield cursor
                cursor.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.rollback()
                raise

    def rows(self, query: str, *values: Any) -> list[Any]:
        """The rows that a query gives."""
        with self._lock, self._told():
            return self._connection.execute(query, values).fetchall()

    def fact(self, name: str) -> Any:
        """One of the facts; ``None`` if there is none of that name."""
        rows = self.rows("SELECT value FROM facts WHERE name = ?", name)
        return rows[0][0] if rows else None

    def damaged(self, reason: str) -> TagsegError:
        """The error of a file whose content is not what was saved."""
        return TagsegError(
            f"{self.path}: damaged ({reason}), expected saved corrections: move it away to begin without any"
        )

    def close(self) -> None:
        """Close the file; another process may open it then."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Errors of SQLite as one line for the user."""
        try:
            yield
        except (sqlite3.Error, UnicodeDecodeError, OverflowError) as error:  # text that is none, numbers too large
            raise TagsegError(self._line(error)) from error

    def _line(self, error: Exception) -> str:
        reason = str(error)
        if not isinstance(error, sqlite3.Error) or "decode to UTF-8" in reason:
            return str(self.damaged(reason))
        if "locked" in reason or "busy" in reason:
            return f"{self.path.parent} is open in another process: close that tagseg serve first"
        if "not a database" in reason or "malformed" in reason:
            return str(self.damaged(reason))
        return (
            f"{self.path}: corrections could not be saved or read ({reason}), nothing was changed: make room, or check "
            "the folder's rights"
        )


def set_fact(cursor: sqlite3.Cursor, name: str, value: Any) -> None:
    """Set one of the facts within a transaction."""
    cursor.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))


def next_revision(cursor: sqlite3.Cursor) -> int:
    """A number higher than any before; what changes gets it, so that who has seen an older one looks again."""
    row = cursor.execute("SELECT value FROM facts WHERE name = 'revision'").fetchone()
    revision = row[0] if row else 0
    if not isinstance(revision, int) or not 0 <= revision < 2**62:
        raise TagsegError(f"saved corrections are damaged (revision {revision!r}): move them away to begin without any")
    set_fact(cursor, "revision", revision + 1)
    return revision + 1
