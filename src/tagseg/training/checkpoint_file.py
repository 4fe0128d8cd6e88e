"""A checkpoint file that tells by itself whether it is whole, and the one before it, kept until the next is whole.

The file is the zip archive that ``torch.save`` writes; the archive's comment is the SHA-256 of all before it. So file
and hash take the place of the former ones in a single rename, and whatever reads such archives reads this one.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, cast

import torch

from tagseg.files import sync
from tagseg.model.weights import refuse_packed
from tagseg.training.checkpoint_hash import SEALED, comment_of
from tagseg.training.run_folder import CHECKPOINT, PREVIOUS


def save_checkpoint(checkpoint: Mapping[str, Any], path: Path, keep: bool = True) -> None:
    """Write a checkpoint that is whole or not there, also after a kill or a power cut.

    Args:
        checkpoint: of a training.
        path: of the file; the folder is made.
        keep: a ``last.ckpt`` that is there becomes ``previous.ckpt``.

    Raises:
        OSError: the folder cannot be written or the disk is full; all former files are as they were.
    """
    temporary = temporary_of(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            _write(checkpoint, file)
            os.fsync(file.fileno())
        if keep and path.name == CHECKPOINT:
            _keep(path, path.with_name(PREVIOUS))
        os.replace(temporary, path)
        sync(path.parent)
    finally:
        with suppress(OSError):  # usually it has become the file
            temporary.unlink()


def temporary_of(path: Path) -> Path:
    """Where a checkpoint is written before it takes its place. One process alone writes, so one name will do."""
    return path.with_name(f".{path.name}.tmp")


def remove_temporary(folder: Path) -> None:
    """Delete what a killed process has left of checkpoints that it was writing."""
    for path in folder.glob(".*.ckpt.tmp"):
        with suppress(OSError):
            path.unlink()


def _write(checkpoint: Mapping[str, Any], file: IO[bytes]) -> None:
    """The archive and its comment, without a copy of it in memory."""
    hashed = _Hashed(file)
    try:
        torch.save({**checkpoint, SEALED: True}, cast("IO[bytes]", hashed))
    except Exception:  # PyTorch hides the system's error behind one of its own
        if hashed.error is not None:
            raise hashed.error from None
        raise
    comment = comment_of(hashed.digest.hexdigest())
    file.seek(-2, os.SEEK_END)  # the last field of an archive is the length of its comment
    file.write(struct.pack("<H", len(comment)) + comment)
    file.flush()


class _Hashed:
    """A file that computes the hash of what is written to it, all of it in order."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.digest, self.error = file, hashlib.sha256(), None

    error: OSError | None

    def write(self, data: bytes | memoryview) -> int:
        """Write and hash."""
        try:
            written = self.file.write(data)
        except OSError as error:
            self.error = error
            raise
        self.digest.update(data)
        return written

    def flush(self) -> None:
        """As a file's."""
        self.file.flush()


def _keep(path: Path, previous: Path) -> None:
    """Let a second name stand for the file, which the first is about to lose; there is no moment without the first."""
    if not path.exists():
        return
    link = temporary_of(previous)
    link.unlink(missing_ok=True)
    try:
        os.link(path, link)
    except OSError:  # a file system without such names: for a moment there is the previous one alone
        os.replace(path, previous)
        return
    os.replace(link, previous)
    link.unlink(missing_ok=True)  # it stays where both were the same file


def load_checkpoint(path: Path, in_memory: bool = True) -> dict[str, Any]:
    """What a checkpoint holds, on the CPU; code in it is not run.

    Args:
        path: of the file.
        in_memory: read all of it now; else what is looked at is read when it is.

    Raises:
        Exception: of many kinds, where the file is damaged.
    """
    refuse_packed(path)
    checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True, mmap=not in_memory)
    return checkpoint
