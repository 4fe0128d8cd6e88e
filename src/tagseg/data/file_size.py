"""Whether a file can be read at all: a name may stand for more bytes than the machine's memory holds."""

from __future__ import annotations

import os
from pathlib import Path

from tagseg.errors import TagsegError

_TIMES = 4
"""Memory that a text takes at least when it is read, as a multiple of its size."""


def read_whole(path: Path, expected: str) -> bytes:
    """The bytes of a file.

    Args:
        path: the file.
        expected: what it should have been, for messages.

    Raises:
        TagsegError: it is larger than the machine could hold; sparse files of any size need no disk.
        OSError: it cannot be read.
    """
    size, memory = path.stat().st_size, _memory()
    if _TIMES * size > memory > 0:
        raise TagsegError(
            f"{path} has {size / 1e9:,.1f} GB, too much for this machine's memory of {memory / 1e9:,.1f} GB, expected "
            f"{expected}: divide it, or read it on a larger machine"
        )
    return path.read_bytes()


def _memory() -> int:
    """Bytes of memory; 0 where the system does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return 0
