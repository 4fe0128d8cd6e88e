"""A few photos that a training is shown on again and again: always the same ones, and why those."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy import ndarray
from PIL import Image
from torch import Tensor

from tagseg.data.dataset import Sample, TaggedImages
from tagseg.data.images import read_image
from tagseg.data.loaders import WholeImages
from tagseg.inference.export import fitted

PHOTOS = 4
"""Photos in a picture."""
CELL = 144
"""Side of a picture's cells in pixels."""
NAME = "photos"
"""Of the pictures in the logs."""
LOOKED_AT = 200
"""Photos of a split among which they are chosen."""


@dataclass(frozen=True)
class FixedPhoto:
    """A photo and what is known of it, at the size it is shown.

    Attributes:
        sample: the photo.
        image: RGB.
        label: to train on, made before the training; ``None`` if there is none.
        truth: ground truth; ``None`` if it is not read.
    """

    sample: Sample
    image: UInt8[ndarray, "H W 3"]
    label: UInt8[ndarray, "H W"] | None
    truth: UInt8[ndarray, "H W"] | None


def fixed_samples(training: TaggedImages, scored: TaggedImages | None, count: int = PHOTOS) -> tuple[Sample, ...]:
    """Half of them scored ones, which have masks, the others of the training, each with many classes not seen yet.

    They depend on the data alone.

    Args:
        training: the training images.
        scored: validation images with masks.
        count: at most so many.
    """
    known = [sample for sample in scored.samples if sample.tags_known] if scored else []
    first = various(known, count // 2 if len(training) else count)
    return first + various(training.samples, count - len(first), seen={tag for one in first for tag in one.tags})


def even_steps(count: int, steps: int) -> frozenset[int]:
    """So many steps, evenly spaced, the last one included, and 0 where there are several; none of none."""
    if count == 1:
        return frozenset({steps})
    return frozenset(round(index * steps / (count - 1)) for index in range(count))


def various(samples: Sequence[Sample], count: int, seen: set[int] | None = None) -> tuple[Sample, ...]:
    """Some of the samples, one after the other that with the most classes not seen yet; the first of equal ones.

    Args:
        samples: of which ``LOOKED_AT``, evenly spaced, are looked at.
        count: at most so many.
        seen: classes, 0 to K-1, that count as seen.
    """
    places = np.linspace(0, len(samples) - 1, min(len(samples), LOOKED_AT)).round().astype(int)
    left, seen = [samples[place] for place in places], set(seen or ())
    chosen: list[Sample] = []
    while left and len(chosen) < count:
        best = max(left, key=lambda sample: (len(set(sample.tags) - seen), bool(sample.tags)))
        left.remove(best)
        seen |= set(best.tags)
        chosen.append(best)
    return tuple(chosen)


def read_fixed(samples: Sequence[Sample], cell: int = CELL) -> tuple[FixedPhoto, ...]:
    """The photos with label and ground truth, longer side ``cell`` pixels.

    Raises:
        TagsegError: a photo, label or mask that cannot be read.
    """
    photos = []
    for sample in samples:
        image = np.asarray(fitted(Image.fromarray(read_image(sample.image)), cell))
        size = image.shape[:2]
        label, truth = (None if read is None else nearest(read(), size) for read in (sample.label, sample.mask))
        photos.append(FixedPhoto(sample, image, label, truth))
    return tuple(photos)


def nearest(label: UInt8[ndarray, "_H _W"], size: tuple[int, int]) -> UInt8[ndarray, "H W"]:
    """A label map at another size, each pixel from the nearest."""
    return np.asarray(Image.fromarray(np.asarray(label)).resize(size[::-1], Image.Resampling.NEAREST))


def square_images(
    samples: Sequence[Sample], classes: tuple[str, ...], side: int
) -> tuple[Float[Tensor, "B 3 S S"], Float[Tensor, "B K"]]:
    """The photos resized to squares as for scoring, 0 to 255, and their tags."""
    images = WholeImages(TaggedImages("", classes, tuple(samples), ""), side)
    pairs = [images[index] for index in range(len(images))]
    return torch.stack([image for image, _ in pairs]), torch.stack([tags for _, tags in pairs])
