"""Trimap IoU (Kohli et al., IJCV 2009): mean IoU of the pixels near a true outline, by their distance from it."""

from __future__ import annotations

import torch
from jaxtyping import Float, Integer
from numpy import ndarray
from torch import Tensor
from torch.nn import functional as F

from tagseg.data.dataset import IGNORE
from tagseg.metrics.segmentation import SegmentationResult, SegmentationScore

DISTANCES = (1, 2, 4, 8, 16)
"""Pixels from an outline, as rows and columns."""


class TrimapScore:
    """Accumulates a confusion matrix for each ring around the true outlines.

    A pixel is within a distance if a pixel of another true label lies at most that many rows and columns away. A region
    that is ignored (255) is another label, as the masks of VOC have one around each object; its pixels are not counted.
    The edge of the image is no outline.

    Attributes:
        classes: C, the background included.
        distances: rings end there, ascending.
        rings: int64 (rings, C, C), pixels by true (row) and predicted label, nearer rings left out.
    """

    def __init__(self, classes: int, distances: tuple[int, ...] = DISTANCES) -> None:
        self.classes, self.distances = classes, distances
        self.rings = torch.zeros((len(distances), classes, classes), dtype=torch.int64)

    def update(self, prediction: Integer[ndarray | Tensor, "H W"], truth: Integer[ndarray | Tensor, "H W"]) -> None:
        """Add one label map, labels 0 to C-1, true ones also 255."""
        predicted, true = torch.as_tensor(prediction).long().cpu(), torch.as_tensor(truth).long().cpu()
        ring = self._ring(true.float()[None, None])
        counted = (true != IGNORE) & (ring < len(self.distances))
        index = (ring[counted] * self.classes + true[counted]) * self.classes + predicted[counted]
        self.rings += index.bincount(minlength=self.rings.numel()).view_as(self.rings)

    def _ring(self, true: Float[Tensor, "1 1 H W"]) -> Integer[Tensor, "H W"]:
        """The first ring that holds each pixel; their number for pixels beyond."""
        ring = torch.full(true.shape[-2:], len(self.distances))
        high, low, reached = true, -true, 0
        for number, distance in enumerate(self.distances):
            high, low = (_spread(values, distance - reached) for values in (high, low))
            reached = distance
            near = (high != -low)[0, 0]  # two labels in the window: one of them is not the pixel's own
            ring[near & (ring == len(self.distances))] = number
        return ring

    def compute(self) -> tuple[SegmentationResult, ...]:
        """The scores within each distance: those of all rings up to it."""
        results = []
        for matrix in self.rings.cumsum(dim=0):
            score = SegmentationScore(self.classes)
            score.matrix = matrix
            results.append(score.compute())
        return tuple(results)


def _spread(values: Float[Tensor, "1 1 H W"], reach: int) -> Float[Tensor, "1 1 H W"]:
    """The largest value within some rows and columns."""
    side = 2 * reach + 1
    along = F.max_pool2d(values, (side, 1), stride=1, padding=(reach, 0))
    return F.max_pool2d(along, (1, side), stride=1, padding=(0, reach))
