"""Finding the files of a data folder: its sub-folders, and images by the names in a list."""

from __future__ import annotations

import logging
import os
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from tagseg.data.images import EXTENSIONS, list_files
from tagseg.errors import TagsegError, list_some

logger = logging.getLogger("tagseg")


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


def without_extension(name: str) -> str:
    """``a/b.jpg`` → ``a/b``; only extensions of images are removed: ``img.001`` → ``img.001``."""
    stem, extension = os.path.splitext(name)
    return stem if extension.lower() in EXTENSIONS else name


class FileIndex:
    """Finds files under a folder, which is listed once, by name.

    An exact match is preferred. Otherwise the extension may be missing, and case and Unicode normalisation may differ.
    """

    def __init__(self, folder: Path, extensions: tuple[str, ...] = EXTENSIONS) -> None:
        self.folder = folder
        self._exact: dict[str, list[str]] = {}
        self._loose: dict[str, list[str]] = {}
        for name in list_files(folder, extensions):
            for key in (name, without_extension(name)):
                self._exact.setdefault(key, []).append(name)
                self._loose.setdefault(fold_name(key), []).append(name)

    def find(self, name: str) -> str | None:
        """The file of this name, relative to the folder, or ``None``.

        Raises:
            TagsegError: several files fit equally well.
        """
        matches = self._exact.get(name) or self._loose.get(fold_name(name)) or []
        if len(matches) > 1:
            several = list_some(matches)
            raise TagsegError(
                f"{name!r} could be {several} in {self.folder}, expected one file: write its name in full"
            )
        return matches[0] if matches else None


def fold_name(name: str) -> str:
    """The name without differences of case and of Unicode normalisation."""
    return unicodedata.normalize("NFC", name).casefold()


def locate(names: Iterable[str], folder: Path, named_in: str, skip_missing: bool) -> dict[str, str]:
    """Find the images of a list.

    Args:
        names: of images, with or without extension, relative to the folder or to its parent.
        folder: folder of the images.
        named_in: the list's name, for messages.
        skip_missing: leave absent images out, with a warning, instead of raising.

    Returns:
        Name in the list → file name with extension, relative to the folder; in the order of the list.

    Raises:
        TagsegError: images are absent, or two names mean files that are the same but for their extension.
    """
    index = FileIndex(folder)
    files: dict[str, str] = {}
    missing: list[str] = []
    taken: dict[str, str] = {}
    for name in names:
        file = index.find(name) or index.find(name.removeprefix(f"{folder.name}/"))
        if file is None:
            missing.append(name)
            continue
        other = taken.setdefault(without_extension(file), name)
        if other != name:
            raise TagsegError(
                f"{named_in} names {other!r} and {name!r}, which share the name {without_extension(file)!r} "
                f"in {folder}, expected one image a name (results are stored under it): rename or remove one"
            )
        files[name] = file
    if missing:
        _report_missing(missing, len(files) + len(missing), folder, named_in, skip_missing)
    return files


def _report_missing(missing: list[str], total: int, folder: Path, named_in: str, skip: bool) -> None:
    what = f"{len(missing)} of {total} images that {named_in} names are not in {folder}: {list_some(missing)}"
    if not skip:
        raise TagsegError(f"{what}; add them, or leave their rows out with --data.skip_missing true")
    if len(missing) == total:
        raise TagsegError(f"{what}; expected at least one image: check --data.images")
    logger.warning("%s; left out", what)
