"""All signals of one photo, from what the network said about it and what is known of its tags."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from numpy import ndarray
from torch import Tensor

from tagseg.inference.segment import Sizing, most_likely
from tagseg.reviewing import signals
from tagseg.reviewing.agreement import mean_agreement, photo_iou
from tagseg.reviewing.views import Views

SIDE = 128
"""Longest side in pixels of the label maps that are held against each other: a patch of a photo of 500 pixels is 4."""
NAMES = (
    "entropy", "expected_iou", "margin", "uncertain", "mirror", "scales", "tag_prior", "thinness", "share", "tags",
    "labels",
)  # fmt: skip
"""The signals, in the order of the table; docs/review.md says what each is."""


@dataclass(frozen=True)
class Measured:
    """What is kept of a photo.

    Attributes:
        signals: by name; nan where a signal is not known.
        labels: its label map, at most ``SIDE`` pixels large.
        tags: (K,) which classes it is tagged with; ``None`` where that is not known.
        likely: (K,) probability that the photo as a whole shows a class.
    """

    signals: dict[str, float]
    labels: UInt8[ndarray, "h w"]
    tags: Bool[ndarray, " K"] | None
    likely: Float[ndarray, " K"]

    @property
    def found(self) -> Bool[ndarray, " K"]:
        """Which classes were found, specks aside."""
        return signals.found_classes(self.labels, len(self.likely))

    def told(self, label: UInt8[ndarray, "_h _w"]) -> Measured:
        """The same with the agreement of its label map and a label that was told the tags, at any size."""
        known = {**self.signals, "labels": photo_iou(self.labels, nearest(label, self.labels.shape))}
        return Measured(known, self.labels, self.tags, self.likely)


@torch.inference_mode()
def measure(views: Views, tags: Bool[ndarray, " K"] | None = None) -> Measured:
    """The signals of a photo; ``labels`` is not known yet."""
    size = Sizing(max_side=SIDE).within(*views.size)
    planes = views.upsampled(size)
    scales = [plane.mean(dim=0) for plane in planes]  # upsampling is linear: these are what prediction merges
    merged = torch.stack(scales).amax(dim=0)
    probabilities, labels = merged.softmax(dim=0), most_likely(merged)
    likely = views.tags.cpu().numpy()
    found = signals.found_classes(labels, len(likely))
    known = {
        "entropy": signals.mean_entropy(probabilities),
        "expected_iou": signals.expected_iou(probabilities, labels),
        "margin": signals.foreground_margin(probabilities, labels),
        "uncertain": signals.uncertain_share(probabilities),
        "mirror": _mean([mean_agreement(_maps(plane)) for plane in planes]),
        "scales": mean_agreement(_maps(scales)),
        "tag_prior": signals.tag_prior_agreement(labels, likely),
        "thinness": signals.thinness(labels),
        "share": signals.foreground_share(labels),
        "tags": math.nan if tags is None else signals.tag_agreement(found, tags),
        "labels": math.nan,
    }
    return Measured(known, labels, tags, likely)


def nearest(label: UInt8[ndarray, "H W"], size: tuple[int, ...]) -> UInt8[ndarray, "h w"]:
    """A label map at another size, each pixel from the nearest."""
    rows, columns = ((np.arange(side) + 0.5) * old / side for side, old in zip(size, label.shape, strict=True))
    return np.ascontiguousarray(label[np.ix_(rows.astype(int), columns.astype(int))])


def _maps(logits: Iterable[Tensor]) -> list[UInt8[ndarray, "H W"]]:
    return [most_likely(one) for one in logits]


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
