"""Boundary IoU (Cheng et al., CVPR 2021): agreement of outlines, for objects of any size."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Integer
from numpy import ndarray
from torch import Tensor
from torch.nn import functional as F

from tagseg.data.dataset import IGNORE


class BoundaryScore:
    """Accumulates intersection and union of predicted and true boundary bands for each class.

    The band of a class is the part of its region within a distance of ``share`` times the image's diagonal from the
    region's outline. The edge of the image counts as outline, as in the paper's code.

    Attributes:
        classes: C, the background included.
        share: width of the band as a share of the diagonal; 0.02 in the paper.
        shared: int64 (C,), pixels in both bands (intersection).
        covered: int64 (C,), pixels in either band (union).
        true: int64 (C,), pixels in the true band.
    """

    def __init__(self, classes: int, share: float = 0.02) -> None:
        self.classes, self.share = classes, share
        self.shared, self.covered, self.true = (torch.zeros(classes, dtype=torch.int64) for _ in range(3))

    def update(self, prediction: Integer[ndarray | Tensor, "H W"], truth: Integer[ndarray | Tensor, "H W"]) -> None:
        """Add one label map, labels 0 to C-1; pixels with ground truth 255 are not counted."""
        predicted, true = torch.as_tensor(prediction).long().cpu(), torch.as_tensor(truth).long().cpu()
        counted = true != IGNORE
        reach = max(1, round(self.share * math.hypot(*true.shape)))
        for label in torch.cat([predicted[counted], true[counted]]).unique().tolist():
            ours, theirs = (band(labels == label, reach) & counted for labels in (predicted, true))
            self.shared[label] += int((ours & theirs).sum())
            self.covered[label] += int((ours | theirs).sum())
            self.true[label] += int(theirs.sum())

    def compute(self) -> float:
        """Mean over the classes with a non-empty true band, 0 to 1; nan if there is none."""
        present = self.true > 0
        return float((self.shared[present] / self.covered[present]).mean())


def band(region: Bool[Tensor, "H W"], reach: int) -> Bool[Tensor, "H W"]:
    """The pixels of a region with a pixel outside the region at most ``reach`` rows and columns away."""
    outside = F.pad((~region).float()[None, None], (reach,) * 4, value=1.0)
    near = F.max_pool2d(F.max_pool2d(outside, (2 * reach + 1, 1), stride=1), (1, 2 * reach + 1), stride=1)
    return region & (near[0, 0] > 0)
