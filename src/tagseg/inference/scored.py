"""What an evaluation shows of each photo, to whoever measures more than IoU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Float16, UInt8
from numpy import ndarray

from tagseg.data.dataset import Sample


@dataclass(frozen=True)
class Scored:
    """A photo that was scored.

    Attributes:
        sample: the photo.
        labels: its label map without a CRF, at its size.
        refined: the label map after a CRF, if there was one.
        probs: probability of each label before a CRF, where the predictor was asked for ``scores``; ``None`` of a CAM.
        truth: ground truth, 255 ignored.
    """

    sample: Sample
    labels: UInt8[ndarray, "H W"]
    refined: UInt8[ndarray, "H W"] | None
    probs: Float16[ndarray, "C H W"] | None
    truth: UInt8[ndarray, "H W"]


See = Callable[[Scored], None]
"""Is shown each photo as it is scored."""
