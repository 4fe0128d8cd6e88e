"""The photos and what was made of each, on disk: millions of them take bounded memory."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tagseg.errors import TagsegError
from tagseg.scale.journal import Record

_TABLES = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA temp_store = FILE;
CREATE TABLE found (given INTEGER, key BLOB, path BLOB, absolute BLOB PRIMARY KEY, relative BLOB, stem BLOB);
CREATE TABLE photos (position INTEGER PRIMARY KEY, path BLOB, name BLOB);
CREATE TABLE records (name BLOB PRIMARY KEY, failed INTEGER, record TEXT) WITHOUT ROWID;
"""
_PAGE = 10_000
"""Rows that are held at a time."""


class Photo(NamedTuple):
    """A photo to label.

    Attributes:
        position: its place among all, from 1.
        path: its file.
        name: of its outputs, without extension.
    """

    position: int
    path: Path
    name: str


class Catalogue:
    """Photos in their order, each with the name of its outputs, and records by these names.

    It is kept in a temporary file without a name, which vanishes with the process.
    """

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.executescript(_TABLES)
        self._db.execute("BEGIN")

    def add(self, given: int, names: Iterable[tuple[str, str, str]]) -> None:
        """Add photos; of those with the same absolute path the first counts.

        Args:
            given: place of their folder, or of the photo itself, among all that were given.
            names: of each its name in the folder, by which it is sorted, its path and its absolute path.
        """
        rows = ((given, name.encode("utf-8", "surrogatepass"), os.fsencode(p), os.fsencode(a)) for name, p, a in names)
        self._db.executemany("INSERT OR IGNORE INTO found (given, key, path, absolute) VALUES (?, ?, ?, ?)", rows)

    def name_outputs(self, root: str) -> None:
        """Name the outputs: the path relative to a folder without extension, which only those with equal names keep.

        Raises:
            TagsegError: two would still have the same name.
        """
        self._db.create_function("below", 1, lambda path: _below(path, root), deterministic=True)
        self._db.create_function("stem", 1, _stem, deterministic=True)
        self._db.executescript(
            """
            UPDATE found SET relative = below(absolute), stem = stem(below(absolute));
            CREATE INDEX stems ON found (stem);
            INSERT INTO photos (path, name)
              SELECT path, CASE WHEN (SELECT count(*) FROM found other WHERE other.stem = found.stem) > 1
                                THEN relative ELSE stem END
              FROM found ORDER BY given, key;
            DROP TABLE found;
            CREATE INDEX names ON photos (name);
            """
        )
        twice = self._db.execute(
            "SELECT name FROM photos GROUP BY name HAVING count(*) > 1 ORDER BY min(position) LIMIT 1"
        ).fetchone()
        if twice:
            name = os.fsdecode(twice[0])
            raise TagsegError(f"two images would both be written as {name}: rename one or predict them separately")

    def __len__(self) -> int:
        """Number of photos."""
        return int(self._db.execute("SELECT count(*) FROM photos").fetchone()[0])

    def note(self, records: Iterable[Record]) -> None:
        """Take records, each with its ``name``; a later one replaces an earlier one."""
        rows = ((os.fsencode(each["name"]), "error" in each, json.dumps(each)) for each in records)
        self._db.executemany("INSERT OR REPLACE INTO records VALUES (?, ?, ?)", rows)

    def forget(self, names: Iterable[str]) -> None:
        """Drop records."""
        self._db.executemany("DELETE FROM records WHERE name = ?", ((os.fsencode(name),) for name in names))

    def forget_others(self) -> None:
        """Drop the records of what is no photo any more."""
        self._db.execute("DELETE FROM records WHERE name NOT IN (SELECT name FROM photos)")

    def count(self, failed: bool = False) -> int:
        """Number of photos with a record that is, or is not, of an error."""
        return int(self._db.execute("SELECT count(*) FROM records WHERE failed = ?", (failed,)).fetchone()[0])

    def done(self, failed: bool = False) -> Iterator[tuple[Photo, Record]]:
        """The photos with a record that is, or is not, of an error, in their order."""
        last = 0
        while page := self._db.execute(
            "SELECT position, path, photos.name, record FROM photos JOIN records ON photos.name = records.name "
            "WHERE position > ? AND failed = ? ORDER BY position LIMIT ?",
            (last, failed, _PAGE),
        ).fetchall():
            yield from ((_photo(row), json.loads(row[3])) for row in page)
            last = page[-1][0]

    def lines(self) -> Iterator[str]:
        """The records of what was made, as JSON, in no order."""
        for (line,) in self._db.execute("SELECT record FROM records WHERE NOT failed"):
            yield line

    def waiting(self, most: int) -> Iterator[list[Photo]]:
        """The photos without a record, in their order, so many at a time."""
        last = 0
        while page := self._db.execute(
            "SELECT position, path, name FROM photos WHERE position > ? "
            "AND NOT EXISTS (SELECT 1 FROM records WHERE records.name = photos.name) ORDER BY position LIMIT ?",
            (last, most),
        ).fetchall():
            yield [_photo(row) for row in page]
            last = page[-1][0]

    def close(self) -> None:
        """Delete the temporary file."""
        self._db.close()


def _photo(row: Sequence[Any]) -> Photo:
    return Photo(row[0], Path(os.fsdecode(row[1])), os.fsdecode(row[2]))


def _below(path: bytes, root: str) -> bytes:
    return os.fsencode(Path(os.fsdecode(path)).relative_to(root).as_posix())


def _stem(relative: bytes) -> bytes:
    return os.fsencode(Path(os.fsdecode(relative)).with_suffix("").as_posix())
