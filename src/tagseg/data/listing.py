"""The files of a folder: all with some ending, or all photos, and what was left out beside them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tagseg.data.file_kinds import COMMON, DEAD_LINK, EXTENSIONS, HIDDEN, OTHER, OUTSIDE, Kind, kind_of
from tagseg.data.inside import Inside
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
        inside: the folders that links may lead into; ``None``: anywhere.
    """

    folder: Path
    names: tuple[str, ...]
    left_out: dict[Kind, list[str]] = field(default_factory=dict)
    inside: Inside | None = None

    def notes(self) -> tuple[Note, ...]:
        """The files that were left out, with their kinds and numbers."""
        kinds = sorted(self.left_out.items(), key=lambda item: item[0].plural)
        return tuple(note for kind, names in kinds for note in Note.of(f"{kind.plural}, left out", names, kind.photo))


def list_photos(folder: Path, inside: Inside | None = None) -> Photos:
    """All photos under a folder and its sub-folders, whatever they are called, and what else is there.

    A file with a common ending of images counts as one; of any other the first bytes are read.

    Args:
        folder: the folder.
        inside: the folders that links may lead into; by default anywhere.

    Raises:
        TagsegError: the folder does not exist, or a photo or folder is a link that leads outside.
    """
    names: list[str] = []
    left_out: dict[Kind, list[str]] = {}
    for name, kind in walk_files(folder, inside):
        if kind is None:
            names.append(name)
        else:
            left_out.setdefault(kind, []).append(name)
    return Photos(folder, tuple(sorted(names)), {kind: sorted(found) for kind, found in left_out.items()}, inside)


def walk_files(folder: Path, inside: Inside | None = None) -> Iterator[tuple[str, Kind | None]]:
    """The files of ``list_photos`` as they are found, in no order: each name, and its kind, ``None`` for a photo.

    Raises:
        TagsegError: the folder does not exist, or as ``list_photos``.
    """
    for name, entry in _walk(folder, inside):
        elsewhere = inside is not None and entry.is_symlink() and not inside.holds(os.path.realpath(entry.path))
        if elsewhere and inside is not None and name.lower().endswith(EXTENSIONS) and entry.is_file():
            inside.check(folder / name)
        yield name, (OUTSIDE if elsewhere and not _is_hidden(entry.name) else _kind(entry, name))


def list_files(folder: Path, extensions: tuple[str, ...], inside: Inside | None = None) -> list[str]:
    """Files under a folder with one of the extensions (lower case), as sorted names relative to it, with ``/``.

    Hidden files and folders are left out; links to folders are followed, each folder once. ``inside`` as in
    ``list_photos``.

    Raises:
        TagsegError: the folder does not exist, or as ``list_photos``.
    """
    walked = ((name, entry) for name, entry in _walk(folder, inside) if name.lower().endswith(extensions))
    fitting = [(name, entry) for name, entry in walked if not _is_hidden(entry.name) and entry.is_file()]
    if inside is not None:
        for name, entry in fitting:
            if entry.is_symlink():
                inside.check(folder / name)
    return sorted(name for name, _ in fitting)


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


def _walk(folder: Path, inside: Inside | None) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Everything under a folder that is no folder, and hidden folders as a whole; names are relative to it."""
    if not folder.is_dir():
        raise TagsegError(f"the folder {folder} does not exist, expected a folder of files: check its path")
    visited: set[str] = set()
    waiting = [""]
    while waiting:
        inner = waiting.pop()
        real = os.path.realpath(folder / inner)
        if real in visited:
            continue
        visited.add(real)
        if inside is not None and not inside.holds(real):
            inside.check(folder / inner)
        try:
            with os.scandir(real) as entries:
                for entry in entries:
                    if entry.is_dir() and not _is_hidden(entry.name):
                        waiting.append(f"{inner}{entry.name}/")
                    else:
                        yield inner + entry.name, entry
        except PermissionError as error:
            where = folder / inner
            raise TagsegError(f"the folder {where} cannot be read ({error.strerror}): check its rights") from None
