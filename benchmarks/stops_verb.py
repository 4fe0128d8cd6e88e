"""A verb of the command line in a process and session of its own, so that all that it starts can be counted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing import util
from pathlib import Path

from running import running

PATIENCE = 120.0
"""Seconds that anything may take on a busy machine."""
LEFT = 15.0
"""Seconds after which nothing that it started may be left: a loader's worker looks every 5 s for its main process."""


class Verb:
    """A running verb.

    It is forked from this process, which has imported PyTorch already: a trial takes a second, not five.

    Args:
        arguments: of ``tagseg``.
        output: takes what it prints.
        anew: start a new interpreter instead, as verbs that start copies of themselves need.
        before: called in the process first, where it is forked.
        errors: takes its errors, where it is forked; default: ``output``.
    """

    def __init__(
        self,
        arguments: list[str],
        output: Path,
        anew: bool = False,
        before: Callable[[], object] | None = None,
        errors: Path | None = None,
    ) -> None:
        self.output = output
        self.status: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        if anew:
            with output.open("wb") as file:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "tagseg.cli", *arguments], stdout=file, stderr=file,
                    stdin=subprocess.DEVNULL, start_new_session=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
                )  # fmt: skip
            self.pid = self._process.pid
            return
        self.pid = os.fork()
        if self.pid == 0:
            _run(arguments, (output, errors or output), before)

    def printed(self) -> str:
        """What it has printed so far."""
        return self.output.read_text(errors="replace") if self.output.exists() else ""

    def running(self) -> bool:
        """Whether its main process has not ended."""
        if self.status is None:
            if self._process is not None:
                self.status = self._process.poll()
            else:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                self.status = os.waitstatus_to_exitcode(status) if pid else None
        return self.status is None

    def until(self, reached: Callable[[], bool]) -> bool:
        """Wait for a moment; whether it came before the verb ended."""
        deadline = time.monotonic() + PATIENCE
        while self.running() and time.monotonic() < deadline:
            if reached():
                return True
            time.sleep(0.02)
        return False

    def send(self, number: int, to_all: bool = False) -> None:
        """Send a signal to its main process, or to all, as a terminal and schedulers do."""
        (os.killpg if to_all else os.kill)(self.pid, number)

    def ended(self) -> int | None:
        """Its exit code, −9 after kill −9; ``None``: it goes on after ``PATIENCE`` and was killed."""
        deadline = time.monotonic() + PATIENCE
        while self.running():
            if time.monotonic() > deadline:
                self.clear()
                return None
            time.sleep(0.02)
        return self.status

    def left(self, seconds: float = LEFT) -> int:
        """How many processes of its session are left after so many seconds, 0 as soon as none is."""
        deadline = time.monotonic() + seconds
        while (count := len(self._session())) and time.monotonic() < deadline:
            time.sleep(0.05)
        return count

    def clear(self) -> None:
        """End all that is left."""
        for pid in self._session():
            os.kill(pid, signal.SIGKILL)

    def _session(self) -> list[int]:
        """The processes of its session that have not ended."""
        return [one.pid for one in running() if one.session == self.pid]


def _run(arguments: list[str], outputs: tuple[Path, Path], before: Callable[[], object] | None) -> None:
    """In the forked process: run the verb and end as an interpreter does."""
    code = 1
    try:
        os.setsid()
        for number, output in enumerate(outputs, 1):
            os.dup2(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND), number)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        if before is not None:
            before()
        from tagseg.cli import main

        try:
            code = main(arguments)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        util._exit_function()  # type: ignore[attr-defined]
        threading._shutdown()  # type: ignore[attr-defined]
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)
