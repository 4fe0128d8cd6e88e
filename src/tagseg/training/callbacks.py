"""What a training shows and leaves behind: a progress bar with time left, checkpoints, networks to predict with."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from tqdm import tqdm

from tagseg.errors import NonFiniteLoss
from tagseg.model.checkpoint import read_about, save_network
from tagseg.training.module import FSR

logger = logging.getLogger("tagseg")

SHORT = {
    "train/loss": "loss",
    "train/classification": "cls",
    "train/segmentation": "seg",
    "train/affinity": "aff",
    "train/uncertain": "unc",
    "train/certain": "cer",
    "train/energy": "reg",
}
"""Names of the losses in the progress bar."""


class Progress(Callback):
    """Steps done, time left and the losses; where the output is no terminal, a line now and then."""

    def __init__(self) -> None:
        self.bar: tqdm[Any] | None = None

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Open the bar at the step a resumed run begins with."""
        if trainer.is_global_zero:
            interval = 0.5 if sys.stderr.isatty() else 15.0
            self.bar = tqdm(
                total=trainer.max_steps,
                initial=trainer.global_step,
                desc="training",
                unit="step",
                mininterval=interval,
                maxinterval=interval,
                dynamic_ncols=True,
            )

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """Advance the bar."""
        if self.bar is not None and trainer.global_step > self.bar.n:
            logged = trainer.callback_metrics
            losses = {short: f"{float(logged[name]):.3f}" for name, short in SHORT.items() if name in logged}
            self.bar.set_postfix(losses, refresh=False)
            self.bar.update(trainer.global_step - self.bar.n)

    def on_validation_start(self, trainer: Trainer, *_: Any) -> None:
        """Say what takes the time."""
        if self.bar is not None:
            self.bar.set_description("scoring")
            self.bar.refresh()

    def on_validation_end(self, trainer: Trainer, *_: Any) -> None:
        """Print the scores."""
        if self.bar is not None:
            self.bar.set_description("training")
            scores = trainer.callback_metrics
            self.bar.write(score_line(trainer.global_step, {k: float(v) for k, v in scores.items()}), file=sys.stderr)

    def on_exception(self, *_: Any) -> None:
        """Leave the terminal in order."""
        self.on_train_end()

    def on_train_end(self, *_: Any) -> None:
        """Close the bar."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None


def score_line(step: int, scores: dict[str, float]) -> str:
    """One line of validation scores in percent, student / teacher."""
    parts = []
    for what, title in (("segmentation", "segmentation"), ("cam", "CAM"), ("aux_cam", "aux CAM"), ("tag_f1", "tag F1")):
        pair = [scores.get(f"val/{who}/{what}") for who in ("student", "teacher")]
        if None not in pair:
            parts.append(title + " " + " / ".join(f"{100 * value:.1f}" for value in pair if value is not None))
    return f"step {step}: " + ", ".join(parts) + " % (student / teacher; mIoU, F1)"


class ExportNetworks(Callback):
    """Write the networks to predict with: ``last`` and ``last_teacher`` after each validation, ``best`` if it is.

    Best is the higher segmentation mIoU of student and teacher.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_validation_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Export after scoring."""
        if trainer.is_global_zero:
            self._export(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Export where nothing is scored, or the last step was not."""
        if trainer.is_global_zero:
            self._export(trainer, pl_module, scored=False)

    def _export(self, trainer: Trainer, module: FSR, scored: bool = True) -> None:
        scores = {k: float(v) for k, v in trainer.callback_metrics.items() if k.startswith("val/")}
        about: dict[str, Any] = {"step": trainer.global_step, "scores": scores, "network": "student"}
        save_network(module.student, self.folder / "last.safetensors", about)
        save_network(module.teacher, self.folder / "last_teacher.safetensors", about | {"network": "teacher"})
        if not scored or not scores:
            return
        name = max(("student", "teacher"), key=lambda who: scores[f"val/{who}/segmentation"])
        best = scores[f"val/{name}/segmentation"]
        path = self.folder / "best.safetensors"
        if not path.exists() or best > float(read_about(path).get("best", -1.0)):  # type: ignore[arg-type]
            network = module.student if name == "student" else module.teacher
            save_network(network, path, about | {"network": name, "best": best})


class LastCheckpoint(ModelCheckpoint):
    """``last.ckpt``, also when a training is interrupted; but a state that led to a broken loss replaces nothing."""

    def on_exception(self, trainer: Trainer, pl_module: Any, exception: BaseException) -> None:
        """Save what can be resumed."""
        if not isinstance(exception, NonFiniteLoss):
            super().on_exception(trainer, pl_module, exception)


def checkpoints(folder: Path, every: int, scored: bool) -> list[ModelCheckpoint]:
    """``last.ckpt`` every so many steps and when a training is interrupted; ``best.ckpt`` by the student's mIoU."""
    common: dict[str, Any] = {"dirpath": folder, "enable_version_counter": False, "save_top_k": 1}
    last = LastCheckpoint(filename="last", every_n_train_steps=every, save_on_exception=True, **common)
    if not scored:
        return [last]
    best = ModelCheckpoint(filename="best", monitor="val/student/segmentation", mode="max", **common)
    return [last, best]
