"""CVAT's archive "Segmentation mask 1.1": masks whose colours are classes, and masks whose colours are objects."""

from __future__ import annotations

import io
import zipfile
from functools import partial
from typing import ClassVar

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image

from tagseg.data.palette import BACKGROUND, palette
from tagseg.errors import TagsegError
from tagseg.formats.format import LabelledPhoto, Plan
from tagseg.formats.growing import Growing
from tagseg.formats.outlines import parts_of

_MOST_OBJECTS = 255
"""CVAT reads the colours of objects as those of VOC's palette, 0 for none."""


class Cvat:
    """``cvat.zip``. Each connected part is an object, in a photo of more than 255 parts each class.

    Without the masks of objects CVAT would make a region of the background too.
    """

    OUTPUTS: ClassVar[tuple[str, ...]] = ("cvat.zip",)
    PROBS: ClassVar[bool] = False

    def __init__(self, plan: Plan) -> None:
        for name in plan.classes.values():
            if ":" in name or not _fits_a_line(name) or name == BACKGROUND:
                raise TagsegError(
                    f"cvat: the class {name!r} cannot stand in labelmap.txt, expected a name without colon, line "
                    "break, # or space at its ends, other than background: rename the class or leave out --format cvat"
                )
        for name in plan.photos:
            if not _fits_a_line(name) or "\\" in name:  # which leads out of the archive's folder on Windows
                raise TagsegError(
                    f"cvat: the photo {name!r} cannot stand in the list of photos, expected a name in Unicode without "
                    "line break, backslash, # or space at its ends: rename the photo or leave out --format cvat"
                )
        self._plan = plan
        self._colours = _colours(plan)
        self._growing = Growing(plan.output / "cvat.zip", partial(zipfile.ZipFile, mode="w"))
        self._done: list[str] = []

    def add(self, photo: LabelledPhoto, name: str) -> None:
        """Append both masks of a photo. Ignored pixels become background, as CVAT refuses what is not declared."""
        labels = np.where(np.isin(photo.mask, list(self._plan.classes)), photo.mask, 0)
        pictures = {
            f"SegmentationClass/{name}.png": _png(self._colours[labels]),
            f"SegmentationObject/{name}.png": _png(palette()[self._objects(photo)]),
        }
        with self._growing.use() as archive:
            for path, content in pictures.items():
                archive.writestr(path, content)
            self._done.append(name)

    def close(self) -> None:
        """Append the lists of classes and photos, if there is a photo."""
        if not self._done:
            return
        listed = sorted(self._done, key=self._plan.position.__getitem__)
        colours = self._colours.tolist()
        labelmap = "# label:color_rgb:parts:actions\n" + "".join(
            f"{name}:{','.join(map(str, colours[label]))}::\n"
            for label, name in [(0, BACKGROUND), *self._plan.classes.items()]
        )
        with self._growing.use() as archive:
            archive.writestr("labelmap.txt", labelmap)
            archive.writestr("ImageSets/Segmentation/default.txt", "".join(f"{name}\n" for name in listed))
        self._growing.keep()

    def _objects(self, photo: LabelledPhoto) -> UInt8[ndarray, "H W"]:
        """A number from 1 for each connected part; for each class, where the parts are too many."""
        parts = [part for _, region in self._plan.regions(photo) for part in parts_of(region)]
        if len(parts) > _MOST_OBJECTS:
            return np.where(np.isin(photo.mask, list(self._plan.classes)), photo.mask, 0)
        objects = np.zeros(photo.mask.size, np.uint8)
        for number, part in enumerate(parts, 1):
            for start, stop in zip(part.starts.tolist(), part.stops.tolist(), strict=True):
                objects[start:stop] = number
        return objects.reshape(photo.mask.shape, order="F")


def _fits_a_line(name: str) -> bool:
    """Whether a list, whose readers skip comments and strip lines, gives the name back."""
    encoded = name.encode("utf-8", "ignore").decode()  # bytes of a file name that are no UTF-8 are lost
    return encoded.splitlines() == [name] and name.strip() == name and not name.startswith("#")


def _colours(plan: Plan) -> UInt8[ndarray, "256 3"]:
    """The colours of the labels, VOC's where two are the same or the background is not black."""
    own = [plan.colours[label] for label in (0, *plan.classes)]
    colours = palette().copy()
    if len(set(own)) == len(own) and own[0] == (0, 0, 0):
        colours[[0, *plan.classes]] = own
    return colours


def _png(pixels: UInt8[ndarray, "H W 3"]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG")
    return file.getvalue()
