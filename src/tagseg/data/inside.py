"""Files of the data lie inside its folders: a link, or a name in a list, that leads elsewhere is refused, or allowed.

A folder of someone else's may hold a link to any file of this machine, and what is read of it ends in pictures,
reports and datasets that are given on.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tagseg.data.config import DataConfig
from tagseg.errors import TagsegError

ALLOW = "--data.outside allow"


@dataclass(frozen=True)
class Inside:
    """The folders that files may lie in, each with all that is below it.

    Attributes:
        root: the folder as it was given, for messages.
        real: the paths of all folders, without links.
    """

    root: Path
    real: tuple[str, ...]

    @staticmethod
    def of(config: DataConfig, root: Path) -> Inside | None:
        """The data's folder, and those that settings name; ``None`` where files may lie anywhere."""
        if config.outside == "allow":
            return None
        named = (getattr(config, name) for name in ("images", "masks", "tags"))
        folders = [root, *(root / name for name in named if name not in ("auto", "none"))]
        return Inside(root, tuple(os.path.realpath(folder) for folder in folders if folder.is_dir()))

    @staticmethod
    def alone(config: DataConfig, folder: Path) -> Inside | None:
        """One folder that a setting names beside the data's; ``None`` where files may lie anywhere."""
        return None if config.outside == "allow" else Inside(folder, (os.path.realpath(folder),))

    def holds(self, real: str) -> bool:
        """Whether a path without links is inside."""
        return any(real == folder or real.startswith(os.path.join(folder, "")) for folder in self.real)

    def check(self, path: Path, named_in: str = "") -> None:
        """Raise ``TagsegError`` if a file or folder leads outside; ``named_in``: the place in a list that names it."""
        real = os.path.realpath(path)
        if self.holds(real):
            return
        where = f"{named_in} names {path}, which" if named_in else f"{path} is a link that"
        leads = "is" if real == os.fspath(path) else f"leads to {real},"
        raise TagsegError(
            f"{where} {leads} outside of the folder {self.root}, expected files inside it: copy them there, name their "
            f"own folder with --data.images or --data.masks, or allow it with {ALLOW}"
        )

    def first_outside(self, files: Iterable[Path]) -> Path | None:
        """The first of some files that leads outside; the folders' links are followed once each."""
        folders: dict[str, bool] = {}
        for file in files:
            folder = os.path.dirname(file)
            if folder not in folders:
                folders[folder] = self.holds(os.path.realpath(folder))
            if os.path.islink(file):
                if not self.holds(os.path.realpath(file)):
                    return file
            elif not folders[folder]:
                return file
        return None
