"""One dataset type for every source: images, their tags, class names and, where there are any, masks to score with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray

IGNORE = 255
"""Label of pixels that no loss and no score counts."""


@dataclass(frozen=True)
class Sample:
    """One image.

    Attributes:
        name: unique within the dataset; output files are named after it. May contain ``/``.
        image: the image file.
        tags: indices of the foreground classes in it, 0 to K-1, ascending; empty for a pure-background image.
        mask: reads its mask, or ``None`` where there is none: uint8 (H, W) at the image's size as displayed (EXIF
            rotation applied), 0 background, 1 to K foreground, 255 ignored. Picklable. Raises ``TagsegError``.
    """

    name: str
    image: Path
    tags: tuple[int, ...]
    mask: Callable[[], UInt8[ndarray, "H W"]] | None = None


@dataclass(frozen=True)
class TaggedImages:
    """The images of one split.

    Attributes:
        source: where they come from, for messages and protocols, e.g. ``voc (/data/VOC2012), split train``.
        classes: the K foreground class names; label k+1 in a mask is ``classes[k]``.
        samples: the images.
        tags_from: what the tags were read from, e.g. ``labels.csv``; says ``masks`` where they come from masks.
    """

    source: str
    classes: tuple[str, ...]
    samples: tuple[Sample, ...]
    tags_from: str

    def __len__(self) -> int:
        """Number of images."""
        return len(self.samples)

    def tag_matrix(self) -> Float[ndarray, "n K"]:
        """The tags as 0 and 1, float32 (n, K)."""
        matrix = np.zeros((len(self.samples), len(self.classes)), np.float32)
        for row, sample in zip(matrix, self.samples, strict=True):
            row[list(sample.tags)] = 1
        return matrix

    def with_masks(self) -> TaggedImages:
        """Only the images that have a mask."""
        samples = tuple(s for s in self.samples if s.mask is not None)
        return TaggedImages(self.source, self.classes, samples, self.tags_from)

    def every(self, step: int) -> TaggedImages:
        """Every ``step``-th image, at least one of those there are."""
        return TaggedImages(self.source, self.classes, self.samples[:: max(1, step)], self.tags_from)

    def first(self, count: int) -> TaggedImages:
        """Only the first ``count`` images; 0 keeps all."""
        return TaggedImages(self.source, self.classes, self.samples[: count or None], self.tags_from)
