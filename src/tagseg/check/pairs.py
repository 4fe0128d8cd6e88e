"""Pairs of classes that tags alone cannot tell apart, or hardly, as the same photos show both."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from jaxtyping import Bool, Int
from numpy import ndarray

from tagseg.check.finding import Finding, found
from tagseg.data.dataset import TaggedImages

TOGETHER = 3
"""So many photos must show two classes before it is no chance that neither is seen without the other."""
CHANCE = 0.01
"""A class that is only seen with another is named unless chance alone would do it with this probability or more."""
_AT_A_TIME = 2**22
"""Pairs of tags that are counted at a time."""
OVERLAP = 0.9
"""Two classes are nearly always together if this share of the photos with either, or more, show both."""


def pair_findings(images: TaggedImages) -> tuple[Finding, ...]:
    """Pairs that are always together, nearly always, or of which one is never without the other.

    Classes in every photo or in none are left out, as ``check.classes`` names them.

    Args:
        images: the training images.
    """
    both = together(images)
    counts = both.diagonal()
    usable = (counts >= TOGETHER) & (counts < len(images))
    pairs = np.triu(usable[:, None] & usable[None], 1)
    same = pairs & (both == counts[:, None]) & (both == counts[None])
    either = counts[:, None] + counts[None] - both
    nearly = pairs & ~same & (both >= OVERLAP * either)
    within = _within(counts, both, usable, len(images)) & ~(same | same.T | nearly | nearly.T)
    return (
        *found(
            "always_together", "error",
            [f"{_names(images, pair, ' and ')} ({counts[pair[0]]})" for pair in _pairs(same)],
            "classes are always in the same images: tags alone cannot tell them apart, and masks may be mixed up",
            "add images with one of them alone, or join the two to one class",
        ),
        *found(
            "nearly_always_together", "warning",
            [f"{_names(images, (i, j), ' and ')} ({both[i, j]} of {either[i, j]})" for i, j in _pairs(nearly)],
            "pairs of classes of which few photos show just one, so their masks may be mixed up",
            "add photos with one of them alone",
        ),
        *found(
            "never_without", "warning",
            [f"{_names(images, pair, ' without ')} ({counts[pair[0]]})" for pair in _pairs(within)],
            "classes never seen without another one, whose pixels may be taken for theirs",
            "add photos of the first of each pair without the second",
        ),
    )  # fmt: skip


def together(images: TaggedImages) -> Int[ndarray, "K K"]:
    """How many images show both of each two classes; on the diagonal, how many show each.

    Counted from the few tags of each image: of 100,000 images and 1,000 classes the matrix of tags takes 400 MB.
    """
    number = len(images.classes)
    alike: defaultdict[int, list[tuple[int, ...]]] = defaultdict(list)
    for sample in images.samples:
        tags = tuple(dict.fromkeys(sample.tags))
        alike[len(tags)].append(tags)
    both = np.zeros(number**2, np.int64)
    for length, rows in alike.items():
        step = max(1, _AT_A_TIME // max(1, length**2))
        for start in range(0, len(rows) if length else 0, step):
            several = np.array(rows[start : start + step])
            both += np.bincount((number * several[:, :, None] + several[:, None]).ravel(), minlength=number**2)
    return both.reshape(number, number)


def _within(
    counts: Int[ndarray, " K"], both: Int[ndarray, "K K"], usable: Bool[ndarray, " K"], photos: int
) -> Bool[ndarray, "K K"]:
    """Whether class i is never without class j, and not by chance, which is (share of j) to the power (count of i)."""
    share = counts / max(1, photos)
    by_chance = share[None] ** counts[:, None]
    within: Bool[ndarray, "K K"] = (both == counts[:, None]) & (by_chance < CHANCE) & usable[:, None] & usable[None]
    np.fill_diagonal(within, False)
    return within


def _pairs(chosen: Bool[ndarray, "K K"]) -> list[tuple[int, int]]:
    return [(int(i), int(j)) for i, j in np.argwhere(chosen)]


def _names(images: TaggedImages, pair: tuple[int, int], between: str) -> str:
    return between.join(images.classes[k] for k in pair)
