"""Signals of how sure a network is about a photo: small functions of probabilities, label maps and tags.

Of each, the value is known without any mask. ``measure.py`` applies them to a photo.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from numpy import ndarray
from torch import Tensor

SPECK = 0.005
"""Share of the photo from which on a predicted class counts as found, where it is held against tags."""


def mean_entropy(probabilities: Float[Tensor, "C H W"]) -> float:
    """Mean entropy of the pixels' probabilities, 0 (sure) to 1 (all classes are equally likely)."""
    classes = probabilities.shape[0]
    return float(torch.special.entr(probabilities).sum(dim=0).mean()) / math.log(classes)


def expected_iou(probabilities: Float[Tensor, "C H W"], labels: UInt8[ndarray, "H W"]) -> float:
    """The mean IoU, 0 to 1, that the network's probabilities promise its label map, if they were right.

    Of each label, background included, the expected intersection by the expected union. A label counts as much as its
    highest probability in the photo: a class that shows nowhere hardly does, and one that is missed does.
    """
    chosen = torch.from_numpy(labels).to(probabilities.device).long().flatten()
    flat = probabilities.flatten(1)
    own = flat.gather(0, chosen[None])[0]
    hits = torch.zeros_like(flat[:, 0]).index_add(0, chosen, own)
    union = chosen.bincount(minlength=len(flat)) + flat.sum(dim=1) - hits
    weights = flat.amax(dim=1)
    return float((weights * hits / union.clamp(min=1e-9)).sum() / weights.sum())


def foreground_margin(probabilities: Float[Tensor, "C H W"], labels: UInt8[ndarray, "H W"]) -> float:
    """Mean margin, 0 to 1, of the likeliest class over the next one, over the pixels that are labelled as foreground.

    Where nothing is found: over the tenth of the pixels with the smallest margin, where something may be missed.
    """
    best = probabilities.topk(2, dim=0).values
    margin = best[0] - best[1]
    foreground = torch.from_numpy(labels > 0).to(margin.device)
    if foreground.any():
        return float(margin[foreground].mean())
    return float(margin.flatten().topk(max(1, margin.numel() // 10), largest=False).values.mean())


def uncertain_share(probabilities: Float[Tensor, "C H W"], low: float = 0.25, high: float = 0.75) -> float:
    """Of the pixels that may be foreground, the share that are neither certain foreground nor certain background.

    The partition of the method (section 3 of docs/method.md) on the probability of foreground instead of a CAM; 0
    where nothing may be foreground.
    """
    foreground = 1 - probabilities[0]
    possible = foreground > low
    uncertain = possible & (foreground < high)
    return float(uncertain.sum() / possible.sum().clamp(min=1))


def found_classes(labels: UInt8[ndarray, "H W"], classes: int) -> Bool[ndarray, " K"]:
    """Which of the K classes a label map has, specks of less than half a percent of the photo aside."""
    counts = np.bincount(labels.ravel(), minlength=classes + 1)[1 : classes + 1]
    return counts >= SPECK * labels.size


def tag_agreement(found: Bool[ndarray, " K"], tags: Bool[ndarray, " K"]) -> float:
    """Classes that are both found and tagged, as a share of those that are found or tagged; 1 where there are none."""
    either = int((found | tags).sum())
    return int((found & tags).sum()) / either if either else 1.0


def tag_prior_agreement(labels: UInt8[ndarray, "H W"], tags: Float[ndarray, " K"]) -> float:
    """Mean probability that the photo as a whole shows the class, over the pixels that are labelled as foreground.

    Where nothing is found: the probability that the photo shows none of the classes that is likeliest.
    """
    counts = np.bincount(labels.ravel(), minlength=len(tags) + 1)[1 : len(tags) + 1]
    return float((counts * tags).sum() / counts.sum()) if counts.any() else float(1 - tags.max())


def foreground_share(labels: UInt8[ndarray, "H W"]) -> float:
    """Share of the photo that is foreground, 0 to 1."""
    return float((labels > 0).mean())


def thinness(labels: UInt8[ndarray, "H W"]) -> float:
    """Share of the foreground's pixels that touch another label, 0 to 1: high for thin things, and for many parts.

    1 where nothing is found.
    """
    foreground = labels > 0
    edge = np.zeros(labels.shape, bool)
    across, down = labels[:, 1:] != labels[:, :-1], labels[1:] != labels[:-1]
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    edge[1:] |= down
    edge[:-1] |= down
    return float(edge[foreground].mean()) if foreground.any() else 1.0
