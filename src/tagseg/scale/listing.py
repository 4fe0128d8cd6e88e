"""The photos that are to be labelled, and what their outputs are called: as ``inference.jobs``, but kept on disk."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from tagseg.data.file_kinds import Kind
from tagseg.data.listing import walk_files
from tagseg.data.notes import EXAMPLES, Note
from tagseg.errors import TagsegError, list_some
from tagseg.inference.jobs import FOLDERS, own_outputs, several_paths
from tagseg.scale.catalogue import Catalogue

STATE = ".ray"
"""Folder of the records, in that of the outputs; hidden, so that nobody takes it for photos."""
LeftOut = dict[Kind, tuple[int, list[str]]]
"""Of each kind of file that is no photo, the number and the first few names."""


def list_into(catalogue: Catalogue, images: str | Path | Sequence[str | Path], output: Path) -> tuple[Note, ...]:
    """List photos and name their outputs; returns notes on files in the folders that were left out.

    Args:
        catalogue: an empty one.
        images: an image file, a folder (with its sub-folders), or several of them.
        output: folder of the outputs.

    Raises:
        TagsegError: no image, names that collide, or an input that would be overwritten.
    """
    given = [Path(path).expanduser() for path in several_paths(images)]
    folders = {path for path in given if path.is_dir()}
    notes: list[Note] = []
    for place, path in enumerate(dict.fromkeys(given)):
        _refuse_to_overwrite(path, output)
        if path in folders:
            left_out: LeftOut = {}
            catalogue.add(place, _photos(path, _own(path, output), left_out))
            notes += _notes(left_out)
        else:
            catalogue.add(place, [("", str(path), os.path.abspath(path))])
    if given and not folders and not any(path.exists() for path in given):
        raise TagsegError(f"the image {given[0]} does not exist, expected an image file: check its name")
    places = [os.path.abspath(path if path in folders else path.parent) for path in given]
    if given:
        catalogue.name_outputs(os.path.commonpath(places))
    if not len(catalogue):
        found = "; ".join(map(str, notes))
        beside = f" ({found})" if found else ""
        where = list_some([str(path) for path in given]) or "an empty list"
        raise TagsegError(f"no image in {where}{beside}, expected image files or folders with images")
    return tuple(notes)


def _own(folder: Path, output: Path) -> tuple[str, ...]:
    """What an earlier run may have written below a folder."""
    here, state = folder.resolve(), output.resolve() / STATE
    return (*own_outputs(folder, output), *([state.relative_to(here).as_posix()] if state.is_relative_to(here) else []))


def _photos(folder: Path, own: tuple[str, ...], left_out: LeftOut) -> Iterator[tuple[str, str, str]]:
    """Name, path and absolute path of each photo; what is none is counted."""
    absolute = os.path.abspath(folder)
    for name, kind in walk_files(folder):
        if name.startswith(own):
            continue
        if kind is None:
            yield name, str(folder / name), os.path.join(absolute, os.path.normpath(name))
        else:
            count, examples = left_out.get(kind, (0, []))
            left_out[kind] = count + 1, sorted([*examples, name])[:EXAMPLES]


def _notes(left_out: LeftOut) -> list[Note]:
    kinds = sorted(left_out.items(), key=lambda item: item[0].plural)
    return [Note(f"{kind.plural}, left out", count, tuple(examples), kind.photo) for kind, (count, examples) in kinds]


def _refuse_to_overwrite(path: Path, output: Path) -> None:
    """Refuse photos among the outputs; ``Worker`` looks at each file again."""
    real = os.path.realpath(path)
    for folder in FOLDERS:
        if Path(real).is_relative_to(os.path.realpath(output / folder)):
            raise TagsegError(f"{path} is an input and would be overwritten: choose another output folder")
