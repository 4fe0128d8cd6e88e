"""The IoU that a network's own probabilities promise for a photo, as ``tagseg review`` estimates it."""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float16, UInt8
from numpy import ndarray

from tagseg.inference.segment import Sizing
from tagseg.reviewing import signals
from tagseg.reviewing.estimate import fitted
from tagseg.reviewing.measure import SIDE


def photo_estimate(
    probs: Float16[ndarray, "C H W"], labels: UInt8[ndarray, "H W"], tags: tuple[int, ...] | None
) -> float:
    """The estimate before its limits 0 and 1, from some pixels of a photo; it serves to rank photos.

    Args:
        probs: probability of each label.
        labels: the label map.
        tags: indices of the photo's classes; ``None``: not known.
    """
    rows, columns = (
        ((np.arange(side) + 0.5) * old / side).astype(int)
        for side, old in zip(Sizing(max_side=SIDE).within(*labels.shape), labels.shape, strict=True)
    )
    some, chosen = probs[:, rows][:, :, columns].astype(np.float32), np.ascontiguousarray(labels[np.ix_(rows, columns)])
    classes = len(probs) - 1
    agreement = math.nan
    if tags is not None:
        tagged = np.zeros(classes, bool)
        tagged[list(tags)] = True
        agreement = signals.tag_agreement(signals.found_classes(chosen, classes), tagged)
    known = {"expected_iou": signals.expected_iou(torch.from_numpy(some), chosen), "tags": agreement}
    return fitted()(known).value
