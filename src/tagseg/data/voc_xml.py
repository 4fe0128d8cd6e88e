"""Class names from VOC's XML, in whatever encoding it was saved."""

from __future__ import annotations

import codecs
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from tagseg.data.file_size import read_whole
from tagseg.data.names import fold
from tagseg.data.notes import Note
from tagseg.data.resolver import fold_name, without_extension
from tagseg.data.xml_text import DocumentType, parse_xml
from tagseg.errors import TagsegError

_DECLARED = re.compile(rb"^\s*<\?xml[^>]*?encoding\s*=\s*[\"']([\w.:\-]+)[\"']")
_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")
_LARGER = {"gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932", "big5": "big5hkscs", "euc_kr": "cp949"}
"""Encodings that tools declare → those that they write."""


class VocAnnotation(NamedTuple):
    """The names of an image's objects, the file name it gives, and the encoding that was assumed, if not declared."""

    names: tuple[str, ...]
    filename: str
    encoding: str
    deleted: int = 0


def read_annotations(folder: Path, images: Iterable[str]) -> tuple[dict[str, tuple[str, ...]], tuple[Note, ...]]:
    """Image id → names of its objects, for the images that have an XML file in the folder; and what was noticed.

    Raises:
        TagsegError: a file is no VOC annotation, its encoding is not known, or an object has no name.
    """
    names: dict[str, tuple[str, ...]] = {}
    noticed: dict[str, list[str]] = defaultdict(list)
    for identity in images:
        path = folder / f"{identity}.xml"
        try:
            found = read_annotation(path)
        except FileNotFoundError:
            continue
        names[identity] = found.names
        own = without_extension(found.filename.replace("\\", "/").rpartition("/")[2])
        if own and fold_name(own) != fold_name(identity.rpartition("/")[2]):
            noticed["annotations whose <filename> is another: taken for the image of their own name"].append(
                f"{path.name} ({found.filename})"
            )
        if found.encoding:
            noticed[f"annotations that are not in the encoding they declare, read as {found.encoding}"].append(
                path.name
            )
        if found.deleted:
            noticed["annotations with deleted objects, left out"].append(path.name)
    notes = [Note.of(text, where, warning="<filename>" in text) for text, where in noticed.items()]
    return names, tuple(note for some in notes for note in some)


def read_annotation(path: Path) -> VocAnnotation:
    """Read one file; parts of objects (head, hand) do not count.

    Raises:
        FileNotFoundError: there is none.
        TagsegError: it is no VOC annotation, its encoding is not known, or an object has no name.
    """
    try:
        data = read_whole(path, "VOC's annotation")
    except FileNotFoundError:
        raise
    except OSError as error:
        raise TagsegError(f"{path} cannot be read ({error.strerror}), expected VOC's annotation: check it") from error
    root, encoding = _parse(path, data)
    if fold(_local(root)) != "annotation":
        raise TagsegError(f"{path} holds <{_local(root)}>, expected VOC's <annotation>: choose other --data.tags")
    names: list[str] = []
    deleted = 0
    objects = _children(root, "object")
    for number, each in enumerate(objects, 1):
        if any(_text(child) == "1" for child in _children(each, "deleted")):
            deleted += 1
            continue
        own = [_text(child) for child in _children(each, "name")]
        if not all(own) or not own:
            what = f"{path}: object {number} of {len(objects)} is without a name"
            raise TagsegError(f"{what}, expected <name> with a class: name it or remove it")
        names += own
    filename = next((_text(child) for child in _children(root, "filename")), "")
    return VocAnnotation(tuple(dict.fromkeys(names)), filename, encoding, deleted)


def _parse(path: Path, data: bytes) -> tuple[Element, str]:
    """The root, and the encoding if it is not the declared one."""
    try:
        return parse_xml(data), ""
    except DocumentType as error:
        raise TagsegError(f"{path} cannot be read: {error}") from error
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        problem = error
    declared = _declared(data)
    for encoding in dict.fromkeys(filter(None, (declared, "utf-8"))):
        try:
            text = data.decode(encoding).lstrip("\ufeff")
            return parse_xml(_DECLARATION.sub("", text)), "" if encoding == declared else encoding
        except DocumentType as error:
            raise TagsegError(f"{path} cannot be read: {error}") from error
        except (ElementTree.ParseError, ValueError, LookupError):
            continue
    # every byte is a letter of Latin-1: right for names of plain ASCII, whatever the rest is
    try:
        root = parse_xml(_DECLARATION.sub("", data.decode("latin-1")))
    except (ElementTree.ParseError, ValueError):
        reason = " ".join(str(problem).split()) if data.strip() else "it is empty"
        raise TagsegError(f"{path} is no XML ({reason}), expected VOC's annotation: replace it") from problem
    if not all(_text(name).isascii() for each in _children(root, "object") for name in _children(each, "name")):
        what = f"{path} is not in the encoding it declares ({declared or 'UTF-8'}) and has names that are not ASCII"
        raise TagsegError(f"{what}, expected UTF-8: save it as UTF-8") from problem
    return root, "Latin-1 (names are plain ASCII)"


def _declared(data: bytes) -> str:
    """Python's name of the declared encoding; empty if there is none that Python knows."""
    found = _DECLARED.match(data)
    try:
        name = codecs.lookup(found[1].decode("ascii")).name if found else ""
    except LookupError:
        return ""
    return _LARGER.get(name, name)


def _local(element: Element) -> str:
    """The tag without its namespace."""
    return str(element.tag).rpartition("}")[2]


def _children(element: Element, tag: str) -> list[Element]:
    """Direct children alone: parts of a person are nested deeper."""
    return [child for child in element if fold(_local(child)) == tag]


def _text(element: Element) -> str:
    return " ".join("".join(element.itertext()).split())
