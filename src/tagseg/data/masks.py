"""Masks as files: read lazily as labels, checked against their image, and written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image

from tagseg.data.frames import Frame
from tagseg.data.images import StoredFrame, stored_frame, turn_upright
from tagseg.data.mask_coding import Coding
from tagseg.data.mask_pixels import read_pixels
from tagseg.data.palette import Colour, palette_of
from tagseg.errors import TagsegError
from tagseg.files import replacing


@dataclass(frozen=True)
class MaskFile:
    """Reads the mask of one image from a file that keeps pixels exactly.

    Attributes:
        path: the mask file, at the image's size as displayed.
        image: the image it belongs to.
        classes_count: K, number of foreground classes.
        coding: what its pixels mean; by default they are labels (palette indices, grey levels), colours mean nothing.
        frame: whether it is of the image as ``displayed``, or of its ``stored`` pixels, before the EXIF rotation.
    """

    path: Path
    image: Path
    classes_count: int
    coding: Coding = Coding()
    frame: Frame = "displayed"

    def __call__(self) -> UInt8[ndarray, "H W"]:
        """Ids per pixel: 0 background, 1 to K foreground, 255 ignored.

        Raises:
            TagsegError: the file cannot be read, holds colours or ids that mean nothing, or has another size than the
                image.
        """
        pixels = read_pixels(self.path)
        size = (pixels.values.shape[0], pixels.values.shape[1])
        stored = check_size(str(self.path), size, self.image, self.frame)
        ids = self.coding.labels(pixels, self.classes_count, self.path)
        return turn_upright(ids, stored.orientation) if self.frame == "stored" else ids


def check_size(mask: str, size: tuple[int, int], image: Path, frame: Frame | None = None) -> StoredFrame:
    """How an image is stored, whose (H, W) a mask must have.

    Args:
        mask: names the mask in messages.
        size: its (H, W).
        image: its image.
        frame: the setting of the frame; ``None``: as displayed, without a setting.

    Raises:
        TagsegError: the mask has another size than its image in that frame.
    """
    stored = stored_frame(image)
    expected = stored.size if frame == "stored" else stored.displayed
    if size == expected:
        return stored
    turned = f"the image has an EXIF rotation (orientation {stored.orientation})"
    if size == stored.size:
        way_out = f"{turned}, turn the mask too" + (", or set --data.frame stored if all are so" if frame else "")
    elif size == stored.displayed:
        way_out = f"{turned}, which the mask has already: leave out --data.frame stored"
    elif size == expected[::-1]:
        way_out = "height and width are swapped, turn the mask"
    else:
        way_out = "resize neither, or both"
    shown = f"{expected[1]}×{expected[0]} (width×height as {frame or 'displayed'})"
    raise TagsegError(f"the mask {mask} is {size[1]}×{size[0]}, expected its image's {shown}, {image}: {way_out}")


def save_mask(path: Path, labels: UInt8[ndarray, "H W"], colours: Sequence[Colour] | None = None) -> None:
    """Write a label map as a PNG whose pixel values are the labels, with these colours of labels 0, 1, …, or VOC's."""
    picture = Image.fromarray(labels)
    picture.putpalette(palette_of(colours).tobytes())
    with replacing(path) as temporary:
        picture.save(temporary, format="PNG", optimize=False)
