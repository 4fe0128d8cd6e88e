"""Patience for Lightning's observer, a thread that looks after the processes which the first one has started.

Where one of them has ended with an error, it kills the first one at once (SIGKILL), even while that is about to say why
the training ends, or to end after a stop. It is private to Lightning: where it is not found, nothing happens.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

GRACE = 20.0
"""Seconds that the first process has to end by itself; together with the observer's own 5, less than 30."""


def have_patience(seconds: float = GRACE) -> None:
    """Let the first process end by itself for some seconds before the observer kills it.

    Args:
        seconds: how long.
    """
    for observer in _observers():
        kill: Callable[[], None] = observer._terminate_all

        def later(kill: Callable[[], None] = kill) -> None:
            time.sleep(seconds)  # the thread is one that ends with its process
            kill()

        observer._terminate_all = later  # type: ignore[method-assign]


def stand_down() -> None:
    """End the observer: the first process ends by itself and ends the others."""
    for observer in _observers():
        observer._finished = True
        observer._terminate_all = lambda: None  # type: ignore[method-assign]


def _observers() -> Iterator[_ChildProcessObserver]:
    for thread in threading.enumerate():
        if isinstance(thread, _ChildProcessObserver) and hasattr(thread, "_terminate_all"):
            yield thread


try:
    from lightning.fabric.strategies.launchers.subprocess_script import _ChildProcessObserver
except ImportError:

    class _ChildProcessObserver(threading.Thread):  # type: ignore[no-redef]
        """What no thread is."""

        _finished = False

        def _terminate_all(self) -> None: ...
