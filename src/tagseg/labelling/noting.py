"""Which masks are whole, noted beside them while they are made: a killed process loses minutes, not all."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path

from tagseg.beyond.made_from import Origin

_EVERY = 30.0
"""Seconds between two notes, at least; and twenty times as long as one takes."""


class Noting:
    """Writes the record of masks that are being made.

    Args:
        origin: of all masks.
        folder: of the dataset.
        missing: names of those that are to be made.
        clock: seconds.
    """

    def __init__(
        self, origin: Origin, folder: Path, missing: Iterable[str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._origin, self._folder, self._missing, self._clock = origin, folder, frozenset(missing), clock
        self.write(())

    def write(self, done: Iterable[str]) -> None:
        """Note those of the missing ones that are whole now.

        Raises:
            TagsegError: the folder cannot be written.
        """
        began = self._clock()
        self._origin.write(self._folder, self._missing.difference(done))
        ended = self._clock()
        self._next = ended + max(_EVERY, 20 * (ended - began))

    def now_and_then(self, done: Callable[[], Iterable[str]]) -> None:
        """``write`` if the last time was long ago."""
        if self._clock() >= self._next:
            self.write(done())
