"""Feature maps on disk: computed once, found again by a photo's content, read through a memory map.

A cache is a folder for one encoder and one set of settings. Each writer adds a shard of its own: ``NAME.npy``, a row a
photo, and ``NAME.txt``, the contents and checksums of its rows in order. A row counts once its line is written, so an
interrupted writer leaves a shorter shard and two writers never touch the same file.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import math
import os
import time
import uuid
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import numpy as np
import torch
from jaxtyping import Float16
from numpy import ndarray
from torch import Tensor

from tagseg.errors import TagsegError

HASH = 32
"""Characters of the hash of a photo's content."""
LINE = HASH + 1 + 8 + 1
"""Characters of a line of a shard's list: the hash, a space, the row's CRC-32 in hexadecimal, the end of the line."""
_FORMER = HASH + 1
"""The same before rows had checksums."""

logger = logging.getLogger("tagseg")


def content_hash(path: Path) -> str:
    """32 hexadecimal digits that depend on the bytes of a file alone.

    Raises:
        TagsegError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.blake2b(file.read(), digest_size=16).hexdigest()
    except OSError as error:
        raise TagsegError(f"{path}: cannot be read ({error.strerror or error}), expected an image file") from error


class FeatureCache:
    """The rows of a cache folder.

    Args:
        folder: of the cache; made when something is written.
        shape: of a row, e.g. (2D, h, w).
    """

    def __init__(self, folder: Path, shape: tuple[int, ...]) -> None:
        self.folder, self.shape = folder, shape
        self._shards: dict[str, Float16[ndarray, "rows D h w"]] = {}
        self._rows: dict[str, tuple[str, int]] = {}
        self._unread: dict[str, bytes] = {}
        """Checksums of the rows that were not read yet."""
        _remove_empty(folder)
        for listed in sorted(folder.glob("*.txt")):
            self._add(listed.stem)

    def __contains__(self, content: str) -> bool:
        """Whether there is a row for a photo of that content."""
        return content in self._rows

    def read(self, contents: Sequence[str]) -> Float16[Tensor, "B D h w"]:
        """The rows of some photos, (B, *shape) float16; when a row is read first, its checksum is verified.

        Raises:
            TagsegError: a row is not what was written.
        """
        rows = np.empty((len(contents), *self.shape), np.float16)
        for row, content in zip(rows, contents, strict=True):
            shard, place = self._rows[content]
            row[...] = self._shards[shard][place]
            checksum = self._unread.pop(content, None)
            if checksum is not None and checksum != _checksum(_stored(row)):
                raise self._damaged(content)
        return torch.from_numpy(rows)

    def _damaged(self, content: str) -> TagsegError:
        """Forget a row, also on the disk."""
        shard, place = self._rows.pop(content)
        path = self.folder / f"{shard}.npy"
        found = f"{path}: damaged, row {place} is not the one that was written (its checksum is another)"
        try:
            with path.with_suffix(".txt").open("rb+") as lines:
                lines.seek(place * LINE)
                lines.write(b"-" * HASH)
        except OSError as error:
            return TagsegError(f"{found}: delete it (it cannot be changed, {error.strerror}), and run this again")
        return TagsegError(f"{found}: run this again, it is computed again then")

    @contextmanager
    def writer(self, count: int) -> Iterator[ShardWriter]:
        """A new shard with room for ``count`` rows. What was written is kept also after an exception.

        Raises:
            TagsegError: the folder cannot be written, e.g. the disk is full.
        """
        writer = ShardWriter(self.folder / uuid.uuid4().hex, count, self.shape)
        try:
            yield writer
        finally:
            writer.close()
            if writer.rows:
                self._add(writer.path.name)

    def _add(self, name: str) -> None:
        """Take up the rows of a shard; a damaged one is left out and said."""
        try:
            lines = (self.folder / f"{name}.txt").read_bytes()
            with warnings.catch_warnings():  # on what a damaged header seems to say
                warnings.simplefilter("ignore")
                array = np.lib.format.open_memmap(self.folder / f"{name}.npy", mode="r")
        except Exception as error:  # a damaged header may raise nearly anything
            logger.warning("%s/%s: not a readable part of the cache (%s), its features are computed again",
                           self.folder, name, error)  # fmt: skip
            return
        if array.dtype != np.float16 or array.shape[1:] != self.shape:
            logger.warning("%s/%s: features of another shape, they are computed again", self.folder, name)
            return
        self._shards[name] = array
        length = _FORMER if lines[HASH : HASH + 1] == b"\n" else LINE
        whole = min(len(lines) // length, len(array))  # a line that was cut off is no line
        for row in range(whole):
            line = lines[row * length : (row + 1) * length - 1]
            content = line[:HASH].decode("ascii", "replace")
            if content not in self._rows:
                self._rows[content] = (name, row)
                if length == LINE:
                    self._unread[content] = line[HASH + 1 :]


class ShardWriter:
    """Appends rows to one shard.

    Files are written, not a memory map: on a full disk that is an error, where a map would end the process.

    Args:
        path: of the shard, without extension.
        count: rows there is room for; on most file systems unwritten rows take no space.
        shape: of a row.

    Raises:
        TagsegError: the folder cannot be written, e.g. the disk is full.
    """

    def __init__(self, path: Path, count: int, shape: tuple[int, ...]) -> None:
        self.path, self.rows = path, 0
        with _told(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
            self.values = path.with_suffix(".npy").open("wb")
            self.lines = path.with_suffix(".txt").open("wb", buffering=0)
            _lock(self.lines)
        try:
            with _told(path.parent):
                header = {"descr": "<f2", "fortran_order": False, "shape": (count, *shape)}
                np.lib.format.write_array_header_1_0(self.values, header)
                self.values.truncate(self.values.tell() + 2 * count * math.prod(shape))
        except TagsegError:
            self.close()
            raise

    def add(self, contents: Sequence[str], rows: Float16[Tensor, "B D h w"]) -> None:
        """Write the rows of some photos, first the values, then the lines that make them count.

        Raises:
            TagsegError: they cannot be written, e.g. the disk is full.
        """
        with _told(self.path.parent):
            values = [_stored(row) for row in rows.numpy()]
            self.values.writelines(values)
            self.values.flush()
            os.fsync(self.values.fileno())  # also after a power cut no line is without its values
            # All lines or none: a batch that is done again is then the same batch, and gives the same values.
            lines = b"".join(
                content.encode("ascii") + b" " + _checksum(value) + b"\n"
                for content, value in zip(contents, values, strict=True)
            )
            if self.lines.write(lines) != len(lines):
                os.ftruncate(self.lines.fileno(), self.rows * LINE)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.rows += len(contents)

    def close(self) -> None:
        """Close both files, and remove them where nothing was written."""
        for file in (self.values, self.lines):
            with suppress(OSError):  # of what could not be written before, which was told
                file.close()
            if not self.rows:
                Path(file.name).unlink(missing_ok=True)


def _stored(row: Float16[ndarray, "D h w"]) -> bytes:
    """A row as it is on the disk."""
    return row.astype("<f2", copy=False).tobytes()


def _checksum(row: bytes) -> bytes:
    """CRC-32, which a disk's and a copy's errors do not survive, as 8 hexadecimal digits."""
    return b"%08x" % zlib.crc32(row)


def _lock(file: IO[bytes]) -> bool:
    """Take a file for this process, as long as it lives, where the system can; whether no other one has it."""
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (ImportError, OSError):
        return False
    return True


def _remove_empty(folder: Path, seconds: float = 60.0) -> None:
    """Delete shards without a row that killed writers have left; not those of writers that live, or have just begun."""
    for listed in folder.glob("*.txt"):
        with suppress(OSError):
            if listed.stat().st_size == 0 and listed.stat().st_mtime < time.time() - seconds:
                with listed.open("rb+") as file:
                    if _lock(file):
                        listed.with_suffix(".npy").unlink(missing_ok=True)
                        listed.unlink()


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    """What the operating system refuses, as one line for the user."""
    try:
        yield
    except OSError as error:
        raise TagsegError(
            f"{folder}: features could not be written ({error.strerror or error}): free some space, or choose another "
            "folder with --features.folder; what was written is used again"
        ) from error
