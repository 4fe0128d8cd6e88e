"""LabelMe and X-AnyLabeling: a JSON file for each image, with flags of the image and labels of its shapes."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tagseg.data.file_kinds import COMMON
from tagseg.data.inside import Inside
from tagseg.data.listing import list_files
from tagseg.data.names import is_ignored
from tagseg.data.notes import Note
from tagseg.data.tags import FILES
from tagseg.data.tools.export import Export, Labelled
from tagseg.data.tools.json_file import beginning, read_json
from tagseg.errors import TagsegError
from tagseg.progress import with_progress

EXPECTED = "a JSON file of LabelMe or X-AnyLabeling"
FLAGS = "flags"
SHAPES = "shapes"
"""The fields of an image, for ``--data.column``."""

_OTHER_NAME = "files whose imagePath is not there, taken for the image of their own name"
_IGNORED = "images with the flag __ignore__, left out"


def is_labelme(path: Path) -> bool:
    """Whether a file begins like one of LabelMe or X-AnyLabeling."""
    start = beginning(path)
    keys = (b'"version"', b'"flags"', b'"imagePath"')
    return start.startswith(b"{") and b'"shapes"' in start and any(key in start for key in keys)


def read_labelme(root: Path, folder: Path, inside: Inside | None = None) -> Export:
    """Read all files of a folder of the root and its sub-folders; the embedded image (``imageData``) is not.

    A flag that is true is a tag. A file without flags and shapes was saved as such: its image has no class.
    ``inside`` as in ``list_photos``.

    Raises:
        TagsegError: there is no such file, one is malformed, or two are of one image.
    """
    beside = Path(os.path.relpath(folder, root)).as_posix()
    names = [name if beside == "." else f"{beside}/{name}" for name in list_files(folder, (".json",), inside)]
    others: list[str] = []
    noticed: defaultdict[str, list[str]] = defaultdict(list)
    of: dict[str, str] = {}
    images: list[Labelled] = []
    for number, name in enumerate(with_progress(names, "reading annotations", "file"), 1):
        path = root / name
        if not is_labelme(path):
            others.append(name)
            continue
        content, _ = read_json(path, EXPECTED)
        if not isinstance(content, dict):
            raise TagsegError(f"{path} is no JSON object, expected {EXPECTED}: replace it or leave it out")
        image, why = _image(root, name, content)
        if why:
            noticed[why].append(f"{name} ({content.get('imagePath')})")
        other = of.setdefault(image, name)
        if other != name:
            raise TagsegError(f"{other} and {name} in {folder} are both of {image}, expected one file: remove one")
        labels = _labels(path, content)
        if any(map(is_ignored, labels.get(FLAGS, ()))):
            noticed[_IGNORED].append(image)
            continue
        images.append(Labelled(image, number, labels))
    if not of:
        raise TagsegError(f"{folder} has no file of LabelMe or X-AnyLabeling, expected a JSON file for each image")
    notes = [note for text, where in noticed.items() for note in Note.of(text, where, warning=text == _OTHER_NAME)]
    notes += Note.of("JSON files of another kind, left out", others)
    return Export(folder, tuple(images), FILES, frozenset({SHAPES}), tuple(notes))


def _image(root: Path, name: str, content: dict[str, Any]) -> tuple[str, str]:
    """The image of a file, relative to the root if it is there; and what is other than literal."""
    stored = content.get("imagePath")
    if stored is not None and not isinstance(stored, str):
        raise TagsegError(f"{root / name} has {stored!r} for imagePath, expected the name of an image: correct it")
    beside = os.path.dirname(name)
    if stored:
        path = os.path.normpath(os.path.join(beside, stored.replace("\\", "/"))).replace(os.sep, "/")
        if not path.startswith("../") and os.path.isfile(root / path):
            return path, ""
    stem = name[: -len(".json")]
    own = next((stem + each for each in _endings() if os.path.isfile(root / (stem + each))), "")
    if own:
        return own, _OTHER_NAME if stored else ""
    return stored or stem, ""


def _endings() -> Iterator[str]:
    for each in COMMON:
        yield each
        yield each.upper()


def _labels(path: Path, content: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    """Flags that are true, and labels of shapes but for those that are to be ignored."""
    flags, shapes = content.get("flags") or {}, content.get("shapes") or []
    if not isinstance(flags, dict) or not all(isinstance(value, bool) for value in flags.values()):
        raise TagsegError(f"{path} has flags that are not all true or false, expected {EXPECTED}: correct them")
    if not isinstance(shapes, list) or not all(isinstance(each, dict) for each in shapes):
        raise TagsegError(f"{path} has shapes that are no list of objects, expected {EXPECTED}: correct them")
    labels: dict[str, tuple[str, ...]] = {}
    if flags:
        labels[FLAGS] = tuple(name for name, value in flags.items() if value)
    if shapes:
        names = [each.get("label") for each in shapes]
        for name in names:
            if not isinstance(name, str) or not name.strip():
                raise TagsegError(f"{path} has a shape with the label {name!r}, expected a class name: name it")
        labels[SHAPES] = tuple(dict.fromkeys(name for name in names if not is_ignored(name)))
    return labels
