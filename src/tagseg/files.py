"""Files that are either complete or not there, whatever interrupts the writing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from tagseg.errors import TagsegError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file beside ``path`` to write to; takes its place at the end, vanishes on an error.

    Raises:
        TagsegError: the folder or the file cannot be written.
    """
    temporary = path.parent / f".{uuid4().hex}.tmp"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise TagsegError(f"cannot write {path}: {reason}; choose another output folder or make room") from error
    finally:
        with suppress(OSError):  # usually it has become the file
            temporary.unlink()
