"""Whether a checkpoint file is what was written: by the SHA-256 in its comment, or by the checksums of its parts.

Needs no PyTorch, so that a damaged file is told before anything slow begins.
"""

from __future__ import annotations

import hashlib
import os
import re
import struct
import zipfile
from pathlib import Path

SEALED = "tagseg_sealed"
"""An entry of every checkpoint that was written with a hash: without its hash such a file is damaged."""
_MARK = b"tagseg-sha256:"
_LENGTH = len(_MARK) + 64
_CHUNK = 1 << 22


def comment_of(digest: str) -> bytes:
    """The archive's comment: a mark and the 64 hexadecimal digits of the SHA-256 of the archive without a comment."""
    return _MARK + digest.encode("ascii")


def damage_of(path: Path) -> str:
    """What is wrong with a checkpoint file, in a few words; empty where nothing is.

    Files of tagseg 0.2.0 and before have no hash: there the checksums (CRC-32) of the archive's parts count.
    """
    try:
        size = path.stat().st_size
        if size == 0:
            return "it is empty"
        expected = _recorded(path, size)
        if expected:
            return "" if _digest(path, size) == expected else "its content is not what was written"
        return _damage_without_hash(path)
    except OSError as error:
        return f"it cannot be read: {error.strerror or error}"


def _recorded(path: Path, size: int) -> str:
    """The hash in the file's comment; empty where there is none."""
    with path.open("rb") as file:
        file.seek(max(0, size - _LENGTH - 2))
        end = file.read()
    found = re.fullmatch(re.escape(struct.pack("<H", _LENGTH) + _MARK) + rb"([0-9a-f]{64})", end)
    return found[1].decode("ascii") if found else ""


def _digest(path: Path, size: int) -> str:
    """The hash of the archive as it was before it had a comment, which the two bytes before it, now 0, tell."""
    digest, left = hashlib.sha256(), size - _LENGTH - 2
    with path.open("rb") as file:
        while left > 0 and (part := file.read(min(_CHUNK, left))):
            digest.update(part)
            left -= len(part)
    digest.update(b"\0\0")
    return digest.hexdigest()


def _damage_without_hash(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            torn = archive.testzip()
            if torn is not None:
                return f"its part {os.path.basename(torn)} is not what was written"
            pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
            sealed = any(SEALED.encode() in archive.read(name) for name in pickles)
    except OSError:
        raise
    except Exception:  # a damaged archive raises many kinds
        return "it is cut off or damaged"
    return "its hash is missing: its end is cut off or damaged" if sealed else ""
