"""Training curves: losses and scores over the steps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from tagseg.errors import TagsegError
from tagseg.files import replacing

_LOSSES = ("classification", "affinity", "segmentation", "energy")
_MAPS = ("segmentation", "cam", "aux_cam")
PANELS: dict[str, tuple[str, ...]] = {
    "losses": tuple(f"train/{name}" for name in _LOSSES),
    "distillation: cross-entropy and the teacher's entropy": (
        "train/uncertain",
        "train/certain",
        "distillation/uncertain_teacher_entropy",
        "distillation/certain_teacher_entropy",
    ),
    "mIoU": tuple(f"val/{who}/{what}" for who in ("student", "teacher") for what in _MAPS),
}
"""Panels of a training. An entropy of ln P in the middle panel means a uniform target, which teaches nothing."""


def series_of(
    records: Sequence[Mapping[str, float | int | None]], x: str
) -> dict[str, list[tuple[float | int, float | int]]]:
    """Points (x, y) of each quantity in the log records, sorted by x, without absent or non-finite values.

    Args:
        records: one mapping for each log line; quantities may be absent.
        x: name of the quantity on the horizontal axis.
    """
    series: dict[str, list[tuple[float | int, float | int]]] = {}
    for record in records:
        at = record.get(x)
        for name, value in record.items():
            if name != x and at is not None and value is not None and math.isfinite(value):
                series.setdefault(name, []).append((at, value))
    return {name: sorted(points) for name, points in sorted(series.items())}


def training_curves(
    records: Sequence[Mapping[str, float | int | None]],
    path: Path,
    *,
    x: str = "step",
    panels: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Draw line plots in several panels to a PNG.

    Args:
        records: log lines, e.g. rows of a metrics file as floats; ``None`` or nan: not logged.
        path: of the PNG.
        x: the quantity on the horizontal axis, one of the records' keys.
        panels: title → names of its quantities; default: one panel for each prefix of the names up to ``/``.

    Raises:
        TagsegError: nothing to draw, or the file cannot be written.
    """
    from matplotlib.figure import Figure  # imported here, as it takes a second
    from matplotlib.ticker import MaxNLocator

    series = series_of(records, x)
    if panels is None:
        titles = dict.fromkeys(name.split("/")[0] for name in series)
        panels = {title: [name for name in series if name.split("/")[0] == title] for title in titles}
    shown = {title: [name for name in names if name in series] for title, names in panels.items()}
    shown = {title: names for title, names in shown.items() if names}
    if not shown:
        raise TagsegError(f"no curve to draw in {len(records)} log records, expected numbers beside {x!r}")
    columns = min(3, len(shown))
    rows = math.ceil(len(shown) / columns)
    figure = Figure(figsize=(4.6 * columns, 3.9 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis, (title, names) in zip(axes, shown.items(), strict=False):
        for name in names:
            steps, values = zip(*series[name], strict=True)
            sparse = len(steps) < 25
            label = _plain(name.removeprefix(f"{title}/").removeprefix("train/").removeprefix("val/"))
            axis.plot(steps, values, label=label, linewidth=1.6, marker="o" if sparse else None, markersize=3.5)
        axis.set_title(_plain(title), fontsize=11)
        axis.set_xlabel(_plain(x))
        axis.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
        if len(names) > 1 or label != _plain(title):
            axis.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2, frameon=False)
    for axis in axes[len(shown) :]:
        axis.set_axis_off()
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=130)


def _plain(name: str) -> str:
    """A name that is drawn as it is: ``$`` would begin a formula, and a leading ``_`` keep it from the legend."""
    shown = name[:60].replace("$", r"\$")
    return f" {shown}" if shown.startswith("_") else shown
