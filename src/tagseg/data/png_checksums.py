"""The checksums of a PNG file: decoders leave them unread, so that a flipped bit becomes another label in silence."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CRITICAL = (b"IHDR", b"PLTE", b"IDAT")
"""Chunks that pixels are made of. IEND has no content."""


def damaged_chunk(path: Path) -> str:
    """The name of the first chunk whose content is not what was written; empty if there is none, or it is no PNG.

    Args:
        path: the file.

    Raises:
        OSError: it cannot be read.
    """
    content = memoryview(path.read_bytes())
    at = len(SIGNATURE)
    while content[: len(SIGNATURE)] == SIGNATURE and at + 12 <= len(content):
        (size,) = struct.unpack(">I", content[at : at + 4])
        kind, end = bytes(content[at + 4 : at + 8]), at + 8 + size
        if kind == b"IEND":
            break
        if end + 4 > len(content):  # cut off, or its length is wrong
            return kind.decode("ascii", "replace")
        if kind in CRITICAL and zlib.crc32(content[at + 4 : end]) != int.from_bytes(content[end : end + 4], "big"):
            return kind.decode("ascii")
        at = end + 4
    return ""
