"""Pieces of Markdown: escaped text, tables, numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence


def escaped(text: str) -> str:
    """Text that Markdown and HTML show as it is: one line, no markup, no column of a table."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*\[\]|~#!]|(?<!\w)_|_(?!\w))", r"\\\1", line)


def rows(header: Sequence[object], body: Sequence[Sequence[object]]) -> str:
    """A Markdown table; cells are taken as they are."""
    lines = [header, ["---"] * len(header), *body]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)


def percent(share: object, digits: int) -> str:
    """A share of 0 to 1 in percent; empty where there is none."""
    return f"{100 * share:.{digits}f} %" if isinstance(share, int | float) else ""


def size_of(size: object) -> str:
    """Bytes in MB; empty where not known."""
    return f"{size / 1e6:.1f} MB" if isinstance(size, int | float) else ""
