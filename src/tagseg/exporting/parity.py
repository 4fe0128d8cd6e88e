"""Whether an exported network gives what the network gives: on real photos, the whole way from pixels to labels."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy import ndarray

from tagseg.errors import TagsegError
from tagseg.exporting.graph import ExportGraph
from tagseg.inference.segment import label_map, resize, to_input
from tagseg.model.network import Network

Run = Callable[[ndarray], ndarray]
"""An exported network: input float32 (1, H, W, 3), RGB of 0 to 255 → logits float32 (1, C, h, w)."""


@dataclass(frozen=True)
class Tolerance:
    """What counts as the same network.

    Attributes:
        max_difference: largest difference of two logits; ``inf``: any.
        equal_labels: smallest share of equal labels, 0 to 1.
    """

    max_difference: float = 1e-3
    equal_labels: float = 0.999

    def __str__(self) -> str:
        logits = "" if math.isinf(self.max_difference) else f"at most {self.max_difference:g} and "
        return f"{logits}at least {100 * self.equal_labels:g} % equal labels"

    def as_dict(self) -> dict[str, float | None]:
        """For a JSON file, which has no infinity."""
        most = None if math.isinf(self.max_difference) else self.max_difference
        return {"max_difference": most, "equal_labels": self.equal_labels}


@dataclass(frozen=True)
class Parity:
    """How an exported network compares with the network itself, run by PyTorch in float32 at one scale.

    Attributes:
        photos: number of photos (or of random images).
        max_difference: largest difference of two logits.
        mean_difference: mean difference of two logits.
        largest_logit: largest absolute logit of the network, to hold the differences against.
        equal_labels: share of pixels, at the photos' sizes, with equal labels, 0 to 1.
        real: whether they were photos; else random images, which say less.
    """

    photos: int
    max_difference: float
    mean_difference: float
    largest_logit: float
    equal_labels: float
    real: bool = True

    def within(self, tolerance: Tolerance) -> bool:
        """Whether it is good enough; values that are not numbers never are."""
        return self.max_difference <= tolerance.max_difference and self.equal_labels >= tolerance.equal_labels

    def as_dict(self) -> dict[str, int | float | bool]:
        """For a JSON file."""
        return dataclasses.asdict(self)

    def summary(self) -> str:
        """One line for people."""
        what = "photos" if self.real else "random images"
        return (
            f"parity on {self.photos} {what}: logits differ by at most {self.max_difference:.1e}, "
            f"{100 * self.equal_labels:.4f} % equal labels"
        )


def check(
    run: Run, graph: ExportGraph, photos: Iterable[UInt8[ndarray, "_H _W 3"]], network: Network, real: bool = True
) -> Parity:
    """Compare an exported network with the network on photos.

    The reference resizes by PyTorch, as ``predict`` does at one scale without mirroring; the exported network gets what
    ``graph.input_of`` makes of the photo.

    Args:
        run: the exported network.
        graph: which was exported.
        photos: uint8 (H, W, 3), one at least.
        network: of which the graph was made.
        real: whether the photos are real ones.

    Raises:
        TagsegError: the exported network gives another shape, or there is no photo.
    """
    largest, logit, total, values, equal, pixels, count = 0.0, 0.0, 0.0, 0, 0, 0, 0
    for photo in photos:
        ours = reference(network, graph, photo)
        theirs = _run(run, graph.input_of(photo))
        if theirs.shape != ours.shape:
            raise TagsegError(f"the exported network gives logits of {theirs.shape}, expected {ours.shape}: report it")
        difference = np.abs(theirs.astype(np.float64) - ours)
        largest, logit = float(np.maximum(largest, difference.max())), max(logit, float(np.abs(ours).max()))
        total, values = total + float(difference.sum()), values + difference.size
        labels = [label_map([torch.from_numpy(one[0].astype(np.float32))], photo.shape[:2]) for one in (ours, theirs)]
        equal, pixels, count = equal + int((labels[0] == labels[1]).sum()), pixels + labels[0].size, count + 1
    if not count:
        raise TagsegError("there is no photo to compare the exported network on, expected one at least")
    return Parity(count, largest, total / values, logit, equal / pixels, real)


def _run(run: Run, image: Float[ndarray, "1 H W 3"]) -> Float[ndarray, "1 C h w"]:
    try:
        return run(image)
    except Exception as error:  # of onnxruntime, PyTorch or another runtime
        first = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise TagsegError(f"the exported network fails at an input of {image.shape} ({first}): try --size N") from error


@torch.inference_mode()
def reference(network: Network, graph: ExportGraph, photo: UInt8[ndarray, "H W 3"]) -> Float[ndarray, "1 C h w"]:
    """Logits of the network itself for a photo, at one scale, not mirrored."""
    size = graph.input_size(*photo.shape[:2])
    return network.segment_logits(resize(to_input(network, photo), size)).float().cpu().numpy()
