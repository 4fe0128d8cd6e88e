"""A file that grows photo by photo and takes its name when it is whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import Generic, Protocol, TypeVar, runtime_checkable

from tagseg.errors import TagsegError
from tagseg.files import replacing


@runtime_checkable
class _Archive(Protocol):
    def close(self) -> None: ...


A = TypeVar("A", bound=_Archive)


class Growing(Generic[A]):
    """A temporary file beside ``path``, used by one thread at a time; after an error it is dropped.

    Args:
        path: the name that the file takes at the end.
        opened: opens the archive at the temporary file, at the first use.
    """

    def __init__(self, path: Path, opened: Callable[[Path], A]) -> None:
        self._path = path
        self._opened = opened
        self._archive: A | None = None
        self._temporary = path
        self._stack = ExitStack()
        self._lock = Lock()
        self._failed = ""

    @contextmanager
    def use(self) -> Iterator[A]:
        """Write to the archive.

        Raises:
            TagsegError: it cannot be written, now or earlier.
        """
        with self._lock, self._dropped_on_error():
            if self._archive is None:
                self._temporary = self._stack.enter_context(replacing(self._path))
                self._archive = self._opened(self._temporary)
            yield self._archive

    def keep(self, check: Callable[[Path], None] | None = None) -> None:
        """The file takes its name, unless it cannot be written or a check of it raises."""
        with self._lock, self._dropped_on_error():
            assert self._archive is not None
            self._archive.close()
            if check:
                check(self._temporary)
            self._stack.close()

    def drop(self) -> None:
        """The file vanishes."""
        if self._archive is not None:
            with suppress(OSError, ValueError):  # it would write its end
                self._archive.close()
        with suppress(_Dropped), self._stack:
            raise _Dropped

    @contextmanager
    def _dropped_on_error(self) -> Iterator[None]:
        if self._failed:
            raise TagsegError(self._failed)
        try:
            yield
        except (OSError, TagsegError) as error:
            reason = f"cannot write {self._path}: {error}; choose another output folder or make room"
            self._failed = str(error) if isinstance(error, TagsegError) else reason
            self.drop()
            raise TagsegError(self._failed) from error


class _Dropped(Exception):
    """Tells ``replacing`` that the file is not wanted."""
