"""``tagseg report`` and ``tagseg.report``: one HTML file on one run or several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tagseg.arguments import check_kinds, check_path, refuse
from tagseg.data.config import DataConfig
from tagseg.data.dataset import TaggedImages
from tagseg.data.reading import reading_of
from tagseg.data.sources import load_for_network
from tagseg.errors import NothingToScore, TagsegError
from tagseg.inference.precision import Precision
from tagseg.inference.segment import MAX_SIDE, SCALES, check_scales
from tagseg.reporting.estimating import measure_estimate
from tagseg.reporting.evaluate_flags import evaluate_flags
from tagseg.reporting.measured_run import MeasuredRun
from tagseg.reporting.measuring import Wanted, measure_scores
from tagseg.reporting.opened_run import OpenedRun, open_runs
from tagseg.reporting.page.page import save_page

MOST_RUNS, MOST_PHOTOS = 8, 24
_KINDS = {
    "limit": "whole", "scales": "numbers", "mirror": "switch", "size": "whole?", "max_side": "whole?", "crf": "switch",
    "cam": "switch", "gallery": "whole", "precision": "text", "batch": "whole", "quiet": "switch",
}  # fmt: skip


@dataclass(frozen=True)
class Report:
    """A report that was written.

    Attributes:
        path: the HTML file.
        runs: what was measured of each run, in the order they were given.
    """

    path: Path
    runs: tuple[MeasuredRun, ...]

    def summary(self) -> str:
        """The score of each run, a line each."""
        return "\n".join(one.headline() for one in self.runs)


def report(
    runs: str | Path | Sequence[str | Path],
    output: str | Path = "report.html",
    *,
    data: DataConfig | None = None,
    split: str | None = None,
    limit: int = 0,
    scales: tuple[float, ...] = SCALES,
    mirror: bool = True,
    size: int | None = None,
    max_side: int | None = MAX_SIDE,
    crf: bool = False,
    cam: bool = True,
    gallery: int = 6,
    precision: Precision = "32",
    batch: int = 0,
    device: str = "auto",
    quiet: bool = False,
) -> Report:
    """Write what is known of trained networks to one HTML file that needs nothing else.

    Where the photos have masks, scores are those of ``evaluate``. Elsewhere nothing is scored: the report has the
    estimate of ``review``, and says so. docs/report.md shows the page.

    Args:
        runs: run folder or ``.safetensors`` file, or up to 8 of them to compare, with the same classes.
        output: the file; an older one is replaced.
        data: where images, tags and masks are; default: the settings of each run.
        split: default: ``data.val_split``; where the data have none, the photos of the training.
        limit: number of images, the first ones; 0: all.
        scales: this and the next settings of the network are as in ``predict``.
        mirror: test-time flip augmentation.
        size: side of the network's input; default: native size.
        max_side: longest side of a photo for the network.
        crf: also score the segmentation after a dense CRF.
        cam: also score the CAM, which takes about as long again.
        gallery: photos of each group of the gallery, at most 24; 0: none.
        precision: ``32`` or ``bf16``.
        batch: batch size.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` …
        quiet: no progress bars.

    Raises:
        TagsegError: bad settings, no or a damaged run, runs with different classes, unreadable photos or masks.
    """
    check_kinds(locals(), **_KINDS)
    given, path = _checked(runs, output, data, split, limit, gallery)
    check_scales(scales)
    network = {"scales": scales, "mirror": mirror, "size": size, "max_side": max_side, "precision": precision,
               "batch": batch, "device": device}  # fmt: skip
    flags = evaluate_flags({**network, "crf": crf, "split": split, "limit": limit}, data)
    wanted = Wanted(network, crf, cam, limit, gallery, flags, quiet)
    measured: list[MeasuredRun] = []
    for run in open_runs(given, device):
        shown = frozenset(measured[0].maps) if measured else None
        measured.append(_measured(run, data, split, wanted, shown))
    save_page(path, measured)
    return Report(path, tuple(measured))


def _measured(
    run: OpenedRun, data: DataConfig | None, split: str | None, wanted: Wanted, shown: frozenset[str] | None
) -> MeasuredRun:
    """Load the photos, show what was read, and measure."""
    if data is None:
        if run.config is None:
            raise TagsegError(
                f"{run.file} has no run beside it that names its photos, expected their folder: --data.root PHOTOS"
            )
        data = run.config.data
    name, images = _photos(run, data, split)
    reading_of(data, {name: images}).show(wanted.quiet)
    if images.with_masks().samples:
        return measure_scores(run, name, images, data.contradictions, wanted, shown)
    return measure_estimate(run, name, images, data, wanted, shown)


def _photos(run: OpenedRun, data: DataConfig, split: str | None) -> tuple[str, TaggedImages]:
    """The split and its photos; where nothing was held back, those of the training, whose masks are not read."""
    classes = run.network.classes
    name = data.val_split if split is None else split
    if name:
        try:
            return name, load_for_network(data, name, classes, tags=False)
        except NothingToScore:
            if split is not None:
                raise
    images = load_for_network(data, data.train_split, classes, tags=False)
    return data.train_split, replace(images, samples=tuple(replace(sample, mask=None) for sample in images.samples))


def _checked(
    runs: object, output: object, data: object, split: object, limit: int, gallery: int
) -> tuple[list[str | Path], Path]:
    """The runs as a list, and the file to write.

    Raises:
        TagsegError: arguments of a wrong kind.
    """
    several: list[str | Path] = list(runs) if isinstance(runs, list | tuple) else [runs]  # type: ignore[list-item]
    for run in several:
        check_path("a run", run, "a run folder or .safetensors file (str or Path)")
    if not 1 <= len(several) <= MOST_RUNS:
        raise TagsegError(f"{len(several)} runs are given, expected 1 to {MOST_RUNS}: tagseg report RUN [RUN2 ...]")
    check_path("output", output)
    path = Path(str(output)).expanduser()
    if path.is_dir():
        raise TagsegError(f"output is {path}, a folder, expected a file, e.g. {path / 'report.html'}")
    if path.suffix.lower() not in (".html", ".htm"):
        raise TagsegError(f"output is {path}, expected a file that ends in .html")
    if data is not None and not isinstance(data, DataConfig):
        raise refuse("data", data, "a DataConfig, e.g. the data of a Config, or None for the settings of each run")
    if split is not None and not (isinstance(split, str) and split):
        raise refuse("split", split, "the name of a split, or None for data.val_split")
    if limit < 0:
        raise TagsegError(f"limit is {limit}, expected a number of images, or 0 for all")
    if not 0 <= gallery <= MOST_PHOTOS:
        raise TagsegError(f"gallery is {gallery}, expected 0 to {MOST_PHOTOS} photos of each group")
    return several, path
