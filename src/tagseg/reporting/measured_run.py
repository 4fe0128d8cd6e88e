"""What a report knows of a run's masks: scores against ground truth, or without any an estimate."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from jaxtyping import UInt8
from numpy import ndarray

from tagseg.inference.evaluation_result import Evaluation
from tagseg.metrics.segmentation import SegmentationResult
from tagseg.reporting.certainty import RegionResult
from tagseg.reporting.object_size import SizeResult
from tagseg.reporting.opened_run import OpenedRun
from tagseg.reviewing.queue import Review


@dataclass(frozen=True)
class PhotoScore:
    """A photo with its scores.

    Attributes:
        name: in the data.
        image: its file.
        tags: indices of its classes; ``None`` where they are not known.
        iou: of its label map (``reviewing.agreement.photo_iou``), 0 to 1; nan where nothing was scored.
        estimate: the IoU that ``tagseg review`` expects from the network's own probabilities, and from the tags where
            they are known; nan of a CAM.
    """

    name: str
    image: Path
    tags: tuple[int, ...] | None
    iou: float
    estimate: float


@dataclass(frozen=True)
class Maps:
    """The label maps of a photo for the gallery, reduced to its size.

    Attributes:
        labels: predicted, 0 to C-1.
        truth: ground truth, 255 ignored; ``None`` if there is none.
        regions: certain background (0), uncertain (1) and certain foreground (2); ``None`` without probabilities.
    """

    labels: UInt8[ndarray, "h w"]
    truth: UInt8[ndarray, "_h _w"] | None
    regions: UInt8[ndarray, "_h _w"] | None


@dataclass(frozen=True)
class TagScore:
    """How well tags are predicted.

    Attributes:
        f1: mean F1 of the photos, 0 to 1.
        photos: with known tags.
        side: of the network's input in pixels.
    """

    f1: float
    photos: int
    side: int


@dataclass(frozen=True)
class MeasuredRun:
    """A run and what was measured of it.

    Attributes:
        run: what was opened.
        split: whose photos these are.
        photos: all of them, in the order of the data.
        maps: label maps of those in the gallery, by name.
        groups: heading of the gallery → its photos; empty of all runs but the first.
        flags: of ``tagseg evaluate``, to have the same scores again.
        scores: against ground truth; ``None`` if there is none, and then the next fields are empty.
        cam: scores of the CAM; ``None`` where it was not scored.
        cam_left_out: why it was not.
        tags: score of the predicted tags; ``None`` where tags are not known.
        trimap: scores within each of ``metrics.trimap.DISTANCES``.
        sizes: IoU by size.
        regions: where the network is certain; empty of a CAM.
        partition: the regions of FSR's own partition, by the auxiliary CAM; empty of other methods.
        review: the estimate where nothing was scored.
    """

    run: OpenedRun
    split: str
    photos: tuple[PhotoScore, ...]
    maps: dict[str, Maps]
    groups: dict[str, tuple[str, ...]]
    flags: tuple[str, ...] = ()
    scores: Evaluation | None = None
    cam: Evaluation | None = None
    cam_left_out: str = ""
    tags: TagScore | None = None
    trimap: tuple[SegmentationResult, ...] = field(default=())
    sizes: tuple[SizeResult, ...] = field(default=())
    regions: tuple[RegionResult, ...] = field(default=())
    partition: tuple[RegionResult, ...] = field(default=())
    review: Review | None = None

    def headline(self) -> str:
        """Its name and most important numbers, or the estimate where nothing was scored, in a line."""
        if self.scores is None:
            return f"{self.run.name}: {self.review.summary() if self.review else 'nothing was scored'}"
        after = self.scores.crf_result
        crf = "" if after is None else f", with CRF {100 * after.mean_iou:.2f} %"
        what = "segmentation" if self.run.segments else "CAM"
        mean = f"{100 * self.scores.result.mean_iou:.2f} %"
        return f"{self.run.name}: {what} mIoU {mean}{crf} ({len(self.photos)} photos of {self.split})"

    @cached_property
    def by_name(self) -> dict[str, PhotoScore]:
        """The photos by their names."""
        return {photo.name: photo for photo in self.photos}
