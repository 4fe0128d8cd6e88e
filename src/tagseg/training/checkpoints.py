"""When a training by steps saves its state: ``last.ckpt`` and ``best.ckpt``."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from tagseg.errors import NonFiniteLoss
from tagseg.files import sync
from tagseg.training.metrics_file import NAME as METRICS
from tagseg.training.run_folder import CHECKPOINT
from tagseg.training.whole_steps import WholeSteps

BEST = "best.ckpt"


class LastCheckpoint(ModelCheckpoint):
    """``last.ckpt``, also when a training is interrupted; where it was in a step, or after a loss that is not finite,
    the former file is kept.

    It is saved when all of a step is done and logged: before the step is scored, and at the end. What goes on from it
    scores the step first, so a kill while scoring costs no step and no score.

    Args:
        folder: of the run.
        every: steps between two of them.
        steps: know what is scored.
    """

    def __init__(self, folder: Path, every: int, steps: WholeSteps) -> None:
        super().__init__(
            dirpath=folder, filename="last", every_n_train_steps=every, save_on_exception=True,
            enable_version_counter=False, save_top_k=1,
        )  # fmt: skip
        self.path, self.every, self.steps = folder / CHECKPOINT, every, steps

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Finish the step that the training goes on from."""
        super().on_train_start(trainer, pl_module)
        if trainer.ckpt_path is not None and Path(trainer.ckpt_path).absolute() == self.path.absolute():
            self._last_global_step_saved = trainer.global_step
        self.steps.score_what_was_not(trainer)

    def on_train_batch_start(self, trainer: Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Save where nothing is scored: now the last step's losses are in the logs."""
        if not self.steps.every:
            self._save_if_due(trainer)

    def on_train_batch_end(self, *_: Any) -> None:
        """Not yet: the step's losses are not logged."""

    def on_validation_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Save before scoring."""
        self._save_if_due(trainer)

    def on_validation_end(self, *_: Any) -> None:
        """Nothing: it was saved before."""

    def on_train_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Save the end with all its scores, so that it is known as the end."""
        if trainer.global_step > 0:
            self._save_checkpoint(trainer, str(self.path))

    def on_exception(self, trainer: Trainer, pl_module: Any, exception: BaseException) -> None:
        """Save what can be resumed."""
        if not isinstance(exception, NonFiniteLoss) and pl_module.stops.whole:
            super().on_exception(trainer, pl_module, exception)

    def _save_if_due(self, trainer: Trainer) -> None:
        step = trainer.global_step
        if step > 0 and step % self.every == 0 and step != self._last_global_step_saved:
            self._save_checkpoint(trainer, str(self.path))

    def _save_checkpoint(self, trainer: Trainer, filepath: str) -> None:
        """Save, once the logs up to here are safe: also after a power cut no row is missing before the checkpoint."""
        for logger in trainer.loggers if trainer.is_global_zero else ():
            with suppress(OSError):
                sync(Path(getattr(logger, "log_dir", None) or ".") / METRICS)
        super()._save_checkpoint(trainer, filepath)


class BestCheckpoint(ModelCheckpoint):
    """``best.ckpt`` by a score; also the best of a run whose folder was moved."""

    def __init__(self, folder: Path, monitor: str) -> None:
        super().__init__(
            dirpath=folder, filename="best", monitor=monitor, mode="max", enable_version_counter=False, save_top_k=1
        )
        self.is_there = False

    def setup(self, trainer: Trainer, pl_module: Any, stage: str) -> None:
        """All processes have to answer alike, also on a machine that does not see the folder."""
        super().setup(trainer, pl_module, stage)
        self.is_there = bool(trainer.strategy.broadcast((Path(self.dirpath or "") / BEST).is_file()))

    @property
    def state_key(self) -> str:
        """As in checkpoints of former versions."""
        return super().state_key.replace(type(self).__name__, ModelCheckpoint.__name__)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The best score so far, where its checkpoint is in this folder."""
        own = os.path.join(self.dirpath or "", BEST)
        scores = list(state_dict.get("best_k_models", {}).values())
        if len(scores) == 1 and self.is_there:
            place = {"dirpath": self.dirpath, "best_k_models": {own: scores[0]}, "kth_best_model_path": own}
            state_dict = {**state_dict, **place, "best_model_path": own, "last_model_path": ""}
        super().load_state_dict(state_dict)
        self.current_score = state_dict.get("current_score")  # Lightning saves it and forgets it


def checkpoints(folder: Path, every: int, monitor: str | None, steps: WholeSteps) -> list[Callback]:
    """``last.ckpt`` every so many steps and when a training is interrupted; ``best.ckpt`` by a score, if any."""
    last = LastCheckpoint(folder, every, steps)
    return [last] if monitor is None else [BestCheckpoint(folder, monitor), last]
