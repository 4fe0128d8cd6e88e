"""The review queue: photos with the least estimated IoU first, and the estimate for all of them together."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tagseg.data.dataset import Sample
from tagseg.reviewing.estimate import Fitted
from tagseg.reviewing.measure import Measured
from tagseg.reviewing.reasons import reason


@dataclass(frozen=True)
class Reviewed:
    """A photo of the queue.

    Attributes:
        image: its file.
        name: its name in the data.
        score: what photos are ranked by, the highest first: 1 minus the estimated IoU before its limits 0 and 1.
        iou: estimated IoU of its label map, 0 to 1 (``agreement.photo_iou``).
        signals: by name; nan where a signal is not known.
        why: what lowers its estimate most.
    """

    image: Path
    name: str
    score: float
    iou: float
    signals: dict[str, float]
    why: str


@dataclass(frozen=True)
class Review:
    """What a review found.

    Attributes:
        photos: the queue, the photo to correct first at the front.
        mean_iou: estimate of the mean IoU of a photo, 0 to 1. Not mIoU as ``evaluate`` gives it, whose mean is over
            classes.
        error: its standard error: by chance and because photos may be of another kind than those it was fitted to.
        sheet: picture of the front of the queue; ``None`` if none was asked for.
    """

    photos: tuple[Reviewed, ...]
    mean_iou: float
    error: float
    sheet: Path | None = None

    def __len__(self) -> int:
        """Number of photos."""
        return len(self.photos)

    def summary(self) -> str:
        """The estimate in one line."""
        count = f"{len(self)} photo{'' if len(self) == 1 else 's'}"
        return (
            f"estimated mean IoU of {count}: {100 * self.mean_iou:.0f} % ± {100 * self.error:.0f} (standard error; "
            "nothing was scored)"
        )


def queue_of(
    samples: Mapping[int, Sample], measured: Mapping[int, Measured], fit: Fitted, classes: tuple[str, ...]
) -> tuple[list[int], Review]:
    """The order of the photos, as their keys, and the queue.

    Args:
        samples: the photos by a key, at least those that were measured.
        measured: their signals, one photo at least.
        fit: estimates IoUs.
        classes: names of the K classes.
    """
    entries, raw, variance = {}, {}, 0.0
    for key, one in measured.items():
        estimate = fit(one.signals)
        raw[key] = 1 - estimate.value
        why = reason(one, estimate, classes)
        sample = samples[key]
        entries[key] = Reviewed(sample.image, sample.name, raw[key], estimate.iou, one.signals, why)
        variance += fit.scatter(estimate.known) ** 2
    order = sorted(entries, key=lambda key: (-raw[key], key))
    photos = tuple(entries[key] for key in order)
    mean = sum(photo.iou for photo in photos) / len(photos)
    error = math.hypot(fit.shift, math.sqrt(variance) / len(photos))
    return order, Review(photos, mean, error)
