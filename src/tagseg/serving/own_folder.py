"""The server's folder of uploads and results, and those that servers which were killed have left behind."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

PREFIX = "tagseg-serve-"
LOCK = "lock"


class OwnFolder:
    """A temporary folder that is locked as long as its process lives, however that ends.

    Making one deletes those of this user whose process is gone. The lock tells it also across containers that share
    the disk, where numbers of processes do not. Without locks (Windows) nothing is deleted but one's own.

    Attributes:
        path: of the folder.
    """

    def __init__(self) -> None:
        remove_left_behind(Path(tempfile.gettempdir()))
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX))
        begun = self.path / f"{LOCK}.new"
        self._file = os.open(begun, os.O_RDWR | os.O_CREAT, 0o600)
        _locked(self._file)
        os.replace(begun, self.path / LOCK)  # named only now: no other server sees it without its lock

    def remove(self) -> None:
        """Delete it with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        with suppress(OSError):  # closed already
            os.close(self._file)


def remove_left_behind(parent: Path) -> None:
    """Delete the folders of servers that were killed; what cannot be deleted stays."""
    for folder in parent.glob(f"{PREFIX}*"):
        with suppress(OSError):
            if folder.is_symlink() or not hasattr(os, "getuid") or folder.stat().st_uid != os.getuid():
                continue
            file = os.open(folder / LOCK, os.O_RDWR | os.O_NOFOLLOW)
            try:
                if _locked(file):
                    shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(file)


def _locked(file: int) -> bool:
    """Lock an open file; whether nobody else has it locked."""
    try:
        import fcntl
    except ImportError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
