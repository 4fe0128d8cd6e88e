"""What a format is: it takes photos with their label maps, from several threads in any order, and ends with a file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath
from typing import ClassVar, Protocol, runtime_checkable
from urllib.parse import quote

import numpy as np
from jaxtyping import Bool, Float16, UInt8
from numpy import ndarray

from tagseg.formats.settings import DEFAULT_SETTINGS, FormatSettings


@runtime_checkable
class LabelledPhoto(Protocol):
    """What is read of a photo; ``inference.result.Result`` has it.

    Attributes:
        path: the photo's file, if it has one.
        mask: its label map: 0 background, 1 to K foreground, 255 ignored.
        probs: probability of each label at each pixel, if it was asked for.
    """

    @property
    def path(self) -> Path | None: ...  # noqa: D102
    @property
    def mask(self) -> UInt8[ndarray, "H W"]: ...  # noqa: D102
    @property
    def probs(self) -> Float16[ndarray, "C H W"] | None: ...  # noqa: D102


@dataclass(frozen=True)
class Plan:
    """What is known before the first photo is labelled.

    Attributes:
        output: folder of the results.
        names: the name of each label; 0 is the background.
        colours: RGB of each label.
        photos: names of all photos to come, without extension, in the order in which they are listed.
        settings: what the formats leave open.
    """

    output: Path
    names: dict[int, str]
    colours: tuple[tuple[int, int, int], ...]
    photos: tuple[str, ...]
    settings: FormatSettings = DEFAULT_SETTINGS

    @property
    def classes(self) -> dict[int, str]:
        """The names of the foreground labels."""
        return {label: name for label, name in sorted(self.names.items()) if label}

    @cached_property
    def position(self) -> dict[str, int]:
        """The place of each photo in the list."""
        return {name: index for index, name in enumerate(self.photos)}

    def regions(self, photo: LabelledPhoto) -> Iterator[tuple[int, Bool[ndarray, "H W"]]]:
        """Each foreground label in a photo's label map and its pixels, in the order of the labels."""
        there = np.bincount(photo.mask.ravel(), minlength=256)
        for label in self.classes:
            if there[label]:
                yield label, photo.mask == label


@runtime_checkable
class Format(Protocol):
    """Writes label maps in one format. ``add`` may be called by several threads at once; ``close`` ends it.

    After an interrupt ``close`` is called as well: what was added is whole and readable then.

    Attributes:
        OUTPUTS: what it writes to the output folder; folders end with ``/``.
        PROBS: whether it needs ``LabelledPhoto.probs``.
    """

    OUTPUTS: ClassVar[tuple[str, ...]]
    PROBS: ClassVar[bool]

    def __init__(self, plan: Plan) -> None: ...

    def add(self, photo: LabelledPhoto, name: str) -> None:
        """Write or keep one photo; ``name`` is one of ``Plan.photos``."""

    def close(self) -> None:
        """Write what is written at the end."""


def file_name(photo: LabelledPhoto, name: str) -> str:
    """The photo's file relative to the folder of all photos, with its extension."""
    if (
        photo.path is None or photo.path.name == PurePath(name).name
    ):  # the latter: names that had to keep their extension
        return name
    return name + photo.path.suffix


def quoted(path: str) -> str:
    """A relative path as a part of an address."""
    return quote(path, errors="surrogateescape")
