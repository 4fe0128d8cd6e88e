"""Which file an image name in a list means, where the list does not spell it as the file is called.

The literal name comes first. Then names are compared without what a tool, another machine or a person changes in them,
a little more each time; a match counts only if it is the only one, and says in what it is not literal.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from tagseg.data.file_kinds import EXTENSIONS
from tagseg.errors import TagsegError, list_some

BACKSLASHES = "images named with backslashes, read as /"
URL = "images named by a URL, found by its path"
LONGER_PATH = "images named by a longer path, found by its end"
SUB_FOLDER = "images named without their sub-folder, found in it"
CASE = "images named in another case or Unicode form"
PERCENT = "images named with percent escapes, found decoded"
UPLOAD = "images named with the prefix of an upload, found without it"
EXTENSION = "images named with another extension"
NUMBER = "images named by a number, found by its value without leading zeros"
REASONS = (BACKSLASHES, URL, LONGER_PATH, SUB_FOLDER, CASE, PERCENT, UPLOAD, EXTENSION, NUMBER)
"""In what a match can be other than literal."""

_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_UPLOAD_PREFIX = re.compile(rf"(?!(?:19|20)\d{{6}})(?:{_UUID}|[0-9a-f]{{8}})[-_](?=.)", re.I)
"""``8f3a2b1c-photo.jpg``, as Label Studio and others store uploads; not a date, as in ``20240131-photo.jpg``."""
_ROBOFLOW = re.compile(r"_(?:jpe?g|png|bmp|webp|tiff?)\.rf\.[0-9a-z]{16,40}(?=\.\w+$|$)", re.I)
_SPECIAL = re.compile(r"[^-\w.]")
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_SOME_EXTENSION = re.compile(r"(?<=.)\.[A-Za-z][A-Za-z0-9]{1,4}$")
_SPLIT = re.compile(r"train|val|test", re.I)


class Match(NamedTuple):
    """The file, and in what the name is not literal (of ``REASONS``); empty for a literal name."""

    file: str
    reasons: tuple[str, ...] = ()


def without_extension(name: str) -> str:
    """``a/b.jpg`` → ``a/b``; only extensions of images are removed: ``img.001`` → ``img.001``."""
    stem, dot, extension = name.rpartition(".")
    return stem if f"{dot}{extension.lower()}" in EXTENSIONS and stem and not stem.endswith("/") else name


def fold_name(name: str) -> str:
    """The name without differences of case and of Unicode normalisation."""
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _decoded(name: str) -> str:
    return fold_name(unquote(name) if "%" in name else name)


def _not_uploaded(name: str) -> str:
    """Without what uploading adds, and as it stores the rest: spaces as ``_``, no other special characters."""
    plain = _UPLOAD_PREFIX.sub("", _decoded(name))
    plain = _ROBOFLOW.sub("", plain) if ".rf." in plain else plain
    return _SPECIAL.sub("", plain.strip().replace(" ", "_"))


def split_url(text: str) -> SplitResult:
    """The parts of a URL; of one that is malformed, as ``http://[host/a.jpg`` is, at least path and query."""
    try:
        return urlsplit(text)
    except ValueError:
        place, _, query = text.partition("://")[2].partition("?")
        return SplitResult("", "", f"/{place.partition('/')[2]}", query, "")


def _number(name: str) -> str:
    """The value of a name that is a number, maybe with the ``.0`` that a table adds; empty for any other."""
    found = re.fullmatch(r"0*(\d+)(?:\.0)?", without_extension(name))
    return found[1] if found else ""


_LAYERS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("", str),
    (CASE, fold_name),
    (PERCENT, _decoded),
    (UPLOAD, _not_uploaded),
)
"""What the last part of a name is compared without, each including those before."""


def _first_layer(name: str, other: str) -> int | None:
    """The first layer at which two names agree; the last one only where one of them has been uploaded."""
    for layer, (reason, key) in enumerate(_LAYERS):
        if key(name) == key(other) and (reason != UPLOAD or _is_upload(name) or _is_upload(other)):
            return layer
    return None


def _is_upload(name: str) -> bool:
    return _UPLOAD_PREFIX.match(name) is not None or _ROBOFLOW.search(name) is not None


@dataclass(frozen=True)
class _Named:
    """A name taken apart: its folders and last part, and what was not literal in its form."""

    folders: tuple[str, ...]
    last: str
    reasons: tuple[str, ...]

    @staticmethod
    def of(name: str) -> _Named:
        reasons = []
        path = name.strip()
        if _SCHEME.match(path) or path.startswith("/data/local-files/?"):
            reasons.append(URL)
            url = split_url(path)
            path = parse_qs(url.query).get("d", [unquote(url.path)])[0]  # ?d=: files that Label Studio serves
        elif "\\" in path:
            reasons.append(BACKSLASHES)
            path = path.replace("\\", "/")
        parts: list[str] = []
        for part in _DRIVE.sub("/", path).split("/"):
            if part == ".." and parts:
                parts.pop()
            elif part not in ("", ".", ".."):
                parts.append(part)
        return _Named(tuple(parts[:-1]), parts[-1] if parts else "", tuple(reasons))


