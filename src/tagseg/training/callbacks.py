"""Progress bar with time left, and the networks to predict with."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, Trainer
from tqdm import tqdm

from tagseg.model.checkpoint import read_about, save_network
from tagseg.training.module import TrainingModule
from tagseg.training.pace import Pace
from tagseg.training.progress_lines import numbers, rates_of

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
    """Steps done, time left, photos a second, losses, rate and last scores; in a log, a line every 15 seconds."""

    def __init__(self, pace: Pace | None = None) -> None:
        self.pace = pace
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
            self._describe(self.bar, trainer)
            self.bar.update(trainer.global_step - self.bar.n)

    def _describe(self, bar: tqdm[Any], trainer: Trainer) -> None:
        """Set what is shown beside the bar, where it is about to be drawn: to read a number waits for the device."""
        if bar.disable:  # by TQDM_DISABLE: nothing is ever drawn
            return
        if time.time() - bar.last_print_t >= bar.mininterval or trainer.global_step >= trainer.max_steps:
            logged = trainer.callback_metrics
            shown = {short: f"{float(logged[name]):.3f}" for name, short in SHORT.items() if name in logged}
            shown |= {"lr": f"{max(rates_of(trainer).values(), default=0.0):.1e}"}
            speed = self.pace.images_per_second if self.pace else None
            shown |= {"photos/s": f"{speed:.3g}"} if speed else {}
            bar.set_postfix(shown | last_scores(numbers(logged)), refresh=False)

    def on_validation_start(self, trainer: Trainer, *_: Any) -> None:
        """Show that scoring takes the time."""
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
        """Leave the terminal in order; where it is gone, the checkpoint is still to be saved."""
        with suppress(OSError):
            self.on_train_end()

    def on_train_end(self, *_: Any) -> None:
        """Close the bar."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None


def last_scores(logged: Mapping[str, float]) -> dict[str, str]:
    """mIoU in percent of the segmentation, or of the CAM where no other is scored, of the best network; none before."""
    for what, title in (("segmentation", "mIoU"), ("cam", "CAM")):
        values = [value for name, value in logged.items() if name.startswith("val/") and name.endswith(f"/{what}")]
        if values:
            return {title: f"{100 * max(values):.1f}"}
    return {}


def score_line(step: int, scores: dict[str, float]) -> str:
    """One line of validation scores in percent, of every network."""
    networks = list(dict.fromkeys(name.split("/")[1] for name in scores if name.startswith("val/")))
    parts = []
    for what, title in (("segmentation", "segmentation"), ("cam", "CAM"), ("aux_cam", "aux CAM"), ("tag_f1", "tag F1")):
        values = [scores[f"val/{name}/{what}"] for name in networks if f"val/{name}/{what}" in scores]
        if values:
            parts.append(title + " " + " / ".join(f"{100 * value:.1f}" for value in values))
    return f"step {step}: " + ", ".join(parts) + f" % ({' / '.join(networks)}; mIoU, F1)"


class ExportNetworks(Callback):
    """Write the networks to predict with: ``last``, of further networks ``last_NAME``; ``best`` where one is scored.

    Best is the network and the step with the highest mIoU of the method's first scored map.
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

    def _export(self, trainer: Trainer, module: TrainingModule, scored: bool = True) -> None:
        scores = {k: float(v) for k, v in trainer.callback_metrics.items() if k.startswith("val/")}
        networks, what = module.method.networks, module.method.SCORED[0]
        maps = list(module.method.SCORED)  # what is trained: a classifier's decoder is not
        about: dict[str, Any] = {"step": trainer.global_step, "scores": scores, "maps": maps}
        for name, network in networks.items():
            own = name == module.method.answer
            path = self.folder / ("last.safetensors" if own else f"last_{name}.safetensors")
            save_network(network, path, about | {"network": name})
        if not scored or not scores:
            return
        name = max(networks, key=lambda one: scores[f"val/{one}/{what}"])
        best = scores[f"val/{name}/{what}"]
        path = self.folder / "best.safetensors"
        former = read_about(path) if path.exists() else {}
        is_later = former.get("step", 0) > trainer.global_step  # of a training that was killed and went on otherwise
        if is_later or best > float(former.get("best", -1.0)):
            save_network(networks[name], path, about | {"network": name, "best": best})
