"""What a training logged, over its steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tagseg.reporting.curves import PANELS, series_of
from tagseg.reporting.measured_run import MeasuredRun
from tagseg.reporting.page.bars import MOST_SERIES
from tagseg.reporting.page.html import Html, details, element, percent, section, table
from tagseg.reporting.page.lines import Points, lines, thinned

NOTHING_LOGGED = "no step was logged (logs/part_*/metrics.csv): an earlier version, or --run.logger none"
TOTAL = {"loss": ("train/loss",)}
"""The panel above the others, the only one of the method ``frozen``."""
_ROWS = 12
_SHARES = "mIoU"


def curve_section(runs: Sequence[MeasuredRun]) -> Html:
    """The curves of each run, and the scores at the end of its training."""
    several = len(runs) > 1
    found: list[object] = []
    for number, one in enumerate(runs):
        series = {key: points for key, points in series_of(one.run.logs, "step").items() if len(points) > 1}
        found.append(element("h3", one.run.name) if several else None)
        if not series:
            found.append(element("p", f"No curves: {NOTHING_LOGGED}."))
        found += _panels(series, f"curves-{number}")
        found.append(_last_scores(one))
    return section("curves", "Training", found)


def _panels(series: Mapping[str, Points], name: str) -> list[object]:
    """The usual panels, then all other quantities by what stands before their ``/``."""
    shown = {title: [key for key in keys if key in series] for title, keys in {**TOTAL, **PANELS}.items()}
    used = {key for keys in shown.values() for key in keys}
    usual = [
        _panel(f"{name}-{place}", title, {key: series[key] for key in keys})
        for place, (title, keys) in enumerate(shown.items()) if keys
    ]  # fmt: skip
    groups: dict[str, list[str]] = {}
    for key in series:
        if key not in used:
            groups.setdefault(key.rpartition("/")[0] or key, []).append(key)
    others: list[object] = []
    for title, keys in groups.items():
        for first in range(0, len(keys), MOST_SERIES):
            some = {key: series[key] for key in keys[first : first + MOST_SERIES]}
            others.append(_panel(f"{name}-other-{len(others)}", title, some))
    return [usual, details("Everything else that was logged", others) if others else None]


def _panel(name: str, title: str, series: Mapping[str, Points]) -> list[object]:
    shares = title == _SHARES
    short = {key.removeprefix("train/").removeprefix("val/"): points for key, points in series.items()}
    rows = [(key, *(_number(value, shares) for _, value in some)) for key, some in _even(short).items()]
    steps = [f"step {int(step)}" for step, _ in next(iter(_even(short).values()))]
    numbers = details("Numbers", table(("quantity", *steps), rows)) if _aligned(short) else _ends(short, shares)
    return [element("h4", title), lines(name, title, short, "step", share=shares), numbers]


def _even(series: Mapping[str, Points]) -> dict[str, Points]:
    """A few points of each, the first and the last among them."""
    return {key: thinned(points, _ROWS) for key, points in series.items()}


def _aligned(series: Mapping[str, Points]) -> bool:
    return len({tuple(x for x, _ in points) for points in series.values()}) == 1


def _ends(series: Mapping[str, Points], shares: bool) -> Html:
    rows = [
        (key, *(f"{_number(value, shares)} (step {int(step)})" for step, value in (points[0], points[-1])))
        for key, points in series.items()
    ]
    return details("Numbers", table(("quantity", "first", "last"), rows))


def _number(value: float, share: bool) -> str:
    return f"{percent(value)} %" if share else f"{value:.4g}"


def _last_scores(one: MeasuredRun) -> Html | None:
    """The scores that the training itself kept beside the network."""
    scores = one.run.about.get("scores")
    if not isinstance(scores, dict) or not scores:
        return None
    rows = [(name, percent(value)) for name, value in scores.items() if isinstance(value, int | float)]
    return details(
        "Scores that the training kept, of photos resized to its own size", table(("score", "%"), rows)
    )  # fmt: skip
