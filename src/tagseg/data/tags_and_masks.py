"""Tags held against masks: two readings of the same photos, which must agree on the classes that are there."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, UInt8
from numpy import ndarray

from tagseg.data.comparison import Comparison
from tagseg.data.dataset import IGNORE, Sample, TaggedImages
from tagseg.data.mask_causes import likely_cause
from tagseg.data.notes import EXAMPLES, Note
from tagseg.data.relabel import ids_in_files
from tagseg.errors import TagsegError, list_some

SAMPLE = 200
"""Masks that a training reads at its start, evenly spread over all."""


class TagsAgainstMasks:
    """Collects what masks show while they are read for another purpose.

    Args:
        images: the images with the masks.
        of: number of images that these are a sample of.
    """

    def __init__(self, images: TaggedImages, of: int | None = None) -> None:
        self._images, self._of = images, len(images) if of is None else of
        self._samples: list[Sample] = []
        self._shown: list[Bool[ndarray, " 256"]] = []
        self._ignored: list[float] = []

    def add(self, sample: Sample, mask: UInt8[ndarray, "H W"]) -> None:
        """Note what a mask shows."""
        pixels = np.bincount(mask.ravel(), minlength=IGNORE + 1)
        self._samples.append(sample)
        self._shown.append(pixels > 0)
        self._ignored.append(float(pixels[IGNORE] / max(1, mask.size)))

    def comparison(self) -> Comparison:
        """All that was collected."""
        count, classes = len(self._samples), self._images.classes
        tagged = np.zeros((count, len(classes)), bool)
        for row, sample in zip(tagged, self._samples, strict=True):
            row[list(sample.tags)] = True
        return Comparison(
            self._images.source,
            classes,
            tuple(sample.name for sample in self._samples),
            tagged,
            np.array(self._shown, bool).reshape(count, IGNORE + 1),
            np.array(self._ignored, np.float64),
            np.array([sample.tags_known for sample in self._samples], bool),
            self._of,
            ids_in_files(self._images),
        )


def judge(found: Comparison, contradictions: str) -> tuple[Note, ...]:
    """What is to be said of a comparison, as warnings.

    Args:
        found: the comparison.
        contradictions: ``stop`` raises where tags and masks contradict each other; ``warn`` notes it.

    Raises:
        TagsegError: they do, with the images, the classes and the likely cause.
    """
    if not found.contradicts and not found.contradictory.any():
        return ()
    text = _text(found)
    if found.contradicts and contradictions == "stop":
        raise TagsegError(f"{text}; accept it with --data.contradictions warn")
    return (Note(text, warning=True),)


def _text(found: Comparison) -> str:
    sample = f" (on a sample of {len(found.names)} of {found.of})" if len(found.names) < found.of else ""
    cause = likely_cause(found)
    cause = f": {cause}" if cause else ""
    if not found.contradictory.any():
        return f"the masks of {found.source} show background alone{sample}{cause}"
    names = [name for name, wrong in zip(found.names, found.contradictory, strict=True) if wrong]
    return (
        f"the masks of {found.source} contradict the tags in {len(names)} of {int(found.known.sum())} images{sample}, "
        f"{list_some(names, EXAMPLES)} ({_by_class(found)}){cause}"
    )


def _by_class(found: Comparison) -> str:
    """``tagged without a pixel: cat in 3 images; shown without a tag: dog in 1 image``."""
    parts = []
    for what, cells in (("tagged without a pixel", found.missing), ("shown without a tag", found.untagged)):
        counts = cells.sum(axis=0).tolist()
        order = [k for k in sorted(range(len(counts)), key=lambda k: -counts[k]) if counts[k]]
        if order:
            parts.append(f"{what}: {list_some([f'{found.classes[k]} in {_images(counts[k])}' for k in order])}")
    return "; ".join(parts)


def _images(count: int) -> str:
    return f"{count} image{'s' if count != 1 else ''}"


def compare_sample(images: TaggedImages, contradictions: str, most: int = SAMPLE) -> tuple[Note, ...]:
    """Hold the tags of a sample of the images against their masks; what is to be said, as warnings.

    Args:
        images: some of them with masks.
        contradictions: as in ``judge``.
        most: number of masks to read.

    Raises:
        TagsegError: as in ``judge``, or a mask that cannot be read.
    """
    masked = images.with_masks()
    some = masked.every(-(-len(masked) // most)) if len(masked) else masked
    collected = TagsAgainstMasks(some, of=len(masked))
    for sample in some.samples:
        assert sample.mask is not None  # with_masks() left no other
        collected.add(sample, sample.mask())
    return judge(collected.comparison(), contradictions) if len(some) else ()
