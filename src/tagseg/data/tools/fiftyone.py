"""FiftyOne's classification export: ``data/`` and ``labels.json``, also one such folder a split."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tagseg.data.notes import Note
from tagseg.data.tools.export import Export, Labelled
from tagseg.data.tools.folders import folders_in
from tagseg.data.tools.json_file import beginning, read_json
from tagseg.errors import TagsegError

EXPECTED = "labels.json of FiftyOne's FiftyOneImageClassificationDataset"
LABELS = "labels"
"""The only field of an image."""
OBJECTS = "objects"
"""The field of a detection export."""
FILE = "labels.json"
DATA = "data"
"""The folder of the images."""
_MANIFEST = "data.json"
_BARE = "images without label (null), left out"
_UNUSED = "classes of the export that no image has, left out"
_UNSURE = "images whose labels have a confidence, as predictions have: every label counts, however unsure"
_BEGINS = re.compile(rb'\{\s*"(?:classes"\s*:\s*(?:\[|null)|labels"\s*:\s*\{)')


def is_fiftyone(path: Path) -> bool:
    """Whether a file begins like the labels of an export: an object of a list of classes and an object of labels."""
    start = beginning(path)
    if _BEGINS.match(start) is None:
        return False
    # many classes may fill the beginning; an object of labels alone may be a tag file with an image called "labels"
    return re.search(rb'"labels"\s*:\s*\{', start) is not None and b'"annotations"' not in start


def label_files(root: Path) -> tuple[Path, ...]:
    """The exports of a folder: its own file, or one in each of its sub-folders, which are splits."""
    if is_fiftyone(root / FILE):
        return (root / FILE,)
    return tuple(path for folder in folders_in(root) if is_fiftyone(path := folder / FILE))


def read_fiftyone(root: Path, files: Sequence[Path]) -> Export:
    """Read an export: a class, an index into ``classes``, an object with ``label``, or a list of these for each image.

    ``null`` is an image that nobody annotated, and is left out; an empty list is one of no class. Boxes of a detection
    export are objects of the image. Of several files each is a split of the name of its folder.

    Raises:
        TagsegError: it is no such export, or a label is no class.
    """
    images: list[Labelled] = []
    noticed: dict[str, list[str]] = {_BARE: [], _UNUSED: [], _UNSURE: []}
    declared: dict[str, None] = {}
    notes: dict[Note, None] = {}
    for path in files:
        labels, classes, own = _content(path)
        notes.update(dict.fromkeys(own))
        declared.update(dict.fromkeys(classes or ()))
        split = path.parent.name if len(files) > 1 else ""
        folder = _folder(root, path, several=len(files) > 1)
        manifest = _manifest(path)
        for number, (key, target) in enumerate(labels.items(), 1):
            image = manifest.get(key) or folder + key
            if target is None:
                noticed[_BARE].append(image)
                continue
            targets = target if isinstance(target, list) else [target]
            if any(isinstance(each, dict) and each.get("confidence") is not None for each in targets):
                noticed[_UNSURE].append(image)
            names = tuple(dict.fromkeys(_name(path, key, each, classes) for each in targets))
            boxes = any(isinstance(each, dict) and "bounding_box" in each for each in targets)
            images.append(Labelled(image, number, {OBJECTS if boxes else LABELS: names}, split))
    used = {name for each in images for names in each.labels.values() for name in names}
    noticed[_UNUSED] = [name for name in declared if name not in used]
    found = [note for text, names in noticed.items() for note in Note.of(text, names, warning=text == _UNSURE)]
    return Export(files[0], tuple(images), "entry", frozenset({OBJECTS}), (*notes, *found))


def _content(path: Path) -> tuple[dict[str, Any], list[str] | None, tuple[Note, ...]]:
    """The labels by image, and the classes."""
    content, notes = read_json(path, EXPECTED)
    if not isinstance(content, dict) or not isinstance(content.get("labels"), dict):
        raise TagsegError(f"{path} has no object 'labels' of images, expected {EXPECTED}: choose another file")
    classes = content.get("classes")
    if classes is not None and not (isinstance(classes, list) and all(isinstance(name, str) for name in classes)):
        raise TagsegError(f"{path} has 'classes' that are no list of names, expected {EXPECTED}: export it again")
    return content["labels"], classes, notes


def _name(path: Path, image: str, target: Any, classes: Sequence[str] | None) -> str:
    label = target.get("label") if isinstance(target, dict) else target
    if isinstance(label, str):
        return label
    if isinstance(label, bool) or not isinstance(label, int):
        raise TagsegError(f"{path} has {label!r} for {image!r}, expected a class, its index, or a list of these")
    if classes is None:
        raise TagsegError(
            f"{path} has the class id {label} for {image!r} and no list 'classes', expected names: export it with its "
            "classes"
        )
    if not 0 <= label < len(classes):
        raise TagsegError(
            f"{path} has the class id {label} for {image!r}, expected 0 to {len(classes) - 1}, as there are "
            f"{len(classes)} classes: export it again"
        )
    return classes[label]


def _folder(root: Path, path: Path, several: bool) -> str:
    """Where the images of a file in a folder of the root are, with ``/``; empty for the usual place."""
    if path.parent == root or root not in path.parents:
        return ""
    beside = f"{path.parent.relative_to(root).as_posix()}/"
    if (path.parent / DATA).is_dir():
        return f"{beside}{DATA}/"
    return beside if several else ""


def _manifest(path: Path) -> Mapping[str, str]:
    """Key → file of an export without copies of the images; empty for others."""
    manifest = path.with_name(_MANIFEST)
    if not manifest.is_file():
        return {}
    content, _ = read_json(manifest, "FiftyOne's list of images")
    return {key: name for key, name in content.items() if isinstance(name, str)} if isinstance(content, dict) else {}
