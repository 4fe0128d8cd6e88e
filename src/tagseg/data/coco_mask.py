"""The ground-truth mask of one image, drawn from COCO's annotations."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, UInt8
from numpy import ndarray

from tagseg.data.coco_values import Box
from tagseg.data.dataset import IGNORE
from tagseg.data.frames import Frames
from tagseg.data.images import stored_frame, turn_upright
from tagseg.data.outlines import Outline, draw_outline
from tagseg.errors import TagsegError


class CocoObject(NamedTuple):
    """One annotation: label 1 to K, or 255 to be ignored; outline, or the extent of its box alone; and its id."""

    label: int
    outline: Outline | None
    extent: Box | None = None
    key: object = ""


@dataclass(frozen=True, eq=False)
class CocoMask:
    """Draws the ground-truth mask of one image from its annotations.

    Where objects overlap, the smaller one is on top (a cup before a table); of equal ones the later. Ignored regions,
    and the boxes of objects whose outline is absent or encloses no pixel, are 255 where no object covers them. A pixel
    is inside a polygon if its centre is; pycocotools differs by a pixel at some borders.

    Attributes:
        image: the image it belongs to.
        size: height and width that the annotations were made at; ``None``: the image's.
        objects: the annotations.
        frames: the frame that they were made in.
    """

    image: Path
    size: tuple[int, int] | None
    objects: tuple[CocoObject, ...]
    frames: Frames = Frames("displayed", "displayed")

    def __call__(self) -> UInt8[ndarray, "H W"]:
        """Ids per pixel: 0 background, 1 to K foreground, 255 ignored.

        Raises:
            TagsegError: a damaged outline, another size than the image's, or a frame that is not known.
        """
        stored = stored_frame(self.image)
        frame, size = self.frames.place(self.size, stored, self.image)
        drawn = [self._draw(each, size) for each in self.objects]
        drawn.sort(key=lambda each: (each[0] != IGNORE, -np.count_nonzero(each[1])))
        ids = np.zeros(size, np.uint8)
        for label, inside in drawn:
            ids[inside] = label
        return turn_upright(ids, stored.orientation) if frame == "stored" else ids

    def _draw(self, annotated: CocoObject, size: tuple[int, int]) -> tuple[int, Bool[ndarray, "H W"]]:
        try:
            inside = draw_outline(annotated.outline or (), size)
        except ValueError as error:
            what = f"annotation {annotated.key} of {self.image.name} has {error}"
            raise TagsegError(f"{what}, expected COCO's run lengths: repair or remove the annotation") from error
        if inside.any() or annotated.extent is None:
            return annotated.label, inside
        left, top, right, bottom = (max(0.0, each) for each in annotated.extent)
        inside[int(top) : int(np.ceil(bottom)), int(left) : int(np.ceil(right))] = True
        return IGNORE, inside
