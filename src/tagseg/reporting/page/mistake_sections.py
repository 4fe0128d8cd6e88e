"""Where a network is wrong: confusion, outlines, small objects, and where it was certain."""

from __future__ import annotations

from collections.abc import Sequence

from tagseg.metrics.trimap import DISTANCES
from tagseg.reporting.certainty import HIGH, LOW, RegionResult
from tagseg.reporting.measured_run import MeasuredRun
from tagseg.reporting.object_size import SizeResult
from tagseg.reporting.page.bars import Bar, bars
from tagseg.reporting.page.html import Html, details, element, percent, section, table
from tagseg.reporting.page.lines import lines
from tagseg.reporting.page.matrix import confusion_table, matrix
from tagseg.reporting.pictures import REGIONS


def confusion_section(runs: Sequence[MeasuredRun]) -> Html | None:
    """The confusion matrix of each run."""
    found = []
    for number, one in enumerate(runs):
        if one.scores is None:
            continue
        drawn = matrix(f"confusion-{number}", one.scores.classes, one.scores.matrix)
        numbers = details("Numbers", confusion_table(one.scores.classes, one.scores.matrix))
        found += [element("h3", one.run.name) if len(runs) > 1 else None, drawn, numbers]
    note = element("p", "Each row: of the pixels of one true class, the share that was given each label, in %.")
    return section("confusion", "Confusion matrix", note, found) if found else None


def boundary_section(runs: Sequence[MeasuredRun]) -> Html | None:
    """Trimap IoU by distance."""
    scored = [one for one in runs if one.trimap and any(sum(result.truth_pixels) for result in one.trimap)]
    if not scored:
        return None
    known = {
        one.run.name: [
            (float(distance), result.mean_iou)
            for distance, result in zip(DISTANCES, one.trimap, strict=True)
            if sum(result.truth_pixels)
        ]
        for one in scored
    }
    xs = {tuple(x for x, _ in points) for points in known.values()}
    chart = lines("boundary", "mIoU near true outlines", known, "pixels from a true outline, at most",
                  evenly=len(xs) == 1, share=True, named=len(known) > 1)  # fmt: skip
    rows = [
        (one.run.name, *(percent(result.mean_iou) for result in one.trimap),
         percent(one.scores.result.mean_iou) if one.scores else "–")
        for one in scored
    ]  # fmt: skip
    header = ("mIoU, %", *(f"≤ {distance} px" for distance in DISTANCES), "all pixels")
    note = element(
        "p", "Trimap IoU: mIoU of only those pixels that lie near an outline of the ground truth, at native size. "
        "Where it is far below that of all pixels, masks are right but for their edges.",
    )  # fmt: skip
    return section("boundary", "Boundary quality", note, chart, details("Numbers", table(header, rows)))


def size_section(runs: Sequence[MeasuredRun]) -> Html | None:
    """IoU by the share of the photo that a class covers."""
    scored = [one for one in runs if any(bin_.count for bin_ in one.sizes)]
    if not scored:
        return None
    several = len(scored) > 1
    bins = [place for place in range(len(scored[0].sizes)) if any(one.sizes[place].count for one in scored)]
    rows = [
        Bar(_bin(scored[0].sizes[place]), tuple(one.sizes[place].mean_iou for one in scored),
            remark="" if several else f"({scored[0].sizes[place].count})")
        for place in bins
    ]  # fmt: skip
    numbers = [
        (f"{one.run.name}: {_bin(one.sizes[place])}" if several else _bin(one.sizes[place]), one.sizes[place].count,
         percent(one.sizes[place].mean_iou), percent(one.sizes[place].missed))
        for one in scored for place in bins
    ]  # fmt: skip
    chart = bars("sizes", "IoU by size, %", rows, [one.run.name for one in scored])
    note = element(
        "p", "Each class in each photo is one object here, however many parts it has; its size is the share of the "
        "photo that it covers in the ground truth, its IoU that within the photo. In brackets: their number.",
    )  # fmt: skip
    header = ("share of the photo", "objects", "mean IoU, %", "missed altogether, %")
    return section("sizes", "Size against IoU", note, chart, details("Numbers", table(header, numbers)))


def certainty_section(runs: Sequence[MeasuredRun]) -> Html | None:
    """Where a network was certain, and whether it was right there."""
    scored = [one for one in runs if one.regions]
    if not scored:
        return None
    series = [one.run.name for one in scored]
    rows = [
        Bar(f"{REGIONS[region.region][0]}", tuple(one.regions[place].labelled_right for one in scored),
            REGIONS[region.region][1])
        for place, region in enumerate(scored[0].regions)
    ]  # fmt: skip
    note = element(
        "p", f"Pixels are certain foreground where the network's probability of foreground is at least {HIGH}, certain "
        f"background where it is at most {LOW}, and uncertain between both. Bars: share of each whose label is right.",
    )  # fmt: skip
    chart = bars("certainty", "Share with the right label, %", rows, series)
    numbers = _regions([(one.run.name, one.regions) for one in scored])
    own = [(one.run.name, one.partition) for one in scored if one.partition]
    return section("certainty", "Certain and right?", note, chart, numbers, _own_partition(own))


def _own_partition(own: Sequence[tuple[str, Sequence[RegionResult]]]) -> list[Html]:
    if not own:
        return []
    note = (
        "The partition that FSR trains with (docs/method.md, section 3) is by the auxiliary CAM, told the tags; here "
        "of whole photos at the size of the training. Its label is the tag with the highest CAM."
    )
    return [element("h3", "The method's own partition"), element("p", note), _regions(own)]


def _regions(runs: Sequence[tuple[str, Sequence[RegionResult]]]) -> Html:
    rows = [
        (f"{run}: {name}" if len(runs) > 1 else name, percent(region.share), percent(region.foreground),
         percent(region.right), percent(region.labelled_right))
        for run, regions in runs for region in regions for name in [REGIONS[region.region][0]]
    ]  # fmt: skip
    header = ("region", "of all pixels, %", "foreground in truth, %", "rightly certain, %", "label right, %")
    return table(header, rows)


def _bin(size: SizeResult) -> str:
    return f"{100 * size.low:.0f} to {100 * size.high:.0f} %"
