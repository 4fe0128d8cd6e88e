"""Where a network is certain, and whether it is right there: its own probability of foreground, held against masks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float16, Int64, UInt8
from numpy import ndarray

from tagseg.data.dataset import IGNORE
from tagseg.fsr.partition import CERTAIN_BACKGROUND, CERTAIN_FOREGROUND, UNCERTAIN

LOW, HIGH = 0.25, 0.75
"""Thresholds on the probability of foreground, those of the signal ``uncertain`` of ``tagseg review``."""
REGIONS = (CERTAIN_BACKGROUND, UNCERTAIN, CERTAIN_FOREGROUND)


def regions_of(probs: Float16[ndarray, "C H W"]) -> UInt8[ndarray, "H W"]:
    """Certain background (0), uncertain (1) and certain foreground (2) by the probability of foreground."""
    foreground = 1 - probs[0].astype(np.float32)
    regions = np.full(foreground.shape, UNCERTAIN, np.uint8)
    regions[foreground <= LOW] = CERTAIN_BACKGROUND
    regions[foreground >= HIGH] = CERTAIN_FOREGROUND
    return regions


@dataclass(frozen=True)
class RegionResult:
    """One region over all photos.

    Attributes:
        region: 0 certain background, 1 uncertain, 2 certain foreground.
        share: of the counted pixels, 0 to 1; nan where none were counted.
        foreground: share of the region that is foreground in the ground truth; nan for an empty region.
        labelled_right: share of the region whose predicted label is the true one; nan for an empty region.
    """

    region: int
    share: float
    foreground: float
    labelled_right: float

    @property
    def right(self) -> float:
        """Share of a certain region that is what it is called; nan of the uncertain one, which claims nothing."""
        if self.region == CERTAIN_FOREGROUND:
            return self.foreground
        return 1 - self.foreground if self.region == CERTAIN_BACKGROUND else float("nan")


class RegionScore:
    """Accumulates pixels of each region: all, truly foreground, and with the right label."""

    def __init__(self) -> None:
        self.counts: Int64[ndarray, "3 3"] = np.zeros((3, 3), np.int64)

    def update(
        self, regions: UInt8[ndarray, "H W"], labels: UInt8[ndarray, "H W"], truth: UInt8[ndarray, "H W"]
    ) -> None:
        """Add one photo; pixels with ground truth 255 are not counted."""
        counted = truth != IGNORE
        region, true = regions[counted], truth[counted]
        for column, which in enumerate((np.ones(true.shape, bool), true > 0, labels[counted] == true)):
            self.counts[:, column] += np.bincount(region[which], minlength=3)[:3]

    def compute(self) -> tuple[RegionResult, ...]:
        """The three regions."""
        pixels = self.counts[:, 0]
        with np.errstate(invalid="ignore", divide="ignore"):
            shares, inside = pixels / pixels.sum(), self.counts[:, 1:] / pixels[:, None]
        return tuple(RegionResult(r, float(shares[r]), float(inside[r, 0]), float(inside[r, 1])) for r in REGIONS)
