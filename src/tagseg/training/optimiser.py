"""AdamW with the paper's parameter groups and its learning rate (section 8 of docs/method.md)."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from tagseg.fsr.config import OptimiserConfig
from tagseg.fsr.schedules import learning_rate_factor, step_of
from tagseg.model.network import Network

_NO_DECAY = ("class_token", "register_tokens", "positions", "mask_token")


def parameter_groups(network: Network, settings: OptimiserConfig) -> list[dict[str, object]]:
    """Encoder and heads, each with and without weight decay.

    Heads (decoder, projector, classifiers) learn ``head_factor`` times faster. No decay for 1-D parameters, biases,
    class, register and mask tokens and the position embedding.
    """
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        head = not name.startswith("encoder.")
        decays = parameter.ndim > 1 and not name.endswith(_NO_DECAY)
        groups.setdefault((head, decays), []).append(parameter)
    return [
        {
            "params": parameters,
            "lr": settings.rate * (settings.head_factor if head else 1),
            "weight_decay": settings.weight_decay if decays else 0.0,
        }
        for (head, decays), parameters in groups.items()
    ]


def make_optimiser(
    network: Network, settings: OptimiserConfig, steps: int
) -> tuple[torch.optim.AdamW, torch.optim.lr_scheduler.LambdaLR]:
    """The optimiser and its schedule, to be advanced once a step."""
    optimiser = torch.optim.AdamW(parameter_groups(network, settings), betas=settings.betas, fused=True)
    warmup = step_of(settings.warmup, steps)

    def factor(step: int) -> float:
        return learning_rate_factor(step, steps, warmup, settings.warmup_ratio)

    return optimiser, torch.optim.lr_scheduler.LambdaLR(optimiser, factor)


def adopt_rates(checkpoint: dict[str, Any], network: Network, settings: OptimiserConfig, steps: int) -> None:
    """Replace a checkpoint's rates, decay and momenta by the configuration's, in place.

    PyTorch restores them with the optimiser's state, so that a resumed run would not notice another setting.
    """
    groups = make_optimiser(network, settings, steps)[0].param_groups
    for saved, group in zip(checkpoint["optimizer_states"][0]["param_groups"], groups, strict=True):
        saved["lr"] *= group["initial_lr"] / saved["initial_lr"]
        saved.update({key: group[key] for key in ("initial_lr", "weight_decay", "betas")})
    checkpoint["lr_schedulers"][0]["base_lrs"] = [group["initial_lr"] for group in groups]
