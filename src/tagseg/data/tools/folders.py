"""Folders within a folder, where exports of several splits are looked for."""

from __future__ import annotations

import os
from pathlib import Path


def entries_of_folder(folder: Path) -> list[os.DirEntry[str]]:
    """What is in a folder and not hidden, sorted; nothing if it cannot be read, as those who list it will say."""
    try:
        with os.scandir(folder) as entries:
            return sorted((each for each in entries if not each.name.startswith(".")), key=lambda each: each.name)
    except OSError:
        return []


def folders_in(folder: Path) -> list[Path]:
    """The folders directly in a folder, sorted, without hidden ones."""
    return [Path(each.path) for each in entries_of_folder(folder) if each.is_dir()]
