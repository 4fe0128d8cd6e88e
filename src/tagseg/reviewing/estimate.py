"""From a photo's signals to an estimate of its IoU: a linear regression that also knows what to do without some.

Signals and IoU are taken for jointly normal. The estimate is the mean of the IoU given the signals that are known:

    IoU = m + d · rᵀ (R + λ I)⁻¹ z,    z = (signal − its mean) / its deviation,

where m and d are mean and deviation of the IoU, R holds the correlations of the known signals with one another and r
those with the IoU, all measured once on photos with masks (``fitted.json``). With every signal known this is a ridge
regression. docs/review.md says on which photos, and how far off it is on others.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

RIDGE = 0.05
"""λ: share of a signal's variance that is taken for chance."""


@dataclass(frozen=True)
class Estimate:
    """An estimated IoU.

    Attributes:
        value: the linear estimate, which may be a little below 0 or above 1.
        known: the signals that it was made from.
        pulls: how much each known signal alone, also of those that are not used, would raise (+) or lower (−) it.
    """

    value: float
    known: tuple[str, ...]
    pulls: dict[str, float]

    @property
    def iou(self) -> float:
        """The estimated IoU, 0 to 1."""
        return min(1.0, max(0.0, self.value))


@dataclass(frozen=True)
class Fitted:
    """What was measured on photos with masks.

    Attributes:
        names: of the m signals.
        used: those that the estimate is made from; the others tell no more than these.
        mean: m means of the signals, then that of the IoU.
        deviation: their standard deviations.
        correlation: (m + 1) rows of m + 1.
        shift: standard deviation of the error of a collection's mean IoU where the collection is of another kind than
            the photos that were fitted to.
        photos: their number.
    """

    names: tuple[str, ...]
    used: tuple[str, ...]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    correlation: tuple[tuple[float, ...], ...]
    shift: float
    photos: int

    @staticmethod
    def of(
        names: Sequence[str], used: Sequence[str], signals: Float64[ndarray, "n m"], ious: Float64[ndarray, " n"],
        shift: float = 0.0,
    ) -> Fitted:  # fmt: skip
        """Measure signals and IoUs of n photos; all are finite."""
        both = np.concatenate([signals, ious[:, None]], axis=1)
        mean, deviation = both.mean(axis=0), both.std(axis=0) + 1e-9
        centred = (both - mean) / deviation
        rows = (centred.T @ centred / len(both)).round(4).tolist()
        return Fitted(
            tuple(names), tuple(used), tuple(mean.round(5).tolist()), tuple(deviation.round(5).tolist()),
            tuple(map(tuple, rows)), shift, len(both),
        )  # fmt: skip

    def __call__(self, signals: Mapping[str, float]) -> Estimate:
        """The IoU given some signals; those that are nan or absent are not known."""
        scores = {
            name: (signals[name] - mean) / deviation
            for name, mean, deviation in zip(self.names, self.mean, self.deviation, strict=False)
            if math.isfinite(signals.get(name, math.nan))
        }
        known = tuple(name for name in self.used if name in scores)
        raised = sum(weight * scores[name] for weight, name in zip(self._weights(known), known, strict=True))
        with_iou = dict(zip(self.names, self.correlation[-1], strict=False))
        pulls = {name: self.deviation[-1] * with_iou[name] * score for name, score in scores.items()}
        return Estimate(self.mean[-1] + self.deviation[-1] * float(raised), known, pulls)

    def scatter(self, known: Sequence[str]) -> float:
        """Standard deviation of the error of one photo's estimate from the signals that are known."""
        chosen = [self.names.index(name) for name in known]
        correlation = np.array(self.correlation)
        weights, with_iou = self._weights(known), correlation[chosen, -1]
        left = 1 - 2 * weights @ with_iou + weights @ correlation[np.ix_(chosen, chosen)] @ weights
        return self.deviation[-1] * math.sqrt(max(0.0, left))

    def _weights(self, known: Sequence[str]) -> Float64[ndarray, " k"]:
        """Of the standardised signals, for the standardised IoU."""
        chosen = [self.names.index(name) for name in known]
        correlation = np.array(self.correlation)
        inner = correlation[np.ix_(chosen, chosen)] + RIDGE * np.eye(len(chosen))
        return np.linalg.solve(inner, correlation[chosen, -1])


@cache
def fitted() -> Fitted:
    """What the package comes with."""
    return read_fitted(files("tagseg.reviewing").joinpath("fitted.json").read_text("utf-8"))


def read_fitted(text: str) -> Fitted:
    """The content of ``fitted.json``, as ``as_json`` writes it."""
    content: dict[str, Any] = json.loads(text)
    names, used, mean, deviation = (tuple(content[key]) for key in ("names", "used", "mean", "deviation"))
    rows = tuple(map(tuple, content["correlation"]))
    return Fitted(names, used, mean, deviation, rows, content["shift"], content["photos"])


def as_json(fit: Fitted) -> str:
    """What ``read_fitted`` reads."""
    return json.dumps(asdict(fit)) + "\n"
