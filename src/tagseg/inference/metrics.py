"""Scores: IoU and pixel accuracy of label maps, F1 of predicted tags. The class count is always explicit.

The confusion matrix is one ``bincount`` here and not torchmetrics' ``MulticlassConfusionMatrix``: that gives the same
integers, but its import takes seconds (measured: 9 s alone, 3 s after PyTorch and timm) and prediction must do without.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64, Integer
from numpy import ndarray
from torch import Tensor

from tagseg.data.dataset import IGNORE
from tagseg.errors import TagsegError


@dataclass(frozen=True)
class SegmentationResult:
    """Scores of C classes (label 0 is the background) over all pixels that were counted.

    Attributes:
        mean_iou: mean of ``iou`` over the classes present in the truth, 0 to 1; nan if no pixel was counted.
        pixel_accuracy: share of the counted pixels that are right, 0 to 1; nan if no pixel was counted.
        iou: per class, intersection / union, 0 to 1. A class absent from the truth has 0 if it was predicted
            anywhere and nan if not; neither enters the mean.
        truth_pixels: per class, how many counted pixels are it.
        predicted_pixels: per class, how many counted pixels were predicted as it.
    """

    mean_iou: float
    pixel_accuracy: float
    iou: tuple[float, ...]
    truth_pixels: tuple[int, ...]
    predicted_pixels: tuple[int, ...]


class SegmentationScore:
    """Accumulates the confusion matrix of predicted and true label maps.

    Attributes:
        classes: C, the background included.
        matrix: int64 (C, C), pixels by true label (row) and predicted label (column). Distributed: sum it over the
            processes (``all_reduce``) before ``compute``.
    """

    def __init__(self, classes: int, device: str | torch.device = "cpu") -> None:
        if not 2 <= classes <= IGNORE:
            raise TagsegError(f"cannot score {classes} classes, expected 2 to {IGNORE} with the background")
        self.classes = classes
        self.matrix: Int64[Tensor, "C C"] = torch.zeros((classes, classes), dtype=torch.int64, device=device)

    def update(
        self, prediction: Integer[ndarray | Tensor, "*shape"], truth: Integer[ndarray | Tensor, "*shape"]
    ) -> None:
        """Count one label map or a batch of them.

        Args:
            prediction: labels 0 to C-1.
            truth: labels 0 to C-1, or 255: not counted.

        Raises:
            TagsegError: shapes differ, or a counted pixel has another label.
        """
        if prediction.shape != truth.shape:
            shapes = f"{tuple(prediction.shape)} and {tuple(truth.shape)}"
            raise TagsegError(f"prediction and truth have different shapes: {shapes}, expected the same")
        device = self.matrix.device
        true = torch.as_tensor(truth, device=device).flatten().long()
        counted = true != IGNORE
        true = true[counted]
        predicted = torch.as_tensor(prediction, device=device).flatten()[counted].long()
        _check_labels("truth", true, self.classes)
        _check_labels("prediction", predicted, self.classes)
        pairs = torch.bincount(true * self.classes + predicted, minlength=self.classes**2)
        self.matrix += pairs.reshape(self.classes, self.classes)

    def compute(self) -> SegmentationResult:
        """The scores of everything counted so far."""
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


def tag_f1(logits: Float[Tensor, "B K"], tags: Float[Tensor, "B K"], threshold: float = 0.5) -> Float[Tensor, " B"]:
    """F1 of each image's predicted tags (METHOD §8): take the mean over all images for the tag F1.

    The average is per image, as usual in this family of methods (scikit-learn's ``average="samples"``), except that an
    image without tags for which none is predicted is right and has 1.

    Args:
        logits: of the foreground classes; a tag is predicted where sigmoid(logit) > ``threshold``.
        tags: 0 or 1.
        threshold: of the probability, 0 to 1.

    Returns:
        2·hits / (predicted + true), 0 to 1.
    """
    predicted = logits.sigmoid() > threshold
    true = tags > 0
    hits = (predicted & true).sum(dim=1)
    total = predicted.sum(dim=1) + true.sum(dim=1)
    return torch.where(total > 0, 2 * hits / total.clamp(min=1), 1.0)
