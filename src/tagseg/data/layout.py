"""Finding the files of a data folder: its sub-folders, and images by the names in a list."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from tagseg.data.inside import Inside
from tagseg.data.listing import Photos, list_photos
from tagseg.data.notes import MISSING, Note
from tagseg.data.resolver import BACKSLASHES, REASONS, Match, Resolver, fold_name, without_extension
from tagseg.errors import TagsegError, list_some


def data_root(setting: str) -> Path:
    """The data's folder; ``~`` is the home folder.

    Raises:
        TagsegError: it does not exist.
    """
    root = Path(setting).expanduser()
    if not root.is_dir():
        raise TagsegError(f"the data folder {root} does not exist, expected an existing folder: set --data.root")
    return root


def choose_folder(root: Path, setting: str, usual: tuple[str, ...], flag: str) -> Path | None:
    """The sub-folder of a setting; for ``auto`` the first usual one that exists, or ``None``.

    Raises:
        TagsegError: the folder that is set does not exist; ``flag`` names its setting.
    """
    if setting == "auto":
        return next((root / name for name in usual if (root / name).is_dir()), None)
    if not (root / setting).is_dir():
        usually = f"a folder relative to the root (usually {' or '.join(usual)}) or auto"
        raise TagsegError(f"{flag} is {setting!r}, but {root / setting} is no folder, expected {usually}")
    return root / setting


def choose_file(root: Path, setting: str, flag: str) -> Path:
    """The file of a setting, relative to the root or to the working folder.

    Raises:
        TagsegError: neither exists; ``flag`` names the setting.
    """
    for path in (root / setting, Path(setting).expanduser()):
        if path.is_file():
            return path
    raise TagsegError(f"{flag} is {setting!r}, expected a file: neither {root / setting} nor {setting} exists")


class Located(NamedTuple):
    """Images of a list that were found.

    Attributes:
        files: name in the list → file name with extension, relative to the folder; in the order of the list.
        notes: which names are not literally those of their files, and which images are absent.
    """

    files: dict[str, str]
    notes: tuple[Note, ...]


class ImageFolder:
    """The images under a folder, which is listed once.

    Attributes:
        photos: the images, and what else is there.
    """

    def __init__(
        self,
        folder: Path,
        apart: Iterable[Path] = (),
        photos: Photos | None = None,
        inside: Inside | None = None,
    ) -> None:
        """List the folder, but not the folders ``apart`` in it, such as that of the masks; ``photos`` are its list.

        Raises:
            TagsegError: the folder does not exist, or as ``list_photos``.
        """
        photos = list_photos(folder, inside) if photos is None else photos
        beside = tuple(f"{each.relative_to(folder).as_posix()}/" for each in apart if folder in each.parents)
        names = tuple(name for name in photos.names if not name.startswith(beside))
        self.photos = replace(photos, names=names)
        self.folder = folder
        self.resolver = Resolver(names, str(folder), folder.name)
        self._found: dict[str, Match | None] = {}
        paths = (folder.name, folder.as_posix(), folder.absolute().as_posix(), folder.resolve().as_posix())
        self._prefixes = tuple(f"{path}/" for path in dict.fromkeys(paths))

    def find(self, name: str) -> Match | None:
        """The file of this name; absolute, or relative to the folder, its parent or the working folder is literal.

        Raises:
            TagsegError: several files fit equally well, or the name is that of a file elsewhere on this machine.
        """
        if name not in self._found:
            self._found[name] = self._find(name)
        return self._found[name]

    def _literal(self, name: str) -> str | None:
        file = self.resolver.literal(name)
        inside = (name.removeprefix(prefix) for prefix in self._prefixes if name.startswith(prefix))
        return file or next(filter(None, map(self.resolver.literal, inside)), None)

    def _find(self, name: str) -> Match | None:
        for plain, reasons in ((name, ()), (name.replace("\\", "/"), (BACKSLASHES,))):
            file = self._literal(plain.removeprefix("./"))
            if file is not None:
                return Match(file, reasons)
        match = self.resolver.find(name)
        if match and os.path.isabs(name) and os.path.isfile(name):
            found = self.folder / match.file
            if not os.path.samefile(name, found):
                raise TagsegError(
                    f"{name} exists, but {found} is another file of that name, expected images below one folder: "
                    "set --data.images to the folder that is meant"
                )
        return match

    def locate(self, names: Iterable[str], named_in: str, skip_missing: bool) -> Located:
        """Find the images of a list; see ``locate``."""
        files: dict[str, str] = {}
        missing: list[str] = []
        taken: dict[str, str] = {}
        other_than_literal: dict[str, list[str]] = {reason: [] for reason in REASONS}
        for name in names:
            match = self.find(name)
            if match is None:
                missing.append(name)
                continue
            other = taken.setdefault(without_extension(match.file), name)
            if other != name:
                raise TagsegError(
                    f"{named_in} names {other!r} and {name!r}, which share the name {without_extension(match.file)!r} "
                    f"in {self.folder}, expected one image a name (results are stored under it): rename or remove one"
                )
            files[name] = match.file
            for reason in match.reasons:
                other_than_literal[reason].append(f"{name} → {match.file}")
        notes = [note for reason, examples in other_than_literal.items() for note in Note.of(reason, examples)]
        if missing:
            notes += self._missing(missing, len(files) + len(missing), named_in, skip_missing)
        return Located(files, tuple(notes))

    def _missing(self, missing: list[str], total: int, named_in: str, skip: bool) -> tuple[Note, ...]:
        what = f"{len(missing)} of {total} images that {named_in} names are not in {self.folder}: {list_some(missing)}"
        hint = "" if skip and len(missing) < total else self._hint(missing[0])
        if not skip:
            raise TagsegError(f"{what}{hint}; add them, or leave their rows out with --data.skip_missing true")
        if len(missing) == total:
            raise TagsegError(f"{what}{hint}; expected at least one image: check --data.images")
        text = f"of {total} images that {named_in} names are not in {self.folder}, left out"
        return Note.of(text, missing, True, MISSING)

    def _hint(self, name: str) -> str:
        """What may be meant by a name that is no image."""
        last = fold_name(name.replace("\\", "/").rpartition("/")[2])
        for kind, names in self.photos.left_out.items():
            for each in names:
                if fold_name(each.rpartition("/")[2]) == last:
                    return f" ({each} is {kind.one}: {kind.way_out})"
        near = self.resolver.nearest(name)
        return f" (the nearest name to the first is {near})" if near else ""


def files_elsewhere(names: Sequence[str], folder: Path) -> ImageFolder | None:
    """The files that a list names by absolute paths, if some of them exist and are not below the folder.

    No folder is listed: theirs is the one that they share, which may be that of all users.
    """
    if not names or not all(map(os.path.isabs, names)):
        return None
    inside = tuple(os.path.join(path, "") for path in (folder.absolute(), folder.resolve()))
    if not any(not name.startswith(inside) and os.path.isfile(name) for name in names):
        return None
    files = [os.path.normpath(name) for name in dict.fromkeys(names) if os.path.isfile(name)]
    try:
        shared = os.path.commonpath([os.path.dirname(file) for file in files])
    except ValueError:  # on drives of their own
        raise TagsegError(
            f"{list_some(files)} are on several drives, expected images below one folder: move or link them"
        ) from None
    relative = sorted(Path(os.path.relpath(file, shared)).as_posix() for file in files)
    return ImageFolder(Path(shared), photos=Photos(Path(shared), tuple(relative)))


def locate(
    names: Iterable[str], folder: Path, named_in: str, skip_missing: bool, inside: Inside | None = None
) -> Located:
    """Find the images of a list.

    A literal name comes first, relative to the folder, its parent or the working folder, with or without extension.
    Otherwise ``resolver.Resolver`` finds the only file that is meant, and a note says so.

    Args:
        names: of images.
        folder: folder of the images.
        named_in: the list's name, for messages.
        skip_missing: leave absent images out, with a note, instead of raising.
        inside: as in ``list_photos``.

    Raises:
        TagsegError: images are absent, a name fits several, or two names mean one file or files that are the same but
            for their extension.
    """
    return ImageFolder(folder, inside=inside).locate(names, named_in, skip_missing)
