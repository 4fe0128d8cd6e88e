"""The one background job of a server: training the collection's network anew."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from tagseg.errors import TagsegError
from tagseg.serving.refusals import Refused
from tagseg.serving.workers import NAME

Note = Callable[[str, float], None]
"""Takes the name of a stage and the share of the whole that is done, 0 to 1."""
_EARLY = 0.03
"""Up to this share no time left is told: it would be far off."""
logger = logging.getLogger("tagseg")


@dataclass(frozen=True)
class Progress:
    """How far the job is.

    Attributes:
        state: ``idle``: none was started yet.
        stage: what is being done.
        fraction: of the whole, 0 to 1.
        seconds_left: estimated; ``None``: not known.
        error: one line, of a job that failed.
    """

    state: Literal["idle", "running", "done", "failed"] = "idle"
    stage: str = ""
    fraction: float = 0.0
    seconds_left: float | None = None
    error: str | None = None


class _Stopped(BaseException):
    """The server ends: what the job notes next ends it. No error handler of the job is to catch it."""


class UpdateJob:
    """Runs one update at a time in a thread.

    Args:
        update: the job; it notes its progress often, and each note may end it.
        finished: called in the thread after a job that was done.
    """

    def __init__(self, update: Callable[[Note], None], finished: Callable[[], None] = lambda: None) -> None:
        self._update, self._finished = update, finished
        self._progress = Progress()
        self._began = 0.0
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def start(self) -> None:
        """Begin.

        Raises:
            Refused: one is running.
        """
        with self._lock:
            if self._progress.state == "running":
                raise Refused(409, "an update is running, expected one at a time: wait until it is done")
            self._progress = Progress("running", "starting")
            self._began = time.monotonic()
        self._thread = threading.Thread(target=self._run, name=f"{NAME}-update", daemon=True)
        self._thread.start()

    def progress(self) -> Progress:
        """How far it is, with the time left."""
        with self._lock:
            now = self._progress
            if now.state != "running" or now.fraction < _EARLY:
                return now
            spent = time.monotonic() - self._began
            return replace(now, seconds_left=round(spent * (1 - now.fraction) / now.fraction, 1))

    def stop(self, seconds: float) -> None:
        """Have it end at its next note, and wait for that, at most so long."""
        self._stopping = True
        if self._thread is not None:
            self._thread.join(seconds)

    def _note(self, stage: str, fraction: float) -> None:
        if self._stopping:
            raise _Stopped
        with self._lock:
            self._progress = replace(self._progress, stage=stage, fraction=min(1.0, max(0.0, float(fraction))))

    def _run(self) -> None:
        try:
            self._update(self._note)
            self._finished()
            end = Progress("done", "done", 1.0)
        except _Stopped:
            end = Progress("failed", error="the update was stopped, as the server ends")
        except TagsegError as error:
            end = Progress("failed", error=str(error))
        except Exception as error:  # told to the page: a thread's traceback would reach nobody
            if not self._stopping:  # else what it needs is being closed
                logger.exception("the update failed")
            end = Progress("failed", error=f"the update failed ({type(error).__name__}): see the terminal")
        with self._lock:
            self._progress = replace(end, stage=end.stage or self._progress.stage)
