"""Curves beside losses and scores: learning rates, gradient norm, speed, memory, and the method's own health."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from torch import Tensor

from tagseg.training.frozen_log import in_gigabytes
from tagseg.training.memory import peak_memory
from tagseg.training.pace import Pace
from tagseg.training.progress_lines import rates_of


class Scalars(Callback):
    """Logs them where losses are logged; reads gradients and settings, changes nothing.

    Args:
        every: steps between two log lines.
        pace: of the training.
    """

    def __init__(self, every: int, pace: Pace) -> None:
        self.every, self.pace = every, pace
        self.values: dict[str, float | Tensor] = {}

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: Any, optimizer: torch.optim.Optimizer) -> None:
        """The gradient and the rates of this step, once the gradient's parts are added up and unscaled."""
        if trainer.is_global_zero and (trainer.global_step + 1) % self.every == 0:
            self.values = {f"rate/{name}": rate for name, rate in rates_of(trainer).items()}
            self.values["gradient/norm"] = gradient_norm(optimizer)

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        """Log what there is of a step that is done."""
        if not self.values:
            return
        values, self.values = self.values, {}
        values |= in_gigabytes(peak_memory(trainer.strategy.root_device))
        values |= {f"distillation/{name}": value for name, value in pl_module.method.health().items()}
        if self.pace.images_per_second is not None:
            values["speed/images_per_second"] = self.pace.images_per_second
        pl_module.log_dict(values, rank_zero_only=True)


def gradient_norm(optimiser: torch.optim.Optimizer) -> Tensor:
    """Euclidean norm () of the gradient of all parameters; 0 where there is none."""
    gradients = [
        parameter.grad
        for group in optimiser.param_groups
        for parameter in group["params"]
        if parameter.grad is not None
    ]
    return torch.nn.utils.get_total_norm(gradients)
