"""What was made of each photo, a JSON object in a line, written when it is made: a killed process loses no line."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import IO, Any

from tagseg.files import replacing, sync
from tagseg.formats.spool import writable

Record = dict[str, Any]


class Journal:
    """Appends records to a file. A line that was cut off when its writer was killed is left out on reading.

    Args:
        path: the file; it is made with the first record.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = Lock()

    def add(self, record: Record) -> None:
        """Append a record; it is in the file, whatever happens to this process, once this returns.

        Raises:
            TagsegError: the file cannot be written.
        """
        with self._lock, appending(self.path, durable=False) as add:
            add(record)

    def read(self) -> Iterator[Record]:
        """The records, in the order in which they were written; none where there is no file."""
        return read_records(self.path)


@contextmanager
def appending(path: Path, durable: bool = True) -> Iterator[Callable[[Record], None]]:
    """A function that appends records to a file.

    Args:
        path: the file; it is made if it is not there.
        durable: wait until the disk has them.

    Raises:
        TagsegError: the file cannot be written.
    """
    with writable(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b") as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":  # the end of a writer that was killed
                    file.write(b"\n")
            yield lambda record: _write(file, record)
            file.flush()
        if durable:
            sync(path)


def _write(file: IO[bytes], record: Record) -> None:
    file.write(json.dumps(record, separators=(",", ":")).encode("ascii") + b"\n")


def read_records(path: Path) -> Iterator[Record]:
    """The records of a file; lines that are none are left out."""
    with suppress(FileNotFoundError), path.open("rb") as file:
        for line in file:
            with suppress(ValueError):
                record = json.loads(line)
                if isinstance(record, dict):
                    yield record


def write_records(path: Path, lines: Iterable[str]) -> None:
    """Write lines of JSON as one file, whole or not at all.

    Raises:
        TagsegError: the file cannot be written.
    """
    with replacing(path, durable=True) as temporary, temporary.open("w", encoding="ascii") as file:
        for line in lines:
            file.write(f"{line}\n")
