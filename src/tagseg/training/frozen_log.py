"""What a training of the method ``frozen`` tells while it runs: ``progress.jsonl``, losses and scores in the logs."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import torch

from tagseg.config import RunConfig
from tagseg.errors import TagsegError
from tagseg.training.loggers import error_of_disk, make_loggers
from tagseg.training.memory import peak_memory
from tagseg.training.metrics_file import drop_rows
from tagseg.training.progress_file import DONE, FAILED, STOPPED, ProgressFile, ProgressLine, reason_of

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger

logger = logging.getLogger("tagseg")


class FrozenLog:
    """The logs of one training; a context that ends them, whatever happens in it.

    Logs that cannot be written are told once and left; the training goes on.

    Args:
        run: which logger, and how often.
        folder: of the run.
        device: trains.

    Attributes:
        loggers: what is logged to; empty with ``run.logger none``.
        show: is told each step of the decoder that is done, to log pictures.
    """

    def __init__(self, run: RunConfig, folder: Path, device: torch.device) -> None:
        self.run, self.device = run, device
        with suppress(OSError, TagsegError):  # whoever writes there tells what is wrong
            drop_rows(folder / "logs", 0)  # of a training that was ended: all stages are done again
        self.loggers: list[Logger] = make_loggers(run, folder)
        self.file = ProgressFile(folder)
        self.show: Callable[[int], None] = lambda step: None
        self.line = ProgressLine("features", 0, 0)
        self.since = self.last = time.monotonic()

    def __enter__(self) -> FrozenLog:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Tell how it ended."""
        if error is None:
            self.line = replace(self.line, state=DONE, seconds_left=0.0)
        elif isinstance(error, KeyboardInterrupt | SystemExit):
            self.line = replace(self.line, state=STOPPED, seconds_left=None)
        else:
            self.line = replace(self.line, state=FAILED, seconds_left=None, error=reason_of(error))
        self._write()
        self.file.close()
        status = "failed" if error else "success"
        self.to_loggers(lambda one: one.finalize(status))

    def begin(self, stage: str, total: int) -> None:
        """A stage begins."""
        self.since = self.last = time.monotonic()
        self._reached(stage, 0, total)

    def note(self, stage: str, done: int, total: int) -> None:
        """So many photos, or steps of the foreground, are done; a ``progress.Note``."""
        if stage != self.line.stage:
            self.since = self.last
        self._reached(stage, done, total, photos=0 if stage == "foreground" else 1)

    def decoder_step(self, done: int, loss: float, rate: float) -> None:
        """A step of the decoder is done."""
        self.line = replace(self.line, losses={"loss": loss}, rates={"decoder": rate})
        self._reached("decoder", done, self.run.steps, photos=self.run.batch)
        if done % self.run.log_every == 0 or done in (1, self.run.steps):
            values = {"train/loss": loss, "rate/decoder": rate, **in_gigabytes(peak_memory(self.device))}
            if self.line.images_per_second is not None:
                values["speed/images_per_second"] = self.line.images_per_second
            self.to_loggers(lambda one: one.log_metrics(values, done))
        self.show(done)

    def scored(self, scores: Mapping[str, float]) -> None:
        """The scores, 0 to 1, by their names in the logs (``val/frozen/…``)."""
        self.line = replace(self.line, scores={name.removeprefix("val/"): value for name, value in scores.items()})
        self._write()
        self.to_loggers(lambda one: one.log_metrics(dict(scores), self.run.steps))

    def to_loggers(self, act: Callable[[Logger], None]) -> None:
        """Do something with every logger; after an error of the system there is none any more."""
        try:
            for one in self.loggers:
                act(one)
        except (OSError, TagsegError, ValueError) as error:
            told = error if isinstance(error, TagsegError) else error_of_disk(error)
            if told is None:
                raise
            self.loggers = []
            logger.warning("the logs cannot be written (%s); the training goes on without them", told)

    def _reached(self, stage: str, done: int, total: int, photos: int = 1) -> None:
        """Note how far a stage is; ``photos`` of a unit."""
        new, self.last = stage != self.line.stage or done == 0, time.monotonic()
        each = (self.last - self.since) / done if done else None
        speed = photos / each if each and photos else None
        left = None if each is None else each * (total - done)
        self.line = replace(
            self.line, stage=stage, step=done, steps=total, seconds_left=left, images_per_second=speed
        )  # fmt: skip
        if new or done == total or self.file.is_due():
            self._write()

    def _write(self) -> None:
        self.line = replace(self.line, memory=peak_memory(self.device))
        self.file.write(self.line)


def in_gigabytes(peaks: Mapping[str, int]) -> dict[str, float]:
    """Peaks of memory by their names in the logs."""
    return {f"memory/{name}_peak_gb": size / 1e9 for name, size in peaks.items()}
