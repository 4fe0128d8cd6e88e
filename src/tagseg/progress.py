"""The progress bar of everything that can take longer than a few seconds."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from tqdm import tqdm

Item = TypeVar("Item")
Value = TypeVar("Value")
Note = Callable[[str, int, int], None]
"""Is told what is being done, how many units of it are done, and how many there are."""


def ignore(what: str, done: int, total: int) -> None:
    """The ``Note`` of nobody."""


class Bar(tqdm):
    """A progress bar that also tells a ``Note``, shown or not."""

    def __init__(self, total: int, what: str, note: Note, **options: Any) -> None:
        super().__init__(total=total, desc=what, **options)
        self.what, self.note, self.done, self.units = what, note, 0, total

    def update(self, n: Any = 1) -> bool | None:
        """Advance by so many units."""
        shown = super().update(n)
        self.done += n
        self.note(self.what, self.done, self.units)
        return shown


def progress(total: int, what: str, unit: str = "photo", quiet: bool = False, note: Note = ignore) -> Bar:
    """A progress bar with time left; where the output is no terminal, a line every 15 seconds.

    Args:
        total: number of units.
        what: is done.
        unit: what is counted.
        quiet: no bar.
        note: is told, too.
    """
    interval = 0.5 if sys.stderr.isatty() else 15.0
    return Bar(
        total, what, note, unit=unit, mininterval=interval, maxinterval=interval, delay=2, dynamic_ncols=True,
        disable=quiet,
    )  # fmt: skip


def with_progress(items: Any, what: str, unit: str) -> Iterator[Any]:
    """The items, which have a length, with a progress bar."""
    with progress(len(items), what, unit) as bar:
        for item in items:
            yield item
            bar.update()


def in_threads(
    items: Sequence[Item], work: Callable[[Item], Value], what: str, threads: int = 0, quiet: bool = False
) -> Iterator[Value]:
    """What a function gives for each item, in order, with a progress bar; after Ctrl-C none is begun.

    For work that leaves other threads their turn, as decoding photos does.

    Args:
        items: what is worked on.
        work: called from several threads at a time.
        what: is done, for the bar.
        threads: how many; 0: as many as there are cores, at most 16.
        quiet: no bar.
    """
    pool = ThreadPoolExecutor(threads or min(16, os.cpu_count() or 1), "tagseg-work")
    try:
        with progress(len(items), what, quiet=quiet) as bar:
            for value in pool.map(work, items):
                yield value
                bar.update()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


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
