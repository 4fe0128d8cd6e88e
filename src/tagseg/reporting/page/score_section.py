"""Scores by protocol, the IoU of each class, and what an estimate says where nothing was scored."""

from __future__ import annotations

from collections.abc import Sequence

from tagseg.inference.evaluation_result import Evaluation
from tagseg.metrics.segmentation import SegmentationResult
from tagseg.reporting.measured_run import MeasuredRun
from tagseg.reporting.page.bars import Bar, bars
from tagseg.reporting.page.html import Html, details, element, join, percent, section, table

NOTHING_SCORED = (
    "Nothing was scored: these photos have no ground-truth masks. What follows is an estimate from the network's own "
    "probabilities and the tags, as tagseg review makes it; how far off it can be is in docs/review.md."
)
OPEN_CLASSES = 30
"""More bars than these are shown when asked for."""


def score_section(runs: Sequence[MeasuredRun]) -> Html:
    """One table of all scores, with the protocol of each below."""
    rows = [row for one in runs for row in _rows(one, len(runs) > 1)]
    remarks = [element("p", text) for one in runs for text in _remarks(one)]
    found = table(("protocol", "mIoU, %", "pixel accuracy, %", "photos"), rows) if rows else None
    tags = [_tags(one) for one in runs if one.tags is not None]
    protocols = [_protocol(one, what, evaluation) for one in runs for what, evaluation in _evaluations(one)]
    estimates = [_estimate(one, len(runs) > 1) for one in runs if one.review is not None]
    return section("scores", "Scores", estimates, found, remarks, tags, protocols)


def class_section(runs: Sequence[MeasuredRun]) -> Html | None:
    """IoU of each class."""
    series = _series(runs)
    if not series:
        return None
    first = next(one for one in runs if one.scores is not None)
    assert first.scores is not None
    names, colours = first.scores.classes, first.run.network.colours
    rows = [
        Bar(name, tuple(_iou(result, label) for _, result in series), colours[label])
        for label, name in enumerate(names)
    ]
    total = max(1, sum(first.scores.result.truth_pixels))
    numbers = [
        (name, *(percent(_iou(result, label)) for _, result in series),
         percent(first.scores.result.truth_pixels[label] / total, 2))
        for label, name in enumerate(names)
    ]  # fmt: skip
    chart = bars("class-iou", "IoU of each class, %", rows, [name for name, _ in series])
    if len(names) * len(series) > OPEN_CLASSES * 2:
        chart = details(f"Chart of {len(names)} classes", chart, open_=True)
    header = ("class", *(f"{name or 'IoU'}, %" for name, _ in series), "true pixels, %")
    note = element("p", "IoU of all pixels of a class together. – : no pixel of the class in the ground truth.")
    return section("classes", "IoU of each class", note, chart, details("Numbers", table(header, numbers)))


def _series(runs: Sequence[MeasuredRun]) -> list[tuple[str, SegmentationResult]]:
    """What stands side by side for each class: a run, and a run with CRF."""
    found: list[tuple[str, SegmentationResult]] = []
    for one in runs:
        if one.scores is None:
            continue
        name = one.run.name if len(runs) > 1 else _what(one)
        found.append((name, one.scores.result))
        if one.scores.crf_result is not None:
            found.append((f"{name} with CRF", one.scores.crf_result))
    return found


def _what(one: MeasuredRun) -> str:
    return "segmentation" if one.run.segments else "CAM"


def _iou(result: SegmentationResult, label: int) -> float:
    return result.iou[label] if result.truth_pixels[label] else float("nan")


def _evaluations(one: MeasuredRun) -> list[tuple[str, Evaluation]]:
    found = [] if one.scores is None else [(_what(one), one.scores)]
    return [*found, ("CAM", one.cam)] if one.cam is not None and one.run.segments else found


def _rows(one: MeasuredRun, named: bool) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for what, evaluation in _evaluations(one):
        told = " (told the tags)" if what == "CAM" else ""
        name = f"{one.run.name}: {what}" if named else what
        results = [(f"{name}{told}", evaluation.result)]
        if evaluation.crf_result is not None:
            results.append((f"{name} with dense CRF", evaluation.crf_result))
        rows += [
            (text, percent(result.mean_iou, 2), percent(result.pixel_accuracy, 2), evaluation.protocol["images"])
            for text, result in results
        ]
    return rows


def _remarks(one: MeasuredRun) -> list[str]:
    """What is not in the table, so that no mean is read as one over all classes."""
    found = []
    if one.scores is not None:
        absent = one.scores.result.absent(one.scores.classes)
        if absent:
            found.append(f"{one.run.name}: the mean leaves out what has no pixel in the ground truth: "
                         f"{', '.join(absent)}.")  # fmt: skip
        if one.cam is None:
            found.append(f"{one.run.name}: the CAM was not scored: {one.cam_left_out}.")
    return found


def _tags(one: MeasuredRun) -> Html:
    assert one.tags is not None
    return element(
        "p", f"Tag F1 of {one.run.name}: ", element("strong", f"{percent(one.tags.f1)} %"),
        f" (tags that the classifier predicts of {one.tags.photos} photos at {one.tags.side} px; mean of the photos)",
    )  # fmt: skip


def _protocol(one: MeasuredRun, what: str, evaluation: Evaluation) -> Html:
    rows = [(name, str(value)) for name, value in evaluation.protocol.items()]
    return details(f"Protocol: {one.run.name}, {what}", table(("setting", "value"), rows, words=2))


def _estimate(one: MeasuredRun, named: bool) -> Html:
    assert one.review is not None
    name = f"{one.run.name}: " if named else ""
    worst = [(photo.name, percent(photo.iou, 0), photo.why) for photo in one.review.photos[:20]]
    rows = [(name, element("span", iou), why) for name, iou, why in worst]
    return join([
        element("p", f"{name}{NOTHING_SCORED}", class_="warning"),
        element("p", element("strong", f"{name}{one.review.summary()}")),
        details("What to correct first", table(("photo", "estimated IoU, %", "why"), rows, words=3)),
    ])  # fmt: skip
