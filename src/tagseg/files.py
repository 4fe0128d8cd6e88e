"""Files that are either complete or not there, whatever interrupts the writing."""

from __future__ import annotations

import errno
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from tagseg.errors import TagsegError


@contextmanager
def replacing(path: Path, durable: bool = False) -> Iterator[Path]:
    """A temporary file beside ``path`` to write to; takes its place at the end, vanishes on an error.

    Args:
        path: of the file.
        durable: whole also after a power cut, once this returns: waits for the disk, some milliseconds.

    Raises:
        TagsegError: the folder or the file cannot be written.
    """
    temporary = path.parent / f".{uuid4().hex}.tmp"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        if durable:
            sync(temporary)
        os.replace(temporary, path)
        if durable:
            sync(path.parent)
    except OSError as error:
        reason = error.strerror or str(error)
        raise TagsegError(f"cannot write {path}: {reason}; choose another output folder or make room") from error
    finally:
        with suppress(OSError):  # usually it has become the file
            temporary.unlink()


def sync(path: Path) -> None:
    """Wait until the disk has a file's content, or a folder's names; nothing where the system knows no such thing.

    Raises:
        OSError: the disk could not take it.
    """
    folder = path.is_dir()
    if folder and os.name == "nt":  # folders cannot be opened there
        return
    number = os.open(path, os.O_RDONLY if folder else os.O_RDWR)
    try:
        os.fsync(number)
    except OSError as error:
        if error.errno not in _NOT_KNOWN:
            raise
    finally:
        os.close(number)


_NOT_KNOWN = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS)
"""What file systems answer that cannot sync a folder, as some of networks."""


def remove_left_behind(folder: Path, seconds: float = 60.0) -> None:
    """Delete temporary files of ``replacing`` that a killed process has left in a folder.

    Args:
        folder: nothing happens where there is none.
        seconds: younger files may be those of another process that is about to replace something.
    """
    for path in folder.glob(".*.tmp"):
        with suppress(OSError):
            if TEMPORARY.fullmatch(path.name) and path.stat().st_mtime < time.time() - seconds:
                path.unlink()


TEMPORARY = re.compile(r"\.[0-9a-f]{32}\.tmp")
"""Names of the temporary files of ``replacing``."""