class Resolver:
    """Finds files by the names that a list gives them.

    Attributes:
        files: names of the files, relative to their folder, with ``/``; with their extensions, or all without.
        where: the folder, for messages.
    """

    def __init__(self, files: Iterable[str], where: str, folder: str = "") -> None:
        """Index the files; ``folder`` is the last part of the folder's own path."""
        self.files = tuple(files)
        self.where = where
        self._folder = fold_name(folder)
        self._literal: dict[str, list[str]] = {}
        self._indices: dict[Callable[[str], str], dict[str, list[str]]] = {}
        for file in self.files:
            self._literal.setdefault(file, []).append(file)
            stem = without_extension(file)
            if stem != file:
                self._literal.setdefault(stem, []).append(file)

    def literal(self, name: str) -> str | None:
        """The file of exactly this name, with or without its extension, or ``None``.

        Raises:
            TagsegError: several files have it.
        """
        files = self._literal.get(name, ())
        exact = [file for file in files if file == name] or files
        return self._only(name, exact) if exact else None

    def find(self, name: str) -> Match | None:
        """The only file that the name can mean, or ``None``.

        Raises:
            TagsegError: several files fit equally well.
        """
        file = self.literal(name)
        if file is not None:
            return Match(file)
        named = _Named.of(name)
        if not _not_uploaded(named.last):
            return None
        without = _SOME_EXTENSION.sub("", named.last)
        return (
            self._alike(name, named, named.last)
            or self._alike(name, named, without, EXTENSION)
            or self._best(name, named, dict.fromkeys(self._index(_number).get(_number(named.last), ()), 0), NUMBER)
        )

    def nearest(self, name: str) -> str | None:
        """The file whose name is most like this one, to suggest it."""
        last = _not_uploaded(_Named.of(name).last)
        keys: dict[str, str] = {}
        for file in self.files:
            keys.setdefault(_not_uploaded(file.rpartition("/")[2]), file)
        near = difflib.get_close_matches(last, keys, n=1, cutoff=0.6)
        return keys[near[0]] if near else None

    def _alike(self, name: str, named: _Named, last: str, extension: str = "") -> Match | None:
        """The match of a name's last part, which may be without its extension."""
        layers = {}
        for file in self._index(_not_uploaded).get(_not_uploaded(last), ()):
            own = file.rpartition("/")[2]
            fitting = [_first_layer(last, each) for each in (own, without_extension(own))]
            layers[file] = min((layer for layer in fitting if layer is not None), default=None)
        return self._best(name, named, {file: each for file, each in layers.items() if each is not None}, extension)

    def _best(self, name: str, named: _Named, layers: dict[str, int], reason: str) -> Match | None:
        """Of files at their layer, the most literal one whose folders do not contradict the name's."""
        found = {}
        for file, layer in layers.items():
            upload = _LAYERS[layer][0] == UPLOAD and "upload" in named.folders  # then folders are numbers of projects
            shared, equal = self._shared(() if upload else named.folders, file)
            if shared >= 0:
                found[file] = (layer, -shared, not equal)
        if not found:
            return None
        least = min(found.values())
        file = self._only(name, [file for file, each in found.items() if each == least])
        return self._match(file, named, (_LAYERS[least[0]][0], reason))

    def _index(self, key: Callable[[str], str]) -> dict[str, list[str]]:
        """Key of the last part of a file's name, with and without extension → files; made when first asked for."""
        if key not in self._indices:
            index = self._indices[key] = {}
            for file in self.files:
                last = file.rpartition("/")[2]
                for each in {key(last), key(without_extension(last))}:
                    if each:
                        index.setdefault(each, []).append(file)
        return self._indices[key]

    def _shared(self, folders: tuple[str, ...], file: str) -> tuple[int, bool]:
        """Number of folders at the end that both share, -1 if they contradict each other; whether they are equal."""
        wanted, inside = tuple(map(_decoded, folders)), tuple(map(_decoded, file.split("/")[:-1]))
        pairs = zip(reversed(wanted), reversed(inside), strict=False)
        least = min(len(inside), len(wanted))
        shared = next((count for count, (a, b) in enumerate(pairs) if a != b), least)
        contradict = shared < least or _splits(wanted, (self._folder, *inside)) == 2
        return (-1 if contradict else shared), wanted == inside

    def _only(self, name: str, files: Sequence[str]) -> str:
        if len(files) > 1:
            raise TagsegError(
                f"{name!r} could be {list_some(list(files))} in {self.where}, expected one file: write its name in full"
            )
        return files[0]

    def _match(self, file: str, named: _Named, reasons: tuple[str, ...]) -> Match:
        inside = len(file.split("/")) - 1
        path = (LONGER_PATH,) if len(named.folders) > inside and UPLOAD not in reasons else ()
        path = (SUB_FOLDER,) if len(named.folders) < inside else path
        return Match(file, tuple(filter(None, (*named.reasons, *path, *reasons))))


def _splits(*paths: tuple[str, ...]) -> int:
    """How many different splits the paths name: ``val2017`` and ``train`` are two."""
    named = (next((found[0] for part in reversed(path) if (found := _SPLIT.match(part))), None) for path in paths)
    return len({split for split in named if split})
