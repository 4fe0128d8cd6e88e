"""A safetensors file opened, or what a file that is given as one really is."""

from __future__ import annotations

import struct
import zipfile
from codecs import getincrementaldecoder
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from tagseg.errors import TagsegError

_EXPECTED = "expected a .safetensors file of a run"
_MOST_HEADER = 100_000_000
"""Bytes of the longest header that safetensors accepts."""


@contextmanager
def readable(path: Path) -> Iterator[Any]:
    """The open safetensors file.

    Raises:
        TagsegError: another kind of file, named for what it is, or a damaged one.
    """
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except SafetensorError as error:
        raise TagsegError(_what_it_is(path, str(error))) from error
    except OSError as error:
        reason = error.strerror or str(error)
        way_out = "check its rights and its disk"
        raise TagsegError(f"{path}: not a readable file ({reason}), {_EXPECTED}: {way_out}") from error


def _what_it_is(path: Path, reason: str) -> str:
    """What is wrong with a file that is no safetensors file, from its content, and the way out."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(64)
    wrong = f"{path}: not a readable network: it is"
    if not head:
        return f"{wrong} empty (0 bytes), {_EXPECTED}: copy or save it again"
    if head.startswith(b"PK"):
        return f"{wrong} {_archive(path)}"
    if head[:1] == b"\x80":
        return f"{wrong} a pickled file, e.g. a PyTorch checkpoint, {_EXPECTED}: {_WEIGHTS}"
    header = struct.unpack("<Q", head[:8])[0] if len(head) >= 8 else _MOST_HEADER + 1
    if header <= _MOST_HEADER and (head[8:9] == b"{" or size <= 8):
        return (
            f"{path}: not a readable network: the file of {size:,} bytes is cut off or damaged ({reason}), expected a "
            "complete .safetensors file: copy or save it again"
        )
    return f"{wrong} {'a text file' if _is_text(head) else 'a file of another kind'}, {_EXPECTED} or the run's folder"


def _is_text(head: bytes) -> bool:
    try:
        letters = getincrementaldecoder("utf-8")().decode(head)  # the last letter may be cut off
    except UnicodeDecodeError:
        return False
    return all(letter.isprintable() or letter in "\t\n\r" for letter in letters)


_WEIGHTS = "encoder weights go to --network.weights, a published checkpoint to tagseg.load_published"


def _archive(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            is_torch = any(name.endswith("data.pkl") for name in archive.namelist())
    except (zipfile.BadZipFile, OSError):
        return f"a damaged zip archive or PyTorch checkpoint, {_EXPECTED}"
    if not is_torch:
        return f"a zip archive, {_EXPECTED}: unpack it"
    networks = [name for name in ("best.safetensors", "last.safetensors") if (path.parent / name).is_file()]
    if path.suffix == ".ckpt" and networks:
        return f"the state of a training, to go on from with --resume; its network is {path.parent / networks[0]}"
    if path.suffix == ".ckpt":
        return f"the state of a training: go on with tagseg train --resume {path}, which writes its network beside it"
    return f"a PyTorch checkpoint, {_EXPECTED}: {_WEIGHTS}"
