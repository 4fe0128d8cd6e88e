"""A pause for Python's search for circles of objects while a collection is read."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused_collector() -> Iterator[None]:
    """Look for no unreachable circles in the block; what nothing refers to is freed as ever.

    Reading a large collection makes millions of objects that stay. To look through them again and again finds nothing
    and takes a quarter of the time.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
