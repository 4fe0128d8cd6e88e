"""CVAT's export "CVAT for images 1.1": tags of images, and labels of their boxes, polygons and masks."""

from __future__ import annotations

import os
import re
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from tagseg.data.names import fold
from tagseg.data.notes import Note
from tagseg.data.text_file import read_text
from tagseg.data.tools.export import Export, Labelled
from tagseg.data.tools.json_file import beginning
from tagseg.data.xml_text import DocumentType, parse_xml
from tagseg.errors import TagsegError

EXPECTED = "CVAT's annotations.xml (export as 'CVAT for images 1.1')"
TAG = "tag"
SHAPES = "shapes"
"""The fields of an image, for ``--data.column``."""

_SHAPES = ("box", "polygon", "polyline", "points", "ellipse", "cuboid", "mask", "skeleton")
_ROOT = re.compile(rb"<annotations\b")
_CVAT = re.compile(rb"<version>|<meta>|<image\s")
_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")
_WHOLE = "default"
"""The subset of images that are in none."""


def is_cvat(path: Path) -> bool:
    """Whether a file begins like CVAT's XML."""
    start = beginning(path)
    found = _ROOT.search(start)
    return start.startswith(b"<") and found is not None and _CVAT.search(start, found.end()) is not None


def read_cvat(path: Path) -> Export:
    """Read an export. An image without any tag and shape has not been annotated, and is left out.

    Raises:
        TagsegError: it is no such export, is of a video, or an image or a label is without a name.
    """
    text, notes = read_text(path, EXPECTED)
    root = _root(path, text)
    if any(child.tag == "track" for child in root):
        raise TagsegError(
            f"{path} is 'CVAT for video', whose frames are no image files, expected {EXPECTED}: choose that format"
        )
    images: list[Labelled] = []
    bare: list[str] = []
    declared = [_text(name) for name in root.findall("./meta//labels/label/name")]
    used: set[str] = set()
    for number, element in enumerate(root.iter("image"), 1):
        name = element.get("name", "")
        if not name:
            raise TagsegError(f"{path} image {number} has no name, expected {EXPECTED}: export it again")
        subset = element.get("subset", "")
        if subset and os.path.isfile(path.parent / "images" / subset / name):  # a project's images are in such folders
            name = f"{subset}/{name}"
        labels = _labels(path, name, element)
        used.update(fold(label) for each in labels.values() for label in each)
        if not labels:
            bare.append(name)
            continue
        images.append(Labelled(name, number, labels, "" if fold(subset) == _WHOLE else subset))
    unused = [name for name in dict.fromkeys(declared) if fold(name) not in used]
    notes = (
        *notes,
        *Note.of("images without any annotation, left out (tag those of no class 'background')", bare),
        *Note.of(f"labels of {path.name} that no image has: no classes", unused),
    )
    return Export(path, tuple(images), "image", frozenset({SHAPES}), notes)


def _root(path: Path, text: str) -> Element:
    if not text.strip():
        raise TagsegError(f"{path} is empty, expected {EXPECTED}: export it again")
    try:
        root = parse_xml(_DECLARATION.sub("", text.lstrip("\ufeff")))
    except DocumentType as error:
        raise TagsegError(f"{path} cannot be read: {error}") from error
    except ElementTree.ParseError as error:
        raise TagsegError(f"{path} is no XML ({error}), expected {EXPECTED}: export it again") from error
    if root.tag != "annotations":
        raise TagsegError(f"{path} holds <{root.tag}>, expected <annotations>, as in {EXPECTED}: choose another file")
    return root


def _labels(path: Path, image: str, element: Element) -> dict[str, tuple[str, ...]]:
    """Field → labels, each once."""
    labels: dict[str, dict[str, None]] = {}
    for child in element:
        if child.tag not in (TAG, *_SHAPES):
            continue
        label = " ".join(child.get("label", "").split())
        if not label:
            raise TagsegError(f"{path} has a <{child.tag}> without label in {image}, expected {EXPECTED}: name it")
        labels.setdefault(TAG if child.tag == TAG else SHAPES, {})[label] = None
    return {field: tuple(names) for field, names in labels.items()}


def _text(element: Element) -> str:
    return " ".join((element.text or "").split())
