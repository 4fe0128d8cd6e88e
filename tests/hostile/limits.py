"""Limits of memory and time for what a hostile file may cost."""

import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tagseg.errors import TagsegError

MEGABYTE = 1 << 20


@contextmanager
def bounded(megabytes: float = 64, seconds: float = 10) -> Iterator[None]:
    """What Python and NumPy allocate inside stays below a limit; the machine may be busy."""
    tracemalloc.start()
    started = time.process_time()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < megabytes * MEGABYTE
    assert time.process_time() - started < seconds


def assert_bounded(call: Callable[[], object], *parts: str, megabytes: float = 64) -> None:
    """One line that has these parts, and little memory and time."""
    with bounded(megabytes), pytest.raises(TagsegError) as caught:
        call()
    line = str(caught.value)
    assert "\n" not in line
    assert len(line) <= 1000
    for part in parts:
        assert part in line
