"""Ultralytics' segmentation labels: a polygon in a line for each connected part, and a folder it can train on."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from tagseg.files import replacing
from tagseg.formats.format import LabelledPhoto, Plan, file_name
from tagseg.formats.outlines import parts_of
from tagseg.formats.spool import writable

_INSIDE = 0.25
"""Where in a pixel its polygon passes: readers that round down and those that round to the nearest find the same."""
_CORNERS = np.array([[0.1, 0.1], [0.4, 0.1], [0.4, 0.4], [0.1, 0.4]])
"""In a pixel as well, but with an area: for a part that is a single pixel or a straight line."""


class Yolo:
    """``yolo/labels/NAME.txt``, links to the photos in ``yolo/images`` and ``yolo/data.yaml``; class 0 is label 1."""

    OUTPUTS: ClassVar[tuple[str, ...]] = ("yolo/",)
    PROBS: ClassVar[bool] = False

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._folder = plan.output / "yolo"
        self._written = False

    def add(self, photo: LabelledPhoto, name: str) -> None:
        """Write a photo's polygons; a photo of nothing has an empty file."""
        lines = [
            f"{label - 1} " + " ".join(f"{value:.7f}" for value in polygon(part.centres, part.size).ravel())
            for label, region in self._plan.regions(photo)
            for part in parts_of(region)
        ]
        if photo.path is not None:
            _link(photo.path, self._folder / "images" / file_name(photo, name))
        with replacing(self._folder / "labels" / f"{name}.txt") as temporary:
            temporary.write_text("".join(f"{line}\n" for line in lines), encoding="ascii")
        self._written = True

    def close(self) -> None:
        """Write ``data.yaml``, if there is a photo."""
        if not self._written:
            return
        text = ["# All photos are listed as train and val, as both are required: make a split of your own.\n"]
        text += ["train: images\n", "val: images\n", "names:\n"]
        text += [f"  {label - 1}: {json.dumps(name)}\n" for label, name in self._plan.classes.items()]
        with replacing(self._folder / "data.yaml") as temporary:
            temporary.write_text("".join(text), encoding="ascii")


def polygon(centres: Int[ndarray, "n 2"], size: tuple[int, int]) -> Float[ndarray, "m 2"]:
    """The polygon of a part, (x, y) from 0 to 1, of three points or more that enclose an area.

    Args:
        centres: (column, row) of the part's border pixels.
        size: (H, W) of the photo.
    """
    points = centres + _INSIDE if len(centres) > 2 else centres[[0, -1, -1, 0]] + _CORNERS
    return points / np.array([size[1], size[0]])


def _link(photo: Path, place: Path) -> None:
    """A symbolic link to a photo, or a copy where the file system has none. A real file there stays."""
    if place.exists() and (not place.is_symlink() or place.samefile(photo)):
        return
    with replacing(place) as temporary, writable(place):
        try:
            temporary.symlink_to(os.path.abspath(photo))
        except (OSError, NotImplementedError):
            shutil.copyfile(photo, temporary)
