"""AdamW with the paper's parameter groups and its learning rate (METHOD §8)."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from tagseg.config import Config, step_of
from tagseg.model.network import Network
from tagseg.training.schedules import learning_rate_factor

_NO_DECAY = ("class_token", "register_tokens", "positions", "mask_token")


def parameter_groups(student: Network, rate: float, head_factor: float, weight_decay: float) -> list[dict[str, object]]:
    """Encoder and heads, each with and without weight decay.

    Heads (decoder, projector, classifiers) learn ``head_factor`` times faster. No decay for 1-D parameters, biases,
    class, register and mask tokens and the position embedding.
    """
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in student.named_parameters():
        head = not name.startswith("encoder.")
        decays = parameter.ndim > 1 and not name.endswith(_NO_DECAY)
        groups.setdefault((head, decays), []).append(parameter)
    return [
        {
            "params": parameters,
            "lr": rate * (head_factor if head else 1),
            "weight_decay": weight_decay if decays else 0.0,
        }
        for (head, decays), parameters in groups.items()
    ]


def make_optimiser(student: Network, config: Config) -> tuple[torch.optim.AdamW, torch.optim.lr_scheduler.LambdaLR]:
    """The optimiser and its schedule, to be advanced once a step."""
    settings, steps = config.optimiser, config.run.steps
    groups = parameter_groups(student, settings.rate, settings.head_factor, settings.weight_decay)
    optimiser = torch.optim.AdamW(groups, betas=settings.betas, fused=True)
    warmup = step_of(settings.warmup, steps)

    def factor(step: int) -> float:
        return learning_rate_factor(step, steps, warmup, settings.warmup_ratio)

    return optimiser, torch.optim.lr_scheduler.LambdaLR(optimiser, factor)


def adopt_rates(checkpoint: dict[str, Any], student: Network, config: Config) -> None:
    """Replace a checkpoint's rates, decay and momenta by the configuration's, in place.

    PyTorch restores them with the optimiser's state, so that a resumed run would not notice another setting.
    """
    groups = make_optimiser(student, config)[0].param_groups
    for saved, group in zip(checkpoint["optimizer_states"][0]["param_groups"], groups, strict=True):
        saved["lr"] *= group["initial_lr"] / saved["initial_lr"]
        saved.update({key: group[key] for key in ("initial_lr", "weight_decay", "betas")})
    checkpoint["lr_schedulers"][0]["base_lrs"] = [group["initial_lr"] for group in groups]
