"""A confusion matrix, each row by the pixels of its true label."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64
from numpy import ndarray

from tagseg.reporting.page.html import Html, drawing, element, percent, table

_LETTERS, _SIDE = 20, 640.0
WITH_NUMBERS = 24
"""Labels up to which the numbers stand in the cells."""
_LEAST = 0.005
"""Shares below are not drawn."""
MOST_PAIRS = 12


def matrix(name: str, names: Sequence[str], pixels: Int64[ndarray, "C C"]) -> Html:
    """The matrix of true (rows) and predicted labels, in percent of the true ones.

    Args:
        name: unique on the page.
        names: of the C labels.
        pixels: counts.
    """
    total = pixels.sum(axis=1, keepdims=True)
    shares = np.where(total > 0, pixels / np.maximum(total, 1), 0.0)
    count = len(names)
    cell = min(46.0, max(9.0, _SIDE / count))
    room = 16 + 6.5 * min(_LETTERS, max(map(len, names)))
    content: list[object] = []
    for index, label in enumerate(names):
        middle = room + (index + 0.5) * cell
        size = min(12.0, cell)
        content.append(_name(label, size, x=room - 6, y=middle, text_anchor="end"))
        content.append(_name(label, size, transform=f"translate({middle:.1f} {room - 6:.1f}) rotate(-60)"))
    for row in range(count):
        content += [_cell(shares[row, column], row, column, cell, room, count) for column in range(count)]
    frame = element("rect", x=room, y=room, width=count * cell, height=count * cell, class_="frame")
    said = "Most confused: " + "; ".join(
        f"{percent(share)} % of {names[row]} as {names[column]}" for share, row, column in confused(shares)[:5]
    )
    side = room + count * cell
    return element("figure", drawing(name, "Confusion matrix", said, (side + room / 2, side + 4), content, frame))


def confused(shares: ndarray) -> list[tuple[float, int, int]]:
    """Share of a true label's pixels that have another one: the largest ones, as share, true and predicted label."""
    off = shares * (1 - np.eye(len(shares)))
    order = np.argsort(off, axis=None, kind="stable")[::-1][:MOST_PAIRS]
    places = [divmod(int(index), len(shares)) for index in order]
    return [(float(off[row, column]), row, column) for row, column in places if off[row, column] > 0]


def confusion_table(names: Sequence[str], pixels: Int64[ndarray, "C C"]) -> Html:
    """Behind the drawing: all shares where the labels are few, else the largest mistakes."""
    total = pixels.sum(axis=1, keepdims=True)
    shares = np.where(total > 0, pixels / np.maximum(total, 1), np.nan)
    if len(names) <= WITH_NUMBERS:
        rows = [(label, *(percent(value) for value in row)) for label, row in zip(names, shares, strict=True)]
        return table(("true \\ predicted, %", *names), rows)
    pairs = confused(np.nan_to_num(shares))
    found = [(names[row], names[column], percent(share)) for share, row, column in pairs]
    return table(("true", "predicted", "% of the true pixels"), found, words=2)


def _cell(share: float, row: int, column: int, cell: float, room: float, count: int) -> list[Html] | None:
    if share < _LEAST:
        return None
    x, y = room + column * cell, room + row * cell
    kind = "hit" if row == column else "miss"
    box = element("rect", x=x, y=y, width=cell, height=cell, class_=kind, fill_opacity=f"{0.08 + 0.92 * share:.2f}")
    if count > WITH_NUMBERS:
        return [box]
    tone = "strong" if share > 0.5 else "weak"
    middle = {"x": x + cell / 2, "y": y + cell / 2}
    text = f"{100 * share:.0f}"
    return [box, element("text", text, text_anchor="middle", class_=f"cell {tone}", font_size=min(12.0, cell / 2.3),
                         **middle)]  # fmt: skip


def _name(label: str, size: float, **where: object) -> Html:
    shown = label if len(label) <= _LETTERS else label[: _LETTERS - 1] + "…"
    return element("text", shown, class_="label", font_size=size, **where)
