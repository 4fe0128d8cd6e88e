"""Several runs beside each other."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tagseg.metrics.segmentation import SegmentationResult
from tagseg.metrics.trimap import DISTANCES
from tagseg.reporting.measured_run import MeasuredRun
from tagseg.reporting.page.html import Html, element, percent, section, table

_NEAR = DISTANCES.index(4)


def comparison_section(runs: Sequence[MeasuredRun]) -> Html | None:
    """A row for each run, and the IoU of each class against that of the first; ``None`` for one run."""
    if len(runs) < 2:
        return None
    header = ("run", "mIoU, %", "with CRF, %", "CAM mIoU, %", f"mIoU ≤ {DISTANCES[_NEAR]} px from outlines, %",
              "tag F1, %", "estimated IoU, %", "photos")  # fmt: skip
    rows = [_row(one) for one in runs]
    return section(
        "comparison", "Comparison", _warning(runs), table(header, rows), *_differences(runs),
        element("p", "The same photos side by side are in the gallery."),
    )  # fmt: skip


def same_photos(runs: Sequence[MeasuredRun]) -> bool:
    """Whether all runs were measured on the same photos."""
    return len({frozenset(str(photo.image.resolve()) for photo in one.photos) for one in runs}) == 1


def _row(one: MeasuredRun) -> tuple[object, ...]:
    scores = one.scores
    return (
        one.run.name,
        percent(scores.result.mean_iou if scores and one.run.segments else None, 2),
        percent(scores.crf_result.mean_iou if scores and scores.crf_result else None, 2),
        percent(one.cam.result.mean_iou if one.cam else None, 2),
        percent(one.trimap[_NEAR].mean_iou if one.trimap else None),
        percent(one.tags.f1 if one.tags else None),
        percent(one.review.mean_iou if one.review else None, 0),
        len(one.photos),
    )


def _warning(runs: Sequence[MeasuredRun]) -> Html | None:
    if same_photos(runs):
        return None
    text = (
        "These runs were measured on different photos, so their scores do not tell which is better: give all the same "
        "with --data.root and --split."
    )
    return element("p", text, class_="warning")


def _differences(runs: Sequence[MeasuredRun]) -> list[Html]:
    """A table of the classes, and a remark what it is."""
    scored = [
        (one.run.name if one.run.segments else f"{one.run.name} (CAM)", one.scores)
        for one in runs if one.scores is not None
    ]  # fmt: skip
    if len(scored) < 2:
        return []
    (name, first), *others = scored
    rows = [
        (label_name, percent(_iou(first.result, label)),
         *(_change(_iou(first.result, label), _iou(other.result, label)) for _, other in others))
        for label, label_name in enumerate(first.classes)
    ]  # fmt: skip
    header = ("class", f"{name}, IoU %", *(f"{other}, points" for other, _ in others))
    return [element("p", f"IoU of each class, and how many points more (+) or less (−) than {name} the others have:"),
            table(header, rows)]  # fmt: skip


def _iou(result: SegmentationResult, label: int) -> float:
    return result.iou[label] if result.truth_pixels[label] else float("nan")


def _change(before: float, after: float) -> str:
    if math.isnan(before) or math.isnan(after):
        return "–"
    points = round(100 * (after - before), 1)
    return f"{'+' if points > 0 else '−' if points < 0 else '±'}{abs(points):.1f}"
