"""One input given to a parser: what it did, and whether that is allowed."""

from __future__ import annotations

import os
import resource
import signal
import tempfile
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from tagseg.data.images import MAX_PIXELS
from tagseg.errors import TagsegError

from .parser import REFUSED, UNKNOWN, Case, Parser

LONGEST = 1000
"""Characters of the longest message of an error."""
PIXELS = 2_000_000
"""Most pixels of a picture, so that what is measured is the reading and not how long millions of zeros take."""


class TooLong(BaseException):
    """The time for one input is over. No parser that catches ``Exception`` catches it."""


def scratch() -> tempfile.TemporaryDirectory[str]:
    """A folder in memory, where there is one."""
    memory = Path("/dev/shm")
    return tempfile.TemporaryDirectory(prefix="tagseg-fuzz-", dir=memory if os.access(memory, os.W_OK) else None)


def problem_of(parser: Parser, case: Case, folder: Path) -> str:
    """What is wrong with what a parser did with an input, in one line; empty: nothing.

    Args:
        parser: the parser.
        case: the input.
        folder: where its file is written; it is removed afterwards.
    """
    os.environ[MAX_PIXELS] = str(PIXELS)
    path = folder / case.name
    path.write_bytes(case.content)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        with warnings.catch_warnings(record=True) as warned, _limited(parser.seconds):
            warnings.simplefilter("always")
            problem = _tried(parser, case, path)
    except TooLong:
        problem = f"took more than {parser.seconds:g} s"
    finally:
        path.unlink(missing_ok=True)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
    if not problem and warned and parser.quiet:
        problem = f"warned: {warned[0].category.__name__}: {warned[0].message}"
    if not problem and grown > parser.megabytes:
        problem = f"took {grown} MB of memory"
    return " ".join(problem.split())[:400]


def _tried(parser: Parser, case: Case, path: Path) -> str:
    try:
        value = parser.read(path)
    except TagsegError as error:
        text = str(error)
        if case.expected is not UNKNOWN and case.expected is not REFUSED and not case.refusable:
            return f"refused a valid file: {text}"
        return _message_problem(text)
    except TooLong:
        raise
    except BaseException as error:
        return f"{type(error).__name__}: {str(error)[:120]} ({_place(error)})"
    if case.expected is REFUSED:
        return f"read {value!r:.150} of a file that contradicts itself"
    if case.expected is not UNKNOWN and value != case.expected:
        return f"read {_difference(value, case.expected)}"
    return parser.holds(value, case)


def _message_problem(text: str) -> str:
    if not text.strip():
        return "an error without a message"
    if len(text.splitlines()) > 1:
        return f"a message of several lines: {text!r}"
    odd = [letter for letter in text if ord(letter) < 32 or 127 <= ord(letter) < 160]
    if odd:
        return f"a message with the control character {odd[0]!r}: {text!r}"
    return f"a message of {len(text)} characters: {text}" if len(text) > LONGEST else ""


def _place(error: BaseException) -> str:
    """The innermost line of the package."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "/tagseg/" in frame.filename]
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "not in tagseg"


def _difference(value: Any, expected: Any) -> str:
    if isinstance(value, dict) and isinstance(expected, dict):
        for key in (*expected, *value):
            if value.get(key, UNKNOWN) != expected.get(key, UNKNOWN):
                return f"{value.get(key, 'nothing')!r} for {key!r}, expected {expected.get(key, 'nothing')!r}"
    return f"{value!r:.150}, expected {expected!r:.150}"


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Of processor time, as a busy machine is no failure."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise TooLong

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
