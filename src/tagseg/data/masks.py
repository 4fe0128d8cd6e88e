"""Masks as PNG files of class ids: read, checked against their image, and written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image

from tagseg.data.dataset import IGNORE
from tagseg.data.images import image_size, opened
from tagseg.data.palette import palette
from tagseg.errors import TagsegError, list_some
from tagseg.files import replacing


@dataclass(frozen=True)
class PngMask:
    """Reads the mask of one image from a palette or grey PNG: pixel values are labels, colours have no meaning.

    Attributes:
        path: the mask file, at the image's size as displayed.
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
            wrong_ids = list_some([str(i) for i in np.unique(ids[wrong])], most=5)
            expected = f"expected 0 (background) to {self.classes_count} (last class) or {IGNORE} (ignored)"
            raise TagsegError(f"the mask {self.path} holds the ids {wrong_ids}, {expected}: check the class list")


def check_size(mask: str, size: tuple[int, int], image: Path) -> None:
    """Raise ``TagsegError`` unless the (H, W) of a mask is that of its image as displayed; ``mask`` names the mask."""
    expected = image_size(image)
    if size != expected:
        turned = size == expected[::-1]
        way_out = "the image has an EXIF rotation, turn the mask too" if turned else "resize neither, or both"
        shown = f"{expected[1]}×{expected[0]} (width×height as displayed)"
        raise TagsegError(f"the mask {mask} is {size[1]}×{size[0]}, expected its image's {shown}, {image}: {way_out}")


def save_mask(path: Path, labels: UInt8[ndarray, "H W"]) -> None:
    """Write a label map as a PNG whose pixel values are the labels, with VOC's palette."""
    picture = Image.fromarray(labels)
    picture.putpalette(palette().tobytes())
    with replacing(path) as temporary:
        picture.save(temporary, format="PNG", optimize=False)
