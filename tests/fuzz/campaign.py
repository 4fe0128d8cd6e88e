"""Many inputs for many parsers in forked workers, so that a crash of the process is a finding too, and no end."""

from __future__ import annotations

import logging
import mmap
import multiprocessing
import os
import re
import resource
import signal
import struct
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path

from .parser import Case, Parser
from .trial import problem_of, scratch

CHUNK = 5000
"""Inputs of one worker."""
STUCK = 300.0
"""Seconds without a new input after which a worker is ended: C code that no signal interrupts."""
ROOM = 6 << 30
"""Bytes of address space that a worker may add."""
_fork = multiprocessing.get_context("fork")


@dataclass(frozen=True)
class Finding:
    """A failure."""

    parser: str
    index: int
    problem: str
    case: Case

    @property
    def kind(self) -> str:
        """The problem without what differs between inputs that show the same."""
        if self.problem.startswith("read "):
            return "a wrong value"
        return re.sub(r"/\S+|'.*'|\".*\"|[\d.]+", "", self.problem)[:60] + self.problem[-40:].partition("(")[2]


@dataclass
class Tally:
    """What became of a parser's inputs: how many, the failures, one finding for each kind, and seconds of one core."""

    inputs: int = 0
    failures: int = 0
    seconds: float = 0.0
    findings: dict[str, Finding] = field(default_factory=dict)

    def add(self, finding: Finding) -> None:
        """Count a failure; of its kind the shortest input is kept."""
        self.failures += 1
        known = self.findings.get(finding.kind)
        if known is None or len(finding.case.content) < len(known.case.content):
            self.findings[finding.kind] = finding


@dataclass
class _Worker:
    parser: Parser
    start: int
    stop: int
    process: multiprocessing.process.BaseProcess
    pipe: Connection
    place: mmap.mmap
    seen: int
    moved: float

    def index(self) -> int:
        """Of the input that it has in hand."""
        return int(struct.unpack("q", self.place[:8])[0])


def run(
    parsers: Sequence[Parser], inputs: Callable[[Parser], int], seed: int, jobs: int, told: Callable[[int], object]
) -> dict[str, Tally]:
    """Give each parser its inputs.

    Args:
        parsers: the parsers.
        inputs: how many for each.
        seed: of the inputs.
        jobs: workers at a time.
        told: is given the number of inputs that were tried since it was called last.
    """
    tallies = {parser.name: Tally() for parser in parsers}
    waiting = _chunks(parsers, inputs)
    running: list[_Worker] = []
    try:
        while True:
            while len(running) < jobs and (chunk := next(waiting, None)) is not None:
                running.append(_started(*chunk, seed))
            if not running:
                return tallies
            wait([worker.pipe for worker in running], timeout=1.0)
            for worker in list(running):
                told(_attend(worker, tallies[worker.parser.name], running, seed))
    finally:
        for worker in running:
            worker.process.kill()


def _chunks(parsers: Sequence[Parser], inputs: Callable[[Parser], int]) -> Iterator[tuple[Parser, int, int]]:
    for parser in parsers:
        count = inputs(parser)
        for start in range(0, count, CHUNK):
            yield parser, start, min(start + CHUNK, count)


def _started(parser: Parser, start: int, stop: int, seed: int) -> _Worker:
    place = mmap.mmap(-1, 8)
    place[:8] = struct.pack("q", start)
    ours, theirs = _fork.Pipe(duplex=False)
    process = _fork.Process(target=_work, args=(parser, start, stop, seed, theirs, place), daemon=True)
    process.start()
    theirs.close()
    return _Worker(parser, start, stop, process, ours, place, start, time.monotonic())


def _attend(worker: _Worker, tally: Tally, running: list[_Worker], seed: int) -> int:
    """Take what a worker has to say; replace it if it died."""
    done = False
    with suppress(EOFError, OSError):
        while worker.pipe.poll():
            told = worker.pipe.recv()
            if isinstance(told, Finding):
                tally.add(told)
            else:
                tally.seconds += told
                done = True
    at = worker.index()
    progress, worker.seen = at - worker.seen, at
    now = time.monotonic()
    if progress:
        worker.moved = now
    stuck = now - worker.moved > STUCK
    if not done and not stuck and worker.process.is_alive():
        return progress
    if stuck:
        worker.process.kill()
    worker.process.join()
    running.remove(worker)
    worker.pipe.close()
    if done:
        tally.inputs += worker.stop - worker.start
        return progress
    code = worker.process.exitcode or 0
    problem = f"no answer in {STUCK:g} s" if stuck else f"the process died ({_name(code)})"
    tally.add(Finding(worker.parser.name, at, problem, worker.parser.case(seed, at)))
    tally.inputs += at + 1 - worker.start
    if at + 1 < worker.stop:
        running.append(_started(worker.parser, at + 1, worker.stop, seed))
    return progress + 1


def _name(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def _work(parser: Parser, start: int, stop: int, seed: int, pipe: Connection, place: mmap.mmap) -> None:
    """A worker: what it writes to standard error counts, as a decoder's own complaints do."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logger = logging.getLogger("tagseg")
    logger.propagate = False
    logger.addHandler(logging.NullHandler())
    os.dup2(os.memfd_create("stderr"), 2)
    limit_memory()
    seen = 0
    begun = time.process_time()
    with scratch() as folder:
        for index in range(start, stop):
            place[:8] = struct.pack("q", index)
            case = parser.case(seed, index)
            problem = problem_of(parser, case, Path(folder))
            sys.stderr.flush()
            size = os.fstat(2).st_size
            if size > seen and not problem and parser.quiet:
                problem = f"wrote to standard error: {os.pread(2, 200, seen)!r}"
            seen = size
            if problem:
                pipe.send(Finding(parser.name, index, problem, case._replace(expected=None)))
    place[:8] = struct.pack("q", stop)
    pipe.send(time.process_time() - begun)
    pipe.close()
    os._exit(0)  # no handlers of the parent's


def limit_memory(room: int = ROOM) -> None:
    """Let what asks for much more memory fail at once, as a ``MemoryError``."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + room, resource.RLIM_INFINITY))
