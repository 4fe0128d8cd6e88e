"""Which photos a report shows, and their label maps at the size of the gallery."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence

from jaxtyping import UInt8
from numpy import ndarray

from tagseg.inference.segment import Sizing
from tagseg.reporting.measured_run import Maps, PhotoScore
from tagseg.reviewing.measure import nearest

SIDE = 360
"""Longest side of a photo of the gallery in pixels."""
SEED = 0
"""Of the choice of random photos: the same photos give the same ones."""

RANKINGS: dict[str, Callable[[PhotoScore], float]] = {
    "Worst": lambda photo: photo.iou,
    "Most uncertain": lambda photo: photo.estimate,
    "Best": lambda photo: -photo.iou,
}
"""Heading → what photos are ranked by, the lowest first."""
RANDOM = "Random"


class Gallery:
    """Keeps the label maps of the photos that are shown, of all that pass by.

    Args:
        count: photos of each group.
        names: of all photos.
        wanted: keep these instead, as another run chose them.
    """

    def __init__(self, count: int, names: Sequence[str], wanted: frozenset[str] | None = None) -> None:
        self.count, self.wanted = count, wanted
        self.random = sorted(random.Random(SEED).sample(sorted(names), min(count, len(names))))
        self.maps: dict[str, Maps] = {}
        self._ranked: dict[str, list[tuple[float, str]]] = {heading: [] for heading in RANKINGS}

    def offer(self, photo: PhotoScore) -> None:
        """Rank a photo."""
        if self.wanted is not None:
            return
        for heading, rank in RANKINGS.items():
            if not math.isnan(rank(photo)):
                self._ranked[heading] = sorted([*self._ranked[heading], (rank(photo), photo.name)])[: self.count]

    def add(self, photo: PhotoScore, maps: Callable[[], Maps]) -> None:
        """Rank a photo; ``maps`` makes its label maps, if it is among those to show so far."""
        self.offer(photo)
        kept = self.kept()
        if photo.name in kept:
            self.maps[photo.name] = maps()
        for name in self.maps.keys() - kept:
            del self.maps[name]

    def kept(self) -> frozenset[str]:
        """The photos to show, of those that were ranked so far."""
        if self.wanted is not None:
            return self.wanted
        return frozenset([*self.random, *(name for entries in self._ranked.values() for _, name in entries)])

    def groups(self) -> dict[str, tuple[str, ...]]:
        """Heading → names of its photos; groups without any are left out, and all where another run chose."""
        if self.wanted is not None:
            return {}
        ranked = {heading: tuple(name for _, name in entries) for heading, entries in self._ranked.items()}
        found = {**ranked, RANDOM: tuple(self.random)}
        return {heading: names for heading, names in found.items() if names}


def small(
    labels: UInt8[ndarray, "H W"], truth: UInt8[ndarray, "H W"] | None, regions: UInt8[ndarray, "H W"] | None
) -> Maps:
    """The maps of a photo at a longest side of at most ``SIDE``."""
    size = Sizing(max_side=SIDE).within(*labels.shape)
    reduced = [None if one is None else nearest(one, size) for one in (truth, regions)]
    return Maps(nearest(labels, size), reduced[0], reduced[1])
