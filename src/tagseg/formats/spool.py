"""Records that wait on disk until all photos are there, so that memory stays bounded."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Lock
from typing import IO

from tagseg.errors import TagsegError


class Spool:
    """Text records, added in any order by several threads, read in the order of their positions.

    They are kept in a file without a name in the folder of the results, which vanishes with the process.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: IO[bytes] | None = None
        self._stack = ExitStack()
        self._places: dict[int, tuple[int, int]] = {}
        self._end = 0
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._places)

    def add(self, position: int, record: str) -> None:
        """Keep a record.

        Raises:
            TagsegError: the folder cannot be written or is full.
        """
        data = record.encode("ascii")
        with self._lock, writable(self._folder):
            if self._file is None:
                self._folder.mkdir(parents=True, exist_ok=True)
                self._file = self._stack.enter_context(tempfile.TemporaryFile(dir=self._folder))  # noqa: SIM115
            self._file.seek(self._end)
            self._file.write(data)
            self._file.flush()
            self._places[position] = self._end, len(data)
            self._end += len(data)

    def __iter__(self) -> Iterator[tuple[int, str]]:
        """Each position with its record."""
        for position, (start, length) in sorted(self._places.items()):
            assert self._file is not None
            self._file.seek(start)
            yield position, self._file.read(length).decode("ascii")

    def close(self) -> None:
        """Forget all records."""
        self._stack.close()
        self._places = {}


@contextmanager
def writable(path: Path) -> Iterator[None]:
    """An ``OSError`` while writing becomes the one-line error."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise TagsegError(f"cannot write {path}: {reason}; choose another output folder or make room") from error
