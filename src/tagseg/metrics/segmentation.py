"""IoU and pixel accuracy of label maps.

The confusion matrix is a ``bincount``. Torchmetrics' ``MulticlassConfusionMatrix`` gives the same integers, but its
import takes seconds (measured: 9 s alone, 3 s after PyTorch and timm), which prediction avoids.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int64, Integer, UInt8
from numpy import ndarray
from torch import Tensor

from tagseg.data.dataset import IGNORE
from tagseg.errors import TagsegError


@dataclass(frozen=True)
class SegmentationResult:
    """Scores of C classes (label 0 is background) over all counted pixels.

    Attributes:
        mean_iou: mean of ``iou`` over the classes present in the ground truth, 0 to 1; nan if no pixel was counted.
        pixel_accuracy: share of the counted pixels that are correct, 0 to 1; nan if no pixel was counted.
        iou: intersection / union of each class, 0 to 1. For classes that are absent from the ground truth it is 0 if
            they were predicted anywhere, else nan; they are not in the mean.
        truth_pixels: number of counted pixels of each class in the ground truth.
        predicted_pixels: number of counted pixels of each class in the prediction.
    """

    mean_iou: float
    pixel_accuracy: float
    iou: tuple[float, ...]
    truth_pixels: tuple[int, ...]
    predicted_pixels: tuple[int, ...]

    def absent(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Those of the C label names that have no counted pixel in the ground truth, and so are not in the mean."""
        return tuple(name for name, pixels in zip(names, self.truth_pixels, strict=True) if not pixels)


class SegmentationScore:
    """Accumulates the confusion matrix of predicted and true label maps.

    Attributes:
        classes: C, the background included.
        matrix: int64 (C, C), pixels by true label (row) and predicted label (column). With several processes, sum it
            over them (``all_reduce``) before ``compute``.
    """

    def __init__(self, classes: int, device: str | torch.device = "cpu") -> None:
        if not 2 <= classes <= IGNORE:
            raise TagsegError(f"cannot score {classes} classes, expected 2 to {IGNORE} with the background")
        self.classes = classes
        self.matrix: Int64[Tensor, "C C"] = torch.zeros((classes, classes), dtype=torch.int64, device=device)

    def update(
        self, prediction: Integer[ndarray | Tensor, "*shape"], truth: Integer[ndarray | Tensor, "*shape"]
    ) -> None:
        """Add one label map or a batch of them.

        Args:
            prediction: labels 0 to C-1.
            truth: ground truth, labels 0 to C-1, or 255 for pixels that are not counted.

        Raises:
            TagsegError: shapes differ, or labels are out of range.
        """
        if prediction.shape != truth.shape:
            shapes = f"{tuple(prediction.shape)} and {tuple(truth.shape)}"
            raise TagsegError(f"prediction and truth have different shapes: {shapes}, expected the same")
        device = self.matrix.device
        if (
            isinstance(prediction, ndarray)
            and isinstance(truth, ndarray)
            and prediction.dtype == truth.dtype == np.uint8
        ):
            self.matrix += torch.from_numpy(self._pairs_of_bytes(prediction, truth)).to(device)
            return
        true = torch.as_tensor(truth, device=device).flatten().long()
        counted = true != IGNORE
        true = true[counted]
        predicted = torch.as_tensor(prediction, device=device).flatten()[counted].long()
        _check_labels("truth", true, self.classes)
        _check_labels("prediction", predicted, self.classes)
        pairs = torch.bincount(true * self.classes + predicted, minlength=self.classes**2)
        self.matrix += pairs.reshape(self.classes, self.classes)

    def _pairs_of_bytes(
        self, prediction: UInt8[ndarray, "*shape"], truth: UInt8[ndarray, "*shape"]
    ) -> Int64[ndarray, "C C"]:
        """Pixels by true and predicted label; all values of a byte are counted, faster than to select first."""
        codes = (truth.astype(np.uint16) << 8) | prediction
        pairs = np.bincount(codes.ravel(), minlength=1 << 16).reshape(256, 256)
        pairs[IGNORE] = 0
        _check_labels("truth", torch.from_numpy(np.flatnonzero(pairs.any(axis=1))), self.classes)
        _check_labels("prediction", torch.from_numpy(np.flatnonzero(pairs.any(axis=0))), self.classes)
        return pairs[: self.classes, : self.classes]

    def compute(self) -> SegmentationResult:
        """The scores of all label maps added so far."""
        matrix = self.matrix.cpu().numpy()
        hit, truth, predicted = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
        with np.errstate(invalid="ignore"):
            iou = hit / (truth + predicted - hit)
            accuracy = hit.sum() / truth.sum()
        present = truth > 0
        return SegmentationResult(
            mean_iou=float(iou[present].mean()) if present.any() else float("nan"),
            pixel_accuracy=float(accuracy),
            iou=tuple(iou.tolist()),
            truth_pixels=tuple(truth.tolist()),
            predicted_pixels=tuple(predicted.tolist()),
        )


def _check_labels(what: str, labels: Tensor, classes: int) -> None:
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        wrong = int(labels.max()) if int(labels.max()) >= classes else int(labels.min())
        raise TagsegError(f"{what} has label {wrong}, expected 0 to {classes - 1} for {classes} classes, or {IGNORE}")
