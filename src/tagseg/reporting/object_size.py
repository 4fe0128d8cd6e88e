"""IoU by size: of each class in each photo, its IoU there by the share of the photo that it covers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from tagseg.data.dataset import IGNORE

EDGES = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0)
"""Bins of the share of a photo; each is without its lower edge and with its upper one."""


@dataclass(frozen=True)
class SizeResult:
    """One bin.

    Attributes:
        low: share of the photo that is exceeded, 0 to 1.
        high: largest share, 0 to 1.
        count: pairs of a photo and a class in its ground truth.
        mean_iou: mean of their IoUs, 0 to 1; nan where there are none.
        missed: share of them of which no pixel was found; nan where there are none.
    """

    low: float
    high: float
    count: int
    mean_iou: float
    missed: float


class SizeScore:
    """Accumulates IoUs of pairs of a photo and a class in its ground truth, background left out, by size."""

    def __init__(self) -> None:
        self.sums = np.zeros((len(EDGES) - 1, 3))  # pairs, IoUs, pairs without a hit

    def update(self, labels: UInt8[ndarray, "H W"], truth: UInt8[ndarray, "H W"]) -> None:
        """Add one photo; pixels with ground truth 255 are not counted."""
        counted = truth != IGNORE
        predicted, true = labels[counted], truth[counted]
        sizes = np.bincount(true, minlength=IGNORE + 1)
        hits = np.bincount(true[predicted == true], minlength=IGNORE + 1)
        unions = sizes + np.bincount(predicted, minlength=IGNORE + 1) - hits
        for label in np.flatnonzero(sizes[1:]) + 1:
            place = int(np.searchsorted(EDGES, sizes[label] / len(true))) - 1
            self.sums[place] += 1, hits[label] / unions[label], hits[label] == 0

    def compute(self) -> tuple[SizeResult, ...]:
        """All bins, the smallest objects first."""
        with np.errstate(invalid="ignore"):
            means = self.sums[:, 1:] / self.sums[:, :1]
        return tuple(
            SizeResult(low, high, int(count), float(iou), float(missed))
            for low, high, count, (iou, missed) in zip(EDGES, EDGES[1:], self.sums[:, 0], means, strict=False)
        )
