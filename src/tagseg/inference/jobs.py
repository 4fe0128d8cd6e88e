"""The photos that ``predict`` is to label, and what their outputs are called."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tagseg.arguments import refuse
from tagseg.data.listing import Photos, list_photos
from tagseg.data.notes import Note
from tagseg.errors import TagsegError, list_some
from tagseg.formats.table import OUTPUTS

FOLDERS = {"masks": ".png", "overlays": ".jpg", "scores": ".npz"}
"""Folders of the outputs, each with the extension of its files."""
TABLES = ("classes.csv", "predictions.csv", "data.json")
"""Files of the outputs beside their folders."""


class Jobs(NamedTuple):
    """What is to be predicted.

    Attributes:
        named: the image files, each with the name of its outputs without extension.
        notes: on files in the folders that were left out.
    """

    named: list[tuple[Path, str]]
    notes: tuple[Note, ...]


def jobs_of(images: str | Path | Sequence[str | Path], output: Path) -> Jobs:
    """The images to predict, each with the name of its outputs without extension.

    A name is the path relative to the common folder of all inputs. Images that differ in their extension alone keep it
    in the name: ``a.jpg`` and ``a.png`` give ``a.jpg.png`` and ``a.png.png``.

    Raises:
        TagsegError: no image, names that collide nevertheless, or an output that would overwrite an image.
    """
    given = [Path(path).expanduser() for path in several_paths(images)]
    folders = {path: _without_outputs(list_photos(path), output) for path in given if path.is_dir()}
    notes = tuple(note for photos in folders.values() for note in photos.notes())
    paths: dict[str, Path] = {}  # absolute path → path as given; an image named twice is predicted once
    for path in given:
        for image in [path / name for name in folders[path].names] if path in folders else [path]:
            paths.setdefault(os.path.abspath(image), image)
    if paths and not folders and not any(map(os.path.exists, paths)):
        raise TagsegError(f"the image {given[0]} does not exist, expected an image file: check its name")
    if not paths:
        places = list_some([str(path) for path in given]) or "an empty list"
        found = "; ".join(str(note) for note in notes)
        beside = f" ({found})" if found else ""
        raise TagsegError(f"no image in {places}{beside}, expected image files or folders with images")
    root = os.path.commonpath([os.path.abspath(path if path in folders else path.parent) for path in given])
    below = len(os.path.join(root, ""))
    names = _names([path[below:].replace(os.sep, "/") for path in paths])
    _refuse_to_overwrite(list(paths), names, output)
    return Jobs(list(zip(paths.values(), names, strict=True)), notes)


def several_paths(images: object) -> list[str | Path]:
    """What was given, one or several, as a list.

    Raises:
        TagsegError: something that is no path.
    """
    given: Any = images
    several = list(given) if isinstance(given, Sequence) and not isinstance(given, str | bytes) else [given]
    for path in several:
        if not isinstance(path, str | os.PathLike) or not os.fspath(path):
            expected = "image files or folders (str or Path); for photos in memory use tagseg.load"
            raise refuse("images", path, expected)
    return several


def target(output: Path, folder: str, name: str) -> Path:
    """The file of an output, e.g. ``masks/<name>.png``."""
    return output / folder / f"{name}{FOLDERS[folder]}"


def _names(relative: list[str]) -> list[str]:
    stems = [_stem(path) for path in relative]
    count = Counter(stems)
    names = [path if count[stem] > 1 else stem for path, stem in zip(relative, stems, strict=True)]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise TagsegError(f"two images would both be written as {twice[0]}: rename one or predict them separately")
    return names


def _stem(path: str) -> str:
    """As ``Path.with_suffix("")``."""
    dot, begin = path.rfind("."), path.rfind("/") + 1
    return path[:dot] if begin < dot < len(path) - 1 else path


def _refuse_to_overwrite(paths: list[str], names: list[str], output: Path) -> None:
    present = [folder for folder in FOLDERS if (output / folder).is_dir()]
    targets = [str(target(output, folder, name)) for folder in present for name in names]
    targets += [str(output / name) for name in OUTPUTS if not name.endswith("/")]
    there = {os.path.realpath(path): path for path in targets if os.path.exists(path)}
    inputs = {os.path.realpath(path) for path in paths} if there else set()
    overwritten = [path for resolved, path in there.items() if resolved in inputs]
    if overwritten:
        raise TagsegError(f"{overwritten[0]} is an input and would be overwritten: choose another output folder")


def own_outputs(folder: Path, output: Path) -> tuple[str, ...]:
    """What an earlier run may have written below a folder, as the beginnings of names relative to it."""
    here = folder.resolve()
    written = (*(f"{name}/" for name in FOLDERS), *TABLES, *OUTPUTS)
    ends = {(output / name).resolve(): "/" if name.endswith("/") else "" for name in written}
    inside = {path: end for path, end in ends.items() if path != here and path.is_relative_to(here)}
    return tuple(path.relative_to(here).as_posix() + end for path, end in inside.items())


def _without_outputs(photos: Photos, output: Path) -> Photos:
    """The photos of a folder, without what an earlier run wrote below it."""
    own = own_outputs(photos.folder, output)

    def kept(names: Sequence[str]) -> list[str]:
        return [name for name in names if not name.startswith(own)]

    left_out = {kind: kept(names) for kind, names in photos.left_out.items()}
    return Photos(photos.folder, tuple(kept(photos.names)), {kind: names for kind, names in left_out.items() if names})
