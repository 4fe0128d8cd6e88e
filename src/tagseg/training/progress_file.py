"""``progress.jsonl`` of a run's folder: how far a training is, one JSON object a line, for machines.

docs/training_logs.md lists the fields. A line is appended by a single write and has at most one torn successor, which
the next start removes, so every reader that leaves out a last line without its end reads whole lines only.
"""

from __future__ import annotations

import json
import logging
import math
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tagseg.data.json_text import parse_json
from tagseg.errors import TagsegError

logger = logging.getLogger("tagseg")

NAME = "progress.jsonl"
RUNNING, DONE, STOPPED, FAILED = "running", "done", "stopped", "failed"
"""States of a training. One that was killed stays ``running``, so look at the time, too."""


@dataclass(frozen=True)
class ProgressLine:
    """A line, without its time.

    Attributes:
        stage: what is being done.
        step: units of the stage that are done.
        steps: units of the stage.
        seconds_left: of the stage, estimated; ``None`` where nothing was measured yet.
        losses: the latest by name, ``loss`` is their weighted sum.
        rates: learning rates by the name of their group.
        images_per_second: photos trained on, or photos of the stage.
        scores: of the last scoring by name, 0 to 1.
        memory: peaks in bytes: ``process``, ``gpu``.
        state: ``running``, ``done``, ``stopped`` by the user, or ``failed``.
        error: why it failed.
    """

    stage: str
    step: int
    steps: int
    seconds_left: float | None = None
    losses: Mapping[str, float] = field(default_factory=dict)
    rates: Mapping[str, float] = field(default_factory=dict)
    images_per_second: float | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    memory: Mapping[str, int] = field(default_factory=dict)
    state: str = RUNNING
    error: str | None = None

    def content(self, now: float) -> bytes:
        """The JSON object of a time in seconds since 1970, with its end of line; null for numbers not finite."""
        fraction = min(1.0, self.step / self.steps) if self.steps else 1.0
        own = asdict(self)
        stage = {name: own.pop(name) for name in ("stage", "step", "steps")}
        rest = _short({**stage, "fraction": round(fraction, 4), **own})
        assert isinstance(rest, dict)  # as what is given
        return (json.dumps({"time": round(now, 3), **rest}, allow_nan=False) + "\n").encode()


class ProgressFile:
    """Appends lines to ``progress.jsonl``, few enough: one a second, and one in ten seconds once hours have passed.

    What cannot be written is told once and ends the file, never the training.

    Args:
        folder: of the run; made if it is not there.
        every: least seconds between two lines that nothing forces.
        step: what a killed training has told of later steps than this one is left out, as they are done again.
    """

    def __init__(self, folder: Path, every: float = 1.0, step: int | None = None) -> None:
        self.path, self.every = folder / NAME, every
        self.begun, self.written = time.monotonic(), -math.inf
        self.file: int | None = None
        try:
            folder.mkdir(parents=True, exist_ok=True)
            remove_torn_line(self.path)
            if step is not None:
                cut_after(self.path, step)
            self.file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        except OSError as error:
            self._give_up(error)

    def is_due(self) -> bool:
        """Whether a line that nothing forces would be written now."""
        now = time.monotonic()
        return self.file is not None and now - self.written >= self.every * interval(now - self.begun)

    def write(self, line: ProgressLine) -> None:
        """Append a line now."""
        if self.file is None:
            return
        self.written = time.monotonic()
        content = line.content(time.time())
        try:
            before = os.fstat(self.file).st_size
            if os.write(self.file, content) < len(content):  # a full disk takes a part
                os.ftruncate(self.file, before)
                raise OSError("no space left")
        except OSError as error:
            self._give_up(error)

    def close(self) -> None:
        """Write no more."""
        if self.file is not None:
            with suppress(OSError):
                os.close(self.file)
            self.file = None

    def _give_up(self, error: OSError) -> None:
        self.close()
        logger.warning("%s: cannot be written (%s); the training goes on without it", self.path,
                       error.strerror or error)  # fmt: skip


def interval(seconds: float) -> float:
    """Least seconds between two lines after so many seconds: a thousandth of them, 1 to 10."""
    return min(10.0, max(1.0, seconds / 1000))


def remove_torn_line(path: Path) -> None:
    """Cut off what a crash left behind the last whole line; nothing where there is no file."""
    if not path.exists():
        return
    with path.open("r+b") as file:
        end = position = file.seek(0, os.SEEK_END)
        while position > 0:
            step = min(4096, position)
            file.seek(position - step)
            found = file.read(step).rfind(b"\n")
            if found >= 0:
                position += found + 1 - step
                break
            position -= step
        if position < end:
            file.truncate(position)


def cut_after(path: Path, step: int) -> None:
    """Cut off all lines from the first one on that tells of a later step of a training by steps."""
    if not path.exists():
        return
    length = 0
    with path.open("r+b") as file:
        for line in file:
            if _is_later(line, step):
                file.truncate(length)
                return
            length += len(line)


def _is_later(line: bytes, step: int) -> bool:
    try:
        record = json.loads(line)
        return record["stage"] == "training" and record["step"] > step
    except (ValueError, KeyError, TypeError):  # a line that somebody else wrote
        return False


def read_progress(run: Path) -> list[dict[str, Any]]:
    """The whole lines of a run's ``progress.jsonl``, oldest first; a torn last one is left out.

    Args:
        run: a run folder.

    Raises:
        TagsegError: no such file, or a line in it that is no JSON object.
    """
    path = run / NAME
    if not path.is_file():
        raise TagsegError(f"{run}: no {NAME}, expected the folder of a training")
    lines = path.read_bytes().split(b"\n")[:-1]
    records = []
    for number, line in enumerate(lines, 1):
        try:
            record = parse_json(line)
        except ValueError as error:
            raise TagsegError(f"{path}, line {number}: no JSON ({error}): delete the line") from error
        if not isinstance(record, dict):
            raise TagsegError(f"{path}, line {number}: {record!r}, expected a JSON object: delete the line")
        records.append(record)
    return records


def reason_of(exception: BaseException) -> str:
    """One line that says what went wrong."""
    lines = str(exception).splitlines() or [""]
    own = lines[0] if isinstance(exception, TagsegError) else f"{type(exception).__name__}: {lines[0]}"
    return own[:500]


def _short(value: object) -> object:
    """The value with six digits of every number, and None for those that JSON has no name for."""
    if isinstance(value, Mapping):
        return {name: _short(part) for name, part in value.items()}
    if not isinstance(value, float):
        return value
    return float(f"{value:.6g}") if math.isfinite(value) else None
