"""Lines of one or several series over a common horizontal axis."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from tagseg.reporting.page.bars import MOST_SERIES, legend
from tagseg.reporting.page.html import Html, drawing, element

Points = Sequence[tuple[float, float]]
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 560.0, 260.0, 62.0, 16.0, 14.0, 40.0
MOST_POINTS = 240
"""Of a line; of a longer log every second, third … is drawn."""
_FEW = 25


def lines(
    name: str, title: str, series: Mapping[str, Points], x: str, *, evenly: bool = False, share: bool = False,
    named: bool = True,
) -> Html:  # fmt: skip
    """A chart of lines.

    Args:
        name: unique on the page.
        title: for screen readers.
        series: name → finite points (x, y), sorted by x; at most 8 have colours of their own.
        x: what the horizontal axis is.
        evenly: all series have the same x, which stand at even distances, each with its number.
        share: y are shares, drawn from 0 to 100 %.
        named: whether there is a legend.
    """
    drawn = {key: thinned(points) for key, points in series.items()}
    xs = sorted({point[0] for points in drawn.values() for point in points})
    ys = [point[1] for points in drawn.values() for point in points]
    across = _Axis(0.0, float(max(1, len(xs) - 1))) if evenly else _Axis(xs[0], xs[-1])
    up = _Axis(0.0, 1.0) if share else _Axis(min(ys), max(ys))
    place = {value: float(index) for index, value in enumerate(xs)}
    ticks: list[tuple[float, str]] = [(place[value], _number(value)) for value in xs] if evenly else across.ticks()
    content: list[object] = _grid(across, up, ticks, x, share)
    for number, points in enumerate(drawn.values()):
        at = [(_x(across, place[px] if evenly else px), _y(up, py)) for px, py in points]
        path = " ".join(f"{px:.1f},{py:.1f}" for px, py in at)
        content.append(element("polyline", points=path, class_=f"l{number % MOST_SERIES}"))
        if len(at) < _FEW:
            content += [element("circle", cx=px, cy=py, r=3, class_=f"s{number % MOST_SERIES}") for px, py in at]
    said = "; ".join(
        f"{key}: from {_shown(points[0][1], share)} to {_shown(points[-1][1], share)}" for key, points in series.items()
    )
    chart = drawing(name, title, f"{said}, over {x}", (_WIDTH, _HEIGHT), content)
    return element("figure", chart, legend(list(series)) if named else None)


def thinned(points: Points, most: int = MOST_POINTS) -> Points:
    """At most about ``most``, the first and the last among them."""
    step = max(1, math.ceil(len(points) / most))
    return [*points[:-1:step], points[-1]]


class _Axis:
    """From the least value to the greatest, which differ."""

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high
        if self.high <= self.low:
            margin = abs(self.low) or 1.0
            self.low, self.high = self.low - margin / 2, self.high + margin / 2

    def position(self, value: float) -> float:
        """0 at the low end, 1 at the high end."""
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[tuple[float, str]]:
        """About five round values within."""
        rough = (self.high - self.low) / 4
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough)
        first = math.ceil(self.low / step - 1e-9)
        count = math.floor(self.high / step + 1e-9) - first + 1
        return [(value, _number(value)) for value in ((first + index) * step for index in range(count))]


def _grid(across: _Axis, up: _Axis, ticks: list[tuple[float, str]], x: str, share: bool) -> list[object]:
    """Lines at the ticks of the vertical axis, numbers at both, and the name of the horizontal one."""
    found: list[object] = []
    for value, text in up.ticks():
        y = _y(up, value)
        shown = f"{100 * value:.0f} %" if share else text
        found.append(element("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=y, y2=y, class_="grid"))
        found.append(element("text", shown, x=_LEFT - 6, y=y, text_anchor="end", class_="tick mid"))
    for value, text in ticks:
        found.append(element("text", text, x=_x(across, value), y=_HEIGHT - 24, text_anchor="middle", class_="tick"))
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    return [*found, element("text", x, x=middle, y=_HEIGHT - 6, text_anchor="middle", class_="tick")]


def _x(axis: _Axis, value: float) -> float:
    return _LEFT + axis.position(value) * (_WIDTH - _LEFT - _RIGHT)


def _y(axis: _Axis, value: float) -> float:
    return _HEIGHT - _BOTTOM - axis.position(value) * (_HEIGHT - _TOP - _BOTTOM)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _shown(value: float, share: bool) -> str:
    return f"{100 * value:.1f} %" if share else f"{value:.4g}"
