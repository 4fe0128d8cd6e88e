"""One dataset type for every source: images, image-level labels (tags), class names and ground-truth masks, if any."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from numpy import ndarray

from tagseg.data.notes import Note
from tagseg.data.palette import Colour

IGNORE = 255
"""Label of pixels that losses and scores leave out."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One image.

    Attributes:
        name: unique in the dataset; output files are named after it. May contain ``/``.
        image: the image file.
        tags: indices of the foreground classes in it, 0 to K-1, ascending; empty for a pure-background image.
        tags_known: whether its tags are known; if not, ``tags`` is empty, and only scoring by masks can use the image.
        mask: reads the ground-truth mask, uint8 (H, W) at the image's size as displayed (EXIF rotation applied): 0
            background, 1 to K foreground, 255 ignored. ``None`` if there is none. Picklable. Raises ``TagsegError``.
        label: like ``mask``, a label map to train on that exists before the training; ``None`` if there is none.
    """

    name: str
    image: Path
    tags: tuple[int, ...]
    mask: Callable[[], UInt8[ndarray, "H W"]] | None = None
    label: Callable[[], UInt8[ndarray, "H W"]] | None = None
    tags_known: bool = True


@dataclass(frozen=True)
class TaggedImages:
    """The images of one split.

    Attributes:
        source: origin of the images, for messages, e.g. ``voc (/data/VOC2012), split train``.
        classes: the K foreground class names; label k+1 in a mask is ``classes[k]``.
        samples: the images.
        tags_from: origin of the tags, e.g. ``labels.csv``; names ``masks`` where they were derived from masks.
        notes: what was noticed while reading.
        layout: what the folder was taken for, and why; empty where the settings say it.
        colours: RGB of labels 0 to K; empty: those of VOC.
    """

    source: str
    classes: tuple[str, ...]
    samples: tuple[Sample, ...]
    tags_from: str
    notes: tuple[Note, ...] = ()
    layout: str = ""
    colours: tuple[Colour, ...] = ()

    def __len__(self) -> int:
        """Number of images."""
        return len(self.samples)

    @property
    def has_labels(self) -> bool:
        """Whether every image has a label to train on."""
        return all(sample.label is not None for sample in self.samples)

    def tag_matrix(self) -> Float[ndarray, "n K"]:
        """The tags as 0 and 1, float32 (n, K)."""
        return self.tagged().astype(np.float32)

    def tag_counts(self) -> Int[ndarray, " K"]:
        """How many images have each tag: the sums of the matrix, which is not made."""
        once = chain.from_iterable(set(sample.tags) for sample in self.samples)
        return np.bincount(np.fromiter(once, np.int64), minlength=len(self.classes))

    def tagged(self) -> Bool[ndarray, "n K"]:
        """Which tags each image has, (n, K): a quarter of the memory of ``tag_matrix``."""
        matrix = np.zeros((len(self.samples), len(self.classes)), bool)
        images = np.repeat(np.arange(len(self.samples)), [len(sample.tags) for sample in self.samples])
        tags = chain.from_iterable(sample.tags for sample in self.samples)
        matrix[images, np.fromiter(tags, np.int64, len(images))] = True
        return matrix

    def with_masks(self) -> TaggedImages:
        """The images that have a ground-truth mask."""
        return replace(self, samples=tuple(s for s in self.samples if s.mask is not None))

    def every(self, step: int) -> TaggedImages:
        """Every ``step``-th image, from the first on."""
        return replace(self, samples=self.samples[:: max(1, step)])

    def first(self, count: int) -> TaggedImages:
        """The first ``count`` images; 0 keeps all."""
        return replace(self, samples=self.samples[: count or None])
