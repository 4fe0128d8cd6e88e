"""HTML and SVG elements as text. Whatever is not ``Html`` already is escaped, so that no name can become markup."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from html import escape


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


_VOID = ("br", "img", "input", "meta")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f]")


def element(tag: str, *content: object, **attributes: object) -> Html:
    """``<tag attributes>content</tag>``.

    Args:
        tag: name of the element.
        content: ``Html`` as it is, other values as text, lists of them one after the other, ``None`` as nothing.
        attributes: ``True`` stands alone, ``None`` and ``False`` are left out; ``class_`` is ``class``, ``_`` within a
            name is ``-``.
    """
    words = [tag]
    for name, value in attributes.items():
        key = name.rstrip("_").replace("_", "-")
        if value is True:
            words.append(key)
        elif value is not None and value is not False:
            words.append(f'{key}="{escape(_text(value), quote=True)}"')
    opened = f"<{' '.join(words)}>"
    return Html(opened if tag in _VOID else f"{opened}{join(content)}</{tag}>")


def join(content: object) -> Html:
    """Contents one after the other."""
    if content is None:
        return Html("")
    if isinstance(content, Html):
        return content
    if isinstance(content, list | tuple):
        return Html("".join(map(join, content)))
    return Html(escape(_text(content), quote=False))


def _text(value: object) -> str:
    """Coordinates with one decimal; lone halves of letters, as file names can have, and control characters replaced."""
    if isinstance(value, float):
        return f"{value:.1f}".removesuffix(".0")
    text = str(value).encode("utf-8", "replace").decode("utf-8")
    return _CONTROL.sub("\ufffd", text)


def percent(value: float | None, digits: int = 1) -> str:
    """A share of 0 to 1 in percent, without the sign; ``–`` for nan and ``None``."""
    return "–" if value is None or math.isnan(value) else f"{100 * value:.{digits}f}"


def table(
    header: Sequence[object], rows: Sequence[Sequence[object]], caption: str | None = None, words: int = 1
) -> Html:
    """A table that scrolls sideways where it is too wide.

    Args:
        header: of the columns.
        rows: the first cell of each is its header.
        caption: above it.
        words: number of columns, from the first on, that are words and not numbers.
    """

    def cells(row: Sequence[object]) -> list[Html]:
        first, *others = row
        body = [element("td", cell, class_=None if index < words else "n") for index, cell in enumerate(others, 1)]
        return [element("th", first, scope="row"), *body]

    head = [element("th", cell, scope="col", class_=None if n < words else "n") for n, cell in enumerate(header)]
    return element(
        "div",
        element(
            "table",
            element("caption", caption) if caption else None,
            element("thead", element("tr", head)),
            element("tbody", [element("tr", cells(row)) for row in rows]),
        ),
        class_="scroll",
        tabindex=0,
        role="region",
        aria_label=caption or f"Table: {_text(header[0])}",
    )


def details(summary: str, *content: object, open_: bool = False) -> Html:
    """Content that is shown when its summary is clicked."""
    return element("details", element("summary", summary), *content, open=open_)


def section(name: str, heading: str, *content: object) -> Html:
    """A section of the page; ``name`` is where links lead to."""
    return element("section", element("h2", heading), *content, id=name, aria_label=heading)


def drawing(name: str, title: str, description: str, size: tuple[float, float], *content: object) -> Html:
    """An SVG that a screen reader reads as its title and description.

    Args:
        name: unique on the page.
        title: what it shows.
        description: what it says, in words.
        size: width and height; it shrinks to the page.
        content: its elements; ``currentColor`` follows light and dark.
    """
    width, height = size
    return element(
        "svg",
        element("title", title, id=f"{name}-title"),
        element("desc", description, id=f"{name}-desc"),
        *content,
        viewBox=f"0 0 {width:.0f} {height:.0f}",
        width=width,
        height=height,
        role="img",
        aria_labelledby=f"{name}-title {name}-desc",
        class_="chart",
    )


def swatch(colour: tuple[int, int, int]) -> Html:
    """A small square in a class's colour."""
    red, green, blue = colour
    square = element("rect", x=1, y=1, width=10, height=10, rx=2, fill=f"#{red:02x}{green:02x}{blue:02x}")
    return element("svg", square, viewBox="0 0 12 12", width=12, height=12, class_="swatch", aria_hidden="true")
