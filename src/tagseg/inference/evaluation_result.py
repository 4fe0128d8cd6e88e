"""The scores of an evaluation and their protocol, as a table for a terminal and as files."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path

from jaxtyping import Int64
from numpy import ndarray

from tagseg.data.notes import Note
from tagseg.errors import list_some
from tagseg.inference import export
from tagseg.metrics.segmentation import SegmentationResult

_PER_CLASS = ("iou", "truth_pixels", "predicted_pixels")


@dataclass(frozen=True)
class Evaluation:
    """Scores and their protocol.

    Attributes:
        protocol: all settings that change the scores, by name.
        classes: the C label names, background first.
        result: scores without CRF.
        matrix: int64 (C, C), confusion matrix: pixels by true (row) and predicted (column) label.
        crf_result: scores after the dense CRF, if there was one.
        crf_matrix: confusion matrix after the dense CRF.
        notes: what the tags and the masks of the images differ in.
    """

    protocol: dict[str, object]
    classes: tuple[str, ...]
    result: SegmentationResult
    matrix: Int64[ndarray, "C C"]
    crf_result: SegmentationResult | None = None
    crf_matrix: Int64[ndarray, "C C"] | None = None
    notes: tuple[Note, ...] = ()

    def table(self) -> str:
        """Scores in percent and the protocol, as text for a terminal."""
        width = max(len(name) for name in (*self.classes, "pixel accuracy"))
        results = [self.result, *([self.crf_result] if self.crf_result else [])]
        total = max(1, sum(self.result.truth_pixels))
        lines = [f"{'class':<{width}}  IoU %{'  with CRF' if self.crf_result else ''}  true px %"]
        for label, name in enumerate(self.classes):
            pixels = self.result.truth_pixels[label]
            shown = [f"{100 * result.iou[label]:5.1f}" if pixels else "    -" for result in results]
            lines.append(f"{name:<{width}}  {_columns(shown)}  {100 * pixels / total:9.2f}")  # - : not in the mean
        means = [f"{100 * result.mean_iou:5.2f}" for result in results]
        accuracies = [f"{100 * result.pixel_accuracy:5.2f}" for result in results]
        lines += [
            "",
            f"{'mIoU':<{width}}  {_columns(means)}{self._remark()}",
            f"{'pixel accuracy':<{width}}  {_columns(accuracies)}",
        ]
        return "\n".join([*lines, "", *(f"{name}: {value}" for name, value in self.protocol.items())])

    def _remark(self) -> str:
        """What the mean leaves out, beside it, so that it is never read as one over all classes."""
        absent = self.result.absent(self.classes)
        if not absent:
            return ""
        if len(absent) == len(self.classes) - 1 and self.classes[0] not in absent:
            return f"  of {self.classes[0]} alone: no class has a pixel in the ground truth"
        return f"  without {list_some(list(absent), most=10)} (no pixel in the ground truth)"

    def save(self, output: Path) -> None:
        """Write ``evaluation.json`` (protocol and scores) and ``confusion_matrix.csv`` to a folder.

        Scores after a CRF are below ``crf`` and in ``confusion_matrix_crf.csv``.
        """
        crf = {} if self.crf_result is None else {"crf": _scores(self.crf_result, self.classes)}
        export.save_json(
            output / "evaluation.json", {"protocol": self.protocol, **_scores(self.result, self.classes), **crf}
        )
        for name, matrix in (("confusion_matrix", self.matrix), ("confusion_matrix_crf", self.crf_matrix)):
            if matrix is not None:
                rows = [(label, *row) for label, row in zip(self.classes, matrix.tolist(), strict=True)]
                export.save_table(output / f"{name}.csv", ("true \\ predicted", *self.classes), rows)


def _columns(shown: list[str]) -> str:
    """Align one number below ``IoU %`` and, if there is another one, that below ``with CRF``."""
    return "  ".join([shown[0], *(f"{number:>8}" for number in shown[1:])])


def _scores(result: SegmentationResult, classes: tuple[str, ...]) -> dict[str, object]:
    """Overall and per-class scores as JSON takes them."""
    scores = asdict(result)
    per_class = [
        {"label": label, "name": name, **{key: _finite(scores[key][label]) for key in _PER_CLASS}}
        for label, name in enumerate(classes)
    ]
    return {**{key: _finite(value) for key, value in scores.items() if key not in _PER_CLASS}, "classes": per_class}


def _finite(value: float | int) -> float | int | None:
    """``None`` for nan, which JSON does not have."""
    return value if math.isfinite(value) else None
