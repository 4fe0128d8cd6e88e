"""Signals that end a command: SIGTERM and SIGHUP end it as Ctrl-C does, each with the exit code that shells expect."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

Handler = Callable[[int, FrameType | None], Any]

ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
"""What ends a command besides Ctrl-C: pre-emption, ``kill``, and a terminal that is closed."""
REPEATED = 5.0
"""Seconds in which the same signal again is no second wish: process groups and schedulers send several."""
LOOK = 0.2
"""Seconds between two looks at whether the exception of a signal was lost."""
WORKER_PATIENCE = 60
"""Seconds that a process that was told to end may go on for those that still need it."""


class Stopped(KeyboardInterrupt):
    """A signal has ended what was being done; whatever handles Ctrl-C handles it alike.

    Attributes:
        number: of the signal.
    """

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.number = number


def number_of(stop: KeyboardInterrupt) -> int:
    """The signal that a stop came from."""
    return stop.number if isinstance(stop, Stopped) else int(signal.SIGINT)


def exit_code(stop: KeyboardInterrupt) -> int:
    """130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP."""
    return 128 + number_of(stop)


def told(stop: KeyboardInterrupt, message: str) -> Stopped:
    """The same stop with a message that says what was stopped, where, and how to go on."""
    return Stopped(message, number_of(stop))


def line_of(stop: KeyboardInterrupt) -> str:
    """What the command line says about it."""
    if str(stop):
        return str(stop)
    number = number_of(stop)
    return "stopped" if number == signal.SIGINT else f"stopped by {signal.Signals(number).name}"


@contextmanager
def handled(numbers: Iterable[int], handler: Handler) -> Iterator[None]:
    """Let a handler have some signals; afterwards they are as before.

    Signals that are ignored stay so, as with ``nohup``. Outside the main thread, where Python allows none, nothing
    happens.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in numbers}
    before = {number: one for number, one in before.items() if one is not None and one is not signal.SIG_IGN}
    for number in before:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, one in before.items():
            signal.signal(number, one)


@contextmanager
def stop_signals() -> Iterator[None]:
    """Ctrl-C, SIGTERM and SIGHUP raise ``Stopped`` in the main thread, the latter two once in ``REPEATED`` seconds."""
    raising = _Raising()
    former = sys.unraisablehook

    def unraisable(lost: sys.UnraisableHookArgs) -> None:
        if not isinstance(lost.exc_value, Stopped):  # that one is raised again
            former(lost)

    sys.unraisablehook = unraisable
    try:
        with handled((signal.SIGINT, *ENDING), raising):
            yield
    finally:
        raising.over = True
        sys.unraisablehook = former


class _Raising:
    """A handler that raises ``Stopped``, and raises it again where it was lost.

    Python drops what is raised while it forks a process, frees an object or runs some hooks of libraries. A signal
    that is sent once would then have no effect.
    """

    def __init__(self) -> None:
        self.over = False
        self._owner, self._last = os.getpid(), -REPEATED
        self._terminals = [number for number in (1, 2) if os.isatty(number)]
        self._raised: Callable[[], Stopped | None] = lambda: None
        self._watch: threading.Thread | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._owner:  # a process that was forked and has no handlers of its own yet
            return
        if number == getattr(signal, "SIGHUP", None):
            leave_terminal(self._terminals)
        again, self._last = time.monotonic() - self._last < REPEATED, time.monotonic()
        if again and number != signal.SIGINT and self._raised() is not None:
            return
        stop = Stopped("", number)
        self._raised = weakref.ref(stop)
        if self._watch is None:
            self._watch = threading.Thread(target=self._look, args=(number,), name="tagseg-stop", daemon=True)
            self._watch.start()
        try:
            raise stop
        finally:
            del stop  # its traceback knows this frame: it would live as long as itself

    def _look(self, number: int) -> None:
        """Send the signal again when the exception was lost, twice in a row, before the command is over."""
        lost = 0
        while not self.over:
            time.sleep(LOOK)
            lost = lost + 1 if self._raised() is None else 0
            if lost > 1 and not self.over:
                os.kill(self._owner, number)
                lost = 0


def leave_terminal(numbers: Iterable[int] = (1, 2)) -> None:
    """Write to nowhere what would go to a terminal that is gone: an error there must not cost what is being saved."""
    with suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for number in numbers:
            os.dup2(nowhere, number)
        os.close(nowhere)


def leave_signals_to_main(worker: int = 0) -> None:
    """In a loader's worker: what is sent to all processes is the main one's to answer, which still needs the batches.

    A worker that nobody ends within ``WORKER_PATIENCE`` seconds ends itself.

    Args:
        worker: its number, which ``DataLoader`` passes.
    """

    def wait(number: int, frame: FrameType | None) -> None:
        if hasattr(signal, "alarm"):
            signal.alarm(WORKER_PATIENCE)

    names = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1")
    for number in (getattr(signal, name) for name in names if hasattr(signal, name)):
        signal.signal(number, wait)


def end_with_parent(number: int = signal.SIGTERM) -> None:
    """Have the system send this process a signal when the one that started it is gone, however it went. Linux only."""
    if not sys.platform.startswith("linux"):
        return
    with suppress(OSError, AttributeError):  # a C library without it: the process ends when it misses the others
        ctypes.CDLL(None).prctl(1, int(number), 0, 0, 0)  # 1: PR_SET_PDEATHSIG
