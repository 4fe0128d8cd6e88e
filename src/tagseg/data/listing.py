"""The files of a folder: all with some ending, or all photos, and what was left out beside them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tagseg.data.file_kinds import COMMON, DEAD_LINK, HIDDEN, OTHER, Kind, kind_of
from tagseg.data.notes import Note
from tagseg.errors import TagsegError

_SYSTEM = ("thumbs.db", "desktop.ini", "__macosx")
"""What file managers leave behind, in lower case; hidden where it was made."""


@dataclass(frozen=True)
class Photos:
    """The photos under a folder.

    Attributes:
        folder: the folder.
        names: of the photos, sorted, relative to it, with ``/``.
        left_out: names of all other files by their kind.
    """

    folder: Path
    names: tuple[str, ...]
    left_out: dict[Kind, list[str]] = field(default_factory=dict)

    def notes(self) -> tuple[Note, ...]:
        """The files that were left out, with their kinds and numbers."""
        kinds = sorted(self.left_out.items(), key=lambda item: item[0].plural)
        return tuple(note for kind, names in kinds for note in Note.of(f"{kind.plural}, left out", names, kind.photo))


def list_photos(folder: Path) -> Photos:
    """All photos under a folder and its sub-folders, whatever they are called, and what else is there.

    A file with a common ending of images counts as one; of any other the first bytes are read.

    Raises:
        TagsegError: the folder does not exist.
    """
    names: list[str] = []
    left_out: dict[Kind, list[str]] = {}
    for name, entry in _walk(folder):
        kind = _kind(entry, name)
        if kind is None:
            names.append(name)
        else:
            left_out.setdefault(kind, []).append(name)
    return Photos(folder, tuple(sorted(names)), {kind: sorted(found) for kind, found in left_out.items()})


def list_files(folder: Path, extensions: tuple[str, ...]) -> list[str]:
    """Files under a folder with one of the extensions (lower case), as sorted names relative to it, with ``/``.

    Hidden files and folders are left out; links to folders are followed, each folder once.

    Raises:
        TagsegError: the folder does not exist.
    """
    fitting = ((name, entry) for name, entry in _walk(folder) if name.lower().endswith(extensions))
    return sorted(name for name, entry in fitting if not _is_hidden(entry.name) and entry.is_file())


def photo_paths(photos: Photos) -> list[Path]:
    """The files of the photos of a folder.

    Raises:
        TagsegError: there are none; the message says what is there.
    """
    if not photos.names:
        found = "; ".join(str(note) for note in photos.notes())
        raise TagsegError(
            f"{photos.folder} holds no image{f' ({found})' if found else ''}, expected files that Pillow can read, "
            "e.g. JPEG or PNG: check the folder's path"
        )
    return [photos.folder / name for name in photos.names]


def _kind(entry: os.DirEntry[str], name: str) -> Kind | None:
    """What an entry that is no folder is; ``None`` for a photo."""
    if _is_hidden(entry.name):
        return HIDDEN
    if not entry.is_file():
        return DEAD_LINK if entry.is_symlink() else OTHER
    if name.lower().endswith(COMMON):
        return None
    try:
        return kind_of(Path(entry.path))
    except OSError:
        return OTHER


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name.lower() in _SYSTEM


def _walk(folder: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Everything under a folder that is no folder, and hidden folders as a whole; names are relative to it."""
    if not folder.is_dir():
        raise TagsegError(f"the folder {folder} does not exist, expected a folder of files: check its path")
    visited: set[str] = set()
    waiting = [""]
    while waiting:
        inside = waiting.pop()
        real = os.path.realpath(folder / inside)
        if real in visited:
            continue
        visited.add(real)
        try:
            with os.scandir(real) as entries:
                for entry in entries:
                    if entry.is_dir() and not _is_hidden(entry.name):
                        waiting.append(f"{inside}{entry.name}/")
                    else:
                        yield inside + entry.name, entry
        except PermissionError as error:
            where = folder / inside
            raise TagsegError(f"the folder {where} cannot be read ({error.strerror}): check its rights") from None
