"""Horizontal bars of shares, one or several for each row."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tagseg.reporting.page.html import Html, drawing, element, percent

_LABEL, _WIDTH, _VALUE, _BAR, _GAP, _TOP = 150.0, 430.0, 60.0, 13.0, 7.0, 22.0
_LETTERS = 22
MOST_SERIES = 8
"""Series that have a colour of their own (classes ``s0`` … of the style sheet)."""


@dataclass(frozen=True)
class Bar:
    """A row.

    Attributes:
        label: its name.
        values: one share of 0 to 1 for each series; nan is not known.
        colour: RGB of a square beside the name; ``None``: none.
        remark: after the last value.
    """

    label: str
    values: tuple[float, ...]
    colour: tuple[int, int, int] | None = None
    remark: str = ""


def bars(name: str, title: str, rows: Sequence[Bar], series: Sequence[str] = ("",)) -> Html:
    """A chart of rows; values stand beside the bars, in percent.

    Args:
        name: unique on the page.
        title: for screen readers.
        rows: one at least.
        series: names of the values of each row.
    """
    height_of_row = len(series) * _BAR + _GAP
    bottom = _TOP + len(rows) * height_of_row
    content: list[object] = [_scale(bottom)]
    for number, row in enumerate(rows):
        content.append(_row(row, _TOP + number * height_of_row, len(series)))
    said = "; ".join(f"{row.label}: {', '.join(f'{percent(value)} %' for value in row.values)}" for row in rows[:12])
    more = f"; and {len(rows) - 12} more, see the table" if len(rows) > 12 else ""
    chart = drawing(name, title, said + more, (_LABEL + _WIDTH + _VALUE, bottom + 4), content)
    return element("figure", chart, legend(series) if len(series) > 1 else None)


def legend(series: Sequence[str]) -> Html:
    """The names of series beside their colours."""

    def key(number: int, name: str) -> Html:
        square = element("rect", x=1, y=1, width=10, height=10, rx=2, class_=f"s{number % MOST_SERIES}")
        mark = element("svg", square, viewBox="0 0 12 12", width=12, height=12, aria_hidden="true")
        return element("li", mark, " ", name)

    return element("ul", [key(number, name) for number, name in enumerate(series)], class_="legend")


def _scale(bottom: float) -> list[Html]:
    """Lines and numbers at every fifth."""
    found: list[Html] = []
    for step in range(0, 101, 20):
        x = _LABEL + _WIDTH * step / 100
        found.append(element("line", x1=x, x2=x, y1=_TOP - 5, y2=bottom, class_="grid"))
        found.append(element("text", step, x=x, y=_TOP - 9, text_anchor="middle", class_="tick"))
    return found


def _row(row: Bar, top: float, series: int) -> list[Html]:
    middle = top + series * _BAR / 2
    shown = row.label if len(row.label) <= _LETTERS else row.label[: _LETTERS - 1] + "…"
    name = element("text", shown, x=_LABEL - 22, y=middle, text_anchor="end", class_="label")
    found = [name]
    if row.colour is not None:
        red, green, blue = row.colour
        fill = f"#{red:02x}{green:02x}{blue:02x}"
        square = element("rect", x=_LABEL - 16, y=middle - 5, width=10, height=10, rx=2, fill=fill, class_="edge")
        found.append(square)
    for number, value in enumerate(row.values):
        y = top + number * _BAR
        length = 0.0 if math.isnan(value) else _WIDTH * value
        found.append(element("rect", x=_LABEL, y=y + 1, width=length, height=_BAR - 2, rx=1, class_=f"s{number}"))
        remark = f" {row.remark}" if row.remark and number == len(row.values) - 1 else ""
        text = f"{percent(value)}{remark}"
        found.append(element("text", text, x=_LABEL + length + 5, y=y + _BAR / 2, class_="value"))
    return found
