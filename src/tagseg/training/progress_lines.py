"""``progress.jsonl`` of a training by steps."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, Trainer

from tagseg.training.memory import peak_memory
from tagseg.training.pace import Pace
from tagseg.training.progress_file import DONE, FAILED, RUNNING, STOPPED, ProgressFile, ProgressLine, reason_of


class ProgressLines(Callback):
    """Writes lines of the stages ``training`` and ``scoring``, in the first process alone."""

    def __init__(self, folder: Path, pace: Pace) -> None:
        self.folder, self.pace = folder, pace
        self.file: ProgressFile | None = None
        self.scored = 0

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Append to what an interrupted training has left of the steps that are done."""
        if trainer.is_global_zero:
            self.file = ProgressFile(self.folder, step=trainer.global_step)
            self._write(trainer, RUNNING)

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """A line a second."""
        if self.file is not None and self.file.is_due():
            self._write(trainer, RUNNING)

    def on_validation_start(self, trainer: Trainer, *_: Any) -> None:
        """Tell that scoring begins."""
        self.scored = 0
        if self.file is not None:
            self._write_scoring(trainer)

    def on_validation_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """A line a second."""
        self.scored += 1
        if self.file is not None and self.file.is_due():
            self._write_scoring(trainer)

    def on_validation_end(self, trainer: Trainer, *_: Any) -> None:
        """The scores."""
        if self.file is not None:
            self._write(trainer, RUNNING)

    def on_exception(self, trainer: Trainer, pl_module: Any, exception: BaseException) -> None:
        """Why it ends."""
        if isinstance(exception, KeyboardInterrupt | SystemExit):
            self._end(trainer, STOPPED, None)
        else:
            self._end(trainer, FAILED, reason_of(exception))

    def on_train_end(self, trainer: Trainer, *_: Any) -> None:
        """It is done."""
        self._end(trainer, DONE, None)

    def _end(self, trainer: Trainer, state: str, error: str | None) -> None:
        if self.file is not None:
            self._write(trainer, state, error)
            self.file.close()
            self.file = None

    def _write(self, trainer: Trainer, state: str, error: str | None = None) -> None:
        assert self.file is not None  # where this is called
        logged = numbers(trainer.callback_metrics)
        self.file.write(
            ProgressLine(
                "training",
                trainer.global_step,
                trainer.max_steps,
                self.pace.seconds_left,
                below("train/", logged),
                rates_of(trainer),
                self.pace.images_per_second,
                below("val/", logged),
                peak_memory(trainer.strategy.root_device),
                state,
                error,
            )
        )

    def _write_scoring(self, trainer: Trainer) -> None:
        assert self.file is not None  # where this is called
        batches = sum(int(count) for count in trainer.num_val_batches)
        self.file.write(
            ProgressLine(
                "scoring",
                self.scored,
                batches,
                scores=below("val/", numbers(trainer.callback_metrics)),
                memory=peak_memory(trainer.strategy.root_device),
            )
        )


def numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """Values, tensors of one number or numbers, as floats."""
    return {name: float(value) for name, value in values.items()}


def below(prefix: str, values: Mapping[str, float]) -> dict[str, float]:
    """Those whose names begin with a prefix, without it."""
    return {name.removeprefix(prefix): value for name, value in values.items() if name.startswith(prefix)}


def rates_of(trainer: Trainer) -> dict[str, float]:
    """The learning rates of the next step by group: ``encoder``, its highest, and ``heads``."""
    rates: dict[str, float] = {}
    for optimiser in trainer.optimizers:
        for group in optimiser.param_groups:
            name = "heads" if group.get("head") else "encoder"
            rates[name] = max(rates.get(name, 0.0), float(group["lr"]))
    return rates
