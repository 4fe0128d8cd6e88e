"""A training goes on from a checkpoint exactly as it would have without the interruption.

Lightning's checkpoint says in which hook it was made, and what runs next depends on it: numbers of logged steps shift
by one, the scores of the checkpoint's own step are never made. Here a checkpoint is always that of a whole step, and
says whether that step's scores are in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer


class WholeSteps(Callback):
    """The first callback of a training: what a resumed one needs besides weights, optimiser and schedules.

    Args:
        every: steps between two scorings; 0: nothing is scored.

    Attributes:
        scored: the last step whose scores are known.
        scores: of that step, by their names in the logs.
    """

    def __init__(self, every: int) -> None:
        self.every = every
        self.scored = 0
        self.scores: dict[str, float] = {}
        self._resumed_at = 0
        self._steps: int | None = None

    def state_dict(self) -> dict[str, Any]:
        """For the checkpoint."""
        return {"scored": self.scored, "scores": dict(self.scores)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """From the checkpoint."""
        self.scored, self.scores = state_dict["scored"], dict(state_dict["scores"])

    def on_save_checkpoint(self, trainer: Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Say that the step is whole, whichever hook this is called from."""
        set_progress(checkpoint["loops"], checkpoint["global_step"])
        checkpoint["epoch"] = 0  # the loader is endless

    def on_load_checkpoint(self, trainer: Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """The same of checkpoints of former versions."""
        set_progress(checkpoint["loops"], checkpoint["global_step"])
        self._resumed_at = checkpoint["global_step"]

    def on_fit_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Let a training whose last step is done, but not scored, begin at all."""
        if self._resumed_at >= trainer.max_steps > 0 and self._lacks_scores(self._resumed_at):
            self._steps = trainer.max_steps
            trainer.fit_loop.epoch_loop.max_steps = self._resumed_at + 1

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Remember the last scores."""
        if self._steps is not None:
            trainer.fit_loop.epoch_loop.max_steps = self._steps
        trainer.callback_metrics.update({name: torch.tensor(value) for name, value in self.scores.items()})

    def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
        """Number the logged steps from 0, as an uninterrupted training does."""
        trainer.fit_loop.epoch_loop._batches_that_stepped = trainer.global_step

    def on_validation_end(self, trainer: Trainer, pl_module: Any) -> None:
        """This step is scored."""
        self.scored = trainer.global_step
        logged = trainer.callback_metrics
        self.scores = {name: float(value) for name, value in logged.items() if name.startswith("val/")}

    def on_fit_end(self, trainer: Trainer, pl_module: Any) -> None:
        """The scores of a training that was finished before."""
        for name, value in self.scores.items():
            trainer.callback_metrics.setdefault(name, torch.tensor(value))

    def score_what_was_not(self, trainer: Trainer) -> None:
        """Score the step that the training goes on from, where it was ended before that was done."""
        if self._lacks_scores(trainer.global_step):
            trainer.validating = True
            trainer.fit_loop.epoch_loop.val_loop.run()
            trainer.training = True

    def _lacks_scores(self, step: int) -> bool:
        return self.every > 0 and step > 0 and step % self.every == 0 and self.scored != step


def set_progress(loops: Mapping[str, Any], step: int) -> None:
    """Write into the state of Lightning's loops that so many steps are done and nothing of another one.

    In place; the form is that of a checkpoint from ``on_train_batch_end``, which Lightning goes on from with the next
    batch.

    Args:
        loops: the entry ``loops`` of a checkpoint.
        step: steps that are done.
    """
    fit = loops["fit_loop"]
    last = max(0, step - 1)
    _set(fit["epoch_progress"], ready=1, started=1, processed=0, completed=0)
    _set(fit["epoch_loop.batch_progress"], ready=step, started=step, processed=step, completed=last)
    _set(fit["epoch_loop.scheduler_progress"], ready=step, completed=step)
    optimiser = fit["epoch_loop.automatic_optimization.optim_progress"]["optimizer"]
    for name in ("step", "zero_grad"):
        _set(optimiser[name], ready=step, started=step, completed=step)
    _set(fit["epoch_loop.val_loop.batch_progress"], ready=0, started=0, processed=0, completed=0)
    for name in ("epoch_loop.batch_progress", "epoch_loop.val_loop.batch_progress"):
        fit[name]["is_last_batch"] = False
    fit["epoch_loop.state_dict"]["_batches_that_stepped"] = last


def _set(progress: Mapping[str, Any], **counts: int) -> None:
    """Set those counts that a progress has, of this epoch and of all: a training is one endless epoch."""
    for name in ("total", "current"):
        progress[name].update({count: value for count, value in counts.items() if count in progress[name]})
