"""Masks from PNG files of class ids, checked against their image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from tagseg.data.dataset import IGNORE
from tagseg.data.images import image_size, opened
from tagseg.errors import TagsegError, list_some


@dataclass(frozen=True)
class PngMask:
    """Reads the mask of one image from a palette or grey PNG; its pixel values are the ids, its colours mean nothing.

    Attributes:
        path: the mask, at the image's size as displayed.
        image: the image it belongs to.
        classes_count: K, number of foreground classes.
    """

    path: Path
    image: Path
    classes_count: int

    def __call__(self) -> UInt8[ndarray, "H W"]:
        """Ids per pixel: 0 background, 1 to K foreground, 255 ignored.

        Raises:
            TagsegError: the file cannot be read, holds colours or ids out of range, or has another size than the image.
        """
        with opened(self.path) as image:
            if image.mode not in ("1", "L", "P") and not image.mode.startswith("I"):
                expected = "expected one channel of class ids (palette or grey PNG)"
                raise TagsegError(f"the mask {self.path} is {image.mode}, {expected}: save ids, not colours")
            ids = np.array(image)
        check_size(str(self.path), (ids.shape[0], ids.shape[1]), self.image)
        self._check_ids(ids)
        return ids.astype(np.uint8)

    def _check_ids(self, ids: ndarray) -> None:
        wrong = (ids < 0) | (ids > self.classes_count) & (ids != IGNORE)
        if wrong.any():
            found = list_some([str(i) for i in np.unique(ids[wrong])], most=5)
            expected = f"expected 0 (background) to {self.classes_count} (last class) or {IGNORE} (ignored)"
            raise TagsegError(f"the mask {self.path} holds the ids {found}, {expected}: check the class list")


def check_size(mask: str, size: tuple[int, int], image: Path) -> None:
    """Raise ``TagsegError`` unless a mask's (H, W) is its image's as displayed; ``mask`` names it."""
    expected = image_size(image)
    if size != expected:
        turned = size == expected[::-1]
        way_out = "the image has an EXIF rotation, turn the mask too" if turned else "resize neither, or both"
        shown = f"{expected[1]}×{expected[0]} (width×height as displayed)"
        raise TagsegError(f"the mask {mask} is {size[1]}×{size[0]}, expected its image's {shown}, {image}: {way_out}")
