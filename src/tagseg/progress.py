"""The progress bar of everything that can take longer than a few seconds."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from tqdm import tqdm


def progress(total: int, what: str, unit: str = "photo", quiet: bool = False) -> tqdm[None]:
    """A progress bar with time left; where the output is no terminal, a line every 15 seconds.

    Args:
        total: number of units.
        what: is done.
        unit: what is counted.
        quiet: no bar.
    """
    interval = 0.5 if sys.stderr.isatty() else 15.0
    return tqdm(
        total=total, desc=what, unit=unit, mininterval=interval, maxinterval=interval, delay=2, dynamic_ncols=True,
        disable=quiet,
    )  # fmt: skip


def with_progress(items: Any, what: str, unit: str) -> Iterator[Any]:
    """The items, which have a length, with a progress bar."""
    with progress(len(items), what, unit) as bar:
        for item in items:
            yield item
            bar.update()


def duration(seconds: float) -> str:
    """A time in words, as exact as an estimate: ``1.4 s``, ``40 s``, ``12 minutes``, ``2 h 10 min``, ``3.5 days``."""
    if seconds < 9.95:
        return f"{max(0.01, seconds):.2g} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} minutes"
    if seconds < 48 * 3600:
        minutes = round(minutes, -1)
        return f"{minutes // 60} h {minutes % 60} min" if minutes % 60 else f"{minutes // 60} h"
    return f"{seconds / 86400:.1f} days"
