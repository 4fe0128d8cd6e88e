"""Whether a file can be read at all: a name may stand for more bytes than the machine's memory holds."""

from __future__ import annotations

import os
from pathlib import Path

from tagseg.errors import TagsegError

_TIMES = 4
"""Memory that a text, or a byte for each probability, takes at least when it is read, as a multiple of its size."""


def read_whole(path: Path, expected: str) -> bytes:
    """The bytes of a file.

    Args:
        path: the file.
        expected: what it should have been, for messages.

    Raises:
        TagsegError: it is larger than the machine could hold; sparse files of any size need no disk.
        OSError: it cannot be read.
    """
    refuse_too_large(path, path.stat().st_size, expected)
    return path.read_bytes()


def refuse_too_large(path: Path, size: int, expected: str) -> None:
    """Stop where what a file holds is larger than the machine can take.

    Args:
        path: the file.
        size: its bytes, or those of what is packed in it.
        expected: what it should have been, for messages.

    Raises:
        TagsegError: four times as much is more than the machine's memory.
    """
    memory = _memory()
    if _TIMES * size > memory > 0:
        raise TagsegError(
            f"{path} has {size / 1e9:,.1f} GB, too much for this machine's memory of {memory / 1e9:,.1f} GB, expected "
            f"{expected}: divide it, or read it on a larger machine"
        )


def _memory() -> int:
    """Bytes of memory; 0 where the system does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return 0
